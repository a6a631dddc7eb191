/* The moves that both models share. Each one is an action of one party that nothing can cut in two;
 * an answer that is lost or late is an arrival after the sender has given up. */
#include "cluster.h"

#include <assert.h>
#include <string.h>

void *step_next(struct step *step)
{
    memcpy(step->next.bytes, step->from, step->bytes);
    return step->next.bytes;
}

unsigned cluster_stable(const struct cluster *cluster)
{
    unsigned at = 0;

    while (at < cluster->log_count && (cluster->log[at] & ENTRY_OPEN) == 0) {
        at++;
    }
    return at;
}

bool cluster_is_pending(const struct cluster *cluster)
{
    return cluster->txn[0].offsets != 0 || cluster->txn[1].offsets != 0;
}

bool cluster_is_quiet(const struct cluster *cluster)
{
    const struct member *owner = &cluster->members[cluster->owner];

    return owner->alive && owner->md && owner->phase == PHASE_OWNER && owner->thread == T_IDLE &&
           cluster->txn[0].state == TXN_EMPTY && cluster->txn[1].state == TXN_EMPTY;
}

bool cluster_is_held(const struct cluster *cluster)
{
    return (cluster->members[0].alive && cluster->members[0].phase == PHASE_OWNER) ||
           (cluster->members[1].alive && cluster->members[1].phase == PHASE_OWNER);
}

void cluster_truncate(struct cluster *cluster, unsigned keep)
{
    memset(&cluster->log[keep], 0, (LOG_MAX - keep) * sizeof(cluster->log[0]));
    cluster->log_count = (uint8_t)keep;
    for (int node = 0; node < NODES; node++) {
        if (cluster->members[node].mark > keep) {
            cluster->members[node].mark = keep & 0xfU;
        }
    }
}

void cluster_start(const struct setup *setup, struct cluster *cluster)
{
    cluster->members[0].alive = 1;
    cluster->members[1].alive = 1;
    memcpy(cluster->left, setup->faults, sizeof(cluster->left));
}

static bool is_of(uint16_t entry, int node)
{
    return ((entry & ENTRY_B) != 0) == (node == 1);
}

/* The marker of the data partition: open records of 'node' become readable, or go. */
static void end_records(struct cluster *cluster, int node, bool is_commit)
{
    unsigned at = 0;

    while (at < cluster->log_count) {
        uint16_t *entry = &cluster->log[at];

        if ((*entry & ENTRY_OPEN) == 0 || !is_of(*entry, node)) {
            at++;
        } else if (is_commit) {
            *entry &= (uint16_t)~ENTRY_OPEN;
            at++;
        } else {
            memmove(entry, entry + 1, (cluster->log_count - at - 1U) * sizeof(*entry));
            cluster->log_count--;
            cluster->log[cluster->log_count] = 0;
            for (int other = 0; other < NODES; other++) {
                cluster->members[other].mark -= cluster->members[other].mark > at;
            }
        }
    }
}

/* A transaction without a missing marker is over. */
static void settle(struct txn *txn)
{
    if (txn->data == 0 && txn->offsets == 0) {
        txn->state = TXN_EMPTY;
    }
}

static void decide(struct step *step, struct cluster *next, int node, bool is_commit)
{
    struct txn *txn = &next->txn[node];

    assert(txn->state == TXN_ONGOING);
    txn->state = is_commit ? TXN_COMMIT : TXN_ABORT;
    step->stage->on_decided(step->setup, next, node, is_commit);
    settle(txn);
}

/* The coordinator's epoch goes up: what is still on the wire will be refused. */
static void raise_epoch(struct txn *txn)
{
    txn->wire = 0;
    txn->late = 0;
}

static void markers(struct step *step, int node)
{
    const struct cluster *from = step->from;
    const struct txn *txn = &from->txn[node];
    bool is_commit = txn->state == TXN_COMMIT;
    const char *kind = is_commit ? "commit" : "abort";

    if (txn->state != TXN_COMMIT && txn->state != TXN_ABORT) {
        return;
    }
    if (txn->data) {
        struct cluster *next = step_next(step);

        end_records(next, node, is_commit);
        next->txn[node].data = 0;
        settle(&next->txn[node]);
        STEP_ADD(step, "coordinator writes %c's %s marker to the data partition", node_name(node),
                 kind);
    }
    if (txn->offsets) {
        struct cluster *next = step_next(step);

        if (is_commit) {
            next->committed = from->pending[node];
        }
        next->pending[node] = (struct offset){0};
        next->txn[node].offsets = 0;
        settle(&next->txn[node]);
        STEP_ADD(step, "coordinator writes %c's %s marker to the offsets: %u is committed",
                 node_name(node), kind, next->committed.next);
    }
}

/* Commit returned success. */
static void succeed(struct step *step, struct cluster *next, int node)
{
    struct member *member = &next->members[node];
    struct txn *txn = &next->txn[node];

    step->stage->on_success(step->setup, next, node);
    txn->late += txn->wire;
    txn->wire = 0;
    member->thread = member->twice && has(step->setup, PART_RECYCLE) ? T_RECYCLE : T_IDLE;
    member->twice = 0;
    member->out = 0;
    member->batch_md = 0;
    member->added_data = 0;
    member->added_side = 0;
}

static void arrivals(struct step *step, int node)
{
    const struct cluster *from = step->from;
    const struct txn *txn = &from->txn[node];

    if (txn->wire > 0) {
        struct cluster *next = step_next(step);
        bool is_awaited = next->members[node].alive && next->members[node].thread == T_END;

        next->txn[node].wire--;
        if (txn->state == TXN_ONGOING) {
            decide(step, next, node, true);
        }
        if (is_awaited) {
            succeed(step, next, node);
        }
        STEP_ADD(step, "%c's EndTxn arrives%s%s", node_name(node),
                 txn->state == TXN_ONGOING ? ": commit is decided" : " without effect",
                 is_awaited ? ", and is answered" : ", and nobody waits for the answer");
    }
    if (txn->late > 0) {
        struct cluster *next = step_next(step);

        next->txn[node].late--;
        if (txn->state == TXN_ONGOING) {
            decide(step, next, node, true);
        }
        STEP_ADD(step, "a late copy of %c's earlier EndTxn arrives%s", node_name(node),
                 txn->state == TXN_ONGOING ? ": it commits the present transaction" : "");
    }
}

static void time_out(struct step *step, int node)
{
    const struct cluster *from = step->from;
    const struct member *member = &from->members[node];
    bool is_running =
        member->thread == T_OPEN || member->thread == T_OFFSETS || member->thread == T_END;
    struct cluster *next;

    if (from->txn[node].state != TXN_ONGOING ||
        (member->alive && (!is_running || from->left[FAULT_TIMEOUT] == 0))) {
        return;
    }
    next = step_next(step);
    next->left[FAULT_TIMEOUT] -= member->alive;
    raise_epoch(&next->txn[node]);
    next->txn[node].fenced = member->alive;
    decide(step, next, node, false);
    STEP_ADD(step, "%c's transaction times out: abort is decided", node_name(node));
}

/* The producer is replaced; what comes of the batch is asked afterwards. */
static void recycle(struct member *member)
{
    member->thread = T_RECYCLE;
    member->out = 0;
}

/* Add a partition to the transaction: false while the coordinator is still busy with the last. */
static bool join(struct txn *txn)
{
    if (txn->state == TXN_COMMIT || txn->state == TXN_ABORT) {
        return false;
    }
    txn->state = TXN_ONGOING;
    return true;
}

static void append(struct cluster *next, int node, uint16_t payload)
{
    assert(next->log_count < LOG_MAX);
    next->log[next->log_count++] =
        (uint16_t)(payload | ENTRY_OPEN | (node == 1 ? (unsigned)ENTRY_B : 0U));
}

static void produce(struct step *step, int node, enum output kind, uint16_t payload)
{
    struct cluster *next = step_next(step);
    struct member *member = &next->members[node];
    struct txn *txn = &next->txn[node];
    unsigned out = member->out++;

    if (txn->fenced) {
        /* Until the marker is there, the partition's leader knows nothing of the new epoch. */
        if (kind == OUTPUT_DATA && txn->state == TXN_ABORT && txn->data && member->added_data) {
            append(next, node, payload);
            STEP_ADD(step, "%c produces output %u, too late", node_name(node), out);
        }
        return;
    }
    if (kind == OUTPUT_SIDE) {
        if (!member->added_side && !join(txn)) {
            return;
        }
        member->added_side = 1;
        /* Outside a transaction it hangs there and is never readable. */
        if (txn->state == TXN_ONGOING) {
            step->stage->on_side(step->setup, next, node, out);
        }
        STEP_ADD(step, "%c produces output %u to the side topic", node_name(node), out);
        return;
    }
    if (!member->added_data) {
        if (!join(txn)) {
            return;
        }
        txn->data = 1;
        member->added_data = 1;
    }
    append(next, node, payload);
    STEP_ADD(step, "%c produces output %u to the data partition%s", node_name(node), out,
             txn->state == TXN_ONGOING && txn->data ? "" : ", where no transaction is known");
}

static void send_offsets(struct step *step, int node)
{
    struct cluster *next = step_next(step);
    struct member *member = &next->members[node];
    struct txn *txn = &next->txn[node];

    if (txn->fenced) {
        return;
    }
    if (!member->batch_md && has(step->setup, PART_FENCE) && has(step->setup, PART_SNAPSHOT)) {
        /* With a newer snapshot at hand there may be no further event to wait for. */
        member->wait = !member->md || !has(step->setup, PART_EVENT);
        recycle(member);
        STEP_ADD(step, "%c sends offsets: refused, the generation is old", node_name(node));
        return;
    }
    if (!join(txn)) {
        return;
    }
    txn->offsets = 1;
    next->pending[node] = step->stage->position(step->setup, next, node);
    member->thread = T_OFFSETS;
    STEP_ADD(step, "%c sends offset %u (last %d)%s", node_name(node), next->pending[node].next,
             next->pending[node].last - 1,
             member->batch_md ? "" : ", accepted although the partition may be lost");
}

static void end_transaction(struct step *step, int node)
{
    struct cluster *next = step_next(step);

    if (next->txn[node].fenced) {
        return;
    }
    next->members[node].thread = T_END;
    next->txn[node].wire++;
    STEP_ADD(step, "%c sends EndTxn", node_name(node));
}

/* What can go wrong with any transactional call. */
static void fail_call(struct step *step, int node)
{
    const struct cluster *from = step->from;
    struct cluster *next;

    if (from->txn[node].fenced) {
        next = step_next(step);
        recycle(&next->members[node]);
        STEP_ADD(step, "%c is refused: its epoch is old", node_name(node));
    }
    if (from->left[FAULT_DOUBT] == 0) {
        return;
    }
    next = step_next(step);
    next->left[FAULT_DOUBT]--;
    recycle(&next->members[node]);
    STEP_ADD(step, "%c's call fails, or is not answered: it recycles", node_name(node));
    if (from->members[node].thread == T_END && !from->txn[node].fenced) {
        next = step_next(step);
        next->left[FAULT_DOUBT]--;
        next->members[node].twice = 1;
        next->txn[node].wire++;
        STEP_ADD(step, "%c gets no answer and sends EndTxn again", node_name(node));
    }
}

static void init_transactions(struct step *step, int node)
{
    struct cluster *next = step_next(step);
    struct member *member = &next->members[node];
    struct txn *txn = &next->txn[node];

    if (txn->state == TXN_ONGOING) {
        raise_epoch(txn);
        decide(step, next, node, false);
        STEP_ADD(step, "%c calls init_transactions: its open transaction is aborted",
                 node_name(node));
        return;
    }
    if (txn->state != TXN_EMPTY) {
        return;
    }
    raise_epoch(txn);
    txn->fenced = 0;
    member->twice = 0;
    member->added_data = 0;
    member->added_side = 0;
    member->thread = step->stage->has_batch(next, node) ? T_CHECK : T_IDLE;
    member->batch_md = member->batch_md && member->thread == T_CHECK;
    member->mark =
        member->thread == T_CHECK
            ? (has(step->setup, PART_HIGH_WATERMARK) ? next->log_count : cluster_stable(next)) &
                  0xfU
            : 0;
    STEP_ADD(step, "%c calls init_transactions: a new epoch", node_name(node));
}

void cluster_checked(struct step *step, void *next, int node, bool is_committed)
{
    struct member *member = &((struct cluster *)next)->members[node];

    if (is_committed) {
        step->stage->on_success(step->setup, next, node);
        member->wait = 0;
    } else {
        step->stage->on_failure(step->setup, next, node);
    }
    member->thread = T_IDLE;
    member->batch_md = 0;
    member->mark = 0;
}

static void transact(struct step *step, int node)
{
    const struct cluster *from = step->from;
    uint16_t payload = 0;
    enum output kind;

    switch ((enum thread)from->members[node].thread) {
    case T_IDLE:
        break;
    case T_OPEN:
        kind = step->stage->output(step->setup, from, node, from->members[node].out, &payload);
        if (kind == OUTPUT_NONE) {
            send_offsets(step, node);
        } else {
            produce(step, node, kind, payload);
        }
        fail_call(step, node);
        break;
    case T_OFFSETS:
        end_transaction(step, node);
        fail_call(step, node);
        break;
    case T_END:
        fail_call(step, node);
        break;
    case T_RECYCLE:
        init_transactions(step, node);
        break;
    case T_CHECK:
        step->stage->check(step, node);
        break;
    }
}

void cluster_expand(struct step *step)
{
    for (int node = 0; node < NODES; node++) {
        markers(step, node);
        arrivals(step, node);
        time_out(step, node);
        transact(step, node);
    }
    group_expand(step);
}

static const char *const txn_words[] = {"empty", "ongoing", "commit", "abort"};
static const char *const phase_words[] = {"free", "told", "asked", "waiting", "owner"};
static const char *const thread_words[] = {"idle", "open", "offsets", "end", "recycle", "check"};

void cluster_print(const struct cluster *cluster, FILE *out)
{
    (void)fprintf(out, "      group: %c is given p; committed %u (last %d)\n",
                  node_name(cluster->owner), cluster->committed.next, cluster->committed.last - 1);
    for (int node = 0; node < NODES; node++) {
        const struct member *member = &cluster->members[node];
        const struct txn *txn = &cluster->txn[node];

        (void)fprintf(
            out, "      %c: %s%s%s, T %s; transaction %s%s%s, EndTxn on the wire %u + %u\n",
            node_name(node), member->alive ? phase_words[member->phase] : "dead",
            member->alive && member->phase != PHASE_FREE && !member->md ? " of an old generation"
                                                                        : "",
            member->wait ? ", waits for an event" : "", thread_words[member->thread],
            txn_words[txn->state], txn->data ? " +data" : "", txn->offsets ? " +offsets" : "",
            txn->wire, txn->late);
    }
}
