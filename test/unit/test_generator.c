/* The whole generator stage in a host without servers: whatever fails and when, every voter of the
 * source is published exactly once, in order, and is in the table. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "generator_host.h"

static const char path[] = "test_generator.tmp";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- synthetic ----------------------------------------------------------------------------- */

TEST(electorate_is_published_with_its_candidates_first)
{
    host_begin((const char *const[]){"voters=5000", "batch_voters=700", NULL});
    host_run(100);
    assert_int_equal(host_count(CANDIDATES), 3);
    assert_int_equal(host_count(VOTERS), 5000);
    assert_int_equal(host_rows(), 5000);
    assert_int_equal(host_candidates(), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(host_log[i].output, CANDIDATES);
        assert_non_null(strstr(host_log[i].value, host_log[i].key));
    }
    assert_string_equal(host_log[3].key, "candidates");
    assert_int_equal(host_number("synthetic/0", "voters"), 5000);
    assert_int_equal(host_number("synthetic/0", "target"), 5000);
    assert_true(host_is_complete("synthetic/0"));
    assert_string_equal(host_trouble(), "");
    host_end();
}

TEST(candidates_are_one_a_party_and_alternate)
{
    static const char *const parties[] = {"Management Party", "Savior Party",
                                          "Tech Republic Party"};
    char seen[3] = {0};

    host_begin((const char *const[]){"voters=0", NULL});
    host_run(100);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) {
            const char *value = host_nth(CANDIDATES, i)->value;

            if (strstr(value, parties[k]) != NULL) {
                seen[k] = strstr(value, "/women/") != NULL ? 'w' : 'm';
            }
        }
    }
    assert_memory_equal(seen, "mwm", 3);
    host_end();
}

TEST(candidates_of_the_table_are_taken_as_they_are)
{
    host_add_candidate("theirs");
    host_begin((const char *const[]){"voters=10", NULL});
    host_run(100);
    assert_int_equal(host_count(CANDIDATES), 1);
    assert_string_equal(host_nth(CANDIDATES, 0)->key, "theirs");
    assert_int_equal(host_candidates(), 1);
    host_end();
}

TEST(restart_with_nothing_to_do_publishes_nothing)
{
    static const char *const options[] = {"voters=100", NULL};
    size_t records;

    host_begin(options);
    host_run(100);
    records = host_log_count;
    host_stop();
    host_begin(options);
    host_run(100);
    assert_int_equal(host_log_count, records);
    assert_true(host_is_ended());
    host_end();
}

/* A second process of the same shard has committed a page after this one had asked how far the
 * shard came, and before its producer was ready: it must ask again. */
TEST(progress_asked_for_too_early_is_asked_for_again)
{
    static const char *const options[] = {"voters=100", "batch_voters=50", NULL};
    size_t all, half = 0;

    host_begin(options);
    host_run(100);
    all = host_log_count;
    while (strcmp(host_log[half].key, "synthetic/0") != 0) {
        half++;
    }
    half++; /* behind the first page and its progress */
    assert_true(half < all);
    assert_int_equal(host_count(VOTERS), 100);
    host_stop();

    host_begin(options);
    while (host_pg_connect() || host_pg_step(HOST_OK)) {
    }
    host_rewind();
    host_log_count = half; /* what is there when the first question is answered */
    assert_true(host_table_step());
    host_log_count = all;
    host_run(100);
    assert_int_equal(host_count(VOTERS), 100);
    assert_int_equal(host_log_count, all);
    assert_true(host_is_ended());
    host_end();
}

TEST(more_voters_are_added_to_those_that_are_there)
{
    char *grown, *at_once;

    host_begin((const char *const[]){"voters=100", NULL});
    host_run(100);
    host_stop();
    host_begin((const char *const[]){"voters=250", "batch_voters=60", NULL});
    host_run(100);
    grown = host_voters_text();
    host_end();
    host_begin((const char *const[]){"voters=250", NULL});
    host_run(100);
    at_once = host_voters_text();
    assert_string_equal(grown, at_once);
    free(grown);
    free(at_once);
    host_end();
}

static void check_halt(const char *const *options, const char *msg)
{
    host_begin((const char *const[]){"voters=100", NULL});
    host_run(100);
    host_stop();
    host_begin(options);
    host_run(100);
    assert_string_equal(host_halted(), msg);
    assert_int_equal(host_count(VOTERS), 100);
    host_end();
}

TEST(fewer_voters_than_there_are_leave_nothing_to_do)
{
    char *lowered, *at_once;

    host_begin((const char *const[]){"voters=100", NULL});
    host_run(100);
    host_stop();
    host_begin((const char *const[]){"voters=1", NULL});
    host_run(100);
    assert_string_equal(host_halted(), "");
    assert_string_equal(host_trouble(), "");
    assert_int_equal(host_count(VOTERS), 100);
    assert_int_equal(host_number("synthetic/0", "voters"), 100);
    assert_true(host_is_complete("synthetic/0"));
    assert_true(host_is_ended());
    host_stop();
    host_begin((const char *const[]){"voters=250", NULL});
    host_run(100);
    lowered = host_voters_text();
    host_end();
    host_begin((const char *const[]){"voters=250", NULL});
    host_run(100);
    at_once = host_voters_text();
    assert_string_equal(lowered, at_once);
    free(lowered);
    free(at_once);
    host_end();
}

TEST(electorate_that_was_not_finished_may_end_where_it_is)
{
    host_begin((const char *const[]){"voters=100", "rate=100", NULL});
    host_run(300);
    assert_in_range(host_count(VOTERS), 20, 40);
    assert_false(host_is_complete("synthetic/0"));
    host_stop();
    host_begin((const char *const[]){"voters=5", NULL});
    host_run(100);
    assert_string_equal(host_halted(), "");
    assert_true(host_is_complete("synthetic/0"));
    assert_int_equal(host_number("synthetic/0", "voters"), host_count(VOTERS));
    host_end();
}

TEST(other_definition_stops_the_stage)
{
    check_halt(
        (const char *const[]){"voters=100", "seed=1", NULL},
        "the electorate \"synthetic/0\" was begun with seed=2024 country=us "
        "election_day=2026-11-03 shards=1; the topology now says seed=1 country=us "
        "election_day=2026-11-03 shards=1: go back to what it was, or begin a new electorate "
        "with other topics and an empty database");
}

TEST(candidate_added_after_the_first_voter_stops_the_stage)
{
    host_begin((const char *const[]){"voters=100", NULL});
    host_run(100);
    host_stop();
    host_add_candidate("late");
    host_begin((const char *const[]){"voters=200", NULL});
    host_run(100);
    assert_non_null(strstr(host_halted(), "the candidates in table \"candidates\" are not those"));
    assert_int_equal(host_count(CANDIDATES), 3);
    host_end();
}

TEST(candidate_added_before_the_first_voter_is_published)
{
    host_begin((const char *const[]){"voters=0", NULL});
    host_run(100);
    host_stop();
    host_add_candidate("in time");
    host_begin((const char *const[]){"voters=10", NULL});
    host_run(100);
    assert_string_equal(host_halted(), "");
    assert_int_equal(host_count(CANDIDATES), 3 + 4);
    host_end();
}

TEST(rate_is_kept)
{
    int64_t begin;

    host_begin((const char *const[]){"voters=100000", "rate=500", NULL});
    begin = host_now();
    host_run(2000);
    assert_in_range(host_count(VOTERS), 900, 1000);
    host_run(8000);
    assert_in_range(host_count(VOTERS), 4900, 5000);
    assert_int_equal(host_now(), begin + 10000);
    host_end();
}

TEST(slow_rate_makes_single_voters)
{
    host_begin((const char *const[]){"voters=100", "rate=0.5", NULL});
    host_run(10500);
    assert_int_equal(host_count(VOTERS), 5);
    host_end();
}

TEST(outage_is_not_made_up_for_in_a_flood)
{
    size_t before;

    host_begin((const char *const[]){"voters=100000", "rate=100", NULL});
    host_run(1000);
    host_pg_lose();
    assert_string_equal(host_trouble(), "waiting for PostgreSQL: connection lost");
    host_advance(60000);
    before = host_count(VOTERS);
    host_run(1000);
    assert_string_equal(host_trouble(), "");
    assert_true(host_count(VOTERS) - before <= 220);
    host_end();
}

TEST(shards_wait_for_the_candidates_of_shard_0)
{
    host_begin((const char *const[]){"voters=101", "shards=2", "shard=1", NULL});
    host_run(100);
    assert_int_equal(host_log_count, 0);
    host_stop();
    host_begin((const char *const[]){"voters=101", "shards=2", "shard=0", NULL});
    host_run(100);
    assert_int_equal(host_count(VOTERS), 51);
    host_stop();
    host_begin((const char *const[]){"voters=101", "shards=2", "shard=1", NULL});
    host_run(100);
    assert_int_equal(host_count(VOTERS), 101);
    assert_int_equal(host_count(CANDIDATES), 3);
    assert_int_equal(host_number("synthetic/1", "voters"), 50);
    host_end();
}

TEST(wrong_option_is_named)
{
    static const struct {
        const char *const options[4];
        const char *msg;
    } cases[] = {
        {{"source=csv", NULL}, "option \"path\": source \"csv\" needs a file"},
        {{"source=csv", "path=no/such", NULL},
         "option \"path\": could not open \"no/such\": No such file or directory"},
        {{"source=jsonl", "path=.", NULL},
         "option \"path\": could not open \".\": not a regular file"},
        {{"source=csv", "shards=2", NULL},
         "option \"shards\": a register is read by one shard, got 2"},
        {{"election_day=2026-11-31", NULL},
         "option \"election_day\": \"2026-11-31\" is no day of the years 1800 to 2200"},
        {{"source=randomuser", "voters=20001", NULL},
         "option \"voters\": source \"randomuser\" gives at most import.max = 20000, got 20001; "
         "use "
         "source \"synthetic\", or raise import.max"},
        {{"source=randomuser", "url=ftp://x", NULL},
         "option \"url\": must begin with http:// or https://"},
        {{"source=randomuser", "cache=no/such", NULL},
         "option \"cache\": could not write to folder \"no/such\": No such file or directory"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(host_start(cases[i].options, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
        host_drop();
    }
}

/* ---- whatever happens ---------------------------------------------------------------------- */

/* The same records as without any fault, whatever the order of the faults. */
static void check_faults(const char *const *options, const char *key, size_t rounds)
{
    char *expected;
    size_t rejected, rows;

    host_begin(options);
    host_run(1000);
    assert_true(host_is_complete(key));
    expected = host_voters_text();
    rejected = host_count(REJECTED);
    rows = host_rows();
    host_end();
    for (size_t round = 0; round < rounds; round++) {
        char *got;

        host_dice = round + 1;
        host_begin(options);
        for (size_t i = 0; i < 100000 && !host_is_complete(key); i++) {
            host_stumble(options);
        }
        assert_true(host_is_complete(key));
        host_run(20000);
        got = host_voters_text();
        assert_string_equal(got, expected);
        assert_int_equal(host_count(REJECTED), rejected);
        assert_int_equal(host_count(CANDIDATES), 3);
        assert_int_equal(host_rows(), rows);
        assert_string_equal(host_halted(), "");
        free(got);
        host_end();
    }
    free(expected);
}

TEST(synthetic_voters_are_published_once_whatever_fails)
{
    check_faults((const char *const[]){"voters=300", "batch_voters=17", NULL}, "synthetic/0", 300);
}

/* A register with bad lines and with voters that stand there twice. */
static void write_register(void)
{
    VD_AUTO(buf) struct vd_buf text = {0};

    vd_buf_add_text(&text, "id,Name,registered_age,address_city\n");
    for (int i = 0; i < 200; i++) {
        if (i % 20 == 7) {
            vd_buf_printf(&text, "v%d,\"never closed\n", i);
        } else if (i % 20 == 9) {
            vd_buf_printf(&text, "v%d,Again,40,Bath\n", i / 2 + 1);
        } else {
            vd_buf_printf(&text, "v%d,\"Name\n%d\",%d,\"B\"\"ath\"\n", i, i, 18 + i % 70);
        }
    }
    write_file(vd_buf_text(&text));
}

TEST(csv_voters_are_published_once_whatever_fails)
{
    write_register();
    check_faults((const char *const[]){"source=csv", "path=test_generator.tmp", "batch_voters=13",
                                       "columns=voter_id:id, voter_name:Name", NULL},
                 "csv/0", 300);
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
        cmocka_unit_test(electorate_is_published_with_its_candidates_first),
        cmocka_unit_test(candidates_are_one_a_party_and_alternate),
        cmocka_unit_test(candidates_of_the_table_are_taken_as_they_are),
        cmocka_unit_test(restart_with_nothing_to_do_publishes_nothing),
        cmocka_unit_test(progress_asked_for_too_early_is_asked_for_again),
        cmocka_unit_test(more_voters_are_added_to_those_that_are_there),
        cmocka_unit_test(fewer_voters_than_there_are_leave_nothing_to_do),
        cmocka_unit_test(electorate_that_was_not_finished_may_end_where_it_is),
        cmocka_unit_test(other_definition_stops_the_stage),
        cmocka_unit_test(candidate_added_after_the_first_voter_stops_the_stage),
        cmocka_unit_test(candidate_added_before_the_first_voter_is_published),
        cmocka_unit_test(rate_is_kept),
        cmocka_unit_test(slow_rate_makes_single_voters),
        cmocka_unit_test(outage_is_not_made_up_for_in_a_flood),
        cmocka_unit_test(shards_wait_for_the_candidates_of_shard_0),
        cmocka_unit_test(wrong_option_is_named),
        cmocka_unit_test(synthetic_voters_are_published_once_whatever_fails),
        cmocka_unit_test(csv_voters_are_published_once_whatever_fails),
    };

    vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, tidy);
}
