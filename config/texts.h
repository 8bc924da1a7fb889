/* texts.h: what the texts of a config must look like. Each check gives NULL, or what is allowed (a
 * static string). */
#ifndef WEIR_CONFIG_TEXTS_H
#define WEIR_CONFIG_TEXTS_H

#include "dataplane/base/slice.h"

/* A name of a task or a sink: [A-Za-z0-9_-]{1,64}. */
const char *text_check_name(const char *text);

/* A sink's name: the same, but not `off`, which means something to `hydrate`. */
const char *text_check_sink_name(const char *text);

/* HOST:PORT, or [IPv6]:PORT; a broker may leave the port out. What listens may be `off`. */
const char *text_check_listen(const char *text);
const char *text_check_broker(const char *text);
const char *text_check_server(const char *text); /* with its port */

/* A topic by name; a subscription also takes ^regex. */
const char *text_check_topic(const char *text);
const char *text_check_subscription(const char *text);

/* librdkafka options that weir does not set itself: of the source, and of the dead-letter producer.
 */
const char *text_check_consumer_option(const char *text);
const char *text_check_producer_option(const char *text);

const char *text_check_url(const char *text);   /* http(s)://HOST[:PORT][/PATH] */
const char *text_check_index(const char *text); /* Elasticsearch's rules, with room for "-weir" */
const char *text_check_sqlite_name(const char *text); /* [A-Za-z_][A-Za-z0-9_]*, not sqlite_... */
const char *
text_check_hbase_table(const char *text); /* TABLE or NAMESPACE:TABLE, by HBase's rules */
const char *text_check_hbase_family(const char *text);
const char *text_check_znode(const char *text); /* /path/of/it, not the root */
const char *text_check_table(const char *text); /* db.table */
const char *
text_check_into(const char *text); /* a field name that neither begins with _ nor has a dot */
const char *text_check_column(const char *text); /* at most 256 bytes */
const char *text_check_socket(const char *text); /* a path that fits a socket address */

/* What every text must be: UTF-8, 1 to 4096 bytes, no control characters (but line breaks and tabs
 * where `multiline`), nothing that a YAML reader would take for a line break. */
const char *text_check_any(struct slice text, bool multiline);

#endif
