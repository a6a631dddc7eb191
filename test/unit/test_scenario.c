/* Scenario files. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "election/scenario.h"

static const char scenario_path[] =
    VD_SOURCE_ROOT "/config/scenarios/us-2024-president-by-state.csv";

TEST(columns_and_rows_are_read)
{
    static const char text[] =
        "\xef\xbb\xbfstate,red,blue party\n\nOhio,5,0\r\nD\xc3\xb6rf,0,1000000000000";
    struct el_scenario *scenario = NULL;

    assert_int_equal(el_scenario_parse(text, sizeof(text) - 1, &scenario, NULL), VD_OK);
    assert_int_equal(scenario->column_count, 2);
    assert_string_equal(scenario->columns[1], "blue party");
    assert_int_equal(scenario->row_count, 2);
    assert_string_equal(scenario->rows[0].state, "Ohio");
    assert_true(scenario->rows[0].votes[0] == 5 && scenario->rows[0].votes[1] == 0);
    assert_string_equal(scenario->rows[1].state, "D\xc3\xb6rf");
    assert_true(scenario->rows[1].votes[1] == INT64_C(1000000000000));
    el_scenario_free(scenario);
}

#define LONG \
    "Federation of the Thirty-Nine Character" /* 39 bytes: half of the next character would fit */

TEST(a_wrong_line_is_named)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "empty"},
        {"\n\r\n", "empty"},
        {"county,a\n", "line 1: expected the first column \"state\", got \"county\""},
        {"s\xff\n", "line 1: expected the first column \"state\", got \"s\""},
        {"s\x1b[2J\n", "line 1: expected the first column \"state\", got \"s\""},
        {"state," LONG "\xc3\xb6," LONG "\xc3\xb6\n",
         "line 1: column \"" LONG "\" stands there twice"},
        {"state\n", "line 1: expected a column of votes"},
        {"\nstate,\n", "line 2: expected 1 to 100 columns with names in UTF-8"},
        {"state,\xff\n", "line 1: expected 1 to 100 columns with names in UTF-8"},
        {"state,a\tb\n", "line 1: expected 1 to 100 columns with names in UTF-8"},
        {"state,red,Red\n", "line 1: column \"Red\" stands there twice"},
        {"state,a\n", "no state in it"},
        {"state,a\nOhio\n", "line 2: expected 1 columns of votes, got 0"},
        {"state,a\nOhio,1,2\n", "line 2: expected 1 columns of votes, got 2"},
        {"state,a\nOhio,x\n", "line 2: \"a\": must be 0 to 1000000000000, got \"x\""},
        {"state,a\nOhio,1\a\n", "line 2: \"a\": must be 0 to 1000000000000, got \"1\""},
        {"state,a\nOhio,-1\n", "line 2: \"a\": must be 0 to 1000000000000, got \"-1\""},
        {"state,a\nOhio,\n", "line 2: \"a\": must be 0 to 1000000000000, got \"\""},
        {"state,a\nOhio,1000000000001\n",
         "line 2: \"a\": must be 0 to 1000000000000, got \"1000000000001\""},
        {"state,a,b\nOhio,0,0\n", "line 2: state \"Ohio\" has no votes"},
        {"state,a\n,1\n", "line 2: expected a state's name in UTF-8"},
        {"state,a\n\x01,1\n", "line 2: expected a state's name in UTF-8"},
        {"state,a\n\xff,1\n", "line 2: expected a state's name in UTF-8"},
        {"state,a\nOhio,1\n\nOhio,1\n", "line 4: state \"Ohio\" stands there twice"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct el_scenario *scenario = NULL;
        struct vd_err err = {0};

        assert_int_equal(el_scenario_parse(cases[i].text, strlen(cases[i].text), &scenario, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
        assert_null(scenario);
    }
}

TEST(a_file_that_is_too_long_is_refused)
{
    VD_AUTO(mem) char *text = vd_alloc(EL_SCENARIO_BYTES_MAX + 1);
    struct el_scenario *scenario = NULL;
    struct vd_err err = {0};

    assert_int_equal(el_scenario_parse(text, EL_SCENARIO_BYTES_MAX + 1, &scenario, &err),
                     VD_INVALID);
    assert_string_equal(err.msg, "longer than 1048576 bytes");
}

TEST(the_scenario_that_is_delivered_adds_up)
{
    struct el_scenario *scenario = NULL;
    struct vd_err err = {0};
    int64_t sums[3] = {0};

    if (el_scenario_read(scenario_path, &scenario, &err) != VD_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(scenario->column_count, 3);
    assert_int_equal(scenario->row_count, 51);
    for (size_t r = 0; r < scenario->row_count; r++) {
        for (size_t c = 0; c < 3; c++) {
            sums[c] += scenario->rows[r].votes[c];
        }
    }
    assert_true(sums[0] == INT64_C(77294799) && sums[1] == INT64_C(75006739) &&
                sums[2] == INT64_C(2562201));
    el_scenario_free(scenario);
}

RUN_TESTS(cmocka_unit_test(columns_and_rows_are_read), cmocka_unit_test(a_wrong_line_is_named),
          cmocka_unit_test(a_file_that_is_too_long_is_refused),
          cmocka_unit_test(the_scenario_that_is_delivered_adds_up))
