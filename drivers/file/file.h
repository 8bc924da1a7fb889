/*
 * file.h: the source `file`: events out of files, or out of standard input.
 *
 * A file holds one event a line, or lines of `kcat -J`; which of the two its first non-empty line
 * says. Names that end in .gz, .zst or .lz4 are decompressed on the way. `-` is standard input.
 *
 *     plain lines   partition (path, 0), offset = line number from 0, empty ones counted, skipped
 *     kcat lines    topic, partition, offset, timestamp, key and headers as they were in Kafka
 *
 * A kcat line that is broken, or says something absurd, is handed out as an event of (path, 0) with
 * the line as its payload: the decoder rejects it, and the dead letters keep its bytes.
 *
 * Files of kcat lines, standard input and pipes are all read by shard 0, one after the other in the
 * order given, so that a partition may go on in the next file. Plain files are taken by whichever
 * shard has nothing to read; a path that is given twice is read twice by one shard. A kcat offset
 * that is not above its partition's last one, and a path that is read again, hand out a record with
 * `rewind` set and `clock` 0: what the clock was is the shard's to know.
 */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include "dataplane/source.h"

struct file_options {
    const char *const *paths; /* the texts must live as long as the source */
    unsigned n_paths;
    size_t event_bytes_max; /* a longer line is handed out as RECORD_OVERSIZED; at least 4 KiB */
};

/* Start-up only. Opens all files at once; NULL with *err (EXIT_IO) that names each one that cannot
 * be. */
MUST_CHECK struct source *file_source_open(const struct file_options *options, struct err *err);

/* How many files turned out to be cut short, corrupt or unreadable so far; each was logged with its
 * place. What could be read of them was handed out. Any thread. */
unsigned file_source_damaged(const struct source *source);

/* Bytes read of the files and their sizes in all (as they lie on the disk); false where a size is
 * not known, because one is a pipe. Any thread. */
bool file_source_progress(const struct source *source, uint64_t *done, uint64_t *total);

#endif
