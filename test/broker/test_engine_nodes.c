/* The engine against a real broker: nodes that share the partitions, come, go, die and sleep. */
#include "rig.h"

#include <signal.h>
#include <unistd.h>

#define RECORDS 5000
#define SLEEP_MS 15000 /* longer than session and transaction time-outs */

static struct {
    struct rig_node other;
    enum { SHARING, WAITING, SLEEPING, AWAKE, ALONE } phase;
    int64_t since_ms;
    size_t other_before;
} scene;

static void open_slow(struct rig *rig, const char *application)
{
    rig_open_copy(rig, application, "main");
    probe.delay_ms = 5;
    rig->conf.batch.records = 20;
    rig->conf.buffer.records = 200; /* paused most of the time, also when partitions go */
    rig->expected = RECORDS;
}

static void set_phase(struct rig *rig, int phase)
{
    scene.phase = phase;
    scene.since_ms = vd_loop_now_ms(&rig->loop);
}

/* Both nodes work on partitions of their own. */
static bool is_shared(struct rig *rig)
{
    if (rig->stage->part_count != RIG_PARTITIONS / 2) {
        probe.committed = 0;
        scene.other_before = rig_node_committed(&scene.other);
        return false;
    }
    return probe.committed > 200 && rig_node_committed(&scene.other) > scene.other_before;
}

static bool is_done_after_a_kill(struct rig *rig)
{
    if (scene.phase == SHARING && is_shared(rig)) {
        rig_node_end(&scene.other, SIGKILL);
        set_phase(rig, ALONE);
    }
    return scene.phase == ALONE && rig_has_all(rig);
}

TEST(what_a_killed_node_left_is_finished_by_the_other)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    rig_send_numbers(application, 0, RECORDS);
    rig_node_start(&scene.other, application, "other", 100);
    rig_node_wait_commit(&scene.other);
    open_slow(&rig, application);
    rig_run(&rig, is_done_after_a_kill);
    assert_in_range(probe.revoked, RIG_PARTITIONS / 2, 3 * RIG_PARTITIONS);
    rig_check_copies(application, RECORDS);
}

static bool is_done_after_a_sleep(struct rig *rig)
{
    int64_t passed_ms = vd_loop_now_ms(&rig->loop) - scene.since_ms;

    if (scene.phase == SHARING && is_shared(rig)) {
        assert_int_equal(kill(scene.other.pid, SIGSTOP), 0);
        set_phase(rig, SLEEPING);
    } else if (scene.phase == SLEEPING && passed_ms > SLEEP_MS) {
        assert_int_equal(kill(scene.other.pid, SIGCONT), 0);
        rig_send_numbers(rig->host.application, RECORDS, 2 * RECORDS);
        rig->expected = (size_t)2 * RECORDS;
        set_phase(rig, AWAKE);
    } else if (scene.phase == AWAKE && is_shared(rig)) {
        assert_int_equal(rig_node_end(&scene.other, SIGTERM), 0);
        set_phase(rig, ALONE);
    }
    return scene.phase == ALONE && rig_has_all(rig);
}

TEST(a_node_that_slept_past_every_timeout_does_no_harm)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    rig_send_numbers(application, 0, RECORDS);
    rig_node_start(&scene.other, application, "other", 100);
    rig_node_wait_commit(&scene.other);
    open_slow(&rig, application);
    rig_run(&rig, is_done_after_a_sleep);
    rig_check_copies(application, (size_t)2 * RECORDS);
}

/* ---- a takeover that nobody wants any more --------------------------------------------------- */

/* While a takeover of all partitions waits for a transaction in one of them, another node joins and
 * is given that one: its name comes first. */
static bool is_rest_taken_over(struct rig *rig)
{
    const struct vd_stage *stage = rig->stage;
    char text[VD_ERR_MSG_BYTES];

    if (scene.phase == SHARING && stage->txn != NULL &&
        vd_txn_is_waiting(stage->txn, text, sizeof(text)) && strstr(text, "settled") != NULL) {
        assert_int_equal(stage->part_count, 0);
        rig_node_start(&scene.other, rig->host.application, "a", 0);
        set_phase(rig, WAITING);
    }
    return scene.phase == WAITING && stage->part_count == RIG_PARTITIONS / 2 &&
           vd_stage_is_ready(stage, text, sizeof(text));
}

TEST(a_takeover_that_nobody_wants_any_more_is_given_up)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct peer_transaction *open = peer_transaction_open(out, 0, 1);
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    open_slow(&rig, application);
    rig_run(&rig, is_rest_taken_over);
    assert_int_equal(probe.assigned, RIG_PARTITIONS / 2); /* was never asked about the others */
    peer_transaction_abort(open);                         /* would fail if it had timed out */
    assert_int_equal(rig_node_end(&scene.other, SIGTERM), 0);
}

/* ---- a stage that is halted ----------------------------------------------------------------- */

static void assign_halting(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    probe.assigned++;
    vd_stage_halt(stage, "this partition is not to be read");
}

static const struct vd_stage_desc halting_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "halts when it is given a partition",
    .inputs = (const struct vd_port[]){{.name = "in"}, VD_PORT_END},
    .assign = assign_halting,
};

static bool is_other_at_work(struct rig *rig)
{
    if (scene.phase == SHARING && rig->stage->life == VD_LIFE_HALTED) {
        rig_node_start(&scene.other, rig->host.application, "other", 20);
        set_phase(rig, WAITING);
    }
    assert_true(scene.phase == SHARING || vd_loop_now_ms(&rig->loop) - scene.since_ms < 60000);
    return scene.phase == WAITING && rig_node_committed(&scene.other) > 0;
}

TEST(a_halted_stage_does_not_hold_up_the_group)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    rig_send_numbers(application, 0, 400);
    rig_open(&rig, application, "main", &halting_desc);
    rig.inputs[0] = rig_topic(&rig, in, RIG_PARTITIONS);
    rig_run(&rig, is_other_at_work);
    assert_int_equal(probe.assigned, 1); /* the others are not asked any more */
    assert_int_equal(rig_node_end(&scene.other, SIGTERM), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_node_left_is_finished_by_the_other),
        cmocka_unit_test(a_node_that_slept_past_every_timeout_does_no_harm),
        cmocka_unit_test(a_takeover_that_nobody_wants_any_more_is_given_up),
        cmocka_unit_test(a_halted_stage_does_not_hold_up_the_group),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    rig_be_node(argc, argv);
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
