/* A validating scan over one JSON text (RFC 8259) that notes where a few members stand, for the hot
 * path: no tree, no allocation. */
#ifndef VD_ELECTION_JSON_H
#define VD_ELECTION_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum el_json_type {
    EL_JSON_ABSENT = 0,
    EL_JSON_NULL,
    EL_JSON_BOOL,
    EL_JSON_NUMBER,
    EL_JSON_STRING,
    EL_JSON_OBJECT,
    EL_JSON_ARRAY,
};

/* One member to look for: "voter_id", or "address.state" for one in an object inside. */
struct el_json_field {
    const char *path;
    enum el_json_type type; /* out; EL_JSON_ABSENT if it is not there */
    const char *text;       /* out: the raw value; of a string without its quotes, still escaped */
    size_t len;             /* out */
    bool is_escaped;        /* out: a string with backslashes in it */
};

#define EL_JSON_DEPTH_MAX 32
#define EL_JSON_FIELDS_MAX 32

/* Validate the whole text, which must be an object of valid UTF-8 nested at most EL_JSON_DEPTH_MAX
 * deep, and fill in the fields, at most EL_JSON_FIELDS_MAX; of a member that stands twice the last
 * one counts. Fails: VD_INVALID with the byte offset; the fields then mean nothing. */
enum vd_status el_json_scan(const char *json, size_t len, struct el_json_field *fields,
                            size_t count, struct vd_err *err) VD_MUST_CHECK;

/* A string field with its escapes resolved, appended to 'out'. False if an escape named half a
 * surrogate pair, which no UTF-8 can hold: U+FFFD stands in its place. */
bool el_json_unescape(const struct el_json_field *field, struct vd_buf *out);

/* Fails: VD_INVALID unless the field is a number written as a 64-bit integer. */
enum vd_status el_json_int(const struct el_json_field *field, int64_t *value,
                           struct vd_err *err) VD_MUST_CHECK;

#endif
