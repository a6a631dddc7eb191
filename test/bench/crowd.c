/* The clients keep the protocol's part of the page: an ack for a picture, at most one a second. */
#include "crowd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACK_MS 1000
#define SWEEP_MS 100
#define SLOW_BYTES 512
#define HEAD_BYTES 320 /* of a text: its type, numbers and times stand in front */
#define MSS 1448       /* as on Ethernet: loopback's own gives a connection room for megabytes */
#define BAD_RECEIVE_BYTES 4096
#define ANSWER_S 20
#define EVENTS 256
#define OPCODE_TEXT 0x1
#define OPCODE_CLOSE 0x8
#define OPCODE_PING 0x9

struct client {
    int fd; /* -1: gone */
    enum crowd_kind kind;
    bool is_doomed; /* unplugged in the middle of its next frame */
    bool has_seq;
    uint64_t seq;
    int64_t ack_ms; /* when it last said so */
    bool owes_ack;

    unsigned char header[14]; /* of the frame that is coming in */
    unsigned header_len;
    uint64_t left; /* of its payload */
    char head[HEAD_BYTES];
    unsigned head_len;
};

struct crowd {
    int port, capacity, bad;
    int epoll;
    pthread_t thread;

    pthread_mutex_t lock; /* of everything below */
    struct client *clients;
    int count;
    bool is_spoiled, is_over;
    struct crowd_seen seen;
    char bytes[65536];
};

/* ---- frames ---------------------------------------------------------------------------------- */

/* A masked frame, by a mask of zeros. What does not fit into the socket's buffer is lost. */
static void say(const struct client *client, unsigned opcode, const char *text, size_t len)
{
    unsigned char frame[6 + 125] = {(unsigned char)(0x80 | opcode), (unsigned char)(0x80 | len)};

    assert(len <= 125);
    memcpy(frame + 6, text, len);
    (void)send(client->fd, frame, 6 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void ack(struct client *client, int64_t now_ms)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "{\"type\":\"ack\",\"seq\":%llu}",
                   (unsigned long long)client->seq);
    say(client, OPCODE_TEXT, text, strlen(text));
    client->ack_ms = now_ms;
    client->owes_ack = false;
}

static int64_t number(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void take_picture(struct crowd *crowd, struct client *client, bool is_delta)
{
    uint64_t seq = (uint64_t)number(client->head, "\"seq\":");
    int64_t now_ms = wall_ms();

    if (client->kind == CROWD_HEALTHY) {
        struct crowd_seen *seen = &crowd->seen;

        seen->pictures++;
        seen->skipped +=
            client->has_seq && seq > client->seq ? (int64_t)(seq - client->seq - 1) : 0;
        seen->first_seq = seen->first_seq == 0 ? seq : seen->first_seq;
        seen->last_seq = seq > seen->last_seq ? seq : seen->last_seq;
        if (is_delta || (client->has_seq && seq > client->seq)) { /* not one that was at hand */
            delays_add(&seen->delay, now_ms - number(client->head, "\"now_ms\":"));
            delays_add(&seen->age, now_ms - number(client->head, "\"received_ms\":"));
        }
    }
    client->seq = seq;
    client->has_seq = true;
    client->owes_ack = true;
    if (now_ms - client->ack_ms >= ACK_MS) {
        ack(client, now_ms);
    }
}

static void take_frame(struct crowd *crowd, struct client *client)
{
    static const char delta[] = "{\"type\":\"delta\"";
    static const char full[] = "{\"type\":\"snapshot\"";
    static const char bye[] = "{\"type\":\"bye\"";
    unsigned opcode = client->header[0] & 0x0f;

    client->head[client->head_len] = '\0';
    crowd->seen.frames += client->kind == CROWD_HEALTHY;
    if (opcode == OPCODE_PING) {
        say(client, 0xa, client->head, client->head_len);
    } else if (opcode == OPCODE_TEXT && strncmp(client->head, delta, sizeof(delta) - 1) == 0) {
        take_picture(crowd, client, true);
    } else if (opcode == OPCODE_TEXT && strncmp(client->head, full, sizeof(full) - 1) == 0) {
        take_picture(crowd, client, false);
    } else if (opcode == OPCODE_TEXT && strncmp(client->head, bye, sizeof(bye) - 1) == 0 &&
               client->kind == CROWD_HEALTHY) {
        (void)snprintf(crowd->seen.farewell, sizeof(crowd->seen.farewell), "%s", client->head);
    }
    client->header_len = client->head_len = 0;
}

/* Bytes of the header that is coming in, as far as it is known. */
static unsigned header_bytes(const struct client *client)
{
    unsigned len = client->header_len < 2 ? 0 : client->header[1] & 0x7f;

    return len == 126 ? 4 : len == 127 ? 10 : 2;
}

static void begin_payload(struct client *client)
{
    unsigned len = header_bytes(client);

    client->left = len == 2 ? client->header[1] & 0x7f : 0;
    for (unsigned at = 2; at < len; at++) {
        client->left = client->left << 8 | client->header[at];
    }
}

static void take_bytes(struct crowd *crowd, struct client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t take;

        if (client->header_len < header_bytes(client)) {
            client->header[client->header_len++] = (unsigned char)*bytes++;
            len--;
            if (client->header_len < header_bytes(client)) {
                continue;
            }
            begin_payload(client);
        }
        take = len < client->left ? len : (size_t)client->left;
        if (client->head_len < HEAD_BYTES - 1) {
            size_t room = HEAD_BYTES - 1 - client->head_len;
            size_t kept = take < room ? take : room;

            memcpy(client->head + client->head_len, bytes, kept);
            client->head_len += (unsigned)kept;
        }
        bytes += take;
        len -= take;
        client->left -= take;
        if (client->left == 0) {
            take_frame(crowd, client);
        }
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Nothing arrives any more, not even for TCP: as if the cable were out. */
static void unplug(struct client *client)
{
    struct sock_filter drop[] = {{.code = BPF_RET | BPF_K, .k = 0}};
    struct sock_fprog program = {.len = 1, .filter = drop};
    int error = setsockopt(client->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));

    assert(error == 0);
    (void)error; /* only asserted */
}

static void hang_up(struct client *client)
{
    (void)close(client->fd); /* epoll forgets it, too */
    client->fd = -1;
}

static void read_client(struct crowd *crowd, struct client *client, size_t most)
{
    ssize_t got = recv(client->fd, crowd->bytes, most, MSG_DONTWAIT);

    if (got > 0) {
        crowd->seen.bytes += client->kind == CROWD_HEALTHY ? got : 0;
        take_bytes(crowd, client, crowd->bytes, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        crowd->seen.closed[client->kind]++;
        hang_up(client);
    }
}

static void on_readable(struct crowd *crowd, struct client *client)
{
    if (client->fd < 0) {
        return;
    }
    if (client->is_doomed) {
        read_client(crowd, client, 20); /* no frame is as short */
        client->is_doomed = false;
        if (client->fd >= 0) {
            unplug(client);
            (void)epoll_ctl(crowd->epoll, EPOLL_CTL_DEL, client->fd, NULL);
        }
        return;
    }
    read_client(crowd, client, sizeof(crowd->bytes));
}

/* Acks that are due, and the slow ones' spoonful. */
static void sweep(struct crowd *crowd)
{
    int64_t now_ms = wall_ms();

    for (int i = 0; i < crowd->count; i++) {
        struct client *client = &crowd->clients[i];

        if (client->fd >= 0 && crowd->is_spoiled && client->kind == CROWD_SLOW) {
            read_client(crowd, client, SLOW_BYTES);
        }
        if (client->fd >= 0 && client->owes_ack && now_ms - client->ack_ms >= ACK_MS &&
            (client->kind == CROWD_HEALTHY || client->kind == CROWD_SLOW || !crowd->is_spoiled)) {
            ack(client, now_ms);
        }
    }
}

static void *run(void *arg)
{
    struct crowd *crowd = arg;
    struct epoll_event events[EVENTS];
    int64_t sweep_ms = 0;
    bool is_over = false;

    while (!is_over) {
        int count = epoll_wait(crowd->epoll, events, EVENTS, SWEEP_MS);

        pthread_mutex_lock(&crowd->lock);
        for (int i = 0; i < count; i++) {
            on_readable(crowd, &crowd->clients[events[i].data.u32]);
        }
        if (wall_ms() - sweep_ms >= SWEEP_MS) {
            sweep_ms = wall_ms();
            sweep(crowd);
        }
        is_over = crowd->is_over;
        pthread_mutex_unlock(&crowd->lock);
    }
    return NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int connect_to(int port, bool is_bad)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const struct timeval patience = {.tv_sec = ANSWER_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int mss = MSS;
    int bytes = BAD_RECEIVE_BYTES;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
    if (is_bad) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Read the answer up to its empty line, and no frame behind it. */
static int read_status(int fd)
{
    char answer[4096];
    int status = 0;

    for (;;) {
        ssize_t got = recv(fd, answer, sizeof(answer) - 1, MSG_PEEK);
        char *end;

        if (got <= 0) {
            return 0;
        }
        answer[got] = '\0';
        end = strstr(answer, "\r\n\r\n");
        if (end != NULL) {
            (void)recv(fd, answer, (size_t)(end + 4 - answer), 0); /* just looked at */
            (void)sscanf(answer, "HTTP/1.1 %d", &status);          /* 0 if it is none */
            return status;
        }
        if (got == sizeof(answer) - 1) {
            return 0;
        }
    }
}

static int shake_hands(int fd, int port)
{
    char request[512];
    int len = snprintf(request, sizeof(request),
                       "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n"
                       "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Protocol: votingd.v1\r\n\r\n",
                       port, port);

    return send(fd, request, (size_t)len, MSG_NOSIGNAL) == len ? read_status(fd) : 0;
}

int crowd_open(struct crowd *crowd)
{
    int at = crowd->count; /* only this thread counts up */
    enum crowd_kind kind = at < crowd->bad ? CROWD_STALLED + at % 3 : CROWD_HEALTHY;
    int fd = connect_to(crowd->port, kind != CROWD_HEALTHY);
    int status = fd >= 0 ? shake_hands(fd, crowd->port) : 0;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)at};

    if (status != 101 || at == crowd->capacity) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    pthread_mutex_lock(&crowd->lock);
    crowd->clients[at] = (struct client){.fd = fd, .kind = kind};
    crowd->count++;
    crowd->seen.clients[kind]++;
    pthread_mutex_unlock(&crowd->lock);
    (void)epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, fd, &event);
    return status;
}

struct crowd *crowd_new(int port, int clients, int bad)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    int error;

    crowd->port = port;
    crowd->capacity = clients;
    crowd->bad = bad;
    crowd->clients = calloc((size_t)clients, sizeof(struct client));
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    pthread_mutex_init(&crowd->lock, NULL);
    error = pthread_create(&crowd->thread, NULL, run, crowd);
    assert(crowd->epoll >= 0 && error == 0);
    (void)error; /* only asserted */
    return crowd;
}

void crowd_spoil(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    crowd->is_spoiled = true;
    for (int i = 0; i < crowd->count; i++) {
        struct client *client = &crowd->clients[i];

        if (client->fd >= 0 && client->kind == CROWD_UNPLUGGED) {
            client->is_doomed = true;
        } else if (client->fd >= 0 && client->kind != CROWD_HEALTHY) {
            (void)epoll_ctl(crowd->epoll, EPOLL_CTL_DEL, client->fd, NULL);
        }
    }
    pthread_mutex_unlock(&crowd->lock);
}

void crowd_begin(struct crowd *crowd)
{
    struct crowd_seen *seen = &crowd->seen;
    int clients[CROWD_KINDS], closed[CROWD_KINDS];

    pthread_mutex_lock(&crowd->lock);
    memcpy(clients, seen->clients, sizeof(clients));
    memcpy(closed, seen->closed, sizeof(closed));
    memset(seen, 0, sizeof(*seen));
    memcpy(seen->clients, clients, sizeof(clients));
    memcpy(seen->closed, closed, sizeof(closed));
    pthread_mutex_unlock(&crowd->lock);
}

void crowd_look(struct crowd *crowd, struct crowd_seen *seen)
{
    pthread_mutex_lock(&crowd->lock);
    *seen = crowd->seen;
    for (int i = 0; i < crowd->count; i++) {
        const struct client *client = &crowd->clients[i];

        seen->behind += client->kind == CROWD_HEALTHY && client->seq != seen->last_seq;
    }
    pthread_mutex_unlock(&crowd->lock);
}

void crowd_free(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    crowd->is_over = true;
    pthread_mutex_unlock(&crowd->lock);
    (void)pthread_join(crowd->thread, NULL); /* it has left its loop */
    for (int i = 0; i < crowd->count; i++) {
        if (crowd->clients[i].fd >= 0) {
            hang_up(&crowd->clients[i]);
        }
    }
    (void)close(crowd->epoll);
    pthread_mutex_destroy(&crowd->lock);
    free(crowd->clients);
    free(crowd);
}
