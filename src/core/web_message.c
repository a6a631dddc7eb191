/* A parser of one flat JSON object, which is all that a client may send. What it does not know,
 * nested values and escapes included, it leaves to the endpoint. */
#include "web_message.h"

#include <stdbool.h>
#include <string.h>

#include "err.h"

#define INTEGER_MAX 9007199254740991 /* 2^53 - 1, the largest that a browser counts exactly */

struct scan {
    const char *at, *end;
};

struct span {
    const char *text; /* NULL: was not there */
    size_t len;
};

struct members {
    struct span type;
    int64_t seq, min_ms; /* -1: was not there */
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r')) {
        scan->at++;
    }
}

/* Take 'c' and the space on both sides of it. */
static bool take(struct scan *scan, char c)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != c) {
        return false;
    }
    scan->at++;
    skip_space(scan);
    return true;
}

static bool take_string(struct scan *scan, struct span *span)
{
    const char *start = scan->at + 1;

    if (scan->at == scan->end || *scan->at != '"') {
        return false;
    }
    for (const char *at = start; at < scan->end && *at != '\\' && (unsigned char)*at >= 0x20;
         at++) {
        if (*at == '"') {
            span->text = start;
            span->len = (size_t)(at - start);
            scan->at = at + 1;
            return true;
        }
    }
    return false;
}

/* 0 to INTEGER_MAX. */
static bool take_integer(struct scan *scan, int64_t *number)
{
    const char *start = scan->at;
    int64_t value = 0;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' && scan->at - start < 17) {
        value = value * 10 + (*scan->at++ - '0');
    }
    if (scan->at == start || value > INTEGER_MAX || (*start == '0' && scan->at - start > 1)) {
        return false;
    }
    *number = value;
    return true;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) {
        return false;
    }
    scan->at += len;
    return true;
}

static bool take_any(struct scan *scan)
{
    struct span span;
    int64_t number;

    return take_string(scan, &span) || take_integer(scan, &number) || take_word(scan, "true") ||
           take_word(scan, "false") || take_word(scan, "null");
}

static bool is_text(const struct span *span, const char *text)
{
    return span->text != NULL && span->len == strlen(text) &&
           memcmp(span->text, text, span->len) == 0;
}

static bool take_member(struct scan *scan, struct members *members)
{
    struct span key = {0};

    if (!take_string(scan, &key) || !take(scan, ':')) {
        return false;
    }
    if (is_text(&key, "type")) {
        return take_string(scan, &members->type);
    }
    if (is_text(&key, "seq")) {
        return take_integer(scan, &members->seq);
    }
    if (is_text(&key, "min_ms")) {
        return take_integer(scan, &members->min_ms);
    }
    return take_any(scan);
}

static bool take_object(struct scan *scan, struct members *members)
{
    if (!take(scan, '{')) {
        return false;
    }
    do {
        if (!take_member(scan, members)) {
            return false;
        }
    } while (take(scan, ','));
    return take(scan, '}') && scan->at == scan->end;
}

struct vd_web_message vd_web_message_parse(const char *text, size_t len)
{
    struct scan scan = {.at = text, .end = text + len};
    struct members members = {.seq = -1, .min_ms = -1};
    struct vd_web_message message = {.kind = VD_WEB_OTHER};
    bool is_whole = take_object(&scan, &members);

    if (is_text(&members.type, "resync")) {
        message.kind = is_whole ? VD_WEB_RESYNC : VD_WEB_BROKEN;
    } else if (is_text(&members.type, "ack")) {
        message.kind = is_whole && members.seq >= 0 ? VD_WEB_ACK : VD_WEB_BROKEN;
        message.seq = members.seq >= 0 ? (uint64_t)members.seq : 0;
    } else if (is_text(&members.type, "rate")) {
        bool is_in_range = members.min_ms == 0 || (members.min_ms >= VD_WEB_RATE_MIN_MS &&
                                                   members.min_ms <= VD_WEB_RATE_MAX_MS);

        message.kind = is_whole && is_in_range ? VD_WEB_RATE : VD_WEB_BROKEN;
        message.min_ms = is_in_range ? members.min_ms : 0;
    }
    return message;
}
