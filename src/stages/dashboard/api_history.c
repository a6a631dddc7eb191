/* GET /api/v1/history: the past of a table's rows, as integers at equal distances of event time. */
#include "api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

#define POINTS_MAX 10000 /* of all rows of an answer together */

/* What is asked for. */
struct question {
    size_t table;
    int64_t row; /* -1: all that have a past */
    struct history_asked asked;
};

static bool get_table(const struct api *api, const struct vd_web_request *request, size_t *table,
                      struct vd_web_response *response)
{
    VD_AUTO(mem) char *name = vd_web_query_get(request->query, "table");
    size_t found = PICTURE_NONE;

    if (name == NULL) {
        vd_web_fail(response, 400, "missing_parameter",
                    "expected table=NAME, a table of /api/v1/preload");
        return false;
    }
    found = picture_find_table(api->picture, name);
    if (found == PICTURE_NONE) {
        api_refuse(response, "table", "the name of a table of /api/v1/preload");
        return false;
    }
    /* All counted is the sum of the candidates, and as complete as they are. */
    if (history_is_too_large(api->history, found == PICTURE_TOTALS ? PICTURE_CANDIDATE : found)) {
        api_refuse(
            response, "table",
            "one with fewer rows: this one keeps no past; raise the option history_rows of the "
            "stage dashboard");
        return false;
    }
    *table = found;
    return true;
}

static bool get_question(const struct api *api, const struct vd_web_request *request,
                         struct question *question, struct vd_web_response *response)
{
    static const char *const known[] = {"table", "row", "from_ms", "to_ms", "step_ms", NULL};
    struct history_asked *asked = &question->asked;

    *question = (struct question){.row = -1, .asked = {.to_ms = PICTURE_INT_MAX}};
    if (!api_has_only(request, known, response) ||
        !get_table(api, request, &question->table, response) ||
        !api_get_number(request, "row", &question->row, response) ||
        !api_get_number(request, "from_ms", &asked->from_ms, response) ||
        !api_get_number(request, "to_ms", &asked->to_ms, response) ||
        !api_get_number(request, "step_ms", &asked->step_ms, response)) {
        return false;
    }
    if (question->row >= api->picture->tables[question->table].count) {
        api_refuse(response, "row", "the number of a row of this table, as in /api/v1/snapshot");
        return false;
    }
    if (asked->from_ms > asked->to_ms) {
        api_refuse(response, "from_ms", "a time that is not after to_ms");
        return false;
    }
    return true;
}

/* One who never had a record had no votes then if he has none now. */
static void read_candidate(const struct api *api, uint32_t row, const struct history_range *range,
                           int64_t *totals)
{
    int64_t now = api->picture->tables[PICTURE_CANDIDATE].rows[row].pending[COLUMN_VOTES];

    if (history_has(api->history, PICTURE_CANDIDATE, row)) {
        history_read(api->history, PICTURE_CANDIDATE, row, range, totals);
        return;
    }
    for (size_t i = 0; i < range->count; i++) {
        totals[i] = now == 0 ? 0 : HISTORY_GAP;
    }
}

/* The sum over all candidates; a gap where one of them has one. */
static void read_counted(const struct api *api, const struct history_range *range, int64_t *totals)
{
    VD_AUTO(mem) int64_t *one = vd_alloc_array(range->count + 1, sizeof(*one));

    memset(totals, 0, range->count * sizeof(*totals));
    for (uint32_t row = 0; row < api->picture->tables[PICTURE_CANDIDATE].count; row++) {
        read_candidate(api, row, range, one);
        for (size_t i = 0; i < range->count; i++) {
            bool is_known = totals[i] != HISTORY_GAP && one[i] != HISTORY_GAP;

            totals[i] = is_known && totals[i] <= PICTURE_INT_MAX - one[i] ? totals[i] + one[i]
                                                                          : HISTORY_GAP;
        }
    }
}

/* [row, total, ...] */
static void add_row(struct vd_buf *out, uint32_t row, const int64_t *totals, size_t count)
{
    vd_buf_add_char(out, '[');
    vd_buf_add_int(out, row);
    for (size_t i = 0; i < count; i++) {
        vd_buf_add_char(out, ',');
        if (totals[i] == HISTORY_GAP) {
            vd_buf_add_text(out, "null");
        } else {
            vd_buf_add_int(out, totals[i]);
        }
    }
    vd_buf_add_char(out, ']');
}

static bool is_wanted(const struct api *api, const struct question *question, uint32_t row)
{
    return (question->row < 0 || question->row == row) &&
           (question->table == PICTURE_TOTALS || history_has(api->history, question->table, row));
}

static void add_rows(const struct api *api, const struct question *question,
                     const struct history_range *range, struct vd_buf *out)
{
    VD_AUTO(mem) int64_t *totals = vd_alloc_array(range->count + 1, sizeof(*totals));
    bool is_first = true;

    for (uint32_t row = 0; row < api->picture->tables[question->table].count; row++) {
        if (!is_wanted(api, question, row)) {
            continue;
        }
        if (question->table == PICTURE_TOTALS) {
            read_counted(api, range, totals);
        } else {
            history_read(api->history, question->table, row, range, totals);
        }
        vd_buf_add_text(out, is_first ? "" : ",");
        is_first = false;
        add_row(out, row, totals, range->count);
    }
}

void api_history(void *arg, const struct vd_web_request *request, struct vd_web_response *response)
{
    const struct api *api = arg;
    struct question question;
    struct history_range range;
    size_t rows = 0;

    if (!get_question(api, request, &question, response)) {
        return;
    }
    (void)snprintf(response->etag, sizeof(response->etag), "h-%s-%" PRIu64, api->picture->epoch,
                   history_version(api->history)); /* fits: 16 characters and 20 digits */
    if (api_is_known(request, response)) {
        return;
    }
    for (uint32_t row = 0; row < api->picture->tables[question.table].count; row++) {
        rows += is_wanted(api, &question, row) ? 1 : 0;
    }
    question.asked.points_max = POINTS_MAX / (rows > 0 ? rows : 1);
    range = history_find(api->history, &question.asked);
    vd_buf_printf(&response->body,
                  "{\"epoch\":\"%s\",\"table\":\"%s\",\"from_ms\":%" PRId64 ",\"step_ms\":%" PRId64
                  ",\"points\":%zu,\"rows\":[",
                  api->picture->epoch, api->picture->tables[question.table].name, range.from_ms,
                  range.step_ms, range.count);
    add_rows(api, &question, &range, &response->body);
    vd_buf_add_text(&response->body, "]}");
}
