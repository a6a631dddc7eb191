/* What a voter's record must hold so that it can become a vote (exactly-once
 * protocol, 4.1, 4.5). */
#include "decode.h"

#include <string.h>

#include "election/json.h"
#include "election/vote.h"

enum field {
    VOTER_ID,
    STATE,
    FIRST_OF_VOTE, /* members that the vote adds: a voter must not bring them along */
    FIELDS = FIRST_OF_VOTE + 8,
};

static const char *const paths[FIELDS] = {
    "voter_id",  "address.state",     "candidate_id", "candidate_name", "party_affiliation",
    "biography", "campaign_platform", "photo_url",    "voting_time",    "vote",
};

static size_t count_chars(const char *text, size_t len)
{
    size_t chars = 0;

    for (size_t i = 0; i < len; i++) {
        chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return chars;
}

static enum vd_status check_id(const struct el_json_field *field, struct vd_buf *scratch,
                               struct el_voter_key *key, struct vd_err *err)
{
    if (field->type == EL_JSON_ABSENT || (field->type == EL_JSON_STRING && field->len == 0)) {
        return vd_fail(err, VD_INVALID, "no voter_id");
    }
    if (field->type != EL_JSON_STRING) {
        return vd_fail(err, VD_INVALID, "member \"voter_id\": expected a string");
    }
    key->id = field->text;
    key->id_len = field->len;
    if (field->is_escaped) {
        if (!el_json_unescape(field, scratch)) {
            return vd_fail(err, VD_INVALID, "member \"voter_id\": not UTF-8");
        }
        key->id = scratch->data;
        key->id_len = scratch->len;
    }
    if (memchr(key->id, '\0', key->id_len) != NULL) {
        return vd_fail(err, VD_INVALID, "member \"voter_id\": must not hold a NUL");
    }
    if (count_chars(key->id, key->id_len) > VOTING_ID_CHARS_MAX) {
        return vd_fail(err, VD_INVALID, "member \"voter_id\": must be 1 to %d characters, got %zu",
                       VOTING_ID_CHARS_MAX, count_chars(key->id, key->id_len));
    }
    return VD_OK;
}

/* A state that is not a string is none: the scenario then takes the sums of all states. */
static void find_state(const struct el_json_field *field, struct vd_buf *scratch,
                       struct el_voter_key *key)
{
    size_t begin = scratch->len;

    key->state = "";
    key->state_len = 0;
    if (field->type != EL_JSON_STRING) {
        return;
    }
    key->state = field->text;
    key->state_len = field->len;
    if (field->is_escaped) {
        (void)el_json_unescape(field, scratch); /* half a pair is a state that nobody knows */
        key->state = scratch->data + begin;
        key->state_len = scratch->len - begin;
    }
}

enum vd_status voting_decode(const struct vd_record *record, struct vd_buf *scratch,
                             struct voting_voter *voter, struct vd_err *err)
{
    struct el_json_field fields[FIELDS];

    if (record->value == NULL) {
        return vd_fail(err, VD_INVALID, "no value");
    }
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i].path = paths[i];
    }
    if (el_json_scan(record->value, record->value_len, fields, FIELDS, err) != VD_OK) {
        return VD_INVALID;
    }
    /* Room for both at once: what the first points at must not move. */
    vd_buf_clear(scratch);
    vd_buf_reserve(scratch, fields[VOTER_ID].len + fields[STATE].len);
    if (check_id(&fields[VOTER_ID], scratch, &voter->key, err) != VD_OK) {
        return VD_INVALID;
    }
    for (size_t i = FIRST_OF_VOTE; i < FIELDS; i++) {
        if (fields[i].type != EL_JSON_ABSENT) {
            return vd_fail(err, VD_INVALID, "member \"%s\" belongs to a vote, not to a voter",
                           paths[i]);
        }
    }
    if (record->timestamp_ms < 0) {
        return vd_fail(err, VD_INVALID, "no timestamp");
    }
    if (record->timestamp_ms / 1000 > EL_VOTE_TIME_MAX) {
        return vd_fail(err, VD_INVALID, "timestamp %lld ms is beyond the year 9999",
                       (long long)record->timestamp_ms);
    }
    voter->second = record->timestamp_ms / 1000;
    find_state(&fields[STATE], scratch, &voter->key);
    return VD_OK;
}

enum vd_status voting_check_size(const struct vd_record *record, const struct voting_voter *voter,
                                 const struct vd_buf *fragment, size_t max, struct vd_err *err)
{
    size_t bytes = voter->key.id_len + el_vote_bytes(record->value_len, fragment);

    if (bytes > max) {
        return vd_fail(
            err, VD_INVALID,
            "its vote would have %zu bytes; client.message.max.bytes leaves room for %zu", bytes,
            max);
    }
    return VD_OK;
}
