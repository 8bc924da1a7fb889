/* admin_test.c: the admin server on a real Unix socket, asked by hand and by the commands. */
#include "../unit.h"
#include "fake_node.h"

#include "control/admin.h"
#include "control/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char folder[64], socket_path[96];

struct answer {
    int status;
    char head[4096];
    char *body; /* free() */
};

/* ---- asking by hand ---- */

static int connect_local(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int connect_tcp(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Sends the request, reads to the end, closes. status 0: the server hung up without an answer. */
static struct answer exchange(int fd, const char *request)
{
    struct answer answer = { 0 };
    char *text = calloc(1, 1 << 20);
    size_t len = 0;
    ssize_t got;

    (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
    while ((got = recv(fd, text + len, (1 << 20) - 1 - len, 0)) > 0)
        len += (size_t)got;
    close(fd);
    char *end = strstr(text, "\r\n\r\n");
    if (end != NULL) {
        assert_int_equal(sscanf(text, "HTTP/1.%*d %d", &answer.status), 1);
        assert_true((size_t)(end - text) < sizeof(answer.head));
        memcpy(answer.head, text, (size_t)(end - text));
        answer.body = strdup(end + 4);
    }
    free(text);
    return answer;
}

static struct answer ask(int fd, const char *method, const char *path)
{
    char request[4096];

    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n",
             method, path);
    return exchange(fd, request);
}

static json_t *get_json(const char *path, int status)
{
    struct answer answer = ask(connect_local(), "GET", path);
    json_error_t error;

    if (answer.status != status)
        fail_msg("%s: %d %s", path, answer.status, answer.body);
    json_t *json = json_loads(answer.body, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("%s: %s: %s", path, error.text, answer.body);
    free(answer.body);
    return json;
}

static const char *text_in(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static json_int_t number_in(const json_t *object, const char *name)
{
    if (!json_is_integer(json_object_get(object, name)))
        fail_msg("no number %s", name);
    return json_integer_value(json_object_get(object, name));
}

/* ---- a server for each test ---- */

static struct node *node;

static int open_server(void **state)
{
    struct err err;

    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-admin-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/run/admin.sock", folder);
    node = fake_node(socket_path, NULL);
    return admin_open(node, &err);
}

static int close_server(void **state)
{
    char below[128];

    (void)state;
    admin_close(node);
    (void)unlink(socket_path);
    snprintf(below, sizeof(below), "%s/run", folder);
    (void)rmdir(below);
    return rmdir(folder);
}

/* ---- answers ---- */

static void status_shows_the_node_and_its_tasks(void **state)
{
    json_t *status = get_json("/v1/status", 200);
    const json_t *task = json_array_get(json_object_get(status, "tasks"), 0);
    const json_t *sink = json_array_get(json_object_get(task, "sinks"), 1);

    (void)state;
    assert_string_equal(text_in(status, "node"), "node-a");
    assert_string_equal(text_in(status, "version"), WEIR_VERSION);
    assert_true(json_is_true(json_object_get(status, "ready")));
    assert_int_equal(number_in(status, "shards"), 2);
    assert_string_equal(text_in(task, "name"), "orders");
    assert_string_equal(text_in(task, "state"), "running");
    assert_int_equal(number_in(task, "documents"), 3);
    assert_int_equal(number_in(task, "pending"), 1);
    assert_int_equal(number_in(task, "lag"), 300);
    assert_int_equal(number_in(task, "partitions"), 2);
    assert_string_equal(text_in(sink, "kind"), "sqlite");
    assert_int_equal(number_in(sink, "written"), 82);
    json_decref(status);
}

static void task_is_shown_with_its_tables(void **state)
{
    json_t *task = get_json("/v1/tasks/orders", 200), *tasks = get_json("/v1/tasks", 200);
    const json_t *table = json_array_get(json_object_get(task, "tables"), 2);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(tasks, "tasks")), 1);
    assert_string_equal(text_in(table, "name"), "shop.tc_order_item");
    assert_string_equal(text_in(table, "into"), "items");
    assert_int_equal(number_in(table, "applied"), 24);
    assert_int_equal(number_in(table, "dead"), 64);
    json_decref(task);
    json_decref(tasks);
}

/* Ours are listed, the lost one is not; where the end is not known there is no number. */
static void lag_lists_our_partitions(void **state)
{
    json_t *lag = get_json("/v1/tasks/orders/lag", 200), *all = get_json("/v1/lag", 200);
    const json_t *partitions = json_object_get(lag, "partitions");
    const json_t *known = json_array_get(partitions, 0), *unknown = json_array_get(partitions, 1);

    (void)state;
    assert_int_equal(json_array_size(partitions), 2);
    assert_int_equal(number_in(lag, "lag"), 300);
    assert_string_equal(text_in(known, "topic"), "trade");
    assert_int_equal(number_in(known, "partition"), 0);
    assert_int_equal(number_in(known, "shard"), 1);
    assert_int_equal(number_in(known, "read"), 800);
    assert_int_equal(number_in(known, "durable"), 700);
    assert_int_equal(number_in(known, "committed"), 600);
    assert_int_equal(number_in(known, "high"), 1000);
    assert_int_equal(number_in(unknown, "partition"), 2);
    assert_true(json_is_null(json_object_get(unknown, "lag")));
    assert_true(json_is_null(json_object_get(unknown, "committed")));
    assert_true(json_equal(json_array_get(json_object_get(all, "tasks"), 0), lag));
    json_decref(lag);
    json_decref(all);
}

/* The document digit by digit, its rows with their places in time, tombstones among them. */
static void document_comes_with_its_rows(void **state)
{
    struct answer answer = ask(connect_local(), "GET", "/v1/tasks/orders/documents/1001");
    json_t *found = get_json("/v1/tasks/orders/documents/1001", 200);
    const json_t *rows = json_object_get(found, "rows"), *deleted = json_array_get(rows, 3);
    const json_t *sink = json_array_get(json_object_get(found, "sinks"), 0);

    (void)state;
    assert_non_null(strstr(answer.body, "\"document\":" FAKE_DOCUMENT ","));
    assert_int_equal(json_array_size(rows), 5);
    assert_string_equal(text_in(json_array_get(rows, 0), "table"), "shop.tc_order");
    assert_int_equal(number_in(json_array_get(rows, 0), "seqno"), FAKE_SEQNO);
    assert_string_equal(text_in(json_array_get(rows, 0), "time"), "2026-11-21T08:00:00.123456Z");
    assert_string_equal(text_in(deleted, "row_id"), "5");
    assert_true(json_is_true(json_object_get(deleted, "deleted")));
    assert_string_equal(text_in(sink, "name"), "search");
    assert_string_equal(text_in(sink, "state"), "current");
    assert_int_equal(number_in(sink, "version"), number_in(found, "version"));
    json_decref(found);
    free(answer.body);
}

/* One sink is behind: it is shown with the version that it acknowledged. The key has a slash and a
 * space, escaped or not. */
static void sink_that_is_behind_is_shown_so(void **state)
{
    static const char *const paths[] = { "/v1/tasks/orders/documents/a%2Fb%20c",
                                         "/v1/tasks/orders/documents/a/b%20c" };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        json_t *found = get_json(paths[i], 200);
        const json_t *sinks = json_object_get(found, "sinks");
        assert_string_equal(text_in(found, "key"), "a/b c");
        assert_int_equal(number_in(found, "shard"), 1);
        assert_int_equal(number_in(json_array_get(sinks, 0), "version"), 7);
        assert_string_equal(text_in(json_array_get(sinks, 0), "state"), "being written");
        assert_int_equal(number_in(json_array_get(sinks, 1), "version"),
                         number_in(found, "version"));
        assert_string_equal(text_in(json_array_get(sinks, 1), "state"), "current");
        json_decref(found);
    }
}

static void deleted_document_is_null_with_its_tombstone(void **state)
{
    json_t *found = get_json("/v1/tasks/orders/documents/gone", 200);

    (void)state;
    assert_true(json_is_null(json_object_get(found, "document")));
    assert_int_equal(json_array_size(json_object_get(found, "rows")), 1);
    json_decref(found);
}

/* Each wrong question gets a status, what is wrong, and what to do. */
static void wrong_questions_get_an_error_and_a_hint(void **state)
{
    char long_key[700] = "/v1/tasks/orders/documents/";
    const struct {
        const char *path;
        int status;
    } rows[] = {
        { "/v1/tasks/orders/documents/unknown", 404 },
        { "/v1/tasks/orders/documents/", 400 },
        { "/v1/tasks/orders/documents/%zz", 400 },
        { "/v1/tasks/orders/documents/%4", 400 },
        { "/v1/tasks/orders/documents/1001%00", 404 },
        { long_key, 400 },
        { "/v1/tasks/other", 404 },
        { "/v1/tasks/orders/nothing", 404 },
        { "/v1/tasks/", 404 },
        { "/v1/", 404 },
        { "/v2/status", 404 },
        { "/", 404 },
    };

    (void)state;
    memset(long_key + strlen(long_key), 'k', 513);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *error = get_json(rows[i].path, rows[i].status);
        assert_non_null(text_in(error, "error"));
        assert_non_null(text_in(error, "hint"));
        json_decref(error);
    }
}

static void changing_methods_are_refused(void **state)
{
    struct answer answer = ask(connect_local(), "POST", "/v1/tasks/orders/pause");

    (void)state;
    assert_int_equal(answer.status, 405);
    assert_non_null(strstr(answer.head, "Allow: GET, HEAD"));
    assert_non_null(strstr(answer.body, "SIGTERM"));
    free(answer.body);
}

/* Nothing takes a body; one that does not end is cut off, and the server goes on. */
static void large_body_is_cut_off(void **state)
{
    static char request[20000];
    int len = snprintf(request, sizeof(request),
                       "GET /v1/status HTTP/1.1\r\nHost: weir\r\nContent-Length: 1000000\r\n\r\n");

    (void)state;
    memset(request + len, 'x', 16000);
    struct answer answer = exchange(connect_local(), request);
    assert_int_equal(answer.status, 0);
    free(answer.body);
    json_decref(get_json("/v1/status", 200));
}

static void health_says_why_it_is_not_ready(void **state)
{
    struct answer answer = ask(connect_local(), "GET", "/readyz");

    (void)state;
    assert_int_equal(answer.status, 200);
    free(answer.body);
    (void)err_set(&node->tasks[0].failure, EXIT_IO, "the dead letters cannot be kept");
    __atomic_store_n(&node->tasks[0].state, TASK_FAILED, __ATOMIC_RELEASE);
    answer = ask(connect_local(), "GET", "/readyz");
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "task orders failed: the dead letters cannot be kept"));
    free(answer.body);
    answer = ask(connect_local(), "GET", "/livez");
    assert_int_equal(answer.status, 200);
    free(answer.body);
}

/* ---- the socket ---- */

static void socket_is_for_owner_and_group_and_goes_with_the_node(void **state)
{
    struct stat is;

    (void)state;
    assert_int_equal(stat(socket_path, &is), 0);
    assert_int_equal(is.st_mode & 07777, 0660);
    admin_close(node);
    assert_int_equal(stat(socket_path, &is), -1);
    assert_int_equal(errno, ENOENT);
}

/* Two configs with one socket path: the second node says so and leaves the first alone. */
static void socket_of_a_living_node_is_not_taken(void **state)
{
    struct node *second = fake_node(socket_path, NULL);
    struct err err;

    (void)state;
    assert_int_equal(admin_open(second, &err), -1);
    assert_int_equal(err.code, EXIT_IO);
    assert_non_null(strstr(err.text, "another node answers on"));
    json_decref(get_json("/v1/status", 200));
}

/* The default path, which two nodes on one machine share without knowing: a warning is enough. */
static void socket_that_nobody_asked_for_is_only_a_warning(void **state)
{
    struct node *second = fake_node(socket_path, NULL);
    struct config *config = (struct config *)(uintptr_t)second->config;
    struct err err;

    (void)state;
    config->node.admin_explicit = false;
    assert_int_equal(admin_open(second, &err), 0);
    admin_close(second);
    json_decref(get_json("/v1/status", 200)); /* the first one's file is still there */
}

/* kill -9 leaves the file behind; the next start replaces it. */
static void socket_of_a_dead_node_is_replaced(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct err err;

    (void)state;
    admin_close(node);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_int_equal(admin_open(node, &err), 0);
    json_decref(get_json("/v1/status", 200));
}

/* A slip in the config must not delete somebody's file. */
static void file_in_the_sockets_place_is_left_alone(void **state)
{
    struct err err;
    struct stat is;

    (void)state;
    admin_close(node);
    close(open(socket_path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(admin_open(node, &err), -1);
    assert_int_equal(err.code, EXIT_IO);
    assert_int_equal(stat(socket_path, &is), 0);
    assert_true(S_ISREG(is.st_mode));
}

static void unknown_group_is_a_config_error(void **state)
{
    struct config *config = (struct config *)(uintptr_t)node->config;
    struct err err;

    (void)state;
    admin_close(node);
    config->node.admin_group = "no-such-group-here";
    assert_int_equal(admin_open(node, &err), -1);
    assert_int_equal(err.code, EXIT_CONFIG);
    assert_non_null(strstr(err.text, "no-such-group-here"));
}

/* ---- who may ask ---- */

#define NOBODY 65534

/* In the child: another user, with or without the group, asks for the status. Exits with 1 if it
 * was answered, 2 if it was refused. */
static void ask_as_nobody(void *argument)
{
    const gid_t *gid = argument;

    if (setgroups(0, NULL) != 0 || setgid(*gid) != 0 || setuid(NOBODY) != 0)
        _exit(3);
    struct answer answer = ask(connect_local(), "GET", "/v1/status");
    _exit(answer.status == 200 ? 1 : answer.status == 403 ? 2 : 4);
}

/* The folder was opened for everybody and the socket's mode changed: the ids still count. */
static void let_everybody_connect(void)
{
    char below[128];

    snprintf(below, sizeof(below), "%s/run", folder);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(below, 0755), 0);
    assert_int_equal(chmod(socket_path, 0666), 0);
}

static void strangers_are_refused(void **state)
{
    gid_t gid = NOBODY;

    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can become somebody else */
    let_everybody_connect();
    struct ending ending = ending_of(ask_as_nobody, &gid);
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 2);
}

static void members_of_the_group_are_answered(void **state)
{
    struct config *config = (struct config *)(uintptr_t)node->config;
    const struct group *group = getgrgid(1);
    static char name[64];
    gid_t gid = 1;
    struct stat is;
    struct err err;

    (void)state;
    if (geteuid() != 0 || group == NULL)
        skip();
    admin_close(node);
    snprintf(name, sizeof(name), "%s", group->gr_name);
    config->node.admin_group = name;
    assert_int_equal(admin_open(node, &err), 0);
    assert_int_equal(stat(socket_path, &is), 0);
    assert_int_equal(is.st_gid, 1);
    let_everybody_connect();
    assert_int_equal(chmod(socket_path, 0660), 0);
    struct ending ending = ending_of(ask_as_nobody, &gid);
    assert_int_equal(WEXITSTATUS(ending.status), 1);
}

/* A port of 127.0.0.1 that nobody has: bound once, to learn its number. */
static unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Over TCP anybody may look at health and metrics, and at nobody's orders. */
static void tcp_serves_health_and_metrics_alone(void **state)
{
    unsigned port = free_port();
    char http[64];
    struct err err;

    (void)state;
    admin_close(node);
    snprintf(http, sizeof(http), "127.0.0.1:%u", port);
    node = fake_node(socket_path, http);
    assert_int_equal(admin_open(node, &err), 0);
    struct answer answer = ask(connect_tcp(port), "GET", "/metrics");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.head, "text/plain; version=0.0.4"));
    assert_non_null(strstr(answer.body, "weir_store_entities{task=\"orders\",shard=\"1\"} 2\n"));
    free(answer.body);
    answer = ask(connect_tcp(port), "GET", "/readyz");
    assert_int_equal(answer.status, 200);
    free(answer.body);
    answer = ask(connect_tcp(port), "GET", "/v1/tasks/orders/documents/1001");
    assert_int_equal(answer.status, 403);
    free(answer.body);
}

/* ---- the commands ---- */

static struct client_options options;
static int (*command)(const struct client_options *options);

/* In the child: stdout joins stderr, which is what ending_of() reads. */
static void run_command(void *argument)
{
    (void)argument;
    dup2(STDERR_FILENO, STDOUT_FILENO);
    int code = command(&options);
    fflush(stdout);
    _exit(code);
}

static struct ending ending_of_command(int (*function)(const struct client_options *options),
                                       const char *key, bool json)
{
    command = function;
    options = (struct client_options){ .socket = socket_path, .key = key, .json = json };
    struct ending ending = ending_of(run_command, NULL);
    assert_true(WIFEXITED(ending.status));
    return ending;
}

static void commands_print_what_the_node_says(void **state)
{
    struct ending ending = ending_of_command(client_status, NULL, false);

    (void)state;
    assert_int_equal(WEXITSTATUS(ending.status), 0);
    assert_non_null(strstr(ending.said, "node-a: weir " WEIR_VERSION));
    ending = ending_of_command(client_lag, NULL, false);
    assert_int_equal(WEXITSTATUS(ending.status), 0);
    assert_non_null(strstr(ending.said, "orders: 300 records behind"));
    ending = ending_of_command(client_get, "a/b c", false);
    assert_int_equal(WEXITSTATUS(ending.status), 0);
    assert_non_null(strstr(ending.said, "\"order_no\": \"a/b c\""));
    assert_non_null(strstr(ending.said, "being written"));
    ending = ending_of_command(client_get, "1001", true);
    assert_int_equal(WEXITSTATUS(ending.status), 0);
    assert_non_null(strstr(ending.said, "\"document\":" FAKE_DOCUMENT ","));
}

static void unknown_key_exits_1(void **state)
{
    struct ending ending = ending_of_command(client_get, "unknown", false);

    (void)state;
    assert_int_equal(WEXITSTATUS(ending.status), EXIT_NOT_FOUND);
    assert_non_null(strstr(ending.said, "does not have the key"));
}

/* The commonest trouble: one line that says which socket, and what to do. */
static void node_that_is_not_there_exits_69(void **state)
{
    (void)state;
    admin_close(node);
    struct ending ending = ending_of_command(client_status, NULL, true);
    assert_int_equal(WEXITSTATUS(ending.status), EXIT_UNAVAILABLE);
    assert_non_null(strstr(ending.said, socket_path));
    assert_non_null(strstr(ending.said, "--socket"));
    assert_ptr_equal(strchr(ending.said, '\n'), ending.said + strlen(ending.said) - 1);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(status_shows_the_node_and_its_tasks),
        SERVED(task_is_shown_with_its_tables),
        SERVED(lag_lists_our_partitions),
        SERVED(document_comes_with_its_rows),
        SERVED(sink_that_is_behind_is_shown_so),
        SERVED(deleted_document_is_null_with_its_tombstone),
        SERVED(wrong_questions_get_an_error_and_a_hint),
        SERVED(changing_methods_are_refused),
        SERVED(large_body_is_cut_off),
        SERVED(health_says_why_it_is_not_ready),
        SERVED(socket_is_for_owner_and_group_and_goes_with_the_node),
        SERVED(socket_of_a_living_node_is_not_taken),
        SERVED(socket_that_nobody_asked_for_is_only_a_warning),
        SERVED(socket_of_a_dead_node_is_replaced),
        SERVED(file_in_the_sockets_place_is_left_alone),
        SERVED(unknown_group_is_a_config_error),
        SERVED(strangers_are_refused),
        SERVED(members_of_the_group_are_answered),
        SERVED(tcp_serves_health_and_metrics_alone),
        SERVED(commands_print_what_the_node_says),
        SERVED(unknown_key_exits_1),
        SERVED(node_that_is_not_there_exits_69),
    };

    return UNIT_RUN(tests);
}
