/* The engine against a real broker: one partition is stopped, the others run on. */
#include "rig.h"

#include <unistd.h>

static struct {
    char reason[256];    /* why the stage was not ready */
    size_t stops;        /* batches that were answered after a stop */
    size_t rewinds;      /* times that all under way was void */
    bool is_done_answer; /* answer "done" after a stop, which must not count */
    bool is_assign;      /* stop partition 2 at its assignment */
    size_t limit;
} run;

/* ---- a stage that stops at a word ------------------------------------------------------------ */

static bool is_stop(const struct vd_record *record)
{
    return record->value_len == 4 && memcmp(record->value, "stop", 4) == 0;
}

static void stopping_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    const struct vd_err again = {VD_AGAIN, "stopped"};

    for (size_t i = 0; i < vd_batch_count(batch); i++) {
        const struct vd_record *record = vd_batch_record(batch, i);
        const struct vd_msg msg = {
            .value = record->value, .value_len = record->value_len, .partition = VD_SAME};

        if (is_stop(record)) {
            vd_stage_stop_partition(stage, record->partition, "in[%d] offset %lld: it says stop",
                                    record->partition, (long long)record->offset);
            vd_stage_stop_partition(stage, record->partition, "not the first reason");
            run.stops++;
            if (run.is_done_answer) {
                vd_batch_done(batch);
            } else {
                vd_batch_fail(batch, &again);
            }
            return;
        }
        vd_batch_emit(batch, 0, i, &msg);
    }
    vd_batch_done(batch);
}

static void stopping_assign(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    assert_true(vd_assign_is_current(assign));
    if (run.is_assign && vd_assign_partition(assign) == 2) {
        vd_assign_stop(assign, "in[%d]: not wanted", vd_assign_partition(assign));
    } else {
        vd_assign_start(assign, vd_assign_committed(assign), vd_assign_last(assign));
    }
}

static void stopping_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    probe.committed += vd_batch_count(batch);
}

static void stopping_rewound(struct vd_stage *stage, void *state)
{
    run.rewinds++;
}

static const struct vd_stage_desc stopping = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "copies until it is told to stop",
    .inputs = (const struct vd_port[]){{.name = "in"}, VD_PORT_END},
    .outputs = (const struct vd_port[]){{.name = "out", .flags = VD_PORT_CHAINED}, VD_PORT_END},
    .assign = stopping_assign,
    .batch = stopping_batch,
    .committed = stopping_committed,
    .rewound = stopping_rewound,
};

static bool is_stopped_and_done(struct rig *rig)
{
    const struct vd_stage *stage = rig->stage;

    if (probe.committed < run.limit || stage->buffered > 0 || stage->part_count < RIG_PARTITIONS ||
        stage->parts[2]->stopped == NULL || (run.is_done_answer && run.rewinds == 0)) {
        return false;
    }
    assert_int_equal(stage->life, VD_LIFE_RUNNING);
    assert_false(vd_stage_is_ready(stage, run.reason, sizeof(run.reason)));
    return true;
}

static bool is_all_copied(struct rig *rig)
{
    return probe.committed >= run.limit && rig->stage->buffered == 0;
}

static void run_stopping(const char *application, bool (*is_done)(struct rig *rig), size_t limit)
{
    struct rig rig;

    probe.committed = 0;
    run.limit = limit;
    rig_open_copy(&rig, application, "main");
    rig.conf.desc = &stopping;
    rig_run(&rig, is_done);
}

/* 400 numbers, 100 in each partition. */
static char *make_input(void)
{
    char *application = rig_make_topics();

    memset(&run, 0, sizeof(run));
    rig_send_numbers(application, 0, 400);
    return application;
}

TEST(a_stopped_partition_is_told_and_the_others_run_on)
{
    VD_AUTO(mem) char *application = make_input();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    struct peer_log log;
    VD_AUTO(mem) char *out = vd_format("%s-out", application);

    peer_send(in, 2, NULL, "stop");
    rig_send_numbers(application, 400, 4000); /* more than the buffer holds */
    run_stopping(application, is_stopped_and_done, 3000);
    assert_string_equal(run.reason, "in[2] offset 100: it says stop");
    assert_int_equal(run.stops, 1);
    log = peer_read(out, true);
    for (size_t i = 0; i < log.count; i++) {
        assert_string_not_equal(log.records[i].value, "stop");
        assert_true(log.records[i].partition != 2 || strtol(log.records[i].value, NULL, 10) < 400);
    }
    rig_check_copies(application, log.count); /* each partition's chain is whole */
    peer_log_free(&log);
}

TEST(a_batch_answered_done_after_a_stop_does_not_count_and_the_stage_is_told)
{
    VD_AUTO(mem) char *application = make_input();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);

    peer_send(in, 2, NULL, "stop");
    peer_flush();
    run.is_done_answer = true;
    run_stopping(application, is_stopped_and_done, 300);
    assert_int_equal(run.stops, 1);
    assert_true(run.rewinds > 0);
    run.is_done_answer = false;
    run_stopping(application, is_stopped_and_done, 0); /* the same again: nothing was passed */
    assert_string_equal(run.reason, "in[2] offset 100: it says stop");
}

TEST(a_partition_stopped_at_its_assignment_is_ours_and_not_read)
{
    VD_AUTO(mem) char *application = make_input();

    run.is_assign = true;
    run_stopping(application, is_stopped_and_done, 300);
    assert_string_equal(run.reason, "in[2]: not wanted");
    assert_int_equal(probe.committed, 300);
    run.is_assign = false;
    run_stopping(application, is_all_copied, 100); /* nothing is lost by it */
    rig_check_copies(application, 400);
}

TEST(a_header_of_a_newer_version_stops_its_partition_alone)
{
    VD_AUTO(mem) char *application = make_input();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    uint8_t newer[VD_POSITION_BYTES + 4] = {2};
    VD_AUTO(mem)
    char *wanted = vd_format("%s[2] offset 100: header \"vd-src\": version 2 is newer than 1: run "
                             "the same version on all nodes",
                             in);

    peer_send_source(in, 2, "from the future", newer, sizeof(newer));
    peer_flush();
    rig_send_numbers(application, 400, 800);
    run_stopping(application, is_stopped_and_done, 600);
    assert_string_equal(run.reason, wanted);
}

TEST(a_commit_note_of_a_newer_version_stops_its_partition_alone)
{
    VD_AUTO(mem) char *application = make_input();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *group = vd_format("%s.probe", application);
    VD_AUTO(mem)
    char *wanted = vd_format("%s[2]: offset 50: offset metadata: \"vd2\" is newer than \"vd1\": "
                             "run the same version on all nodes",
                             in);

    peer_commit(group, in, 2, 50, "vd2 from the future");
    run_stopping(application, is_stopped_and_done, 300);
    assert_string_equal(run.reason, wanted);
    assert_int_equal(probe.committed, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_partition_is_told_and_the_others_run_on),
        cmocka_unit_test(a_batch_answered_done_after_a_stop_does_not_count_and_the_stage_is_told),
        cmocka_unit_test(a_partition_stopped_at_its_assignment_is_ours_and_not_read),
        cmocka_unit_test(a_header_of_a_newer_version_stops_its_partition_alone),
        cmocka_unit_test(a_commit_note_of_a_newer_version_stops_its_partition_alone),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
