/* The server: its options, its start and end, and the list of what it serves. civetweb gives the
 * threads, the parsing of requests and the websocket handshake; everything else it could do (files,
 * CGI, directories, TLS) is switched off. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "hash.h"
#include "loop_uv.h"
#include "web_local.h"

#define CALLS_MAX 1024 /* that wait for the loop; beyond: 503 */
#define TEXTS_MAX 1024 /* from clients, likewise; beyond: dropped */
#define BYE_MS 500     /* to tell the sockets that the server stops */
#define NUDGE_MS 10
#define SESSION_TICKS 100 /* of VD_WEB_TICK_MS, between two looks at the clients' sessions */
#define GZIP_LEVEL_FILE 9 /* once at the start */

const struct vd_opt vd_web_opts[] = {
    VD_OPT(struct vd_web_conf, listen, .def = "127.0.0.1:8080",
           .help = "ADDRESS:PORT of the HTTP server; another address than 127.0.0.1 needs access"),
    VD_OPT(struct vd_web_conf, hosts, .def = "",
           .help = "further host names that browsers reach the server by, without port, comma "
                   "separated; requests for other names are refused"),
    VD_OPT(struct vd_web_conf, trusted_proxies, .def = "",
           .help = "addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, "
                   "comma separated"),
    VD_OPT(struct vd_web_conf, access, .def = "none", .choices = "none|token|users",
           .help = "who may come in: everybody on this machine, who has a token, or who has a "
                   "password (docs/access.md)"),
    VD_OPT(struct vd_web_conf, tokens, .def = "",
           .help = "file with lines NAME:ROLE:TOKEN, readable by its owner only; roles are "
                   "viewer, operator and admin"),
    VD_OPT(struct vd_web_conf, users, .def = "",
           .help = "file with lines NAME:ROLE:HASH, readable by its owner only; votingd "
                   "--hash-password NAME:ROLE makes one"),
    VD_OPT(struct vd_web_conf, open, .def = "",
           .help = "paths that need no sign-in besides /healthz, /login, /api/v1/session and the "
                   "page's files, comma separated: /metrics, /readyz"),
    VD_OPT(struct vd_web_conf, actions, .def = "no",
           .help =
               "let operators act: POST /api/v1/drain, which stops this node as SIGTERM does, and "
               "what stages add, as the dashboard POST /api/v1/replay, which leads all pages "
               "through the past"),
    VD_OPT(struct vd_web_conf, session_max_ms, .def = "86400000", .min = 1000, .max = 2592000000,
           .help = "a session ends this long after the sign-in"),
    VD_OPT(struct vd_web_conf, session_idle_ms, .def = "3600000", .min = 1000, .max = 2592000000,
           .help = "a session ends after this long without use; an open page uses it"),
    VD_OPT(struct vd_web_conf, sessions_max, .def = "1000", .min = 1, .max = 10000,
           .help = "sessions at the same time; beyond, the one unused for longest ends"),
    VD_OPT(struct vd_web_conf, threads, .def = "136", .min = 9, .max = 16384,
           .help = "threads of the HTTP server; a websocket keeps one for its whole life"),
    VD_OPT(struct vd_web_conf, sockets_max, .def = "0", .min = 0, .max = 16376,
           .help = "websockets at the same time; 0: threads - 8, the most there can be"),
    VD_OPT(struct vd_web_conf, sockets_per_address, .def = "10", .min = 1, .max = 16376,
           .help =
               "websockets at the same time from one address; behind a proxy see trusted_proxies"),
    VD_OPT(struct vd_web_conf, sockets_per_second, .def = "20", .min = 1, .max = 10000,
           .help = "new websockets a second"),
    VD_OPT(struct vd_web_conf, writers, .def = "4", .min = 1, .max = 64,
           .help = "threads that write to websockets"),
    VD_OPT(struct vd_web_conf, credit_bytes, .def = "262144", .min = 16384, .max = 16777216,
           .help = "bytes sent to a websocket beyond its last ack; then it skips pictures"),
    VD_OPT(struct vd_web_conf, ack_timeout_ms, .def = "15000", .min = 1000, .max = 300000,
           .help = "a websocket that owes an ack for longer is closed"),
    VD_OPT(struct vd_web_conf, ping_ms, .def = "2500", .min = 100, .max = 60000,
           .help = "silence after which a websocket is pinged; it is closed one such time after "
                   "the sixth ping in vain"),
    VD_OPT_END,
};

/* ---- configuration --------------------------------------------------------------------------- */

/* Split 'listen' into address and port.
 * Fails: VD_INVALID for another form or TLS. */
static enum vd_status parse_listen(const char *listen, char address[INET_ADDRSTRLEN], int *port,
                                   struct vd_err *err)
{
    const char *colon = strrchr(listen, ':');
    size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;
    const char *rest = colon != NULL ? colon + 1 + digits : "";
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    struct in_addr in;

    if (strspn(listen, "0123456789") > 0 &&
        strcmp(listen + strspn(listen, "0123456789"), "s") == 0) {
        rest = "s"; /* civetweb's short form, "8443s" */
    }
    if (strcmp(rest, "s") == 0 || strcmp(rest, "r") == 0) {
        return vd_fail(
            err, VD_INVALID,
            "option \"listen\": \"%s\" asks for TLS, with which this civetweb (" CIVETWEB_VERSION
            ") crashes: listen without, and let a proxy do TLS",
            listen);
    }
    if (strchr(listen, '[') != NULL) {
        return vd_fail(err, VD_INVALID,
                       "option \"listen\": \"%s\" is IPv6, which this civetweb was built without",
                       listen);
    }
    if (len == 0 || len >= INET_ADDRSTRLEN || digits == 0 || digits > 5 || *rest != '\0' ||
        atoi(colon + 1) > 65535) {
        return vd_fail(err, VD_INVALID, "option \"listen\": expected ADDRESS:PORT, got \"%s\"",
                       listen);
    }
    memcpy(address, listen, len);
    address[len] = '\0';
    if (strcmp(address, "localhost") == 0) {
        (void)snprintf(address, INET_ADDRSTRLEN, "127.0.0.1");
    }
    if (inet_pton(AF_INET, address, &in) != 1) {
        return vd_fail(err, VD_INVALID, "option \"listen\": expected an IPv4 address, got \"%s\"",
                       address);
    }
    *port = atoi(colon + 1);
    return VD_OK;
}

static enum vd_status check_list(const char *name, const char *text, struct vd_err *err)
{
    char **list = vd_web_list_new(text);
    enum vd_status status = VD_OK;

    for (char **at = list; *at != NULL && status == VD_OK; at++) {
        if (!vd_web_host_is_name(*at)) {
            status = vd_fail(err, VD_INVALID,
                             "option \"%s\": expected names or addresses without port, got \"%s\"",
                             name, *at);
        }
    }
    vd_web_list_free(list);
    return status;
}

enum vd_status vd_web_check(const struct vd_web_conf *conf, struct vd_err *err)
{
    char address[INET_ADDRSTRLEN];
    int port;

    if (parse_listen(conf->listen, address, &port, err) != VD_OK ||
        vd_web_access_check(conf, strncmp(address, "127.", 4) != 0, err) != VD_OK ||
        check_list("hosts", conf->hosts, err) != VD_OK ||
        check_list("trusted_proxies", conf->trusted_proxies, err) != VD_OK) {
        return err != NULL ? err->status : VD_INVALID;
    }
    if (strcmp(address, "0.0.0.0") == 0 && conf->hosts[0] == '\0') {
        return vd_fail(err, VD_INVALID,
                       "option \"hosts\": must name what browsers reach 0.0.0.0 by, such as "
                       "vote.example.org: requests for other names are refused");
    }
    if (conf->sockets_max > conf->threads - VD_WEB_THREADS_SPARED) {
        return vd_fail(err, VD_INVALID,
                       "option \"sockets_max\": must be at most threads - %d, which is %lld, got "
                       "%lld",
                       VD_WEB_THREADS_SPARED, (long long)(conf->threads - VD_WEB_THREADS_SPARED),
                       (long long)conf->sockets_max);
    }
    return VD_OK;
}

enum vd_status vd_web_check_files(const struct vd_web_conf *conf, struct vd_err *err)
{
    struct vd_web_accounts tokens = {0};
    struct vd_web_accounts users = {0};
    enum vd_status status = vd_web_access_read(conf, &tokens, &users, err);

    vd_web_accounts_fini(&tokens);
    vd_web_accounts_fini(&users);
    return status;
}

/* ---- what is served -------------------------------------------------------------------------- */

struct vd_web_route *vd_web_route_find(const struct vd_web *web, const char *method,
                                       const char *path)
{
    size_t len = strlen(path);
    bool is_wildcard = len >= 2 && strcmp(path + len - 2, "/*") == 0;

    len -= is_wildcard ? 1 : 0;
    for (size_t at = 0; at < web->route_count; at++) {
        struct vd_web_route *route = &web->routes[at];

        if (route->is_wildcard == is_wildcard && strlen(route->path) == len &&
            memcmp(route->path, path, len) == 0 && strcmp(route->method, method) == 0) {
            return route;
        }
    }
    return NULL;
}

enum vd_status vd_web_route_add(struct vd_web *web, const char *method, const char *path,
                                struct vd_web_route **route, struct vd_err *err)
{
    size_t len = strlen(path);
    bool is_wildcard = len >= 2 && strcmp(path + len - 2, "/*") == 0;

    assert(web->ctx == NULL); /* from then on other threads read the list */
    if (vd_web_route_find(web, method, path) != NULL) {
        return vd_fail(err, VD_INVALID, "route \"%s %s\": there is one already", method, path);
    }
    web->routes = vd_realloc(web->routes, (web->route_count + 1) * sizeof(*web->routes));
    *route = &web->routes[web->route_count++];
    **route = (struct vd_web_route){
        .path = vd_strndup(path, len - (is_wildcard ? 1 : 0)),
        .method = vd_strdup(method),
        .is_wildcard = is_wildcard,
        .role = strcmp(method, "GET") == 0 ? VD_WEB_VIEWER : VD_WEB_OPERATOR,
    };
    return VD_OK;
}

/* The path in "GET /path", and a copy of the method. */
static const char *split_route(const char *route, char **method)
{
    const char *space = strchr(route, ' ');

    assert(space != NULL && space[1] == '/');
    *method = vd_strndup(route, (size_t)(space - route));
    return space + 1;
}

enum vd_status vd_web_route(struct vd_web *web, const char *route, vd_web_handler_fn *handler,
                            void *arg, struct vd_err *err)
{
    VD_AUTO(mem) char *method = NULL;
    const char *path = split_route(route, &method);
    struct vd_web_route *added;

    if (vd_web_route_add(web, method, path, &added, err) != VD_OK) {
        return VD_INVALID;
    }
    added->handler = handler;
    added->arg = arg;
    return VD_OK;
}

enum vd_status vd_web_route_action(struct vd_web *web, const char *route,
                                   vd_web_handler_fn *handler, void *arg, struct vd_err *err)
{
    return web->conf->actions ? vd_web_route(web, route, handler, arg, err) : VD_OK;
}

void vd_web_allow(struct vd_web *web, const char *route, enum vd_web_role role)
{
    VD_AUTO(mem) char *method = NULL;
    const char *path = split_route(route, &method);
    struct vd_web_route *found = vd_web_route_find(web, method, path);

    assert(found != NULL && web->ctx == NULL);
    found->role = role;
}

enum vd_status vd_web_file(struct vd_web *web, const char *path, const char *content_type,
                           const struct vd_buf *bytes, struct vd_err *err)
{
    static const struct vd_hash_key key = {0, 0}; /* it tells versions apart, nothing more */
    struct vd_web_route *file;
    enum vd_status status = vd_web_route_add(web, "GET", path, &file, err);

    if (status != VD_OK) {
        return status;
    }
    file->content_type = vd_strdup(content_type);
    vd_buf_add(&file->plain, bytes->data, bytes->len);
    vd_web_gzip(&file->plain, GZIP_LEVEL_FILE, &file->gzip);
    (void)snprintf(file->etag, sizeof(file->etag), "%016llx",
                   (unsigned long long)vd_siphash(&key, bytes->data, bytes->len));
    return VD_OK;
}

static void free_routes(struct vd_web *web)
{
    for (size_t at = 0; at < web->route_count; at++) {
        struct vd_web_route *route = &web->routes[at];

        free(route->path);
        free(route->method);
        free(route->content_type);
        vd_buf_fini(&route->plain);
        vd_buf_fini(&route->gzip);
    }
    free(web->routes);
}

/* ---- start and end --------------------------------------------------------------------------- */

/* With the registry's lock: who has signed out, or was not seen for too long, hears no more. */
static void end_sessions(struct vd_web *web)
{
    struct vd_web_client *client;

    TAILQ_FOREACH(client, &web->registry.clients, entry)
    {
        if (client->session != 0 && !vd_web_access_use(&web->access, client->session)) {
            vd_web_client_evict(&web->registry, client, VD_WEB_SIGNED_OUT);
        }
    }
}

static void on_tick(void *arg)
{
    struct vd_web *web = arg;
    bool has_clients;

    vd_web_lock(&web->registry);
    if (++web->ticks % SESSION_TICKS == 0) {
        end_sessions(web);
    }
    if (web->ticks % VD_WEB_CLIENT_TICKS == 0) {
        vd_web_registry_tick(&web->registry);
    }
    vd_web_writers_tick(&web->registry);
    has_clients = web->registry.count > 0;
    vd_web_unlock(&web->registry);
    vd_timer_start(web->tick, has_clients ? VD_WEB_TICK_MS : VD_WEB_IDLE_MS);
}

static void init_metrics(struct vd_web *web, struct vd_metrics *metrics)
{
    for (int hundreds = 1; hundreds <= 5; hundreds++) {
        VD_AUTO(mem) char *label = vd_format("code=\"%dxx\"", hundreds);

        web->answers[hundreds] =
            vd_metric_get(metrics, VD_COUNTER, "votingd_http_answers_total", label,
                          "answers of the HTTP server, by hundreds of their status");
    }
    web->answers[0] = web->answers[5];
    web->late = vd_metric_get(metrics, VD_COUNTER, "votingd_http_late_total", NULL,
                              "requests that the loop did not answer in time");
    web->busy = vd_metric_get(metrics, VD_COUNTER, "votingd_http_queue_full_total", NULL,
                              "requests and messages refused because too many waited");
}

struct vd_web *vd_web_new(struct vd_loop *loop, const struct vd_web_conf *conf, struct vd_log *log,
                          struct vd_metrics *metrics)
{
    struct vd_web *web = vd_alloc(sizeof(*web));
    char address[INET_ADDRSTRLEN] = "";
    int port = 0;
    enum vd_status status = parse_listen(conf->listen, address, &port, NULL);

    assert(status == VD_OK); /* vd_web_check came first */
    (void)status;
    web->loop = loop;
    web->conf = conf;
    web->log = log;
    web->address = vd_format("%s:%d", address, port);
    TAILQ_INIT(&web->waiting);
    pthread_mutex_init(&web->lock, NULL);
    vd_web_guard_init(&web->guard, address, conf->hosts, conf->trusted_proxies);
    vd_web_access_init(&web->access, conf, strrchr(conf->listen, ':') + 1, metrics);
    vd_web_registry_init(&web->registry, conf, log, metrics);
    init_metrics(web, metrics);
    web->calls = vd_queue_new(loop, CALLS_MAX, vd_web_call_run, web);
    web->texts = vd_queue_new(loop, TEXTS_MAX, vd_web_text_run, web);
    web->tick = vd_timer_new(loop, on_tick, web);
    vd_web_sign_in_add(web);
    return web;
}

static int on_log(const struct mg_connection *conn, const char *message)
{
    struct vd_web *web = mg_get_user_data(mg_get_context(conn));

    if (web == NULL) {
        return 1;
    }
    vd_debug(web->log, "%s", message);
    pthread_mutex_lock(&web->lock);
    if (web->is_starting && web->start_error[0] == '\0') {
        (void)snprintf(web->start_error, sizeof(web->start_error), "%s", message); /* cut to fit */
    }
    pthread_mutex_unlock(&web->lock);
    return 1; /* it writes nothing itself */
}

static void set_starting(struct vd_web *web, bool is_starting)
{
    pthread_mutex_lock(&web->lock);
    web->is_starting = is_starting;
    pthread_mutex_unlock(&web->lock);
}

/* Why civetweb did not start. Of a port that is taken it says in its answer only that it "failed to
 * setup", and the reason in its log before that: "cannot bind to ...:
 * 98 (Address already in use)". */
static const char *start_reason(const struct vd_web *web, const char *answer)
{
    if (strstr(web->start_error, strerror(EADDRINUSE)) != NULL) {
        return "the port is in use by another program; stop that, or choose another port with "
               "\"listen\" in [http]";
    }
    if (web->start_error[0] != '\0') {
        return web->start_error;
    }
    return answer[0] != '\0' ? answer : "the server did not start";
}

static struct mg_context *start_civetweb(struct vd_web *web, struct vd_err *err)
{
    VD_AUTO(mem) char *threads = vd_format("%lld", (long long)web->conf->threads);
    VD_AUTO(mem) char *ping = vd_format("%lld", (long long)web->conf->ping_ms);
    const char *options[] = {
        "listening_ports", web->address, "num_threads", threads, "websocket_timeout_ms", ping,
        "enable_websocket_ping_pong", "yes", "request_timeout_ms", "2000", "tcp_nodelay", "1",
        "listen_backlog", "1024", "connection_queue", "64", "enable_keep_alive", "no",
        /* We take paths apart ourselves, and nothing comes from the disk. */
        "decode_url", "no", "enable_auth_domain_check", "no", "enable_directory_listing", "no",
        "cgi_pattern", "", "ssi_pattern", "", "index_files", "", "access_control_allow_methods", "",
        "access_control_allow_origin", "", NULL};
    struct mg_callbacks callbacks = {
        .begin_request = vd_web_on_request, .http_error = vd_web_on_error, .log_message = on_log};
    struct mg_init_data init = {
        .callbacks = &callbacks, .user_data = web, .configuration_options = options};
    char text[256] = "";
    struct mg_error_data error = {.text = text, .text_buffer_size = sizeof(text)};
    struct mg_context *ctx;

    set_starting(web, true);
    ctx = mg_start2(&init, &error);
    set_starting(web, false);
    if (ctx == NULL) {
        (void)vd_fail(err, VD_FAILED, "could not listen on %s: %s", web->address,
                      start_reason(web, text));
    } else if (strstr(web->start_error, "Cannot start worker thread") != NULL) {
        /* It goes on with those it has, and sockets would take all of them. */
        (void)vd_fail(err, VD_FAILED,
                      "could not start the %lld \"threads\" of [http]: %s; lower it, or raise the "
                      "system's limit: ulimit -u, a service's TasksMax, a container's pids limit",
                      (long long)web->conf->threads, web->start_error);
        mg_stop(vd_take(ctx));
    }
    return ctx;
}

static void open_paths(struct vd_web *web)
{
    char **list = vd_web_list_new(web->conf->open);

    for (char **at = list; *at != NULL; at++) {
        struct vd_web_route *route = vd_web_route_find(web, "GET", *at);

        if (route != NULL) {
            route->role = VD_WEB_ANYONE;
        } else {
            vd_warn(web->log, "option \"open\": there is nothing at \"%s\" on this node", *at);
        }
    }
    vd_web_list_free(list);
}

enum vd_status vd_web_start(struct vd_web *web, struct vd_err *err)
{
    struct mg_server_port port;
    sigset_t all, old;

    if (mg_check_feature(MG_FEATURES_WEBSOCKET) == 0) {
        return vd_fail(err, VD_INVALID, "the installed civetweb was built without websockets");
    }
    if (vd_web_access_read(web->conf, &web->access.tokens, &web->access.users, err) != VD_OK) {
        return VD_FAILED;
    }
    open_paths(web);
    if (vd_web_take_files(web->conf->threads, err) != VD_OK) {
        return VD_FAILED;
    }
    (void)mg_init_library(MG_FEATURES_WEBSOCKET);
    /* Signals are for the main thread, where the loop waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (vd_web_writers_start(&web->registry, err) == VD_OK) {
        web->ctx = start_civetweb(web, err);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (web->ctx == NULL) {
        vd_web_writers_stop(&web->registry);
        (void)mg_exit_library();
        return VD_FAILED;
    }
    for (struct vd_web_socket *socket = web->sockets; socket != NULL; socket = socket->next) {
        vd_web_socket_attach(socket, web->ctx);
    }
    if (mg_get_server_ports(web->ctx, 1, &port) == 1) {
        char *colon = strrchr(web->address, ':');
        char *address = vd_format("%.*s:%d", (int)(colon - web->address), web->address, port.port);

        free(web->address);
        web->address = address;
    }
    if (web->sockets != NULL) {
        vd_timer_start(web->tick, VD_WEB_TICK_MS);
    }
    vd_info(web->log, "listening on http://%s", web->address);
    return VD_OK;
}

const char *vd_web_address(const struct vd_web *web)
{
    return web->address;
}

/* --- stopping civetweb ---
 * Its accepting thread looks at the stop flag every 2 s only, unless somebody connects. */

struct nudge {
    struct sockaddr_in to;
    atomic_bool is_over;
};

static void *run_nudge(void *arg)
{
    struct nudge *nudge = arg;

    while (!atomic_load(&nudge->is_over)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0) {
            (void)connect(fd, (struct sockaddr *)&nudge->to, sizeof(nudge->to)); /* no matter */
            (void)close(fd);
        }
        vd_pause_ms(NUDGE_MS);
    }
    return NULL;
}

static void stop_civetweb(struct vd_web *web)
{
    struct nudge nudge = {.to = {.sin_family = AF_INET}};
    const char *colon = strrchr(web->address, ':');
    VD_AUTO(mem) char *address = vd_strndup(web->address, (size_t)(colon - web->address));
    pthread_t thread;
    bool is_nudged;

    nudge.to.sin_port = htons((uint16_t)atoi(colon + 1));
    (void)inet_pton(AF_INET, address, &nudge.to.sin_addr); /* it is being listened on */
    atomic_init(&nudge.is_over, false);
    is_nudged = pthread_create(&thread, NULL, run_nudge, &nudge) == 0;
    mg_stop(web->ctx);
    web->ctx = NULL;
    atomic_store(&nudge.is_over, true);
    if (is_nudged) {
        (void)pthread_join(thread, NULL); /* it has left its loop */
    }
    (void)mg_exit_library(); /* counts its calls; the last one cannot fail */
}

void vd_web_close(struct vd_web *web)
{
    if (web == NULL) {
        return;
    }
    vd_timer_close(vd_take(web->tick));
    if (web->ctx != NULL) {
        vd_web_calls_cancel(web);
        vd_web_registry_drain(&web->registry, BYE_MS);
        stop_civetweb(web);
        vd_web_writers_stop(&web->registry);
    }
    vd_queue_close(vd_take(web->calls), vd_web_call_release);
    vd_queue_close(vd_take(web->texts), free);
    vd_web_registry_fini(&web->registry);
    vd_web_sockets_free(web);
    free_routes(web);
    vd_web_guard_fini(&web->guard);
    vd_web_access_fini(&web->access);
    pthread_mutex_destroy(&web->lock);
    free(web->address);
    free(web);
}
