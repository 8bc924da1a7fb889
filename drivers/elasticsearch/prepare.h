/*
 * prepare.h: the two indexes of a sink, created or checked. Internal to drivers/elasticsearch.
 */
#ifndef WEIR_ELASTICSEARCH_PREPARE_H
#define WEIR_ELASTICSEARCH_PREPARE_H

#include "drivers/elasticsearch/servers.h"

/* Names as they stand in a URL's path. */
struct prepare_names {
    const char *index, *side_index;
};

/* Control thread; blocks, for each server at most a few requests' time-outs. Returns as sink.h's
 * prepare(): 1 where both indexes were created by this call, 0 where all is well, -1 with *err.
 * `answer` is scratch. */
MUST_CHECK int prepare_run(struct servers *servers, const struct prepare_names *names,
                           struct buf *answer, struct err *err);

#endif
