/* The voting stage: a batch of voters becomes one PostgreSQL transaction, and what that says
 * becomes votes and rejects (exactly-once protocol, 4). */
#include <assert.h>
#include <string.h>

#include "blocker.h"
#include "election/ballot.h"
#include "election/schema.h"
#include "election/vote.h"
#include "roll.h"
#include "stage.h"
#include "takeover.h"
#include "unit.h"
#include "voting/audit.h"
#include "work.h"

enum { INPUT_VOTERS };
enum { TABLE_CANDIDATES };

#define SCHEMA_RETRY_MS 1000

/* What became of one batch; counted in the metrics when it is durable. */
struct tallied {
    struct tallied *next;
    const struct vd_batch *batch; /* only compared */
    struct voting_outcome outcome;
};

struct voting {
    char *choice, *weights, *scenario;
    int64_t seed;

    struct vd_stage *stage;
    struct el_ballot_conf conf;
    struct voting_roll *roll;
    struct el_ballot *ballot; /* NULL: not known yet */
    struct vd_buf *fragments; /* per candidate, what its votes have in common */
    struct voting_takeover *takeover;

    struct vd_pg *pg;
    bool has_schema;
    struct vd_timer *schema_retry;
    struct vd_err pg_err; /* the last one, while there is no connection or schema */

    struct voting_work work;         /* the batch under way */
    struct tallied *tallied, **last; /* answered, not committed; oldest first */
    struct vd_metric *accepted, *rejected, *dead;
};

static const struct vd_opt voting_opts[] = {
    VD_OPT(struct voting, choice, .def = "uniform", .choices = "uniform|weights|scenario",
           .help = "what decides a vote: chance, weights, or a file of votes per state"),
    VD_OPT(struct voting, weights, .def = "",
           .help = "with choice = weights: NAME:WEIGHT, ... by id, name or party; others weigh 1"),
    VD_OPT(struct voting, scenario, .def = "",
           .help = "with choice = scenario: a CSV file, a line per state, a column per candidate"),
    VD_OPT(struct voting, seed, .def = "2024",
           .help = "of the choices; another one makes another election"),
    VD_OPT_END,
};

static const struct vd_port voting_inputs[] = {
    {.name = "voters", .help = "voters, JSON"},
    VD_PORT_END,
};
static const struct vd_port voting_outputs[] = {
    {.name = "votes", .flags = VD_PORT_CHAINED, .help = "votes, JSON"},
    {.name = "rejected",
     .flags = VD_PORT_REJECTED,
     .help = "voters who had voted before, with the reason"},
    VD_PORT_END,
};
static const struct vd_port voting_tables[] = {
    {.name = "candidates",
     .flags = VD_PORT_OPTIONAL,
     .help = "candidates by id; without it they come from PostgreSQL"},
    VD_PORT_END,
};

/* Something came or went: say what is missing. */
static void update(struct voting *voting)
{
    const char *waiting = voting_roll_trouble(voting->roll);
    bool has_all = voting->ballot != NULL && voting->has_schema;

    if (voting->pg == NULL) {
        return; /* stopping */
    }
    voting_takeover_set_ready(voting->takeover, has_all ? voting->pg : NULL,
                              has_all ? el_ballot_tag(voting->ballot) : "");
    if (!vd_pg_is_ready(voting->pg) || !voting->has_schema) {
        vd_stage_set_trouble(voting->stage, "waiting for PostgreSQL: %s",
                             voting->pg_err.msg[0] != '\0' ? voting->pg_err.msg : "connecting");
    } else if (waiting != NULL) {
        vd_stage_set_trouble(voting->stage, "%s", waiting);
    } else {
        vd_stage_set_trouble(voting->stage, NULL);
    }
}

static void on_ballot(void *arg, struct el_ballot *ballot)
{
    struct voting *voting = arg;

    voting->ballot = ballot;
    voting->fragments = vd_alloc_array(el_ballot_count(ballot), sizeof(*voting->fragments));
    for (size_t i = 0; i < el_ballot_count(ballot); i++) {
        el_vote_fragment(el_ballot_candidate(ballot, i), &voting->fragments[i]);
    }
    voting->work.ballot = ballot;
    voting->work.fragments = voting->fragments;
    voting->work.vote_max = vd_stage_record_max(voting->stage);
    vd_stage_set_tag(voting->stage, el_ballot_tag(ballot));
    update(voting);
}

static void on_roll_trouble(void *arg)
{
    update(arg);
}

static void voting_assign(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    struct voting *voting = state;

    (void)stage;
    voting_takeover_ask(voting->takeover, assign);
}

/* ---- PostgreSQL ---------------------------------------------------------------------------- */

static void on_schema(void *arg, const struct vd_pg_reply *reply)
{
    struct voting *voting = arg;
    const struct vd_err *err = vd_pg_reply_err(reply);

    voting->has_schema = err == NULL;
    if (err == NULL) {
        voting->pg_err = (struct vd_err){0};
    } else {
        voting->pg_err = *err;
        (void)vd_fail_in(&voting->pg_err, "could not create the tables"); /* told as trouble */
        vd_timer_start(voting->schema_retry, SCHEMA_RETRY_MS);
    }
    update(voting);
}

static void create_schema(void *arg)
{
    struct voting *voting = arg;

    if (vd_pg_is_ready(voting->pg) && !voting->has_schema &&
        vd_pg_run(voting->pg, el_schema, el_schema_count, on_schema, voting, &voting->pg_err) !=
            VD_OK) {
        vd_timer_start(voting->schema_retry, SCHEMA_RETRY_MS);
    }
}

static void on_pg_ready(void *arg)
{
    create_schema(arg);
}

static void on_pg_lost(void *arg, const struct vd_err *err)
{
    struct voting *voting = arg;

    voting->has_schema = false;
    voting->pg_err = *err;
    update(voting);
}

/* ---- batches ------------------------------------------------------------------------------- */

/* Answer the batch under way: 'err' or done. */
static void finish(struct voting *voting, const struct vd_err *err)
{
    struct vd_batch *batch = vd_take(voting->work.batch);

    if (err != NULL) {
        vd_batch_fail(batch, err);
        return;
    }
    *voting->last = vd_alloc(sizeof(**voting->last));
    **voting->last = (struct tallied){.batch = batch, .outcome = voting->work.outcome};
    voting->last = &(*voting->last)->next;
    vd_batch_done(batch);
}

static void on_reply(void *arg, const struct vd_pg_reply *reply)
{
    struct voting *voting = arg;
    const struct vd_err *err = vd_pg_reply_err(reply);
    struct vd_err wrong = {0};
    int32_t partition = 0;

    if (strcmp(vd_pg_reply_sqlstate(reply), VOTING_LOCKED) == 0) {
        voting_end_blockers(voting->pg, vd_stage_log(voting->stage));
    }
    if (err == NULL && voting->work.pending_count > 0 &&
        voting_work_emit(&voting->work, reply, &partition, &wrong) != VD_OK) {
        vd_stage_stop_partition(voting->stage, partition, "%s", wrong.msg);
        wrong.status = VD_AGAIN; /* the others of the batch */
        err = &wrong;
    }
    finish(voting, err);
}

static void voting_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct voting *voting = state;
    struct voting_work *work = &voting->work;
    struct vd_err err = {0};
    size_t stmts = 0;

    assert(work->batch == NULL);
    work->batch = batch;
    if (voting->ballot == NULL || !voting->has_schema) {
        (void)vd_fail(&err, VD_AGAIN, "not ready yet"); /* told as trouble already */
        finish(voting, &err);
        return;
    }
    stmts = voting_work_begin(work, batch, vd_stage_input_generation(stage, INPUT_VOTERS));
    if (vd_pg_run(voting->pg, work->unit.stmts, stmts, on_reply, voting, &err) != VD_OK) {
        finish(voting, &err);
    }
}

static void voting_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct voting *voting = state;
    struct tallied *oldest = voting->tallied;

    (void)stage;
    if (oldest == NULL || oldest->batch != batch) {
        return; /* nothing but dead letters, which the engine made */
    }
    vd_metric_add(voting->accepted, oldest->outcome.accepted);
    vd_metric_add(voting->rejected, oldest->outcome.rejected);
    vd_metric_add(voting->dead, oldest->outcome.dead);
    voting->tallied = oldest->next;
    if (voting->tallied == NULL) {
        voting->last = &voting->tallied;
    }
    free(oldest);
}

static void voting_rewound(struct vd_stage *stage, void *state)
{
    struct voting *voting = state;
    struct tallied *next = NULL;

    (void)stage;
    for (struct tallied *at = vd_take(voting->tallied); at != NULL; at = next) {
        next = at->next;
        free(at);
    }
    voting->last = &voting->tallied;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void set_conf(struct voting *voting)
{
    voting->conf = (struct el_ballot_conf){.choice = voting->choice,
                                           .weights = voting->weights,
                                           .scenario = voting->scenario,
                                           .seed = voting->seed};
}

static enum vd_status voting_check(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct voting *voting = state;

    (void)stage;
    set_conf(voting);
    return el_ballot_check(&voting->conf, err);
}

static struct vd_metric *votes_metric(struct vd_stage *stage, const char *labels)
{
    return vd_stage_metric(stage, VD_COUNTER, "voters_total", labels,
                           "voters' records by what became of them, committed");
}

static enum vd_status voting_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct voting *voting = state;
    const struct vd_pg_events pg_events = {
        .on_ready = on_pg_ready, .on_lost = on_pg_lost, .arg = voting};
    const struct voting_roll_events roll_events = {
        .on_ballot = on_ballot, .on_trouble = on_roll_trouble, .arg = voting};

    (void)err; /* nothing here can fail: servers that are away are waited for */
    set_conf(voting);
    voting->stage = stage;
    voting->last = &voting->tallied;
    voting->accepted = votes_metric(stage, "verdict=\"accepted\"");
    voting->rejected = votes_metric(stage, "verdict=\"rejected\"");
    voting->dead = votes_metric(stage, "verdict=\"dead\"");
    voting->takeover = voting_takeover_new(stage);
    voting->work.takeover = voting->takeover;
    voting->schema_retry = vd_timer_new(vd_stage_loop(stage), create_schema, voting);
    voting->roll = voting_roll_new(stage, vd_stage_table(stage, TABLE_CANDIDATES), &voting->conf,
                                   &roll_events);
    voting->pg = vd_stage_pg(stage, voting_session_sql, &pg_events);
    voting_roll_set_pg(voting->roll, voting->pg);
    update(voting);
    return VD_OK;
}

static void voting_stop(struct vd_stage *stage, void *state)
{
    struct voting *voting = state;

    if (voting->pg != NULL) {
        vd_pg_close(vd_take(voting->pg)); /* answers what is under way */
    }
    voting_rewound(stage, state);
    voting_takeover_free(voting->takeover);
    voting_roll_free(voting->roll);
    vd_timer_close(voting->schema_retry);
    for (size_t i = 0; voting->ballot != NULL && i < el_ballot_count(voting->ballot); i++) {
        vd_buf_fini(&voting->fragments[i]);
    }
    free(voting->fragments);
    el_ballot_free(voting->ballot);
    voting_work_fini(&voting->work);
}

static const struct vd_stage_desc voting_desc = {
    VD_STAGE_HEAD,
    .name = "voting",
    .summary = "one vote a voter, recorded in PostgreSQL and published as votes",
    .state_size = sizeof(struct voting),
    .opts = voting_opts,
    .inputs = voting_inputs,
    .outputs = voting_outputs,
    .tables = voting_tables,
    .check = voting_check,
    .start = voting_start,
    .assign = voting_assign,
    .batch = voting_batch,
    .committed = voting_committed,
    .rewound = voting_rewound,
    .stop = voting_stop,
    .audit = voting_audit,
};
VD_STAGE_EXPORT(voting_desc)
