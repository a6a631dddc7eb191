/* The frames of votingd.v1, word for word. */
#include "dashboard/wire.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

static const char *const photos[] = {"c1", "c-9"};
static const struct wire_election election = {.id = "election",
                                              .title = "Night \"one\"",
                                              .kind = "simulated",
                                              .photos = photos,
                                              .photo_count = 2};

static void begin(struct picture *picture)
{
    uint32_t row = 0;

    picture_init(picture, "e1", 1000);
    row = picture_row(picture, PICTURE_CANDIDATE, "c1", 2);
    picture_set_text(picture, PICTURE_CANDIDATE, row, TEXT_NAME, "<img onerror=x>\xff");
    (void)picture_count(picture, PICTURE_CANDIDATE, row, 7, 7);
    row = picture_row(picture, PICTURE_STATE, "Ohio", 4);
    (void)picture_count(picture, PICTURE_STATE, row, 7, 7);
    picture->about.as_of_ms = 1000;
    picture->about.received_ms = 1001;
    picture->about.changed_ms = 1002;
    (void)picture_settle(picture);
}

TEST(snapshot_holds_every_row_and_its_texts)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    begin(&picture);
    wire_snapshot(&out, &picture, picture_frame_last(&picture), WIRE_ALIVE, 2000);
    assert_string_equal(
        vd_buf_text(&out),
        "{\"type\":\"snapshot\",\"epoch\":\"e1\",\"seq\":2,\"now_ms\":2000,\"as_of_ms\":1000,"
        "\"received_ms\":1001,\"changed_ms\":1002,\"status\":\"partial\",\"source\":\"alive\","
        "\"database\":{\"state\":\"absent\",\"as_of_ms\":0},"
        "\"add\":{\"totals\":[[0,\"all\"]],"
        "\"candidate\":[[0,\"c1\",\"<img onerror=x>\xef\xbf\xbd\",null,null]],"
        "\"state\":[[0,\"Ohio\"]]},"
        "\"rows\":{\"totals\":[[0,null,null,null,7]],\"candidate\":[[0,7]],"
        "\"state\":[[0,7,null]]}}");
    picture_fini(&picture);
}

TEST(what_was_not_received_since_the_start_says_since_when)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    begin(&picture);
    picture.about.started_ms = 900;
    picture.about.received_ms = 0;
    picture.about.changed_ms = 0;
    (void)picture_set(&picture, PICTURE_STATE, 0, COLUMN_REGISTERED, 70);
    (void)picture_settle(&picture);
    wire_delta(&out, &picture, WIRE_QUIET, 2000);
    assert_non_null(strstr(vd_buf_text(&out),
                           "\"as_of_ms\":1000,\"received_ms\":0,\"changed_ms\":0,\"status\""));
    assert_non_null(strstr(vd_buf_text(&out), "\"as_of_ms\":0},\"started_ms\":900,\"add\""));
    picture_fini(&picture);
}

TEST(delta_holds_only_what_changed)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    begin(&picture);
    (void)picture_set(&picture, PICTURE_STATE, 0, COLUMN_REGISTERED, 70);
    (void)picture_settle(&picture);
    wire_delta(&out, &picture, WIRE_QUIET, 2000);
    assert_string_equal(
        vd_buf_text(&out),
        "{\"type\":\"delta\",\"epoch\":\"e1\",\"seq\":3,\"now_ms\":2000,\"base\":2,\"as_of_ms\":"
        "1000,"
        "\"received_ms\":1001,\"changed_ms\":1002,\"status\":\"partial\",\"source\":\"quiet\","
        "\"database\":{\"state\":\"absent\",\"as_of_ms\":0},"
        "\"add\":{},\"rows\":{\"state\":[[0,7,70]]}}");
    picture_fini(&picture);
}

TEST(delta_tells_new_names_to_those_who_said_hello_before)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;
    uint32_t row = 0;

    begin(&picture);
    picture_set_text(&picture, PICTURE_CANDIDATE, 0, TEXT_NAME, "Ann");
    row = picture_row(&picture, PICTURE_CANDIDATE, "c2", 2);
    picture_set_text(&picture, PICTURE_CANDIDATE, row, TEXT_PARTY, "P");
    (void)picture_settle(&picture);
    wire_delta(&out, &picture, WIRE_ALIVE, 2000);
    assert_non_null(strstr(vd_buf_text(&out),
                           "\"add\":{\"candidate\":[[0,\"c1\",\"Ann\",null,null],"
                           "[1,\"c2\",null,\"P\",null]]},"
                           "\"rows\":{\"candidate\":[[1,0]]}}"));
    picture_fini(&picture);
}

TEST(beat_and_version_are_short)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    begin(&picture);
    wire_beat(&out, &picture, WIRE_WAITING, 2000);
    assert_string_equal(
        vd_buf_text(&out),
        "{\"type\":\"beat\",\"epoch\":\"e1\",\"seq\":2,\"now_ms\":2000,\"source\":\"waiting\"}");
    vd_buf_clear(&out);
    wire_version(&out, &picture);
    assert_string_equal(vd_buf_text(&out),
                        "{\"epoch\":\"e1\",\"seq\":2,\"as_of_ms\":1000,\"status\":\"partial\"}");
    picture_fini(&picture);
}

TEST(hello_names_tables_columns_and_rows)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;
    cJSON *hello = NULL;
    const cJSON *preload = NULL;
    const cJSON *table = NULL;

    begin(&picture);
    wire_hello(&out, &picture, picture_frame_last(&picture), &election, 2000);
    hello = cJSON_Parse(vd_buf_text(&out));
    assert_non_null(hello);
    assert_string_equal(cJSON_GetObjectItem(hello, "protocol")->valuestring, "votingd.v1");
    preload = cJSON_GetObjectItem(hello, "preload");
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(preload, "elections"), 0),
                            "name")
            ->valuestring,
        "Night \"one\"");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(preload, "tables")),
                     PICTURE_AGGREGATES);
    table = cJSON_GetObjectItem(cJSON_GetObjectItem(preload, "tables"), "state");
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(table, "columns"), 1)->valuestring,
                        "registered");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(preload, "rows"), "candidate")),
        1);
    cJSON_Delete(hello);
    picture_fini(&picture);
}

TEST(contest_names_its_tables_and_who_has_a_photo)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    begin(&picture);
    wire_preload(&out, &picture, picture_frame_last(&picture), &election);
    assert_non_null(strstr(vd_buf_text(&out),
                           "\"contests\":[{\"id\":\"election\",\"election\":\"election\","
                           "\"name\":\"Night \\\"one\\\"\",\"table\":\"candidate\","
                           "\"units\":\"state\",\"photos\":[\"c1\",\"c-9\"]}]"));
    assert_non_null(strstr(out.data, "\"state\":{\"title\":\"State\",\"texts\":[\"state\"],"
                                     "\"columns\":[\"votes\",\"registered\"]}"));
    picture_fini(&picture);
}

TEST(contest_tells_what_it_is_compared_with)
{
    static const char text[] = "state,a,b\nOhio,5,0\n";
    struct el_scenario *baseline = NULL;
    struct wire_election compared = election;
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    assert_int_equal(el_scenario_parse(text, sizeof(text) - 1, &baseline, NULL), VD_OK);
    compared.baseline = baseline;
    compared.baseline_label = "2022";
    begin(&picture);
    wire_preload(&out, &picture, picture_frame_last(&picture), &compared);
    assert_non_null(strstr(vd_buf_text(&out),
                           "\"photos\":[\"c1\",\"c-9\"],\"baseline\":{\"label\":\"2022\","
                           "\"columns\":[\"a\",\"b\"],\"rows\":[[\"Ohio\",5,0]]}}],"));
    el_scenario_free(baseline);
    picture_fini(&picture);
}

/* The frame's text without its times and states. */
static const char *body_of(struct vd_buf *out)
{
    const char *body = strstr(vd_buf_text(out), ",\"tables\":");

    return body != NULL ? body : strstr(out->data, ",\"add\":");
}

TEST(shape_of_an_aggregate_comes_with_its_first_row)
{
    static const char shape[] = ",\"tables\":{\"by_town\":{\"title\":\"By town\","
                                "\"texts\":[\"to\\\"wn\"],\"columns\":[\"votes\"]}}";
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;
    struct vd_err err = {0};
    size_t table = 0;
    uint32_t row = 0;

    begin(&picture);
    assert_int_equal(picture_add_table(&picture, "by_town", &table, &err), VD_OK);
    (void)picture_settle(&picture);
    wire_delta(&out, &picture, WIRE_ALIVE, 2000);
    assert_string_equal(body_of(&out), ",\"add\":{},\"rows\":{}}");
    row = picture_row(&picture, table, "u", 1);
    picture_set_text(&picture, table, row, picture_text(&picture, table, "to\"wn"), "Ulm");
    (void)picture_count(&picture, table, row, 3, 3);
    (void)picture_settle(&picture);
    vd_buf_clear(&out);
    wire_delta(&out, &picture, WIRE_ALIVE, 2000);
    assert_int_equal(strncmp(body_of(&out), shape, strlen(shape)), 0);
    assert_string_equal(body_of(&out) + strlen(shape),
                        ",\"add\":{\"by_town\":[[0,\"Ulm\"]]},\"rows\":{\"by_town\":[[0,3]]}}");
    vd_buf_clear(&out);
    wire_snapshot(&out, &picture, picture_frame_last(&picture), WIRE_ALIVE, 2000);
    assert_int_equal(strncmp(body_of(&out), shape, strlen(shape)), 0);
    vd_buf_clear(&out);
    wire_changes(&out, &picture, &(struct wire_asked){2, WIRE_CHANGES_BYTES}, WIRE_ALIVE, 2000);
    assert_int_equal(strncmp(body_of(&out), shape, strlen(shape)), 0);
    (void)picture_count(&picture, table, row, 4, 4);
    (void)picture_settle(&picture);
    vd_buf_clear(&out);
    wire_delta(&out, &picture, WIRE_ALIVE, 2000);
    assert_string_equal(body_of(&out), ",\"add\":{},\"rows\":{\"by_town\":[[0,4]]}}");
    picture_fini(&picture);
}

TEST(changes_since_any_picture_are_absolute)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct picture picture;

    begin(&picture);
    for (int64_t i = 8; i < 60; i++) {
        (void)picture_count(&picture, PICTURE_CANDIDATE, 0, i, i);
        (void)picture_settle(&picture);
    }
    wire_changes(&out, &picture, &(struct wire_asked){2, WIRE_CHANGES_BYTES}, WIRE_ALIVE, 2000);
    assert_non_null(strstr(vd_buf_text(&out), "\"next\":\"e1-54\",\"is_truncated\":false"));
    assert_non_null(strstr(out.data, "\"add\":{},\"rows\":{\"totals\":[[0,null,null,null,59]],"
                                     "\"candidate\":[[0,59]]}}"));
    vd_buf_clear(&out);
    wire_changes(&out, &picture, &(struct wire_asked){picture.seq, WIRE_CHANGES_BYTES}, WIRE_ALIVE,
                 2000);
    assert_non_null(strstr(vd_buf_text(&out), "\"add\":{},\"rows\":{}}"));
    picture_fini(&picture);
}

TEST(long_changes_are_cut_between_pictures_and_end)
{
    struct picture picture;
    struct vd_err err = {0};
    size_t table = 0;
    uint64_t since = 1;
    int answers = 0;
    int rows = 0;

    picture_init(&picture, "e1", 1000);
    assert_int_equal(picture_add_table(&picture, "city", &table, &err), VD_OK);
    for (int i = 0; i < 200; i++) {
        char city[16];
        int len = snprintf(city, sizeof(city), "city %d", i);

        (void)picture_row(&picture, table, city, (size_t)len);
        (void)picture_settle(&picture);
    }
    while (since < picture.seq) {
        VD_AUTO(buf) struct vd_buf out = {0};
        cJSON *json = NULL;
        const char *next = NULL;

        wire_changes(&out, &picture, &(struct wire_asked){since, 4096}, WIRE_ALIVE, 2000);
        json = cJSON_Parse(vd_buf_text(&out));
        assert_non_null(json);
        rows += cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "rows"), "city"));
        next = cJSON_GetObjectItem(json, "next")->valuestring;
        assert_true(strtoull(next + 3, NULL, 10) > since);
        since = strtoull(next + 3, NULL, 10);
        cJSON_Delete(json);
        answers++;
    }
    assert_int_equal(rows, 200);
    assert_true(answers > 5);
    picture_fini(&picture);
}

RUN_TESTS(cmocka_unit_test(snapshot_holds_every_row_and_its_texts),
          cmocka_unit_test(what_was_not_received_since_the_start_says_since_when),
          cmocka_unit_test(delta_holds_only_what_changed),
          cmocka_unit_test(delta_tells_new_names_to_those_who_said_hello_before),
          cmocka_unit_test(beat_and_version_are_short),
          cmocka_unit_test(hello_names_tables_columns_and_rows),
          cmocka_unit_test(contest_names_its_tables_and_who_has_a_photo),
          cmocka_unit_test(contest_tells_what_it_is_compared_with),
          cmocka_unit_test(shape_of_an_aggregate_comes_with_its_first_row),
          cmocka_unit_test(changes_since_any_picture_are_absolute),
          cmocka_unit_test(long_changes_are_cut_between_pictures_and_end))
