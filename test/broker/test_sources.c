/* Voters from elsewhere: registers in files, and an HTTP API, with all that is wrong with them;
 * each voter comes once, and what is left out is named. */
#include "../unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "election.h"

#define KILLED (128 + SIGKILL)
#define LINES 10000
#define BAD_EVERY 1000
#define BAD (LINES / BAD_EVERY)
#define LONG_RECORD 500 /* in CSV it has two lines */

/* ---- registers ----------------------------------------------------------------------------- */

struct form {
    const char *source, *columns;
    int first_line; /* of record 1 */
    int extra;      /* lines that LONG_RECORD adds */
    void (*write)(FILE *out, int number);
    const char *bad[BAD];     /* lines: records 1000, 2000, ... */
    const char *reasons[BAD]; /* why not */
};

static void write_csv(FILE *out, int number)
{
    if (number == 1) {
        fputs("\xef\xbb\xbf"
              "Elector No,Full Name,Born,Sex,Town,County,Street,Remark\r\n",
              out);
    }
    fprintf(out,
            "E%05d,\"O\"\"Neill, Zo\u00eb %d\",%04d-02-28,%s,\"L\u00e9eds\",West Yorkshire,%s,\r\n",
            number, number, 1930 + number % 70, number % 2 == 0 ? "F" : "m",
            number == LONG_RECORD ? "\"Flat 2\n12, High Street\"" : "12 High Street");
}

static void write_json(FILE *out, int number)
{
    fprintf(out,
            "{\"address\": {\"city\": \"L\\u00e9eds\", \"state\": \"West Yorkshire\", "
            "\"street\": \"%s\", \"postcode\": 10115}, \"no\": \"E%05d\", \"voter_name\": "
            "\"O\\\"Neill, Zo\u00eb %d\", \"gender\": \"%s\", \"date_of_birth\": \"%04d-02-28\", "
            "\"unknown\": [1, {}]}\n",
            number == LONG_RECORD ? "Flat 2\\n12, High Street" : "12 High Street", number, number,
            number % 2 == 0 ? "F" : "m", 1930 + number % 70);
}

static const struct form csv_form = {
    .source = "csv",
    .columns = "stage:generator.columns=voter_id:Elector No, voter_name:Full Name, "
               "date_of_birth:Born, gender:Sex, address_city:Town, address_state:County, "
               "address_street:Street",
    .first_line = 2,
    .extra = 1,
    .write = write_csv,
    .bad =
        {
            "E01000,too,few,fields",
            ",No Id,1970-01-01,f,Leeds,West Yorkshire,1 A,",
            "E03000,Bad Date,1970-02-30,f,Leeds,West Yorkshire,1 A,",
            "E04000,\"Open Quote,1970-01-01,f,Leeds,West Yorkshire,1 A,",
            "E05000,Not \xff UTF-8,1970-01-01,f,Leeds,West Yorkshire,1 A,",
            "E00007,Again,1970-01-01,f,Leeds,West Yorkshire,1 A,",
            "E07000,Unborn,2030-01-01,f,Leeds,West Yorkshire,1 A,",
            "E08000,No Date,,f,Leeds,West Yorkshire,1 A,",
            "E09000,x,1970-01-01,f,Leeds,West Yorkshire,1 A,,,",
            "E10000,\"a\"b,1970-01-01,f,Leeds,West Yorkshire,1 A,",
        },
    .reasons =
        {
            "4 fields where the header has 8",
            "voter_id: must not be empty",
            "date_of_birth: \"1970-02-30\" is no day",
            "text behind the closing quote",
            "UTF-8",
            "voter_id \"E00007\" was registered before",
            "is after the election",
            "neither date_of_birth nor registered_age",
            "10 fields where the header has 8",
            "quote",
        },
};

static const struct form jsonl_form = {
    .source = "jsonl",
    .columns = "stage:generator.columns=voter_id:no",
    .first_line = 1,
    .write = write_json,
    .bad =
        {
            "{\"no\": \"E01000\", \"date_of_birth\": \"1970-01-01\"",
            "{\"date_of_birth\": \"1970-01-01\"}",
            "{\"no\": \"E03000\", \"date_of_birth\": \"1970-02-30\"}",
            "[1, 2]",
            "{\"no\": \"E05000\", \"voter_name\": \"\xff\", \"date_of_birth\": \"1970-01-01\"}",
            "{\"no\": \"E00007\", \"date_of_birth\": \"1970-01-01\"}",
            "{\"no\": \"E07000\", \"date_of_birth\": \"2030-01-01\"}",
            "{\"no\": \"E08000\"}",
            "{\"no\": \"E09000\", \"gender\": true, \"date_of_birth\": \"1970-01-01\"}",
            "{\"no\": \"E10000\", \"gender\": \"\\ud800\", \"date_of_birth\": \"1970-01-01\"}",
        },
    .reasons =
        {
            "byte",
            "voter_id: must not be empty",
            "date_of_birth: \"1970-02-30\" is no day",
            "object",
            "UTF-8",
            "voter_id \"E00007\" was registered before",
            "is after the election",
            "neither date_of_birth nor registered_age",
            "gender: expected a string",
            "gender: half a surrogate pair",
        },
};

/* ---- importing a register ------------------------------------------------------------------ */

struct import {
    const struct form *form;
    struct election election;
    char *path;
    char *options[4]; /* of every start */
};

static void write_register(const struct import *import)
{
    const struct form *form = import->form;
    FILE *out = fopen(import->path, "we");

    assert_non_null(out);
    for (int i = 1; i <= LINES; i++) {
        if (i % BAD_EVERY != 0) {
            form->write(out, i);
        } else {
            fprintf(out, "%s%s", form->bad[i / BAD_EVERY - 1], form == &csv_form ? "\r\n" : "\n");
        }
    }
    assert_int_equal(fclose(out), 0);
}

static void import_open(struct import *import, const struct form *form)
{
    const char *name;

    import->form = form;
    election_open(&import->election, form->source);
    name = import->election.name;
    assert_true(asprintf(&import->path, "/tmp/votingd-test-%s.register", name) > 0);
    assert_true(asprintf(&import->options[0], "stage:generator.source=%s", form->source) > 0);
    assert_true(asprintf(&import->options[1], "stage:generator.path=%s", import->path) > 0);
    assert_true(asprintf(&import->options[2], "stage:generator.output.rejected=left_out-%s", name) >
                0);
    assert_true(asprintf(&import->options[3], "topic:left_out-%s.partitions=1", name) > 0);
    write_register(import);
}

static void import_start(struct import *import, const char *rate)
{
    char *const *options = import->options;

    election_start(&import->election, 0, "--set", options[0], "--set", options[1], "--set",
                   options[2], "--set", options[3], "--set", import->form->columns, "--set", rate,
                   NULL);
}

static void import_close(struct import *import)
{
    (void)unlink(import->path);
    election_close(&import->election);
    for (size_t i = 0; i < sizeof(import->options) / sizeof(import->options[0]); i++) {
        free(import->options[i]);
    }
    free(import->path);
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void check_voter(const char *value, int number)
{
    cJSON *voter = cJSON_Parse(value);
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(voter, "address");
    char name[64], birth[64];

    (void)snprintf(name, sizeof(name), "O\"Neill, Zo\u00eb %d", number);
    (void)snprintf(birth, sizeof(birth), "%04d-02-28T00:00:00.000Z", 1930 + number % 70);
    assert_string_equal(text_of(voter, "voter_name"), name);
    assert_string_equal(text_of(voter, "date_of_birth"), birth);
    assert_string_equal(text_of(voter, "gender"), number % 2 == 0 ? "female" : "male");
    assert_string_equal(text_of(address, "city"), "L\u00e9eds");
    assert_string_equal(text_of(address, "street"),
                        number == LONG_RECORD ? "Flat 2\n12, High Street" : "12 High Street");
    cJSON_Delete(voter);
}

/* Every good record once, and within a partition in the order of the file. */
static void check_voters(const struct import *import)
{
    char *topic = election_topic(&import->election, "voters_topic");
    struct peer_log log = peer_read(topic, true);
    bool has_come[LINES + 1] = {false};

    assert_int_equal(log.count, LINES - BAD);
    for (size_t i = 0; i < log.count; i++) {
        const struct peer_record *record = &log.records[i];
        int number = atoi(record->key + 1);

        assert_false(has_come[number]);
        has_come[number] = true;
        if (i > 0 && record->partition == record[-1].partition) {
            assert_true(number > atoi(record[-1].key + 1));
        }
        check_voter(record->value, number);
    }
    peer_log_free(&log);
    free(topic);
}

static const struct peer_record *find_line(const struct peer_log *log, int line)
{
    for (size_t i = 0; i < log->count; i++) {
        if (atoi(log->records[i].key) == line) {
            return &log->records[i];
        }
    }
    fail_msg("line %d is not among the rejected", line);
    return NULL;
}

/* Every bad record once, under its line, with its reason; the log names it, too. */
static void check_left_out(const struct import *import)
{
    const struct form *form = import->form;
    char *topic = election_topic(&import->election, "left_out");
    struct peer_log log = peer_read(topic, true);
    char *text = election_log(&import->election, 0);

    assert_int_equal(log.count, BAD);
    for (int i = 0; i < BAD; i++) {
        int line = form->first_line + (i + 1) * BAD_EVERY - 1 + form->extra;
        const struct peer_record *record = find_line(&log, line);
        char words[64];

        assert_string_equal(record->value, form->bad[i]);
        if (strstr(record->reason, form->reasons[i]) == NULL) {
            fail_msg("line %d: \"%s\" instead of \"%s\"", line, record->reason, form->reasons[i]);
        }
        (void)snprintf(words, sizeof(words), "line %d left out: ", line);
        assert_non_null(strstr(text, words));
    }
    free(text);
    peer_log_free(&log);
    free(topic);
}

/* Wait until the database has so many voters, so that there is a middle to interrupt. */
static void wait_voters(struct election *election, int64_t voters)
{
    ELECTION_AWAIT(election, election_count(election, "SELECT count(*) FROM voters") >= voters);
}

static void check_refused(struct import *import)
{
    char *body;

    assert_int_equal(truncate(import->path, 100000), 0);
    import_start(import, "stage:generator.rate=0");
    election_wait_log(&import->election, 0, "go back to what it was, or begin a new electorate",
                      60);
    assert_int_equal(election_get(&import->election, 0, "/readyz", &body), 503);
    assert_non_null(strstr(body, "was begun with file="));
    assert_int_equal(election_stop(&import->election, 0, SIGTERM), 0);
    free(body);
}

static void check_import(const struct form *form)
{
    struct import import;
    double left_out;

    import_open(&import, form);
    import_start(&import, "stage:generator.rate=1250"); /* it must not end before the kill */
    wait_voters(&import.election, 2500);
    assert_int_equal(election_stop(&import.election, 0, SIGKILL), KILLED);
    assert_true(election_count(&import.election, "SELECT count(*) FROM voters") < LINES - BAD);
    import_start(&import, "stage:generator.rate=0");
    election_wait_counted(&import.election, LINES - BAD, 120);
    election_wait_log(&import.election, 0, "complete: 9990 voters, 10 bad records", 60);
    left_out = election_metric(&import.election, 0,
                               "votingd_generator_rejected_total{stage=\"generator\"}");
    assert_true(left_out >= 1 && left_out < BAD); /* of this process */
    assert_int_equal(election_stop(&import.election, 0, SIGTERM), 0);
    check_voters(&import);
    check_left_out(&import);
    election_check(&import.election, LINES - BAD);
    check_refused(&import);
    check_voters(&import);
    import_close(&import);
}

TEST(a_csv_register_comes_once_through_a_kill_and_its_bad_lines_are_named)
{
    check_import(&csv_form);
}

TEST(a_jsonl_register_comes_once_through_a_kill_and_its_bad_lines_are_named)
{
    check_import(&jsonl_form);
}

/* ---- the HTTP API -------------------------------------------------------------------------- */

struct api {
    pid_t pid;
    int input;    /* closed: it ends */
    FILE *output; /* the port, then a line for each request */
    int port;
};

static void become_api(const int in[2], const int out[2])
{
    char *script = NULL;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    if (asprintf(&script, "%s/test/broker/randomuser_server.py", getenv("VOTINGD_SOURCE")) > 0) {
        execlp("python3", "python3", script, (char *)NULL);
    }
    _exit(127);
}

static void api_open(struct api *api)
{
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    api->pid = fork();
    if (api->pid == 0) {
        become_api(in, out);
    }
    close(in[0]);
    close(out[1]);
    api->input = in[1];
    api->output = fdopen(out[0], "r");
    assert_int_equal(fscanf(api->output, "%d", &api->port), 1);
}

/* Ends the server. Returns: how many requests it had, all of them for 'place'. */
static int api_close(struct api *api, const char *place)
{
    int requests = 0;
    char word[32];

    close(api->input);
    for (; fscanf(api->output, "%31s", word) == 1; requests++) {
        assert_string_equal(word, place);
    }
    fclose(api->output);
    assert_int_equal(waitpid(api->pid, NULL, 0), api->pid);
    return requests;
}

static void api_start(const struct api *api, struct election *election, const char *place,
                      const char *voters, const char *rate, const char *cache)
{
    char url[128];

    (void)snprintf(url, sizeof(url), "stage:generator.url=http://127.0.0.1:%d/%s/", api->port,
                   place);
    election_start(election, 0, "--set", "stage:generator.source=randomuser", "--set", url, "--set",
                   "stage:generator.page_interval_ms=0", "--set",
                   "stage:generator.backoff.min_ms=1", "--set", "stage:generator.backoff.max_ms=9",
                   "--set", "stage:generator.tries=20", "--set", voters, "--set", rate, "--set",
                   cache, NULL);
}

static void check_words(const struct election *election, const char *const *words)
{
    char *log = election_log(election, 0);

    for (; *words != NULL; words++) {
        if (strstr(log, *words) == NULL) {
            fputs(log, stdout);
            fail_msg("\"%s\" is not in the log", *words);
        }
    }
    free(log);
}

TEST(every_wrong_answer_of_the_api_is_told_and_its_odd_users_are_voters)
{
    static const char *const words[] = {
        "status 429: {\"error\": \"Uh oh, you asked too much\"}",
        "status 500: Internal Server Error",
        "status 403: <html>go away</html>",
        "try 4 of 20", /* half a body: the words are libcurl's */
        "1 results where 30 were asked for",
        "the server says Uh oh, something has gone wrong",
        "the answer is larger than 16777216 bytes",
        "status 302",
        "content type \"text/html\" instead of application/json",
        "try 10 of 20", /* JSON that is cut */
        "member \"results\": expected an array",
        "user 5 left out: login.uuid: expected a string",
        "user 6 left out: date_of_birth: 2031-01-01 is after the election",
        "user 7 left out: location.postcode: expected a string",
        "user 8 left out: must not contain a NUL",
        "complete: 26 voters, 4 bad records",
        NULL,
    };
    struct election election;
    struct api api;

    api_open(&api);
    election_open(&election, "traps");
    api_start(&api, &election, "traps", "stage:generator.voters=30", "stage:generator.rate=0",
              "stage:generator.cache=");
    election_wait_counted(&election, 26, 120);
    election_wait_log(&election, 0, "complete:", 60);
    check_words(&election, words);
    assert_int_equal(
        election_count(&election,
                       "SELECT count(*) FROM voters WHERE address_street = '7 Old Form Lane' OR "
                       "voter_name = E'Ada O\"Neill \\\\ \U0001f5f3 \u0627\u0644'"),
        2);
    assert_int_equal(election_count(&election,
                                    "SELECT count(*) FROM voters WHERE address_postcode IN "
                                    "('10115', '00123', 'E1 6AN') AND registered_age = 46"),
                     26);
    assert_int_equal(election_stop(&election, 0, SIGTERM), 0);
    assert_int_equal(api_close(&api, "traps"), 12);
    election_close(&election);
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_csv_register_comes_once_through_a_kill_and_its_bad_lines_are_named),
        cmocka_unit_test(a_jsonl_register_comes_once_through_a_kill_and_its_bad_lines_are_named),
        cmocka_unit_test(every_wrong_answer_of_the_api_is_told_and_its_odd_users_are_voters),
    };

    if (!election_is_possible()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
