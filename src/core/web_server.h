/* Start and end of the server in web.h; core only, not installed. */
#ifndef VD_CORE_WEB_SERVER_H
#define VD_CORE_WEB_SERVER_H

#include "log.h"
#include "loop.h"
#include "metric.h"
#include "opt.h"
#include "web.h"

/* Section [http]. */
struct vd_web_conf {
    char *listen;                 /* ADDRESS:PORT */
    char *hosts;                  /* further names allowed in Host and Origin, comma separated */
    int64_t threads;              /* civetweb's workers: sockets and requests */
    int64_t sockets_max;          /* at most threads - 8 */
    int64_t sockets_per_address;
    int64_t writers;              /* threads that write frames */
};
extern const struct vd_opt vd_web_opts[];

/* Check what the option table cannot: the form of 'listen', a public bind, sockets against threads.
 * Used by --check and by the start. */
enum vd_status vd_web_check(const struct vd_web_conf *conf, struct vd_err *err) VD_MUST_CHECK;

/* Create the server; it listens from vd_web_start on, once all routes are there. */
struct vd_web *vd_web_new(struct vd_loop *loop, const struct vd_web_conf *conf, struct vd_log *log,
                          struct vd_metrics *metrics);
enum vd_status vd_web_start(struct vd_web *web, struct vd_err *err) VD_MUST_CHECK;

/* ADDRESS:PORT really bound (port 0 in 'listen' picks a free one). Borrowed. */
const char *vd_web_address(const struct vd_web *web);

/* Final: sends bye to the sockets, ends the threads. Blocks at most 3 s. NULL is accepted. */
void vd_web_close(struct vd_web *web);

#endif
