/* The aggregation stage: votes become partial totals, one transaction an interval, and the totals
 * of all partitions become the public results (exactly-once protocol, 6). */
#include "aggregation.h"

#include <stdlib.h>

#include "aggregation/audit.h"
#include "partial.h"
#include "vote.h"

#define ECHO_MS 10000  /* our own META must have come back by then */
#define CHECK_MS 60000 /* between two checks of the sums */
#define PUBLISH_MAX 64 /* of one group in one round, and more where more wait */
#define PUBLISH_ALL (SIZE_MAX / 2)

static const struct vd_opt aggregation_opts[] = {
    VD_OPT(struct aggregation, publish_ms, .def = "100", .min = 20, .max = 5000,
           .help = "how often changed results are published, in milliseconds"),
    VD_OPT(struct aggregation, results_max, .def = "200000", .min = 100, .max = 100000000,
           .help = "results of all group-bys together, about 1 KiB of memory each; with more the "
                   "stage stops"),
    VD_OPT_END,
};

static const struct vd_port aggregation_inputs[] = {
    {.name = "votes", .help = "votes, JSON; of the voting stage or of any other program"},
    VD_PORT_END,
};

#define OUTPUT(name_, flags_, count, help_, ...) \
    {.name = #name_, .flags = VD_PORT_PLAIN | (flags_), .help = help_},
#define TABLE(name_, flags_, count, help_, ...) \
    {.name = #name_, .flags = (flags_), .help = "the same topic: what is published already"},

static const struct vd_port aggregation_outputs[] = {
    {.name = "partials", .flags = VD_PORT_COPARTITIONED, .help = "counts per partition, binary"},
    AGG_GROUPS(OUTPUT) VD_PORT_END,
};
static const struct vd_port aggregation_tables[] = {
    {.name = "partials", .help = "the same topic: the state, and what results are merged from"},
    AGG_GROUPS(TABLE) VD_PORT_END,
};

/* ---- a batch ------------------------------------------------------------------------------- */

static void halt_gap(struct aggregation *aggregation, const struct vd_record *record,
                     const struct agg_tally *tally)
{
    const struct vd_position *position = &record->position;
    struct agg_meta meta = agg_tally_meta(tally);

    vd_stage_halt(aggregation->stage,
                  "votes partition %d, offset %lld: comes from source offset %lld (generation %d), "
                  "after %lld, but the vote counted last is from %lld (as of offset %lld, "
                  "generation %d): votes between them are missing; they must be emitted again, or "
                  "all counted anew",
                  record->partition, (long long)record->offset, (long long)position->offset,
                  position->generation, (long long)position->previous, (long long)meta.last_offset,
                  (long long)meta.next_offset, meta.last_generation);
}

static void halt_foreign(struct aggregation *aggregation, const struct vd_record *record)
{
    vd_stage_halt(
        aggregation->stage,
        "votes partition %d, offset %lld: the vote of a voter in partition %d: both topics "
        "must have the same number of partitions, for good",
        record->partition, (long long)record->offset, record->position.partition);
}

static void count_vote(struct aggregation *aggregation, struct agg_tally *tally,
                       struct vd_batch *batch, size_t i)
{
    const struct vd_record *record = vd_batch_record(batch, i);
    struct agg_vote vote;
    struct vd_err err;

    if (agg_vote_parse(record->value, record->value_len, &aggregation->scratch, &vote, &err) ==
        VD_OK) {
        agg_tally_add(tally, &vote);
    } else {
        vd_batch_dead(batch, i, err.msg);
        vd_metric_add(aggregation->dead, 1);
    }
}

/* Count record 'i', or say why not; false if the stage was halted over it. */
static bool take_record(struct aggregation *aggregation, struct agg_tally *tally,
                        struct vd_batch *batch, size_t i)
{
    const struct vd_record *record = vd_batch_record(batch, i);

    switch (agg_tally_step(tally, record)) {
    case AGG_STEP_COUNT:
        count_vote(aggregation, tally, batch, i);
        return true;
    case AGG_STEP_SEEN:
        vd_metric_add(aggregation->seen, 1);
        return true;
    case AGG_STEP_REPEAT:
        vd_metric_add(aggregation->repeat, 1);
        return true;
    case AGG_STEP_STALE:
        vd_metric_add(aggregation->stale, 1);
        vd_error(vd_stage_log(aggregation->stage),
                 "votes partition %d, offset %lld: generation %d of the voters is over; dropped",
                 record->partition, (long long)record->offset, record->position.generation);
        return true;
    case AGG_STEP_GAP:
        halt_gap(aggregation, record, tally);
        return false;
    case AGG_STEP_FOREIGN:
        halt_foreign(aggregation, record);
        return false;
    }
    return false;
}

struct emission {
    struct aggregation *aggregation;
    struct vd_batch *batch;
    size_t source;
};

static void emit(const struct emission *emission)
{
    struct aggregation *aggregation = emission->aggregation;
    const struct vd_msg msg = {.key = aggregation->key.data,
                               .key_len = aggregation->key.len,
                               .value = aggregation->value.data,
                               .value_len = aggregation->value.len,
                               .partition = VD_SAME};

    vd_batch_emit(emission->batch, PORT_PARTIALS, emission->source, &msg);
}

static void emit_total(void *arg, size_t group, const struct agg_partial_key *key,
                       const struct agg_total *total)
{
    const struct emission *emission = arg;
    struct aggregation *aggregation = emission->aggregation;

    (void)group;
    vd_buf_clear(&aggregation->key);
    vd_buf_clear(&aggregation->value);
    agg_partial_key_format(key, &aggregation->key);
    agg_total_format(total, &aggregation->value);
    emit(emission);
}

/* Put what a partition's records have changed into the transaction; 'last' is the last of them. */
static void emit_part(struct aggregation *aggregation, struct vd_batch *batch,
                      struct agg_tally *tally, size_t last)
{
    struct emission emission = {.aggregation = aggregation, .batch = batch, .source = last};
    const struct agg_partial_key key = {.kind = AGG_META,
                                        .partition = vd_batch_record(batch, last)->partition};
    struct agg_meta meta = agg_tally_meta(tally);

    if (!agg_tally_has_moved(tally)) {
        return;
    }
    agg_tally_each(tally, emit_total, &emission);
    vd_buf_clear(&aggregation->key);
    vd_buf_clear(&aggregation->value);
    agg_partial_key_format(&key, &aggregation->key);
    agg_meta_format(&meta, &aggregation->value);
    emit(&emission);
    if (aggregation->touched_count == aggregation->touched_cap) {
        aggregation->touched_cap = 2 * aggregation->touched_cap + 8;
        aggregation->touched =
            vd_realloc(aggregation->touched, aggregation->touched_cap * sizeof(int32_t));
    }
    aggregation->touched[aggregation->touched_count++] = key.partition;
}

/* All records, partition by partition; false if the stage was halted. */
static bool take_batch(struct aggregation *aggregation, struct vd_batch *batch)
{
    size_t count = vd_batch_count(batch);

    for (size_t i = 0; i < count; i++) {
        int32_t partition = vd_batch_record(batch, i)->partition;
        struct agg_tally *tally = agg_part_get(aggregation, partition)->tally;

        if (!take_record(aggregation, tally, batch, i)) {
            return false;
        }
        if (i + 1 == count || vd_batch_record(batch, i + 1)->partition != partition) {
            emit_part(aggregation, batch, tally, i);
        }
    }
    return true;
}

static void forget(struct aggregation *aggregation)
{
    for (size_t i = 0; i < aggregation->part_count; i++) {
        if (aggregation->parts[i].tally != NULL) {
            agg_tally_forget(aggregation->parts[i].tally);
        }
    }
    aggregation->touched_count = 0;
    aggregation->answered = NULL;
}

static void aggregation_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct aggregation *aggregation = state;
    const struct vd_err halted = {VD_FAILED, "the stage was halted"};

    (void)stage;
    if (!take_batch(aggregation, batch)) {
        forget(aggregation);
        vd_batch_fail(batch, &halted);
        return;
    }
    aggregation->answered = batch;
    vd_batch_done(batch);
}

static void aggregation_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct aggregation *aggregation = state;

    if (batch != aggregation->answered) {
        return; /* nothing but dead letters, which the engine made */
    }
    for (size_t i = 0; i < aggregation->touched_count; i++) {
        struct part *part = agg_part_get(aggregation, aggregation->touched[i]);
        uint64_t before = agg_tally_base(part->tally)->votes;

        agg_tally_fold(part->tally);
        part->committed_ms = vd_loop_now_ms(vd_stage_loop(stage));
        vd_metric_add(aggregation->votes, (int64_t)(agg_tally_base(part->tally)->votes - before));
    }
    aggregation->touched_count = 0;
    aggregation->answered = NULL;
}

static void aggregation_rewound(struct vd_stage *stage, void *state)
{
    (void)stage;
    forget(state);
}

/* ---- results ------------------------------------------------------------------------------- */

static enum agg_publish publish_one(void *arg, size_t group, const char *key, size_t key_len,
                                    const struct agg_public *result)
{
    struct aggregation *aggregation = arg;
    struct vd_stage *stage = aggregation->stage;
    int32_t partitions = vd_stage_input_partitions(stage, INPUT_VOTES);
    struct vd_msg msg = {.key = key != NULL ? key : "", .key_len = key_len, .partition = VD_BY_KEY};
    struct vd_err err = {0};

    if (!vd_stage_owns(stage, vd_partition_of(msg.key, key_len, partitions))) {
        return AGG_NOT_OURS;
    }
    vd_buf_clear(&aggregation->value);
    agg_public_value(&agg_groups[group], result, &aggregation->value);
    msg.value = aggregation->value.data;
    msg.value_len = aggregation->value.len;
    if (vd_stage_publish(stage, PORT_FIRST_GROUP + group, &msg, &err) != VD_OK) {
        return AGG_FULL; /* the next round tries again */
    }
    vd_metric_add(aggregation->published, 1);
    return AGG_PUBLISHED;
}

/* Our own META must come back: else what was committed does not reach those who follow the table.
 */
static void check_echo(struct aggregation *aggregation, int32_t partition, int64_t now_ms)
{
    struct part *part = &aggregation->parts[partition];
    uint64_t commits = agg_tally_base(part->tally)->commits;

    if (part->echoed >= commits) {
        part->is_overdue = false;
    } else if (!part->is_overdue && now_ms - part->committed_ms > ECHO_MS) {
        part->is_overdue = true;
        vd_metric_add(aggregation->lost_echo, 1);
        vd_error(vd_stage_log(aggregation->stage),
                 "partition %d: commit %llu was reported as done, but the partials still stand at "
                 "%llu; all totals are written again with the next votes",
                 partition, (unsigned long long)commits, (unsigned long long)part->echoed);
        agg_tally_touch(part->tally);
    }
}

static void check_parts(struct aggregation *aggregation, int64_t now_ms)
{
    bool is_time = now_ms - aggregation->checked_ms >= CHECK_MS;

    for (size_t i = 0; i < aggregation->part_count; i++) {
        if (aggregation->parts[i].tally == NULL || !vd_stage_owns(aggregation->stage, (int32_t)i)) {
            continue;
        }
        check_echo(aggregation, (int32_t)i, now_ms);
        if (is_time) {
            (void)agg_takeover_check(aggregation,
                                     aggregation->parts[i].tally); /* halts the stage itself */
        }
    }
    if (is_time) {
        aggregation->checked_ms = now_ms;
    }
}

/* One round over all groups, with at most 'max' results of each. */
static void publish_round(struct aggregation *aggregation, size_t max)
{
    struct vd_stage *stage = aggregation->stage;
    struct agg_round round = {.now_ms = vd_loop_now_ms(vd_stage_loop(stage)),
                              .max = max,
                              .publish = publish_one,
                              .arg = aggregation};

    if (!vd_table_is_current(vd_stage_table(stage, PORT_PARTIALS))) {
        return;
    }
    check_parts(aggregation, round.now_ms);
    for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
        struct vd_table *shown = vd_stage_table(stage, PORT_FIRST_GROUP + group);

        round.is_read_back = shown != NULL;
        if (vd_stage_output_topic(stage, PORT_FIRST_GROUP + group) != NULL &&
            (shown == NULL || vd_table_is_current(shown))) {
            (void)agg_merge_publish(aggregation->merge, group, &round);
        }
    }
}

static void on_publish(void *arg)
{
    struct aggregation *aggregation = arg;

    vd_timer_start(aggregation->publish, aggregation->publish_ms);
    publish_round(aggregation, PUBLISH_MAX);
}

/* Say all that is known before we go: nobody may come for a while. */
static void aggregation_drain(struct vd_stage *stage, void *state)
{
    (void)stage;
    publish_round(state, PUBLISH_ALL);
}

static void on_shown(void *arg, const struct vd_record *record)
{
    const struct watch *watch = arg;

    if (record->key != NULL) {
        agg_merge_shown(watch->aggregation->merge, watch->group, record->key, record->key_len,
                        agg_sequence_of(record->value, record->value_len));
        agg_takeover_check_results(watch->aggregation);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

static void open_metrics(struct aggregation *aggregation, struct vd_stage *stage)
{
    static const char dropped[] = "votes' records that were dropped";

    aggregation->votes =
        vd_stage_metric(stage, VD_COUNTER, "votes_counted_total", NULL, "votes counted, committed");
    aggregation->dead = vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total",
                                        "reason=\"undecodable\"", dropped);
    aggregation->seen =
        vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total", "reason=\"seen\"", dropped);
    aggregation->repeat =
        vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total", "reason=\"repeat\"", dropped);
    aggregation->stale =
        vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total", "reason=\"generation\"", dropped);
    aggregation->published =
        vd_stage_metric(stage, VD_COUNTER, "results_published_total", NULL, "public results sent");
    aggregation->ignored = vd_stage_metric(stage, VD_COUNTER, "partials_ignored_total", NULL,
                                           "records of the partials that are none of ours");
    aggregation->lost_echo =
        vd_stage_metric(stage, VD_COUNTER, "partials_overdue_total", NULL,
                        "commits whose partials did not come back within 10 s");
}

static enum vd_status aggregation_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct aggregation *aggregation = state;

    (void)err; /* nothing here can fail */
    aggregation->stage = stage;
    aggregation->merge = agg_merge_new(vd_stage_output_generation(stage, PORT_PARTIALS));
    aggregation->checked_ms = vd_loop_now_ms(vd_stage_loop(stage));
    open_metrics(aggregation, stage);
    agg_takeover_watch(aggregation);
    for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
        struct vd_table *table = vd_stage_table(stage, PORT_FIRST_GROUP + group);

        aggregation->watches[group] = (struct watch){.aggregation = aggregation, .group = group};
        if (table != NULL) {
            vd_table_watch(table, on_shown, &aggregation->watches[group]);
        }
    }
    aggregation->publish = vd_timer_new(vd_stage_loop(stage), on_publish, aggregation);
    vd_timer_start(aggregation->publish, aggregation->publish_ms);
    return VD_OK;
}

static void aggregation_stop(struct vd_stage *stage, void *state)
{
    struct aggregation *aggregation = state;

    (void)stage;
    agg_takeover_fini(aggregation);
    vd_timer_close(aggregation->publish);
    for (size_t i = 0; i < aggregation->part_count; i++) {
        agg_tally_free(aggregation->parts[i].tally);
    }
    free(aggregation->parts);
    free(aggregation->touched);
    agg_merge_free(aggregation->merge);
    vd_buf_fini(&aggregation->scratch);
    vd_buf_fini(&aggregation->key);
    vd_buf_fini(&aggregation->value);
}

static const struct vd_stage_desc aggregation_desc = {
    VD_STAGE_HEAD,
    .name = "aggregation",
    .summary = "counts votes by candidate, state, age and more, and publishes the results",
    .state_size = sizeof(struct aggregation),
    .opts = aggregation_opts,
    .inputs = aggregation_inputs,
    .outputs = aggregation_outputs,
    .tables = aggregation_tables,
    .flags = VD_STAGE_SERIAL,
    .start = aggregation_start,
    .assign = agg_takeover_assign,
    .batch = aggregation_batch,
    .committed = aggregation_committed,
    .rewound = aggregation_rewound,
    .revoke = agg_takeover_revoke,
    .drain = aggregation_drain,
    .stop = aggregation_stop,
    .audit = agg_audit,
};
VD_STAGE_EXPORT(aggregation_desc)
