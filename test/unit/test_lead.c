/* Actions of operators to the moment that all pages show, and its form on the wire. */
#include "dashboard/lead.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "dashboard/wire.h"
#include "test.h"

#define NIGHT_MS 1700000000000
#define NEWEST_MS (NIGHT_MS + 3600000)

static struct lead_world at(int64_t now_ms)
{
    return (struct lead_world){.now_ms = now_ms, .newest_ms = NEWEST_MS};
}

static void act(struct lead *lead, const char *body, int64_t now_ms)
{
    struct lead_world world = at(now_ms);
    struct vd_err err = {0};

    if (lead_act(lead, body, "ada", &world, &err) != VD_OK) {
        fail_msg("%s: %s", body, err.msg);
    }
}

static void assert_told(const struct lead *lead, const char *expected)
{
    VD_AUTO(buf) struct vd_buf out = {0};

    wire_lead(&out, lead);
    assert_string_equal(vd_buf_text(&out), expected);
}

TEST(each_action_changes_what_it_names_and_keeps_the_rest)
{
    static const struct {
        const char *body, *at, *since, *speed, *is_running;
    } steps[] = {
        {"{\"action\":\"start\",\"at_ms\":1700000000000,\"speed\":300}", "1700000000000", "1000",
         "300", "true"},
        {"{\"action\":\"pause\"}", "1700000300000", "2000", "300", "false"},
        {"{\"action\":\"seek\",\"at_ms\":1700000060000}", "1700000060000", "3000", "300", "false"},
        {"{\"action\":\"start\",\"speed\":10}", "1700000060000", "4000", "10", "true"},
        {"{\"action\":\"seek\",\"at_ms\":1700000120000}", "1700000120000", "5000", "10", "true"},
        {"{\"action\":\"start\",\"speed\":1000}", "1700000130000", "6000", "1000", "true"},
        {"{\"action\":\"pause\",\"at_ms\":1700000131000}", "1700000131000", "7000", "1000",
         "false"},
        {" { \"speed\" : 1 , \"action\" : \"pause\" } ", "1700000131000", "8000", "1", "false"},
    };
    struct lead lead = {0};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        VD_AUTO(mem)
        char *expected =
            vd_format("{\"at_ms\":%s,\"since_ms\":%s,\"speed\":%s,\"is_running\":%s,"
                      "\"began_ms\":1000,\"by\":\"ada\"}",
                      steps[i].at, steps[i].since, steps[i].speed, steps[i].is_running);

        act(&lead, steps[i].body, (int64_t)(i + 1) * 1000);
        assert_told(&lead, expected);
    }
    act(&lead, "{\"action\":\"stop\"}", 9000);
    assert_told(&lead, "null");
}

TEST(a_moment_may_be_shown_still_without_playing_first)
{
    static const char *const bodies[] = {"{\"action\":\"pause\",\"at_ms\":1700000060000}",
                                         "{\"action\":\"seek\",\"at_ms\":1700000060000}"};

    for (size_t i = 0; i < 2; i++) {
        struct lead lead = {0};

        act(&lead, bodies[i], 1000);
        assert_told(&lead, "{\"at_ms\":1700000060000,\"since_ms\":1000,\"speed\":60,"
                           "\"is_running\":false,\"began_ms\":1000,\"by\":\"ada\"}");
    }
}

TEST(at_the_newest_total_the_replay_stands_still_and_goes_no_further)
{
    struct lead lead = {0};
    struct lead_world before = at(10999), then = at(11000);

    act(&lead, "{\"action\":\"start\",\"at_ms\":1700003590000,\"speed\":1}", 1000);
    assert_int_equal(lead_position(&lead, &before), NEWEST_MS - 1);
    assert_false(lead_settle(&lead, &before));
    assert_true(lead_settle(&lead, &then));
    assert_false(lead.is_running);
    assert_int_equal(lead.at_ms, NEWEST_MS);
    assert_false(lead_settle(&lead, &then));
    act(&lead, "{\"action\":\"seek\",\"at_ms\":9007199254740991}", 12000);
    assert_int_equal(lead.at_ms, NEWEST_MS);
}

TEST(a_clock_that_is_set_moves_the_replay_within_its_range)
{
    struct lead lead = {0};
    struct lead_world world = {.now_ms = 1000};

    act(&lead, "{\"action\":\"start\",\"at_ms\":1700000000000,\"speed\":1000}", 5000);
    assert_int_equal(lead_position(&lead, &world), NIGHT_MS);
    world.now_ms = INT64_MAX;
    assert_int_equal(lead_position(&lead, &world), 9007199254740991);
    assert_false(lead_settle(&lead, &world)); /* where the newest total is unknown */
}

TEST(what_is_no_action_is_refused_with_the_field_and_its_remedy)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"", "expected {\"action\":\"start\",\"at_ms\":N,\"speed\":N} as JSON"},
        {"[]", "expected {\"action\":\"start\",\"at_ms\":N,\"speed\":N} as JSON"},
        {"{\"action\":\"stop\"} x",
         "expected {\"action\":\"start\",\"at_ms\":N,\"speed\":N} as JSON"},
        {"{}", "field \"action\": missing; expected start, pause, seek or stop"},
        {"{\"action\":\"strat\"}",
         "field \"action\": expected start, pause, seek or stop; did you mean \"start\"?"},
        {"{\"action\":\"x\"}", "field \"action\": expected start, pause, seek or stop"},
        {"{\"action\":7}", "field \"action\": expected start, pause, seek or stop"},
        {"{\"action\":\"seek\"}", "field \"at_ms\": missing; \"seek\" needs a moment"},
        {"{\"action\":\"start\",\"speed\":7}",
         "field \"at_ms\": missing; no replay is led yet whose moment could be meant"},
        {"{\"action\":\"start\",\"at_ms\":-1}",
         "field \"at_ms\": expected a whole number from 0 to 9007199254740991, milliseconds since "
         "1970 in UTC"},
        {"{\"action\":\"start\",\"at_ms\":\"2026\"}",
         "field \"at_ms\": expected a whole number from 0 to 9007199254740991, milliseconds since "
         "1970 in UTC"},
        {"{\"action\":\"start\",\"at_ms\":0,\"speed\":0}",
         "field \"speed\": expected a whole number from 1 to 1000"},
        {"{\"action\":\"start\",\"at_ms\":0,\"speed\":1001}",
         "field \"speed\": expected a whole number from 1 to 1000"},
        {"{\"action\":\"start\",\"at_ms\":0,\"speed\":1.5}",
         "field \"speed\": expected a whole number from 1 to 1000"},
        {"{\"action\":\"start\",\"at_ms\":1,\"at_ms\":2}", "field \"at_ms\": given twice"},
        {"{\"action\":\"start\",\"at\":1}", "field \"at\": expected action, at_ms and speed only"},
        {"{\"action\":\"start\",\"sped\":1}",
         "field \"sped\": expected action, at_ms and speed only; did you mean \"speed\"?"},
        {"{\"action\":\"stop\",\"speed\":1}", "field \"speed\": \"stop\" takes none; leave it out"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lead lead = {0};
        struct lead_world world = at(1000);
        struct vd_err err = {0};

        assert_int_equal(lead_act(&lead, cases[i].body, "ada", &world, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
        assert_false(lead.is_on);
    }
}

TEST(every_picture_says_who_leads_until_nobody_does)
{
    VD_AUTO(buf) struct vd_buf delta = {0};
    VD_AUTO(buf) struct vd_buf changes = {0};
    VD_AUTO(buf) struct vd_buf full = {0};
    struct wire_asked asked = {.since = 1, .bytes_max = WIRE_CHANGES_BYTES};
    static const char *const words =
        "\"lead\":{\"at_ms\":1700000000000,\"since_ms\":1000,\"speed\":60,\"is_running\":false,"
        "\"began_ms\":1000,\"by\":\"ada\"},\"add\":{},\"rows\":{}}";
    struct picture picture;

    picture_init(&picture, "e1", 100);
    act(&picture.about.lead, "{\"action\":\"pause\",\"at_ms\":1700000000000}", 1000);
    picture_touch(&picture);
    assert_true(picture_settle(&picture));
    wire_delta(&delta, &picture, WIRE_QUIET, 2000);
    wire_changes(&changes, &picture, &asked, WIRE_QUIET, 2000);
    assert_non_null(strstr(vd_buf_text(&delta), words));
    assert_non_null(strstr(vd_buf_text(&changes), words));
    picture.about.lead = (struct lead){0};
    picture_touch(&picture);
    assert_true(picture_settle(&picture));
    wire_snapshot(&full, &picture, picture_frame_last(&picture), WIRE_QUIET, 2000);
    assert_null(strstr(vd_buf_text(&full), "lead"));
    picture_fini(&picture);
}

RUN_TESTS(cmocka_unit_test(each_action_changes_what_it_names_and_keeps_the_rest),
          cmocka_unit_test(a_moment_may_be_shown_still_without_playing_first),
          cmocka_unit_test(at_the_newest_total_the_replay_stands_still_and_goes_no_further),
          cmocka_unit_test(a_clock_that_is_set_moves_the_replay_within_its_range),
          cmocka_unit_test(what_is_no_action_is_refused_with_the_field_and_its_remedy),
          cmocka_unit_test(every_picture_says_who_leads_until_nobody_does))
