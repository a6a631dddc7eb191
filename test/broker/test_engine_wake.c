/* The engine against a real broker: what a stage may ask for: a batch without records, another
 * producer, the end of a partition, some time before it is closed. */
#include "rig.h"

static struct {
    size_t limit;
    bool is_woken;     /* the batch without records was asked for */
    bool is_doubting;  /* ... and the producer doubted */
    size_t empty;      /* batches without records */
    size_t markers;    /* of those, committed */
    size_t fail_empty; /* fail so many of them first */
    int64_t recycled;
    struct vd_timer *timer; /* until the stage is released */
    bool is_holding, is_released;
} run;

static void on_release(void *arg)
{
    run.is_released = true;
    vd_timer_close(vd_take(run.timer));
    vd_stage_release(arg);
}

static void waking_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    const struct vd_err again = {VD_AGAIN, "not yet"};
    size_t count = vd_batch_count(batch);

    for (size_t i = 0; i < count; i++) {
        const struct vd_record *record = vd_batch_record(batch, i);

        assert_false(vd_stage_at_end(stage, record->partition)); /* it is not committed yet */
        vd_batch_emit(batch, 0, i,
                      &(struct vd_msg){.value = record->value,
                                       .value_len = record->value_len,
                                       .partition = VD_SAME});
    }
    run.empty += count == 0 ? 1 : 0;
    if (count == 0 && run.fail_empty > 0) {
        run.fail_empty--;
        vd_batch_fail(batch, &again);
        return;
    }
    if (count == 0) {
        vd_batch_emit(batch, 1, VD_NO_SOURCE, &(struct vd_msg){.value = "marker", .value_len = 6});
    }
    vd_batch_done(batch);
}

static void waking_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    probe.committed += vd_batch_count(batch);
    run.markers += vd_batch_count(batch) == 0 ? 1 : 0;
}

static void waking_drain(struct vd_stage *stage, void *state)
{
    if (run.is_holding) {
        vd_stage_hold(stage);
        run.timer = vd_timer_new(vd_stage_loop(stage), on_release, stage);
        vd_timer_start(run.timer, 50);
    }
}

static const struct vd_stage_desc waking = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "copies, and marks when it is told to",
    .inputs = (const struct vd_port[]){{.name = "in"}, VD_PORT_END},
    .outputs = (const struct vd_port[]){{.name = "out", .flags = VD_PORT_CHAINED},
                                        {.name = "marks"},
                                        VD_PORT_END},
    .batch = waking_batch,
    .committed = waking_committed,
    .drain = waking_drain,
};

static bool is_marked(struct rig *rig)
{
    struct vd_stage *stage = rig->stage;

    if (probe.committed < run.limit || !vd_stage_at_end(stage, 0)) {
        return false;
    }
    if (!run.is_woken) {
        run.is_woken = true;
        if (run.is_doubting) {
            vd_stage_doubt(stage);
        }
        vd_stage_wake(stage);
    }
    run.recycled = vd_metric_value(stage->metrics.recycled);
    return run.markers > 0;
}

static void run_waking(const char *application, size_t limit)
{
    VD_AUTO(mem) char *marks = vd_format("%s-marks", application);
    struct rig rig;

    probe.committed = 0;
    run.limit = limit;
    rig_open_copy(&rig, application, "main");
    rig.outputs[1] = rig_topic(&rig, marks, 1);
    rig.conf.desc = &waking;
    rig_run(&rig, is_marked);
    assert_int_equal(run.markers, 1); /* one was asked for */
}

TEST(a_batch_without_records_is_committed_where_the_partitions_stand)
{
    VD_AUTO(mem) char *application = rig_make_topics();

    memset(&run, 0, sizeof(run));
    rig_send_numbers(application, 0, 400);
    run_waking(application, 400);
    assert_int_equal(run.recycled, 0);
    memset(&run, 0, sizeof(run));
    rig_send_numbers(application, 400, 800);
    run_waking(application, 400); /* nothing comes again, nothing is left out */
    rig_check_copies(application, 800);
}

TEST(a_batch_without_records_that_fails_is_offered_again)
{
    VD_AUTO(mem) char *application = rig_make_topics();

    memset(&run, 0, sizeof(run));
    run.fail_empty = 3;
    run_waking(application, 0);
    assert_int_equal(run.empty, 4);
}

TEST(a_doubted_producer_is_replaced_once)
{
    VD_AUTO(mem) char *application = rig_make_topics();

    memset(&run, 0, sizeof(run));
    rig_send_numbers(application, 0, 400);
    run.is_doubting = true;
    run_waking(application, 400);
    assert_int_equal(run.recycled, 1);
    rig_check_copies(application, 400);
}

TEST(a_stage_that_has_something_left_to_do_is_closed_after_it)
{
    VD_AUTO(mem) char *application = rig_make_topics();

    memset(&run, 0, sizeof(run));
    run.is_holding = true;
    run_waking(application, 0);
    assert_true(run.is_released);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_without_records_is_committed_where_the_partitions_stand),
        cmocka_unit_test(a_batch_without_records_that_fails_is_offered_again),
        cmocka_unit_test(a_doubted_producer_is_replaced_once),
        cmocka_unit_test(a_stage_that_has_something_left_to_do_is_closed_after_it),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
