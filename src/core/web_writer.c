/* The threads that write frames. civetweb's write blocks while the peer's buffer is full, so a
 * writer that is held up is replaced by a spare one, and nobody else waits for it: what it has
 * not begun with is taken off it. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "loop_uv.h"
#include "web_registry.h"

/* A large frame goes out in pieces, so that the limit for one write is seen between them. */
#define PIECE_BYTES (64 * 1024)

/* Of frames that one writer takes at a time; beyond, the others have their share. */
#define BATCH_BYTES (64 * 1024)

/* In place of the next one's number: the rest is not the writer's any more. */
#define NONE_NEXT (SIZE_MAX / 2)

/* All of the frame, or false; then half of it may be out. */
static bool write_pieces(struct mg_connection *conn, const struct vd_web_frame *frame)
{
    int64_t deadline_ms = frame->len > PIECE_BYTES ? vd_mono_ms() + VD_WEB_WRITE_MAX_MS : 0;

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

/* ---- a batch: many clients for one lock ------------------------------------------------------ */

/* With the lock: take clients that are ready, each with the frame that it gets. */
static void take_batch(struct vd_web_writer *writer)
{
    struct vd_web_registry *registry = writer->registry;
    int64_t now_ns = vd_mono_ns();
    struct vd_web_client *client;
    size_t bytes = 0;

    writer->count = writer->settled = 0;
    while (writer->count < VD_WEB_BATCH_MAX && bytes < BATCH_BYTES &&
           (client = TAILQ_FIRST(&registry->ready)) != NULL) {
        TAILQ_REMOVE(&registry->ready, client, ready_entry);
        client->is_ready = false;
        client->is_busy = true; /* and not queued again, should it be evicted now */
        if (client->frame == NULL) {
            client->frame = vd_web_client_next(registry, client, now_ns);
        }
        if (client->frame == NULL) {
            client->is_busy = false;
        } else {
            bytes += client->frame->len;
            writer->batch[writer->count++].client = client;
        }
    }
    atomic_store(&writer->next, 0);
    atomic_store(&writer->since_ms, now_ns / 1000000);
}

/* Write to those of the batch that nobody has taken off us meanwhile; without the lock: they cannot
 * go away. Returns: how many. */
static size_t write_batch(struct vd_web_writer *writer)
{
    int64_t since_ms = atomic_load(&writer->since_ms);
    size_t done = 0;

    while (atomic_fetch_add(&writer->next, 1) < writer->count) {
        struct vd_web_written *written = &writer->batch[done++];
        int64_t now_ms;

        written->is_whole = vd_web_client_write(written->client, written->client->frame);
        now_ms = vd_mono_ms();
        written->is_slow = now_ms - since_ms > VD_WEB_WRITE_MAX_MS;
        since_ms = now_ms;
        atomic_store(&writer->since_ms, now_ms);
    }
    return done;
}

/* With the lock: let go of a client. */
static void put_down(struct vd_web_registry *registry, struct vd_web_client *client)
{
    client->is_busy = false;
    if (client->is_leaving || registry->is_draining) {
        pthread_cond_broadcast(&registry->idle);
    }
}

/* With the lock: the batch is written up to 'end'; book that. */
static void settle(struct vd_web_writer *writer, size_t end)
{
    struct vd_web_registry *registry = writer->registry;
    int64_t frames = 0;
    int64_t bytes = 0;

    for (; writer->settled < end; writer->settled++) {
        struct vd_web_written *written = &writer->batch[writer->settled];
        struct vd_web_client *client = written->client;

        if (written->is_whole) {
            frames += client->frame->count;
            bytes += (int64_t)client->frame->len;
        }
        vd_web_frame_unref(vd_take(client->frame));
        put_down(registry, client);
        if (!written->is_whole || written->is_slow) {
            vd_web_client_evict(registry, client,
                                written->is_slow ? VD_WEB_SLOW_WRITE : VD_WEB_GONE);
            client->is_close_sent |= !written->is_whole; /* nothing may follow half a frame */
        }
        vd_web_client_queue(registry, client);
        registry->served++;
    }
    vd_metric_add(registry->frames, frames);
    vd_metric_add(registry->bytes, bytes);
}

/* With the lock: leave a writer that is held up only the client that it is writing to. Those before
 * it are through, and those behind it are the next ones of somebody else, each with the frame that
 * is booked for it. */
static void take_back(struct vd_web_writer *writer)
{
    size_t begun = atomic_exchange(&writer->next, NONE_NEXT);

    if (begun >= NONE_NEXT) {
        return; /* that was done already */
    }
    settle(writer, begun > 0 ? begun - 1 : 0);
    for (size_t at = begun; at < writer->count; at++) {
        put_down(writer->registry, writer->batch[at].client);
        vd_web_client_queue(writer->registry, writer->batch[at].client);
    }
    if (begun == 0) {
        writer->settled = writer->count;
    }
}

/* ---- writers --------------------------------------------------------------------------------- */

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

/* With the lock: wait until a client is ready; false when this writer is to leave. */
static bool wait_for_clients(const struct vd_web_writer *writer)
{
    struct vd_web_registry *registry = writer->registry;

    while (TAILQ_EMPTY(&registry->ready)) {
        if (registry->is_stopping || usable_writers(registry) > wanted_writers(registry)) {
            return false;
        }
        pthread_cond_wait(&registry->work, &registry->lock);
    }
    return true;
}

/* With the lock. */
static void serve(struct vd_web_writer *writer)
{
    struct vd_web_registry *registry = writer->registry;
    bool has_more;
    size_t done;

    take_batch(writer);
    has_more = !TAILQ_EMPTY(&registry->ready);
    vd_web_unlock(registry);
    if (has_more) {
        vd_web_writers_call(registry);
    }
    done = write_batch(writer);
    vd_web_lock(registry);
    settle(writer, done);
    writer->count = 0;
    atomic_store(&writer->since_ms, 0);
}

static void *run_writer(void *arg)
{
    struct vd_web_writer *writer = arg;
    struct vd_web_registry *registry = writer->registry;

    vd_web_lock(registry);
    while (wait_for_clients(writer)) {
        serve(writer);
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
static bool is_held_up(const struct vd_web_writer *writer, int64_t now_ms)
{
    int64_t since_ms = atomic_load(&writer->since_ms);

    return since_ms != 0 && now_ms - since_ms > VD_WEB_STUCK_MS;
}

static void mark_stuck(struct vd_web_writer *writer)
{
    if (!writer->is_stuck) {
        writer->is_stuck = true;
        writer->registry->writers_stuck++;
        vd_metric_add(writer->registry->spares, 1);
    }
}

/* With the lock: free the others of a writer that is held up. A write that goes on for too long,
 * perhaps byte by byte, ends with its client; but not at once, for it may be the writer that had no
 * core, and a frame that is out late is still followed by its bye. */
static void relieve(struct vd_web_writer *writer)
{
    int64_t now_ms = vd_mono_ms();
    struct vd_web_client *client;

    take_back(writer); /* now the first that is not settled is the one it is at */
    if (writer->settled == writer->count ||
        now_ms - atomic_load(&writer->since_ms) <= VD_WEB_WRITE_MAX_MS) {
        return;
    }
    client = writer->batch[writer->settled].client;
    if (client->evicted == VD_WEB_NO_REASON) {
        vd_web_client_evict(writer->registry, client, VD_WEB_SLOW_WRITE);
        client->cut_ms = now_ms + VD_WEB_WRITE_MAX_MS;
    }
}

/* With the lock: do 'what' with every writer that is held up. */
static void for_each_held_up(struct vd_web_registry *registry, void (*what)(struct vd_web_writer *))
{
    size_t slots = (size_t)registry->conf->writers + VD_WEB_SPARE_WRITERS;
    int64_t now_ms = vd_mono_ms();

    for (size_t at = 0; at < slots; at++) {
        if (is_held_up(&registry->writers[at], now_ms)) {
            what(&registry->writers[at]);
        }
    }
}

void vd_web_writers_tick(struct vd_web_registry *registry)
{
    /* While some writer gets on, one that does not may just be without a core, and one more thread
     * would make that worse. */
    bool is_moving = registry->served != registry->served_before;

    for_each_held_up(registry, relieve);
    registry->served_before = registry->served;
    if (TAILQ_EMPTY(&registry->ready)) {
        return;
    }
    vd_web_writers_call(registry);
    if (is_moving) {
        return;
    }
    for_each_held_up(registry, mark_stuck);
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
        count += client->is_open && (!client->is_close_sent || client->frame != NULL) ? 1 : 0;
    }
    return count;
}

/* With the lock: wait until a client was put down, or until then at the latest. */
static void wait_for_idle(struct vd_web_registry *registry, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};

    (void)pthread_cond_timedwait(&registry->idle, &registry->lock, &until); /* the caller looks */
}

void vd_web_registry_drain(struct vd_web_registry *registry, int64_t ms)
{
    struct vd_web_client *client;
    int64_t deadline_ns = vd_mono_ns() + ms * 1000000;
    int64_t tick_ns = 0;

    vd_web_lock(registry);
    registry->is_draining = true;
    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        vd_web_client_evict(registry, client, VD_WEB_DRAIN);
    }
    while (count_untold(registry) > 0 && vd_mono_ns() < deadline_ns) {
        if (vd_mono_ns() >= tick_ns) {
            vd_web_writers_tick(registry); /* the loop is in here, not at its timer */
            tick_ns = vd_mono_ns() + VD_WEB_TICK_MS * INT64_C(1000000);
        }
        wait_for_idle(registry, tick_ns);
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
