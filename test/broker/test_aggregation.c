/* The aggregation alone in the real daemon: the test writes the votes, so it can leave some out,
 * and writes over what was counted. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../wait.h"
#include "count.h"

#define LATENESS_S 60

TEST(totals_and_watermark_outlive_a_kill)
{
    struct count count;

    count_open(&count, "takeover");
    count_start_ready(&count);
    count_send_all(&count, 400);
    count_send(&count, 0, 500);
    count_send(&count, 1, 3600LL * 24 * 365 * 100); /* a clock that is wrong by a century */
    peer_flush();
    count_wait_metric(&count, "votes_counted_total", 402);
    count_wait_metric(&count, "watermark_seconds", COUNT_NOON_S - LATENESS_S);
    assert_true(count_metric(&count, "votes_future_total") == 1);
    assert_true(count_metric(&count, "watermark_lag_seconds") > 0);
    count_send(&count, 2, 300); /* it is 3 that holds the watermark now */
    peer_flush();
    count_wait_metric(&count, "votes_counted_total", 403);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);

    count_start(&count, NULL, NULL);
    count_wait_metric(&count, "watermark_seconds", COUNT_NOON_S - LATENESS_S);
    count_send(&count, 3, 200);
    count_send(&count, 3, 100); /* late, which moves nothing back */
    peer_flush();
    count_wait_metric(&count, "watermark_seconds", COUNT_NOON_S + 200 - LATENESS_S);
    count_wait_published(&count, count.voters);
    assert_true(count_metric(&count, "recounts_total") == 0);
    count_stop_and_close(&count);
}

/* Does the last META of every partition say that it is idle? */
static bool are_idle(const struct peer_log *log)
{
    enum { IDLE_BYTE = 35 };
    unsigned idle = 0;

    for (size_t i = 0; i < log->count; i++) {
        const struct peer_record *record = &log->records[i];
        unsigned bit = 1U << record->partition;

        if (count_is_meta(record)) {
            idle = record->value[IDLE_BYTE] != 0 ? idle | bit : idle & ~bit;
        }
    }
    return idle == (1U << COUNT_PARTITIONS) - 1;
}

static bool is_all_idle(struct count *count)
{
    struct peer_log log = peer_read(count->partials, true);
    bool is_idle = are_idle(&log);

    peer_log_free(&log);
    return is_idle;
}

static void wait_idle(struct count *count)
{
    ELECTION_AWAIT(&count->election, is_all_idle(count));
}

TEST(a_partition_without_votes_leaves_the_watermark_and_says_so_once)
{
    struct count count;
    struct peer_log before, after;

    count_open(&count, "idle");
    count_start(&count, "idle_timeout_ms=700", NULL);
    count_wait_ready(&count);
    wait_idle(&count); /* before the first vote */
    for (int32_t p = 0; p < 3; p++) {
        count_send(&count, p, 1000);
    }
    peer_flush();
    count_wait_metric(&count, "watermark_seconds",
                      COUNT_NOON_S + 1000 - LATENESS_S); /* 3 never had one */
    count_send(&count, 3, 100);
    peer_flush();
    count_wait_metric(&count, "votes_counted_total", 4);
    wait_idle(&count);
    before = peer_read(count.partials, true);
    pause_ms(1000);
    after = peer_read(count.partials, true);
    assert_int_equal(before.count, after.count);
    assert_true(count_metric(&count, "watermark_seconds") == COUNT_NOON_S + 1000 - LATENESS_S);
    peer_log_free(&before);
    peer_log_free(&after);
    count_stop_and_close(&count);
}

/* The engine sets it aside: nothing of it comes to the stage. */
TEST(a_letter_at_the_end_of_its_partition_is_written_once)
{
    struct count count;
    struct peer_log letters;
    char *dead = NULL;
    char *log = NULL;

    count_open(&count, "last");
    count_start_ready(&count);
    count_send_all(&count, 20);
    count_wait_published(&count, 20);
    count_send_with(&count, 0, 100, "vd-src", "\x01");
    peer_flush();
    count_wait_metric(&count, "dead_letters_total", 1);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);
    count_start_ready(&count);
    count_send_all(&count, 20);
    count_wait_published(&count, 40);
    log = election_log(&count.election, 0);
    assert_null(strstr(log, "the partials stand at offset"));
    dead = election_topic(&count.election, "votes_dead");
    letters = peer_read(dead, true);
    assert_int_equal(letters.count, 1);
    peer_log_free(&letters);
    free(dead);
    free(log);
    count_stop_and_close(&count);
}

/* The oldest records of partition 0's totals and META, over the newest. */
static void write_over(struct count *count, bool is_meta_only)
{
    struct peer_log log = peer_read(count->partials, true);
    bool has_total = is_meta_only;
    bool has_meta = false;

    for (size_t i = 0; i < log.count && log.records[i].partition == 0; i++) {
        bool *has = count_is_meta(&log.records[i]) ? &has_meta : &has_total;

        if (!*has) {
            peer_send_record(count->partials, &log.records[i]);
            *has = true;
        }
    }
    assert_true(has_meta && has_total);
    peer_flush();
    peer_log_free(&log);
}

TEST(partials_that_were_written_over_are_written_again)
{
    struct count count;

    count_open(&count, "echo");
    count_start_ready(&count);
    for (int i = 0; i < 5; i++) {
        count_send_all(&count, 40);
        count_wait_metric(&count, "votes_counted_total", 40 * (i + 1));
    }
    write_over(&count, false); /* the commit number goes back, and does not come again */
    count_wait_metric(&count, "partials_overdue_total", 1);
    count_wait_metric(&count, "producer_recycled_total", 1);
    count_send_all(&count, 40);
    count_wait_published(&count, 240);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);
    count_start_ready(&count); /* what is there now fits */
    assert_true(count_metric(&count, "recounts_total") == 0);
    assert_true(count_metric(&count, "partials_overdue_total") == 0);
    count_send_all(&count, 40);
    count_wait_published(&count, 280);
    count_stop_and_close(&count);
}

TEST(sums_that_do_not_fit_at_a_takeover_are_counted_anew)
{
    struct count count;

    count_open(&count, "sums");
    count_start_ready(&count);
    for (int i = 0; i < 3; i++) {
        count_send_all(&count, 40);
        count_wait_metric(&count, "votes_counted_total", 40 * (i + 1));
    }
    count_wait_published(&count, 120);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    write_over(&count, true);
    count_start(&count, NULL, NULL);
    election_wait_log(&count.election, 0, "partition 0: 10 votes up to offset 10, but the totals",
                      60);
    election_wait_log(&count.election, 0, "partition 0: counted anew up to offset 30", 60);
    count_send_all(&count, 40);
    count_wait_published(&count, 160);
    assert_true(count_metric(&count, "recounts_total") == 1);
    count_stop_and_close(&count);
}

TEST(a_clean_stop_publishes_the_last_totals)
{
    struct count count;

    count_open(&count, "clean");
    count_start(&count, "publish_ms=5000", NULL);
    count_wait_ready(&count);
    count_send_all(&count, 400);
    count_wait_metric(&count, "votes_counted_total", 400);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    assert_int_equal(count_published(&count), 400);
    count_close(&count);
}

TEST(positions_of_other_versions_generations_and_partitions_are_told_apart)
{
    struct count count;
    const struct count_source newer = {.version = 2, .partition = 0};
    const struct count_source foreign = {
        .version = 1, .partition = 2, .offset = 100, .previous = 99};
    const struct count_source raised = {
        .version = 1, .generation = 1, .partition = 2, .previous = -1};
    const struct count_source over = {.version = 1, .partition = 2, .offset = 11, .previous = 10};

    count_open(&count, "versions");
    count_start_ready(&count);
    count_send_all(&count, 40);
    count_send_from(&count, 2, 0, &raised);
    count_send_from(&count, 2, 0, &over); /* its generation is over */
    peer_flush();
    count_wait_published(&count, 41);
    election_wait_log(&count.election, 0, "generation 0 of the voters is over; dropped", 60);
    assert_true(election_metric(&count.election, 0,
                                "votingd_votes_dropped_total{stage=\"aggregation\",reason="
                                "\"generation\"}") == 1);
    count_wait_ready(&count);
    count_send_from(&count, 0, 0, &newer);
    peer_flush();
    count_wait_trouble(&count,
                       "[0] offset 10: header \\\"vd-src\\\": version 2 is newer than 1: run the "
                       "same version on all nodes");
    count_send_from(&count, 1, 0, &foreign);
    peer_flush();
    election_wait_log(&count.election, 0,
                      "[1] offset 10: the vote of a voter in partition 2: both topics must have "
                      "the same number of partitions, for good",
                      60);
    count_send(&count, 3, 0); /* runs on */
    peer_flush();
    count_wait_published(&count, 42);
    count_stop_and_close(&count);
}

/* What only a newer version can have written, in place of partition 1's META. */
static void send_newer_meta(struct count *count)
{
    struct peer_log log = peer_read(count->partials, true);
    bool is_sent = false;

    for (size_t i = 0; i < log.count && !is_sent; i++) {
        if (log.records[i].partition == 1 && count_is_meta(&log.records[i])) {
            log.records[i].value[0] = 9;
            peer_send_record(count->partials, &log.records[i]);
            is_sent = true;
        }
    }
    assert_true(is_sent);
    peer_flush();
    peer_log_free(&log);
}

static bool is_told(struct count *count, int node, const char *words)
{
    char *log = election_log(&count->election, node);
    bool is_there = strstr(log, words) != NULL;

    free(log);
    return is_there;
}

/* Whether one of two nodes says so; else it is given another such record. */
static bool is_told_of_another(struct count *count, const char *words)
{
    if (is_told(count, 0, words) || is_told(count, 1, words)) {
        return true;
    }
    send_newer_meta(count);
    return false;
}

TEST(a_newer_versions_meta_stops_its_partition_and_no_other)
{
    const char *words = "meta: version 9 was written by a newer votingd: run the same version";
    struct count count;

    count_open(&count, "newer");
    count_start_ready(&count);
    count_send_all(&count, 20);
    count_wait_published(&count, 20);
    send_newer_meta(&count);
    count_wait_trouble(&count, words);
    count_send_all(&count, 4);
    count_wait_published(&count, 23);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    count_start(&count, NULL, NULL);
    count_wait_trouble(&count, words);
    count_send_all(&count, 4);
    count_wait_published(&count, 26);

    /* Who does not own the partition says so, too: of two nodes one does not. */
    words = "on all nodes; its owner does not count the partition";
    election_start(&count.election, 1, "--set", "stage:generator.enabled=no", "--set",
                   "stage:voting.enabled=no", "--set", "stage:dashboard.enabled=no", NULL);
    ELECTION_AWAIT(&count.election, is_told_of_another(&count, words));
    assert_int_equal(election_stop(&count.election, 1, SIGKILL), 128 + SIGKILL);
    count_stop_and_close(&count);
}

int main(int argc, char **argv) /* a pattern of the tests to run */
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_and_watermark_outlive_a_kill),
        cmocka_unit_test(a_partition_without_votes_leaves_the_watermark_and_says_so_once),
        cmocka_unit_test(a_letter_at_the_end_of_its_partition_is_written_once),
        cmocka_unit_test(partials_that_were_written_over_are_written_again),
        cmocka_unit_test(sums_that_do_not_fit_at_a_takeover_are_counted_anew),
        cmocka_unit_test(a_clean_stop_publishes_the_last_totals),
        cmocka_unit_test(a_newer_versions_meta_stops_its_partition_and_no_other),
        cmocka_unit_test(positions_of_other_versions_generations_and_partitions_are_told_apart),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
