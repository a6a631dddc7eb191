/* Loading stage modules: dlopen with an ABI handshake. */
#ifndef VD_CORE_PLUGIN_H
#define VD_CORE_PLUGIN_H

#include "stage.h"

struct vd_plugins; /* what was loaded; modules stay for the life of the process */

/* 'path': folders, separated by ':'. Copied. */
struct vd_plugins *vd_plugins_new(const char *path);
void vd_plugins_free(struct vd_plugins *plugins); /* forgets; never dlclose */

/* The descriptor of the module NAME.so, loaded at the first call: a copy whose members beyond the
 * module's own size are NULL. Borrowed; ends with 'plugins'.
 * Fails: VD_INVALID: not found (with the folders searched and the nearest name), found in two
 * folders, not a regular file, file or folder that others own or may write, client libraries
 * inside, a missing function, no descriptor, or a field that differs (found, wanted, remedy). */
enum vd_status vd_plugins_find(struct vd_plugins *plugins, const char *name,
                               const struct vd_stage_desc **desc, struct vd_err *err) VD_MUST_CHECK;

/* Compare a descriptor with this build, as the loader does. The base name of 'file', without ".so",
 * is the name the descriptor must have. */
enum vd_status vd_plugin_check(const struct vd_stage_desc *desc, const char *file,
                               struct vd_err *err) VD_MUST_CHECK;

/* Ports of one list; NULL is an empty one. */
size_t vd_port_count(const struct vd_port *ports);

/* Names of all modules in the path, sorted, without loading them.
 * Owns: the caller frees each name and the array. */
size_t vd_plugins_list(const struct vd_plugins *plugins, char ***names);

#endif
