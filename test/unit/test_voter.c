/* Voters, dates of birth and candidates: formats and limits. */
#include "test.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "election/candidate.h"
#include "election/date.h"
#include "election/schema.h"
#include "election/voter.h"

static struct el_text text_of(const char *text)
{
    return (struct el_text){.data = text, .len = strlen(text)};
}

static struct el_voter make_voter(void)
{
    static const char *const values[EL_VOTER_TEXTS] = {
        "0e1c",
        "Zo\xc3\xab \"Z\" O'Neil",
        "1980-02-29T01:02:03.004Z",
        "female",
        "GB",
        "LDN-1",
        "1 \\ Lane",
        "London",
        "Greater London",
        "United",
        "SW1 1AA",
        "a@example.org",
        "1",
        "2",
        "https://example.org/1.jpg",
    };
    struct el_voter voter = {.registered_age = 46};

    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        voter.text[i] = text_of(values[i]);
    }
    return voter;
}

TEST(voter_has_the_members_of_the_reference_and_no_other)
{
    static const char *const members[] = {"voter_id",    "voter_name",  "date_of_birth",
                                          "gender",      "nationality", "registration_number",
                                          "address",     "email",       "phone_number",
                                          "cell_number", "picture",     "registered_age"};
    static const char *const parts[] = {"street", "city", "state", "country", "postcode"};
    struct el_voter voter = make_voter();
    struct vd_buf out = {0};
    cJSON *json, *address;

    el_voter_format(&voter, &out);
    json = cJSON_ParseWithLength(out.data, out.len);
    assert_non_null(json);
    assert_int_equal(cJSON_GetArraySize(json), 12);
    for (size_t i = 0; i < 12; i++) {
        const cJSON *member = cJSON_GetArrayItem(json, (int)i);

        assert_string_equal(member->string, members[i]);
        assert_true(i == 6    ? cJSON_IsObject(member)
                    : i == 11 ? cJSON_IsNumber(member)
                              : cJSON_IsString(member));
    }
    address = cJSON_GetObjectItem(json, "address");
    assert_int_equal(cJSON_GetArraySize(address), 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(cJSON_GetArrayItem(address, i)->string, parts[i]);
        assert_true(cJSON_IsString(cJSON_GetArrayItem(address, i)));
    }
    assert_string_equal(cJSON_GetObjectItem(json, "voter_name")->valuestring,
                        "Zo\xc3\xab \"Z\" O'Neil");
    assert_string_equal(cJSON_GetObjectItem(address, "street")->valuestring, "1 \\ Lane");
    assert_int_equal(cJSON_GetObjectItem(json, "registered_age")->valueint, 46);
    cJSON_Delete(json);
    vd_buf_fini(&out);
}

TEST(every_byte_survives_the_fast_path_of_the_string)
{
    for (int c = 1; c < 0x80; c++) {
        for (size_t len = 1; len < 20; len++) {
            struct el_voter voter = make_voter();
            char name[20];
            struct vd_buf out = {0};
            cJSON *json;

            memset(name, 'a', sizeof(name));
            name[len / 2] = (char)c;
            voter.text[EL_VOTER_NAME] = (struct el_text){.data = name, .len = len};
            el_voter_format(&voter, &out);
            json = cJSON_ParseWithLength(out.data, out.len);
            assert_non_null(json);
            assert_memory_equal(cJSON_GetObjectItem(json, "voter_name")->valuestring, name, len);
            cJSON_Delete(json);
            vd_buf_fini(&out);
        }
    }
}

TEST(voter_that_the_table_would_refuse_is_named)
{
    static char wide[2 * 256 + 1], many[257];
    static const struct {
        size_t text;
        const char *value;
        size_t len; /* 0: of the string */
        const char *msg;
    } cases[] = {
        {EL_VOTER_ID, "", 0, "voter_id: must not be empty"},
        {EL_VOTER_NAME, "\xff", 0, "voter_name: not valid UTF-8"},
        {EL_VOTER_CITY, "a\0b", 3, "address_city: must not contain a NUL"},
        {EL_VOTER_EMAIL, many, 256, "email: at most 255 characters, got 256"},
        {EL_VOTER_STREET, wide, 512, "address_street: at most 255 characters, got 256"},
    };

    memset(many, 'x', 256);
    for (size_t i = 0; i < 512; i += 2) {
        memcpy(wide + i, "\xc3\xab", 2);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct el_voter voter = make_voter();
        struct vd_err err = {0};

        voter.text[cases[i].text] =
            (struct el_text){.data = cases[i].value,
                             .len = cases[i].len > 0 ? cases[i].len : strlen(cases[i].value)};
        assert_int_equal(el_voter_check(&voter, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

TEST(text_of_255_wide_characters_is_accepted)
{
    struct el_voter voter = make_voter();
    char wide[2 * 255];
    struct vd_err err = {0};

    for (size_t i = 0; i < sizeof(wide); i += 2) {
        memcpy(wide + i, "\xc3\xab", 2);
    }
    voter.text[EL_VOTER_NAME] = (struct el_text){.data = wide, .len = sizeof(wide)};
    assert_int_equal(el_voter_check(&voter, &err), VD_OK);
}

TEST(age_out_of_range_is_rejected)
{
    struct el_voter voter = make_voter();
    struct vd_err err = {0};

    voter.registered_age = -1;
    assert_int_equal(el_voter_check(&voter, &err), VD_INVALID);
    assert_string_equal(err.msg, "registered_age: must be 0 to 200, got -1");
}

TEST(columns_are_arrays_in_the_order_of_the_table)
{
    struct el_voter voter = make_voter();
    struct el_voter_columns columns = {0};
    struct vd_pg_value values[EL_VOTER_COLUMNS];

    for (int round = 0; round < 2; round++) { /* begin empties what was there */
        el_voter_columns_begin(&columns);
        el_voter_columns_add(&columns, &voter);
        el_voter_columns_add(&columns, &voter);
        el_voter_columns_end(&columns, values);
    }
    assert_non_null(
        memmem(values[EL_VOTER_STATE].data, values[EL_VOTER_STATE].len, "Greater London", 14));
    assert_true(values[0].is_binary);
    /* dimensions, nulls, element type; length, lower bound; two of length and value */
    assert_int_equal(values[EL_VOTER_TEXTS].len, 20 + 2 * 8);
    assert_int_equal(vd_be32(values[EL_VOTER_TEXTS].data + 8), VD_PG_INT4);
    assert_int_equal(vd_be32(values[EL_VOTER_TEXTS].data + 12), 2);
    assert_int_equal(vd_be32(values[EL_VOTER_TEXTS].data + 24), 46);
    el_voter_columns_fini(&columns);
}

TEST(date_is_read_with_and_without_a_time)
{
    static const char *const good[] = {"1980-02-29", "1980-02-29T23:59:59.999Z",
                                       "1980-02-29 00:00"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct el_date date = {0};
        struct vd_err err = {0};

        assert_int_equal(el_date_parse(good[i], strlen(good[i]), &date, &err), VD_OK);
        assert_int_equal(date.year, 1980);
        assert_int_equal(date.month, 2);
        assert_int_equal(date.day, 29);
    }
}

TEST(text_that_is_no_date_is_rejected)
{
    static const struct {
        const char *text, *msg;
    } cases[] = {
        {"", "\"\" is no date of the form YYYY-MM-DD"},
        {"29.02.1980", "\"29.02.1980\" is no date of the form YYYY-MM-DD"},
        {"1980-02-29x", "\"1980-02-29x\" is no date of the form YYYY-MM-DD"},
        {"1981-02-29", "\"1981-02-29\" is no day of the years 1800 to 2200"},
        {"1980-13-01", "\"1980-13-01\" is no day of the years 1800 to 2200"},
        {"1980-00-01", "\"1980-00-01\" is no day of the years 1800 to 2200"},
        {"1980-01-00", "\"1980-01-00\" is no day of the years 1800 to 2200"},
        {"1700-01-01", "\"1700-01-01\" is no day of the years 1800 to 2200"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct el_date date = {0};
        struct vd_err err = {0};

        assert_int_equal(el_date_parse(cases[i].text, strlen(cases[i].text), &date, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

TEST(days_and_dates_are_inverse_over_four_centuries)
{
    struct el_date first = {.year = 1800, .month = 1, .day = 1};
    struct el_date epoch = {.year = 1970, .month = 1, .day = 1};
    struct el_date last = {.year = 2200, .month = 12, .day = 31};

    assert_int_equal(el_date_days(&epoch), 0);
    for (int64_t day = el_date_days(&first); day <= el_date_days(&last); day++) {
        struct el_date date = el_date_of_days(day);

        assert_int_equal(el_date_days(&date), day);
    }
}

TEST(age_changes_on_the_birthday)
{
    static const struct {
        struct el_date birth, day;
        int age;
    } cases[] = {
        {{2008, 11, 3}, {2026, 11, 3}, 18}, {{2008, 11, 4}, {2026, 11, 3}, 17},
        {{2008, 2, 29}, {2026, 2, 28}, 17}, {{2008, 2, 29}, {2026, 3, 1}, 18},
        {{2008, 12, 31}, {2026, 1, 1}, 17}, {{2026, 11, 3}, {2026, 11, 3}, 0},
        {{2027, 1, 1}, {2026, 11, 3}, -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(el_date_age(&cases[i].birth, &cases[i].day), cases[i].age);
    }
}

TEST(candidate_is_read_as_it_was_written)
{
    static const char text[] =
        "{\"candidate_id\":\"c1\",\"candidate_name\":\"=1+1,\\\"x\\\"\",\"party_affiliation\":"
        "\"P\","
        "\"biography\":\"\",\"campaign_platform\":\"<b>\",\"photo_url\":\"u\"}";
    struct el_candidate candidate = {0};
    struct vd_buf out = {0};
    struct vd_err err = {0};

    assert_int_equal(el_candidate_parse(text, strlen(text), &candidate, &err), VD_OK);
    assert_string_equal(candidate.name, "=1+1,\"x\"");
    el_candidate_format(&candidate, &out);
    assert_string_equal(vd_buf_text(&out), text);
    el_candidate_fini(&candidate);
    vd_buf_fini(&out);
}

TEST(candidate_without_optional_texts_has_empty_ones)
{
    static const char text[] = "{\"candidate_id\":\"c1\",\"biography\":null}";
    struct el_candidate candidate = {0};
    struct vd_err err = {0};

    assert_int_equal(el_candidate_parse(text, strlen(text), &candidate, &err), VD_OK);
    assert_string_equal(candidate.biography, "");
    assert_string_equal(candidate.photo_url, "");
    el_candidate_fini(&candidate);
}

TEST(broken_candidate_is_named)
{
    static const struct {
        const char *text, *msg;
    } cases[] = {
        {"", "candidate: not a JSON object"},
        {"[]", "candidate: not a JSON object"},
        {"\xff", "candidate: not valid UTF-8"},
        {"{}", "candidate: member \"candidate_id\": expected a string"},
        {"{\"candidate_id\":7}", "candidate: member \"candidate_id\": expected a string"},
        {"{\"candidate_id\":\"\"}", "candidate: member \"candidate_id\": must not be empty"},
        {"{\"candidate_id\":\"a\",\"photo_url\":[]}",
         "candidate: member \"photo_url\": expected a string"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct el_candidate candidate = {0};
        struct vd_err err = {0};

        assert_int_equal(el_candidate_parse(cases[i].text, strlen(cases[i].text), &candidate, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
        assert_null(candidate.id);
    }
}

TEST(schema_begins_with_the_lock)
{
    assert_true(el_schema_count > 4);
    assert_ptr_equal(el_schema[0].sql, el_schema_lock_sql);
}

RUN_TESTS(cmocka_unit_test(voter_has_the_members_of_the_reference_and_no_other),
          cmocka_unit_test(every_byte_survives_the_fast_path_of_the_string),
          cmocka_unit_test(voter_that_the_table_would_refuse_is_named),
          cmocka_unit_test(text_of_255_wide_characters_is_accepted),
          cmocka_unit_test(age_out_of_range_is_rejected),
          cmocka_unit_test(columns_are_arrays_in_the_order_of_the_table),
          cmocka_unit_test(date_is_read_with_and_without_a_time),
          cmocka_unit_test(text_that_is_no_date_is_rejected),
          cmocka_unit_test(days_and_dates_are_inverse_over_four_centuries),
          cmocka_unit_test(age_changes_on_the_birthday),
          cmocka_unit_test(candidate_is_read_as_it_was_written),
          cmocka_unit_test(candidate_without_optional_texts_has_empty_ones),
          cmocka_unit_test(broken_candidate_is_named),
          cmocka_unit_test(schema_begins_with_the_lock))
