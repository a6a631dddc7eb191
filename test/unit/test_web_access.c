/* Access control of the web server: a real one on loopback, with tokens or users. */
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"
#include "web_rig.h"

#define VIEWER "viewer0123456789abcdef0123456789"
#define OPERATOR "operator123456789abcdef012345678"
#define ADMIN "admin0123456789abcdef01234567890"
#define PASSWORD                                                                     \
    "correct \\\"horse\\u00e4" /* as JSON: correct "horse plus a letter of two bytes \
                                */

/* ---- the scene ------------------------------------------------------------------------------- */

static char folder[64];
static char *tokens_path, *users_path;

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The cheapest hash there is: how strong it is does not matter here. */
static char *cheap_hash(const char *password)
{
    char hash[crypto_pwhash_STRBYTES];

    assert_int_equal(crypto_pwhash_str(hash, password, strlen(password), crypto_pwhash_OPSLIMIT_MIN,
                                       crypto_pwhash_MEMLIMIT_MIN),
                     0);
    return vd_strdup(hash);
}

static int make_files(void **state)
{
    VD_AUTO(mem) char *hash = NULL;
    VD_AUTO(mem) char *users = NULL;

    assert_true(sodium_init() >= 0);
    hash = cheap_hash("correct \"horse\xc3\xa4");
    users = vd_format("ada:operator:%s\nbob:viewer:%s\n", hash, hash);
    (void)snprintf(folder, sizeof(folder), "/tmp/votingd-access-XXXXXX"); /* fits */
    assert_non_null(mkdtemp(folder));
    umask(0077);
    tokens_path = vd_format("%s/tokens", folder);
    users_path = vd_format("%s/users", folder);
    write_file(tokens_path, "v:viewer:" VIEWER "\no:operator:" OPERATOR "\na:admin:" ADMIN "\n");
    write_file(users_path, users);
    return 0;
}

static int remove_files(void **state)
{
    unlink(tokens_path);
    unlink(users_path);
    rmdir(folder);
    free(vd_take(tokens_path));
    free(vd_take(users_path));
    return 0;
}

static void on_who(void *arg, const struct vd_web_request *request,
                   struct vd_web_response *response)
{
    const struct vd_web_who *who = vd_web_request_who(request);

    vd_buf_printf(&response->body, "%s is %s at %s", who->name, vd_web_role_name(who->role),
                  who->address);
}

static void on_tagged(void *arg, const struct vd_web_request *request,
                      struct vd_web_response *response)
{
    (void)snprintf(response->etag, sizeof(response->etag), "e"); /* fits */
    response->is_immutable = true;
}

static void add_page(struct rig *rig, const void *arg)
{
    VD_AUTO(buf) struct vd_buf page = {0};
    struct vd_web *web = rig->web;
    struct vd_err *err = &rig->err;

    vd_buf_add_text(&page, "<!doctype html>");
    assert_int_equal(vd_web_file(web, "/", "text/html", &page, err), VD_OK);
    assert_int_equal(vd_web_file(web, "/login", "text/html", &page, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /who", on_who, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /tagged", on_tagged, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /metrics", on_who, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "POST /act", on_who, NULL, err), VD_OK);
    vd_web_allow(web, "GET /login", VD_WEB_ANYONE);
    rig_add_socket(rig, arg);
}

static void open_tokens(struct rig *rig)
{
    const char *const options[] = {"access",   "token",           "tokens",    tokens_path, "open",
                                   "/metrics", "trusted_proxies", "127.0.0.1", NULL};

    rig_open(rig, options, add_page);
}

static void open_users(struct rig *rig)
{
    const char *const options[] = {
        "access",          "users",     "users",           users_path, "tokens", tokens_path,
        "trusted_proxies", "127.0.0.1", "session_idle_ms", "60000",    NULL};

    rig_open(rig, options, add_page);
}

/* Send "METHOD PATH" with 'headers' and, unless NULL, a body of JSON. Owns: the caller frees it. */
static char *ask(struct rig *rig, const char *what, const char *headers, const char *body)
{
    VD_AUTO(mem)
    char *request =
        body == NULL ? vd_format("%s HTTP/1.1\r\nHost: HOST\r\n%s\r\n", what, headers)
                     : vd_format("%s HTTP/1.1\r\nHost: HOST\r\n%sContent-Type: application/json\r\n"
                                 "Content-Length: %zu\r\n\r\n%s",
                                 what, headers, strlen(body), body);

    return rig_http(rig, request);
}

static void assert_answers(struct rig *rig, const char *what, const char *headers, const char *body,
                           const char *status, const char *text)
{
    VD_AUTO(mem) char *answer = ask(rig, what, headers, body);
    VD_AUTO(mem) char *line = vd_format("HTTP/1.1 %s", status);

    if (strncmp(answer, line, strlen(line)) != 0 || strstr(answer, text) == NULL) {
        fail_msg("%s\n%sexpected %s and \"%s\", got: %.1200s", what, headers, status, text, answer);
    }
}

struct signed_in {
    char cookie[128]; /* "Cookie: name=value\r\n" */
    char csrf[128];   /* "X-CSRF-Token: value\r\n" */
    char both[256];
    char *answer;
};

static void sign_in(struct rig *rig, const char *headers, const char *name, struct signed_in *in)
{
    VD_AUTO(mem)
    char *body = vd_format("{\"name\":\"%s\",\"password\":\"" PASSWORD "\"}", name);
    const char *cookie, *token;

    in->answer = ask(rig, "POST /api/v1/session", headers, body);
    assert_non_null(strstr(in->answer, "HTTP/1.1 200 OK"));
    cookie = strstr(in->answer, "Set-Cookie: ");
    token = strstr(in->answer, "\"csrf_token\":\"");
    assert_non_null(cookie);
    assert_non_null(token);
    (void)snprintf(in->cookie, sizeof(in->cookie), "Cookie: %.*s\r\n",
                   (int)strcspn(cookie + 12, ";"), cookie + 12);
    (void)snprintf(in->csrf, sizeof(in->csrf), "X-CSRF-Token: %.32s\r\n", token + 14);
    (void)snprintf(in->both, sizeof(in->both), "%s%s", in->cookie, in->csrf);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

TEST(each_role_may_what_it_may)
{
    static const struct {
        const char *what, *headers, *status, *text;
    } cases[] = {
        {"GET /who", "", "401 Unauthorized",
         "{\"error\":{\"code\":\"not_signed_in\",\"message\":"
         "\"sign in first, or send a token\"}}"},
        {"GET /who", "", "401 Unauthorized", "WWW-Authenticate: Bearer\r\n"},
        {"GET /", "", "401 Unauthorized", "not_signed_in"},
        {"GET /", "Accept: text/html,*/*\r\n", "303 See Other", "Location: /login\r\n"},
        {"GET /login", "", "200 OK", "<!doctype"},
        {"GET /metrics", "", "200 OK", " is anyone at 127.0.0.1"}, /* by option "open" */
        {"GET /who", "Authorization: Bearer " VIEWER "\r\n", "200 OK", "v is viewer at 127.0.0.1"},
        {"GET /who", "Authorization: bearer " OPERATOR "\r\n", "200 OK", "o is operator"},
        {"GET /who", "Authorization: Bearer " VIEWER "x\r\n", "401 Unauthorized", "error"},
        {"GET /who", "Authorization: Bearer \r\n", "401 Unauthorized", "error"},
        {"GET /who", "Authorization: Basic dXNlcjpwYXNz\r\n", "401 Unauthorized", "error"},
        {"GET /who?token=" VIEWER, "", "401 Unauthorized", "error"},
        {"GET /who", "X-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer " VIEWER "\r\n", "200",
         "at 192.0.2.7"},
        {"POST /act", "", "401 Unauthorized", "error"},
        {"POST /act", "Authorization: Bearer " VIEWER "\r\n", "403 Forbidden",
         "\"code\":\"forbidden\",\"message\":\"this needs the role operator, and v is viewer\""},
        {"POST /act", "Authorization: Bearer " OPERATOR "\r\n", "200 OK", "o is operator"},
        {"POST /act", "Origin: http://evil.example\r\nAuthorization: Bearer " OPERATOR "\r\n",
         "403 Forbidden", "wrong_origin"},
        {"GET /api/v1/sessions", "Authorization: Bearer " OPERATOR "\r\n", "403 Forbidden",
         "admin"},
        {"GET /api/v1/sessions", "Authorization: Bearer " ADMIN "\r\n", "200 OK",
         "{\"sessions\":[]}"},
        {"GET /api/v1/session", "", "200 OK",
         "{\"access\":\"token\",\"actions\":false,\"role\":\"anyone\",\"name\":null,"
         "\"csrf_token\":null}"},
        {"GET /api/v1/session", "Authorization: Bearer " VIEWER "\r\n", "200 OK",
         "\"role\":\"viewer\",\"name\":\"v\",\"csrf_token\":null}"},
        {"DELETE /api/v1/session", "Authorization: Bearer " VIEWER "\r\n", "409 Conflict",
         "no_session"},
        {"GET /tagged", "Authorization: Bearer " VIEWER "\r\n", "200 OK",
         "Cache-Control: private, max-age=31536000, immutable\r\n"},
        /* Who knows a tag is not let in by it, and what he may see is for no shared cache. */
        {"GET /", "If-None-Match: *\r\n", "401 Unauthorized", "not_signed_in"},
        {"GET /", "Accept: text/html\r\nIf-None-Match: *\r\n", "303 See Other",
         "Cache-Control: no-store\r\n"},
        {"GET /", "If-None-Match: *\r\nAuthorization: Bearer " VIEWER "\r\n", "304 Not Modified",
         "Cache-Control: private, no-cache\r\n"},
        {"GET /login", "If-None-Match: *\r\n", "304 Not Modified",
         "Cache-Control: private, no-cache\r\n"},
    };
    struct rig rig;

    open_tokens(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_answers(&rig, cases[i].what, cases[i].headers, NULL, cases[i].status, cases[i].text);
    }
    assert_true(rig_metric(&rig, "votingd_http_denied_total{reason=\"role\"}") == 2);
    rig_close(&rig);
}

TEST(a_token_is_exchanged_for_a_session)
{
    struct rig rig;

    open_tokens(&rig);
    assert_answers(&rig, "POST /api/v1/session", "", "{\"token\":\"" ADMIN "\"}", "200 OK",
                   "; Path=/; HttpOnly; SameSite=Strict\r\n");
    assert_answers(&rig, "POST /api/v1/session", "", "{\"token\":\"" ADMIN "x\"}",
                   "401 Unauthorized", "the token is wrong");
    assert_answers(&rig, "POST /api/v1/session", "", "{\"name\":\"a\",\"password\":\"b\"}",
                   "400 Bad Request", "expected {\\\"token\\\":TEXT}");
    assert_true(rig_metric(&rig, "votingd_http_sign_ins_total{result=\"ok\"}") == 1);
    assert_true(rig_metric(&rig, "votingd_http_sign_ins_total{result=\"failed\"}") == 1);
    rig_close(&rig);
}

TEST(a_websocket_needs_a_token_or_a_session)
{
    static const char protocol[] = "Sec-WebSocket-Protocol: votingd.v1\r\n";
    VD_AUTO(mem) char *token = vd_format("%sAuthorization: Bearer " VIEWER "\r\n", protocol);
    VD_AUTO(mem) char *wrong = vd_format("%sAuthorization: Bearer x\r\n", protocol);
    VD_AUTO(mem) char *evil = vd_format("%sOrigin: http://evil.example\r\n", token);
    struct rig rig;
    struct ws ws;

    open_tokens(&rig);
    assert_int_equal(ws_open(&ws, &rig, NULL), 401);
    ws_close(&ws);
    assert_int_equal(ws_open(&ws, &rig, wrong), 403); /* without Origin only a token will do */
    ws_close(&ws);
    assert_int_equal(ws_open(&ws, &rig, evil), 403);
    ws_close(&ws);
    assert_int_equal(ws_open(&ws, &rig, token), 101);
    ws_close(&ws);
    assert_true(rig_metric(&rig, "votingd_websocket_refusals_total{reason=\"not_signed_in\"}") ==
                1);
    rig_close(&rig);
}

/* ---- users ----------------------------------------------------------------------------------- */

TEST(a_session_reads_and_with_its_proof_acts_until_it_is_ended)
{
    VD_AUTO(mem) char *basic = NULL;
    VD_AUTO(mem) char *bearer = NULL;
    struct signed_in ada, bob;
    struct rig rig;

    open_users(&rig);
    sign_in(&rig, "", "ada", &ada);
    sign_in(&rig, "", "bob", &bob);
    basic = vd_format("Authorization: Basic dXNlcjpwYXNz\r\n%s", ada.cookie);
    bearer = vd_format("Authorization: Bearer " VIEWER "\r\n%s", ada.cookie);
    assert_answers(&rig, "GET /who", basic, NULL, "200 OK", "ada is operator");
    assert_answers(&rig, "GET /who", bearer, NULL, "200 OK", "v is viewer");
    assert_null(strstr(ada.answer, "Secure"));
    assert_answers(&rig, "GET /who", ada.cookie, NULL, "200 OK", "ada is operator");
    assert_answers(&rig, "GET /who", bob.cookie, NULL, "200 OK", "bob is viewer");
    assert_answers(&rig, "GET /api/v1/session", ada.cookie, NULL, "200 OK", "\"name\":\"ada\"");
    assert_answers(&rig, "POST /act", ada.cookie, NULL, "403 Forbidden",
                   "the request lacks the header X-CSRF-Token that GET /api/v1/session tells");
    assert_answers(&rig, "POST /act", ada.csrf, NULL, "401 Unauthorized", "not_signed_in");
    assert_answers(&rig, "POST /act", bob.both, NULL, "403 Forbidden", "bob is viewer");
    assert_answers(&rig, "POST /act", ada.both, NULL, "200 OK", "ada is operator");
    assert_answers(&rig, "GET /api/v1/sessions", "Authorization: Bearer " ADMIN "\r\n", NULL,
                   "200 OK", "\"name\":\"bob\",\"address\":\"127.0.0.1\"}");
    assert_answers(&rig, "DELETE /api/v1/session", ada.cookie, NULL, "403 Forbidden", "csrf");
    assert_answers(&rig, "DELETE /api/v1/session", ada.both, NULL, "200 OK", "Max-Age=0");
    assert_answers(&rig, "GET /who", ada.cookie, NULL, "401 Unauthorized", "not_signed_in");
    assert_answers(&rig, "GET /who", bob.cookie, NULL, "200 OK", "bob is viewer");
    free(ada.answer);
    free(bob.answer);
    rig_close(&rig);
}

TEST(behind_tls_the_cookie_is_for_tls_only)
{
    static const char tls[] = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.9\r\n";
    VD_AUTO(mem) char *headers = NULL;
    struct signed_in ada;
    struct rig rig;

    open_users(&rig);
    sign_in(&rig, tls, "ada", &ada);
    assert_non_null(strstr(ada.answer, "Set-Cookie: __Host-votingd-"));
    assert_non_null(strstr(ada.answer, "; Path=/; HttpOnly; SameSite=Strict; Secure\r\n"));
    headers = vd_format("%s%s", tls, ada.cookie);
    assert_answers(&rig, "GET /who", headers, NULL, "200 OK", "ada is operator at 192.0.2.9");
    assert_answers(&rig, "GET /who", ada.cookie, NULL, "401 Unauthorized", "not_signed_in");
    free(ada.answer);
    rig_close(&rig);
}

TEST(what_is_no_name_with_its_password_is_refused)
{
    static const struct {
        const char *body, *status, *text;
    } cases[] = {
        {"{\"name\":\"ada\",\"password\":\"wrong horse\"}", "401", "name or password is wrong"},
        {"{\"name\":\"eve\",\"password\":\"" PASSWORD "\"}", "401", "name or password is wrong"},
        {"{\"name\":\"\",\"password\":\"" PASSWORD "\"}", "400", "expected"},
        {"{\"name\":\"ada\"}", "400", "expected {\\\"name\\\":TEXT,\\\"password\\\":TEXT}"},
        {"{\"name\":[\"ada\"],\"password\":\"x\"}", "400", "expected"},
        {"{\"name\":{\"name\":\"ada\"},\"password\":\"x\"}", "400", "expected"},
        {"{\"token\":\"" ADMIN "\"}", "400", "expected"},
        {"", "400", "expected"},
        {"null", "400", "expected"},
    };
    VD_AUTO(mem) char *deep = vd_format("{\"name\":%0900d", 0);
    struct rig rig;

    open_users(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_answers(&rig, "POST /api/v1/session", "", cases[i].body, cases[i].status,
                       cases[i].text);
    }
    memset(deep + 8, '[', 900); /* as deep as a body can be */
    assert_answers(&rig, "POST /api/v1/session", "", deep, "400", "expected");
    assert_answers(&rig, "POST /api/v1/session", "Origin: http://evil.example\r\n",
                   "{\"name\":\"ada\",\"password\":\"" PASSWORD "\"}", "403", "wrong_origin");
    rig_close(&rig);
}

TEST(an_address_that_guesses_has_to_wait_and_others_do_not)
{
    static const char body[] = "{\"name\":\"ada\",\"password\":\"wrong horse\"}";
    struct signed_in ada;
    struct rig rig;

    open_users(&rig);
    for (int i = 0; i < 10; i++) {
        assert_answers(&rig, "POST /api/v1/session", "X-Forwarded-For: 192.0.2.1\r\n", body, "401",
                       "wrong");
    }
    assert_answers(&rig, "POST /api/v1/session", "X-Forwarded-For: 192.0.2.1\r\n", body,
                   "429 Too Many Requests", "Retry-After: ");
    assert_answers(&rig, "POST /api/v1/session", "X-Forwarded-For: 192.0.2.1\r\n",
                   "{\"name\":\"ada\",\"password\":\"" PASSWORD "\"}", "429", "too_many_attempts");
    sign_in(&rig, "X-Forwarded-For: 192.0.2.2\r\n", "ada", &ada);
    for (int i = 0; i < 10; i++) {
        VD_AUTO(mem) char *from = vd_format("X-Forwarded-For: 2001:db8::%d\r\n", i);

        assert_answers(&rig, "POST /api/v1/session", from, body, "401", "wrong");
    }
    assert_answers(&rig, "POST /api/v1/session", "X-Forwarded-For: 2001:db8::a\r\n", body, "429",
                   "too_many_attempts");
    free(ada.answer);
    rig_close(&rig);
}

static void open_as(struct ws *ws, struct rig *rig, const struct signed_in *in)
{
    VD_AUTO(mem)
    char *headers =
        vd_format("Origin: http://HOST\r\nSec-WebSocket-Protocol: votingd.v1\r\n%s", in->cookie);

    assert_int_equal(ws_open(ws, rig, headers), 101);
    ws_assert_reads(ws, "hello");
}

TEST(a_websocket_ends_with_its_session)
{
    struct signed_in ada, bob;
    struct ws first, second;
    struct rig rig;
    const char *bye;

    open_users(&rig);
    sign_in(&rig, "", "ada", &ada);
    sign_in(&rig, "", "bob", &bob);
    open_as(&first, &rig, &ada);
    open_as(&second, &rig, &bob);
    assert_answers(&rig, "DELETE /api/v1/session", ada.both, NULL, "200 OK", "anyone");
    bye = ws_read(&first, WS_READ_MS);
    assert_non_null(bye);
    assert_non_null(strstr(bye, "\"reason\":\"signed_out\""));
    ws_assert_closed(&first, 1008);
    rig_do(&rig, rig_beat, "beat");
    ws_assert_reads(&second, "beat");
    ws_close(&second);
    free(ada.answer);
    free(bob.answer);
    rig_close(&rig);
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define CROWD 8
#define CROWD_ROUNDS 4 /* by turns, so that nobody has more sessions than an account may have */

static void *crowd_run(void *arg)
{
    struct rig *rig = arg;

    for (int i = 0; i < CROWD_ROUNDS; i++) {
        const char *name = i % 2 == 0 ? "ada" : "bob";
        VD_AUTO(mem)
        char *body = vd_format("{\"name\":\"%s\",\"password\":\"" PASSWORD "\"}", name);
        VD_AUTO(mem) char *expected = vd_format("\"name\":\"%s\"", name);
        VD_AUTO(mem) char *answer = ask(rig, "POST /api/v1/session", "", body);
        const char *cookie = strstr(answer, "Set-Cookie: ");
        VD_AUTO(mem) char *headers = NULL;

        if (cookie == NULL) {
            assert_non_null(strstr(answer, "503 Service Unavailable")); /* one at a time */
            continue;
        }
        headers = vd_format("Cookie: %.*s\r\n", (int)strcspn(cookie + 12, ";"), cookie + 12);
        assert_answers(rig, "GET /api/v1/session", headers, NULL, "200 OK", expected);
    }
    return NULL;
}

TEST(many_sign_in_at_once_and_none_gets_anothers_session)
{
    pthread_t threads[CROWD];
    struct rig rig;

    open_users(&rig);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &rig), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(rig_metric(&rig, "votingd_http_sign_ins_total{result=\"ok\"}") > 0);
    rig_close(&rig);
}

TEST(every_address_can_be_listened_on_with_access_control)
{
    const char *const options[] = {"access",    "token", "tokens",           tokens_path, "listen",
                                   "0.0.0.0:0", "hosts", "vote.example.org", NULL};
    struct rig rig;

    rig_open(&rig, options, add_page);
    assert_answers(&rig, "GET /who", "", NULL, "401 Unauthorized", "not_signed_in");
    assert_answers(&rig, "GET /who", "Authorization: Bearer " VIEWER "\r\n", NULL, "200 OK",
                   "v is");
    rig_close(&rig);
}

/* ---- actions ----------------------------------------------------------------------------------
 */

static void on_action(void *arg, const struct vd_web_request *request,
                      struct vd_web_response *response)
{
    vd_web_request_audit(request, "ring the bell", "ok");
    vd_buf_printf(&response->body, "rung by %s", vd_web_request_name(request));
}

static void add_action(struct rig *rig, const void *arg)
{
    assert_int_equal(vd_web_route_action(rig->web, "POST /bell", on_action, NULL, &rig->err),
                     VD_OK);
}

TEST(an_action_is_there_only_where_operators_may_act)
{
    const char *const options[] = {"access",  "token", "tokens", tokens_path,
                                   "actions", "yes",   NULL};
    const char *const without[] = {"access", "token", "tokens", tokens_path, NULL};
    const char *const operator= "Authorization: Bearer " OPERATOR "\r\n";
    struct rig rig;

    rig_open(&rig, options, add_action);
    assert_answers(&rig, "POST /bell", operator, "{}", "200 OK", "rung by o");
    assert_answers(&rig, "POST /bell", "Authorization: Bearer " VIEWER "\r\n", "{}",
                   "403 Forbidden", "this needs the role operator, and v is viewer");
    assert_answers(&rig, "POST /bell",
                   "Authorization: Bearer " OPERATOR "\r\nOrigin: http://b.example\r\n", "{}",
                   "403 Forbidden", "from another site");
    assert_answers(&rig, "POST /bell", "", "{}", "401 Unauthorized", "sign in first");
    rig_close(&rig);
    rig_open(&rig, without, add_action);
    assert_answers(&rig, "POST /bell", operator, "{}", "404 Not Found", "nothing at this path");
    rig_close(&rig);
}

/* ---- without --------------------------------------------------------------------------------- */

TEST(without_access_control_everybody_on_this_machine_may)
{
    struct rig rig;

    rig_open(&rig, NULL, add_page);
    assert_answers(&rig, "GET /who", "", NULL, "200 OK", " is admin at 127.0.0.1");
    assert_answers(&rig, "POST /act", "", NULL, "200 OK", " is admin");
    assert_answers(&rig, "GET /api/v1/session", "", NULL, "200 OK",
                   "{\"access\":\"none\",\"actions\":false,\"role\":\"admin\",\"name\":null,"
                   "\"csrf_token\":null}");
    assert_answers(&rig, "POST /api/v1/session", "", "{\"token\":\"x\"}", "409 Conflict",
                   "nobody needs to sign in here");
    assert_answers(&rig, "GET /api/v1/sessions", "", NULL, "200 OK", "[]");
    rig_close(&rig);
}

TEST(a_file_of_secrets_that_is_missing_ends_the_start)
{
    static const char *const options[] = {"access", "token", "tokens", "/nowhere/tokens", NULL};
    struct rig rig;

    rig_open(&rig, options, add_page);
    assert_int_equal(rig.err.status, VD_FAILED);
    assert_string_equal(
        rig.err.msg,
        "option \"tokens\": could not open \"/nowhere/tokens\": No such file or directory");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_what_it_may),
        cmocka_unit_test(a_token_is_exchanged_for_a_session),
        cmocka_unit_test(a_websocket_needs_a_token_or_a_session),
        cmocka_unit_test(a_session_reads_and_with_its_proof_acts_until_it_is_ended),
        cmocka_unit_test(behind_tls_the_cookie_is_for_tls_only),
        cmocka_unit_test(what_is_no_name_with_its_password_is_refused),
        cmocka_unit_test(an_address_that_guesses_has_to_wait_and_others_do_not),
        cmocka_unit_test(a_websocket_ends_with_its_session),
        cmocka_unit_test(many_sign_in_at_once_and_none_gets_anothers_session),
        cmocka_unit_test(every_address_can_be_listened_on_with_access_control),
        cmocka_unit_test(an_action_is_there_only_where_operators_may_act),
        cmocka_unit_test(without_access_control_everybody_on_this_machine_may),
        cmocka_unit_test(a_file_of_secrets_that_is_missing_ends_the_start),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
