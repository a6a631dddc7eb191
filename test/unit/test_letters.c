/* --dead-letters without a broker: what its options mean, and how letters look. */
#include "letters_inside.h"

#include "test.h"

#include <string.h>

#define NOW_MS 1795365543065 /* 2026-11-22 16:39:03.065 UTC */

/* ---- options --------------------------------------------------------------------------------- */

struct option {
    const char *name, *value;
};

static struct vd_letters_conf make_conf(const char *action, const struct option *option)
{
    struct vd_letters_conf conf = {.action = action};
    struct vd_err err = {0};

    vd_opt_defaults(vd_letters_opts, &conf);
    for (; option != NULL && option->name != NULL; option++) {
        assert_int_equal(vd_opt_set(vd_letters_opts, &conf, option->name, option->value, &err),
                         VD_OK);
    }
    return conf;
}

static void expect_wrong(const char *action, const struct option *options, const char *words)
{
    struct vd_letters_conf conf = make_conf(action, options);
    struct vd_letters_filter filter;
    struct vd_err err = {0};

    assert_int_equal(vd_letters_filter_parse(&conf, NOW_MS, &filter, &err), VD_INVALID);
    assert_string_equal(err.msg, words);
    vd_opt_fini(vd_letters_opts, &conf);
}

TEST(an_option_that_is_wrong_is_told_with_what_it_takes)
{
    static const struct {
        const char *action;
        struct option options[2];
        const char *words;
    } cases[] = {
        {"lst", {{NULL, NULL}}, "--dead-letters: no action \"lst\"; did you mean \"list\"?"},
        {"frobnicate",
         {{NULL, NULL}},
         "--dead-letters: must be list, show, replay or purge, got \"frobnicate\""},
        {"list", {{"offset", "..."}}, "--offset: must be A, A..B, A.. or ..B, got \"...\""},
        {"list", {{"offset", ".."}}, "--offset: must be A, A..B, A.. or ..B, got \"..\""},
        {"list", {{"offset", "7..3"}}, "--offset: must be A, A..B, A.. or ..B, got \"7..3\""},
        {"list", {{"offset", "-1"}}, "--offset: must be A, A..B, A.. or ..B, got \"-1\""},
        {"list",
         {{"offset", "99999999999999999999"}},
         "--offset: must be A, A..B, A.. or ..B, got \"99999999999999999999\""},
        {"list",
         {{"since", "yesterday"}},
         "--since: must be a time of UTC, 2026-11-03T20:15:00Z or shorter, or an age, 90s, 15m, 2h "
         "or 7d, got \"yesterday\""},
        {"list",
         {{"until", "2w"}},
         "--until: must be a time of UTC, 2026-11-03T20:15:00Z or shorter, or an age, 90s, 15m, 2h "
         "or 7d, got \"2w\""},
        {"list", {{"dry_run", "yes"}}, "--dry-run belongs to --dead-letters replay or purge"},
        {"replay", {{"yes", "yes"}}, "--yes belongs to --dead-letters purge"},
        {"replay", {{"force", "yes"}}, "--force belongs to --dead-letters purge"},
        {"purge", {{"limit", "1"}}, "--limit does not go with purge; --offset ..B does"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_wrong(cases[i].action, cases[i].options, cases[i].words);
    }
}

TEST(what_changes_something_has_no_json)
{
    struct vd_letters_conf conf = make_conf("purge", NULL);
    struct vd_err err = {0};

    conf.is_json = true;
    assert_int_equal(vd_letters_check(&conf, &err), VD_INVALID);
    assert_string_equal(err.msg, "--format json belongs to --dead-letters list or show");
    vd_opt_fini(vd_letters_opts, &conf);
}

TEST(offsets_and_times_have_short_forms)
{
    static const struct {
        struct option options[3];
        int64_t first, last, since_ms, until_ms;
    } cases[] = {
        {{{"offset", "7"}}, 7, 7, INT64_MIN, INT64_MAX},
        {{{"offset", "7..9"}}, 7, 9, INT64_MIN, INT64_MAX},
        {{{"offset", "7.."}}, 7, INT64_MAX, INT64_MIN, INT64_MAX},
        {{{"offset", "..9"}}, 0, 9, INT64_MIN, INT64_MAX},
        {{{"since", "2h"}, {"until", "90s"}}, 0, INT64_MAX, NOW_MS - 7200000, NOW_MS - 90000},
        {{{"since", "1970-01-01T00:00:07Z"}, {"until", "1970-01-02 00:01"}},
         0,
         INT64_MAX,
         7000,
         86460000},
        {{{"since", "1970-01-03"}}, 0, INT64_MAX, 172800000, INT64_MAX},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_letters_conf conf = make_conf("list", cases[i].options);
        struct vd_letters_filter filter;
        struct vd_err err = {0};

        assert_int_equal(vd_letters_filter_parse(&conf, NOW_MS, &filter, &err), VD_OK);
        assert_int_equal(filter.first, cases[i].first);
        assert_int_equal(filter.last, cases[i].last);
        assert_int_equal(filter.since_ms, cases[i].since_ms);
        assert_int_equal(filter.until_ms, cases[i].until_ms);
        vd_opt_fini(vd_letters_opts, &conf);
    }
}

TEST(each_action_has_a_limit_of_its_own_unless_told)
{
    static const struct {
        const char *action;
        int64_t limit;
    } cases[] = {{"list", 100}, {"show", 1}, {"replay", INT64_MAX}, {"purge", INT64_MAX}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_letters_conf conf = make_conf(cases[i].action, NULL);
        struct vd_letters_filter filter;
        struct vd_err err = {0};

        assert_int_equal(vd_letters_filter_parse(&conf, NOW_MS, &filter, &err), VD_OK);
        assert_int_equal(filter.limit, cases[i].limit);
        conf.limit = 7;
        assert_int_equal(vd_letters_filter_parse(&conf, NOW_MS, &filter, &err),
                         strcmp(cases[i].action, "purge") == 0 ? VD_INVALID : VD_OK);
        assert_int_equal(filter.limit, strcmp(cases[i].action, "purge") == 0 ? INT64_MAX : 7);
        vd_opt_fini(vd_letters_opts, &conf);
    }
}

/* ---- letters --------------------------------------------------------------------------------- */

static struct vd_letter make_letter(void)
{
    return (struct vd_letter){
        .topic = "voters_dead",
        .record = {.key = "k1",
                   .key_len = 2,
                   .value = "{\"a\":1}",
                   .value_len = 7,
                   .partition = 2,
                   .offset = 17,
                   .timestamp_ms = NOW_MS - 54,
                   .has_position = true,
                   .position = {.generation = 1, .partition = 3, .offset = 253, .previous = -1}},
        .stage = "voting",
        .node = "main",
        .from = "voters_topic",
        .reason = "no voter_id",
        .attempts = 1,
        .time_ms = NOW_MS,
        .cut_bytes = -1,
        .stands_for = VD_NO_OFFSET,
        .receipt_of = VD_NO_OFFSET,
    };
}

TEST(a_letter_is_meant_if_it_fits_every_filter)
{
    static const struct {
        struct option option[2];
        bool is_meant;
    } cases[] = {
        {{{NULL, NULL}}, true},       {{{"stage", "voting"}}, true}, {{{"stage", "votin"}}, false},
        {{{"partition", "2"}}, true}, {{{"partition", "3"}}, false}, {{{"offset", "..16"}}, false},
        {{{"offset", "17"}}, true},   {{{"reason", "voter"}}, true}, {{{"reason", "Voter"}}, false},
        {{{"key", "k1"}}, true},      {{{"key", "k"}}, false},       {{{"key", "k12"}}, false},
        {{{"since", "1s"}}, true},    {{{"until", "1s"}}, false},    {{{"open", "yes"}}, true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_letters_conf conf = make_conf("list", cases[i].option);
        struct vd_letter letter = make_letter();
        struct vd_letters_filter filter;
        struct vd_err err = {0};

        assert_int_equal(vd_letters_filter_parse(&conf, NOW_MS, &filter, &err), VD_OK);
        assert_int_equal(vd_letters_filter_match(&filter, &letter, false), cases[i].is_meant);
        assert_int_equal(vd_letters_filter_match(&filter, &letter, true),
                         cases[i].is_meant && !conf.open);
        vd_opt_fini(vd_letters_opts, &conf);
    }
}

TEST(nothing_reaches_the_terminal_that_could_move_its_cursor)
{
    static const struct {
        const char *bytes;
        size_t len, columns;
        const char *shown;
    } cases[] = {
        {"plain", 5, 0, "plain"},
        {"a\x1b[31mb\x7f", 8, 0, "a\\x1b[31mb\\x7f"},
        {"line\nend\r\t", 10, 0, "line\\nend\\r\\t"},
        {"Zoë €", 8, 0, "Zoë €"},
        {"\xc2\x9bm", 3, 0, "\\xc2\\x9bm"}, /* a control character of two bytes */
        {"\xff\xc3", 2, 0, "\\xff\\xc3"},
        {"\xe2\x82", 2, 0, "\\xe2\\x82"}, /* cut in the middle */
        {"a\0b", 3, 0, "a\\x00b"},
        {"", 0, 0, ""},
        {"0123456789", 10, 10, "0123456789"},
        {"0123456789a", 11, 10, "0123456..."},
        {"€€€€€€", 18, 5, "€€..."},
        {"012345\x1b\x1b", 8, 10, "012345..."}, /* no escape is cut in two */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(buf) struct vd_buf out = {0};

        vd_letters_add_safe(&out, cases[i].bytes, cases[i].len, cases[i].columns);
        assert_string_equal(vd_buf_text(&out), cases[i].shown);
    }
}

TEST(a_line_of_the_list_has_at_most_80_columns)
{
    struct vd_letter letter = make_letter();
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_letters_add_line(&out, &letter, VD_LETTERS_NEW);
    assert_string_equal(vd_buf_text(&out),
                        "  2/17        2026-11-22 16:39:03  new           1  voters_topic/3/253\n"
                        "      k1: no voter_id\n");
    vd_buf_clear(&out);
    letter.stands_for = 17;
    letter.record.key = NULL;
    letter.reason = "a long reason, which goes on and on, until there is no room for it on this "
                    "line any more";
    vd_letters_add_line(&out, &letter, VD_LETTERS_NEW);
    assert_string_equal(
        vd_buf_text(&out),
        "  2/17        2026-11-22 16:39:03  again         1  voters_topic/3/253\n"
        "      a long reason, which goes on and on, until there is no room for it on t...\n");
}

TEST(a_letter_of_another_program_is_listed_with_what_there_is)
{
    struct vd_letter letter = {.topic = "voters_dead", .record = {.key = "k", .key_len = 1}};
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_letter_read_headers(NULL, &letter);
    vd_letters_add_line(&out, &letter, VD_LETTERS_NEW);
    assert_string_equal(vd_buf_text(&out), "  0/0         -                    new           -  -\n"
                                           "      k: no reason: not of votingd\n");
}

TEST(a_whole_letter_shows_bytes_that_are_no_text_as_numbers)
{
    struct vd_letter letter = make_letter();
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    VD_AUTO(buf) struct vd_buf out = {0};

    rd_kafka_header_add(headers, "vd-reason", -1, "ours", -1);
    rd_kafka_header_add(headers, "vd-orig-src", -1, "\x01\xff", 2);
    rd_kafka_header_add(headers, "none", -1, NULL, 0);
    letter.headers = headers;
    letter.record.value = "abcdefghijklmno\0\xff";
    letter.record.value_len = 17;
    vd_letters_add_whole(&out, &letter, VD_LETTERS_REPLAYED);
    assert_string_equal(
        vd_buf_text(&out),
        "letter    voters_dead/2/17, replayed\n"
        "set aside 2026-11-22 16:39:03.065 UTC by stage voting on node main\n"
        "reason    no voter_id\n"
        "attempts  1\n"
        "record    voters_topic/3/253\n"
        "time      2026-11-22 16:39:03.011 UTC\n"
        "key       k1\n"
        "header    vd-src: 2 bytes\n"
        "  00000000  01 ff                                            |..|\n"
        "header    none: none\n"
        "value     17 bytes\n"
        "  00000000  61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 00  |abcdefghijklmno.|\n"
        "  00000010  ff                                               |.|\n");
    rd_kafka_headers_destroy(headers);
}

TEST(what_was_too_large_is_shown_as_left_out)
{
    struct vd_letter letter = make_letter();
    VD_AUTO(buf) struct vd_buf out = {0};

    letter.cut_bytes = 1000001;
    letter.record.value = NULL;
    vd_letters_add_whole(&out, &letter, VD_LETTERS_NEW);
    assert_non_null(strstr(vd_buf_text(&out),
                           "value     left out: the record has 1000001 bytes, too many for a "
                           "letter\n"));
}

TEST(json_has_one_object_a_line)
{
    struct vd_letter letter = make_letter();
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    VD_AUTO(buf) struct vd_buf out = {0};

    rd_kafka_header_add(headers, "vd-orig-replay", -1, "voting 9", -1);
    rd_kafka_header_add(headers, "b", -1, "\xff", 1);
    letter.headers = headers;
    letter.stands_for = 9;
    vd_letters_add_json(&out, &letter, VD_LETTERS_NEW, true);
    assert_string_equal(
        vd_buf_text(&out),
        "{\"topic\":\"voters_dead\",\"partition\":2,\"offset\":17,\"state\":\"again\","
        "\"time_ms\":1795365543065,\"stage\":\"voting\",\"node\":\"main\","
        "\"reason\":\"no voter_id\",\"attempts\":1,\"record_topic\":\"voters_topic\","
        "\"record_partition\":3,\"record_offset\":253,\"record_generation\":1,"
        "\"record_time_ms\":1795365543011,\"replay_of\":9,\"key\":\"k1\","
        "\"headers\":[{\"name\":\"vd-replay\",\"value\":\"voting 9\"},"
        "{\"name\":\"b\",\"value_hex\":\"ff\"}],\"value\":\"{\\\"a\\\":1}\"}\n");
    vd_buf_clear(&out);
    letter.record.key = NULL;
    vd_letters_add_json(&out, &letter, VD_LETTERS_NEW, false);
    assert_non_null(strstr(vd_buf_text(&out), ",\"key\":null}\n"));
    rd_kafka_headers_destroy(headers);
}

RUN_TESTS(cmocka_unit_test(an_option_that_is_wrong_is_told_with_what_it_takes),
          cmocka_unit_test(what_changes_something_has_no_json),
          cmocka_unit_test(offsets_and_times_have_short_forms),
          cmocka_unit_test(each_action_has_a_limit_of_its_own_unless_told),
          cmocka_unit_test(a_letter_is_meant_if_it_fits_every_filter),
          cmocka_unit_test(nothing_reaches_the_terminal_that_could_move_its_cursor),
          cmocka_unit_test(a_line_of_the_list_has_at_most_80_columns),
          cmocka_unit_test(a_letter_of_another_program_is_listed_with_what_there_is),
          cmocka_unit_test(a_whole_letter_shows_bytes_that_are_no_text_as_numbers),
          cmocka_unit_test(what_was_too_large_is_shown_as_left_out),
          cmocka_unit_test(json_has_one_object_a_line))
