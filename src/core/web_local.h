/* What the files of the web server share; not installed. */
#ifndef VD_CORE_WEB_LOCAL_H
#define VD_CORE_WEB_LOCAL_H

#include <civetweb.h>
#include <pthread.h>
#include <sys/queue.h>

#include "queue.h"
#include "timer.h"
#include "web_access.h"
#include "web_guard.h"
#include "web_registry.h"
#include "web_server.h"

#define VD_WEB_BODY_BYTES 1024 /* of a request */
#define VD_WEB_CALL_MS 2000    /* a client waits this long for the loop */

struct web_call;

/* Answers a request on the connection's own thread; returns the status sent. */
typedef int vd_web_answer_fn(struct mg_connection *conn, const struct vd_web_request *request);

/* One route or file. Immutable once the server listens. */
struct vd_web_route {
    char *path;   /* a wildcard's without its asterisk */
    char *method; /* "GET" also serves HEAD; a file's is "GET" */
    bool is_wildcard;
    enum vd_web_role role;      /* that may ask for it */
    vd_web_answer_fn *answer;   /* core's own; else NULL */
    vd_web_handler_fn *handler; /* both NULL: a file */
    void *arg;
    char *content_type; /* of a file, like all that follows */
    char etag[32];
    struct vd_buf plain;
    struct vd_buf gzip; /* empty: not worth it */
};

struct vd_web {
    struct vd_loop *loop;
    const struct vd_web_conf *conf;
    struct vd_log *log;

    struct vd_web_guard guard;
    struct vd_web_access access;
    struct vd_web_route *routes; /* array */
    size_t route_count;
    struct vd_web_socket *sockets; /* list */
    struct vd_web_registry registry;

    struct mg_context *ctx; /* NULL: not listening */
    char *address;

    struct vd_queue *calls; /* of struct web_call, to the loop */
    struct vd_queue *texts; /* of struct web_text, to the loop */
    struct vd_timer *tick;
    unsigned ticks;

    pthread_mutex_t lock; /* of what follows, and of the calls' states */
    TAILQ_HEAD(, web_call) waiting;
    bool is_closing;
    bool is_starting;
    char start_error[256]; /* what civetweb said first while it started */

    struct vd_metric *answers[6]; /* by hundreds of the status */
    struct vd_metric *late, *busy;
};

/* Add a route with the role that it has by its method; the caller fills in the rest.
 * Fails: VD_INVALID if it is taken. */
enum vd_status vd_web_route_add(struct vd_web *web, const char *method, const char *path,
                                struct vd_web_route **route, struct vd_err *err) VD_MUST_CHECK;

/* The route or file that is at just 'path', or NULL. */
struct vd_web_route *vd_web_route_find(const struct vd_web *web, const char *method,
                                       const char *path);

/* Add the routes for signing in and out. */
void vd_web_sign_in_add(struct vd_web *web);

/* See to it that 'threads' connections can be open beside all else: raise the limit of open files
 * as far as the system lets us. Thread: any. Fails: VD_FAILED if that is not far enough. */
enum vd_status vd_web_take_files(int64_t threads, struct vd_err *err) VD_MUST_CHECK;

/* What civetweb calls for every request: answer it, or return 0 for an upgrade to a websocket that
 * may go on. Thread: civetweb's. */
int vd_web_on_request(struct mg_connection *conn);

/* What civetweb calls instead of sending its own error page. */
int vd_web_on_error(struct mg_connection *conn, int status, const char *message);

/* The loop's side of calls: run one (vd_queue_fn), free one that never ran. */
void vd_web_call_run(void *web, void *call);
void vd_web_call_release(void *call);

/* Let every thread that waits for the loop answer 503 now. */
void vd_web_calls_cancel(struct vd_web *web);

/* An answer. Zeroed but for 'status' it is an empty one. */
struct vd_web_reply {
    int status;
    const char *content_type; /* NULL: none */
    const char *headers;      /* further header lines, each with CR LF; NULL: none */
    const void *body;
    size_t len;
    bool is_head; /* tell the length, send no body */
};

/* Send an answer and end the connection; return its status. Thread: the connection's. */
int vd_web_reply(struct mg_connection *conn, const struct vd_web_reply *reply);

/* Send {"error":{...}} with an answer's headers ('headers' may be NULL); return the status. */
int vd_web_reply_error(struct mg_connection *conn, int status, const char *code,
                       const char *message, const char *headers);

/* gzip 'plain' into 'out', or leave that empty where nothing is gained. */
void vd_web_gzip(const struct vd_buf *plain, int level, struct vd_buf *out);

/* The server that a connection belongs to. */
static inline struct vd_web *vd_web_of(const struct mg_connection *conn)
{
    return mg_get_user_data(mg_get_context(conn));
}

/* The endpoint at exactly 'path', or NULL. */
struct vd_web_socket *vd_web_socket_find(const struct vd_web *web, const char *path);

/* Hand the endpoint over to civetweb, which is listening by now. */
void vd_web_socket_attach(struct vd_web_socket *socket, struct mg_context *ctx);

/* Free the list of endpoints. No connection is left. */
void vd_web_sockets_free(struct vd_web *web);

/* The loop's side of texts from clients. */
void vd_web_text_run(void *web, void *text);

#endif
