/* An election under faults, on the servers behind the proxy: what all programs here do with one. */
#ifndef VD_TEST_CHAOS_TRIAL_H
#define VD_TEST_CHAOS_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "../broker/election.h"
#include "../wait.h"

#define GENERATOR_NODE 0 /* the only one that makes voters */
#define ENDLESS 100000000

struct trial {
    struct election election;
    const char *name;          /* in front of what is said */
    int64_t voters;            /* the generator's target; ENDLESS until trial_finish */
    int rate;                  /* voters a second; 0: as fast as possible */
    int64_t rejected, dead;    /* what there must be at the end */
    int patience_s;            /* for trial_finish */
    const char *failpoints;    /* of the next node started; NULL: none */
    int ended;                 /* nodes that have ended by themselves */
    char *clocks[NODES_MAX];   /* files with their offsets, owned; NULL: real clocks */
    char *node_database;       /* owned */
    char *pictures[NODES_MAX]; /* files with what dashboards showed last, owned; NULL: nothing */
};

/* A line with the time since the first one. */
void trial_say(const struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Say what a node has logged last; _nodes: the same of all that run, and what their /readyz is.
 * Such lines have a word in capitals, as all that say what went wrong, by which test/run finds
 * them. */
void trial_tell_log(const struct trial *trial, int n);
void trial_tell_nodes(struct trial *trial);

/* Make the election; nothing runs yet. 'trial' is zeroed but for name, rate and patience. */
void trial_open(struct trial *trial);

/* Start node 'n' with 'failpoints', which are spent then. */
void trial_start(struct trial *trial, int n);

/* End node 'n' in good order; false if it did not. _leave: in the midst of faults, when it may also
 * end before it listens to the signal, or with work under way, as it says by its exit code. */
bool trial_end(struct trial *trial, int n);
bool trial_leave(struct trial *trial, int n);

/* From now on the wall clocks of nodes that are started can be moved. */
void trial_fake_clocks(struct trial *trial);
void trial_set_clock(struct trial *trial, int n, int64_t offset_s);

/* A node that has ended by itself is a failure, told once; it is started again. */
void trial_look_after(struct trial *trial);

int64_t trial_votes(struct trial *trial);
bool trial_wait_votes(struct trial *trial, int64_t votes, int seconds);

/* Let the voters end behind those that are there, but not below 'least', wait until all is counted,
 * end the nodes, let vd_check look. Returns: whether all is well. */
bool trial_finish(struct trial *trial, int64_t least);

/* Run vd_check on the election as it is, and on the last pictures of the dashboards: of all nodes
 * that run, or ran last. Returns: its exit code. */
int trial_check(struct trial *trial, bool is_quiet);

/* Does vd_check, on the election as it is, print a line that begins with these words? */
bool trial_finds(struct trial *trial, const char *words);

/* Remove what is left of it; of a trial that went wrong keep it, and say where it is. */
void trial_close(struct trial *trial, bool is_good);

/* Run 'run' for 0 to count - 1 at the same time, each in a process of its own.
 * Returns: how many of them returned false, or failed otherwise. */
int trial_run_all(int count, bool (*run)(int nth));

#endif
