/* A file that is read whole, at start. */
#ifndef VD_DASHBOARD_FILE_H
#define VD_DASHBOARD_FILE_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

/* Append all of file 'path' to 'bytes'.
 * Fails: VD_INVALID if it cannot be read, is no regular file or has more than 'bytes_max' bytes. */
enum vd_status file_read(const char *path, size_t bytes_max, struct vd_buf *bytes,
                         struct vd_err *err) VD_MUST_CHECK;

#endif
