/* The engine against a real broker: what becomes of records, batches and answers in one node. */
#include "rig.h"

#include <unistd.h>

#define DRAIN_MS_MAX 20000 /* of one that waits for nothing, on a busy machine */

static struct {
    char reason[256]; /* why the stage was not ready */
    int64_t dropped, pauses;
    bool is_refused; /* it was not ready at some time */
    int64_t since_ms;
} seen;

/* ---- when a run is over --------------------------------------------------------------------- */

static bool is_limit_reached(struct rig *rig)
{
    seen.dropped = vd_metric_value(rig->stage->metrics.dropped);
    seen.pauses = vd_metric_value(rig->stage->metrics.pauses);
    return probe.committed >= probe.limit && rig->stage->buffered == 0;
}

static bool is_some_committed(struct rig *rig)
{
    return probe.committed >= 700;
}

static bool is_first_of_3_committed(struct rig *rig)
{
    const struct vd_stage *stage = rig->stage;

    return stage->part_count == RIG_PARTITIONS && stage->parts[3]->next_offset == 1 &&
           stage->parts[3]->head == NULL;
}

static bool is_ready_again(struct rig *rig)
{
    char reason[sizeof(seen.reason)];
    bool is_ready = vd_stage_is_ready(rig->stage, reason, sizeof(reason));

    if (!is_ready && probe.fail_next > 0 && probe.fail_next < 6) {
        seen.is_refused = true;
        memcpy(seen.reason, reason, sizeof(reason));
    }
    return is_limit_reached(rig) && is_ready;
}

static bool is_a_while_over(struct rig *rig)
{
    if (seen.since_ms == 0 && rig->stage->rebalance != NULL) {
        seen.since_ms = vd_loop_now_ms(&rig->loop);
    }
    return seen.since_ms != 0 && vd_loop_now_ms(&rig->loop) - seen.since_ms > 200;
}

static bool is_ready(struct rig *rig)
{
    char reason[256];

    return vd_stage_is_ready(rig->stage, reason, sizeof(reason));
}

/* ---- records -------------------------------------------------------------------------------- */

TEST(every_record_is_copied_once)
{
    VD_AUTO(mem) char *application = rig_make_topics();

    rig_send_numbers(application, 0, 5000);
    rig_run_copy(application, 5000);
    rig_check_copies(application, 5000);
    assert_int_equal(probe.stopped, 1);
    assert_false(probe.is_called_in);
}

TEST(a_stage_stopped_in_the_middle_goes_on_where_it_was)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;
    size_t before;

    rig_send_numbers(application, 0, 5000);
    rig_open_copy(&rig, application, "main");
    rig_run(&rig, is_some_committed);
    before = probe.committed;
    assert_in_range(before, 700, 4999);
    rig_send_numbers(application, 5000, 6000);
    rig_run_copy(application, 6000 - before);
    assert_int_equal(probe.committed, 6000 - before);
    rig_check_copies(application, 6000);
}

TEST(a_bad_record_alone_becomes_a_dead_letter)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);
    struct peer_log log;

    rig_send_numbers(application, 0, 500);
    peer_send(in, 2, "poison", "bad");
    peer_send(in, 1, "poison", "bad");
    rig_send_numbers(application, 500, 1000);
    rig_run_copy(application, 1000);
    assert_int_equal(probe.committed, 1000); /* dead letters were not answered "done" */
    rig_check_copies(application, 1000);
    log = peer_read(dead, true);
    assert_int_equal(log.count, 2);
    assert_string_equal(log.records[0].key, "poison");
    assert_string_equal(log.records[0].value, "bad");
    assert_string_equal(log.records[0].reason, "value is bad");
    peer_log_free(&log);
}

TEST(a_record_whose_output_no_producer_takes_becomes_a_dead_letter)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);
    VD_AUTO(mem) char *large = vd_alloc(999701);
    struct peer_log log;

    memset(large, '7', 999700);
    rig_send_numbers(application, 0, 500);
    peer_send(in, 2, "large", large);
    rig_send_numbers(application, 500, 1000);
    rig_run_copy(application, 1000);
    rig_check_copies(application, 1000);
    assert_true(probe.rewound > 0); /* what the stage had answered did not count */
    log = peer_read(dead, true);
    assert_int_equal(log.count, 1);
    assert_string_equal(log.records[0].key, "large");
    assert_null(log.records[0].value); /* cut */
    assert_string_equal(log.records[0].reason,
                        "output \"out\": its record has 999705 bytes, too many for "
                        "client.message.max.bytes, 1000000");
    peer_log_free(&log);
}

TEST(a_header_of_the_wrong_length_makes_a_dead_letter)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);
    struct rig rig;
    struct peer_log log;

    peer_send_source(in, 3, "odd", "\1odd", 4); /* a batch of nothing else */
    peer_flush();
    rig_open_copy(&rig, application, "main");
    rig_run(&rig, is_first_of_3_committed);
    assert_int_equal(probe.batches, 0);
    peer_send_source(in, 0, "odd", "\1odd", 4);
    rig_send_numbers(application, 0, 100);
    rig_run_copy(application, 100);
    rig_check_copies(application, 100);
    log = peer_read(dead, true);
    assert_int_equal(log.count, 2);
    assert_string_equal(log.records[0].value, "odd");
    assert_string_equal(log.records[0].reason, "header \"vd-src\": must have 23 bytes, got 4");
    peer_log_free(&log);
}

/* ---- answers -------------------------------------------------------------------------------- */

TEST(a_batch_that_fails_is_offered_again)
{
    VD_AUTO(mem) char *application = rig_make_topics();

    rig_send_numbers(application, 0, 1000);
    probe.fail_next = 5;
    rig_run_copy(application, 1000);
    assert_int_equal(probe.fail_next, 0);
    rig_check_copies(application, 1000);
}

TEST(a_fault_outside_shows_in_readiness_until_a_batch_succeeds)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    rig_send_numbers(application, 0, 100);
    probe.fail_next = 6;
    probe.fault = VD_FAILED;
    probe.limit = 100;
    rig_open_copy(&rig, application, "main");
    rig_run(&rig, is_ready_again);
    assert_true(seen.is_refused);
    assert_string_equal(seen.reason, "not now");
    rig_check_copies(application, 100);
}

TEST(a_slow_stage_holds_no_more_than_its_buffer)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    rig_send_numbers(application, 0, 4000);
    probe.delay_ms = 5;
    probe.limit = 4000;
    rig_open_copy(&rig, application, "main");
    rig.conf.batch.records = 50;
    rig.conf.buffer.records = 200;
    rig_run(&rig, is_limit_reached);
    assert_in_range(rig.buffered_max, 100, 200);
    assert_true(seen.pauses > 0);
    assert_in_range(seen.dropped, 0, 400); /* a pause reads little again */
    rig_check_copies(application, 4000);
}

TEST(the_buffer_is_bounded_in_bytes_as_well)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    rig_send_numbers(application, 0, 2000); /* key and value: up to four digits each */
    probe.delay_ms = 5;
    probe.limit = 2000;
    rig_open_copy(&rig, application, "main");
    rig.conf.batch.records = 50;
    rig.conf.buffer.bytes = 1600;
    rig_run(&rig, is_limit_reached);
    assert_in_range(rig.buffered_max, 100, 300);
    assert_true(seen.pauses > 0);
    rig_check_copies(application, 2000);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void assign_never(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    probe.assigned++;
}

static const struct vd_stage_desc silent_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "never says where its partitions start",
    .inputs = (const struct vd_port[]){{.name = "in"}, VD_PORT_END},
    .assign = assign_never,
};

TEST(a_stage_that_owes_an_answer_about_its_partitions_can_be_drained)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    struct rig rig;

    rig_open(&rig, application, "main", &silent_desc);
    rig.inputs[0] = rig_topic(&rig, in, RIG_PARTITIONS);
    rig_run(&rig, is_a_while_over);
    assert_int_equal(probe.assigned, RIG_PARTITIONS);
    assert_in_range(rig.drained_ms, 0, DRAIN_MS_MAX);
}

static const struct vd_stage_desc idle_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "only follows tables",
};

TEST(a_stage_without_inputs_and_outputs_is_ready_and_drains)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    struct rig rig;

    rig_open(&rig, application, "main", &idle_desc);
    (void)rig_topic(&rig, in, RIG_PARTITIONS);
    rig_run(&rig, is_ready);
    assert_in_range(rig.drained_ms, 0, DRAIN_MS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_copied_once),
        cmocka_unit_test(a_stage_stopped_in_the_middle_goes_on_where_it_was),
        cmocka_unit_test(a_bad_record_alone_becomes_a_dead_letter),
        cmocka_unit_test(a_record_whose_output_no_producer_takes_becomes_a_dead_letter),
        cmocka_unit_test(a_header_of_the_wrong_length_makes_a_dead_letter),
        cmocka_unit_test(a_batch_that_fails_is_offered_again),
        cmocka_unit_test(a_fault_outside_shows_in_readiness_until_a_batch_succeeds),
        cmocka_unit_test(a_slow_stage_holds_no_more_than_its_buffer),
        cmocka_unit_test(the_buffer_is_bounded_in_bytes_as_well),
        cmocka_unit_test(a_stage_that_owes_an_answer_about_its_partitions_can_be_drained),
        cmocka_unit_test(a_stage_without_inputs_and_outputs_is_ready_and_drains),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
