/* One connection at a time; each ends with its answer. */
#include "users_server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/test.h"

#define USERS_MAX 5000
#define USER_BYTES 700

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void send_head(int fd, const char *status, const char *more, size_t len)
{
    char head[300];

    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 %s\r\n%s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                   more, len);
    (void)send_all(fd, head, strlen(head));
}

static void send_text(int fd, const char *status, const char *more, const char *body)
{
    send_head(fd, status, more, strlen(body));
    (void)send_all(fd, body, strlen(body));
}

/* Postcodes are numbers in one half and strings in the other; every 7th street is a string. */
static size_t put_user(char *out, int page, int row)
{
    char street[60], postcode[20];

    (void)snprintf(street, sizeof(street),
                   row % 7 == 3 ? "\"%d old road\"" : "{\"number\":%d,\"name\":\"High Street\"}",
                   row);
    (void)snprintf(postcode, sizeof(postcode), row % 2 == 0 ? "%05d" : "\"%05d\"", 10000 + row);
    return (size_t)snprintf(
        out, USER_BYTES,
        "%s{\"gender\":\"%s\",\"name\":{\"title\":\"X\",\"first\":\"Zo\\u00eb %d\",\"last\":"
        "\"O'Neil\"},\"location\":{\"street\":%s,\"city\":\"Bath\",\"state\":\"Avon\",\"country\":"
        "\"United Kingdom\",\"postcode\":%s,\"coordinates\":{\"latitude\":\"1\"},\"timezone\":{"
        "\"offset\":\"0:00\"}},\"email\":\"e%d@example.com\",\"login\":{\"uuid\":\"%08d-%04d\","
        "\"username\":\"user%d\"},\"dob\":{\"date\":\"19%02d-03-12T01:02:03.456Z\",\"age\":1},"
        "\"registered\":{\"date\":\"2015-01-01T00:00:00.000Z\",\"age\":9},\"phone\":\"1\",\"cell\":"
        "\"2\",\"id\":{\"name\":\"\",\"value\":null},\"picture\":{\"large\":"
        "\"https://example.org/%d.jpg\"},\"nat\":\"GB\"}",
        row > 0 ? "," : "", row % 2 == 0 ? "male" : "female", row, street, postcode, row, row, page,
        row, 44 + row % 50, row % 100);
}

static int number_after(const char *request, const char *name)
{
    const char *at = strstr(request, name);

    return at != NULL ? atoi(at + strlen(name)) : 0;
}

static void send_users(int fd, const char *request, enum users_answer answer)
{
    int page = number_after(request, "page="), count = number_after(request, "results=");
    char *body = malloc((size_t)USERS_MAX * USER_BYTES + 100);
    size_t len = 0;

    count = count >= 1 && count <= USERS_MAX ? count : 1; /* as the API does, without a word */
    count -= answer == USERS_FEWER ? 1 : 0;
    len += (size_t)sprintf(body, "{\"results\":[");
    for (int row = 0; row < count; row++) {
        len += put_user(body + len, page, row);
    }
    len += (size_t)sprintf(body + len, "]}");
    send_head(fd, "200 OK", "Content-Type: application/json; charset=utf-8", len);
    (void)send_all(fd, body, answer == USERS_HALF ? len / 2 : len);
    free(body);
}

static void answer_request(int fd, const char *request, enum users_answer answer)
{
    static const char json[] = "Content-Type: application/json";

    switch (answer) {
    case USERS_SLOW_DOWN:
        send_text(fd, "429 Too Many Requests", json, "{\"error\":\"slow down\"}");
        break;
    case USERS_OUTAGE:
        send_text(fd, "200 OK", json, "{\"error\":\"we are down\"}");
        break;
    case USERS_FORBIDDEN:
        send_text(fd, "403 Forbidden", "Content-Type: text/html", "<html>no</html>");
        break;
    case USERS_REDIRECT:
        send_text(fd, "301 Moved", "Location: http://127.0.0.1:1/", "");
        break;
    case USERS_ENDLESS:
        send_head(fd, "200 OK", json, (size_t)1 << 40);
        while (
            send_all(fd, "{\"results\":[                                                  ", 60)) {
        }
        break;
    default:
        send_users(fd, request, answer);
        break;
    }
}

static void serve(int listener, volatile int *seen, const enum users_answer *script, size_t count)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        char request[2048];
        ssize_t len = recv(fd, request, sizeof(request) - 1, 0);
        int at;

        if (len > 0) {
            request[len] = '\0';
            at = (*seen)++;
            answer_request(fd, request, (size_t)at < count ? script[at] : USERS_GOOD);
        }
        close(fd);
    }
}

void users_server_start(struct users_server *server, const enum users_answer *script, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(listener, 8), 0);
    server->port = ntohs(address.sin_port);
    server->seen =
        mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)server->seen != MAP_FAILED);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        serve(listener, server->seen, script, count);
    }
    close(listener);
}

void users_server_stop(struct users_server *server)
{
    assert_int_equal(kill(server->pid, SIGKILL), 0);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    assert_int_equal(munmap((void *)server->seen, sizeof(int)), 0);
}
