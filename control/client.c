/*
 * client.c: see client.h.
 *
 *     weir status ──HTTP over a Unix socket──► admin.c of the running node ──JSON──► client_print.c
 *
 * A command is one or a few GETs. With --json the node's words are printed as they came; otherwise
 * client_print.c makes tables of them. Nobody answering is the commonest trouble, so its message
 * says which socket was tried and what to do.
 *
 * What this does not do: retry. Who asks sees the answer of now.
 */
#include "control/client.h"

#include "control/client_print.h"
#include "dataplane/base/err.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX ((size_t)512 << 20)
#define TIMEOUT_S        60L

struct answer {
    long status;
    char *text; /* NUL-terminated, free() */
    size_t len;
};

static struct slice slice_of_answer(const struct answer *answer)
{
    return (struct slice){ answer->text, answer->len };
}

static const char *socket_of(const struct client_options *options)
{
    const char *from_environment = getenv("WEIR_SOCKET");

    if (options->socket != NULL)
        return options->socket;
    return from_environment != NULL && from_environment[0] != '\0' ? from_environment
                                                                   : ADMIN_SOCKET_DEFAULT;
}

/* ---- asking ---- */

/* curl's write callback: 0 bytes taken ends the transfer. */
static size_t take(char *bytes, size_t size, size_t n, void *context)
{
    struct answer *answer = context;
    size_t len = size * n;

    if (len > ANSWER_BYTES_MAX - answer->len)
        return 0;
    char *grown = realloc(answer->text, answer->len + len + 1);
    if (grown == NULL)
        return 0;
    answer->text = grown;
    memcpy(grown + answer->len, bytes, len);
    answer->len += len;
    grown[answer->len] = '\0';
    return len;
}

static void explain(const char *socket, CURLcode code, long os_error)
{
    if (code == CURLE_COULDNT_CONNECT && os_error == EACCES)
        fprintf(stderr,
                "weir: %s: permission denied: be root, weir's own user, or in the group that "
                "node.admin_group names\n",
                socket);
    else if (code == CURLE_COULDNT_CONNECT)
        fprintf(stderr,
                "weir: no node answers on %s (%s): is weir running with this node.admin? --socket "
                "PATH or $WEIR_SOCKET name another\n",
                socket, os_error != 0 ? strerror((int)os_error) : "cannot connect");
    else
        fprintf(stderr, "weir: the node on %s broke off: %s\n", socket, curl_easy_strerror(code));
}

/* 0 with *answer, to be freed; else the exit code, and the reason is on stderr. */
static int ask(const struct client_options *options, const char *url, struct answer *answer)
{
    const char *socket = socket_of(options);
    CURL *curl = curl_easy_init();
    long os_error = 0;

    *answer = (struct answer){ 0 };
    if (curl == NULL) {
        fputs("weir: libcurl cannot start\n", stderr);
        return EXIT_SOFTWARE;
    }
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a key may be ".." */
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK && answer->len > 0)
        return EXIT_DONE;
    explain(socket, code == CURLE_OK ? CURLE_GOT_NOTHING : code, os_error);
    free(answer->text);
    answer->text = NULL;
    return EXIT_UNAVAILABLE;
}

/* A key or a task as one part of a path. NULL where memory ends. */
static char *escaped(const char *text)
{
    char *curls = curl_easy_escape(NULL, text, (int)strlen(text));
    char *own = curls != NULL ? strdup(curls) : NULL;

    curl_free(curls);
    return own;
}

/* "http://weir/v1/tasks/TASK" and then "/documents/KEY" or nothing; free(). */
static char *task_url(const char *task, const char *what, const char *key)
{
    char *task_part = escaped(task), *key_part = escaped(key), *url = NULL;

    if (task_part == NULL || key_part == NULL ||
        asprintf(&url, "http://weir/v1/tasks/%s%s%s", task_part, what, key_part) < 0)
        url = NULL;
    free(task_part);
    free(key_part);
    if (url == NULL)
        fatal(EXIT_SOFTWARE, "out of memory for a request");
    return url;
}

/* ---- what went wrong ---- */

/* The node's own words about an answer that is not 200; returns the exit code. */
static int complain(const struct answer *answer)
{
    json_error_t ignored;
    json_t *body = json_loadb(answer->text, answer->len, 0, &ignored);
    const char *error = json_string_value(json_object_get(body, "error"));
    const char *hint = json_string_value(json_object_get(body, "hint"));

    if (error == NULL)
        fprintf(stderr, "weir: the node answered with status %ld\n", answer->status);
    else
        fprintf(stderr, "weir: %s%s%s\n", error, hint != NULL ? ": " : "",
                hint != NULL ? hint : "");
    json_decref(body);
    if (answer->status == 404)
        return EXIT_NOT_FOUND;
    return answer->status == 403 ? EXIT_UNAVAILABLE : EXIT_SOFTWARE;
}

static int nonsense(void)
{
    fputs("weir: the node's answer makes no sense: is it a weir of another version?\n", stderr);
    return EXIT_SOFTWARE;
}

static int printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    perror("weir: standard output");
    return EXIT_IO;
}

static int print_raw(struct slice text)
{
    (void)fwrite(text.data, 1, text.len, stdout);
    if (text.len > 0 && text.data[text.len - 1] != '\n')
        fputc('\n', stdout);
    return printed();
}

/* ---- the commands ---- */

/* Asks for one thing and shows it with `print`. */
static int show(const struct client_options *options, const char *url,
                int (*print)(FILE *out, struct slice answer))
{
    struct answer answer;
    int code = ask(options, url, &answer);

    if (code != EXIT_DONE)
        return code;
    if (answer.status != 200)
        code = complain(&answer);
    else if (options->json)
        code = print_raw(slice_of_answer(&answer));
    else
        code = print(stdout, slice_of_answer(&answer)) == 0 ? printed() : nonsense();
    free(answer.text);
    return code;
}

int client_status(const struct client_options *options)
{
    if (options->task == NULL)
        return show(options, "http://weir/v1/status", client_print_status);
    char *url = task_url(options->task, "", "");
    int code = show(options, url, client_print_task);
    free(url);
    return code;
}

int client_lag(const struct client_options *options)
{
    struct answer answer;

    if (options->task == NULL)
        return show(options, "http://weir/v1/lag", client_print_lag);
    char *url = task_url(options->task, "/lag", ""), *whole = NULL;
    int code = ask(options, url, &answer);
    free(url);
    if (code != EXIT_DONE)
        return code;
    if (answer.status != 200) {
        code = complain(&answer);
    } else {
        /* The shape is the same for one task and for all: scripts need not tell them apart. */
        int len = asprintf(&whole, "{\"tasks\":[%s]}", answer.text);
        if (len < 0)
            fatal(EXIT_SOFTWARE, "out of memory for an answer");
        struct slice text = { whole, (size_t)len };
        if (options->json)
            code = print_raw(text);
        else
            code = client_print_lag(stdout, text) == 0 ? printed() : nonsense();
        free(whole);
    }
    free(answer.text);
    return code;
}

/* One task's answer about the key. EXIT_NOT_FOUND where it does not know it: the reason is printed
 * only if `complains`. */
static int get_from(const struct client_options *options, const char *task, bool complains)
{
    char *url = task_url(task, "/documents/", options->key);
    struct answer answer;
    int code = ask(options, url, &answer);

    free(url);
    if (code != EXIT_DONE)
        return code;
    struct slice text = slice_of_answer(&answer);
    if (answer.status == 404 && !complains)
        code = EXIT_NOT_FOUND;
    else if (answer.status != 200)
        code = complain(&answer);
    else if (options->json)
        code = print_raw(text);
    else
        code = client_print_document(stdout, stderr, text) == 0 ? printed() : nonsense();
    free(answer.text);
    return code;
}

/* Every task that knows the key shows it. */
static int get_from_all(const struct client_options *options, const json_t *tasks)
{
    size_t n = json_array_size(tasks), i;
    int code = EXIT_NOT_FOUND;
    json_t *task;

    json_array_foreach(tasks, i, task)
    {
        const char *name = json_string_value(json_object_get(task, "name"));
        if (name == NULL)
            return nonsense();
        int from = get_from(options, name, n == 1);
        if (from != EXIT_DONE && from != EXIT_NOT_FOUND)
            return from;
        if (from == EXIT_DONE)
            code = EXIT_DONE;
    }
    if (code == EXIT_NOT_FOUND && n != 1)
        fprintf(stderr, "weir: no task of this node has %s in memory: ask the sinks\n",
                options->key);
    return code;
}

int client_get(const struct client_options *options)
{
    struct answer answer;
    json_error_t ignored;

    if (options->task != NULL)
        return get_from(options, options->task, true);
    int code = ask(options, "http://weir/v1/tasks", &answer);
    if (code != EXIT_DONE)
        return code;
    json_t *body = json_loadb(answer.text, answer.len, 0, &ignored);
    const json_t *tasks = json_object_get(body, "tasks");
    if (answer.status != 200)
        code = complain(&answer);
    else
        code = json_is_array(tasks) ? get_from_all(options, tasks) : nonsense();
    json_decref(body);
    free(answer.text);
    return code;
}
