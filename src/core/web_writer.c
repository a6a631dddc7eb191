/* The threads that write frames. civetweb's write blocks while the peer's buffer is full, so a
 * writer that is held up is replaced by a spare one, and nobody else waits for it. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "loop_uv.h"
#include "web_registry.h"

/* A large frame goes out in pieces, so that the limit for one write is seen between them. */
#define PIECE_BYTES (64 * 1024)

/* All of the frame, or false; then half of it may be out. */
static bool write_pieces(struct mg_connection *conn, const struct vd_web_frame *frame)
{
    int64_t deadline_ms = vd_mono_ms() + VD_WEB_WRITE_MAX_MS;

    for (size_t at = 0; at < frame->len; at += PIECE_BYTES) {
        size_t len = frame->len - at < PIECE_BYTES ? frame->len - at : PIECE_BYTES;

        if ((at > 0 && vd_mono_ms() > deadline_ms) ||
            mg_write(conn, frame->bytes + at, len) != (int)len) {
            return false;
        }
    }
    return true;
}

bool vd_web_client_write(struct vd_web_client *client, const struct vd_web_frame *frame)
{
    bool is_whole = false;

    /* civetweb's own pings and pongs take the same lock. */
    mg_lock_connection(client->conn);
    if (!atomic_load(&client->is_broken)) {
        is_whole = write_pieces(client->conn, frame);
        if (!is_whole) {
            atomic_store(&client->is_broken, true);
        }
    }
    mg_unlock_connection(client->conn);
    return is_whole;
}

/* Write what the client gets next, without the lock; it cannot go away meanwhile. */
static void serve(struct vd_web_writer *writer, struct vd_web_client *client)
{
    struct vd_web_registry *registry = writer->registry;
    struct vd_web_frame *frame = vd_web_client_next(registry, client);
    bool is_whole, is_slow;

    if (frame == NULL) {
        return;
    }
    client->is_busy = true;
    writer->busy_ms = vd_mono_ms();
    vd_web_unlock(registry);
    is_whole = vd_web_client_write(client, frame);
    if (is_whole) {
        vd_metric_add(registry->frames, frame->count);
        vd_metric_add(registry->bytes, (int64_t)frame->len);
    }
    vd_web_frame_unref(frame);
    vd_web_lock(registry);
    is_slow = vd_mono_ms() - writer->busy_ms > VD_WEB_WRITE_MAX_MS;
    if (!is_whole || is_slow) {
        vd_web_client_evict(registry, client, is_slow ? VD_WEB_SLOW_WRITE : VD_WEB_GONE);
        client->is_close_sent = !is_whole; /* nothing may follow half a frame */
    }
    registry->served++;
    writer->busy_ms = 0;
    client->is_busy = false;
    if (client->is_leaving || registry->is_draining) {
        pthread_cond_broadcast(&registry->idle);
    }
    if (vd_web_client_has_more(client)) {
        vd_web_client_wake(registry, client);
    }
}

/* With the lock: writers that are not stuck; how many there should be of them. */
static size_t usable_writers(const struct vd_web_registry *registry)
{
    return registry->writers_alive - registry->writers_stuck;
}

static size_t wanted_writers(const struct vd_web_registry *registry)
{
    size_t configured = (size_t)registry->conf->writers;

    return registry->writers_stuck > configured ? registry->writers_stuck : configured;
}

/* With the lock: wait for a client; NULL when this writer is to leave. */
static struct vd_web_client *wait_for_client(struct vd_web_writer *writer)
{
    struct vd_web_registry *registry = writer->registry;
    struct vd_web_client *client;

    while ((client = TAILQ_FIRST(&registry->ready)) == NULL) {
        if (registry->is_stopping || usable_writers(registry) > wanted_writers(registry)) {
            return NULL;
        }
        pthread_cond_wait(&registry->work, &registry->lock);
    }
    TAILQ_REMOVE(&registry->ready, client, ready_entry);
    client->is_ready = false;
    return client;
}

static void *run_writer(void *arg)
{
    struct vd_web_writer *writer = arg;
    struct vd_web_registry *registry = writer->registry;
    struct vd_web_client *client;

    vd_web_lock(registry);
    while ((client = wait_for_client(writer)) != NULL) {
        serve(writer, client);
        if (writer->is_stuck) {
            writer->is_stuck = false;
            registry->writers_stuck--;
        }
    }
    writer->is_done = true;
    registry->writers_alive--;
    vd_web_unlock(registry);
    return NULL;
}

/* With the lock. */
static int start_writer(struct vd_web_registry *registry)
{
    size_t slots = (size_t)registry->conf->writers + VD_WEB_SPARE_WRITERS;

    for (size_t at = 0; at < slots; at++) {
        struct vd_web_writer *writer = &registry->writers[at];
        int error;

        if (writer->is_started && writer->is_done) {
            (void)pthread_join(writer->thread,
                               NULL); /* it has let go of the lock, or is about to */
            writer->is_started = false;
        }
        if (writer->is_started) {
            continue;
        }
        *writer = (struct vd_web_writer){.registry = registry};
        error = pthread_create(&writer->thread, NULL, run_writer, writer);
        if (error == 0) {
            writer->is_started = true;
            registry->writers_alive++;
        }
        return error;
    }
    return EAGAIN;
}

enum vd_status vd_web_writers_start(struct vd_web_registry *registry, struct vd_err *err)
{
    size_t slots = (size_t)registry->conf->writers + VD_WEB_SPARE_WRITERS;
    int error = 0;

    registry->writers = vd_alloc_array(slots, sizeof(*registry->writers));
    vd_web_lock(registry);
    for (int64_t n = 0; n < registry->conf->writers && error == 0; n++) {
        error = start_writer(registry);
    }
    vd_web_unlock(registry);
    if (error != 0) {
        return vd_fail(err, VD_FAILED, "could not start a thread for websockets: %s",
                       strerror(error));
    }
    return VD_OK;
}

/* With the lock. */
static void mark_stuck(struct vd_web_registry *registry)
{
    size_t slots = (size_t)registry->conf->writers + VD_WEB_SPARE_WRITERS;
    int64_t now_ms = vd_mono_ms();

    for (size_t at = 0; at < slots; at++) {
        struct vd_web_writer *writer = &registry->writers[at];

        if (writer->busy_ms != 0 && !writer->is_stuck &&
            now_ms - writer->busy_ms > VD_WEB_STUCK_MS) {
            writer->is_stuck = true;
            registry->writers_stuck++;
            vd_metric_add(registry->spares, 1);
        }
    }
}

void vd_web_writers_tick(struct vd_web_registry *registry)
{
    /* While some writer gets on, one that does not may just be without a core, and one more thread
     * would make that worse. */
    bool is_moving = registry->served != registry->served_before;

    registry->served_before = registry->served;
    if (is_moving || TAILQ_EMPTY(&registry->ready)) {
        return;
    }
    mark_stuck(registry);
    while (usable_writers(registry) < wanted_writers(registry)) {
        if (start_writer(registry) != 0) {
            return; /* none left: who is ready waits until a stuck one comes free */
        }
    }
}

/* With the lock: clients that have not been told yet that the server stops. */
static size_t count_untold(const struct vd_web_registry *registry)
{
    const struct vd_web_client *client;
    size_t count = 0;

    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        count += client->is_open && (!client->is_close_sent || client->is_busy) ? 1 : 0;
    }
    return count;
}

void vd_web_registry_drain(struct vd_web_registry *registry, int64_t ms)
{
    struct vd_web_client *client;
    int64_t deadline_ns = vd_mono_ns() + ms * 1000000;
    struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                                .tv_nsec = deadline_ns % 1000000000};
    int error = 0;

    vd_web_lock(registry);
    registry->is_draining = true;
    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        vd_web_client_evict(registry, client, VD_WEB_DRAIN);
    }
    while (count_untold(registry) > 0 && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&registry->idle, &registry->lock, &deadline);
    }
    vd_web_unlock(registry);
}

void vd_web_writers_stop(struct vd_web_registry *registry)
{
    size_t slots = (size_t)registry->conf->writers + VD_WEB_SPARE_WRITERS;

    if (registry->writers == NULL) {
        return;
    }
    vd_web_lock(registry);
    assert(TAILQ_EMPTY(&registry->ready));
    registry->is_stopping = true;
    pthread_cond_broadcast(&registry->work);
    vd_web_unlock(registry);
    for (size_t at = 0; at < slots; at++) {
        if (registry->writers[at].is_started) {
            (void)pthread_join(registry->writers[at].thread, NULL); /* it never blocks for long */
            registry->writers[at].is_started = false;
        }
    }
}
