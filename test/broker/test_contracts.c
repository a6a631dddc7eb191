/* The reference's contracts, by a consumer that knows them and nothing else: after an election
 * every topic and table holds what a program written for the reference expects. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batches.h"
#include "election.h"
#include "members.h"

#define VOTERS 1000
#define ENRICHED 1 /* the node of the plugin */

struct scene {
    struct election election;
    struct peer_log voters, votes;
    int64_t total; /* what the page says */
};

/* ---- one election for all tests ------------------------------------------------------------ */

static size_t count_records(const struct election *election, const char *name)
{
    char *topic = election_topic(election, name);
    struct peer_log log = peer_read(topic, true);
    size_t count = log.count;

    peer_log_free(&log);
    free(topic);
    return count;
}

/* Member "counted" of the page's only row of totals: row, voters, candidates, stored, counted; -1:
 * the page does not answer now. */
static int64_t page_total(struct election *election)
{
    char *body;
    int status = election_get(election, 0, "/api/v1/snapshot", &body);
    cJSON *snapshot = status == 200 ? cJSON_Parse(body) : NULL;
    const cJSON *totals = cJSON_GetObjectItem(cJSON_GetObjectItem(snapshot, "rows"), "totals");
    const cJSON *total = cJSON_GetArrayItem(cJSON_GetArrayItem(totals, 0), 4);
    int64_t answer = cJSON_IsNumber(total) ? (int64_t)total->valuedouble : -1;

    cJSON_Delete(snapshot);
    free(body);
    return answer;
}

static struct peer_log read_topic(const struct election *election, const char *name)
{
    char *topic = election_topic(election, name);
    struct peer_log log = peer_read(topic, true);

    free(topic);
    return log;
}

static int hold_election(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    struct election *election = &scene->election;
    char *topology;

    election_open(election, "contracts");
    topology = election_topology(election, "election-enriched.ini");
    election_start(election, 0, NULL);
    election_wait_counted(election, VOTERS, 120);
    election_start(election, ENRICHED, "--topology", topology, NULL);
    ELECTION_AWAIT(election, count_records(election, "enriched_votes") >= VOTERS);
    ELECTION_AWAIT(election, (scene->total = page_total(election)) == VOTERS);
    assert_int_equal(election_stop(election, ENRICHED, SIGTERM), 0);
    assert_int_equal(election_stop(election, 0, SIGTERM), 0);
    scene->voters = read_topic(election, "voters_topic");
    scene->votes = read_topic(election, "votes_topic");
    remove(topology);
    free(topology);
    *state = scene;
    return 0;
}

static int end_election(void **state)
{
    struct scene *scene = *state;

    peer_log_free(&scene->voters);
    peer_log_free(&scene->votes);
    election_close(&scene->election);
    free(scene);
    return 0;
}

/* ---- members ------------------------------------------------------------------------------- */

#define VOTER_MEMBERS                                                                             \
    {"voter_id", MEMBER_TEXT}, {"voter_name", MEMBER_TEXT}, {"date_of_birth", MEMBER_TEXT},       \
        {"gender", MEMBER_TEXT}, {"nationality", MEMBER_TEXT},                                    \
        {"registration_number", MEMBER_TEXT}, {"address", MEMBER_OBJECT}, {"email", MEMBER_TEXT}, \
        {"phone_number", MEMBER_TEXT}, {"cell_number", MEMBER_TEXT}, {"picture", MEMBER_TEXT},    \
    {                                                                                             \
        "registered_age", MEMBER_INTEGER                                                          \
    }
#define CANDIDATE_MEMBERS                                               \
    {"candidate_id", MEMBER_TEXT}, {"candidate_name", MEMBER_TEXT},     \
        {"party_affiliation", MEMBER_TEXT}, {"biography", MEMBER_TEXT}, \
        {"campaign_platform", MEMBER_TEXT},                             \
    {                                                                   \
        "photo_url", MEMBER_TEXT                                        \
    }

static const struct member voter_members[] = {VOTER_MEMBERS, {NULL, MEMBER_TEXT}};
static const struct member candidate_members[] = {CANDIDATE_MEMBERS, {NULL, MEMBER_TEXT}};
static const struct member vote_members[] = {VOTER_MEMBERS,
                                             CANDIDATE_MEMBERS,
                                             {"voting_time", MEMBER_TEXT},
                                             {"vote", MEMBER_INTEGER},
                                             {NULL, MEMBER_TEXT}};
static const struct member address_members[] = {{"street", MEMBER_TEXT},   {"city", MEMBER_TEXT},
                                                {"state", MEMBER_TEXT},    {"country", MEMBER_TEXT},
                                                {"postcode", MEMBER_TEXT}, {NULL, MEMBER_TEXT}};

/* ---- topics -------------------------------------------------------------------------------- */

static void check_voter(const cJSON *voter)
{
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(voter, "address");
    const char *gender = members_text(voter, "gender");

    members_check(address, address_members);
    members_check_form(members_text(voter, "voter_id"), "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    members_check_form(members_text(voter, "date_of_birth"), "9999-99-99T99:99:99.999Z");
    members_check_form(members_text(voter, "nationality"), "AA");
    assert_true(strcmp(gender, "female") == 0 || strcmp(gender, "male") == 0);
    assert_non_null(strchr(members_text(voter, "voter_name"), ' '));
    assert_non_null(strchr(members_text(voter, "email"), '@'));
    assert_in_range((int)members_number(voter, "registered_age"), 18, 120);
}

/* Row and record are the same voter. */
static void check_row(struct election *election, const cJSON *voter)
{
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(voter, "address");
    char sql[128];
    char *text;
    cJSON *row;

    (void)snprintf(sql, sizeof(sql), "SELECT row_to_json(v) FROM voters v WHERE voter_id = '%s'",
                   members_text(voter, "voter_id"));
    text = election_text(election, sql);
    row = cJSON_Parse(text);
    for (const struct member *member = voter_members; member->name != NULL; member++) {
        if (member->type == MEMBER_TEXT) {
            assert_string_equal(members_text(row, member->name), members_text(voter, member->name));
        }
    }
    for (const struct member *member = address_members; member->name != NULL; member++) {
        char column[32];

        (void)snprintf(column, sizeof(column), "address_%s", member->name);
        assert_string_equal(members_text(row, column), members_text(address, member->name));
    }
    assert_true(members_number(row, "registered_age") == members_number(voter, "registered_age"));
    cJSON_Delete(row);
    free(text);
}

TEST(voters_have_the_members_of_the_reference_and_are_what_the_table_says)
{
    struct scene *scene = *state;

    assert_int_equal(scene->voters.count, VOTERS);
    for (size_t i = 0; i < scene->voters.count; i++) {
        cJSON *voter = members_parse(&scene->voters.records[i]);

        members_check(voter, voter_members);
        assert_string_equal(scene->voters.records[i].key, members_text(voter, "voter_id"));
        check_voter(voter);
        check_row(&scene->election, voter);
        cJSON_Delete(voter);
    }
}

TEST(candidates_have_the_members_of_the_reference)
{
    struct scene *scene = *state;
    struct peer_log log = read_topic(&scene->election, "candidates_topic");

    assert_int_equal(log.count, 3);
    for (size_t i = 0; i < log.count; i++) {
        cJSON *candidate = members_parse(&log.records[i]);
        char sql[256];

        members_check(candidate, candidate_members);
        assert_string_equal(log.records[i].key, members_text(candidate, "candidate_id"));
        (void)snprintf(sql, sizeof(sql),
                       "SELECT count(*) FROM candidates WHERE candidate_id = '%s' AND "
                       "candidate_name = '%s' AND party_affiliation = '%s'",
                       members_text(candidate, "candidate_id"),
                       members_text(candidate, "candidate_name"),
                       members_text(candidate, "party_affiliation"));
        assert_int_equal(election_count(&scene->election, sql), 1);
        cJSON_Delete(candidate);
    }
    peer_log_free(&log);
}

static const struct peer_record *find_record(const struct peer_log *log, const char *key)
{
    for (size_t i = 0; i < log->count; i++) {
        if (strcmp(log->records[i].key, key) == 0) {
            return &log->records[i];
        }
    }
    fail_msg("no record of key %s", key);
    return NULL;
}

static void check_vote(struct scene *scene, const struct peer_record *record)
{
    const struct peer_record *source = find_record(&scene->voters, record->key);
    cJSON *vote = members_parse(record);
    cJSON *voter = members_parse(source);
    time_t second = (time_t)(record->timestamp_ms / 1000);
    char time[32];

    members_check(vote, vote_members);
    assert_string_equal(record->key, members_text(vote, "voter_id"));
    for (const struct member *member = voter_members; member->name != NULL; member++) {
        assert_true(cJSON_Compare(cJSON_GetObjectItemCaseSensitive(vote, member->name),
                                  cJSON_GetObjectItemCaseSensitive(voter, member->name), true));
    }
    (void)strftime(time, sizeof(time), "%Y-%m-%d %H:%M:%S", gmtime(&second));
    assert_string_equal(members_text(vote, "voting_time"), time);
    assert_true(members_number(vote, "vote") == 1);
    assert_int_equal(record->timestamp_ms, source->timestamp_ms);
    cJSON_Delete(voter);
    cJSON_Delete(vote);
}

TEST(votes_are_the_voter_the_candidate_and_the_time_of_the_record_in_utc)
{
    struct scene *scene = *state;
    char sql[256];

    assert_int_equal(scene->votes.count, VOTERS);
    for (size_t i = 0; i < scene->votes.count; i++) {
        cJSON *vote = members_parse(&scene->votes.records[i]);

        check_vote(scene, &scene->votes.records[i]);
        (void)snprintf(
            sql, sizeof(sql),
            "SELECT count(*) FROM votes JOIN candidates USING (candidate_id) WHERE "
            "voter_id = '%s' AND candidate_id = '%s' AND voting_time = '%s' AND vote = 1",
            members_text(vote, "voter_id"), members_text(vote, "candidate_id"),
            members_text(vote, "voting_time"));
        assert_int_equal(election_count(&scene->election, sql), 1);
        cJSON_Delete(vote);
    }
}

/* 'key': the members that the record's key is made of, with a slash between them. */
static const struct aggregate {
    const char *topic, *total, *key[2];
    struct member members[8];
} aggregates[] = {
    {"aggregated_votes_per_candidate",
     "total_votes",
     {"candidate_id"},
     {{"candidate_id", MEMBER_TEXT},
      {"candidate_name", MEMBER_TEXT},
      {"party_affiliation", MEMBER_TEXT},
      {"photo_url", MEMBER_TEXT},
      {"total_votes", MEMBER_INTEGER},
      {"sequence", MEMBER_INTEGER}}},
    {"aggregated_turnout_by_location",
     "count",
     {"state"},
     {{"state", MEMBER_TEXT}, {"count", MEMBER_INTEGER}, {"sequence", MEMBER_INTEGER}}},
    {"aggregated_turnout_by_age",
     "total_votes",
     {"registered_age"},
     {{"registered_age", MEMBER_INTEGER},
      {"total_votes", MEMBER_INTEGER},
      {"sequence", MEMBER_INTEGER}}},
    {"aggregated_turnout_by_gender",
     "total_votes",
     {"gender"},
     {{"gender", MEMBER_TEXT}, {"total_votes", MEMBER_INTEGER}, {"sequence", MEMBER_INTEGER}}},
    {"aggregated_party_wise_votes",
     "total_votes",
     {"party_affiliation"},
     {{"party_affiliation", MEMBER_TEXT},
      {"total_votes", MEMBER_INTEGER},
      {"sequence", MEMBER_INTEGER}}},
    {"aggregated_votes_by_region",
     "total_votes",
     {"city"},
     {{"city", MEMBER_TEXT}, {"total_votes", MEMBER_INTEGER}, {"sequence", MEMBER_INTEGER}}},
    {"aggregated_turnout_by_age_group",
     "total_votes",
     {"age_group"},
     {{"age_group", MEMBER_TEXT}, {"total_votes", MEMBER_INTEGER}, {"sequence", MEMBER_INTEGER}}},
    {"aggregated_votes_by_state_and_candidate",
     "total_votes",
     {"state", "candidate_id"},
     {{"state", MEMBER_TEXT},
      {"candidate_id", MEMBER_TEXT},
      {"total_votes", MEMBER_INTEGER},
      {"sequence", MEMBER_INTEGER}}},
};
#define AGGREGATES (sizeof(aggregates) / sizeof(aggregates[0]))

static void check_key(const struct aggregate *aggregate, const struct peer_record *record,
                      const cJSON *total)
{
    char key[512] = "";

    for (size_t i = 0; i < 2 && aggregate->key[i] != NULL; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(total, aggregate->key[i]);
        size_t len = strlen(key);

        if (cJSON_IsString(item)) {
            (void)snprintf(key + len, sizeof(key) - len, "%s%s", i > 0 ? "/" : "",
                           item->valuestring);
        } else {
            (void)snprintf(key + len, sizeof(key) - len, "%.0f", item->valuedouble);
        }
    }
    assert_string_equal(record->key, key);
}

/* What a reader keeps who takes the last of a group, and one who takes the largest. */
static void check_order(const struct peer_log *log, const struct aggregate *aggregate, size_t i)
{
    cJSON *total = members_parse(&log->records[i]);

    for (size_t j = i + 1; j < log->count; j++) {
        if (strcmp(log->records[j].key, log->records[i].key) == 0) {
            cJSON *later = members_parse(&log->records[j]);

            assert_true(members_number(later, aggregate->total) >=
                        members_number(total, aggregate->total));
            assert_true(members_number(later, "sequence") >= members_number(total, "sequence"));
            cJSON_Delete(later);
            break;
        }
    }
    cJSON_Delete(total);
}

TEST(aggregates_have_the_members_of_the_reference_and_only_grow)
{
    struct scene *scene = *state;

    for (size_t a = 0; a < AGGREGATES; a++) {
        struct peer_log log = read_topic(&scene->election, aggregates[a].topic);

        assert_true(log.count > 0);
        for (size_t i = 0; i < log.count; i++) {
            cJSON *total = members_parse(&log.records[i]);

            members_check(total, aggregates[a].members);
            check_key(&aggregates[a], &log.records[i], total);
            assert_in_range((int)members_number(total, aggregates[a].total), 1, VOTERS);
            check_order(&log, &aggregates[a], i);
            assert_int_equal(log.records[i].timestamp_ms % 1000, 0); /* the newest voting_time */
            cJSON_Delete(total);
        }
        peer_log_free(&log);
    }
}

/* kafka-python 2.0.2 knows neither lz4 nor transaction markers. */
TEST(aggregates_can_be_read_by_a_client_that_knows_gzip_and_no_transactions)
{
    struct scene *scene = *state;
    char *votes = election_topic(&scene->election, "votes_topic");
    struct batches control = batches_read(votes, 0);

    assert_true(control.markers > 0 && control.transactional > control.markers);
    assert_true(control.codecs[BATCHES_LZ4] > 0);
    for (size_t a = 0; a < AGGREGATES; a++) {
        char *topic = election_topic(&scene->election, aggregates[a].topic);
        int count = 0;

        for (int32_t partition = 0; partition < 4; partition++) {
            struct batches found = batches_read(topic, partition);

            assert_int_equal(found.transactional, 0);
            assert_int_equal(found.markers, 0);
            assert_int_equal(found.codecs[BATCHES_PLAIN] + found.codecs[BATCHES_GZIP], found.count);
            count += found.count;
        }
        assert_true(count > 0);
        free(topic);
    }
    free(votes);
}

TEST(enriched_votes_are_flat)
{
    static const struct member members[] = {{"voter_id", MEMBER_TEXT},
                                            {"voter_name", MEMBER_TEXT},
                                            {"candidate_id", MEMBER_TEXT},
                                            {"gender", MEMBER_TEXT},
                                            {"voting_time", MEMBER_TEXT},
                                            {"voter_city", MEMBER_TEXT},
                                            {"voter_state", MEMBER_TEXT},
                                            {"voter_country", MEMBER_TEXT},
                                            {"voter_postcode", MEMBER_TEXT},
                                            {"candidate_name", MEMBER_TEXT},
                                            {"party_affiliation", MEMBER_TEXT},
                                            {"voter_registered_age", MEMBER_INTEGER},
                                            {NULL, MEMBER_TEXT}};
    struct scene *scene = *state;
    struct peer_log log = read_topic(&scene->election, "enriched_votes");

    assert_int_equal(log.count, VOTERS);
    for (size_t i = 0; i < log.count; i++) {
        cJSON *flat = members_parse(&log.records[i]);
        cJSON *vote = members_parse(find_record(&scene->votes, members_text(flat, "voter_id")));
        const cJSON *address = cJSON_GetObjectItemCaseSensitive(vote, "address");

        members_check(flat, members);
        assert_string_equal(members_text(flat, "candidate_name"),
                            members_text(vote, "candidate_name"));
        assert_string_equal(members_text(flat, "voting_time"), members_text(vote, "voting_time"));
        assert_string_equal(members_text(flat, "voter_state"), members_text(address, "state"));
        assert_string_equal(members_text(flat, "voter_postcode"),
                            members_text(address, "postcode"));
        assert_true(members_number(flat, "voter_registered_age") ==
                    members_number(vote, "registered_age"));
        cJSON_Delete(vote);
        cJSON_Delete(flat);
    }
    peer_log_free(&log);
}

TEST(table_topic_totals_and_page_say_the_same)
{
    struct scene *scene = *state;

    election_check(&scene->election, VOTERS);
    assert_int_equal(scene->total, VOTERS);
}

/* ---- tables -------------------------------------------------------------------------------- */

/* The reference's columns come first; ours behind them may be left out of an INSERT. */
static void check_columns(struct election *election, const char *table, const char *columns)
{
    char sql[512];
    char *found;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT string_agg(column_name || ' ' || data_type || coalesce('(' || "
                   "character_maximum_length || ')', ''), ', ' ORDER BY ordinal_position) FROM "
                   "information_schema.columns WHERE table_name = '%s' AND column_name NOT LIKE "
                   "'source\\_%%'",
                   table);
    found = election_text(election, sql);
    assert_string_equal(found, columns);
    free(found);
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM information_schema.columns WHERE table_name = '%s' AND "
                   "column_name LIKE 'source\\_%%' AND (is_nullable = 'NO' OR ordinal_position <= "
                   "(SELECT max(ordinal_position) FROM information_schema.columns WHERE "
                   "table_name = '%s' AND column_name NOT LIKE 'source\\_%%'))",
                   table, table);
    assert_int_equal(election_count(election, sql), 0);
}

#define WIDE " character varying(255)"

TEST(tables_have_the_columns_of_the_reference)
{
    struct scene *scene = *state;
    char *text;

    check_columns(&scene->election, "candidates",
                  "candidate_id" WIDE ", candidate_name" WIDE ", party_affiliation" WIDE
                  ", biography text, campaign_platform text, photo_url text");
    check_columns(&scene->election, "voters",
                  "voter_id" WIDE ", voter_name" WIDE ", date_of_birth" WIDE ", gender" WIDE
                  ", nationality" WIDE ", registration_number" WIDE ", address_street" WIDE
                  ", address_city" WIDE ", address_state" WIDE ", address_country" WIDE
                  ", address_postcode" WIDE ", email" WIDE ", phone_number" WIDE
                  ", cell_number" WIDE ", picture text, registered_age integer");
    check_columns(&scene->election, "votes",
                  "voter_id" WIDE ", candidate_id" WIDE
                  ", voting_time timestamp without time zone, vote integer");
    text = election_text(&scene->election,
                         "SELECT string_agg(conrelid::regclass || ' ' || "
                         "pg_get_constraintdef(oid), '; ' ORDER BY conrelid::regclass::text, "
                         "contype) FROM pg_constraint WHERE conrelid IN ('voters'::regclass, "
                         "'votes'::regclass, 'candidates'::regclass)");
    assert_string_equal(text, "candidates PRIMARY KEY (candidate_id); voters PRIMARY KEY "
                              "(voter_id); votes PRIMARY KEY (voter_id, candidate_id); votes "
                              "UNIQUE (voter_id)");
    free(text);
}

TEST(statements_of_the_reference_work)
{
    struct scene *scene = *state;
    struct election *election = &scene->election;
    PGresult *result;
    char *text;

    text = election_text(
        election,
        "INSERT INTO voters (voter_id, voter_name, date_of_birth, gender, nationality, "
        "registration_number, address_street, address_city, address_state, address_country, "
        "address_postcode, email, phone_number, cell_number, picture, registered_age) VALUES "
        "('foreign', 'A B', '1980-01-01T00:00:00.000Z', 'female', 'GB', 'r', '1 High Street', "
        "'Bath', 'Avon', 'United Kingdom', 'BA1 1AA', 'a@example.org', '1', '2', 'p', '6') "
        "RETURNING voter_id");
    assert_string_equal(text, "foreign");
    free(text);
    text = election_text(election, "INSERT INTO votes (voter_id, candidate_id, voting_time) VALUES "
                                   "('foreign', (SELECT min(candidate_id) FROM candidates), "
                                   "'2026-11-03 10:00:00') RETURNING vote");
    assert_string_equal(text, "1");
    free(text);
    assert_int_equal(election_count(election, "WITH gone AS (DELETE FROM votes WHERE voter_id = "
                                              "'foreign' RETURNING 1) SELECT count(*) FROM gone"),
                     1);
    result = PQexec(election->sql, "SELECT * FROM candidates");
    assert_int_equal(PQntuples(result), 3);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(PQfname(result, i), candidate_members[i].name);
    }
    PQclear(result);
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voters_have_the_members_of_the_reference_and_are_what_the_table_says),
        cmocka_unit_test(candidates_have_the_members_of_the_reference),
        cmocka_unit_test(votes_are_the_voter_the_candidate_and_the_time_of_the_record_in_utc),
        cmocka_unit_test(aggregates_have_the_members_of_the_reference_and_only_grow),
        cmocka_unit_test(aggregates_can_be_read_by_a_client_that_knows_gzip_and_no_transactions),
        cmocka_unit_test(enriched_votes_are_flat),
        cmocka_unit_test(table_topic_totals_and_page_say_the_same),
        cmocka_unit_test(tables_have_the_columns_of_the_reference),
        cmocka_unit_test(statements_of_the_reference_work),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, hold_election, end_election);
}
