/* Registers and the randomuser API, through the whole generator stage in a host without servers. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "generator_host.h"

static const char path[] = "test_generator_import.tmp";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- registers ----------------------------------------------------------------------------- */

TEST(bad_lines_of_csv_are_kept_with_their_number_and_reason)
{
    static const struct {
        const char *line, *text, *reason;
    } bad[] = {
        {"3", "v2,Bo,x,Bath", "registered_age: \"x\" is no whole number of years"},
        {"5", "v4,Di", "2 fields where the header has 4"},
        {"6", ",Ed,40,Bath", "voter_id: must not be empty"},
        {"7", "v6,\xff,40,Bath", "voter_name: not valid UTF-8"},
        {"8", "v7,\"x\"y,40,Bath", "text behind the closing quote of field 2"},
        {"9", "v1,Al,40,Bath", "voter_id \"v1\" was registered before"},
    };

    write_file("voter_id,voter_name,registered_age,address_city\r\n"
               "v1,Al,40,Bath\r\nv2,Bo,x,Bath\r\nv3,Cy,41,Bath\r\nv4,Di\r\n,Ed,40,Bath\r\n"
               "v6,\xff,40,Bath\r\nv7,\"x\"y,40,Bath\r\nv1,Al,40,Bath\r\nv9,Jo,42,Bath");
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp", NULL});
    host_run(1000);
    assert_int_equal(host_count(VOTERS), 3);
    assert_int_equal(host_count(REJECTED), 6);
    for (size_t i = 0; i < 6; i++) {
        const struct host_record *record = NULL;

        for (size_t k = 0; k < 6; k++) {
            if (strcmp(host_nth(REJECTED, k)->key, bad[i].line) == 0) {
                record = host_nth(REJECTED, k);
            }
        }
        assert_non_null(record);
        assert_string_equal(record->value, bad[i].text);
        assert_string_equal(record->reason, bad[i].reason);
    }
    assert_int_equal(host_number("csv/0", "voters"), 3);
    assert_int_equal(host_number("csv/0", "rejected"), 6);
    assert_int_equal(host_number("csv/0", "next"), 9);
    assert_int_equal(host_number("csv/0", "target"), 3);
    host_end();
}

TEST(open_quote_costs_one_line_wherever_it_seems_to_close)
{
    write_file("voter_id,voter_name,registered_age\n"
               "a,\"open,20\nb,\"Bo \"\"Q\"\"\nx\",21\nc,\"open\nd,\"\",22\ne,\"y\ny\",23\n");
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp", NULL});
    host_run(1000);
    assert_int_equal(host_count(VOTERS), 3);
    assert_string_equal(host_nth(VOTERS, 0)->key, "b");
    assert_string_equal(host_nth(VOTERS, 1)->key, "d");
    assert_string_equal(host_nth(VOTERS, 2)->key, "e");
    assert_int_equal(host_count(REJECTED), 2);
    assert_string_equal(host_nth(REJECTED, 0)->key, "2");
    assert_string_equal(host_nth(REJECTED, 0)->value, "a,\"open,20");
    assert_string_equal(host_nth(REJECTED, 1)->key, "5");
    host_end();
}

TEST(jsonl_takes_our_own_records_and_flat_ones)
{
    static const char flat[] =
        "{\"id\":\"f1\",\"voter_name\":\"A "
        "\\u00eb\",\"date_of_birth\":\"1980-01-01\",\"gender\":\"M\","
        "\"address_state\":\"Avon\",\"address\":{\"postcode\":1234},\"extra\":[1,{}]}\n";
    VD_AUTO(mem) char *voter = NULL;
    VD_AUTO(buf) struct vd_buf text = {0};

    host_begin((const char *const[]){"voters=1", NULL});
    host_run(100);
    voter = vd_strdup(host_nth(VOTERS, 0)->value);
    host_end();
    vd_buf_printf(&text,
                  "%s\n\n{\"voter_id\":7,\"registered_age\":20}\n[]\n{\"voter_id\":true}\n"
                  "{\"voter_id\":\"n\\u0000\",\"registered_age\":20}\n{\"voter_id\":\"x\"",
                  voter);
    write_file(vd_buf_text(&text));
    host_begin((const char *const[]){"source=jsonl", "path=test_generator_import.tmp", NULL});
    host_run(1000);
    assert_int_equal(host_count(VOTERS), 2);
    assert_string_equal(host_nth(VOTERS, 0)->value, voter);
    assert_string_equal(host_nth(VOTERS, 1)->key, "7");
    assert_int_equal(host_count(REJECTED), 4);
    assert_string_equal(host_nth(REJECTED, 0)->key, "4");
    assert_string_equal(host_nth(REJECTED, 3)->key, "7");
    host_end();

    write_file(flat);
    host_begin((const char *const[]){"source=jsonl", "path=test_generator_import.tmp",
                                     "columns=voter_id:id", NULL});
    host_run(1000);
    assert_int_equal(host_count(VOTERS), 1);
    assert_string_equal(
        host_nth(VOTERS, 0)->value,
        "{\"voter_id\":\"f1\",\"voter_name\":\"A "
        "\xc3\xab\",\"date_of_birth\":\"1980-01-01T00:00:00."
        "000Z\",\"gender\":\"male\",\"nationality\":\"\",\"registration_number\":\"\",\"address\":{"
        "\"street\":\"\",\"city\":\"\",\"state\":\"Avon\",\"country\":\"\",\"postcode\":\"1234\"},"
        "\"email\":\"\",\"phone_number\":\"\",\"cell_number\":\"\",\"picture\":\"\","
        "\"registered_age\":46}");
    host_end();
}

static void check_file_halt(const char *text, const char *columns, const char *msg)
{
    VD_AUTO(mem) char *option = vd_format("columns=%s", columns);

    write_file(text);
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp", option, NULL});
    host_run(1000);
    assert_string_equal(host_halted(), msg);
    host_end();
}

TEST(register_without_what_a_voter_needs_stops_the_stage)
{
    check_file_halt("", "",
                    "test_generator_import.tmp: the file is empty: it must begin with a header");
    check_file_halt(
        "id,age\n", "",
        "test_generator_import.tmp: the header has no column \"voter_id\" for voter_id; name "
        "the right one as columns = voter_id:COLUMN");
    check_file_halt(
        "voter_id,age\n", "registered_age:Age",
        "test_generator_import.tmp: the header has no column \"Age\" for registered_age; name "
        "the right one as columns = registered_age:COLUMN");
    check_file_halt(
        "voter_id,name\n", "",
        "test_generator_import.tmp: the header has neither a column \"date_of_birth\" nor "
        "\"registered_age\"; name one of them as columns = date_of_birth:COLUMN");
    check_file_halt("\"voter_id,age\n", "",
                    "test_generator_import.tmp: the header: a quote is not closed");
}

TEST(other_file_stops_the_stage)
{
    write_file("voter_id,registered_age\na,20\n");
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp", NULL});
    host_run(1000);
    host_stop();
    write_file("voter_id,registered_age\nb,20\n");
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp", NULL});
    host_run(1000);
    assert_non_null(strstr(host_halted(), "the electorate \"csv/0\" was begun with file="));
    assert_int_equal(host_count(VOTERS), 1);
    host_end();
}

TEST(import_stops_at_its_cap_and_goes_on_when_it_is_raised)
{
    write_file("voter_id;registered_age\na;20\nb;20\nc;20\n");
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp",
                                     "separator=semicolon", "import.max=2", NULL});
    host_run(1000);
    assert_int_equal(host_count(VOTERS), 2);
    assert_true(host_is_complete("csv/0"));
    host_stop();
    host_begin((const char *const[]){"source=csv", "path=test_generator_import.tmp",
                                     "separator=semicolon", NULL});
    host_run(1000);
    assert_int_equal(host_count(VOTERS), 3);
    host_end();
}

/* ---- randomuser ---------------------------------------------------------------------------- */

/* The body that the API would give for the URL that is asked for. */
static char *make_body(const char *url)
{
    struct vd_buf body = {0};
    int results = atoi(strstr(url, "results=") + 8);
    int page = atoi(strstr(url, "page=") + 5);

    vd_buf_add_text(&body, "{\"results\":[");
    for (int i = 0; i < results; i++) {
        vd_buf_printf(
            &body,
            "%s{\"gender\":\"male\",\"name\":{\"first\":\"A\",\"last\":\"B\"},\"location\":"
            "{\"street\":{\"number\":1,\"name\":\"S\"},\"city\":\"C\",\"state\":\"D\","
            "\"country\":\"E\",\"postcode\":%d},\"email\":\"e\",\"login\":{\"uuid\":\"%d-%d\","
            "\"username\":\"u\"},\"dob\":{\"date\":\"1970-01-01T00:00:00.000Z\"},\"phone\":"
            "\"p\",\"cell\":\"c\",\"picture\":{\"large\":\"l\"},\"nat\":\"GB\"}",
            i > 0 ? "," : "", i, page, i);
    }
    vd_buf_add_text(&body, "]}");
    return vd_buf_text(&body);
}

static void answer_well(void)
{
    VD_AUTO(mem) char *body = make_body(host_url());

    host_answer(200, "application/json; charset=utf-8", body, -1);
}

TEST(pages_of_randomuser_come_one_every_interval)
{
    host_begin((const char *const[]){"source=randomuser", "voters=12000", "url=http://x/api/",
                                     "batch_voters=10000", NULL});
    host_run(10);
    assert_string_equal(host_url(),
                        "http://x/api/?results=5000&page=1&seed=2024&nat=gb&inc=login,name,gender,"
                        "dob,location,email,phone,cell,nat,picture,registered&noinfo");
    answer_well();
    host_run(74000);
    assert_int_equal(host_count(VOTERS), 5000);
    assert_null(host_url());
    host_run(1500);
    assert_non_null(strstr(host_url(), "results=5000&page=2&"));
    answer_well();
    host_run(76000);
    assert_non_null(strstr(host_url(), "results=2000&page=3&"));
    answer_well();
    host_run(76000);
    assert_null(host_url());
    assert_int_equal(host_count(VOTERS), 12000);
    assert_true(host_is_complete("randomuser/0"));
    host_end();
}

TEST(failed_request_is_repeated_later_each_time)
{
    static const struct {
        int status;
        const char *type, *body;
    } faults[] = {
        {429, "application/json", "{\"error\":\"slow down\"}"},
        {403, "text/html", "<html>"},
        {500, "text/plain", "oops"},
        {301, "", ""},
        {200, "text/html", "{}"},
        {200, "application/json", "{\"error\":\"outage\"}"},
        {200, "application/json", "{\"results\":[{}"},
        {200, "application/json", "{\"results\":[{}]}"},
    };
    int64_t wait = 1000;

    host_begin((const char *const[]){"source=randomuser", "voters=10", "url=http://x/api/",
                                     "backoff.min_ms=1000", "backoff.max_ms=8000", NULL});
    host_run(10);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        assert_non_null(host_url());
        host_answer(faults[i].status, faults[i].type, faults[i].body, -1);
        assert_non_null(strstr(host_trouble(), "source \"randomuser\": page 1: try "));
        host_run(wait * 79 / 100);
        assert_null(host_url());
        host_run(wait * 42 / 100);
        wait = wait < 8000 ? wait * 2 : 8000;
    }
    answer_well();
    host_run(10);
    assert_string_equal(host_trouble(), "");
    assert_int_equal(host_count(VOTERS), 10);
    host_end();
}

TEST(server_that_names_a_time_is_given_it)
{
    host_begin((const char *const[]){"source=randomuser", "voters=10", "url=http://x/api/",
                                     "backoff.min_ms=1000", NULL});
    host_run(10);
    host_answer(429, "text/plain", "", 100);
    host_run(99000);
    assert_null(host_url());
    host_run(2000);
    assert_non_null(host_url());
    host_end();
}

TEST(import_stops_with_a_clear_state_after_too_many_tries)
{
    host_begin((const char *const[]){"source=randomuser", "voters=10", "url=http://x/api/",
                                     "backoff.min_ms=10", "tries=3", NULL});
    for (int i = 0; i < 3; i++) {
        host_run(100);
        host_answer(503, "text/plain", "away", -1);
    }
    host_run(100000);
    assert_null(host_url());
    assert_string_equal(host_trouble(),
                        "source \"randomuser\": page 1: the import has stopped after 3 tries, "
                        "restart to go on: status 503: away");
    assert_int_equal(host_count(CANDIDATES), 3);
    host_end();
}

TEST(cached_page_is_not_asked_for_again)
{
    static const char *const options[] = {"source=randomuser",
                                          "voters=20",
                                          "url=http://x/api/",
                                          "batch_voters=7",
                                          "cache=test_generator_import.dir",
                                          NULL};
    char *first;

    assert_int_equal(mkdir("test_generator_import.dir", 0700), 0);
    host_begin(options);
    host_run(10);
    answer_well();
    host_run(100);
    first = host_voters_text();
    host_end();
    host_begin(options);
    for (host_dice = 1; !host_is_complete("randomuser/0");) {
        host_stumble(options);
        assert_null(host_url());
    }
    VD_AUTO(mem) char *second = host_voters_text();
    assert_string_equal(first, second);
    free(first);
    host_end();
    assert_int_equal(system("rm -r test_generator_import.dir"), 0);
}

static int tidy(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_lines_of_csv_are_kept_with_their_number_and_reason),
        cmocka_unit_test(open_quote_costs_one_line_wherever_it_seems_to_close),
        cmocka_unit_test(jsonl_takes_our_own_records_and_flat_ones),
        cmocka_unit_test(register_without_what_a_voter_needs_stops_the_stage),
        cmocka_unit_test(other_file_stops_the_stage),
        cmocka_unit_test(import_stops_at_its_cap_and_goes_on_when_it_is_raised),
        cmocka_unit_test(pages_of_randomuser_come_one_every_interval),
        cmocka_unit_test(failed_request_is_repeated_later_each_time),
        cmocka_unit_test(server_that_names_a_time_is_given_it),
        cmocka_unit_test(import_stops_with_a_clear_state_after_too_many_tries),
        cmocka_unit_test(cached_page_is_not_asked_for_again),
    };

    vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, tidy);
}
