/* Structured logs: one line, one write, from any thread. Each object logs through its own handle,
 * which knows its name. */
#ifndef VD_CORE_LOG_H
#define VD_CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum vd_log_level {
    VD_LOG_AUDIT = -1, /* who did what: written at any level that is set up */
    VD_LOG_ERROR,      /* a person must act */
    VD_LOG_WARN,       /* data or time was lost; the message says what was done about it */
    VD_LOG_INFO,       /* life cycle */
    VD_LOG_DEBUG,      /* the rest */
};

enum vd_log_format {
    VD_LOG_TEXT,
    VD_LOG_JSON, /* one object a line: time, level, name, msg */
};

struct vd_log; /* a name that lines are written under */

/* A handle for lines under 'name' ("kafka", "stage.voting").
 * Owns: the caller, who ends it with vd_log_free. */
VD_API struct vd_log *vd_log_new(const char *name);
VD_API void vd_log_free(struct vd_log *log);

VD_API const char *vd_log_name(const struct vd_log *log);

/* Write one line if 'level' is enabled. A message is cut at 4 KiB; control characters are escaped.
 * Thread: any. */
VD_API void vd_log_write(const struct vd_log *log, enum vd_log_level level, const char *format, ...)
    VD_PRINTF(3, 4);

VD_API bool vd_log_is_enabled(enum vd_log_level level);

#define vd_error(log, ...) vd_log_write(log, VD_LOG_ERROR, __VA_ARGS__)
#define vd_warn(log, ...) vd_log_write(log, VD_LOG_WARN, __VA_ARGS__)
#define vd_info(log, ...) vd_log_write(log, VD_LOG_INFO, __VA_ARGS__)
#define vd_debug(log, ...)                                \
    do {                                                  \
        if (vd_log_is_enabled(VD_LOG_DEBUG)) {            \
            vd_log_write(log, VD_LOG_DEBUG, __VA_ARGS__); \
        }                                                 \
    } while (0)

/* Set level and format for the whole process; lines go to standard error. Call it before threads
 * are started. Default: info, text. */
void vd_log_setup(enum vd_log_level level, enum vd_log_format format);

#endif
