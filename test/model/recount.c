/* Model 3: one partition of the votes, set aside, replayed and counted anew, by an older version
 * and a newer one. A letter of the input is a record: a is a vote to both; b is one to the newer
 * only; c has a header that no version can read, and that a replay of it leaves out. What is
 * committed is so at once: that a batch is one transaction is what the other models are about. */
#include "recount.h"

#include <assert.h>
#include <string.h>

#include "setup.h"

enum {
    ORIGINS_MAX = 3,
    RECORDS_MAX = 8, /* with replays: one of each record by the older version, or by the newer */
    OWN = 0xff,      /* no replay */
};

struct tally {
    uint8_t next;
    uint8_t votes[ORIGINS_MAX]; /* how often each record, or a replay of it, is counted */
};

struct recount {
    uint8_t records;
    uint8_t replay_of[RECORDS_MAX];
    uint8_t is_letter; /* a bit for each record that was set aside and not replayed since */
    uint8_t early;     /* replays written before the newer version came */
    uint8_t is_newer, kills, rebuilds;
    struct tally base; /* the partials */
    uint8_t recounted; /* META: a recount has read all before it */
    /* In memory. */
    struct tally anew; /* a recount that has not come to its end */
    uint8_t anew_end;  /* 0: none is under way */
    uint8_t bits, has_bits;
} __attribute__((aligned(8)));

static uint8_t origin_of(const struct recount *self, unsigned at)
{
    return self->replay_of[at] == OWN ? (uint8_t)at : self->replay_of[at];
}

static bool is_vote(const struct setup *setup, const struct recount *self, unsigned at)
{
    switch (setup->input[origin_of(self, at)]) {
    case 'b':
        return self->is_newer != 0;
    case 'c':
        return self->replay_of[at] != OWN;
    default:
        return true;
    }
}

/* Nothing of a recount under way is kept, nor which records the last one counted. */
static void forget(struct recount *self)
{
    self->anew = (struct tally){0};
    self->anew_end = 0;
    self->bits = 0;
    self->has_bits = 0;
}

static void begin_recount(struct recount *self)
{
    forget(self);
    self->anew_end = self->base.next;
    self->has_bits = 1;
}

/* The rule of agg_tally_step: count the record that 'tally' is at, or pass it. */
static void step_record(const struct setup *setup, struct recount *self, struct tally *tally)
{
    unsigned at = tally->next++;
    uint8_t origin = origin_of(self, at);
    bool has_bit = self->has_bits != 0 && (self->bits >> origin & 1) != 0;

    if (has_bit && self->replay_of[at] != OWN) {
        return;
    }
    if (is_vote(setup, self, at)) {
        tally->votes[origin]++;
        self->bits |= (uint8_t)(self->has_bits != 0 ? 1U << origin : 0);
    } else if (self->anew_end == 0) { /* a recount sets nothing aside a second time */
        self->is_letter |= (uint8_t)(1U << origin);
    }
}

static void read_next(const struct setup *setup, struct explorer *explorer,
                      const struct recount *from)
{
    struct recount next = *from;
    unsigned at = from->base.next;
    bool is_unknown = from->replay_of[at] != OWN && from->replay_of[at] < from->recounted &&
                      from->has_bits == 0 && has(setup, PART_RECOUNTED);

    if (is_unknown && has(setup, PART_AGAIN)) {
        begin_recount(&next);
        explorer_add(explorer, &next, "record %u repeats %u: counting anew", at,
                     from->replay_of[at]);
    } else if (is_unknown) {
        next.base.next++;
        explorer_add(explorer, &next, "record %u repeats %u: dropped", at, from->replay_of[at]);
    } else {
        step_record(setup, &next, &next.base);
        explorer_add(explorer, &next, "record %u is read by the %s version", at,
                     from->is_newer != 0 ? "newer" : "older");
    }
}

static void recount_next(const struct setup *setup, struct explorer *explorer,
                         const struct recount *from)
{
    struct recount next = *from;

    if (from->anew.next < from->anew_end) {
        step_record(setup, &next, &next.anew);
        explorer_add(explorer, &next, "the recount reads record %u", from->anew.next);
        return;
    }
    next.base = next.anew;
    next.recounted = next.anew_end;
    next.anew = (struct tally){0};
    next.anew_end = 0;
    explorer_add(explorer, &next, "the recount is at its end and committed");
}

static void replay(struct explorer *explorer, const struct recount *from, uint8_t origin)
{
    struct recount next = *from;

    next.is_letter &= (uint8_t) ~(1U << origin);
    next.early += from->is_newer == 0;
    assert(next.records < RECORDS_MAX);
    next.replay_of[next.records++] = origin;
    explorer_add(explorer, &next, "the letter of record %u is replayed", origin);
}

static void recount_start(const struct setup *setup, void *state)
{
    struct recount *self = state;

    assert(setup->records <= ORIGINS_MAX);
    self->records = setup->records;
    memset(self->replay_of, OWN, self->records);
}

static void recount_expand(const struct setup *setup, struct explorer *explorer, const void *state)
{
    const struct recount *from = state;
    struct recount next = *from;

    if (from->anew_end != 0) {
        recount_next(setup, explorer, from);
    } else if (from->base.next < from->records) {
        read_next(setup, explorer, from);
    }
    for (uint8_t origin = 0; origin < setup->records; origin++) {
        if ((from->is_letter >> origin & 1) != 0 && (from->is_newer != 0 || from->early == 0)) {
            replay(explorer, from, origin);
        }
    }
    if (from->rebuilds < setup->faults[FAULT_REBUILD] && from->base.next > 0 &&
        from->anew_end == 0) {
        begin_recount(&next);
        next.rebuilds++;
        explorer_add(explorer, &next, "a person asks for a rebuild");
    }
    if (from->kills < setup->faults[FAULT_KILL]) {
        next = *from;
        forget(&next);
        next.kills++;
        explorer_add(explorer, &next, "the node is killed and starts again");
    }
    if (from->is_newer == 0) {
        next = *from;
        forget(&next);
        next.is_newer = 1;
        explorer_add(explorer, &next, "the node is started in the newer version");
    }
}

static bool recount_is_done(const struct setup *setup, const void *state)
{
    const struct recount *self = state;

    return self->is_newer != 0 && self->anew_end == 0 && self->is_letter == 0 &&
           self->base.next == self->records;
}

static const char *recount_judge(const struct setup *setup, const void *state)
{
    const struct recount *self = state;

    for (unsigned origin = 0; origin < setup->records; origin++) {
        if (self->base.votes[origin] > 1) {
            return "a vote is counted twice";
        }
        if (self->base.votes[origin] == 0 && recount_is_done(setup, state)) {
            return "all is done, but a vote is missing";
        }
    }
    return NULL;
}

static void recount_print(const struct setup *setup, const void *state, FILE *out)
{
    const struct recount *self = state;

    (void)fputs("      records:", out);
    for (unsigned at = 0; at < self->records; at++) {
        (void)fprintf(out, " %c%s", setup->input[origin_of(self, at)],
                      self->replay_of[at] == OWN ? "" : "'");
    }
    (void)fprintf(out, ", at %u, recounted to %u; counted:", self->base.next, self->recounted);
    for (unsigned origin = 0; origin < setup->records; origin++) {
        (void)fprintf(out, " %u", self->base.votes[origin]);
    }
    (void)fputs("\n", out);
}

const struct model recount_model = {
    .name = "recount",
    .state_bytes = sizeof(struct recount),
    .start = recount_start,
    .expand = recount_expand,
    .judge = recount_judge,
    .is_done = recount_is_done,
    .print = recount_print,
};
