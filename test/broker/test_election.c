/* The election end to end: real broker, real database, the real daemon in processes of its own. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "election.h"

#define KILLED (128 + SIGKILL)

static void set_voters(char *text, size_t bytes, int64_t voters)
{
    (void)snprintf(text, bytes, "stage:generator.voters=%lld", (long long)voters);
}

/* Wait until the database has so many votes, so that there is a middle to interrupt. */
static void wait_votes(struct election *election, int64_t votes)
{
    ELECTION_AWAIT(election, election_count(election, "SELECT count(*) FROM votes") >= votes);
}

static bool is_read_back(struct election *election)
{
    char *body = NULL;
    bool is_quiet = election_get(election, 0, "/api/v1/snapshot", &body) == 200 &&
                    strstr(body, "\"source\":\"quiet\"") != NULL;

    assert_true(!is_quiet || (strstr(body, "\"received_ms\":0,\"changed_ms\":0,") != NULL &&
                              strstr(body, "\"started_ms\":1") != NULL &&
                              strstr(body, "\"as_of_ms\":1") != NULL));
    free(body);
    return is_quiet;
}

/* What the page shows was there before this start: when it came then, nobody knows. */
static void check_read_back(struct election *election)
{
    ELECTION_AWAIT(election, is_read_back(election));
}

TEST(a_thousand_voters_are_counted_once)
{
    struct election election;
    char *body;
    cJSON *ready;

    election_open(&election, "thousand");
    election_start(&election, 0, NULL);
    election_wait_counted(&election, 1000, 120);
    election_check(&election, 1000);
    assert_int_equal(election_count(&election, "SELECT count(*) FROM candidates"), 3);
    assert_int_equal(election_count(&election, "SELECT count(*) FROM voters"), 1000);
    ELECTION_AWAIT(&election, election_get(&election, 0, "/readyz", NULL) == 200);
    assert_int_equal(election_get(&election, 0, "/readyz", &body), 200);
    ready = cJSON_Parse(body);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(ready, "ready")));
    cJSON_Delete(ready);
    free(body);
    assert_int_equal(election_get(&election, 0, "/healthz", NULL), 200);
    assert_int_equal(election_get(&election, 0, "/metrics", NULL), 200);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    /* A second start adds nothing and loses nothing. */
    election_start(&election, 0, NULL);
    election_wait_counted(&election, 1000, 120);
    check_read_back(&election);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_check(&election, 1000);
    election_close(&election);
}

TEST(totals_equal_what_the_database_says_per_candidate_and_state)
{
    struct election election;
    char *topic;
    struct peer_log log;

    election_open(&election, "totals");
    election_start(&election, 0, NULL);
    election_wait_counted(&election, 1000, 120);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    topic = election_topic(&election, "aggregated_turnout_by_location");
    log = peer_read(topic, false);
    for (size_t i = 0; i < log.count; i++) {
        cJSON *total = cJSON_Parse(log.records[i].value);
        const char *place = cJSON_GetObjectItem(total, "state")->valuestring;
        char sql[256];

        assert_string_equal(log.records[i].key, place);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT count(*) FROM votes JOIN voters USING (voter_id) "
                       "WHERE address_state = '%s'",
                       place);
        /* Every published total is one that was true at some time; the last one is the count. */
        assert_in_range((int64_t)cJSON_GetObjectItem(total, "count")->valuedouble, 1,
                        election_count(&election, sql));
        cJSON_Delete(total);
    }
    peer_log_free(&log);
    free(topic);
    election_close(&election);
}

TEST(a_hundred_thousand_voters_survive_stops_and_kills)
{
    struct election election;
    char voters[64];

    set_voters(voters, sizeof(voters), 100000);
    election_open(&election, "kills");
    election_start(&election, 0, "--set", voters, NULL);
    wait_votes(&election, 10000);
    assert_int_equal(election_stop(&election, 0, SIGKILL), KILLED);
    election_start(&election, 0, "--set", voters, NULL);
    wait_votes(&election, 40000);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_start(&election, 0, "--set", voters, NULL);
    wait_votes(&election, 70000);
    assert_int_equal(election_stop(&election, 0, SIGKILL), KILLED);
    election_start(&election, 0, "--set", voters, NULL);
    election_wait_counted(&election, 100000, 240);
    election_check(&election, 100000);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_close(&election);
}

TEST(two_nodes_count_as_one_and_one_finishes_alone)
{
    struct election election;
    char voters[64];

    set_voters(voters, sizeof(voters), 50000);
    election_open(&election, "nodes");
    election_start(&election, 0, "--set", voters, NULL);
    election_start(&election, 1, "--set", voters, "--disable", "generator", NULL);
    wait_votes(&election, 15000);
    assert_int_equal(election_stop(&election, 1, SIGKILL), KILLED);
    election_wait_counted(&election, 50000, 240);
    election_check(&election, 50000);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_close(&election);
}

static int64_t count_records(struct election *election, const char *name, const char *reason)
{
    char *topic = election_topic(election, name);
    struct peer_log log = peer_read(topic, true);
    int64_t count = 0;

    for (size_t i = 0; i < log.count; i++) {
        if (reason == NULL || strstr(log.records[i].reason, reason) != NULL) {
            count++;
        }
    }
    peer_log_free(&log);
    free(topic);
    return count;
}

TEST(second_votes_are_rejected_and_poison_is_set_aside)
{
    struct peer_header headers[] = {{"vd-src", "\x01", 1}, {NULL, NULL, 0}};
    struct election election;
    struct peer_log log;
    char *voters;

    election_open(&election, "poison");
    voters = election_topic(&election, "voters_topic");
    election_start(&election, 0, NULL);
    election_wait_counted(&election, 1000, 120);
    log = peer_read(voters, true);
    for (size_t i = 0; i < 50; i++) {
        peer_send(voters, log.records[i].partition, log.records[i].key, log.records[i].value);
    }
    peer_send(voters, 0, "k", "this is no JSON");
    peer_send(voters, 1, "k", "{\"voter_name\":\"nobody\"}");
    peer_send(voters, 2, "k", NULL);
    /* As the reference writes it: no headers of ours. */
    peer_send(
        voters, 3, "foreign-1",
        "{\"voter_id\": \"foreign-1\", \"voter_name\": \"F One\", \"date_of_birth\": "
        "\"1980-01-01T00:00:00.000Z\", \"gender\": \"female\", \"nationality\": \"GB\", "
        "\"registration_number\": \"f1\", \"address\": {\"street\": \"1 A\", \"city\": \"Bath\", "
        "\"state\": \"Somerset\", \"country\": \"United Kingdom\", \"postcode\": \"BA1\"}, "
        "\"email\": \"f@example.org\", \"phone_number\": \"1\", \"cell_number\": \"2\", "
        "\"picture\": \"p\", \"registered_age\": 46}");
    peer_flush();
    election_wait_counted(&election, 1001, 120);
    election_check(&election, 1001);
    /* The last records of their partitions: the engine's letter, and rejected ones, once each. */
    peer_send_headers(voters, 0, "k", log.records[0].value, headers);
    peer_flush();
    ELECTION_AWAIT(&election, count_records(&election, "voters_dead", NULL) >= 4);
    assert_int_equal(election_stop(&election, 0, SIGKILL), KILLED);
    election_start(&election, 0, NULL);
    for (int32_t p = 0; p < 4; p++) {
        peer_send(voters, p, log.records[0].key, log.records[0].value);
    }
    peer_flush();
    ELECTION_AWAIT(&election, count_records(&election, "rejected_votes", "voted before") >= 54);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    assert_int_equal(count_records(&election, "rejected_votes", "voted before"), 54);
    assert_int_equal(count_records(&election, "voters_dead", NULL), 4);
    peer_log_free(&log);
    free(voters);
    election_close(&election);
}

TEST(votes_of_another_program_are_counted_and_its_poison_is_not)
{
    struct election election;
    char *votes;
    struct peer_log log;

    election_open(&election, "foreign");
    votes = election_topic(&election, "votes_topic");
    election_start(&election, 0, NULL);
    election_wait_counted(&election, 1000, 120);
    log = peer_read(votes, true);
    peer_send(votes, log.records[0].partition, "foreign", log.records[0].value);
    peer_send(votes, 0, "foreign", "[1,2");
    peer_flush();
    ELECTION_AWAIT(&election, election_sum(&election, "aggregated_votes_per_candidate",
                                           "total_votes") == 1001 &&
                                  count_records(&election, "votes_dead", NULL) == 1);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    peer_log_free(&log);
    free(votes);
    election_close(&election);
}

TEST(a_broker_and_a_database_that_go_away_are_waited_out)
{
    struct election election;
    char voters[64];

    set_voters(voters, sizeof(voters), 100000);
    election_open(&election, "outage");
    election_start(&election, 0, "--set", voters, NULL);
    wait_votes(&election, 10000);
    election_server("kill kafka");
    election_server("start kafka");
    wait_votes(&election, 30000);
    election_server("kill postgres");
    ELECTION_AWAIT(&election, election_get(&election, 0, "/readyz", NULL) == 503);
    election_server("start postgres");
    election_wait_counted(&election, 100000, 240);
    election_check(&election, 100000);
    ELECTION_AWAIT(&election, election_get(&election, 0, "/readyz", NULL) == 200);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_close(&election);
}

/* What node 0 shows of the pipeline; NULL: it does not answer yet. Owns: the caller deletes it. */
static cJSON *get_pipeline(struct election *election)
{
    char *body;
    int status = election_get(election, 0, "/api/v1/pipeline", &body);
    cJSON *pipeline = status == 200 ? cJSON_Parse(body) : NULL;

    free(body);
    return pipeline;
}

/* The item of a list whose 'member' is 'value'; NULL if there is none. */
static const cJSON *find_item(const cJSON *list, const char *member, const char *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (strcmp(cJSON_GetObjectItem(item, member)->valuestring, value) == 0) {
            return item;
        }
    }
    return NULL;
}

static bool is_state(struct election *election, const char *node, const char *state)
{
    cJSON *pipeline = get_pipeline(election);
    const cJSON *found = find_item(cJSON_GetObjectItem(pipeline, "nodes"), "node", node);
    bool is_so =
        found != NULL && strcmp(cJSON_GetObjectItem(found, "state")->valuestring, state) == 0;

    cJSON_Delete(pipeline);
    return is_so;
}

static void wait_state(struct election *election, const char *node, const char *state)
{
    ELECTION_AWAIT(election, is_state(election, node, state));
}

/* Whether a pair's total is the node's own metric. */
static bool is_metric(struct election *election, int n, const cJSON *pair, const char *metric)
{
    return cJSON_GetArrayItem(pair, 0)->valuedouble == election_metric(election, n, metric);
}

/* Whether node 'n' shows there what it says itself, now that nothing moves any more. */
static bool is_as_measured(struct election *election, int n, const cJSON *nodes)
{
    char name[] = "n0";
    const cJSON *voting;
    const cJSON *votes;

    name[1] = (char)('0' + n);
    voting =
        find_item(cJSON_GetObjectItem(find_item(nodes, "node", name), "stages"), "stage", "voting");
    votes = find_item(cJSON_GetObjectItem(voting, "outputs"), "port", "votes");
    return is_metric(election, n, cJSON_GetObjectItem(voting, "in"),
                     "votingd_records_in_total{stage=\"voting\"}") &&
           is_metric(election, n, cJSON_GetObjectItem(voting, "batches"),
                     "votingd_batches_total{stage=\"voting\"}") &&
           is_metric(election, n, cJSON_GetObjectItem(voting, "dead"),
                     "votingd_dead_letters_total{stage=\"voting\"}") &&
           is_metric(election, n, cJSON_GetObjectItem(voting, "retries"),
                     "votingd_retries_total{stage=\"voting\"}") &&
           is_metric(election, n, cJSON_GetObjectItem(votes, "records"),
                     "votingd_records_out_total{stage=\"voting\",output=\"votes\"}");
}

/* Whether both nodes show what they say themselves: one interval later than it is. */
static bool are_as_measured(struct election *election)
{
    cJSON *pipeline = get_pipeline(election);
    const cJSON *nodes = cJSON_GetObjectItem(pipeline, "nodes");
    bool are_equal = pipeline != NULL && is_as_measured(election, 0, nodes) &&
                     is_as_measured(election, 1, nodes);

    assert_true(pipeline == NULL || cJSON_GetObjectItem(pipeline, "invalid")->valueint == 0);
    cJSON_Delete(pipeline);
    return are_equal;
}

TEST(every_node_says_how_it_is_until_it_has_stopped_or_is_gone)
{
    static const char *const often = "votingd.nodes_ms=500";
    struct election election;

    election_open(&election, "nodes");
    election_start(&election, 0, "--set", often, NULL);
    election_start(&election, 1, "--set", often, "--disable", "generator", "--disable", "dashboard",
                   NULL);
    wait_state(&election, "n0", "running");
    wait_state(&election, "n1", "running");
    election_wait_counted(&election, 1000, 120);
    ELECTION_AWAIT(&election, are_as_measured(&election));
    assert_int_equal(election_stop(&election, 1, SIGKILL), KILLED);
    wait_state(&election, "n1", "gone");
    election_start(&election, 1, "--set", often, "--disable", "generator", "--disable", "dashboard",
                   NULL);
    wait_state(&election, "n1", "running");
    assert_int_equal(election_stop(&election, 1, SIGTERM), 0);
    wait_state(&election, "n1", "stopped");
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_check(&election, 1000);
    election_close(&election);
}

TEST(a_topic_that_differs_is_refused_with_the_cure)
{
    struct election election;
    char text[256];

    election_open(&election, "differs");
    election_start(&election, 0, NULL);
    election_wait_counted(&election, 1000, 120);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    (void)snprintf(text, sizeof(text), "topic:votes_topic-%s.partitions=7", election.name);
    election_start(&election, 0, "--set", text, NULL);
    assert_int_equal(election_wait_exit(&election, 0, 60), 3);
    election_close(&election);
}

TEST(a_nodes_topic_that_differs_keeps_no_node_from_its_work)
{
    struct election election;
    char partitions[256], cleanup[256];

    election_open(&election, "telemetry");
    election_start(&election, 0, NULL);
    wait_state(&election, "n0", "running");
    election_wait_counted(&election, 1000, 120);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    (void)snprintf(partitions, sizeof(partitions), "topic:votingd_nodes-%s.partitions=7",
                   election.name);
    (void)snprintf(cleanup, sizeof(cleanup), "topic:votingd_nodes-%s.cleanup=compact",
                   election.name);
    election_start(&election, 0, "--set", partitions, "--set", cleanup, NULL);
    election_wait_log(&election, 0, "this node is not shown in the pipeline view: topic", 60);
    ELECTION_AWAIT(&election, election_get(&election, 0, "/readyz", NULL) == 200);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_close(&election);
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_voters_are_counted_once),
        cmocka_unit_test(totals_equal_what_the_database_says_per_candidate_and_state),
        cmocka_unit_test(a_hundred_thousand_voters_survive_stops_and_kills),
        cmocka_unit_test(two_nodes_count_as_one_and_one_finishes_alone),
        cmocka_unit_test(second_votes_are_rejected_and_poison_is_set_aside),
        cmocka_unit_test(votes_of_another_program_are_counted_and_its_poison_is_not),
        cmocka_unit_test(a_broker_and_a_database_that_go_away_are_waited_out),
        cmocka_unit_test(every_node_says_how_it_is_until_it_has_stopped_or_is_gone),
        cmocka_unit_test(a_topic_that_differs_is_refused_with_the_cure),
        cmocka_unit_test(a_nodes_topic_that_differs_keeps_no_node_from_its_work),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
