/* Two readers of one picture, side by side: one gets the socket's deltas, and the whole where it
 * missed some; the other asks the API for changes, which may be cut. What they hold of a picture
 * must be that picture, value by value and text by text. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "dashboard/wire.h"
#include "test.h"

enum { PICTURES = 10000, ROWS_MAX = 24, SEED = 20261103 };

/* What a reader holds; seq 0: nothing. */
struct reader {
    uint64_t seq;
    double values[PICTURE_TABLES_MAX][ROWS_MAX][PICTURE_COLUMNS_MAX];
    char names[PICTURE_TABLES_MAX][ROWS_MAX][16]; /* the row's last text */
    int whole; /* answers: snapshots, or changes up to the newest picture */
    int parts; /* deltas, or changes that were cut */
};

static int below(int limit)
{
    return rand() % limit;
}

static void take_rows(struct reader *reader, const struct picture *picture, const cJSON *tables,
                      bool are_texts)
{
    const cJSON *table = NULL;
    const cJSON *row = NULL;

    cJSON_ArrayForEach(table, tables)
    {
        size_t number = picture_find_table(picture, table->string);

        assert_true(number < PICTURE_TABLES_MAX);
        cJSON_ArrayForEach(row, table)
        {
            int id = cJSON_GetArrayItem(row, 0)->valueint;
            int count = cJSON_GetArraySize(row) - 1;
            const cJSON *last = cJSON_GetArrayItem(row, count);

            if (are_texts) {
                (void)snprintf(reader->names[number][id], sizeof(reader->names[number][id]), "%s",
                               cJSON_IsString(last) ? last->valuestring : "");
            } else {
                for (int i = 0; i < count; i++) {
                    const cJSON *value = cJSON_GetArrayItem(row, 1 + i);

                    reader->values[number][id][i] =
                        cJSON_IsNull(value) ? (double)PICTURE_NULL : value->valuedouble;
                }
            }
        }
    }
}

/* Take a frame in; returns it as JSON, which is the caller's. */
static cJSON *take(struct reader *reader, const struct picture *picture, struct vd_buf *frame)
{
    cJSON *json = cJSON_Parse(vd_buf_text(frame));

    assert_non_null(json);
    take_rows(reader, picture, cJSON_GetObjectItem(json, "add"), true);
    take_rows(reader, picture, cJSON_GetObjectItem(json, "rows"), false);
    vd_buf_clear(frame);
    return json;
}

static void read_socket(struct reader *reader, const struct picture *picture, struct vd_buf *frame)
{
    bool is_whole = reader->seq + 1 < picture->seq; /* the deltas between are gone */
    cJSON *json = NULL;

    if (is_whole) {
        wire_snapshot(frame, picture, picture_frame_last(picture), WIRE_ALIVE, 2000);
    } else {
        wire_delta(frame, picture, WIRE_ALIVE, 2000);
    }
    json = take(reader, picture, frame);
    assert_true(is_whole || cJSON_GetObjectItem(json, "base")->valuedouble == (double)reader->seq);
    reader->seq = (uint64_t)cJSON_GetObjectItem(json, "seq")->valuedouble;
    *(is_whole ? &reader->whole : &reader->parts) += 1;
    cJSON_Delete(json);
}

static void read_api(struct reader *reader, const struct picture *picture, struct vd_buf *frame)
{
    const struct wire_asked asked = {reader->seq, below(3) == 0 ? 300 : WIRE_CHANGES_BYTES};
    cJSON *json = NULL;
    const char *next = NULL;

    wire_changes(frame, picture, &asked, WIRE_ALIVE, 2000);
    json = take(reader, picture, frame);
    next = strchr(cJSON_GetObjectItem(json, "next")->valuestring, '-') + 1;
    assert_true(strtoull(next, NULL, 10) > reader->seq);
    reader->seq = strtoull(next, NULL, 10);
    *(cJSON_IsTrue(cJSON_GetObjectItem(json, "is_truncated")) ? &reader->parts : &reader->whole) +=
        1;
    assert_true(reader->seq <= picture->seq);
    cJSON_Delete(json);
}

/* Does the reader hold the newest picture, and nothing else? */
static void compare(const char *who, const struct reader *reader, const struct picture *picture)
{
    const struct picture_frame *frame = picture_frame_last(picture);

    assert_int_equal(reader->seq, frame->seq);
    for (size_t table = 0; table < picture->table_count; table++) {
        const struct picture_table *held = &picture->tables[table];

        for (uint32_t row = 0; row < frame->counts[table]; row++) {
            const char *text =
                held->text_count > 0 ? held->rows[row].texts[held->text_count - 1] : NULL;

            for (size_t column = 0; column < frame->columns[table]; column++) {
                double value = (double)picture_value(frame, table, row, column);

                if (reader->values[table][row][column] != value) {
                    fail_msg("%s, picture %llu: %s[%u].%zu is %.0f, and %.0f in the picture", who,
                             (unsigned long long)frame->seq, held->name, row, column,
                             reader->values[table][row][column], value);
                }
            }
            assert_string_equal(reader->names[table][row], text != NULL ? text : "");
        }
    }
}

/* A vote, a recount, a registered number, a name, a new row, now and then a table's first one. */
static void change(struct picture *picture, size_t aggregate)
{
    static const size_t counted[] = {PICTURE_CANDIDATE, PICTURE_STATE, PICTURE_STATE};
    size_t table = below(4) == 0 ? aggregate : counted[below(3)];
    char key[16];
    int len = snprintf(key, sizeof(key), "k%d", below(below(50) == 0 ? ROWS_MAX : 8));
    uint32_t row = picture_row(picture, table, key, (size_t)len);

    if (table == aggregate) {
        picture_set_text(picture, table, row, picture_text(picture, table, "town"), key);
    }
    (void)picture_set(picture, table, row, COLUMN_VOTES, below(1000000));
    if (table == PICTURE_STATE && below(3) == 0) {
        (void)picture_set(picture, table, row, COLUMN_REGISTERED,
                          below(5) == 0 ? PICTURE_NULL : below(1000000));
    }
    if (table == PICTURE_CANDIDATE && below(10) == 0) {
        picture_set_text(picture, table, row, TEXT_PHOTO, below(2) == 0 ? key : "other");
    }
}

TEST(socket_and_api_hold_the_same_numbers_in_each_of_ten_thousand_pictures)
{
    static struct reader socket, api;
    VD_AUTO(buf) struct vd_buf frame = {0};
    struct picture picture;
    struct vd_err err = {0};
    size_t aggregate = 0;
    int both = 0;

    srand(SEED);
    picture_init(&picture, "e1", 1000);
    assert_int_equal(picture_add_table(&picture, "by_town", &aggregate, &err), VD_OK);
    read_socket(&socket, &picture, &frame);
    read_api(&api, &picture, &frame);
    while (picture.seq < PICTURES) {
        for (int i = below(6); i >= 0; i--) {
            change(&picture, aggregate);
        }
        if (!picture_settle(&picture)) {
            continue;
        }
        if (below(10) > 0) { /* else this one is skipped */
            read_socket(&socket, &picture, &frame);
            compare("socket", &socket, &picture);
        }
        if (below(4) == 0) {
            read_api(&api, &picture, &frame);
        }
        if (api.seq == picture.seq) {
            compare("API", &api, &picture);
            both += socket.seq == api.seq;
        }
    }
    print_message("%d deltas, %d snapshots; %d changes, %d of them cut; %d pictures by both\n",
                  socket.parts, socket.whole, api.parts + api.whole, api.parts, both);
    assert_true(socket.parts > 5000 && socket.whole > 500 && api.parts > 500 && both > 1000);
    picture_fini(&picture);
}

RUN_TESTS(cmocka_unit_test(socket_and_api_hold_the_same_numbers_in_each_of_ten_thousand_pictures))
