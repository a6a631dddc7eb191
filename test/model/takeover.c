/* Model 2: the aggregation stage of exactly-once.md 6 on one partition, with one dimension of two
 * keys, x and y, and META. A vote is a letter of the input: a and c count for x, b and d for y; a
 * letter that comes again is the same vote again, at its old source position. */
#include "takeover.h"

#include <assert.h>
#include <string.h>

enum kind {
    KIND_X = 1,
    KIND_Y,
    KIND_META,
};

/* The partials of p: as a node holds them, or as the topic has them. */
struct partials {
    uint32_t x : 3;
    uint32_t y : 3;
    uint32_t next : 3;   /* META: the first vote not counted */
    uint32_t votes : 3;  /* META: votes counted */
    uint32_t last : 3;   /* META: last source position + 1 */
    uint32_t commit : 3; /* META: commit number, modulo 8 */
};

struct tally {
    struct partials base;
    uint8_t end; /* the transaction's votes go up to here; 0: no transaction */
    uint8_t spare[3];
};

struct takeover {
    struct cluster cluster;
    struct tally nodes[NODES];
} __attribute__((aligned(8)));

enum alarm {
    ALARM_NONE,
    ALARM_SUMS,
};

static bool is_for_x(char letter)
{
    return letter == 'a' || letter == 'c';
}

/* Source position + 1 of the vote at 'at': a repeated letter has the position of its first. */
static unsigned source_of(const struct setup *setup, unsigned at)
{
    unsigned source = 0;

    for (unsigned earlier = 0; setup->input[earlier] != setup->input[at]; earlier++) {
        source += memchr(setup->input, setup->input[earlier], earlier) == NULL;
    }
    return source + 1;
}

/* Count the votes from base's next to 'end' (6.2). */
static struct partials count_votes(const struct setup *setup, struct partials base, unsigned end)
{
    for (unsigned at = base.next; at < end; at++) {
        unsigned source = source_of(setup, at);

        if (source <= base.last && has(setup, PART_FILTERS)) {
            continue;
        }
        base.x += is_for_x(setup->input[at]);
        base.y += !is_for_x(setup->input[at]);
        base.votes++;
        base.last = source & 7U;
    }
    base.next = end & 7U;
    return base;
}

/* What is true of the first 'end' votes: each source position counted once. */
static struct partials true_totals(const struct setup *setup, unsigned end)
{
    struct partials totals = {0};

    for (unsigned at = 0; at < end; at++) {
        if (memchr(setup->input, setup->input[at], at) == NULL) {
            totals.x += is_for_x(setup->input[at]);
            totals.y += !is_for_x(setup->input[at]);
        }
    }
    return totals;
}

static uint16_t meta_pack(struct partials meta)
{
    return (uint16_t)(KIND_META << 12 | meta.next << 9 | meta.votes << 6 | meta.last << 3 |
                      meta.commit);
}

/* The table of a reader that has come to 'upto': the newest value of each key. */
static struct partials table_at(const struct cluster *cluster, unsigned upto)
{
    struct partials table = {0};

    for (unsigned at = 0; at < upto; at++) {
        uint16_t entry = cluster->log[at];

        switch ((enum kind)(entry >> 12 & 3U)) {
        case KIND_X:
            table.x = entry & 7U;
            break;
        case KIND_Y:
            table.y = entry & 7U;
            break;
        case KIND_META:
            table.next = entry >> 9 & 7U;
            table.votes = entry >> 6 & 7U;
            table.last = entry >> 3 & 7U;
            table.commit = entry & 7U;
            break;
        }
    }
    return table;
}

/* One interval: one or two more votes, in one transaction. */
static void begin_interval(struct step *step, int node)
{
    const struct takeover *from = step->from;
    unsigned first = from->nodes[node].base.next;

    for (unsigned end = first + 1; end <= first + 2 && end <= step->setup->records; end++) {
        struct takeover *next = step_next(step);
        struct member *member = &next->cluster.members[node];

        next->nodes[node].end = (uint8_t)end;
        member->batch_md = member->md;
        member->thread = T_OPEN;
        STEP_ADD(step, "%c begins a transaction for votes %u to %u", node_name(node), first,
                 end - 1);
    }
}

static enum output takeover_output(const struct setup *setup, const void *state, int node,
                                   unsigned out, uint16_t *payload)
{
    const struct tally *self = &((const struct takeover *)state)->nodes[node];
    struct partials now = count_votes(setup, self->base, self->end);

    if (now.x != self->base.x && out-- == 0) {
        *payload = (uint16_t)(KIND_X << 12 | now.x);
        return OUTPUT_DATA;
    }
    if (now.y != self->base.y && out-- == 0) {
        *payload = (uint16_t)(KIND_Y << 12 | now.y);
        return OUTPUT_DATA;
    }
    if (out == 0) {
        now.commit++;
        *payload = meta_pack(now);
        return OUTPUT_DATA;
    }
    return OUTPUT_NONE;
}

static void takeover_on_side(const struct setup *setup, void *state, int node, unsigned out)
{
    assert(!"the aggregation has no side topic");
}

static void takeover_on_decided(const struct setup *setup, void *state, int node, bool is_commit)
{
}

static struct offset takeover_position(const struct setup *setup, const void *state, int node)
{
    const struct tally *self = &((const struct takeover *)state)->nodes[node];

    return (struct offset){.next = self->end & 0xfU};
}

static bool takeover_has_batch(const void *state, int node)
{
    return ((const struct takeover *)state)->nodes[node].end != 0;
}

static void takeover_on_success(const struct setup *setup, void *state, int node)
{
    struct tally *self = &((struct takeover *)state)->nodes[node];

    self->base = count_votes(setup, self->base, self->end);
    self->base.commit++;
    self->end = 0;
}

static void takeover_on_failure(const struct setup *setup, void *state, int node)
{
    ((struct takeover *)state)->nodes[node].end = 0;
}

static void takeover_forget(void *state, int node)
{
    memset(&((struct takeover *)state)->nodes[node], 0, sizeof(struct tally));
}

/* 1.3 step 6: META's commit number, once the table has passed the mark. A reader can stand at any
 * record from there on. */
static void takeover_check(struct step *step, int node)
{
    const struct takeover *from = step->from;
    unsigned stable = cluster_stable(&from->cluster);

    for (unsigned at = from->cluster.members[node].mark; at <= stable; at++) {
        struct partials table = table_at(&from->cluster, at);
        bool is_committed = table.commit == ((from->nodes[node].base.commit + 1U) & 7U);
        struct takeover *next = step_next(step);

        cluster_checked(step, next, node, is_committed);
        STEP_ADD(step, "%c finds META's commit number %u: its batch %s", node_name(node),
                 table.commit, is_committed ? "did commit" : "did not commit");
    }
}

/* 6.3: the base is the table's part of p, the position META's. */
static void takeover_own(struct step *step, int node)
{
    const struct takeover *from = step->from;
    unsigned stable = cluster_stable(&from->cluster);

    for (unsigned at = from->cluster.members[node].mark; at <= stable; at++) {
        struct partials base = table_at(&from->cluster, at);
        struct takeover *next = step_next(step);
        struct member *member = &next->cluster.members[node];

        /* Who lost p meanwhile may stand in the middle of its new owner's transaction: a false
         * alarm, but no more, since the fence keeps it from committing anything. */
        if (base.x + base.y != base.votes && member->md && has(step->setup, PART_SUMS)) {
            next->cluster.alarm = ALARM_SUMS;
        }
        if (!has(step->setup, PART_META)) {
            base.next = member->next & 7U;
            base.last = base.next == 0 ? 0 : source_of(step->setup, base.next - 1U) & 7U;
        }
        next->nodes[node].base = base;
        member->phase = PHASE_OWNER;
        member->mark = 0;
        member->next = 0;
        member->last = 0;
        STEP_ADD(step, "%c starts at vote %u with x %u, y %u (table up to record %u)",
                 node_name(node), base.next, base.x, base.y, at);
    }
}

static const struct stage takeover_stage = {
    .output = takeover_output,
    .on_side = takeover_on_side,
    .on_decided = takeover_on_decided,
    .position = takeover_position,
    .has_batch = takeover_has_batch,
    .on_success = takeover_on_success,
    .on_failure = takeover_on_failure,
    .forget = takeover_forget,
    .check = takeover_check,
    .own = takeover_own,
};

static void takeover_start(const struct setup *setup, void *state)
{
    cluster_start(setup, &((struct takeover *)state)->cluster);
}

static void takeover_expand(const struct setup *setup, struct explorer *explorer, const void *state)
{
    const struct takeover *from = state;
    struct step step = {.setup = setup,
                        .stage = &takeover_stage,
                        .explorer = explorer,
                        .from = state,
                        .bytes = sizeof(struct takeover)};

    cluster_expand(&step);
    for (int node = 0; node < NODES; node++) {
        const struct member *member = &from->cluster.members[node];

        if (member->alive && member->phase == PHASE_OWNER && member->thread == T_IDLE &&
            !member->wait) {
            begin_interval(&step, node);
        }
    }
}

static bool takeover_is_done(const struct setup *setup, const void *state)
{
    const struct takeover *takeover = state;

    return cluster_is_quiet(&takeover->cluster) &&
           takeover->nodes[takeover->cluster.owner].base.next == setup->records;
}

static const char *takeover_judge(const struct setup *setup, const void *state)
{
    const struct takeover *takeover = state;
    const struct cluster *cluster = &takeover->cluster;
    unsigned stable = cluster_stable(cluster);
    struct partials table = table_at(cluster, stable);
    struct partials all = true_totals(setup, setup->records);
    struct partials counted = true_totals(setup, table.next);
    bool is_fenced = has(setup, PART_FENCE) && has(setup, PART_SNAPSHOT);

    if (cluster->alarm == ALARM_SUMS) {
        return "at a takeover the totals do not add up to META's votes";
    }
    if (table.x > all.x || table.y > all.y) {
        return "a vote is counted twice";
    }
    if (stable == cluster->log_count && has(setup, PART_SUMS) &&
        (table.x != counted.x || table.y != counted.y)) {
        return "the totals are not those of META's position";
    }
    if (!takeover_is_done(setup, state)) {
        return NULL;
    }
    if (table.next != setup->records) {
        return is_fenced ? "all is done, but META is not at the end" : NULL;
    }
    if (table.x != all.x || table.y != all.y) {
        return "all is done, but a vote is missing in the totals";
    }
    return NULL;
}

static void takeover_print(const struct setup *setup, const void *state, FILE *out)
{
    const struct takeover *takeover = state;
    const struct cluster *cluster = &takeover->cluster;

    (void)fputs("      agg_partials (o: open):", out);
    for (unsigned at = 0; at < cluster->log_count; at++) {
        uint16_t entry = cluster->log[at];
        unsigned kind = entry >> 12 & 3U;
        const char *open = (entry & ENTRY_OPEN) != 0 ? "o" : "";

        if (kind == KIND_META) {
            (void)fprintf(out, " META(next %u, votes %u, commit %u)%s", entry >> 9 & 7U,
                          entry >> 6 & 7U, entry & 7U, open);
        } else {
            (void)fprintf(out, " %c=%u%s", kind == KIND_X ? 'x' : 'y', entry & 7U, open);
        }
    }
    (void)fputs("\n", out);
    for (int node = 0; node < NODES; node++) {
        struct partials base = takeover->nodes[node].base;

        (void)fprintf(out, "      %c's base: x %u, y %u, next %u, votes %u\n", node_name(node),
                      base.x, base.y, base.next, base.votes);
    }
    cluster_print(cluster, out);
}

const struct model takeover_model = {
    .name = "takeover",
    .state_bytes = sizeof(struct takeover),
    .start = takeover_start,
    .expand = takeover_expand,
    .judge = takeover_judge,
    .is_done = takeover_is_done,
    .print = takeover_print,
};
