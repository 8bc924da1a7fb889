/*
 * ask.h: requests that control's thread waits for, at start: to one server of the cluster, or to
 * the next where that one fails. Internal to drivers/elasticsearch.
 */
#ifndef WEIR_ELASTICSEARCH_ASK_H
#define WEIR_ELASTICSEARCH_ASK_H

#include "dataplane/base/arena.h"
#include "drivers/elasticsearch/servers.h"

#define ASK_PATH_BYTES_MAX 2048

struct ask {
    struct servers *servers;
    unsigned server; /* that is asked now */
    CURL *easy;
    struct curl_slist *headers;
    struct buf *answer;
    struct err *err;
    bool try_next; /* the error is this server's own; another may do better */
    char error[CURL_ERROR_SIZE];
};

/* Calls at() for one server after the other, until one can be used; what at() returned for that
 * one: -1 with *err, or anything else. Where all failed, *err tells what the first one said, and of
 * how many. */
MUST_CHECK int ask_run(struct servers *servers, struct buf *answer,
                       int (*at)(struct ask *ask, const void *context), const void *context,
                       struct err *err);

/* ---- within at() ---- */

/* One request, waited for. Its status, with ask->answer; or -1 with *err. `body` NULL: a GET, else
 * a PUT. */
MUST_CHECK long ask_request(struct ask *ask, const char *path, const char *body);

/* The error of a status that nobody expects here. Always -1. */
int ask_refuse(struct ask *ask, long status, const char *doing);

/* The member `name` of an object that was scanned; empty where it has none. */
struct slice ask_member(struct slice object, const char *name);

#endif
