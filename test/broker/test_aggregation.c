/* The aggregation alone in the real daemon: the test writes the votes, so it can leave some out,
 * and writes over what was counted. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../wait.h"
#include "election.h"

#define PARTITIONS 4
#define SEQUENCE_STEP (1LL << 40)
#define NOON_S 1730808000 /* 2024-11-05 12:00:00 UTC, the time of a vote at second 0 */
#define LATENESS_S 60

struct count {
    struct election election;
    char *votes, *partials;
    int64_t next[PARTITIONS]; /* source offset of the next vote */
    int64_t voters;
};

static void open_count(struct count *count, const char *stem)
{
    memset(count, 0, sizeof(*count));
    election_open(&count->election, stem);
    count->votes = election_topic(&count->election, "votes_topic");
    count->partials = election_topic(&count->election, "agg_partials");
}

static void close_count(struct count *count)
{
    election_close(&count->election);
    free(count->votes);
    free(count->partials);
}

/* Start the node with up to two more settings of the aggregation; NULL: none. */
static void start(struct count *count, const char *one, const char *other)
{
    char text[2][128];

    (void)snprintf(text[0], sizeof(text[0]), "stage:aggregation.%s",
                   one != NULL ? one : "publish_ms=100");
    (void)snprintf(text[1], sizeof(text[1]), "stage:aggregation.%s",
                   other != NULL ? other : "batch.wait_ms=20");
    election_start(&count->election, 0, "--set", "stage:generator.enabled=no", "--set",
                   "stage:voting.enabled=no", "--set", "stage:dashboard.enabled=no", "--set",
                   text[0], "--set", text[1], NULL);
}

static double metric(struct count *count, const char *name)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "votingd_%s{stage=\"aggregation\"}", name);
    return election_metric(&count->election, 0, text);
}

static void wait_metric(struct count *count, const char *name, double wanted)
{
    for (int i = 0; metric(count, name) != wanted; i++) {

        if (i == 1200) {
            char *log = election_log(&count->election, 0);

            (void)fputs(log, stderr);
            fail_msg("%s is %f, not %f", name, metric(count, name), wanted);
        }
        pause_ms(50);
    }
}

static int64_t published(struct count *count)
{
    return election_sum(&count->election, "aggregated_votes_per_candidate", "total_votes");
}

static void wait_published(struct count *count, int64_t votes)
{
    while (published(count) != votes ||
           election_sum(&count->election, "aggregated_votes_by_region", "total_votes") != votes) {
    }
}

static void wait_ready(struct count *count)
{
    while (election_get(&count->election, 0, "/readyz", NULL) != 200) {
    }
}

static void start_ready(struct count *count)
{
    start(count, NULL, NULL);
    wait_ready(count);
}

static void stop_and_close(struct count *count)
{
    assert_int_equal(election_stop(&count->election, 0, SIGTERM), 0);
    close_count(count);
}

/* /readyz says 503, and why. */
static void wait_trouble(struct count *count, const char *words)
{
    bool is_there = false;

    while (!is_there) {
        char *body = NULL;

        is_there = election_get(&count->election, 0, "/readyz", &body) == 503 &&
                   strstr(body, words) != NULL;
        free(body);
    }
}

/* ---- votes ---------------------------------------------------------------------------------- */

struct source {
    uint8_t version;
    int16_t generation;
    int32_t partition;
    int64_t offset, previous;
};

static void put_be(uint8_t *bytes, uint64_t value, size_t count)
{
    for (size_t i = count; i > 0; i--, value >>= 8) {
        bytes[i - 1] = (uint8_t)value;
    }
}

/* What a vote says; the caller frees it. */
static char *format_vote(int32_t partition, int64_t second, int64_t offset)
{
    enum { VOTE_BYTES = 512 };
    char *value = calloc(1, VOTE_BYTES);
    time_t time_s = NOON_S + second;
    char time_text[32];

    (void)strftime(time_text, sizeof(time_text), "%Y-%m-%d %H:%M:%S",
                   gmtime_r(&time_s, &(struct tm){0}));
    (void)snprintf(value, VOTE_BYTES,
                   "{\"voter_id\":\"v%d-%lld\",\"candidate_id\":\"c%lld\",\"candidate_name\":\"N\","
                   "\"party_affiliation\":\"P\",\"photo_url\":\"U\",\"vote\":1,"
                   "\"registered_age\":%lld,\"gender\":\"female\",\"voting_time\":\"%s\","
                   "\"address\":{\"state\":\"S\",\"city\":\"C%lld\"}}",
                   partition, (long long)offset, (long long)(offset % 3),
                   (long long)(20 + offset % 60), time_text, (long long)(offset % 40));
    return value;
}

static void send_vote_from(struct count *count, int32_t partition, int64_t second,
                           const struct source *source)
{
    char *value = format_vote(partition, second, source->offset);
    uint8_t bytes[23];

    bytes[0] = source->version;
    put_be(bytes + 1, (uint16_t)source->generation, 2);
    put_be(bytes + 3, (uint32_t)source->partition, 4);
    put_be(bytes + 7, (uint64_t)source->offset, 8);
    put_be(bytes + 15, (uint64_t)source->previous, 8);
    peer_send_source(count->votes, partition, value, bytes, sizeof(bytes));
    free(value);
}

/* A vote with one header in text, without position. */
static void send_vote_with(struct count *count, int64_t offset, const char *name, const char *text)
{
    struct peer_header headers[] = {{name, text, strlen(text)}, {NULL, NULL, 0}};
    char *value = format_vote(0, 0, offset);

    peer_send_headers(count->votes, 0, "k", value, headers);
    free(value);
}

/* The next vote of a partition, as the voting stage would emit it. */
static void send_vote(struct count *count, int32_t partition, int64_t second)
{
    int64_t offset = count->next[partition]++;

    send_vote_from(
        count, partition, second,
        &(struct source){
            .version = 1, .partition = partition, .offset = offset, .previous = offset - 1});
    count->voters++;
}

static void send_votes(struct count *count, int votes)
{
    for (int i = 0; i < votes; i++) {
        send_vote(count, i % PARTITIONS, 0);
    }
    peer_flush();
}

/* ---- tests ---------------------------------------------------------------------------------- */

TEST(totals_and_watermark_outlive_a_kill)
{
    struct count count;

    open_count(&count, "takeover");
    start_ready(&count);
    send_votes(&count, 400);
    send_vote(&count, 0, 500);
    send_vote(&count, 1, 3600LL * 24 * 365 * 100); /* a clock that is wrong by a century */
    peer_flush();
    wait_metric(&count, "votes_counted_total", 402);
    wait_metric(&count, "watermark_seconds", NOON_S - LATENESS_S);
    assert_true(metric(&count, "votes_future_total") == 1);
    assert_true(metric(&count, "watermark_lag_seconds") > 0);
    send_vote(&count, 2, 300); /* it is 3 that holds the watermark now */
    peer_flush();
    wait_metric(&count, "votes_counted_total", 403);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);

    start(&count, NULL, NULL);
    wait_metric(&count, "watermark_seconds", NOON_S - LATENESS_S);
    send_vote(&count, 3, 200);
    send_vote(&count, 3, 100); /* late, which moves nothing back */
    peer_flush();
    wait_metric(&count, "watermark_seconds", NOON_S + 200 - LATENESS_S);
    wait_published(&count, count.voters);
    assert_true(metric(&count, "recounts_total") == 0);
    stop_and_close(&count);
}

static bool is_meta(const struct peer_record *partial)
{
    return partial->key[1] == 3;
}

/* Does the last META of every partition say that it is idle? */
static bool are_idle(const struct peer_log *log)
{
    enum { IDLE_BYTE = 35 };
    unsigned idle = 0;

    for (size_t i = 0; i < log->count; i++) {
        const struct peer_record *record = &log->records[i];
        unsigned bit = 1U << record->partition;

        if (is_meta(record)) {
            idle = record->value[IDLE_BYTE] != 0 ? idle | bit : idle & ~bit;
        }
    }
    return idle == (1U << PARTITIONS) - 1;
}

TEST(a_partition_without_votes_leaves_the_watermark_and_says_so_once)
{
    struct count count;
    struct peer_log before, after;

    open_count(&count, "idle");
    start(&count, "idle_timeout_ms=700", NULL);
    wait_ready(&count);
    for (int32_t p = 0; p < 3; p++) {
        send_vote(&count, p, 1000);
    }
    peer_flush();
    wait_metric(&count, "watermark_seconds", NOON_S + 1000 - LATENESS_S); /* 3 never had one */
    send_vote(&count, 3, 100);
    peer_flush();
    wait_metric(&count, "votes_counted_total", 4);
    before = peer_read(count.partials, true);
    while (!are_idle(&before)) { /* the run's deadline ends it */
        peer_log_free(&before);
        before = peer_read(count.partials, true);
    }
    pause_ms(1000);
    after = peer_read(count.partials, true);
    assert_int_equal(before.count, after.count);
    assert_true(metric(&count, "watermark_seconds") == NOON_S + 1000 - LATENESS_S);
    peer_log_free(&before);
    peer_log_free(&after);
    stop_and_close(&count);
}

TEST(a_gap_stops_its_partition_and_a_recount_mends_it)
{
    struct count count;

    open_count(&count, "gap");
    start_ready(&count);
    send_votes(&count, 20);
    for (int i = 0; i < 3; i++) { /* so that the topic is longer than its votes */
        send_vote_from(&count, 1, 0,
                       &(struct source){.version = 1, .partition = 1, .previous = -1});
    }
    peer_flush();
    wait_published(&count, 20);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    /* The topic is lost and repaired. Partition 1 now has nine votes where there were eight
     * records: three that were not counted stand where five others were. */
    peer_recreate(count.votes, PARTITIONS);
    memset(count.next, 0, sizeof(count.next));
    count.voters = 0;
    send_votes(&count, 20);
    for (int i = 0; i < 4; i++) {
        send_vote(&count, 1, 0);
    }
    peer_flush();
    start(&count, NULL, NULL);
    wait_trouble(&count,
                 "[1] offset 8: comes from source offset 8 (generation 0), after 7, but the "
                 "vote counted last is from 4 (generation 0): votes between them are "
                 "missing; when they were emitted again, start this node with "
                 "\\\"rebuild = 1:1\\\" in [stage:aggregation]");
    for (int i = 0; i < 4; i++) {
        send_vote(&count, i == 1 ? 0 : i, 0); /* the others run on */
    }
    peer_flush();
    wait_published(&count, 24);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    start(&count, "rebuild=1:1", NULL);
    wait_published(&count, 28);
    wait_ready(&count);
    assert_true(metric(&count, "recounts_total") == 1);
    send_votes(&count, 40);
    wait_published(&count, 68);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    start(&count, "rebuild=1:1", NULL); /* done is done */
    wait_ready(&count);
    assert_true(metric(&count, "recounts_total") == 0);
    assert_int_equal(published(&count), 68);
    stop_and_close(&count);
}

TEST(a_recount_needs_the_whole_topic_and_says_so)
{
    struct count count;

    open_count(&count, "whole");
    start_ready(&count);
    send_votes(&count, 40);
    wait_published(&count, 40);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    peer_recreate(count.votes, PARTITIONS);
    memset(count.next, 0, sizeof(count.next));
    send_votes(&count, 20);
    start(&count, NULL, NULL);
    wait_trouble(&count, "[0]: was counted up to offset 10, but goes from 0 to 5: it was truncated "
                         "or recreated; when its votes were emitted again, start this node with "
                         "\\\"rebuild = 0:1\\\" in [stage:aggregation]");
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    send_votes(&count, 40);
    start(&count, "rebuild=1", NULL);
    wait_published(&count, 60);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    peer_delete_before(count.votes, 2, 1);
    start(&count, "rebuild=2:2", NULL);
    wait_trouble(&count,
                 "[2]: cannot be counted anew: it begins at offset 1, the votes before that "
                 "are gone; bring them back, and keep retention_ms = -1");
    send_vote(&count, 1, 0);
    peer_flush();
    wait_published(&count, 61); /* nothing that was counted is lost */
    stop_and_close(&count);
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

    open_count(&count, "recount");
    start_ready(&count);
    send_votes(&count, 20000);
    wait_published(&count, 20000);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    start(&count, "rebuild=1", "batch.records=2"); /* so that it takes long */
    election_wait_log(&count.election, 0, "counting all votes anew, 5000 counted before", 60);
    wait_ready(&count);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);
    log = election_log(&count.election, 0);
    assert_null(strstr(log, "counted anew up to"));
    free(log);
    assert_int_equal(published(&count), 20000);

    start(&count, "rebuild=1", NULL);
    for (int i = 0; i < PARTITIONS; i++) {
        char words[64];

        (void)snprintf(words, sizeof(words), "partition %d: counted anew up to offset 5000", i);
        election_wait_log(&count.election, 0, words, 60);
    }
    send_votes(&count, 400);
    wait_published(&count, 20400);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    check_public_history(&count, 4 * SEQUENCE_STEP); /* the rebuild numbers' sum */
    close_count(&count);
}

/* The vote at offset 0 stands for one that an older version had set aside: it is good now. */
TEST(a_recount_counts_replayed_votes_once_and_sets_nothing_aside_again)
{
    struct count count;

    open_count(&count, "replays");
    start_ready(&count);
    send_votes(&count, 20);
    send_vote_with(&count, 100, "vd-src", "\x01"); /* at offset 5 */
    peer_send(count.votes, 0, "k", "no vote");
    send_vote_with(&count, 100, "vd-replay", "aggregation 5");
    send_vote_with(&count, 0, "vd-replay", "aggregation 0");
    send_vote_with(&count, 0, "vd-replay", "enriched 0");
    peer_flush();
    wait_published(&count, 22);
    assert_true(metric(&count, "dead_letters_total") == 2);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);

    start(&count, "rebuild=1", NULL);
    wait_published(&count, 21);
    election_wait_log(&count.election, 0, "partition 0: dead letters that are votes to this", 60);
    election_wait_log(&count.election, 0, "counted anew up to offset 9: 6 votes", 60);
    send_vote_with(&count, 101, "vd-src", "\x01"); /* its letter is the only one this time */
    send_votes(&count, 20);
    wait_published(&count, 41);
    assert_true(metric(&count, "dead_letters_total") == 1);
    stop_and_close(&count);
}

/* The oldest records of partition 0's totals and META, over the newest. */
static void write_over(struct count *count, bool is_meta_only)
{
    struct peer_log log = peer_read(count->partials, true);
    bool has_total = is_meta_only;
    bool has_meta = false;

    for (size_t i = 0; i < log.count && log.records[i].partition == 0; i++) {
        bool *has = is_meta(&log.records[i]) ? &has_meta : &has_total;

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

    open_count(&count, "echo");
    start_ready(&count);
    for (int i = 0; i < 5; i++) {
        send_votes(&count, 40);
        wait_metric(&count, "votes_counted_total", 40 * (i + 1));
    }
    write_over(&count, false); /* the commit number goes back, and does not come again */
    wait_metric(&count, "partials_overdue_total", 1);
    wait_metric(&count, "producer_recycled_total", 1);
    send_votes(&count, 40);
    wait_published(&count, 240);
    assert_int_equal(election_stop(&count.election, 0, SIGKILL), 128 + SIGKILL);
    start_ready(&count); /* what is there now fits */
    assert_true(metric(&count, "recounts_total") == 0);
    assert_true(metric(&count, "partials_overdue_total") == 0);
    send_votes(&count, 40);
    wait_published(&count, 280);
    stop_and_close(&count);
}

TEST(sums_that_do_not_fit_at_a_takeover_are_counted_anew)
{
    struct count count;

    open_count(&count, "sums");
    start_ready(&count);
    for (int i = 0; i < 3; i++) {
        send_votes(&count, 40);
        wait_metric(&count, "votes_counted_total", 40 * (i + 1));
    }
    wait_published(&count, 120);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    write_over(&count, true);
    start(&count, NULL, NULL);
    election_wait_log(&count.election, 0, "partition 0: 10 votes up to offset 10, but the totals",
                      60);
    election_wait_log(&count.election, 0, "partition 0: counted anew up to offset 30", 60);
    send_votes(&count, 40);
    wait_published(&count, 160);
    assert_true(metric(&count, "recounts_total") == 1);
    stop_and_close(&count);
}

TEST(a_clean_stop_publishes_the_last_totals)
{
    struct count count;

    open_count(&count, "clean");
    start(&count, "publish_ms=5000", NULL);
    wait_ready(&count);
    send_votes(&count, 400);
    wait_metric(&count, "votes_counted_total", 400);
    assert_int_equal(election_stop(&count.election, 0, SIGTERM), 0);
    assert_int_equal(published(&count), 400);
    close_count(&count);
}

TEST(positions_of_other_versions_generations_and_partitions_are_told_apart)
{
    struct count count;
    const struct source newer = {.version = 2, .partition = 0};
    const struct source foreign = {.version = 1, .partition = 2, .offset = 100, .previous = 99};
    const struct source raised = {.version = 1, .generation = 1, .partition = 2, .previous = -1};
    const struct source over = {.version = 1, .partition = 2, .offset = 11, .previous = 10};

    open_count(&count, "versions");
    start_ready(&count);
    send_votes(&count, 40);
    send_vote_from(&count, 2, 0, &raised);
    send_vote_from(&count, 2, 0, &over); /* its generation is over */
    peer_flush();
    wait_published(&count, 41);
    election_wait_log(&count.election, 0, "generation 0 of the voters is over; dropped", 60);
    assert_true(election_metric(&count.election, 0,
                                "votingd_votes_dropped_total{stage=\"aggregation\",reason="
                                "\"generation\"}") == 1);
    wait_ready(&count);
    send_vote_from(&count, 0, 0, &newer);
    peer_flush();
    wait_trouble(&count, "[0] offset 10: header \\\"vd-src\\\": version 2 is newer than 1: run the "
                         "same version on all nodes");
    send_vote_from(&count, 1, 0, &foreign);
    peer_flush();
    election_wait_log(&count.election, 0,
                      "[1] offset 10: the vote of a voter in partition 2: both topics must have "
                      "the same number of partitions, for good",
                      60);
    send_vote(&count, 3, 0); /* runs on */
    peer_flush();
    wait_published(&count, 42);
    stop_and_close(&count);
}

int main(int argc, char **argv) /* a pattern of the tests to run */
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_and_watermark_outlive_a_kill),
        cmocka_unit_test(a_partition_without_votes_leaves_the_watermark_and_says_so_once),
        cmocka_unit_test(a_gap_stops_its_partition_and_a_recount_mends_it),
        cmocka_unit_test(a_recount_needs_the_whole_topic_and_says_so),
        cmocka_unit_test(
            a_recount_killed_in_the_middle_counts_once_and_shows_nothing_before_its_end),
        cmocka_unit_test(a_recount_counts_replayed_votes_once_and_sets_nothing_aside_again),
        cmocka_unit_test(partials_that_were_written_over_are_written_again),
        cmocka_unit_test(sums_that_do_not_fit_at_a_takeover_are_counted_anew),
        cmocka_unit_test(a_clean_stop_publishes_the_last_totals),
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
