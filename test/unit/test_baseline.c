/* The baseline: what is read, what is refused and with which words, how it is told. */
#include "dashboard/baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"

static char path[64];

static void write_file(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int make_file(void **state)
{
    int file = -1;

    (void)snprintf(path, sizeof(path), "/tmp/votingd-baseline-XXXXXX"); /* fits */
    file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    return 0;
}

static int remove_file(void **state)
{
    return unlink(path);
}

TEST(votes_are_told_by_state_and_column)
{
    static const char text[] = "state,Savior Party,\"x\"\nOhio,5,0\nDistrict,0,1000000000000\n";
    VD_AUTO(buf) struct vd_buf out = {0};
    struct el_scenario *votes = NULL;
    struct vd_err err = {0};

    write_file(text, sizeof(text) - 1);
    if (baseline_read(path, &votes, &err) != VD_OK) {
        fail_msg("%s", err.msg);
    }
    baseline_write(&out, votes, "20\"22");
    assert_string_equal(vd_buf_text(&out),
                        "{\"label\":\"20\\\"22\",\"columns\":[\"Savior Party\",\"\\\"x\\\"\"],"
                        "\"rows\":[[\"Ohio\",5,0],[\"District\",0,1000000000000]]}");
    el_scenario_free(votes);
}

TEST(a_check_keeps_nothing)
{
    static const char text[] = "state,a\nOhio,1\n";

    write_file(text, sizeof(text) - 1);
    assert_int_equal(baseline_read(path, NULL, NULL), VD_OK);
}

TEST(a_fault_names_file_line_and_column)
{
    static const char text[] = "state,a,b\nOhio,1,2\nUtah,1,two\n";
    VD_AUTO(mem)
    char *words = vd_format("option \"baseline\": \"%s\": line 3: \"b\": must be 0 to "
                            "1000000000000, got \"two\"",
                            path);
    struct el_scenario *votes = NULL;
    struct vd_err err = {0};

    write_file(text, sizeof(text) - 1);
    assert_int_equal(baseline_read(path, &votes, &err), VD_INVALID);
    assert_string_equal(err.msg, words);
    assert_null(votes);
}

TEST(a_file_that_is_too_long_or_is_not_there_is_refused)
{
    VD_AUTO(mem) char *text = vd_alloc(BASELINE_BYTES_MAX + 1);
    VD_AUTO(mem)
    char *words = vd_format("option \"baseline\": \"%s\" has more than 65536 bytes", path);
    struct vd_err err = {0};

    write_file(text, BASELINE_BYTES_MAX + 1);
    assert_int_equal(baseline_read(path, NULL, &err), VD_INVALID);
    assert_string_equal(err.msg, words);
    assert_int_equal(baseline_read("/nowhere", NULL, &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "option \"baseline\": could not open \"/nowhere\": No such file or "
                        "directory");
    assert_int_equal(baseline_read("/tmp", NULL, &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "option \"baseline\": could not open \"/tmp\": it is no regular file");
}

#define WITH_FILE(name) cmocka_unit_test_setup_teardown(name, make_file, remove_file)

RUN_TESTS(WITH_FILE(votes_are_told_by_state_and_column), WITH_FILE(a_check_keeps_nothing),
          WITH_FILE(a_fault_names_file_line_and_column),
          WITH_FILE(a_file_that_is_too_long_or_is_not_there_is_refused))
