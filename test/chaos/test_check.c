/* The checker must find planted damage: a check that never fails checks nothing. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../broker/election.h"
#include "../wait.h"

#define VOTERS 1000
#define REPEATS 3
#define POISON 2
#define OUTPUT_BYTES_MAX 65536

static struct election election;
static char picture[64];              /* file: what the dashboard showed last */
static char output[OUTPUT_BYTES_MAX]; /* of the last check */

/* Run vd_check on the election, with more options. Returns: its exit code. */
static int check_with(const char *more)
{
    char command[1024];
    FILE *pipe;
    size_t len;

    (void)snprintf(
        command, sizeof(command),
        "%s --database '%s' --suffix=-%s --voters %d --rejected %d --dead %d --picture %s"
        " %s 2>&1",
        getenv("VD_CHECK"), election.database, election.name, VOTERS, REPEATS, POISON, picture,
        more);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    len = fread(output, 1, sizeof(output) - 1, pipe);
    output[len] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static int check(void)
{
    return check_with("");
}

/* The last check must have said that this differs. */
__attribute__((format(printf, 1, 2))) static void assert_differs(const char *format, ...)
{
    char line[256] = "DIFFERS ";
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line + strlen(line), sizeof(line) - strlen(line), format, args);
    va_end(args);
    if (strstr(output, line) == NULL) {
        print_message("%s", output);
        fail_msg("not found: %s", line);
    }
}

/* The check must fail, and say that this differs. */
static void assert_found(const char *invariant)
{
    assert_int_equal(check(), 1);
    assert_differs("%s", invariant);
}

/* Once all is at rest: markers of the last transactions may come after the node has ended. */
static void assert_sound(void)
{
    const int64_t deadline_ms = now_ms() + 60000;

    int code;

    while ((code = check()) != 0 && strstr(output, "DIFFERS 4 ") != NULL &&
           now_ms() < deadline_ms) {
        pause_ms(300);
    }
    if (code != 0) {
        print_message("%s", output);
        fail_msg("a sound election was found wrong");
    }
}

/* Wait until a topic has so many records. */
static void wait_records(const char *name, size_t count)
{
    const int64_t deadline_ms = now_ms() + 60000;
    char *topic = election_topic(&election, name);
    size_t found = 0;

    while (found < count && now_ms() < deadline_ms) {
        struct peer_log log = peer_read(topic, true);

        found = log.count;
        peer_log_free(&log);
        pause_ms(50);
    }
    free(topic);
    assert_int_equal(found, count);
}

static void write_picture(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The dashboard asks the database about once a second. */
static void wait_picture(void)
{
    int64_t deadline_ms = now_ms() + 60000;
    char *body;

    do {
        pause_ms(300);
        (void)election_get(&election, 0, "/api/v1/snapshot", &body); /* the check judges it */
        write_picture(picture, body);
        free(body);
    } while (check() != 0 && now_ms() < deadline_ms);
}

TEST(a_sound_election_passes)
{
    char *voters = election_topic(&election, "voters_topic");
    struct peer_log log;

    election_start(&election, 0, NULL);
    election_wait_counted(&election, VOTERS, 60);
    log = peer_read(voters, true);
    for (int i = 0; i < REPEATS; i++) {
        peer_send(voters, log.records[i].partition, log.records[i].key, log.records[i].value);
    }
    for (int i = 0; i < POISON; i++) {
        peer_send(voters, 1, "poison", "[");
    }
    peer_flush();
    wait_records("rejected_votes", REPEATS);
    wait_records("voters_dead", POISON);
    wait_picture();
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    assert_sound();
    peer_log_free(&log);
    free(voters);
}

TEST(damage_in_the_database_is_found)
{
    static const struct {
        const char *harm, *invariant;
    } damages[] = {
        {"DELETE FROM votes WHERE voter_id = (SELECT min(voter_id) FROM votes)",
         "2 votes_topic, rows of votes: 1000 = 999"},
        {"INSERT INTO votes SELECT 'nobody', candidate_id, voting_time, 1, 1, 0, 5 FROM votes"
         " LIMIT 1",
         "2 votes_topic, rows of votes: 1000 = 1001"},
        {"UPDATE votes SET voting_time = voting_time + interval '1 s' WHERE voter_id ="
         " (SELECT min(voter_id) FROM votes)",
         "2 rows of votes, with the same vote in votes_topic: 1000 = 999"},
        {"UPDATE votes SET source_offset = source_offset + 1 WHERE voter_id ="
         " (SELECT min(voter_id) FROM votes)",
         "2 checksum of votes_topic, of votes"},
        {"UPDATE votes SET candidate_id = (SELECT min(candidate_id) FROM candidates c WHERE"
         " c.candidate_id <> votes.candidate_id) WHERE voter_id = (SELECT min(voter_id) FROM"
         " votes)",
         "3 aggregated_votes_per_candidate: keys, equal on all sides: 3 = 1"},
        {"UPDATE vote_progress SET next_offset = next_offset - 1 WHERE source_partition = 2",
         "2 partition 2: progress in PostgreSQL"},
        {"DELETE FROM voters WHERE voter_id = (SELECT min(voter_id) FROM voters)",
         "2 voters in voters_topic, of these in voters: 1000 = 999"},
    };

    election_execute(&election, "CREATE TABLE votes_0 AS TABLE votes");
    election_execute(&election, "CREATE TABLE voters_0 AS TABLE voters");
    election_execute(&election, "CREATE TABLE progress_0 AS TABLE vote_progress");
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        election_execute(&election, damages[i].harm);
        assert_found(damages[i].invariant);
        election_execute(&election, "TRUNCATE votes, voters, vote_progress");
        election_execute(&election, "INSERT INTO votes TABLE votes_0");
        election_execute(&election, "INSERT INTO voters TABLE voters_0");
        election_execute(&election, "INSERT INTO vote_progress TABLE progress_0");
    }
    assert_sound();
}

/* The value in a column of a row of the picture's table. */
static cJSON *value_of(const cJSON *json, const char *table, int row, int column)
{
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "rows");
    cJSON *value = cJSON_GetArrayItem(
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(rows, table), row), column + 1);

    assert_true(cJSON_IsNumber(value));
    return value;
}

static void add_to(cJSON *value, int more)
{
    (void)cJSON_SetNumberValue(value, value->valuedouble + more);
}

static const struct {
    const char *name, *topic;
} shown[] = {
    {"candidate", "aggregated_votes_per_candidate"},
    {"state", "aggregated_turnout_by_location"},
    {"age", "aggregated_turnout_by_age"},
    {"age_group", "aggregated_turnout_by_age_group"},
    {"gender", "aggregated_turnout_by_gender"},
    {"party", "aggregated_party_wise_votes"},
    {"city", "aggregated_votes_by_region"},
    {"state_candidate", "aggregated_votes_by_state_and_candidate"},
};
#define SHOWN (sizeof(shown) / sizeof(shown[0]))

/* Every number of one row of every table is too high by one. */
static void raise_all(cJSON *json)
{
    for (size_t i = 0; i < SHOWN; i++) {
        add_to(value_of(json, shown[i].name, 0, 0), 1);
    }
    add_to(value_of(json, "state", 0, 1), 1);
    for (int column = 0; column < 4; column++) {
        add_to(value_of(json, "totals", 0, column), 1);
    }
}

/* The sums are right, but one row has a vote of another one's; a candidate has another name, the
 * next one is not there. */
static void shift_all(cJSON *json)
{
    cJSON *candidates = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "add"), "candidate");

    for (size_t i = 0; i < SHOWN; i++) {
        add_to(value_of(json, shown[i].name, 0, 0), 1);
        add_to(value_of(json, shown[i].name, 1, 0), -1);
    }
    add_to(value_of(json, "state", 0, 1), 1);
    add_to(value_of(json, "state", 1, 1), -1);
    cJSON_ReplaceItemInArray(cJSON_GetArrayItem(candidates, 0), 2, cJSON_CreateString("nobody"));
    cJSON_DeleteItemFromArray(candidates, 1);
}

/* Write the picture with a damage, beside it. */
static void damage_picture(const char *path, void (*harm)(cJSON *json))
{
    FILE *file = fopen(picture, "re");
    char *text = NULL;
    size_t len = 0;
    cJSON *json;

    assert_non_null(file);
    assert_true(getdelim(&text, &len, '\0', file) > 0);
    (void)fclose(file);
    json = cJSON_Parse(text);
    free(text);
    harm(json);
    text = cJSON_PrintUnformatted(json);
    write_picture(path, text);
    cJSON_free(text);
    cJSON_Delete(json);
}

TEST(damage_in_a_picture_is_found)
{
    char raised[96], shifted[96], more[256];

    (void)snprintf(raised, sizeof(raised), "%s.raised", picture);
    (void)snprintf(shifted, sizeof(shifted), "%s.shifted", picture);
    (void)snprintf(more, sizeof(more), "--picture %s --picture %s", raised, shifted);
    damage_picture(raised, raise_all);
    damage_picture(shifted, shift_all);
    assert_int_equal(check_with(more), 1);
    assert_null(strstr(output, "DIFFERS 3 dashboard 1"));
    for (size_t i = 0; i < SHOWN; i++) {
        assert_differs("3 dashboard 2, %s: votes, in %s: 1001 = 1000", shown[i].name,
                       shown[i].topic);
        assert_differs("3 dashboard 3, %s: rows, as published and in PostgreSQL: ", shown[i].name);
    }
    assert_differs("3 dashboard 2, state: registered, rows of voters: 1001 = 1000");
    assert_differs("3 dashboard 3, state: rows, registered as in PostgreSQL: ");
    assert_differs("3 dashboard 3, candidate: rows, texts as in PostgreSQL: ");
    assert_differs("3 dashboard 2, totals: voters, rows in PostgreSQL: 1001 = 1000");
    assert_differs("3 dashboard 2, totals: candidates, rows in PostgreSQL: 4 = 3");
    assert_differs("3 dashboard 2, totals: stored, rows in PostgreSQL: 1001 = 1000");
    assert_differs("3 dashboard 2, totals: counted, votes_topic: 1001 = 1000");
    assert_int_equal(check_with("--picture /dev/null"), 2);
    assert_non_null(strstr(output, "expected the answer of /api/v1/snapshot"));
    (void)unlink(raised);
    (void)unlink(shifted);
}

/* The newest record of a topic's partition that has one. */
static const struct peer_record *last_of(const struct peer_log *log)
{
    return &log->records[log->count - 1];
}

/* A record of agg_partials with one byte of its value changed, then as it was. */
static void damage_partial(const struct peer_record *record, size_t byte, const char *invariant)
{
    char *topic = election_topic(&election, "agg_partials");

    record->value[byte] ^= 1;
    peer_send_record(topic, record);
    peer_flush();
    assert_found(invariant);
    record->value[byte] ^= 1;
    peer_send_record(topic, record);
    peer_flush();
    free(topic);
}

TEST(damage_in_the_partials_is_found)
{
    char *topic = election_topic(&election, "agg_partials");
    struct peer_log log = peer_read(topic, true);
    const struct peer_record *meta = last_of(&log);
    const struct peer_record *total = meta;

    while (meta->key[1] != 3) {
        meta--;
    }
    while (total->key[1] != 1) {
        total--;
    }
    damage_partial(meta, 8, "3 partition 3: next offset in META, end of votes_topic");
    damage_partial(meta, 26, "3 partition 3: votes in META, votes_topic");
    damage_partial(meta, 63, "3 partition 3: checksum in META, of votes_topic");
    damage_partial(meta, 0,
                   "3 partition 3: votes in META, votes_topic"); /* a version we know not */
    damage_partial(total, 8,
                   "3 sums of totals by partition and group-by, as META's votes: 32 = 31");
    damage_partial(total, 8, "3 aggregated_");
    assert_sound();
    peer_log_free(&log);
    free(topic);
}

/* The last test: the topic keeps it. */
TEST(a_watermark_that_goes_back_is_found)
{
    char *topic = election_topic(&election, "agg_partials");
    struct peer_log log = peer_read(topic, true);
    const struct peer_record *meta = last_of(&log);

    while (meta->key[1] != 3) {
        meta--;
    }
    memcpy(meta->value + 36, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8); /* -2, none is -1 */
    peer_send_record(topic, meta);
    peer_flush();
    assert_found("3 partition 3: watermarks that go back: 1 = 0");
    peer_log_free(&log);
    free(topic);
}

TEST(a_total_in_two_partitions_is_found)
{
    char *topic = election_topic(&election, "aggregated_turnout_by_age_group");
    struct peer_log log = peer_read(topic, false);
    struct peer_record *last = &log.records[log.count - 1];

    last->partition = (last->partition + 1) % 4;
    peer_send_record(topic, last);
    peer_flush();
    assert_found("3 aggregated_turnout_by_age_group: keys, in one partition each: 7 = 6");
    peer_log_free(&log);
    free(topic);
}

TEST(a_wrong_total_is_found)
{
    char *topic = election_topic(&election, "aggregated_turnout_by_gender");
    struct peer_log log = peer_read(topic, false);
    const struct peer_record *last = last_of(&log);

    /* An old total behind a newer one: readers keep the highest, but compaction keeps the last. */
    peer_send(topic, last->partition, last->key,
              "{\"gender\":\"x\",\"total_votes\":1,\"sequence\":1}");
    peer_flush();
    assert_found("3 aggregated_turnout_by_gender: keys, whose last record is the highest: 2 = 1");
    peer_send(topic, last->partition, last->key,
              "{\"gender\":\"x\",\"total_votes\":1,\"sequence\":9007199254740991}");
    peer_flush();
    assert_found("3 aggregated_turnout_by_gender, recount of votes_topic");
    assert_found("3 aggregated_turnout_by_gender: keys, equal on all sides: 2 = 1");
    peer_send(topic, last->partition, last->key, last->value);
    peer_log_free(&log);
    free(topic);
}

TEST(a_reject_that_stands_twice_is_one_outcome)
{
    char *topic = election_topic(&election, "rejected_votes");
    struct peer_log log = peer_read(topic, true);

    peer_send_record(topic, &log.records[0]);
    peer_flush();
    assert_found("1 rejected and dead, voters' records in them: 6 = 5");
    assert_non_null(
        strstr(output, "1 records of voters_topic, accepted + rejected + dead: 1005 = 1005"));
    (void)check_with("--lost");
    assert_null(strstr(output, "1 rejected and dead"));
    peer_log_free(&log);
    free(topic);
}

TEST(a_repeat_that_became_nothing_is_found)
{
    char *topic = election_topic(&election, "voters_topic");
    struct peer_log log = peer_read(topic, true);

    peer_send(topic, 0, log.records[0].key, log.records[0].value);
    peer_flush();
    assert_found("1 records of voters_topic, accepted + rejected + dead: 1006 = 1005");
    assert_found("1 records of voters_topic, with exactly one outcome: 1006 = 1005");
    peer_log_free(&log);
    free(topic);
}

TEST(a_record_with_two_outcomes_is_found)
{
    char *topic = election_topic(&election, "rejected_votes");
    char *votes = election_topic(&election, "votes_topic");
    struct peer_log log = peer_read(votes, true);

    peer_send_source(topic, 0, "{}", log.records[5].source, log.records[5].source_len);
    peer_flush();
    assert_found("1 records of voters_topic, with exactly one outcome: 1006 = 1004");
    assert_found("1 rejected, of a voter who has voted elsewhere: 4 = 3");
    assert_found("0 rejected, repeats made: 4 = 3");
    peer_log_free(&log);
    free(votes);
    free(topic);
}

TEST(a_second_vote_is_found)
{
    char *votes = election_topic(&election, "votes_topic");
    struct peer_log log = peer_read(votes, true);
    const struct peer_record *last = last_of(&log);

    peer_send_source(votes, last->partition, last->value, last->source, last->source_len);
    peer_flush();
    assert_found("0 votes, voters expected: 1001 = 1000");
    assert_found("2 votes_topic, voters in it: 1001 = 1000");
    assert_found("2 votes_topic, rising and with an unbroken chain: 1001 = 1000");
    assert_found("2 votes_topic, rows of votes: 1001 = 1000");
    peer_log_free(&log);
    free(votes);
}

TEST(an_open_transaction_is_found)
{
    char *topic = election_topic(&election, "rejected_votes");
    struct peer_transaction *transaction = peer_transaction_open(topic, 2, 1);

    assert_found("4 rejected_votes: last stable offset, end");
    peer_transaction_abort(transaction);
    free(topic);
}

int main(int argc, char **argv)
{
    /* In this order: what is planted in a topic stays there. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_election_passes),
        cmocka_unit_test(damage_in_a_picture_is_found),
        cmocka_unit_test(damage_in_the_database_is_found),
        cmocka_unit_test(damage_in_the_partials_is_found),
        cmocka_unit_test(a_total_in_two_partitions_is_found),
        cmocka_unit_test(a_wrong_total_is_found),
        cmocka_unit_test(a_reject_that_stands_twice_is_one_outcome),
        cmocka_unit_test(a_repeat_that_became_nothing_is_found),
        cmocka_unit_test(a_record_with_two_outcomes_is_found),
        cmocka_unit_test(a_second_vote_is_found),
        cmocka_unit_test(an_open_transaction_is_found),
        cmocka_unit_test(a_watermark_that_goes_back_is_found),
    };
    int failed;

    if (!election_is_possible() || getenv("VD_CHECK") == NULL) {
        return 77;
    }
    election_open(&election, "check");
    (void)snprintf(picture, sizeof(picture), "/tmp/votingd-test-%s.picture", election.name);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    election_close(&election);
    (void)unlink(picture);
    return failed;
}
