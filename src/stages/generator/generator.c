/* The generator stage: makes or imports an electorate and its candidates. */
#include "generator/generator.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "election/date.h"
#include "election/schema.h"
#include "generator/audit.h"

#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 15000
#define FRESH_START \
    "go back to what it was, or begin a new electorate with other topics and an empty database"

/* A plan that scans is never right where rows are found by voter_id
 * (exactly-once protocol, 4.2). */
static const char session_sql[] =
    "SET TIME ZONE 'UTC'; SET synchronous_commit = on; SET lock_timeout = '5s';"
    " SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

_Static_assert(offsetof(struct generator, conf) == 0, "the option table describes struct gen_conf");

/* ---- state --------------------------------------------------------------------------------- */

static bool is_step(enum gen_state from, enum gen_state to)
{
    switch (to) {
    case GEN_CONNECTING:
        return from == GEN_PREPARING;
    case GEN_PREPARING:
        return from == GEN_CONNECTING;
    case GEN_OPENING:
        return from == GEN_PREPARING;
    case GEN_SYNCING:
        return from == GEN_OPENING || from == GEN_RUNNING || from == GEN_COMPLETE;
    case GEN_RUNNING:
        return from == GEN_SYNCING;
    case GEN_COMPLETE:
        return from == GEN_RUNNING;
    case GEN_HALTED:
        return from != GEN_HALTED;
    }
    return false;
}

void gen_set_state(struct generator *generator, enum gen_state state)
{
    static const char *const names[] = {"connecting", "preparing", "opening", "syncing",
                                        "running",    "complete",  "halted"};

    assert(is_step(generator->state, state));
    vd_debug(generator->log, "%s -> %s", names[generator->state], names[state]);
    generator->state = state;
}

static void halt(struct generator *generator, const char *message)
{
    gen_set_state(generator, GEN_HALTED);
    vd_stage_halt(generator->stage, "%s", message);
}

void gen_show_trouble(struct generator *generator)
{
    if (generator->is_stopping || generator->state == GEN_COMPLETE) {
        return;
    }
    if (generator->pg_trouble.status != VD_OK) {
        vd_stage_set_trouble(generator->stage, "waiting for PostgreSQL: %s",
                             generator->pg_trouble.msg);
    } else if (generator->source_trouble.status != VD_OK) {
        vd_stage_set_trouble(generator->stage, "source \"%s\": %s", generator->ops->name,
                             generator->source_trouble.msg);
    } else {
        vd_stage_set_trouble(generator->stage, NULL);
    }
}

int64_t gen_target(const struct generator *generator)
{
    return generator->is_known_complete ? generator->place.voters
                                        : generator->ops->target(generator->source);
}

/* ---- progress ------------------------------------------------------------------------------ */

static enum vd_status check_progress(const struct generator *generator,
                                     const struct gen_progress *found, struct vd_err *err)
{
    if (strcmp(found->definition, generator->definition) != 0) {
        return vd_fail(
            err, VD_INVALID,
            "the electorate \"%s\" was begun with %s; the topology now says %s: " FRESH_START,
            generator->key, found->definition, generator->definition);
    }
    return VD_OK;
}

/* Take over what the progress row says; without one, begin at the beginning. */
static enum vd_status load_progress(struct generator *generator, struct vd_err *err)
{
    const struct vd_table *table = vd_stage_table(generator->stage, GEN_TABLE_PROGRESS);
    struct gen_progress found = {.target = -1};
    size_t len = 0;
    const char *row = vd_table_get(table, generator->key, strlen(generator->key), &len);

    generator->place = (struct gen_place){.next = 0};
    generator->is_known_complete = false;
    if (row == NULL) {
        return VD_OK;
    }
    if (gen_progress_parse(row, len, &found, err) != VD_OK) {
        return vd_fail_in(err, "topic \"%s\", key \"%s\"",
                          vd_stage_output_topic(generator->stage, GEN_OUT_PROGRESS),
                          generator->key);
    }
    if (check_progress(generator, &found, err) == VD_OK) {
        generator->place = found.place;
        generator->is_known_complete = found.is_complete;
    }
    gen_progress_fini(&found);
    return err->status;
}

/* Are the candidates in candidates_topic those of the table? */
static enum vd_status load_candidates(struct generator *generator, struct vd_err *err)
{
    const struct vd_table *table = vd_stage_table(generator->stage, GEN_TABLE_PROGRESS);
    size_t len = 0;
    const char *note = vd_table_get(table, GEN_CANDIDATES_KEY, strlen(GEN_CANDIDATES_KEY), &len);
    enum gen_candidates_verdict verdict;

    generator->are_candidates_due = true;
    if (note == NULL) {
        return VD_OK;
    }
    verdict = gen_candidates_compare(&generator->candidates, note, len);
    if (generator->conf.shard != 0 || verdict == GEN_CANDIDATES_SAME) {
        generator->are_candidates_due = false;
    } else if (verdict == GEN_CANDIDATES_OTHER ||
               (verdict == GEN_CANDIDATES_MORE && generator->place.next > 0)) {
        return vd_fail(err, VD_INVALID,
                       "the candidates in table \"candidates\" are not those that voters were "
                       "published for: " FRESH_START);
    }
    return VD_OK;
}

/* Fewer voters asked for than there are: what is published stays, and nothing is wrong. */
static void tell_place(const struct generator *generator)
{
    long long there = generator->place.next;
    long long target = generator->ops->target(generator->source);

    if (target >= 0 && there > target) {
        vd_info(generator->log,
                "%lld voters are published already%s, more than the %lld asked for: nothing to do",
                there, generator->conf.shards > 1 ? " in this shard" : "", target);
    } else if (there > 0) {
        vd_info(generator->log, "going on after %lld voters", (long long)generator->place.voters);
    }
}

static void on_synced(void *arg)
{
    struct generator *generator = arg;
    struct vd_err err = {.status = VD_OK};

    if (generator->is_stopping) {
        return;
    }
    if (generator->is_sync_stale) {
        generator->is_sync_stale = false;
        vd_table_sync(vd_stage_table(generator->stage, GEN_TABLE_PROGRESS), on_synced, generator);
        return;
    }
    if (load_progress(generator, &err) != VD_OK || load_candidates(generator, &err) != VD_OK) {
        halt(generator, err.msg);
        return;
    }
    vd_metric_set(generator->metrics.reached, generator->place.voters);
    vd_metric_set(generator->metrics.target, gen_target(generator));
    tell_place(generator);
    gen_set_state(generator, GEN_RUNNING);
    generator->started_ms = vd_loop_now_ms(vd_stage_loop(generator->stage));
    generator->reported_ms = generator->started_ms;
    vd_stage_wake(generator->stage);
}

void gen_sync(struct generator *generator)
{
    gen_set_state(generator, GEN_SYNCING);
    generator->is_sync_stale = false;
    vd_table_sync(vd_stage_table(generator->stage, GEN_TABLE_PROGRESS), on_synced, generator);
}

/* The note of shard 0 lets the others begin. */
static void on_progress(void *arg, const struct vd_record *record)
{
    struct generator *generator = arg;

    if (generator->conf.shard != 0 && generator->state == GEN_RUNNING &&
        generator->are_candidates_due && record->key_len == strlen(GEN_CANDIDATES_KEY) &&
        memcmp(record->key, GEN_CANDIDATES_KEY, record->key_len) == 0) {
        generator->are_candidates_due = false;
        vd_stage_wake(generator->stage);
    }
}

/* ---- the source ---------------------------------------------------------------------------- */

static void open_source(struct generator *generator)
{
    struct vd_err err = {.status = VD_OK};
    enum vd_status status = generator->ops->open(generator->source, &err);
    struct vd_buf text = {.data = NULL};

    generator->source_trouble = status == VD_FAILED ? err : (struct vd_err){.status = VD_OK};
    if (status == VD_INVALID) {
        halt(generator, err.msg);
        return;
    }
    gen_show_trouble(generator);
    if (status != VD_OK) {
        return; /* on_source_ready comes */
    }
    generator->ops->define(generator->source, &text);
    generator->definition = vd_buf_text(&text); /* moves to the generator */
    vd_info(generator->log, "source \"%s\": %s", generator->ops->name, generator->definition);
    gen_sync(generator);
}

static void on_source_ready(void *arg)
{
    struct generator *generator = arg;

    if (generator->state == GEN_OPENING) {
        open_source(generator);
        return;
    }
    generator->source_trouble = (struct vd_err){.status = VD_OK};
    gen_show_trouble(generator);
    vd_stage_wake(generator->stage);
}

/* ---- PostgreSQL ---------------------------------------------------------------------------- */

/* Tables or candidates could not be had: on_retry, or on_ready after a lost connection, tries
 * again. */
static void prepare_failed(struct generator *generator, const struct vd_err *err)
{
    gen_set_state(generator, GEN_CONNECTING);
    if (generator->is_stopping || generator->pg_trouble.status != VD_OK) {
        return;
    }
    (void)vd_fail(&generator->pg_trouble, VD_FAILED, "%s", err->msg);
    gen_show_trouble(generator);
    generator->retry_ms =
        generator->retry_ms * 2 < RETRY_MAX_MS ? generator->retry_ms * 2 : RETRY_MAX_MS;
    vd_timer_start(generator->retry, generator->retry_ms);
}

static void on_candidates(void *arg, const struct vd_pg_reply *reply)
{
    struct generator *generator = arg;

    if (vd_pg_reply_err(reply) != NULL) {
        prepare_failed(generator, vd_pg_reply_err(reply));
        return;
    }
    gen_candidates_fini(&generator->candidates);
    gen_candidates_read(reply, &generator->candidates);
    gen_set_state(generator, GEN_OPENING);
    open_source(generator);
}

static void on_tables(void *arg, const struct vd_pg_reply *reply)
{
    struct generator *generator = arg;
    struct gen_candidates made;
    struct gen_candidates_unit unit;
    struct vd_err err = {.status = VD_OK};

    if (vd_pg_reply_err(reply) != NULL) {
        prepare_failed(generator, vd_pg_reply_err(reply));
        return;
    }
    gen_candidates_make(&generator->conf, &made);
    gen_candidates_unit_init(&unit, &made);
    if (vd_pg_run(generator->pg, unit.stmts, GEN_CANDIDATES_STMTS, on_candidates, generator,
                  &err) != VD_OK) {
        prepare_failed(generator, &err);
    }
    gen_candidates_unit_fini(&unit);
    gen_candidates_fini(&made);
}

static void prepare(struct generator *generator)
{
    struct vd_err err = {.status = VD_OK};

    gen_set_state(generator, GEN_PREPARING);
    if (vd_pg_run(generator->pg, el_schema, el_schema_count, on_tables, generator, &err) != VD_OK) {
        prepare_failed(generator, &err);
    }
}

static void on_retry(void *arg)
{
    struct generator *generator = arg;

    if (generator->state == GEN_CONNECTING && vd_pg_is_ready(generator->pg)) {
        generator->pg_trouble = (struct vd_err){.status = VD_OK};
        prepare(generator);
    }
}

static void on_pg_ready(void *arg)
{
    struct generator *generator = arg;

    generator->pg_trouble = (struct vd_err){.status = VD_OK};
    gen_show_trouble(generator);
    if (generator->state == GEN_CONNECTING) {
        generator->retry_ms = RETRY_MIN_MS;
        prepare(generator);
    } else {
        vd_stage_wake(generator->stage);
    }
}

static void on_pg_lost(void *arg, const struct vd_err *err)
{
    struct generator *generator = arg;

    (void)vd_fail(&generator->pg_trouble, VD_FAILED, "%s", err->msg);
    gen_show_trouble(generator);
}

/* ---- the descriptor ------------------------------------------------------------------------ */

static const struct gen_source_ops *find_source(const char *name)
{
    static const struct gen_source_ops *const sources[] = {
        &gen_synthetic_source, &gen_csv_source, &gen_jsonl_source, &gen_randomuser_source};

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (strcmp(sources[i]->name, name) == 0) {
            return sources[i];
        }
    }
    assert(!"the option's choices are the sources");
    return NULL;
}

static enum vd_status generator_check(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct generator *generator = state;
    struct el_date day;

    (void)stage;
    if (el_date_parse(generator->conf.election_day, strlen(generator->conf.election_day), &day,
                      err) != VD_OK) {
        return vd_fail_in(err, "option \"election_day\"");
    }
    return find_source(generator->conf.source)->check(&generator->conf, err);
}

static void open_metrics(struct generator *generator)
{
    generator->metrics.voters =
        vd_stage_metric(generator->stage, VD_COUNTER, "generator_voters_total", NULL,
                        "voters published by this process");
    generator->metrics.rejected =
        vd_stage_metric(generator->stage, VD_COUNTER, "generator_rejected_total", NULL,
                        "records of a register that are no voters, seen by this process");
    generator->metrics.reached = vd_stage_metric(generator->stage, VD_GAUGE, "generator_voters",
                                                 NULL, "voters published so far");
    generator->metrics.target =
        vd_stage_metric(generator->stage, VD_GAUGE, "generator_target", NULL,
                        "voters to be published in all; -1: not known yet");
}

static enum vd_status generator_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct generator *generator = state;
    struct vd_loop *loop = vd_stage_loop(stage);
    const struct vd_pg_events events = {
        .on_ready = on_pg_ready, .on_lost = on_pg_lost, .arg = generator};

    generator->stage = stage;
    generator->log = vd_stage_log(stage);
    generator->ops = find_source(generator->conf.source);
    generator->key = vd_format("%s/%lld", generator->ops->name, (long long)generator->conf.shard);
    generator->host = (struct gen_source_host){
        .conf = &generator->conf, .stage = stage, .on_ready = on_source_ready, .arg = generator};
    generator->source = generator->ops->create(&generator->host);
    generator->retry_ms = RETRY_MIN_MS;
    generator->retry = vd_timer_new(loop, on_retry, generator);
    generator->pace = vd_timer_new(loop, gen_on_pace, generator);
    generator->report = vd_timer_new(loop, gen_on_report, generator);
    gen_on_report(generator);
    open_metrics(generator);
    vd_table_watch(vd_stage_table(stage, GEN_TABLE_PROGRESS), on_progress, generator);
    (void)vd_fail(&generator->pg_trouble, VD_FAILED, "connecting");
    gen_show_trouble(generator);
    generator->pg = vd_stage_pg(stage, session_sql, &events);
    (void)err; /* all that can be wrong was found by check, or is waited for */
    return VD_OK;
}

/* What was answered and not committed never happened: the row says where to go on. */
static void generator_rewound(struct vd_stage *stage, void *state)
{
    struct generator *generator = state;

    (void)stage;
    generator->pending_count = 0;
    if (generator->state == GEN_RUNNING || generator->state == GEN_COMPLETE) {
        gen_sync(generator);
    } else if (generator->state == GEN_SYNCING) {
        generator->is_sync_stale = true; /* it was asked before nobody else could commit */
    }
}

static void generator_stop(struct vd_stage *stage, void *state)
{
    struct generator *generator = state;

    (void)stage;
    generator->is_stopping = true;
    if (generator->pg != NULL) {
        vd_pg_close(vd_take(generator->pg));
    }
    vd_timer_close(vd_take(generator->retry));
    vd_timer_close(vd_take(generator->pace));
    vd_timer_close(vd_take(generator->report));
    if (generator->source != NULL) {
        generator->ops->release(vd_take(generator->source));
    }
    gen_page_fini(&generator->page);
    gen_candidates_fini(&generator->candidates);
    free(vd_take(generator->key));
    free(vd_take(generator->definition));
}

static const struct vd_opt generator_opts[] = {
    VD_OPT(struct gen_conf, source, .def = "synthetic", .choices = "synthetic|randomuser|csv|jsonl",
           .help = "where voters come from: made here, an HTTP API, or a register in a file"),
    VD_OPT(
        struct gen_conf, voters, .def = "1000", .min = 0, .max = 9999999999,
        .help =
            "synthetic, randomuser: voters in all; may be raised later, lowering it removes none"),
    VD_OPT(struct gen_conf, seed, .def = "2024", .min = 0, .max = 9007199254740991,
           .help = "the same seed makes the same voters and candidates"),
    VD_OPT(struct gen_conf, country, .def = "us", .choices = "us|gb",
           .help = "synthetic: where voters live"),
    VD_OPT(struct gen_conf, election_day, .def = "2026-11-03", .min = 10, .max = 10,
           .help = "YYYY-MM-DD; registered_age is the age on this day"),
    VD_OPT(struct gen_conf, rate, .def = "0", .min = 0, .max = 1000000,
           .help = "voters per second; 0: as fast as possible"),
    VD_OPT(struct gen_conf, batch_voters, .def = "2000", .min = 1, .max = 10000,
           .help = "most voters in one transaction"),
    VD_OPT(struct gen_conf, shards, .def = "1", .min = 1, .max = 1000,
           .help = "synthetic: stages that share the electorate, each with its own section"),
    VD_OPT(struct gen_conf, shard, .def = "0", .min = 0, .max = 999,
           .help = "synthetic: which of them this is, from 0; 0 publishes the candidates"),
    VD_OPT(struct gen_conf, path, .def = "", .help = "csv, jsonl: the register"),
    VD_OPT(struct gen_conf, columns, .def = "",
           .help = "csv, jsonl: names in the register, as MEMBER:COLUMN, ...; by default those of "
                   "table voters"),
    VD_OPT(struct gen_conf, separator, .def = "comma", .choices = "comma|semicolon|tab|pipe",
           .help = "csv: what stands between fields"),
    VD_OPT(struct gen_conf, url, .def = "https://randomuser.me/api/1.4/",
           .help = "randomuser: address of the API; its people are born 1944 to 2001, so there are "
                   "no young voters"),
    VD_OPT(struct gen_conf, nat, .def = "gb",
           .help = "randomuser: nationalities, as in gb,us; empty for any"),
    VD_OPT(struct gen_conf, cache, .def = "",
           .help = "randomuser: folder to keep pages in, so that a restart asks for nothing twice"),
    VD_OPT(struct gen_conf, page_interval_ms, .def = "75000", .min = 0, .max = 3600000,
           .help = "randomuser: from one request to the next, in milliseconds"),
    VD_OPT(struct gen_conf, tries, .def = "10", .min = 1, .max = 1000,
           .help = "randomuser: for one page, before the import stops"),
    VD_OPT(struct gen_conf, backoff.min_ms, .def = "30000", .min = 1, .max = 3600000,
           .help = "randomuser: first pause after a failed request, in milliseconds; doubles"),
    VD_OPT(struct gen_conf, backoff.max_ms, .def = "600000", .min = 1, .max = 3600000,
           .help = "randomuser: longest pause, in milliseconds"),
    VD_OPT(struct gen_conf, import.max, .def = "0", .min = 0, .max = 1000000000,
           .help = "csv, jsonl, randomuser: most records to import; 0: 20000 of randomuser, all of "
                   "a file"),
    VD_OPT_END,
};

static const struct vd_port generator_outputs[] = {
    {.name = "voters", .help = "one record a voter, as the reference has them; key voter_id"},
    {.name = "candidates", .help = "one record a candidate; key candidate_id; compacted"},
    {.name = "progress", .help = "how far each source has come; compacted"},
    {.name = "rejected",
     .flags = VD_PORT_OPTIONAL | VD_PORT_REJECTED,
     .help = "records of a register that are no voters, as they stood there; key line"},
    VD_PORT_END,
};

static const struct vd_port generator_tables[] = {
    {.name = "progress", .help = "the topic of output progress"},
    VD_PORT_END,
};

static const struct vd_stage_desc generator_desc = {
    VD_STAGE_HEAD,
    .name = "generator",
    .summary = "makes or imports an electorate and its candidates",
    .state_size = sizeof(struct generator),
    .opts = generator_opts,
    .outputs = generator_outputs,
    .tables = generator_tables,
    .check = generator_check,
    .start = generator_start,
    .batch = gen_on_batch,
    .committed = gen_on_committed,
    .rewound = generator_rewound,
    .stop = generator_stop,
    .audit = gen_audit,
};
VD_STAGE_EXPORT(generator_desc)
