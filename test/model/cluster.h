/* What both models share: a broker with one data partition (votes_topic[p] or agg_partials[p]), one
 * offsets partition, a transaction coordinator and a group; and of two nodes the part that is the
 * same in every stage: the consumer's view of the group, the takeover, the transactional producer.
 * A model puts a 'struct cluster' first in its state, and fills in a 'struct stage'. */
#ifndef VD_TEST_MODEL_CLUSTER_H
#define VD_TEST_MODEL_CLUSTER_H

#include "explore.h"
#include "setup.h"

enum {
    NODES = 2,
    LOG_MAX = 13,
    STATE_MAX = 128,
};

/* A record of the data partition. Aborted ones are taken out: nobody can tell them from none. */
enum {
    ENTRY_OPEN = 1 << 15, /* its transaction has no marker here yet */
    ENTRY_B = 1 << 14,    /* written by node 1 */
    ENTRY_PAYLOAD = 0x3fff,
};

enum txn_state {
    TXN_EMPTY, /* none, or all markers are written */
    TXN_ONGOING,
    TXN_COMMIT, /* decided and answered; markers may be missing */
    TXN_ABORT,
};

/* One transactional.id, at the coordinator and on the wire. */
struct txn {
    uint8_t state : 2;
    uint8_t data : 1;    /* the data partition takes part; once decided: its marker is missing */
    uint8_t offsets : 1; /* the same for the offsets: this node's offset is pending */
    uint8_t fenced : 1;  /* the coordinator's epoch is newer than the producer's */
    uint8_t wire : 3;    /* copies of the present transaction's EndTxn that have not arrived */
    uint8_t late : 2;    /* copies of an earlier one's, of the present epoch */
    uint8_t spare : 6;
};

struct offset {
    uint8_t next : 4; /* what will be read next */
    uint8_t last : 4; /* metadata: last emitted source offset + 1, 0: none */
};

/* How far a node has the partition, in its own view. */
enum phase {
    PHASE_FREE,    /* knows nothing of it */
    PHASE_TOLD,    /* it is assigned; or PostgreSQL is back and is to be checked */
    PHASE_ASKED,   /* has read the committed offset */
    PHASE_WAITING, /* has asked for the high watermark */
    PHASE_OWNER,
};

/* What thread T of a node is at. */
enum thread {
    T_IDLE,
    T_OPEN,    /* produces */
    T_OFFSETS, /* offsets sent */
    T_END,     /* EndTxn sent */
    T_RECYCLE, /* a new instance calls init_transactions */
    T_CHECK,   /* asks whether the batch did commit */
};

struct member {
    uint32_t alive : 1;
    uint32_t md : 1;   /* the snapshot's generation is the group's present one */
    uint32_t lost : 1; /* the partition was given to someone else since */
    uint32_t wait : 1; /* after a generation error: no new batch before the next event */
    uint32_t phase : 3;
    uint32_t thread : 3;
    uint32_t out : 3;        /* outputs produced in this transaction */
    uint32_t batch_md : 1;   /* as md, of the batch in the transaction */
    uint32_t ready_md : 1;   /* as md, of the batch that waits for T */
    uint32_t twice : 1;      /* EndTxn was sent again */
    uint32_t added_data : 1; /* the client has added the data partition to its transaction */
    uint32_t added_side : 1;
    uint32_t mark : 4; /* the high watermark to wait for */
    uint32_t next : 4; /* the committed offset as it was read, and its metadata */
    uint32_t last : 4;
    uint32_t spare : 2;
};

struct cluster {
    uint16_t log[LOG_MAX];
    uint8_t log_count;
    uint8_t owner; /* to whom the group has given the partition */
    struct txn txn[NODES];
    struct offset committed, pending[NODES];
    uint8_t alarm; /* a node did what should never be needed; index into the model's words */
    struct member members[NODES];
    uint8_t left[FAULTS]; /* faults that may still come */
};

enum output {
    OUTPUT_NONE, /* all is produced */
    OUTPUT_DATA, /* to the data partition */
    OUTPUT_SIDE, /* to a topic that nobody waits for: rejected_votes */
};

/* One expansion: the state it starts from, and room for the next one. */
struct step {
    const struct setup *setup;
    const struct stage *stage;
    struct explorer *explorer;
    const void *from;
    size_t bytes;
    union {
        uint64_t align;
        unsigned char bytes[STATE_MAX];
    } next;
};

/* What a model adds. 'state' is the model's own; 'node' is 0 or 1. */
struct stage {
    /* What the batch in the transaction emits at place 'out', as 'payload'. */
    enum output (*output)(const struct setup *setup, const void *state, int node, unsigned out,
                          uint16_t *payload);
    /* Output 'out' went to the side topic, inside the transaction; then how that ended. */
    void (*on_side)(const struct setup *setup, void *state, int node, unsigned out);
    void (*on_decided)(const struct setup *setup, void *state, int node, bool is_commit);
    struct offset (*position)(const struct setup *setup, const void *state, int node);
    bool (*has_batch)(const void *state, int node);
    void (*on_success)(const struct setup *setup, void *state, int node);
    void (*on_failure)(const struct setup *setup, void *state, int node);
    void (*forget)(void *state, int node); /* revoked or killed: all that was in memory */
    /* T_CHECK: whether the batch in doubt did commit; offers the next states. */
    void (*check)(struct step *step, int node);
    /* The takeover has waited: read the state, begin as owner; offers the next states. */
    void (*own)(struct step *step, int node);
};

/* A fresh copy of the state that is being expanded. */
void *step_next(struct step *step);
#define STEP_ADD(step, ...) explorer_add((step)->explorer, (step)->next.bytes, __VA_ARGS__)

/* The state when all begins: both nodes run, A is given the partition. */
void cluster_start(const struct setup *setup, struct cluster *cluster);

/* Offers all next states that do not depend on the stage: those of producers, coordinator, markers
 * and wire; and those of the group: rebalance, notice, takeover, kill, restart. */
void cluster_expand(struct step *step);
void group_expand(struct step *step);

/* End of T_CHECK: take the batch for committed, or run it again.
 * 'next' is the step's next state. */
void cluster_checked(struct step *step, void *next, int node, bool is_committed);

/* Revoke: what 'node' has of the partition is dropped, a transaction under way is recycled. */
void group_give_up(struct step *step, void *next, int node);

/* The last stable offset: records below it are readable. */
unsigned cluster_stable(const struct cluster *cluster);

/* Whether some offset is pending: committed() waits. */
bool cluster_is_pending(const struct cluster *cluster);

/* Whether no transaction is open or lacks a marker, and the owner lives, knows it, and is idle. */
bool cluster_is_quiet(const struct cluster *cluster);

/* Whether a living node acts as the owner, rightly or not. */
bool cluster_is_held(const struct cluster *cluster);

/* The records from 'keep' on are lost. */
void cluster_truncate(struct cluster *cluster, unsigned keep);

/* Lines about everything in here but the records. */
void cluster_print(const struct cluster *cluster, FILE *out);

static inline char node_name(int node)
{
    return (char)('A' + node);
}

#endif
