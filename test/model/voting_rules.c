/* What must be true of model 1, in every state and when all work is done. */
#include "voting.h"

static bool is_raw(const struct setup *setup)
{
    bool is_fenced = has(setup, PART_FENCE) && has(setup, PART_SNAPSHOT);

    return is_fenced || !has(setup, PART_FILTERS);
}

bool voting_is_done(const struct setup *setup, const void *state)
{
    const struct voting *voting = state;
    const struct voting_node *owner = &voting->nodes[voting->cluster.owner];

    return cluster_is_quiet(&voting->cluster) && owner->first == setup->records && !owner->broken &&
           !voting->unseen;
}

/* What can be read of votes_topic: by all if the records as they are count, else by a reader that
 * drops positions it has seen (6.2). */
static const char *judge_topic(const struct setup *setup, const struct voting *voting)
{
    unsigned last = 0;
    unsigned voters = 0;

    for (unsigned at = 0; at < cluster_stable(&voting->cluster); at++) {
        struct vote vote = vote_unpack(voting->cluster.log[at]);
        unsigned voter = 1U << voter_of(setup, vote.source);

        if (vote.source < last && !is_raw(setup)) {
            continue;
        }
        if ((voters & voter) != 0) {
            return "a voter is in votes_topic twice";
        }
        if (vote.source < last) {
            return "positions in votes_topic do not rise";
        }
        if (vote.previous != last) {
            return "a reader of votes_topic finds a gap";
        }
        voters |= voter;
        last = vote.source + 1;
    }
    return NULL;
}

/* Whether what can be read has a gap: then readers stop, loudly. */
static bool is_stopped(const struct voting *voting)
{
    unsigned last = 0;

    for (unsigned at = 0; at < cluster_stable(&voting->cluster); at++) {
        struct vote vote = vote_unpack(voting->cluster.log[at]);

        if (vote.source >= last && vote.previous != last) {
            return true;
        }
        last = vote.source >= last ? vote.source + 1 : last;
    }
    return false;
}

/* Bits of the source offsets whose votes are in the topic: readable, or decided and lacking no more
 * than their marker. */
static unsigned present(const struct cluster *cluster, bool only_readable)
{
    unsigned bits = 0;

    for (unsigned at = 0; at < (only_readable ? cluster_stable(cluster) : cluster->log_count);
         at++) {
        uint16_t entry = cluster->log[at];
        const struct txn *txn = &cluster->txn[(entry & ENTRY_B) != 0];

        if ((entry & ENTRY_OPEN) == 0 || (txn->state == TXN_COMMIT && txn->data)) {
            bits |= 1U << vote_unpack(entry).source;
        }
    }
    return bits;
}

/* Nothing behind the committed offset is missing. */
static const char *judge_committed(const struct setup *setup, const struct voting *voting)
{
    unsigned votes = present(&voting->cluster, false) | voting->lost;

    for (unsigned offset = 0; offset < voting->cluster.committed.next; offset++) {
        if (is_first_vote(setup, offset) && (votes >> offset & 1U) == 0) {
            return "a vote behind the committed offset is missing";
        }
        if (!is_first_vote(setup, offset) && voting->rejects[offset] == 0) {
            return "a reject behind the committed offset is missing";
        }
    }
    return NULL;
}

static const char *judge_rejects(const struct setup *setup, const struct voting *voting)
{
    bool is_replayed = setup->faults[FAULT_TOPIC] + setup->faults[FAULT_TOPIC_LIVE] +
                           setup->faults[FAULT_OFFSETS] >
                       0;

    for (unsigned offset = 0; offset < setup->records; offset++) {
        if (voting->rejects[offset] > 0 && is_first_vote(setup, offset)) {
            return "a voter's first vote is rejected";
        }
        if (voting->rejects[offset] > 1 && is_raw(setup) && !is_replayed) {
            return "a record is in rejected_votes twice";
        }
    }
    return NULL;
}

static const char *judge_table(const struct setup *setup, const struct voting *voting)
{
    const struct cluster *cluster = &voting->cluster;
    unsigned counted = 0;
    unsigned rows = 0;

    for (unsigned voter = 0; voter < VOTERS_MAX; voter++) {
        rows += voting->pg.rows[voter].position != 0;
    }
    for (unsigned at = 0; at < cluster_stable(cluster); at++) {
        struct vote vote = vote_unpack(cluster->log[at]);
        const struct row *row = &voting->pg.rows[voter_of(setup, vote.source)];

        if (row->position != vote.source + 1 || row->draw != vote.draw) {
            return "table and topic differ";
        }
        counted |= 1U << voter_of(setup, vote.source);
    }
    return (unsigned)__builtin_popcount(counted) == rows ? NULL : "table and topic differ";
}

/* All work is done: each record is where it belongs, and the table says what the topic says. */
static const char *judge_end(const struct setup *setup, const struct voting *voting)
{
    unsigned votes = present(&voting->cluster, true);

    if (is_raw(setup) && voting->cluster.committed.next != setup->records) {
        return "all is done, but the committed offset is not the end";
    }
    for (unsigned offset = 0; offset < setup->records; offset++) {
        if (is_first_vote(setup, offset) && (votes >> offset & 1U) == 0) {
            return "all is done, but a vote is missing";
        }
        if (!is_first_vote(setup, offset) && voting->rejects[offset] == 0) {
            return "all is done, but a reject is missing";
        }
    }
    return judge_table(setup, voting);
}

const char *voting_judge(const struct setup *setup, const void *state)
{
    static const char *const alarms[] = {
        [ALARM_BELOW_PROGRESS] = "a node stops: rows below the progress were missing",
        [ALARM_SECOND_VOTE] = "a node stops: a vote of the topic has another row in the table",
    };
    const struct voting *voting = state;
    const char *broken = alarms[voting->cluster.alarm];

    if (broken == NULL && setup->faults[FAULT_TOPIC_LIVE] > 0 && is_stopped(voting)) {
        return NULL;
    }
    if (broken == NULL) {
        broken = judge_topic(setup, voting);
    }
    if (broken == NULL) {
        broken = judge_committed(setup, voting);
    }
    if (broken == NULL) {
        broken = judge_rejects(setup, voting);
    }
    if (broken == NULL && voting_is_done(setup, state)) {
        broken = judge_end(setup, voting);
    }
    return broken;
}

void voting_print(const struct setup *setup, const void *state, FILE *out)
{
    const struct voting *voting = state;
    const struct cluster *cluster = &voting->cluster;

    (void)fputs("      votes_topic (source:voter, o: open):", out);
    for (unsigned at = 0; at < cluster->log_count; at++) {
        struct vote vote = vote_unpack(cluster->log[at]);

        (void)fprintf(out, " %u:%c%s", vote.source, setup->input[vote.source],
                      (cluster->log[at] & ENTRY_OPEN) != 0 ? "o" : "");
    }
    (void)fputs("\n      rejected_votes:", out);
    for (unsigned offset = 0; offset < setup->records; offset++) {
        for (unsigned times = 0; times < voting->rejects[offset]; times++) {
            (void)fprintf(out, " %u:%c", offset, setup->input[offset]);
        }
    }
    (void)fprintf(out, "\n      PostgreSQL, progress %u, rows:", voting->pg.progress);
    for (unsigned voter = 0; voter < VOTERS_MAX; voter++) {
        if (voting->pg.rows[voter].position != 0) {
            (void)fprintf(out, " %u:%c/%u", voting->pg.rows[voter].position - 1U, 'a' + voter,
                          voting->pg.rows[voter].draw);
        }
    }
    (void)fputs("\n", out);
    cluster_print(cluster, out);
}
