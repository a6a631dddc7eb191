/* Statuses with words. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum vd_status vd_fail(struct vd_err *err, enum vd_status status, const char *format, ...)
{
    char msg[VD_ERR_MSG_BYTES];
    va_list args;

    if (err == NULL) {
        return status;
    }
    /* Apart first: an argument may be the old message. */
    va_start(args, format);
    (void)vsnprintf(msg, sizeof(msg), format, args); /* cut to fit */
    va_end(args);
    memcpy(err->msg, msg, strlen(msg) + 1);
    err->status = status;
    return status;
}

enum vd_status vd_fail_in(struct vd_err *err, const char *format, ...)
{
    char msg[VD_ERR_MSG_BYTES];
    va_list args;
    size_t len, rest;

    if (err == NULL) {
        return VD_FAILED;
    }
    va_start(args, format);
    (void)vsnprintf(msg, sizeof(msg) - 2, format, args); /* cut to fit, before ": " */
    va_end(args);
    len = strlen(msg);
    memcpy(msg + len, ": ", 2);
    len += 2;
    rest = strnlen(err->msg, sizeof(msg) - len - 1);
    memcpy(msg + len, err->msg, rest);
    msg[len + rest] = '\0';
    memcpy(err->msg, msg, len + rest + 1);
    return err->status;
}

const char *vd_status_name(enum vd_status status)
{
    switch (status) {
    case VD_OK:
        return "ok";
    case VD_AGAIN:
        return "again";
    case VD_INVALID:
        return "invalid";
    case VD_FAILED:
        return "failed";
    }
    return "unknown";
}
