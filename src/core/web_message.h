/* The frames that a client may send: {"type":"ack","seq":N}, {"type":"rate","min_ms":N} and
 * {"type":"resync"}. Not installed. */
#ifndef VD_CORE_WEB_MESSAGE_H
#define VD_CORE_WEB_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define VD_WEB_MESSAGE_BYTES 1024
#define VD_WEB_RATE_MIN_MS 5000
#define VD_WEB_RATE_MAX_MS 60000

enum vd_web_message_kind {
    VD_WEB_OTHER,  /* not one of ours: for the endpoint to judge */
    VD_WEB_BROKEN, /* one of ours, with a member that is missing or out of range */
    VD_WEB_ACK,
    VD_WEB_RATE,
    VD_WEB_RESYNC,
};

struct vd_web_message {
    enum vd_web_message_kind kind;
    uint64_t seq;   /* of an ack */
    int64_t min_ms; /* of a rate: 0, or VD_WEB_RATE_MIN_MS to VD_WEB_RATE_MAX_MS */
};

/* Take a text frame apart. Thread: any; that is why it is not cJSON, which keeps the place of the
 * last error in a global. */
struct vd_web_message vd_web_message_parse(const char *text, size_t len);

#endif
