#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "alloc.h"

#include "test.h"

#define THREADS 8
#define LINES_EACH 500

static char captured[4 * 1024 * 1024];

/* Standard error goes to a file from here to end_capture. */
static int begin_capture(int *saved)
{
    char path[] = "/tmp/votingd-test-log-XXXXXX";
    int file = mkstemp(path);

    assert_true(file >= 0);
    unlink(path);
    *saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    return file;
}

static const char *end_capture(int file, int saved)
{
    ssize_t len;

    dup2(saved, STDERR_FILENO);
    close(saved);
    len = pread(file, captured, sizeof(captured) - 1, 0);
    assert_true(len >= 0);
    captured[len] = '\0';
    close(file);
    return captured;
}

TEST(a_text_line_has_time_level_name_and_message)
{
    struct vd_log *log = vd_log_new("stage.voting");
    int saved, file;
    const char *line;

    vd_log_setup(VD_LOG_INFO, VD_LOG_TEXT);
    file = begin_capture(&saved);
    errno = ENOENT;
    vd_warn(log, "dropped %d late votes", 3);
    assert_int_equal(errno, ENOENT);
    line = end_capture(file, saved);
    assert_int_equal(strlen(line), strlen("2024-01-02T03:04:05.678Z warn  stage.voting: "
                                          "dropped 3 late votes\n"));
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + 24, " warn  stage.voting: dropped 3 late votes\n");
    vd_log_free(log);
}

TEST(a_json_line_is_one_object)
{
    struct vd_log *log = vd_log_new("a \"name\"");
    int saved, file;
    cJSON *line;

    vd_log_setup(VD_LOG_INFO, VD_LOG_JSON);
    file = begin_capture(&saved);
    vd_error(log, "two\nlines, \"quoted\", \x01 and \xff");
    line = cJSON_Parse(end_capture(file, saved));
    assert_non_null(line);
    assert_int_equal(cJSON_GetArraySize(line), 4);
    assert_int_equal(strlen(cJSON_GetObjectItem(line, "time")->valuestring), 24);
    assert_string_equal(cJSON_GetObjectItem(line, "level")->valuestring, "error");
    assert_string_equal(cJSON_GetObjectItem(line, "name")->valuestring, "a \"name\"");
    assert_string_equal(cJSON_GetObjectItem(line, "msg")->valuestring,
                        "two\nlines, \"quoted\", \x01 and \xef\xbf\xbd");
    cJSON_Delete(line);
    vd_log_free(log);
}

TEST(control_characters_cannot_forge_lines_or_steer_a_terminal)
{
    int saved, file;
    const char *line;

    vd_log_setup(VD_LOG_INFO, VD_LOG_TEXT);
    file = begin_capture(&saved);
    vd_info(NULL, "a\nb\tc\rd\x1b[2J\x7f\xc2\x9b \xc3\xa9");
    line = end_capture(file, saved);
    assert_string_equal(line + 24,
                        " info  votingd: a\\nb\\tc\\x0dd\\x1b[2J\\x7f\\xc2\\x9b \xc3\xa9\n");
}

TEST(lines_above_the_level_are_not_written)
{
    int saved, file;

    vd_log_setup(VD_LOG_WARN, VD_LOG_TEXT);
    assert_true(vd_log_is_enabled(VD_LOG_ERROR));
    assert_true(vd_log_is_enabled(VD_LOG_WARN));
    assert_false(vd_log_is_enabled(VD_LOG_INFO));
    file = begin_capture(&saved);
    vd_info(NULL, "unseen");
    vd_debug(NULL, "unseen");
    assert_string_equal(end_capture(file, saved), "");
    vd_log_setup(VD_LOG_DEBUG, VD_LOG_TEXT);
    file = begin_capture(&saved);
    vd_debug(NULL, "seen");
    assert_non_null(strstr(end_capture(file, saved), " debug votingd: seen\n"));
}

TEST(who_did_what_is_written_at_any_level)
{
    int saved, file;

    vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT);
    file = begin_capture(&saved);
    vd_log_write(NULL, VD_LOG_AUDIT, "ada: drain");
    vd_warn(NULL, "unseen");
    assert_string_equal(end_capture(file, saved) + 24, " audit votingd: ada: drain\n");
}

TEST(a_long_message_is_cut_between_characters)
{
    static char text[9000];
    int saved, file;
    const char *line;
    size_t len;

    vd_log_setup(VD_LOG_INFO, VD_LOG_TEXT);
    for (size_t i = 0; i + 2 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    file = begin_capture(&saved);
    vd_info(NULL, "x%s", text);
    line = end_capture(file, saved);
    len = strlen(line);
    assert_in_range(len, 4000, 4200);
    assert_string_equal(line + len - 6, "\xc3\xa9...\n");
}

static void *write_lines(void *arg)
{
    const struct vd_log *log = arg;

    for (int i = 0; i < LINES_EACH; i++) {
        vd_info(log, "line %d of a writer that is not alone", i);
    }
    return NULL;
}

TEST(lines_of_several_threads_never_mix)
{
    struct vd_log *log = vd_log_new("threads");
    pthread_t threads[THREADS];
    int saved, file, lines = 0;
    char *rest = NULL;

    vd_log_setup(VD_LOG_INFO, VD_LOG_TEXT);
    file = begin_capture(&saved);
    /* Appending, so that the writers share one position as they would in a pipe. */
    assert_int_equal(fcntl(file, F_SETFL, O_APPEND), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    (void)end_capture(file, saved);
    for (char *line = strtok_r(captured, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        assert_memory_equal(line + 24, " info  threads: line ", 21);
        assert_string_equal(line + strlen(line) - 30, " of a writer that is not alone");
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES_EACH);
    vd_log_free(log);
}

TEST(free_accepts_null)
{
    vd_log_free(NULL);
}

RUN_TESTS(cmocka_unit_test(a_text_line_has_time_level_name_and_message),
          cmocka_unit_test(a_json_line_is_one_object),
          cmocka_unit_test(control_characters_cannot_forge_lines_or_steer_a_terminal),
          cmocka_unit_test(lines_above_the_level_are_not_written),
          cmocka_unit_test(who_did_what_is_written_at_any_level),
          cmocka_unit_test(a_long_message_is_cut_between_characters),
          cmocka_unit_test(lines_of_several_threads_never_mix), cmocka_unit_test(free_accepts_null))
