/* The walk over the stages: what every stage must have left behind,
 * then what each says of itself. */
#include "audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "audit_run.h"

#define TOPICS "topics" /* the section about all of them */

/* ---- what a stage may ask -------------------------------------------------------------------- */

static const struct vd_topic_conf *port_topic(const struct vd_audit *audit, enum vd_audit_port port,
                                              size_t i)
{
    const struct vd_stage_conf *conf = audit->conf;

    switch (port) {
    case VD_AUDIT_INPUT:
        assert(i < vd_port_count(conf->desc->inputs));
        return conf->inputs[i];
    case VD_AUDIT_OUTPUT:
        assert(i < vd_port_count(conf->desc->outputs));
        return conf->outputs[i];
    case VD_AUDIT_TABLE:
        assert(i < conf->table_count);
        return conf->tables[i];
    case VD_AUDIT_DEAD:
        break;
    }
    return conf->dead_topic;
}

static const struct vd_audit_mark *find_mark(const struct vd_audit_run *run,
                                             const struct vd_topic_conf *topic)
{
    size_t i = 0;

    while (run->marks[i].topic != topic) {
        assert(i + 1 < run->mark_count); /* every topic of a stage has its mark */
        i++;
    }
    return &run->marks[i];
}

static const struct vd_audit_mark *port_mark(const struct vd_audit *audit, enum vd_audit_port port,
                                             size_t i)
{
    return find_mark(audit->run, port_topic(audit, port, i));
}

const char *vd_audit_topic(const struct vd_audit *audit, enum vd_audit_port port, size_t i)
{
    const struct vd_topic_conf *topic = port_topic(audit, port, i);

    return topic == NULL ? NULL : topic->name;
}

int32_t vd_audit_partitions(const struct vd_audit *audit, enum vd_audit_port port, size_t i)
{
    return port_mark(audit, port, i)->partitions;
}

int16_t vd_audit_generation(const struct vd_audit *audit, enum vd_audit_port port, size_t i)
{
    return (int16_t)port_mark(audit, port, i)->topic->generation;
}

int64_t vd_audit_deleted(const struct vd_audit *audit, enum vd_audit_port port, size_t i)
{
    const struct vd_audit_mark *mark = port_mark(audit, port, i);
    int64_t deleted = 0;

    for (int32_t p = 0; p < mark->partitions; p++) {
        deleted += mark->begin[p];
    }
    return deleted;
}

int64_t vd_audit_committed(const struct vd_audit *audit, size_t input, int32_t partition)
{
    assert(partition >= 0 && partition < vd_audit_partitions(audit, VD_AUDIT_INPUT, input));
    return audit->committed[input][partition];
}

enum vd_status vd_audit_read(struct vd_audit *audit, enum vd_audit_port port, size_t i,
                             vd_audit_record_fn *on_record, void *arg, struct vd_err *err)
{
    const struct vd_audit_reading what = {.mark = port_mark(audit, port, i),
                                          .stage = audit->conf->name,
                                          .port = port,
                                          .on_record = on_record,
                                          .arg = arg};

    return vd_audit_read_topic(audit->run, &what, err);
}

bool vd_audit_is_sound(const struct vd_audit *audit)
{
    return audit->run->is_sound;
}

int64_t vd_audit_replay_of(const struct vd_audit *audit)
{
    return audit->run->replay_of;
}

struct vd_audit_claim *vd_audit_claim(struct vd_audit *audit, const char *left, const char *right)
{
    return vd_audit_report_claim(&audit->run->report, audit->conf->name, left, right);
}

void vd_audit_note(struct vd_audit *audit, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0) {
        vd_audit_report_note(&audit->run->report, audit->conf->name, text);
    }
    va_end(args);
}

/* ---- what holds for every topic -------------------------------------------------------------- */

static void check_transactions(struct vd_audit_run *run)
{
    VD_AUTO(mem) char *words = vd_format("ends of %zu topics", run->mark_count);
    struct vd_audit_claim *claim =
        vd_audit_report_claim(&run->report, TOPICS, "last stable offsets", words);
    int64_t stable = 0;
    int64_t written = 0;

    for (size_t i = 0; i < run->mark_count; i++) {
        const struct vd_audit_mark *mark = &run->marks[i];

        for (int32_t p = 0; p < mark->partitions; p++) {
            VD_AUTO(mem) char *key = vd_format("%s[%" PRId32 "]", mark->topic->name, p);

            stable += mark->stable[p];
            written += mark->written[p];
            if (mark->stable[p] != mark->written[p]) {
                vd_audit_differ(claim, key,
                                "readable up to %" PRId64 ", written up to %" PRId64
                                ": a transaction is open",
                                mark->stable[p], mark->written[p]);
            }
        }
    }
    vd_audit_compare(claim, stable, written);
}

/* Has a topic grown since its mark was made? */
static enum vd_status look_again(struct vd_audit_run *run, const struct vd_audit_mark *mark,
                                 struct vd_err *err)
{
    VD_AUTO(mem) int64_t *ends = vd_alloc_array((size_t)mark->partitions, sizeof(*ends));
    int64_t before = 0;
    int64_t after = 0;

    if (vd_audit_ask_ends(run, mark, ends, err) != VD_OK) {
        return err->status;
    }
    for (int32_t p = 0; p < mark->partitions; p++) {
        before += mark->written[p];
        after += ends[p];
    }
    if (after != before) {
        vd_audit_report_unrest(&run->report, true,
                               vd_format("%s grew by %" PRId64 " while it was read",
                                         mark->topic->name, after - before));
    }
    return VD_OK;
}

static enum vd_status check_rest(struct vd_audit_run *run, struct vd_err *err)
{
    for (size_t i = 0; i < run->mark_count; i++) {
        if (look_again(run, &run->marks[i], err) != VD_OK) {
            return err->status;
        }
    }
    return VD_OK;
}

/* ---- what holds for every stage -------------------------------------------------------------- */

static void on_counted(void *arg, const struct vd_record *record)
{
    (void)record;
    ++*(int64_t *)arg;
}

/* A stage that has not read its input to the end is not done; one that has read further than that
 * reads another topic than it began with, and one that has not come as far as the beginning has
 * missed what was deleted. Behind the last record may be marks of transactions, so that records are
 * counted and not offsets. */
static enum vd_status check_committed(struct vd_audit *audit, size_t input, struct vd_err *err)
{
    const struct vd_audit_mark *mark = port_mark(audit, VD_AUDIT_INPUT, input);
    const int64_t *committed = audit->committed[input];
    VD_AUTO(mem) char *words = vd_format("%s: committed offsets", mark->topic->name);
    struct vd_audit_claim *claim = vd_audit_claim(audit, words, "within what it keeps");
    int64_t sum = 0;
    int64_t within = 0;
    int64_t waiting = 0;
    const struct vd_audit_reading what = {.mark = mark,
                                          .from = committed,
                                          .stage = audit->conf->name,
                                          .port = VD_AUDIT_INPUT,
                                          .on_record = on_counted,
                                          .arg = &waiting};

    if (vd_audit_read_topic(audit->run, &what, err) != VD_OK) {
        return err->status;
    }
    for (int32_t p = 0; p < mark->partitions; p++) {
        VD_AUTO(mem) char *key = vd_format("%s[%" PRId32 "]", mark->topic->name, p);
        const int64_t offset = committed[p] == VD_NO_OFFSET ? mark->begin[p] : committed[p];

        sum += offset;
        within += offset > mark->written[p] ? mark->written[p]
                  : offset < mark->begin[p] ? mark->begin[p]
                                            : offset;
        if (offset > mark->written[p]) {
            vd_audit_differ(claim, key, "committed %" PRId64 ", but the topic ends at %" PRId64,
                            offset, mark->written[p]);
        } else if (offset < mark->begin[p]) {
            vd_audit_differ(claim, key,
                            "committed %" PRId64 ", but the topic begins at %" PRId64
                            ": the records between were deleted before they were read",
                            offset, mark->begin[p]);
        }
    }
    vd_audit_compare(claim, sum, within);
    if (waiting > 0) {
        vd_audit_report_unrest(&audit->run->report, false,
                               vd_format("%" PRId64 " records of %s wait for stage %s", waiting,
                                         mark->topic->name, audit->conf->name));
    }
    return VD_OK;
}

static enum vd_status count_dead(struct vd_audit *audit, struct vd_err *err)
{
    int64_t count = 0;
    enum vd_status status = vd_audit_read(audit, VD_AUDIT_DEAD, 0, on_counted, &count, err);

    if (status == VD_OK && count > 0) {
        vd_audit_note(audit, "%" PRId64 " dead letters in %s", count,
                      vd_audit_topic(audit, VD_AUDIT_DEAD, 0));
    }
    return status;
}

/* Ask, or ask again at the end, what a stage has committed. */
static enum vd_status ask_committed(const struct vd_audit *audit, size_t input, int64_t *committed,
                                    struct vd_err *err)
{
    VD_AUTO(mem)
    char *group = vd_format("%s.%s", audit->run->topology->daemon.application, audit->conf->name);

    return vd_audit_ask_committed(audit->run, group, port_mark(audit, VD_AUDIT_INPUT, input),
                                  committed, err);
}

static enum vd_status check_inputs(struct vd_audit *audit, struct vd_err *err)
{
    for (size_t i = 0; i < vd_port_count(audit->conf->desc->inputs); i++) {
        if (check_committed(audit, i, err) != VD_OK) {
            return err->status;
        }
    }
    return audit->conf->dead_topic == NULL ? VD_OK : count_dead(audit, err);
}

static enum vd_status check_itself(struct vd_audit *audit, struct vd_err *err)
{
    const struct vd_stage_desc *desc = audit->conf->desc;
    VD_AUTO(mem) void *state = NULL;
    enum vd_status status;

    if (desc->audit == NULL) {
        return VD_OK;
    }
    state = vd_alloc(desc->state_size > 0 ? desc->state_size : 1);
    status = vd_topology_stage_state(audit->conf, state, err);
    if (status == VD_OK) {
        status = desc->audit(audit, state, err);
    }
    if (desc->opts != NULL) {
        vd_opt_fini(desc->opts, state);
    }
    return status;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static enum vd_status open_audits(struct vd_audit_run *run, struct vd_audit *audits,
                                  struct vd_err *err)
{
    for (size_t i = 0; i < run->topology->stage_count; i++) {
        const struct vd_stage_conf *conf = run->topology->stages[i];
        const size_t inputs = vd_port_count(conf->desc->inputs);

        audits[i] = (struct vd_audit){.run = run, .conf = conf};
        audits[i].committed = vd_alloc_array(inputs + 1, sizeof(*audits[i].committed));
        for (size_t input = 0; input < inputs; input++) {
            const int32_t count = vd_audit_partitions(&audits[i], VD_AUDIT_INPUT, input);

            audits[i].committed[input] = vd_alloc_array((size_t)count, sizeof(int64_t));
            if (ask_committed(&audits[i], input, audits[i].committed[input], err) != VD_OK) {
                return err->status;
            }
        }
    }
    return VD_OK;
}

static void close_audits(const struct vd_audit_run *run, struct vd_audit *audits)
{
    for (size_t i = 0; i < run->topology->stage_count && audits[i].run != NULL; i++) {
        for (size_t input = 0; input < vd_port_count(audits[i].conf->desc->inputs); input++) {
            free(audits[i].committed[input]);
        }
        free(audits[i].committed);
    }
}

static enum vd_status run_audits(struct vd_audit_run *run, struct vd_audit *audits,
                                 struct vd_err *err)
{
    if (open_audits(run, audits, err) != VD_OK) {
        return err->status;
    }
    check_transactions(run);
    for (size_t i = 0; i < run->topology->stage_count; i++) {
        if (check_inputs(&audits[i], err) != VD_OK || check_itself(&audits[i], err) != VD_OK) {
            return vd_fail_in(err, "stage \"%s\"", audits[i].conf->name);
        }
    }
    return check_rest(run, err);
}

/* Both servers are asked before anything is read. */
static enum vd_status open_run(struct vd_audit_run *run, struct vd_err *err)
{
    vd_loop_init(&run->loop);
    run->log = vd_log_new("audit");
    run->metrics = vd_metrics_new();
    run->kafka = vd_kafka_new(&run->loop, &run->topology->kafka, run->log, run->metrics);
    vd_audit_report_init(&run->report);
    if (vd_audit_open_topics(run, err) != VD_OK) {
        return err->status;
    }
    return run->topology->postgres.conninfo[0] != '\0' ? vd_audit_connect(run, err) : VD_OK;
}

static void close_run(struct vd_audit_run *run)
{
    PQfinish(run->sql);
    vd_audit_close_topics(run);
    vd_audit_report_fini(&run->report);
    vd_kafka_free(run->kafka);
    vd_metrics_free(run->metrics);
    vd_log_free(run->log);
    vd_loop_fini(&run->loop);
}

enum vd_status vd_audit_topology(struct vd_topology *topology, bool is_json, struct vd_buf *out,
                                 enum vd_audit_outcome *outcome, struct vd_err *err)
{
    struct vd_audit_run run = {.topology = topology};
    VD_AUTO(mem)
    struct vd_audit *audits = vd_alloc_array(topology->stage_count, sizeof(*audits));
    enum vd_status status = open_run(&run, err);

    if (status == VD_OK) {
        status = run_audits(&run, audits, err);
    }
    if (status == VD_OK) {
        (is_json ? vd_audit_report_json : vd_audit_report_text)(&run.report, out);
        *outcome = vd_audit_report_outcome(&run.report);
    }
    close_audits(&run, audits);
    close_run(&run);
    return status;
}
