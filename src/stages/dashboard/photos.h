/* Photos of candidates: read once at start, served under the candidate's id. */
#ifndef VD_DASHBOARD_PHOTOS_H
#define VD_DASHBOARD_PHOTOS_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

struct vd_log;
struct vd_web;

#define PHOTOS_MAX 256
#define PHOTO_BYTES_MAX ((size_t)256 * 1024)

/* Who has one. Zeroed it is empty. */
struct photos {
    char *ids[PHOTOS_MAX]; /* owned; of candidates, by the order of their files' names */
    size_t count;
};

/* Serve every photo in 'folder' at /photos/ID, to whom the page's numbers are shown. A file that
 * cannot be taken is left out with a warning; so are those behind the first PHOTOS_MAX. Files whose
 * names begin with a dot are not looked at.
 * Fails: VD_INVALID if the folder cannot be read. */
enum vd_status photos_serve(struct photos *photos, const char *folder, struct vd_web *web,
                            const struct vd_log *log, struct vd_err *err) VD_MUST_CHECK;

/* Check that the folder can be read; no side effects. */
enum vd_status photos_check(const char *folder, struct vd_err *err) VD_MUST_CHECK;

void photos_fini(struct photos *photos);

/* Read the photo of 'folder' in the file 'name', appended to 'bytes'; 'type' is what its first
 * bytes say, a literal.
 * Owns:  the caller frees 'id'.
 * Fails: VD_INVALID if it is none, or larger than PHOTO_BYTES_MAX. */
enum vd_status photo_read(const char *folder, const char *name, char **id, const char **type,
                          struct vd_buf *bytes, struct vd_err *err) VD_MUST_CHECK;

#endif
