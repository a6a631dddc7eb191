/* Option tables: one list drives parsing, range checks, --describe, the reference page and the
 * redaction of secrets. */
#ifndef VD_CORE_OPT_H
#define VD_CORE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum vd_opt_type {
    VD_OPT_INT,    /* int64_t */
    VD_OPT_DOUBLE, /* double */
    VD_OPT_BOOL,   /* bool: yes/no, true/false, on/off, 1/0 */
    VD_OPT_TEXT,   /* char *, owned by the structure */
};

struct vd_opt {
    const char *name;
    enum vd_opt_type type;
    size_t offset;   /* of the field in the structure */
    const char *def; /* the default as it would be written; NULL: required */
    double min, max; /* of a number; both 0: no limit; only max 0: no upper limit. Of a text: its
                        length in bytes; its default may be "" nevertheless: not set */
    const char *choices; /* of a text: "text|json"; NULL: any */
    bool is_secret;      /* never printed or logged */
    const char *help;
};

/* An option's name is its field's name ("batch.records" for a nested one), its type the field's. */
#define VD_OPT(structure, field, ...)                                                                \
    {                                                                                                \
        .name = #field, .offset = offsetof(structure, field),                                      \
        .type = _Generic(((structure *)0)->field, int64_t                                          \
                         : VD_OPT_INT, double                                                      \
                         : VD_OPT_DOUBLE, bool                                                     \
                         : VD_OPT_BOOL, char *                                                     \
                         : VD_OPT_TEXT),                                                           \
        __VA_ARGS__ \
    }
#define VD_OPT_END   \
    {                \
        .name = NULL \
    }

/* Find an option by name; NULL if there is none. */
VD_API const struct vd_opt *vd_opt_find(const struct vd_opt *opts, const char *name);

/* Set every option that has a default. 'target' must be zeroed or hold earlier values. A default
 * that is wrong itself aborts: vd_opt_check finds it first. */
VD_API void vd_opt_defaults(const struct vd_opt *opts, void *target);

/* Parse 'value' into the field of option 'name'.
 * Fails: VD_INVALID for an unknown name, a value of the wrong form or out of range; the field keeps
 * its value. Message: option "window_ms": must be 1 to 60000, got 0 */
VD_API enum vd_status vd_opt_set(const struct vd_opt *opts, void *target, const char *name,
                                 const char *value, struct vd_err *err) VD_MUST_CHECK;

/* Check a table that others wrote: names present, unique and of letters, digits, '_', '-', '.';
 * known types; fields inside 'target_bytes'; defaults and choices that hold what they promise.
 * Fails: VD_INVALID, naming option, fault and remedy. */
VD_API enum vd_status vd_opt_check(const struct vd_opt *opts, size_t target_bytes,
                                   struct vd_err *err) VD_MUST_CHECK;

/* Format the present value of one option as it would be written; secrets as "***". */
VD_API void vd_opt_format(const struct vd_opt *opt, const void *target, struct vd_buf *out);

/* Free the texts that the table's fields own. */
VD_API void vd_opt_fini(const struct vd_opt *opts, void *target);

/* The values an option takes, in words: "1 to 60000", "text or json", "yes or no", "any text". */
VD_API void vd_opt_range(const struct vd_opt *opt, struct vd_buf *out);

/* The candidate nearest to 'name' by edit distance (insert, delete, replace, swap two neighbours;
 * case counts nothing), or NULL if none is near enough to be meant.
 * Names over 64 bytes match none. */
VD_API const char *vd_nearest(const char *name, const char *const *candidates, size_t count);

#endif
