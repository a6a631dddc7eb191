/* A TCP proxy whose links fail on command, for what lies between a node and its servers.
 *
 * usage: proxy CONTROL_PORT NAME:LISTEN_PORT:SERVER_PORT...
 *
 * Loopback only. It ends with its standard input. A connection to CONTROL_PORT brings one line and
 * gets one back, "ok" or what is wrong:
 *
 *   cut NAME               close all connections, refuse new ones
 *   reset NAME [WORDS]     end connections with RST; new ones are taken
 *   delay NAME MS          pass everything on so much later
 *   hold NAME up|down      half-open: one direction falls silent; nothing is lost, as TCP has it,
 *                          but nothing comes through before "heal"
 *   hold NAME up|down WORDS
 *                          the same, only of those connections that are there now and whose client
 *                          has said WORDS in its first bytes
 *   heal NAME              all of this is over
 *   heal NAME WORDS        connections whose client has said WORDS are held no more */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LINKS_MAX 8
#define HELLO_BYTES 512 /* of a client, kept to find WORDS in */
#define READ_BYTES 65536
#define BACKLOG_BYTES (1024 * 1024) /* written and not taken: stop reading */
#define TICK_MS 10                  /* how exact a delay is */
#define LINE_BYTES 256

enum way { UP, DOWN }; /* to the server, to the client */

struct link {
    uv_tcp_t listener;
    char name[32];
    int port;
    bool is_cut;
    bool is_held[2];
    int64_t delay_ms;
    struct pair *pairs;
};

/* Bytes on their way; none: the sender has ended. */
struct chunk {
    struct chunk *next;
    uv_write_t write;
    uint64_t due_ms;
    size_t len;
    char bytes[];
};

/* What comes from one end of a connection. */
struct stream {
    uv_tcp_t from;
    struct pair *pair;
    enum way way;
    struct chunk *first, **last; /* delayed */
    bool is_held, is_reading;
    bool is_ended; /* the sender has ended ... */
    bool is_over;  /* ... and that has been passed on */
};

struct pair {
    struct link *link;
    struct pair *next;
    struct stream streams[2]; /* from the client: UP; from the server: DOWN */
    uv_connect_t connect;
    char hello[HELLO_BYTES];
    size_t hello_len;
    int open; /* handles */
    bool is_closing;
};

static struct link links[LINKS_MAX];
static size_t link_count;
static uv_loop_t loop;

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;

    (void)uv_ip4_addr("127.0.0.1", port, &address);
    return address;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    struct pair *pair = stream->pair;

    while (stream->first != NULL) {
        struct chunk *chunk = stream->first;

        stream->first = chunk->next;
        free(chunk);
    }
    if (--pair->open == 0) {
        free(pair);
    }
}

static void close_pair(struct pair *pair, bool is_reset)
{
    struct pair **at = &pair->link->pairs;

    if (pair->is_closing) {
        return;
    }
    pair->is_closing = true;
    while (*at != pair) {
        at = &(*at)->next;
    }
    *at = pair->next;
    for (int i = UP; i <= DOWN; i++) {
        uv_tcp_t *tcp = &pair->streams[i].from;

        if (!is_reset || uv_tcp_close_reset(tcp, on_closed) != 0) {
            uv_close((uv_handle_t *)tcp, on_closed);
        }
    }
}

/* ---- passing on ------------------------------------------------------------------------------ */

static void set_reading(struct stream *stream);

static struct stream *other(struct stream *stream)
{
    return &stream->pair->streams[stream->way == UP ? DOWN : UP];
}

static uv_stream_t *target_of(struct stream *stream)
{
    return (uv_stream_t *)&other(stream)->from;
}

static void on_written(uv_write_t *request, int status)
{
    struct stream *stream = request->handle->data; /* the one that comes back from there */
    struct chunk *chunk = request->data;

    free(chunk);
    if (status != 0) {
        close_pair(stream->pair, true);
    } else if (!stream->pair->is_closing) {
        set_reading(other(stream));
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status; /* the other direction tells what is wrong */
    free(request);
}

/* The sender has ended; when both have, the connection is over. */
static void pass_end(struct stream *stream)
{
    uv_shutdown_t *request = malloc(sizeof(*request));

    stream->is_over = true;
    if (uv_shutdown(request, target_of(stream), on_shutdown) != 0) {
        free(request);
    }
    if (other(stream)->is_over) {
        close_pair(stream->pair, false);
    }
}

static void pass(struct stream *stream, struct chunk *chunk)
{
    uv_buf_t buf = uv_buf_init(chunk->bytes, (unsigned)chunk->len);

    if (chunk->len == 0) {
        free(chunk);
        pass_end(stream);
        return;
    }
    chunk->write.data = chunk;
    if (uv_write(&chunk->write, target_of(stream), &buf, 1, on_written) != 0) {
        free(chunk);
        close_pair(stream->pair, true);
    }
}

/* Take bytes, or the end, that came in. */
static void take(struct stream *stream, const char *bytes, size_t len)
{
    struct pair *pair = stream->pair;
    struct chunk *chunk = calloc(1, sizeof(*chunk) + len);

    memcpy(chunk->bytes, bytes, len);
    chunk->len = len;
    if (stream->way == UP && pair->hello_len < HELLO_BYTES) {
        size_t room = HELLO_BYTES - pair->hello_len;

        room = room < len ? room : len;
        memcpy(pair->hello + pair->hello_len, bytes, room);
        pair->hello_len += room;
    }
    if (pair->link->delay_ms == 0 && stream->first == NULL) {
        pass(stream, chunk);
        return;
    }
    chunk->due_ms = uv_now(&loop) + (uint64_t)pair->link->delay_ms;
    *stream->last = chunk;
    stream->last = &chunk->next;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[READ_BYTES]; /* one read at a time */

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof(room));
}

static void on_read(uv_stream_t *from, ssize_t len, const uv_buf_t *buf)
{
    struct stream *stream = from->data;

    if (len > 0) {
        take(stream, buf->base, (size_t)len);
    } else if (len == UV_EOF) {
        take(stream, "", 0);
    } else if (len < 0) {
        close_pair(stream->pair, true);
    }
    if (len != 0 && !stream->pair->is_closing) {
        stream->is_ended = len == UV_EOF;
        set_reading(stream);
    }
}

/* Read what may be read: not while held, nor more than the other end takes. */
static void set_reading(struct stream *stream)
{
    bool may = !stream->is_held && !stream->is_ended &&
               uv_stream_get_write_queue_size(target_of(stream)) < BACKLOG_BYTES;

    if (may == stream->is_reading) {
        return;
    }
    stream->is_reading = may;
    if (!may) {
        (void)uv_read_stop((uv_stream_t *)&stream->from); /* cannot fail */
    } else if (uv_read_start((uv_stream_t *)&stream->from, on_room, on_read) != 0) {
        close_pair(stream->pair, true);
    }
}

static void pass_due(struct stream *stream)
{
    while (stream->first != NULL && stream->first->due_ms <= uv_now(&loop) &&
           !stream->pair->is_closing) {
        struct chunk *chunk = stream->first;

        stream->first = chunk->next;
        if (stream->first == NULL) {
            stream->last = &stream->first;
        }
        pass(stream, chunk);
    }
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    for (size_t i = 0; i < link_count; i++) {
        struct pair *next;

        for (struct pair *pair = links[i].pairs; pair != NULL; pair = next) {
            next = pair->next;
            pass_due(&pair->streams[UP]);
            pass_due(&pair->streams[DOWN]);
        }
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

static void on_connected(uv_connect_t *request, int status)
{
    struct pair *pair = request->data;

    if (pair->is_closing) {
        return;
    }
    if (status != 0) {
        close_pair(pair, true);
        return;
    }
    set_reading(&pair->streams[UP]);
    set_reading(&pair->streams[DOWN]);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct link *link = listener->data;
    struct pair *pair = calloc(1, sizeof(*pair));
    const struct sockaddr_in address = loopback(link->port);

    (void)status; /* then there is nothing to accept */
    pair->link = link;
    pair->next = link->pairs;
    pair->connect.data = pair;
    pair->open = 2;
    link->pairs = pair;
    for (int i = UP; i <= DOWN; i++) {
        struct stream *stream = &pair->streams[i];

        stream->pair = pair;
        stream->way = (enum way)i;
        stream->last = &stream->first;
        stream->is_held = link->is_held[i];
        (void)uv_tcp_init(&loop, &stream->from); /* cannot fail */
        (void)uv_tcp_nodelay(&stream->from, 1);
        stream->from.data = stream;
    }
    if (uv_accept(listener, (uv_stream_t *)&pair->streams[UP].from) != 0 || link->is_cut ||
        uv_tcp_connect(&pair->connect, &pair->streams[DOWN].from, (const struct sockaddr *)&address,
                       on_connected) != 0) {
        close_pair(pair, true);
    }
}

/* ---- commands -------------------------------------------------------------------------------- */

static bool has_said(const struct pair *pair, const char *words)
{
    return *words == '\0' || memmem(pair->hello, pair->hello_len, words, strlen(words)) != NULL;
}

static void reset(struct link *link, const char *words)
{
    struct pair *next;

    for (struct pair *pair = link->pairs; pair != NULL; pair = next) {
        next = pair->next;
        if (has_said(pair, words)) {
            close_pair(pair, true);
        }
    }
}

static void hold(struct link *link, enum way way, const char *words)
{
    link->is_held[way] = link->is_held[way] || *words == '\0';
    for (struct pair *pair = link->pairs; pair != NULL; pair = pair->next) {
        if (has_said(pair, words)) {
            pair->streams[way].is_held = true;
            set_reading(&pair->streams[way]);
        }
    }
}

static void heal(struct link *link, const char *words)
{
    struct pair *next;

    if (*words == '\0') {
        link->is_cut = false;
        link->delay_ms = 0;
        link->is_held[UP] = link->is_held[DOWN] = false;
    }
    for (struct pair *pair = link->pairs; pair != NULL; pair = next) {
        next = pair->next;
        if (has_said(pair, words)) {
            pair->streams[UP].is_held = pair->streams[DOWN].is_held = false;
            set_reading(&pair->streams[UP]);
            set_reading(&pair->streams[DOWN]);
        }
    }
}

static const char *obey(char *line)
{
    char *rest = line;
    const char *verb = strsep(&rest, " \n");
    const char *name = strsep(&rest, " \n");
    const char *what = strsep(&rest, " \n");
    const char *words = strsep(&rest, " \n");
    struct link *link = links;

    while (link < links + link_count && (name == NULL || strcmp(link->name, name) != 0)) {
        link++;
    }
    what = what != NULL ? what : "";
    words = words != NULL ? words : "";
    if (link == links + link_count) {
        return "no such link\n";
    }
    if (strcmp(verb, "cut") == 0) {
        link->is_cut = true;
        reset(link, "");
    } else if (strcmp(verb, "reset") == 0) {
        reset(link, what);
    } else if (strcmp(verb, "delay") == 0) {
        link->delay_ms = atoi(what);
    } else if (strcmp(verb, "hold") == 0) {
        hold(link, strcmp(what, "up") == 0 ? UP : DOWN, words);
    } else if (strcmp(verb, "heal") == 0) {
        heal(link, what);
    } else {
        return "no such command\n";
    }
    return "ok\n";
}

struct order {
    uv_tcp_t tcp;
    uv_write_t write;
    char line[LINE_BYTES];
    size_t len;
};

static void on_order_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_answered(uv_write_t *request, int status)
{
    (void)status; /* nobody waits for it any more */
    uv_close((uv_handle_t *)request->handle, on_order_closed);
}

static void on_order(uv_stream_t *from, ssize_t len, const uv_buf_t *buf)
{
    struct order *order = from->data;

    if (len < 0 || order->len + (size_t)len >= LINE_BYTES) {
        uv_close((uv_handle_t *)from, on_order_closed);
        return;
    }
    memcpy(order->line + order->len, buf->base, (size_t)len);
    order->len += (size_t)len;
    if (memchr(order->line, '\n', order->len) != NULL) {
        const char *answer = obey(order->line);
        uv_buf_t out = uv_buf_init((char *)(uintptr_t)answer, (unsigned)strlen(answer));

        (void)uv_read_stop(from);
        if (uv_write(&order->write, from, &out, 1, on_answered) != 0) {
            uv_close((uv_handle_t *)from, on_order_closed);
        }
    }
}

static void on_control(uv_stream_t *listener, int status)
{
    struct order *order = calloc(1, sizeof(*order));

    (void)status; /* then there is nothing to accept */
    (void)uv_tcp_init(&loop, &order->tcp);
    order->tcp.data = order;
    if (uv_accept(listener, (uv_stream_t *)&order->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&order->tcp, on_room, on_order) != 0) {
        uv_close((uv_handle_t *)&order->tcp, on_order_closed);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

static void listen_on(uv_tcp_t *listener, int port, uv_connection_cb on_one)
{
    const struct sockaddr_in address = loopback(port);
    int error = uv_tcp_init(&loop, listener);

    error = error != 0 ? error : uv_tcp_bind(listener, (const struct sockaddr *)&address, 0);
    error = error != 0 ? error : uv_listen((uv_stream_t *)listener, 128, on_one);
    if (error != 0) {
        (void)fprintf(stderr, "proxy: port %d: %s\n", port, uv_strerror(error));
        exit(1);
    }
}

static void on_input(uv_stream_t *input, ssize_t len, const uv_buf_t *buf)
{
    (void)input;
    (void)buf;
    if (len < 0) {
        exit(0); /* whoever started us is gone */
    }
}

int main(int argc, char **argv)
{
    static uv_tcp_t control;
    static uv_timer_t tick;
    static uv_pipe_t input;

    (void)signal(SIGPIPE, SIG_IGN); /* libuv reports a closed connection as an error */
    (void)uv_loop_init(&loop);
    for (int i = 2; i < argc && link_count < LINKS_MAX; i++) {
        struct link *link = &links[link_count++];
        int port;

        if (sscanf(argv[i], "%31[^:]:%d:%d", link->name, &port, &link->port) != 3) {
            (void)fprintf(stderr, "proxy: \"%s\" is not NAME:PORT:PORT\n", argv[i]);
            return 2;
        }
        link->listener.data = link;
        listen_on(&link->listener, port, on_connection);
    }
    if (link_count == 0) {
        (void)fprintf(stderr, "usage: proxy CONTROL_PORT NAME:LISTEN_PORT:SERVER_PORT...\n");
        return 2;
    }
    listen_on(&control, atoi(argv[1]), on_control);
    (void)uv_timer_init(&loop, &tick);
    (void)uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);
    (void)uv_pipe_init(&loop, &input, 0);
    (void)uv_pipe_open(&input, 0);
    (void)uv_read_start((uv_stream_t *)&input, on_room, on_input);
    return uv_run(&loop, UV_RUN_DEFAULT);
}
