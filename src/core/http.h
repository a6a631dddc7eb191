/* HTTP client on the loop: libcurl's multi interface. Names are looked up in a thread of libcurl's;
 * a proxy is taken from the environment as libcurl does (https_proxy, no_proxy). */
#ifndef VD_CORE_HTTP_H
#define VD_CORE_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "loop.h"

struct vd_http;      /* the client of a node */
struct vd_http_call; /* one request under way */

struct vd_http_request {
    const char *url;       /* http or https; redirects are not followed. Copied */
    const char *accept;    /* Accept header, or NULL */
    int64_t timeout_ms;    /* whole request; 0: 10 s */
    size_t body_bytes_max; /* larger is an error; 0: 16 MiB */
};

struct vd_http_response {
    const struct vd_err *err; /* NULL: an answer came, of whatever status */
    int status;               /* 200, 404, ... */
    const char *content_type; /* "" if none */
    int64_t retry_after_s;    /* of a Retry-After header in seconds; -1: none */
    const char *body;         /* zero-terminated */
    size_t len;
};

typedef void vd_http_done_fn(void *arg, const struct vd_http_response *response);

struct vd_http *vd_http_new(struct vd_loop *loop);
void vd_http_close(struct vd_http *http); /* calls under way end without their callback */

/* Start a GET request. Callback: exactly once, later, unless cancelled; the response is borrowed.
 * Messages show the URL without user and query.
 * Returns: a handle that is valid until the callback returns. NULL: 'err' says why: VD_INVALID for
 * a bad URL, VD_AGAIN with 256 requests under way. */
VD_API struct vd_http_call *vd_http_get(struct vd_http *http, const struct vd_http_request *request,
                                        vd_http_done_fn *on_done, void *arg, struct vd_err *err);

/* End a call without its callback; in that callback, nothing. NULL is accepted. */
VD_API void vd_http_cancel(struct vd_http_call *call);

#endif
