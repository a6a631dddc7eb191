/* The host's two halves: what the stage calls, and the steps that the test takes. */
#include "generator_host.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "generator/audit.h"

struct vd_timer {
    struct vd_timer *next;
    vd_timer_fn *on_time;
    void *arg;
    int64_t due; /* -1: none */
};

struct vd_batch {
    struct vd_batch *next;
    struct host_record *record;
    size_t count;
    bool is_void;
};

/* What outlives the process. */
struct host_record *host_log;
size_t host_log_count;

/* The process. */
static struct {
    const struct vd_stage_desc *desc;
    void *state;
    struct vd_metrics *metrics;
    struct vd_log *log;
    int64_t now;
    struct vd_timer *timers;
    struct vd_batch *at_stage, *jobs;
    bool is_ended, is_rewinding, is_halted;
    char trouble[VD_ERR_MSG_BYTES], halted[VD_ERR_MSG_BYTES];
    int64_t retry_at;
} host = {.now = 1000};

/* Reads a real broker: test/broker/test_audit.c. */
enum vd_status gen_audit(struct vd_audit *audit, void *state, struct vd_err *err)
{
    (void)audit;
    (void)state;
    return vd_fail(err, VD_FAILED, "there are no topics here");
}

/* ---- clocks and timers --------------------------------------------------------------------- */

int64_t vd_loop_now_ms(const struct vd_loop *loop)
{
    (void)loop;
    return host.now;
}

int64_t vd_wall_ms(void)
{
    return host.now;
}

int64_t vd_mono_ns(void)
{
    return host.now * 1000000;
}

struct vd_timer *vd_timer_new(struct vd_loop *loop, vd_timer_fn *on_time, void *arg)
{
    struct vd_timer *timer = vd_alloc(sizeof(*timer));

    (void)loop;
    *timer = (struct vd_timer){.next = host.timers, .on_time = on_time, .arg = arg, .due = -1};
    host.timers = timer;
    return timer;
}

void vd_timer_start(struct vd_timer *timer, int64_t ms)
{
    timer->due = host.now + ms;
}

void vd_timer_stop(struct vd_timer *timer)
{
    timer->due = -1;
}

bool vd_timer_is_active(const struct vd_timer *timer)
{
    return timer->due >= 0;
}

void vd_timer_close(struct vd_timer *timer)
{
    struct vd_timer **at = &host.timers;

    while (timer != NULL && *at != timer) {
        at = &(*at)->next;
    }
    if (timer != NULL) {
        *at = timer->next;
        free(timer);
    }
}

/* The next one that is due by 'until'. */
static struct vd_timer *next_timer(int64_t until)
{
    struct vd_timer *first = NULL;

    for (struct vd_timer *timer = host.timers; timer != NULL; timer = timer->next) {
        if (timer->due >= 0 && timer->due <= until && (first == NULL || timer->due < first->due)) {
            first = timer;
        }
    }
    return first;
}

void host_advance(int64_t ms)
{
    int64_t until = host.now + ms;
    struct vd_timer *timer;

    while ((timer = next_timer(until)) != NULL) {
        host.now = timer->due > host.now ? timer->due : host.now;
        timer->due = -1;
        timer->on_time(timer->arg);
    }
    host.now = until;
}

int64_t host_now(void)
{
    return host.now;
}

/* ---- the stage's instance ------------------------------------------------------------------ */

struct vd_log *vd_stage_log(const struct vd_stage *stage)
{
    (void)stage;
    return host.log;
}

struct vd_loop *vd_stage_loop(const struct vd_stage *stage)
{
    (void)stage;
    return NULL;
}

struct vd_http *vd_stage_http(const struct vd_stage *stage)
{
    (void)stage;
    return NULL;
}

struct vd_table *vd_stage_table(const struct vd_stage *stage, size_t table)
{
    (void)stage;
    (void)table;
    return NULL;
}

const char *vd_stage_output_topic(const struct vd_stage *stage, size_t output)
{
    (void)stage;
    (void)output;
    return "generator_progress";
}

struct vd_metric *vd_stage_metric(struct vd_stage *stage, enum vd_metric_type type,
                                  const char *name, const char *labels, const char *help)
{
    (void)stage;
    return vd_metric_get(host.metrics, type, name, labels, help);
}

void vd_stage_set_trouble(struct vd_stage *stage, const char *format, ...)
{
    va_list args;

    (void)stage;
    host.trouble[0] = '\0';
    if (format != NULL) {
        va_start(args, format);
        (void)vsnprintf(host.trouble, sizeof(host.trouble), format, args);
        va_end(args);
    }
    (void)host_offer();
}

void vd_stage_halt(struct vd_stage *stage, const char *format, ...)
{
    va_list args;

    (void)stage;
    va_start(args, format);
    (void)vsnprintf(host.halted, sizeof(host.halted), format, args);
    va_end(args);
    host.is_halted = true;
}

void vd_stage_wake(struct vd_stage *stage)
{
    (void)stage;
    host.is_ended = false;
    (void)host_offer();
}

/* ---- batches ------------------------------------------------------------------------------- */

static void free_record(struct host_record *record)
{
    free(record->key);
    free(record->value);
    free(record->reason);
}

static void free_batch(struct vd_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        free_record(&batch->record[i]);
    }
    free(batch->record);
    free(batch);
}

void vd_batch_emit(struct vd_batch *batch, size_t output, size_t source, const struct vd_msg *msg)
{
    assert(source == VD_NO_SOURCE && msg->partition == VD_BY_KEY && msg->key != NULL);
    batch->record = vd_realloc(batch->record, (batch->count + 1) * sizeof(*batch->record));
    batch->record[batch->count++] = (struct host_record){
        .output = output,
        .key = vd_strndup(msg->key, msg->key_len),
        .value = vd_strndup(msg->value, msg->value_len),
        .reason = vd_strdup(msg->reason),
    };
}

static void finish_rewind(void)
{
    if (host.is_rewinding && host.at_stage == NULL && host.jobs == NULL) {
        host.is_rewinding = false;
        host.desc->rewound(NULL, host.state);
    }
}

static size_t count_jobs(void)
{
    size_t count = 0;

    for (struct vd_batch *job = host.jobs; job != NULL; job = job->next) {
        count++;
    }
    return count;
}

bool host_offer(void)
{
    if (host.is_ended || host.at_stage != NULL || host.trouble[0] != '\0' || count_jobs() >= 2 ||
        host.is_rewinding || host.is_halted || host.now < host.retry_at) {
        return false;
    }
    host.at_stage = vd_alloc(sizeof(*host.at_stage));
    host.desc->batch(NULL, host.state, host.at_stage);
    return true;
}

static void end_batch(struct vd_batch *batch)
{
    free_batch(batch);
    finish_rewind();
    (void)host_offer();
}

static bool take_answer(struct vd_batch *batch)
{
    assert(host.at_stage == batch);
    host.at_stage = NULL;
    if (batch->is_void || host.is_halted) {
        end_batch(batch);
        return false;
    }
    return true;
}

static void submit(struct vd_batch *batch)
{
    struct vd_batch **end = &host.jobs;

    if (batch->count == 0) {
        end_batch(batch);
        return;
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = batch;
    (void)host_offer();
}

void vd_batch_done(struct vd_batch *batch)
{
    if (take_answer(batch)) {
        submit(batch);
    }
}

void vd_batch_end(struct vd_batch *batch)
{
    if (take_answer(batch)) {
        host.is_ended = true;
        submit(batch);
    }
}

void vd_batch_fail(struct vd_batch *batch, const struct vd_err *err)
{
    assert(err->status == VD_AGAIN || err->status == VD_FAILED);
    if (take_answer(batch)) {
        host.retry_at = host.now + 1;
        end_batch(batch);
    }
}

static struct vd_batch *take_job(void)
{
    struct vd_batch *job = host.jobs;

    if (job != NULL) {
        host.jobs = job->next;
    }
    return job;
}

static void make_durable(struct vd_batch *job)
{
    host_log = vd_realloc(host_log, (host_log_count + job->count) * sizeof(*host_log));
    for (size_t i = 0; i < job->count; i++) {
        host_log[host_log_count++] = job->record[i];
    }
    free(vd_take(job->record));
    job->count = 0;
}

bool host_commit(void)
{
    struct vd_batch *job = take_job();
    size_t from = host_log_count;

    if (job == NULL) {
        return false;
    }
    make_durable(job);
    for (size_t i = from; i < host_log_count; i++) {
        if (host_log[i].output == 2) {
            world_changed(&host_log[i]);
        }
    }
    host.desc->committed(NULL, host.state, job);
    end_batch(job);
    return true;
}

bool host_abort(void)
{
    struct vd_batch *job = take_job();

    if (job == NULL) {
        return false;
    }
    host.is_rewinding = true;
    if (host.at_stage != NULL) {
        host.at_stage->is_void = true;
    }
    while (job != NULL) {
        free_batch(job);
        job = take_job();
    }
    finish_rewind();
    return true;
}

void host_rewind(void)
{
    host.is_rewinding = true;
    finish_rewind();
}

bool host_commit_unknown(void)
{
    struct vd_batch *job = take_job();

    if (job == NULL) {
        return false;
    }
    make_durable(job);
    free_batch(job);
    return true;
}

/* ---- life ---------------------------------------------------------------------------------- */

enum vd_status host_start(const char *const *options, struct vd_err *err)
{
    int64_t now = host.now;

    memset(&host, 0, sizeof(host));
    host.now = now;
    host.desc = vd_stage_describe();
    host.state = vd_alloc(host.desc->state_size);
    host.metrics = vd_metrics_new();
    host.log = vd_log_new("stage.generator");
    vd_opt_defaults(host.desc->opts, host.state);
    for (; *options != NULL; options++) {
        const char *equals = strchr(*options, '=');
        VD_AUTO(mem) char *name = vd_strndup(*options, (size_t)(equals - *options));

        if (vd_opt_set(host.desc->opts, host.state, name, equals + 1, err) != VD_OK) {
            return VD_INVALID;
        }
    }
    if (host.desc->check(NULL, host.state, err) != VD_OK) {
        return VD_INVALID;
    }
    return host.desc->start(NULL, host.state, err);
}

void host_drop(void)
{
    vd_opt_fini(host.desc->opts, host.state);
    free(host.state);
    vd_metrics_free(host.metrics);
    vd_log_free(host.log);
}

void host_stop(void)
{
    struct vd_batch *job;

    host.desc->stop(NULL, host.state);
    host_drop();
    while ((job = take_job()) != NULL) {
        free_batch(job);
    }
    if (host.at_stage != NULL) {
        free_batch(vd_take(host.at_stage));
    }
    world_end();
    assert(host.timers == NULL);
}

void host_wipe(void)
{
    for (size_t i = 0; i < host_log_count; i++) {
        free_record(&host_log[i]);
    }
    free(vd_take(host_log));
    host_log_count = 0;
    world_wipe();
}

void host_run(int64_t ms)
{
    int64_t until = host.now + ms;

    for (;;) {
        if (host_pg_connect() || host_pg_step(HOST_OK) || host_table_step() || host_commit() ||
            host_offer()) {
            continue;
        }
        if (host.now >= until) {
            return;
        }
        host_advance(1);
    }
}

const char *host_trouble(void)
{
    return host.trouble;
}

const char *host_halted(void)
{
    return host.halted;
}

bool host_is_ended(void)
{
    return host.is_ended;
}
