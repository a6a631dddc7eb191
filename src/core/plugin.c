/* Loading stage modules. Whatever can be known without running a module's code is checked before it
 * is loaded; a refused module leaves no trace in what is known here. */
#include "plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin_elf.h"

#define NAME_BYTES_MAX 64
#define MODULE_BYTES_MAX ((off_t)256 * 1024 * 1024)
#define NAMES_MAX 1024 /* modules that are listed */
#define SUFFIX ".so"

struct loaded {
    struct vd_stage_desc desc; /* a copy: members beyond the module's size stay NULL */
    struct loaded *next;
};

struct vd_plugins {
    char **folders;
    size_t folder_count;
    struct loaded *loaded;
};

VD_AUTO_KIND(dir, DIR *, closedir)

static void auto_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* it was only read */
    }
}

struct vd_plugins *vd_plugins_new(const char *path)
{
    struct vd_plugins *plugins = vd_alloc(sizeof(*plugins));
    VD_AUTO(mem) char *copy = vd_strdup(path);
    char *rest = copy;

    while (rest != NULL) {
        const char *folder = strsep(&rest, ":");

        if (*folder != '\0') {
            plugins->folders = vd_realloc(plugins->folders,
                                          (plugins->folder_count + 1) * sizeof(*plugins->folders));
            plugins->folders[plugins->folder_count++] = vd_strdup(folder);
        }
    }
    return plugins;
}

void vd_plugins_free(struct vd_plugins *plugins)
{
    if (plugins == NULL) {
        return;
    }
    while (plugins->loaded != NULL) {
        struct loaded *loaded = plugins->loaded;

        plugins->loaded = loaded->next;
        free(loaded);
    }
    for (size_t i = 0; i < plugins->folder_count; i++) {
        free(plugins->folders[i]);
    }
    free(plugins->folders);
    free(plugins);
}

/* ---- what is there --------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_name(const char *name, size_t len)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

    return len > 0 && len <= NAME_BYTES_MAX && strspn(name, letters) >= len;
}

static size_t add_names(const char *folder, char **names, size_t count)
{
    VD_AUTO(dir) DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;

    while (dir != NULL && count < NAMES_MAX && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len > strlen(SUFFIX) && strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0 &&
            is_name(entry->d_name, len - strlen(SUFFIX))) {
            names[count++] = vd_strndup(entry->d_name, len - strlen(SUFFIX));
        }
    }
    return count;
}

size_t vd_plugins_list(const struct vd_plugins *plugins, char ***names)
{
    char **all = vd_alloc_array(NAMES_MAX, sizeof(*all));
    size_t count = 0;
    size_t unique = 0;

    for (size_t i = 0; i < plugins->folder_count; i++) {
        count = add_names(plugins->folders[i], all, count);
    }
    qsort(all, count, sizeof(*all), compare_names);
    for (size_t i = 0; i < count; i++) {
        if (unique > 0 && strcmp(all[unique - 1], all[i]) == 0) {
            free(all[i]);
        } else {
            all[unique++] = all[i];
        }
    }
    *names = all;
    return unique;
}

static enum vd_status fail_not_found(const struct vd_plugins *plugins, const char *name,
                                     struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf folders = {0};
    char **names = NULL;
    size_t count = vd_plugins_list(plugins, &names);
    const char *nearest = vd_nearest(name, (const char *const *)names, count);

    for (size_t i = 0; i < plugins->folder_count; i++) {
        vd_buf_printf(&folders, "%s\"%s\"%s", i > 0 ? ", " : "", plugins->folders[i],
                      access(plugins->folders[i], R_OK | X_OK) == 0 ? "" : " (cannot be read)");
    }
    (void)vd_fail(err, VD_INVALID, "no plugin \"%s\" in %s%s%s%s", name,
                  folders.len > 0 ? vd_buf_text(&folders) : "an empty plugin_path",
                  nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "\"?" : "");
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return VD_INVALID;
}

/* ---- whom we trust --------------------------------------------------------------------------- */

/* Whoever may write a module, or put another one in its place, runs code as us. */
static enum vd_status check_owner(const char *path, const struct stat *stat, struct vd_err *err)
{
    if (stat->st_uid != 0 && stat->st_uid != geteuid()) {
        return vd_fail(err, VD_INVALID,
                       "\"%s\": owner: found user %u, wanted %u or root; chown it to the user that "
                       "runs votingd",
                       path, (unsigned)stat->st_uid, (unsigned)geteuid());
    }
    if ((stat->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return vd_fail(err, VD_INVALID,
                       "\"%s\": mode: found %04o, wanted no write permission for group and others; "
                       "chmod go-w it",
                       path, (unsigned)(stat->st_mode & 07777));
    }
    return VD_OK;
}

/* Check the folder that 'path' lies in. */
static enum vd_status check_folder(const char *path, struct vd_err *err)
{
    const char *slash = strrchr(path, '/');
    VD_AUTO(mem)
    char *folder = slash == NULL ? vd_strdup(".")
                                 : vd_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct stat found;

    if (stat(folder, &found) != 0) {
        return vd_fail(err, VD_INVALID, "could not look at \"%s\": %s", folder, strerror(errno));
    }
    return check_owner(folder, &found, err);
}

/* Check everything about the file 'real', which is no symbolic link any more,
 * short of loading it. */
static enum vd_status check_file(const char *real, struct vd_err *err)
{
    __attribute__((cleanup(auto_close))) int fd = -1;
    struct stat found;
    void *bytes = NULL;
    enum vd_status status = VD_OK;

    fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &found) != 0) {
        return vd_fail(err, VD_INVALID, "could not open \"%s\": %s", real, strerror(errno));
    }
    if (!S_ISREG(found.st_mode)) {
        return vd_fail(err, VD_INVALID, "\"%s\": not a regular file", real);
    }
    if (check_owner(real, &found, err) != VD_OK || check_folder(real, err) != VD_OK) {
        return VD_INVALID;
    }
    if (found.st_size == 0 || found.st_size > MODULE_BYTES_MAX) {
        return vd_fail(err, VD_INVALID, "\"%s\": size: found %lld bytes, wanted 1 to %lld", real,
                       (long long)found.st_size, (long long)MODULE_BYTES_MAX);
    }
    bytes = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return vd_fail(err, VD_INVALID, "could not read \"%s\": %s", real, strerror(errno));
    }
    status = vd_plugin_elf_check(bytes, (size_t)found.st_size, err);
    (void)munmap(bytes, (size_t)found.st_size); /* fails for wrong arguments only */
    return status == VD_OK ? VD_OK : vd_fail_in(err, "\"%s\"", real);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Load 'real', which was checked. Whoever could change it since then could have done so before. */
static enum vd_status open_module(const char *path, const char *real, struct vd_stage_desc *desc,
                                  struct vd_err *err)
{
    void *module = dlopen(real, RTLD_NOW | RTLD_LOCAL);
    vd_stage_describe_fn *describe = NULL;
    const struct vd_stage_desc *found = NULL;

    if (module == NULL) {
        return vd_fail(err, VD_INVALID,
                       "could not load the plugin: %s; a function that is missing is either newer "
                       "than this votingd or none that <votingd/stage.h> promises",
                       dlerror());
    }
    *(void **)&describe = dlsym(module, VD_STAGE_SYMBOL); /* the form POSIX gives for functions */
    found = describe != NULL ? describe() : NULL;
    if (found == NULL) {
        return vd_fail(err, VD_INVALID,
                       "\"%s\": " VD_STAGE_SYMBOL " returned nothing; end the module with "
                       "VD_STAGE_EXPORT(descriptor)",
                       path);
    }
    if (vd_plugin_check(found, path, err) != VD_OK) {
        return VD_INVALID;
    }
    memcpy(desc, found, found->size);
    return VD_OK;
}

/* The file of module 'name': the only one in the folders. Owns: *path is the caller's. */
static enum vd_status find_file(const struct vd_plugins *plugins, const char *name, char **path,
                                struct vd_err *err)
{
    VD_AUTO(mem) char *first = NULL;
    struct stat first_stat = {0};

    for (size_t i = 0; i < plugins->folder_count; i++) {
        VD_AUTO(mem) char *here = vd_format("%s/%s" SUFFIX, plugins->folders[i], name);
        struct stat found;

        if (stat(here, &found) != 0) {
            if (errno == ENOENT || errno == ENOTDIR) {
                continue;
            }
            return vd_fail(err, VD_INVALID, "could not look at \"%s\": %s", here, strerror(errno));
        }
        if (first == NULL) {
            first = vd_take(here);
            first_stat = found;
        } else if (found.st_dev != first_stat.st_dev || found.st_ino != first_stat.st_ino) {
            return vd_fail(
                err, VD_INVALID,
                "plugin \"%s\": found as \"%s\" and as \"%s\", wanted once; remove one or "
                "its folder from plugin_path",
                name, first, here);
        }
    }
    if (first == NULL) {
        return fail_not_found(plugins, name, err);
    }
    *path = vd_take(first);
    return VD_OK;
}

enum vd_status vd_plugins_find(struct vd_plugins *plugins, const char *name,
                               const struct vd_stage_desc **desc, struct vd_err *err)
{
    VD_AUTO(mem) char *path = NULL;
    VD_AUTO(mem) char *real = NULL;
    VD_AUTO(mem) struct loaded *loaded = NULL;

    for (struct loaded *known = plugins->loaded; known != NULL; known = known->next) {
        if (strcmp(known->desc.name, name) == 0) {
            *desc = &known->desc;
            return VD_OK;
        }
    }
    if (!is_name(name, strlen(name))) {
        return vd_fail(err, VD_INVALID,
                       "plugin \"%.64s\": a name has 1 to %d letters, digits, '_' and '-'", name,
                       NAME_BYTES_MAX);
    }
    if (find_file(plugins, name, &path, err) != VD_OK || check_folder(path, err) != VD_OK) {
        return VD_INVALID;
    }
    real = realpath(path, NULL);
    if (real == NULL) {
        return vd_fail(err, VD_INVALID, "could not resolve \"%s\": %s", path, strerror(errno));
    }
    loaded = vd_alloc(sizeof(*loaded));
    if (check_file(real, err) != VD_OK || open_module(path, real, &loaded->desc, err) != VD_OK) {
        return VD_INVALID;
    }
    loaded->next = plugins->loaded;
    plugins->loaded = loaded;
    *desc = &vd_take(loaded)->desc;
    return VD_OK;
}
