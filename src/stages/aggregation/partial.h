/* The records of agg_partials (exactly-once protocol, 6.1). Big-endian, the first byte of key and
 * value a version.
 *
 *   key    version u8 = 1, kind u8, partition u32; of a TOTAL also dimension (u8 length, bytes) and
 *          the group's keys as texts
 *   TOTAL  version u8 = 1, count u64, the group's attributes as texts
 *   META   version u8 = 1, next offset i64, last position (generation i16, offset i64), votes u64,
 *          highest event time i64, idle u8, watermark i64, commit number u64, rebuild number u32,
 *          checksum u64, number of window lengths u16 = 0
 *          version u8 = 2: the same, then recounted i64; only written where that is not 0, so an
 *          older votingd can read all others
 *
 * The partition stands in the key because a table holds the records of all partitions by key. */
#ifndef VD_AGGREGATION_PARTIAL_H
#define VD_AGGREGATION_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum agg_partial_kind {
    AGG_TOTAL = 1,
    AGG_WINDOW = 2, /* not written yet */
    AGG_META = 3,
};

struct agg_partial_key {
    enum agg_partial_kind kind;
    int32_t partition;     /* of the input */
    const char *dimension; /* TOTAL: name of the group */
    size_t dimension_len;
    const char *keys; /* TOTAL: texts */
    size_t keys_len;
};

struct agg_total {
    uint64_t count;
    const char *attributes; /* texts */
    size_t attributes_len;
};

struct agg_meta {
    int64_t next_offset;     /* of the input partition: all before it is counted */
    int16_t last_generation; /* position of the last vote with one */
    int64_t last_offset;     /* -1: none */
    uint64_t votes;
    int64_t event_s;     /* highest event time, seconds since 1970; -1: none */
    bool is_idle;        /* left the watermark */
    int64_t watermark_s; /* -1: none */
    uint64_t commits;    /* number of this transaction */
    uint32_t rebuilds;
    uint64_t checksum; /* of all votes, see struct agg_vote */
    int64_t recounted; /* a recount has read all before this offset; 0: none has, or version 1 */
};

void agg_partial_key_format(const struct agg_partial_key *key, struct vd_buf *out);
void agg_total_format(const struct agg_total *total, struct vd_buf *out);
void agg_meta_format(const struct agg_meta *meta, struct vd_buf *out);

/* Fails: VD_INVALID for bytes that are no such record, VD_FAILED for a version or kind of a newer
 * votingd. What is parsed borrows from the bytes. */
enum vd_status agg_partial_key_parse(const char *bytes, size_t len, struct agg_partial_key *key,
                                     struct vd_err *err) VD_MUST_CHECK;
enum vd_status agg_total_parse(const char *bytes, size_t len, struct agg_total *total,
                               struct vd_err *err) VD_MUST_CHECK;
enum vd_status agg_meta_parse(const char *bytes, size_t len, struct agg_meta *meta,
                              struct vd_err *err) VD_MUST_CHECK;

#endif
