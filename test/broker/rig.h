/* A node by hand for tests of the engine: one stage, a loop, a deadline; and further nodes in
 * processes of their own, which can be killed. */
#ifndef VD_TEST_BROKER_RIG_H
#define VD_TEST_BROKER_RIG_H

#include "../unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "alloc.h"
#include "loop_uv.h"
#include "peer.h"
#include "stage_impl.h"

#define RIG_PARTITIONS 4

struct rig {
    struct vd_loop loop;
    struct vd_log *log;
    struct vd_metrics *metrics;
    struct vd_kafka_conf kafka_conf;
    struct vd_host host;
    struct vd_stage_conf conf; /* may be changed between rig_open and rig_run */
    struct vd_ini ini;
    struct vd_topic_conf *topics[4];
    size_t topic_count;
    struct vd_topic_conf *inputs[2], *outputs[3], *tables[2];
    struct vd_stage *stage;
    struct vd_timer *timer;
    bool (*is_done)(struct rig *rig); /* asked every few milliseconds; then the stage drains */
    int64_t deadline_ms;
    int64_t drain_began_ms, drained_ms; /* how long the drain took */
    bool is_draining;
    bool has_own_topics; /* a mock cluster cannot be asked for topics: they are there already */
    size_t expected;     /* records of the input in all, evenly over its partitions */
    size_t buffered_max; /* most records that the stage held */
};

/* What the stages under test do and saw. */
struct probe {
    size_t limit;         /* see rig_run_copy */
    size_t committed;     /* records of committed batches */
    size_t batches;       /* committed */
    size_t fail_next;     /* fail so many batches first, with ... */
    enum vd_status fault; /* ... this status; 0: VD_AGAIN */
    size_t rewound, assigned, revoked, stopped;
    int64_t delay_ms;  /* between a batch and its answer; 0: none, answered within the call */
    int commit_pipe;   /* gets a byte for each committed batch; 0: none */
    bool is_in_batch;  /* set while the stage is called */
    bool is_called_in; /* it was called from within */
};
extern struct probe probe;

/* A chained output, and a dead-letter topic. */
extern const struct vd_stage_desc rig_copy;

/* Topics are made by the run. 'application' and 'node' are borrowed until rig_run returns. */
void rig_open(struct rig *rig, const char *application, const char *node,
              const struct vd_stage_desc *desc);
struct vd_topic_conf *rig_topic(struct rig *rig, const char *name, int64_t partitions);
void rig_run(struct rig *rig, bool (*is_done)(struct rig *rig));

/* rig_open for rig_copy, with APPLICATION-in, -out and -dead. */
void rig_open_copy(struct rig *rig, const char *application, const char *node);

/* Copy until 'limit' records were committed by the stage and nothing waits. */
void rig_run_copy(const char *application, size_t limit);

/* is_done: this node owns every partition and has committed all rig->expected records. */
bool rig_has_all(struct rig *rig);

/* A fresh application whose topics exist. Clears 'probe'. Owns: the caller frees it. */
char *rig_make_topics(void);

/* Records FROM to TO - 1, key = value = number, one partition after the other. */
void rig_send_numbers(const char *application, int from, int to);

/* Each input record was copied once, in order, with an unbroken chain of positions. */
void rig_check_copies(const char *application, size_t count);

/* ---- other nodes ---------------------------------------------------------------------------- */

struct rig_node {
    pid_t pid;
    int commits;      /* pipe */
    size_t committed; /* batches so far */
};

/* In main, first: runs a node and exits, if this process was started as one. */
void rig_be_node(int argc, char **argv);

/* Start a node that copies with 'delay_ms' a batch until SIGTERM. */
void rig_node_start(struct rig_node *node, const char *application, const char *name,
                    int64_t delay_ms);
size_t rig_node_committed(struct rig_node *node); /* batches so far; does not block */
void rig_node_wait_commit(struct rig_node *node); /* for one more */
int rig_node_end(struct rig_node *node,
                 int signal_number); /* and wait for its end: wait's status */

/* ---- the broker ----------------------------------------------------------------------------- */

/* False where servers cannot be stopped: no VOTINGD_TEST_LOCAL. */
bool rig_has_local(void);

/* "kill kafka" or "start kafka"; the second form returns at once, rig_local_wait waits. */
void rig_local(const char *words);
pid_t rig_local_begin(const char *words);
void rig_local_wait(pid_t pid);

#endif
