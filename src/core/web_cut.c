/* Clients that have to go and keep their thread: civetweb reads a frame to its end however slowly
 * it comes, and writes one as long as a byte gets out now and then. It has no call that ends a
 * connection from outside and tells no descriptor, so this finds the one with the client's two ends
 * and shuts it down; its thread then leaves by itself. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"
#include "web_registry.h"

#define DUE_MAX 256 /* at a time; the others are still due at the next look */

struct due {
    in_addr_t address;
    in_port_t port, own_port;
};

/* True if 'fd' is one of these connections. Its own end is asked for only if the peer's fits, which
 * it does not with all the others. */
static bool is_among(const struct due *due, size_t count, int fd)
{
    struct sockaddr_in peer, own;
    socklen_t peer_len = sizeof(peer);
    socklen_t own_len = sizeof(own);

    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0 || peer.sin_family != AF_INET) {
        return false;
    }
    for (size_t at = 0; at < count; at++) {
        if (due[at].port == peer.sin_port && due[at].address == peer.sin_addr.s_addr &&
            getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
            due[at].own_port == own.sin_port) {
            return true;
        }
    }
    return false;
}

/* The connection is open as long as the client is in the registry, so that its descriptor cannot
 * belong to another by now. */
static void shut_down(const struct vd_log *log, const struct due *due, size_t count)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (folder == NULL) {
        vd_warn(log,
                "could not look for %zu websockets to shut down: %s; trying again in %d s (the "
                "limit of open files: ulimit -n, LimitNOFILE of a service)",
                count, strerror(errno), VD_WEB_CUT_MS / 1000);
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        int fd = atoi(entry->d_name); /* "." and "..": 0, which is no connection of ours */

        if (is_among(due, count, fd)) {
            (void)shutdown(fd, SHUT_RDWR); /* fails if the peer was first */
        }
    }
    (void)closedir(folder);
}

static bool is_due(const struct vd_web_client *client, int64_t now_ms)
{
    return client->evicted != VD_WEB_NO_REASON && client->cut_ms <= now_ms;
}

void vd_web_cut(struct vd_web_registry *registry, int64_t now_ms)
{
    struct due due[DUE_MAX];
    struct vd_web_client *client;
    size_t count = 0;

    TAILQ_FOREACH(client, &registry->clients, entry)
    {
        if (count < DUE_MAX && is_due(client, now_ms)) {
            const struct mg_request_info *info = mg_get_request_info(client->conn);

            due[count++] =
                (struct due){inet_addr(info->remote_addr), htons((uint16_t)info->remote_port),
                             htons((uint16_t)info->server_port)};
            client->cut_ms = now_ms + VD_WEB_CUT_MS; /* once more, should it still be there */
        }
    }
    if (count > 0) {
        shut_down(registry->log, due, count);
    }
}
