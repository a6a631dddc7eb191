/* A growing run of bytes, and the two encodings that are written into one: big-endian integers and
 * JSON. Zeroed is empty. */
#ifndef VD_CORE_BUF_H
#define VD_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct vd_buf {
    char *data; /* owned; not zero-terminated unless vd_buf_text was called */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
};

VD_API void vd_buf_fini(struct vd_buf *buf);  /* frees, leaves it empty */
VD_API void vd_buf_clear(struct vd_buf *buf); /* len = 0, keeps the memory */

/* Room for 'bytes' more, without changing len. */
VD_API void vd_buf_reserve(struct vd_buf *buf, size_t bytes);
VD_API void vd_buf_add(struct vd_buf *buf, const void *bytes, size_t len);
VD_API void vd_buf_add_text(struct vd_buf *buf, const char *text);
VD_API void vd_buf_add_char(struct vd_buf *buf, char c);
VD_API void vd_buf_add_int(struct vd_buf *buf, int64_t number); /* in decimal */
VD_API void vd_buf_printf(struct vd_buf *buf, const char *format, ...) VD_PRINTF(2, 3);

/* The contents with a terminating zero that len does not count. Borrowed until the next change. */
VD_API char *vd_buf_text(struct vd_buf *buf);

/* Big-endian integers. */
VD_API void vd_buf_add_u8(struct vd_buf *buf, uint8_t value);
VD_API void vd_buf_add_be16(struct vd_buf *buf, uint16_t value);
VD_API void vd_buf_add_be32(struct vd_buf *buf, uint32_t value);
VD_API void vd_buf_add_be64(struct vd_buf *buf, uint64_t value);
VD_API uint16_t vd_be16(const void *bytes);
VD_API uint32_t vd_be32(const void *bytes);
VD_API uint64_t vd_be64(const void *bytes);

/* A JSON string with its quotes, escaped as RFC 8259 demands; valid UTF-8 passes unchanged, a byte
 * that is not becomes U+FFFD. */
VD_API void vd_buf_add_json(struct vd_buf *buf, const char *text, size_t len);

/* True for well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
VD_API bool vd_utf8_is_valid(const char *text, size_t len);

static inline __attribute__((unused)) void vd_auto_buf(struct vd_buf *buf)
{
    vd_buf_fini(buf);
}

#endif
