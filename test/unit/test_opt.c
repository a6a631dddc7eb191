/* Option tables: what a value may be, and the words for one that may not. */
#include "test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "opt.h"

struct sample {
    int64_t window_ms;
    int64_t offset;
    int64_t rows;
    double rate;
    double share;
    bool enabled;
    char *format;
    char *key;
    char *password;
    char *title;
    char *code;
    char *topic;
    struct {
        int64_t records;
    } batch;
};

static const struct vd_opt sample_opts[] = {
    VD_OPT(struct sample, window_ms, .def = "1000", .min = 1, .max = 60000),
    VD_OPT(struct sample, offset, .def = "0"),
    VD_OPT(struct sample, rows, .def = "1", .min = 1),
    VD_OPT(struct sample, rate, .def = "0.5"),
    VD_OPT(struct sample, share, .def = "0.25", .min = 0, .max = 1),
    VD_OPT(struct sample, enabled, .def = "yes"),
    VD_OPT(struct sample, format, .def = "text", .choices = "text|json|none"),
    VD_OPT(struct sample, key),
    VD_OPT(struct sample, password, .def = "", .min = 8, .max = 64, .is_secret = true),
    VD_OPT(struct sample, title, .def = "", .max = 5),
    VD_OPT(struct sample, code, .def = "ab", .min = 2, .max = 3),
    VD_OPT(struct sample, topic, .def = "t", .min = 1),
    VD_OPT(struct sample, batch.records, .def = "10", .min = -5, .max = 5000),
    VD_OPT_END,
};

TEST(defaults_fill_every_field_that_has_one)
{
    struct sample sample = {0};

    vd_opt_defaults(sample_opts, &sample);
    assert_int_equal(sample.window_ms, 1000);
    assert_true(sample.rate == 0.5);
    assert_true(sample.enabled);
    assert_string_equal(sample.format, "text");
    assert_string_equal(sample.password, "");
    assert_null(sample.key);
    assert_int_equal(sample.batch.records, 10);
    vd_opt_fini(sample_opts, &sample);
    assert_null(sample.format);
}

TEST(values_of_the_right_form_are_taken_and_formatted_again)
{
    static const struct {
        const char *name, *value, *formatted;
    } cases[] = {
        {"window_ms", "1", "1"},
        {"window_ms", "60000", "60000"},
        {"window_ms", "007", "7"},
        {"offset", "9223372036854775807", "9223372036854775807"},
        {"offset", "-9223372036854775808", "-9223372036854775808"},
        {"rows", "9223372036854775807", "9223372036854775807"},
        {"batch.records", "-5", "-5"},
        {"rate", "-1.5e3", "-1500"},
        {"rate", ".1", "0.1"},
        {"rate", "3.", "3"},
        {"rate", "1e300", "1e+300"},
        {"rate", "0.30000000000000004", "0.30000000000000004"},
        {"share", "1", "1"},
        {"enabled", "no", "no"},
        {"enabled", "Yes", "yes"},
        {"enabled", "off", "no"},
        {"enabled", "ON", "yes"},
        {"enabled", "0", "no"},
        {"enabled", "1", "yes"},
        {"enabled", "true", "yes"},
        {"enabled", "false", "no"},
        {"format", "none", "none"},
        {"key", "", ""},
        {"key", "a b", "a b"},
        {"password", "12345678", "***"},
        {"password", "", "***"},
        {"title", "12345", "12345"},
        {"title", "", ""},
        {"code", "abc", "abc"},
    };
    struct sample sample = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        VD_AUTO(buf) struct vd_buf out = {0};
        struct vd_err err = {0};

        assert_int_equal(vd_opt_set(sample_opts, &sample, cases[i].name, cases[i].value, &err),
                         VD_OK);
        vd_opt_format(vd_opt_find(sample_opts, cases[i].name), &sample, &out);
        assert_string_equal(vd_buf_text(&out), cases[i].formatted);
    }
    vd_opt_fini(sample_opts, &sample);
}

TEST(wrong_values_are_refused_in_words_and_change_nothing)
{
    static const struct {
        const char *name, *value, *message;
    } cases[] = {
        {"window_ms", "0", "option \"window_ms\": must be 1 to 60000, got 0"},
        {"window_ms", "60001", "option \"window_ms\": must be 1 to 60000, got 60001"},
        {"window_ms", "1s", "option \"window_ms\": must be a whole number, 1 to 60000, got \"1s\""},
        {"window_ms", "", "option \"window_ms\": must be a whole number, 1 to 60000, got \"\""},
        {"window_ms", "99999999999999999999",
         "option \"window_ms\": must be 1 to 60000, got 99999999999999999999"},
        {"offset", "+1", "option \"offset\": must be a whole number, got \"+1\""},
        {"offset", "-", "option \"offset\": must be a whole number, got \"-\""},
        {"offset", "0x10", "option \"offset\": must be a whole number, got \"0x10\""},
        {"offset", "1.0", "option \"offset\": must be a whole number, got \"1.0\""},
        {"offset", "9223372036854775808",
         "option \"offset\": must be -9223372036854775808 to 9223372036854775807, got "
         "9223372036854775808"},
        {"rows", "0", "option \"rows\": must be at least 1, got 0"},
        {"rows", "9223372036854775808",
         "option \"rows\": must be 1 to 9223372036854775807, got 9223372036854775808"},
        {"rate", "inf", "option \"rate\": must be a number, got \"inf\""},
        {"rate", "nan", "option \"rate\": must be a number, got \"nan\""},
        {"rate", "0x1p3", "option \"rate\": must be a number, got \"0x1p3\""},
        {"rate", "1,5", "option \"rate\": must be a number, got \"1,5\""},
        {"rate", ".", "option \"rate\": must be a number, got \".\""},
        {"rate", "1e", "option \"rate\": must be a number, got \"1e\""},
        {"rate", "1e999",
         "option \"rate\": must be a number that a computer can hold, got \"1e999\""},
        {"share", "1.5", "option \"share\": must be 0 to 1, got 1.5"},
        {"share", "-0.1", "option \"share\": must be 0 to 1, got -0.1"},
        {"enabled", "maybe", "option \"enabled\": must be yes or no, got \"maybe\""},
        {"enabled", "", "option \"enabled\": must be yes or no, got \"\""},
        {"format", "xml", "option \"format\": must be text, json or none, got \"xml\""},
        {"format", "jsno",
         "option \"format\": must be text, json or none, got \"jsno\"; did you mean \"json\"?"},
        {"format", "tex",
         "option \"format\": must be text, json or none, got \"tex\"; did you mean \"text\"?"},
        {"format", "", "option \"format\": must be text, json or none, got \"\""},
        {"format", "text|json", "option \"format\": must be text, json or none, got \"text|json\""},
        {"password", "secret", "option \"password\": must be 8 to 64 bytes long, got 6 bytes"},
        {"title", "123456", "option \"title\": must be at most 5 bytes long, got 6 bytes"},
        {"code", "", "option \"code\": must not be empty"},
        {"topic", "", "option \"topic\": must not be empty"},
        {"windw_ms", "1", "unknown option \"windw_ms\"; did you mean \"window_ms\"?"},
        {"zzz", "1", "unknown option \"zzz\""},
        {"batch.record", "1", "unknown option \"batch.record\"; did you mean \"batch.records\"?"},
        {"enabled", "a\nb\x1b[31m", "option \"enabled\": must be yes or no, got \"a?b?[31m\""},
        {"enabled", "0123456789012345678901234567890123456789012345678901234567890123+",
         "option \"enabled\": must be yes or no, got "
         "\"0123456789012345678901234567890123456789012345678901234567890123...\""},
    };
    struct sample sample = {0};

    vd_opt_defaults(sample_opts, &sample);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_err err = {0};

        assert_int_equal(vd_opt_set(sample_opts, &sample, cases[i].name, cases[i].value, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, cases[i].message);
    }
    assert_int_equal(sample.window_ms, 1000);
    assert_string_equal(sample.format, "text");
    assert_string_equal(sample.code, "ab");
    vd_opt_fini(sample_opts, &sample);
}

TEST(a_secret_never_appears_in_a_message)
{
    static const struct vd_opt opts[] = {
        {.name = "pin", .type = VD_OPT_INT, .min = 1000, .max = 9999, .is_secret = true},
        {.name = "mode", .type = VD_OPT_TEXT, .choices = "a|b", .is_secret = true, .offset = 8},
        VD_OPT_END,
    };
    struct {
        int64_t pin;
        char *mode;
    } target = {0};
    struct vd_err err = {0};

    assert_int_equal(vd_opt_set(opts, &target, "pin", "12", &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"pin\": must be 1000 to 9999");
    assert_int_equal(vd_opt_set(opts, &target, "pin", "abc", &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"pin\": must be a whole number, 1000 to 9999");
    assert_int_equal(vd_opt_set(opts, &target, "pin", "99999999999999999999", &err), VD_INVALID);
    assert_null(strstr(err.msg, "99999999999999999999"));
    assert_int_equal(vd_opt_set(opts, &target, "mode", "hunter2", &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"mode\": must be a or b");
}

TEST(a_text_is_replaced_without_a_leak)
{
    struct sample sample = {0};
    struct vd_err err = {0};

    assert_int_equal(vd_opt_set(sample_opts, &sample, "key", "one", &err), VD_OK);
    assert_int_equal(vd_opt_set(sample_opts, &sample, "key", "two", &err), VD_OK);
    assert_string_equal(sample.key, "two");
    vd_opt_fini(sample_opts, &sample);
    vd_opt_fini(sample_opts, &sample); /* twice is fine */
}

TEST(faulty_tables_of_strangers_are_found)
{
    static const struct {
        struct vd_opt opts[3];
        const char *message;
    } cases[] = {
        {{{.name = "a"}, {.name = "b", .offset = 8}}, NULL},
        {{{.name = "a"}, {.name = "a", .offset = 8}}, "option \"a\": found twice, wanted once"},
        {{{.name = "a b"}}, "option \"a b\": a name has letters, digits, '_', '-' and '.' only"},
        {{{.name = ""}}, "option \"\": a name has letters, digits, '_', '-' and '.' only"},
        {{{.name = "a", .type = 9}}, "option \"a\": type 9 is unknown; declare it with VD_OPT"},
        {{{.name = "a", .offset = 12}},
         "option \"a\": its field ends after the state; set state_size to the structure's size"},
        {{{.name = "a", .offset = SIZE_MAX}},
         "option \"a\": its field ends after the state; set state_size to the structure's size"},
        {{{.name = "a", .offset = 15, .type = VD_OPT_BOOL}}, NULL},
        {{{.name = "a", .def = "x"}},
         "its own default: option \"a\": must be a whole number, got \"x\""},
        {{{.name = "a", .def = "x", .type = VD_OPT_TEXT}}, NULL},
        {{{.name = "a", .def = "x", .type = VD_OPT_TEXT, .choices = "y|z"}},
         "its own default: option \"a\": must be y or z, got \"x\""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_err err = {0};
        enum vd_status status = vd_opt_check(cases[i].opts, 16, &err);

        assert_int_equal(status, cases[i].message == NULL ? VD_OK : VD_INVALID);
        assert_string_equal(err.msg, cases[i].message == NULL ? "" : cases[i].message);
    }
    assert_int_equal(vd_opt_check(NULL, 0, NULL), VD_OK);
}

TEST(the_nearest_name_is_found_if_any_is_near_enough)
{
    static const char *const names[] = {
        "voters_topic", "votes_topic", "batch.records", "dead", "plugin", "rate", "a", "listen"};
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"voter_topic", "voters_topic"},
        {"vote_topic", "votes_topic"},
        {"VOTERS_TOPIC", "voters_topic"},
        {"votres_topic", "voters_topic"},
        {"batch_records", "batch.records"},
        {"batchrecords", "batch.records"},
        {"daed", "dead"},
        {"plguin", "plugin"},
        {"plugins", "plugin"},
        {"raet", "rate"},
        {"lisetn", "listen"},
        {"b", NULL}, /* every letter is wrong */
        {"", NULL},
        {"dxyd", NULL},
        {"completely_else", NULL},
        {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggggg", NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *nearest = vd_nearest(cases[i].name, names, sizeof(names) / sizeof(*names));

        if (cases[i].nearest == NULL) {
            assert_null(nearest);
        } else {
            assert_non_null(nearest);
            assert_string_equal(nearest, cases[i].nearest);
        }
    }
    assert_null(vd_nearest("a", NULL, 0));
}

RUN_TESTS(cmocka_unit_test(defaults_fill_every_field_that_has_one),
          cmocka_unit_test(values_of_the_right_form_are_taken_and_formatted_again),
          cmocka_unit_test(wrong_values_are_refused_in_words_and_change_nothing),
          cmocka_unit_test(a_secret_never_appears_in_a_message),
          cmocka_unit_test(a_text_is_replaced_without_a_leak),
          cmocka_unit_test(faulty_tables_of_strangers_are_found),
          cmocka_unit_test(the_nearest_name_is_found_if_any_is_near_enough))
