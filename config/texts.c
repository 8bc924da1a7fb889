/*
 * texts.c: the rules for single texts: names, addresses, topics, indexes, tables.
 *
 * A text that a server would refuse later is refused here, with its place in the file, before
 * anything was started. The rules are the servers' own (Kafka's for topics, Elasticsearch's for
 * indexes), never stricter where it would keep somebody from using what he has. Each check answers
 * with what is allowed, in words that fit behind "allowed:".
 *
 * Only single texts: what one key means for another is in validate.c.
 */
#include "config/texts.h"

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Every byte is a letter, a digit or one of `others`. */
static bool made_of(const char *text, const char *others)
{
    for (; *text != '\0'; text++) {
        if (!is_alnum(*text) && strchr(others, *text) == NULL)
            return false;
    }
    return true;
}

const char *text_check_name(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 64 && made_of(text, "_-") ? NULL : "1 to 64 of A-Z a-z 0-9 _ -";
}

const char *text_check_sink_name(const char *text)
{
    if (strcmp(text, "off") == 0)
        return "another name (\"hydrate: off\" would not be clear)";
    return text_check_name(text);
}

static bool port_is_valid(const char *port, size_t len)
{
    unsigned number = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(port[i]))
            return false;
        number = number * 10 + (unsigned)(port[i] - '0');
    }
    return number >= 1 && number <= 65535;
}

/* The length of the HOST or [IPv6] that `text` begins with; 0: none. */
static size_t host_length(const char *text, size_t len)
{
    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (close == NULL || close - text < 3)
            return 0;
        for (const char *c = text + 1; c < close; c++) {
            if (!is_alnum(*c) && *c != ':' && *c != '.' && *c != '%')
                return 0;
        }
        return (size_t)(close - text) + 1;
    }
    size_t host = 0;
    while (host < len && (is_alnum(text[host]) || strchr("._-", text[host]) != NULL))
        host++;
    return host;
}

static bool address_is_valid(const char *text, size_t len, bool port_needed)
{
    size_t host = host_length(text, len);
    if (host == 0 || host > 255)
        return false;
    if (host == len)
        return !port_needed;
    return text[host] == ':' && port_is_valid(text + host + 1, len - host - 1);
}

const char *text_check_listen(const char *text)
{
    return address_is_valid(text, strlen(text), true)
               ? NULL
               : "HOST:PORT with a port from 1 to 65535, like 127.0.0.1:9464, or off";
}

const char *text_check_broker(const char *text)
{
    return address_is_valid(text, strlen(text), false)
               ? NULL
               : "HOST:PORT with a port from 1 to 65535, one broker an item";
}

const char *text_check_server(const char *text)
{
    return address_is_valid(text, strlen(text), true)
               ? NULL
               : "HOST:PORT with a port from 1 to 65535, one server an item";
}

const char *text_check_topic(const char *text)
{
    size_t len = strlen(text);
    bool dots = strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
    return len >= 1 && len <= 249 && !dots && made_of(text, "._-")
               ? NULL
               : "1 to 249 of A-Z a-z 0-9 . _ -";
}

const char *text_check_subscription(const char *text)
{
    if (text[0] != '^')
        return text_check_topic(text) == NULL
                   ? NULL
                   : "a topic's name (1 to 249 of A-Z a-z 0-9 . _ -), or a ^regex";
    regex_t regex;
    if (strlen(text) > 255 || regcomp(&regex, text, REG_EXTENDED | REG_NOSUB) != 0)
        return "a ^regex of at most 255 bytes that compiles (POSIX extended)";
    regfree(&regex);
    return NULL;
}

struct owned_option {
    const char *name, *instead;
};

static const char *option_owner(const struct owned_option *owned, const char *name)
{
    for (; owned->name != NULL; owned++) {
        if (strcasecmp(owned->name, name) == 0)
            return owned->instead;
    }
    return made_of(name, "._-") && strlen(name) <= 128 ? NULL : "the name of a librdkafka option";
}

const char *text_check_consumer_option(const char *text)
{
    static const struct owned_option owned[] = {
        { "group.id", "weir sets this option itself: use `group`" },
        { "bootstrap.servers", "weir sets this option itself: use `brokers`" },
        { "metadata.broker.list", "weir sets this option itself: use `brokers`" },
        { "enable.auto.commit", "weir commits itself, after the sinks: use `commit_interval`" },
        { "enable.auto.offset.store",
          "weir commits itself, after the sinks: use `commit_interval`" },
        { "auto.offset.reset", "weir sets this option itself: use `start`" },
        { "enable.partition.eof", "weir sets this option itself: nothing to set instead" },
        { NULL, NULL },
    };
    return option_owner(owned, text);
}

const char *text_check_producer_option(const char *text)
{
    static const struct owned_option owned[] = {
        { "bootstrap.servers", "weir sets this option itself: use `brokers`" },
        { "metadata.broker.list", "weir sets this option itself: use `brokers`" },
        { NULL, NULL },
    };
    return option_owner(owned, text);
}

const char *text_check_url(const char *text)
{
    static const char allowed[] =
        "http://HOST[:PORT][/PATH] or https://..., without user, password, `?` or `#`";
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    if (scheme == 0)
        return allowed;
    const char *address = text + scheme;
    size_t len = strcspn(address, "/");
    return address_is_valid(address, len, false) && made_of(address + len, "/._~-%+") ? NULL
                                                                                      : allowed;
}

const char *text_check_index(const char *text)
{
    static const char allowed[] =
        "Elasticsearch's rules: lower case, not beginning with - _ or +, none of "
        "\\ / * ? \" < > | , # : or space, 1 to 250 bytes";
    size_t len = strlen(text);
    if (len < 1 || len > 250 || strchr("-_+", text[0]) != NULL ||
        text[strcspn(text, "\\/*?\"<>| ,#:")] != '\0')
        return allowed;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            return allowed;
    }
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ? allowed : NULL;
}

const char *text_check_sqlite_name(const char *text)
{
    if (strlen(text) > 128 || is_digit(text[0]) || !made_of(text, "_") || text[0] == '\0')
        return "1 to 128 of A-Z a-z 0-9 _, not beginning with a digit";
    return strncasecmp(text, "sqlite_", 7) == 0 ? "a name that does not begin with sqlite_" : NULL;
}

const char *text_check_hbase_table(const char *text)
{
    static const char allowed[] =
        "TABLE or NAMESPACE:TABLE: A-Z a-z 0-9 _ (in TABLE also . and -, not as its first), at "
        "most 250 bytes, and not in the namespace hbase";
    const char *colon = strchr(text, ':'), *table = colon != NULL ? colon + 1 : text;
    char space[251];
    if (strlen(text) > 250 || colon == text || strchr(".-", table[0]) != NULL ||
        !made_of(table, "_.-"))
        return allowed; /* strchr finds the end of an empty table's name, too */
    size_t len = (size_t)(table - text) - (colon != NULL);
    memcpy(space, text, len);
    space[len] = '\0';
    return made_of(space, "_") && strcmp(space, "hbase") != 0 ? NULL : allowed;
}

const char *text_check_hbase_family(const char *text)
{
    bool right = strlen(text) <= 127 && text[0] != '.' && strpbrk(text, ":/\\") == NULL &&
                 strcmp(text, "recovered.edits") != 0;
    return right ? NULL : "a family's name: at most 127 bytes, no : / or \\, no . as its first";
}

const char *text_check_znode(const char *text)
{
    size_t len = strlen(text);
    bool right = len >= 2 && len <= 255 && text[0] == '/' && text[len - 1] != '/' &&
                 strstr(text, "//") == NULL && made_of(text, "/._-");
    return right ? NULL : "a znode's path, like /hbase";
}

const char *text_check_table(const char *text)
{
    const char *dot = strchr(text, '.');
    bool both = dot != NULL && dot != text && dot[1] != '\0';
    return both && strlen(text) <= 256 ? NULL : "DATABASE.TABLE, at most 256 bytes";
}

const char *text_check_column(const char *text)
{
    return strlen(text) <= 256 ? NULL : "at most 256 bytes";
}

const char *text_check_into(const char *text)
{
    bool right = text[0] != '_' && strchr(text, '.') == NULL && strlen(text) <= 256;
    return right ? NULL : "a field name without dots that does not begin with _, at most 256 bytes";
}

const char *text_check_socket(const char *text)
{
    if (strcmp(text, "off") == 0)
        return "a path: there is always an admin socket, in a folder that this user may write to";
    return strlen(text) <= 107 ? NULL : "a path of at most 107 bytes (what a Unix socket takes)";
}

/* One UTF-8 character at `at`: its bytes, or 0 where there is none; *code is its number. */
static size_t utf8_take(const unsigned char *at, size_t left, uint32_t *code)
{
    size_t len = at[0] < 0x80                    ? 1
                 : at[0] >= 0xC2 && at[0] < 0xE0 ? 2
                 : at[0] >= 0xE0 && at[0] < 0xF0 ? 3
                 : at[0] >= 0xF0 && at[0] < 0xF5 ? 4
                                                 : 0;
    if (len == 0 || len > left)
        return 0;
    *code = len == 1 ? at[0] : at[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (at[i] & 0x3Fu);
    }
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    bool valid = *code >= least[len] && *code <= 0x10FFFF && (*code < 0xD800 || *code > 0xDFFF);
    return valid ? len : 0;
}

static bool code_is_text(uint32_t code, bool multiline)
{
    if (code == '\n' || code == '\t')
        return multiline;
    return code >= 0x20 && !(code >= 0x7F && code < 0xA0) && code != 0x2028 && code != 0x2029 &&
           code != 0xFEFF && code != 0xFFFE && code != 0xFFFF;
}

const char *text_check_any(struct slice text, bool multiline)
{
    enum { TEXT_BYTES_MAX = 4096, MULTILINE_BYTES_MAX = 64 * 1024 };
    if (text.len == 0)
        return "a text that is not empty";
    if (text.len > (multiline ? MULTILINE_BYTES_MAX : TEXT_BYTES_MAX))
        return multiline ? "at most 64KiB" : "at most 4096 bytes";
    for (size_t at = 0; at < text.len;) {
        uint32_t code = 0;
        size_t len = utf8_take((const unsigned char *)text.data + at, text.len - at, &code);
        if (len == 0)
            return "UTF-8";
        if (!code_is_text(code, multiline))
            return "text without control characters";
        at += len;
    }
    return NULL;
}
