/*
 * es_fake.h: the Elasticsearch sink's HTTP in http.c's place: each request is answered by the next
 * part of the input, or fails where there is none left.
 *
 *     input: part NUL part NUL ...
 *     part:  an answer of status 200, or `!413`, `!400` and its body, `!429`, `!503`, `!long`
 *
 * Included once by a target; its functions take the places of the driver's own.
 */
#ifndef WEIR_TESTS_FUZZ_ES_FAKE_H
#define WEIR_TESTS_FUZZ_ES_FAKE_H

#include "fuzz.h"

#include "drivers/elasticsearch/http.h"

static struct {
    struct slice left;
    struct http_call *call; /* that was started and is not answered */
    unsigned requests, believed, distrusted;
} fake_es;

static uint64_t fake_es_mono_us(struct env *env)
{
    (void)env;
    return 1000000;
}

static const struct env_ops fake_es_ops = { .mono_us = fake_es_mono_us };
static struct env fake_es_env = { &fake_es_ops };
static struct http fake_es_http = { .env = &fake_es_env };

int http_call_open(struct http_call *call, struct http *http,
                   const struct http_call_options *options, struct err *err)
{
    (void)err;
    *call = (struct http_call){ .http = http, .path = options->path };
    buf_open(&call->answer, 1 << 20, "answers");
    return 0;
}

void http_call_close(struct http_call *call)
{
    (void)call;
}

void http_start(struct http_call *call, struct slice body)
{
    assert_true(fake_es.call == NULL && body.len > 0);
    fake_es.call = call;
    fake_es.requests++;
}

void http_worked(struct http_call *call)
{
    (void)call;
    fake_es.believed++;
}

void http_distrust(struct http_call *call, const char *why)
{
    (void)call;
    assert_true(why != NULL && why[0] != '\0');
    fake_es.distrusted++;
}

static inline struct slice fake_es_part(void)
{
    struct slice part = fake_es.left;
    const char *end = part.len > 0 ? memchr(part.data, '\0', part.len) : NULL;

    if (end != NULL)
        part.len = (size_t)(end - part.data);
    fake_es.left.data += part.len + (end != NULL);
    fake_es.left.len -= part.len + (end != NULL);
    return part;
}

static inline bool fake_es_is(struct slice *part, const char *word)
{
    size_t len = strlen(word);

    if (part->len < len || memcmp(part->data, word, len) != 0)
        return false;
    part->data += len;
    part->len -= len;
    return true;
}

static inline enum http_result fake_es_result(struct slice *part)
{
    if (part->len == 0 || fake_es_is(part, "!503"))
        return HTTP_FAILED;
    if (fake_es_is(part, "!413"))
        return HTTP_TOO_LARGE;
    if (fake_es_is(part, "!400"))
        return HTTP_BAD_REQUEST;
    if (fake_es_is(part, "!429"))
        return HTTP_BUSY;
    return fake_es_is(part, "!long") ? HTTP_TOO_LONG : HTTP_OK;
}

/* Answers all that is asked. */
static inline void fake_es_play(struct slice input)
{
    fake_es.left = input;
    fake_es.requests = fake_es.believed = fake_es.distrusted = 0;
    while (fake_es.call != NULL) {
        struct http_call *call = fake_es.call;
        struct slice part = fake_es_part();

        assert_true(fake_es.requests <= 64); /* it comes to an end */
        fake_es.call = NULL;
        call->result = fake_es_result(&part);
        buf_reset(&call->answer);
        buf_put_slice(&call->answer, part);
        if (call->answer.overflow)
            call->result = HTTP_TOO_LONG;
        call->done(call);
    }
}

/* The first part, cut so that it lacks its last byte that is no white space, or more. */
static inline struct slice fake_es_cut(struct slice input, struct dice *dice)
{
    struct slice part;

    fake_es.left = input;
    part = fake_es_part();
    while (part.len > 0 && strchr(" \t\r\n", part.data[part.len - 1]) != NULL)
        part.len--;
    if (part.len > 0)
        part.len = dice_throw(dice, part.len);
    return part;
}

#endif
