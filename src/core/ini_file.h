/* INI files with the place of every value, and substitution of environment variables. Not ini.h:
 * that is the name of inih's own header. */
#ifndef VD_CORE_INI_FILE_H
#define VD_CORE_INI_FILE_H

#include <stddef.h>

#include "err.h"

#define VD_INI_FILE_BYTES_MAX ((size_t)1024 * 1024)
#define VD_INI_VALUE_BYTES_MAX 8192

struct vd_ini_entry {
    char *section;      /* "stage:voting" */
    char *key;          /* NULL: the section's own header line */
    char *value;        /* continuation lines are joined by a blank; NULL in a header line */
    const char *source; /* file name, or "--set" */
    int line;           /* 1 is the first; 0 on the command line */
    int column;         /* of the key's first byte, 1 is the first */
    int value_column;   /* of the value's first byte */
};

/* A place where something is wrong; all of them are reported, not the first only. 'at' may lack
 * section, key and value. */
typedef void vd_ini_error_fn(void *arg, const struct vd_ini_entry *at, const char *message);

/* Zeroed before the first use, with on_error set or NULL. */
struct vd_ini {
    char *path;
    struct vd_ini_entry *entries; /* in the file's order, then what --set added */
    size_t count;
    size_t cap;
    vd_ini_error_fn *on_error;
    void *on_error_arg;
};

/* Read a file, or 'len' bytes of text named 'path' in messages. Values stay as written: overrides
 * and substitution come next. A comment begins with ';' or '#' in front of a line, or with ';'
 * after a blank. A line that is indented deeper than the key above it continues that key's value.
 * Errors of form go to on_error, one call each; then the result is VD_INVALID with their number and
 * 'ini' holds what could be read. VD_INVALID without a call: the file could not be read.
 * Owns: the caller ends 'ini' with vd_ini_fini in every case. Not reentrant: inih has globals. */
enum vd_status vd_ini_load(struct vd_ini *ini, const char *path, struct vd_err *err) VD_MUST_CHECK;
enum vd_status vd_ini_parse(struct vd_ini *ini, const char *path, const char *text, size_t len,
                            struct vd_err *err) VD_MUST_CHECK;

/* Add or replace one value, as --set section.key=value does ("stage:voting.batch.records=10"): the
 * section is the longest one of the file that fits, or ends at the first dot. */
enum vd_status vd_ini_override(struct vd_ini *ini, const char *assignment,
                               struct vd_err *err) VD_MUST_CHECK;

/* Substitute environment variables in every value, see vd_ini_expand. Errors go to on_error; the
 * values concerned keep their form. */
enum vd_status vd_ini_substitute(struct vd_ini *ini, struct vd_err *err) VD_MUST_CHECK;

/* The entry of a key, or with key NULL of a section's header. NULL if there is none. */
const struct vd_ini_entry *vd_ini_find(const struct vd_ini *ini, const char *section,
                                       const char *key);

void vd_ini_fini(struct vd_ini *ini);

/* Substitute ${NAME} and ${NAME:-default} (used where NAME is unset or empty) inside one value; $$
 * is a dollar sign.
 * Owns:  *out is the caller's.
 * Fails: VD_INVALID for an unset NAME without default, or bad form, or a result over
 *        VD_INI_VALUE_BYTES_MAX. */
enum vd_status vd_ini_expand(const char *value, char **out, struct vd_err *err) VD_MUST_CHECK;

#endif
