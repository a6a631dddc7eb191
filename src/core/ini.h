/* INI files with the place of every value, and substitution of environment variables. */
#ifndef VD_CORE_INI_H
#define VD_CORE_INI_H

#include <stddef.h>

#include "err.h"

#define VD_INI_FILE_BYTES_MAX ((size_t)1024 * 1024)
#define VD_INI_VALUE_BYTES_MAX 8192

struct vd_ini_entry {
    char *section; /* "stage:voting" */
    char *key;     /* NULL: the section's own header line */
    char *value;   /* after substitution; continuation lines are joined by a blank */
    const char *source; /* file name, or "--set" */
    int line;           /* 1 is the first; 0 on the command line */
    int column;         /* of the key's first byte, 1 is the first */
    int value_column;   /* of the value's first byte */
};

struct vd_ini {
    char *path;
    struct vd_ini_entry *entries; /* in the file's order */
    size_t count;
};

/* A place where something is wrong; parsing reports all of them, not the first only. */
typedef void vd_ini_error_fn(void *arg, const struct vd_ini_entry *at, const char *message);

/* Read a file, or 'len' bytes of text named 'path' in messages. Errors of form and of substitution go
 * to 'on_error', one call each; then the result is VD_INVALID and 'ini' holds what could be read.
 * Owns: the caller ends 'ini' with vd_ini_fini in every case. */
enum vd_status vd_ini_load(struct vd_ini *ini, const char *path, vd_ini_error_fn *on_error, void *arg,
                           struct vd_err *err) VD_MUST_CHECK;
enum vd_status vd_ini_parse(struct vd_ini *ini, const char *path, const char *text, size_t len,
                            vd_ini_error_fn *on_error, void *arg, struct vd_err *err) VD_MUST_CHECK;

/* Add or replace one value, as --set section.key=value does ("stage:voting.batch.records=10": the
 * section ends at the first dot). */
enum vd_status vd_ini_override(struct vd_ini *ini, const char *assignment, struct vd_err *err)
    VD_MUST_CHECK;

void vd_ini_fini(struct vd_ini *ini);

/* Substitute ${NAME} and ${NAME:-default} inside one value; $$ is a dollar sign.
 * Owns: *out is the caller's. Fails: VD_INVALID for an unset NAME without default, or bad form. */
enum vd_status vd_ini_expand(const char *value, char **out, struct vd_err *err) VD_MUST_CHECK;

#endif
