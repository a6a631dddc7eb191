/* The voting stage's self-check in the real daemon: offsets moved by hand, a database put back to
 * an earlier state, the end of votes_topic cut off, and both. After each, table and topic say the
 * same, no voter stands twice and the chain of positions is unbroken. */
#include "../unit/test.h"

#include <endian.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "election.h"
#include "server_files.h"

#define KILLED (128 + SIGKILL)
#define PARTITIONS 4
#define WAIT_S 180
#define POSITION_OFFSET_AT 7 /* in the header vd-src */
#define POSITION_PREVIOUS_AT 15
#define ALARMS "votingd_self_check_alarms_total{stage=\"voting\",lost=\"%s\"}"

static struct scene {
    struct election election;
    char *voters, *votes, *group; /* topics, and the group of the voting stage */
} scenes[2], *scene;              /* the one that is looked at */

static void open_scene(size_t i, const char *stem)
{
    scene = &scenes[i];
    election_open(&scene->election, stem);
    scene->voters = election_topic(&scene->election, "voters_topic");
    scene->votes = election_topic(&scene->election, "votes_topic");
    scene->group = calloc(1, strlen(scene->election.name) + sizeof(".voting"));
    (void)sprintf(scene->group, "%s.voting", scene->election.name); /* fits */
}

static void close_scene(void)
{
    election_close(&scene->election);
    free(scene->voters);
    free(scene->votes);
    free(scene->group);
}

/* A node that makes voters and takes votes, and counts nothing: what aggregation makes of a topic
 * that loses its end is a test of its own. */
static void start_node(int voters, const char *more)
{
    char option[64];

    (void)snprintf(option, sizeof(option), "stage:generator.voters=%d", voters);
    election_start(&scene->election, 0, "--disable", "aggregation", "--disable", "dashboard",
                   "--set", option, more != NULL ? "--set" : NULL, more, NULL);
}

static int64_t count_rows(void)
{
    return election_count(&scene->election, "SELECT count(*) FROM votes");
}

static int64_t count_votes(void)
{
    struct peer_log log = peer_read(scene->votes, true);
    int64_t count = (int64_t)log.count;

    peer_log_free(&log);
    return count;
}

static void wait_rows(int64_t rows)
{
    ELECTION_AWAIT(&scene->election, count_rows() >= rows);
}

/* Until table and topic have so many votes, and all is committed:
 * then a stop leaves nothing open. */
static void wait_votes(int64_t votes)
{
    wait_rows(votes);
    ELECTION_AWAIT(&scene->election, count_votes() >= votes);
}

static int64_t number_at(const struct peer_record *record, size_t at)
{
    uint64_t big;

    memcpy(&big, record->source + at, sizeof(big));
    return (int64_t)be64toh(big);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void keep(void *key __attribute__((unused)))
{
}

/* Table and topic have the same votes, once each, in an unbroken chain. */
static void check_votes(int64_t votes)
{
    struct peer_log log = peer_read(scene->votes, true);
    int64_t last[PARTITIONS] = {-1, -1, -1, -1};
    void *seen = NULL;

    assert_int_equal(count_rows(), votes);
    assert_int_equal(log.count, votes);
    for (size_t i = 0; i < log.count; i++) {
        const struct peer_record *record = &log.records[i];

        assert_null(tfind(record->key, &seen, compare_keys));
        assert_non_null(tsearch(record->key, &seen, compare_keys));
        assert_int_equal(number_at(record, POSITION_PREVIOUS_AT), last[record->partition]);
        last[record->partition] = number_at(record, POSITION_OFFSET_AT);
    }
    tdestroy(seen, keep);
    peer_log_free(&log);
}

/* Offset behind the last voter of a partition that was voted on. */
static int64_t progress_of(int32_t partition)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT next_offset FROM vote_progress WHERE source_partition = %d", partition);
    return election_count(&scene->election, sql);
}

/* Voters of all partitions but one, and of that one below an offset. */
static int64_t count_voters_but(int32_t partition, int64_t below)
{
    struct peer_log log = peer_read(scene->voters, true);
    int64_t count = 0;

    for (size_t i = 0; i < log.count; i++) {
        count += log.records[i].partition != partition || log.records[i].offset < below;
    }
    peer_log_free(&log);
    return count;
}

static int alarms(const char *lost)
{
    char name[128];

    (void)snprintf(name, sizeof(name), ALARMS, lost);
    return (int)election_metric(&scene->election, 0, name);
}

static void stop_node(void)
{
    assert_int_equal(election_stop(&scene->election, 0, SIGTERM), 0);
}

/* All that was lost on the way is counted in the end: the aggregates agree with the table. */
static void check_count(int64_t votes)
{
    char option[64];

    (void)snprintf(option, sizeof(option), "stage:generator.voters=%lld", (long long)votes);
    election_start(&scene->election, 0, "--set", option, NULL);
    election_wait_counted(&scene->election, votes, WAIT_S);
    election_check(&scene->election, votes);
    stop_node();
}

/* ---- offsets moved by hand ------------------------------------------------------------------- */

/* Another node that was stopped in the middle of a unit: it holds the progress of partition 0. */
static PGconn *hold_progress(void)
{
    PGconn *other = PQconnectdb(scene->election.database);

    PQclear(PQexec(other, "SET application_name = 'votingd/stage.voting'"));
    assert_int_equal(PQenterPipelineMode(other), 1);
    assert_int_equal(PQsendQueryParams(other,
                                       "UPDATE vote_progress SET next_offset = next_offset WHERE "
                                       "source_partition = 0",
                                       0, NULL, NULL, NULL, NULL, 0),
                     1);
    assert_int_equal(PQsendFlushRequest(other), 1);
    assert_int_equal(PQflush(other), 0);
    return other;
}

static void move_offsets(void)
{
    char note[PEER_NOTE_BYTES];
    char *ballot;
    int64_t committed = peer_committed(scene->group, scene->voters, 1, note);
    char earlier[2 * PEER_NOTE_BYTES];

    ballot = strstr(note, " ballot=");
    assert_non_null(ballot);
    (void)snprintf(earlier, sizeof(earlier), "vd1 last=%lld%s", (long long)committed - 51, ballot);
    peer_commit(scene->group, scene->voters, 0, progress_of(0) - 50, NULL);
    peer_commit(scene->group, scene->voters, 1, committed - 50, earlier);
    peer_uncommit(scene->group, scene->voters, 2);
    peer_commit(scene->group, scene->voters, 3, progress_of(3) + 10, NULL);
}

TEST(offsets_moved_by_hand_neither_lose_nor_double_a_vote)
{
    PGconn *other;
    char *ready;

    open_scene(0, "offsets");
    start_node(1000, NULL);
    wait_votes(1000);
    stop_node();
    election_start(&scene->election, 0, "--disable", "aggregation", "--disable", "dashboard",
                   "--disable", "voting", "--set", "stage:generator.voters=1400", NULL);
    ELECTION_AWAIT(&scene->election,
                   election_count(&scene->election, "SELECT count(*) FROM voters") >= 1400);
    stop_node();
    move_offsets();
    other = hold_progress();
    start_node(1400, NULL);
    election_wait_log(&scene->election, 0, "the voters between would be left out", WAIT_S);
    election_wait_log(&scene->election, 0, "ended the PostgreSQL session of another node", WAIT_S);
    PQfinish(other);
    wait_votes(count_voters_but(3, progress_of(3)));
    assert_int_equal(alarms("offsets"), 3);
    assert_int_equal(alarms("votes") + alarms("rows"), 0);
    assert_int_equal(election_get(&scene->election, 0, "/readyz", &ready), 503);
    assert_non_null(strstr(ready, "was committed by another program, past offset"));
    free(ready);
    stop_node();
    peer_commit(scene->group, scene->voters, 3, progress_of(3), NULL);
    start_node(1400, NULL);
    wait_votes(1400);
    stop_node();
    check_votes(1400);
    check_count(1400);
    close_scene();
}

/* ---- what servers lose ----------------------------------------------------------------------- */

static void need_local(void)
{
    if (getenv("VOTINGD_TEST_LOCAL") == NULL) {
        skip();
    }
}

/* The database is an hour ago's, while the node runs and after it was killed. */
TEST(rows_that_postgres_lost_are_put_back_from_the_topic)
{
    need_local();
    open_scene(0, "rows");
    start_node(5000, "stage:generator.rate=600");
    wait_rows(500);
    server_keep_postgres(); /* a reconnect with nothing lost */
    wait_rows(1200);
    assert_int_equal(alarms("rows") + alarms("votes") + alarms("offsets"), 0);
    election_server("stop postgres");
    server_put_postgres_back();
    election_server("start postgres");
    election_wait_log(&scene->election, 0, "votes back into PostgreSQL", WAIT_S);
    assert_in_range(alarms("rows"), 1, PARTITIONS);
    wait_votes(5000);
    assert_int_equal(election_stop(&scene->election, 0, SIGKILL), KILLED);
    check_votes(5000);
    election_server("stop postgres");
    server_put_postgres_back();
    election_server("start postgres");
    start_node(5000, NULL);
    wait_rows(5000);
    assert_in_range(alarms("rows"), 1, PARTITIONS);
    assert_int_equal(alarms("votes") + alarms("offsets"), 0);
    stop_node();
    check_votes(5000);
    check_count(5000);
    server_drop_postgres_copy();
    close_scene();
}

/* Take 'voters' votes from where the election stands. */
static void vote_to(int voters)
{
    start_node(voters, NULL);
    wait_votes(voters);
    stop_node();
}

/* Two elections in one outage, since a restart of Kafka takes long. */
TEST(votes_that_the_topic_lost_are_emitted_again_with_or_without_their_rows)
{
    need_local();
    open_scene(0, "topic"); /* over when the database is copied */
    vote_to(1000);
    open_scene(1, "both");
    vote_to(1000);
    server_keep_postgres();
    vote_to(2000);
    election_server("stop");
    server_put_postgres_back();
    server_cut_topic(scenes[0].votes, 0, 60);
    server_cut_topic(scenes[0].votes, 3, 0);
    server_cut_topic(scenes[1].votes, 0, 90); /* ends behind the rows, */
    server_cut_topic(scenes[1].votes, 1, 20); /* and before their end */
    election_server("start");

    scene = &scenes[0];
    assert_in_range(count_votes(), 1, 999);
    start_node(1000, NULL);
    wait_votes(1000);
    assert_int_equal(alarms("votes"), 2);
    assert_int_equal(alarms("rows") + alarms("offsets"), 0);
    stop_node();
    check_votes(1000);
    check_count(1000);
    close_scene();

    scene = &scenes[1];
    start_node(2000, NULL);
    wait_votes(2000);
    assert_int_equal(alarms("votes"), 2);
    assert_int_equal(alarms("rows"), PARTITIONS);
    assert_int_equal(alarms("offsets"), 0);
    stop_node();
    check_votes(2000);
    check_count(2000);
    close_scene();
    server_drop_postgres_copy();
}

/* ---- what a person must mend ----------------------------------------------------------------- */

TEST(another_ballot_deleted_rows_and_offsets_past_the_end_stop_with_words)
{
    char *ready;

    open_scene(0, "misfits");
    start_node(1000, NULL);
    wait_votes(1000);
    stop_node();
    start_node(1000, "stage:voting.seed=7");
    election_wait_log(&scene->election, 0, "was committed under ballot", WAIT_S);
    stop_node();
    (void)election_count(&scene->election,
                         "DELETE FROM votes WHERE source_partition = 1 AND source_offset = 3");
    peer_commit(scene->group, scene->voters, 1, 0, NULL);
    peer_commit(scene->group, scene->voters, 2, 5000, NULL);
    start_node(1000, NULL);
    election_wait_log(&scene->election, 0, "partition 1: offset 3 had no row, though vote_progress",
                      WAIT_S);
    election_wait_log(
        &scene->election, 0,
        "partition 2: the committed offset is 5000, but the voters' partition ends at", WAIT_S);
    assert_int_equal(election_get(&scene->election, 0, "/readyz", &ready), 503);
    free(ready);
    assert_int_equal(count_votes(), 1000); /* nothing of it was emitted */
    stop_node();
    close_scene();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_moved_by_hand_neither_lose_nor_double_a_vote),
        cmocka_unit_test(rows_that_postgres_lost_are_put_back_from_the_topic),
        cmocka_unit_test(votes_that_the_topic_lost_are_emitted_again_with_or_without_their_rows),
        cmocka_unit_test(another_ballot_deleted_rows_and_offsets_past_the_end_stop_with_words),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
