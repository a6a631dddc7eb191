/* Signing in and out: /api/v1/session, and for admins the list of all sessions. Runs on the
 * connection's thread, as a password takes its time. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"
#include "web_local.h"
#include "web_password.h"

#define SESSION_PATH "/api/v1/session"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

/* How an attempt ended. */
enum outcome {
    SIGNED_IN,
    WRONG,
    TOO_MANY,
    BUSY,
    UNKNOWN, /* whether the password is right */
};

struct attempt {
    const char *name; /* "": with a token */
    const char *secret;
    const struct vd_web_account *account; /* that it is for; NULL: of nobody */
    int64_t wait_s;                       /* of TOO_MANY */
};

/* ---- what is told ---------------------------------------------------------------------------- */

static void add_text(struct vd_buf *out, const char *name, const char *text)
{
    vd_buf_printf(out, ",\"%s\":", name);
    if (text != NULL && text[0] != '\0') {
        vd_buf_add_json(out, text, strlen(text));
    } else {
        vd_buf_add_text(out, "null");
    }
}

/* Who somebody is, for our own page: the token against forged requests is part of it. */
static int reply_state(struct mg_connection *conn, const struct vd_web_who *who,
                       const char *csrf_token, const char *headers)
{
    const struct vd_web_conf *conf = vd_web_of(conn)->conf;
    VD_AUTO(buf) struct vd_buf body = {0};
    VD_AUTO(buf) struct vd_buf lines = {0};
    struct vd_web_reply reply = {.status = 200, .content_type = "application/json"};

    vd_buf_printf(&body, "{\"access\":\"%s\",\"actions\":%s,\"role\":\"%s\"", conf->access,
                  conf->actions ? "true" : "false", vd_web_role_name(who->role));
    add_text(&body, "name", who->name);
    add_text(&body, "csrf_token", csrf_token);
    vd_buf_add_text(&body, "}\n");
    vd_buf_printf(&lines, "Cache-Control: no-store\r\n%s", headers);
    reply.headers = vd_buf_text(&lines);
    reply.body = body.data;
    reply.len = body.len;
    reply.is_head = strcmp(mg_get_request_info(conn)->request_method, "HEAD") == 0;
    return vd_web_reply(conn, &reply);
}

static int answer_state(struct mg_connection *conn, const struct vd_web_request *request)
{
    struct vd_web_access *access = &vd_web_of(conn)->access;
    const struct vd_web_who *who = vd_web_request_who(request);
    char csrf_token[VD_WEB_SESSION_ID_TEXT] = "";

    if (who->session != 0) {
        const struct vd_web_session *session;

        pthread_mutex_lock(&access->lock);
        session = vd_web_session_of(&access->sessions, who->session);
        if (session != NULL) {
            vd_web_session_text(session->proof, csrf_token);
        }
        pthread_mutex_unlock(&access->lock);
    }
    return reply_state(conn, who, csrf_token, "");
}

static int answer_list(struct mg_connection *conn, const struct vd_web_request *request)
{
    struct vd_web_access *access = &vd_web_of(conn)->access;
    int64_t now_ms = vd_mono_ms();
    const struct vd_web_session *session;
    VD_AUTO(buf) struct vd_buf body = {0};
    struct vd_web_reply reply = {.status = 200,
                                 .content_type = "application/json",
                                 .headers = "Cache-Control: no-store\r\n"};
    size_t at = 0;

    vd_buf_add_text(&body, "{\"sessions\":[");
    pthread_mutex_lock(&access->lock);
    for (bool is_first = true;
         (session = vd_web_session_next(&access->sessions, now_ms, &at)) != NULL;
         is_first = false) {
        vd_buf_printf(&body, "%s{\"age_ms\":%lld,\"idle_ms\":%lld,\"role\":\"%s\"",
                      is_first ? "" : ",", (long long)(now_ms - session->began_ms),
                      (long long)(now_ms - session->used_ms), vd_web_role_name(session->role));
        add_text(&body, "name", session->name);
        add_text(&body, "address", session->address);
        vd_buf_add_char(&body, '}');
    }
    pthread_mutex_unlock(&access->lock);
    vd_buf_add_text(&body, "]}\n");
    reply.body = body.data;
    reply.len = body.len;
    reply.is_head = strcmp(mg_get_request_info(conn)->request_method, "HEAD") == 0;
    return vd_web_reply(conn, &reply);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* The parser is recursive and the thread's stack small: one object, nothing inside it. */
static bool is_flat(const char *text)
{
    bool is_inside = false; /* a string */
    int braces = 0;

    for (; *text != '\0'; text++) {
        if (is_inside && *text == '\\' && text[1] != '\0') {
            text++;
        } else if (*text == '"') {
            is_inside = !is_inside;
        } else if (!is_inside && (*text == '{' || *text == '[')) {
            braces += *text == '{' ? 1 : 2;
        }
    }
    return braces <= 1;
}

static const char *find_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text != NULL && text[0] != '\0' && strlen(text) < VD_WEB_PASSWORD_BYTES ? text : NULL;
}

/* {"name":...,"password":...} or {"token":...}, the one that the server goes by. */
static bool read_attempt(const struct vd_web *web, const cJSON *body, struct attempt *attempt)
{
    if (strcmp(web->conf->access, "token") == 0) {
        attempt->name = "";
        attempt->secret = find_text(body, "token");
    } else {
        attempt->name = find_text(body, "name");
        attempt->secret = find_text(body, "password");
    }
    return attempt->name != NULL && attempt->secret != NULL;
}

/* Check a password, at most VD_WEB_HASHES_MAX at a time. For a name that nobody has it takes as
 * long, so that the time tells nothing of it. */
static enum outcome check_password(struct vd_web_access *access, const struct attempt *attempt)
{
    const struct vd_web_account *account =
        attempt->account != NULL ? attempt->account : &access->users.list[0];
    enum vd_status status;
    bool is_busy;

    pthread_mutex_lock(&access->lock);
    is_busy = access->hashes == VD_WEB_HASHES_MAX;
    access->hashes += is_busy ? 0 : 1;
    pthread_mutex_unlock(&access->lock);
    if (is_busy) {
        return BUSY;
    }
    status = vd_web_password_check(account->hash, attempt->secret);
    pthread_mutex_lock(&access->lock);
    access->hashes--;
    pthread_mutex_unlock(&access->lock);
    if (status == VD_FAILED) {
        return UNKNOWN;
    }
    return status == VD_OK && attempt->account != NULL ? SIGNED_IN : WRONG;
}

static enum outcome try(struct vd_web_access *access, struct attempt *attempt, const char *address)
{
    enum outcome outcome;

    pthread_mutex_lock(&access->lock);
    attempt->wait_s = vd_web_throttle_try(&access->throttle, address, attempt->name, vd_mono_ms());
    pthread_mutex_unlock(&access->lock);
    if (attempt->wait_s > 0) {
        return TOO_MANY;
    }
    if (attempt->name[0] == '\0') {
        attempt->account = vd_web_account_of_token(&access->tokens, attempt->secret);
        outcome = attempt->account != NULL ? SIGNED_IN : WRONG;
    } else {
        attempt->account = vd_web_account_named(&access->users, attempt->name);
        outcome = check_password(access, attempt);
    }
    if (outcome != WRONG) {
        pthread_mutex_lock(&access->lock);
        vd_web_throttle_forgive(&access->throttle, address, attempt->name, vd_mono_ms());
        pthread_mutex_unlock(&access->lock);
    }
    return outcome;
}

static int reply_signed_in(struct mg_connection *conn, const struct vd_web_account *account,
                           const struct vd_web_who *before)
{
    struct vd_web *web = vd_web_of(conn);
    struct vd_web_access *access = &web->access;
    VD_AUTO(mem) char *cookie = vd_web_access_cookie(conn);
    VD_AUTO(mem) char *line = NULL;
    struct vd_web_who who = *before;
    char id[VD_WEB_SESSION_ID_TEXT], csrf_token[VD_WEB_SESSION_ID_TEXT];
    const struct vd_web_session *session;

    pthread_mutex_lock(&access->lock);
    (void)vd_web_session_end(&access->sessions, before->session); /* there may be none */
    session = vd_web_session_begin(&access->sessions, account, before->address, vd_mono_ms());
    vd_web_session_text(session->id, id);
    vd_web_session_text(session->proof, csrf_token);
    pthread_mutex_unlock(&access->lock);
    (void)snprintf(who.name, sizeof(who.name), "%s", account->name); /* fits */
    who.role = account->role;
    vd_web_audit(web, &who, "sign in", "ok");
    line = vd_format("Set-Cookie: %s=%s; Path=/; HttpOnly; SameSite=Strict%s\r\n", cookie, id,
                     vd_web_access_is_tls(conn) ? "; Secure" : "");
    sodium_memzero(id, sizeof(id));
    return reply_state(conn, &who, csrf_token, line);
}

/* A name goes to the log only if somebody has it: people type passwords into the wrong field. What
 * was not even looked at is counted only, or an attacker would choose how long the log gets. */
static void audit_failure(struct mg_connection *conn, const struct attempt *attempt,
                          const struct vd_web_who *who)
{
    VD_AUTO(mem)
    char *action = attempt->account != NULL ? vd_format("sign in as %s", attempt->account->name)
                                            : vd_strdup("sign in");
    struct vd_web_who nobody = *who;

    nobody.name[0] = '\0';
    nobody.role = VD_WEB_ANYONE;
    vd_web_audit(vd_web_of(conn), &nobody, action, "refused");
}

static int reply_refused(struct mg_connection *conn, const struct attempt *attempt,
                         enum outcome outcome)
{
    VD_AUTO(mem) char *retry = NULL;

    switch (outcome) {
    case TOO_MANY:
        retry = vd_format("Retry-After: %lld\r\n", (long long)attempt->wait_s);
        return vd_web_reply_error(conn, 429, "too_many_attempts", "too many attempts failed",
                                  retry);
    case BUSY:
        return vd_web_reply_error(conn, 503, "busy", "too many sign in at the same time",
                                  "Retry-After: 1\r\n");
    case UNKNOWN:
        vd_error(vd_web_of(conn)->access.log, "could not check a password: it takes the memory "
                                              "that its hash names, 64 MiB as --hash-password "
                                              "makes it");
        return vd_web_reply_error(conn, 503, "no_memory", "the password could not be checked",
                                  "Retry-After: 10\r\n");
    default:
        return vd_web_reply_error(
            conn, 401, "wrong",
            attempt->name[0] == '\0' ? "the token is wrong" : "name or password is wrong", NULL);
    }
}

static int answer_sign_in(struct mg_connection *conn, const struct vd_web_request *request)
{
    struct vd_web *web = vd_web_of(conn);
    const struct vd_web_who *who = vd_web_request_who(request);
    VD_AUTO(cjson) cJSON *body = NULL;
    struct attempt attempt = {0};
    char counted[VD_WEB_ADDRESS_BYTES];
    enum outcome outcome;

    if (!web->access.is_on) {
        return vd_web_reply_error(conn, 409, "no_access_control", "nobody needs to sign in here",
                                  NULL);
    }
    body = is_flat(request->body) ? cJSON_Parse(request->body) : NULL;
    if (!read_attempt(web, body, &attempt)) {
        return vd_web_reply_error(conn, 400, "bad_request",
                                  strcmp(web->conf->access, "token") == 0
                                      ? "expected {\"token\":TEXT}"
                                      : "expected {\"name\":TEXT,\"password\":TEXT}",
                                  NULL);
    }
    vd_web_guard_counted(who->address, counted);
    outcome = try(&web->access, &attempt, counted);
    sodium_memzero((char *)(uintptr_t)attempt.secret, strlen(attempt.secret));
    vd_metric_add(web->access.sign_ins[outcome == SIGNED_IN ? 1 : 0], 1);
    if (outcome == SIGNED_IN) {
        return reply_signed_in(conn, attempt.account, who);
    }
    if (outcome == WRONG) {
        audit_failure(conn, &attempt, who);
    }
    return reply_refused(conn, &attempt, outcome);
}

/* ---- out ------------------------------------------------------------------------------------- */

static int answer_sign_out(struct mg_connection *conn, const struct vd_web_request *request)
{
    struct vd_web *web = vd_web_of(conn);
    const struct vd_web_who *who = vd_web_request_who(request);
    VD_AUTO(mem) char *cookie = vd_web_access_cookie(conn);
    VD_AUTO(mem)
    char *line = vd_format("Set-Cookie: %s=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0%s\r\n",
                           cookie, vd_web_access_is_tls(conn) ? "; Secure" : "");
    struct vd_web_who nobody = {.role = VD_WEB_ANYONE};
    bool was_there;

    pthread_mutex_lock(&web->access.lock);
    was_there = vd_web_session_end(&web->access.sessions, who->session);
    pthread_mutex_unlock(&web->access.lock);
    if (!was_there) {
        return vd_web_reply_error(conn, 409, "no_session", "there is no session to end", NULL);
    }
    vd_web_audit(web, who, "sign out", "ok");
    return reply_state(conn, &nobody, NULL, line);
}

void vd_web_sign_in_add(struct vd_web *web)
{
    static const struct {
        const char *method, *path;
        vd_web_answer_fn *answer;
        enum vd_web_role role;
    } routes[] = {
        {"GET", SESSION_PATH, answer_state, VD_WEB_ANYONE},
        {"POST", SESSION_PATH, answer_sign_in, VD_WEB_ANYONE},
        {"DELETE", SESSION_PATH, answer_sign_out, VD_WEB_VIEWER},
        {"GET", "/api/v1/sessions", answer_list, VD_WEB_ADMIN},
    };

    for (size_t at = 0; at < sizeof(routes) / sizeof(routes[0]); at++) {
        struct vd_web_route *route = NULL;
        enum vd_status status =
            vd_web_route_add(web, routes[at].method, routes[at].path, &route, NULL);

        assert(status == VD_OK); /* these are the first */
        (void)status;
        route->answer = routes[at].answer;
        route->role = routes[at].role;
    }
}
