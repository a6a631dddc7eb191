/* Codecs of the position header and the commit note. */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define ROUNDS 100000

/* xorshift64: a fixed seed, so a failure repeats. */
static uint64_t random_u64(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Small and large values equally often: the edges are where codecs break. */
static int64_t random_offset(uint64_t *seed)
{
    const unsigned bits = (unsigned)(random_u64(seed) % 64);

    return (int64_t)(random_u64(seed) >> (63 - bits) >> 1);
}

static bool are_equal(const struct vd_position *a, const struct vd_position *b)
{
    return a->generation == b->generation && a->partition == b->partition &&
           a->offset == b->offset && a->previous == b->previous;
}

TEST(a_position_has_the_bytes_that_the_protocol_names)
{
    static const uint8_t wanted[VD_POSITION_BYTES] = {
        1, 0x01, 0x02, 0,    0,    0,    7,    0,    0,    0,    0,   0,
        0, 0x12, 0x34, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct vd_position position = {
        .generation = 0x0102, .partition = 7, .offset = 0x1234, .previous = VD_NO_OFFSET};
    uint8_t bytes[VD_POSITION_BYTES];

    vd_position_format(&position, bytes);
    assert_memory_equal(bytes, wanted, sizeof(wanted));
}

TEST(every_position_comes_back_as_it_was)
{
    uint64_t seed = 2024;

    for (int i = 0; i < ROUNDS; i++) {
        struct vd_position in = {
            .generation = (int16_t)(random_u64(&seed) & 0x7fff),
            .partition = (int32_t)(random_u64(&seed) & 0x7fffffff),
            .offset = random_offset(&seed),
            .previous = VD_NO_OFFSET,
        };
        struct vd_position out = {0};
        struct vd_err err = {0};
        uint8_t bytes[VD_POSITION_BYTES];

        if (in.offset > 0 && i % 3 != 0) {
            in.previous = random_offset(&seed) % in.offset;
        }
        vd_position_format(&in, bytes);
        assert_int_equal(vd_position_parse(bytes, sizeof(bytes), &out, &err), VD_OK);
        assert_true(are_equal(&in, &out));
    }
}

TEST(a_position_of_a_wrong_length_is_invalid)
{
    static const size_t lengths[] = {0, 1, VD_POSITION_BYTES - 1, VD_POSITION_BYTES + 1};
    const uint8_t bytes[VD_POSITION_BYTES + 1] = {1};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct vd_position out = {.offset = 42};
        struct vd_err err = {0};
        char wanted[80];

        assert_int_equal(vd_position_parse(bytes, lengths[i], &out, &err), VD_INVALID);
        snprintf(wanted, sizeof(wanted), "header \"vd-src\": must have 23 bytes, got %zu",
                 lengths[i]);
        assert_string_equal(err.msg, wanted);
        assert_int_equal(out.offset, 42);
    }
}

TEST(a_newer_version_is_told_apart_from_a_damaged_header)
{
    const uint8_t newer[40] = {2};
    struct vd_position out;
    struct vd_err err = {0};

    assert_int_equal(vd_position_parse(newer, VD_POSITION_BYTES, &out, &err), VD_FAILED);
    assert_string_equal(err.msg, "header \"vd-src\": version 2 is newer than 1");
    assert_int_equal(vd_position_parse(newer, sizeof(newer), &out, &err), VD_FAILED);
}

TEST(values_that_are_no_position_are_invalid)
{
    static const struct vd_position wrong[] = {
        {.generation = -1, .partition = 0, .offset = 5, .previous = VD_NO_OFFSET},
        {.generation = 0, .partition = -1, .offset = 5, .previous = VD_NO_OFFSET},
        {.generation = 0, .partition = 0, .offset = -1, .previous = VD_NO_OFFSET},
        {.generation = 0, .partition = 0, .offset = 5, .previous = -2},
        {.generation = 0, .partition = 0, .offset = 5, .previous = 5},
    };
    uint8_t bytes[VD_POSITION_BYTES];
    struct vd_position out;
    struct vd_err err = {0};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        vd_position_format(&wrong[i], bytes);
        assert_int_equal(vd_position_parse(bytes, sizeof(bytes), &out, &err), VD_INVALID);
    }
    assert_string_equal(err.msg, "header \"vd-src\": version 1, generation 0, partition 0, offset "
                                 "5, previous 5 is no position");
    bytes[0] = 0;
    assert_int_equal(vd_position_parse(bytes, sizeof(bytes), &out, &err), VD_INVALID);
}

TEST(a_note_has_the_words_that_the_protocol_names)
{
    const struct vd_commit_note note = {.last = 41, .tag = "0123456789abcdef"};
    const struct vd_commit_note empty = {.last = VD_NO_OFFSET};
    char text[VD_COMMIT_NOTE_BYTES];

    vd_commit_note_format(&note, text);
    assert_string_equal(text, "vd1 last=41 ballot=0123456789abcdef");
    vd_commit_note_format(&empty, text);
    assert_string_equal(text, "vd1 last=-1 ballot=");
}

TEST(every_note_comes_back_as_it_was)
{
    static const char letters[] = "0123456789abcdefXYZ-_.=";
    uint64_t seed = 2024;

    for (int i = 0; i < ROUNDS; i++) {
        struct vd_commit_note in = {.last = random_offset(&seed)};
        struct vd_commit_note out = {0};
        struct vd_err err = {0};
        char text[VD_COMMIT_NOTE_BYTES];
        const size_t len = random_u64(&seed) % VD_TAG_BYTES;

        if (i % 5 == 0) {
            in.last = VD_NO_OFFSET;
        }
        for (size_t at = 0; at < len; at++) {
            in.tag[at] = letters[random_u64(&seed) % (sizeof(letters) - 1)];
        }
        vd_commit_note_format(&in, text);
        assert_int_equal(vd_commit_note_parse(text, strlen(text), &out, &err), VD_OK);
        assert_int_equal(in.last, out.last);
        assert_string_equal(in.tag, out.tag);
    }
}

TEST(metadata_that_is_not_ours_is_invalid)
{
    static const struct {
        const char *text, *msg;
    } wrong[] = {
        {"", "offset metadata: must begin with \"vd1 last=\""},
        {"vd0 last=1 ballot=a", "offset metadata: must begin with \"vd1 last=\""},
        {"vd2", "offset metadata: must begin with \"vd1 last=\""},
        {"vdx last=1 ballot=a", "offset metadata: must begin with \"vd1 last=\""},
        {"vd123456789 last=1", "offset metadata: must begin with \"vd1 last=\""},
        {"vd1 last=", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last= ballot=a", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=-2 ballot=a", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=- ballot=a", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=+1 ballot=a", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=01 ballot=a", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=1x ballot=a", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=1 ballot", "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=9223372036854775808 ballot=a",
         "offset metadata: expected an offset and \" ballot=\""},
        {"vd1 last=1 ballot=a b",
         "offset metadata: ballot must be at most 31 printable characters"},
        {"vd1 last=1 ballot=\xc3\xa4",
         "offset metadata: ballot must be at most 31 printable characters"},
        {"vd1 last=1 ballot=0123456789abcdef0123456789abcdef",
         "offset metadata: ballot must be at most 31 printable characters"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct vd_commit_note out = {.last = 42};
        struct vd_err err = {0};

        assert_int_equal(vd_commit_note_parse(wrong[i].text, strlen(wrong[i].text), &out, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, wrong[i].msg);
        assert_int_equal(out.last, 42);
    }
}

TEST(a_note_of_a_newer_version_is_told_apart_from_one_that_is_not_ours)
{
    static const char *const newer[] = {"vd2 last=1 ballot=a", "vd9 ", "vd10 something else"};
    struct vd_commit_note out = {.last = 42};
    struct vd_err err = {0};

    for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
        assert_int_equal(vd_commit_note_parse(newer[i], strlen(newer[i]), &out, &err), VD_FAILED);
        assert_int_equal(out.last, 42);
    }
    assert_string_equal(err.msg, "offset metadata: \"vd10\" is newer than \"vd1\"");
}

TEST(a_note_is_read_up_to_its_length_only)
{
    static const char text[] = "vd1 last=12 ballot=ab";
    struct vd_commit_note out;
    struct vd_err err = {0};

    assert_int_equal(vd_commit_note_parse(text, strlen(text) - 1, &out, &err), VD_OK);
    assert_string_equal(out.tag, "a");
    assert_int_equal(vd_commit_note_parse(text, strlen("vd1 last=12 bal"), &out, &err), VD_INVALID);
}

TEST(the_largest_offset_is_a_note)
{
    struct vd_commit_note out;
    struct vd_err err = {0};
    const char *text = "vd1 last=9223372036854775807 ballot=";

    assert_int_equal(vd_commit_note_parse(text, strlen(text), &out, &err), VD_OK);
    assert_true(out.last == INT64_MAX);
}

RUN_TESTS(cmocka_unit_test(a_position_has_the_bytes_that_the_protocol_names),
          cmocka_unit_test(every_position_comes_back_as_it_was),
          cmocka_unit_test(a_position_of_a_wrong_length_is_invalid),
          cmocka_unit_test(a_newer_version_is_told_apart_from_a_damaged_header),
          cmocka_unit_test(values_that_are_no_position_are_invalid),
          cmocka_unit_test(a_note_has_the_words_that_the_protocol_names),
          cmocka_unit_test(every_note_comes_back_as_it_was),
          cmocka_unit_test(metadata_that_is_not_ours_is_invalid),
          cmocka_unit_test(a_note_of_a_newer_version_is_told_apart_from_one_that_is_not_ours),
          cmocka_unit_test(a_note_is_read_up_to_its_length_only),
          cmocka_unit_test(the_largest_offset_is_a_note))
