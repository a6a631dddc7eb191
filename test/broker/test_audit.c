/* `--audit` on a real election: clean when it is finished; every kind of planted damage is found
 * and its key named; and it says so where it can know nothing. */
#include "../unit/test.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../wait.h"
#include "election.h"

/* Exit codes, as --help has them. */
#define HOLDS 0
#define DIFFERS 1
#define WRONG_USE 2
#define WRONG_TOPOLOGY 3
#define MOVING 6
#define UNREAD 7

#define VOTERS 1000
#define REPEATS 3
#define POISON 2
#define OUTPUT_BYTES_MAX 65536
#define MORE_VOTERS "stage:generator.voters=1100"

static struct election election;
static char output[OUTPUT_BYTES_MAX]; /* of the last audit */

static int audit(const struct election *of, const char *more)
{
    return election_audit(of, more, output, sizeof(output));
}

static void assert_said(const char *words)
{
    if (strstr(output, words) == NULL) {
        (void)fputs(output, stdout);
        fail_msg("not said: %s", words);
    }
}

static void assert_code(int code, int wanted)
{
    if (code != wanted) {
        (void)fputs(output, stdout);
        fail_msg("exit code %d, wanted %d", code, wanted);
    }
}

/* What an audit says once it finds all at rest: the markers of the last transactions may come after
 * the node has ended, and what was done to a topic later than it was answered. */
static int audit_at_rest(const char *more)
{
    const int64_t deadline_ms = now_ms() + 60000;
    int code;

    while ((code = audit(&election, more)) == MOVING && now_ms() < deadline_ms) {
        pause_ms(100);
    }
    return code;
}

/* The audit must find a difference, and say both. */
static void assert_found(const char *invariant, const char *key)
{
    assert_code(audit_at_rest(""), DIFFERS);
    assert_said(invariant);
    assert_said(key);
}

/* Read a topic until it has so many records. */
static struct peer_log read_topic(const char *name, size_t count)
{
    const time_t deadline_s = time(NULL) + 60;
    char *topic = election_topic(&election, name);
    struct peer_log log = peer_read(topic, true);

    while (log.count < count && time(NULL) < deadline_s) {
        pause_ms(100);
        peer_log_free(&log);
        log = peer_read(topic, true);
    }
    free(topic);
    assert_int_equal(log.count, count);
    return log;
}

/* ---- at rest --------------------------------------------------------------------------------- */

TEST(a_finished_election_holds)
{
    char *voters = election_topic(&election, "voters_topic");
    struct peer_log log;
    struct peer_log other;

    election_start(&election, 0, NULL);
    election_wait_counted(&election, VOTERS, 120);
    log = read_topic("voters_topic", VOTERS);
    for (int i = 0; i < REPEATS; i++) {
        peer_send(voters, log.records[i].partition, log.records[i].key, log.records[i].value);
    }
    for (int i = 0; i < POISON; i++) {
        peer_send(voters, 1, "poison", "[");
    }
    peer_flush();
    other = read_topic("rejected_votes", REPEATS);
    peer_log_free(&other);
    other = read_topic("voters_dead", POISON);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    assert_code(audit_at_rest(""), HOLDS);
    assert_said("26 invariants hold\n");
    assert_said("1,005 = 1,005  accepted + rejected + dead\n");
    assert_said("1,000 = 1,000  rows of votes\n");
    assert_said("  note     2 dead letters in voters_dead");
    peer_log_free(&other);
    peer_log_free(&log);
    free(voters);
}

TEST(json_is_one_object)
{
    cJSON *json;
    const cJSON *invariants;

    assert_code(audit_at_rest("--format json"), HOLDS);
    json = cJSON_Parse(output);
    invariants = cJSON_GetObjectItemCaseSensitive(json, "invariants");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "outcome")),
                        "holds");
    assert_int_equal(cJSON_GetArraySize(invariants), 26);
    cJSON_Delete(json);
}

/* ---- where nothing can be known -------------------------------------------------------------- */

TEST(wrong_use_is_refused)
{
    assert_code(audit(&election, "--check"), WRONG_USE);
    assert_said("votingd: --check and --audit exclude each other\n");
    assert_code(audit(&election, "--format xml"), WRONG_USE);
    assert_said("votingd: option --format: must be text or json, got \"xml\"\n");
}

TEST(servers_that_are_away_are_no_difference)
{
    assert_code(audit(&election, "--set 'postgres.conninfo=host=127.0.0.1 port=1'"), UNREAD);
    assert_said("votingd: could not connect to PostgreSQL: ");
    assert_code(audit(&election, "--set kafka.brokers=127.0.0.1:1"), UNREAD);
    assert_said("votingd: no answer from \"127.0.0.1:1\": ");
}

TEST(a_topology_that_never_ran_is_wrong)
{
    struct election other;

    election_open(&other, "unborn");
    assert_code(audit(&other, ""), WRONG_TOPOLOGY);
    assert_said("does not exist: this topology has not run yet, or its brokers are others\n");
    election_close(&other);
}

TEST(records_that_wait_are_told_and_are_no_damage)
{
    struct peer_log log;

    election_start(&election, 0, "--set", MORE_VOTERS, "--disable", "voting", "--disable",
                   "aggregation", NULL);
    log = read_topic("voters_topic", VOTERS + REPEATS + POISON + 100);
    peer_log_free(&log);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    assert_code(audit(&election, "--set " MORE_VOTERS), MOVING);
    assert_said("not at rest: 100 records of voters_topic");
    assert_said(" wait for stage voting\n26 invariants hold for what was counted so far\n");
    election_start(&election, 0, "--set", MORE_VOTERS, NULL);
    election_wait_counted(&election, VOTERS + 100, 120);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    assert_code(audit_at_rest(""), HOLDS);
}

TEST(a_plugin_audits_itself_too)
{
    char *path = election_topology(&election, "election-enriched.ini");
    char more[256];
    struct peer_log log;

    election_start(&election, 0, "--topology", path, NULL);
    log = read_topic("enriched_votes", VOTERS + 100);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    (void)snprintf(more, sizeof(more), "--topology %s", path);
    assert_code(audit_at_rest(more), HOLDS);
    assert_said("1,100 = 1,100  enriched + dead\n");
    (void)unlink(path);
    peer_log_free(&log);
    free(path);
}

TEST(letters_that_were_purged_are_no_difference)
{
    char *topic = election_topic(&election, "voters_dead");

    peer_delete_before(topic, 0, RD_KAFKA_OFFSET_END); /* markers of transactions count, too */
    assert_code(audit_at_rest(""), HOLDS);
    assert_said("  note     of 2 records the letters were purged\n");
    free(topic);
}

/* ---- damage ---------------------------------------------------------------------------------- */

TEST(damage_in_the_database_is_found)
{
    static const struct {
        const char *harm, *invariant, *key;
    } damages[] = {
        {"DELETE FROM votes WHERE voter_id = (SELECT min(voter_id) FROM votes_0)",
         "1,100 <> 1,099  rows of votes\n", ", but no row\n"},
        {"INSERT INTO votes SELECT 'nobody', candidate_id, voting_time, 1, 0, 0, 5 FROM votes"
         " LIMIT 1",
         "1,101 <> 1,100  the same vote in the topic\n",
         "  voter nobody: a row, but no vote in the topic\n"},
        {"UPDATE votes SET voting_time = voting_time + interval '1 s' WHERE voter_id ="
         " (SELECT min(voter_id) FROM votes)",
         "1,100 <> 1,099  the same vote in the topic\n", ": row and vote differ in time\n"},
        {"UPDATE votes SET candidate_id = (SELECT min(candidate_id) FROM candidates c WHERE"
         " c.candidate_id <> votes.candidate_id) WHERE voter_id = (SELECT min(voter_id) FROM"
         " votes)",
         "1,100 <> 1,099  the same vote in the topic\n", ": row for "},
        {"UPDATE votes SET source_offset = source_offset + 1 WHERE voter_id ="
         " (SELECT min(voter_id) FROM votes)",
         "1,100 <> 1,099  the same vote in the topic\n",
         ": row and vote come from different records\n"},
        {"UPDATE vote_progress SET next_offset = next_offset - 1 WHERE source_partition = 2",
         "<> 1,109  as committed\n", "[2]: next offset "},
        {"DELETE FROM voters WHERE voter_id = (SELECT min(voter_id) FROM voters_0)",
         "1,100 <> 1,099  of these in table voters\n", ", but no row\n"},
        {"UPDATE voters SET gender = 'x' WHERE voter_id = (SELECT min(voter_id) FROM voters_0)",
         "1,100 <> 1,099  the same in the topic\n", ": row and record differ\n"},
        {"UPDATE candidates SET candidate_name = 'x' WHERE candidate_id ="
         " (SELECT min(candidate_id) FROM candidates_0)",
         "3 <>     2  the same in the table\n", ": row and record differ\n"},
    };
    static const char *const tables[] = {"votes", "voters", "vote_progress", "candidates"};
    char sql[256];

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "CREATE TABLE %s_0 AS TABLE %s", tables[i], tables[i]);
        election_execute(&election, sql);
    }
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        election_execute(&election, damages[i].harm);
        assert_found(damages[i].invariant, damages[i].key);
        election_execute(&election, "TRUNCATE votes, voters, vote_progress, candidates");
        for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
            (void)snprintf(sql, sizeof(sql), "INSERT INTO %s TABLE %s_0", tables[t], tables[t]);
            election_execute(&election, sql);
        }
    }
    assert_code(audit_at_rest(""), HOLDS);
}

/* Publish another count under the newest record's key. */
static void publish(const char *name, const char *key_member, int64_t change)
{
    char *topic = election_topic(&election, name);
    struct peer_log log = peer_read(topic, false);
    const struct peer_record *last = &log.records[log.count - 1];
    cJSON *json = cJSON_Parse(last->value);
    cJSON *count = cJSON_GetObjectItemCaseSensitive(json, "total_votes");
    cJSON *sequence = cJSON_GetObjectItemCaseSensitive(json, "sequence");
    char words[256];
    char *text;

    (void)snprintf(words, sizeof(words), "\n  %s: published %d, recount %d\n",
                   cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key_member)),
                   (int)(count->valuedouble + (double)change), (int)count->valuedouble);
    cJSON_SetNumberValue(count, count->valuedouble + (double)change);
    cJSON_SetNumberValue(sequence, sequence->valuedouble + 1);
    text = cJSON_PrintUnformatted(json);
    peer_send(topic, last->partition, last->key, text);
    peer_flush();
    assert_found(change > 0 ? "1,101 <> 1,100  recount\n" : "1,099 <> 1,100  recount\n", words);
    free(text);
    cJSON_Delete(json);
    peer_log_free(&log);
    free(topic);
}

TEST(a_total_published_too_high_or_too_low_is_found)
{
    publish("aggregated_turnout_by_gender", "gender", 1);
    publish("aggregated_party_wise_votes", "party_affiliation", -1);
}

TEST(an_old_total_behind_a_newer_one_is_found)
{
    char *topic = election_topic(&election, "aggregated_turnout_by_age_group");
    struct peer_log log = peer_read(topic, false);
    const struct peer_record *last = &log.records[log.count - 1];

    peer_send(topic, last->partition, last->key, "{\"total_votes\":1,\"sequence\":1}");
    peer_flush();
    assert_found("  last record is the newest\n",
                 ": by age_group: an older record stands behind it\n");
    peer_log_free(&log);
    free(topic);
}

TEST(a_changed_partial_is_found)
{
    char *topic = election_topic(&election, "agg_partials");
    struct peer_log log = peer_read(topic, true);
    struct peer_record *last = &log.records[log.count - 1];

    while (last->key_len > 6) { /* a TOTAL; META's key has no more than its head */
        last--;
    }
    last->value[63]++; /* the checksum's last byte */
    peer_send_record(topic, last);
    peer_flush();
    assert_found("agg_partials", " votes (checksum ");
    last->value[63]--;
    peer_send_record(topic, last);
    peer_flush();
    peer_log_free(&log);
    free(topic);
}

TEST(an_open_transaction_is_found)
{
    char *topic = election_topic(&election, "rejected_votes");
    struct peer_transaction *transaction = peer_transaction_open(topic, 2, 1);

    assert_found("  ends of 16 topics\n", ": a transaction is open\n");
    peer_transaction_abort(transaction);
    free(topic);
}

TEST(a_missing_vote_is_found)
{
    char *topic = election_topic(&election, "votes_topic");

    peer_delete_before(topic, 2, 1);
    assert_found("1,100 <> 1,099  the same vote in the topic\n", "[2] 1: from [2] ");
    free(topic);
}

/* The topic begins at 1 there by now. */
TEST(an_offset_before_the_beginning_of_its_topic_is_found)
{
    char *topic = election_topic(&election, "votes_topic");
    char group[192];
    int64_t committed;

    (void)snprintf(group, sizeof(group), "%s.aggregation", election.name);
    committed = peer_committed(group, topic, 2, NULL);
    assert_true(committed > 1);
    peer_commit(group, topic, 2, 0, NULL);
    assert_found(": committed offsets  ",
                 "[2]: committed 0, but the topic begins at 1: the records between were deleted "
                 "before they were read\n");
    peer_commit(group, topic, 2, committed, NULL);
    free(topic);
}

TEST(a_second_outcome_is_found)
{
    char *topic = election_topic(&election, "rejected_votes");
    struct peer_log log = read_topic("votes_topic", VOTERS + 100 - 1);

    peer_send_source(topic, 0, "{}", log.records[5].source, log.records[5].source_len);
    peer_flush();
    assert_found("  accepted + rejected + dead\n", ": accepted 1 times, rejected 1, dead 0\n");
    assert_said("4 <>     3  of voters who voted before\n");
    peer_log_free(&log);
    free(topic);
}

TEST(extra_votes_are_found)
{
    char *topic = election_topic(&election, "votes_topic");
    struct peer_log log = read_topic("votes_topic", VOTERS + 100 - 1);
    struct peer_record *last = &log.records[log.count - 1];

    peer_send_record(topic, last);
    peer_send(topic, 0, "nobody",
              "{\"voter_id\":\"nobody\",\"candidate_id\":\"x\",\"voting_time\":"
              "\"2024-11-05 12:00:00\",\"vote\":1}");
    peer_flush();
    assert_found("1,101 <> 1,100  voters in it\n", ": votes again at [");
    assert_said("  voter nobody: a vote at [0] ");
    assert_said("  note     1 votes are another program's\n");
    peer_log_free(&log);
    free(topic);
}

/* ---- while it runs --------------------------------------------------------------------------- */

TEST(an_election_that_goes_on_is_not_at_rest)
{
    struct election other;
    const int64_t deadline_ms = now_ms() + 60000;

    election_open(&other, "running");
    election_start(&other, 0, "--set", "stage:generator.voters=1000000", "--set",
                   "stage:generator.rate=1000", NULL);
    ELECTION_AWAIT(&other, election_count(&other, "SELECT count(*) FROM votes") >= VOTERS);
    do { /* until it moves just then */
        assert_code(audit(&other, ""), MOVING);
    } while (strstr(output, "not at rest: voters_topic") == NULL && now_ms() < deadline_ms);
    assert_said("not at rest: voters_topic");
    assert_said(" while it was read\n");
    (void)election_stop(&other, 0, SIGKILL);
    election_close(&other);
}

int main(void)
{
    /* In this order: what is planted in a topic stays there. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_election_holds),
        cmocka_unit_test(json_is_one_object),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(servers_that_are_away_are_no_difference),
        cmocka_unit_test(a_topology_that_never_ran_is_wrong),
        cmocka_unit_test(records_that_wait_are_told_and_are_no_damage),
        cmocka_unit_test(a_plugin_audits_itself_too),
        cmocka_unit_test(letters_that_were_purged_are_no_difference),
        cmocka_unit_test(damage_in_the_database_is_found),
        cmocka_unit_test(a_total_published_too_high_or_too_low_is_found),
        cmocka_unit_test(an_old_total_behind_a_newer_one_is_found),
        cmocka_unit_test(a_changed_partial_is_found),
        cmocka_unit_test(an_open_transaction_is_found),
        cmocka_unit_test(a_missing_vote_is_found),
        cmocka_unit_test(an_offset_before_the_beginning_of_its_topic_is_found),
        cmocka_unit_test(a_second_outcome_is_found),
        cmocka_unit_test(extra_votes_are_found),
        cmocka_unit_test(an_election_that_goes_on_is_not_at_rest),
    };
    int failed;

    if (!election_is_possible()) {
        return 77;
    }
    election_open(&election, "audit");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    election_close(&election);
    return failed;
}
