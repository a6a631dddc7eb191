/* Who asks, and whether he may. */
#include "web_access.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "loop_uv.h"
#include "web_local.h"

/* ---- configuration --------------------------------------------------------------------------- */

static enum vd_status check_open(const char *text, struct vd_err *err)
{
    char **list = vd_web_list_new(text);
    enum vd_status status = VD_OK;

    for (char **at = list; *at != NULL && status == VD_OK; at++) {
        if (**at != '/') {
            status = vd_fail(err, VD_INVALID,
                             "option \"open\": expected paths such as /metrics, got \"%s\"", *at);
        }
    }
    vd_web_list_free(list);
    return status;
}

enum vd_status vd_web_access_check(const struct vd_web_conf *conf, bool is_public,
                                   struct vd_err *err)
{
    bool is_none = strcmp(conf->access, "none") == 0;
    bool is_users = strcmp(conf->access, "users") == 0;

    if (is_none && is_public) {
        return vd_fail(err, VD_INVALID,
                       "option \"listen\": %s is open to others, and nobody would have to sign "
                       "in: set \"access\" to token or users (docs/access.md), or listen on "
                       "127.0.0.1",
                       conf->listen);
    }
    if (is_none && (conf->tokens[0] != '\0' || conf->users[0] != '\0')) {
        return vd_fail(err, VD_INVALID,
                       "option \"access\": with none nobody is asked for what \"%s\" names: set it "
                       "to token or users",
                       conf->users[0] != '\0' ? "users" : "tokens");
    }
    if (is_none && conf->actions) {
        return vd_fail(err, VD_INVALID,
                       "option \"actions\": with access = none the log could not say who acted: "
                       "set \"access\" to token or users");
    }
    if (is_users && conf->users[0] == '\0') {
        return vd_fail(err, VD_INVALID,
                       "option \"users\": access = users needs the file with their passwords; "
                       "\"votingd --hash-password NAME:ROLE\" makes a line of it");
    }
    if (!is_users && conf->users[0] != '\0') {
        return vd_fail(err, VD_INVALID,
                       "option \"users\": nobody is asked for a password with access = %s: set it "
                       "to users",
                       conf->access);
    }
    if (!is_none && !is_users && conf->tokens[0] == '\0') {
        return vd_fail(err, VD_INVALID,
                       "option \"tokens\": access = token needs the file with lines "
                       "NAME:ROLE:TOKEN; \"openssl rand -hex 32\" makes a token");
    }
    return check_open(conf->open, err);
}

enum vd_status vd_web_access_read(const struct vd_web_conf *conf, struct vd_web_accounts *tokens,
                                  struct vd_web_accounts *users, struct vd_err *err)
{
    if (sodium_init() < 0) {
        return vd_fail(err, VD_FAILED, "could not start libsodium: no random numbers");
    }
    if (conf->tokens[0] != '\0' &&
        vd_web_accounts_read(tokens, "tokens", conf->tokens, VD_WEB_TOKEN, err) != VD_OK) {
        return VD_FAILED;
    }
    if (conf->users[0] != '\0' &&
        vd_web_accounts_read(users, "users", conf->users, VD_WEB_PASSWORD, err) != VD_OK) {
        return VD_FAILED;
    }
    return VD_OK;
}

/* ---- start and end --------------------------------------------------------------------------- */

static void init_metrics(struct vd_web_access *access, struct vd_metrics *metrics)
{
    static const char *const results[] = {"result=\"failed\"", "result=\"ok\""};
    static const char *const reasons[] = {"reason=\"not_signed_in\"", "reason=\"role\"",
                                          "reason=\"csrf\""};

    for (int at = 0; at < 2; at++) {
        access->sign_ins[at] = vd_metric_get(metrics, VD_COUNTER, "votingd_http_sign_ins_total",
                                             results[at], "attempts to sign in");
    }
    for (int at = 0; at < VD_WEB_DENIALS; at++) {
        access->denials[at] = vd_metric_get(metrics, VD_COUNTER, "votingd_http_denied_total",
                                            reasons[at], "requests refused for who made them");
    }
}

void vd_web_access_init(struct vd_web_access *access, const struct vd_web_conf *conf,
                        const char *port, struct vd_metrics *metrics)
{
    access->conf = conf;
    access->is_on = strcmp(conf->access, "none") != 0;
    (void)snprintf(access->cookie, sizeof(access->cookie), "votingd-%s", port); /* fits */
    pthread_mutex_init(&access->lock, NULL);
    if (access->is_on) {
        access->log = vd_log_new("access");
        randombytes_buf(&access->throttle.key, sizeof(access->throttle.key));
        vd_web_sessions_init(&access->sessions, conf->sessions_max, conf->session_max_ms,
                             conf->session_idle_ms);
        init_metrics(access, metrics);
    }
}

void vd_web_access_fini(struct vd_web_access *access)
{
    vd_web_sessions_fini(&access->sessions);
    vd_web_accounts_fini(&access->tokens);
    vd_web_accounts_fini(&access->users);
    vd_log_free(vd_take(access->log));
    pthread_mutex_destroy(&access->lock);
}

/* ---- who asks -------------------------------------------------------------------------------- */

bool vd_web_access_use(struct vd_web_access *access, uint64_t session)
{
    bool is_alive;

    pthread_mutex_lock(&access->lock);
    is_alive = vd_web_session_use(&access->sessions, session, vd_mono_ms());
    pthread_mutex_unlock(&access->lock);
    return is_alive;
}

bool vd_web_access_is_tls(struct mg_connection *conn)
{
    const char *proto = mg_get_header(conn, "X-Forwarded-Proto");

    return proto != NULL && strcasecmp(proto, "https") == 0 &&
           vd_web_guard_is_proxy(&vd_web_of(conn)->guard, mg_get_request_info(conn)->remote_addr);
}

char *vd_web_access_cookie(struct mg_connection *conn)
{
    /* A browser takes a cookie of this prefix over TLS only, and from no other host of the domain.
     */
    return vd_format("%s%s", vd_web_access_is_tls(conn) ? "__Host-" : "",
                     vd_web_of(conn)->access.cookie);
}

static void be(struct vd_web_who *who, const char *name, enum vd_web_role role)
{
    (void)snprintf(who->name, sizeof(who->name), "%s", name); /* fits */
    who->role = role;
}

static void identify_session(struct mg_connection *conn, struct vd_web_access *access,
                             struct vd_web_who *who)
{
    VD_AUTO(mem) char *cookie = vd_web_access_cookie(conn);
    const char *proof = mg_get_header(conn, VD_WEB_CSRF_HEADER);
    struct vd_web_session *session;
    char id[VD_WEB_SESSION_ID_TEXT];

    if (!vd_web_cookie_find(mg_get_header(conn, "Cookie"), cookie, id, sizeof(id))) {
        return;
    }
    pthread_mutex_lock(&access->lock);
    session = vd_web_session_find(&access->sessions, id, vd_mono_ms());
    if (session != NULL) {
        be(who, session->name, session->role);
        who->session = session->serial;
        who->has_proof = proof != NULL && vd_web_session_is_proof(session, proof);
    }
    pthread_mutex_unlock(&access->lock);
}

void vd_web_access_identify(struct mg_connection *conn, struct vd_web_who *who)
{
    struct vd_web *web = vd_web_of(conn);
    const char *token = vd_web_bearer(mg_get_header(conn, "Authorization"));
    const struct vd_web_account *account;

    *who = (struct vd_web_who){.role = web->access.is_on ? VD_WEB_ANYONE : VD_WEB_ADMIN};
    vd_web_guard_address(&web->guard, mg_get_request_info(conn)->remote_addr,
                         mg_get_header(conn, "X-Forwarded-For"), who->address);
    if (!web->access.is_on) {
        return;
    }
    if (token == NULL) { /* another scheme is a proxy's, and says nothing to us */
        identify_session(conn, &web->access, who);
        return;
    }
    account = vd_web_account_of_token(&web->access.tokens, token);
    if (account != NULL) {
        be(who, account->name, account->role);
        who->has_proof = true; /* no browser sends that by itself */
    }
}

/* ---- whether he may -------------------------------------------------------------------------- */

static bool is_reading(struct mg_connection *conn)
{
    const char *method = mg_get_request_info(conn)->request_method;

    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* A person who opens the page, not a program. */
static bool is_visit(struct mg_connection *conn)
{
    const char *accept = mg_get_header(conn, "Accept");

    return is_reading(conn) && accept != NULL && strstr(accept, "text/html") != NULL;
}

static int deny(struct mg_connection *conn, const struct vd_web_who *who, enum vd_web_role role)
{
    struct vd_web *web = vd_web_of(conn);
    VD_AUTO(mem) char *message = NULL;

    if (who->role != VD_WEB_ANYONE) {
        vd_metric_add(web->access.denials[VD_WEB_DENIED_ROLE], 1);
        message = vd_format("this needs the role %s, and %s is %s", vd_web_role_name(role),
                            who->name, vd_web_role_name(who->role));
        return vd_web_reply_error(conn, 403, "forbidden", message, NULL);
    }
    vd_metric_add(web->access.denials[VD_WEB_DENIED_UNKNOWN], 1);
    if (is_visit(conn) && vd_web_route_find(web, "GET", "/login") != NULL) {
        struct vd_web_reply reply = {.status = 303,
                                     .headers = "Location: /login\r\nCache-Control: no-store\r\n"};

        return vd_web_reply(conn, &reply);
    }
    return vd_web_reply_error(conn, 401, "not_signed_in", "sign in first, or send a token",
                              "WWW-Authenticate: Bearer\r\n");
}

int vd_web_access_gate(struct mg_connection *conn, const struct vd_web_who *who,
                       enum vd_web_role role)
{
    struct vd_web *web = vd_web_of(conn);

    if (who->role < role) {
        return deny(conn, who, role);
    }
    if (web->access.is_on && role != VD_WEB_ANYONE && !is_reading(conn) && !who->has_proof) {
        vd_metric_add(web->access.denials[VD_WEB_DENIED_PROOF], 1);
        return vd_web_reply_error(conn, 403, "csrf",
                                  "the request lacks the header " VD_WEB_CSRF_HEADER
                                  " that GET /api/v1/session tells",
                                  NULL);
    }
    return 0;
}

void vd_web_audit(const struct vd_web *web, const struct vd_web_who *who, const char *action,
                  const char *result)
{
    vd_log_write(web->access.log, VD_LOG_AUDIT, "%s (%s) from %s: %s: %s",
                 who->name[0] != '\0' ? who->name : "nobody", vd_web_role_name(who->role),
                 who->address, action, result);
}
