/* A table: a compacted topic followed into memory, read committed. The state, the standby and the
 * feed of every stage that needs one. A row is told by partition and key: the same key in another
 * partition is another row. Records without a key are left out. */
#ifndef VD_CORE_TABLE_H
#define VD_CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "record.h"

struct vd_table;

/* A record of the topic came in, in partition order; the table already shows it. value NULL: the
 * key was deleted. If offsets vanish under the reader (the topic was truncated or recreated), the
 * partition is read anew: records come again, and rows that do not are reported as deleted at its
 * end, with the offset they had. */
typedef void vd_table_change_fn(void *arg, const struct vd_record *record);

typedef void vd_table_synced_fn(void *arg);

/* Report every record from now on; call it in the stage's start, before the first one is read. */
VD_API void vd_table_watch(struct vd_table *table, vd_table_change_fn *on_change, void *arg);

/* The present value of 'key', borrowed until the loop turns; NULL if there is none. The partition
 * that Kafka's Java client would send the key to is looked at first, then the others. */
VD_API const char *vd_table_get(const struct vd_table *table, const void *key, size_t key_len,
                                size_t *value_len);

/* The same in one partition only. */
VD_API const char *vd_table_get_at(const struct vd_table *table, int32_t partition, const void *key,
                                   size_t key_len, size_t *value_len);

/* Walk all rows, partition by partition: start with *at = 0; false at the end. 'row' borrows from
 * the table. */
VD_API bool vd_table_next(const struct vd_table *table, size_t *at, struct vd_record *row);

/* Where a walk begins that is to start with the rows of 'partition'. Since 1.1. */
VD_API size_t vd_table_walk_at(int32_t partition);

VD_API size_t vd_table_rows(const struct vd_table *table);
VD_API int32_t vd_table_partitions(const struct vd_table *table); /* 0: not known yet */

/* Call on_synced once, later, when the table shows everything that was in the topic at the time of
 * this call, open transactions settled (high watermark asked read-uncommitted, then waited for;
 * exactly-once protocol, 2.4). An outage is waited out. */
VD_API void vd_table_sync(struct vd_table *table, vd_table_synced_fn *on_synced, void *arg);

/* True once the end that the topic had at the start was reached; it stays true. */
VD_API bool vd_table_is_current(const struct vd_table *table);

#endif
