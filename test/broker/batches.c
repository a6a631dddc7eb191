/* Fetch, version 4: the oldest that brokers of 2.1 to 4.x speak. */
#include "batches.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

#define FETCH 1
#define FETCH_VERSION 4
#define BYTES_MAX (1 << 20)
#define BATCH_HEAD_BYTES 23 /* up to the attributes */
#define WAIT_S 20

struct writer {
    uint8_t bytes[512];
    size_t len;
};

static void add(struct writer *out, int64_t value, size_t bytes)
{
    uint64_t big = htobe64((uint64_t)value);

    assert(out->len + bytes <= sizeof(out->bytes));
    memcpy(out->bytes + out->len, (uint8_t *)&big + 8 - bytes, bytes);
    out->len += bytes;
}

static void add_text(struct writer *out, const char *text)
{
    size_t len = strlen(text);

    add(out, (int64_t)len, 2);
    assert(out->len + len <= sizeof(out->bytes));
    memcpy(out->bytes + out->len, text, len);
    out->len += len;
}

static int64_t get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return (int64_t)value;
}

/* The first of the brokers. */
static int connect_broker(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval wait = {.tv_sec = WAIT_S};
    struct addrinfo *found = NULL;
    char *host = strdup(peer_brokers());
    char *port;
    int fd;
    int failed;

    host[strcspn(host, ",")] = '\0';
    port = strrchr(host, ':');
    assert(port != NULL);
    *port++ = '\0';
    failed = getaddrinfo(host, port, &hints, &found);
    assert(failed == 0);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    failed = connect(fd, found->ai_addr, found->ai_addrlen);
    assert(failed == 0);
    (void)failed; /* only asserted */
    freeaddrinfo(found);
    free(host);
    return fd;
}

static void send_fetch(int fd, const char *topic, int32_t partition)
{
    struct writer out = {.len = 4};
    uint32_t len;
    ssize_t sent;

    add(&out, FETCH, 2);
    add(&out, FETCH_VERSION, 2);
    add(&out, 1, 4); /* correlation */
    add_text(&out, "batches");
    add(&out, -1, 4); /* replica: a client */
    add(&out, 1000, 4);
    add(&out, 1, 4);
    add(&out, BYTES_MAX, 4);
    add(&out, 0, 1); /* read_uncommitted */
    add(&out, 1, 4);
    add_text(&out, topic);
    add(&out, 1, 4);
    add(&out, partition, 4);
    add(&out, 0, 8); /* from the first offset */
    add(&out, BYTES_MAX, 4);
    len = htonl((uint32_t)out.len - 4);
    memcpy(out.bytes, &len, 4);
    sent = send(fd, out.bytes, out.len, MSG_NOSIGNAL);
    assert(sent == (ssize_t)out.len);
    (void)sent; /* only asserted */
}

static void receive(int fd, uint8_t *bytes, size_t len)
{
    ssize_t got = recv(fd, bytes, len, MSG_WAITALL);

    assert(got == (ssize_t)len);
    (void)got; /* only asserted */
}

/* Where the records begin in an answer for one partition; *len: their bytes. */
static const uint8_t *find_records(const uint8_t *answer, size_t *len)
{
    const uint8_t *at = answer + 4 + 4 + 4; /* correlation, throttle time, one topic */
    int64_t aborted;

    at += 2 + get(at, 2) + 4; /* its name, one partition */
    assert(get(at + 4, 2) == 0);
    at += 4 + 2 + 8 + 8; /* index, error, high watermark, last stable offset */
    aborted = get(at, 4);
    at += 4 + (aborted == UINT32_MAX ? 0 : aborted * 16);
    *len = (size_t)get(at, 4);
    return at + 4;
}

struct batches batches_read(const char *topic, int32_t partition)
{
    struct batches found = {.count = 0};
    uint8_t head[4];
    size_t len;
    uint8_t *answer;
    const uint8_t *at;
    int fd = connect_broker();

    send_fetch(fd, topic, partition);
    receive(fd, head, sizeof(head));
    len = (size_t)get(head, 4);
    answer = malloc(len);
    receive(fd, answer, len);
    close(fd);
    at = find_records(answer, &len);
    while (len >= BATCH_HEAD_BYTES && len >= (size_t)get(at + 8, 4) + 12) {
        size_t bytes = (size_t)get(at + 8, 4) + 12;
        int64_t attributes = get(at + 21, 2);

        found.count++;
        found.codecs[attributes & 7]++;
        found.transactional += (attributes & 0x10) != 0;
        found.markers += (attributes & 0x20) != 0;
        at += bytes;
        len -= bytes;
    }
    free(answer);
    return found;
}
