/* Who may ask for what: tokens, sessions, refusals. Not installed. */
#ifndef VD_CORE_WEB_ACCESS_H
#define VD_CORE_WEB_ACCESS_H

#include <civetweb.h>
#include <pthread.h>
#include <stdbool.h>

#include "log.h"
#include "metric.h"
#include "web_server.h"
#include "web_session.h"
#include "web_throttle.h"

#define VD_WEB_HASHES_MAX 1 /* passwords checked at a time: each takes a core and its memory */
#define VD_WEB_CSRF_HEADER "X-CSRF-Token"

enum vd_web_denial {
    VD_WEB_DENIED_UNKNOWN, /* has not signed in */
    VD_WEB_DENIED_ROLE,
    VD_WEB_DENIED_PROOF,
    VD_WEB_DENIALS,
};

struct vd_web_access {
    const struct vd_web_conf *conf;
    struct vd_log *log;
    bool is_on;
    struct vd_web_accounts tokens, users; /* immutable once the server listens */
    char cookie[32];                      /* its name; two servers of one host have two */

    pthread_mutex_t lock; /* of what follows */
    struct vd_web_sessions sessions;
    struct vd_web_throttle throttle;
    int hashes; /* that are being made */

    struct vd_metric *sign_ins[2]; /* by success */
    struct vd_metric *denials[VD_WEB_DENIALS];
};

/* Check the options against each other; 'is_public': others can reach the server. */
enum vd_status vd_web_access_check(const struct vd_web_conf *conf, bool is_public,
                                   struct vd_err *err) VD_MUST_CHECK;

/* Read the files that the options name.
 * Fails: as vd_web_accounts_read. */
enum vd_status vd_web_access_read(const struct vd_web_conf *conf, struct vd_web_accounts *tokens,
                                  struct vd_web_accounts *users, struct vd_err *err) VD_MUST_CHECK;

void vd_web_access_init(struct vd_web_access *access, const struct vd_web_conf *conf,
                        const char *port, struct vd_metrics *metrics);
void vd_web_access_fini(struct vd_web_access *access);

/* True if the session is still there, and thereby used. Thread: any. */
bool vd_web_access_use(struct vd_web_access *access, uint64_t session);

/* ---- for a request, on its connection's thread ----------------------------------------------- */

void vd_web_access_identify(struct mg_connection *conn, struct vd_web_who *who);

/* True if the browser speaks TLS with a trusted proxy. */
bool vd_web_access_is_tls(struct mg_connection *conn);

/* The name of the session's cookie, as it is for this request. Owns: the caller frees it. */
char *vd_web_access_cookie(struct mg_connection *conn);

/* Refuse what needs 'role', unless 'who' has it and, for anything but a GET, it comes from our own
 * page; 0: may go on, otherwise the status that was answered. */
int vd_web_access_gate(struct mg_connection *conn, const struct vd_web_who *who,
                       enum vd_web_role role);

#endif
