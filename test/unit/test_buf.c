#include "buf.h"

#include <string.h>

#include "alloc.h"

#include "test.h"

TEST(zeroed_is_empty_and_usable)
{
    VD_AUTO(buf) struct vd_buf buf = {0};

    vd_buf_add(&buf, NULL, 0);
    assert_int_equal(buf.len, 0);
    assert_string_equal(vd_buf_text(&buf), "");
    vd_buf_add_text(&buf, "votes");
    vd_buf_add_char(&buf, '!');
    assert_string_equal(vd_buf_text(&buf), "votes!");
    assert_int_equal(buf.len, 6);
}

TEST(fini_leaves_it_empty_and_clear_keeps_the_memory)
{
    struct vd_buf buf = {0};
    char *data;

    vd_buf_add_text(&buf, "x");
    data = buf.data;
    vd_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_ptr_equal(buf.data, data);
    vd_buf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
    vd_buf_fini(&buf);
    vd_buf_fini(NULL);
}

TEST(reserve_makes_room_without_using_it)
{
    VD_AUTO(buf) struct vd_buf buf = {0};

    vd_buf_add_char(&buf, 'a');
    vd_buf_reserve(&buf, 100000);
    assert_int_equal(buf.len, 1);
    assert_true(buf.cap >= 100001);
}

TEST(it_grows_byte_by_byte)
{
    VD_AUTO(buf) struct vd_buf buf = {0};

    for (int i = 0; i < 100000; i++) {
        vd_buf_add_char(&buf, (char)('a' + i % 26));
    }
    assert_int_equal(buf.len, 100000);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(buf.data[i], 'a' + i % 26);
    }
}

TEST(integers_are_written_in_decimal)
{
    static const struct {
        int64_t number;
        const char *text;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {-1, "-1"},
                 {1234567890, "1234567890"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(buf) struct vd_buf buf = {0};

        vd_buf_add_int(&buf, cases[i].number);
        assert_string_equal(vd_buf_text(&buf), cases[i].text);
    }
}

TEST(printf_appends_text_of_any_length)
{
    for (int width = 0; width < 300; width++) {
        VD_AUTO(buf) struct vd_buf buf = {0};

        vd_buf_add_text(&buf, "x=");
        vd_buf_printf(&buf, "%0*d;", width, 5);
        assert_int_equal(buf.len, 3 + (width > 1 ? width : 1));
        assert_int_equal(buf.data[buf.len - 2], '5');
        assert_int_equal(buf.data[buf.len - 1], ';');
    }
}

TEST(integers_are_big_endian)
{
    static const uint8_t wanted[] = {0xfe, 0x01, 0x02, 0x81, 0x02, 0x03, 0x04, 0x80,
                                     0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    VD_AUTO(buf) struct vd_buf buf = {0};

    vd_buf_add_u8(&buf, 0xfe);
    vd_buf_add_be16(&buf, 0x0102);
    vd_buf_add_be32(&buf, 0x81020304);
    vd_buf_add_be64(&buf, 0x8002030405060708);
    assert_int_equal(buf.len, sizeof(wanted));
    assert_memory_equal(buf.data, wanted, sizeof(wanted));
    assert_int_equal(vd_be16(wanted + 1), 0x0102);
    assert_int_equal(vd_be32(wanted + 3), 0x81020304);
    assert_true(vd_be64(wanted + 7) == 0x8002030405060708);
}

TEST(json_strings_are_escaped)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\b\t\n\f\r\v", 6, "\"\\b\\t\\n\\f\\r\\u000b\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"S\xc3\xa3o \xe2\x82\xac \xf0\x9f\x97\xb3", 13,
         "\"S\xc3\xa3o \xe2\x82\xac \xf0\x9f\x97\xb3\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xff\xfe", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},       /* ends too early */
        {"\xe2\x82\"", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\""}, /* does not swallow the quote */
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(buf) struct vd_buf buf = {0};

        vd_buf_add_json(&buf, cases[i].text, cases[i].len);
        assert_string_equal(vd_buf_text(&buf), cases[i].json);
    }
}

TEST(only_well_formed_utf8_is_valid)
{
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"", true},
        {"ascii", true},
        {"\x7f", true},
        {"\xc2\x80", true},          /* U+0080 */
        {"\xdf\xbf", true},          /* U+07FF */
        {"\xe0\xa0\x80", true},      /* U+0800 */
        {"\xed\x9f\xbf", true},      /* U+D7FF */
        {"\xee\x80\x80", true},      /* U+E000 */
        {"\xef\xbf\xbf", true},      /* U+FFFF */
        {"\xf0\x90\x80\x80", true},  /* U+10000 */
        {"\xf4\x8f\xbf\xbf", true},  /* U+10FFFF */
        {"\x80", false},             /* a continuation alone */
        {"\xc0\x80", false},         /* overlong U+0000 */
        {"\xc1\xbf", false},         /* overlong U+007F */
        {"\xe0\x9f\xbf", false},     /* overlong U+07FF */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong U+FFFF */
        {"\xed\xa0\x80", false},     /* surrogate U+D800 */
        {"\xed\xbf\xbf", false},     /* surrogate U+DFFF */
        {"\xf4\x90\x80\x80", false}, /* U+110000 */
        {"\xf5\x80\x80\x80", false},
        {"\xf8\x88\x80\x80\x80", false}, /* five bytes */
        {"\xff", false},
        {"\xc2", false}, /* cut short */
        {"\xe2\x82", false},
        {"\xf0\x9f\x97", false},
        {"\xc2g", false}, /* no continuation */
        {"\xe2\x82g", false},
        {"\xf0\x9f\x97g", false},
        {"ok\xc2\xa9 then \xfe", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].text);
        VD_AUTO(mem) char *exact = vd_memdup(cases[i].text, len); /* reading on would be found */

        if (vd_utf8_is_valid(exact, len) != cases[i].is_valid) {
            fail_msg("case %zu", i);
        }
    }
    assert_true(vd_utf8_is_valid("a\0b", 3));
}

RUN_TESTS(cmocka_unit_test(zeroed_is_empty_and_usable),
          cmocka_unit_test(fini_leaves_it_empty_and_clear_keeps_the_memory),
          cmocka_unit_test(reserve_makes_room_without_using_it),
          cmocka_unit_test(it_grows_byte_by_byte),
          cmocka_unit_test(integers_are_written_in_decimal),
          cmocka_unit_test(printf_appends_text_of_any_length),
          cmocka_unit_test(integers_are_big_endian), cmocka_unit_test(json_strings_are_escaped),
          cmocka_unit_test(only_well_formed_utf8_is_valid))
