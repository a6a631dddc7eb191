/* Takeover of a partition: what its last owner counted, read from the partials (exactly-once
 * protocol, 6.3), and the partials' way into the merge. */
#include "aggregation.h"

#include <string.h>

#include "partial.h"
#include "rebuild.h"

struct part *agg_part_get(struct aggregation *aggregation, int32_t partition)
{
    size_t wanted = (size_t)partition + 1;

    if (wanted > aggregation->part_count) {
        aggregation->parts = vd_realloc(aggregation->parts, wanted * sizeof(struct part));
        memset(&aggregation->parts[aggregation->part_count], 0,
               (wanted - aggregation->part_count) * sizeof(struct part));
        aggregation->part_count = wanted;
    }
    return &aggregation->parts[partition];
}

/* ---- the partials' table ------------------------------------------------------------------- */

/* A record of it, read. */
struct partial {
    struct agg_partial_key key;
    size_t group; /* of a TOTAL */
    struct agg_total total;
    struct agg_meta meta;
};

static enum vd_status check_fit(const struct vd_record *record, struct partial *partial,
                                struct vd_err *err)
{
    const struct agg_group *group = NULL;

    if (partial->key.partition != record->partition) {
        return vd_fail(err, VD_INVALID, "it is about partition %d", partial->key.partition);
    }
    if (partial->key.kind != AGG_TOTAL) {
        return VD_OK;
    }
    partial->group = agg_group_find(partial->key.dimension, partial->key.dimension_len);
    if (partial->group == AGG_GROUP_COUNT) {
        return vd_fail(err, VD_INVALID, "no group-by \"%.*s\"", (int)partial->key.dimension_len,
                       partial->key.dimension);
    }
    group = &agg_groups[partial->group];
    if (!agg_texts_fit(group, true, partial->key.keys, partial->key.keys_len) ||
        (record->value != NULL &&
         !agg_texts_fit(group, false, partial->total.attributes, partial->total.attributes_len))) {
        return vd_fail(err, VD_INVALID, "other members than group-by \"%s\" has", group->name);
    }
    return VD_OK;
}

static enum vd_status parse_partial(const struct vd_record *record, struct partial *partial,
                                    struct vd_err *err)
{
    enum vd_status status = VD_OK;

    *partial = (struct partial){0};
    if (record->key == NULL) {
        return vd_fail(err, VD_INVALID, "no key");
    }
    status = agg_partial_key_parse(record->key, record->key_len, &partial->key, err);
    if (status == VD_OK && partial->key.kind == AGG_TOTAL && record->value != NULL) {
        status = agg_total_parse(record->value, record->value_len, &partial->total, err);
    } else if (status == VD_OK && partial->key.kind == AGG_META) {
        status = record->value == NULL
                     ? vd_fail(err, VD_INVALID, "a deleted META")
                     : agg_meta_parse(record->value, record->value_len, &partial->meta, err);
    }
    return status == VD_OK ? check_fit(record, partial, err) : status;
}

#define RUN_THE_SAME "%s[%d] offset %lld: %s: run the same version on all nodes"

/* A newer version's record. META is its partition's alone: the totals beside it can be read and
 * merged, and without its rebuild number none of them passes for newer than what is published. But
 * a total that cannot be read is missing in the results of all. */
static void stop_for_newer(struct aggregation *aggregation, const struct vd_record *record,
                           enum agg_partial_kind kind, const struct vd_err *err)
{
    const char *topic = vd_stage_output_topic(aggregation->stage, PORT_PARTIALS);

    if (kind == AGG_META) {
        vd_stage_stop_partition(aggregation->stage, record->partition, RUN_THE_SAME, topic,
                                record->partition, (long long)record->offset, err->msg);
        agg_tally_free(vd_take(agg_part_get(aggregation, record->partition)->tally));
    } else {
        vd_stage_halt(aggregation->stage, RUN_THE_SAME, topic, record->partition,
                      (long long)record->offset, err->msg);
    }
}

/* Its owner stops for it. Here it is no stranger's record among others: it says what to do. */
static void tell_newer(struct aggregation *aggregation, const struct vd_record *record,
                       const struct vd_err *err)
{
    struct part *part = agg_part_get(aggregation, record->partition);

    vd_metric_add(aggregation->ignored, 1);
    if (!part->has_newer) {
        part->has_newer = true;
        vd_warn(vd_stage_log(aggregation->stage),
                RUN_THE_SAME "; its owner does not count the partition",
                vd_stage_output_topic(aggregation->stage, PORT_PARTIALS), record->partition,
                (long long)record->offset, err->msg);
    }
}

/* A record that is none of ours counts nothing; the sums tell at the takeover if one is missing. */
static void ignore(struct aggregation *aggregation, const struct vd_record *record,
                   const struct vd_err *err)
{
    const char *topic = vd_stage_output_topic(aggregation->stage, PORT_PARTIALS);

    vd_metric_add(aggregation->ignored, 1);
    if (!aggregation->has_ignored) {
        aggregation->has_ignored = true; /* the metric counts the others */
        vd_warn(vd_stage_log(aggregation->stage),
                "%s[%d] offset %lld: %s; ignored this record and those like it", topic,
                record->partition, (long long)record->offset, err->msg);
    }
}

/* Looked at where results come in, so a round may pass the limit by what it holds, and no more. */
void agg_takeover_check_results(struct aggregation *aggregation)
{
    const struct agg_merge *merge = aggregation->merge;

    if (agg_merge_results(merge) > (size_t)aggregation->results_max) {
        vd_stage_halt(
            aggregation->stage,
            "option \"results_max\": more than %lld results, most of them by \"%s\": find "
            "out who writes so many different values, or raise it on every node",
            (long long)aggregation->results_max, agg_groups[agg_merge_largest_group(merge)].name);
    }
}

/* Ours come one by one; were it another's, there would be nothing to compare it with. */
static void take_echo(struct aggregation *aggregation, int32_t partition, uint64_t commits)
{
    struct part *part = agg_part_get(aggregation, partition);

    if (part->tally != NULL && commits > part->highest + 1) {
        part->lost = part->highest + 1;
    }
    part->highest = commits > part->highest ? commits : part->highest;
    part->echoed = commits;
    part->echoed_ms = vd_loop_now_ms(vd_stage_loop(aggregation->stage));
}

static void on_partial(void *arg, const struct vd_record *record)
{
    struct aggregation *aggregation = arg;
    struct partial partial = {0};
    struct vd_err err = {0};
    enum vd_status status = parse_partial(record, &partial, &err);

    if (status == VD_FAILED && partial.key.kind == AGG_META &&
        !vd_stage_owns(aggregation->stage, record->partition)) {
        tell_newer(aggregation, record, &err);
    } else if (status == VD_FAILED) {
        stop_for_newer(aggregation, record, partial.key.kind, &err);
    } else if (status != VD_OK) {
        ignore(aggregation, record, &err);
    } else if (partial.key.kind == AGG_META) {
        agg_merge_set_rebuilds(aggregation->merge, record->partition, partial.meta.rebuilds);
        take_echo(aggregation, record->partition, partial.meta.commits);
        agg_watermark_put(aggregation->watermark, record->partition, &partial.meta);
    } else {
        agg_merge_put(aggregation->merge, partial.group, &partial.key, &partial.total);
        agg_takeover_check_results(aggregation);
    }
}

/* ---- takeover ------------------------------------------------------------------------------ */

/* A tally of all that the table holds of the partition; NULL if a newer version has counted it: the
 * question is answered. */
static struct agg_tally *load(struct aggregation *aggregation, struct vd_assign *assign)
{
    int32_t partition = vd_assign_partition(assign);
    struct vd_table *table = vd_stage_table(aggregation->stage, PORT_PARTIALS);
    struct agg_tally *tally = agg_tally_new(partition);
    struct vd_record row = {0};
    struct partial partial = {0};
    struct vd_err err = {0};
    size_t at = vd_table_walk_at(partition);

    while (vd_table_next(table, &at, &row) && row.partition == partition) {
        enum vd_status status = parse_partial(&row, &partial, &err);

        if (status == VD_FAILED && partial.key.kind == AGG_META) {
            vd_assign_stop(assign, RUN_THE_SAME,
                           vd_stage_output_topic(aggregation->stage, PORT_PARTIALS), partition,
                           (long long)row.offset, err.msg);
            agg_tally_free(tally);
            return NULL;
        }
        if (status != VD_OK) {
            continue; /* told when it came in */
        }
        if (partial.key.kind == AGG_META) {
            agg_tally_load_meta(tally, &partial.meta);
        } else {
            agg_tally_load(tally, partial.group, &partial.key, &partial.total);
        }
    }
    return tally;
}

/* Count the partition anew if its sums do not fit (6.6), the option says so, or a replay asks: that
 * stays due until the recount's end, since another partition's may begin all takeovers again. */
static void check_counts(struct aggregation *aggregation, struct agg_tally *tally,
                         int32_t partition)
{
    struct vd_log *log = vd_stage_log(aggregation->stage);
    const struct agg_meta *meta = agg_tally_base(tally);
    bool is_due = agg_part_get(aggregation, partition)->is_recount_due;
    struct vd_err err = {0};
    uint32_t wanted = 0;

    if (agg_tally_check(tally, &err) != VD_OK) {
        vd_error(log,
                 "%s: %s: records were lost or changed, or the group-by is new; counting it anew",
                 vd_stage_output_topic(aggregation->stage, PORT_PARTIALS), err.msg);
    } else {
        (void)!agg_rebuild_wanted(aggregation->rebuild, partition, &wanted, NULL); /* checked */
        if (wanted <= meta->rebuilds && !is_due) {
            return;
        }
        vd_info(log, "partition %d: counting all votes anew, %llu counted before", partition,
                (unsigned long long)meta->votes);
    }
    agg_tally_recount(tally);
    vd_metric_add(aggregation->recounts, 1);
}

/* Can the partition be read from there? If not, it is stopped; a recount may still mend it. */
static bool check_start(const struct aggregation *aggregation, struct vd_assign *assign,
                        const struct agg_tally *tally, int64_t start)
{
    const char *topic = vd_stage_input_topic(aggregation->stage, INPUT_VOTES);
    int32_t partition = vd_assign_partition(assign);
    long long begin = vd_assign_begin(assign);
    long long end = vd_assign_end(assign);

    if (agg_tally_recount_end(tally) != VD_NO_OFFSET && begin > 0) {
        vd_assign_stop(assign,
                       "%s[%d]: cannot be counted anew: it begins at offset %lld, the votes before "
                       "that are gone; bring them back, and keep retention_ms = -1",
                       topic, partition, begin);
        return false;
    }
    if (start != VD_NO_OFFSET && (start < begin || start > end)) {
        vd_assign_stop(assign,
                       "%s[%d]: was counted up to offset %lld, but goes from %lld to %lld: it was "
                       "truncated or recreated; when its votes were emitted again, start this node "
                       "with \"rebuild = %d:%u\" in [stage:%s]",
                       topic, partition, (long long)start, begin, end, partition,
                       agg_tally_base(tally)->rebuilds + 1, vd_stage_name(aggregation->stage));
        return false;
    }
    return true;
}

/* The last offset whose record has its letter, if it needs one: in a recount no second one is
 * written. Partials are not emitted below it, since the first ones come after the recount's end; a
 * topic that is shorter now may have got other records behind its end. */
static int64_t set_aside_before(const struct vd_assign *assign, const struct agg_tally *tally)
{
    int64_t recount_end = agg_tally_recount_end(tally);
    int64_t end = vd_assign_end(assign);

    return (end < recount_end ? end : recount_end) - 1;
}

/* Load what was counted, and count on from there. */
static void take_over(struct aggregation *aggregation, struct vd_assign *assign)
{
    int32_t partition = vd_assign_partition(assign);
    struct part *part = agg_part_get(aggregation, partition);
    int64_t committed = vd_assign_committed(assign);
    const struct agg_meta *meta = NULL;
    int64_t start = VD_NO_OFFSET;
    int64_t last = VD_NO_OFFSET;

    agg_tally_free(part->tally);
    part->tally = load(aggregation, assign);
    if (part->tally == NULL) {
        return;
    }
    meta = agg_tally_base(part->tally);
    part->echoed = meta->commits;
    part->highest = meta->commits;
    part->lost = 0;
    part->active_ms = vd_loop_now_ms(vd_stage_loop(aggregation->stage));
    start = meta->commits > 0 ? meta->next_offset : VD_NO_OFFSET;
    if (committed != start) {
        vd_info(vd_stage_log(aggregation->stage),
                "partition %d: the partials stand at offset %lld, the group at %lld; counting on "
                "from the partials",
                partition, (long long)start, (long long)committed);
    }
    check_counts(aggregation, part->tally, partition);
    if (agg_tally_recount_end(part->tally) != VD_NO_OFFSET) {
        start = 0;
        last = set_aside_before(assign, part->tally);
    }
    if (check_start(aggregation, assign, part->tally, start)) {
        vd_assign_start(assign, start, last);
    } else {
        agg_tally_free(vd_take(part->tally));
    }
}

static void answer(struct question *question)
{
    struct aggregation *aggregation = question->aggregation;
    struct vd_assign *assign = vd_take(question->assign);
    int32_t partition = vd_assign_partition(assign);

    if (vd_assign_is_current(assign) &&
        agg_part_get(aggregation, partition)->asked == question->number) {
        take_over(aggregation, assign);
    } else { /* revoked: the table may stand in the middle of what its new owner writes */
        vd_assign_start(assign, VD_NO_OFFSET, VD_NO_OFFSET);
    }
}

static void drop_question(struct question *question)
{
    struct question **at = &question->aggregation->questions;

    while (*at != question) {
        at = &(*at)->next;
    }
    *at = question->next;
    free(question);
}

static void on_synced(void *arg)
{
    struct question *question = arg;

    answer(question);
    drop_question(question);
}

void agg_takeover_assign(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    struct aggregation *aggregation = state;
    struct question *question = vd_alloc(sizeof(*question));

    question->aggregation = aggregation;
    question->assign = assign;
    question->number = ++aggregation->question_count;
    question->next = aggregation->questions;
    aggregation->questions = question;
    agg_part_get(aggregation, vd_assign_partition(assign))->asked = question->number;
    vd_table_sync(vd_stage_table(stage, PORT_PARTIALS), on_synced, question);
}

void agg_takeover_revoke(struct vd_stage *stage, void *state, int32_t partition)
{
    struct aggregation *aggregation = state;
    struct part *part = agg_part_get(aggregation, partition);

    (void)stage;
    agg_tally_free(vd_take(part->tally));
}

void agg_takeover_watch(struct aggregation *aggregation)
{
    vd_table_watch(vd_stage_table(aggregation->stage, PORT_PARTIALS), on_partial, aggregation);
}

void agg_takeover_fini(struct aggregation *aggregation)
{
    while (aggregation->questions != NULL) {
        struct question *question = aggregation->questions;

        vd_assign_start(question->assign, VD_NO_OFFSET, VD_NO_OFFSET); /* without effect by now */
        drop_question(question);
    }
}
