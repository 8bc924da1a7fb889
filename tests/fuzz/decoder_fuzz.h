/*
 * decoder_fuzz.h: what the fuzz targets of the two decoders share: decode_unit.h's checks of every
 * change, and the same message decoded three times.
 *
 * - In frames that hold few changes it must come to the same as in one large frame, whatever the
 *   message.
 * - Decoded again by the decoder that knows it already (it remembers columns and schemas), it must
 *   come to the same.
 */
#ifndef WEIR_TESTS_FUZZ_DECODER_H
#define WEIR_TESTS_FUZZ_DECODER_H

#include "fuzz.h"

#include "captures_plan.h"

#include "tests/unit/dataplane/decode_unit.h"

#define DECODER_ARENA_BYTES ((size_t)1 << 20)

static struct decode_unit unit;

static inline void decoder_setup(void)
{
    arena_open(&unit.frame.arena, DECODER_ARENA_BYTES, "frame");
    buf_open(&unit.out, 64 << 20, "text");
}

/* The message's text, in a block that stays until the input's end. */
static inline struct slice decoder_text(struct slice message, unsigned frame_room)
{
    unit.clock.seqno = SEQNO_EPOCH;
    unit.frame_room = frame_room;
    return fuzz_exact(slice_of(decode_bytes(&unit, message)));
}

static inline void decoder_input(const struct decoder_ops *ops, struct slice message)
{
    struct dice dice = dice_of(message);
    const char *const seqno_fields[] = { "", "", "seqno", "id" };
    struct decoder_options options = { .event_bytes_max = 1 << 20 };
    struct slice whole;

    unit.plan = options.plan = captures_plan(IMAGES_FULL);
    options.seqno_field = slice_of(seqno_fields[dice_throw(&dice, 4)]);
    unit.wall_us = dice_throw(&dice, 2) == 0 ? UINT64_MAX / 2 : SEQNO_EPOCH + 1000000;
    unit.decoder = ops->open(&options);
    whole = decoder_text(message, FRAME_CHANGES_MAX);
    /* Two is the least: a key change makes two changes, which stand in one frame. */
    fuzz_same(decoder_text(message, 2 + (unsigned)dice_throw(&dice, 4)), whole,
              "the message in small frames");
    fuzz_same(decoder_text(message, FRAME_CHANGES_MAX), whole, "the message once more");
}

#endif
