/* A web server on a loop in a thread of its own, and raw clients for the test's thread: HTTP as
 * text, websockets frame by frame, so that both can also be wrong on purpose. */
#ifndef VD_TEST_UNIT_WEB_RIG_H
#define VD_TEST_UNIT_WEB_RIG_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "loop_uv.h"
#include "metric.h"
#include "queue.h"
#include "web_server.h"

struct rig;

typedef void rig_job_fn(struct rig *rig, const void *arg);

struct rig {
    struct vd_web_conf conf;
    struct vd_metrics *metrics;
    struct vd_log *log;
    struct vd_web *web;
    struct vd_web_socket *socket; /* for the test's use */
    bool is_full_wanted;
    int port;
    int receive_bytes; /* buffer of websocket clients to come; 0: the system's own */

    struct vd_loop loop;
    struct vd_queue *jobs;
    pthread_t thread;
    sem_t is_up;
    rig_job_fn *setup; /* adds routes, before the server listens */
    struct vd_err err;
};

/* Start a server. 'options' are pairs of name and value, NULL at the end; or NULL. */
void rig_open(struct rig *rig, const char *const *options, rig_job_fn *setup);

/* Run 'job' on the loop and wait for it; or only hand it over. */
void rig_do(struct rig *rig, rig_job_fn *job, const void *arg);
void rig_post(struct rig *rig, rig_job_fn *job, const void *arg);

/* Close the server and the loop, which must have no handle left. */
void rig_close(struct rig *rig);

/* The value of a metric as /metrics shows it: 'series' with its labels. -1: is not there. */
double rig_metric(struct rig *rig, const char *series);

/* True as soon as the metric has the value; false after 30 s. */
bool rig_metric_becomes(struct rig *rig, const char *series, double value);

/* A connection to the server; 'receive_bytes' of buffer, 0 for the system's own. */
int rig_connect(const struct rig *rig, int receive_bytes);

/* Send all of it; false if the server is gone. */
bool rig_send(int fd, const void *bytes, size_t len);

/* Send 'request' as it stands but for "HOST", which becomes 127.0.0.1:PORT, and return everything
 * that comes back. Owns: the caller frees it. */
char *rig_http(const struct rig *rig, const char *request);

/* The same, as bytes. */
void rig_http_bytes(const struct rig *rig, const char *request, struct vd_buf *out);

/* The body in an answer, or NULL. */
const char *rig_body(const char *answer);

/* --- websocket client --- */

struct ws {
    int fd;
    bool is_silent; /* does not answer pings */
    struct vd_buf in, payload;
    char *answer; /* to the handshake */
    int opcode;   /* of the frame read last */
    unsigned close_code;
};

/* Shake hands at /ws; 'headers' replace Origin and subprotocol unless NULL ("HOST" as above).
 * Returns the answer's status. */
int ws_open(struct ws *ws, const struct rig *rig, const char *headers);

/* Send one frame. 'first' is its first byte: FIN and opcode. */
bool ws_send(struct ws *ws, unsigned first, bool is_masked, const void *payload, size_t len);

/* Send a masked text. */
bool ws_say(struct ws *ws, const char *text);

/* The payload of the next frame, pings aside; NULL if none came in 'ms' or the server is gone
 * (then opcode is -1). Owns: borrowed until the next call. */
const char *ws_read(struct ws *ws, int ms);

/* Read until the server closes; false if it has not after 'ms'. close_code is 0 without a frame. */
bool ws_is_closed(struct ws *ws, int ms);

void ws_close(struct ws *ws);

/* --- an endpoint at /ws that speaks votingd.v1 --- */

#define WS_READ_MS 5000

/* For rig_open: the endpoint in rig->socket, with "hello" as its hello. It lets texts of the type
 * "hi" be and refuses all others. */
void rig_add_socket(struct rig *rig, const void *arg);

/* Jobs: what their names say; 'arg' is the text. */
void rig_set_hello(struct rig *rig, const void *arg);
void rig_beat(struct rig *rig, const void *arg);
void rig_restart(struct rig *rig, const void *arg);

/* Picture 'seq' on 'seq' - 1, "delta SEQ" and "full SEQ", each with 'bytes' spaces behind. */
struct rig_publication {
    uint64_t seq;
    bool has_delta, has_full;
    size_t bytes;
};

/* Jobs: publish it; the same as a stage does it, in full only if someone wants that. */
void rig_publish_job(struct rig *rig, const void *publication);
void rig_publish_as_wanted(struct rig *rig, const void *publication);

/* Publish one and wait until that is done. */
void rig_publish(struct rig *rig, uint64_t seq, bool has_delta, bool has_full);

bool rig_wants_full(struct rig *rig);

/* True as soon as a full picture is wanted; false after WS_READ_MS. */
bool rig_full_becomes_wanted(struct rig *rig);

/* Open a client and read hello and picture 1. */
void ws_open_at_1(struct ws *ws, struct rig *rig);

/* The next frame is 'text'; there is none; the server closed with 'code'. */
void ws_assert_reads(struct ws *ws, const char *text);
void ws_assert_reads_nothing(struct ws *ws);
void ws_assert_closed(struct ws *ws, unsigned code);

#endif
