/* The queries of /api/v1/history and /api/v1/snapshot: whatever is asked, the answer is JSON with
 * at most 10,000 points, or an error that says what was expected. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "dashboard/api.h"

#define NIGHT_MS 1700000000000

static struct picture picture;
static struct history *history;

static void must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static enum wire_source quiet(void *arg)
{
    return WIRE_QUIET;
}

/* One candidate, whose second hour has come. */
static void begin(void)
{
    uint32_t row = 0;

    picture_init(&picture, "e", 100);
    row = picture_row(&picture, PICTURE_CANDIDATE, "a", 1);
    history = history_new(
        &(struct history_limits){.points = 20000, .rows = 10, .tables = PICTURE_TABLES_MAX});
    for (int64_t i = 0; i < 7200; i++) {
        history_take(history, &(struct history_total){.table = PICTURE_CANDIDATE,
                                                      .row = row,
                                                      .total = i,
                                                      .event_ms = NIGHT_MS + i * 1000,
                                                      .offset = i});
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static cJSON *ask(vd_web_handler_fn *handler, const char *query, int *status)
{
    struct past past = {.picture = &picture, .history = history};
    struct api api = {.picture = &picture, .history = history, .past = &past, .source = quiet};
    struct vd_web_request request = {
        .method = "GET", .path = "/", .query = query, .if_none_match = ""};
    struct vd_web_response response = {0};
    cJSON *json = NULL;

    handler(&api, &request, &response);
    json = cJSON_ParseWithLength(response.body.data, response.body.len);
    must(cJSON_IsObject(json));
    must(cJSON_HasObjectItem(json, response.status == 0 ? "rows" : "error"));
    *status = response.status;
    vd_buf_fini(&response.body);
    past_fini(&past);
    return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    VD_AUTO(mem) char *query = vd_strndup((const char *)bytes, len);
    int status = 0;
    cJSON *json = NULL;

    if (history == NULL) {
        begin();
    }
    json = ask(api_history, query, &status);
    must(status != 0 || cJSON_GetObjectItem(json, "points")->valueint <= 10000);
    cJSON_Delete(json);
    cJSON_Delete(ask(api_snapshot, query, &status));
    return 0;
}
