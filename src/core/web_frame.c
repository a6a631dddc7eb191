/* RFC 6455, section 5.2, from the server's side. */
#include "web_frame.h"

#include <assert.h>
#include <string.h>

#include "alloc.h"
#include "loop.h"

#define HEADER_BYTES_MAX 10
#define OPCODE_TEXT 0x1
#define OPCODE_CLOSE 0x8

/* Write the header of a final, unmasked frame; return its length. */
static size_t put_header(unsigned char *at, unsigned opcode, size_t len)
{
    at[0] = (unsigned char)(0x80 | opcode);
    if (len < 126) {
        at[1] = (unsigned char)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        at[1] = 126;
        at[2] = (unsigned char)(len >> 8);
        at[3] = (unsigned char)len;
        return 4;
    }
    at[1] = 127;
    for (unsigned i = 0; i < 8; i++) {
        at[2 + i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
    }
    return 10;
}

static struct vd_web_frame *frame_new(size_t payload_bytes)
{
    struct vd_web_frame *frame = vd_alloc(sizeof(*frame) + payload_bytes);

    atomic_init(&frame->refs, 1);
    frame->made_ns = vd_mono_ns();
    return frame;
}

static void add(struct vd_web_frame *frame, unsigned opcode, const void *payload, size_t len)
{
    frame->len += put_header(frame->bytes + frame->len, opcode, len);
    memcpy(frame->bytes + frame->len, payload, len);
    frame->len += len;
    frame->count++;
}

struct vd_web_frame *vd_web_frame_text(const char *text, size_t len)
{
    struct vd_web_frame *frame = frame_new(HEADER_BYTES_MAX + len);

    add(frame, OPCODE_TEXT, text, len);
    return frame;
}

struct vd_web_frame *vd_web_frame_close(const char *bye, unsigned code, const char *reason)
{
    size_t bye_len = bye != NULL ? strlen(bye) : 0;
    size_t reason_len = strlen(reason);
    struct vd_web_frame *frame = frame_new(2 * HEADER_BYTES_MAX + bye_len + 2 + reason_len);
    char payload[125];

    assert(reason_len <= sizeof(payload) - 2);
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    memcpy(payload + 2, reason, reason_len);
    if (bye != NULL) {
        add(frame, OPCODE_TEXT, bye, bye_len);
    }
    add(frame, OPCODE_CLOSE, payload, 2 + reason_len);
    return frame;
}

struct vd_web_frame *vd_web_frame_chain(struct vd_web_frame *const *deltas, size_t count)
{
    struct vd_web_frame *chain;
    size_t len = 0;

    for (size_t at = 0; at < count; at++) {
        len += deltas[at]->len;
    }
    chain = frame_new(len);
    for (size_t at = count; at-- > 0;) {
        memcpy(chain->bytes + chain->len, deltas[at]->bytes, deltas[at]->len);
        chain->len += deltas[at]->len;
        chain->count += deltas[at]->count;
    }
    chain->base = deltas[count - 1]->base;
    chain->made_ns = deltas[0]->made_ns;
    return chain;
}

struct vd_web_frame *vd_web_frame_ref(struct vd_web_frame *frame)
{
    if (frame != NULL) {
        (void)atomic_fetch_add(&frame->refs, 1); /* the old count says nothing here */
    }
    return frame;
}

void vd_web_frame_unref(struct vd_web_frame *frame)
{
    if (frame != NULL && atomic_fetch_sub(&frame->refs, 1) == 1) {
        free(frame);
    }
}
