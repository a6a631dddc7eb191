/* Endpoints: what stages call on the loop, and what civetweb calls on the threads that own the
 * connections. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "loop.h"
#include "web_local.h"
#include "web_message.h"

#define FIN 0x80
#define OPCODE_TEXT 0x1
#define OPCODE_CLOSE 0x8

/* A text on its way from a client to the loop. */
struct web_text {
    struct vd_web_socket *socket;
    uint64_t client;
    size_t len;
    char text[];
};

/* ---- for stages, on the loop ----------------------------------------------------------------- */

struct vd_web_socket *vd_web_socket_new(struct vd_web *web, const char *path,
                                        const char *subprotocol,
                                        const struct vd_web_socket_events *events,
                                        struct vd_err *err)
{
    struct vd_web_socket *made;

    assert(web->ctx == NULL);
    if (vd_web_socket_find(web, path) != NULL) {
        (void)vd_fail(err, VD_INVALID, "websocket \"%s\": there is one already", path);
        return NULL;
    }
    made = vd_alloc(sizeof(*made));
    made->web = web;
    made->path = vd_strdup(path);
    made->subprotocol = vd_strdup(subprotocol);
    made->subprotocols.nb_subprotocols = 1;
    made->subprotocols.subprotocols = &made->subprotocol;
    if (events != NULL) {
        made->events = *events;
    }
    made->next = web->sockets;
    web->sockets = made;
    return made;
}

struct vd_web_socket *vd_web_socket_find(const struct vd_web *web, const char *path)
{
    struct vd_web_socket *socket = web->sockets;

    while (socket != NULL && strcmp(socket->path, path) != 0) {
        socket = socket->next;
    }
    return socket;
}

void vd_web_sockets_free(struct vd_web *web)
{
    while (web->sockets != NULL) {
        struct vd_web_socket *socket = web->sockets;

        web->sockets = socket->next;
        vd_web_frame_unref(socket->hello);
        vd_web_socket_add_delta(socket, NULL);
        vd_web_frame_unref(socket->full);
        vd_web_frame_unref(socket->beat);
        free((char *)socket->subprotocol);
        free(socket->path);
        free(socket);
    }
}

/* With the lock: put 'frame', which is taken, in the place of '*slot'. */
static void replace(struct vd_web_frame **slot, struct vd_web_frame *frame)
{
    vd_web_frame_unref(*slot);
    *slot = frame;
}

/* Let go of the lock: every client of 'socket' may have something to get. */
static void unlock_and_call(struct vd_web_registry *registry, const struct vd_web_socket *socket)
{
    struct vd_web_client *client;

    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        if (client->socket == socket) {
            vd_web_client_queue(registry, client);
        }
    }
    vd_web_unlock(registry);
    vd_web_writers_call(registry);
}

void vd_web_socket_set_hello(struct vd_web_socket *socket, const char *text, size_t len)
{
    struct vd_web_registry *registry = &socket->web->registry;
    struct vd_web_frame *frame = vd_web_frame_text(text, len);

    vd_web_lock(registry);
    replace(&socket->hello, frame);
    unlock_and_call(registry, socket);
}

void vd_web_socket_restart(struct vd_web_socket *socket)
{
    struct vd_web_registry *registry = &socket->web->registry;
    struct vd_web_client *client;

    vd_web_lock(registry);
    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        if (client->socket == socket && client->evicted == VD_WEB_NO_REASON) {
            client->needs_hello = true;
            vd_web_client_want_full(client, true);
        }
    }
    unlock_and_call(registry, socket);
}

bool vd_web_socket_wants_full(const struct vd_web_socket *socket)
{
    struct vd_web_registry *registry = &socket->web->registry;
    bool is_wanted;

    vd_web_lock(registry);
    is_wanted = socket->full_wanted > 0;
    vd_web_unlock(registry);
    return is_wanted;
}

void vd_web_socket_publish(struct vd_web_socket *socket, const struct vd_web_picture *picture)
{
    struct vd_web_registry *registry = &socket->web->registry;
    struct vd_web_frame *delta = NULL;
    struct vd_web_frame *full = NULL;

    if (picture->delta != NULL) {
        delta = vd_web_frame_text(picture->delta, picture->delta_len);
        delta->base = picture->base;
    }
    if (picture->full != NULL) {
        full = vd_web_frame_text(picture->full, picture->full_len);
        vd_metric_add(registry->fulls, 1);
    }
    vd_web_lock(registry);
    if (!socket->has_picture || socket->seq != picture->seq) {
        vd_web_socket_add_delta(socket, delta);
        replace(&socket->full, full);
    } else {
        /* The same picture once more: its delta, and what it lacks this time, still hold. */
        vd_web_frame_unref(delta);
        if (full != NULL) {
            replace(&socket->full, full);
        }
    }
    socket->is_for_all = picture->delta == NULL && picture->full != NULL;
    socket->heals += socket->is_for_all ? 1 : 0;
    socket->seq = picture->seq;
    socket->has_picture = true;
    unlock_and_call(registry, socket);
}

void vd_web_socket_beat(struct vd_web_socket *socket, const char *text, size_t len)
{
    struct vd_web_registry *registry = &socket->web->registry;
    struct vd_web_frame *frame = vd_web_frame_text(text, len);

    vd_web_lock(registry);
    replace(&socket->beat, frame);
    socket->beats++;
    unlock_and_call(registry, socket);
}

size_t vd_web_socket_clients(const struct vd_web_socket *socket)
{
    struct vd_web_registry *registry = &socket->web->registry;
    size_t clients;

    vd_web_lock(registry);
    clients = socket->clients;
    vd_web_unlock(registry);
    return clients;
}

void vd_web_text_run(void *arg, void *item)
{
    struct vd_web *web = arg;
    VD_AUTO(mem) struct web_text *text = item;
    const struct vd_web_socket_events *events = &text->socket->events;
    struct vd_web_client *client;

    if (events->on_text(events->arg, text->text, text->len)) {
        return;
    }
    vd_web_lock(&web->registry);
    client = vd_web_client_find(&web->registry, text->client);
    if (client != NULL) {
        vd_web_client_evict(&web->registry, client, VD_WEB_BAD_FRAME);
    }
    vd_web_unlock(&web->registry);
}

/* ---- for civetweb, on the connection's thread ------------------------------------------------ */

static int refuse(struct mg_connection *conn, enum vd_web_reason reason)
{
    switch (reason) {
    case VD_WEB_ADDRESS_FULL:
        return vd_web_reply_error(conn, 429, "too_many_clients",
                                  "too many connections from this address", "Retry-After: 10\r\n");
    case VD_WEB_TOO_FAST:
        return vd_web_reply_error(conn, 503, "too_many_clients", "too many new connections",
                                  "Retry-After: 1\r\n");
    case VD_WEB_NOT_SIGNED_IN:
        return vd_web_reply_error(conn, 401, "not_signed_in", "the session has ended", NULL);
    case VD_WEB_CLOSING:
        return vd_web_reply_error(conn, 503, "stopping", "the server stops", "Retry-After: 5\r\n");
    default:
        return vd_web_reply_error(conn, 503, "too_many_clients", "too many connections",
                                  "Retry-After: 10\r\n");
    }
}

/* Before the 101: 0 lets the handshake go on. vd_web_on_request has checked the request itself. */
static int on_connect(const struct mg_connection *const_conn, void *arg)
{
    /* civetweb's own manual answers here; the const is for handlers that do not. */
    struct mg_connection *conn = (struct mg_connection *)const_conn;
    struct vd_web_socket *socket = arg;
    struct vd_web *web = socket->web;
    const struct mg_request_info *info = mg_get_request_info(conn);
    enum vd_web_reason reason = VD_WEB_NOT_SIGNED_IN;
    struct vd_web_client *client = NULL;
    struct vd_web_who who;

    if (info->acceptedWebSocketSubprotocol == NULL) {
        vd_metric_add(web->registry.reasons[VD_WEB_WRONG_PROTOCOL], 1);
        (void)vd_web_reply_error(conn, 400, "wrong_subprotocol",
                                 "the websocket subprotocol is unknown here", NULL);
        return 1;
    }
    vd_web_access_identify(conn, &who);
    if (who.role >= VD_WEB_VIEWER) { /* still, a moment after vd_web_on_request */
        char counted[VD_WEB_ADDRESS_BYTES];

        vd_web_guard_counted(who.address, counted);
        vd_web_lock(&web->registry);
        client = vd_web_client_join(&web->registry, socket, conn, counted, &reason);
        if (client != NULL) {
            client->session = who.session;
        }
        vd_web_unlock(&web->registry);
    }
    if (client == NULL) {
        vd_metric_add(web->registry.reasons[reason], 1);
        (void)refuse(conn, reason);
        return 1;
    }
    mg_set_user_connection_data(conn, client);
    return 0;
}

static void on_ready(struct mg_connection *conn, void *arg)
{
    struct vd_web_socket *socket = arg;
    struct vd_web_registry *registry = &socket->web->registry;
    struct vd_web_client *client = mg_get_user_connection_data(conn);

    vd_web_lock(registry);
    client->is_open = true;
    if (registry->is_draining) {
        vd_web_client_evict(registry, client, VD_WEB_DRAIN);
    }
    vd_web_client_wake(registry, client);
    vd_web_unlock(registry);
}

/* Leave with what is booked for the client already, and then 'frame', which is taken; NULL: the
 * client was told. No writer has it any more. 0 makes civetweb end the connection. */
static int leave(struct vd_web_client *client, struct vd_web_frame *frame)
{
    if (client->frame != NULL) {
        (void)vd_web_client_write(client, client->frame);
    }
    if (frame != NULL) {
        (void)vd_web_client_write(client, frame); /* it is closed either way */
        vd_web_frame_unref(frame);
    }
    return 0;
}

/* Tell the client why. */
static int leave_with(struct vd_web_client *client, enum vd_web_reason reason)
{
    struct vd_web_registry *registry = &client->socket->web->registry;
    struct vd_web_frame *bye;

    vd_web_lock(registry);
    vd_web_client_hush(registry, client); /* nothing may follow the close */
    vd_web_client_evict(registry, client, reason);
    bye = vd_web_client_bye(client);
    vd_web_unlock(registry);
    return leave(client, bye);
}

/* The client closes: echo its code, or 1002 where it sent half of one. */
static int leave_closed(struct vd_web_client *client, const char *payload, size_t len)
{
    struct vd_web_registry *registry = &client->socket->web->registry;
    unsigned code = 1000;
    bool is_told;

    if (len >= 2) {
        code = (unsigned)((unsigned char)payload[0] << 8 | (unsigned char)payload[1]);
    }
    if (len == 1 || code < 1000 || code > 4999 || (code >= 1004 && code <= 1006)) {
        code = 1002;
    }
    vd_web_lock(registry);
    vd_web_client_hush(registry, client);                     /* nothing may follow the close */
    is_told = client->is_close_sent && client->frame == NULL; /* else that is its bye */
    vd_web_frame_unref(vd_take(client->frame)); /* it has closed, and nothing would cut it */
    client->is_close_sent = true;
    vd_web_unlock(registry);
    return leave(client, is_told ? NULL : vd_web_frame_close(NULL, code, ""));
}

/* Pass a text that is not core's on to the endpoint. */
static bool push_text(struct vd_web_client *client, const char *text, size_t len)
{
    struct web_text *item;

    if (client->socket->events.on_text == NULL) {
        return false;
    }
    item = vd_alloc(sizeof(*item) + len + 1);
    item->socket = client->socket;
    item->client = client->id;
    item->len = len;
    memcpy(item->text, text, len);
    if (vd_queue_push(client->socket->web->texts, item) != VD_OK) {
        free(item); /* the loop is late; a client that says nothing vital loses this */
        vd_metric_add(client->socket->web->busy, 1);
    }
    return true;
}

static int on_message(struct vd_web_client *client, const char *text, size_t len)
{
    struct vd_web_registry *registry = &client->socket->web->registry;
    struct vd_web_message message = vd_web_message_parse(text, len);
    enum vd_web_reason reason = VD_WEB_NO_REASON;

    if (message.kind == VD_WEB_OTHER) {
        return push_text(client, text, len) ? 1 : leave_with(client, VD_WEB_BAD_FRAME);
    }
    vd_web_lock(registry);
    if (message.kind == VD_WEB_BROKEN) {
        reason = VD_WEB_BROKEN_RULE;
    } else if (message.kind == VD_WEB_ACK) {
        reason = vd_web_client_ack(registry, client, message.seq) ? reason : VD_WEB_BROKEN_RULE;
    } else if (message.kind == VD_WEB_RATE) {
        vd_web_client_rate(registry, client, message.min_ms);
    } else {
        vd_web_client_resync(registry, client);
    }
    vd_web_unlock(registry);
    return reason == VD_WEB_NO_REASON ? 1 : leave_with(client, reason);
}

/* One frame from the client; 0 ends the connection. civetweb has answered pings and taken pongs. */
static int on_frame(struct mg_connection *conn, int bits, char *payload, size_t len, void *arg)
{
    struct vd_web_client *client = mg_get_user_connection_data(conn);
    struct vd_web_registry *registry = &client->socket->web->registry;
    bool is_leaving, may_talk;

    if ((bits & 0x0f) == OPCODE_CLOSE) {
        return leave_closed(client, payload, len);
    }
    vd_web_lock(registry);
    is_leaving = client->evicted != VD_WEB_NO_REASON;
    may_talk = vd_web_client_may_talk(client);
    vd_web_unlock(registry);
    if (is_leaving) {
        return 0;
    }
    if (len > VD_WEB_MESSAGE_BYTES) {
        return leave_with(client, VD_WEB_LONG_FRAME);
    }
    /* What a client has to say fits into one frame: a fragment is not for us,
     * nor are extensions. */
    if ((bits & 0xff) != (FIN | OPCODE_TEXT) || !vd_utf8_is_valid(payload, len)) {
        return leave_with(client, VD_WEB_BAD_FRAME);
    }
    if (!may_talk) {
        return leave_with(client, VD_WEB_BROKEN_RULE);
    }
    return on_message(client, payload, len);
}

static void on_close(const struct mg_connection *conn, void *arg)
{
    struct vd_web_socket *socket = arg;
    struct vd_web_registry *registry = &socket->web->registry;
    struct vd_web_client *client = mg_get_user_connection_data(conn);

    vd_web_lock(registry);
    vd_web_client_leave(registry, client);
    vd_web_unlock(registry);
    mg_set_user_connection_data(conn, NULL);
}

void vd_web_socket_attach(struct vd_web_socket *socket, struct mg_context *ctx)
{
    mg_set_websocket_handler_with_subprotocols(ctx, socket->path, &socket->subprotocols, on_connect,
                                               on_ready, on_frame, on_close, socket);
}
