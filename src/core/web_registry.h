/* Who is connected, what each one has, and what it gets next: one registry under one mutex for all
 * websockets of a server. Not installed.
 *
 * Lifetime: a client is made by the connect handler and ends in the close handler, both on the
 * thread that owns the connection. The close handler takes the client out and waits for the writer
 * that holds it ('is_busy'), so no pointer to a connection outlives it. */
#ifndef VD_CORE_WEB_REGISTRY_H
#define VD_CORE_WEB_REGISTRY_H

#include <civetweb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "log.h"
#include "metric.h"
#include "web_frame.h"
#include "web_guard.h"
#include "web_server.h"

#define VD_WEB_CREDIT_FRAMES 64  /* pictures beyond the last ack */
#define VD_WEB_CHAIN_MAX 16      /* deltas that are kept for clients which missed some */
#define VD_WEB_WRITE_MAX_MS 1000 /* of one frame; longer: evict */
#define VD_WEB_BEHIND_MAX 3      /* times in a row without an ack; more: evict */
#define VD_WEB_BEHIND_MS 3000    /* but an ack this young proves the client is there */
#define VD_WEB_RESYNC_MS 2000    /* between two answers to "resync" */
#define VD_WEB_MESSAGES_BURST 20 /* from one client */
#define VD_WEB_MESSAGES_PER_S 10
#define VD_WEB_TICK_MS 10      /* of the housekeeping on the loop */
#define VD_WEB_IDLE_MS 50      /* the same without clients */
#define VD_WEB_CLIENT_TICKS 20 /* between two looks at every client */
#define VD_WEB_STUCK_MS 20     /* a writer that takes longer is replaced */
#define VD_WEB_SPARE_WRITERS 256
#define VD_WEB_BATCH_MAX 16     /* clients that a writer takes at a time */
#define VD_WEB_CUT_MS 3000      /* after its eviction a client that is still there is shut down */
#define VD_WEB_THREADS_SPARED 8 /* that sockets leave to requests */

/* Why a client has to go, or may not come. */
enum vd_web_reason {
    VD_WEB_NO_REASON,
    VD_WEB_SLOW_WRITE,
    VD_WEB_NO_ACK,
    VD_WEB_BEHIND,
    VD_WEB_GONE,        /* hung up while it was written to */
    VD_WEB_BAD_FRAME,   /* 1003 */
    VD_WEB_LONG_FRAME,  /* 1009 */
    VD_WEB_BROKEN_RULE, /* 1008 */
    VD_WEB_DRAIN,       /* 1001 */
    VD_WEB_SIGNED_OUT,  /* 1008 */
    VD_WEB_EVICTIONS,   /* how many reasons there are for evicting */
    VD_WEB_FULL = VD_WEB_EVICTIONS,
    VD_WEB_ADDRESS_FULL,
    VD_WEB_TOO_FAST,
    VD_WEB_WRONG_HOST,
    VD_WEB_WRONG_ORIGIN,
    VD_WEB_WRONG_PROTOCOL,
    VD_WEB_NOT_SIGNED_IN,
    VD_WEB_CLOSING,
    VD_WEB_REASONS,
};

/* One endpoint. All but the first block is under the registry's lock. */
struct vd_web_socket {
    struct vd_web *web;
    struct vd_web_socket *next;
    char *path;
    const char *subprotocol; /* owned */
    struct mg_websocket_subprotocols subprotocols;
    struct vd_web_socket_events events;

    struct vd_web_frame *hello, *full, *beat; /* one reference each; may be NULL */
    /* The newest delta first, each on the one behind it. A chain has the deltas up to its own
     * index in one piece, made when a client needs it and kept until the next picture. */
    struct vd_web_frame *deltas[VD_WEB_CHAIN_MAX], *chains[VD_WEB_CHAIN_MAX];
    uint64_t seq; /* of the newest picture */
    bool has_picture;
    bool is_for_all; /* the newest publication was a full picture alone: for every client */
    uint64_t heals;  /* such publications so far */
    uint64_t beats;  /* sent so far */
    size_t clients;
    size_t full_wanted; /* clients with needs_full */
};

/* A picture that is on its way to a client. */
struct vd_web_unacked {
    uint64_t seq;
    size_t bytes;
    int64_t since_ns; /* when the client could have had it at the earliest */
};

struct vd_web_client {
    TAILQ_ENTRY(vd_web_client) entry;
    TAILQ_ENTRY(vd_web_client) ready_entry;
    struct vd_web_socket *socket;
    struct mg_connection *conn;
    uint64_t id;                        /* never used again, unlike the connection */
    char address[VD_WEB_ADDRESS_BYTES]; /* as vd_web_guard_counted */
    uint64_t session;                   /* that it lasts as long as; 0: none */
    atomic_bool is_broken;              /* half a frame went out: nothing may follow it */

    bool is_open;    /* the handshake is through */
    bool is_ready;   /* in the queue for a writer */
    bool is_busy;    /* a writer holds it, and with it 'frame' */
    bool is_leaving; /* its own thread closes it: no writer takes it any more */
    enum vd_web_reason evicted;
    int64_t cut_ms; /* once it is evicted: when it is shut down */
    bool is_close_sent;
    struct vd_web_frame *frame; /* booked as sent, but not written yet; owned. NULL: none */

    bool needs_hello;
    bool needs_full;
    bool has_picture;
    uint64_t seq;  /* of the picture it got last */
    uint64_t heal; /* of socket->heals, when it got its last full picture */
    uint64_t beat; /* the last one it got or was too late for */

    struct vd_web_unacked unacked[VD_WEB_CREDIT_FRAMES]; /* ring */
    size_t unacked_first, unacked_count, unacked_bytes;
    int64_t ack_ms;  /* when it last proved that it reads */
    unsigned behind; /* times since then */

    int64_t rate_ms;      /* 0: every picture */
    int64_t sent_ms;      /* when the last picture went out */
    int64_t resync_ms;    /* when the last resync was served */
    int64_t resync_at_ms; /* a further one waits until then; 0: none */
    double messages;      /* how many it may send now */
    int64_t messages_ms;
};

/* What became of one client of a batch. */
struct vd_web_written {
    struct vd_web_client *client;
    bool is_whole; /* the frame is out */
    bool is_slow;  /* it took longer than VD_WEB_WRITE_MAX_MS */
};

struct vd_web_writer {
    struct vd_web_registry *registry;
    pthread_t thread;
    bool is_started; /* to be joined */
    bool is_done;    /* has left its loop */
    bool is_stuck;   /* counted as such */

    /* What it is writing. Who counts 'next' up writes to that client; when it is NONE_NEXT, the
     * rest was taken off the writer. */
    struct vd_web_written batch[VD_WEB_BATCH_MAX];
    size_t count;   /* of the batch */
    size_t settled; /* of these, in front: let go already */
    atomic_size_t next;
    _Atomic int64_t since_ms; /* when it began to write to the one it is at; 0: is not writing */
};

struct vd_web_registry {
    const struct vd_web_conf *conf;
    struct vd_log *log;

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t work;  /* a client is ready, or the writers shall leave */
    pthread_cond_t idle;  /* a client was put down */
    TAILQ_HEAD(vd_web_clients, vd_web_client) clients;
    TAILQ_HEAD(, vd_web_client) ready;
    size_t count;
    uint64_t last_id;
    double tokens; /* new clients that may come now */
    int64_t tokens_ms;
    bool is_draining;

    struct vd_web_writer *writers; /* array of conf->writers + VD_WEB_SPARE_WRITERS */
    size_t writers_alive, writers_stuck;
    uint64_t served, served_before; /* frames written; by the last look at the writers */
    bool is_stopping;

    struct vd_metric *sockets, *frames, *bytes, *skipped, *fulls, *age, *spares;
    struct vd_metric *reasons[VD_WEB_REASONS];
};

void vd_web_registry_init(struct vd_web_registry *registry, const struct vd_web_conf *conf,
                          struct vd_log *log, struct vd_metrics *metrics);
void vd_web_registry_fini(struct vd_web_registry *registry);

static inline void vd_web_lock(struct vd_web_registry *registry)
{
    (void)pthread_mutex_lock(&registry->lock); /* fails for programming errors only */
}

static inline void vd_web_unlock(struct vd_web_registry *registry)
{
    (void)pthread_mutex_unlock(&registry->lock);
}

/* All that follow expect the lock to be held, unless they say otherwise. */

/* Admit one more client, or say why not. Owns: the registry, until vd_web_client_leave. */
struct vd_web_client *vd_web_client_join(struct vd_web_registry *registry,
                                         struct vd_web_socket *socket, struct mg_connection *conn,
                                         const char *address, enum vd_web_reason *reason);

/* Let no writer write to the client any more, and wait for one that does. Thread: the client's. */
void vd_web_client_hush(struct vd_web_registry *registry, struct vd_web_client *client);

/* Take the client out, wait until no writer holds it, free it. */
void vd_web_client_leave(struct vd_web_registry *registry, struct vd_web_client *client);

/* NULL if it has left. */
struct vd_web_client *vd_web_client_find(struct vd_web_registry *registry, uint64_t id);

/* Let a writer see to this client soon, if there is anything for it. */
void vd_web_client_queue(struct vd_web_registry *registry, struct vd_web_client *client);

/* The same, and call one; for many at once vd_web_writers_call is better. */
void vd_web_client_wake(struct vd_web_registry *registry, struct vd_web_client *client);

/* Mark it as going; a writer tells it so. */
void vd_web_client_evict(struct vd_web_registry *registry, struct vd_web_client *client,
                         enum vd_web_reason reason);

/* What the client said. An ack of a picture it never got breaks a rule: false. */
bool vd_web_client_ack(struct vd_web_registry *registry, struct vd_web_client *client,
                       uint64_t seq);
void vd_web_client_rate(struct vd_web_registry *registry, struct vd_web_client *client,
                        int64_t min_ms);
void vd_web_client_resync(struct vd_web_registry *registry, struct vd_web_client *client);

/* Count one message; false if they come too fast. */
bool vd_web_client_may_talk(struct vd_web_client *client);

/* Take one more delta, with its reference, in front of the others, or instead of them if it is not
 * on the newest one's picture; NULL forgets all. */
void vd_web_socket_add_delta(struct vd_web_socket *socket, struct vd_web_frame *delta);

void vd_web_client_want_full(struct vd_web_client *client, bool is_wanted);

/* The frame that this client gets now ('now_ns' of vd_mono_ns), booked as sent; NULL if there is
 * none or it may not have it yet. Owns: the caller has a reference. */
struct vd_web_frame *vd_web_client_next(struct vd_web_registry *registry,
                                        struct vd_web_client *client, int64_t now_ns);

/* The last frame of an evicted client: bye and close; NULL if it had that. Owns: the caller. */
struct vd_web_frame *vd_web_client_bye(struct vd_web_client *client);

/* Housekeeping every VD_WEB_CLIENT_TICKS: rates and resyncs that are due, acks that are not. */
void vd_web_registry_tick(struct vd_web_registry *registry);

/* Shut down the connections of evicted clients whose time is up (web_cut.c): 'now_ms' of
 * vd_mono_ms. Looks through all descriptors, and only then. */
void vd_web_cut(struct vd_web_registry *registry, int64_t now_ms);

/* ---- writers (web_writer.c); these take the lock themselves ---------------------------------- */

/* Call a writer, which calls more if there is more to do than for one. Best without the lock, which
 * is the first thing that it takes. */
static inline void vd_web_writers_call(struct vd_web_registry *registry)
{
    (void)pthread_cond_signal(&registry->work); /* cannot fail */
}

/* Start conf->writers of them.
 * Fails: VD_FAILED if the system has no more threads. */
enum vd_status vd_web_writers_start(struct vd_web_registry *registry,
                                    struct vd_err *err) VD_MUST_CHECK;

/* Expects the lock. Free the clients that a writer holds which is held up by another one; evict
 * that one if its write takes longer than VD_WEB_WRITE_MAX_MS, and have it shut down if it takes as
 * long again. When clients wait and no writer gets on, replace those that are stuck, as far as
 * spare ones are left, and start as many as are stuck already: however many peers die at once, the
 * others wait for a few times VD_WEB_STUCK_MS. */
void vd_web_writers_tick(struct vd_web_registry *registry);

/* Say bye to every client and wait until they know it, at most 'ms'. */
void vd_web_registry_drain(struct vd_web_registry *registry, int64_t ms);

/* End the writers. No client is left. */
void vd_web_writers_stop(struct vd_web_registry *registry);

/* Write one frame; false if the connection is broken by now. Thread: any, no lock held. */
bool vd_web_client_write(struct vd_web_client *client, const struct vd_web_frame *frame);

#endif
