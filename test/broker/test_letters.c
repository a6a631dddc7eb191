/* Dead letters that come back: the command --dead-letters against the real daemon. One election for
 * all tests, with the plugin `enriched` beside it as a second reader of the votes. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../wait.h"
#include "command.h"
#include "election.h"

#define VOTERS 200
#define WAIT_S 120
#define POLL_MS 50
#define KILLED_VOTES 3000
#define KILLS 12 /* of one round */
#define ROUNDS_MAX 4
#define LARGE_BYTES 800400

static struct election election;
static char *enriched; /* path of the second topology */
static int64_t votes;  /* counted by now, as far as the tests know */
static size_t killed;  /* votes that were replayed by what was killed */

#define HEADER(name, bytes)                   \
    (const struct peer_header[])              \
    {                                         \
        {(name), (bytes), sizeof(bytes) - 1}, \
        {                                     \
            NULL, NULL, 0                     \
        }                                     \
    }

/* ---- the command ----------------------------------------------------------------------------- */

/* Run --dead-letters with these words. Returns: what it wrote; the caller frees it. */
static char *run_on(const char *topology, int code, ...)
{
    struct command command;
    char *out = NULL;
    va_list words;
    int found;

    va_start(words, code);
    command = command_start(&election, topology, "--dead-letters", words);
    va_end(words);
    found = command_end(&command, &out);
    if (found != code) {
        fail_msg("exit code %d instead of %d:\n%s", found, code, out);
    }
    return out;
}

static struct command start(const char *topology, const char *what, ...)
{
    struct command command;
    va_list words;

    va_start(words, what);
    command = command_start(&election, topology, what, words);
    va_end(words);
    return command;
}

/* Run it, and look for words in what it writes. */
#define EXPECT(code, wanted, ...)                                          \
    do {                                                                   \
        char *out_ = run_on(election.topology, (code), __VA_ARGS__, NULL); \
                                                                           \
        if (strstr(out_, (wanted)) == NULL) {                              \
            fail_msg("not written: %s\n%s", (wanted), out_);               \
        }                                                                  \
        free(out_);                                                        \
    } while (0)

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

/* Letters of a topic that were not replayed, with this in their reason. */
static size_t count_open(const char *topology, const char *topic, const char *reason)
{
    char *name = election_topic(&election, topic);
    char *out = run_on(topology, 0, "list", "--topic", name, "--open", "--reason", reason,
                       "--limit", "1000000", "--format", "json", NULL);
    size_t lines = count_lines(out);

    free(out);
    free(name);
    return lines;
}

static void wait_open(const char *topology, const char *topic, const char *reason, size_t count)
{
    time_t deadline = time(NULL) + WAIT_S;
    size_t found;

    while ((found = count_open(topology, topic, reason)) != count) {
        if (time(NULL) > deadline) {
            fail_msg("%s: %zu open letters with \"%s\", expected %zu", topic, found, reason, count);
        }
        pause_ms(POLL_MS);
    }
}

static size_t count_records(const char *topic)
{
    char *name = election_topic(&election, topic);
    struct peer_log log = peer_read(name, true);
    size_t count = log.count;

    peer_log_free(&log);
    free(name);
    return count;
}

static int64_t sum_votes(void)
{
    return election_sum(&election, "aggregated_votes_per_candidate", "total_votes");
}

static int64_t count_enriched(void)
{
    return (int64_t)count_records("enriched_votes");
}

/* Until the count has come so far. */
static void wait_for(const char *what, int64_t (*count)(void), int64_t wanted)
{
    time_t deadline = time(NULL) + WAIT_S;
    int64_t found;

    while ((found = count()) < wanted) {
        if (time(NULL) > deadline) {
            fail_msg("%s: %lld, expected %lld", what, (long long)found, (long long)wanted);
        }
        pause_ms(POLL_MS);
    }
}

static void wait_counted(int64_t wanted)
{
    wait_for("votes in the totals", sum_votes, wanted);
}

/* Recount everything from raw data, once all is at rest, with these words on the command line: all
 * must hold. */
static void expect_audit(const char *topology, ...)
{
    time_t deadline = time(NULL) + WAIT_S;
    char *out = NULL;
    int code;

    do {
        struct command command;
        va_list words;

        va_start(words, topology);
        command = command_start(&election, topology, "--audit", words);
        va_end(words);
        free(out);
        code = command_end(&command, &out);
    } while (code == 6 && time(NULL) < deadline);
    if (code != 0) {
        fail_msg("--audit ends with %d:\n%s", code, out);
    }
    free(out);
}

/* ---- the scene ------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    char voters[64];

    (void)state;
    (void)snprintf(voters, sizeof(voters), "stage:generator.voters=%d", VOTERS);
    election_open(&election, "letters");
    enriched = election_topology(&election, "election-enriched.ini");
    election_start(&election, 0, "--set", voters, NULL);
    election_wait_counted(&election, VOTERS, WAIT_S);
    election_start(&election, 1, "--topology", enriched, NULL);
    votes = VOTERS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    election_close(&election);
    (void)unlink(enriched);
    free(enriched);
    return 0;
}

/* A voter of this id, from another program than the generator; the name has so many digits. */
static void send_named(const char *id, int digits, int32_t partition)
{
    char *topic = election_topic(&election, "voters_topic");
    char *text = NULL;

    assert_true(
        asprintf(&text,
                 "{\"voter_id\":\"%s\",\"voter_name\":\"%0*d\",\"registered_age\":40,"
                 "\"gender\":\"female\",\"address\":{\"state\":\"Utah\",\"city\":\"Provo\"}}",
                 id, digits, 0) > 0);
    peer_send_headers(topic, partition, id, text, HEADER("traceparent", "00-4bf9-01"));
    peer_flush();
    free(text);
    free(topic);
}

static void send_voter(const char *id, int32_t partition)
{
    send_named(id, 1, partition);
}

/* ---- tests ----------------------------------------------------------------------------------- */

TEST(a_poison_voter_is_listed_and_shown_with_its_words)
{
    char *topic = election_topic(&election, "voters_topic");
    char wanted[256];

    EXPECT(0, "no letters\n", "list");
    EXPECT(0, "nothing to replay\n", "replay");
    EXPECT(0, "nothing to purge\n", "purge");
    EXPECT(1, "votingd: no letter is as asked for; --dead-letters list shows all\n", "show");
    peer_send_headers(topic, 1, "k\x1b[31m", "no JSON\n\x1b]0;x\x07", HEADER("b\x1b", "\x00\xff"));
    peer_flush();
    wait_open(election.topology, "voters_dead", "", 1);
    EXPECT(0, ": dead letters of stage voting\n", "list");
    EXPECT(0, "\n      k\\x1b[31m: byte 0: expected an object\n", "list");
    EXPECT(0, "        1         0  voting        byte #: expected an object\n", "list");
    EXPECT(0, " by stage voting on node n0\nreason    byte 0: expected an object\nattempts  1\n",
           "show", "--stage", "voting", "--partition", "0", "--offset", "0..0", "--since", "1h");
    (void)snprintf(wanted, sizeof(wanted), "\nrecord    %s/1/", topic);
    EXPECT(0, wanted, "show");
    EXPECT(0,
           "key       k\\x1b[31m\n"
           "header    b\\x1b: 2 bytes\n"
           "  00000000  00 ff                                            |..|\n"
           "value     14 bytes\nno JSON\n\\x1b]0;x\\x07\n",
           "show");
    EXPECT(0, "\"headers\":[{\"name\":\"b\\u001b\",\"value_hex\":\"00ff\"}],\"value\":\"no JSON\\n",
           "show", "--format", "json");
    EXPECT(0, "no letters\n", "list", "--until", "1h");
    EXPECT(0, "no letters\n", "list", "--key", "k");
    EXPECT(0, "no letters\n", "list", "--reason", "constraint");
    EXPECT(0, "no letters\n", "list", "--stage", "aggregation");
    free(topic);
}

TEST(what_is_still_bad_comes_back_as_another_letter)
{
    EXPECT(0, "would replay 1 letter\n", "replay", "--dry-run");
    EXPECT(0, "replayed 1 letter\n", "replay");
    wait_open(election.topology, "voters_dead", "", 1);
    EXPECT(0, "  again         1  ", "list", "--open");
    EXPECT(0, "        2         1  voting        byte #: expected an object\n", "list");
    EXPECT(0, ", a replay of offset ", "show", "--open");
    EXPECT(0, "header    b\\x1b: 2 bytes\n", "show", "--open");
}

TEST(a_voter_whom_a_constraint_kept_out_is_counted_once_when_it_is_gone)
{
    election_execute(&election,
                     "ALTER TABLE votes ADD CONSTRAINT not_yet CHECK (voter_id NOT LIKE 'late-%')");
    send_voter("late-1", 2);
    send_voter("late-2", 3);
    wait_open(election.topology, "voters_dead", "not_yet", 2);
    EXPECT(0, "header    traceparent: 00-4bf9-01\n", "show", "--key", "late-2");
    EXPECT(0, "replayed 1 letter\n", "replay", "--key", "late-1"); /* too early */
    wait_open(election.topology, "voters_dead", "not_yet", 2);
    election_execute(&election, "ALTER TABLE votes DROP CONSTRAINT not_yet");
    EXPECT(0, "replayed 2 letters\n", "replay", "--reason", "not_yet");
    votes += 2;
    election_wait_counted(&election, votes, WAIT_S);
    EXPECT(0, "nothing to replay\n", "replay", "--reason", "not_yet");
    election_check(&election, votes);
    assert_int_equal(count_records("rejected_votes"), 0);
}

TEST(rejected_records_are_replayed_only_if_they_are_named)
{
    char *topic = election_topic(&election, "rejected_votes");

    send_voter("late-1", 0);
    wait_open(election.topology, "rejected_votes", "this voter has voted before", 1);
    EXPECT(0, ": rejected records of stage voting\n", "list");
    EXPECT(0, "nothing to replay\n", "replay", "--reason", "voted before");
    EXPECT(0, "replayed 1 letter\n", "replay", "--topic", topic);
    wait_open(election.topology, "rejected_votes", "this voter has voted before", 1);
    EXPECT(0, "header    traceparent: 00-4bf9-01\n", "show", "--topic", topic, "--open");
    election_check(&election, votes);
    expect_audit(election.topology, "--disable", "generator", NULL); /* not its voters */
    free(topic);
}

TEST(purge_asks_and_leaves_what_was_not_replayed)
{
    char *topic = election_topic(&election, "voters_dead");

    EXPECT(0, "would purge 1 letter\n", "purge", "--dry-run");
    EXPECT(2, "votingd: purge deletes for good, and nobody is there to be asked: add --yes\n",
           "purge");
    EXPECT(0, "was not replayed, so it stays, and all behind it\npurged 1 letter\n", "purge",
           "--yes");
    EXPECT(0, "nothing to purge\n", "purge", "--yes");
    EXPECT(0, "was not replayed", "purge", "--offset", "1..", "--yes");
    EXPECT(0, "purged", "purge", "--topic", topic, "--yes", "--force");
    EXPECT(0, "no letters\n", "list", "--topic", topic);
    free(topic);
}

/* A vote that the producer would not take is none: afterwards the voter can still vote. */
TEST(a_voter_whose_vote_is_too_large_has_no_row)
{
    const char *rows = "SELECT count(*) FROM votes WHERE voter_id = 'large-1'";

    (void)election_stop(&election, 0, SIGTERM);
    election_start(&election, 0, "--disable", "generator", "--set",
                   "kafka.client.message.max.bytes=800800", NULL);
    send_named("large-1", LARGE_BYTES, 2);
    send_voter("small-1", 2); /* behind it */
    wait_open(election.topology, "voters_dead", "max.bytes leaves room for 800288", 1);
    wait_counted(++votes);
    assert_int_equal(election_count(&election, rows), 0);
    EXPECT(0, "purged", "purge", "--yes", "--force");
    (void)election_stop(&election, 0, SIGTERM);
    election_start(&election, 0, "--disable", "generator", NULL);
    send_named("large-1", LARGE_BYTES, 2);
    wait_counted(++votes);
    assert_int_equal(election_count(&election, rows), 1);
}

/* Votes that are dead in both readers, because their vd-src is too short to be one. */
static void send_dead_votes(size_t count)
{
    char *topic = election_topic(&election, "votes_topic");
    struct peer_log log = peer_read(topic, true);

    for (size_t i = 0; i < count; i++) {
        const struct peer_record *vote = &log.records[i % VOTERS];

        peer_send_headers(topic, (int32_t)(i % 4), vote->key, vote->value,
                          HEADER("vd-src", "\x01\x02"));
    }
    peer_flush();
    peer_log_free(&log);
    free(topic);
}

/* Start a replay and kill it as soon as so many records and markers of it are in the topic,
 * committed or not. Returns: whether it was still running. */
static bool replay_killed(struct peer_watch *watch, int64_t records)
{
    int64_t until = peer_watch_written(watch) + records;
    struct command command = start(election.topology, "--dead-letters", "replay", NULL);
    siginfo_t ended = {0};
    char *out;
    int code;

    while (peer_watch_written(watch) < until && ended.si_pid == 0) {
        assert_int_equal(waitid(P_PID, (id_t)command.pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    }
    kill(command.pid, SIGKILL);
    code = command_end(&command, &out);
    if (code != 0 && code != 128 + SIGKILL) {
        fail_msg("exit code %d:\n%s", code, out);
    }
    free(out);
    return code != 0;
}

TEST(replays_that_are_killed_count_each_vote_once)
{
    size_t before = count_records("votes_topic");
    char *topic = election_topic(&election, "votes_topic");
    struct peer_watch *watch = peer_watch_new(topic);
    size_t left = 0;
    int kills = 0;

    for (int round = 0; kills < 3 && round < ROUNDS_MAX; round++) { /* a replay may be quick */
        send_dead_votes(KILLED_VOTES);
        killed += KILLED_VOTES;
        wait_open(election.topology, "votes_dead", "", left + KILLED_VOTES);
        for (int i = 0; i < KILLS; i++) { /* in the first transaction, the second, between ... */
            kills += replay_killed(watch, 1 + i * 61 % 450);
        }
        left = count_open(election.topology, "votes_dead", "");
        print_message("%d replays killed midway, %zu letters left\n", kills, left);
    }
    assert_true(kills > 0);
    free(run_on(election.topology, 0, "replay", NULL));
    EXPECT(0, "nothing to replay\n", "replay");
    assert_int_equal(count_records("votes_topic"), before + 2 * killed);
    wait_counted(votes + (int64_t)killed);
    /* Behind all replays of its partition: when it is counted, so are they. */
    send_voter("last-1", 1);
    votes += (int64_t)killed + 1;
    wait_counted(votes);
    assert_int_equal(sum_votes(), votes);
    expect_audit(election.topology, "--disable", "generator", "--disable", "voting", NULL);
    peer_watch_free(watch);
    free(topic);
}

TEST(a_replay_is_for_the_stage_that_had_set_it_aside)
{
    struct command both[2];
    char *out[2];

    /* `enriched` has read all votes but those, which it set aside too; the replays passed it by. */
    wait_open(enriched, "enriched_dead", "", killed);
    for (size_t i = 0; i < 2; i++) {
        both[i] = start(enriched, "--dead-letters", "replay", NULL);
    }
    for (size_t i = 0; i < 2; i++) { /* one of them may take over from the other */
        int code = command_end(&both[i], &out[i]);

        if (code != 0 && (code != 4 || strstr(out[i], "another --dead-letters replay has taken "
                                                      "over; this one has replayed ") == NULL)) {
            fail_msg("exit code %d:\n%s", code, out[i]);
        }
        free(out[i]);
    }
    free(run_on(enriched, 0, "replay", NULL));
    out[0] = run_on(enriched, 0, "replay", NULL);
    assert_string_equal(out[0], "nothing to replay\n");
    free(out[0]);
    wait_for("records of enriched_votes", count_enriched, votes);
    send_voter("last-2", 1);
    wait_counted(++votes);
    wait_for("records of enriched_votes", count_enriched, votes);
    assert_int_equal(count_records("enriched_votes"), votes);
    assert_int_equal(sum_votes(), votes);
    expect_audit(enriched, NULL);
    free(run_on(enriched, 0, "purge", "--stage", "enriched", "--yes", NULL));
    expect_audit(enriched, NULL); /* letters that were purged are no difference */
}

/* A vote that an older version could not read, as its letter stands there: the vote has a vd-src of
 * its own, and the aggregation is past that. */
TEST(a_vote_whose_position_is_passed_is_counted_once)
{
    char *topic = election_topic(&election, "votes_topic");
    char *dead = election_topic(&election, "votes_dead");
    struct peer_log log = peer_read(topic, true);
    const struct peer_record *vote = &log.records[0];
    const struct peer_header headers[] = {
        {"vd-src", vote->source, vote->source_len}, /* a position of the same partition */
        {"vd-stage", "aggregation", 11},
        {"vd-topic", topic, strlen(topic)},
        {"vd-reason", "too old to read", 15},
        {"vd-orig-src", vote->source, vote->source_len},
        {NULL, NULL, 0},
    };
    size_t records = count_records("votes_topic");

    assert_int_equal(vote->source_len, 23);
    peer_send_headers(dead, 0, vote->key, vote->value, headers);
    peer_flush();
    EXPECT(0, "replayed 1 letter\n", "replay", "--reason", "too old to read");
    EXPECT(0, "nothing to replay\n", "replay", "--reason", "too old to read");
    wait_counted(++votes);
    assert_int_equal(count_records("votes_topic"), records + 1);
    send_voter("last-4", vote->partition); /* nothing comes behind it */
    wait_counted(++votes);
    assert_int_equal(sum_votes(), votes);
    peer_log_free(&log);
    free(dead);
    free(topic);
}

TEST(a_letter_whose_stage_is_gone_is_skipped_with_the_reason)
{
    char *topic = election_topic(&election, "voters_dead");

    peer_send_headers(topic, 0, "k", "v", HEADER("vd-stage", "votin"));
    peer_send(topic, 0, "k", "of another program");
    peer_flush();
    EXPECT(1,
           "replayed 0 letters\nskipped 1: came from no topic\nskipped 1: not written by a stage\n",
           "replay", "--topic", topic);
    EXPECT(0, "k: no reason: not of votingd\n", "list", "--topic", topic);
    free(topic);
}

TEST(names_that_are_wrong_are_told_with_the_nearest)
{
    char *right = election_topic(&election, "voters_dead");
    char *wrong = election_topic(&election, "voter_dead");
    char wanted[512];

    (void)snprintf(
        wanted, sizeof(wanted),
        "votingd: --topic: no stage sets records aside in \"%s\"; did you mean \"%s\"?\n", wrong,
        right);
    EXPECT(2, wanted, "list", "--topic", wrong);
    EXPECT(2, "votingd: --stage: no stage \"votin\"; did you mean \"voting\"?\n", "list", "--stage",
           "votin");
    free(right);
    free(wrong);
}

TEST(a_broker_that_is_away_is_said_in_words)
{
    EXPECT(1, "votingd: no answer from \"127.0.0.1:1\": ", "list", "--set",
           "kafka.brokers=127.0.0.1:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poison_voter_is_listed_and_shown_with_its_words),
        cmocka_unit_test(what_is_still_bad_comes_back_as_another_letter),
        cmocka_unit_test(a_voter_whom_a_constraint_kept_out_is_counted_once_when_it_is_gone),
        cmocka_unit_test(rejected_records_are_replayed_only_if_they_are_named),
        cmocka_unit_test(purge_asks_and_leaves_what_was_not_replayed),
        cmocka_unit_test(a_voter_whose_vote_is_too_large_has_no_row),
        cmocka_unit_test(replays_that_are_killed_count_each_vote_once),
        cmocka_unit_test(a_replay_is_for_the_stage_that_had_set_it_aside),
        cmocka_unit_test(a_vote_whose_position_is_passed_is_counted_once),
        cmocka_unit_test(a_letter_whose_stage_is_gone_is_skipped_with_the_reason),
        cmocka_unit_test(names_that_are_wrong_are_told_with_the_nearest),
        cmocka_unit_test(a_broker_that_is_away_is_said_in_words),
    };

    if (!election_is_possible()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
