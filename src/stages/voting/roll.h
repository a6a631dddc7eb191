/* The candidates of the election: waits until they are complete, makes the ballot of them once, and
 * watches that they stay what they are. */
#ifndef VD_VOTING_ROLL_H
#define VD_VOTING_ROLL_H

#include "election/ballot.h"
#include "stage.h"

struct voting_roll;

struct voting_roll_events {
    void (*on_ballot)(void *arg, struct el_ballot *ballot); /* once; the ballot is the receiver's */
    void (*on_trouble)(void *arg); /* voting_roll_trouble says something else now */
    void *arg;
};

/* Follow 'table', the candidates by id; NULL: there is none, only PostgreSQL. 'conf' is borrowed.
 * Where the table is empty, candidates are read from PostgreSQL once a second, and taken when two
 * readings agree: another program may be inserting them one by one.
 * Owns: the caller, who ends it with voting_roll_free in the stage's stop. */
struct voting_roll *voting_roll_new(struct vd_stage *stage, struct vd_table *table,
                                    const struct el_ballot_conf *conf,
                                    const struct voting_roll_events *events);
void voting_roll_free(struct voting_roll *roll);

/* The connection to ask; NULL while it is away. */
void voting_roll_set_pg(struct voting_roll *roll, struct vd_pg *pg);

/* What is being waited for; NULL once the ballot was handed over. */
const char *voting_roll_trouble(const struct voting_roll *roll);

#endif
