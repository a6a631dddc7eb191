/* The HTTP client against a tiny server on the same loop. */
#include "http.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"

#include "http_server.h"
#include "test.h"

#define PATIENCE_MS 20000
#define MANY 100

/* ---- the scene ---------------------------------------------------------------------------- */

struct scene {
    struct vd_loop loop;
    struct server server;
    struct vd_http *http;
    uv_timer_t patience;
    int port;
    int done;
};

/* What a call came to, copied. */
struct outcome {
    struct scene *scene;
    int count;
    bool has_failed;
    struct vd_err err;
    int status;
    char content_type[64];
    int64_t retry_after_s;
    char body[1024];
    size_t len;
    struct vd_http_call *call;
    struct vd_http_call **cancel; /* to be set before: cancelled in the callback */
    bool closes;                  /* to be set before: the client is closed in the callback */
};

static void on_impatient(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){0};
    vd_loop_init(&scene->loop);
    scene->port = server_start(&scene->server, &scene->loop.uv);
    scene->http = vd_http_new(&scene->loop);
    uv_timer_init(&scene->loop.uv, &scene->patience);
    uv_timer_start(&scene->patience, on_impatient, PATIENCE_MS, 0);
}

static void turn_until(struct scene *scene, const int *counter, int wanted)
{
    while (*counter < wanted) {
        uv_run(&scene->loop.uv, UV_RUN_ONCE);
    }
}

static void end(struct scene *scene)
{
    vd_http_close(vd_take(scene->http));
    server_stop(&scene->server);
    uv_close((uv_handle_t *)&scene->patience, NULL);
    uv_run(&scene->loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop.uv), 0);
}

static void on_done(void *arg, const struct vd_http_response *response)
{
    struct outcome *outcome = arg;

    outcome->count++;
    outcome->scene->done++;
    outcome->has_failed = response->err != NULL;
    if (response->err != NULL) {
        outcome->err = *response->err;
    }
    outcome->status = response->status;
    outcome->retry_after_s = response->retry_after_s;
    outcome->len = response->len;
    (void)snprintf(outcome->content_type, sizeof(outcome->content_type), "%s",
                   response->content_type);
    (void)snprintf(outcome->body, sizeof(outcome->body), "%s", response->body);
    if (outcome->cancel != NULL) {
        vd_http_cancel(*outcome->cancel);
    }
    if (outcome->closes) {
        vd_http_close(vd_take(outcome->scene->http));
    }
}

static void start(struct scene *scene, struct outcome *outcome, const char *path,
                  const struct vd_http_request *like)
{
    struct vd_http_request request = like != NULL ? *like : (struct vd_http_request){0};
    VD_AUTO(mem) char *url = vd_format("http://127.0.0.1:%d%s", scene->port, path);
    struct vd_err err = {0};

    request.url = url;
    outcome->scene = scene;
    outcome->call = vd_http_get(scene->http, &request, on_done, outcome, &err);
    if (outcome->call == NULL) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(outcome->count, 0);
}

static struct outcome get(struct scene *scene, const char *path, const struct vd_http_request *like)
{
    struct outcome outcome = {0};

    start(scene, &outcome, path, like);
    turn_until(scene, &outcome.count, 1);
    return outcome;
}

/* ---- answers ------------------------------------------------------------------------------ */

TEST(answers_of_every_status_are_answers)
{
    static const struct {
        const char *path;
        int status;
        int64_t retry_after_s;
        const char *content_type;
        const char *body;
    } cases[] = {
        {"/ok", 200, -1, "text/plain", "hello"},
        {"/missing", 404, -1, "", "no such page"},
        {"/broken", 500, -1, "", ""},
        {"/moved", 302, -1, "", "elsewhere"},
        {"/busy", 503, 7, "", "later"},
        {"/busy-past", 429, 0, "", ""},
        {"/busy-odd", 429, -1, "", ""},
        {"/busy-negative", 429, -1, "", ""},
        {"/hint", 200, -1, "", "ok"},
        {"/chunked", 200, -1, "", "abcde"},
        {"/to-the-end", 200, -1, "", "until I close"},
    };
    struct scene scene;

    begin(&scene);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outcome outcome = get(&scene, cases[i].path, NULL);

        if (outcome.has_failed) {
            fail_msg("%s", outcome.err.msg);
        }
        assert_int_equal(outcome.status, cases[i].status);
        assert_int_equal(outcome.retry_after_s, cases[i].retry_after_s);
        assert_string_equal(outcome.content_type, cases[i].content_type);
        assert_string_equal(outcome.body, cases[i].body);
        assert_int_equal(outcome.len, strlen(cases[i].body));
    }
    assert_true(get(&scene, "/busy-date", NULL).retry_after_s > INT64_C(60) * 60 * 24 * 365);
    end(&scene);
}

TEST(a_request_says_who_asks_and_what_is_accepted)
{
    const struct vd_http_request like = {.accept = "application/json"};
    struct scene scene;
    struct outcome outcome;

    begin(&scene);
    outcome = get(&scene, "/echo?results=3&nat=us", &like);
    assert_memory_equal(outcome.body, "GET /echo?results=3&nat=us HTTP/1.1\r\n", 37);
    assert_non_null(strstr(outcome.body, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nUser-Agent: votingd/"));
    assert_null(strstr(outcome.body, "Accept-Encoding"));
    end(&scene);
}

TEST(many_calls_run_at_once)
{
    static struct outcome outcomes[MANY];
    struct scene scene;

    begin(&scene);
    for (size_t i = 0; i < MANY; i++) {
        outcomes[i] = (struct outcome){0};
        start(&scene, &outcomes[i], i % 3 == 0 ? "/half" : "/ok", NULL);
    }
    turn_until(&scene, &scene.done, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].has_failed, i % 3 == 0);
    }
    end(&scene);
}

/* ---- faults ------------------------------------------------------------------------------- */

TEST(broken_answers_are_errors)
{
    static const struct {
        const char *path;
        const char *words; /* behind: could not get "http://127.0.0.1:PORT/path": */
    } cases[] = {
        {"/nothing", "Empty reply from server"},
        {"/half", "transfer closed with 91 bytes remaining to read"},
        {"/half-chunk", "transfer closed with outstanding read data remaining"},
        {"/garbage", "Received HTTP/0.9 when not allowed"},
        {"/reset", NULL}, /* libcurl's words depend on what came first */
        {"/announced", "the answer is larger than 1000000 bytes"},
        {"/endless", "the answer is larger than 1000000 bytes"},
        {"/endless-head", "the head of the answer is larger than 65536 bytes"},
        {"/silent", "no complete answer within 200 ms"},
    };
    struct scene scene;

    begin(&scene);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_silent = strcmp(cases[i].path, "/silent") == 0;
        struct vd_http_request like = {.timeout_ms = is_silent ? 200 : 0,
                                       .body_bytes_max = 1000000};
        VD_AUTO(mem) char *path = vd_format("%s?secret=1", cases[i].path);
        VD_AUTO(mem)
        char *front =
            vd_format("could not get \"http://127.0.0.1:%d%s\": ", scene.port, cases[i].path);
        struct outcome outcome = get(&scene, path, &like);

        assert_true(outcome.has_failed);
        assert_int_equal(outcome.err.status, VD_FAILED);
        assert_int_equal(outcome.status, 0);
        assert_string_equal(outcome.body, "");
        assert_memory_equal(outcome.err.msg, front, strlen(front));
        if (cases[i].words != NULL) {
            assert_string_equal(outcome.err.msg + strlen(front), cases[i].words);
        }
    }
    end(&scene);
}

TEST(a_body_of_exactly_the_limit_is_taken)
{
    const struct vd_http_request exact = {.body_bytes_max = 5}, smaller = {.body_bytes_max = 4};
    struct scene scene;

    begin(&scene);
    assert_string_equal(get(&scene, "/ok", &exact).body, "hello");
    assert_string_equal(get(&scene, "/chunked", &exact).body, "abcde");
    assert_true(get(&scene, "/ok", &smaller).has_failed);
    assert_true(get(&scene, "/chunked", &smaller).has_failed);
    end(&scene);
}

TEST(a_port_where_nobody_listens_is_an_error)
{
    const struct vd_http_request request = {.url = "http://user:word@127.0.0.1:1/x?key=secret"};
    struct outcome outcome = {0};
    struct scene scene;
    static const char front[] = "could not get \"http://127.0.0.1:1/x\": Failed to connect to ";

    begin(&scene);
    outcome.scene = &scene;
    assert_non_null(vd_http_get(scene.http, &request, on_done, &outcome, NULL));
    turn_until(&scene, &outcome.count, 1);
    assert_int_equal(outcome.err.status, VD_FAILED);
    assert_memory_equal(outcome.err.msg, front, sizeof(front) - 1);
    end(&scene);
}

TEST(urls_of_another_kind_are_refused_at_once)
{
    static const struct {
        const char *url;
        const char *msg;
    } cases[] = {
        {"ftp://127.0.0.1/", "not a URL of http or https"},
        {"file:///etc/passwd", "not a URL of http or https"},
        {"gopher://127.0.0.1/", "not a URL of http or https"},
        {"unheard-of://127.0.0.1/", "not a URL of http or https"},
        {"127.0.0.1/", NULL},
        {"", NULL},
        {"http://", NULL},
        {"http://127.0.0.1:70000/", NULL},
        {"http://a b/", NULL},
        {"http://a/\r\nX: y", NULL},
    };
    struct scene scene;

    begin(&scene);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vd_http_request request = {.url = cases[i].url};
        struct vd_err err = {0};

        if (vd_http_get(scene.http, &request, on_done, NULL, &err) != NULL) {
            fail_msg("\"%s\" was accepted", cases[i].url);
        }
        assert_int_equal(err.status, VD_INVALID);
        if (cases[i].msg != NULL) {
            assert_string_equal(err.msg, cases[i].msg);
        } else {
            assert_memory_equal(err.msg, "not a URL: ", 11);
        }
    }
    end(&scene);
}

TEST(calls_are_limited_in_number)
{
    static struct outcome outcomes[256];
    struct vd_http_request request = {.url = "http://127.0.0.1:1/"};
    struct vd_err err = {0};
    struct scene scene;

    begin(&scene);
    for (size_t i = 0; i < 256; i++) {
        outcomes[i] = (struct outcome){0};
        start(&scene, &outcomes[i], "/silent", NULL);
    }
    assert_null(vd_http_get(scene.http, &request, on_done, NULL, &err));
    assert_int_equal(err.status, VD_AGAIN);
    assert_string_equal(err.msg, "256 requests are under way");
    end(&scene);
}

/* ---- endings ------------------------------------------------------------------------------ */

TEST(a_cancelled_call_is_never_answered)
{
    struct outcome at_once = {0}, in_flight = {0}, other = {0};
    struct scene scene;

    begin(&scene);
    start(&scene, &at_once, "/ok", NULL);
    vd_http_cancel(at_once.call);
    start(&scene, &in_flight, "/silent", NULL);
    turn_until(&scene, &scene.server.requests, 1);
    vd_http_cancel(in_flight.call);
    vd_http_cancel(NULL);
    start(&scene, &other, "/ok", NULL);
    turn_until(&scene, &other.count, 1);
    assert_int_equal(at_once.count, 0);
    assert_int_equal(in_flight.count, 0);
    end(&scene);
}

TEST(a_callback_may_cancel_its_own_call_and_others)
{
    struct outcome own = {0}, first = {0}, second = {0};
    struct scene scene;

    begin(&scene);
    own.cancel = &own.call;
    start(&scene, &own, "/ok", NULL);
    turn_until(&scene, &own.count, 1);
    first.cancel = &second.call;
    second.cancel = &first.call;
    start(&scene, &first, "/ok", NULL);
    start(&scene, &second, "/ok", NULL);
    turn_until(&scene, &scene.done, 2);
    uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(first.count + second.count, 1);
    end(&scene);
}

TEST(close_ends_calls_without_their_callback)
{
    struct outcome outcomes[3] = {0};
    struct scene scene;

    begin(&scene);
    (void)get(&scene, "/ok", NULL); /* leaves a connection for the next call */
    start(&scene, &outcomes[0], "/silent", NULL);
    start(&scene, &outcomes[1], "/endless", NULL);
    turn_until(&scene, &scene.server.requests, 3);
    start(&scene, &outcomes[2], "/ok", NULL);
    vd_http_close(vd_take(scene.http));
    vd_http_close(NULL);
    end(&scene);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].count, 0);
    }
}

TEST(a_callback_may_close_the_client)
{
    struct outcome closing = {.closes = true}, silent = {0};
    struct scene scene;

    begin(&scene);
    start(&scene, &silent, "/silent", NULL);
    start(&scene, &closing, "/ok", NULL);
    turn_until(&scene, &closing.count, 1);
    assert_null(scene.http);
    end(&scene);
    assert_int_equal(silent.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_every_status_are_answers),
        cmocka_unit_test(a_request_says_who_asks_and_what_is_accepted),
        cmocka_unit_test(many_calls_run_at_once),
        cmocka_unit_test(broken_answers_are_errors),
        cmocka_unit_test(a_body_of_exactly_the_limit_is_taken),
        cmocka_unit_test(a_port_where_nobody_listens_is_an_error),
        cmocka_unit_test(urls_of_another_kind_are_refused_at_once),
        cmocka_unit_test(calls_are_limited_in_number),
        cmocka_unit_test(a_cancelled_call_is_never_answered),
        cmocka_unit_test(a_callback_may_cancel_its_own_call_and_others),
        cmocka_unit_test(close_ends_calls_without_their_callback),
        cmocka_unit_test(a_callback_may_close_the_client),
    };

    /* A proxy of the machine would stand between us and our own server. */
    (void)setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
