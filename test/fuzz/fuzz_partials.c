/* The records of agg_partials: what parses must format to the same bytes. The input is a key behind
 * its length, and a value. */
#include <stdlib.h>
#include <string.h>

#include "aggregation/groups.h"
#include "aggregation/partial.h"
#include "alloc.h"

static void must_equal(const struct vd_buf *again, const char *bytes, size_t len)
{
    if (again->len != len || (len > 0 && memcmp(again->data, bytes, len) != 0)) {
        abort();
    }
}

static void try_total(const char *bytes, size_t len)
{
    VD_AUTO(buf) struct vd_buf again = {0};
    VD_AUTO(buf) struct vd_buf shown = {0};
    struct agg_total total;
    struct vd_err err = {0};

    if (agg_total_parse(bytes, len, &total, &err) == VD_OK) {
        agg_total_format(&total, &again);
        must_equal(&again, bytes, len);
        for (size_t i = 0; i < AGG_GROUP_COUNT; i++) { /* texts of any group, or none */
            agg_public_value(&agg_groups[i],
                             &(struct agg_public){.keys = total.attributes,
                                                  .keys_len = total.attributes_len,
                                                  .attributes = total.attributes,
                                                  .attributes_len = total.attributes_len,
                                                  .count = total.count},
                             &shown);
            (void)agg_texts_fit(&agg_groups[i], true, total.attributes, total.attributes_len);
        }
        agg_public_key(total.attributes, total.attributes_len, &shown);
    }
}

static void try_meta(const char *bytes, size_t len)
{
    VD_AUTO(buf) struct vd_buf again = {0};
    struct agg_meta meta;
    struct vd_err err = {0};

    if (agg_meta_parse(bytes, len, &meta, &err) == VD_OK && (unsigned char)bytes[35] <= 1) {
        agg_meta_format(&meta, &again);
        must_equal(&again, bytes, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    VD_AUTO(buf) struct vd_buf again = {0};
    const char *key = (const char *)bytes + 1;
    size_t key_len = len > 0 ? bytes[0] : 0;
    struct agg_partial_key read;
    struct vd_err err = {0};

    if (len == 0 || key_len > len - 1) {
        return 0;
    }
    if (agg_partial_key_parse(key, key_len, &read, &err) == VD_OK) {
        agg_partial_key_format(&read, &again);
        must_equal(&again, key, key_len);
        (void)agg_group_find(read.dimension, read.dimension_len);
    }
    try_total(key + key_len, len - 1 - key_len);
    try_meta(key + key_len, len - 1 - key_len);
    return 0;
}
