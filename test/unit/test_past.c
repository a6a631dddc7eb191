/* Pictures of the past: the same numbers as the history, made once. */
#include "dashboard/past.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "dashboard/api.h"
#include "test.h"

#define NIGHT_MS 1700000000000
#define PARTITIONS 3
#define CANDIDATES 4
#define STATES 12
#define GROUPS 30 /* more than a table's rows may be that keeps a past */

struct fixture {
    struct picture picture;
    struct history *history;
    struct past past;
    struct api api;
    size_t groups; /* the table that keeps no past */
    int64_t offsets[PICTURE_TABLES_MAX][PARTITIONS];
};

/* With at most 'all' rows in a table; one of more than 'rows' keeps no past. */
static void begin_with(struct fixture *fixture, uint32_t all, uint32_t rows)
{
    struct vd_err err = {0};

    *fixture = (struct fixture){0};
    picture_init(&fixture->picture, "e1", all);
    assert_int_equal(picture_add_table(&fixture->picture, "group", &fixture->groups, &err), VD_OK);
    fixture->history = history_new(
        &(struct history_limits){.points = 100, .rows = rows, .tables = PICTURE_TABLES_MAX});
    fixture->past = (struct past){.picture = &fixture->picture, .history = fixture->history};
    fixture->api = (struct api){
        .picture = &fixture->picture, .history = fixture->history, .past = &fixture->past};
}

static void begin(struct fixture *fixture)
{
    begin_with(fixture, 100, 20);
}

static void end(struct fixture *fixture)
{
    past_fini(&fixture->past);
    history_free(fixture->history);
    picture_fini(&fixture->picture);
}

static uint32_t add_row(struct fixture *fixture, size_t table, uint32_t number)
{
    char key[16];
    int len = snprintf(key, sizeof(key), "row%u", number);

    return picture_row(&fixture->picture, table, key, (size_t)len);
}

/* A record of 'row' as the feed takes it; a 'skip' of more than one leaves a hole. */
static void take(struct fixture *fixture, size_t table, uint32_t row, int64_t at_ms, int64_t total,
                 int64_t skip)
{
    size_t partition = row % PARTITIONS;
    int64_t *offset = &fixture->offsets[table][partition];

    *offset += skip;
    (void)picture_count(&fixture->picture, table, row, total, PICTURE_NO_SEQUENCE);
    history_take(fixture->history, &(struct history_total){.table = table,
                                                           .row = row,
                                                           .total = total,
                                                           .event_ms = at_ms,
                                                           .partition = (int32_t)partition,
                                                           .offset = (*offset)++});
}

static cJSON *ask(struct fixture *fixture, vd_web_handler_fn *handler, const char *query)
{
    const struct vd_web_request request = {
        .method = "GET", .path = "", .query = query, .if_none_match = ""};
    struct vd_web_response response = {0};
    cJSON *json = NULL;

    handler(&fixture->api, &request, &response);
    assert_int_equal(response.status, 0);
    json = cJSON_Parse(vd_buf_text(&response.body));
    assert_non_null(json);
    vd_buf_fini(&response.body);
    return json;
}

static int64_t member(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

    assert_true(cJSON_IsNumber(item));
    return (int64_t)item->valuedouble;
}

/* The value of a row in a picture. */
static const cJSON *value_of(const cJSON *past, const char *table, int row, int column)
{
    const cJSON *rows = cJSON_GetObjectItem(cJSON_GetObjectItemCaseSensitive(past, "rows"), table);

    assert_int_equal(cJSON_GetArrayItem(cJSON_GetArrayItem(rows, row), 0)->valueint, row);
    return cJSON_GetArrayItem(cJSON_GetArrayItem(rows, row), 1 + column);
}

/* What both say of one table at one moment; 'column' of the picture. */
static void compare(struct fixture *fixture, const char *table, int column, int64_t at_ms)
{
    char query[128];
    cJSON *past = NULL;
    cJSON *history = NULL;
    const cJSON *row = NULL;

    (void)snprintf(query, sizeof(query), "as_of_ms=%" PRId64, at_ms);
    past = ask(fixture, api_snapshot, query);
    (void)snprintf(query, sizeof(query), "table=%s&from_ms=%" PRId64 "&to_ms=%" PRId64, table,
                   at_ms, at_ms);
    history = ask(fixture, api_history, query);
    assert_int_equal(member(history, "points"), 1);
    assert_int_equal(member(past, "step_ms"), member(history, "step_ms"));
    assert_int_equal(member(past, "as_of_ms"),
                     member(history, "from_ms") + member(history, "step_ms") - 1);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(history, "rows"))
    {
        const cJSON *point = cJSON_GetArrayItem(row, 1);
        const cJSON *value = value_of(past, table, cJSON_GetArrayItem(row, 0)->valueint, column);

        if (!cJSON_Compare(point, value, true)) {
            fail_msg("%s row %d at %" PRId64 ": history %s, picture %s", table,
                     cJSON_GetArrayItem(row, 0)->valueint, at_ms, cJSON_Print(point),
                     cJSON_Print(value));
        }
    }
    cJSON_Delete(past);
    cJSON_Delete(history);
}

/* A night of 3,000 s at random: steps of 32 s for all of it, holes, a state that comes late. */
static void fill(struct fixture *fixture)
{
    int64_t totals[PICTURE_AGGREGATES][STATES] = {0};

    for (uint32_t i = 0; i < CANDIDATES; i++) {
        (void)add_row(fixture, PICTURE_CANDIDATE, i);
    }
    for (uint32_t i = 0; i < STATES; i++) {
        (void)add_row(fixture, PICTURE_STATE, i);
    }
    for (uint32_t i = 0; i < GROUPS; i++) {
        take(fixture, fixture->groups, add_row(fixture, fixture->groups, i), NIGHT_MS, 1, 0);
    }
    for (int64_t at_s = 0; at_s < 3000; at_s += 1 + rand() % 3) {
        size_t table = rand() % 2 == 0 ? PICTURE_CANDIDATE : PICTURE_STATE;
        uint32_t row = (uint32_t)rand() % (table == PICTURE_CANDIDATE ? CANDIDATES : STATES);
        int64_t skip = rand() % 100 == 0 ? 5 : 0;

        if (table == PICTURE_STATE && row == STATES - 1) {
            continue; /* never has votes */
        }
        totals[table][row] += rand() % 50;
        take(fixture, table, row, NIGHT_MS + at_s * 1000 + rand() % 1000 - 5000, totals[table][row],
             skip);
    }
    assert_true(picture_settle(&fixture->picture));
}

TEST(a_picture_of_the_past_is_the_history_point_by_point)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        static struct fixture fixture;

        print_message("seed %u\n", seed);
        srand(seed);
        begin(&fixture);
        fill(&fixture);
        for (int64_t at_s = 0; at_s < 2990; at_s += 13) {
            compare(&fixture, "candidate", COLUMN_VOTES, NIGHT_MS + at_s * 1000 + 300);
            compare(&fixture, "state", COLUMN_VOTES, NIGHT_MS + at_s * 1000 + 300);
            compare(&fixture, "totals", TOTALS_COUNTED, NIGHT_MS + at_s * 1000 + 300);
        }
        end(&fixture);
    }
}

TEST(before_the_first_point_there_are_no_votes_and_the_register_has_no_past)
{
    static struct fixture fixture;
    cJSON *first = NULL;

    begin(&fixture);
    take(&fixture, PICTURE_CANDIDATE, add_row(&fixture, PICTURE_CANDIDATE, 0), NIGHT_MS, 5, 0);
    take(&fixture, PICTURE_STATE, add_row(&fixture, PICTURE_STATE, 0), NIGHT_MS, 5, 0);
    (void)picture_set(&fixture.picture, PICTURE_STATE, 0, COLUMN_REGISTERED, 90);
    assert_true(picture_settle(&fixture.picture));
    first = ask(&fixture, api_snapshot, "as_of_ms=0");
    assert_string_equal(cJSON_GetObjectItem(first, "type")->valuestring, "past");
    assert_int_equal(member(first, "as_of_ms"), NIGHT_MS - 1);
    assert_int_equal(value_of(first, "totals", 0, TOTALS_COUNTED)->valueint, 0);
    assert_int_equal(value_of(first, "candidate", 0, COLUMN_VOTES)->valueint, 0);
    assert_true(cJSON_IsNull(value_of(first, "totals", 0, TOTALS_VOTERS)));
    assert_true(cJSON_IsNull(value_of(first, "state", 0, COLUMN_REGISTERED)));
    cJSON_Delete(first);
    end(&fixture);
}

TEST(after_the_last_point_it_is_the_newest_picture)
{
    static struct fixture fixture;
    cJSON *now = NULL;

    begin(&fixture);
    for (uint32_t i = 0; i < CANDIDATES; i++) {
        take(&fixture, PICTURE_CANDIDATE, add_row(&fixture, PICTURE_CANDIDATE, i),
             NIGHT_MS + i * 60000, 10 + i, 0);
    }
    assert_true(picture_settle(&fixture.picture));
    now = ask(&fixture, api_snapshot, "as_of_ms=9007199254740991");
    assert_int_equal(member(now, "as_of_ms"), NIGHT_MS + (CANDIDATES - 1) * 60000 + 999);
    for (int i = 0; i < CANDIDATES; i++) {
        assert_int_equal(value_of(now, "candidate", i, COLUMN_VOTES)->valueint, 10 + i);
    }
    cJSON_Delete(now);
    end(&fixture);
}

TEST(a_table_without_a_past_is_named_and_left_out)
{
    static struct fixture fixture;
    const struct past_answer *answer = NULL;

    begin(&fixture);
    fill(&fixture);
    answer = past_at(&fixture.past, NIGHT_MS);
    assert_non_null(strstr(vd_buf_text(&fixture.past.kept[answer->number % PAST_KEPT].body),
                           "\"without\":[\"group\"],\"rows\":{\"totals\""));
    assert_null(
        strstr(vd_buf_text(&fixture.past.kept[answer->number % PAST_KEPT].body), "\"group\":["));
    end(&fixture);
}

TEST(a_total_whose_past_is_lost_is_a_gap_and_none_at_all_is_nothing)
{
    static struct fixture fixture;
    cJSON *past = NULL;

    begin(&fixture);
    (void)add_row(&fixture, PICTURE_CANDIDATE, 0);
    (void)picture_count(&fixture.picture, PICTURE_CANDIDATE, 0, 7, PICTURE_NO_SEQUENCE);
    (void)add_row(&fixture, PICTURE_CANDIDATE, 1);
    assert_true(picture_settle(&fixture.picture));
    past = ask(&fixture, api_snapshot, "as_of_ms=1700000000000");
    assert_int_equal(member(past, "as_of_ms"), 0);
    assert_true(cJSON_IsNull(value_of(past, "candidate", 0, COLUMN_VOTES)));
    assert_int_equal(value_of(past, "candidate", 1, COLUMN_VOTES)->valueint, 0);
    assert_true(cJSON_IsNull(value_of(past, "totals", 0, TOTALS_COUNTED)));
    cJSON_Delete(past);
    end(&fixture);
}

TEST(an_answer_is_made_once_until_one_of_its_totals_changes)
{
    static struct fixture fixture;
    uint64_t number = 0;

    begin(&fixture);
    fill(&fixture);
    number = past_at(&fixture.past, NIGHT_MS + 500000)->number;
    assert_int_equal(past_at(&fixture.past, NIGHT_MS + 500000)->number, number);
    take(&fixture, PICTURE_CANDIDATE, 0, NIGHT_MS + 3000000, 90000, 0); /* later */
    assert_int_equal(past_at(&fixture.past, NIGHT_MS + 500000)->number, number);
    take(&fixture, PICTURE_CANDIDATE, add_row(&fixture, PICTURE_CANDIDATE, CANDIDATES),
         NIGHT_MS + 400000, 1, 0); /* earlier */
    assert_int_not_equal(past_at(&fixture.past, NIGHT_MS + 500000)->number, number);
    number = past_at(&fixture.past, NIGHT_MS + 500000)->number;
    take(&fixture, PICTURE_CANDIDATE, 0, NIGHT_MS + 3000001, 90001, 7); /* records are missing */
    assert_int_equal(past_at(&fixture.past, NIGHT_MS + 500000)->number, number);
    (void)add_row(&fixture, PICTURE_STATE, STATES); /* another row to tell of */
    assert_true(picture_settle(&fixture.picture));
    assert_int_not_equal(past_at(&fixture.past, NIGHT_MS + 500000)->number, number);
    number = past_at(&fixture.past, NIGHT_MS + 500000)->number;
    for (int64_t i = 0; i < PAST_KEPT; i++) {
        (void)past_at(&fixture.past, NIGHT_MS + 600000 + i * 32000);
    }
    assert_int_not_equal(past_at(&fixture.past, NIGHT_MS + 500000)->number, number);
    end(&fixture);
}

TEST(an_answer_too_long_to_keep_has_no_etag_and_takes_no_place)
{
    const struct vd_web_request request = {
        .method = "GET", .path = "", .query = "as_of_ms=1700000000000", .if_none_match = ""};
    struct vd_web_response response = {0};
    static struct fixture fixture;

    begin_with(&fixture, 6000, 6000);
    for (uint32_t i = 0; i < 6000; i++) {
        take(&fixture, fixture.groups, add_row(&fixture, fixture.groups, i), NIGHT_MS, 1000000, 0);
    }
    assert_true(picture_settle(&fixture.picture));
    api_snapshot(&fixture.api, &request, &response);
    assert_true(response.body.len > PAST_KEPT_BYTES);
    assert_string_equal(response.etag, "");
    assert_int_equal(fixture.past.made, 0);
    vd_buf_fini(&response.body);
    end(&fixture);
}

RUN_TESTS(cmocka_unit_test(a_picture_of_the_past_is_the_history_point_by_point),
          cmocka_unit_test(before_the_first_point_there_are_no_votes_and_the_register_has_no_past),
          cmocka_unit_test(after_the_last_point_it_is_the_newest_picture),
          cmocka_unit_test(a_table_without_a_past_is_named_and_left_out),
          cmocka_unit_test(a_total_whose_past_is_lost_is_a_gap_and_none_at_all_is_nothing),
          cmocka_unit_test(an_answer_is_made_once_until_one_of_its_totals_changes),
          cmocka_unit_test(an_answer_too_long_to_keep_has_no_etag_and_takes_no_place))
