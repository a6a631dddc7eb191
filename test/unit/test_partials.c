/* The records of agg_partials: bytes, round trips, and what is refused. */
#include "test.h"

#include <string.h>

#include "aggregation/partial.h"
#include "alloc.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

TEST(a_total_has_the_bytes_of_the_protocol)
{
    static const char key_bytes[] = "\x01\x01\x00\x00\x00\x07\x05state\x00\x04Ohio";
    static const char value_bytes[] = "\x01\x00\x00\x00\x00\x00\x00\x01\x02\x00\x01x";
    VD_AUTO(buf) struct vd_buf key = {0};
    VD_AUTO(buf) struct vd_buf value = {0};

    agg_partial_key_format(&(struct agg_partial_key){.kind = AGG_TOTAL,
                                                     .partition = 7,
                                                     .dimension = "state",
                                                     .dimension_len = 5,
                                                     .keys = "\0\x04Ohio",
                                                     .keys_len = 6},
                           &key);
    agg_total_format(
        &(struct agg_total){.count = 258, .attributes = "\0\x01x", .attributes_len = 3}, &value);
    assert_int_equal(key.len, sizeof(key_bytes) - 1);
    assert_memory_equal(key.data, key_bytes, key.len);
    assert_int_equal(value.len, sizeof(value_bytes) - 1);
    assert_memory_equal(value.data, value_bytes, value.len);
}

TEST(metas_come_back_as_they_were)
{
    uint64_t random = 88172645463325252U;

    for (int i = 0; i < 100000; i++) {
        struct agg_meta meta = {.next_offset = (int64_t)(next_random(&random) >> 1),
                                .last_generation = (int16_t)(next_random(&random) >> 49),
                                .last_offset = (int64_t)(next_random(&random) >> 1) - 1,
                                .votes = next_random(&random) >> 17,
                                .event_s = (int64_t)(next_random(&random) >> 20) - 1,
                                .is_idle = (next_random(&random) & 1) != 0,
                                .watermark_s = (int64_t)(next_random(&random) >> 20) - 1,
                                .commits = next_random(&random),
                                .rebuilds = (uint32_t)next_random(&random),
                                .checksum = next_random(&random),
                                .recounted = i % 2 == 0 ? 0 : (int64_t)(next_random(&random) >> 1)};
        struct agg_meta back = {0};
        VD_AUTO(buf) struct vd_buf bytes = {0};

        agg_meta_format(&meta, &bytes);
        assert_int_equal(agg_meta_parse(bytes.data, bytes.len, &back, NULL), VD_OK);
        assert_true(back.next_offset == meta.next_offset &&
                    back.last_generation == meta.last_generation &&
                    back.last_offset == meta.last_offset && back.votes == meta.votes &&
                    back.event_s == meta.event_s && back.is_idle == meta.is_idle &&
                    back.watermark_s == meta.watermark_s && back.commits == meta.commits &&
                    back.rebuilds == meta.rebuilds && back.checksum == meta.checksum &&
                    back.recounted == meta.recounted);
    }
}

TEST(totals_come_back_as_they_were)
{
    uint64_t random = 88172645463325252U;
    char texts[64];

    for (int i = 0; i < 100000; i++) {
        struct agg_partial_key key = {.kind = AGG_TOTAL,
                                      .partition = (int32_t)(next_random(&random) >> 33),
                                      .dimension = texts,
                                      .dimension_len = next_random(&random) % 20,
                                      .keys = texts + 20,
                                      .keys_len = next_random(&random) % 44};
        struct agg_total total = {.count = next_random(&random) >> 17,
                                  .attributes = texts,
                                  .attributes_len = next_random(&random) % sizeof(texts)};
        struct agg_partial_key key_back = {0};
        struct agg_total total_back = {0};
        VD_AUTO(buf) struct vd_buf bytes = {0};

        for (size_t c = 0; c < sizeof(texts); c++) {
            texts[c] = (char)next_random(&random);
        }
        agg_partial_key_format(&key, &bytes);
        assert_int_equal(agg_partial_key_parse(bytes.data, bytes.len, &key_back, NULL), VD_OK);
        assert_int_equal(key_back.kind, AGG_TOTAL);
        assert_int_equal(key_back.partition, key.partition);
        assert_int_equal(key_back.dimension_len, key.dimension_len);
        assert_memory_equal(key_back.dimension, key.dimension, key.dimension_len);
        assert_int_equal(key_back.keys_len, key.keys_len);
        assert_memory_equal(key_back.keys, key.keys, key.keys_len);
        vd_buf_clear(&bytes);
        agg_total_format(&total, &bytes);
        assert_int_equal(agg_total_parse(bytes.data, bytes.len, &total_back, NULL), VD_OK);
        assert_true(total_back.count == total.count);
        assert_int_equal(total_back.attributes_len, total.attributes_len);
        assert_memory_equal(total_back.attributes, total.attributes, total.attributes_len);
    }
}

struct refusal {
    const char *bytes;
    size_t len;
    enum vd_status status;
    const char *words;
};
#define BYTES(text) (text), sizeof(text) - 1

TEST(foreign_and_newer_keys_are_refused)
{
    static const struct refusal cases[] = {
        {BYTES(""), VD_INVALID, "key: not a record of the aggregation"},
        {BYTES("\x01\x03\x00\x00\x00"), VD_INVALID, "key: not a record of the aggregation"},
        {BYTES("\x00\x03\x00\x00\x00\x00"), VD_INVALID, "key: not a record of the aggregation"},
        {BYTES("\x02\x03\x00\x00\x00\x00"), VD_FAILED,
         "key: version 2 was written by a newer votingd"},
        {BYTES("\x01\x02\x00\x00\x00\x00"), VD_FAILED,
         "key: kind 2 was written by a newer votingd"},
        {BYTES("\x01\x03\x80\x00\x00\x00"), VD_INVALID, "key: not a record of the aggregation"},
        {BYTES("\x01\x03\x00\x00\x00\x00x"), VD_INVALID, "key: not a record of the aggregation"},
        {BYTES("\x01\x01\x00\x00\x00\x00"), VD_INVALID, "key: cut inside the dimension"},
        {BYTES("\x01\x01\x00\x00\x00\x00\x05stat"), VD_INVALID, "key: cut inside the dimension"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct agg_partial_key key = {0};
        struct vd_err err = {0};

        assert_int_equal(agg_partial_key_parse(cases[i].bytes, cases[i].len, &key, &err),
                         cases[i].status);
        assert_string_equal(err.msg, cases[i].words);
    }
}

TEST(foreign_and_newer_values_are_refused)
{
    static const struct refusal totals[] = {
        {BYTES(""), VD_INVALID, "total: not a record of the aggregation"},
        {BYTES("\x01\x00\x00\x00\x00\x00\x00\x00"), VD_INVALID,
         "total: not a record of the aggregation"},
        {BYTES("\x07\x00"), VD_FAILED, "total: version 7 was written by a newer votingd"},
        {BYTES("\x01\xff\xff\xff\xff\xff\xff\xff\xff"), VD_INVALID,
         "total: a count of 18446744073709551615"},
    };
    struct agg_meta meta = {.last_offset = -1, .event_s = -1, .watermark_s = -1};
    struct agg_total total = {0};
    struct vd_err err = {0};
    VD_AUTO(buf) struct vd_buf bytes = {0};

    for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
        assert_int_equal(agg_total_parse(totals[i].bytes, totals[i].len, &total, &err),
                         totals[i].status);
        assert_string_equal(err.msg, totals[i].words);
    }
    agg_meta_format(&meta, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(agg_meta_parse(bytes.data, len, &meta, NULL), VD_INVALID);
    }
    assert_int_equal(agg_meta_parse(bytes.data, bytes.len, &meta, NULL), VD_OK);
    vd_buf_add_char(&bytes, 'x');
    assert_int_equal(agg_meta_parse(bytes.data, bytes.len, &meta, NULL), VD_INVALID);
    bytes.data[bytes.len - 2] = 1; /* one window length */
    assert_int_equal(agg_meta_parse(bytes.data, bytes.len, &meta, &err), VD_FAILED);
    assert_string_equal(err.msg, "meta: windows were written by a newer votingd");
}

TEST(only_a_meta_that_knows_of_a_recount_is_of_version_2)
{
    struct agg_meta meta = {.last_offset = -1, .event_s = -1, .watermark_s = -1, .recounted = 3};
    struct vd_err err = {0};
    VD_AUTO(buf) struct vd_buf bytes = {0};

    agg_meta_format(&meta, &bytes);
    assert_int_equal(bytes.data[0], 2);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(agg_meta_parse(bytes.data, len, &meta, NULL), VD_INVALID);
    }
    bytes.data[bytes.len - 1] = 0;
    assert_int_equal(agg_meta_parse(bytes.data, bytes.len, &meta, NULL), VD_INVALID);
    bytes.data[0] = 3;
    assert_int_equal(agg_meta_parse(bytes.data, bytes.len, &meta, &err), VD_FAILED);
    assert_string_equal(err.msg, "meta: version 3 was written by a newer votingd");
    vd_buf_clear(&bytes);
    meta.recounted = 0;
    agg_meta_format(&meta, &bytes);
    assert_int_equal(bytes.data[0], 1);
}

RUN_TESTS(cmocka_unit_test(a_total_has_the_bytes_of_the_protocol),
          cmocka_unit_test(metas_come_back_as_they_were),
          cmocka_unit_test(only_a_meta_that_knows_of_a_recount_is_of_version_2),
          cmocka_unit_test(totals_come_back_as_they_were),
          cmocka_unit_test(foreign_and_newer_keys_are_refused),
          cmocka_unit_test(foreign_and_newer_values_are_refused))
