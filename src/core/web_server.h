/* Start and end of the server in web.h; core only, not installed. */
#ifndef VD_CORE_WEB_SERVER_H
#define VD_CORE_WEB_SERVER_H

#include "log.h"
#include "loop.h"
#include "metric.h"
#include "opt.h"
#include "web.h"
#include "web_account.h"
#include "web_guard.h"

/* Section [http]. */
struct vd_web_conf {
    char *listen;          /* ADDRESS:PORT */
    char *hosts;           /* further names allowed in Host and Origin, comma separated */
    char *trusted_proxies; /* addresses whose X-Forwarded-For is believed, comma separated */
    char *access;          /* none, token, users */
    char *tokens, *users;  /* files; "": none */
    char *open;            /* paths that need no sign-in, comma separated */
    bool actions;
    int64_t session_max_ms, session_idle_ms;
    int64_t sessions_max;
    int64_t threads;     /* civetweb's workers: sockets and requests */
    int64_t sockets_max; /* 0: threads - 8, the most there can be */
    int64_t sockets_per_address;
    int64_t sockets_per_second; /* new ones */
    int64_t writers;            /* threads that write frames */
    int64_t credit_bytes;       /* of pictures that one socket may have beyond its last ack */
    int64_t ack_timeout_ms;     /* without an ack while one is due: evict */
    int64_t ping_ms; /* silence after which a socket is pinged; after six in vain: gone */
};
extern const struct vd_opt vd_web_opts[];

/* Check what the option table cannot: the form of 'listen', a public bind without access control,
 * sockets against threads. */
enum vd_status vd_web_check(const struct vd_web_conf *conf, struct vd_err *err) VD_MUST_CHECK;

/* Check the files of tokens and users as well, which vd_web_start reads: for --check. */
enum vd_status vd_web_check_files(const struct vd_web_conf *conf, struct vd_err *err) VD_MUST_CHECK;

/* Who asks. */
struct vd_web_who {
    char name[VD_WEB_NAME_BYTES]; /* "": nobody is asked who he is, or he has not said it */
    enum vd_web_role role;
    char address[VD_WEB_ADDRESS_BYTES];
    uint64_t session; /* its serial; 0: none, as with a token */
    bool has_proof;   /* shows that our own page sends it, not another that the browser is on */
};

/* Who made 'request', one that a handler is called with. */
const struct vd_web_who *vd_web_request_who(const struct vd_web_request *request);

/* Write down who did what: one line in the log, at any log_level. Thread: any. */
void vd_web_audit(const struct vd_web *web, const struct vd_web_who *who, const char *action,
                  const char *result);

/* Create the server; it listens from vd_web_start on, once all routes are there. 'conf' has passed
 * vd_web_check; it and the rest are borrowed until vd_web_close. */
struct vd_web *vd_web_new(struct vd_loop *loop, const struct vd_web_conf *conf, struct vd_log *log,
                          struct vd_metrics *metrics);
/* Listen. No route, file or endpoint can be added from here on.
 * Fails: VD_FAILED if the port is taken or threads are missing, and as vd_web_check_files. */
enum vd_status vd_web_start(struct vd_web *web, struct vd_err *err) VD_MUST_CHECK;

/* ADDRESS:PORT really bound (port 0 in 'listen' picks a free one); 'listen' itself before the
 * start. Borrowed. */
const char *vd_web_address(const struct vd_web *web);

/* Final: sends bye to the sockets, ends the threads, frees the server; handles close as the loop
 * turns. Blocks at most 3 s, as a rule far less. NULL is accepted. */
void vd_web_close(struct vd_web *web);

#endif
