/* HTTP and websocket server of a node, on civetweb. Handlers run on the loop; files and websocket
 * frames are served by the server's own threads from what the loop has published. */
#ifndef VD_CORE_WEB_H
#define VD_CORE_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

struct vd_web;
struct vd_web_socket; /* one websocket endpoint */

/* What a client may do, each more than the one before. */
enum vd_web_role {
    VD_WEB_ANYONE,   /* has not signed in */
    VD_WEB_VIEWER,   /* reads */
    VD_WEB_OPERATOR, /* acts */
    VD_WEB_ADMIN,    /* sees who else is signed in */
};

struct vd_web_request {
    const char *method;        /* "GET" */
    const char *path;          /* decoded, begins with '/' */
    const char *query;         /* as sent, "" if none; at most 1 KiB */
    const char *if_none_match; /* first tag, in quotes, as the handler gave it; "" if none */
    const char *body;          /* at most 1 KiB; "" if none */
    size_t body_len;
};

/* Filled in by the handler. Zeroed it is an empty 200. */
struct vd_web_response {
    int status;               /* 0: 200; a 304 is made of it where the client has 'etag' already */
    const char *content_type; /* a literal; NULL: application/json */
    char etag[64];            /* without quotes; "" for none: then Cache-Control is no-store */
    const char *filename; /* literal or state of the handler; sent as an attachment. NULL: none */
    bool is_immutable;    /* may be cached for ever */
    char location[256];   /* for a redirect or 410; "" for none */
    struct vd_buf body;   /* taken by the server */
};

typedef void vd_web_handler_fn(void *arg, const struct vd_web_request *request,
                               struct vd_web_response *response);

/* Serve 'route' ("GET /api/v1/totals") with 'handler', called on the loop; a path that ends in "/"
 * followed by an asterisk matches everything below it, the longest one first. A GET serves HEAD
 * too. The client waits at most 2 s, then gets 503, and a handler that was not yet called is not
 * called any more. All routes, files and endpoints are made before the server starts to listen.
 * Fails: VD_INVALID if the route is taken. */
VD_API enum vd_status vd_web_route(struct vd_web *web, const char *route,
                                   vd_web_handler_fn *handler, void *arg,
                                   struct vd_err *err) VD_MUST_CHECK;

/* Serve 'route' as vd_web_route does, as one by which operators act: only with actions = yes in
 * [http], which has everybody say who he is; without, there is nothing at its path.
 * Fails: VD_INVALID if the route is taken. */
VD_API enum vd_status vd_web_route_action(struct vd_web *web, const char *route,
                                          vd_web_handler_fn *handler, void *arg,
                                          struct vd_err *err) VD_MUST_CHECK;

/* The name of who made 'request', one that a handler is called with; "" where nobody is asked.
 * Borrowed until the handler returns. */
VD_API const char *vd_web_request_name(const struct vd_web_request *request);

/* Write down that who made 'request' did 'action', and what came of it: one line in the log, at any
 * log_level. */
VD_API void vd_web_request_audit(const struct vd_web_request *request, const char *action,
                                 const char *result);

/* Serve 'bytes' at 'path' from memory, gzipped where the client takes it, with an ETag. Copied.
 * Fails: VD_INVALID if the path is taken. */
VD_API enum vd_status vd_web_file(struct vd_web *web, const char *path, const char *content_type,
                                  const struct vd_buf *bytes, struct vd_err *err) VD_MUST_CHECK;

/* Let 'role' and above ask for 'route', a route or file ("GET /login") that is there already.
 * Without this a viewer may GET, which is also what a websocket takes, and an operator may do all
 * else. With access = none in [http] everybody may do everything. */
VD_API void vd_web_allow(struct vd_web *web, const char *route, enum vd_web_role role);

/* Fill 'response' with status and {"error":{"code":CODE,"message":MESSAGE}}. */
VD_API void vd_web_fail(struct vd_web_response *response, int status, const char *code,
                        const char *format, ...) VD_PRINTF(4, 5);

/* Value of one parameter of a query string, decoded. Owns: the caller frees it; NULL if absent. */
VD_API char *vd_web_query_get(const char *query, const char *name);

/* One picture, published to every client of an endpoint. All texts are copied once into frames. */
struct vd_web_picture {
    uint64_t seq;      /* of this picture; clients that have it wait for the next */
    uint64_t base;     /* the picture that 'delta' changes; used for clients that have just that */
    const char *delta; /* JSON text; NULL: every client gets 'full', also with the old 'seq' */
    size_t delta_len;
    const char *full; /* JSON text; may be NULL unless vd_web_socket_wants_full says so */
    size_t full_len;
};

struct vd_web_socket_events {
    /* A text frame of at most 1 KiB came; runs on the loop. Answer false to close with 1003; NULL
     * does so for all. The types "ack", "rate" and "resync" are core's and do not arrive. */
    bool (*on_text)(void *arg, const char *text, size_t len);
    void *arg;
};

/* Open a websocket endpoint at 'path' that speaks 'subprotocol'; 'events' may be NULL. Copied.
 * Owns:  the web server; it ends with it.
 * Fails: NULL, with VD_INVALID in 'err', if the path has one already. */
VD_API struct vd_web_socket *vd_web_socket_new(struct vd_web *web, const char *path,
                                               const char *subprotocol,
                                               const struct vd_web_socket_events *events,
                                               struct vd_err *err) VD_MUST_CHECK;

/* The frame that every new client gets first, then the next picture in full. Clients wait until
 * there is one; those that had theirs get no other. Copied. */
VD_API void vd_web_socket_set_hello(struct vd_web_socket *socket, const char *text, size_t len);

/* Give every client the hello again, then a full picture: after a change that no delta tells. */
VD_API void vd_web_socket_restart(struct vd_web_socket *socket);

/* True while a client waits for a full picture (new, resynced or behind). */
VD_API bool vd_web_socket_wants_full(const struct vd_web_socket *socket);

/* Make 'picture' the newest: clients that have 'base' get the delta, the others the full one. Never
 * blocks; a slow client skips pictures. Must come soon after vd_web_socket_wants_full turns true,
 * with the old 'seq' if nothing changed. */
VD_API void vd_web_socket_publish(struct vd_web_socket *socket,
                                  const struct vd_web_picture *picture);

/* Send a text that is no picture (a heartbeat) to every client that still has credit. Copied. */
VD_API void vd_web_socket_beat(struct vd_web_socket *socket, const char *text, size_t len);

VD_API size_t vd_web_socket_clients(const struct vd_web_socket *socket);

#endif
