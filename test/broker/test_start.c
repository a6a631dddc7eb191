/* Starting and stopping the real daemon where something is wrong: what it says, and how it ends. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../wait.h"
#include "election.h"

/* Exit codes, as --help has them. */
#define STOPPED 0
#define FAILURE 1
#define WRONG_TOPOLOGY 3
#define FENCED 4
#define DEADLINE 5
#define FORCED 8

#define NO_BROKER "kafka.brokers=127.0.0.1:1"
#define NO_DATABASE "postgres.conninfo=host=127.0.0.1 port=1"

static void check_log(const struct election *election, int n, const char *words)
{
    char *log = election_log(election, n);

    if (strstr(log, words) == NULL) {
        fputs(log, stdout);
        fail_msg("\"%s\" is not in the log", words);
    }
    free(log);
}

/* Wait until /readyz is 503 and holds both words. */
static void wait_cause(struct election *election, int n, const char *a, const char *b)
{
    bool is_told = false;
    char *body = NULL;

    for (time_t end = time(NULL) + 90; !is_told && time(NULL) < end;) {

        pause_ms(50);
        free(body);
        is_told = election_get(election, n, "/readyz", &body) == 503 && strstr(body, a) != NULL &&
                  strstr(body, b) != NULL;
    }
    if (!is_told) {
        fail_msg("neither \"%s\" nor \"%s\": %s", a, b, body);
    }
    free(body);
}

static void wait_votes(struct election *election, int64_t votes)
{
    ELECTION_AWAIT(election, election_count(election, "SELECT count(*) FROM votes") >= votes);
}

/* ---- both servers -------------------------------------------------------------------------- */

TEST(check_names_every_server_that_does_not_answer)
{
    struct election election;
    char *enriched;

    election_open(&election, "check");
    election_start(&election, 0, "--check", "--connect", "--set", NO_BROKER, "--set", NO_DATABASE,
                   NULL);
    election_start(&election, 1, "--check", "--connect", "--set", NO_DATABASE, NULL);
    assert_int_equal(election_wait_exit(&election, 1, 90), FAILURE);
    check_log(&election, 1, "votingd: could not connect to PostgreSQL: connection to server at ");
    assert_int_equal(election_wait_exit(&election, 0, 90), FAILURE);
    check_log(&election, 0, "votingd: no answer from \"127.0.0.1:1\"");
    check_log(&election, 0, "; could not connect to PostgreSQL: connection to server at ");
    /* A topology without a database is not asked for one. */
    enriched = election_topology(&election, "election-enriched.ini");
    election_start(&election, 2, "--topology", enriched, "--check", "--connect", NULL);
    assert_int_equal(election_wait_exit(&election, 2, 90), STOPPED);
    remove(enriched);
    free(enriched);
    election_close(&election);
}

TEST(an_outage_of_both_servers_is_told_and_stops_and_starts_go_on_in_it)
{
    struct election election;
    int64_t began_ms;
    char *log;
    int code;

    if (getenv("VOTINGD_TEST_LOCAL") == NULL) {
        skip();
    }
    election_open(&election, "both");
    election_start(&election, 0, "--set", "stage:generator.rate=500", NULL);
    wait_votes(&election, 200);
    election_server("stop");
    wait_cause(&election, 0, "\"stage\":\"voting\",\"ready\":false", "PostgreSQL");
    began_ms = now_ms();
    /* Inside send_offsets, librdkafka 2.0.2 waits for the broker whatever its time-out: then the
     * node leaves without it. */
    code = election_stop(&election, 0, SIGTERM);
    assert_true(code == STOPPED || code == DEADLINE);
    assert_true(now_ms() - began_ms < 25000);
    election_start(&election, 0, "--set", "votingd.log_level=debug", NULL);
    wait_cause(&election, 0, "waiting for Kafka: no answer from", "waiting for PostgreSQL: could");
    assert_int_equal(election_get(&election, 0, "/healthz", NULL), 200);
    wait_cause(&election, 0, "{\"server\":\"Kafka\",\"since\":\"20",
               "{\"server\":\"PostgreSQL\",\"since\":\"20");
    election_wait_log(&election, 0, "node: waiting for PostgreSQL: could not connect", 60);
    election_wait_log(&election, 0, "node: waiting for Kafka: no answer from", 60);
    election_server("start");
    election_wait_counted(&election, 1000, 60);
    election_check(&election, 1000);
    ELECTION_AWAIT(&election, election_get(&election, 0, "/readyz", NULL) == 200);
    assert_int_equal(election_stop(&election, 0, SIGTERM), STOPPED);
    log = election_log(&election, 0);
    assert_non_null(strstr(log, "PostgreSQL connection: ready"));
    assert_null(strstr(log, "PostgreSQL says")); /* tables that exist are no news */
    free(log);
    election_close(&election);
}

/* The drain waits for the answer to what PostgreSQL was sent. */
TEST(a_broker_that_goes_away_during_a_drain_is_told)
{
    struct election election;
    int code;

    if (getenv("VOTINGD_TEST_LOCAL") == NULL) {
        skip();
    }
    election_open(&election, "late");
    election_start(&election, 0, "--set", "stage:generator.voters=10000000", NULL);
    wait_votes(&election, 200);
    election_server("freeze postgres");
    kill(election.nodes[0].pid, SIGTERM);
    election_wait_log(&election, 0, "SIGTERM: draining", 60);
    election_server("freeze kafka");
    /* "waiting for Kafka: no answer from ...", or, in the middle of a transaction, that it leaves
     */
    election_wait_log(&election, 0, "no answer from", 60);
    election_server("thaw");
    code = election_wait_exit(&election, 0, 90);
    assert_true(code == STOPPED || code == DEADLINE);
    election_close(&election);
}

/* Whatever came of it: servers that hold still would take the other tests down, too. */
static int thaw(void **state)
{
    if (getenv("VOTINGD_TEST_LOCAL") != NULL) {
        election_server("thaw");
    }
    return 0;
}

/* The database of the environment with another password. */
static char *wrong_password(const struct election *election, const char *password)
{
    PQconninfoOption *options = PQconninfoParse(election->database, NULL);
    char *text = strdup("postgres.conninfo=");

    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        bool is_password = strcmp(option->keyword, "password") == 0;
        char *more = NULL;

        if (option->val != NULL || is_password) {
            assert_true(asprintf(&more, "%s %s='%s'", text, option->keyword,
                                 is_password ? password : option->val) > 0);
            free(text);
            text = more;
        }
    }
    PQconninfoFree(options);
    return text;
}

TEST(a_wrong_password_is_told_and_not_shown_and_the_other_stages_run)
{
    struct election election;
    char *conninfo, *log;

    election_open(&election, "password");
    conninfo = wrong_password(&election, "of-nobody");
    election_start(&election, 0, "--set", conninfo, NULL);
    wait_cause(&election, 0, "waiting for PostgreSQL: could not connect",
               "{\"stage\":\"aggregation\",\"ready\":true}");
    wait_cause(&election, 0, "password authentication failed", "\"stage\":\"voting\"");
    election_wait_log(&election, 0, "node: waiting for PostgreSQL: could not connect", 60);
    log = election_log(&election, 0);
    assert_null(strstr(log, "of-nobody"));
    assert_int_equal(election_stop(&election, 0, SIGTERM), STOPPED);
    free(log);
    free(conninfo);
    election_close(&election);
}

/* ---- signals ------------------------------------------------------------------------------- */

TEST(a_second_signal_forces_and_a_deadline_ends_what_hangs)
{
    struct election election;
    int64_t began_ms;

    election_open(&election, "signals");
    election_start(&election, 0, "--set", NO_BROKER, "--set", NO_DATABASE, NULL);
    election_start(&election, 1, "--set", NO_BROKER, "--set", NO_DATABASE, "--set",
                   "votingd.drain_timeout_ms=100", NULL);
    election_start(&election, 2, "--set", NO_BROKER, "--set", NO_DATABASE, NULL);
    election_wait_log(&election, 0, "listening on", 60);
    election_wait_log(&election, 1, "listening on", 60);
    election_wait_log(&election, 2, "listening on", 60);
    /* The thread that asks for topics is within its first five seconds. */
    kill(election.nodes[0].pid, SIGTERM);
    election_wait_log(&election, 0, "SIGTERM: draining, at most 30 s; again to force", 60);
    began_ms = now_ms();
    assert_int_equal(election_stop(&election, 0, SIGTERM), FORCED);
    assert_true(now_ms() - began_ms < 10000); /* the code says it; the drain had 30 s */
    check_log(&election, 0, "votingd: second signal: ending now: nothing is lost, open work is");
    assert_int_equal(election_stop(&election, 1, SIGTERM), DEADLINE);
    check_log(&election, 1, "the drain did not end within drain_timeout_ms");
    assert_int_equal(election_stop(&election, 2, SIGINT), STOPPED);
    election_close(&election);
}

/* ---- wrong configuration ------------------------------------------------------------------- */

TEST(a_folder_without_plugins_is_refused_with_its_name)
{
    struct election election;

    election_open(&election, "plugins");
    election_start(&election, 0, "--set", "votingd.plugin_path=/nonexistent", NULL);
    assert_int_equal(election_wait_exit(&election, 0, 90), WRONG_TOPOLOGY);
    check_log(&election, 0, ": stage \"generator\": no plugin \"generator\" in \"/nonexistent\"");
    check_log(&election, 0, "votingd: 4 errors in ");
    election_close(&election);
}

static char *setting(const struct election *election, const char *topic, const char *rest)
{
    char *text = NULL;

    assert_true(asprintf(&text, "topic:%s-%s.%s", topic, election->name, rest) > 0);
    return text;
}

TEST(topics_that_differ_are_refused_with_the_cure)
{
    struct election election;
    char *partitions, *cleanup;

    election_open(&election, "differ");
    election_start(&election, 0, NULL);
    election_wait_log(&election, 0, "running:", 60);
    assert_int_equal(election_stop(&election, 0, SIGTERM), STOPPED);
    partitions = setting(&election, "rejected_votes", "partitions=7");
    cleanup = setting(&election, "voters_dead", "cleanup=compact");
    for (int n = 0; n < 2; n++) {
        election_start(&election, n, "--set", partitions, "--set", cleanup,
                       n == 0 ? NULL : "--check", "--connect", NULL);
        assert_int_equal(election_wait_exit(&election, n, 90), WRONG_TOPOLOGY);
        check_log(&election, n,
                  "\": has 4 partitions, declared 7: declare 4, or delete it and raise its "
                  "generation; topic \"");
        check_log(&election, n,
                  "\": cleanup.policy is \"delete\", declared \"compact\": change it with "
                  "kafka-configs, or declare cleanup = delete");
    }
    free(cleanup);
    free(partitions);
    election_close(&election);
}

TEST(of_two_nodes_with_one_name_the_older_ends)
{
    struct election election;

    election_open(&election, "names");
    election_start(&election, 0, "--set", "stage:generator.rate=500", NULL);
    wait_votes(&election, 200);
    election_start(&election, 1, "--node", "n0", NULL);
    assert_int_equal(election_wait_exit(&election, 0, 90), FENCED);
    check_log(&election, 0, "because two processes run as node \"n0\"");
    election_wait_counted(&election, 1000, 60);
    election_check(&election, 1000);
    assert_int_equal(election_stop(&election, 1, SIGTERM), STOPPED);
    election_close(&election);
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_names_every_server_that_does_not_answer),
        cmocka_unit_test(an_outage_of_both_servers_is_told_and_stops_and_starts_go_on_in_it),
        cmocka_unit_test_teardown(a_broker_that_goes_away_during_a_drain_is_told, thaw),
        cmocka_unit_test(a_wrong_password_is_told_and_not_shown_and_the_other_stages_run),
        cmocka_unit_test(a_second_signal_forces_and_a_deadline_ends_what_hangs),
        cmocka_unit_test(a_folder_without_plugins_is_refused_with_its_name),
        cmocka_unit_test(topics_that_differ_are_refused_with_the_cure),
        cmocka_unit_test(of_two_nodes_with_one_name_the_older_ends),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
