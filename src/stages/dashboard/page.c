/* The page's files, from the folder into the web server. */
#include "page.h"

#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "file.h"
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

static enum vd_status read_file(const char *www, const char *name, struct vd_buf *bytes,
                                struct vd_err *err)
{
    VD_AUTO(mem) char *path = vd_format("%s/%s", www, name);

    return file_read(path, FILE_BYTES_MAX, bytes, err) == VD_OK
               ? VD_OK
               : vd_fail_in(err, "option \"www\" (set it to the folder that holds the page's "
                                 "index.html)");
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
