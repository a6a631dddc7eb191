/* INI files: places, faults of form, overrides, substitution. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "ini_file.h"

/* Every error as "LINE:COLUMN message", one a line. */
static void on_error(void *arg, const struct vd_ini_entry *at, const char *message)
{
    vd_buf_printf(arg, "%d:%d %s\n", at->line, at->column, message);
}

/* Parse 'text' and return the errors. Owns: the caller ends 'ini' and frees the result. */
static char *parse(struct vd_ini *ini, const char *text, size_t len)
{
    VD_AUTO(buf) struct vd_buf errors = {0};
    struct vd_err err = {0};
    enum vd_status status = VD_OK;

    ini->on_error = on_error;
    ini->on_error_arg = &errors;
    status = vd_ini_parse(ini, "t.ini", text, len, &err);
    assert_int_equal(status, errors.len == 0 ? VD_OK : VD_INVALID);
    return vd_strdup(vd_buf_text(&errors));
}

static const char *value_of(const struct vd_ini *ini, const char *section, const char *key)
{
    const struct vd_ini_entry *entry = vd_ini_find(ini, section, key);

    return entry == NULL ? NULL : entry->value;
}

TEST(values_have_their_places)
{
    static const char text[] = "\xef\xbb\xbf; a comment\r\n"
                               "[votingd]\r\n"
                               "  application =  election ; said here\r\n"
                               "\r\n"
                               "[stage:a.very.long.name.that.is.longer.than.fifty.bytes.in.all]\n"
                               "input.votes=votes_topic\n"
                               "empty =\n"
                               "last = a;b=c";
    static const struct {
        const char *section, *key, *value, *source;
        int line, column, value_column;
    } expected[] = {
        {"votingd", NULL, NULL, "t.ini", 2, 2, 2},
        {"votingd", "application", "election", "t.ini", 3, 3, 18},
        {"stage:a.very.long.name.that.is.longer.than.fifty.bytes.in.all", NULL, NULL, "t.ini", 5, 2,
         2},
        {"stage:a.very.long.name.that.is.longer.than.fifty.bytes.in.all", "input.votes",
         "votes_topic", "t.ini", 6, 1, 13},
        {"stage:a.very.long.name.that.is.longer.than.fifty.bytes.in.all", "empty", "", "t.ini", 7,
         1, 8},
        {"stage:a.very.long.name.that.is.longer.than.fifty.bytes.in.all", "last", "a;b=c", "t.ini",
         8, 1, 8},
    };
    struct vd_ini ini = {0};
    VD_AUTO(mem) char *errors = parse(&ini, text, sizeof(text) - 1);

    assert_string_equal(errors, "");
    assert_int_equal(ini.count, sizeof(expected) / sizeof(*expected));
    for (size_t i = 0; i < ini.count; i++) {
        assert_string_equal(ini.entries[i].section, expected[i].section);
        assert_int_equal(ini.entries[i].key == NULL, expected[i].key == NULL);
        if (expected[i].key != NULL) {
            assert_string_equal(ini.entries[i].key, expected[i].key);
            assert_string_equal(ini.entries[i].value, expected[i].value);
        }
        assert_string_equal(ini.entries[i].source, expected[i].source);
        assert_int_equal(ini.entries[i].line, expected[i].line);
        assert_int_equal(ini.entries[i].column, expected[i].column);
        assert_int_equal(ini.entries[i].value_column, expected[i].value_column);
    }
    vd_ini_fini(&ini);
}

TEST(faults_of_form_are_all_reported_with_their_place)
{
    static const struct {
        const char *text, *errors;
    } cases[] = {
        {"", ""},
        {"; only\n# comments\n\n", ""},
        {"a = 1\n", "1:1 a key before any [section]\n"},
        {"[kafka\nbrokers = x\n", "1:1 section has no closing \"]\"\n"},
        {"[]\n[  ]\n", "1:1 section without a name\n2:1 section without a name\n"},
        {"[ kafka ]\na = 1\n", ""},
        {"[kafka] x = 1\n", "1:9 text after the section's \"]\"; put it on a line of its own\n"},
        {"[kafka] ; why\n[http] # how\n", ""},
        {"[kafka]\nbrokers localhost\n  x\n\n  y\n",
         "2:1 expected \"key = value\", found no \"=\"\n"
         "5:3 expected \"key = value\", found no \"=\"\n"},
        {"[kafka]\n  = x\n", "2:3 no key in front of \"=\"\n"},
        {"[kafka]\nbrokers: a=b\n",
         "2:1 a key has no \":\" or \";\" in it: expected \"key = value\"\n"},
        {"[kafka]\nbrokers ; = b\n",
         "2:1 a key has no \":\" or \";\" in it: expected \"key = value\"\n"},
        {"[kafka]\n[http]\n[kafka]\n", "3:2 section [kafka] again; the first one is in line 1\n"},
        {"[kafka]\na = 1\n\n a = 2\n", "4:2 key \"a\" again; the first one is in line 2\n"},
        {"[kafka]\na = 1\nb = 2\n[http]\na = 3\n", ""},
        {"[kafka]\na = \x01\n", "2:5 control character 0x01 in the line; remove it\n"},
        {"[kafka]\na = \xff\n", "2:1 the line is not UTF-8; save the file in that encoding\n"},
        {"a=1\n[k\nb\n[x]\n=\n",
         "1:1 a key before any [section]\n2:1 section has no closing \"]\"\n"
         "5:1 no key in front of \"=\"\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_ini ini = {0};
        VD_AUTO(mem) char *errors = parse(&ini, cases[i].text, strlen(cases[i].text));

        assert_string_equal(errors, cases[i].errors);
        vd_ini_fini(&ini);
    }
}

TEST(a_zero_byte_is_an_error_with_its_place)
{
    static const char text[] = "[kafka]\nab = \0c\nd = e\n";
    struct vd_ini ini = {0};
    VD_AUTO(mem) char *errors = parse(&ini, text, sizeof(text) - 1);

    assert_string_equal(errors, "2:6 control character 0x00 in the line; remove it\n");
    assert_string_equal(value_of(&ini, "kafka", "d"), "e");
    vd_ini_fini(&ini);
}

TEST(a_deeper_line_continues_the_value_above)
{
    static const char text[] = "[postgres]\n"
                               "conninfo = host=localhost\n"
                               "   dbname=voting ; the database\n"
                               "   ; a comment between\n"
                               "\tuser=postgres\n"
                               "[kafka]\n"
                               "  a = 1\n"
                               "  b = 2\n"
                               "    3\n"
                               " c =\n"
                               "    4\n";
    struct vd_ini ini = {0};
    VD_AUTO(mem) char *errors = parse(&ini, text, sizeof(text) - 1);

    assert_string_equal(errors, "");
    assert_string_equal(value_of(&ini, "postgres", "conninfo"),
                        "host=localhost dbname=voting user=postgres");
    assert_string_equal(value_of(&ini, "kafka", "a"), "1");
    assert_string_equal(value_of(&ini, "kafka", "b"), "2 3");
    assert_string_equal(value_of(&ini, "kafka", "c"), "4");
    vd_ini_fini(&ini);
}

TEST(a_line_may_have_as_many_bytes_as_a_value)
{
    for (size_t len = VD_INI_VALUE_BYTES_MAX - 1; len <= VD_INI_VALUE_BYTES_MAX + 1; len++) {
        VD_AUTO(buf) struct vd_buf text = {0};
        VD_AUTO(mem) char *errors = NULL;
        struct vd_ini ini = {0};

        vd_buf_add_text(&text, "[a]\nkey=");
        for (size_t i = 4; i < len; i++) {
            vd_buf_add_char(&text, 'x');
        }
        vd_buf_add_text(&text, "\nnext=1\n");
        errors = parse(&ini, text.data, text.len);
        if (len <= VD_INI_VALUE_BYTES_MAX) {
            assert_string_equal(errors, "");
            assert_int_equal(strlen(value_of(&ini, "a", "key")), len - 4);
        } else {
            assert_string_equal(errors, "2:1 line of 8193 bytes; at most 8192 are read\n");
        }
        assert_string_equal(value_of(&ini, "a", "next"), "1");
        vd_ini_fini(&ini);
    }
}

TEST(continued_values_are_limited)
{
    VD_AUTO(buf) struct vd_buf text = {0};
    VD_AUTO(mem) char *errors = NULL;
    struct vd_ini ini = {0};

    vd_buf_add_text(&text, "[a]\nkey=1\n");
    for (size_t i = 0; i < 9; i++) {
        vd_buf_printf(&text, " %01000d\n", 7);
    }
    errors = parse(&ini, text.data, text.len);
    assert_string_equal(errors, "11:1 key \"key\": a value of more than 8192 bytes\n");
    vd_ini_fini(&ini);
}

TEST(a_file_is_read_or_the_reason_said)
{
    char path[] = "/tmp/votingd-test-ini-XXXXXX";
    struct vd_ini ini = {0};
    struct vd_err err = {0};
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[a]\nb=c\n", 8), 8);
    assert_int_equal(vd_ini_load(&ini, path, &err), VD_OK);
    assert_string_equal(value_of(&ini, "a", "b"), "c");
    assert_string_equal(ini.path, path);
    vd_ini_fini(&ini);
    assert_int_equal(ftruncate(fd, (off_t)VD_INI_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(vd_ini_load(&ini, path, &err), VD_INVALID);
    assert_non_null(strstr(err.msg, "more than 1048576 bytes"));
    vd_ini_fini(&ini);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(vd_ini_load(&ini, "/nowhere/x.ini", &err), VD_INVALID);
    assert_string_equal(err.msg, "could not open \"/nowhere/x.ini\": No such file or directory");
    vd_ini_fini(&ini);
    assert_int_equal(vd_ini_load(&ini, "/tmp", &err), VD_INVALID);
    assert_string_equal(err.msg, "could not read \"/tmp\": Is a directory");
    vd_ini_fini(&ini);
}

TEST(overrides_replace_or_add_one_value)
{
    static const char text[] = "[stage:voting]\nbatch.records = 5\n[topic:a.b]\npartitions = 1\n";
    static const struct {
        const char *assignment, *section, *key, *value;
    } cases[] = {
        {"stage:voting.batch.records=10", "stage:voting", "batch.records", "10"},
        {"stage:voting.dead=a=b", "stage:voting", "dead", "a=b"},
        {"stage:voting.dead=", "stage:voting", "dead", ""},
        {"topic:a.b.partitions=3", "topic:a.b", "partitions", "3"},
        {"topic:a.partitions=3", "topic:a", "partitions", "3"},
        {"kafka.client.compression.type=gzip", "kafka", "client.compression.type", "gzip"},
    };
    static const char *const wrong[] = {"", "=", "a", "a=", "a.b", "a.=1", ".b=1", "a=b.c"};
    struct vd_ini ini = {0};
    VD_AUTO(mem) char *errors = parse(&ini, text, sizeof(text) - 1);

    assert_string_equal(errors, "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_err err = {0};
        const struct vd_ini_entry *entry = NULL;

        assert_int_equal(vd_ini_override(&ini, cases[i].assignment, &err), VD_OK);
        entry = vd_ini_find(&ini, cases[i].section, cases[i].key);
        assert_non_null(entry);
        assert_string_equal(entry->value, cases[i].value);
        assert_string_equal(entry->source, "--set");
        assert_int_equal(entry->line, 0);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        VD_AUTO(mem)
        char *message = vd_format("\"%s\": expected section.key=value", wrong[i]);
        struct vd_err err = {0};

        assert_int_equal(vd_ini_override(&ini, wrong[i], &err), VD_INVALID);
        assert_string_equal(err.msg, message);
    }
    vd_ini_fini(&ini);
}

TEST(variables_are_substituted_inside_one_value)
{
    static const struct {
        const char *value, *out;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"${VD_T_SET}", "a = b\n[c]"},
        {"<${VD_T_SET}>${VD_T_SET}", "<a = b\n[c]>a = b\n[c]"},
        {"${VD_T_UNSET:-}", ""},
        {"${VD_T_UNSET:-host=x dbname=y}", "host=x dbname=y"},
        {"${VD_T_EMPTY}", ""},
        {"${VD_T_EMPTY:-full}", "full"},
        {"${VD_T_UNSET:-a:-b}", "a:-b"},
        {"${VD_T_UNSET:-a$$b}", "a$b"},
        {"$$", "$"},
        {"$${VD_T_SET}", "${VD_T_SET}"},
        {"a}b{c", "a}b{c"},
        {"${VD_T_DOLLAR}", "${VD_T_SET}"}, /* not substituted again */
    };

    assert_int_equal(setenv("VD_T_SET", "a = b\n[c]", 1), 0);
    assert_int_equal(setenv("VD_T_EMPTY", "", 1), 0);
    assert_int_equal(setenv("VD_T_DOLLAR", "${VD_T_SET}", 1), 0);
    assert_int_equal(unsetenv("VD_T_UNSET"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        VD_AUTO(mem) char *out = NULL;
        struct vd_err err = {0};

        assert_int_equal(vd_ini_expand(cases[i].value, &out, &err), VD_OK);
        assert_string_equal(out, cases[i].out);
    }
}

TEST(substitutions_of_the_wrong_form_say_what_to_write)
{
    static const struct {
        const char *value, *message;
    } cases[] = {
        {"${VD_T_UNSET}", "environment variable VD_T_UNSET is not set; set it or write "
                          "${VD_T_UNSET:-default}"},
        {"${VD_T_UNSET", "\"${\" without a closing \"}\""},
        {"${}", "\"${}\" is neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar sign"},
        {"${1A}",
         "\"${1A}\" is neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar sign"},
        {"${A B}",
         "\"${A B}\" is neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar sign"},
        {"${A:b}",
         "\"${A:b}\" is neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar sign"},
        {"${A-b}",
         "\"${A-b}\" is neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar sign"},
        {"${VD_T_UNSET:-${B}}", "a default in ${NAME:-default} has no \"$\"; write \"$$\" for one"},
        {"pa$word", "\"$\" begins neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar "
                    "sign"},
        {"end$", "\"$\" begins neither ${NAME} nor ${NAME:-default}; write \"$$\" for a dollar "
                 "sign"},
        {"${VD_T_LONG}${VD_T_LONG}", "a value of more than 8192 bytes after substitution"},
    };
    char longest[VD_INI_VALUE_BYTES_MAX];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(setenv("VD_T_LONG", longest, 1), 0);
    assert_int_equal(unsetenv("VD_T_UNSET"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *out = NULL;
        struct vd_err err = {0};

        assert_int_equal(vd_ini_expand(cases[i].value, &out, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].message);
        assert_null(out);
    }
}

TEST(substitution_reports_every_fault_at_its_value)
{
    static const char text[] = "[a]\nb = ${VD_T_UNSET}\nc = ok\nd =  $\n";
    VD_AUTO(buf) struct vd_buf errors = {0};
    struct vd_ini ini = {.on_error = on_error, .on_error_arg = &errors};
    struct vd_err err = {0};

    assert_int_equal(unsetenv("VD_T_UNSET"), 0);
    assert_int_equal(vd_ini_parse(&ini, "t.ini", text, sizeof(text) - 1, &err), VD_OK);
    assert_int_equal(vd_ini_substitute(&ini, &err), VD_INVALID);
    assert_string_equal(err.msg, "2 errors");
    assert_string_equal(vd_buf_text(&errors),
                        "2:1 key \"b\": environment variable VD_T_UNSET is not set; set it or "
                        "write ${VD_T_UNSET:-default}\n"
                        "4:1 key \"d\": \"$\" begins neither ${NAME} nor ${NAME:-default}; write "
                        "\"$$\" for a dollar sign\n");
    /* A value from the command line needs the variable of the file no more. */
    assert_int_equal(vd_ini_override(&ini, "a.b=1", &err), VD_OK);
    assert_int_equal(vd_ini_override(&ini, "a.d=2", &err), VD_OK);
    assert_int_equal(vd_ini_substitute(&ini, &err), VD_OK);
    assert_string_equal(value_of(&ini, "a", "b"), "1");
    vd_ini_fini(&ini);
}

RUN_TESTS(cmocka_unit_test(values_have_their_places),
          cmocka_unit_test(faults_of_form_are_all_reported_with_their_place),
          cmocka_unit_test(a_zero_byte_is_an_error_with_its_place),
          cmocka_unit_test(a_deeper_line_continues_the_value_above),
          cmocka_unit_test(a_line_may_have_as_many_bytes_as_a_value),
          cmocka_unit_test(continued_values_are_limited),
          cmocka_unit_test(a_file_is_read_or_the_reason_said),
          cmocka_unit_test(overrides_replace_or_add_one_value),
          cmocka_unit_test(variables_are_substituted_inside_one_value),
          cmocka_unit_test(substitutions_of_the_wrong_form_say_what_to_write),
          cmocka_unit_test(substitution_reports_every_fault_at_its_value))
