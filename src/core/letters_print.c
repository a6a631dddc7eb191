/* Letters in words, for a terminal of 80 columns, and as JSON. What a letter holds was written by
 * others: nothing of it reaches the terminal as it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "letters_inside.h"

#define COLUMNS 80
#define INDENT 6 /* of a letter's second line */
#define HEX_BYTES 16
#define ID_BYTES 64

/* ---- bytes for a terminal -------------------------------------------------------------------- */

/* Length of the character at 'text' that may be shown as it is; 0: it may not. */
static size_t measure_shown(const char *text, size_t len)
{
    unsigned char first = (unsigned char)text[0];
    size_t bytes = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    bool is_control =
        first < ' ' || first == 0x7f || (first == 0xc2 && len > 1 && (unsigned char)text[1] < 0xa0);

    return !is_control && bytes <= len && vd_utf8_is_valid(text, bytes) ? bytes : 0;
}

/* What stands for the character at 'text': itself, or an escape. Returns: its bytes in 'text'. */
static size_t show(const char *text, size_t len, char shown[8])
{
    static const char *const escapes[] = {['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
    unsigned char first = (unsigned char)text[0];
    size_t bytes = measure_shown(text, len);

    if (bytes > 0) {
        (void)snprintf(shown, 8, "%.*s", (int)bytes, text); /* at most 4 */
        return bytes;
    }
    if (first < sizeof(escapes) / sizeof(escapes[0]) && escapes[first] != NULL) {
        (void)snprintf(shown, 8, "%s", escapes[first]);
    } else {
        (void)snprintf(shown, 8, "\\x%02x", first);
    }
    return 1;
}

static size_t count_columns(const char *shown)
{
    size_t columns = 0;

    for (; *shown != '\0'; shown++) {
        columns += ((unsigned char)*shown & 0xc0) != 0x80;
    }
    return columns;
}

void vd_letters_add_safe(struct vd_buf *out, const char *bytes, size_t len, size_t columns)
{
    size_t begin = out->len;
    size_t fits = out->len; /* up to where "..." still has room */
    size_t used = 0;

    for (size_t at = 0; at < len;) {
        char shown[8];

        at += show(bytes + at, len - at, shown);
        used += count_columns(shown);
        if (columns > 0 && used > columns) {
            out->len = fits > begin ? fits : begin;
            vd_buf_add_text(out, "...");
            return;
        }
        vd_buf_add_text(out, shown);
        if (columns > 3 && used <= columns - 3) {
            fits = out->len;
        }
    }
}

void vd_letters_add_padded(struct vd_buf *out, const char *text, size_t columns)
{
    VD_AUTO(buf) struct vd_buf safe = {0};
    size_t used;

    vd_letters_add_safe(&safe, text, strlen(text), 0);
    used = count_columns(vd_buf_text(&safe));
    vd_buf_add(out, safe.data, safe.len);
    vd_buf_printf(out, "%*s", used < columns ? (int)(columns - used) + 2 : 2, "");
}

static void add_safe_text(struct vd_buf *out, const char *text)
{
    if (text == NULL) {
        vd_buf_add_char(out, '-');
    } else {
        vd_letters_add_safe(out, text, strlen(text), 0);
    }
}

/* Whether bytes are better read as text than as numbers: UTF-8 without a NUL. */
static bool is_text(const char *bytes, size_t len)
{
    return memchr(bytes, '\0', len) == NULL && vd_utf8_is_valid(bytes, len);
}

/* 00000010  7b 22 61 ...  |{"a...| */
static void add_hex(struct vd_buf *out, const char *bytes, size_t len, int indent)
{
    for (size_t at = 0; at < len; at += HEX_BYTES) {
        size_t count = len - at < HEX_BYTES ? len - at : HEX_BYTES;

        vd_buf_printf(out, "%*s%08zx ", indent, "", at);
        for (size_t i = 0; i < HEX_BYTES; i++) {
            if (i < count) {
                vd_buf_printf(out, " %02x", (unsigned char)bytes[at + i]);
            } else {
                vd_buf_add_text(out, "   ");
            }
        }
        vd_buf_add_text(out, "  |");
        for (size_t i = 0; i < count; i++) {
            bool is_plain = bytes[at + i] >= ' ' && bytes[at + i] <= '~';

            vd_buf_add_char(out, is_plain ? bytes[at + i] : '.');
        }
        vd_buf_add_text(out, "|\n");
    }
}

/* ---- parts of a letter ----------------------------------------------------------------------- */

const char *vd_letters_state_name(const struct vd_letter *letter, enum vd_letters_state state)
{
    if (state == VD_LETTERS_REPLAYED) {
        return "replayed";
    }
    return letter->stands_for >= 0 ? "again" : "new";
}

void vd_letters_add_time(struct vd_buf *out, int64_t ms)
{
    time_t second = (time_t)(ms / 1000);
    struct tm parts;
    char text[64];

    if (ms < 0 || gmtime_r(&second, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        vd_buf_add_char(out, '-');
    } else {
        vd_buf_add_text(out, text);
    }
}

/* "voters_topic/0/17", where the record stands. */
static void add_source(struct vd_buf *out, const struct vd_letter *letter)
{
    const struct vd_position *at = &letter->record.position;

    add_safe_text(out, letter->from);
    if (letter->record.has_position) {
        vd_buf_printf(out, "/%" PRId32 "/%" PRId64, at->partition, at->offset);
    }
}

/* ---- list ------------------------------------------------------------------------------------ */

void vd_letters_add_heading(struct vd_buf *out)
{
    vd_buf_add_text(out, "\n  LETTER      SET ASIDE (UTC)      STATE     TRIES  RECORD\n");
}

void vd_letters_add_line(struct vd_buf *out, const struct vd_letter *letter,
                         enum vd_letters_state state)
{
    const struct vd_record *record = &letter->record;
    const char *reason = letter->reason != NULL ? letter->reason : "no reason: not of votingd";
    VD_AUTO(buf) struct vd_buf time = {0};
    VD_AUTO(buf) struct vd_buf why = {0};
    char id[ID_BYTES];
    char tries[ID_BYTES] = "-";

    (void)snprintf(id, sizeof(id), "%" PRId32 "/%" PRId64, record->partition, record->offset);
    if (letter->attempts >= 0) {
        (void)snprintf(tries, sizeof(tries), "%" PRId64, letter->attempts);
    }
    vd_letters_add_time(&time, letter->time_ms);
    vd_buf_printf(out, "  %-10s  %-19s  %-8s  %5s  ", id, vd_buf_text(&time),
                  vd_letters_state_name(letter, state), tries);
    add_source(out, letter);
    if (record->key != NULL && record->key_len > 0) {
        vd_letters_add_safe(&why, record->key, record->key_len, COLUMNS / 4);
        vd_buf_add_text(&why, ": ");
    }
    vd_buf_add_text(&why, reason);
    vd_buf_printf(out, "\n%*s", INDENT, "");
    vd_letters_add_safe(out, why.data, why.len, COLUMNS - INDENT);
    vd_buf_add_char(out, '\n');
}

/* ---- show ------------------------------------------------------------------------------------ */

static void add_time_precise(struct vd_buf *out, int64_t ms)
{
    vd_letters_add_time(out, ms);
    if (ms >= 0) {
        vd_buf_printf(out, ".%03d UTC", (int)(ms % 1000));
    }
}

/* A key or a header's value, after its name: on the line if it is text, below it if not. */
static void add_short(struct vd_buf *out, const char *bytes, size_t len)
{
    if (bytes == NULL) {
        vd_buf_add_text(out, "none\n");
    } else if (is_text(bytes, len)) {
        vd_letters_add_safe(out, bytes, len, 0);
        vd_buf_add_char(out, '\n');
    } else {
        vd_buf_printf(out, "%zu bytes\n", len);
        add_hex(out, bytes, len, 2);
    }
}

/* The record's own headers, one after the other. */
struct header_walk {
    size_t next;
    struct vd_buf name; /* as the record had it */
    const void *value;
    size_t len;
};

/* Go on to the next one. False: there is none, and 'walk' holds no memory. */
static bool next_header(const struct vd_letter *letter, struct header_walk *walk)
{
    const char *name = NULL;

    while (letter->headers != NULL &&
           rd_kafka_header_get_all(letter->headers, walk->next, &name, &walk->value, &walk->len) ==
               RD_KAFKA_RESP_ERR_NO_ERROR) {
        walk->next++;
        vd_buf_clear(&walk->name);
        if (vd_letter_give_name(name, &walk->name)) {
            return true;
        }
    }
    vd_buf_fini(&walk->name);
    return false;
}

static void add_headers(struct vd_buf *out, const struct vd_letter *letter)
{
    struct header_walk walk = {0};

    while (next_header(letter, &walk)) {
        vd_buf_add_text(out, "header    ");
        vd_letters_add_safe(out, walk.name.data, walk.name.len, 0);
        vd_buf_add_text(out, ": ");
        add_short(out, walk.value, walk.len);
    }
}

static void add_value(struct vd_buf *out, const struct vd_letter *letter)
{
    const char *value = letter->record.value;
    size_t len = letter->record.value_len;

    if (letter->cut_bytes >= 0) {
        vd_buf_printf(
            out, "value     left out: the record has %" PRId64 " bytes, too many for a letter\n",
            letter->cut_bytes);
    } else if (value == NULL) {
        vd_buf_add_text(out, "value     none\n");
    } else if (!is_text(value, len)) {
        vd_buf_printf(out, "value     %zu bytes\n", len);
        add_hex(out, value, len, 2);
    } else {
        vd_buf_printf(out, "value     %zu bytes\n", len);
        while (len > 0) { /* line by line: the ends of its lines are harmless */
            const char *end = memchr(value, '\n', len);
            size_t line = end != NULL ? (size_t)(end - value) : len;

            vd_letters_add_safe(out, value, line, 0);
            vd_buf_add_char(out, '\n');
            value += end != NULL ? line + 1 : line;
            len -= end != NULL ? line + 1 : line;
        }
    }
}

void vd_letters_add_whole(struct vd_buf *out, const struct vd_letter *letter,
                          enum vd_letters_state state)
{
    const struct vd_record *record = &letter->record;

    vd_buf_printf(out, "letter    %s/%" PRId32 "/%" PRId64 ", %s\n", letter->topic,
                  record->partition, record->offset, vd_letters_state_name(letter, state));
    vd_buf_add_text(out, "set aside ");
    add_time_precise(out, letter->time_ms);
    vd_buf_add_text(out, " by stage ");
    add_safe_text(out, letter->stage);
    vd_buf_add_text(out, " on node ");
    add_safe_text(out, letter->node);
    vd_buf_add_text(out, "\nreason    ");
    add_safe_text(out, letter->reason);
    if (letter->attempts > 0) {
        vd_buf_printf(out, "\nattempts  %" PRId64, letter->attempts);
    }
    vd_buf_add_text(out, "\nrecord    ");
    add_source(out, letter);
    if (letter->stands_for >= 0) {
        vd_buf_printf(out, ", a replay of offset %" PRId64, letter->stands_for);
    }
    vd_buf_add_text(out, "\ntime      ");
    add_time_precise(out, record->timestamp_ms);
    vd_buf_add_text(out, "\nkey       ");
    add_short(out, record->key, record->key_len);
    add_headers(out, letter);
    add_value(out, letter);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_json_text(struct vd_buf *out, const char *name, const char *text)
{
    if (text != NULL) {
        vd_buf_printf(out, ",\"%s\":", name);
        vd_buf_add_json(out, text, strlen(text));
    }
}

static void add_json_int(struct vd_buf *out, const char *name, int64_t number)
{
    if (number >= 0) {
        vd_buf_printf(out, ",\"%s\":%" PRId64, name, number);
    }
}

/* A member NAME with text, or NAME_hex with what is none. */
static void add_json_bytes(struct vd_buf *out, const char *name, const char *bytes, size_t len)
{
    if (bytes == NULL) {
        vd_buf_printf(out, ",\"%s\":null", name);
    } else if (is_text(bytes, len)) {
        vd_buf_printf(out, ",\"%s\":", name);
        vd_buf_add_json(out, bytes, len);
    } else {
        vd_buf_printf(out, ",\"%s_hex\":\"", name);
        for (size_t i = 0; i < len; i++) {
            vd_buf_printf(out, "%02x", (unsigned char)bytes[i]);
        }
        vd_buf_add_char(out, '"');
    }
}

static void add_json_headers(struct vd_buf *out, const struct vd_letter *letter)
{
    struct header_walk walk = {0};
    bool is_first = true;

    vd_buf_add_text(out, ",\"headers\":[");
    while (next_header(letter, &walk)) {
        vd_buf_add_text(out, is_first ? "{\"name\":" : ",{\"name\":");
        vd_buf_add_json(out, walk.name.data != NULL ? walk.name.data : "", walk.name.len);
        add_json_bytes(out, "value", walk.value, walk.len);
        vd_buf_add_char(out, '}');
        is_first = false;
    }
    vd_buf_add_char(out, ']');
}

void vd_letters_add_json(struct vd_buf *out, const struct vd_letter *letter,
                         enum vd_letters_state state, bool is_whole)
{
    const struct vd_record *record = &letter->record;

    vd_buf_printf(out, "{\"topic\":\"%s\",\"partition\":%" PRId32 ",\"offset\":%" PRId64,
                  letter->topic, record->partition, record->offset);
    add_json_text(out, "state", vd_letters_state_name(letter, state));
    add_json_int(out, "time_ms", letter->time_ms);
    add_json_text(out, "stage", letter->stage);
    add_json_text(out, "node", letter->node);
    add_json_text(out, "reason", letter->reason);
    add_json_int(out, "attempts", letter->attempts);
    add_json_int(out, "cut_bytes", letter->cut_bytes);
    add_json_text(out, "record_topic", letter->from);
    if (record->has_position) {
        add_json_int(out, "record_partition", record->position.partition);
        add_json_int(out, "record_offset", record->position.offset);
        add_json_int(out, "record_generation", record->position.generation);
    }
    add_json_int(out, "record_time_ms", record->timestamp_ms);
    add_json_int(out, "replay_of", letter->stands_for);
    add_json_bytes(out, "key", record->key, record->key_len);
    if (is_whole) {
        add_json_headers(out, letter);
        add_json_bytes(out, "value", record->value, record->value_len);
    }
    vd_buf_add_text(out, "}\n");
}
