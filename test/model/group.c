/* The group, and a node's life: who is given the partition, when a node hears of it, takeover
 * (exactly-once.md 2.4), kill and restart. */
#include "cluster.h"

#include <string.h>

/* A new generation: every snapshot is old now, also the ones that travel with batches. */
static void rebalance(struct step *step, int target, bool is_free)
{
    struct cluster *next = step_next(step);

    next->left[FAULT_REBALANCE] -= !is_free;
    for (int node = 0; node < NODES; node++) {
        struct member *member = &next->members[node];

        member->md = 0;
        member->batch_md = 0;
        member->ready_md = 0;
        member->lost |= node != target && member->phase != PHASE_FREE;
    }
    next->owner = (uint8_t)target;
    STEP_ADD(step, "rebalance%s: p is given to %c in a new generation",
             is_free ? " (its owner is dead)" : "", node_name(target));
}

static void rebalances(struct step *step)
{
    const struct cluster *from = step->from;
    bool is_free = !from->members[from->owner].alive;

    for (int target = 0; target < NODES; target++) {
        if (from->members[target].alive && (is_free || from->left[FAULT_REBALANCE] > 0)) {
            rebalance(step, target, is_free);
        }
    }
}

void group_give_up(struct step *step, void *next, int node)
{
    struct member *member = &((struct cluster *)next)->members[node];

    step->stage->forget(next, node);
    if (member->thread == T_OPEN || member->thread == T_OFFSETS || member->thread == T_END) {
        member->thread = T_RECYCLE;
    } else if (member->thread == T_CHECK) {
        member->thread = T_IDLE;
    }
    member->phase = PHASE_FREE;
    member->wait = 0;
    member->lost = 0;
    member->md = 0;
    member->batch_md = 0;
    member->ready_md = 0;
    member->out = 0;
    member->mark = 0;
    member->next = 0;
    member->last = 0;
}

static void hear(struct step *step, int node)
{
    const struct cluster *from = step->from;
    const struct member *member = &from->members[node];
    struct cluster *next;

    if (!member->alive) {
        return;
    }
    if (member->phase == PHASE_FREE) {
        if (member->thread == T_IDLE && from->owner == node) {
            next = step_next(step);
            next->members[node].phase = PHASE_TOLD;
            next->members[node].md = 1;
            STEP_ADD(step, "%c hears that p is its own", node_name(node));
        }
        return;
    }
    if (member->md) {
        return;
    }
    next = step_next(step);
    group_give_up(step, next, node);
    STEP_ADD(step, "%c hears that p is revoked, and drops what it has of it", node_name(node));
    if (from->owner == node && !member->lost && member->phase == PHASE_OWNER) {
        next = step_next(step);
        next->members[node].md = 1;
        next->members[node].wait = 0;
        STEP_ADD(step, "%c hears that it keeps p, and takes a new snapshot", node_name(node));
    }
}

static void take_over(struct step *step, int node)
{
    const struct cluster *from = step->from;
    const struct member *member = &from->members[node];
    unsigned stable = cluster_stable(from);
    struct cluster *next;

    if (member->phase == PHASE_TOLD && !cluster_is_pending(from)) {
        next = step_next(step);
        next->members[node].phase = PHASE_ASKED;
        next->members[node].next = from->committed.next & 0xfU;
        next->members[node].last = from->committed.last & 0xfU;
        STEP_ADD(step, "%c reads the committed offset: %u (last %d)", node_name(node),
                 from->committed.next, from->committed.last - 1);
    } else if (member->phase == PHASE_ASKED) {
        bool is_high = has(step->setup, PART_HIGH_WATERMARK);

        next = step_next(step);
        next->members[node].phase = PHASE_WAITING;
        next->members[node].mark = (is_high ? from->log_count : stable) & 0xfU;
        STEP_ADD(step, "%c asks for the %s of the data partition: %u", node_name(node),
                 is_high ? "high watermark" : "last stable offset", next->members[node].mark);
    } else if (member->phase == PHASE_WAITING && stable >= member->mark) {
        step->stage->own(step, node);
    }
}

static void live_and_die(struct step *step, int node)
{
    const struct cluster *from = step->from;
    struct cluster *next;

    if (!from->members[node].alive) {
        next = step_next(step);
        next->members[node].alive = 1;
        next->members[node].thread = T_RECYCLE;
        STEP_ADD(step, "%c is started again", node_name(node));
    } else if (from->left[FAULT_KILL] > 0) {
        next = step_next(step);
        step->stage->forget(next, node);
        next->left[FAULT_KILL]--;
        memset(&next->members[node], 0, sizeof(next->members[node]));
        next->txn[node].fenced = 0;
        STEP_ADD(step, "%c is killed", node_name(node));
    }
}

void group_expand(struct step *step)
{
    const struct cluster *from = step->from;

    rebalances(step);
    for (int node = 0; node < NODES; node++) {
        hear(step, node);
        live_and_die(step, node);
        if (from->members[node].alive) {
            take_over(step, node);
        }
    }
}
