/* A thread that accepts and closes. */
#include "stub.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define LOOK_MS 50
#define BACKLOG 128

struct stub {
    pthread_t thread;
    atomic_bool is_ending;
    int fd;
    int64_t begin_ms, total;
    int64_t second; /* the one being counted, since begin */
    int in_second, max;
};

static void count(struct stub *stub)
{
    int64_t second = (now_ms() - stub->begin_ms) / 1000;

    if (second != stub->second) {
        stub->second = second;
        stub->in_second = 0;
    }
    stub->total++;
    stub->in_second++;
    stub->max = stub->in_second > stub->max ? stub->in_second : stub->max;
}

static void *run(void *arg)
{
    struct stub *stub = arg;
    struct pollfd ready = {.fd = stub->fd, .events = POLLIN};

    while (!atomic_load(&stub->is_ending)) {
        int fd = poll(&ready, 1, LOOK_MS) > 0 ? accept(stub->fd, NULL, NULL) : -1;

        if (fd >= 0) {
            (void)close(fd);
            count(stub);
        }
    }
    return NULL;
}

struct stub *stub_new(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    struct stub *stub = calloc(1, sizeof(*stub));
    int yes = 1;
    int error;

    stub->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(stub->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    error = bind(stub->fd, (struct sockaddr *)&address, sizeof(address));
    assert(error == 0);
    error = listen(stub->fd, BACKLOG);
    assert(error == 0);
    stub->begin_ms = now_ms();
    error = pthread_create(&stub->thread, NULL, run, stub);
    assert(error == 0);
    (void)error; /* only asserted */
    return stub;
}

void stub_free(struct stub *stub, double *mean, int *max)
{
    if (stub == NULL) {
        return;
    }
    atomic_store(&stub->is_ending, true);
    pthread_join(stub->thread, NULL);
    (void)close(stub->fd);
    *mean = (double)stub->total * 1000 / (double)(now_ms() - stub->begin_ms + 1);
    *max = stub->max;
    free(stub);
}
