/* The HTTP API's handlers, called as the web server calls them. */
#include "dashboard/api.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

static const struct wire_election election = {"election", "Night", "live"};

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
    fixture->api = (struct api){&fixture->picture, &election, quiet, NULL};
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

RUN_TESTS(cmocka_unit_test(answers_by_route_and_parameter),
          cmocka_unit_test(version_has_at_most_two_hundred_bytes))
