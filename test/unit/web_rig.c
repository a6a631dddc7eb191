/* See web_rig.h. Everything waits for an event with a limit; nothing sleeps for a guess. */
#include "web_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "log.h"
#include "test.h"

#define WAIT_MS 30000
#define NOTHING_MS 150 /* what has not come by then does not come */

struct job {
    rig_job_fn *run;
    const void *arg;
    sem_t *done; /* NULL: nobody waits */
};

static void on_job(void *arg, void *item)
{
    struct job *job = item;

    job->run(arg, job->arg);
    if (job->done != NULL) {
        sem_post(job->done);
    }
    free(job);
}

static void close_all(struct rig *rig, const void *arg)
{
    vd_web_close(rig->web);
    vd_queue_close(rig->jobs, free);
}

static void *run_loop(void *arg)
{
    struct rig *rig = arg;

    vd_loop_init(&rig->loop);
    rig->jobs = vd_queue_new(&rig->loop, 4096, on_job, rig);
    rig->web = vd_web_new(&rig->loop, &rig->conf, rig->log, rig->metrics);
    if (rig->setup != NULL) {
        rig->setup(rig, NULL);
    }
    if (vd_web_start(rig->web, &rig->err) != VD_OK) {
        close_all(rig, NULL);
    }
    sem_post(&rig->is_up);
    (void)uv_run(&rig->loop.uv, UV_RUN_DEFAULT); /* until close_all has closed every handle */
    vd_loop_fini(&rig->loop);                    /* asserts that none is left */
    return NULL;
}

void rig_open(struct rig *rig, const char *const *options, rig_job_fn *setup)
{
    struct vd_err err = {0};

    memset(rig, 0, sizeof(*rig));
    vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT);
    vd_opt_defaults(vd_web_opts, &rig->conf);
    assert_int_equal(vd_opt_set(vd_web_opts, &rig->conf, "listen", "127.0.0.1:0", &err), VD_OK);
    assert_int_equal(vd_opt_set(vd_web_opts, &rig->conf, "threads", "32", &err), VD_OK);
    for (; options != NULL && options[0] != NULL; options += 2) {
        assert_int_equal(vd_opt_set(vd_web_opts, &rig->conf, options[0], options[1], &err), VD_OK);
    }
    assert_int_equal(vd_web_check(&rig->conf, &err), VD_OK);
    rig->metrics = vd_metrics_new();
    rig->log = vd_log_new("web");
    rig->setup = setup;
    sem_init(&rig->is_up, 0, 0);
    assert_int_equal(pthread_create(&rig->thread, NULL, run_loop, rig), 0);
    sem_wait(&rig->is_up);
    if (rig->err.status == VD_OK) {
        rig->port = atoi(strrchr(vd_web_address(rig->web), ':') + 1);
    }
}

void rig_post(struct rig *rig, rig_job_fn *run, const void *arg)
{
    struct job *job = vd_alloc(sizeof(*job));

    *job = (struct job){.run = run, .arg = arg};
    assert_int_equal(vd_queue_push(rig->jobs, job), VD_OK);
}

void rig_do(struct rig *rig, rig_job_fn *run, const void *arg)
{
    struct job *job = vd_alloc(sizeof(*job));
    sem_t done;

    sem_init(&done, 0, 0);
    *job = (struct job){.run = run, .arg = arg, .done = &done};
    assert_int_equal(vd_queue_push(rig->jobs, job), VD_OK);
    sem_wait(&done);
    sem_destroy(&done);
}

void rig_close(struct rig *rig)
{
    if (rig->err.status == VD_OK) {
        rig_post(rig, close_all, NULL);
    }
    assert_int_equal(pthread_join(rig->thread, NULL), 0);
    sem_destroy(&rig->is_up);
    vd_metrics_free(rig->metrics);
    vd_log_free(rig->log);
    vd_opt_fini(vd_web_opts, &rig->conf);
}

double rig_metric(struct rig *rig, const char *series)
{
    VD_AUTO(buf) struct vd_buf text = {0};
    size_t len = strlen(series);

    vd_metrics_format(rig->metrics, &text);
    for (const char *line = vd_buf_text(&text); line != NULL && *line != '\0';) {
        if (strncmp(line, series, len) == 0 && line[len] == ' ') {
            return strtod(line + len, NULL);
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1;
}

bool rig_metric_becomes(struct rig *rig, const char *series, double value)
{
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        if (rig_metric(rig, series) == value) {
            return true;
        }
        (void)poll(NULL, 0, 5); /* nothing tells when a counter moves */
    }
    return false;
}

int rig_connect(const struct rig *rig, int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rig->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes > 0) {
        /* With loopback's own segments the system would take megabytes for the client. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &(int){1448}, sizeof(int));
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

bool rig_send(int fd, const void *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        bytes = (const char *)bytes + sent;
        len -= (size_t)sent;
    }
    return true;
}

/* Append what comes; false at the end, or after 'ms' without anything. */
static bool receive(int fd, struct vd_buf *in, int ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    ssize_t len;

    if (poll(&pollfd, 1, ms) <= 0) {
        errno = ETIMEDOUT;
        return false;
    }
    vd_buf_reserve(in, 65536);
    len = recv(fd, in->data + in->len, 65536, 0);
    if (len <= 0) {
        errno = len == 0 ? 0 : errno;
        return false;
    }
    in->len += (size_t)len;
    return true;
}

/* 'text' with every HOST replaced. */
static void expand(const struct rig *rig, const char *text, struct vd_buf *out)
{
    const char *host;

    while ((host = strstr(text, "HOST")) != NULL) {
        vd_buf_add(out, text, (size_t)(host - text));
        vd_buf_printf(out, "127.0.0.1:%d", rig->port);
        text = host + 4;
    }
    vd_buf_add_text(out, text);
}

void rig_http_bytes(const struct rig *rig, const char *request, struct vd_buf *out)
{
    VD_AUTO(buf) struct vd_buf bytes = {0};
    int fd = rig_connect(rig, 0);

    expand(rig, request, &bytes);
    (void)rig_send(fd, bytes.data, bytes.len); /* a refusal may come before all of it is out */
    while (receive(fd, out, WAIT_MS)) {
    }
    close(fd);
}

char *rig_http(const struct rig *rig, const char *request)
{
    struct vd_buf out = {0};

    rig_http_bytes(rig, request, &out);
    return vd_buf_text(&out);
}

const char *rig_body(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    return end != NULL ? end + 4 : NULL;
}

/* --- websocket client --- */

int ws_open(struct ws *ws, const struct rig *rig, const char *headers)
{
    VD_AUTO(buf) struct vd_buf request = {0};
    struct vd_buf head = {0};
    char *end;

    memset(ws, 0, sizeof(*ws));
    ws->fd = rig_connect(rig, rig->receive_bytes);
    expand(rig,
           "GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
           &request);
    expand(rig,
           headers != NULL ? headers
                           : "Origin: http://HOST\r\nSec-WebSocket-Protocol: votingd.v1\r\n",
           &request);
    vd_buf_add_text(&request, "\r\n");
    (void)rig_send(ws->fd, request.data, request.len);
    while ((end = strstr(vd_buf_text(&head), "\r\n\r\n")) == NULL) {
        if (!receive(ws->fd, &head, WAIT_MS)) {
            break;
        }
    }
    if (end != NULL) {
        size_t len = (size_t)(end + 4 - head.data);

        vd_buf_add(&ws->in, head.data + len, head.len - len);
    }
    ws->answer = vd_buf_text(&head);
    return strncmp(ws->answer, "HTTP/1.1 ", 9) == 0 ? atoi(ws->answer + 9) : 0;
}

bool ws_send(struct ws *ws, unsigned first, bool is_masked, const void *payload, size_t len)
{
    static const unsigned char mask[4] = {0x11, 0x22, 0x33, 0x44};
    VD_AUTO(buf) struct vd_buf frame = {0};
    uint8_t flag = is_masked ? 0x80 : 0;

    vd_buf_add_u8(&frame, (uint8_t)first);
    if (len < 126) {
        vd_buf_add_u8(&frame, (uint8_t)(flag | len));
    } else {
        vd_buf_add_u8(&frame, flag | 126);
        vd_buf_add_be16(&frame, (uint16_t)len);
    }
    if (is_masked) {
        vd_buf_add(&frame, mask, sizeof(mask));
    }
    for (size_t at = 0; at < len; at++) {
        uint8_t byte = ((const uint8_t *)payload)[at];

        vd_buf_add_u8(&frame, is_masked ? byte ^ mask[at % 4] : byte);
    }
    return rig_send(ws->fd, frame.data, frame.len);
}

bool ws_say(struct ws *ws, const char *text)
{
    return ws_send(ws, 0x81, true, text, strlen(text));
}

/* Bytes of header and payload of the frame at the front; false if it is not all there. */
static bool measure(const struct vd_buf *in, size_t *header, size_t *len)
{
    const unsigned char *at = (const unsigned char *)in->data;

    if (in->len < 2) {
        return false;
    }
    assert_int_equal(at[1] & 0x80, 0); /* a server never masks */
    *header = at[1] == 127 ? 10 : at[1] == 126 ? 4 : 2;
    if (in->len < *header) {
        return false;
    }
    *len = at[1] == 127 ? vd_be64(at + 2) : at[1] == 126 ? vd_be16(at + 2) : at[1];
    return in->len >= *header + *len;
}

/* The next frame of any kind into 'out'. */
static bool read_frame(struct ws *ws, int ms, struct vd_buf *out)
{
    size_t header, len;

    while (!measure(&ws->in, &header, &len)) {
        if (!receive(ws->fd, &ws->in, ms)) {
            ws->opcode = errno == ETIMEDOUT ? -2 : -1;
            return false;
        }
    }
    ws->opcode = (unsigned char)ws->in.data[0] & 0x0f;
    vd_buf_add(out, ws->in.data + header, len);
    memmove(ws->in.data, ws->in.data + header + len, ws->in.len - header - len);
    ws->in.len -= header + len;
    return true;
}

const char *ws_read(struct ws *ws, int ms)
{
    do {
        vd_buf_clear(&ws->payload);
        if (!read_frame(ws, ms, &ws->payload)) {
            return NULL;
        }
        if (ws->opcode == 0x9 && !ws->is_silent) {
            (void)ws_send(ws, 0x8a, true, ws->payload.data, ws->payload.len);
        }
    } while (ws->opcode == 0x9);
    if (ws->opcode == 0x8) {
        ws->close_code = ws->payload.len >= 2 ? vd_be16(ws->payload.data) : 1005;
    }
    return vd_buf_text(&ws->payload);
}

bool ws_is_closed(struct ws *ws, int ms)
{
    int64_t deadline_ns = vd_mono_ns() + (int64_t)ms * 1000000;

    while (vd_mono_ns() < deadline_ns) {
        if (ws_read(ws, ms) == NULL) {
            return ws->opcode == -1;
        }
        if (ws->opcode == 0x8) {
            (void)ws_send(ws, 0x88, true, "\x03\xe8", 2);
        }
    }
    return false;
}

void ws_close(struct ws *ws)
{
    close(ws->fd);
    vd_buf_fini(&ws->in);
    vd_buf_fini(&ws->payload);
    free(ws->answer);
}

/* --- an endpoint at /ws --- */

static bool on_text(void *arg, const char *text, size_t len)
{
    return strncmp(text, "{\"type\":\"hi\"", 12) == 0;
}

void rig_set_hello(struct rig *rig, const void *arg)
{
    vd_web_socket_set_hello(rig->socket, arg, strlen(arg));
}

void rig_add_socket(struct rig *rig, const void *arg)
{
    const struct vd_web_socket_events events = {.on_text = on_text, .arg = rig};
    struct vd_err err = {0};

    rig->socket = vd_web_socket_new(rig->web, "/ws", "votingd.v1", &events, &rig->err);
    assert_non_null(rig->socket);
    assert_null(vd_web_socket_new(rig->web, "/ws", "x", NULL, &err));
    assert_int_equal(err.status, VD_INVALID);
    assert_string_equal(err.msg, "websocket \"/ws\": there is one already");
    rig_set_hello(rig, "hello");
}

void rig_publish_job(struct rig *rig, const void *arg)
{
    const struct rig_publication *publication = arg;
    unsigned long long seq = (unsigned long long)publication->seq;
    VD_AUTO(mem) char *delta = vd_format("delta %llu%*s", seq, (int)publication->bytes, "");
    VD_AUTO(mem) char *full = vd_format("full %llu%*s", seq, (int)publication->bytes, "");
    struct vd_web_picture picture = {
        .seq = publication->seq,
        .base = publication->seq - 1,
        .delta = publication->has_delta ? delta : NULL,
        .delta_len = strlen(delta),
        .full = publication->has_full ? full : NULL,
        .full_len = strlen(full),
    };

    vd_web_socket_publish(rig->socket, &picture);
}

/* As a stage does it: the full picture only if someone wants it. */
void rig_publish_as_wanted(struct rig *rig, const void *arg)
{
    struct rig_publication publication = *(const struct rig_publication *)arg;

    publication.has_delta = true;
    publication.has_full = vd_web_socket_wants_full(rig->socket);
    rig_publish_job(rig, &publication);
}

void rig_publish(struct rig *rig, uint64_t seq, bool has_delta, bool has_full)
{
    struct rig_publication publication = {.seq = seq, .has_delta = has_delta, .has_full = has_full};

    rig_do(rig, rig_publish_job, &publication);
}

void rig_beat(struct rig *rig, const void *arg)
{
    vd_web_socket_beat(rig->socket, arg, strlen(arg));
}

void rig_restart(struct rig *rig, const void *arg)
{
    vd_web_socket_restart(rig->socket);
}

static void ask_wants_full(struct rig *rig, const void *arg)
{
    rig->is_full_wanted = vd_web_socket_wants_full(rig->socket);
}

bool rig_wants_full(struct rig *rig)
{
    rig_do(rig, ask_wants_full, NULL);
    return rig->is_full_wanted;
}

/* True as soon as a full picture is wanted; false after WS_READ_MS. */
bool rig_full_becomes_wanted(struct rig *rig)
{
    for (int ms = 0; ms < WS_READ_MS; ms += 5) {
        if (rig_wants_full(rig)) {
            return true;
        }
        (void)poll(NULL, 0, 5); /* the client's word is on its way */
    }
    return false;
}

void ws_assert_reads(struct ws *ws, const char *text)
{
    const char *got = ws_read(ws, WS_READ_MS);

    if (got == NULL || strcmp(got, text) != 0) {
        fail_msg("expected \"%s\", got %s (opcode %d)", text, got == NULL ? "nothing" : got,
                 ws->opcode);
    }
}

void ws_assert_reads_nothing(struct ws *ws)
{
    const char *got = ws_read(ws, NOTHING_MS);

    if (got != NULL) {
        fail_msg("expected nothing, got \"%.60s\"", got);
    }
}

/* A client that has hello and picture 1. */
void ws_open_at_1(struct ws *ws, struct rig *rig)
{
    assert_int_equal(ws_open(ws, rig, NULL), 101);
    ws_assert_reads(ws, "hello");
    if (rig_wants_full(rig)) {
        rig_publish(rig, 1, true, true); /* the delta spares those who have it */
    }
    ws_assert_reads(ws, "full 1");
}

void ws_assert_closed(struct ws *ws, unsigned code)
{
    assert_true(ws_is_closed(ws, WS_READ_MS));
    assert_int_equal(ws->close_code, code);
    ws_close(ws);
}
