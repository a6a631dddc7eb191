/* The engine while the broker dies, is away and comes back. Needs a broker of its own, which
 * VOTINGD_TEST_LOCAL ("deploy/local --dir ...") kills and starts. */
#include "rig.h"

#include <unistd.h>

#define RECORDS 6000
#define OUTAGE_MS 11000
#define DRAIN_MS_MAX 15000 /* a transaction's own time, and a little */

static struct {
    enum { WORKING, AWAY, BACK } phase;
    pid_t starting;
    int64_t since_ms;
    bool was_refused;    /* not ready while the broker was away */
    uv_timer_t patience; /* with a drain that waits for the broker */
} scene;

static void open_slow(struct rig *rig, const char *application)
{
    rig_open_copy(rig, application, "main");
    probe.delay_ms = 2;
    rig->conf.batch.records = 50;
    rig->expected = RECORDS;
}

static void kill_broker(struct rig *rig)
{
    rig_local("kill kafka");
    scene.phase = AWAY;
    scene.since_ms = vd_loop_now_ms(&rig->loop);
}

/* Away for longer than a transaction may take. */
static bool is_done_after_an_outage(struct rig *rig)
{
    char reason[256];

    if (scene.phase == WORKING && probe.committed > RECORDS / 4) {
        kill_broker(rig);
    }
    if (scene.phase == AWAY && !vd_stage_is_ready(rig->stage, reason, sizeof(reason))) {
        scene.was_refused = true;
    }
    if (scene.phase == AWAY && vd_loop_now_ms(&rig->loop) - scene.since_ms > OUTAGE_MS) {
        scene.starting = rig_local_begin("start kafka");
        scene.phase = BACK;
    }
    return scene.phase == BACK && rig_has_all(rig);
}

TEST(work_goes_on_by_itself_after_the_broker_was_killed)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    rig_send_numbers(application, 0, RECORDS);
    open_slow(&rig, application);
    rig_run(&rig, is_done_after_an_outage);
    rig_local_wait(scene.starting);
    assert_true(scene.was_refused);
    rig_check_copies(application, RECORDS);
}

/* With two transactions in the hands of the producer. */
static bool is_away_at_work(struct rig *rig)
{
    if (scene.phase == WORKING && probe.committed > RECORDS / 4) {
        kill_broker(rig);
    }
    return scene.phase == AWAY && rig->stage->jobs > 0 &&
           vd_loop_now_ms(&rig->loop) - scene.since_ms > 500;
}

/* librdkafka's call to send offsets can block until a broker answers, whatever time-out it is given
 * (2.0.2); votingd then ends the process at drain_timeout_ms.
 * Here the broker comes back instead. */
static void on_patience_over(uv_timer_t *timer)
{
    scene.starting = rig_local_begin("start kafka");
    uv_close((uv_handle_t *)timer, NULL);
}

static bool is_away_at_work_then_back(struct rig *rig)
{
    if (!is_away_at_work(rig)) {
        return false;
    }
    uv_timer_init(&rig->loop.uv, &scene.patience);
    uv_timer_start(&scene.patience, on_patience_over, DRAIN_MS_MAX, 0);
    return true;
}

TEST(a_drain_ends_though_the_broker_died_in_a_transaction)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    rig_send_numbers(application, 0, RECORDS);
    open_slow(&rig, application);
    rig_run(&rig, is_away_at_work_then_back);
    assert_in_range(rig.drained_ms, 0, 2 * DRAIN_MS_MAX);
    rig_local_wait(scene.starting);
    open_slow(&rig, application);
    rig_run(&rig, rig_has_all);
    rig_check_copies(application, RECORDS);
}

static bool is_waiting(struct rig *rig)
{
    char text[256];

    return vd_txn_is_waiting(rig->stage->txn, text, sizeof(text));
}

TEST(a_drain_ends_while_the_producer_waits_for_the_broker)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    rig_local("kill kafka");
    open_slow(&rig, application);
    rig.has_own_topics = true; /* they were found before */
    rig_run(&rig, is_waiting);
    assert_in_range(rig.drained_ms, 0, DRAIN_MS_MAX);
    rig_local("start kafka");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_goes_on_by_itself_after_the_broker_was_killed),
        cmocka_unit_test(a_drain_ends_though_the_broker_died_in_a_transaction),
        cmocka_unit_test(a_drain_ends_while_the_producer_waits_for_the_broker),
    };

    if (peer_brokers() == NULL || !rig_has_local()) {
        fprintf(stderr, "skipped: KAFKA_BROKERS or VOTINGD_TEST_LOCAL is not set\n");
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
