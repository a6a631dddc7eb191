/* The candidate's JSON. */
#include "election/candidate.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

static const struct {
    const char *name;
    size_t offset; /* in struct el_candidate */
} members[] = {
    {"candidate_id", offsetof(struct el_candidate, id)},
    {"candidate_name", offsetof(struct el_candidate, name)},
    {"party_affiliation", offsetof(struct el_candidate, party)},
    {"biography", offsetof(struct el_candidate, biography)},
    {"campaign_platform", offsetof(struct el_candidate, platform)},
    {"photo_url", offsetof(struct el_candidate, photo_url)},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static char **text_of(const struct el_candidate *candidate, size_t member)
{
    return (char **)(void *)((char *)(size_t)candidate + members[member].offset);
}

void el_candidate_fini(struct el_candidate *candidate)
{
    if (candidate == NULL) {
        return;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        free(*text_of(candidate, i));
    }
    *candidate = (struct el_candidate){0};
}

void el_candidate_format(const struct el_candidate *candidate, struct vd_buf *out)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        const char *text = *text_of(candidate, i);

        vd_buf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", members[i].name);
        vd_buf_add_json(out, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
    }
    vd_buf_add_char(out, '}');
}

static enum vd_status read_members(const cJSON *json, struct el_candidate *candidate,
                                   struct vd_err *err)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, members[i].name);

        if (cJSON_IsString(member)) {
            *text_of(candidate, i) = vd_strdup(member->valuestring);
        } else if (i > 0 && (member == NULL || cJSON_IsNull(member))) {
            *text_of(candidate, i) = vd_strdup("");
        } else {
            return vd_fail(err, VD_INVALID, "member \"%s\": expected a string", members[i].name);
        }
    }
    if (candidate->id[0] == '\0') {
        return vd_fail(err, VD_INVALID, "member \"candidate_id\": must not be empty");
    }
    return VD_OK;
}

enum vd_status el_candidate_parse(const char *json, size_t len, struct el_candidate *candidate,
                                  struct vd_err *err)
{
    struct el_candidate read = {0};
    VD_AUTO(cjson) cJSON *tree = NULL;

    if (json == NULL || !vd_utf8_is_valid(json, len)) {
        return vd_fail(err, VD_INVALID, "candidate: not valid UTF-8");
    }
    tree = cJSON_ParseWithLength(json, len);
    if (!cJSON_IsObject(tree)) {
        return vd_fail(err, VD_INVALID, "candidate: not a JSON object");
    }
    if (read_members(tree, &read, err) != VD_OK) {
        el_candidate_fini(&read);
        return vd_fail_in(err, "candidate");
    }
    *candidate = read;
    return VD_OK;
}
