/* PostgreSQL on the loop: one connection in libpq's pipeline mode, that reconnects by itself. */
#ifndef VD_CORE_PG_H
#define VD_CORE_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "log.h"
#include "loop.h"

struct vd_pg;
struct vd_pg_reply;

struct vd_pg_events {
    void (*on_ready)(void *arg); /* connected, session set up; after every reconnect again */
    void (*on_lost)(void *arg, const struct vd_err *err); /* connection gone or refused; it will be
                                                             tried again with backoff */
    void *arg;
};

/* One connection; 'session_sql' (one or more statements, or NULL) runs after every connect, before
 * on_ready. Connecting starts at once and is repeated for ever, 100 ms doubling to 5 s with jitter.
 * The name in application_name is "votingd/" and the log's name, unless 'conninfo' has one. A host
 * name in 'conninfo' is looked up by libpq, which blocks the loop: use addresses, "localhost" or a
 * socket's folder, or a resolver that is near.
 * Owns: the caller, who ends it with vd_pg_close; 'conninfo' and 'session_sql' are copied, 'events'
 * too; 'log' is borrowed for as long. */
struct vd_pg *vd_pg_new(struct vd_loop *loop, const char *conninfo, const char *session_sql,
                        struct vd_log *log, const struct vd_pg_events *events);

/* Final. Pending units are answered VD_FAILED before this returns; on_lost is not called. */
VD_API void vd_pg_close(struct vd_pg *pg);

VD_API bool vd_pg_is_ready(const struct vd_pg *pg);

#define VD_PG_CONNECT_MS 20000 /* all hosts of the conninfo together */
#define VD_PG_REPLY_MS 30000

/* Change how long connecting may take, and how long the server may stay silent while units or
 * 'session_sql' wait for it; the connection counts as lost after that. A stage whose statements run
 * longer raises the second. 0: as it was made, with the numbers above. */
VD_API void vd_pg_set_limits(struct vd_pg *pg, int64_t connect_ms, int64_t reply_ms);

/* Can 'conninfo' be parsed? The message never holds a password. Fails: VD_INVALID. */
enum vd_status vd_pg_check_conninfo(const char *conninfo, struct vd_err *err) VD_MUST_CHECK;

/* Connect once and disconnect, for --check --connect. Blocks up to 'timeout_ms', rounded up to
 * seconds, and 2 s at least, for each host. Fails: VD_INVALID or VD_FAILED. */
enum vd_status vd_pg_check_server(const char *conninfo, int64_t timeout_ms,
                                  struct vd_err *err) VD_MUST_CHECK;

struct vd_pg_value {
    const char *data; /* NULL: SQL NULL */
    size_t len;
    bool is_binary; /* false: text format (data need not be zero-terminated) */
};

/* One statement: no COPY, nothing that begins or ends a transaction, nothing that must not or must
 * run in a block of its own (LOCK TABLE first in a unit, VACUUM). A binary array needs its type in
 * the text: $1::bigint[]. */
struct vd_pg_stmt {
    const char *sql; /* a literal: prepared once per connection under its address */
    const struct vd_pg_value *values; /* $1, $2, ...; copied */
    size_t count;
    bool is_binary_result;
};

typedef void vd_pg_done_fn(void *arg, const struct vd_pg_reply *reply);

#define VD_PG_UNITS_MAX 16                        /* under way at a time */
#define VD_PG_VALUES_MAX 128                      /* of one statement */
#define VD_PG_VALUE_BYTES_MAX ((size_t)256 << 20) /* of one value */

/* Run 'stmts' as one transaction in one pipeline; units run in the order given, and one that fails
 * takes no other with it.
 * Callback: exactly once, later (or in vd_pg_close); 'reply' is borrowed for the call. On an error
 * nothing was done, but after a lost connection (SQLSTATE 08xxx or 57xxx) the COMMIT may have
 * worked. Fails: VD_FAILED without a connection, VD_AGAIN with VD_PG_UNITS_MAX units under way,
 * VD_INVALID for a value that is too big or a text with a zero byte. */
VD_API enum vd_status vd_pg_run(struct vd_pg *pg, const struct vd_pg_stmt *stmts, size_t count,
                                vd_pg_done_fn *on_done, void *arg,
                                struct vd_err *err) VD_MUST_CHECK;

/* The reply: NULL error means that the transaction is committed. Class 22 and 23 are VD_INVALID,
 * 40xxx and 55P03 VD_AGAIN, all else VD_FAILED. A failed unit has no rows. */
VD_API const struct vd_err *vd_pg_reply_err(const struct vd_pg_reply *reply);
VD_API const char *vd_pg_reply_sqlstate(const struct vd_pg_reply *reply); /* "" if none */
VD_API size_t vd_pg_reply_rows(const struct vd_pg_reply *reply, size_t stmt);
VD_API int64_t vd_pg_reply_affected(const struct vd_pg_reply *reply, size_t stmt);
/* One field, zero-terminated; NULL for SQL NULL. 'len' may be NULL. */
VD_API const char *vd_pg_reply_get(const struct vd_pg_reply *reply, size_t stmt, size_t row,
                                   size_t column, size_t *len);

/* One-dimensional arrays in PostgreSQL's binary format (src/include/utils/array.h). Begin with the
 * element's kind, which clears the buffer, add each element, and end: the buffer then is a binary
 * value. Adding an element of another kind is a bug and aborts. */
enum vd_pg_type {
    VD_PG_INT4 = 23,
    VD_PG_INT8 = 20,
    VD_PG_TEXT = 25,
    VD_PG_TIMESTAMP = 1114,
};
VD_API void vd_pg_array_begin(struct vd_buf *array, enum vd_pg_type type);
VD_API void vd_pg_array_add_int4(struct vd_buf *array, int32_t value);
VD_API void vd_pg_array_add_int8(struct vd_buf *array, int64_t value);
VD_API void vd_pg_array_add_text(struct vd_buf *array, const char *text, size_t len);
VD_API void vd_pg_array_add_null(struct vd_buf *array);
/* Of type timestamp, in UTC. What PostgreSQL cannot hold is refused by it: class 22. */
VD_API void vd_pg_array_add_timestamp(struct vd_buf *array, int64_t unix_us);
VD_API void vd_pg_array_end(struct vd_buf *array);
/* The buffer as a binary value; borrowed. */
VD_API struct vd_pg_value vd_pg_array_value(const struct vd_buf *array);

#endif
