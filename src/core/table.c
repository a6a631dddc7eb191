/* Rows of a table, by partition and key, and those who wait for them. */
#include "table.h"

#include <assert.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "metric.h"
#include "table_inside.h"

#define AT_BITS 40 /* of a walk's place: the slot; above them the partition */

struct vd_table_row {
    int64_t offset, timestamp_ms;
    struct vd_position position;
    bool has_position;
    uint32_t round;
    size_t value_len, value_cap;
    char value[];
};

struct vd_table *vd_table_new(struct vd_follower *follower, const char *topic,
                              struct vd_metrics *metrics)
{
    struct vd_table *table = vd_alloc(sizeof(*table));
    char *labels = vd_format("topic=\"%s\"", topic);

    table->follower = follower;
    table->topic = vd_strdup(topic);
    table->rows_metric =
        vd_metric_get(metrics, VD_GAUGE, "votingd_table_rows", labels, "rows of a table in memory");
    table->bytes_metric = vd_metric_get(metrics, VD_GAUGE, "votingd_table_bytes", labels,
                                        "bytes of keys and values of a table in memory");
    table->records = vd_metric_get(metrics, VD_COUNTER, "votingd_table_records_total", labels,
                                   "records of a table's topic that were read");
    table->keyless = vd_metric_get(metrics, VD_COUNTER, "votingd_table_keyless_total", labels,
                                   "records of a table's topic left out for want of a key");
    table->rereads = vd_metric_get(metrics, VD_COUNTER, "votingd_table_rereads_total", labels,
                                   "partitions of a table read anew because offsets were gone");
    free(labels);
    return table;
}

void vd_table_free(struct vd_table *table)
{
    if (table == NULL) {
        return;
    }
    assert(table->rkt == NULL);
    for (int32_t i = 0; i < table->part_count; i++) {
        vd_map_fini(&table->parts[i].rows, free);
    }
    while (table->wishes != NULL) {
        struct vd_table_wish *wish = table->wishes;

        table->wishes = wish->next;
        free(wish->ends);
        free(wish);
    }
    free(table->parts);
    free(table->watches);
    free(table->topic);
    free(table);
}

void vd_table_start(struct vd_table *table, int32_t partitions)
{
    assert(table->part_count == 0 && partitions > 0);
    table->parts = vd_alloc_array((size_t)partitions, sizeof(*table->parts));
    table->part_count = partitions;
    for (int32_t i = 0; i < partitions; i++) {
        table->parts[i].position = VD_NO_OFFSET;
    }
    vd_table_sync(table, NULL, NULL);
}

/* ---- reading --------------------------------------------------------------------------------- */

void vd_table_watch(struct vd_table *table, vd_table_change_fn *on_change, void *arg)
{
    table->watches = vd_realloc(table->watches, (table->watch_count + 1) * sizeof(*table->watches));
    table->watches[table->watch_count++] =
        (struct vd_table_watch){.on_change = on_change, .arg = arg};
}

const char *vd_table_get_at(const struct vd_table *table, int32_t partition, const void *key,
                            size_t key_len, size_t *value_len)
{
    const struct vd_table_row *row;

    if (partition < 0 || partition >= table->part_count) {
        return NULL;
    }
    row = vd_map_find(&table->parts[partition].rows, key, key_len);
    if (row == NULL) {
        return NULL;
    }
    *value_len = row->value_len;
    return row->value;
}

const char *vd_table_get(const struct vd_table *table, const void *key, size_t key_len,
                         size_t *value_len)
{
    const int32_t home =
        table->part_count > 0 ? vd_partition_of(key, key_len, table->part_count) : 0;
    const char *value = vd_table_get_at(table, home, key, key_len, value_len);

    for (int32_t i = 0; i < table->part_count && value == NULL; i++) {
        value = vd_table_get_at(table, i, key, key_len, value_len);
    }
    return value;
}

bool vd_table_next(const struct vd_table *table, size_t *at, struct vd_record *row)
{
    const size_t mask = ((size_t)1 << AT_BITS) - 1;

    for (size_t part = *at >> AT_BITS; part < (size_t)table->part_count; part++) {
        size_t place = part == *at >> AT_BITS ? *at & mask : 0;
        const struct vd_map_slot *slot = vd_map_next(&table->parts[part].rows, &place);
        const struct vd_table_row *found;

        if (slot == NULL) {
            continue;
        }
        found = slot->value;
        *row = (struct vd_record){.key = slot->key,
                                  .key_len = slot->key_len,
                                  .value = found->value,
                                  .value_len = found->value_len,
                                  .partition = (int32_t)part,
                                  .offset = found->offset,
                                  .timestamp_ms = found->timestamp_ms,
                                  .has_position = found->has_position,
                                  .position = found->position};
        *at = part << AT_BITS | place;
        return true;
    }
    *at = (size_t)table->part_count << AT_BITS;
    return false;
}

size_t vd_table_walk_at(int32_t partition)
{
    return (size_t)partition << AT_BITS;
}

size_t vd_table_rows(const struct vd_table *table)
{
    return table->rows;
}

int32_t vd_table_partitions(const struct vd_table *table)
{
    return table->part_count;
}

bool vd_table_is_current(const struct vd_table *table)
{
    return table->is_current;
}

/* ---- records --------------------------------------------------------------------------------- */

static void tell(const struct vd_table *table, const struct vd_record *record)
{
    for (size_t i = 0; i < table->watch_count; i++) {
        table->watches[i].on_change(table->watches[i].arg, record);
    }
}

static void show_size(const struct vd_table *table)
{
    vd_metric_set(table->rows_metric, (int64_t)table->rows);
    vd_metric_set(table->bytes_metric, (int64_t)table->bytes);
}

static void remove_row(struct vd_table *table, struct vd_table_part *part, const char *key,
                       size_t key_len)
{
    struct vd_table_row *row = vd_map_remove(&part->rows, key, key_len);

    if (row != NULL) {
        table->rows--;
        table->bytes -= key_len + row->value_len;
        free(row);
    }
}

static void put_row(struct vd_table *table, struct vd_table_part *part,
                    const struct vd_record *record)
{
    struct vd_table_row *row = vd_map_find(&part->rows, record->key, record->key_len);

    if (row == NULL) {
        table->rows++;
        table->bytes += record->key_len;
    } else {
        table->bytes -= row->value_len;
    }
    if (row == NULL || row->value_cap < record->value_len) {
        row = vd_alloc(sizeof(*row) + record->value_len + 1);
        row->value_cap = record->value_len;
        free(vd_map_put(&part->rows, record->key, record->key_len, row));
    }
    if (record->value_len > 0) {
        memcpy(row->value, record->value, record->value_len);
    }
    row->value_len = record->value_len;
    row->offset = record->offset;
    row->timestamp_ms = record->timestamp_ms;
    row->has_position = record->has_position;
    row->position = record->position;
    row->round = part->round;
    table->bytes += record->value_len;
}

void vd_table_apply(struct vd_table *table, const struct vd_record *record)
{
    struct vd_table_part *part = &table->parts[record->partition];

    vd_metric_add(table->records, 1);
    if (record->key == NULL) {
        vd_metric_add(table->keyless, 1);
    } else {
        if (record->value == NULL) {
            remove_row(table, part, record->key, record->key_len);
        } else {
            put_row(table, part, record);
        }
        show_size(table);
        tell(table, record);
    }
    part->position = record->offset + 1;
    table->has_moved = true;
}

/* Take out the rows that a re-reading did not bring again, as if tombstones had been read. */
static void sweep(struct vd_table *table, int32_t partition)
{
    struct vd_table_part *part = &table->parts[partition];
    struct vd_record *gone = vd_alloc_array(part->rows.count + 1, sizeof(*gone));
    const struct vd_map_slot *slot;
    size_t count = 0;
    size_t at = 0;

    while ((slot = vd_map_next(&part->rows, &at)) != NULL) {
        const struct vd_table_row *row = slot->value;

        if (row->round != part->round) {
            gone[count++] = (struct vd_record){.key = vd_memdup(slot->key, slot->key_len),
                                               .key_len = slot->key_len,
                                               .partition = partition,
                                               .offset = row->offset,
                                               .timestamp_ms = row->timestamp_ms};
        }
    }
    for (size_t i = 0; i < count; i++) {
        remove_row(table, part, gone[i].key, gone[i].key_len);
        tell(table, &gone[i]);
        free((char *)(uintptr_t)gone[i].key);
    }
    free(gone);
    show_size(table);
}

void vd_table_reach(struct vd_table *table, int32_t partition, int64_t position)
{
    struct vd_table_part *part = &table->parts[partition];

    if (part->is_rereading) {
        part->is_rereading = false;
        sweep(table, partition);
    }
    part->position = position;
    table->has_moved = true;
}

void vd_table_reread(struct vd_table *table, int32_t partition)
{
    struct vd_table_part *part = &table->parts[partition];

    vd_metric_add(table->rereads, 1);
    part->round++;
    part->is_rereading = true;
    part->position = VD_NO_OFFSET;
    /* The ends known so far, or on their way, may be those of a topic that is no more. */
    for (struct vd_table_wish *wish = table->wishes; wish != NULL; wish = wish->next) {
        free(vd_take(wish->ends));
        wish->is_asked = false;
    }
    if (table->wishes != NULL) {
        vd_follower_ask(table->follower, table);
    }
}

/* ---- wishes ---------------------------------------------------------------------------------- */

void vd_table_sync(struct vd_table *table, vd_table_synced_fn *on_synced, void *arg)
{
    struct vd_table_wish **end = &table->wishes;
    struct vd_table_wish *wish = vd_alloc(sizeof(*wish));

    while (*end != NULL) {
        end = &(*end)->next;
    }
    wish->on_synced = on_synced;
    wish->arg = arg;
    *end = wish;
    if (table->part_count > 0) { /* otherwise vd_table_start asks */
        vd_follower_ask(table->follower, table);
    }
}

void vd_table_answer(struct vd_table *table, const int64_t *ends)
{
    for (struct vd_table_wish *wish = table->wishes; wish != NULL; wish = wish->next) {
        if (wish->is_asked) {
            wish->is_asked = false;
            wish->ends = vd_memdup(ends, (size_t)table->part_count * sizeof(*ends));
        }
    }
    table->has_moved = true;
}

static bool is_fulfilled(const struct vd_table *table, const struct vd_table_wish *wish)
{
    if (wish->ends == NULL) {
        return false;
    }
    for (int32_t i = 0; i < table->part_count; i++) {
        if (table->parts[i].position < wish->ends[i]) {
            return false;
        }
    }
    return true;
}

void vd_table_settle(struct vd_table *table)
{
    struct vd_table_wish *fulfilled = NULL;
    struct vd_table_wish **last = &fulfilled;
    struct vd_table_wish **at = &table->wishes;

    table->has_moved = false;
    while (*at != NULL) {
        struct vd_table_wish *wish = *at;

        if (!is_fulfilled(table, wish)) {
            at = &wish->next;
            continue;
        }
        *at = wish->next;
        wish->next = NULL;
        *last = wish;
        last = &wish->next;
    }
    while (fulfilled != NULL) { /* each may wish again, so the list is theirs no more */
        struct vd_table_wish *wish = fulfilled;

        fulfilled = wish->next;
        if (wish->on_synced == NULL) {
            table->is_current = true;
        } else {
            wish->on_synced(wish->arg);
        }
        free(wish->ends);
        free(wish);
    }
}
