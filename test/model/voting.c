/* Model 1: the voting stage of exactly-once.md 4 on one partition, with its table in PostgreSQL. */
#include "voting.h"

#include <assert.h>
#include <string.h>

static struct row *row_of(const struct setup *setup, struct table *table, unsigned offset)
{
    return &table->rows[voter_of(setup, offset)];
}

/* Statement 2: whether the row is new. */
static bool insert_row(const struct setup *setup, struct table *table, unsigned offset,
                       unsigned draw)
{
    struct row *row = row_of(setup, table, offset);

    if (row->position != 0) {
        return false;
    }
    row->position = (offset + 1) & 0xfU;
    row->draw = draw & 1U;
    return true;
}

static void poll(struct step *step, int node)
{
    struct voting *next = step_next(step);
    struct voting_node *self = &next->nodes[node];
    unsigned end = self->first + self->batch + self->ready + self->polled;

    if (self->polled >= BATCH_MAX || end >= step->setup->records) {
        return;
    }
    self->polled++;
    STEP_ADD(step, "%c polls record %u, voter %c", node_name(node), end, step->setup->input[end]);
}

/* 4.3: progress, insert, classify. Transactions on one partition queue up at the progress row, so
 * one is one move; a COMMIT that is not answered is a kill or a fail-over after it. */
static void judge_batch(struct step *step, int node)
{
    const struct setup *setup = step->setup;
    struct voting *next = step_next(step);
    struct voting_node *self = &next->nodes[node];
    unsigned begin = self->first + self->batch;
    unsigned count = self->polled < BATCH_MAX ? self->polled : BATCH_MAX;
    unsigned draw = next->draw;
    bool is_new[BATCH_MAX] = {false};

    if (begin < self->known && begin + count > self->known) {
        count = self->known - begin;
    }
    if (next->pg.progress < begin + count) {
        next->pg.progress = (uint8_t)(begin + count);
    }
    self->ready_mine = 0;
    self->ready_draw = 0;
    for (unsigned at = 0; at < count; at++) {
        is_new[at] = insert_row(setup, &next->pg, begin + at, draw);
        if (is_new[at] && begin + at < self->known) {
            next->cluster.alarm = ALARM_BELOW_PROGRESS;
        }
    }
    for (unsigned at = 0; at < count; at++) {
        const struct row *row = row_of(setup, &next->pg, begin + at);
        bool is_mine = row->position == begin + at + 1 || !has(setup, PART_POSITIONS);

        if (!has(setup, PART_STATEMENT_3)) {
            is_mine = is_new[at];
        }
        self->ready_mine |= (is_mine ? 1U : 0U) << at;
        self->ready_draw |= (has(setup, PART_ROW) ? row->draw : draw) << at;
    }
    self->ready = count & 3U;
    self->polled -= count & 7U;
    next->cluster.members[node].ready_md = next->cluster.members[node].md;
    next->draw ^= has(setup, PART_PURE) ? 0 : 1;
    STEP_ADD(step, "%c commits records %u to %u in PostgreSQL:%s%s", node_name(node), begin,
             begin + count - 1, self->ready_mine & 1U ? " mine" : " not mine",
             count < 2 ? "" : (self->ready_mine & 2U ? ", mine" : ", not mine"));
}

static void begin_transaction(struct step *step, int node)
{
    struct voting *next = step_next(step);
    struct voting_node *self = &next->nodes[node];
    struct member *member = &next->cluster.members[node];

    self->batch = self->ready;
    self->batch_mine = self->ready_mine;
    self->batch_draw = self->ready_draw;
    self->ready = 0;
    self->ready_mine = 0;
    self->ready_draw = 0;
    member->batch_md = member->ready_md;
    member->ready_md = 0;
    member->thread = T_OPEN;
    STEP_ADD(step, "%c begins a transaction", node_name(node));
}

/* A start before the committed offset: commit it, or a batch in doubt would find the old offset
 * behind itself and pass for committed. */
static void begin_rewind(struct step *step, int node)
{
    struct voting *next = step_next(step);
    struct member *member = &next->cluster.members[node];

    member->batch_md = member->md;
    member->thread = T_OPEN;
    STEP_ADD(step, "%c begins a transaction for its start alone", node_name(node));
}

/* Judged again before it is sent: "repeat the batch". */
static void take_back(struct voting *next, int node, bool with_batch)
{
    struct voting_node *self = &next->nodes[node];

    self->polled += self->ready;
    self->ready = 0;
    self->ready_mine = 0;
    self->ready_draw = 0;
    next->cluster.members[node].ready_md = 0;
    if (with_batch) {
        self->polled += self->batch;
        self->batch = 0;
        self->batch_mine = 0;
        self->batch_draw = 0;
    }
}

static void reconnect(struct step *step, int node)
{
    struct voting *next = step_next(step);
    struct voting_node *self = &next->nodes[node];

    take_back(next, node, false);
    self->broken = 0;
    self->check = 1;
    next->cluster.members[node].phase = PHASE_TOLD;
    STEP_ADD(step, "%c reconnects to PostgreSQL and checks", node_name(node));
}

static enum output voting_output(const struct setup *setup, const void *state, int node,
                                 unsigned out, uint16_t *payload)
{
    const struct voting *voting = state;
    const struct voting_node *self = &voting->nodes[node];
    struct vote vote = {.previous = self->last};

    for (unsigned at = 0; at < self->batch; at++) {
        bool is_mine = ((self->batch_mine >> at) & 1U) != 0;

        vote.source = self->first + at;
        if (vote.source < self->floor) {
            continue;
        }
        if (out-- == 0) {
            vote.draw = (self->batch_draw >> at) & 1U;
            *payload = is_mine ? vote_pack(vote) : (uint16_t)vote.source;
            return is_mine ? OUTPUT_DATA : OUTPUT_SIDE;
        }
        if (is_mine) {
            vote.previous = vote.source + 1;
        }
    }
    return OUTPUT_NONE;
}

static void voting_on_side(const struct setup *setup, void *state, int node, unsigned out)
{
    struct voting *voting = state;
    uint16_t source = 0;

    (void)voting_output(setup, state, node, out, &source); /* known to be a reject */
    voting->rejects_open[node] |= (uint8_t)(1U << source);
}

static void voting_on_decided(const struct setup *setup, void *state, int node, bool is_commit)
{
    struct voting *voting = state;

    (void)setup;
    for (unsigned offset = 0; offset < INPUT_MAX; offset++) {
        if (is_commit && (voting->rejects_open[node] >> offset & 1U) != 0) {
            voting->rejects[offset]++;
        }
    }
    voting->rejects_open[node] = 0;
}

static struct offset voting_position(const struct setup *setup, const void *state, int node)
{
    const struct voting_node *self = &((const struct voting *)state)->nodes[node];
    unsigned last = self->last;

    for (unsigned at = 0; at < self->batch; at++) {
        if ((self->batch_mine >> at & 1U) != 0 && self->first + at >= self->floor) {
            last = self->first + at + 1;
        }
    }
    return (struct offset){(self->first + self->batch) & 0xfU, last & 0xfU};
}

static bool voting_has_batch(const void *state, int node)
{
    const struct voting_node *self = &((const struct voting *)state)->nodes[node];

    return self->batch != 0 || self->rewind;
}

static void voting_on_success(const struct setup *setup, void *state, int node)
{
    struct voting_node *self = &((struct voting *)state)->nodes[node];

    self->last = voting_position(setup, state, node).last & 7U;
    self->first += self->batch;
    self->batch = 0;
    self->batch_mine = 0;
    self->batch_draw = 0;
    self->rewind = 0;
}

static void voting_on_failure(const struct setup *setup, void *state, int node)
{
    take_back(state, node, true);
}

static void voting_forget(void *state, int node)
{
    memset(&((struct voting *)state)->nodes[node], 0, sizeof(struct voting_node));
}

/* 1.3 step 6. */
static void voting_check(struct step *step, int node)
{
    const struct voting *from = step->from;
    unsigned end = from->nodes[node].first + from->nodes[node].batch;
    unsigned committed = from->cluster.committed.next;
    bool did_commit = from->nodes[node].rewind ? committed == end : committed >= end;
    struct voting *next;

    if (cluster_is_pending(&from->cluster)) {
        return;
    }
    next = step_next(step);
    cluster_checked(step, next, node, did_commit);
    STEP_ADD(step, "%c reads the committed offset, %u: its batch up to %u %s", node_name(node),
             committed, end, did_commit ? "did commit" : "did not commit");
}

/* PostgreSQL lost its tail: the votes of the topic go back into the table as they are. */
static void refill(const struct setup *setup, struct voting *next, unsigned progress)
{
    for (unsigned at = 0; at < cluster_stable(&next->cluster); at++) {
        struct vote vote = vote_unpack(next->cluster.log[at]);

        if (vote.source < next->pg.progress) {
            continue;
        }
        (void)insert_row(setup, &next->pg, vote.source, vote.draw); /* looked at next */
        if (row_of(setup, &next->pg, vote.source)->position != vote.source + 1) {
            next->cluster.alarm = ALARM_SECOND_VOTE;
        }
    }
    if (next->pg.progress < progress) {
        next->pg.progress = (uint8_t)progress;
    }
}

/* Where the self-check of 4.5 wants to start; also repairs. */
static unsigned self_check(const struct setup *setup, struct voting *next, int node)
{
    struct voting_node *self = &next->nodes[node];
    const struct member *member = &next->cluster.members[node];
    unsigned stable = cluster_stable(&next->cluster);
    unsigned last = stable == 0 ? 0 : vote_unpack(next->cluster.log[stable - 1]).source + 1;
    unsigned start = has(setup, PART_LAST) && last < member->last ? last : member->next;

    if (!has(setup, PART_SELF_CHECK)) {
        self->last = member->last & 7U;
        return member->next;
    }
    self->floor = last & 7U;
    self->last = last & 7U;
    self->known = next->pg.progress & 7U;
    if (member->next > next->pg.progress) {
        refill(setup, next, has(setup, PART_PROGRESS) ? start : member->next);
    }
    return start;
}

static void voting_own(struct step *step, int node)
{
    struct voting *next = step_next(step);
    struct voting_node *self = &next->nodes[node];
    struct member *member = &next->cluster.members[node];
    unsigned committed = member->next;
    unsigned start = self_check(step->setup, next, node);

    next->unseen = 0;
    if (self->check && start != self->first) {
        group_give_up(step, next, node);
        STEP_ADD(step, "%c's check wants to start at %u: it leaves and joins again",
                 node_name(node), start);
        return;
    }
    self->check = 0;
    self->first = start & 7U;
    self->rewind = start < committed && has(step->setup, PART_REWIND);
    member->phase = PHASE_OWNER;
    member->mark = 0;
    member->next = 0;
    member->last = 0;
    STEP_ADD(step, "%c starts at %u (C %u, V %d, D %u)", node_name(node), start, committed,
             (int)self->floor - 1, self->known);
}

static void fail_over(struct step *step)
{
    const struct voting *from = step->from;
    struct voting *next = step_next(step);

    if (!from->standby_stopped) {
        next->standby = from->pg;
        next->standby_stopped = 1;
        STEP_ADD(step, "PostgreSQL's standby stops to follow");
        return;
    }
    next->pg = from->standby;
    memset(&next->standby, 0, sizeof(next->standby));
    next->standby_stopped = 0;
    next->cluster.left[FAULT_PG]--;
    for (int node = 0; node < NODES; node++) {
        next->nodes[node].broken |= next->cluster.members[node].phase == PHASE_OWNER;
    }
    STEP_ADD(step, "PostgreSQL fails over: progress is %u", next->pg.progress);
}

static void lose_tail(struct step *step, enum fault fault)
{
    const struct voting *from = step->from;

    for (unsigned keep = 0; keep < from->cluster.log_count; keep++) {
        struct voting *next = step_next(step);

        next->cluster.left[fault]--;
        for (unsigned at = keep; at < from->cluster.log_count; at++) {
            next->lost |= (uint8_t)(1U << vote_unpack(from->cluster.log[at]).source);
        }
        cluster_truncate(&next->cluster, keep);
        next->unseen = 1;
        STEP_ADD(step, "votes_topic loses all from its entry %u on", keep);
    }
}

static void rewind_offset(struct step *step)
{
    const struct voting *from = step->from;

    for (unsigned to = 0; to < from->cluster.committed.next; to++) {
        struct voting *next = step_next(step);

        next->cluster.left[FAULT_OFFSETS]--;
        next->cluster.committed = (struct offset){.next = to & 0xfU};
        for (unsigned offset = 0; offset < to; offset++) {
            if (is_first_vote(step->setup, offset)) {
                next->cluster.committed.last = (offset + 1) & 0xfU;
            }
        }
        STEP_ADD(step, "the committed offset goes back to %u", to);
    }
}

static void faults(struct step *step)
{
    const struct voting *from = step->from;
    const uint8_t *left = from->cluster.left;
    const struct member *members = from->cluster.members;
    bool is_held = cluster_is_held(&from->cluster);
    bool is_read = is_held || members[0].phase > PHASE_TOLD || members[1].phase > PHASE_TOLD;

    if (left[FAULT_PG] > 0) {
        fail_over(step);
    }
    if (left[FAULT_TOPIC] > 0 && !is_held) {
        lose_tail(step, FAULT_TOPIC);
    }
    if (left[FAULT_TOPIC_LIVE] > 0) {
        lose_tail(step, FAULT_TOPIC_LIVE);
    }
    if (left[FAULT_OFFSETS] > 0 && !is_read && !cluster_is_pending(&from->cluster)) {
        rewind_offset(step);
    }
    if (from->unseen && cluster_is_quiet(&from->cluster)) {
        struct voting *next = step_next(step);

        group_give_up(step, next, from->cluster.owner);
        STEP_ADD(step, "p is assigned anew");
    }
}

static void act(struct step *step, int node)
{
    const struct voting *from = step->from;
    const struct voting_node *self = &from->nodes[node];
    const struct member *member = &from->cluster.members[node];

    if (!member->alive || member->phase != PHASE_OWNER) {
        return;
    }
    poll(step, node);
    if (self->broken && member->thread == T_IDLE) {
        reconnect(step, node);
    }
    if (!self->broken && !member->wait && self->ready == 0 && self->polled > 0) {
        judge_batch(step, node);
    }
    if (!member->wait && member->thread == T_IDLE && self->rewind) {
        begin_rewind(step, node);
    } else if (!member->wait && member->thread == T_IDLE && self->ready > 0) {
        begin_transaction(step, node);
    }
}

static const struct stage voting_stage = {
    .output = voting_output,
    .on_side = voting_on_side,
    .on_decided = voting_on_decided,
    .position = voting_position,
    .has_batch = voting_has_batch,
    .on_success = voting_on_success,
    .on_failure = voting_on_failure,
    .forget = voting_forget,
    .check = voting_check,
    .own = voting_own,
};

static void voting_start(const struct setup *setup, void *state)
{
    cluster_start(setup, &((struct voting *)state)->cluster);
}

static void voting_expand(const struct setup *setup, struct explorer *explorer, const void *state)
{
    struct step step = {.setup = setup,
                        .stage = &voting_stage,
                        .explorer = explorer,
                        .from = state,
                        .bytes = sizeof(struct voting)};

    cluster_expand(&step);
    for (int node = 0; node < NODES; node++) {
        act(&step, node);
    }
    faults(&step);
}

const struct model voting_model = {
    .name = "voting",
    .state_bytes = sizeof(struct voting),
    .start = voting_start,
    .expand = voting_expand,
    .judge = voting_judge,
    .is_done = voting_is_done,
    .print = voting_print,
};
