/* Records of the published topics, parsed and taken into the picture. */
#include "feed.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

#define SEQUENCE "sequence"

static const char *const totals[] = {"total_votes", "count"};

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

/* One published total. */
struct total {
    int64_t votes;
    int64_t sequence; /* PICTURE_NO_SEQUENCE: another program's */
    int64_t now_ms;   /* when it came */
    int64_t event_ms; /* of the newest vote in it, as the one who counted says */
};

static bool has(const cJSON *json, const char *member)
{
    return cJSON_GetObjectItemCaseSensitive(json, member) != NULL;
}

static enum vd_status get_total(const cJSON *json, struct total *total, struct vd_err *err)
{
    const char *member = has(json, totals[0]) ? totals[0] : totals[1];

    if (!has(json, member)) {
        return vd_fail(err, VD_INVALID, "expected a field \"%s\" or \"%s\"", totals[0], totals[1]);
    }
    if (get_count(json, member, &total->votes, err) != VD_OK) {
        return err->status;
    }
    return has(json, SEQUENCE) ? get_count(json, SEQUENCE, &total->sequence, err) : VD_OK;
}

static void move_on(int64_t *time_ms, int64_t to_ms)
{
    *time_ms = to_ms > *time_ms ? to_ms : *time_ms;
}

static void take_total(const struct feed *feed, uint32_t row, const struct total *total)
{
    struct picture_about *about = &feed->picture->about;

    bool has_changed =
        picture_count(feed->picture, feed->table, row, total->votes, total->sequence);

    if (has_changed) {
        move_on(&about->as_of_ms, total->event_ms);
    }
    if (feed->is_live) { /* nobody knows when what is read back came for the first time */
        move_on(&about->received_ms, total->now_ms);
        move_on(&about->changed_ms, has_changed ? total->now_ms : 0);
    }
}

/* What the row now has is what it had from this record on. */
static void remember(const struct feed *feed, uint32_t row, const struct vd_record *record,
                     int64_t event_ms)
{
    const struct picture_row *held = &feed->picture->tables[feed->table].rows[row];

    if (feed->history == NULL) {
        return;
    }
    history_take(feed->history, &(struct history_total){.table = feed->table,
                                                        .row = row,
                                                        .total = held->pending[COLUMN_VOTES],
                                                        .event_ms = event_ms,
                                                        .partition = record->partition,
                                                        .offset = record->offset,
                                                        .is_live = feed->is_live});
}

/* What tells the row: "" is a key too, that of a group that is not known. */
struct key {
    const char *text;
    size_t len;
};

static enum vd_status get_key(const struct feed *feed, const cJSON *json,
                              const struct vd_record *record, struct key *key, struct vd_err *err)
{
    const char *member = feed->picture->tables[feed->table].texts[0];
    const cJSON *item = NULL;

    if (feed->source >= FEED_AGGREGATE) {
        *key = (struct key){record->key, record->key_len};
        return VD_OK;
    }
    item = cJSON_GetObjectItemCaseSensitive(json, member);
    key->text = cJSON_IsString(item) ? item->valuestring : "";
    if (feed->source == FEED_STATE && *key->text == '\0' &&
        (item == NULL || cJSON_IsNull(item) || cJSON_IsString(item))) {
        key->text = FEED_UNKNOWN;
    }
    if (*key->text == '\0') {
        return vd_fail(err, VD_INVALID, "field \"%s\": expected a string", member);
    }
    key->len = strlen(key->text);
    return VD_OK;
}

/* A member of an aggregate's record: text, whole number, or null. */
static void take_member(const struct feed *feed, uint32_t row, const cJSON *item)
{
    bool is_whole = cJSON_IsNumber(item) && floor(item->valuedouble) == item->valuedouble &&
                    fabs(item->valuedouble) <= (double)PICTURE_INT_MAX;
    VD_AUTO(buf) struct vd_buf digits = {0};
    const char *value = NULL;
    size_t text = 0;

    if (strcmp(item->string, totals[0]) == 0 || strcmp(item->string, totals[1]) == 0 ||
        strcmp(item->string, SEQUENCE) == 0) {
        return;
    }
    if (is_whole) {
        vd_buf_add_int(&digits, (int64_t)item->valuedouble);
        value = vd_buf_text(&digits);
    } else if (cJSON_IsString(item)) {
        value = item->valuestring;
    } else if (!cJSON_IsNull(item)) {
        return;
    }
    text = picture_text(feed->picture, feed->table, item->string);
    if (text != PICTURE_NONE) {
        picture_set_text(feed->picture, feed->table, row, text, value);
    }
}

/* The texts of a candidate or a state; one that is missing leaves what was said before. */
static void take_known(const struct feed *feed, uint32_t row, const cJSON *json)
{
    const struct picture_table *table = &feed->picture->tables[feed->table];

    for (size_t text = 1; text < table->text_count; text++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, table->texts[text]);

        if (cJSON_IsString(item)) {
            picture_set_text(feed->picture, feed->table, row, text, item->valuestring);
        }
    }
}

static void take_texts(const struct feed *feed, uint32_t row, const cJSON *json)
{
    const cJSON *item = NULL;

    if (feed->source < FEED_AGGREGATE) {
        take_known(feed, row, json);
        return;
    }
    cJSON_ArrayForEach(item, json)
    {
        take_member(feed, row, item);
    }
}

enum vd_status feed_take(const struct feed *feed, const struct vd_record *record, int64_t now_ms,
                         struct vd_err *err)
{
    VD_AUTO(cjson) cJSON *json = NULL;
    struct key key = {0};
    bool has_time = record->timestamp_ms > 0 && record->timestamp_ms < now_ms;
    struct total total = {.sequence = PICTURE_NO_SEQUENCE,
                          .now_ms = now_ms,
                          .event_ms = has_time ? record->timestamp_ms : now_ms};
    uint32_t row = PICTURE_NONE;

    if (record->value == NULL) {
        return VD_OK;
    }
    json = cJSON_ParseWithLength(record->value, record->value_len);
    if (!cJSON_IsObject(json)) {
        return vd_fail(err, VD_INVALID, "expected a JSON object");
    }
    if (get_key(feed, json, record, &key, err) != VD_OK ||
        (feed->source != FEED_NAMES && get_total(json, &total, err) != VD_OK)) {
        return err->status;
    }
    row = picture_row(feed->picture, feed->table, key.text, key.len);
    if (row == PICTURE_NONE) {
        return VD_OK; /* counted by the picture */
    }
    take_texts(feed, row, json);
    if (feed->source != FEED_NAMES) {
        take_total(feed, row, &total);
        remember(feed, row, record, total.event_ms);
    }
    return VD_OK;
}
