/* What a stage may ask while it is audited, installed as <votingd/audit.h>: its topics and tables
 * as they are, and a page of invariants to fill in. `votingd --topology FILE --audit` calls the
 * audit of every stage that has one.
 *
 * Nothing runs then: no loop, no start, no other callback; every call here blocks. Each read sees
 * the topics as they stood when the audit began, and all queries one snapshot of the database.
 * Anything that fails ends the whole audit, so a stage just returns the status. */
#ifndef VD_CORE_AUDIT_H
#define VD_CORE_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "record.h"

struct vd_audit;       /* the audit of one stage */
struct vd_audit_claim; /* one invariant */
struct vd_audit_row;   /* one row of a query */

/* A port is its kind and its index in the descriptor; there is one topic for dead letters. */
enum vd_audit_port {
    VD_AUDIT_INPUT,
    VD_AUDIT_OUTPUT,
    VD_AUDIT_TABLE,
    VD_AUDIT_DEAD,
};

/* The topic behind a port; NULL where an optional one is not mapped. All that follows needs one
 * that is. */
VD_API const char *vd_audit_topic(const struct vd_audit *audit, enum vd_audit_port port, size_t i);
VD_API int32_t vd_audit_partitions(const struct vd_audit *audit, enum vd_audit_port port, size_t i);
VD_API int16_t vd_audit_generation(const struct vd_audit *audit, enum vd_audit_port port, size_t i);

/* Offsets in front of the first records that are kept: no more records were purged,
 * or have expired. */
VD_API int64_t vd_audit_deleted(const struct vd_audit *audit, enum vd_audit_port port, size_t i);

/* Up to where the stage has read a partition of an input; VD_NO_OFFSET: nothing was committed. */
VD_API int64_t vd_audit_committed(const struct vd_audit *audit, size_t input, int32_t partition);

/* Hand over every committed record from the beginning of each partition; partitions come mixed.
 * Fails: VD_FAILED, broker or records are away. */
typedef void vd_audit_record_fn(void *arg, const struct vd_record *record);
VD_API enum vd_status vd_audit_read(struct vd_audit *audit, enum vd_audit_port port, size_t i,
                                    vd_audit_record_fn *on_record, void *arg,
                                    struct vd_err *err) VD_MUST_CHECK;

/* Within on_record, of the record at hand. True if its headers are of our form; the engine sets
 * aside a record of an input whose headers are not, and the stage never sees it. */
VD_API bool vd_audit_is_sound(const struct vd_audit *audit);

/* Likewise: as vd_batch_replay_of. */
VD_API int64_t vd_audit_replay_of(const struct vd_audit *audit);

/* Run one statement that only reads, and hand over its rows one by one; they need no memory.
 * Fails: VD_FAILED, also where no table or no database is. */
typedef void vd_audit_row_fn(void *arg, const struct vd_audit_row *row);
VD_API enum vd_status vd_audit_query(struct vd_audit *audit, const char *sql,
                                     vd_audit_row_fn *on_row, void *arg,
                                     struct vd_err *err) VD_MUST_CHECK;

/* A field as PostgreSQL writes it, zero-terminated; NULL for SQL NULL. 'len' may be NULL. */
VD_API const char *vd_audit_field(const struct vd_audit_row *row, size_t column, size_t *len);

/* An invariant: two numbers that are equal, and a name for each ("votes", "rows of votes"). It
 * holds if they are, and if no difference was named. The page keeps the order of the claims. Owns:
 * the audit; both texts are copied. Compare each claim once. */
VD_API struct vd_audit_claim *vd_audit_claim(struct vd_audit *audit, const char *left,
                                             const char *right);
VD_API void vd_audit_compare(struct vd_audit_claim *claim, int64_t left, int64_t right);

/* Name a key of a claim that differs, and how; the first VD_AUDIT_KEYS_MAX are shown, the others
 * counted. */
#define VD_AUDIT_KEYS_MAX 20
VD_API void vd_audit_differ(struct vd_audit_claim *claim, const char *key, const char *format, ...)
    VD_PRINTF(3, 4);

/* Tell what is no invariant, such as a number of records left out. */
VD_API void vd_audit_note(struct vd_audit *audit, const char *format, ...) VD_PRINTF(2, 3);

#endif
