#include "http_server.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

#include "test.h"

#define CHUNK_BYTES 65536

struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    struct server *server;
    struct peer *next, **at;
    struct vd_buf in;
    struct vd_buf out;
    const char *again; /* what follows the answer without end, or NULL */
    bool is_last;      /* close after the answer */
    bool is_reset;     /* close with a reset after the answer */
};

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    vd_buf_fini(&peer->in);
    vd_buf_fini(&peer->out);
    free(peer);
}

static void close_peer(struct peer *peer)
{
    if (uv_is_closing((uv_handle_t *)&peer->tcp)) {
        return;
    }
    *peer->at = peer->next;
    if (peer->next != NULL) {
        peer->next->at = peer->at;
    }
    if (!peer->is_reset || uv_tcp_close_reset(&peer->tcp, on_peer_closed) != 0) {
        uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
    }
}

static void send_out(struct peer *peer, uv_write_cb on_sent)
{
    uv_buf_t buf = uv_buf_init(peer->out.data, (unsigned)peer->out.len);

    peer->write.data = peer;
    uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &buf, 1, on_sent);
}

static void on_written(uv_write_t *write, int error)
{
    struct peer *peer = write->data;

    if (error != 0 || peer->is_last) {
        close_peer(peer);
    } else if (peer->again != NULL) {
        vd_buf_clear(&peer->out);
        while (peer->out.len < CHUNK_BYTES) {
            vd_buf_add_text(&peer->out, peer->again);
        }
        send_out(peer, on_written);
    }
}

static void answer(struct peer *peer, const char *head, const char *body)
{
    vd_buf_clear(&peer->out);
    if (body != NULL) {
        vd_buf_printf(&peer->out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head,
                      strlen(body), body);
    } else {
        vd_buf_add_text(&peer->out, head);
    }
    send_out(peer, on_written);
}

/* Answers that are only words. */
static const struct manner {
    const char *path;
    const char *head;
    const char *body; /* NULL: 'head' is all, and what follows it is the end of the connection */
} manners[] = {
    {"/ok", "200 OK\r\nContent-Type: text/plain", "hello"},
    {"/missing", "404 Not Found", "no such page"},
    {"/broken", "500 Internal Server Error", ""},
    {"/moved", "302 Found\r\nLocation: /ok", "elsewhere"},
    {"/busy", "503 Busy\r\nretry-AFTER:  7 ", "later"},
    {"/busy-date", "429 Slow\r\nRetry-After: Fri, 01 Jan 2100 00:00:00 GMT", ""},
    {"/busy-past", "429 Slow\r\nRetry-After: Sat, 01 Jan 2000 00:00:00 GMT", ""},
    {"/busy-odd", "429 Slow\r\nRetry-After: 7 apples", ""},
    {"/busy-negative", "429 Slow\r\nRetry-After: -7", ""},
    {"/hint",
     "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
     "2\r\n\r\n"
     "ok",
     NULL},
    {"/chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", NULL},
    {"/to-the-end", "HTTP/1.1 200 OK\r\n\r\nuntil I close", NULL},
    {"/nothing", "", NULL},
    {"/half", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly half", NULL},
    {"/half-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", NULL},
    {"/announced", "HTTP/1.1 200 OK\r\nContent-Length: 123456789012\r\n\r\n", NULL},
    {"/garbage", "220 smtp.example ready\r\n", NULL},
};

static void serve(struct peer *peer, const char *path)
{
    for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
        if (strcmp(path, manners[i].path) == 0) {
            peer->is_last = manners[i].body == NULL;
            answer(peer, manners[i].head, manners[i].body);
            return;
        }
    }
    if (strcmp(path, "/echo") == 0) {
        answer(peer, "200 OK", vd_buf_text(&peer->in));
    } else if (strcmp(path, "/endless") == 0) {
        peer->again = "and more";
        answer(peer, "HTTP/1.1 200 OK\r\n\r\n", NULL);
    } else if (strcmp(path, "/endless-head") == 0) {
        peer->again = "X-More: and more\r\n";
        answer(peer, "HTTP/1.1 200 OK\r\n", NULL);
    } else if (strcmp(path, "/reset") == 0) {
        peer->is_reset = true;
        peer->is_last = true;
        answer(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly half", NULL);
    } /* "/silent" and all else: no answer */
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct peer *peer = handle->data;

    (void)wanted;
    vd_buf_reserve(&peer->in, CHUNK_BYTES);
    *buf = uv_buf_init(peer->in.data + peer->in.len, CHUNK_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct peer *peer = stream->data;
    char path[128];

    (void)buf;
    if (len < 0) {
        close_peer(peer);
        return;
    }
    peer->in.len += (size_t)len;
    if (strstr(vd_buf_text(&peer->in), "\r\n\r\n") != NULL) {
        assert_int_equal(sscanf(peer->in.data, "GET %127[^ ?]", path), 1);
        peer->server->requests++;
        serve(peer, path);
        vd_buf_clear(&peer->in);
    }
}

static void on_connection(uv_stream_t *stream, int error)
{
    struct server *server = stream->data;
    struct peer *peer = vd_alloc(sizeof(*peer));

    assert_int_equal(error, 0);
    uv_tcp_init(stream->loop, &peer->tcp);
    peer->tcp.data = peer;
    peer->server = server;
    peer->next = server->peers;
    peer->at = &server->peers;
    if (peer->next != NULL) {
        peer->next->at = &peer->next;
    }
    server->peers = peer;
    assert_int_equal(uv_accept(stream, (uv_stream_t *)&peer->tcp), 0);
    uv_read_start((uv_stream_t *)&peer->tcp, on_alloc, on_read);
}

int server_start(struct server *server, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int len = sizeof(address);

    uv_tcp_init(loop, &server->tcp);
    server->tcp.data = server;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&server->tcp, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&server->tcp, 128, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

void server_stop(struct server *server)
{
    uv_close((uv_handle_t *)&server->tcp, NULL);
    while (server->peers != NULL) {
        close_peer(server->peers);
    }
}
