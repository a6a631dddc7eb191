/* Records of the published topics, parsed and taken into the picture. */
#include "feed.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

struct feed_form {
    enum picture_table table;
    const char *group; /* member that names the row */
    const char *total; /* member that holds the absolute total */
};

static const struct feed_form forms[FEED_SOURCES] = {
    [FEED_CANDIDATES] = {PICTURE_CANDIDATE, "candidate_id", NULL},
    [FEED_CANDIDATE] = {PICTURE_CANDIDATE, "candidate_id", "total_votes"},
    [FEED_STATE] = {PICTURE_STATE, "state", "count"},
    [FEED_AGE] = {PICTURE_AGE, "registered_age", "total_votes"},
    [FEED_AGE_GROUP] = {PICTURE_AGE_GROUP, "age_group", "total_votes"},
    [FEED_GENDER] = {PICTURE_GENDER, "gender", "total_votes"},
    [FEED_PARTY] = {PICTURE_PARTY, "party_affiliation", "total_votes"},
    [FEED_CITY] = {PICTURE_CITY, "city", "total_votes"},
    [FEED_STATE_CANDIDATE] = {PICTURE_STATE_CANDIDATE, "state", "total_votes"},
};

/* A whole number from 0 to 2^53 - 1: those are exact in a double. */
static enum vd_status get_count(const cJSON *json, const char *member, int64_t *count,
                                struct vd_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, member);

    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
        item->valuedouble > (double)PICTURE_INT_MAX ||
        floor(item->valuedouble) != item->valuedouble) {
        return vd_fail(err, VD_INVALID, "field \"%s\": expected a whole number from 0", member);
    }
    *count = (int64_t)item->valuedouble;
    return VD_OK;
}

/* The group as text, appended to 'key'. */
static enum vd_status get_group(const cJSON *json, const char *member, struct vd_buf *key,
                                struct vd_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, member);
    int64_t number = 0;

    if (item == NULL || cJSON_IsNull(item)) {
        vd_buf_add_text(key, FEED_UNKNOWN);
        return VD_OK;
    }
    if (cJSON_IsString(item)) {
        vd_buf_add_text(key, item->valuestring[0] != '\0' ? item->valuestring : FEED_UNKNOWN);
        return VD_OK;
    }
    if (get_count(json, member, &number, err) != VD_OK) {
        return vd_fail(err, VD_INVALID, "field \"%s\": expected a string or a whole number",
                       member);
    }
    vd_buf_add_int(key, number);
    return VD_OK;
}

static void take_text(struct picture *picture, enum picture_table table, uint32_t row, size_t text,
                      const cJSON *json)
{
    const char *member = picture_shapes[table].texts[text];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, member);

    if (cJSON_IsString(item)) {
        picture_set_text(picture, table, row, text, item->valuestring);
    }
}

static void take_texts(struct picture *picture, enum picture_table table, uint32_t row,
                       const cJSON *json)
{
    if (table == PICTURE_CANDIDATE) {
        take_text(picture, table, row, TEXT_NAME, json);
        take_text(picture, table, row, TEXT_PARTY, json);
        take_text(picture, table, row, TEXT_PHOTO, json);
    } else if (table == PICTURE_STATE_CANDIDATE) {
        take_text(picture, table, row, 1, json);
        take_text(picture, table, row, 2, json);
    }
}

static void move_on(int64_t *time_ms, int64_t to_ms)
{
    *time_ms = to_ms > *time_ms ? to_ms : *time_ms;
}

/* One published total. */
struct total {
    int64_t votes;
    int64_t sequence;   /* PICTURE_NO_SEQUENCE: another program's */
    int64_t news_ms;    /* when it was news */
    int64_t written_ms; /* by the one who counted */
};

static void take_total(struct picture *picture, enum picture_table table, uint32_t row,
                       const struct total *total)
{
    struct picture_about *about = &picture->about;

    move_on(&about->received_ms, total->news_ms);
    if (picture_count(picture, table, row, total->votes, total->sequence)) {
        move_on(&about->changed_ms, total->news_ms);
        move_on(&about->as_of_ms,
                total->written_ms < total->news_ms ? total->written_ms : total->news_ms);
    }
}

/* The row's key: its group, of a state's candidate "STATE/CANDIDATE". */
static enum vd_status get_key(const cJSON *json, enum feed_source source, struct vd_buf *key,
                              struct vd_err *err)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "candidate_id");
    bool has_id = cJSON_IsString(id) && id->valuestring[0] != '\0';

    if (forms[source].table == PICTURE_CANDIDATE && !has_id) {
        return vd_fail(err, VD_INVALID, "field \"candidate_id\": expected a string");
    }
    if (get_group(json, forms[source].group, key, err) != VD_OK) {
        return err->status;
    }
    if (source == FEED_STATE_CANDIDATE) {
        if (!has_id) {
            return vd_fail(err, VD_INVALID, "field \"candidate_id\": expected a string");
        }
        vd_buf_add_char(key, '/');
        vd_buf_add_text(key, id->valuestring);
    }
    return VD_OK;
}

enum vd_status feed_take(struct picture *picture, enum feed_source source,
                         const struct vd_record *record, int64_t news_ms, struct vd_err *err)
{
    const struct feed_form *form = &forms[source];
    VD_AUTO(buf) struct vd_buf key = {0};
    VD_AUTO(cjson) cJSON *json = NULL;
    struct total total = {
        .sequence = PICTURE_NO_SEQUENCE, .news_ms = news_ms, .written_ms = record->timestamp_ms};
    uint32_t row = PICTURE_NONE;

    if (record->value == NULL) {
        return VD_OK;
    }
    json = cJSON_ParseWithLength(record->value, record->value_len);
    if (!cJSON_IsObject(json)) {
        return vd_fail(err, VD_INVALID, "expected a JSON object");
    }
    if (get_key(json, source, &key, err) != VD_OK) {
        return err->status;
    }
    if (form->total != NULL && get_count(json, form->total, &total.votes, err) != VD_OK) {
        return err->status;
    }
    if (form->total != NULL && cJSON_HasObjectItem(json, "sequence") &&
        get_count(json, "sequence", &total.sequence, err) != VD_OK) {
        return err->status;
    }
    row = picture_row(picture, form->table, key.data, key.len);
    if (row == PICTURE_NONE) {
        return VD_OK; /* counted by the picture */
    }
    take_texts(picture, form->table, row, json);
    if (form->total != NULL) {
        take_total(picture, form->table, row, &total);
    }
    return VD_OK;
}
