/* What a call that can fail returns: a status that says what to do, and a message that says what
 * happened. Nothing here allocates. */
#ifndef VD_CORE_ERR_H
#define VD_CORE_ERR_H

#include <stddef.h>

#define VD_API __attribute__((visibility("default")))
#define VD_MUST_CHECK __attribute__((warn_unused_result))
#define VD_PRINTF(nth, first) __attribute__((__format__(__printf__, nth, first)))

enum vd_status {
    VD_OK = 0,
    VD_AGAIN,   /* not now: keep the input and offer it again when told to */
    VD_INVALID, /* the input or the configuration is wrong: retrying cannot help */
    VD_FAILED,  /* something outside failed: retry with backoff */
};

#define VD_ERR_MSG_BYTES 1024

/* Owned by the caller, who zeroes it before the first use. */
struct vd_err {
    enum vd_status status;
    char msg[VD_ERR_MSG_BYTES]; /* lower case, no full stop, cut to fit */
};

/* Set both status and message and return the status. 'err' may be NULL. */
VD_API enum vd_status vd_fail(struct vd_err *err, enum vd_status status, const char *format, ...)
    VD_PRINTF(3, 4);

/* Put "CONTEXT: " in front of the message already in 'err' and return its status. */
VD_API enum vd_status vd_fail_in(struct vd_err *err, const char *format, ...) VD_PRINTF(2, 3);

/* The status in lower case, for logs. */
VD_API const char *vd_status_name(enum vd_status status);

#endif
