/* What an owner owes its partitions while no votes come: a look whether its own words came back,
 * the end of a recount, the sums, idleness and the watermark (exactly-once protocol, 6.2 to 6.6).
 * Whatever has to be written goes into the batch that vd_stage_wake asks for. */
#include "aggregation.h"

#define ECHO_MS 10000  /* our own META must have come back by then */
#define CHECK_MS 60000 /* between two checks of the sums */

/* ---- echoes -------------------------------------------------------------------------------- */

static bool is_echo_due(const struct part *part, int64_t before_ms)
{
    return part->tally != NULL && !agg_tally_is_rewriting(part->tally) &&
           part->echoed_ms < before_ms && part->echoed < agg_tally_base(part->tally)->commits;
}

/* What was reported as committed did not happen, or somebody else wrote over it. */
static void rewrite(struct aggregation *aggregation, int32_t partition, uint64_t lost)
{
    struct part *part = &aggregation->parts[partition];

    part->lost = 0;
    vd_metric_add(aggregation->lost_echo, 1);
    vd_error(vd_stage_log(aggregation->stage),
             "partition %d: commit %llu was reported as done, but is not among the partials; "
             "replacing the producer and writing all totals again",
             partition, (unsigned long long)lost);
    agg_tally_rewrite(part->tally);
    vd_stage_doubt(aggregation->stage);
    vd_stage_wake(aggregation->stage);
}

/* The table shows all that was there when the question was asked: what is missing now is lost. */
static void on_verified(void *arg)
{
    struct aggregation *aggregation = arg;
    int64_t before_ms = aggregation->verifying_ms - ECHO_MS;

    aggregation->verifying_ms = 0;
    for (size_t i = 0; i < aggregation->part_count; i++) {
        const struct part *part = &aggregation->parts[i];

        if (is_echo_due(part, before_ms)) {
            rewrite(aggregation, (int32_t)i, agg_tally_base(part->tally)->commits);
        }
    }
}

/* An echo that is late may only be slow, as in an outage: ask for the end of the table first. */
static void check_echo(struct aggregation *aggregation, int32_t partition, int64_t now_ms)
{
    const struct part *part = &aggregation->parts[partition];

    if (part->lost != 0 && !agg_tally_is_rewriting(part->tally)) {
        rewrite(aggregation, partition, part->lost);
    } else if (aggregation->verifying_ms == 0 && is_echo_due(part, now_ms - ECHO_MS)) {
        aggregation->verifying_ms = now_ms;
        vd_table_sync(vd_stage_table(aggregation->stage, PORT_PARTIALS), on_verified, aggregation);
    }
}

bool agg_upkeep_is_settled(const struct aggregation *aggregation)
{
    for (size_t i = 0; i < aggregation->part_count; i++) {
        const struct part *part = &aggregation->parts[i];

        if (part->tally != NULL && part->echoed < agg_tally_base(part->tally)->commits) {
            return false;
        }
    }
    return aggregation->answered == NULL;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void check_recount(struct aggregation *aggregation, int32_t partition)
{
    struct agg_tally *tally = aggregation->parts[partition].tally;
    int64_t end = agg_tally_recount_end(tally);
    const struct agg_meta *meta = agg_tally_base(tally);

    if (end == VD_NO_OFFSET ||
        (meta->next_offset < end && !vd_stage_at_end(aggregation->stage, partition))) {
        return;
    }
    vd_info(vd_stage_log(aggregation->stage),
            "partition %d: counted anew up to offset %lld: %llu votes, rebuild number %u",
            partition, (long long)meta->next_offset, (unsigned long long)meta->votes,
            meta->rebuilds);
    agg_tally_end_recount(tally);
    aggregation->parts[partition].is_recount_due = false;
    vd_stage_wake(aggregation->stage);
}

static void check_idle(struct aggregation *aggregation, int32_t partition, int64_t now_ms)
{
    const struct part *part = &aggregation->parts[partition];

    if (!agg_tally_base(part->tally)->is_idle &&
        agg_tally_recount_end(part->tally) == VD_NO_OFFSET && !agg_tally_is_due(part->tally) &&
        now_ms - part->active_ms > aggregation->idle_timeout_ms &&
        vd_stage_at_end(aggregation->stage, partition)) {
        agg_tally_set_idle(part->tally);
        vd_stage_wake(aggregation->stage);
    }
}

/* What is in memory cannot become wrong by itself. If it does, what was written is the witness: the
 * takeover reads it again, and counts anew if it is wrong as well. */
static void check_sums(struct aggregation *aggregation, int32_t partition)
{
    struct vd_err err = {0};

    if (agg_tally_check(aggregation->parts[partition].tally, &err) != VD_OK) {
        vd_error(vd_stage_log(aggregation->stage), "%s; reading the partials again", err.msg);
        vd_stage_recheck(aggregation->stage);
    }
}

static void show_watermark(struct aggregation *aggregation)
{
    int64_t at_s = agg_watermark_get(aggregation->watermark,
                                     vd_stage_input_partitions(aggregation->stage, INPUT_VOTES));

    vd_metric_set(aggregation->watermark_s, at_s);
    vd_metric_set(aggregation->watermark_lag_s, at_s < 0 ? 0 : vd_wall_ms() / 1000 - at_s);
}

void agg_upkeep(struct aggregation *aggregation)
{
    int64_t now_ms = vd_loop_now_ms(vd_stage_loop(aggregation->stage));
    bool is_time = now_ms - aggregation->checked_ms >= CHECK_MS;

    for (size_t i = 0; i < aggregation->part_count; i++) {
        struct part *part = &aggregation->parts[i];

        if (part->tally == NULL || !vd_stage_owns(aggregation->stage, (int32_t)i)) {
            continue;
        }
        check_echo(aggregation, (int32_t)i, now_ms);
        check_recount(aggregation, (int32_t)i);
        check_idle(aggregation, (int32_t)i, now_ms);
        if (is_time) {
            check_sums(aggregation, (int32_t)i);
        }
    }
    if (is_time) {
        aggregation->checked_ms = now_ms;
    }
    show_watermark(aggregation);
}
