/* The headers of letters, replayed records and receipts. */
#include "letter.h"

#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static rd_kafka_headers_t *add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
    return headers;
}

TEST(a_letter_says_where_it_comes_from_and_why)
{
    const struct vd_position position = {
        .generation = 2, .partition = 3, .offset = 17, .previous = VD_NO_OFFSET};
    uint8_t bytes[VD_POSITION_BYTES];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    struct vd_letter letter = {0};

    vd_position_format(&position, bytes);
    rd_kafka_header_add(headers, "vd-src", -1, bytes, sizeof(bytes));
    add(add(headers, "vd-stage", "voting"), "vd-node", "west");
    add(add(headers, "vd-topic", "voters_topic"), "vd-reason", "no voter_id");
    add(add(headers, "vd-attempts", "2"), "vd-time", "1795363651123");
    vd_letter_read_headers(headers, &letter);
    assert_string_equal(letter.stage, "voting");
    assert_string_equal(letter.node, "west");
    assert_string_equal(letter.from, "voters_topic");
    assert_string_equal(letter.reason, "no voter_id");
    assert_int_equal(letter.attempts, 2);
    assert_int_equal(letter.time_ms, 1795363651123);
    assert_true(letter.record.has_position);
    assert_int_equal(letter.record.position.partition, 3);
    assert_int_equal(letter.record.position.offset, 17);
    assert_int_equal(letter.cut_bytes, -1);
    assert_int_equal(letter.receipt_of, VD_NO_OFFSET);
    assert_int_equal(letter.stands_for, VD_NO_OFFSET);
    rd_kafka_headers_destroy(headers);
}

TEST(what_is_not_of_our_form_counts_as_absent)
{
    static const char *const numbers[] = {"", "x", "-1", "1x", " 1", "99999999999999999999"};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
        struct vd_letter letter = {0};

        add(add(headers, "vd-src", "odd"), "vd-attempts", numbers[i]);
        add(add(headers, "vd-time", numbers[i]), "vd-cut", numbers[i]);
        add(add(headers, "vd-receipt", numbers[i]), "vd-orig-replay", numbers[i]);
        vd_letter_read_headers(headers, &letter);
        assert_null(letter.stage);
        assert_false(letter.record.has_position);
        assert_int_equal(letter.attempts, -1);
        assert_int_equal(letter.time_ms, -1);
        assert_int_equal(letter.cut_bytes, -1);
        assert_int_equal(letter.receipt_of, VD_NO_OFFSET);
        assert_int_equal(letter.stands_for, VD_NO_OFFSET);
        rd_kafka_headers_destroy(headers);
    }
}

TEST(a_record_without_headers_is_a_letter_of_nobody)
{
    struct vd_letter letter = {0};

    vd_letter_read_headers(NULL, &letter);
    assert_null(letter.stage);
    assert_null(letter.from);
    assert_int_equal(letter.receipt_of, VD_NO_OFFSET);
}

TEST(a_name_of_ours_is_kept_under_another_and_given_back)
{
    static const struct {
        const char *name, *kept;
    } names[] = {
        {"trace", "trace"},
        {"vd-src", "vd-orig-src"},
        {"vd-", "vd-orig-"},
        {"VD-src", "VD-src"},
        {"", ""},
        {"vd-orig-src", "vd-orig-orig-src"},
        {"vd-orig-", "vd-orig-orig-"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        VD_AUTO(buf) struct vd_buf kept = {0};
        VD_AUTO(buf) struct vd_buf given = {0};

        vd_letter_keep_name(names[i].name, &kept);
        assert_string_equal(vd_buf_text(&kept), names[i].kept);
        assert_true(vd_letter_give_name(vd_buf_text(&kept), &given));
        assert_string_equal(vd_buf_text(&given), names[i].name);
    }
}

TEST(our_own_headers_are_not_given_back)
{
    VD_AUTO(buf) struct vd_buf given = {0};

    assert_false(vd_letter_give_name("vd-src", &given));
    assert_false(vd_letter_give_name("vd-reason", &given));
    assert_int_equal(given.len, 0);
}

TEST(a_replay_is_taken_by_its_stage_only_and_a_receipt_by_none)
{
    static const struct {
        const char *name, *value;
        bool is_ours;
    } cases[] = {
        {"trace", "x", true},
        {"vd-replay", "voting 17", true},
        {"vd-replay", "votin 17", false},
        {"vd-replay", "voting2 17", false},
        {"vd-receipt", "17", false},
        {"vd-orig-replay", "other 17", true},
    };
    struct vd_err err = {0};
    bool is_ours = false;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rd_kafka_headers_t *headers = add(rd_kafka_headers_new(1), cases[i].name, cases[i].value);

        assert_int_equal(vd_letter_route(headers, "voting", &is_ours, &err), VD_OK);
        assert_int_equal(is_ours, cases[i].is_ours);
        rd_kafka_headers_destroy(headers);
    }
    assert_int_equal(vd_letter_route(NULL, "voting", &is_ours, &err), VD_OK);
    assert_true(is_ours);
}

TEST(a_replay_of_another_form_is_refused)
{
    static const char *const values[] = {"", "voting", "voting ", " 17", "voting x", "voting -1"};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        rd_kafka_headers_t *headers = add(rd_kafka_headers_new(1), "vd-replay", values[i]);
        char wanted[128];
        struct vd_err err = {0};
        bool is_ours = false;

        (void)snprintf(wanted, sizeof(wanted),
                       "header \"vd-replay\": must be \"STAGE OFFSET\", got \"%s\"", values[i]);
        assert_int_equal(vd_letter_route(headers, "voting", &is_ours, &err), VD_INVALID);
        assert_string_equal(err.msg, wanted);
        rd_kafka_headers_destroy(headers);
    }
}

TEST(what_is_written_for_a_replay_is_read_again)
{
    VD_AUTO(buf) struct vd_buf value = {0};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    struct vd_letter letter = {0};
    struct vd_err err = {0};
    bool is_ours = false;

    vd_letter_add_replay("voting", INT64_MAX, &value);
    add(headers, "vd-replay", vd_buf_text(&value));
    assert_int_equal(vd_letter_route(headers, "voting", &is_ours, &err), VD_OK);
    assert_true(is_ours);
    add(headers, "vd-orig-replay", vd_buf_text(&value)); /* as its letter would have it */
    vd_letter_read_headers(headers, &letter);
    assert_int_equal(letter.stands_for, INT64_MAX);
    rd_kafka_headers_destroy(headers);
}

RUN_TESTS(cmocka_unit_test(a_letter_says_where_it_comes_from_and_why),
          cmocka_unit_test(what_is_not_of_our_form_counts_as_absent),
          cmocka_unit_test(a_record_without_headers_is_a_letter_of_nobody),
          cmocka_unit_test(a_name_of_ours_is_kept_under_another_and_given_back),
          cmocka_unit_test(our_own_headers_are_not_given_back),
          cmocka_unit_test(a_replay_is_taken_by_its_stage_only_and_a_receipt_by_none),
          cmocka_unit_test(a_replay_of_another_form_is_refused),
          cmocka_unit_test(what_is_written_for_a_replay_is_read_again))
