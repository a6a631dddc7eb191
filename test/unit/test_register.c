/* Registers: records of a file, CSV fields, and the mapping of columns. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "generator/csv.h"
#include "generator/mapping.h"
#include "generator/reader.h"

#define RECORDS_MAX 8192

static const char path[] = "test_register.tmp";

static void write_file(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

struct seen {
    char *text;
    size_t len;
    int64_t line, byte, after; /* after: lines read behind it */
    const char *fault;
};

/* All records from 'byte' on. */
static size_t read_from(char separator, int64_t byte, int64_t line, struct seen *seen)
{
    struct gen_reader reader = {.fd = -1};
    struct gen_record record;
    struct vd_err err = {0};
    size_t count = 0;

    assert_int_equal(gen_reader_open(&reader, path, separator, &err), VD_OK);
    gen_reader_seek(&reader, byte, line);
    for (;;) {
        assert_int_equal(gen_reader_next(&reader, &record, &err), VD_OK);
        if (record.is_end) {
            break;
        }
        assert_true(count < RECORDS_MAX);
        seen[count++] = (struct seen){.text = vd_strndup(record.text.data, record.text.len),
                                      .len = record.text.len,
                                      .line = record.line,
                                      .byte = gen_reader_byte(&reader),
                                      .after = reader.line,
                                      .fault = record.fault};
    }
    gen_reader_close(&reader);
    return count;
}

static void free_seen(struct seen *seen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(seen[i].text);
    }
}

TEST(lines_are_records_and_empty_ones_are_not)
{
    static const char bytes[] = "\xef\xbb\xbf"
                                "one\r\n\n\r\ntwo\nthree";
    struct seen seen[8];

    write_file(bytes, sizeof(bytes) - 1);
    assert_int_equal(read_from(0, 0, 0, seen), 3);
    assert_string_equal(seen[0].text, "one");
    assert_int_equal(seen[0].line, 1);
    assert_string_equal(seen[1].text, "two");
    assert_int_equal(seen[1].line, 4);
    assert_string_equal(seen[2].text, "three");
    assert_int_equal(seen[2].line, 5);
    free_seen(seen, 3);
}

TEST(csv_record_may_span_lines)
{
    static const char bytes[] = "a,\"x\ny\",b\r\nc,\"say \"\"hi\"\"\n\",d\nlast\n";
    struct seen seen[8];

    write_file(bytes, sizeof(bytes) - 1);
    assert_int_equal(read_from(',', 0, 0, seen), 3);
    assert_string_equal(seen[0].text, "a,\"x\ny\",b");
    assert_string_equal(seen[1].text, "c,\"say \"\"hi\"\"\n\",d");
    assert_int_equal(seen[1].line, 3);
    assert_int_equal(seen[2].line, 5);
    free_seen(seen, 3);
}

TEST(open_quote_costs_its_own_line_only)
{
    static const char bytes[] = "a,\"never closed\nb,c\nd,e\n";
    struct seen seen[8];

    write_file(bytes, sizeof(bytes) - 1);
    assert_int_equal(read_from(',', 0, 0, seen), 3);
    assert_string_equal(seen[0].fault, "a quote is not closed");
    assert_string_equal(seen[0].text, "a,\"never closed");
    assert_int_equal(seen[0].line, 1);
    assert_string_equal(seen[1].text, "b,c");
    assert_null(seen[1].fault);
    assert_int_equal(seen[1].line, 2);
    free_seen(seen, 3);
}

TEST(quote_inside_a_field_opens_nothing)
{
    static const char bytes[] = "5\" pipe,a\"\"b\nnext,\"q\"x\"\nlast\n";
    struct seen seen[8];

    write_file(bytes, sizeof(bytes) - 1);
    assert_int_equal(read_from(',', 0, 0, seen), 3);
    assert_string_equal(seen[0].text, "5\" pipe,a\"\"b");
    assert_string_equal(seen[2].text, "last");
    free_seen(seen, 3);
}

TEST(overlong_line_is_one_bad_record)
{
    size_t len = 3 * GEN_RECORD_BYTES_MAX + 100;
    char *bytes = vd_alloc(len + 10);
    struct seen seen[8];

    memset(bytes, 'x', len);
    memcpy(bytes + len, "\nshort\n", 7);
    write_file(bytes, len + 7);
    assert_int_equal(read_from(0, 0, 0, seen), 2);
    assert_string_equal(seen[0].fault, "longer than 65536 bytes");
    assert_int_equal(seen[0].line, 1);
    assert_int_equal(seen[0].byte, len + 1);
    assert_string_equal(seen[1].text, "short");
    assert_int_equal(seen[1].line, 2);
    free_seen(seen, 2);
    free(bytes);
}

/* A file of every kind of record, longer than two chunks. */
static size_t write_mixed(void)
{
    struct vd_buf bytes = {0};
    static char filler[GEN_RECORD_BYTES_MAX + 10];
    size_t len;

    memset(filler, 'f', sizeof(filler));
    for (int i = 0; i < 1500; i++) {
        vd_buf_printf(&bytes, "%d,\"multi\nline %d\",x\r\n", i, i);
        vd_buf_printf(&bytes, "%d,plain,%.*s\n", i, i % 700, filler);
        if (i % 400 == 0) {
            vd_buf_add(&bytes, filler, sizeof(filler));
            vd_buf_add_text(&bytes, "\n\n\"open\n");
        }
    }
    len = bytes.len;
    write_file(bytes.data, bytes.len);
    vd_buf_fini(&bytes);
    return len;
}

TEST(reading_on_from_any_record_gives_the_same_ones)
{
    struct seen *all = vd_alloc_array(RECORDS_MAX, sizeof(*all));
    struct seen *rest = vd_alloc_array(RECORDS_MAX, sizeof(*rest));
    size_t len = write_mixed();

    for (int mode = 0; mode < 2; mode++) {
        char separator = mode == 0 ? ',' : '\0';
        size_t count = read_from(separator, 0, 0, all);

        assert_true(count > 3000);
        assert_true(len > 600000);
        for (size_t at = 0; at < count; at += at < 10 ? 1 : 97) {
            size_t got = read_from(separator, all[at].byte, all[at].after, rest);

            assert_int_equal(got, count - at - 1);
            for (size_t i = 0; i < got; i++) {
                assert_string_equal(rest[i].text, all[at + 1 + i].text);
                assert_int_equal(rest[i].line, all[at + 1 + i].line);
                assert_int_equal(rest[i].byte, all[at + 1 + i].byte);
            }
            free_seen(rest, got);
        }
        free_seen(all, count);
    }
    free(all);
    free(rest);
}

static uint64_t hash_file(int64_t bytes)
{
    struct gen_reader reader = {.fd = -1};
    struct vd_err err = {0};
    enum vd_status status;
    uint64_t hash;

    assert_int_equal(gen_reader_open(&reader, path, 0, &err), VD_OK);
    do {
        status = gen_reader_hash(&reader, bytes, &err);
    } while (status == VD_AGAIN);
    assert_int_equal(status, VD_OK);
    hash = reader.hash;
    gen_reader_close(&reader);
    return hash;
}

TEST(hash_depends_on_the_bytes_and_not_on_the_steps)
{
    size_t len = 5 * 1024 * 1024 / 2;
    char *bytes = vd_alloc(len);
    uint64_t hash;

    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 7 + i / 1000);
    }
    write_file(bytes, len);
    hash = hash_file(1);
    assert_true(hash == hash_file(1024 * 1024));
    assert_true(hash == hash_file(64 * 1024 * 1024));
    bytes[len / 2] ^= 1;
    write_file(bytes, len);
    assert_true(hash != hash_file(1024 * 1024));
    write_file(bytes, 0);
    (void)hash_file(1);
    free(bytes);
}

TEST(file_that_cannot_be_read_is_named)
{
    struct gen_reader reader = {.fd = -1};
    struct vd_err err = {0};

    assert_int_equal(gen_reader_open(&reader, "no/such/file", 0, &err), VD_INVALID);
    assert_string_equal(err.msg, "could not open \"no/such/file\": No such file or directory");
    assert_int_equal(gen_reader_open(&reader, ".", 0, &err), VD_INVALID);
    assert_string_equal(err.msg, "could not open \".\": not a regular file");
}

TEST(file_that_became_shorter_is_an_error)
{
    struct gen_reader reader = {.fd = -1};
    struct gen_record record;
    struct vd_err err = {0};

    write_file("one\ntwo\n", 8);
    assert_int_equal(gen_reader_open(&reader, path, 0, &err), VD_OK);
    assert_int_equal(truncate(path, 2), 0);
    assert_int_equal(gen_reader_next(&reader, &record, &err), VD_FAILED);
    assert_string_equal(err.msg, "could not read the file at byte 2: it is shorter than it was");
    gen_reader_close(&reader);
}

/* ---- fields -------------------------------------------------------------------------------- */

static struct el_text text_of(const char *text)
{
    return (struct el_text){.data = text, .len = strlen(text)};
}

/* The fields joined with |. */
static void check_split(const char *record, const char *fields)
{
    struct gen_csv *csv = vd_alloc(sizeof(*csv));
    struct el_text text = text_of(record);
    struct vd_buf joined = {0};
    struct vd_err err = {0};

    assert_int_equal(gen_csv_split(csv, &text, ',', &err), VD_OK);
    for (size_t i = 0; i < csv->count; i++) {
        vd_buf_add_text(&joined, i > 0 ? "|" : "");
        vd_buf_add(&joined, csv->field[i].data, csv->field[i].len);
    }
    assert_string_equal(vd_buf_text(&joined), fields);
    vd_buf_fini(&joined);
    vd_buf_fini(&csv->unquoted);
    free(csv);
}

TEST(fields_are_split_as_rfc_4180_says)
{
    check_split("a,b,c", "a|b|c");
    check_split("a,,c,", "a||c|");
    check_split("\"a,b\",\"c\nd\"", "a,b|c\nd");
    check_split("\"say \"\"hi\"\"\",x", "say \"hi\"|x");
    check_split("\"\",\"\"\"\"", "|\"");
    check_split(" a , b", " a | b");
}

TEST(broken_fields_are_named)
{
    static const struct {
        const char *record, *msg;
    } cases[] = {
        {"\"a", "a quote is not closed"},
        {"\"a\"b,c", "text behind the closing quote of field 1"},
        {"a,b\"c", "a quote inside a field that has none around it"},
    };
    struct gen_csv *csv = vd_alloc(sizeof(*csv));
    char many[2 * GEN_CSV_FIELDS_MAX + 1];
    struct el_text text = {.data = many, .len = GEN_CSV_FIELDS_MAX};
    struct vd_err err = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct el_text record = text_of(cases[i].record);

        assert_int_equal(gen_csv_split(csv, &record, ',', &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
    }
    memset(many, ',', sizeof(many));
    assert_int_equal(gen_csv_split(csv, &text, ',', &err), VD_INVALID);
    assert_string_equal(err.msg, "more than 256 fields");
    vd_buf_fini(&csv->unquoted);
    free(csv);
}

/* ---- members ------------------------------------------------------------------------------- */

TEST(mapping_names_columns_and_leaves_the_others)
{
    struct gen_mapping mapping = {{0}};
    struct vd_err err = {0};

    assert_int_equal(
        gen_mapping_parse(" voter_id : Elector ID , registered_age:Age,", &mapping, &err), VD_OK);
    assert_string_equal(mapping.column[EL_VOTER_ID], "Elector ID");
    assert_true(mapping.is_chosen[EL_VOTER_ID]);
    assert_string_equal(mapping.column[GEN_MEMBER_AGE], "Age");
    assert_string_equal(mapping.column[EL_VOTER_STATE], "address_state");
    assert_false(mapping.is_chosen[EL_VOTER_STATE]);
    gen_mapping_fini(&mapping);
}

TEST(broken_mapping_is_named)
{
    static const struct {
        const char *text, *msg;
    } cases[] = {
        {"voter_id", "option \"columns\": \"voter_id\" is not MEMBER:COLUMN"},
        {"voter_nam:x",
         "option \"columns\": a voter has no \"voter_nam\", did you mean \"voter_name\"?"},
        {"email:a,email:b", "option \"columns\": \"email\" stands there twice"},
        {"email: ", "option \"columns\": \"email\" has no column"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gen_mapping mapping = {{0}};
        struct vd_err err = {0};

        assert_int_equal(gen_mapping_parse(cases[i].text, &mapping, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
        gen_mapping_fini(&mapping);
    }
}

static enum vd_status complete(const char *birth, const char *age, const char *gender,
                               struct el_voter *voter, struct gen_completion *completion,
                               struct vd_err *err)
{
    const struct el_date day = {.year = 2026, .month = 11, .day = 3};
    struct el_text values[GEN_MEMBERS] = {{0}};

    values[EL_VOTER_ID] = text_of("id");
    values[EL_VOTER_BIRTH] = text_of(birth);
    values[GEN_MEMBER_AGE] = text_of(age);
    values[EL_VOTER_GENDER] = text_of(gender);
    return gen_voter_complete(values, &day, completion, voter, err);
}

TEST(voter_is_completed_from_what_a_register_has)
{
    static const struct {
        const char *birth, *age, *gender, *birth_then, *gender_then;
        int age_then;
    } cases[] = {
        {"1980-05-06", "", "F", "1980-05-06T00:00:00.000Z", "female", 46},
        {"1980-12-06T01:02:03.456Z", "7", "Male", "1980-12-06T01:02:03.456Z", "male", 45},
        {"", "33", "x", "", "x", 33},
        {"2009-01-01", "", "", "2009-01-01T00:00:00.000Z", "", 17},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gen_completion completion;
        struct el_voter voter;
        struct vd_err err = {0};

        assert_int_equal(
            complete(cases[i].birth, cases[i].age, cases[i].gender, &voter, &completion, &err),
            VD_OK);
        assert_int_equal(voter.registered_age, cases[i].age_then);
        assert_int_equal(voter.text[EL_VOTER_BIRTH].len, strlen(cases[i].birth_then));
        assert_memory_equal(voter.text[EL_VOTER_BIRTH].data, cases[i].birth_then,
                            strlen(cases[i].birth_then));
        assert_memory_equal(voter.text[EL_VOTER_GENDER].data, cases[i].gender_then,
                            strlen(cases[i].gender_then) + 0);
    }
}

TEST(voter_that_cannot_be_is_named)
{
    static const struct {
        const char *birth, *age, *msg;
    } cases[] = {
        {"", "", "neither date_of_birth nor registered_age"},
        {"", "4x", "registered_age: \"4x\" is no whole number of years"},
        {"", "1000", "registered_age: \"1000\" is no whole number of years"},
        {"", "201", "registered_age: must be 0 to 200, got 201"},
        {"06/05/1980", "46", "date_of_birth: \"06/05/1980\" is no date of the form YYYY-MM-DD"},
        {"2026-11-04", "", "date_of_birth: 2026-11-04 is after the election"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gen_completion completion;
        struct el_voter voter;
        struct vd_err err = {0};

        assert_int_equal(complete(cases[i].birth, cases[i].age, "", &voter, &completion, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_records_and_empty_ones_are_not),
        cmocka_unit_test(csv_record_may_span_lines),
        cmocka_unit_test(open_quote_costs_its_own_line_only),
        cmocka_unit_test(quote_inside_a_field_opens_nothing),
        cmocka_unit_test(overlong_line_is_one_bad_record),
        cmocka_unit_test(reading_on_from_any_record_gives_the_same_ones),
        cmocka_unit_test(hash_depends_on_the_bytes_and_not_on_the_steps),
        cmocka_unit_test(file_that_cannot_be_read_is_named),
        cmocka_unit_test(file_that_became_shorter_is_an_error),
        cmocka_unit_test(fields_are_split_as_rfc_4180_says),
        cmocka_unit_test(broken_fields_are_named),
        cmocka_unit_test(mapping_names_columns_and_leaves_the_others),
        cmocka_unit_test(broken_mapping_is_named),
        cmocka_unit_test(voter_is_completed_from_what_a_register_has),
        cmocka_unit_test(voter_that_cannot_be_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, remove_file);
}
