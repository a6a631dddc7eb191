/* Rows and wishes of a table, fed by hand; the follower is a stub that only counts questions. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "metric.h"
#include "table_inside.h"

#include "test.h"

static int asked;

/* Linked instead of table_follow.c's. */
void vd_follower_ask(struct vd_follower *follower, struct vd_table *table)
{
    asked++;
    for (struct vd_table_wish *wish = table->wishes; wish != NULL; wish = wish->next) {
        wish->is_asked = wish->ends == NULL;
    }
}

struct fixture {
    struct vd_metrics *metrics;
    struct vd_table *table;
    struct vd_buf seen;
    int64_t offset;
    int synced;
};

static void on_change(void *arg, const struct vd_record *record)
{
    struct fixture *at = arg;

    vd_buf_printf(&at->seen, "%.*s%s%.*s ", (int)record->key_len, record->key,
                  record->value == NULL ? "-" : "=", (int)record->value_len,
                  record->value == NULL ? "" : record->value);
}

static void on_synced(void *arg)
{
    struct fixture *at = arg;

    at->synced++;
}

static void on_synced_again(void *arg)
{
    struct fixture *at = arg;

    vd_table_sync(at->table, on_synced, at);
}

static void fixture_init(struct fixture *at, int32_t partitions)
{
    *at = (struct fixture){0};
    asked = 0;
    at->metrics = vd_metrics_new();
    at->table = vd_table_new(NULL, "totals", at->metrics);
    vd_table_watch(at->table, on_change, at);
    vd_table_start(at->table, partitions);
}

static void fixture_fini(struct fixture *at)
{
    vd_table_free(at->table);
    vd_metrics_free(at->metrics);
    vd_buf_fini(&at->seen);
}

static void put(struct fixture *at, int32_t partition, const char *key, const char *value)
{
    const struct vd_record record = {.key = key,
                                     .key_len = key == NULL ? 0 : strlen(key),
                                     .value = value,
                                     .value_len = value == NULL ? 0 : strlen(value),
                                     .partition = partition,
                                     .offset = at->offset++};

    vd_table_apply(at->table, &record);
}

static int64_t metric(const struct fixture *at, enum vd_metric_type type, const char *name)
{
    return vd_metric_value(vd_metric_get(at->metrics, type, name, "topic=\"totals\"", ""));
}

TEST(rows_follow_their_records_and_their_size_is_known)
{
    struct fixture at;

    fixture_init(&at, 1);
    put(&at, 0, "a", "1");
    put(&at, 0, "a", "1234567890");
    put(&at, 0, "a", "12");
    put(&at, 0, "b", "1");
    put(&at, 0, "b", NULL);
    put(&at, 0, "c", NULL);
    put(&at, 0, NULL, "x");
    assert_string_equal(vd_buf_text(&at.seen), "a=1 a=1234567890 a=12 b=1 b- c- ");
    assert_int_equal(vd_table_rows(at.table), 1);
    assert_int_equal(metric(&at, VD_GAUGE, "votingd_table_rows"), 1);
    assert_int_equal(metric(&at, VD_GAUGE, "votingd_table_bytes"), 3);
    assert_int_equal(metric(&at, VD_COUNTER, "votingd_table_records_total"), 7);
    assert_int_equal(metric(&at, VD_COUNTER, "votingd_table_keyless_total"), 1);
    fixture_fini(&at);
}

TEST(a_get_looks_in_every_partition)
{
    struct fixture at;
    size_t len = 0;

    fixture_init(&at, 5);
    for (int32_t i = 0; i < 5; i++) {
        const char key[2] = {(char)('a' + i), '\0'};

        put(&at, i, key, key);
        assert_memory_equal(vd_table_get(at.table, key, 1, &len), key, 1);
    }
    assert_null(vd_table_get(at.table, "f", 1, &len));
    fixture_fini(&at);
}

TEST(a_walk_may_begin_at_a_partition)
{
    struct fixture at;
    struct vd_record row;
    size_t place = vd_table_walk_at(1);

    fixture_init(&at, 4);
    put(&at, 0, "a", "0");
    put(&at, 1, "a", "1");
    put(&at, 3, "a", "3");
    assert_true(vd_table_next(at.table, &place, &row));
    assert_int_equal(row.partition, 1);
    assert_true(vd_table_next(at.table, &place, &row)); /* 2 has no rows */
    assert_int_equal(row.partition, 3);
    assert_false(vd_table_next(at.table, &place, &row));
    place = vd_table_walk_at(4);
    assert_false(vd_table_next(at.table, &place, &row));
    fixture_fini(&at);
}

TEST(a_table_without_partitions_is_empty)
{
    struct vd_metrics *metrics = vd_metrics_new();
    struct vd_table *table = vd_table_new(NULL, "totals", metrics);
    struct vd_record row;
    size_t at = 0;
    size_t len;

    assert_null(vd_table_get(table, "a", 1, &len));
    assert_false(vd_table_next(table, &at, &row));
    assert_false(vd_table_is_current(table));
    vd_table_free(table);
    vd_metrics_free(metrics);
}

TEST(a_wish_is_fulfilled_when_every_partition_has_reached_its_end)
{
    const int64_t ends[] = {2, 0};
    struct fixture at;

    fixture_init(&at, 2);
    vd_table_sync(at.table, on_synced, &at);
    assert_int_equal(asked, 2);
    put(&at, 0, "a", "1");
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 0);
    vd_table_answer(at.table, ends);
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 0);
    put(&at, 0, "b", "1");
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 0); /* partition 1 has not been heard of */
    assert_false(vd_table_is_current(at.table));
    vd_table_reach(at.table, 1, 0);
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 1);
    assert_true(vd_table_is_current(at.table));
    fixture_fini(&at);
}

TEST(a_wish_made_after_the_question_waits_for_the_next_answer)
{
    const int64_t ends[] = {0};
    struct fixture at;

    fixture_init(&at, 1);
    vd_table_reach(at.table, 0, 0);
    vd_table_answer(at.table, ends);
    vd_table_sync(at.table, on_synced_again, &at);
    at.table->wishes->next->is_asked = false; /* as while an errand is under way */
    vd_table_answer(at.table, ends);
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 0);
    vd_follower_ask(NULL, at.table);
    vd_table_answer(at.table, ends);
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 0);
    vd_table_answer(at.table, ends); /* for the wish that the first one made */
    vd_table_settle(at.table);
    assert_int_equal(at.synced, 1);
    fixture_fini(&at);
}

TEST(a_partition_read_anew_loses_what_does_not_come_again)
{
    const int64_t ends[] = {9, 9};
    struct fixture at;

    fixture_init(&at, 2);
    put(&at, 0, "a", "1");
    put(&at, 0, "b", "1");
    put(&at, 0, "c", "1");
    put(&at, 1, "d", "1");
    vd_table_answer(at.table, ends);
    vd_buf_clear(&at.seen);
    asked = 0;
    vd_table_reread(at.table, 0);
    assert_int_equal(asked, 1); /* the old ends may never be reached */
    assert_int_equal(vd_table_rows(at.table), 4);
    at.offset = 0;
    put(&at, 0, "b", "2");
    assert_string_equal(vd_buf_text(&at.seen), "b=2 ");
    vd_table_reach(at.table, 0, 1);
    assert_int_equal(vd_table_rows(at.table), 2);
    assert_int_equal(metric(&at, VD_GAUGE, "votingd_table_bytes"), 4);
    assert_true(strcmp(vd_buf_text(&at.seen), "b=2 a- c- ") == 0 ||
                strcmp(vd_buf_text(&at.seen), "b=2 c- a- ") == 0);
    vd_table_reach(at.table, 0, 1);
    assert_int_equal(vd_table_rows(at.table), 2);
    assert_int_equal(metric(&at, VD_COUNTER, "votingd_table_rereads_total"), 1);
    fixture_fini(&at);
}

RUN_TESTS(cmocka_unit_test(rows_follow_their_records_and_their_size_is_known),
          cmocka_unit_test(a_get_looks_in_every_partition),
          cmocka_unit_test(a_walk_may_begin_at_a_partition),
          cmocka_unit_test(a_table_without_partitions_is_empty),
          cmocka_unit_test(a_wish_is_fulfilled_when_every_partition_has_reached_its_end),
          cmocka_unit_test(a_wish_made_after_the_question_waits_for_the_next_answer),
          cmocka_unit_test(a_partition_read_anew_loses_what_does_not_come_again))
