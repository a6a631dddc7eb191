/* The consumer behind all tables of a node: librdkafka's simple consumer, which knows no group, on
 * a queue of its own that the loop drains. Its wake-up comes from a library thread and only calls
 * uv_async_send. What blocks is an errand. */
#include "table_follow.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "alloc.h"
#include "errand.h"
#include "loop_uv.h"
#include "nudge.h"
#include "table_inside.h"

#define TURN_RECORDS 2000       /* taken in one turn of the loop ... */
#define TURN_NS 5000000         /* ... and for how long; the rest waits for the next */
#define ASK_MS 1000             /* of one attempt to ask for ends */
#define BACKOFF_FROM 0x02020000 /* librdkafka 2.2.0: fetch.queue.backoff.ms */

struct vd_follower {
    struct vd_kafka *kafka; /* borrowed, like the next three */
    struct vd_loop *loop;
    struct vd_log *log;
    struct vd_metrics *metrics;
    struct vd_metric *errors;
    uv_async_t async;
    struct vd_table *tables;
    struct vd_topic_conf *const *topics; /* NULL: not started */
    size_t topic_count;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct vd_errands *errands;
    atomic_bool is_closing;
    struct vd_nudge nudge;
    int in_a_row;    /* records taken since the queue was last empty */
    bool is_reading; /* the partitions of tables known so far are started */
    bool is_turning; /* in the callbacks of watches and wishes */
    void (*on_closed)(void *arg);
    void *arg;
};

/* ---- errands --------------------------------------------------------------------------------- */

struct ask {
    struct vd_errand errand;
    struct vd_table *table;
    rd_kafka_topic_partition_list_t *list;
    bool is_answered;
};

static bool run_ask(struct vd_errand *errand)
{
    struct ask *ask = vd_owner(errand, struct ask, errand);
    struct vd_follower *follower = ask->table->follower;

    /* Why it fails, librdkafka's log says; it is asked again until somebody answers. */
    ask->is_answered =
        !atomic_load(&follower->is_closing) &&
        vd_kafka_end_offsets(follower->kafka, ask->list, false, ASK_MS, NULL) == VD_OK;
    return ask->is_answered || atomic_load(&follower->is_closing);
}

static void on_ask_done(struct vd_errand *errand)
{
    struct ask *ask = vd_owner(errand, struct ask, errand);
    struct vd_table *table = ask->table;
    struct vd_follower *follower = table->follower;
    int64_t *ends;

    if (!atomic_load(&follower->is_closing)) {
        assert(ask->is_answered);
        ends = vd_alloc_array((size_t)table->part_count, sizeof(*ends));
        for (int i = 0; i < ask->list->cnt; i++) {
            ends[ask->list->elems[i].partition] = ask->list->elems[i].offset;
        }
        table->is_asking = false;
        vd_table_answer(table, ends);
        free(ends);
        vd_follower_ask(follower, table); /* for those who came meanwhile */
        follower->is_turning = true;
        vd_table_settle(table);
        follower->is_turning = false;
    }
    rd_kafka_topic_partition_list_destroy(ask->list);
    free(ask);
}

void vd_follower_ask(struct vd_follower *follower, struct vd_table *table)
{
    struct ask *ask;
    bool is_wanted = false;

    if (table->is_asking || atomic_load(&follower->is_closing)) {
        return;
    }
    for (struct vd_table_wish *wish = table->wishes; wish != NULL; wish = wish->next) {
        if (wish->ends == NULL) {
            wish->is_asked = true;
            is_wanted = true;
        }
    }
    if (!is_wanted) {
        return;
    }
    table->is_asking = true;
    ask = vd_alloc(sizeof(*ask));
    ask->errand.run = run_ask;
    ask->errand.on_done = on_ask_done;
    ask->table = table;
    ask->list = rd_kafka_topic_partition_list_new(table->part_count);
    for (int32_t i = 0; i < table->part_count; i++) {
        rd_kafka_topic_partition_list_add(ask->list, table->topic, i);
    }
    vd_errands_submit(follower->errands, &ask->errand);
}

struct restart {
    struct vd_errand errand;
    struct vd_table *table;
    int32_t partition;
};

static bool start_partition(struct vd_table *table, int32_t partition)
{
    return rd_kafka_consume_start_queue(table->rkt, partition, RD_KAFKA_OFFSET_BEGINNING,
                                        table->follower->queue) == 0;
}

static bool run_restart(struct vd_errand *errand)
{
    const struct restart *restart = vd_owner(errand, struct restart, errand);
    struct vd_follower *follower = restart->table->follower;

    if (atomic_load(&follower->is_closing)) {
        return true;
    }
    /* It fails only for a partition that is not read: just what is wanted. */
    (void)rd_kafka_consume_stop(restart->table->rkt, restart->partition);
    return start_partition(restart->table, restart->partition);
}

static void on_restart_done(struct vd_errand *errand)
{
    struct restart *restart = vd_owner(errand, struct restart, errand);

    restart->table->parts[restart->partition].is_restarting = false;
    free(restart);
}

static void reread(struct vd_follower *follower, struct vd_table *table, int32_t partition)
{
    struct restart *restart;

    vd_table_reread(table, partition);
    if (table->parts[partition].is_restarting) {
        return;
    }
    table->parts[partition].is_restarting = true;
    restart = vd_alloc(sizeof(*restart));
    restart->errand.run = run_restart;
    restart->errand.on_done = on_restart_done;
    restart->table = table;
    restart->partition = partition;
    vd_errands_submit(follower->errands, &restart->errand);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void take_error(struct vd_follower *follower, struct vd_table *table,
                       const rd_kafka_message_t *message)
{
    struct vd_table_part *part = &table->parts[message->partition];
    const bool is_reset = message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;

    vd_metric_add(follower->errors, 1);
    if (part->error != message->err) { /* said once, until it reads again */
        part->error = message->err;
        vd_warn(follower->log, "table \"%s\" partition %" PRId32 ": %s; %s", table->topic,
                message->partition, rd_kafka_message_errstr(message),
                is_reset ? "reading it anew from its beginning" : "trying again");
    }
    if (is_reset) {
        reread(follower, table, message->partition);
    }
}

static void take_message(struct vd_follower *follower, const rd_kafka_message_t *message)
{
    struct vd_table *table = message->rkt == NULL ? NULL : rd_kafka_topic_opaque(message->rkt);
    struct vd_record record;

    if (table == NULL || message->partition < 0 || message->partition >= table->part_count) {
        vd_metric_add(follower->errors, 1);
        vd_debug(follower->log, "tables: %s", rd_kafka_message_errstr(message));
        return;
    }
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        /* A table does without positions; one that does not parse is as good as none. */
        (void)!vd_record_from_message(message, &record, NULL);
        table->parts[message->partition].error = RD_KAFKA_RESP_ERR_NO_ERROR;
        vd_table_apply(table, &record);
        return;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        table->parts[message->partition].error = RD_KAFKA_RESP_ERR_NO_ERROR;
        vd_table_reach(table, message->partition, message->offset);
        return;
    default:
        take_error(follower, table, message);
    }
}

static void settle_all(struct vd_follower *follower)
{
    for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
        if (table->has_moved) {
            vd_table_settle(table);
        }
    }
}

/* The queue is empty. After many records it may be that the library had enough and sleeps. */
static void on_drained(struct vd_follower *follower)
{
    rd_kafka_topic_partition_list_t *list;

    if (follower->in_a_row >= VD_NUDGE_RECORDS) {
        list = rd_kafka_topic_partition_list_new(16);
        for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
            rd_kafka_topic_partition_list_add_range(list, table->topic, 0, table->part_count - 1);
        }
        vd_nudge(&follower->nudge, follower->errands, follower->rk, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    follower->in_a_row = 0;
}

static void turn(struct vd_follower *follower)
{
    const int64_t end_ns = vd_mono_ns() + TURN_NS;

    follower->is_turning = true;
    for (int taken = 0;; taken++) {
        rd_kafka_message_t *message;

        if (taken == TURN_RECORDS || (taken % 64 == 63 && vd_mono_ns() > end_ns)) {
            (void)uv_async_send(&follower->async); /* fails only on a handle of another type */
            break;
        }
        message = rd_kafka_consume_queue(follower->queue, 0);
        if (message == NULL) {
            on_drained(follower);
            break;
        }
        follower->in_a_row++;
        take_message(follower, message);
        rd_kafka_message_destroy(message);
    }
    settle_all(follower);
    follower->is_turning = false;
}

static void on_async(uv_async_t *handle)
{
    struct vd_follower *follower = handle->data;

    if (follower->rk != NULL && !atomic_load(&follower->is_closing)) {
        turn(follower);
    }
}

/* On a thread of librdkafka. */
static void on_messages(rd_kafka_t *rk, void *arg)
{
    struct vd_follower *follower = arg;

    (void)uv_async_send(&follower->async); /* fails only on a handle of another type */
}

/* ---- life ------------------------------------------------------------------------------------ */

struct vd_follower *vd_follower_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                    struct vd_log *log, struct vd_metrics *metrics)
{
    struct vd_follower *follower = vd_alloc(sizeof(*follower));
    int error;

    follower->kafka = kafka;
    follower->loop = loop;
    follower->log = log;
    follower->metrics = metrics;
    follower->errors = vd_metric_get(metrics, VD_COUNTER, "votingd_table_errors_total", NULL,
                                     "errors of the consumer behind the tables");
    error = uv_async_init(&loop->uv, &follower->async, on_async);
    assert(error == 0); /* no descriptors left at the start: nothing else would work either */
    (void)error;
    follower->async.data = follower;
    return follower;
}

/* Make the topic known to the library. */
static void open_table(struct vd_follower *follower, struct vd_table *table)
{
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(follower->rk);

    rd_kafka_topic_conf_set_opaque(conf, table);
    table->rkt = rd_kafka_topic_new(follower->rk, table->topic, conf);
    assert(table->rkt != NULL); /* the topic was created or compared: its name is good */
}

static void start_table(struct vd_follower *follower, struct vd_table *table)
{
    size_t at = 0;

    while (at < follower->topic_count && strcmp(follower->topics[at]->name, table->topic) != 0) {
        at++;
    }
    assert(at < follower->topic_count);
    if (follower->topics[at]->partitions_found > 0) {
        vd_table_start(table, follower->topics[at]->partitions_found);
    }
}

static void read_table(struct vd_table *table)
{
    for (int32_t i = 0; i < table->part_count; i++) {
        const bool is_started = start_partition(table, i);

        assert(is_started);
        (void)is_started; /* only asserted */
    }
}

struct introduction {
    struct vd_errand errand;
    struct vd_follower *follower;
};

/* Ask for the leaders of all topics. A partition that is to be read and has no leader yet is looked
 * at again only after half a second (2.0.2), so none is started before. */
static bool run_introduction(struct vd_errand *errand)
{
    const struct introduction *first = vd_owner(errand, struct introduction, errand);
    const rd_kafka_metadata_t *metadata = NULL;

    if (atomic_load(&first->follower->is_closing)) {
        return true;
    }
    if (rd_kafka_metadata(first->follower->rk, 0, NULL, &metadata, ASK_MS) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false; /* why, librdkafka's log says */
    }
    rd_kafka_metadata_destroy(metadata);
    return true;
}

static void on_introduced(struct vd_errand *errand)
{
    struct introduction *first = vd_owner(errand, struct introduction, errand);
    struct vd_follower *follower = first->follower;

    free(first);
    if (atomic_load(&follower->is_closing)) {
        return;
    }
    follower->is_reading = true;
    for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
        read_table(table);
    }
}

struct vd_table *vd_follower_table(struct vd_follower *follower, const char *topic)
{
    struct vd_table **at = &follower->tables;

    while (*at != NULL && strcmp((*at)->topic, topic) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = vd_table_new(follower, topic, follower->metrics);
        if (follower->topics != NULL) {
            open_table(follower, *at);
            start_table(follower, *at);
        }
        if (follower->is_reading) {
            read_table(*at);
        }
    }
    return *at;
}

void vd_follower_look_again(struct vd_follower *follower)
{
    for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
        if (table->part_count == 0) {
            start_table(follower, table);
            if (follower->is_reading) {
                read_table(table);
            }
        }
    }
}

static rd_kafka_t *new_consumer(struct vd_follower *follower, char *text, size_t bytes)
{
    const bool has_backoff = rd_kafka_version() >= BACKOFF_FROM;
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        follower->kafka, "isolation.level", "read_committed", "auto.offset.reset", "error",
        "enable.partition.eof", "true", "enable.auto.commit", "false", "enable.auto.offset.store",
        "false", "check.crcs", "true", "fetch.wait.max.ms", "50", "queued.max.messages.kbytes",
        has_backoff ? "16384" : "65536", has_backoff ? "fetch.queue.backoff.ms" : NULL, "1", NULL);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, bytes);

    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
    }
    return rk;
}

enum vd_status vd_follower_start(struct vd_follower *follower, struct vd_topic_conf *const *topics,
                                 size_t count, struct vd_err *err)
{
    struct introduction *first;
    rd_kafka_queue_t *main_queue;
    char text[512] = "";

    assert(follower->topics == NULL);
    follower->rk = new_consumer(follower, text, sizeof(text));
    if (follower->rk == NULL) {
        return vd_fail(err, VD_FAILED,
                       "could not follow the tables: could not create a Kafka "
                       "consumer: %s",
                       text);
    }
    follower->topics = topics;
    follower->topic_count = count;
    follower->queue = rd_kafka_queue_new(follower->rk);
    /* Errors come on the main queue, which nobody else would drain. */
    main_queue = rd_kafka_queue_get_main(follower->rk);
    rd_kafka_queue_forward(main_queue, follower->queue);
    rd_kafka_queue_destroy(main_queue);
    rd_kafka_queue_cb_event_enable(follower->queue, on_messages, follower);
    follower->errands = vd_errands_new(follower->loop);
    for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
        open_table(follower, table);
    }
    first = vd_alloc(sizeof(*first));
    first->errand.run = run_introduction;
    first->errand.on_done = on_introduced;
    first->follower = follower;
    vd_errands_submit(follower->errands, &first->errand);
    for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
        start_table(follower, table);
    }
    return VD_OK;
}

/* ---- end ------------------------------------------------------------------------------------- */

static void on_async_closed(uv_handle_t *handle)
{
    struct vd_follower *follower = handle->data;
    void (*on_closed)(void *arg) = follower->on_closed;
    void *arg = follower->arg;

    while (follower->tables != NULL) {
        struct vd_table *table = follower->tables;

        follower->tables = table->next;
        vd_table_free(table);
    }
    free(follower);
    if (on_closed != NULL) {
        on_closed(arg);
    }
}

static void on_errands_closed(void *arg)
{
    struct vd_follower *follower = arg;

    uv_close((uv_handle_t *)&follower->async, on_async_closed);
}

struct closing {
    struct vd_errand errand;
    struct vd_follower *follower;
};

/* The loop no longer looks at tables or consumer. */
static bool run_close(struct vd_errand *errand)
{
    struct vd_follower *follower = vd_owner(errand, struct closing, errand)->follower;

    for (struct vd_table *table = follower->tables; table != NULL; table = table->next) {
        for (int32_t i = 0; i < table->part_count; i++) {
            (void)rd_kafka_consume_stop(table->rkt, i); /* it fails only for one that is not read */
        }
        rd_kafka_topic_destroy(vd_take(table->rkt));
    }
    rd_kafka_queue_destroy(follower->queue);
    rd_kafka_destroy_flags(follower->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return true;
}

static void on_close_done(struct vd_errand *errand)
{
    free(vd_owner(errand, struct closing, errand));
}

void vd_follower_close(struct vd_follower *follower, void (*on_closed)(void *arg), void *arg)
{
    struct closing *closing;

    assert(!atomic_load(&follower->is_closing) && !follower->is_turning);
    atomic_store(&follower->is_closing, true);
    follower->on_closed = on_closed;
    follower->arg = arg;
    if (follower->rk == NULL) {
        uv_close((uv_handle_t *)&follower->async, on_async_closed);
        return;
    }
    vd_nudge_drop(&follower->nudge);
    rd_kafka_queue_cb_event_enable(follower->queue, NULL, NULL);
    closing = vd_alloc(sizeof(*closing));
    closing->errand.run = run_close;
    closing->errand.on_done = on_close_done;
    closing->follower = follower;
    vd_errands_submit(follower->errands, &closing->errand);
    vd_errands_close(follower->errands, on_errands_closed, follower);
}
