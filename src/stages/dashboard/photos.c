/* Photos, from a folder into the web server. */
#include "photos.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "file.h"
#include "log.h"
#include "web.h"

/* What can stand in an address as it is. */
#define ID_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* The candidate that a file is named after, or NULL. */
static char *parse_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".png", ".webp"};
    size_t len = strspn(name, ID_LETTERS);

    for (size_t i = 0; len > 0 && i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strcmp(name + len, endings[i]) == 0) {
            return vd_strndup(name, len);
        }
    }
    return NULL;
}

static bool has_at(const struct vd_buf *bytes, size_t at, const char *mark, size_t len)
{
    return bytes->len >= at + len && memcmp(bytes->data + at, mark, len) == 0;
}

/* By content: a name may lie, and browsers are told not to guess. NULL: another type. */
static const char *find_type(const struct vd_buf *bytes)
{
    if (has_at(bytes, 0, "\xff\xd8\xff", 3)) {
        return "image/jpeg";
    }
    if (has_at(bytes, 0, "\x89PNG\r\n\x1a\n", 8)) {
        return "image/png";
    }
    return has_at(bytes, 0, "RIFF", 4) && has_at(bytes, 8, "WEBP", 4) ? "image/webp" : NULL;
}

enum vd_status photo_read(const char *folder, const char *name, char **id, const char **type,
                          struct vd_buf *bytes, struct vd_err *err)
{
    VD_AUTO(mem) char *path = vd_format("%s/%s", folder, name);
    VD_AUTO(mem) char *found = parse_name(name);
    const char *told = NULL;

    if (found == NULL) {
        return vd_fail(
            err, VD_INVALID,
            "\"%s\" is named after no candidate: call it ID.jpg, ID.png or ID.webp, with "
            "an id of letters, digits, \"-\" and \"_\"",
            path);
    }
    if (file_read(path, PHOTO_BYTES_MAX, bytes, err) != VD_OK) {
        return vd_fail(err, VD_INVALID, "%s: make it a file of at most 256 KiB that can be read",
                       err->msg);
    }
    told = find_type(bytes);
    if (told == NULL) {
        return vd_fail(err, VD_INVALID, "\"%s\" is no JPEG, PNG or WebP: convert it", path);
    }
    *id = vd_take(found);
    *type = told;
    return VD_OK;
}

static enum vd_status serve_one(struct photos *photos, const char *folder, const char *name,
                                struct vd_web *web, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf bytes = {0};
    VD_AUTO(mem) char *id = NULL;
    VD_AUTO(mem) char *path = NULL;
    const char *type = NULL;

    if (photo_read(folder, name, &id, &type, &bytes, err) != VD_OK) {
        return err->status;
    }
    path = vd_format("/photos/%s", id);
    if (vd_web_file(web, path, type, &bytes, err) != VD_OK) {
        return vd_fail(err, VD_INVALID,
                       "\"%s/%s\" is a second photo of candidate \"%s\": remove one of them",
                       folder, name, id);
    }
    photos->ids[photos->count++] = vd_take(id);
    return VD_OK;
}

static int is_seen(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Names in 'folder', in order; freed by free_names. */
static enum vd_status list(const char *folder, struct dirent ***names, size_t *count,
                           struct vd_err *err)
{
    int found = scandir(folder, names, is_seen, alphasort);

    if (found < 0) {
        return vd_fail(err, VD_INVALID,
                       "option \"photos\": could not read folder \"%s\": %s; set it to the folder "
                       "that holds the candidates' photos, or leave it out",
                       folder, strerror(errno));
    }
    *count = (size_t)found;
    return VD_OK;
}

static void free_names(struct dirent **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

enum vd_status photos_check(const char *folder, struct vd_err *err)
{
    struct dirent **names = NULL;
    size_t count = 0;

    if (list(folder, &names, &count, err) != VD_OK) {
        return err->status;
    }
    free_names(names, count);
    return VD_OK;
}

enum vd_status photos_serve(struct photos *photos, const char *folder, struct vd_web *web,
                            const struct vd_log *log, struct vd_err *err)
{
    struct dirent **names = NULL;
    size_t count = 0;

    if (list(folder, &names, &count, err) != VD_OK) {
        return err->status;
    }
    for (size_t i = 0; i < count && i < PHOTOS_MAX; i++) {
        struct vd_err why = {0};

        if (serve_one(photos, folder, names[i]->d_name, web, &why) != VD_OK) {
            vd_warn(log, "left out a photo: %s", why.msg);
        }
    }
    if (count > PHOTOS_MAX) {
        vd_warn(
            log,
            "left out %zu of %zu files in \"%s\", those from \"%s\" on: option \"photos\" takes "
            "%d at most; keep only those of candidates",
            count - PHOTOS_MAX, count, folder, names[PHOTOS_MAX]->d_name, PHOTOS_MAX);
    }
    free_names(names, count);
    return VD_OK;
}

void photos_fini(struct photos *photos)
{
    for (size_t i = 0; i < photos->count; i++) {
        free(photos->ids[i]);
    }
    *photos = (struct photos){.count = 0};
}
