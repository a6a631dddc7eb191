/* Fail points: what arms them, and what is said of what does not. */
#include "test.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failpoint.h"

static const char *const stages[] = {"voting", "aggregation"};

static enum vd_status arm(const char *text, struct vd_err *err)
{
    return vd_failpoints_arm(text, stages, 2, err);
}

TEST(a_point_nobody_armed_does_nothing)
{
    struct vd_log *log = vd_log_new("stage.voting");
    struct vd_err err = {0};

    assert_int_equal(arm(NULL, &err), VD_OK);
    assert_false(VD_FAILPOINT(log, txn_offsets));
    assert_int_equal(arm("aggregation.txn_offsets=skip;voting.txn_end=skip", &err), VD_OK);
    assert_false(VD_FAILPOINT(log, txn_offsets));
    vd_log_free(log);
}

TEST(a_step_is_left_out_every_time_or_only_the_nth)
{
    struct vd_log *log = vd_log_new("stage.voting");
    struct vd_err err = {0};

    assert_int_equal(arm("voting.txn_offsets=skip;voting.txn_end=skip@2", &err), VD_OK);
    for (int i = 1; i <= 3; i++) {
        bool is_flushed = false;

        assert_true(VD_FAILPOINT(log, txn_offsets));
        assert_int_equal(VD_FAILPOINT_AFTER(log, txn_end, is_flushed = true), i == 2);
        assert_int_equal(is_flushed, i == 2);
    }
    vd_log_free(log);
}

TEST(a_kill_is_one_and_a_stop_can_be_continued)
{
    struct vd_log *log = vd_log_new("stage.voting");
    struct vd_err err = {0};
    int status;
    pid_t child;

    assert_int_equal(arm("voting.polled=stop@2;voting.committed=kill", &err), VD_OK);
    child = fork();
    if (child == 0) {
        vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT);
        (void)VD_FAILPOINT(log, polled);
        (void)VD_FAILPOINT(log, polled);
        (void)VD_FAILPOINT(log, committed);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    vd_log_free(log);
}

TEST(what_stands_behind_counts_once_that_before_it_has_acted)
{
    struct vd_log *log = vd_log_new("stage.voting");
    struct vd_err err = {0};

    assert_int_equal(arm("voting.txn_end=skip@2>voting.txn_offsets=skip@2", &err), VD_OK);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(VD_FAILPOINT(log, txn_offsets), i == 4);
        assert_int_equal(VD_FAILPOINT(log, txn_end), i == 2);
    }
    vd_log_free(log);
}

TEST(what_cannot_be_armed_is_told_with_all_there_is)
{
    static const struct {
        const char *text, *entry, *what;
    } cases[] = {
        {"voting.polled", "voting.polled", "not understood"},
        {"voting.polled=kill@", "voting.polled=kill@", "not understood"},
        {"voting.polled=kill@0", "voting.polled=kill@0", "not understood"},
        {"voting.polled=kill@2x", "voting.polled=kill@2x", "not understood"},
        {"polled=kill", "polled=kill", "not understood"},
        {"voting.polled=kill;voter.polled=kill", "voter.polled=kill", "no such stage runs here"},
        {"voting.pooled=kill", "voting.pooled=kill", "no such point or action"},
        {"voting.polled=jump", "voting.polled=jump", "no such point or action"},
        {"voting.polled=skip", "voting.polled=skip", "this step cannot be left out"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};
        char expected[512];

        (void)snprintf(
            expected, sizeof(expected),
            "VOTINGD_FAILPOINTS, \"%s\": %s; it is STAGE.POINT=ACTION[@N], with the actions kill "
            "stop skip and the points polled pg_sync pg_sent pg_answered txn_begun txn_some "
            "txn_offsets txn_end txn_end_sent txn_answered txn_doubt committed publish",
            cases[i].entry, cases[i].what);
        assert_int_equal(arm(cases[i].text, &err), VD_INVALID);
        assert_string_equal(err.msg, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_nobody_armed_does_nothing),
        cmocka_unit_test(a_step_is_left_out_every_time_or_only_the_nth),
        cmocka_unit_test(a_kill_is_one_and_a_stop_can_be_continued),
        cmocka_unit_test(what_stands_behind_counts_once_that_before_it_has_acted),
        cmocka_unit_test(what_cannot_be_armed_is_told_with_all_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
