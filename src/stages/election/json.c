/* The scan over JSON texts. It runs once or twice per vote, so it looks at eight bytes of a string
 * at a time, keeps its stack in a few integers, and compares a member's name only with the fields
 * that can still match at its depth. */
#include "json.h"

#include <assert.h>
#include <string.h>

struct scan {
    const char *start, *at, *end;
    struct el_json_field *fields;
    uint32_t alive[EL_JSON_DEPTH_MAX + 1]; /* fields whose path leads into the object at a depth */
    uint32_t closing[EL_JSON_DEPTH_MAX + 1]; /* fields whose value is the container at a depth */
    uint64_t objects;                        /* bit n: the container at depth n is an object */
    unsigned depth;
    bool is_fresh;     /* the innermost container has no member yet */
    const char *fault; /* what was wrong at 'at' */
};

/* The fields that a member's name matched: as their end, or as a step on their way. */
struct match {
    uint32_t whole, further;
};

static bool fault(struct scan *scan, const char *words)
{
    scan->fault = words;
    return false;
}

/* The byte at hand; 0, which is valid nowhere, at the end. */
static char peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at)) {
        scan->at++;
    }
}

/* ---- strings ------------------------------------------------------------------------------- */

#define EACH_BYTE(byte) (UINT64_MAX / 255 * (byte))

/* The first byte in [at, end) that is a control character, a quote, a backslash or beyond ASCII.
 * The top bit of a byte in 'special' is set for such a one, and perhaps for some above it, which a
 * borrow reached: the lowest is right. */
static const char *skip_plain(const char *at, const char *end)
{
    uint64_t eight = 0;
    uint64_t special = 0;

    for (; end - at >= 8; at += 8) {
        memcpy(&eight, at, 8);
        special = ((eight - EACH_BYTE(0x20)) | ((eight ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
                   ((eight ^ EACH_BYTE('\\')) - EACH_BYTE(1)) | eight) &
                  EACH_BYTE(0x80);
        if (special != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return at + __builtin_ctzll(special) / 8;
#else
            break;
#endif
        }
    }
    while (at < end && (unsigned char)(*at - 0x20) < 0x60 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* Bytes of the UTF-8 sequence at 'at', which begins beyond ASCII; 0 if it is malformed. Table 3-7
 * of the Unicode standard: only the second byte has ranges of its own. */
static size_t sequence_bytes(const unsigned char *at, size_t left)
{
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t bytes = 0;

    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        bytes = 2;
    } else if (at[0] >= 0xe0 && at[0] <= 0xef) {
        bytes = 3;
        low = at[0] == 0xe0 ? 0xa0 : low;
        high = at[0] == 0xed ? 0x9f : high;
    } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        bytes = 4;
        low = at[0] == 0xf0 ? 0x90 : low;
        high = at[0] == 0xf4 ? 0x8f : high;
    }
    if (bytes == 0 || left < bytes || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

/* The value of four hexadecimal digits, or -1. */
static int32_t hex4(const char *at, size_t left)
{
    int32_t value = 0;

    if (left < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = at[i];

        if (is_digit(c)) {
            value = value * 16 + (c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = value * 16 + ((c | 0x20) - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

static bool take_escape(struct scan *scan)
{
    scan->at++;
    switch (peek(scan)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        scan->at++;
        return true;
    case 'u':
        if (hex4(scan->at + 1, (size_t)(scan->end - scan->at - 1)) < 0) {
            return fault(scan, "expected four hexadecimal digits after \"\\u\"");
        }
        scan->at += 5;
        return true;
    default:
        return fault(scan, "unknown escape in a string");
    }
}

/* Go from the opening quote past the closing one. */
static bool take_string(struct scan *scan, bool *is_escaped)
{
    scan->at++;
    for (;;) {
        unsigned char c = 0;

        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end) {
            return fault(scan, "the text ends inside a string");
        }
        c = (unsigned char)*scan->at;
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c == '\\') {
            *is_escaped = true;
            if (!take_escape(scan)) {
                return false;
            }
        } else if (c >= 0x80) {
            size_t bytes =
                sequence_bytes((const unsigned char *)scan->at, (size_t)(scan->end - scan->at));

            if (bytes == 0) {
                return fault(scan, "not UTF-8");
            }
            scan->at += bytes;
        } else {
            return fault(scan, "control character in a string");
        }
    }
}

/* Append one code point, at most U+FFFF or the value of a pair, as UTF-8; returns the bytes
 * written. */
static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static char plain_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* Resolve the escapes of a validated string; 'out' has room for 'len' bytes, which is never too
 * little: the shortest escape of n bytes is longer than n.
 * Sets *is_whole to false for half a pair. */
static size_t resolve(const char *raw, size_t len, char *out, bool *is_whole)
{
    const char *end = raw + len;
    size_t used = 0;

    while (raw < end) {
        uint32_t code = 0;

        if (*raw != '\\') {
            out[used++] = *raw++;
            continue;
        }
        if (raw[1] != 'u') {
            out[used++] = plain_escape(raw[1]);
            raw += 2;
            continue;
        }
        code = (uint32_t)hex4(raw + 2, 4);
        raw += 6;
        if (code >= 0xd800 && code <= 0xdbff && end - raw >= 6 && raw[0] == '\\' && raw[1] == 'u') {
            uint32_t low = (uint32_t)hex4(raw + 2, 4);

            if (low >= 0xdc00 && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                raw += 6;
            }
        }
        if (code >= 0xd800 && code <= 0xdfff) {
            code = 0xfffd;
            *is_whole = false;
        }
        used += put_utf8(out + used, code);
    }
    return used;
}

/* ---- members ------------------------------------------------------------------------------- */

/* What 'path' calls the member at 'depth': the part behind depth - 1 dots, which are there. */
static const char *part_at(const char *path, unsigned depth)
{
    while (--depth > 0) {
        path = strchr(path, '.') + 1;
    }
    return path;
}

static struct match match_name(const struct scan *scan, const char *name, size_t len)
{
    struct match match = {0};

    for (uint32_t left = scan->alive[scan->depth]; left != 0; left &= left - 1) {
        const struct el_json_field *field = &scan->fields[__builtin_ctz(left)];
        const char *part = part_at(field->path, scan->depth);

        if (len == 0 || part[0] != name[0] || strncmp(part, name, len) != 0) {
            continue;
        }
        if (memchr(name, '.', len) != NULL) {
            continue; /* {"a.b": 1} is not {"a": {"b": 1}} */
        }
        if (part[len] == '\0') {
            match.whole |= left & -left;
        } else if (part[len] == '.') {
            match.further |= left & -left;
        }
    }
    return match;
}

/* No path is long enough to be written in this many bytes of a name. */
#define NAME_BYTES_MAX 256

/* Take a member's name and the colon behind it. */
static bool take_name(struct scan *scan, struct match *match)
{
    const char *name = scan->at + 1;
    bool is_escaped = false;
    size_t len = 0;

    if (peek(scan) != '"') {
        return fault(scan, "expected a member's name");
    }
    if (!take_string(scan, &is_escaped)) {
        return false;
    }
    len = (size_t)(scan->at - name - 1);
    if (scan->alive[scan->depth] != 0 && !is_escaped) {
        *match = match_name(scan, name, len);
    } else if (scan->alive[scan->depth] != 0 && len <= NAME_BYTES_MAX) {
        char plain[NAME_BYTES_MAX];
        bool is_whole = true;

        len = resolve(name, len, plain, &is_whole);
        if (memchr(plain, '\0', len) == NULL) { /* paths are C strings */
            *match = match_name(scan, plain, len);
        }
    }
    /* A name that stands twice: the later value replaces the earlier one with all it held. */
    for (uint32_t left = match->whole | match->further; left != 0; left &= left - 1) {
        scan->fields[__builtin_ctz(left)].type = EL_JSON_ABSENT;
    }
    skip_space(scan);
    if (peek(scan) != ':') {
        return fault(scan, "expected \":\"");
    }
    scan->at++;
    return true;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) {
        return fault(scan, "expected a value");
    }
    scan->at += len;
    return true;
}

static bool take_digits(struct scan *scan)
{
    if (!is_digit(peek(scan))) {
        return fault(scan, "expected a digit");
    }
    while (is_digit(peek(scan))) {
        scan->at++;
    }
    return true;
}

static bool take_number(struct scan *scan)
{
    if (peek(scan) == '-') {
        scan->at++;
    }
    if (peek(scan) == '0') {
        scan->at++;
    } else if (!take_digits(scan)) {
        return false;
    }
    if (peek(scan) == '.') {
        scan->at++;
        if (!take_digits(scan)) {
            return false;
        }
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-') {
            scan->at++;
        }
        return take_digits(scan);
    }
    return true;
}

static void note(struct scan *scan, uint32_t fields, const struct el_json_field *value)
{
    for (; fields != 0; fields &= fields - 1) {
        struct el_json_field *field = &scan->fields[__builtin_ctz(fields)];

        field->type = value->type;
        field->text = value->text;
        field->len = value->len;
        field->is_escaped = value->is_escaped;
    }
}

/* ---- containers ---------------------------------------------------------------------------- */

static bool open_container(struct scan *scan, bool is_object, struct match match)
{
    if (scan->depth == EL_JSON_DEPTH_MAX) {
        return fault(scan, "nested too deep");
    }
    note(scan, match.whole,
         &(struct el_json_field){.type = is_object ? EL_JSON_OBJECT : EL_JSON_ARRAY,
                                 .text = scan->at});
    scan->at++;
    scan->depth++;
    scan->alive[scan->depth] = is_object ? match.further : 0;
    scan->closing[scan->depth] = match.whole;
    scan->objects &= ~(UINT64_C(1) << scan->depth);
    scan->objects |= (uint64_t)is_object << scan->depth;
    scan->is_fresh = true;
    return true;
}

static void close_container(struct scan *scan)
{
    scan->at++;
    for (uint32_t left = scan->closing[scan->depth]; left != 0; left &= left - 1) {
        struct el_json_field *field = &scan->fields[__builtin_ctz(left)];

        field->len = (size_t)(scan->at - field->text);
    }
    scan->depth--;
    scan->is_fresh = false;
}

/* Take a scalar whole; of a container only its opening bracket. */
static bool take_value(struct scan *scan, struct match match)
{
    struct el_json_field value = {0};
    bool is_taken = false;

    skip_space(scan);
    value.text = scan->at;
    switch (peek(scan)) {
    case '{':
    case '[':
        return open_container(scan, *scan->at == '{', match);
    case '"':
        value.type = EL_JSON_STRING;
        value.text++;
        is_taken = take_string(scan, &value.is_escaped);
        break;
    case 't':
        value.type = EL_JSON_BOOL;
        is_taken = take_word(scan, "true");
        break;
    case 'f':
        value.type = EL_JSON_BOOL;
        is_taken = take_word(scan, "false");
        break;
    case 'n':
        value.type = EL_JSON_NULL;
        is_taken = take_word(scan, "null");
        break;
    default:
        if (peek(scan) != '-' && !is_digit(peek(scan))) {
            return fault(scan, "expected a value");
        }
        value.type = EL_JSON_NUMBER;
        is_taken = take_number(scan);
        break;
    }
    if (is_taken && match.whole != 0) {
        value.len = (size_t)(scan->at - value.text) - (value.type == EL_JSON_STRING ? 1 : 0);
        note(scan, match.whole, &value);
    }
    return is_taken;
}

/* Take the next member, or the bracket that closes the innermost container. */
static bool step(struct scan *scan)
{
    bool is_object = (scan->objects >> scan->depth & 1) != 0;
    struct match match = {0};

    skip_space(scan);
    if (peek(scan) == (is_object ? '}' : ']')) {
        close_container(scan);
        return true;
    }
    if (!scan->is_fresh) {
        if (peek(scan) != ',') {
            return fault(scan, is_object ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
        }
        scan->at++;
        skip_space(scan);
    }
    scan->is_fresh = false;
    if (is_object && !take_name(scan, &match)) {
        return false;
    }
    return take_value(scan, match);
}

static bool take_text(struct scan *scan, size_t count)
{
    uint32_t all = (uint32_t)((UINT64_C(1) << count) - 1);

    skip_space(scan);
    if (peek(scan) != '{') {
        return fault(scan, "expected an object");
    }
    (void)open_container(scan, true,
                         (struct match){.further = all}); /* the first is never too deep */
    while (scan->depth > 0) {
        if (!step(scan)) {
            return false;
        }
    }
    skip_space(scan);
    return scan->at == scan->end || fault(scan, "expected nothing more");
}

enum vd_status el_json_scan(const char *json, size_t len, struct el_json_field *fields,
                            size_t count, struct vd_err *err)
{
    struct scan scan = {.start = json, .at = json, .end = json + len, .fields = fields};

    assert(count <= EL_JSON_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        fields[i].type = EL_JSON_ABSENT;
        fields[i].text = NULL;
        fields[i].len = 0;
        fields[i].is_escaped = false;
    }
    if (!take_text(&scan, count)) {
        return vd_fail(err, VD_INVALID, "byte %zu: %s", (size_t)(scan.at - json), scan.fault);
    }
    return VD_OK;
}

bool el_json_unescape(const struct el_json_field *field, struct vd_buf *out)
{
    bool is_whole = true;

    if (!field->is_escaped) {
        vd_buf_add(out, field->text, field->len);
        return true;
    }
    vd_buf_reserve(out, field->len);
    out->len += resolve(field->text, field->len, out->data + out->len, &is_whole);
    return is_whole;
}

enum vd_status el_json_int(const struct el_json_field *field, int64_t *value, struct vd_err *err)
{
    bool is_negative = field->len > 0 && field->text[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    uint64_t sum = 0;

    if (field->type != EL_JSON_NUMBER) {
        return vd_fail(err, VD_INVALID, "member \"%s\": expected an integer", field->path);
    }
    for (size_t i = is_negative ? 1 : 0; i < field->len; i++) {
        unsigned digit = (unsigned)(field->text[i] - '0');

        if (digit > 9 || sum > (limit - digit) / 10) {
            return vd_fail(err, VD_INVALID, "member \"%s\": expected an integer of 64 bits",
                           field->path);
        }
        sum = sum * 10 + digit;
    }
    *value = is_negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return VD_OK;
}
