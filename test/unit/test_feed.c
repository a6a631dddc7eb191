/* Records of the published topics on their way into the picture. */
#include "dashboard/feed.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define NOW_MS 1700000000000

/* A picture with one aggregate. */
struct scene {
    struct picture picture;
    size_t aggregate;
};

static void scene_init(struct scene *scene)
{
    struct vd_err err = {0};

    picture_init(&scene->picture, "e1", 100);
    assert_int_equal(picture_add_table(&scene->picture, "by_group", &scene->aggregate, &err),
                     VD_OK);
    (void)picture_settle(&scene->picture);
}

static enum vd_status take_keyed(struct scene *scene, enum feed_source source, const char *key,
                                 const char *value, struct vd_err *err)
{
    static const size_t tables[] = {
        [FEED_NAMES] = PICTURE_CANDIDATE,
        [FEED_CANDIDATE] = PICTURE_CANDIDATE,
        [FEED_STATE] = PICTURE_STATE,
    };
    struct vd_record record = {
        .key = key,
        .key_len = strlen(key),
        .value = value,
        .value_len = value == NULL ? 0 : strlen(value),
        .timestamp_ms = NOW_MS - 1000,
    };
    const struct feed feed = {
        .picture = &scene->picture,
        .source = source,
        .table = source < FEED_AGGREGATE ? tables[source] : scene->aggregate,
        .is_live = true,
    };

    return feed_take(&feed, &record, NOW_MS, err);
}

static enum vd_status take(struct scene *scene, enum feed_source source, const char *value,
                           struct vd_err *err)
{
    return take_keyed(scene, source, "k", value, err);
}

static const struct picture_row *row_of(const struct scene *scene, size_t table, const char *key)
{
    uint32_t row = picture_find(&scene->picture, table, key, strlen(key));

    assert_int_not_equal(row, PICTURE_NONE);
    return &scene->picture.tables[table].rows[row];
}

static int64_t votes_of(const struct scene *scene, size_t table, const char *key)
{
    return row_of(scene, table, key)->pending[COLUMN_VOTES];
}

TEST(candidates_and_states_are_told_by_their_member)
{
    struct scene scene;
    struct vd_err err = {0};

    scene_init(&scene);
    assert_int_equal(take(&scene, FEED_CANDIDATE,
                          "{\"candidate_id\":\"c1\",\"candidate_name\":\"Ann\","
                          "\"party_affiliation\":\"P\",\"photo_url\":\"u\",\"total_votes\":5,"
                          "\"sequence\":5}",
                          &err),
                     VD_OK);
    assert_int_equal(
        take(&scene, FEED_STATE, "{\"state\":\"Z\\u00fcrich\",\"count\":6,\"sequence\":6}", &err),
        VD_OK);
    assert_int_equal(take(&scene, FEED_STATE, "{\"count\":7}", &err), VD_OK);
    assert_int_equal(votes_of(&scene, PICTURE_CANDIDATE, "c1"), 5);
    assert_int_equal(votes_of(&scene, PICTURE_STATE, "Z\xc3\xbcrich"), 6);
    assert_int_equal(votes_of(&scene, PICTURE_STATE, FEED_UNKNOWN), 7);
    assert_int_equal(scene.picture.about.as_of_ms, NOW_MS - 1000);
    assert_int_equal(scene.picture.about.changed_ms, NOW_MS);
    picture_fini(&scene.picture);
}

TEST(aggregate_names_its_texts_by_itself)
{
    struct scene scene;
    const struct picture_table *table = NULL;
    struct vd_err err = {0};

    scene_init(&scene);
    table = &scene.picture.tables[scene.aggregate];
    assert_int_equal(take_keyed(&scene, FEED_AGGREGATE, "44/female",
                                "{\"registered_age\":44,\"gender\":\"female\",\"total_votes\":5,"
                                "\"sequence\":5}",
                                &err),
                     VD_OK);
    assert_int_equal(table->text_count, 2);
    assert_string_equal(table->texts[0], "registered_age");
    assert_string_equal(table->texts[1], "gender");
    assert_string_equal(row_of(&scene, scene.aggregate, "44/female")->texts[0], "44");
    assert_string_equal(row_of(&scene, scene.aggregate, "44/female")->texts[1], "female");
    assert_int_equal(votes_of(&scene, scene.aggregate, "44/female"), 5);
    assert_int_equal(table->shape_seq, 0);
    assert_true(picture_settle(&scene.picture));
    assert_true(table->shape_seq == scene.picture.seq);
    picture_fini(&scene.picture);
}

TEST(group_that_is_not_known_is_a_row_without_text)
{
    struct scene scene;
    struct vd_err err = {0};

    scene_init(&scene);
    assert_int_equal(take_keyed(&scene, FEED_AGGREGATE, "", "{\"total_votes\":2}", &err), VD_OK);
    assert_int_equal(
        take_keyed(&scene, FEED_AGGREGATE, "f", "{\"gender\":\"f\",\"total_votes\":3}", &err),
        VD_OK);
    assert_int_equal(
        take_keyed(&scene, FEED_AGGREGATE, "-", "{\"gender\":null,\"total_votes\":4}", &err),
        VD_OK);
    assert_null(row_of(&scene, scene.aggregate, "")->texts[0]);
    assert_string_equal(row_of(&scene, scene.aggregate, "f")->texts[0], "f");
    assert_null(row_of(&scene, scene.aggregate, "-")->texts[0]);
    assert_int_equal(votes_of(&scene, scene.aggregate, ""), 2);
    picture_fini(&scene.picture);
}

TEST(what_cannot_be_a_text_is_left_out_of_an_aggregate)
{
    struct scene scene;
    struct vd_err err = {0};

    scene_init(&scene);
    assert_int_equal(
        take(&scene, FEED_AGGREGATE,
             "{\"list\":[1],\"object\":{},\"is\":true,\"mean\":1.5,\"\":\"x\","
             "\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\",\"e\":\"5\",\"count\":1}",
             &err),
        VD_OK);
    assert_int_equal(scene.picture.tables[scene.aggregate].text_count, PICTURE_TEXTS_MAX);
    assert_string_equal(scene.picture.tables[scene.aggregate].texts[PICTURE_TEXTS_MAX - 1], "d");
    picture_fini(&scene.picture);
}

TEST(candidate_is_named_before_any_vote)
{
    struct scene scene;
    struct vd_err err = {0};

    scene_init(&scene);
    assert_int_equal(take(&scene, FEED_NAMES,
                          "{\"candidate_id\":\"c1\",\"candidate_name\":\"Ann\","
                          "\"party_affiliation\":\"P\",\"biography\":\"\"}",
                          &err),
                     VD_OK);
    assert_int_equal(votes_of(&scene, PICTURE_CANDIDATE, "c1"), 0);
    assert_string_equal(scene.picture.tables[PICTURE_CANDIDATE].rows[0].texts[TEXT_PARTY], "P");
    assert_int_equal(scene.picture.about.changed_ms, 0);
    picture_fini(&scene.picture);
}

TEST(stale_total_does_not_move_the_times)
{
    struct scene scene;
    struct vd_err err = {0};

    scene_init(&scene);
    assert_int_equal(take(&scene, FEED_STATE, "{\"state\":\"A\",\"count\":5,\"sequence\":5}", &err),
                     VD_OK);
    scene.picture.about.changed_ms = 1;
    assert_int_equal(take(&scene, FEED_STATE, "{\"state\":\"A\",\"count\":4,\"sequence\":4}", &err),
                     VD_OK);
    assert_int_equal(votes_of(&scene, PICTURE_STATE, "A"), 5);
    assert_int_equal(scene.picture.about.changed_ms, 1);
    picture_fini(&scene.picture);
}

TEST(tombstone_is_ignored)
{
    struct scene scene;
    struct vd_err err = {0};

    scene_init(&scene);
    assert_int_equal(take(&scene, FEED_STATE, NULL, &err), VD_OK);
    assert_false(picture_settle(&scene.picture));
    picture_fini(&scene.picture);
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
        {FEED_STATE, "{\"state\":\"A\"}", "expected a field \"total_votes\" or \"count\""},
        {FEED_AGGREGATE, "{\"state\":\"A\"}", "expected a field \"total_votes\" or \"count\""},
        {FEED_AGGREGATE, "{\"state\":\"A\",\"total_votes\":\"1\"}",
         "field \"total_votes\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":-1}",
         "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":1.5}",
         "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":9007199254740992}",
         "field \"count\": expected a whole number from 0"},
        {FEED_STATE, "{\"state\":[],\"count\":1}", "field \"state\": expected a string"},
        {FEED_STATE, "{\"state\":\"A\",\"count\":1,\"sequence\":\"x\"}",
         "field \"sequence\": expected a whole number from 0"},
        {FEED_CANDIDATE, "{\"candidate_id\":3,\"total_votes\":1}",
         "field \"candidate_id\": expected a string"},
    };
    struct scene scene;

    scene_init(&scene);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(take(&scene, cases[i].source, cases[i].value, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
    }
    assert_false(picture_settle(&scene.picture));
    picture_fini(&scene.picture);
}

TEST(time_ahead_of_the_clock_is_held_back)
{
    struct scene scene;
    struct vd_err err = {0};
    const char *value = "{\"state\":\"A\",\"count\":5}";
    struct feed feed = {&scene.picture, FEED_STATE, PICTURE_STATE};
    struct vd_record record = {
        .value = value,
        .value_len = strlen(value),
        .timestamp_ms = NOW_MS + 3600000,
    };

    scene_init(&scene);
    assert_int_equal(feed_take(&feed, &record, NOW_MS, &err), VD_OK);
    assert_int_equal(scene.picture.about.as_of_ms, NOW_MS);
    picture_fini(&scene.picture);
}

TEST(what_is_read_back_in_any_order_leaves_the_latest_time_and_was_not_received_now)
{
    static const int64_t times[] = {NOW_MS - 5000, NOW_MS - 1000, NOW_MS - 9000};
    struct scene scene;
    struct feed feed = {&scene.picture, FEED_STATE, PICTURE_STATE};
    struct vd_err err = {0};

    scene_init(&scene);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char value[64];
        struct vd_record record = {.value = value, .timestamp_ms = times[i]};

        record.value_len = (size_t)snprintf(value, sizeof(value),
                                            "{\"state\":\"S%zu\",\"count\":5,\"sequence\":5}", i);
        assert_int_equal(feed_take(&feed, &record, NOW_MS, &err), VD_OK);
    }
    assert_true(scene.picture.about.as_of_ms == NOW_MS - 1000);
    assert_int_equal(scene.picture.about.changed_ms, 0);
    assert_int_equal(scene.picture.about.received_ms, 0);
    picture_fini(&scene.picture);
}

TEST(every_total_is_remembered_at_the_time_of_its_record)
{
    static const int64_t wanted[] = {0, 4, 4, 9};
    struct scene scene;
    struct vd_err err = {0};
    struct history *history = history_new(
        &(struct history_limits){.points = 100, .rows = 100, .tables = PICTURE_TABLES_MAX});
    struct vd_record record = {.key = "c1", .key_len = 2};
    struct feed feed;
    struct history_range range;
    int64_t got[4] = {0};

    scene_init(&scene);
    feed = (struct feed){.picture = &scene.picture,
                         .source = FEED_CANDIDATE,
                         .table = PICTURE_CANDIDATE,
                         .history = history};
    for (int i = 0; i < 2; i++) {
        record.value = i == 0 ? "{\"candidate_id\":\"c1\",\"total_votes\":4}"
                              : "{\"candidate_id\":\"c1\",\"total_votes\":9}";
        record.value_len = strlen(record.value);
        record.offset = i;
        record.timestamp_ms = i == 0 ? NOW_MS - 2000 : NOW_MS + 60000; /* a clock ahead of ours */
        assert_int_equal(feed_take(&feed, &record, NOW_MS, &err), VD_OK);
    }
    range =
        history_find(history, &(struct history_asked){.to_ms = PICTURE_INT_MAX, .points_max = 100});
    assert_int_equal(range.count, 4);
    assert_true(range.from_ms == NOW_MS - 3000);
    history_read(history, PICTURE_CANDIDATE, 0, &range, got);
    assert_memory_equal(got, wanted, sizeof(wanted));
    assert_true(scene.picture.about.as_of_ms == NOW_MS);
    history_free(history);
    picture_fini(&scene.picture);
}

RUN_TESTS(cmocka_unit_test(every_total_is_remembered_at_the_time_of_its_record),
          cmocka_unit_test(
              what_is_read_back_in_any_order_leaves_the_latest_time_and_was_not_received_now),
          cmocka_unit_test(candidates_and_states_are_told_by_their_member),
          cmocka_unit_test(aggregate_names_its_texts_by_itself),
          cmocka_unit_test(group_that_is_not_known_is_a_row_without_text),
          cmocka_unit_test(what_cannot_be_a_text_is_left_out_of_an_aggregate),
          cmocka_unit_test(candidate_is_named_before_any_vote),
          cmocka_unit_test(stale_total_does_not_move_the_times),
          cmocka_unit_test(tombstone_is_ignored),
          cmocka_unit_test(record_of_another_form_is_refused_in_words),
          cmocka_unit_test(time_ahead_of_the_clock_is_held_back))
