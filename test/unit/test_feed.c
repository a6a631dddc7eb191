/* Records of the published topics on their way into the picture. */
#include "dashboard/feed.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define NOW_MS 1700000000000

static enum vd_status take(struct picture *picture, enum feed_source source, const char *value,
                           struct vd_err *err)
{
    struct vd_record record = {
        .value = value,
        .value_len = value == NULL ? 0 : strlen(value),
        .timestamp_ms = NOW_MS - 1000,
    };

    return feed_take(picture, source, &record, NOW_MS, err);
}

static int64_t votes_of(struct picture *picture, enum picture_table table, const char *key)
{
    uint32_t row = picture_find(picture, table, key, strlen(key));

    assert_int_not_equal(row, PICTURE_NONE);
    return picture->tables[table].rows[row].pending[COLUMN_VOTES];
}

TEST(each_topic_fills_its_table)
{
    static const struct {
        enum feed_source source;
        const char *value;
        enum picture_table table;
        const char *key;
    } cases[] = {
        {FEED_CANDIDATE,
         "{\"candidate_id\":\"c1\",\"candidate_name\":\"Ann\",\"party_affiliation\":\"P\","
         "\"photo_url\":\"u\",\"total_votes\":5,\"sequence\":5}",
         PICTURE_CANDIDATE, "c1"},
        {FEED_STATE, "{\"state\":\"Ohio\",\"count\":5,\"sequence\":5}", PICTURE_STATE, "Ohio"},
        {FEED_AGE, "{\"registered_age\":44,\"total_votes\":5,\"sequence\":5}", PICTURE_AGE, "44"},
        {FEED_AGE_GROUP, "{\"age_group\":\"75+\",\"total_votes\":5,\"sequence\":5}",
         PICTURE_AGE_GROUP, "75+"},
        {FEED_GENDER, "{\"gender\":\"female\",\"total_votes\":5}", PICTURE_GENDER, "female"},
        {FEED_PARTY, "{\"total_votes\":5,\"party_affiliation\":\"P\"}", PICTURE_PARTY, "P"},
        {FEED_CITY, "{\"city\":\"Z\\u00fcrich\",\"total_votes\":5}", PICTURE_CITY, "Z\xc3\xbcrich"},
        {FEED_CITY, "{\"total_votes\":5}", PICTURE_CITY, FEED_UNKNOWN},
        {FEED_STATE_CANDIDATE,
         "{\"state\":\"Ohio\",\"candidate_id\":\"c1\",\"total_votes\":5,\"sequence\":5}",
         PICTURE_STATE_CANDIDATE, "Ohio/c1"},
    };
    struct picture picture;
    struct vd_err err = {0};

    picture_init(&picture, "e1", 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(take(&picture, cases[i].source, cases[i].value, &err), VD_OK);
        assert_int_equal(votes_of(&picture, cases[i].table, cases[i].key), 5);
    }
    assert_int_equal(picture.about.as_of_ms, NOW_MS - 1000);
    assert_int_equal(picture.about.changed_ms, NOW_MS);
    picture_fini(&picture);
}

TEST(candidate_is_named_before_any_vote)
{
    struct picture picture;
    struct vd_err err = {0};

    picture_init(&picture, "e1", 100);
    assert_int_equal(take(&picture, FEED_CANDIDATES,
                          "{\"candidate_id\":\"c1\",\"candidate_name\":\"Ann\","
                          "\"party_affiliation\":\"P\",\"biography\":\"\"}",
                          &err),
                     VD_OK);
    assert_int_equal(votes_of(&picture, PICTURE_CANDIDATE, "c1"), 0);
    assert_string_equal(picture.tables[PICTURE_CANDIDATE].rows[0].texts[TEXT_PARTY], "P");
    assert_int_equal(picture.about.changed_ms, 0);
    picture_fini(&picture);
}

TEST(stale_total_does_not_move_the_times)
{
    struct picture picture;
    struct vd_err err = {0};

    picture_init(&picture, "e1", 100);
    assert_int_equal(
        take(&picture, FEED_STATE, "{\"state\":\"A\",\"count\":5,\"sequence\":5}", &err), VD_OK);
    picture.about.changed_ms = 1;
    assert_int_equal(
        take(&picture, FEED_STATE, "{\"state\":\"A\",\"count\":4,\"sequence\":4}", &err), VD_OK);
    assert_int_equal(votes_of(&picture, PICTURE_STATE, "A"), 5);
    assert_int_equal(picture.about.changed_ms, 1);
    picture_fini(&picture);
}

TEST(tombstone_is_ignored)
{
    struct picture picture;
    struct vd_err err = {0};

    picture_init(&picture, "e1", 100);
    assert_int_equal(take(&picture, FEED_STATE, NULL, &err), VD_OK);
    assert_false(picture_settle(&picture));
    picture_fini(&picture);
}

TEST(record_of_another_form_is_refused_in_words)
{
    static const struct {
        enum feed_source source;
        const char *value;
        const char *words;
    } cases[] = {
        {FEED_STATE, "", "expected a JSON object"},
        {FEED_STATE, "[1]", "expected a JSON object"},
        {FEED_STATE, "{\"state\":\"A\"}", "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":-1}",
         "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":1.5}",
         "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":9007199254740992}",
         "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":[],\"count\":1}",
         "field \"state\": expected a string or a whole number"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":1,\"sequence\":\"x\"}",
         "field \"sequence\": expected a whole number from 0"},
        {FEED_CANDIDATE, "{\"candidate_id\":3,\"total_votes\":1}",
         "field \"candidate_id\": expected a string"},
        {FEED_STATE_CANDIDATE, "{\"state\":\"A\",\"total_votes\":1}",
         "field \"candidate_id\": expected a string"},
    };
    struct picture picture;

    picture_init(&picture, "e1", 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(take(&picture, cases[i].source, cases[i].value, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
    }
    assert_false(picture_settle(&picture));
    picture_fini(&picture);
}

TEST(time_ahead_of_the_clock_is_held_back)
{
    struct picture picture;
    struct vd_err err = {0};
    const char *value = "{\"state\":\"A\",\"count\":5}";
    struct vd_record record = {
        .value = value,
        .value_len = strlen(value),
        .timestamp_ms = NOW_MS + 3600000,
    };

    picture_init(&picture, "e1", 100);
    assert_int_equal(feed_take(&picture, FEED_STATE, &record, NOW_MS, &err), VD_OK);
    assert_int_equal(picture.about.as_of_ms, NOW_MS);
    picture_fini(&picture);
}

TEST(what_is_read_back_in_any_order_leaves_the_latest_times)
{
    static const int64_t times[] = {NOW_MS - 5000, NOW_MS - 1000, NOW_MS - 9000};
    struct picture picture;
    struct vd_err err = {0};

    picture_init(&picture, "e1", 100);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char value[64];
        struct vd_record record = {.value = value, .timestamp_ms = times[i]};

        record.value_len = (size_t)snprintf(value, sizeof(value),
                                            "{\"state\":\"S%zu\",\"count\":5,\"sequence\":5}", i);
        assert_int_equal(feed_take(&picture, FEED_STATE, &record, times[i], &err), VD_OK);
    }
    assert_true(picture.about.as_of_ms == NOW_MS - 1000);
    assert_true(picture.about.changed_ms == NOW_MS - 1000);
    assert_true(picture.about.received_ms == NOW_MS - 1000);
    picture_fini(&picture);
}

RUN_TESTS(cmocka_unit_test(what_is_read_back_in_any_order_leaves_the_latest_times),
          cmocka_unit_test(each_topic_fills_its_table),
          cmocka_unit_test(candidate_is_named_before_any_vote),
          cmocka_unit_test(stale_total_does_not_move_the_times),
          cmocka_unit_test(tombstone_is_ignored),
          cmocka_unit_test(record_of_another_form_is_refused_in_words),
          cmocka_unit_test(time_ahead_of_the_clock_is_held_back))
