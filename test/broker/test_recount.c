/* The aggregation counts a partition anew: after a gap, on demand, and for the sake of replays. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../wait.h"
#include "count.h"

#define SEQUENCE_STEP (1LL << 40)
#define MOVING 6 /* exit code of an audit */

TEST(a_gap_stops_its_partition_and_a_recount_mends_it)
{
    struct count count;

    count_open(&count, "gap");
    count_start_ready(&count);
    count_send_all(&count, 20);
    for (int i = 0; i < 3; i++) { /* so that the topic is longer than its votes */
        count_send_from(&count, 1, 0,
                        &(struct count_source){.version = 1, .partition = 1, .previous = -1});
    }
    peer_flush();
    count_wait_published(&count, 20);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    /* The topic is lost and repaired. Partition 1 now has nine votes where there were eight
     * records: three that were not counted stand where five others were. */
    peer_recreate(count.votes, COUNT_PARTITIONS);
    memset(count.next, 0, sizeof(count.next));
    count.voters = 0;
    count_send_all(&count, 20);
    for (int i = 0; i < 4; i++) {
        count_send(&count, 1, 0);
    }
    peer_flush();
    count_start(&count, NULL, NULL);
    count_wait_trouble(&count,
                       "[1] offset 8: comes from source offset 8 (generation 0), after 7, but the "
                       "vote counted last is from 4 (generation 0): votes between them are "
                       "missing; when they were emitted again, start this node with "
                       "\\\"rebuild = 1:1\\\" in [stage:aggregation]");
    for (int i = 0; i < 4; i++) {
        count_send(&count, i == 1 ? 0 : i, 0); /* the others run on */
    }
    peer_flush();
    count_wait_published(&count, 24);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    count_start(&count, "rebuild=1:1", NULL);
    count_wait_published(&count, 28);
    count_wait_ready(&count);
    assert_true(count_metric(&count, "recounts_total") == 1);
    count_send_all(&count, 40);
    count_wait_published(&count, 68);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    count_start(&count, "rebuild=1:1", NULL); /* done is done */
    count_wait_ready(&count);
    assert_true(count_metric(&count, "recounts_total") == 0);
    assert_int_equal(count_published(&count), 68);
    count_stop_and_close(&count);
}

TEST(a_recount_needs_the_whole_topic_and_says_so)
{
    struct count count;

    count_open(&count, "whole");
    count_start_ready(&count);
    count_send_all(&count, 40);
    count_wait_published(&count, 40);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    peer_recreate(count.votes, COUNT_PARTITIONS);
    memset(count.next, 0, sizeof(count.next));
    count_send_all(&count, 20);
    count_start(&count, NULL, NULL);
    count_wait_trouble(&count,
                       "[0]: was counted up to offset 10, but goes from 0 to 5: it was truncated "
                       "or recreated; when its votes were emitted again, start this node with "
                       "\\\"rebuild = 0:1\\\" in [stage:aggregation]");
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    count_send_all(&count, 40);
    count_start(&count, "rebuild=1", NULL);
    count_wait_published(&count, 60);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    peer_delete_before(count.votes, 2, 1);
    count_start(&count, "rebuild=2:2", NULL);
    count_wait_trouble(&count,
                       "[2]: cannot be counted anew: it begins at offset 1, the votes before that "
                       "are gone; bring them back, and keep retention_ms = -1");
    count_send(&count, 1, 0);
    peer_flush();
    count_wait_published(&count, 61); /* nothing that was counted is lost */
    count_stop_and_close(&count);
}

/* What the public ever saw of a key only rose. */
static void check_public_history(struct count *count, int64_t sequence_min)
{
    char *topic = election_topic(&count->election, "aggregated_votes_per_candidate");
    struct peer_log log = peer_read(topic, true);
    double last[3] = {0}, sequences[3] = {0};

    for (size_t i = 0; i < log.count; i++) {
        cJSON *total = cJSON_Parse(log.records[i].value);
        double votes = cJSON_GetObjectItem(total, "total_votes")->valuedouble;
        int key = log.records[i].key[1] - '0';

        assert_in_range(key, 0, 2);
        assert_true(votes >= last[key]);
        last[key] = votes;
        sequences[key] = cJSON_GetObjectItem(total, "sequence")->valuedouble;
        cJSON_Delete(total);
    }
    for (int key = 0; key < 3; key++) {
        assert_true(sequences[key] >= (double)sequence_min);
    }
    peer_log_free(&log);
    free(topic);
}

TEST(a_recount_killed_in_the_middle_counts_once_and_shows_nothing_before_its_end)
{
    struct count count;
    char *log;

    count_open(&count, "recount");
    count_start_ready(&count);
    count_send_all(&count, 20000);
    count_wait_published(&count, 20000);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    count_start(&count, "rebuild=1", "batch.records=2"); /* so that it takes long */
    election_wait_log(&count.election, 0, "counting all votes anew, 5000 counted before", 60);
    count_wait_ready(&count);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);
    log = election_log(&count.election, 0);
    assert_null(strstr(log, "counted anew up to"));
    free(log);
    assert_int_equal(count_published(&count), 20000);

    count_start(&count, "rebuild=1", NULL);
    for (int i = 0; i < COUNT_PARTITIONS; i++) {
        char words[64];

        (void)snprintf(words, sizeof(words), "partition %d: counted anew up to offset 5000", i);
        election_wait_log(&count.election, 0, words, 60);
    }
    count_send_all(&count, 400);
    count_wait_published(&count, 20400);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    check_public_history(&count, 4 * SEQUENCE_STEP); /* the rebuild numbers' sum */
    count_close(&count);
}

/* The vote at offset 0 stands for one that an older version had set aside: it is good now. */
TEST(a_recount_counts_replayed_votes_once_and_sets_nothing_aside_again)
{
    struct count count;

    count_open(&count, "replays");
    count_start_ready(&count);
    count_send_all(&count, 20);
    count_send_with(&count, 0, 100, "vd-src", "\x01"); /* at offset 5 */
    peer_send(count.votes, 0, "k", "no vote");
    count_send_with(&count, 0, 100, "vd-replay", "aggregation 5");
    count_send_with(&count, 0, 0, "vd-replay", "aggregation 0");
    count_send_with(&count, 0, 0, "vd-replay", "enriched 0");
    peer_flush();
    count_wait_published(&count, 22);
    assert_true(count_metric(&count, "dead_letters_total") == 2);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    count_start(&count, "rebuild=1", NULL);
    count_wait_published(&count, 21);
    election_wait_log(&count.election, 0, "counted anew up to offset 10: 6 votes", 60);
    count_send_with(&count, 0, 101, "vd-src", "\x01"); /* its letter is the only one this time */
    count_send_all(&count, 20);
    count_wait_published(&count, 41);
    assert_true(count_metric(&count, "dead_letters_total") == 1);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    /* After a restart only another recount can say what the first one counted. */
    count_start(&count, "rebuild=1", NULL);
    count_send_with(&count, 0, 0, "vd-replay", "aggregation 0");
    count_send_with(&count, 0, 102, "vd-replay", "aggregation 10"); /* of the letter behind it */
    peer_flush();
    election_wait_log(&count.election, 0, "repeats offset 0, which a recount may have counted", 60);
    count_wait_published(&count, 42);
    count_wait_ready(&count);
    count_send_with(&count, 0, 0, "vd-replay", "aggregation 0");
    count_send_all(&count, 4);
    count_wait_published(&count, 46);
    assert_true(count_metric(&count, "recounts_total") == 1);
    assert_true(count_metric(&count, "dead_letters_total") == 0);
    count_stop_and_close(&count);
}

/* Each of the two begins all takeovers again while the other's recount is under way. */
TEST(replays_in_two_partitions_at_once_are_counted_in_both)
{
    struct count count;

    count_open(&count, "both");
    count_start_ready(&count);
    count_send_all(&count, 400);
    for (int32_t partition = 0; partition < 2; partition++) {
        peer_send(count.votes, partition, "k", "no vote"); /* at offset 100 */
    }
    peer_flush();
    count_wait_published(&count, 400);
    count_wait_metric(&count, "dead_letters_total", 2);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    count_start(&count, "rebuild=1", NULL);
    for (int32_t partition = 0; partition < 2; partition++) {
        char words[64];

        (void)snprintf(words, sizeof(words), "partition %d: counted anew up to offset 101",
                       partition);
        election_wait_log(&count.election, 0, words, 60);
    }
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    for (int32_t partition = 0; partition < 2; partition++) {
        count_send_with(&count, partition, 1000, "vd-replay", "aggregation 100");
    }
    peer_flush();
    count_start(&count, NULL, "batch.records=2"); /* so that no recount ends in one batch */
    count_wait_published(&count, 402);
    assert_true(count_metric(&count, "recounts_total") >= 2);
    count_stop_and_close(&count);
}

/* Markers of the last transaction may come to a topic while it is read. */
static void expect_audit(const struct count *count, const char *words)
{
    const time_t deadline_s = time(NULL) + 60;
    static char output[16384];
    int code = MOVING;

    while (code == MOVING && time(NULL) < deadline_s) {
        code = election_audit(&count->election,
                              "--disable generator --disable voting --disable dashboard", output,
                              sizeof(output));
    }
    if (code != 0 || strstr(output, words) == NULL) {
        fail_msg("--audit ends with %d; wanted: %s\n%s", code, words, output);
    }
}

/* An older version could not read the vote at offset 5 of partition 0. */
TEST(an_audit_waits_for_the_replay_of_a_vote_that_can_be_read_by_now)
{
    struct count count;

    count_open(&count, "readable");
    count_start_ready(&count);
    count_send_all(&count, 20);
    peer_send(count.votes, 0, "k", "no vote");
    peer_flush();
    count_wait_published(&count, 20);
    count_wait_metric(&count, "dead_letters_total", 1);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    peer_recreate(count.votes, COUNT_PARTITIONS);
    memset(count.next, 0, sizeof(count.next));
    count_send_all(&count, 20);
    count_send_with(&count, 0, 100, "traceparent", "00-4bf9-01");
    count_start(&count, NULL, NULL);
    count_send_all(&count, 4); /* the offsets went with the topic: they are committed anew */
    count_wait_published(&count, 24);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    expect_audit(&count, "  note     1 votes were set aside as dead letters\n");
    count_start(&count, "rebuild=1", NULL); /* where it stands: it needs no replay then */
    count_wait_published(&count, 25);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    expect_audit(&count, "invariants hold\n");
    count_close(&count);
}

int main(int argc, char **argv) /* a pattern of the tests to run */
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_stops_its_partition_and_a_recount_mends_it),
        cmocka_unit_test(a_recount_needs_the_whole_topic_and_says_so),
        cmocka_unit_test(
            a_recount_killed_in_the_middle_counts_once_and_shows_nothing_before_its_end),
        cmocka_unit_test(a_recount_counts_replayed_votes_once_and_sets_nothing_aside_again),
        cmocka_unit_test(replays_in_two_partitions_at_once_are_counted_in_both),
        cmocka_unit_test(an_audit_waits_for_the_replay_of_a_vote_that_can_be_read_by_now),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
