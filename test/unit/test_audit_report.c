/* The page of an audit: its table, its verdict, its limits, its JSON. */
#include "audit_report.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "test.h"

static struct vd_audit_claim *claim(struct vd_audit_report *report, const char *section,
                                    const char *left, int64_t a, int64_t b)
{
    struct vd_audit_claim *made = vd_audit_report_claim(report, section, left, "rows");

    vd_audit_compare(made, a, b);
    return made;
}

static void assert_text(struct vd_audit_report *report, const char *wanted)
{
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_audit_report_text(report, &out);
    assert_string_equal(vd_buf_text(&out), wanted);
}

TEST(invariants_that_hold_are_one_table)
{
    struct vd_audit_report report;

    vd_audit_report_init(&report);
    (void)claim(&report, "topics", "ends", 5, 5);
    (void)claim(&report, "voting", "votes_topic: votes", 1234567, 1234567);
    vd_audit_report_note(&report, "voting", vd_strdup("2 dead letters in voters_dead"));
    assert_int_equal(vd_audit_report_outcome(&report), VD_AUDIT_HOLDS);
    assert_text(&report, "topics\n"
                         "  ok       ends                        5 =         5  rows\n"
                         "\n"
                         "voting\n"
                         "  ok       votes_topic: votes  1,234,567 = 1,234,567  rows\n"
                         "  note     2 dead letters in voters_dead\n"
                         "\n"
                         "2 invariants hold\n");
    vd_audit_report_fini(&report);
}

TEST(what_differs_is_told_below_with_its_keys)
{
    struct vd_audit_report report;

    vd_audit_report_init(&report);
    (void)claim(&report, "voting", "votes", 1000, 1000);
    vd_audit_differ(claim(&report, "voting", "rows", 1000, 999), "voter 7", "no %s", "row");
    assert_int_equal(vd_audit_report_outcome(&report), VD_AUDIT_DIFFERS);
    assert_text(&report, "voting\n"
                         "  ok       votes  1,000  = 1,000  rows\n"
                         "  DIFFERS  rows   1,000 <>   999  rows\n"
                         "\n"
                         "voting: rows: 1,000 <> 999: rows\n"
                         "  voter 7: no row\n"
                         "\n"
                         "1 of 2 invariants do not hold\n");
    vd_audit_report_fini(&report);
}

TEST(equal_numbers_with_a_difference_differ)
{
    struct vd_audit_report report;

    vd_audit_report_init(&report);
    vd_audit_differ(claim(&report, "a", "b", 2, 2), "swapped", "one for the other");
    assert_int_equal(vd_audit_report_outcome(&report), VD_AUDIT_DIFFERS);
    vd_audit_report_fini(&report);
}

TEST(differences_beyond_the_limit_are_only_counted)
{
    struct vd_audit_report report;
    struct vd_audit_claim *made;
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_audit_report_init(&report);
    made = claim(&report, "voting", "rows", 5000, 0);
    for (int i = 0; i < 5000; i++) {
        vd_audit_differ(made, "voter", "number %d", i);
    }
    vd_audit_report_text(&report, &out);
    assert_non_null(strstr(vd_buf_text(&out), "  voter: number 19\n  and 4,980 more\n"));
    assert_null(strstr(vd_buf_text(&out), "number 20"));
    vd_audit_report_fini(&report);
}

TEST(an_audit_of_what_moves_says_nothing_for_sure)
{
    struct vd_audit_report report;

    vd_audit_report_init(&report);
    (void)claim(&report, "voting", "rows", 2, 1);
    vd_audit_report_unrest(&report, true, vd_strdup("votes_topic grew by 3 while it was read"));
    assert_int_equal(vd_audit_report_outcome(&report), VD_AUDIT_MOVING);
    assert_text(&report, "voting\n"
                         "  DIFFERS  rows  2 <> 1  rows\n"
                         "\n"
                         "voting: rows: 2 <> 1: rows\n"
                         "\n"
                         "not at rest: votes_topic grew by 3 while it was read\n"
                         "1 of 1 invariants do not hold, which may mean nothing: run it again when "
                         "all is counted\n");
    vd_audit_report_fini(&report);
}

TEST(work_that_waits_is_no_difference_and_hides_none)
{
    struct vd_audit_report report;

    vd_audit_report_init(&report);
    (void)claim(&report, "voting", "rows", 1, 1);
    vd_audit_report_unrest(&report, false, vd_strdup("3 records wait"));
    assert_int_equal(vd_audit_report_outcome(&report), VD_AUDIT_MOVING);
    assert_text(&report, "voting\n"
                         "  ok       rows  1 = 1  rows\n"
                         "\n"
                         "not at rest: 3 records wait\n"
                         "1 invariants hold for what was counted so far\n");
    (void)claim(&report, "voting", "votes", 2, 1);
    assert_int_equal(vd_audit_report_outcome(&report), VD_AUDIT_DIFFERS);
    vd_audit_report_fini(&report);
}

TEST(json_says_the_same)
{
    struct vd_audit_report report;
    VD_AUTO(buf) struct vd_buf out = {0};
    char *text = NULL;
    cJSON *json = NULL;

    vd_audit_report_init(&report);
    vd_audit_differ(claim(&report, "voting", "rows \"x\"", 3, 2), "voter 7", "no row");
    vd_audit_report_note(&report, "voting", vd_strdup("a note"));
    vd_audit_report_unrest(&report, false, vd_strdup("3 records wait"));
    vd_audit_report_json(&report, &out);
    assert_non_null(strchr(vd_buf_text(&out), '\n'));
    json = cJSON_Parse(vd_buf_text(&out));
    text = cJSON_PrintUnformatted(json);
    assert_string_equal(
        text, "{\"outcome\":\"differs\",\"invariants\":[{\"section\":\"voting\",\"holds\":false,"
              "\"left\":{\"words\":\"rows \\\"x\\\"\",\"number\":3},"
              "\"right\":{\"words\":\"rows\",\"number\":2},\"differences\":1,"
              "\"keys\":[{\"key\":\"voter 7\",\"words\":\"no row\"}]}],"
              "\"notes\":[{\"section\":\"voting\",\"text\":\"a note\"}],"
              "\"not_at_rest\":[\"3 records wait\"]}");
    cJSON_Delete(json);
    free(text);
    vd_audit_report_fini(&report);
}

TEST(negative_numbers_get_their_commas_too)
{
    struct vd_audit_report report;
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_audit_report_init(&report);
    (void)claim(&report, "a", "b", -123456, INT64_MIN);
    vd_audit_report_text(&report, &out);
    assert_non_null(strstr(vd_buf_text(&out), "-123,456 <> -9,223,372,036,854,775,808"));
    vd_audit_report_fini(&report);
}

RUN_TESTS(cmocka_unit_test(invariants_that_hold_are_one_table),
          cmocka_unit_test(what_differs_is_told_below_with_its_keys),
          cmocka_unit_test(equal_numbers_with_a_difference_differ),
          cmocka_unit_test(differences_beyond_the_limit_are_only_counted),
          cmocka_unit_test(an_audit_of_what_moves_says_nothing_for_sure),
          cmocka_unit_test(work_that_waits_is_no_difference_and_hides_none),
          cmocka_unit_test(json_says_the_same),
          cmocka_unit_test(negative_numbers_get_their_commas_too))
