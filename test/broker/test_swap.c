/* Programs of the reference in the place of our stages: main.py instead of the generator, voting.py
 * instead of voting. They know nothing of our headers, columns and progress. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "election.h"

#define PARTITIONS 4
#define VOTERS 200

/* ---- Python -------------------------------------------------------------------------------- */

/* A string as json.dumps writes it: ASCII with escapes. 'text' is UTF-8 of the first 65536
 * characters. */
static void dump_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at >= 0xe0) {
            fprintf(out, "\\u%04x", (at[0] & 0x0fU) << 12 | (at[1] & 0x3fU) << 6 | (at[2] & 0x3fU));
            at += 2;
        } else if (*at >= 0xc0) {
            fprintf(out, "\\u%04x", (at[0] & 0x1fU) << 6 | (at[1] & 0x3fU));
            at++;
        } else {
            fprintf(out, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
        }
    }
    fputc('"', out);
}

static void dump_item(FILE *out, const cJSON *item)
{
    if (cJSON_IsString(item)) {
        dump_text(out, item->valuestring);
    } else {
        fprintf(out, "%d", item->valueint);
    }
}

static void dump_flat(FILE *out, const cJSON *object)
{
    fputc('{', out);
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        dump_text(out, item->string);
        fputs(": ", out);
        dump_item(out, item);
        fputs(item->next != NULL ? ", " : "", out);
    }
    fputc('}', out);
}

/* As json.dumps writes it: a blank behind each comma and colon. */
static char *dump(const cJSON *object)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    fputc('{', out);
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        dump_text(out, item->string);
        fputs(": ", out);
        if (cJSON_IsObject(item)) {
            dump_flat(out, item);
        } else {
            dump_item(out, item);
        }
        fputs(item->next != NULL ? ", " : "", out);
    }
    fputc('}', out);
    fclose(out);
    return text;
}

/* ---- the reference's statements ------------------------------------------------------------ */

static const char tables_sql[] =
    "CREATE TABLE IF NOT EXISTS candidates (candidate_id VARCHAR(255) PRIMARY KEY, candidate_name "
    "VARCHAR(255), party_affiliation VARCHAR(255), biography TEXT, campaign_platform TEXT, "
    "photo_url TEXT); CREATE TABLE IF NOT EXISTS voters (voter_id VARCHAR(255) PRIMARY KEY, "
    "voter_name VARCHAR(255), date_of_birth VARCHAR(255), gender VARCHAR(255), nationality "
    "VARCHAR(255), registration_number VARCHAR(255), address_street VARCHAR(255), address_city "
    "VARCHAR(255), address_state VARCHAR(255), address_country VARCHAR(255), address_postcode "
    "VARCHAR(255), email VARCHAR(255), phone_number VARCHAR(255), cell_number VARCHAR(255), "
    "picture TEXT, registered_age INTEGER); CREATE TABLE IF NOT EXISTS votes (voter_id "
    "VARCHAR(255) UNIQUE, candidate_id VARCHAR(255), voting_time TIMESTAMP, vote int DEFAULT 1, "
    "PRIMARY KEY (voter_id, candidate_id))";

static const char candidates_sql[] =
    "INSERT INTO candidates (candidate_id, candidate_name, party_affiliation, biography, "
    "campaign_platform, photo_url) VALUES ('c1', 'Zo\u00eb Gr\u00fcn', 'Management Party', 'A "
    "brief bio', 'Key promises', 'https://example.org/1.jpg'), ('c2', 'B Two', 'Savior Party', 'A "
    "brief bio', 'Key promises', 'https://example.org/2.jpg'), ('c3', 'C Three', 'Tech Republic "
    "Party', 'A brief bio', 'Key promises', 'https://example.org/3.jpg')";

/* ---- main.py ------------------------------------------------------------------------------- */

static cJSON *make_voter(int number)
{
    cJSON *voter = cJSON_CreateObject();
    cJSON *address;
    char id[40];

    (void)snprintf(id, sizeof(id), "%08x-1111-4222-8333-444444444444", (unsigned)number);
    cJSON_AddStringToObject(voter, "voter_id", id);
    cJSON_AddStringToObject(voter, "voter_name", number % 2 == 0 ? "Zoë O\"Neill" : "Jiří Novák");
    cJSON_AddStringToObject(voter, "date_of_birth", "1970-03-04T05:06:07.089Z");
    cJSON_AddStringToObject(voter, "gender", number % 2 == 0 ? "female" : "male");
    cJSON_AddStringToObject(voter, "nationality", "GB");
    cJSON_AddStringToObject(voter, "registration_number", "beautifulcat123");
    address = cJSON_AddObjectToObject(voter, "address");
    cJSON_AddStringToObject(address, "street", "12 High Street");
    cJSON_AddStringToObject(address, "city", "Málaga");
    cJSON_AddStringToObject(address, "state", "Västra Götaland");
    cJSON_AddStringToObject(address, "country", "United Kingdom");
    cJSON_AddStringToObject(address, "postcode", "E1 6AN");
    cJSON_AddStringToObject(voter, "email", "zoe@example.org");
    cJSON_AddStringToObject(voter, "phone_number", "015396 12345");
    cJSON_AddStringToObject(voter, "cell_number", "07123 456789");
    cJSON_AddStringToObject(voter, "picture", "https://example.org/p.jpg");
    cJSON_AddNumberToObject(voter, "registered_age", 9);
    return voter;
}

static void send_voter(struct election *election, int number)
{
    char *topic = election_topic(election, "voters_topic");
    cJSON *voter = make_voter(number);
    char *text = dump(voter);

    peer_send(topic, number % PARTITIONS,
              cJSON_GetStringValue(cJSON_GetObjectItem(voter, "voter_id")), text);
    free(text);
    cJSON_Delete(voter);
    free(topic);
}

static void insert_voter(struct election *election, int number)
{
    char sql[1024];

    (void)snprintf(
        sql, sizeof(sql),
        "INSERT INTO voters (voter_id, voter_name, date_of_birth, gender, nationality, "
        "registration_number, address_street, address_city, address_state, address_country, "
        "address_postcode, email, phone_number, cell_number, picture, registered_age) VALUES "
        "('%08x-1111-4222-8333-444444444444', 'n', '1970-03-04T05:06:07.089Z', 'male', 'GB', 'r', "
        "'12 High Street', 'Málaga', 'Västra Götaland', 'United Kingdom', 'E1 6AN', "
        "'zoe@example.org', '015396 12345', '07123 456789', 'p', 9)",
        (unsigned)number);
    election_execute(election, sql);
}

static char *external(const struct election *election, const char *topic)
{
    char *text = NULL;

    assert_true(asprintf(&text, "topic:%s-%s.external=yes", topic, election->name) > 0);
    return text;
}

static size_t count_reasons(struct election *election, const char *name, const char *reason)
{
    char *topic = election_topic(election, name);
    struct peer_log log = peer_read(topic, true);
    size_t count = 0;

    for (size_t i = 0; i < log.count; i++) {
        count += strstr(log.records[i].reason, reason) != NULL;
    }
    peer_log_free(&log);
    free(topic);
    return count;
}

TEST(voters_of_the_reference_vote_and_are_counted)
{
    struct election election;
    char *voters, *candidates, *text;
    struct peer_log log;

    election_open(&election, "main-py");
    voters = external(&election, "voters_topic");
    candidates = external(&election, "candidates_topic");
    election_execute(&election, tables_sql);
    election_execute(&election, candidates_sql);
    election_start(&election, 0, "--disable", "generator", "--set", voters, "--set", candidates,
                   NULL);
    election_wait_log(&election, 0, "running:", 60);
    for (int i = 0; i < VOTERS; i++) {
        insert_voter(&election, i);
        send_voter(&election, i);
    }
    peer_flush();
    election_wait_counted(&election, VOTERS, 120);
    /* voting.py beside us: its row comes before the voter's record. */
    election_execute(&election,
                     "INSERT INTO votes (voter_id, candidate_id, voting_time) VALUES "
                     "('000000c8-1111-4222-8333-444444444444', 'c2', '2026-11-03 10:00:00')");
    send_voter(&election, VOTERS);
    peer_flush();
    ELECTION_AWAIT(&election, count_reasons(&election, "rejected_votes", "voted before") == 1);
    election_execute(&election, "DELETE FROM votes WHERE voter_id LIKE '000000c8-%'");
    election_check(&election, VOTERS);
    assert_int_equal(election_count(&election,
                                    "SELECT count(*) FROM votes JOIN voters USING (voter_id) JOIN "
                                    "candidates USING (candidate_id)"),
                     VOTERS);
    text = election_topic(&election, "aggregated_votes_by_region");
    log = peer_read(text, false);
    assert_string_equal(log.records[0].key, "Málaga");
    peer_log_free(&log);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    free(text);
    free(candidates);
    free(voters);
    election_close(&election);
}

/* ---- voting.py ----------------------------------------------------------------------------- */

static cJSON *reversed(const cJSON *object)
{
    cJSON *out = cJSON_CreateObject();

    for (int i = cJSON_GetArraySize(object) - 1; i >= 0; i--) {
        const cJSON *item = cJSON_GetArrayItem(object, i);

        cJSON_AddItemToObject(out, item->string, cJSON_Duplicate(item, true));
    }
    return out;
}

/* voter | candidate | {"voting_time", "vote"}, every second one in another order. */
static char *make_vote(const struct peer_record *record, const PGresult *candidates, size_t i)
{
    cJSON *vote = cJSON_Parse(record->value);
    cJSON *other;
    char *text;

    for (int column = 0; column < 6; column++) {
        cJSON_AddStringToObject(vote, PQfname(candidates, column),
                                PQgetvalue(candidates, (int)i % PQntuples(candidates), column));
    }
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(vote, "address"), "city",
                              cJSON_CreateString("S\u00e3o \"Tom\u00e9\" \\"));
    cJSON_AddStringToObject(vote, "voting_time", "2026-11-03 23:59:59");
    cJSON_AddNumberToObject(vote, "vote", 1);
    other = i % 2 == 0 ? reversed(vote) : cJSON_Duplicate(vote, true);
    text = dump(other);
    cJSON_Delete(other);
    cJSON_Delete(vote);
    return text;
}

static void vote(struct election *election, const struct peer_log *voters,
                 const PGresult *candidates, size_t i)
{
    char *topic = election_topic(election, "votes_topic");
    char *text = make_vote(&voters->records[i], candidates, i);

    peer_send(topic, (int)i % PARTITIONS, voters->records[i].key, text);
    free(text);
    free(topic);
}

static struct peer_log wait_voters(struct election *election)
{
    char *topic = election_topic(election, "voters_topic");
    struct peer_log log = peer_read(topic, true);

    for (time_t end = time(NULL) + 120; log.count < VOTERS && time(NULL) < end;) {
        pause_ms(50);
        peer_log_free(&log);
        log = peer_read(topic, true);
    }
    assert_int_equal(log.count, VOTERS);
    free(topic);
    return log;
}

static void wait_sum(struct election *election, const char *topic, const char *member, int64_t sum)
{
    ELECTION_AWAIT(election, election_sum(election, topic, member) == sum);
}

/* Such votes have no source position, so each stands for itself, as at the reference: a program
 * that sends a vote twice is counted twice. */
TEST(votes_of_the_reference_are_counted_each_as_often_as_it_was_sent)
{
    struct election election;
    struct peer_log voters, cities;
    PGresult *candidates;
    char *votes, *text;

    election_open(&election, "voting-py");
    votes = external(&election, "votes_topic");
    election_start(&election, 0, "--disable", "voting", "--set", votes, "--set",
                   "stage:generator.voters=200", NULL);
    election_wait_log(&election, 0, "complete:", 60);
    voters = wait_voters(&election);
    (void)election_count(&election, "SELECT 1");
    candidates = PQexec(election.sql, "SELECT * FROM candidates");
    assert_int_equal(PQntuples(candidates), 3);
    for (size_t i = 0; i < voters.count; i++) {
        vote(&election, &voters, candidates, i);
    }
    peer_flush();
    wait_sum(&election, "aggregated_votes_per_candidate", "total_votes", VOTERS);
    for (size_t i = 0; i < 10; i++) {
        vote(&election, &voters, candidates, i);
    }
    peer_flush();
    wait_sum(&election, "aggregated_votes_per_candidate", "total_votes", VOTERS + 10);
    wait_sum(&election, "aggregated_turnout_by_location", "count", VOTERS + 10);
    wait_sum(&election, "aggregated_votes_by_region", "total_votes", VOTERS + 10);
    text = election_topic(&election, "aggregated_votes_by_region");
    cities = peer_read(text, false);
    assert_string_equal(cities.records[0].key, "S\u00e3o \"Tom\u00e9\" \\");
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    peer_log_free(&cities);
    peer_log_free(&voters);
    PQclear(candidates);
    free(text);
    free(votes);
    election_close(&election);
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voters_of_the_reference_vote_and_are_counted),
        cmocka_unit_test(votes_of_the_reference_are_counted_each_as_often_as_it_was_sent),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
