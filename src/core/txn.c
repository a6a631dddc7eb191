/* The thread of a transactional producer, and the questions that only it may block on: what became
 * of a doubtful commit, and what a predecessor left behind. */
#include "txn.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "failpoint.h"
#include "producer.h"
#include "queue.h"

#define COMMITTED_TIMEOUT_MS 5000
#define SETTLE_TIMEOUT_MS 2000 /* of one look, so that a closing thread ends soon ... */
#define SETTLE_SAY_MS 30000    /* ... and when to say so: takeover.wait of the protocol */
#define PAUSE_MS 200

struct vd_txn {
    struct vd_kafka *kafka;
    struct vd_log *log;
    struct vd_producer *producer;
    struct vd_queue *done;
    vd_txn_done_fn *on_done;
    void *arg;
    rd_kafka_t *consumer;
    struct vd_reader *reader; /* NULL while nothing is read again; the thread's own */
    void (*on_closed)(void *arg);
    void *closed_arg;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct vd_txn_job *jobs[VD_TXN_JOBS_MAX];
    size_t job_count;
    bool is_closing;
    bool is_leaving; /* do not wait for the broker any more; always true when closing */
    bool is_waiting;
    char waiting_for[VD_ERR_MSG_BYTES];
    bool is_doubted;
    uint64_t void_run; /* commits of this run and earlier ones are void */
    int64_t begun_ns;  /* when the transaction under way began; 0: none is */
};

static bool is_leaving(void *arg)
{
    struct vd_txn *txn = arg;
    bool answer;

    pthread_mutex_lock(&txn->mutex);
    answer = txn->is_leaving;
    pthread_mutex_unlock(&txn->mutex);
    return answer;
}

void vd_txn_void(struct vd_txn *txn, uint64_t run)
{
    pthread_mutex_lock(&txn->mutex);
    if (txn->void_run < run) {
        txn->void_run = run;
    }
    pthread_mutex_unlock(&txn->mutex);
}

static bool is_void(struct vd_txn *txn, uint64_t run)
{
    bool answer;

    pthread_mutex_lock(&txn->mutex);
    answer = run <= txn->void_run;
    pthread_mutex_unlock(&txn->mutex);
    return answer;
}

void vd_txn_doubt(struct vd_txn *txn)
{
    pthread_mutex_lock(&txn->mutex);
    txn->is_doubted = true;
    pthread_mutex_unlock(&txn->mutex);
}

/* Was the producer doubted since the last call? */
static bool take_doubt(struct vd_txn *txn)
{
    bool answer;

    pthread_mutex_lock(&txn->mutex);
    answer = txn->is_doubted;
    txn->is_doubted = false;
    pthread_mutex_unlock(&txn->mutex);
    return answer;
}

static void set_waiting(struct vd_txn *txn, const char *reason)
{
    pthread_mutex_lock(&txn->mutex);
    txn->is_waiting = reason != NULL;
    (void)snprintf(txn->waiting_for, sizeof(txn->waiting_for), "%s", reason != NULL ? reason : "");
    pthread_mutex_unlock(&txn->mutex);
}

bool vd_txn_is_waiting(struct vd_txn *txn, char *text, size_t bytes)
{
    bool answer;

    pthread_mutex_lock(&txn->mutex);
    answer = txn->is_waiting;
    (void)snprintf(text, bytes, "%s", txn->waiting_for);
    pthread_mutex_unlock(&txn->mutex);
    return answer;
}

static void set_begun(struct vd_txn *txn, int64_t ns)
{
    pthread_mutex_lock(&txn->mutex);
    txn->begun_ns = ns;
    pthread_mutex_unlock(&txn->mutex);
}

int64_t vd_txn_busy_ms(struct vd_txn *txn)
{
    int64_t begun_ns;

    pthread_mutex_lock(&txn->mutex);
    begun_ns = txn->begun_ns;
    pthread_mutex_unlock(&txn->mutex);
    return begun_ns == 0 ? 0 : (vd_mono_ns() - begun_ns) / 1000000 + 1;
}

uint64_t vd_txn_producer(const struct vd_txn *txn)
{
    return vd_producer_number(txn->producer);
}

int64_t vd_txn_recycled(const struct vd_txn *txn)
{
    return vd_producer_recycled(txn->producer);
}

/* Wait a moment between two attempts, or until the thread shall end. */
static void pause_thread(struct vd_txn *txn)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until); /* the wall clock may jump */
    until.tv_nsec += PAUSE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&txn->mutex);
    if (!txn->is_leaving) {
        (void)pthread_cond_timedwait(&txn->wake, &txn->mutex, &until); /* early is as good */
    }
    pthread_mutex_unlock(&txn->mutex);
}

/* Wait for the broker as long as it takes. Fails: VD_AGAIN when leaving, VD_INVALID when fenced. */
static enum vd_status wait_ready(struct vd_txn *txn, struct vd_err *err)
{
    enum vd_status status = vd_producer_ready(txn->producer, err);

    while (status == VD_AGAIN && !is_leaving(txn)) {
        set_waiting(txn, err->msg);
        pause_thread(txn);
        status = vd_producer_ready(txn->producer, err);
    }
    set_waiting(txn, NULL);
    return status;
}

/* Is the job's answer still wanted? A takeover's is not once its assignment is gone: whatever it
 * waits for is its new owner's business. Of a commit it is, since it decides what to repeat. */
static bool is_given_up(struct vd_txn *txn, const struct vd_txn_job *job)
{
    return is_leaving(txn) || (job->kind == VD_TXN_TAKEOVER && is_void(txn, job->run));
}

/* The committed offsets of the job's partitions, as a list of our own; NULL if it is given up. The
 * answer waits in the broker while a predecessor's transaction has offsets pending. */
static rd_kafka_topic_partition_list_t *ask_committed(struct vd_txn *txn,
                                                      const struct vd_txn_job *job)
{
    const int64_t began_ns = vd_mono_ns();
    struct vd_err err;

    for (;;) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(job->offsets);
        rd_kafka_resp_err_t code = rd_kafka_committed(txn->consumer, list, COMMITTED_TIMEOUT_MS);

        for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
            code = list->elems[i].err;
        }
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            set_waiting(txn, NULL);
            return list;
        }
        rd_kafka_topic_partition_list_destroy(list);
        vd_kafka_explain_committed(txn->kafka, code, (vd_mono_ns() - began_ns) / 1000000, &err);
        set_waiting(txn, err.msg);
        if (is_given_up(txn, job)) {
            set_waiting(txn, NULL);
            return NULL;
        }
        pause_thread(txn);
    }
}

/* A commit that did not answer "done" may have happened (1.3, step 6). The coordinator has settled
 * it by now, so the group's offsets tell: all of them, since a partition that was taken from us may
 * have been read further by its new owner. Where offsets go back, those from before are behind the
 * new ones, so only the very same ones tell. */
static enum vd_txn_outcome resolve_doubt(struct vd_txn *txn, const struct vd_txn_job *job)
{
    rd_kafka_topic_partition_list_t *now;
    enum vd_txn_outcome outcome = VD_TXN_DONE;

    if (job->offsets == NULL || job->is_standing) {
        return VD_TXN_VOID; /* a source reads its own progress; the others may send it twice */
    }
    if (VD_FAILPOINT(txn->log, txn_doubt)) {
        return VD_TXN_VOID;
    }
    now = ask_committed(txn, job);
    if (now == NULL) {
        return VD_TXN_VOID;
    }
    for (int i = 0; i < now->cnt; i++) {
        int64_t is = now->elems[i].offset;
        int64_t wanted = job->offsets->elems[i].offset;

        if (job->kind == VD_TXN_REWIND ? is != wanted : is < wanted) {
            outcome = VD_TXN_VOID;
        }
    }
    rd_kafka_topic_partition_list_destroy(now);
    return outcome;
}

static void run_commit(struct vd_txn *txn, struct vd_txn_job *job)
{
    struct vd_err again = {0};
    enum vd_status status;

    if (is_void(txn, job->run)) {
        job->outcome = VD_TXN_VOID;
        (void)vd_fail(&job->err, VD_AGAIN, "an earlier transaction of this run failed");
        return;
    }
    if (take_doubt(txn)) {
        vd_producer_recycle(txn->producer);
    }
    status = wait_ready(txn, &job->err);
    job->outcome = VD_TXN_VOID;
    if (status == VD_OK && job->offsets == NULL &&
        job->producer != vd_producer_number(txn->producer)) {
        (void)vd_fail(&job->err, VD_AGAIN, "the producer was replaced");
        vd_txn_void(txn, job->run);
        return;
    }
    if (status == VD_OK) {
        set_begun(txn, vd_mono_ns());
        if (vd_producer_commit(txn->producer, job, &job->err) == VD_OK) {
            job->outcome = VD_TXN_DONE;
        }
        set_begun(txn, 0);
    }
    if (job->outcome == VD_TXN_DONE) {
        return;
    }
    if (status == VD_OK && !is_leaving(txn)) { /* who leaves need not know: the next start asks */
        vd_producer_recycle(txn->producer);
        status = wait_ready(txn, &again);
        job->outcome = status == VD_OK ? resolve_doubt(txn, job) : VD_TXN_VOID;
    }
    if (status == VD_INVALID) {
        job->outcome = VD_TXN_FENCED;
        job->err = again.status == VD_INVALID ? again : job->err;
    }
    if (job->outcome != VD_TXN_DONE) {
        vd_txn_void(txn, job->run);
    }
}

/* Who asked begins again with a takeover; the pause keeps that from turning fast while the group
 * does not want our offsets any more and has not said so yet. */
static void run_rewind(struct vd_txn *txn, struct vd_txn_job *job)
{
    run_commit(txn, job);
    if (job->outcome == VD_TXN_VOID) {
        pause_thread(txn);
    }
}

static bool settle(struct vd_txn *txn, struct vd_txn_job *job, const char *topic, int32_t partition)
{
    int64_t say_ns = vd_mono_ns() + SETTLE_SAY_MS * 1000000L;

    while (vd_kafka_wait_settled(txn->kafka, topic, partition, SETTLE_TIMEOUT_MS, &job->err) !=
           VD_OK) {
        set_waiting(txn, job->err.msg);
        if (is_given_up(txn, job)) {
            set_waiting(txn, NULL);
            return false;
        }
        if (vd_mono_ns() > say_ns) {
            vd_warn(txn->log, "takeover of partition %d waits: %s; trying again", partition,
                    job->err.msg);
            say_ns = vd_mono_ns() + SETTLE_SAY_MS * 1000000L;
        }
        pause_thread(txn);
    }
    set_waiting(txn, NULL);
    return true;
}

static bool has_reader(struct vd_txn *txn, struct vd_err *err)
{
    return txn->reader != NULL ||
           vd_reader_new(txn->kafka, is_leaving, txn, &txn->reader, err) == VD_OK;
}

static void drop_reader(struct vd_txn *txn)
{
    vd_reader_free(vd_take(txn->reader));
}

/* Whether to try again what 'status' of a question says. */
static bool is_again(struct vd_txn *txn, const struct vd_txn_job *job, enum vd_status status)
{
    bool is_wanted = status != VD_OK && !is_given_up(txn, job);

    set_waiting(txn, is_wanted ? job->err.msg : NULL);
    if (is_wanted) {
        pause_thread(txn);
    }
    return is_wanted;
}

/* What was emitted last for each partition with a chained output. */
static enum vd_status find_emitted(struct vd_txn *txn, struct vd_txn_job *job)
{
    size_t count = (size_t)job->offsets->cnt;
    VD_AUTO(mem) struct vd_spot *spots = vd_alloc_array(count + 1, sizeof(*spots));
    struct vd_search search = {
        .topic = job->chained, .generation = job->generation, .spots = spots};
    enum vd_status status = VD_OK;

    for (size_t i = 0; i < count; i++) {
        job->extents[i].emitted = VD_NO_OFFSET;
        if (job->extents[i].is_chained) {
            spots[search.count].partition = job->offsets->elems[i].partition;
            spots[search.count++].below = INT64_MAX;
        }
    }
    if (search.count > 0) {
        status =
            has_reader(txn, &job->err) ? vd_reader_find(txn->reader, &search, &job->err) : VD_AGAIN;
    }
    for (size_t i = count; i-- > 0 && status == VD_OK;) {
        if (job->extents[i].is_chained) {
            search.count--;
            job->extents[i].emitted = spots[search.count].source;
            job->extents[i].err = spots[search.count].err;
        }
    }
    return status;
}

/* The offsets of the input that exist: asked last, so that what was found before is among them. */
static enum vd_status find_extents(struct vd_txn *txn, struct vd_txn_job *job)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(job->offsets);
    enum vd_status status = VD_OK;

    if (list->cnt > 0) {
        status = vd_kafka_begin_offsets(txn->kafka, list, SETTLE_TIMEOUT_MS, &job->err);
    }
    for (int i = 0; i < list->cnt && status == VD_OK; i++) {
        job->extents[i].begin = list->elems[i].offset;
    }
    if (list->cnt > 0 && status == VD_OK) {
        status = vd_kafka_end_offsets(txn->kafka, list, false, SETTLE_TIMEOUT_MS, &job->err);
    }
    for (int i = 0; i < list->cnt && status == VD_OK; i++) {
        job->extents[i].end = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

/* Wait until everything that the committed offsets stand for can be read (2.4): first the offsets,
 * then the high watermark of every partition about to be read. Then look what is there (4.5). */
static void run_takeover(struct vd_txn *txn, struct vd_txn_job *job)
{
    rd_kafka_topic_partition_list_t *committed;
    enum vd_status status;

    job->outcome = VD_TXN_VOID;
    committed = ask_committed(txn, job);
    if (committed == NULL) {
        return;
    }
    rd_kafka_topic_partition_list_destroy(job->offsets);
    job->offsets = committed;
    for (int i = 0; job->settle != NULL && i < job->settle->cnt; i++) {
        if (!settle(txn, job, job->settle->elems[i].topic, job->settle->elems[i].partition)) {
            return;
        }
    }
    do {
        status = find_emitted(txn, job);
        status = status == VD_OK ? find_extents(txn, job) : status;
    } while (is_again(txn, job, status));
    drop_reader(txn);
    job->outcome = status == VD_OK ? VD_TXN_DONE : VD_TXN_VOID;
}

static void run_read(struct vd_txn *txn, struct vd_txn_job *job)
{
    enum vd_status status;

    do {
        job->err = (struct vd_err){0};
        status = has_reader(txn, &job->err) ? vd_range_read(job->range, txn->reader, &job->err)
                                            : VD_AGAIN;
    } while (status != VD_INVALID && is_again(txn, job, status));
    job->outcome = status == VD_OK ? VD_TXN_DONE : VD_TXN_VOID;
    if (status != VD_OK || job->range->count == 0) {
        drop_reader(txn);
    }
}

static void run_job(struct vd_txn *txn, struct vd_txn_job *job)
{
    switch (job->kind) {
    case VD_TXN_COMMIT:
        run_commit(txn, job);
        break;
    case VD_TXN_REWIND:
        run_rewind(txn, job);
        break;
    case VD_TXN_TAKEOVER:
        run_takeover(txn, job);
        break;
    case VD_TXN_READ:
        run_read(txn, job);
        break;
    }
}

static struct vd_txn_job *take_job(struct vd_txn *txn)
{
    struct vd_txn_job *job = NULL;

    pthread_mutex_lock(&txn->mutex);
    while (txn->job_count == 0 && !txn->is_closing) {
        pthread_cond_wait(&txn->wake, &txn->mutex);
    }
    if (txn->job_count > 0) {
        job = txn->jobs[0];
        txn->job_count--;
        memmove(txn->jobs, txn->jobs + 1, txn->job_count * sizeof(struct vd_txn_job *));
    }
    pthread_mutex_unlock(&txn->mutex);
    return job;
}

static void *run(void *arg)
{
    struct vd_txn *txn = arg;
    struct vd_txn_job *job;
    enum vd_status pushed;
    struct vd_err err = {0};

    /* Settles an old transaction of ours at once, before anybody waits for it. */
    (void)wait_ready(txn, &err); /* the first job meets the same error */
    while ((job = take_job(txn)) != NULL) {
        run_job(txn, job);
        pushed = vd_queue_push(txn->done, job);
        assert(pushed == VD_OK); /* it has room for all jobs there can be */
    }
    drop_reader(txn);
    vd_producer_recycle(txn->producer);
    pushed = vd_queue_push(txn->done, txn); /* the last item: the thread is done */
    assert(pushed == VD_OK);
    (void)pushed;
    return NULL;
}

static void release_job(void *item)
{
    vd_txn_job_free(item);
}

static void on_thread_ended(struct vd_txn *txn)
{
    void (*on_closed)(void *arg) = txn->on_closed;
    void *arg = txn->closed_arg;

    pthread_join(txn->thread, NULL);
    vd_queue_close(txn->done, release_job);
    vd_producer_free(txn->producer);
    pthread_cond_destroy(&txn->wake);
    pthread_mutex_destroy(&txn->mutex);
    free(txn);
    if (on_closed != NULL) {
        on_closed(arg);
    }
}

static void on_item(void *arg, void *item)
{
    struct vd_txn *txn = arg;

    if (item == txn) {
        on_thread_ended(txn);
    } else {
        txn->on_done(txn->arg, item);
    }
}

struct vd_txn *vd_txn_new(struct vd_kafka *kafka, struct vd_loop *loop,
                          const struct vd_txn_conf *conf, struct vd_log *log)
{
    struct vd_txn *txn = vd_alloc(sizeof(*txn));
    pthread_condattr_t monotonic;
    int error;

    txn->kafka = kafka;
    txn->log = log;
    txn->on_done = conf->on_done;
    txn->arg = conf->arg;
    txn->producer =
        vd_producer_new(kafka, conf->transactional_id, conf->topics, conf->topic_count, log);
    txn->done = vd_queue_new(loop, VD_TXN_JOBS_MAX + 1, on_item, txn);
    pthread_mutex_init(&txn->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&txn->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    error = pthread_create(&txn->thread, NULL, run, txn);
    assert(error == 0); /* as running out of memory: nothing can go on */
    (void)error;
    return txn;
}

void vd_txn_set_consumer(struct vd_txn *txn, rd_kafka_t *consumer)
{
    txn->consumer = consumer;
}

void vd_txn_submit(struct vd_txn *txn, struct vd_txn_job *job)
{
    pthread_mutex_lock(&txn->mutex);
    assert(txn->job_count < VD_TXN_JOBS_MAX && !txn->is_closing);
    txn->jobs[txn->job_count++] = job;
    pthread_cond_signal(&txn->wake);
    pthread_mutex_unlock(&txn->mutex);
}

void vd_txn_leave(struct vd_txn *txn)
{
    pthread_mutex_lock(&txn->mutex);
    txn->is_leaving = true;
    pthread_cond_signal(&txn->wake);
    pthread_mutex_unlock(&txn->mutex);
}

void vd_txn_close(struct vd_txn *txn, void (*on_closed)(void *arg), void *arg)
{
    pthread_mutex_lock(&txn->mutex);
    assert(!txn->is_closing);
    txn->on_closed = on_closed;
    txn->closed_arg = arg;
    txn->is_closing = true;
    txn->is_leaving = true;
    pthread_cond_signal(&txn->wake);
    pthread_mutex_unlock(&txn->mutex);
}
