/* The scan over JSON texts, with cJSON as a second opinion: what the scan accepts cJSON accepts
 * too, but for what cJSON alone refuses (half surrogate pairs, numbers of more than 63 characters),
 * and the fields say the same. cJSON accepts more than RFC 8259 allows, so the other way round says
 * nothing. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "election/json.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

#define CJSON_NUMBER_MAX 63

static void must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* True if the text may hold a number that cJSON cuts. */
static bool has_long_number(const char *text, size_t len)
{
    size_t run = 0;

    for (size_t i = 0; i < len; i++) {
        run = strchr("0123456789+-.eE", text[i]) != NULL && text[i] != '\0' ? run + 1 : 0;
        if (run > CJSON_NUMBER_MAX) {
            return true;
        }
    }
    return false;
}

/* The last member called so; cJSON's own look-up gives the first. */
static const cJSON *last_of(const cJSON *object, const char *name)
{
    const cJSON *found = NULL;
    const cJSON *item = NULL;

    if (!cJSON_IsObject(object)) {
        return NULL;
    }
    cJSON_ArrayForEach(item, object)
    {
        if (strcmp(item->string, name) == 0) {
            found = item;
        }
    }
    return found;
}

static void compare(const struct el_json_field *field, const cJSON *item)
{
    struct vd_err err = {0};
    int64_t number = 0;

    must((field->type == EL_JSON_ABSENT) == (item == NULL));
    if (field->type == EL_JSON_STRING) {
        VD_AUTO(buf) struct vd_buf plain = {0};

        must(cJSON_IsString(item) && el_json_unescape(field, &plain));
        must(vd_utf8_is_valid(plain.data, plain.len));
        must(strncmp(vd_buf_text(&plain), item->valuestring, plain.len + 1) == 0);
    } else if (field->type == EL_JSON_NUMBER) {
        must(cJSON_IsNumber(item));
        if (el_json_int(field, &number, &err) == VD_OK) {
            must((double)number == item->valuedouble);
        }
    } else if (field->type == EL_JSON_OBJECT || field->type == EL_JSON_ARRAY) {
        VD_AUTO(cjson) cJSON *again = cJSON_ParseWithLength(field->text, field->len);
        VD_AUTO(mem) char *one = cJSON_PrintUnformatted(again);
        VD_AUTO(mem) char *other = cJSON_PrintUnformatted(item);

        must(one != NULL && other != NULL && strcmp(one, other) == 0);
    } else if (item != NULL) {
        must(field->type == EL_JSON_NULL ? cJSON_IsNull(item) : cJSON_IsBool(item));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct el_json_field fields[] = {
        {.path = "voter_id"}, {.path = "address"}, {.path = "address.state"},
        {.path = "vote"},     {.path = "a"},       {.path = "a.b.c"}};
    const char *text = (const char *)bytes;
    VD_AUTO(cjson) cJSON *tree = NULL;
    VD_AUTO(mem) char *copy = NULL;
    struct vd_err err = {0};

    if (el_json_scan(text, len, fields, 6, &err) != VD_OK) {
        must(err.status == VD_INVALID && strncmp(err.msg, "byte ", 5) == 0);
        return 0;
    }
    must(vd_utf8_is_valid(text, len));
    copy = vd_strndup(text, len);
    if (strstr(copy, "\\u") != NULL || has_long_number(text, len)) {
        return 0; /* NUL and half a pair end or break a C string */
    }
    tree = cJSON_ParseWithLength(text, len);
    must(cJSON_IsObject(tree));
    compare(&fields[0], last_of(tree, "voter_id"));
    compare(&fields[1], last_of(tree, "address"));
    compare(&fields[2], last_of(last_of(tree, "address"), "state"));
    compare(&fields[3], last_of(tree, "vote"));
    compare(&fields[4], last_of(tree, "a"));
    compare(&fields[5], last_of(last_of(last_of(tree, "a"), "b"), "c"));
    return 0;
}
