/* The HTTP side of the web server: a real one on loopback, and requests as text. */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "alloc.h"
#include "test.h"
#include "web_rig.h"

#define PAGE_BYTES 20000
#define LARGE_LINES 20000 /* of 64 bytes */

static sem_t handler_began, handler_may_end;
static atomic_int handler_calls;

static void on_echo(void *arg, const struct vd_web_request *request,
                    struct vd_web_response *response)
{
    vd_buf_printf(&response->body, "%s %s?%s [%s] %.*s", request->method, request->path,
                  request->query, request->if_none_match, (int)request->body_len, request->body);
    response->content_type = "text/plain";
}

static void on_tagged(void *arg, const struct vd_web_request *request,
                      struct vd_web_response *response)
{
    (void)snprintf(response->etag, sizeof(response->etag), "e-7");
    response->is_immutable = true;
    vd_buf_add_text(&response->body, "{}");
}

static void on_large(void *arg, const struct vd_web_request *request,
                     struct vd_web_response *response)
{
    static const char line[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";

    for (int i = 0; i < LARGE_LINES; i++) {
        vd_buf_add(&response->body, line, sizeof(line) - 1);
    }
    response->filename = "large.csv";
    response->content_type = "text/csv";
}

static void on_fail(void *arg, const struct vd_web_request *request,
                    struct vd_web_response *response)
{
    vd_buf_add_text(&response->body, "half an answer");
    vd_web_fail(response, 410, "gone", "only the last %d are \"kept\"", 16);
    (void)snprintf(response->location, sizeof(response->location), "/now");
}

static void on_split(void *arg, const struct vd_web_request *request,
                     struct vd_web_response *response)
{
    (void)snprintf(response->etag, sizeof(response->etag), "a\r\nEvil: 1");
    (void)snprintf(response->location, sizeof(response->location), "/x\r\nEvil: 2");
    response->filename = "x\"\r\nEvil: 3";
}

/* Keeps the loop until the test lets it go. */
static void on_block(void *arg, const struct vd_web_request *request,
                     struct vd_web_response *response)
{
    atomic_fetch_add(&handler_calls, 1);
    sem_post(&handler_began);
    sem_wait(&handler_may_end);
    vd_buf_add_text(&response->body, "too late");
}

static void add_routes(struct rig *rig, const void *arg)
{
    VD_AUTO(buf) struct vd_buf page = {0};
    VD_AUTO(buf) struct vd_buf large = {0};
    struct vd_web *web = rig->web;
    struct vd_err *err = &rig->err;

    vd_buf_add_text(&page, "<!doctype html><title>x</title>");
    while (large.len < PAGE_BYTES) {
        vd_buf_add_text(&large, "export const number = 1;\n");
    }
    assert_int_equal(vd_web_route(web, "GET /echo", on_echo, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "POST /echo", on_echo, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /below/*", on_echo, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /below/tagged", on_tagged, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /large", on_large, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /fail", on_fail, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /split", on_split, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "GET /block", on_block, NULL, err), VD_OK);
    assert_int_equal(vd_web_route(web, "POST /block", on_block, NULL, err), VD_OK);
    assert_int_equal(vd_web_file(web, "/", "text/html", &page, err), VD_OK);
    assert_int_equal(vd_web_file(web, "/app.js", "text/javascript", &large, err), VD_OK);
}

static void assert_has(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL) {
        fail_msg("\"%s\" is not in: %.1000s", text, answer);
    }
}

static void assert_has_not(const char *answer, const char *text)
{
    if (strstr(answer, text) != NULL) {
        fail_msg("\"%s\" is in: %.1000s", text, answer);
    }
}

/* --- what is served --- */

static const struct {
    const char *request; /* "" stands for GET / and so on; see the table's loop */
    const char *status;
    const char *text; /* somewhere in the answer; NULL: any */
} requests[] = {
    {"GET / HTTP/1.1\r\nHost: HOST\r\n\r\n", "200 OK", "<!doctype html>"},
    {"GET /echo?a=1&b=%20 HTTP/1.1\r\nHost: HOST\r\n\r\n", "200 OK", "GET /echo?a=1&b=%20 [] "},
    {"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK", NULL},
    {"GET /%65cho HTTP/1.1\r\nHost: HOST\r\n\r\n", "200 OK", "GET /echo? [] "},
    {"GET /below/a/b HTTP/1.1\r\nHost: HOST\r\n\r\n", "200 OK", "GET /below/a/b? [] "},
    {"GET /below/tagged HTTP/1.1\r\nHost: HOST\r\n\r\n", "200 OK", "ETag: \"e-7\"\r\n"},
    {"GET /below/tagged HTTP/1.1\r\nHost: HOST\r\nIf-None-Match: \"a\", W/\"e-7-gz\"\r\n\r\n",
     "304 Not Modified", "immutable"},
    {"GET /echo HTTP/1.1\r\nHost: HOST\r\nIf-None-Match: W/\"e-8-gz\", \"b\"\r\n\r\n", "200 OK",
     "[\"e-8\"]"},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
     "Content-Length: 2\r\n\r\n{}",
     "200 OK", "POST /echo? [] {}"},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\n\r\n", "200 OK", "POST /echo? [] "},
    {"GET /fail HTTP/1.1\r\nHost: HOST\r\n\r\n", "410 Gone", "Location: /now\r\n"},
    {"GET /fail HTTP/1.1\r\nHost: HOST\r\n\r\n", "410 Gone",
     "{\"error\":{\"code\":\"gone\",\"message\":\"only the last 16 are \\\"kept\\\"\"}}"},
    /* refusals */
    {"GET /nothing HTTP/1.1\r\nHost: HOST\r\n\r\n", "404 Not Found",
     "{\"error\":{\"code\":\"not_found\",\"message\":\"there is nothing at this path\"}}"},
    {"GET /below HTTP/1.1\r\nHost: HOST\r\n\r\n", "404 Not Found", NULL},
    {"GET /echo/ HTTP/1.1\r\nHost: HOST\r\n\r\n", "404 Not Found", NULL},
    {"PUT /echo HTTP/1.1\r\nHost: HOST\r\n\r\n", "405 Method Not Allowed",
     "Allow: GET, HEAD, POST\r\n"},
    {"POST / HTTP/1.1\r\nHost: HOST\r\n\r\n", "405 Method Not Allowed", "Allow: GET, HEAD\r\n"},
    {"OPTIONS / HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\n"
     "Access-Control-Request-Method: GET\r\n\r\n",
     "405 Method Not Allowed", NULL},
    {"BREW / HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", "bad_request"},
    {"nonsense\r\n\r\n", "400 Bad Request", "bad_request"},
    {"GET / HTTP/3.0\r\nHost: HOST\r\n\r\n", "505 HTTP Version Not Supported", "error"},
    {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "no_host"},
    {"GET / HTTP/1.0\r\n\r\n", "400 Bad Request", "no_host"},
    {"GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", "400 Bad Request", "no_host"},
    {"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421 Misdirected Request", "wrong_host"},
    {"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", "421 Misdirected Request", NULL},
    {"GET / HTTP/1.1\r\nHost: localhost:80:80\r\n\r\n", "421 Misdirected Request", NULL},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "421 Misdirected Request", NULL},
    {"GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /../etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /./echo HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /echo%00 HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /echo%0d%0aEvil:%201 HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /echo%4 HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /echo% HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /%ff HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"GET /echo?\xc3\xa4 HTTP/1.1\r\nHost: HOST\r\n\r\n", "400 Bad Request", NULL},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: text/plain\r\nContent-Length: "
     "2\r\n\r\n{}",
     "415 Unsupported Media Type", NULL},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/jsonx\r\n"
     "Content-Length: 2\r\n\r\n{}",
     "415 Unsupported Media Type", NULL},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\n"
     "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
     "403 Forbidden", "wrong_origin"},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "411 Length Required", NULL},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n", "411 Length Required",
     NULL},
    {"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999\r\n\r\n{}",
     "413 Content Too Large", NULL},
};

TEST(each_request_gets_its_answer)
{
    struct rig rig;

    rig_open(&rig, NULL, add_routes);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        VD_AUTO(mem) char *answer = rig_http(&rig, requests[i].request);
        VD_AUTO(mem) char *line = vd_format("HTTP/1.1 %s\r\n", requests[i].status);

        if (strncmp(answer, line, strlen(line)) != 0) {
            fail_msg("%s\nexpected %s, got: %.100s", requests[i].request, line, answer);
        }
        assert_has(answer, "Content-Security-Policy: default-src 'none'; script-src 'self'; ");
        assert_has(answer, "X-Content-Type-Options: nosniff\r\n");
        assert_has(answer, "Referrer-Policy: no-referrer\r\n");
        assert_has(answer, "Cross-Origin-Opener-Policy: same-origin\r\n");
        assert_has(answer, "Cross-Origin-Resource-Policy: same-origin\r\n");
        assert_has(answer, "Cache-Control: ");
        assert_has_not(answer, "\nEvil:");
        assert_has_not(answer, "Access-Control");
        if (requests[i].text != NULL) {
            assert_has(answer, requests[i].text);
        }
    }
    rig_close(&rig);
}

TEST(head_tells_the_length_and_sends_no_body)
{
    struct rig rig;
    VD_AUTO(mem) char *file = NULL;
    VD_AUTO(mem) char *route = NULL;
    VD_AUTO(mem) char *nothing = NULL;

    rig_open(&rig, NULL, add_routes);
    file = rig_http(&rig, "HEAD / HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_has(file, "200 OK");
    assert_has(file, "Content-Length: 31\r\n");
    assert_string_equal(rig_body(file), "");
    route = rig_http(&rig, "HEAD /echo HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_has(route, "Content-Length: 14\r\n"); /* of "GET /echo? [] " */
    assert_string_equal(rig_body(route), "");
    nothing = rig_http(&rig, "HEAD /nothing HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_has(nothing, "404 Not Found");
    assert_string_equal(rig_body(nothing), "");
    rig_close(&rig);
}

static void unzip(const char *bytes, size_t len, struct vd_buf *out)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};

    vd_buf_reserve(out, 4 * 1024 * 1024);
    stream.next_out = (Bytef *)out->data;
    stream.avail_out = 4 * 1024 * 1024;
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    out->len = stream.total_out;
    inflateEnd(&stream);
}

TEST(a_file_is_gzipped_for_those_who_take_it)
{
    struct rig rig;
    VD_AUTO(mem) char *plain = NULL;
    VD_AUTO(mem) char *refused = NULL;
    VD_AUTO(buf) struct vd_buf zipped = {0};
    VD_AUTO(buf) struct vd_buf body = {0};
    const char *start;

    rig_open(&rig, NULL, add_routes);
    plain = rig_http(&rig, "GET /app.js HTTP/1.1\r\nHost: HOST\r\n\r\n");
    refused = rig_http(
        &rig, "GET /app.js HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: br, gzip;q=0\r\n\r\n");
    rig_http_bytes(&rig,
                   "GET /app.js HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n",
                   &zipped);
    rig_close(&rig);
    assert_has_not(plain, "Content-Encoding");
    assert_has_not(refused, "Content-Encoding");
    assert_has(vd_buf_text(&zipped), "Content-Encoding: gzip\r\n");
    assert_has(zipped.data, "Vary: Accept-Encoding\r\n");
    assert_has(zipped.data, "-gz\"\r\n");
    start = rig_body(zipped.data);
    unzip(start, zipped.len - (size_t)(start - zipped.data), &body);
    assert_string_equal(vd_buf_text(&body), rig_body(plain));
}

TEST(a_file_that_the_client_has_is_not_sent_again)
{
    struct rig rig;
    VD_AUTO(mem) char *first = NULL;
    char etag[64] = "";

    rig_open(&rig, NULL, add_routes);
    first = rig_http(&rig, "GET /app.js HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_int_equal(sscanf(strstr(first, "ETag: "), "ETag: \"%63[^\"]", etag), 1);
    assert_has(first, "Cache-Control: no-cache\r\n");
    for (int i = 0; i < 3; i++) {
        static const char *const forms[] = {"\"%s\"", "\"x\", W/\"%s-gz\"", "*%.0s"};
        char tags[200];
        VD_AUTO(mem) char *request = NULL;
        VD_AUTO(mem) char *again = NULL;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(tags, sizeof(tags), forms[i], etag);
#pragma GCC diagnostic pop
        request =
            vd_format("GET /app.js HTTP/1.1\r\nHost: HOST\r\nIf-None-Match: %s\r\n\r\n", tags);
        again = rig_http(&rig, request);
        assert_has(again, "304 Not Modified");
        assert_has(again, "Cache-Control: no-cache\r\n");
        assert_has_not(again, "Content-Length");
        assert_string_equal(rig_body(again), "");
    }
    rig_close(&rig);
}

TEST(a_large_answer_arrives_whole)
{
    struct rig rig;
    VD_AUTO(mem) char *answer = NULL;
    VD_AUTO(buf) struct vd_buf zipped = {0};
    VD_AUTO(buf) struct vd_buf body = {0};
    const char *start;

    rig_open(&rig, NULL, add_routes);
    answer = rig_http(&rig, "GET /large HTTP/1.1\r\nHost: HOST\r\n\r\n");
    rig_http_bytes(&rig, "GET /large HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: gzip\r\n\r\n",
                   &zipped);
    rig_close(&rig);
    assert_has(answer, "Content-Disposition: attachment; filename=\"large.csv\"\r\n");
    assert_int_equal(strlen(rig_body(answer)), 64 * LARGE_LINES);
    assert_has(vd_buf_text(&zipped), "Content-Encoding: gzip\r\n");
    start = rig_body(zipped.data);
    unzip(start, zipped.len - (size_t)(start - zipped.data), &body);
    assert_string_equal(vd_buf_text(&body), rig_body(answer));
}

TEST(a_handler_cannot_add_header_lines)
{
    struct rig rig;
    VD_AUTO(mem) char *answer = NULL;

    rig_open(&rig, NULL, add_routes);
    answer = rig_http(&rig, "GET /split HTTP/1.1\r\nHost: HOST\r\n\r\n");
    rig_close(&rig);
    assert_has(answer, "200 OK");
    assert_has_not(answer, "Evil");
}

/* 'head', then 'count' times 'c', then 'tail'. */
static char *repeat(const char *head, char c, size_t count, const char *tail)
{
    struct vd_buf text = {0};

    vd_buf_add_text(&text, head);
    while (count-- > 0) {
        vd_buf_add_char(&text, c);
    }
    vd_buf_add_text(&text, tail);
    return vd_buf_text(&text);
}

static void assert_status(struct rig *rig, char *request, const char *status)
{
    VD_AUTO(mem) char *owned = request;
    VD_AUTO(mem) char *answer = rig_http(rig, owned);

    assert_has(answer, status);
}

TEST(what_is_too_long_is_refused)
{
    static const char end[] = " HTTP/1.1\r\nHost: HOST\r\n\r\n";
    struct rig rig;

    rig_open(&rig, NULL, add_routes);
    assert_status(&rig, repeat("GET /echo?", 'q', 1024, end), "200 OK");
    assert_status(&rig, repeat("GET /echo?", 'q', 1025, end), "414 URI Too Long");
    assert_status(&rig, repeat("GET /below/", 'p', 1016, end), "200 OK");
    assert_status(&rig, repeat("GET /below/", 'p', 1017, end), "414 URI Too Long");
    assert_status(&rig, repeat("GET /", 'p', 20000, end), "400 Bad Request");
    assert_status(&rig, repeat("GET / HTTP/1.1\r\nHost: HOST\r\nX: ", 'x', 20000, "\r\n\r\n"),
                  "400 Bad Request");
    assert_status(&rig,
                  repeat("POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
                         "Content-Length: 1024\r\n\r\n",
                         'b', 1024, ""),
                  "200 OK");
    assert_status(&rig,
                  repeat("POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
                         "Content-Length: 1025\r\n\r\n",
                         'b', 1025, ""),
                  "413 Content Too Large");
    assert_status(&rig,
                  repeat("POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
                         "Content-Length: 1000\r\n\r\n",
                         'b', 999, ""),
                  "400 Bad Request"); /* the last byte never comes */
    rig_close(&rig);
}

TEST(further_hosts_are_known_by_their_option)
{
    static const char *const options[] = {"hosts", "vote.example.org, other.example", NULL};
    struct rig rig;
    VD_AUTO(mem) char *named = NULL;
    VD_AUTO(mem) char *other = NULL;

    rig_open(&rig, options, add_routes);
    named = rig_http(&rig, "GET / HTTP/1.1\r\nHost: Vote.Example.org:443\r\n\r\n");
    other = rig_http(&rig, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    rig_close(&rig);
    assert_has(named, "200 OK");
    assert_has(other, "421 Misdirected Request");
}

/* --- the loop is late --- */

static void *ask_block(void *arg)
{
    return rig_http(arg, "GET /block HTTP/1.1\r\nHost: HOST\r\n\r\n");
}

TEST(a_loop_that_is_late_gives_503_after_2_seconds_and_files_still_come)
{
    struct rig rig;
    pthread_t first, second;
    VD_AUTO(mem) char *file = NULL;
    void *answers[2];
    int64_t start_ns;
    double seconds;

    sem_init(&handler_began, 0, 0);
    sem_init(&handler_may_end, 0, 0);
    atomic_store(&handler_calls, 0);
    rig_open(&rig, NULL, add_routes);
    start_ns = vd_mono_ns();
    pthread_create(&first, NULL, ask_block, &rig);
    sem_wait(&handler_began);
    pthread_create(&second, NULL, ask_block, &rig); /* waits behind it, in the queue */
    file = rig_http(&rig, "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_has(file, "200 OK");
    pthread_join(first, &answers[0]);
    seconds = (double)(vd_mono_ns() - start_ns) / 1e9;
    pthread_join(second, &answers[1]);
    assert_true(seconds > 1.9 && seconds < 5);
    for (int i = 0; i < 2; i++) {
        assert_has(answers[i], "503 Service Unavailable");
        assert_has(answers[i], "{\"error\":{\"code\":\"late\",\"message\":\"the server did not "
                               "answer in time\"}}");
        assert_has(answers[i], "Retry-After: 2\r\n");
        free(answers[i]);
    }
    assert_true(rig_metric(&rig, "votingd_http_late_total") == 2);
    sem_post(&handler_may_end); /* its answer has nobody to go to any more */
    file = (free(file), rig_http(&rig, "GET /echo HTTP/1.1\r\nHost: HOST\r\n\r\n"));
    assert_has(file, "200 OK");
    assert_int_equal(atomic_load(&handler_calls), 1); /* the second one was never called */
    rig_close(&rig);
    sem_destroy(&handler_began);
    sem_destroy(&handler_may_end);
}

static void *end_handler_later(void *arg)
{
    (void)poll(NULL, 0, 100); /* the close is to come first, and nothing tells when it waits */
    sem_post(&handler_may_end);
    return NULL;
}

TEST(closing_ends_requests_that_wait)
{
    static const char request[] = "GET /block HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct rig rig;
    pthread_t first, ender;
    void *answer;
    int64_t start_ns;
    int second;

    sem_init(&handler_began, 0, 0);
    sem_init(&handler_may_end, 0, 0);
    rig_open(&rig, NULL, add_routes);
    pthread_create(&first, NULL, ask_block, &rig);
    sem_wait(&handler_began);
    second = rig_connect(&rig, 0); /* by this thread: later nobody listens any more */
    assert_true(rig_send(second, request, sizeof(request) - 1));
    pthread_create(&ender, NULL, end_handler_later, NULL);
    sem_post(&handler_may_end); /* for the second one, if the loop gets to it */
    start_ns = vd_mono_ns();
    rig_close(&rig);
    assert_true(vd_mono_ns() - start_ns < (int64_t)3500 * 1000000);
    pthread_join(first, &answer);
    pthread_join(ender, NULL);
    free(answer);
    close(second);
    sem_destroy(&handler_began);
    sem_destroy(&handler_may_end);
}

/* --- start and end --- */

TEST(a_port_that_is_taken_is_an_error_that_says_so)
{
    struct rig rig, second;
    VD_AUTO(mem) char *listen = NULL;
    VD_AUTO(mem) char *message = NULL;
    const char *options[] = {"listen", NULL, NULL};

    rig_open(&rig, NULL, add_routes);
    listen = vd_format("127.0.0.1:%d", rig.port);
    options[1] = listen;
    rig_open(&second, options, add_routes);
    assert_int_equal(second.err.status, VD_FAILED);
    message = vd_format("could not listen on %s: the port is in use by another program; stop that, "
                        "or choose another port with \"listen\" in [http]",
                        listen);
    assert_string_equal(second.err.msg, message);
    rig_close(&second);
    rig_close(&rig);
}

static void add_twice(struct rig *rig, const void *arg)
{
    struct vd_err err = {0};

    add_routes(rig, arg);
    assert_int_equal(vd_web_route(rig->web, "GET /below/*", on_echo, NULL, &err), VD_INVALID);
    assert_string_equal(err.msg, "route \"GET /below/*\": there is one already");
    assert_int_equal(vd_web_file(rig->web, "/echo", "text/html", &(struct vd_buf){0}, &err),
                     VD_INVALID);
    assert_string_equal(err.msg, "route \"GET /echo\": there is one already");
}

TEST(a_route_is_taken_only_once)
{
    struct rig rig;

    rig_open(&rig, NULL, add_twice);
    rig_close(&rig);
}

TEST(peers_that_dawdle_or_vanish_hold_up_nobody)
{
    struct rig rig;
    int slow[24];
    VD_AUTO(mem) char *answer = NULL;

    rig_open(&rig, NULL, add_routes);
    for (size_t i = 0; i < 24; i++) {
        slow[i] = rig_connect(&rig, 4096);
        if (i % 3 == 0) {
            assert_true(rig_send(slow[i], "GET /", 5)); /* and no more */
        } else if (i % 3 == 1) {
            static const char large[] = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";

            assert_true(rig_send(slow[i], large, sizeof(large) - 1)); /* and reads nothing */
        }
    }
    answer = rig_http(&rig, "GET /echo HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_has(answer, "200 OK");
    for (size_t i = 0; i < 24; i++) {
        close(slow[i]);
    }
    rig_close(&rig);
}

TEST(a_thousand_connects_leave_nothing_behind)
{
    struct rig rig;
    VD_AUTO(mem) char *answer = NULL;

    rig_open(&rig, NULL, add_routes);
    for (int i = 0; i < 1000; i++) {
        int fd = rig_connect(&rig, 0);

        if (i % 2 == 0) {
            (void)rig_send(fd, "GET /echo HTTP/1.1\r\n", 20); /* and is gone */
        }
        close(fd);
    }
    answer = rig_http(&rig, "GET /echo HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_has(answer, "200 OK");
    rig_close(&rig);
}

RUN_TESTS(cmocka_unit_test(each_request_gets_its_answer),
          cmocka_unit_test(head_tells_the_length_and_sends_no_body),
          cmocka_unit_test(a_file_is_gzipped_for_those_who_take_it),
          cmocka_unit_test(a_file_that_the_client_has_is_not_sent_again),
          cmocka_unit_test(a_large_answer_arrives_whole),
          cmocka_unit_test(a_handler_cannot_add_header_lines),
          cmocka_unit_test(what_is_too_long_is_refused),
          cmocka_unit_test(further_hosts_are_known_by_their_option),
          cmocka_unit_test(a_loop_that_is_late_gives_503_after_2_seconds_and_files_still_come),
          cmocka_unit_test(closing_ends_requests_that_wait),
          cmocka_unit_test(a_port_that_is_taken_is_an_error_that_says_so),
          cmocka_unit_test(a_route_is_taken_only_once),
          cmocka_unit_test(peers_that_dawdle_or_vanish_hold_up_nobody),
          cmocka_unit_test(a_thousand_connects_leave_nothing_behind))
