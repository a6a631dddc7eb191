/* Files, whole. */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"

#define CHUNK_BYTES 16384

static void close_file(FILE *file)
{
    (void)fclose(file); /* only read from */
}
VD_AUTO_KIND(file, FILE *, close_file)

enum vd_status file_read(const char *path, size_t bytes_max, struct vd_buf *bytes,
                         struct vd_err *err)
{
    VD_AUTO(file) FILE *file = NULL;
    struct stat about;
    size_t got = 0;

    /* Asked before it is opened: the opening of a pipe would wait for who writes to it. */
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
        return vd_fail(err, VD_INVALID, "could not open \"%s\": it is no regular file", path);
    }
    file = fopen(path, "rbe");
    if (file == NULL) {
        return vd_fail(err, VD_INVALID, "could not open \"%s\": %s", path, strerror(errno));
    }
    do {
        vd_buf_reserve(bytes, CHUNK_BYTES);
        got = fread(bytes->data + bytes->len, 1, CHUNK_BYTES, file);
        bytes->len += got;
    } while (got > 0 && bytes->len <= bytes_max);
    if (ferror(file) != 0) {
        return vd_fail(err, VD_INVALID, "could not read \"%s\"", path);
    }
    if (bytes->len > bytes_max) {
        return vd_fail(err, VD_INVALID, "\"%s\" has more than %zu bytes", path, bytes_max);
    }
    return VD_OK;
}
