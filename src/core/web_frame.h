/* Websocket frames as they go over the wire: header and payload in one piece, immutable, shared by
 * every client that gets them. Not installed. Thread: any, all of it. */
#ifndef VD_CORE_WEB_FRAME_H
#define VD_CORE_WEB_FRAME_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct vd_web_frame {
    atomic_uint refs;
    unsigned count; /* of frames in it: a chain has several */
    int64_t made_ns;
    uint64_t base; /* of a delta or a chain: the picture that it changes */
    size_t len;
    unsigned char bytes[];
};

/* An unmasked text frame. Owns: the caller has the first reference. */
struct vd_web_frame *vd_web_frame_text(const char *text, size_t len);

/* A close frame with 'code' and 'reason' (at most 123 bytes), after the text 'bye' unless that is
 * NULL: one piece, so that nothing comes between them. Owns: the caller. */
struct vd_web_frame *vd_web_frame_close(const char *bye, unsigned code, const char *reason);

/* 'count' deltas, the newest of which is the first, as one piece that changes the oldest one's base
 * into the newest picture. Owns: the caller. */
struct vd_web_frame *vd_web_frame_chain(struct vd_web_frame *const *deltas, size_t count);

/* One more reference; NULL gives NULL. */
struct vd_web_frame *vd_web_frame_ref(struct vd_web_frame *frame);

/* One reference less; the last one frees. NULL is accepted. */
void vd_web_frame_unref(struct vd_web_frame *frame);

#endif
