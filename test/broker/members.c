/* cJSON with assertions. */
#include "members.h"

#include "../unit/test.h"

#include <ctype.h>
#include <string.h>

static bool is_type(const cJSON *item, enum member_type type)
{
    switch (type) {
    case MEMBER_TEXT:
        return cJSON_IsString(item);
    case MEMBER_INTEGER:
        return cJSON_IsNumber(item) && (double)(int64_t)item->valuedouble == item->valuedouble;
    case MEMBER_OBJECT:
        return cJSON_IsObject(item);
    }
    return false;
}

void members_check(const cJSON *object, const struct member *members)
{
    int count = 0;

    assert_true(cJSON_IsObject(object));
    for (; members->name != NULL; members++, count++) {
        if (!is_type(cJSON_GetObjectItemCaseSensitive(object, members->name), members->type)) {
            fail_msg("member %s is missing or of another type", members->name);
        }
    }
    assert_int_equal(cJSON_GetArraySize(object), count);
}

const char *members_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

double members_number(const cJSON *object, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

cJSON *members_parse(const struct peer_record *record)
{
    cJSON *value = cJSON_Parse(record->value);

    assert_non_null(record->key);
    assert_non_null(value);
    return value;
}

void members_check_form(const char *text, const char *pattern)
{
    assert_int_equal(strlen(text), strlen(pattern));
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_right = pattern[i] == '9'   ? isdigit(c)
                        : pattern[i] == 'x' ? isxdigit(c)
                        : pattern[i] == 'A' ? isupper(c)
                                            : c == (unsigned char)pattern[i];

        if (!is_right) {
            fail_msg("\"%s\" is not of the form %s", text, pattern);
        }
    }
}
