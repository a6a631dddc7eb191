/* Tables of a real topic: what is shown, what is hidden, and when a table is current. */
#include "broker.h"

#include "table_follow.h"

struct seen {
    struct vd_buf text; /* "0:a=1 1:b- " */
    int synced;
    bool is_closed;
};

static void on_change(void *arg, const struct vd_record *record)
{
    struct seen *seen = arg;

    vd_buf_printf(&seen->text, "%d:%.*s%s%.*s ", (int)record->partition, (int)record->key_len,
                  record->key, record->value == NULL ? "-" : "=", (int)record->value_len,
                  record->value == NULL ? "" : record->value);
}

static void on_synced(void *arg)
{
    struct seen *seen = arg;

    seen->synced++;
}

static void on_closed(void *arg)
{
    struct seen *seen = arg;

    seen->is_closed = true;
}

struct follow {
    struct broker broker;
    struct vd_follower *follower;
    struct vd_table *table;
    const char *topic;
    rd_kafka_t *producer;
    struct seen seen;
};

static void follow_init_as(struct follow *at, int64_t partitions, const char *cleanup)
{
    *at = (struct follow){0};
    broker_init(&at->broker);
    at->topic = broker_topic(&at->broker, "table", partitions, cleanup)->name;
    broker_ensure(&at->broker);
    at->producer = broker_producer(&at->broker, at->topic);
    at->follower =
        vd_follower_new(at->broker.kafka, &at->broker.loop, at->broker.log, at->broker.metrics);
    at->table = vd_follower_table(at->follower, at->topic);
    assert_ptr_equal(vd_follower_table(at->follower, at->topic), at->table);
    vd_table_watch(at->table, on_change, &at->seen);
}

static void follow_init(struct follow *at, int64_t partitions)
{
    follow_init_as(at, partitions, "compact");
}

static void follow_start(struct follow *at)
{
    assert_int_equal(vd_follower_start(at->follower, at->broker.list, at->broker.topic_count, NULL),
                     VD_OK);
}

static void follow_fini(struct follow *at)
{
    vd_follower_close(at->follower, on_closed, &at->seen);
    broker_wait(&at->broker, at->seen.is_closed);
    rd_kafka_destroy(at->producer);
    vd_buf_fini(&at->seen.text);
    broker_fini(&at->broker);
}

static void begin(struct follow *at)
{
    broker_expect(rd_kafka_begin_transaction(at->producer));
}

static void send_to(struct follow *at, int32_t partition, const char *key, const char *value)
{
    broker_send(at->producer, at->topic, partition, key, value);
}

static void flush(struct follow *at)
{
    assert_int_equal(rd_kafka_flush(at->producer, WAIT_MAX_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void commit(struct follow *at)
{
    broker_expect(rd_kafka_commit_transaction(at->producer, WAIT_MAX_MS));
}

static void sync_table(struct follow *at)
{
    const int before = at->seen.synced;

    vd_table_sync(at->table, on_synced, &at->seen);
    broker_wait(&at->broker, at->seen.synced > before);
    assert_int_equal(at->seen.synced, before + 1);
}

static void expect_row(const struct follow *at, const char *key, const char *wanted)
{
    size_t len = 0;
    const char *value = vd_table_get(at->table, key, strlen(key), &len);

    if (wanted == NULL) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_int_equal(len, strlen(wanted));
    assert_memory_equal(value, wanted, len);
}

/* Turn the loop for a while in which nothing must happen. */
static void linger(struct follow *at, int64_t ms)
{
    const int64_t end_ms = vd_mono_ns() / 1000000 + ms;

    broker_wait(&at->broker, vd_mono_ns() / 1000000 >= end_ms);
}

TEST(a_table_shows_the_last_value_of_every_key_and_goes_on)
{
    struct follow at;

    follow_init_as(&at, 1, "delete"); /* a compacted topic refuses records without a key */
    begin(&at);
    send_to(&at, 0, "a", "1");
    send_to(&at, 0, "b", "1");
    send_to(&at, 0, "a", "22");
    send_to(&at, 0, "b", NULL);
    send_to(&at, 0, "c", "");
    send_to(&at, 0, NULL, "no key");
    send_to(&at, 0, "", "empty key");
    commit(&at);
    assert_int_equal(vd_table_partitions(at.table), 0);
    follow_start(&at);
    assert_int_equal(vd_table_partitions(at.table), 1);
    assert_false(vd_table_is_current(at.table));
    broker_wait(&at.broker, vd_table_is_current(at.table));
    assert_string_equal(vd_buf_text(&at.seen.text), "0:a=1 0:b=1 0:a=22 0:b- 0:c= 0:=empty key ");
    assert_int_equal(vd_table_rows(at.table), 3);
    expect_row(&at, "a", "22");
    expect_row(&at, "b", NULL);
    expect_row(&at, "c", "");
    expect_row(&at, "", "empty key");
    vd_buf_clear(&at.seen.text);
    begin(&at);
    send_to(&at, 0, "a", "3");
    send_to(&at, 0, "c", NULL);
    commit(&at);
    sync_table(&at);
    assert_string_equal(vd_buf_text(&at.seen.text), "0:a=3 0:c- ");
    expect_row(&at, "a", "3");
    assert_int_equal(vd_table_rows(at.table), 2);
    follow_fini(&at);
}

TEST(one_key_in_two_partitions_is_two_rows)
{
    struct follow at;
    struct vd_record row;
    struct vd_buf walked = {0};
    size_t place = 0;
    size_t len;

    follow_init(&at, 3);
    begin(&at);
    send_to(&at, 0, "k", "zero");
    send_to(&at, 2, "k", "two");
    send_to(&at, 2, "l", "2");
    commit(&at);
    follow_start(&at);
    sync_table(&at);
    assert_true(vd_table_is_current(at.table));
    assert_int_equal(vd_table_rows(at.table), 3);
    while (vd_table_next(at.table, &place, &row)) {
        vd_buf_printf(&walked, "%d:%.*s ", (int)row.partition, (int)row.value_len, row.value);
        assert_true(row.timestamp_ms > 0 && row.offset >= 0 && !row.has_position);
    }
    assert_false(vd_table_next(at.table, &place, &row));
    assert_true(strcmp(vd_buf_text(&walked), "0:zero 2:two 2:2 ") == 0 ||
                strcmp(vd_buf_text(&walked), "0:zero 2:2 2:two ") == 0);
    assert_memory_equal(vd_table_get_at(at.table, 0, "k", 1, &len), "zero", 4);
    assert_memory_equal(vd_table_get_at(at.table, 2, "k", 1, &len), "two", 3);
    assert_null(vd_table_get_at(at.table, 1, "k", 1, &len));
    assert_null(vd_table_get_at(at.table, 3, "k", 1, &len));
    begin(&at);
    send_to(&at, 0, "k", NULL);
    commit(&at);
    sync_table(&at);
    expect_row(&at, "k", "two");
    vd_buf_fini(&walked);
    follow_fini(&at);
}

static void send_positioned(struct follow *at, const char *key, const void *header, size_t len)
{
    assert_int_equal(
        rd_kafka_producev(
            at->producer, RD_KAFKA_V_TOPIC(at->topic), RD_KAFKA_V_PARTITION(0),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, strlen(key)),
            RD_KAFKA_V_VALUE((void *)(uintptr_t) "v", 1), RD_KAFKA_V_TIMESTAMP(1700000000123),
            RD_KAFKA_V_HEADER(VD_POSITION_HEADER, header, (ssize_t)len), RD_KAFKA_V_END),
        RD_KAFKA_RESP_ERR_NO_ERROR);
}

TEST(positions_and_times_come_with_the_rows)
{
    const struct vd_position position = {
        .generation = 2, .partition = 5, .offset = 77, .previous = 70};
    uint8_t bytes[VD_POSITION_BYTES];
    struct follow at;
    struct vd_record row;
    size_t place = 0;
    int positioned = 0;

    follow_init(&at, 1);
    vd_position_format(&position, bytes);
    begin(&at);
    send_positioned(&at, "good", bytes, sizeof(bytes));
    send_positioned(&at, "short", bytes, sizeof(bytes) - 1);
    commit(&at);
    follow_start(&at);
    sync_table(&at);
    assert_int_equal(vd_table_rows(at.table), 2);
    while (vd_table_next(at.table, &place, &row)) {
        assert_int_equal(row.timestamp_ms, 1700000000123);
        if (row.has_position) {
            positioned++;
            assert_int_equal(row.key_len, 4);
            assert_int_equal(row.position.generation, 2);
            assert_int_equal(row.position.partition, 5);
            assert_int_equal(row.position.offset, 77);
            assert_int_equal(row.position.previous, 70);
        }
    }
    assert_int_equal(positioned, 1);
    follow_fini(&at);
}

TEST(an_open_transaction_is_hidden_and_a_sync_waits_for_its_end)
{
    struct follow at;

    follow_init(&at, 2);
    begin(&at);
    send_to(&at, 0, "a", "1");
    commit(&at);
    follow_start(&at);
    broker_wait(&at.broker, vd_table_is_current(at.table));
    begin(&at);
    send_to(&at, 0, "a", "2");
    send_to(&at, 1, "b", "2");
    flush(&at);
    vd_table_sync(at.table, on_synced, &at.seen);
    linger(&at, 700);
    assert_int_equal(at.seen.synced, 0);
    expect_row(&at, "a", "1");
    expect_row(&at, "b", NULL);
    commit(&at);
    broker_wait(&at.broker, at.seen.synced == 1);
    expect_row(&at, "a", "2");
    expect_row(&at, "b", "2");
    follow_fini(&at);
}

TEST(an_aborted_transaction_never_shows_and_does_not_hold_up_a_sync)
{
    struct follow at;

    follow_init(&at, 2);
    begin(&at);
    send_to(&at, 0, "a", "1");
    commit(&at);
    begin(&at);
    for (int i = 0; i < 500; i++) {
        send_to(&at, 0, "a", "wrong");
        send_to(&at, 1, "b", "wrong");
    }
    flush(&at);
    follow_start(&at);
    vd_table_sync(at.table, on_synced, &at.seen);
    vd_table_sync(at.table, on_synced, &at.seen);
    linger(&at, 300);
    assert_int_equal(at.seen.synced, 0);
    assert_false(vd_table_is_current(at.table));
    broker_expect(rd_kafka_abort_transaction(at.producer, WAIT_MAX_MS));
    broker_wait(&at.broker, at.seen.synced == 2);
    assert_true(vd_table_is_current(at.table));
    assert_string_equal(vd_buf_text(&at.seen.text), "0:a=1 ");
    assert_int_equal(vd_table_rows(at.table), 1);
    follow_fini(&at);
}

TEST(an_empty_topic_is_current_at_once_and_a_table_may_come_after_the_start)
{
    struct follow at;
    struct vd_table *late;
    const char *other;

    follow_init(&at, 4);
    other = broker_topic(&at.broker, "late", 1, "compact")->name;
    broker_ensure(&at.broker);
    follow_start(&at);
    vd_table_sync(at.table, on_synced, &at.seen);
    vd_table_sync(at.table, on_synced, &at.seen);
    broker_wait(&at.broker, at.seen.synced == 2);
    assert_true(vd_table_is_current(at.table));
    begin(&at);
    broker_send(at.producer, other, 0, "x", "1");
    commit(&at);
    late = vd_follower_table(at.follower, other);
    broker_wait(&at.broker, vd_table_is_current(late));
    assert_int_equal(vd_table_rows(late), 1);
    follow_fini(&at);
}

TEST(many_rows_arrive_in_order_while_the_loop_turns)
{
    enum { KEYS = 1000, RECORDS = 60000 };
    struct follow at;
    struct vd_record row;
    size_t place = 0;

    follow_init(&at, 2);
    begin(&at);
    for (int i = 0; i < RECORDS; i++) {
        char key[16];
        char value[16];

        snprintf(key, sizeof(key), "%d", i % KEYS);
        snprintf(value, sizeof(value), "%d", i / KEYS);
        send_to(&at, i % 2, key, value);
    }
    commit(&at);
    vd_buf_clear(&at.seen.text);
    follow_start(&at);
    sync_table(&at);
    assert_int_equal(vd_table_rows(at.table), KEYS);
    while (vd_table_next(at.table, &place, &row)) {
        assert_int_equal(row.value_len, 2);
        assert_memory_equal(row.value, "59", 2);
    }
    follow_fini(&at);
}

TEST(a_topic_that_is_made_anew_is_read_anew_and_lost_rows_are_reported_deleted)
{
    struct follow at;
    rd_kafka_t *second;

    follow_init(&at, 1);
    begin(&at);
    send_to(&at, 0, "a", "1");
    send_to(&at, 0, "b", "1");
    send_to(&at, 0, "c", "1");
    commit(&at);
    follow_start(&at);
    sync_table(&at);
    assert_int_equal(vd_table_rows(at.table), 3);
    vd_buf_clear(&at.seen.text);
    broker_delete_topics(&at.broker);
    broker_ensure(&at.broker);
    second = broker_producer(&at.broker, "trial-second");
    broker_expect(rd_kafka_begin_transaction(second));
    broker_send(second, at.topic, 0, "b", "2");
    broker_expect(rd_kafka_commit_transaction(second, WAIT_MAX_MS));
    broker_wait(&at.broker, vd_table_rows(at.table) == 1);
    sync_table(&at);
    expect_row(&at, "b", "2");
    expect_row(&at, "a", NULL);
    assert_non_null(strstr(vd_buf_text(&at.seen.text), "0:b=2 "));
    assert_non_null(strstr(vd_buf_text(&at.seen.text), "0:a- "));
    assert_non_null(strstr(vd_buf_text(&at.seen.text), "0:c- "));
    rd_kafka_destroy(second);
    follow_fini(&at);
}

TEST(a_follower_closes_with_wishes_open_and_before_it_was_started)
{
    struct follow at;

    follow_init(&at, 1);
    vd_table_sync(at.table, on_synced, &at.seen);
    follow_fini(&at);
    assert_int_equal(at.seen.synced, 0);

    follow_init(&at, 1);
    follow_start(&at);
    vd_table_sync(at.table, on_synced, &at.seen);
    follow_fini(&at);
    assert_int_equal(at.seen.synced, 0);
}

TEST(a_follower_without_a_broker_waits_and_closes)
{
    struct follow at;
    int64_t start_ns;

    follow_init(&at, 3);
    free(at.broker.conf.brokers);
    at.broker.conf.brokers = vd_strdup("127.0.0.1:1");
    follow_start(&at);
    vd_table_sync(at.table, on_synced, &at.seen);
    linger(&at, 300);
    assert_int_equal(at.seen.synced, 0);
    start_ns = vd_mono_ns();
    vd_follower_close(at.follower, on_closed, &at.seen);
    broker_wait(&at.broker, at.seen.is_closed);
    assert_true(vd_mono_ns() - start_ns < IN_TIME_MS * 1000000LL);
    rd_kafka_destroy(at.producer);
    vd_buf_fini(&at.seen.text);
    free(at.broker.conf.brokers);
    at.broker.conf.brokers = vd_strdup(getenv("KAFKA_BROKERS"));
    broker_fini(&at.broker);
}

RUN_BROKER_TESTS(
    cmocka_unit_test(a_table_shows_the_last_value_of_every_key_and_goes_on),
    cmocka_unit_test(one_key_in_two_partitions_is_two_rows),
    cmocka_unit_test(positions_and_times_come_with_the_rows),
    cmocka_unit_test(an_open_transaction_is_hidden_and_a_sync_waits_for_its_end),
    cmocka_unit_test(an_aborted_transaction_never_shows_and_does_not_hold_up_a_sync),
    cmocka_unit_test(an_empty_topic_is_current_at_once_and_a_table_may_come_after_the_start),
    cmocka_unit_test(many_rows_arrive_in_order_while_the_loop_turns),
    cmocka_unit_test(a_topic_that_is_made_anew_is_read_anew_and_lost_rows_are_reported_deleted),
    cmocka_unit_test(a_follower_closes_with_wishes_open_and_before_it_was_started),
    cmocka_unit_test(a_follower_without_a_broker_waits_and_closes))
