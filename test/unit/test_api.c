/* The HTTP API's handlers, called as the web server calls them. */
#include "dashboard/api.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

#define NIGHT_MS 1700000000000

static const struct wire_election election = {.id = "election", .title = "Night", .kind = "live"};

static enum wire_source quiet(void *arg)
{
    return WIRE_QUIET;
}

struct fixture {
    struct picture picture;
    struct api api;
};

static void begin(struct fixture *fixture)
{
    picture_init(&fixture->picture, "e1", 100);
    fixture->api =
        (struct api){.picture = &fixture->picture, .election = &election, .source = quiet};
    for (int64_t i = 1; i < 30; i++) {
        uint32_t row = picture_row(&fixture->picture, PICTURE_CANDIDATE, "a", 1);

        (void)picture_count(&fixture->picture, PICTURE_CANDIDATE, row, i, i);
        (void)picture_settle(&fixture->picture);
    }
}

/* Status of the answer; its body, owned by the caller, in '*body'. */
static int ask(struct fixture *fixture, vd_web_handler_fn *handler, const char *path,
               const char *query, char **body)
{
    const struct vd_web_request request = {
        .method = "GET",
        .path = path,
        .query = query,
        .if_none_match = "",
        .body = "",
    };
    struct vd_web_response response = {0};

    handler(&fixture->api, &request, &response);
    *body = vd_strdup(vd_buf_text(&response.body));
    vd_buf_fini(&response.body);
    return response.status;
}

TEST(answers_by_route_and_parameter)
{
    static const struct {
        vd_web_handler_fn *handler;
        const char *path, *query;
        int status;
        const char *words;
    } cases[] = {
        {api_version, "/api/v1/version", "", 0, "\"epoch\":\"e1\",\"seq\":30"},
        {api_version, "/api/v1/version", "x=1", 400, "\"code\":\"unknown_parameter\""},
        {api_preload, "/api/v1/preload", "", 0, "\"elections\":[{\"id\":\"election\""},
        {api_snapshot, "/api/v1/snapshot", "", 0, "\"candidate\":[[0,29]]"},
        {api_snapshot, "/api/v1/snapshot", "as_of=1", 400, "parameters known here: as_of_ms"},
        {api_snapshot, "/api/v1/snapshot", "as_of_ms=", 400, "as_of_ms: expected a whole number"},
        {api_snapshot, "/api/v1/snapshot", "as_of_ms=-1", 400, "as_of_ms: expected a whole number"},
        {api_snapshot, "/api/v1/snapshot", "as_of_ms=9007199254740992", 400, "bad_parameter"},
        {api_snapshot_at, "/api/v1/snapshot/e1-30", "", 0, "\"candidate\":[[0,29]]"},
        {api_snapshot_at, "/api/v1/snapshot/e1-20", "", 0, "\"candidate\":[[0,19]]"},
        {api_snapshot_at, "/api/v1/snapshot/e1-2", "", 410, "\"code\":\"gone\""},
        {api_snapshot_at, "/api/v1/snapshot/e1-31", "", 404, "\"code\":\"not_yet\""},
        {api_snapshot_at, "/api/v1/snapshot/e0-30", "", 410, "\"code\":\"gone\""},
        {api_snapshot_at, "/api/v1/snapshot/nonsense", "", 404, "\"code\":\"not_found\""},
        {api_snapshot_at, "/api/v1/snapshot/e1-99999999999999999", "", 404, "not_found"},
        {api_changes, "/api/v1/changes", "since=e1-29", 0, "\"candidate\":[[0,29]]"},
        {api_changes, "/api/v1/changes", "since=e1-30", 0, "\"rows\":{}"},
        {api_changes, "/api/v1/changes", "since=e0-3", 0, "\"type\":\"snapshot\""},
        {api_changes, "/api/v1/changes", "since=e1-31", 0, "\"type\":\"snapshot\""},
        {api_changes, "/api/v1/changes", "", 400, "\"code\":\"missing_parameter\""},
        {api_changes, "/api/v1/changes", "since=e1", 400, "\"code\":\"bad_parameter\""},
        {api_changes, "/api/v1/changes", "since=e1-3&sinc=2", 400, "unknown_parameter"},
    };
    struct fixture fixture;

    begin(&fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem) char *body = NULL;
        int status = ask(&fixture, cases[i].handler, cases[i].path, cases[i].query, &body);
        cJSON *json = cJSON_Parse(body);

        if (status != cases[i].status || strstr(body, cases[i].words) == NULL || json == NULL) {
            fail_msg("%s?%s: %d %s", cases[i].path, cases[i].query, status, body);
        }
        cJSON_Delete(json);
    }
    picture_fini(&fixture.picture);
}

TEST(version_has_at_most_two_hundred_bytes)
{
    struct fixture fixture;
    VD_AUTO(mem) char *body = NULL;

    begin(&fixture);
    memcpy(fixture.picture.epoch, "0123456789abcdef", PICTURE_EPOCH_BYTES);
    fixture.picture.frames[fixture.picture.seq % PICTURE_KEPT].about.as_of_ms = PICTURE_INT_MAX;
    assert_int_equal(ask(&fixture, api_version, "/api/v1/version", "", &body), 0);
    assert_true(strlen(body) <= 200);
    picture_fini(&fixture.picture);
}

/* Two candidates: 1, 2, ... 10 votes in ten seconds; 100 from the sixth second on, before which
 * nothing is known of it. */
static void begin_history(struct fixture *fixture, struct history *history)
{
    uint32_t second = 0;

    begin(fixture);
    fixture->api.history = history;
    second = picture_row(&fixture->picture, PICTURE_CANDIDATE, "b", 1);
    for (int64_t i = 0; i < 10; i++) {
        history_take(history, &(struct history_total){.table = PICTURE_CANDIDATE,
                                                      .total = i + 1,
                                                      .event_ms = NIGHT_MS + i * 1000,
                                                      .offset = i});
    }
    history_take(history, &(struct history_total){.table = PICTURE_CANDIDATE,
                                                  .row = second,
                                                  .total = 100,
                                                  .event_ms = NIGHT_MS + 5000,
                                                  .partition = 1,
                                                  .offset = 700});
    (void)picture_row(&fixture->picture, PICTURE_STATE, "NY", 2); /* without a past */
    for (uint32_t row = 0; row < 40; row++) {
        history_take(history, &(struct history_total){
                                  .table = PICTURE_AGGREGATES, .row = row, .event_ms = NIGHT_MS});
    }
}

TEST(the_past_is_told_in_integers_and_gaps)
{
    static const struct {
        const char *query;
        int status;
        const char *words;
    } cases[] = {
        {"table=candidate", 0,
         "{\"epoch\":\"e1\",\"table\":\"candidate\",\"from_ms\":1699999999000,\"step_ms\":1000,"
         "\"points\":11,\"rows\":[[0,0,1,2,3,4,5,6,7,8,9,10],"
         "[1,null,null,null,null,null,null,100,100,100,100,100]]}"},
        {"table=candidate&row=0&from_ms=1700000008000", 0,
         "\"from_ms\":1700000008000,\"step_ms\":1000,\"points\":2,\"rows\":[[0,9,10]]}"},
        {"table=candidate&row=0&to_ms=1700000001999", 0, "\"points\":3,\"rows\":[[0,0,1,2]]}"},
        {"table=candidate&row=0&step_ms=3000", 0,
         "\"step_ms\":4000,\"points\":4,\"rows\":[[0,0,4,8,10]]}"},
        {"table=totals&row=0&from_ms=1700000004000", 0, "[[0,null,106,107,108,109,110]]"},
        {"table=state", 0, "\"points\":11,\"rows\":[]}"},
        {"table=candidate&from_ms=9000000000000", 0, "\"points\":0,\"rows\":[[0],[1]]}"},
        {"", 400, "missing_parameter\",\"message\":\"expected table=NAME"},
        {"table=cities", 400, "table: expected the name of a table of /api/v1/preload"},
        {"table=wide", 400, "raise the option history_rows of the stage dashboard"},
        {"table=candidate&row=2", 400, "row: expected the number of a row of this table"},
        {"table=candidate&row=-1", 400, "row: expected a whole number from 0 to 9007199254740991"},
        {"table=candidate&row=", 400, "row: expected a whole number"},
        {"table=candidate&to_ms=1e3", 400, "to_ms: expected a whole number"},
        {"table=candidate&step_ms=99999999999999999", 400, "step_ms: expected a whole number"},
        {"table=candidate&step_ms=9007199254740992", 400, "step_ms: expected a whole number"},
        {"table=candidate&from_ms=2&to_ms=1", 400, "from_ms: expected a time that is not after"},
        {"table=candidate&rows=1", 400,
         "parameters known here: table, row, from_ms, to_ms, step_ms"},
    };
    struct fixture fixture;
    struct vd_err err = {0};
    size_t wide = 0;
    struct history *history = history_new(
        &(struct history_limits){.points = 100, .rows = 20, .tables = PICTURE_TABLES_MAX});

    begin_history(&fixture, history);
    assert_int_equal(picture_add_table(&fixture.picture, "wide", &wide, &err), VD_OK);
    assert_int_equal(wide, PICTURE_AGGREGATES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem) char *body = NULL;
        int status = ask(&fixture, api_history, "/api/v1/history", cases[i].query, &body);
        cJSON *json = cJSON_Parse(body);

        if (status != cases[i].status || strstr(body, cases[i].words) == NULL || json == NULL) {
            fail_msg("%s: %d %s", cases[i].query, status, body);
        }
        cJSON_Delete(json);
    }
    history_free(history);
    picture_fini(&fixture.picture);
}

TEST(an_answer_has_at_most_ten_thousand_points)
{
    struct fixture fixture;
    VD_AUTO(mem) char *body = NULL;
    cJSON *json = NULL;
    struct history *history = history_new(
        &(struct history_limits){.points = 50000, .rows = 20, .tables = PICTURE_TABLES_MAX});

    begin_history(&fixture, history);
    for (int64_t i = 0; i < 30000; i++) {
        history_take(history, &(struct history_total){.table = PICTURE_CANDIDATE,
                                                      .total = 10 + i,
                                                      .event_ms = NIGHT_MS + 10000 + i * 1000,
                                                      .offset = 10 + i});
    }
    assert_int_equal(ask(&fixture, api_history, "/api/v1/history", "table=candidate", &body), 0);
    json = cJSON_Parse(body);
    assert_int_equal(cJSON_GetObjectItem(json, "step_ms")->valueint, 8000); /* 2 rows */
    assert_int_equal(cJSON_GetObjectItem(json, "points")->valueint, (30010 + 7) / 8 + 1);
    cJSON_Delete(json);
    history_free(history);
    picture_fini(&fixture.picture);
}

/* Nothing is built for who has it: the body is empty, and a 304 is made of the tag. */
TEST(an_answer_that_is_known_is_not_built_again)
{
    static const struct {
        vd_web_handler_fn *handler;
        const char *path, *query;
    } cases[] = {
        {api_history, "/api/v1/history", "table=candidate"},
        {api_preload, "/api/v1/preload", ""},
        {api_snapshot_at, "/api/v1/snapshot/e1-29", ""},
    };
    struct fixture fixture;
    struct history *history = history_new(
        &(struct history_limits){.points = 100, .rows = 20, .tables = PICTURE_TABLES_MAX});

    begin_history(&fixture, history);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_web_request request = {.method = "GET",
                                         .path = cases[i].path,
                                         .query = cases[i].query,
                                         .if_none_match = "\"\""};
        struct vd_web_response first = {0}, again = {0}, other = {0};
        VD_AUTO(mem) char *known = NULL;
        VD_AUTO(mem) char *longer = NULL;

        cases[i].handler(&fixture.api, &request, &first);
        assert_true(first.body.len > 0);
        known = vd_format("\"%s\"", first.etag);
        longer = vd_format("\"%s0\"", first.etag);
        request.if_none_match = known;
        cases[i].handler(&fixture.api, &request, &again);
        assert_int_equal(again.body.len, 0);
        assert_string_equal(again.etag, first.etag);
        assert_int_equal(again.status, 0);
        request.if_none_match = longer;
        cases[i].handler(&fixture.api, &request, &other);
        assert_true(other.body.len > 0);
        vd_buf_fini(&first.body);
        vd_buf_fini(&other.body);
    }
    history_free(history);
    picture_fini(&fixture.picture);
}

RUN_TESTS(cmocka_unit_test(an_answer_that_is_known_is_not_built_again),
          cmocka_unit_test(the_past_is_told_in_integers_and_gaps),
          cmocka_unit_test(an_answer_has_at_most_ten_thousand_points),
          cmocka_unit_test(answers_by_route_and_parameter),
          cmocka_unit_test(version_has_at_most_two_hundred_bytes))
