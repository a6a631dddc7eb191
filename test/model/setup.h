/* What one run of the model explores: the input, what may go wrong and how often, and which parts
 * of the protocol are left out. */
#ifndef VD_TEST_MODEL_SETUP_H
#define VD_TEST_MODEL_SETUP_H

#include <stdbool.h>
#include <stdint.h>

/* Parts of the protocol that a negative control leaves out; bits of setup.without. */
enum part {
    PART_HIGH_WATERMARK = 1 << 0, /* takeover waits for the last stable offset instead */
    PART_LAST = 1 << 1,           /* no "last" in the offset's metadata */
    PART_SELF_CHECK = 1 << 2,     /* no self-check: start at the committed offset, as it is */
    PART_STATEMENT_3 = 1 << 3,    /* "mine" is what this very insert returned */
    PART_POSITIONS = 1 << 4,      /* "mine" is every voter that has a row */
    PART_ROW = 1 << 5,            /* emit the vote as computed, not as the row has it */
    PART_PURE = 1 << 6,           /* each attempt computes another vote for the same record */
    PART_SNAPSHOT = 1 << 7,       /* group metadata is fetched when the offsets are sent */
    PART_FENCE = 1 << 8,          /* the broker does not check the generation */
    PART_FILTERS = 1 << 9,        /* readers do not drop positions they have seen */
    PART_RECYCLE = 1 << 10,       /* go on with the same epoch after EndTxn was sent twice */
    PART_META = 1 << 11,          /* aggregation starts at the group's offset, not at META's */
    PART_SUMS = 1 << 12,          /* no check that the sum of totals is META's votes */
    /* Not in the first design; see README.md, "What the model added". */
    PART_REWIND = 1 << 13,    /* a start before the committed offset is not committed first */
    PART_PROGRESS = 1 << 14,  /* refilling the table moves progress to C, beyond the start */
    PART_EVENT = 1 << 15,     /* after a generation error wait, whatever snapshot is at hand */
    PART_RECOUNTED = 1 << 16, /* META does not keep how far a recount went */
    PART_AGAIN = 1 << 17,     /* a replay from below that is dropped, with no further recount */
};

/* What may go wrong, each so many times in one history. */
enum fault {
    FAULT_KILL,
    FAULT_REBALANCE,
    FAULT_DOUBT,      /* a transactional call fails or is not answered, or EndTxn is sent twice */
    FAULT_TIMEOUT,    /* the coordinator ends the transaction of a node that lives */
    FAULT_PG,         /* PostgreSQL fails over to a standby that had stopped to follow */
    FAULT_TOPIC,      /* the data topic loses its tail while no node holds the partition */
    FAULT_TOPIC_LIVE, /* the same while a node goes on; a gap that readers see is tolerated then */
    FAULT_OFFSETS,    /* the committed offset goes back */
    FAULT_REBUILD,    /* a person asks for a recount */
    FAULTS,
};

enum {
    INPUT_MAX = 6,
};

struct setup {
    const char *input; /* one letter a record: the voter */
    uint8_t records;
    unsigned without; /* enum part */
    uint8_t faults[FAULTS];
};

/* Whether the protocol of this run has 'part'. */
static inline bool has(const struct setup *setup, enum part part)
{
    return (setup->without & (unsigned)part) == 0;
}

#endif
