/* A growing run of bytes. */
#include "buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

#define CAP_MIN 64

void vd_buf_fini(struct vd_buf *buf)
{
    if (buf != NULL) {
        free(buf->data);
        *buf = (struct vd_buf){0};
    }
}

void vd_buf_clear(struct vd_buf *buf)
{
    buf->len = 0;
}

void vd_buf_reserve(struct vd_buf *buf, size_t bytes)
{
    size_t cap = buf->cap > 0 ? buf->cap : CAP_MIN;

    assert(bytes <= SIZE_MAX / 2 - buf->len);
    if (bytes <= buf->cap - buf->len && buf->data != NULL) {
        return;
    }
    while (cap - buf->len < bytes) {
        cap *= 2;
    }
    buf->data = vd_realloc(buf->data, cap);
    buf->cap = cap;
}

void vd_buf_add(struct vd_buf *buf, const void *bytes, size_t len)
{
    if (len > 0) {
        vd_buf_reserve(buf, len);
        memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
    }
}

void vd_buf_add_text(struct vd_buf *buf, const char *text)
{
    vd_buf_add(buf, text, strlen(text));
}

void vd_buf_add_char(struct vd_buf *buf, char c)
{
    vd_buf_reserve(buf, 1);
    buf->data[buf->len++] = c;
}

void vd_buf_add_int(struct vd_buf *buf, int64_t number)
{
    char digits[20]; /* of 2^63, and a sign */
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    vd_buf_add(buf, digits + at, sizeof(digits) - at);
}

static int VD_PRINTF(2, 0) print_at_end(struct vd_buf *buf, const char *format, va_list args)
{
    return vsnprintf(buf->data + buf->len, buf->cap - buf->len, format, args);
}

void vd_buf_printf(struct vd_buf *buf, const char *format, ...)
{
    va_list args;
    int len;

    vd_buf_reserve(buf, CAP_MIN);
    va_start(args, format);
    len = print_at_end(buf, format, args);
    va_end(args);
    assert(len >= 0); /* only a wrong format fails */
    if ((size_t)len >= buf->cap - buf->len) {
        vd_buf_reserve(buf, (size_t)len + 1);
        va_start(args, format);
        len = print_at_end(buf, format, args);
        va_end(args);
    }
    buf->len += (size_t)len;
}

char *vd_buf_text(struct vd_buf *buf)
{
    vd_buf_reserve(buf, 1);
    buf->data[buf->len] = '\0';
    return buf->data;
}

void vd_buf_add_u8(struct vd_buf *buf, uint8_t value)
{
    vd_buf_add(buf, &value, 1);
}

void vd_buf_add_be16(struct vd_buf *buf, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    vd_buf_add(buf, bytes, sizeof(bytes));
}

void vd_buf_add_be32(struct vd_buf *buf, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};

    vd_buf_add(buf, bytes, sizeof(bytes));
}

void vd_buf_add_be64(struct vd_buf *buf, uint64_t value)
{
    vd_buf_add_be32(buf, (uint32_t)(value >> 32));
    vd_buf_add_be32(buf, (uint32_t)value);
}

uint16_t vd_be16(const void *bytes)
{
    const uint8_t *b = bytes;

    return (uint16_t)(b[0] << 8 | b[1]);
}

uint32_t vd_be32(const void *bytes)
{
    const uint8_t *b = bytes;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

uint64_t vd_be64(const void *bytes)
{
    const uint8_t *b = bytes;

    return (uint64_t)vd_be32(b) << 32 | vd_be32(b + 4);
}

/* Bytes of the well-formed UTF-8 sequence at 'text', of which 'len' > 0 bytes are there; 0 if there
 * is none. The ranges of the second byte are those of table 3-7 in the Unicode standard. */
static size_t utf8_bytes(const uint8_t *text, size_t len)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t bytes;

    if (text[0] < 0x80) {
        return 1;
    }
    if (text[0] < 0xc2 || text[0] > 0xf4) {
        return 0;
    }
    bytes = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (text[0] == 0xe0) {
        low = 0xa0; /* overlong below */
    } else if (text[0] == 0xed) {
        high = 0x9f; /* surrogates above */
    } else if (text[0] == 0xf0) {
        low = 0x90; /* overlong below */
    } else if (text[0] == 0xf4) {
        high = 0x8f; /* beyond U+10FFFF above */
    }
    if (len < bytes || text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

bool vd_utf8_is_valid(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t bytes = utf8_bytes((const uint8_t *)text + at, len - at);

        if (bytes == 0) {
            return false;
        }
        at += bytes;
    }
    return true;
}

/* The one byte that cannot stand in a JSON string as it is. */
static void add_json_escape(struct vd_buf *buf, uint8_t c)
{
    static const char letters[] = "btn\0fr"; /* of 0x08 to 0x0d; there is none for 0x0b */

    if (c == '"' || c == '\\') {
        vd_buf_add_char(buf, '\\');
        vd_buf_add_char(buf, (char)c);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        vd_buf_add_char(buf, '\\');
        vd_buf_add_char(buf, letters[c - 0x08]);
    } else {
        vd_buf_printf(buf, "\\u%04x", c);
    }
}

void vd_buf_add_json(struct vd_buf *buf, const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0, start = 0; /* what is between them can be copied as it is */

    vd_buf_add_char(buf, '"');
    while (at < len) {
        uint8_t c = bytes[at];
        size_t run = c < 0x80 ? 1 : utf8_bytes(bytes + at, len - at);

        if (run > 0 && c >= 0x20 && c != '"' && c != '\\') {
            at += run;
            continue;
        }
        vd_buf_add(buf, text + start, at - start);
        if (run > 0) {
            add_json_escape(buf, c);
        } else {
            vd_buf_add_text(buf, "\xef\xbf\xbd"); /* U+FFFD */
        }
        start = ++at;
    }
    vd_buf_add(buf, text + start, at - start);
    vd_buf_add_char(buf, '"');
}
