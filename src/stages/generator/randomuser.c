/* Answers of the randomuser API. */
#include "generator/randomuser.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "election/json.h"
#include "generator/mapping.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

/* Room for what is written between a user's texts. */
#define TEXT_BYTES 1024

enum vd_status gen_users_check_nat(const char *nat, struct vd_err *err)
{
    static const char known[] = "au br ca ch de dk es fi fr gb ie in ir mx nl no nz rs tr ua us";

    for (const char *at = nat; *at != '\0';) {
        size_t len = strcspn(at, ",");
        bool is_known = false;

        for (const char *code = known; len == 2 && *code != '\0'; code += code[2] == '\0' ? 2 : 3) {
            is_known = is_known || strncasecmp(code, at, 2) == 0;
        }
        if (!is_known) {
            return vd_fail(err, VD_INVALID,
                           "option \"nat\": unknown nationality \"%.*s\"; known are %s",
                           len < 20 ? (int)len : 20, at, known);
        }
        at += len;
        at += *at == ',' ? 1 : 0;
    }
    return VD_OK;
}

/* The end of the value that begins at 'at' in an array of valid JSON: its comma, or the array's
 * end. */
static size_t value_end(const struct gen_users *users, size_t at)
{
    bool is_string = false;
    int depth = 0;

    for (; at < users->len; at++) {
        char c = users->array[at];

        if (is_string) {
            at += c == '\\' ? 1 : 0;
            is_string = c != '"';
        } else if (c == '"') {
            is_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 0) {
            break;
        }
    }
    return at < users->len ? at : users->len;
}

bool gen_users_next(struct gen_users *users, struct el_text *user)
{
    size_t end;

    while (users->at < users->len && strchr(" \t\r\n", users->array[users->at]) != NULL) {
        users->at++;
    }
    if (users->at >= users->len) {
        return false;
    }
    end = value_end(users, users->at);
    *user = (struct el_text){.data = users->array + users->at, .len = end - users->at};
    users->at = end + 1;
    return true;
}

enum vd_status gen_users_open(const char *body, size_t len, size_t count, struct gen_users *users,
                              struct vd_err *err)
{
    struct el_json_field fields[] = {{.path = "error"}, {.path = "results"}};
    struct gen_users found;
    struct el_text user;
    size_t got = 0;

    if (el_json_scan(body, len, fields, 2, err) != VD_OK) {
        return VD_INVALID;
    }
    if (fields[0].type != EL_JSON_ABSENT) {
        return vd_fail(err, VD_INVALID, "the server says %.*s",
                       fields[0].len < 200 ? (int)fields[0].len : 200, fields[0].text);
    }
    if (fields[1].type != EL_JSON_ARRAY) {
        return vd_fail(err, VD_INVALID, "member \"results\": expected an array");
    }
    found = (struct gen_users){.array = fields[1].text + 1, .len = fields[1].len - 2};
    while (gen_users_next(&found, &user)) {
        got++;
    }
    if (got != count) {
        return vd_fail(err, VD_INVALID, "%zu results where %zu were asked for", got, count);
    }
    found.at = 0;
    *users = found;
    return VD_OK;
}

/* ---- one user ------------------------------------------------------------------------------ */

/* The member at "dob.date"; NULL if it is not there. */
static const cJSON *find(const cJSON *user, const char *path)
{
    const cJSON *at = user;

    while (at != NULL && *path != '\0') {
        char name[32];
        size_t len = strcspn(path, ".");

        (void)snprintf(name, sizeof(name), "%.*s", (int)len,
                       path); /* the paths are ours, and short */
        at = cJSON_GetObjectItemCaseSensitive(at, name);
        path += len;
        path += *path == '.' ? 1 : 0;
    }
    return at;
}

/* A string as it is, a number as a whole one: of some countries postcodes are numbers. */
static bool add_value(struct vd_buf *text, const cJSON *value)
{
    if (cJSON_IsString(value)) {
        vd_buf_add_text(text, value->valuestring);
        return true;
    }
    if (cJSON_IsNumber(value) && fabs(value->valuedouble) < 1e15) {
        vd_buf_add_int(text, (int64_t)value->valuedouble);
        return true;
    }
    return false;
}

/* Append the values at two paths with a blank between them, or one. */
static enum vd_status add_paths(struct vd_buf *text, const cJSON *user, const char *first,
                                const char *second, struct vd_err *err)
{
    if (!add_value(text, find(user, first))) {
        return vd_fail(err, VD_INVALID, "%s: expected a string", first);
    }
    if (second != NULL) {
        vd_buf_add_char(text, ' ');
        if (!add_value(text, find(user, second))) {
            return vd_fail(err, VD_INVALID, "%s: expected a string", second);
        }
    }
    return VD_OK;
}

static enum vd_status add_member(struct vd_buf *text, const cJSON *user, size_t member,
                                 struct vd_err *err)
{
    static const struct {
        const char *first, *second;
    } paths[EL_VOTER_TEXTS] = {
        [EL_VOTER_ID] = {"login.uuid", NULL}, /* id.value is null in some countries */
        [EL_VOTER_NAME] = {"name.first", "name.last"},
        [EL_VOTER_BIRTH] = {"dob.date", NULL},
        [EL_VOTER_GENDER] = {"gender", NULL},
        [EL_VOTER_NATIONALITY] = {"nat", NULL},
        [EL_VOTER_REGISTRATION] = {"login.username", NULL},
        [EL_VOTER_STREET] = {"location.street.number", "location.street.name"},
        [EL_VOTER_CITY] = {"location.city", NULL},
        [EL_VOTER_STATE] = {"location.state", NULL},
        [EL_VOTER_COUNTRY] = {"location.country", NULL},
        [EL_VOTER_POSTCODE] = {"location.postcode", NULL},
        [EL_VOTER_EMAIL] = {"email", NULL},
        [EL_VOTER_PHONE] = {"phone", NULL},
        [EL_VOTER_CELL] = {"cell", NULL},
        [EL_VOTER_PICTURE] = {"picture.large", NULL},
    };

    if (member == EL_VOTER_STREET && add_value(text, find(user, "location.street"))) {
        return VD_OK; /* before version 1.3 it was a string */
    }
    return add_paths(text, user, paths[member].first, paths[member].second, err);
}

enum vd_status gen_user_parse(const struct el_text *user, const struct el_date *election_day,
                              struct gen_user *parsed, struct vd_err *err)
{
    VD_AUTO(cjson) cJSON *tree = cJSON_ParseWithLength(user->data, user->len);
    struct el_text values[GEN_MEMBERS] = {{.data = NULL}};
    struct gen_completion completion;

    if (!cJSON_IsObject(tree)) {
        return vd_fail(err, VD_INVALID, "a result is not an object");
    }
    if (memmem(user->data, user->len, "\\u0000", 6) != NULL) {
        return vd_fail(err, VD_INVALID,
                       "must not contain a NUL"); /* cJSON would cut the text there */
    }
    vd_buf_clear(&parsed->text);
    vd_buf_reserve(&parsed->text, user->len + TEXT_BYTES); /* so that it never moves */
    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        size_t start = parsed->text.len;

        if (add_member(&parsed->text, tree, i, err) != VD_OK) {
            return VD_INVALID;
        }
        values[i] =
            (struct el_text){.data = parsed->text.data + start, .len = parsed->text.len - start};
    }
    /* dob.age is years until today, registered.age that of the account: neither is used */
    if (values[EL_VOTER_BIRTH].len == 0) {
        return vd_fail(err, VD_INVALID, "dob.date: must not be empty");
    }
    if (gen_voter_complete(values, election_day, &completion, &parsed->voter, err) != VD_OK) {
        return VD_INVALID;
    }
    if (parsed->voter.text[EL_VOTER_BIRTH].data == completion.birth) {
        struct el_text *birth = &parsed->voter.text[EL_VOTER_BIRTH];

        vd_buf_add(&parsed->text, birth->data, birth->len); /* room was left for it */
        birth->data = parsed->text.data + parsed->text.len - birth->len;
    }
    return VD_OK;
}

void gen_user_fini(struct gen_user *parsed)
{
    vd_buf_fini(&parsed->text);
}
