/* Imported electorates end to end: real broker, real database, the real daemon,
 * a stub of the API. */
#include "../unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "election.h"
#include "users_server.h"

#define KILLED (128 + SIGKILL)
#define OPTION_BYTES 256

static void wait_rows(struct election *election, const char *sql, int64_t rows)
{
    ELECTION_AWAIT(election, election_count(election, sql) >= rows);
}

/* The other totals follow those per candidate within an interval or two. */
static void wait_settled(struct election *election, int64_t votes)
{
    election_wait_counted(election, votes, 240);
    ELECTION_AWAIT(
        election,
        election_sum(election, "aggregated_votes_by_state_and_candidate", "total_votes") == votes &&
            election_sum(election, "aggregated_turnout_by_age", "total_votes") == votes);
}

/* ---- registers ----------------------------------------------------------------------------- */

/* 'lines' voters; every 100th line is bad, every other 100th names a voter again. */
static int64_t write_register(const char *path, int lines)
{
    FILE *file = fopen(path, "we");
    int64_t good = 0;

    assert_non_null(file);
    (void)fprintf(file, "ID,Name,DOB,State\r\n");
    for (int i = 0; i < lines; i++) {
        if (i % 100 == 50) {
            (void)fprintf(file, "bad%d,\"open,1980-01-01,Avon\r\n", i);
        } else if (i % 100 == 51) {
            (void)fprintf(file, "v%d,Again,1980-01-01,Avon\r\n", i / 2 / 100 * 100);
        } else {
            (void)fprintf(file, "v%d,\"Name, \"\"%d\"\"\",19%02d-01-31,State %d\r\n", i, i,
                          30 + i % 70, i % 50);
            good++;
        }
    }
    assert_int_equal(fclose(file), 0);
    return good;
}

TEST(register_is_imported_once_through_kills)
{
    struct election election;
    char path[64], option[OPTION_BYTES];
    int64_t good;

    (void)snprintf(path, sizeof(path), "/tmp/votingd-test-%d.csv", (int)getpid());
    (void)snprintf(option, sizeof(option), "stage:generator.path=%s", path);
    good = write_register(path, 40000);
    election_open(&election, "register");
    for (int kill = 0; kill <= 5; kill++) {
        election_start(&election, 0, "--set", "stage:generator.source=csv", "--set", option,
                       "--set",
                       "stage:generator.columns=voter_id:ID, voter_name:Name, date_of_birth:DOB, "
                       "address_state:State",
                       NULL);
        if (kill < 5) {
            election_wait_log(&election, 0, "connected to PostgreSQL", 60);
            wait_rows(&election, "SELECT count(*) FROM voters", (kill + 1) * 5000);
            assert_int_equal(election_stop(&election, 0, SIGKILL), KILLED);
        }
    }
    wait_settled(&election, good);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_check(&election, good);
    assert_int_equal(election_count(&election, "SELECT count(*) FROM voters"), good);
    election_close(&election);
    (void)unlink(path);
}

/* ---- the API ------------------------------------------------------------------------------- */

static void start_import(struct election *election, const struct users_server *server,
                         const char *voters, const char *cache)
{
    char url[OPTION_BYTES], count[OPTION_BYTES], folder[OPTION_BYTES];

    (void)snprintf(url, sizeof(url), "stage:generator.url=http://127.0.0.1:%d/api/1.4/",
                   server->port);
    (void)snprintf(count, sizeof(count), "stage:generator.voters=%s", voters);
    (void)snprintf(folder, sizeof(folder), "stage:generator.cache=%s", cache);
    election_start(election, 0, "--set", "stage:generator.source=randomuser", "--set", url, "--set",
                   count, "--set", folder, "--set", "stage:generator.page_interval_ms=100", "--set",
                   "stage:generator.backoff.min_ms=50", "--set",
                   "stage:generator.backoff.max_ms=200", NULL);
}

TEST(twelve_thousand_users_take_three_requests_also_through_a_kill)
{
    struct election election;
    struct users_server server;
    char cache[] = "/tmp/votingd-test-cache-XXXXXX", remove[64];

    assert_non_null(mkdtemp(cache));
    users_server_start(&server, NULL, 0);
    election_open(&election, "users");
    start_import(&election, &server, "12000", cache);
    election_wait_log(&election, 0, "connected to PostgreSQL", 60);
    wait_rows(&election, "SELECT count(*) FROM voters", 6000);
    assert_int_equal(election_stop(&election, 0, SIGKILL), KILLED);
    start_import(&election, &server, "12000", cache);
    wait_settled(&election, 12000);
    assert_int_equal(*server.seen, 3);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_check(&election, 12000);
    assert_int_equal(election_count(&election, "SELECT count(*) FROM voters WHERE address_street "
                                               "LIKE '% old road' AND address_postcode <> ''"),
                     714 + 714 + 286);
    election_close(&election);
    users_server_stop(&server);
    (void)snprintf(remove, sizeof(remove), "rm -r %s", cache);
    assert_int_equal(system(remove), 0);
}

TEST(api_that_goes_wrong_in_every_way_is_asked_again)
{
    static const enum users_answer script[] = {USERS_SLOW_DOWN, USERS_OUTAGE, USERS_FORBIDDEN,
                                               USERS_REDIRECT,  USERS_HALF,   USERS_FEWER,
                                               USERS_ENDLESS};
    const size_t faults = sizeof(script) / sizeof(script[0]);
    struct election election;
    struct users_server server;

    users_server_start(&server, script, faults);
    election_open(&election, "faulty");
    start_import(&election, &server, "500", "");
    wait_settled(&election, 500);
    assert_int_equal(*server.seen, faults + 1);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    election_check(&election, 500);
    election_close(&election);
    users_server_stop(&server);
}

TEST(api_that_stays_away_stops_the_import_and_nothing_else)
{
    static enum users_answer script[100];
    struct election election;
    struct users_server server;
    char *body = NULL;

    for (size_t i = 0; i < 100; i++) {
        script[i] = USERS_SLOW_DOWN;
    }
    users_server_start(&server, script, 100);
    election_open(&election, "away");
    start_import(&election, &server, "500", "");
    election_wait_log(&election, 0, "page 1: the import has stopped after 10 tries", 60);
    assert_int_equal(election_get(&election, 0, "/readyz", &body), 503);
    assert_non_null(strstr(body, "slow down"));
    assert_int_equal(election_get(&election, 0, "/healthz", NULL), 200);
    assert_int_equal(*server.seen, 10);
    assert_int_equal(election_count(&election, "SELECT count(*) FROM candidates"), 3);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    free(body);
    election_close(&election);
    users_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register_is_imported_once_through_kills),
        cmocka_unit_test(twelve_thousand_users_take_three_requests_also_through_a_kill),
        cmocka_unit_test(api_that_goes_wrong_in_every_way_is_asked_again),
        cmocka_unit_test(api_that_stays_away_stops_the_import_and_nothing_else),
    };

    if (!election_is_possible()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
