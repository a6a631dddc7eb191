/* From the bytes of a request to its answer: check it, find what serves it, and for a handler hand
 * it over to the loop and wait. Runs on civetweb's threads; only the two functions in the middle
 * run on the loop. */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "alloc.h"
#include "loop_uv.h"
#include "web_local.h"

#define BODY_MS 2000
#define DRAIN_BYTES (64 * 1024) /* of a body that is refused; beyond, the peer sees a reset */
#define WEBSOCKET_KEY_LEN 24    /* 16 bytes in base64 */
#define GZIP_LEVEL 4            /* of answers that are built anew each time */

/* One request on its way through the loop. Its own copy of everything: the thread that asked may
 * have given up by the time the loop gets to it. */
struct web_call {
    TAILQ_ENTRY(web_call) entry;
    struct vd_web *web;
    const struct vd_web_route *route;
    struct vd_web_request request; /* points into what follows */
    struct vd_web_who who;
    char path[VD_WEB_PATH_BYTES];
    char query[VD_WEB_QUERY_BYTES + 1];
    char if_none_match[128];
    char body[VD_WEB_BODY_BYTES + 1];
    struct vd_web_response response;

    pthread_cond_t done; /* with the server's lock, like what follows */
    bool is_done;        /* the handler has returned */
    bool is_abandoned;   /* nobody waits any more: the loop frees it */
};

static struct web_call *call_new(struct vd_web *web)
{
    struct web_call *call = vd_alloc(sizeof(*call));
    pthread_condattr_t monotonic;

    call->web = web;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&call->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return call;
}

static void call_free(struct web_call *call)
{
    if (call == NULL) {
        return;
    }
    sodium_memzero(call->body, sizeof(call->body)); /* it may hold a password */
    vd_buf_fini(&call->response.body);
    pthread_cond_destroy(&call->done);
    free(call);
}

VD_AUTO_KIND(call, struct web_call *, call_free)

const struct vd_web_who *vd_web_request_who(const struct vd_web_request *request)
{
    return &vd_owner(request, struct web_call, request)->who;
}

const char *vd_web_request_name(const struct vd_web_request *request)
{
    return vd_web_request_who(request)->name;
}

void vd_web_request_audit(const struct vd_web_request *request, const char *action,
                          const char *result)
{
    vd_web_audit(vd_owner(request, struct web_call, request)->web, vd_web_request_who(request),
                 action, result);
}

/* ---- on the loop ----------------------------------------------------------------------------- */

void vd_web_call_release(void *call)
{
    call_free(call);
}

void vd_web_call_run(void *arg, void *item)
{
    struct vd_web *web = arg;
    struct web_call *call = item;
    bool is_abandoned;

    pthread_mutex_lock(&web->lock);
    is_abandoned = call->is_abandoned;
    pthread_mutex_unlock(&web->lock);
    if (is_abandoned) {
        call_free(call);
        return;
    }
    call->route->handler(call->route->arg, &call->request, &call->response);
    pthread_mutex_lock(&web->lock);
    is_abandoned = call->is_abandoned;
    call->is_done = true;
    pthread_cond_signal(&call->done);
    pthread_mutex_unlock(&web->lock);
    if (is_abandoned) {
        call_free(call); /* otherwise it belongs to the thread that waits for it */
    }
}

void vd_web_calls_cancel(struct vd_web *web)
{
    struct web_call *call;

    pthread_mutex_lock(&web->lock);
    web->is_closing = true;
    TAILQ_FOREACH(call, &web->waiting, entry)
    {
        pthread_cond_signal(&call->done);
    }
    pthread_mutex_unlock(&web->lock);
}

/* ---- on the connection's thread -------------------------------------------------------------- */

/* Wait for the loop. True: 'call' is ours again and answered; false: it is the loop's for good. */
static bool wait_for_loop(struct vd_web *web, struct web_call *call)
{
    int64_t deadline_ns = vd_mono_ns() + (int64_t)VD_WEB_CALL_MS * 1000000;
    struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                                .tv_nsec = deadline_ns % 1000000000};
    int error = 0;
    bool is_done;

    pthread_mutex_lock(&web->lock);
    TAILQ_INSERT_TAIL(&web->waiting, call, entry);
    while (!call->is_done && !web->is_closing && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&call->done, &web->lock, &deadline);
    }
    TAILQ_REMOVE(&web->waiting, call, entry);
    is_done = call->is_done;
    call->is_abandoned = !is_done;
    pthread_mutex_unlock(&web->lock);
    return is_done;
}

/* What a handler wrote goes into a header only if it cannot end it. */
static bool is_header_safe(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text >= 0x7f || *text == '"') {
            return false;
        }
    }
    return true;
}

/* Cache-Control for an answer with a tag. What is not for everybody is for no cache that everybody
 * shares. */
static const char *lasting(const struct vd_web *web, bool is_immutable)
{
    if (is_immutable) {
        return web->access.is_on ? "private, max-age=31536000, immutable"
                                 : "public, max-age=31536000, immutable";
    }
    return web->access.is_on ? "private, no-cache" : "no-cache";
}

static void add_cache_headers(struct vd_buf *lines, const char *etag, bool is_gzip,
                              const char *control)
{
    if (etag[0] == '\0') {
        vd_buf_add_text(lines, "Cache-Control: no-store\r\n");
        return;
    }
    vd_buf_printf(lines, "ETag: \"%s%s\"\r\nVary: Accept-Encoding\r\nCache-Control: %s\r\n", etag,
                  is_gzip ? "-gz" : "", control);
}

static int send_file(struct mg_connection *conn, const struct vd_web_route *file, bool is_head)
{
    bool is_gzip = file->gzip.len > 0 && vd_web_takes_gzip(mg_get_header(conn, "Accept-Encoding"));
    const struct vd_buf *body = is_gzip ? &file->gzip : &file->plain;
    VD_AUTO(buf) struct vd_buf lines = {0};
    struct vd_web_reply reply = {.status = 200, .is_head = is_head};

    add_cache_headers(&lines, file->etag, is_gzip, lasting(vd_web_of(conn), false));
    if (vd_web_etag_is_known(mg_get_header(conn, "If-None-Match"), file->etag)) {
        reply.status = 304;
    } else {
        vd_buf_add_text(&lines, is_gzip ? "Content-Encoding: gzip\r\n" : "");
        reply.content_type = file->content_type;
        reply.body = body->data;
        reply.len = body->len;
    }
    reply.headers = vd_buf_text(&lines);
    return vd_web_reply(conn, &reply);
}

static int send_response(struct mg_connection *conn, const struct web_call *call)
{
    const struct vd_web_response *response = &call->response;
    const char *etag = is_header_safe(response->etag) ? response->etag : "";
    VD_AUTO(buf) struct vd_buf lines = {0};
    VD_AUTO(buf) struct vd_buf gzip = {0};
    struct vd_web_reply reply = {.status = response->status != 0 ? response->status : 200};
    const struct vd_buf *body = &response->body;

    if (reply.status == 200 && vd_web_etag_is_known(mg_get_header(conn, "If-None-Match"), etag)) {
        reply.status = 304;
    }
    if (reply.status != 304 && vd_web_takes_gzip(mg_get_header(conn, "Accept-Encoding"))) {
        vd_web_gzip(body, GZIP_LEVEL, &gzip);
        body = gzip.len > 0 ? &gzip : body;
    }
    add_cache_headers(&lines, etag, gzip.len > 0, lasting(vd_web_of(conn), response->is_immutable));
    if (response->location[0] != '\0' && is_header_safe(response->location)) {
        vd_buf_printf(&lines, "Location: %s\r\n", response->location);
    }
    if (reply.status != 304 && reply.status != 204) {
        if (response->filename != NULL && is_header_safe(response->filename)) {
            vd_buf_printf(&lines, "Content-Disposition: attachment; filename=\"%s\"\r\n",
                          response->filename);
        }
        vd_buf_add_text(&lines, gzip.len > 0 ? "Content-Encoding: gzip\r\n" : "");
        reply.content_type =
            response->content_type != NULL ? response->content_type : "application/json";
        reply.body = body->data;
        reply.len = body->len;
    }
    reply.headers = vd_buf_text(&lines);
    reply.is_head = strcmp(mg_get_request_info(conn)->request_method, "HEAD") == 0;
    return vd_web_reply(conn, &reply);
}

static int call_loop(struct mg_connection *conn, struct vd_web *web, struct web_call *made)
{
    VD_AUTO(call) struct web_call *call = made;

    if (vd_queue_push(web->calls, call) != VD_OK) {
        vd_metric_add(web->busy, 1);
        return vd_web_reply_error(conn, 503, "busy", "too many requests wait",
                                  "Retry-After: 1\r\n");
    }
    if (!wait_for_loop(web, call)) {
        (void)vd_take(call); /* the loop's now */
        vd_metric_add(web->late, 1);
        return vd_web_reply_error(conn, 503, "late", "the server did not answer in time",
                                  "Retry-After: 2\r\n");
    }
    return send_response(conn, call);
}

/* Read the body byte by byte: a larger read would start its time limit again with every byte that
 * comes, and the buffered ones cost no system call. */
static bool read_body(struct mg_connection *conn, struct web_call *call, size_t len)
{
    int64_t deadline_ms = vd_mono_ms() + BODY_MS;

    while (call->request.body_len < len && vd_mono_ms() < deadline_ms) {
        if (mg_read(conn, call->body + call->request.body_len, 1) != 1) {
            return false;
        }
        call->request.body_len++;
    }
    return call->request.body_len == len;
}

/* Take what the peer still sends, byte by byte like the above, or closing would reset the
 * connection under our answer. */
static void drain_body(struct mg_connection *conn)
{
    int64_t deadline_ms = vd_mono_ms() + BODY_MS / 4;
    char byte;

    for (size_t at = 0; at < DRAIN_BYTES && vd_mono_ms() < deadline_ms; at++) {
        if (mg_read(conn, &byte, 1) != 1) {
            return;
        }
    }
}

static int refuse_body(struct mg_connection *conn, int status, const char *code,
                       const char *message)
{
    (void)vd_web_reply_error(conn, status, code, message, NULL);
    drain_body(conn);
    return status;
}

/* A page elsewhere can make a browser post here, but not with this type, nor under our name. */
static bool is_from_here(struct mg_connection *conn, const struct vd_web *web)
{
    const char *origin = mg_get_header(conn, "Origin");

    return origin == NULL ||
           vd_web_guard_has_origin(&web->guard, origin, mg_get_header(conn, "Host"));
}

static bool is_json(struct mg_connection *conn)
{
    const char *type = mg_get_header(conn, "Content-Type");

    return type != NULL && strncasecmp(type, "application/json", 16) == 0 &&
           strchr("; \t", type[16]) != NULL;
}

/* The body of a request, or the refusal of it: then '*status' is the answer's. */
static bool take_body(struct mg_connection *conn, struct vd_web *web, struct web_call *call,
                      int *status)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    long long len = info->content_length > 0 ? info->content_length : 0;

    *status = 0;
    if (mg_get_header(conn, "Transfer-Encoding") != NULL) {
        *status =
            vd_web_reply_error(conn, 411, "no_length", "the body needs a Content-Length", NULL);
    } else if (len > VD_WEB_BODY_BYTES) {
        *status = refuse_body(conn, 413, "too_long", "the body may have at most 1 KiB");
    } else if (strcmp(call->request.method, "GET") == 0) {
        return true; /* the body of a GET means nothing */
    } else if (!is_from_here(conn, web)) {
        *status = refuse_body(conn, 403, "wrong_origin", "the request comes from another site");
    } else if (len > 0 && !is_json(conn)) {
        *status = refuse_body(conn, 415, "wrong_type", "the body must be application/json");
    } else if (!read_body(conn, call, (size_t)len)) {
        *status = vd_web_reply_error(conn, 400, "short_body", "the body did not come", NULL);
    }
    return *status == 0;
}

static bool is_match(const struct vd_web_route *route, const char *path)
{
    return route->is_wildcard ? strncmp(route->path, path, strlen(route->path)) == 0
                              : strcmp(route->path, path) == 0;
}

/* The route for 'path', exact ones first, then the longest wildcard; 'allow' collects the methods
 * that the path has, for the case that this one is not among them. */
static const struct vd_web_route *find_route(const struct vd_web *web, const char *method,
                                             const char *path, struct vd_buf *allow)
{
    const struct vd_web_route *best = NULL;

    for (size_t at = 0; at < web->route_count; at++) {
        const struct vd_web_route *route = &web->routes[at];

        if (!is_match(route, path)) {
            continue;
        }
        vd_buf_printf(allow, "%s%s%s", allow->len > 0 ? ", " : "", route->method,
                      strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
        if (strcmp(route->method, method) != 0) {
            continue;
        }
        if (best == NULL || (best->is_wildcard && !route->is_wildcard) ||
            (best->is_wildcard && strlen(route->path) > strlen(best->path))) {
            best = route;
        }
    }
    return best;
}

static int serve(struct mg_connection *conn, struct vd_web *web, struct web_call *made)
{
    VD_AUTO(call) struct web_call *call = made;
    VD_AUTO(buf) struct vd_buf allow = {0};
    const char *method = mg_get_request_info(conn)->request_method;
    bool is_head = strcmp(method, "HEAD") == 0;
    int status;

    call->request.method = is_head ? "GET" : method;
    call->route = find_route(web, call->request.method, call->path, &allow);
    if (call->route == NULL && vd_web_socket_find(web, call->path) != NULL) {
        return vd_web_reply_error(conn, 426, "upgrade_required", "this is a websocket",
                                  "Upgrade: websocket\r\n");
    }
    if (call->route == NULL && allow.len > 0) {
        VD_AUTO(mem) char *line = vd_format("Allow: %s\r\n", vd_buf_text(&allow));

        return vd_web_reply_error(conn, 405, "wrong_method", "the path has other methods", line);
    }
    if (call->route == NULL) {
        return vd_web_reply_error(conn, 404, "not_found", "there is nothing at this path", NULL);
    }
    vd_web_access_identify(conn, &call->who);
    status = vd_web_access_gate(conn, &call->who, call->route->role);
    if (status != 0 || !take_body(conn, web, call, &status)) {
        return status;
    }
    call->request.method = call->route->method; /* civetweb's copy may be gone before the loop's */
    call->request.path = call->path;
    call->request.query = call->query;
    vd_web_etag_first(mg_get_header(conn, "If-None-Match"), call->if_none_match,
                      sizeof(call->if_none_match));
    call->request.if_none_match = call->if_none_match;
    call->request.body = call->body;
    if (call->route->answer != NULL) {
        return call->route->answer(conn, &call->request);
    }
    if (call->route->handler == NULL) {
        return send_file(conn, call->route, is_head);
    }
    return call_loop(conn, web, vd_take(call));
}

static size_t count_headers(const struct mg_request_info *info, const char *name)
{
    size_t count = 0;

    for (int at = 0; at < info->num_headers; at++) {
        count += strcasecmp(info->http_headers[at].name, name) == 0 ? 1 : 0;
    }
    return count;
}

/* What civetweb takes for an upgrade to a websocket (its should_switch_to_protocol). */
static bool is_upgrade(const struct mg_connection *conn)
{
    const char *connection = mg_get_header(conn, "Connection");
    const char *upgrade = mg_get_header(conn, "Upgrade");

    return connection != NULL && upgrade != NULL && strcasestr(connection, "upgrade") != NULL &&
           strcasestr(upgrade, "websocket") != NULL;
}

/* A browser always tells its Origin; a program with a token need not. */
static bool is_own_origin(struct mg_connection *conn, const struct vd_web *web,
                          const struct vd_web_who *who)
{
    const char *origin = mg_get_header(conn, "Origin");

    if (origin == NULL) {
        return who->has_proof && who->session == 0;
    }
    return count_headers(mg_get_request_info(conn), "Origin") == 1 &&
           vd_web_guard_has_origin(&web->guard, origin, mg_get_header(conn, "Host"));
}

static int check_upgrade(struct mg_connection *conn, struct vd_web *web)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *key = mg_get_header(conn, "Sec-WebSocket-Key");
    const char *version = mg_get_header(conn, "Sec-WebSocket-Version");
    struct vd_web_who who;
    int status;

    if (vd_web_socket_find(web, info->request_uri) == NULL) {
        return vd_web_reply_error(conn, 404, "not_found", "there is no websocket at this path",
                                  NULL);
    }
    if (strcmp(info->request_method, "GET") != 0 || info->content_length > 0 ||
        mg_get_header(conn, "Transfer-Encoding") != NULL) {
        return vd_web_reply_error(conn, 400, "bad_request", "a websocket begins with a plain GET",
                                  NULL);
    }
    vd_web_access_identify(conn, &who);
    if (!is_own_origin(conn, web, &who)) {
        vd_metric_add(web->registry.reasons[VD_WEB_WRONG_ORIGIN], 1);
        return vd_web_reply_error(conn, 403, "wrong_origin", "the websocket is for our own pages",
                                  NULL);
    }
    status = vd_web_access_gate(conn, &who, VD_WEB_VIEWER);
    if (status != 0) {
        vd_metric_add(web->registry.reasons[VD_WEB_NOT_SIGNED_IN], 1);
        return status;
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        return vd_web_reply_error(conn, 426, "wrong_version", "only websocket version 13 is spoken",
                                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    }
    /* civetweb would leave a longer key's connection without calling the close handler. */
    if (key == NULL || strlen(key) != WEBSOCKET_KEY_LEN) {
        return vd_web_reply_error(conn, 400, "bad_request", "the websocket key is malformed", NULL);
    }
    return 0;
}

/* Form and Host of a request; 0, or the status of the refusal. */
static int check_request(struct mg_connection *conn, struct vd_web *web)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *host = mg_get_header(conn, "Host");
    const char *query = info->query_string != NULL ? info->query_string : "";

    if (host == NULL || count_headers(info, "Host") != 1) {
        return vd_web_reply_error(conn, 400, "no_host", "exactly one Host header is needed", NULL);
    }
    if (!vd_web_guard_has_host(&web->guard, host)) {
        vd_metric_add(web->registry.reasons[VD_WEB_WRONG_HOST], 1);
        return vd_web_reply_error(conn, 421, "wrong_host",
                                  "this server does not go by that name; see option \"hosts\"",
                                  NULL);
    }
    if (strlen(info->request_uri) >= VD_WEB_PATH_BYTES || strlen(query) > VD_WEB_QUERY_BYTES) {
        return vd_web_reply_error(conn, 414, "too_long",
                                  "path and query may have at most 1 KiB each", NULL);
    }
    if (!vd_web_query_is_clean(query)) {
        return vd_web_reply_error(conn, 400, "bad_request", "the query is malformed", NULL);
    }
    return 0;
}

int vd_web_on_request(struct mg_connection *conn)
{
    struct vd_web *web = vd_web_of(conn);
    const struct mg_request_info *info = mg_get_request_info(conn);
    VD_AUTO(call) struct web_call *call = NULL;
    int status = check_request(conn, web);

    if (status != 0) {
        return status;
    }
    if (is_upgrade(conn)) {
        return check_upgrade(conn, web);
    }
    call = call_new(web);
    if (!vd_web_path_decode(info->request_uri, call->path)) {
        return vd_web_reply_error(conn, 400, "bad_request", "the path is malformed", NULL);
    }
    (void)snprintf(call->query, sizeof(call->query), "%s",
                   info->query_string != NULL ? info->query_string : "");
    return serve(conn, web, vd_take(call));
}
