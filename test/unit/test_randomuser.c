/* Answers of the randomuser API, with every type trap in them. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "generator/randomuser.h"

/* One result; the four %s are street, state, postcode and date of birth. */
static const char user_format[] =
    "{\"gender\":\"female\",\"name\":{\"title\":\"Ms\",\"first\":\"Zo\\u00eb\",\"last\":\"O'Neil "
    "\\\"Z\\\"\"},\"location\":{\"street\":%s,\"city\":\"Bath\",\"state\":%s,\"country\":\"United "
    "Kingdom\",\"postcode\":%s,\"coordinates\":{\"latitude\":\"-1.5\",\"longitude\":\"2\"},"
    "\"timezone\":{\"offset\":\"+1:00\",\"description\":\"x, [y] "
    "{z}\"}},\"email\":\"z@example.com\","
    "\"login\":{\"uuid\":\"155e77ee-ba6d-486f-95ce-0e0c0fb4b919\",\"username\":\"crazydog1\"},"
    "\"dob\":{\"date\":%s,\"age\":99},\"registered\":{\"date\":\"2015-01-01T00:00:00.000Z\","
    "\"age\":9},\"phone\":\"01632 960001\",\"cell\":\"07700 900001\",\"id\":{\"name\":\"\","
    "\"value\":null},\"picture\":{\"large\":\"https://example.org/1.jpg\"},\"nat\":\"GB\"}";

static char *make_user(const char *street, const char *state, const char *postcode,
                       const char *birth)
{
    return vd_format(user_format, street, state, postcode, birth);
}

#define STREET "{\"number\":5329,\"name\":\"High Street\"}"
#define BIRTH "\"1965-03-12T01:02:03.456Z\""

static enum vd_status parse(const char *text, struct gen_user *user, struct vd_err *err)
{
    const struct el_date day = {.year = 2026, .month = 11, .day = 3};
    struct el_text slice = {.data = text, .len = strlen(text)};

    return gen_user_parse(&slice, &day, user, err);
}

static void check_text(const struct el_voter *voter, enum el_voter_text text, const char *expected)
{
    char got[300];

    (void)snprintf(got, sizeof(got), "%.*s", (int)voter->text[text].len, voter->text[text].data);
    assert_string_equal(got, expected);
}

TEST(user_becomes_a_voter)
{
    VD_AUTO(mem) char *text = make_user(STREET, "\"Avon\"", "\"BA1 1AA\"", BIRTH);
    struct gen_user user = {0};
    struct vd_err err = {0};

    assert_int_equal(parse(text, &user, &err), VD_OK);
    check_text(&user.voter, EL_VOTER_ID, "155e77ee-ba6d-486f-95ce-0e0c0fb4b919");
    check_text(&user.voter, EL_VOTER_NAME, "Zo\xc3\xab O'Neil \"Z\"");
    check_text(&user.voter, EL_VOTER_BIRTH, "1965-03-12T01:02:03.456Z");
    check_text(&user.voter, EL_VOTER_GENDER, "female");
    check_text(&user.voter, EL_VOTER_NATIONALITY, "GB");
    check_text(&user.voter, EL_VOTER_REGISTRATION, "crazydog1");
    check_text(&user.voter, EL_VOTER_STREET, "5329 High Street");
    check_text(&user.voter, EL_VOTER_CITY, "Bath");
    check_text(&user.voter, EL_VOTER_STATE, "Avon");
    check_text(&user.voter, EL_VOTER_COUNTRY, "United Kingdom");
    check_text(&user.voter, EL_VOTER_POSTCODE, "BA1 1AA");
    check_text(&user.voter, EL_VOTER_PICTURE, "https://example.org/1.jpg");
    assert_int_equal(user.voter.registered_age, 61); /* not 99, and not 9 */
    gen_user_fini(&user);
}

TEST(types_that_differ_by_country_are_accepted)
{
    static const struct {
        const char *street, *postcode, *birth, *street_then, *postcode_then, *birth_then;
    } cases[] = {
        {STREET, "94110", BIRTH, "5329 High Street", "94110", "1965-03-12T01:02:03.456Z"},
        {STREET, "\"01234\"", BIRTH, "5329 High Street", "01234", "1965-03-12T01:02:03.456Z"},
        {"\"7 old road\"", "\"K1A 0B1\"", BIRTH, "7 old road", "K1A 0B1",
         "1965-03-12T01:02:03.456Z"},
        {"{\"number\":\"7b\",\"name\":\"Rue \\u00c9mile\"}", "1", "\"1970-01-01\"",
         "7b Rue \xc3\x89mile", "1", "1970-01-01T00:00:00.000Z"},
        {"{\"name\":\"\\u6771\\u4eac \\ud83d\\ude00\",\"number\":1}", "1", BIRTH,
         "1 \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x98\x80", "1", "1965-03-12T01:02:03.456Z"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem)
        char *text = make_user(cases[i].street, "\"X\"", cases[i].postcode, cases[i].birth);
        struct gen_user user = {0};
        struct vd_err err = {0};

        assert_int_equal(parse(text, &user, &err), VD_OK);
        check_text(&user.voter, EL_VOTER_STREET, cases[i].street_then);
        check_text(&user.voter, EL_VOTER_POSTCODE, cases[i].postcode_then);
        check_text(&user.voter, EL_VOTER_BIRTH, cases[i].birth_then);
        gen_user_fini(&user);
    }
}

TEST(user_that_is_no_voter_is_named)
{
    static const struct {
        const char *street, *state, *postcode, *birth, *msg;
    } cases[] = {
        {"null", "\"X\"", "1", BIRTH, "location.street.number: expected a string"},
        {STREET, "null", "1", BIRTH, "location.state: expected a string"},
        {STREET, "{}", "1", BIRTH, "location.state: expected a string"},
        {STREET, "\"a\\u0000b\"", "1", BIRTH, "must not contain a NUL"},
        {STREET, "\"X\"", "null", BIRTH, "location.postcode: expected a string"},
        {STREET, "\"X\"", "1", "\"\"", "dob.date: must not be empty"},
        {STREET, "\"X\"", "1", "\"12 March\"",
         "date_of_birth: \"12 March\" is no date of the form YYYY-MM-DD"},
        {STREET, "\"\xff\"", "1", BIRTH, "address_state: not valid UTF-8"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem)
        char *text = make_user(cases[i].street, cases[i].state, cases[i].postcode, cases[i].birth);
        struct gen_user user = {0};
        struct vd_err err = {0};

        assert_int_equal(parse(text, &user, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
        gen_user_fini(&user);
    }
}

TEST(results_that_are_no_objects_are_rejected)
{
    static const char *const texts[] = {"7", "null", "\"x\"", "[]"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct gen_user user = {0};
        struct vd_err err = {0};

        assert_int_equal(parse(texts[i], &user, &err), VD_INVALID);
        assert_string_equal(err.msg, "a result is not an object");
        gen_user_fini(&user);
    }
}

TEST(page_is_walked_user_by_user)
{
    VD_AUTO(mem) char *one = make_user(STREET, "\"a, ]}\\\"\"", "1", BIRTH);
    VD_AUTO(mem) char *body = vd_format("{\"info\":{},\"results\" : [ %s ,\n%s,{}]}", one, one);
    struct gen_users users = {0};
    struct el_text user;
    struct vd_err err = {0};

    assert_int_equal(gen_users_open(body, strlen(body), 3, &users, &err), VD_OK);
    assert_true(gen_users_next(&users, &user));
    assert_memory_equal(user.data, one, strlen(one));
    assert_true(gen_users_next(&users, &user));
    assert_memory_equal(user.data, one, strlen(one));
    assert_true(gen_users_next(&users, &user));
    assert_int_equal(user.len, 2);
    assert_false(gen_users_next(&users, &user));
}

TEST(empty_page_has_no_users)
{
    struct gen_users users = {0};
    struct el_text user;
    struct vd_err err = {0};

    assert_int_equal(gen_users_open("{\"results\":[ ]}", 15, 0, &users, &err), VD_OK);
    assert_false(gen_users_next(&users, &user));
}

TEST(answer_that_is_no_page_is_named)
{
    static const struct {
        const char *body, *msg;
    } cases[] = {
        {"{\"error\":\"Uh oh, something has gone wrong\"}",
         "the server says Uh oh, something has gone wrong"},
        {"{\"error\":\"too fast\",\"results\":[{}]}", "the server says too fast"},
        {"{\"results\":{}}", "member \"results\": expected an array"},
        {"{}", "member \"results\": expected an array"},
        {"{\"results\":[]}", "0 results where 1 were asked for"},
        {"{\"results\":[{},{}]}", "2 results where 1 were asked for"},
    };
    static const char *const broken[] = {"", "{\"results\":[{}", "<html>",
                                         "{\"results\":[\"\xff\"]}"};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gen_users users = {0};
        struct vd_err err = {0};

        assert_int_equal(gen_users_open(cases[i].body, strlen(cases[i].body), 1, &users, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, cases[i].msg);
    }
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct gen_users users = {0};
        struct vd_err err = {0};

        assert_int_equal(gen_users_open(broken[i], strlen(broken[i]), 1, &users, &err), VD_INVALID);
        assert_true(err.msg[0] != '\0');
    }
}

TEST(nationalities_are_checked_before_the_server_drops_them)
{
    struct vd_err err = {0};

    assert_int_equal(gen_users_check_nat("", &err), VD_OK);
    assert_int_equal(gen_users_check_nat("gb", &err), VD_OK);
    assert_int_equal(gen_users_check_nat("GB,us,ua", &err), VD_OK);
    assert_int_equal(gen_users_check_nat("gb,uk", &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "option \"nat\": unknown nationality \"uk\"; known are au br ca ch "
                        "de dk es fi fr gb ie in ir mx nl no nz rs tr ua us");
    assert_int_equal(gen_users_check_nat("gb, us", &err), VD_INVALID);
    assert_int_equal(gen_users_check_nat("gbr", &err), VD_INVALID);
}

RUN_TESTS(cmocka_unit_test(user_becomes_a_voter),
          cmocka_unit_test(types_that_differ_by_country_are_accepted),
          cmocka_unit_test(user_that_is_no_voter_is_named),
          cmocka_unit_test(results_that_are_no_objects_are_rejected),
          cmocka_unit_test(page_is_walked_user_by_user), cmocka_unit_test(empty_page_has_no_users),
          cmocka_unit_test(answer_that_is_no_page_is_named),
          cmocka_unit_test(nationalities_are_checked_before_the_server_drops_them))
