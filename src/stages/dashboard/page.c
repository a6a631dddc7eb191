/* The page's files, from the folder into the web server. */
#include "page.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "web.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define JSON "application/json"
#define SVG "image/svg+xml"
#define TXT "text/plain; charset=utf-8"

/* No path comes from a URL: what is not listed does not exist. */
static const struct page_file {
    const char *path;
    const char *name; /* in the folder */
    const char *type;
} files[] = {
    {"/", "index.html", HTML},
    {"/login", "login.html", HTML},
#include "page_files.h"
};

static void close_file(FILE *file)
{
    (void)fclose(file); /* only read from */
}
VD_AUTO_KIND(file, FILE *, close_file)

static enum vd_status read_file(const char *www, const char *name, struct vd_buf *bytes,
                                struct vd_err *err)
{
    VD_AUTO(mem) char *path = vd_format("%s/%s", www, name);
    VD_AUTO(file) FILE *file = fopen(path, "rbe");
    size_t got = 0;

    if (file == NULL) {
        return vd_fail(err, VD_INVALID,
                       "option \"www\": could not open \"%s\": %s; set it to the folder that holds "
                       "the page's index.html",
                       path, strerror(errno));
    }
    do {
        vd_buf_reserve(bytes, 16384);
        got = fread(bytes->data + bytes->len, 1, 16384, file);
        bytes->len += got;
    } while (got > 0 && bytes->len <= FILE_BYTES_MAX);
    if (ferror(file) != 0) {
        return vd_fail(err, VD_INVALID, "option \"www\": could not read \"%s\"", path);
    }
    if (bytes->len > FILE_BYTES_MAX) {
        return vd_fail(err, VD_INVALID, "option \"www\": \"%s\" has more than %zu bytes", path,
                       FILE_BYTES_MAX);
    }
    return VD_OK;
}

enum vd_status page_check(const char *www, struct vd_err *err)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        VD_AUTO(buf) struct vd_buf bytes = {0};

        if (read_file(www, files[i].name, &bytes, err) != VD_OK) {
            return err->status;
        }
    }
    return VD_OK;
}

/* Files tell nothing of the count, and the sign-in page needs some: only the page itself is kept,
 * so that who opens it is sent there. */
static void allow(struct vd_web *web, const char *path)
{
    VD_AUTO(mem) char *route = vd_format("GET %s", path);

    if (strcmp(path, "/") != 0) {
        vd_web_allow(web, route, VD_WEB_ANYONE);
    }
}

enum vd_status page_serve(struct vd_web *web, const char *www, struct vd_err *err)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        VD_AUTO(buf) struct vd_buf bytes = {0};

        if (read_file(www, files[i].name, &bytes, err) != VD_OK ||
            vd_web_file(web, files[i].path, files[i].type, &bytes, err) != VD_OK) {
            return err->status;
        }
        allow(web, files[i].path);
    }
    return VD_OK;
}
