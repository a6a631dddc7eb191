/* The limit of open files. Without one left, civetweb's accepting thread would spin and nobody get
 * an answer, so what it takes is made sure of at the start. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "web_local.h"

#define FILES_WAITING 64 /* civetweb's queue of accepted connections */
#define FILES_OTHER 256  /* brokers, databases, the loop */

enum vd_status vd_web_take_files(int64_t threads, struct vd_err *err)
{
    rlim_t needed = (rlim_t)threads + FILES_WAITING + FILES_OTHER;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return VD_OK;
    }
    if (limit.rlim_max < needed) {
        return vd_fail(
            err, VD_FAILED,
            "%lld \"threads\" of [http] need %llu open files, and the limit is %llu: lower "
            "\"threads\", or raise it (ulimit -Hn, LimitNOFILE of a service)",
            (long long)threads, (unsigned long long)needed, (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return vd_fail(err, VD_FAILED, "could not raise the limit of open files to %llu: %s",
                       (unsigned long long)needed, strerror(errno));
    }
    return VD_OK;
}
