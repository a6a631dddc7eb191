/* Partials, to bytes and back. */
#include "partial.h"

#define VERSION 1
#define META_RECOUNTED_VERSION 2
#define KEY_HEAD_BYTES 6
#define TOTAL_HEAD_BYTES 9
#define META_BYTES 66
#define META_RECOUNTED_BYTES (META_BYTES + 8)

void agg_partial_key_format(const struct agg_partial_key *key, struct vd_buf *out)
{
    vd_buf_add_u8(out, VERSION);
    vd_buf_add_u8(out, (uint8_t)key->kind);
    vd_buf_add_be32(out, (uint32_t)key->partition);
    if (key->kind == AGG_TOTAL) {
        vd_buf_add_u8(out, (uint8_t)key->dimension_len);
        vd_buf_add(out, key->dimension, key->dimension_len);
        vd_buf_add(out, key->keys, key->keys_len);
    }
}

void agg_total_format(const struct agg_total *total, struct vd_buf *out)
{
    vd_buf_add_u8(out, VERSION);
    vd_buf_add_be64(out, total->count);
    vd_buf_add(out, total->attributes, total->attributes_len);
}

void agg_meta_format(const struct agg_meta *meta, struct vd_buf *out)
{
    vd_buf_add_u8(out, meta->recounted > 0 ? META_RECOUNTED_VERSION : VERSION);
    vd_buf_add_be64(out, (uint64_t)meta->next_offset);
    vd_buf_add_be16(out, (uint16_t)meta->last_generation);
    vd_buf_add_be64(out, (uint64_t)meta->last_offset);
    vd_buf_add_be64(out, meta->votes);
    vd_buf_add_be64(out, (uint64_t)meta->event_s);
    vd_buf_add_u8(out, meta->is_idle ? 1 : 0);
    vd_buf_add_be64(out, (uint64_t)meta->watermark_s);
    vd_buf_add_be64(out, meta->commits);
    vd_buf_add_be32(out, meta->rebuilds);
    vd_buf_add_be64(out, meta->checksum);
    vd_buf_add_be16(out, 0);
    if (meta->recounted > 0) {
        vd_buf_add_be64(out, (uint64_t)meta->recounted);
    }
}

static enum vd_status check_newest(const char *what, unsigned newest, const char *bytes, size_t len,
                                   struct vd_err *err)
{
    if (len > 0 && (unsigned char)bytes[0] > newest) {
        return vd_fail(err, VD_FAILED, "%s: version %u was written by a newer votingd", what,
                       (unsigned char)bytes[0]);
    }
    return VD_OK;
}

static enum vd_status check_version(const char *what, const char *bytes, size_t len, size_t least,
                                    struct vd_err *err)
{
    enum vd_status status = check_newest(what, VERSION, bytes, len, err);

    if (status == VD_OK && (len < least || bytes[0] != VERSION)) {
        status = vd_fail(err, VD_INVALID, "%s: not a record of the aggregation", what);
    }
    return status;
}

enum vd_status agg_partial_key_parse(const char *bytes, size_t len, struct agg_partial_key *key,
                                     struct vd_err *err)
{
    enum vd_status status = check_version("key", bytes, len, KEY_HEAD_BYTES, err);
    struct agg_partial_key read = {0};

    if (status != VD_OK) {
        return status;
    }
    read.kind = (enum agg_partial_kind)(unsigned char)bytes[1];
    read.partition = (int32_t)vd_be32(bytes + 2);
    if (read.kind != AGG_TOTAL && read.kind != AGG_META) {
        return vd_fail(err, VD_FAILED, "key: kind %u was written by a newer votingd",
                       (unsigned)read.kind);
    }
    if (read.partition < 0 || (read.kind == AGG_META && len != KEY_HEAD_BYTES)) {
        return vd_fail(err, VD_INVALID, "key: not a record of the aggregation");
    }
    if (read.kind == AGG_TOTAL) {
        size_t left = len - KEY_HEAD_BYTES;

        if (left < 1 || left - 1 < (unsigned char)bytes[KEY_HEAD_BYTES]) {
            return vd_fail(err, VD_INVALID, "key: cut inside the dimension");
        }
        read.dimension = bytes + KEY_HEAD_BYTES + 1;
        read.dimension_len = (unsigned char)bytes[KEY_HEAD_BYTES];
        read.keys = read.dimension + read.dimension_len;
        read.keys_len = left - 1 - read.dimension_len;
    }
    *key = read;
    return VD_OK;
}

enum vd_status agg_total_parse(const char *bytes, size_t len, struct agg_total *total,
                               struct vd_err *err)
{
    enum vd_status status = check_version("total", bytes, len, TOTAL_HEAD_BYTES, err);

    if (status != VD_OK) {
        return status;
    }
    *total = (struct agg_total){.count = vd_be64(bytes + 1),
                                .attributes = bytes + TOTAL_HEAD_BYTES,
                                .attributes_len = len - TOTAL_HEAD_BYTES};
    if (total->count > INT64_MAX >> 16) { /* nothing counts so far; sums of such cannot overflow */
        return vd_fail(err, VD_INVALID, "total: a count of %llu", (unsigned long long)total->count);
    }
    return VD_OK;
}

enum vd_status agg_meta_parse(const char *bytes, size_t len, struct agg_meta *meta,
                              struct vd_err *err)
{
    enum vd_status status = check_newest("meta", META_RECOUNTED_VERSION, bytes, len, err);
    bool has_recounted = len == META_RECOUNTED_BYTES && bytes[0] == META_RECOUNTED_VERSION;
    struct agg_meta read = {0};

    if (status != VD_OK) {
        return status;
    }
    if (len < META_BYTES || (bytes[0] != VERSION && !has_recounted)) {
        return vd_fail(err, VD_INVALID, "meta: not a record of the aggregation");
    }
    read.next_offset = (int64_t)vd_be64(bytes + 1);
    read.last_generation = (int16_t)vd_be16(bytes + 9);
    read.last_offset = (int64_t)vd_be64(bytes + 11);
    read.votes = vd_be64(bytes + 19);
    read.event_s = (int64_t)vd_be64(bytes + 27);
    read.is_idle = bytes[35] != 0;
    read.watermark_s = (int64_t)vd_be64(bytes + 36);
    read.commits = vd_be64(bytes + 44);
    read.rebuilds = vd_be32(bytes + 52);
    read.checksum = vd_be64(bytes + 56);
    read.recounted = has_recounted ? (int64_t)vd_be64(bytes + META_BYTES) : 0;
    if (vd_be16(bytes + 64) != 0) {
        return vd_fail(err, VD_FAILED, "meta: windows were written by a newer votingd");
    }
    if ((!has_recounted && len != META_BYTES) || (has_recounted && read.recounted <= 0) ||
        read.next_offset < 0 || read.last_generation < 0 || read.last_offset < -1 ||
        read.event_s < -1 || read.watermark_s < -1 || read.votes > INT64_MAX >> 16) {
        return vd_fail(err, VD_INVALID, "meta: not a record of the aggregation");
    }
    *meta = read;
    return VD_OK;
}
