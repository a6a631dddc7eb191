/* The book-keeping of websockets: admission, credit, what each client gets next, eviction. Nothing
 * here writes to a connection or touches the loop. */
#include "web_registry.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"

/* How a reason reads in metrics and close frames, and the code it closes with. */
static const struct {
    const char *label;
    unsigned code;
    const char *text;
} reason_words[VD_WEB_REASONS] = {
    [VD_WEB_NO_REASON] = {"none", 1000, ""},
    [VD_WEB_SLOW_WRITE] = {"slow_write", 1013, "too slow"},
    [VD_WEB_NO_ACK] = {"no_ack", 1013, "no ack"},
    [VD_WEB_BEHIND] = {"behind", 1013, "too slow"},
    [VD_WEB_GONE] = {"gone", 1001, "gone"},
    [VD_WEB_BAD_FRAME] = {"bad_frame", 1003, "unknown message"},
    [VD_WEB_LONG_FRAME] = {"long_frame", 1009, "message too long"},
    [VD_WEB_BROKEN_RULE] = {"broken_rule", 1008, "a rule of the protocol is broken"},
    [VD_WEB_DRAIN] = {"drain", 1001, "the server stops"},
    [VD_WEB_SIGNED_OUT] = {"signed_out", 1008, "signed out"},
    [VD_WEB_FULL] = {"full", 1013, "too many clients"},
    [VD_WEB_ADDRESS_FULL] = {"address", 1013, "too many clients from one address"},
    [VD_WEB_TOO_FAST] = {"rate", 1013, "too many new clients"},
    [VD_WEB_WRONG_HOST] = {"host", 1008, "wrong host"},
    [VD_WEB_WRONG_ORIGIN] = {"origin", 1008, "wrong origin"},
    [VD_WEB_WRONG_PROTOCOL] = {"protocol", 1008, "wrong subprotocol"},
    [VD_WEB_NOT_SIGNED_IN] = {"not_signed_in", 1008, "not signed in"},
    [VD_WEB_CLOSING] = {"closing", 1001, "the server stops"},
};

static void init_metrics(struct vd_web_registry *registry, struct vd_metrics *metrics)
{
    registry->sockets = vd_metric_get(metrics, VD_GAUGE, "votingd_websocket_clients", NULL,
                                      "websockets that are open");
    registry->frames = vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_frames_total", NULL,
                                     "frames sent to websockets");
    registry->bytes = vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_bytes_total", NULL,
                                    "bytes sent to websockets");
    registry->skipped =
        vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_skipped_pictures_total", NULL,
                      "pictures that a client never got because a newer one was there");
    registry->fulls = vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_snapshots_total", NULL,
                                    "full pictures that were built for websockets");
    registry->age = vd_metric_get(metrics, VD_HISTOGRAM, "votingd_websocket_age_seconds", NULL,
                                  "time from the making of a picture to its acknowledgement");
    registry->spares = vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_stuck_writers_total",
                                     NULL, "writers that a slow client held up");
    for (int reason = VD_WEB_SLOW_WRITE; reason < VD_WEB_REASONS; reason++) {
        VD_AUTO(mem) char *label = vd_format("reason=\"%s\"", reason_words[reason].label);

        registry->reasons[reason] =
            reason < VD_WEB_EVICTIONS
                ? vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_evictions_total", label,
                                "websockets that the server closed")
                : vd_metric_get(metrics, VD_COUNTER, "votingd_websocket_refusals_total", label,
                                "websockets that were refused before the handshake");
    }
}

void vd_web_registry_init(struct vd_web_registry *registry, const struct vd_web_conf *conf,
                          struct vd_log *log, struct vd_metrics *metrics)
{
    pthread_condattr_t monotonic;

    registry->conf = conf;
    registry->log = log;
    TAILQ_INIT(&registry->clients);
    TAILQ_INIT(&registry->ready);
    pthread_mutex_init(&registry->lock, NULL);
    pthread_cond_init(&registry->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&registry->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    registry->tokens = (double)conf->sockets_per_second;
    registry->tokens_ms = vd_mono_ms();
    init_metrics(registry, metrics);
}

void vd_web_registry_fini(struct vd_web_registry *registry)
{
    assert(TAILQ_EMPTY(&registry->clients) && registry->writers_alive == 0);
    free(vd_take(registry->writers));
    pthread_cond_destroy(&registry->idle);
    pthread_cond_destroy(&registry->work);
    pthread_mutex_destroy(&registry->lock);
}

/* ---- admission ------------------------------------------------------------------------------- */

static size_t count_address(const struct vd_web_registry *registry, const char *address)
{
    const struct vd_web_client *client;
    size_t count = 0;

    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        count += strcmp(client->address, address) == 0 ? 1 : 0;
    }
    return count;
}

/* A bucket that holds one second's worth. */
static bool take_token(struct vd_web_registry *registry)
{
    double per_second = (double)registry->conf->sockets_per_second;
    int64_t now_ms = vd_mono_ms();

    registry->tokens += (double)(now_ms - registry->tokens_ms) * per_second / 1000;
    registry->tokens = registry->tokens > per_second ? per_second : registry->tokens;
    registry->tokens_ms = now_ms;
    if (registry->tokens < 1) {
        return false;
    }
    registry->tokens -= 1;
    return true;
}

static enum vd_web_reason refuse(struct vd_web_registry *registry, const char *address)
{
    const struct vd_web_conf *conf = registry->conf;
    int64_t sockets_max =
        conf->sockets_max > 0 ? conf->sockets_max : conf->threads - VD_WEB_THREADS_SPARED;

    if (registry->is_draining) {
        return VD_WEB_CLOSING;
    }
    if ((int64_t)registry->count >= sockets_max) {
        return VD_WEB_FULL;
    }
    if ((int64_t)count_address(registry, address) >= conf->sockets_per_address) {
        return VD_WEB_ADDRESS_FULL;
    }
    return take_token(registry) ? VD_WEB_NO_REASON : VD_WEB_TOO_FAST;
}

void vd_web_client_want_full(struct vd_web_client *client, bool is_wanted)
{
    if (client->needs_full != is_wanted) {
        client->needs_full = is_wanted;
        client->socket->full_wanted += is_wanted ? 1 : (size_t)-1;
    }
}

struct vd_web_client *vd_web_client_join(struct vd_web_registry *registry,
                                         struct vd_web_socket *socket, struct mg_connection *conn,
                                         const char *address, enum vd_web_reason *reason)
{
    struct vd_web_client *client;

    *reason = refuse(registry, address);
    if (*reason != VD_WEB_NO_REASON) {
        return NULL;
    }
    client = vd_alloc(sizeof(*client));
    client->socket = socket;
    client->conn = conn;
    client->id = ++registry->last_id;
    (void)snprintf(client->address, sizeof(client->address), "%s", address);
    atomic_init(&client->is_broken, false);
    client->needs_hello = true;
    /* The full picture may have been made a while ago; the last heartbeat says how things are. */
    client->beat = socket->beats - (socket->beat != NULL ? 1 : 0);
    client->ack_ms = vd_mono_ms();
    client->messages = VD_WEB_MESSAGES_BURST;
    client->messages_ms = client->ack_ms;
    vd_web_client_want_full(client, true);
    TAILQ_INSERT_TAIL(&registry->clients, client, entry);
    registry->count++;
    socket->clients++;
    vd_metric_set(registry->sockets, (int64_t)registry->count);
    return client;
}

void vd_web_client_hush(struct vd_web_registry *registry, struct vd_web_client *client)
{
    client->is_leaving = true;
    if (client->is_ready) {
        client->is_ready = false;
        TAILQ_REMOVE(&registry->ready, client, ready_entry);
    }
    while (client->is_busy) {
        pthread_cond_wait(&registry->idle, &registry->lock);
    }
}

void vd_web_client_leave(struct vd_web_registry *registry, struct vd_web_client *client)
{
    vd_web_client_hush(registry, client);
    vd_web_client_want_full(client, false);
    TAILQ_REMOVE(&registry->clients, client, entry);
    registry->count--;
    client->socket->clients--;
    vd_metric_set(registry->sockets, (int64_t)registry->count);
    vd_web_frame_unref(client->frame);
    free(client);
    pthread_cond_broadcast(&registry->idle); /* a drain counts who is left */
}

struct vd_web_client *vd_web_client_find(struct vd_web_registry *registry, uint64_t id)
{
    struct vd_web_client *client;

    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        if (client->id == id) {
            return client;
        }
    }
    return NULL;
}

static bool is_behind(const struct vd_web_client *client)
{
    const struct vd_web_socket *socket = client->socket;

    return socket->has_picture &&
           (client->needs_full || !client->has_picture || client->seq != socket->seq ||
            (socket->is_for_all && client->heal != socket->heals));
}

/* True if it is worth while to ask what the client gets next. */
static bool has_more(const struct vd_web_client *client)
{
    if (client->evicted != VD_WEB_NO_REASON) {
        return !client->is_close_sent;
    }
    return client->needs_hello || is_behind(client) || client->beat != client->socket->beats;
}

void vd_web_client_queue(struct vd_web_registry *registry, struct vd_web_client *client)
{
    /* One that is busy is looked at again by the writer that holds it. */
    if (client->is_open && !client->is_ready && !client->is_busy && !client->is_leaving &&
        (client->frame != NULL || has_more(client))) {
        client->is_ready = true;
        TAILQ_INSERT_TAIL(&registry->ready, client, ready_entry);
    }
}

void vd_web_client_wake(struct vd_web_registry *registry, struct vd_web_client *client)
{
    vd_web_client_queue(registry, client);
    if (client->is_ready) {
        vd_web_writers_call(registry);
    }
}

void vd_web_client_evict(struct vd_web_registry *registry, struct vd_web_client *client,
                         enum vd_web_reason reason)
{
    if (client->evicted != VD_WEB_NO_REASON) {
        return;
    }
    client->evicted = reason;
    client->cut_ms = vd_mono_ms() + VD_WEB_CUT_MS;
    vd_web_client_want_full(client, false);
    vd_metric_add(registry->reasons[reason], 1);
    vd_debug(registry->log, "closing the websocket of %s: %s", client->address,
             reason_words[reason].text);
    vd_web_client_wake(registry, client);
}

/* ---- what the client says -------------------------------------------------------------------- */

static void forget_unacked(struct vd_web_client *client)
{
    client->unacked_bytes -= client->unacked[client->unacked_first].bytes;
    client->unacked_first = (client->unacked_first + 1) % VD_WEB_CREDIT_FRAMES;
    client->unacked_count--;
}

bool vd_web_client_ack(struct vd_web_registry *registry, struct vd_web_client *client, uint64_t seq)
{
    int64_t since_ns = 0;

    if (!client->has_picture || seq > client->seq) {
        return false;
    }
    while (client->unacked_count > 0 && client->unacked[client->unacked_first].seq <= seq) {
        since_ns = client->unacked[client->unacked_first].since_ns;
        forget_unacked(client);
    }
    if (since_ns > 0) {
        vd_metric_observe(registry->age, (double)(vd_mono_ns() - since_ns) / 1e9);
    }
    client->ack_ms = vd_mono_ms();
    client->behind = 0;
    vd_web_client_wake(registry, client);
    return true;
}

void vd_web_client_rate(struct vd_web_registry *registry, struct vd_web_client *client,
                        int64_t min_ms)
{
    client->rate_ms = min_ms;
    vd_web_client_wake(registry, client);
}

/* A client that asks has read up to the place where it lost track: its credit is whole again. */
static void serve_resync(struct vd_web_registry *registry, struct vd_web_client *client)
{
    client->resync_at_ms = 0;
    client->resync_ms = vd_mono_ms();
    client->ack_ms = client->resync_ms;
    client->behind = 0;
    while (client->unacked_count > 0) {
        forget_unacked(client);
    }
    vd_web_client_want_full(client, true);
    vd_web_client_wake(registry, client);
}

void vd_web_client_resync(struct vd_web_registry *registry, struct vd_web_client *client)
{
    int64_t due_ms = client->resync_ms + VD_WEB_RESYNC_MS;

    if (client->evicted != VD_WEB_NO_REASON || client->needs_full) {
        return; /* it gets one anyway */
    }
    if (client->resync_ms == 0 || due_ms <= vd_mono_ms()) {
        serve_resync(registry, client);
    } else {
        client->resync_at_ms = due_ms;
    }
}

bool vd_web_client_may_talk(struct vd_web_client *client)
{
    int64_t now_ms = vd_mono_ms();

    client->messages += (double)(now_ms - client->messages_ms) * VD_WEB_MESSAGES_PER_S / 1000;
    if (client->messages > VD_WEB_MESSAGES_BURST) {
        client->messages = VD_WEB_MESSAGES_BURST;
    }
    client->messages_ms = now_ms;
    client->messages -= 1;
    return client->messages >= 0;
}

/* ---- what the client gets -------------------------------------------------------------------- */

/* A lone larger picture may pass, or a client could never get one. */
static bool has_credit(const struct vd_web_registry *registry, const struct vd_web_client *client,
                       size_t bytes)
{
    return client->unacked_count == 0 ||
           (client->unacked_count < VD_WEB_CREDIT_FRAMES &&
            client->unacked_bytes + bytes <= (size_t)registry->conf->credit_bytes);
}

static bool is_rate_due(const struct vd_web_client *client, int64_t now_ms)
{
    return client->rate_ms == 0 || !client->has_picture || client->resync_ms > client->sent_ms ||
           now_ms - client->sent_ms >= client->rate_ms;
}

void vd_web_socket_add_delta(struct vd_web_socket *socket, struct vd_web_frame *delta)
{
    struct vd_web_frame **deltas = socket->deltas;
    bool is_next = delta != NULL && socket->has_picture && delta->base == socket->seq;

    for (size_t at = 0; at < VD_WEB_CHAIN_MAX; at++) {
        vd_web_frame_unref(vd_take(socket->chains[at]));
        if (!is_next || at == VD_WEB_CHAIN_MAX - 1) {
            vd_web_frame_unref(vd_take(deltas[at]));
        }
    }
    memmove(deltas + 1, deltas, (VD_WEB_CHAIN_MAX - 1) * sizeof(*deltas));
    deltas[0] = delta;
}

/* What leads from picture 'seq' to the newest; NULL if that is too far, or more than a client may
 * have at a time. */
static struct vd_web_frame *find_deltas(const struct vd_web_registry *registry,
                                        struct vd_web_socket *socket, uint64_t seq)
{
    size_t at = 0;
    size_t bytes = 0;

    while (at < VD_WEB_CHAIN_MAX && socket->deltas[at] != NULL) {
        bytes += socket->deltas[at]->len;
        if (socket->deltas[at]->base == seq) {
            break;
        }
        at++;
    }
    if (at == VD_WEB_CHAIN_MAX || socket->deltas[at] == NULL) {
        return NULL;
    }
    if (at == 0) {
        return socket->deltas[0];
    }
    if (bytes > (size_t)registry->conf->credit_bytes / 2) {
        return NULL;
    }
    if (socket->chains[at] == NULL) {
        socket->chains[at] = vd_web_frame_chain(socket->deltas, at + 1);
    }
    return socket->chains[at];
}

/* The deltas if they follow on what the client has, otherwise the full picture; a client that would
 * need one that is not built is marked, and the next one brings it. */
static struct vd_web_frame *choose_picture(struct vd_web_registry *registry,
                                           struct vd_web_client *client, int64_t now_ms)
{
    struct vd_web_socket *socket = client->socket;
    struct vd_web_frame *deltas = NULL;

    if (!client->needs_full && client->has_picture) {
        deltas = find_deltas(registry, socket, client->seq);
    }
    if (deltas != NULL) {
        return deltas;
    }
    if (!client->needs_full && !socket->is_for_all) {
        vd_web_client_want_full(client, true);
        client->behind += client->rate_ms == 0 ? 1 : 0;
        if (client->behind > VD_WEB_BEHIND_MAX && now_ms - client->ack_ms > VD_WEB_BEHIND_MS) {
            vd_web_client_evict(registry, client, VD_WEB_BEHIND);
            return NULL;
        }
    }
    return socket->full;
}

static void book_picture(struct vd_web_registry *registry, struct vd_web_client *client,
                         const struct vd_web_frame *frame, int64_t now_ns)
{
    size_t bytes = frame->len;
    uint64_t seq = client->socket->seq;
    bool is_full = frame == client->socket->full;
    struct vd_web_unacked *unacked =
        &client->unacked[(client->unacked_first + client->unacked_count) % VD_WEB_CREDIT_FRAMES];

    if (client->unacked_count == 0) {
        client->ack_ms = now_ns / 1000000; /* there was nothing to acknowledge until now */
    }
    /* With nothing newer, a full picture, or one that the client put off, may be old and good. */
    *unacked = (struct vd_web_unacked){
        .seq = seq,
        .bytes = bytes,
        .since_ns = is_full || client->rate_ms > 0 ? now_ns : frame->made_ns,
    };
    client->unacked_count++;
    client->unacked_bytes += bytes;
    if (client->has_picture && is_full && seq > client->seq + 1) {
        vd_metric_add(registry->skipped, (int64_t)(seq - client->seq - 1));
    }
    client->heal = is_full ? client->socket->heals : client->heal;
    client->has_picture = true;
    client->seq = seq;
    client->sent_ms = now_ns / 1000000;
    vd_web_client_want_full(client, false);
}

struct vd_web_frame *vd_web_client_bye(struct vd_web_client *client)
{
    VD_AUTO(mem) char *bye = NULL;
    bool is_drain = client->evicted == VD_WEB_DRAIN;

    if (client->is_close_sent) {
        return NULL;
    }
    client->is_close_sent = true;
    bye = vd_format("{\"type\":\"bye\",\"seq\":%llu,\"now_ms\":%lld,\"reason\":\"%s\","
                    "\"retry_ms\":%d}",
                    (unsigned long long)client->seq, (long long)vd_wall_ms(),
                    reason_words[client->evicted].label, is_drain ? 1000 : 5000);
    return vd_web_frame_close(bye, reason_words[client->evicted].code,
                              reason_words[client->evicted].text);
}

struct vd_web_frame *vd_web_client_next(struct vd_web_registry *registry,
                                        struct vd_web_client *client, int64_t now_ns)
{
    struct vd_web_socket *socket = client->socket;
    struct vd_web_frame *frame = NULL;

    if (client->evicted != VD_WEB_NO_REASON) {
        return vd_web_client_bye(client);
    }
    if (client->needs_hello) {
        client->needs_hello = socket->hello == NULL;
        return vd_web_frame_ref(socket->hello);
    }
    if (is_behind(client) && is_rate_due(client, now_ns / 1000000) &&
        has_credit(registry, client, 0)) {
        frame = choose_picture(registry, client, now_ns / 1000000);
    }
    if (client->evicted != VD_WEB_NO_REASON) {
        return vd_web_client_bye(client);
    }
    if (frame != NULL && has_credit(registry, client, frame->len)) {
        book_picture(registry, client, frame, now_ns);
        return vd_web_frame_ref(frame);
    }
    if (client->beat != socket->beats && has_credit(registry, client, 0)) {
        client->beat = socket->beats;
        return vd_web_frame_ref(socket->beat);
    }
    return NULL;
}

/* ---- housekeeping ---------------------------------------------------------------------------- */

static void tick_client(struct vd_web_registry *registry, struct vd_web_client *client,
                        int64_t now_ms)
{
    if (client->evicted != VD_WEB_NO_REASON || !client->is_open) {
        return;
    }
    if (client->unacked_count > 0 && now_ms - client->ack_ms > registry->conf->ack_timeout_ms) {
        vd_web_client_evict(registry, client, VD_WEB_NO_ACK);
        return;
    }
    if (client->resync_at_ms != 0 && client->resync_at_ms <= now_ms) {
        serve_resync(registry, client);
    }
    if (client->rate_ms > 0 && is_behind(client) && is_rate_due(client, now_ms)) {
        vd_web_client_wake(registry, client);
    }
}

void vd_web_registry_tick(struct vd_web_registry *registry)
{
    struct vd_web_client *client;
    int64_t now_ms = vd_mono_ms();

    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        tick_client(registry, client, now_ms);
    }
    vd_web_cut(registry, now_ms);
}
