/* Votes, from JSON to the values that they are counted under. */
#include "vote.h"

#include <stdio.h>
#include <string.h>

#include "election/json.h"
#include "election/vote.h"
#include "hash.h"

static const char *const paths[AGG_FIELDS] = {
    [AGG_VOTER_ID] = "voter_id",
    [AGG_CANDIDATE_ID] = "candidate_id",
    [AGG_CANDIDATE_NAME] = "candidate_name",
    [AGG_PARTY] = "party_affiliation",
    [AGG_PHOTO_URL] = "photo_url",
    [AGG_STATE] = "address.state",
    [AGG_CITY] = "address.city",
    [AGG_AGE] = "registered_age",
    [AGG_GENDER] = "gender",
    [AGG_VOTE] = "vote",
    [AGG_VOTING_TIME] = "voting_time",
};

static struct agg_text literal(const char *text)
{
    return (struct agg_text){.text = text, .len = strlen(text)};
}

static struct agg_text age_group_of(int64_t age)
{
    static const struct {
        int64_t below;
        const char *name;
    } groups[] = {
        {18, "under 18"}, {25, "18-24"}, {35, "25-34"}, {45, "35-44"},
        {55, "45-54"},    {65, "55-64"}, {75, "65-74"},
    };

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (age < groups[i].below) {
            return literal(groups[i].name);
        }
    }
    return literal("75+");
}

static void find_age(struct agg_vote *vote, const struct el_json_field *field)
{
    int64_t age = 0;

    vote->age = (struct agg_text){0};
    vote->age_group = (struct agg_text){0};
    if (el_json_int(field, &age, NULL) != VD_OK) {
        return;
    }
    (void)snprintf(vote->age_digits, sizeof(vote->age_digits), "%lld", (long long)age); /* fits */
    vote->age = literal(vote->age_digits);
    vote->age_group = age_group_of(age);
}

/* Resolve the strings. All of 'scratch' is reserved before, so that nothing in it moves. */
static enum vd_status find_texts(struct agg_vote *vote, const struct el_json_field *fields,
                                 struct vd_buf *scratch, struct vd_err *err)
{
    for (size_t i = 0; i < AGG_FIELDS; i++) {
        const struct el_json_field *field = &fields[i];
        size_t max = i == AGG_CANDIDATE_NAME || i == AGG_PHOTO_URL ? AGG_ATTRIBUTE_BYTES_MAX
                                                                   : AGG_KEY_BYTES_MAX;

        vote->texts[i] = (struct agg_text){0};
        if (field->type != EL_JSON_STRING) {
            continue;
        }
        vote->texts[i] = (struct agg_text){.text = field->text, .len = field->len};
        if (field->is_escaped) {
            size_t begin = scratch->len;

            (void)el_json_unescape(field, scratch); /* half a pair counts as U+FFFD */
            vote->texts[i] =
                (struct agg_text){.text = scratch->data + begin, .len = scratch->len - begin};
        }
        if (vote->texts[i].len > max) {
            return vd_fail(err, VD_INVALID, "member \"%s\": must be at most %zu bytes, got %zu",
                           paths[i], max, vote->texts[i].len);
        }
    }
    return VD_OK;
}

static enum vd_status check_identity(const struct agg_vote *vote, struct vd_err *err)
{
    static const enum agg_field needed[] = {AGG_VOTER_ID, AGG_CANDIDATE_ID};

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (vote->texts[needed[i]].len == 0) {
            return vd_fail(err, VD_INVALID, "member \"%s\": expected a string", paths[needed[i]]);
        }
    }
    return VD_OK;
}

static uint64_t checksum_of(const struct agg_vote *vote, struct vd_buf *scratch)
{
    static const struct vd_hash_key none = {0};
    size_t begin = scratch->len;

    vd_buf_add(scratch, vote->texts[AGG_VOTER_ID].text, vote->texts[AGG_VOTER_ID].len);
    vd_buf_add_char(scratch, '\0');
    vd_buf_add(scratch, vote->texts[AGG_CANDIDATE_ID].text, vote->texts[AGG_CANDIDATE_ID].len);
    return vd_siphash(&none, scratch->data + begin, scratch->len - begin);
}

enum vd_status agg_vote_parse(const char *json, size_t len, struct vd_buf *scratch,
                              struct agg_vote *vote, struct vd_err *err)
{
    struct el_json_field fields[AGG_FIELDS];
    int64_t count = 0;

    if (json == NULL) {
        return vd_fail(err, VD_INVALID, "no value");
    }
    for (size_t i = 0; i < AGG_FIELDS; i++) {
        fields[i].path = paths[i];
    }
    if (el_json_scan(json, len, fields, AGG_FIELDS, err) != VD_OK) {
        return VD_INVALID;
    }
    vd_buf_clear(scratch);
    vd_buf_reserve(scratch, 2 * len); /* every string once, and the pair that is hashed */
    if (find_texts(vote, fields, scratch, err) != VD_OK || check_identity(vote, err) != VD_OK ||
        el_json_int(&fields[AGG_VOTE], &count, err) != VD_OK) {
        return VD_INVALID;
    }
    if (count != 1) {
        return vd_fail(err, VD_INVALID, "member \"vote\": expected 1, got %lld", (long long)count);
    }
    find_age(vote, &fields[AGG_AGE]);
    vote->event_s = -1;
    (void)el_vote_time_parse(vote->texts[AGG_VOTING_TIME].text, vote->texts[AGG_VOTING_TIME].len,
                             &vote->event_s); /* without one it counts all the same */
    vote->checksum = checksum_of(vote, scratch);
    return VD_OK;
}

static const struct agg_text *value_of(const struct agg_vote *vote, const struct agg_member *member)
{
    switch (member->kind) {
    case AGG_INTEGER:
        return &vote->age;
    case AGG_AGE_GROUP:
        return &vote->age_group;
    case AGG_TEXT:
        break;
    }
    return &vote->texts[member->field];
}

void agg_vote_texts(const struct agg_vote *vote, const struct agg_group *group, bool is_key,
                    struct vd_buf *out)
{
    for (const struct agg_member *member = group->members; member->name != NULL; member++) {
        const struct agg_text *value = value_of(vote, member);

        if (member->is_key == is_key) {
            vd_buf_add_be16(out, (uint16_t)value->len);
            vd_buf_add(out, value->text, value->len);
        }
    }
}
