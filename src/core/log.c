/* One line, one write: lines of several threads never mix. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"

#define MSG_BYTES_MAX 4096

struct vd_log {
    char *name;
};

/* Of the process. Atomic, so that a late vd_log_setup is untimely but no data race. */
static atomic_int setup_level = VD_LOG_INFO;
static atomic_int setup_format = VD_LOG_TEXT;

struct vd_log *vd_log_new(const char *name)
{
    struct vd_log *log = vd_alloc(sizeof(*log));

    log->name = vd_strdup(name);
    return log;
}

void vd_log_free(struct vd_log *log)
{
    if (log != NULL) {
        free(log->name);
        free(log);
    }
}

const char *vd_log_name(const struct vd_log *log)
{
    return log->name;
}

bool vd_log_is_enabled(enum vd_log_level level)
{
    return (int)level <= atomic_load_explicit(&setup_level, memory_order_relaxed);
}

void vd_log_setup(enum vd_log_level level, enum vd_log_format format)
{
    atomic_store(&setup_level, (int)level);
    atomic_store(&setup_format, (int)format);
}

static const char *level_name(enum vd_log_level level)
{
    switch (level) {
    case VD_LOG_AUDIT:
        return "audit";
    case VD_LOG_ERROR:
        return "error";
    case VD_LOG_WARN:
        return "warn";
    case VD_LOG_INFO:
        return "info";
    case VD_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}

/* UTC with milliseconds. */
static void add_time(struct vd_buf *line)
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    vd_buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

/* A control character could forge a line or steer a terminal: C0, DEL, and C1, whose UTF-8 form is
 * 0xc2 and the code. */
static void add_escaped(struct vd_buf *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;

        if (c == '\n') {
            vd_buf_add_text(line, "\\n");
        } else if (c == '\t') {
            vd_buf_add_text(line, "\\t");
        } else if (c < 0x20 || c == 0x7f) {
            vd_buf_printf(line, "\\x%02x", c);
        } else if (c == 0xc2 && next >= 0x80 && next <= 0x9f) {
            vd_buf_printf(line, "\\x%02x\\x%02x", c, next);
            i++;
        } else {
            vd_buf_add_char(line, (char)c);
        }
    }
}

static void format_text(struct vd_buf *line, const char *name, enum vd_log_level level,
                        const char *msg, size_t len)
{
    add_time(line);
    vd_buf_printf(line, " %-5s %s: ", level_name(level), name);
    add_escaped(line, msg, len);
    vd_buf_add_char(line, '\n');
}

static void format_json(struct vd_buf *line, const char *name, enum vd_log_level level,
                        const char *msg, size_t len)
{
    vd_buf_add_text(line, "{\"time\":\"");
    add_time(line);
    vd_buf_printf(line, "\",\"level\":\"%s\",\"name\":", level_name(level));
    vd_buf_add_json(line, name, strlen(name));
    vd_buf_add_text(line, ",\"msg\":");
    vd_buf_add_json(line, msg, len);
    vd_buf_add_text(line, "}\n");
}

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, len);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; /* nobody is left to be told */
        }
        bytes += written;
        len -= (size_t)written;
    }
}

/* The length of 'msg' that is shown; a cut is marked, and leaves no half character. */
static size_t cut(char msg[MSG_BYTES_MAX], int wanted)
{
    size_t len;

    if (wanted < MSG_BYTES_MAX) {
        return wanted > 0 ? (size_t)wanted : 0;
    }
    len = MSG_BYTES_MAX - 4;
    while (len > 0 && ((unsigned char)msg[len] & 0xc0) == 0x80) {
        len--;
    }
    memcpy(msg + len, "...", 4);
    return len + 3;
}

void vd_log_write(const struct vd_log *log, enum vd_log_level level, const char *format, ...)
{
    VD_AUTO(buf) struct vd_buf line = {0};
    char msg[MSG_BYTES_MAX] = "";
    const char *name = log != NULL ? log->name : "votingd";
    int saved = errno; /* a log line must not change what its caller is about to look at */
    va_list args;
    size_t len;

    if (!vd_log_is_enabled(level)) {
        return;
    }
    va_start(args, format);
    len = cut(msg, vsnprintf(msg, sizeof(msg), format, args));
    va_end(args);
    if (atomic_load_explicit(&setup_format, memory_order_relaxed) == VD_LOG_JSON) {
        format_json(&line, name, level, msg, len);
    } else {
        format_text(&line, name, level, msg, len);
    }
    write_all(line.data, line.len);
    errno = saved;
}
