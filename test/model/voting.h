/* Model 1, voting: what its moves and its properties share. */
#ifndef VD_TEST_MODEL_VOTING_H
#define VD_TEST_MODEL_VOTING_H

#include "cluster.h"

enum {
    VOTERS_MAX = 4,
    BATCH_MAX = 2,
};

/* A position is kept as offset + 1, so that 0 is "none". */
struct row {
    uint8_t position : 4;
    uint8_t draw : 1; /* what the vote says */
    uint8_t spare : 3;
};

struct table {
    struct row rows[VOTERS_MAX];
    uint8_t progress;
};

struct voting_node {
    uint32_t first : 3;  /* the first record that is not known to be committed */
    uint32_t batch : 2;  /* then so many in the transaction, */
    uint32_t ready : 2;  /* judged and waiting for it, */
    uint32_t polled : 3; /* and in memory */
    uint32_t batch_mine : 2;
    uint32_t batch_draw : 2;
    uint32_t ready_mine : 2;
    uint32_t ready_draw : 2;
    uint32_t check : 1;  /* the self-check is for a lost connection, not for an assignment */
    uint32_t broken : 1; /* the connection to PostgreSQL was lost */
    uint32_t floor : 3;  /* nothing is emitted below it: V + 1 */
    uint32_t last : 3;   /* position of the last vote emitted before the batch */
    uint32_t known : 3;  /* the progress that the self-check read */
    uint32_t rewind : 1; /* the start is to be committed before all else */
    uint32_t spare : 3;
};

struct voting {
    struct cluster cluster;
    struct voting_node nodes[NODES];
    struct table pg, standby;
    uint8_t standby_stopped;     /* the standby has stopped to follow */
    uint8_t rejects_open[NODES]; /* bits: in the open transaction */
    uint8_t rejects[INPUT_MAX];  /* how often each record is in rejected_votes */
    uint8_t lost;                /* bits: votes that a lost tail took */
    uint8_t unseen;              /* a tail was lost, and no self-check has been made since */
    uint8_t draw;
} __attribute__((aligned(8)));

/* A vote in votes_topic. */
struct vote {
    unsigned source;   /* offset of its record */
    unsigned previous; /* position of the vote before it */
    unsigned draw;
};

static inline uint16_t vote_pack(struct vote vote)
{
    return (uint16_t)(vote.source | vote.previous << 3 | vote.draw << 6);
}

static inline struct vote vote_unpack(uint16_t entry)
{
    return (struct vote){entry & 7U, (entry >> 3) & 7U, (entry >> 6) & 1U};
}

static inline unsigned voter_of(const struct setup *setup, unsigned offset)
{
    return (unsigned)(setup->input[offset] - 'a');
}

/* Whether the record at 'offset' is its voter's first: the one that is to be accepted. */
static inline bool is_first_vote(const struct setup *setup, unsigned offset)
{
    for (unsigned earlier = 0; earlier < offset; earlier++) {
        if (setup->input[earlier] == setup->input[offset]) {
            return false;
        }
    }
    return true;
}

enum alarm {
    ALARM_NONE,
    ALARM_BELOW_PROGRESS,
    ALARM_SECOND_VOTE,
};

bool voting_is_done(const struct setup *setup, const void *state);
const char *voting_judge(const struct setup *setup, const void *state);
void voting_print(const struct setup *setup, const void *state, FILE *out);

extern const struct model voting_model;

#endif
