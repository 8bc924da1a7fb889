/* inspect.h: a look at the topics of a source `kafka`, for `weir check --live`. */
#ifndef WEIR_KAFKA_INSPECT_H
#define WEIR_KAFKA_INSPECT_H

#include "dataplane/finding.h"
#include "drivers/kafka/kafka.h"

/* Control thread, without a source: opening one joins the group, and a group that runs must not
 * notice a look. Asks the brokers for the topics, their settings and the group's commits; creates,
 * joins and commits nothing. 0, or -1 with *err: EXIT_UNAVAILABLE where no broker answers within
 * about 10 s, EXIT_CONFIG for options that librdkafka does not take. */
MUST_CHECK int kafka_inspect(const struct kafka_options *options, struct findings *findings,
                             struct err *err);

#endif
