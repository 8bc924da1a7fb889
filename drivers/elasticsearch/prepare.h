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

enum weir_field { FIELD_MISSING, FIELD_GOOD, FIELD_INDEXED, FIELD_NO_SOURCE, FIELD_UNREADABLE };

/* What a mapping's answer says of `_weir`:
 * {"orders-v2":{"mappings":{"properties":{"_weir":{...}}}}}. The name is another than we asked for
 * where that was an alias. */
enum weir_field prepare_field(struct slice text);

/* Asks for a mapping in so far as prepare_field() looks at it; behind "/INDEX". */
#define PREPARE_FIELD_QUERY \
    "/_mapping?filter_path=error,*.mappings._source,*.mappings.properties._weir"

/* Control thread; blocks, for each server at most a few requests' time-outs. Returns as sink.h's
 * prepare(): 1 where both indexes were created by this call, 0 where all is well, -1 with *err.
 * `answer` is scratch. */
MUST_CHECK int prepare_run(struct servers *servers, const struct prepare_names *names,
                           struct buf *answer, struct err *err);

/* inspect.c: the same questions and more, and nothing is created or changed. As sink.h's inspect().
 */
MUST_CHECK int inspect_run(struct servers *servers, const struct prepare_names *names,
                           struct buf *answer, struct findings *findings, struct err *err);

#endif
