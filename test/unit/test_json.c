/* The scan over JSON texts: what RFC 8259 allows and forbids, and what the fields say. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "election/json.h"

static enum vd_status scan(const char *text, struct el_json_field *fields, size_t count,
                           struct vd_err *err)
{
    size_t len = strlen(text);
    /* a copy of exactly that size, so that a read behind it is found */
    char *copy = malloc(len > 0 ? len : 1);
    enum vd_status status;

    assert_non_null(copy);
    memcpy(copy, text, len);
    status = el_json_scan(copy, len, fields, count, err);
    free(copy);
    return status;
}

TEST(what_the_standard_allows_is_accepted)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \t\r\n} \t\r\n",
        "{\"a\":1}",
        "{ \"a\" : 1 , \"b\" : 2 }",
        "{\"a\":null,\"b\":true,\"c\":false}",
        "{\"a\":0,\"b\":-0,\"c\":-1,\"d\":10,\"e\":0.5,\"f\":-0.0}",
        "{\"g\":1e5,\"h\":1E+5,\"i\":2.5e-7}",
        "{\"a\":[],\"b\":[1],\"c\":[1,[2,{\"d\":[]}],3]}",
        "{\"a\":{\"b\":{}}}",
        "{\"\":\"\"}",
        "{\"a\":\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0041 \\uD83D\\uDE00\"}",
        "{\"a\":\"\\ud800\"}", /* half a pair: allowed by the grammar */
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\x7f\"}",
        "{\"a\":\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\"}",
        "{\"a\":\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"}",
        "{\"a\":1,\"a\":2}",
        "{\"0123456789abcdef\":\"0123456789abcdef0123456789abcdef\"}",
        "{\"a\":123456789012345678901234567890123456789012345678901234567890123456789012345}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct vd_err err = {0};

        if (scan(texts[i], NULL, 0, &err) != VD_OK) {
            fail_msg("refused %s: %s", texts[i], err.msg);
        }
    }
}

TEST(what_the_standard_forbids_is_refused_with_the_place)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "byte 0: expected an object"},
        {"  ", "byte 2: expected an object"},
        {"1", "byte 0: expected an object"},
        {"[]", "byte 0: expected an object"},
        {"null", "byte 0: expected an object"},
        {"\xef\xbb\xbf{}", "byte 0: expected an object"},
        {"{", "byte 1: expected a member's name"},
        {"{}}", "byte 2: expected nothing more"},
        {"{} x", "byte 3: expected nothing more"},
        {"{,}", "byte 1: expected a member's name"},
        {"{\"a\":1,}", "byte 7: expected a member's name"},
        {"{\"a\":1,,\"b\":2}", "byte 7: expected a member's name"},
        {"{\"a\"}", "byte 4: expected \":\""},
        {"{\"a\":}", "byte 5: expected a value"},
        {"{\"a\":", "byte 5: expected a value"},
        {"{\"a\" 1}", "byte 5: expected \":\""},
        {"{a:1}", "byte 1: expected a member's name"},
        {"{'a':1}", "byte 1: expected a member's name"},
        {"{1:1}", "byte 1: expected a member's name"},
        {"{\"a\":1 \"b\":2}", "byte 7: expected \",\" or \"}\""},
        {"{\"a\":1", "byte 6: expected \",\" or \"}\""},
        {"{\"a\":1]", "byte 6: expected \",\" or \"}\""},
        {"{\"a\":[1}", "byte 7: expected \",\" or \"]\""},
        {"{\"a\":[1,]}", "byte 8: expected a value"},
        {"{\"a\":[,1]}", "byte 6: expected a value"},
        {"{\"a\":[1 2]}", "byte 8: expected \",\" or \"]\""},
        {"{\"a\":01}", "byte 6: expected \",\" or \"}\""},
        {"{\"a\":-}", "byte 6: expected a digit"},
        {"{\"a\":+1}", "byte 5: expected a value"},
        {"{\"a\":.5}", "byte 5: expected a value"},
        {"{\"a\":1.}", "byte 7: expected a digit"},
        {"{\"a\":1.e5}", "byte 7: expected a digit"},
        {"{\"a\":1e}", "byte 7: expected a digit"},
        {"{\"a\":1e+}", "byte 8: expected a digit"},
        {"{\"a\":0x1}", "byte 6: expected \",\" or \"}\""},
        {"{\"a\":NaN}", "byte 5: expected a value"},
        {"{\"a\":tru}", "byte 5: expected a value"},
        {"{\"a\":True}", "byte 5: expected a value"},
        {"{\"a\":nullx}", "byte 9: expected \",\" or \"}\""},
        {"{\"a\":\"x}", "byte 8: the text ends inside a string"},
        {"{\"a\":\"\n\"}", "byte 6: control character in a string"},
        {"{\"a\":\"0123456789\x1f\"}", "byte 16: control character in a string"},
        {"{\"a\":\"\\", "byte 7: unknown escape in a string"},
        {"{\"a\":\"\\x\"}", "byte 7: unknown escape in a string"},
        {"{\"a\":\"\\u12\"}", "byte 7: expected four hexadecimal digits after \"\\u\""},
        {"{\"a\":\"\\u12g4\"}", "byte 7: expected four hexadecimal digits after \"\\u\""},
        {"{\"a\":\"\\u", "byte 7: expected four hexadecimal digits after \"\\u\""},
        {"{\"a\":\"\x80\"}", "byte 6: not UTF-8"},
        {"{\"a\":\"\xc0\x80\"}", "byte 6: not UTF-8"},         /* overlong */
        {"{\"a\":\"\xc1\xbf\"}", "byte 6: not UTF-8"},         /* overlong */
        {"{\"a\":\"\xe0\x9f\xbf\"}", "byte 6: not UTF-8"},     /* overlong */
        {"{\"a\":\"\xed\xa0\x80\"}", "byte 6: not UTF-8"},     /* a surrogate */
        {"{\"a\":\"\xf0\x8f\xbf\xbf\"}", "byte 6: not UTF-8"}, /* overlong */
        {"{\"a\":\"\xf4\x90\x80\x80\"}", "byte 6: not UTF-8"}, /* beyond U+10FFFF */
        {"{\"a\":\"\xf5\x80\x80\x80\"}", "byte 6: not UTF-8"},
        {"{\"a\":\"\xe2\x82\"}", "byte 6: not UTF-8"},
        {"{\"a\":\"\xe2", "byte 6: not UTF-8"},
        {"{\"\xff\":1}", "byte 2: not UTF-8"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        if (scan(cases[i].text, NULL, 0, &err) != VD_INVALID) {
            fail_msg("accepted %s", cases[i].text);
        }
        assert_string_equal(err.msg, cases[i].words);
    }
}

TEST(a_zero_byte_is_refused_wherever_it_stands)
{
    static const char text[] = "{\"a\":\"b\",\"c\":[1]}";
    char changed[sizeof(text)];

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        memcpy(changed, text, sizeof(text));
        changed[i] = '\0';
        assert_int_equal(el_json_scan(changed, sizeof(text) - 1, NULL, 0, NULL), VD_INVALID);
    }
    assert_int_equal(el_json_scan(text, sizeof(text), NULL, 0, NULL), VD_INVALID);
}

TEST(every_special_byte_is_found_at_every_place_of_a_word)
{
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[40];
            int len = snprintf(text, sizeof(text), "{\"a\":\"%.20s\"}", "01234567890123456789");
            bool is_fine = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

            text[6 + at] = (char)c;
            assert_int_equal(el_json_scan(text, (size_t)len, NULL, 0, NULL),
                             is_fine ? VD_OK : VD_INVALID);
        }
    }
}

TEST(nesting_ends_at_the_limit)
{
    char text[2 * EL_JSON_DEPTH_MAX + 16];
    struct vd_err err = {0};

    for (size_t arrays = EL_JSON_DEPTH_MAX - 1; arrays <= EL_JSON_DEPTH_MAX; arrays++) {
        memcpy(text, "{\"a\":", 5);
        memset(text + 5, '[', arrays);
        memset(text + 5 + arrays, ']', arrays);
        memcpy(text + 5 + 2 * arrays, "}", 2);
        assert_int_equal(scan(text, NULL, 0, &err),
                         arrays < EL_JSON_DEPTH_MAX ? VD_OK : VD_INVALID);
    }
    assert_string_equal(err.msg, "byte 36: nested too deep");
}

static void assert_field(const struct el_json_field *field, enum el_json_type type,
                         const char *text)
{
    assert_int_equal(field->type, type);
    assert_int_equal(field->len, strlen(text));
    assert_memory_equal(field->text, text, strlen(text));
}

TEST(fields_are_found_with_their_raw_text)
{
    static const char text[] =
        "{\"vote\": -12 ,\"address\":{\"city\":\"X\",\"state\":\"New "
        "\\\"York\"},\"state\":\"outer\","
        "\"list\":[{\"vote\":7}],\"flag\":true,\"none\":null,\"empty\":\"\"}";
    struct el_json_field fields[] = {
        {.path = "vote"}, {.path = "address.state"}, {.path = "state"},     {.path = "list"},
        {.path = "flag"}, {.path = "none"},          {.path = "empty"},     {.path = "address"},
        {.path = "addr"}, {.path = "address.stat"},  {.path = "list.vote"},
    };

    assert_int_equal(el_json_scan(text, sizeof(text) - 1, fields, 11, NULL), VD_OK);
    assert_field(&fields[0], EL_JSON_NUMBER, "-12");
    assert_field(&fields[1], EL_JSON_STRING, "New \\\"York");
    assert_true(fields[1].is_escaped);
    assert_field(&fields[2], EL_JSON_STRING, "outer");
    assert_false(fields[2].is_escaped);
    assert_field(&fields[3], EL_JSON_ARRAY, "[{\"vote\":7}]");
    assert_field(&fields[4], EL_JSON_BOOL, "true");
    assert_field(&fields[5], EL_JSON_NULL, "null");
    assert_field(&fields[6], EL_JSON_STRING, "");
    assert_field(&fields[7], EL_JSON_OBJECT, "{\"city\":\"X\",\"state\":\"New \\\"York\"}");
    assert_int_equal(fields[8].type, EL_JSON_ABSENT);
    assert_int_equal(fields[9].type, EL_JSON_ABSENT);
    assert_int_equal(fields[10].type, EL_JSON_ABSENT);
}

TEST(the_last_of_two_members_counts_with_all_it_holds)
{
    static const char text[] = "{\"a\":1,\"b\":{\"c\":2},\"b\":{\"d\":3},\"a\":\"x\"}";
    struct el_json_field fields[] = {{.path = "a"}, {.path = "b.c"}, {.path = "b.d"}};

    assert_int_equal(el_json_scan(text, sizeof(text) - 1, fields, 3, NULL), VD_OK);
    assert_field(&fields[0], EL_JSON_STRING, "x");
    assert_int_equal(fields[1].type, EL_JSON_ABSENT);
    assert_field(&fields[2], EL_JSON_NUMBER, "3");
}

TEST(escaped_names_are_the_names_they_stand_for)
{
    static const char text[] = "{\"\\u0076ote\":1,\"addr\\u0065ss\":{\"sta\\u0074e\":\"x\"},"
                               "\"vote\\u0000\":2,\"vo\\u0000e\":3}";
    struct el_json_field fields[] = {{.path = "vote"}, {.path = "address.state"}};

    assert_int_equal(el_json_scan(text, sizeof(text) - 1, fields, 2, NULL), VD_OK);
    assert_field(&fields[0], EL_JSON_NUMBER, "1");
    assert_field(&fields[1], EL_JSON_STRING, "x");
}

TEST(a_name_with_a_dot_is_no_path)
{
    static const char text[] = "{\"a.b\":1,\"a\":{\"b.c\":2},\"a\\u002eb\":3}";
    struct el_json_field fields[] = {{.path = "a.b"}, {.path = "a.b.c"}};

    assert_int_equal(el_json_scan(text, sizeof(text) - 1, fields, 2, NULL), VD_OK);
    assert_int_equal(fields[0].type, EL_JSON_ABSENT);
    assert_int_equal(fields[1].type, EL_JSON_ABSENT);
}

TEST(escapes_are_resolved)
{
    static const struct {
        const char *raw, *plain;
        size_t len;
        bool is_whole;
    } cases[] = {
        {"plain", "plain", 5, true},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8, true},
        {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac", 6, true},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80", 4, true},
        {"a\\u0000b", "a\0b", 3, true},
        {"\\ud83d", "\xef\xbf\xbd", 3, false},
        {"\\ud83dx", "\xef\xbf\xbdx", 4, false},
        {"\\ude00", "\xef\xbf\xbd", 3, false},
        {"\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7, false},
        {"\\ud83d\\n", "\xef\xbf\xbd\n", 4, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct el_json_field field = {.type = EL_JSON_STRING,
                                      .text = cases[i].raw,
                                      .len = strlen(cases[i].raw),
                                      .is_escaped = strchr(cases[i].raw, '\\') != NULL};
        VD_AUTO(buf) struct vd_buf out = {0};

        vd_buf_add_char(&out, '<');
        assert_int_equal(el_json_unescape(&field, &out), cases[i].is_whole);
        assert_int_equal(out.len, cases[i].len + 1);
        assert_memory_equal(out.data + 1, cases[i].plain, cases[i].len);
    }
}

TEST(integers_are_read_to_the_ends_of_64_bits)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"35", 35},
        {"-7", -7},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {"9223372036854775808", "-9223372036854775809",
                                      "99999999999999999999", "1.0", "1e3"};
    struct vd_err err = {0};
    int64_t value = 0;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct el_json_field field = {
            .path = "n", .type = EL_JSON_NUMBER, .text = good[i].text, .len = strlen(good[i].text)};

        assert_int_equal(el_json_int(&field, &value, NULL), VD_OK);
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct el_json_field field = {
            .path = "n", .type = EL_JSON_NUMBER, .text = bad[i], .len = strlen(bad[i])};

        assert_int_equal(el_json_int(&field, &value, &err), VD_INVALID);
        assert_string_equal(err.msg, "member \"n\": expected an integer of 64 bits");
    }
    assert_int_equal(
        el_json_int(&(struct el_json_field){.path = "n", .type = EL_JSON_STRING}, &value, &err),
        VD_INVALID);
    assert_string_equal(err.msg, "member \"n\": expected an integer");
}

TEST(a_cut_text_is_refused_and_nothing_is_read_behind_it)
{
    static const char text[] = "{\"a\":\"x\\u00e9\xe2\x82\xac\",\"b\":[1,-2.5e+3,true,null,{}]}";
    char cut[sizeof(text)];

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        memcpy(cut, text, sizeof(text));
        cut[len] = '\0';
        assert_int_equal(scan(cut, NULL, 0, NULL), VD_INVALID);
    }
}

RUN_TESTS(cmocka_unit_test(what_the_standard_allows_is_accepted),
          cmocka_unit_test(what_the_standard_forbids_is_refused_with_the_place),
          cmocka_unit_test(a_zero_byte_is_refused_wherever_it_stands),
          cmocka_unit_test(every_special_byte_is_found_at_every_place_of_a_word),
          cmocka_unit_test(nesting_ends_at_the_limit),
          cmocka_unit_test(fields_are_found_with_their_raw_text),
          cmocka_unit_test(the_last_of_two_members_counts_with_all_it_holds),
          cmocka_unit_test(escaped_names_are_the_names_they_stand_for),
          cmocka_unit_test(a_name_with_a_dot_is_no_path), cmocka_unit_test(escapes_are_resolved),
          cmocka_unit_test(integers_are_read_to_the_ends_of_64_bits),
          cmocka_unit_test(a_cut_text_is_refused_and_nothing_is_read_behind_it))
