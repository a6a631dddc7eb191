/* What a stage may ask of the engine and tell it; the calls of stage.h that need no decision. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "failpoint.h"
#include "pg_impl.h"
#include "stage_impl.h"

struct vd_log *vd_stage_log(const struct vd_stage *stage)
{
    return stage->log;
}

struct vd_loop *vd_stage_loop(const struct vd_stage *stage)
{
    return stage->host->loop;
}

const char *vd_stage_name(const struct vd_stage *stage)
{
    return stage->conf->name;
}

const char *vd_stage_node(const struct vd_stage *stage)
{
    return stage->host->node;
}

const char *vd_stage_application(const struct vd_stage *stage)
{
    return stage->host->application;
}

/* The topic behind a port, or NULL. */
static const struct vd_topic_conf *input_topic(const struct vd_stage *stage, size_t input)
{
    assert(input < stage->input_count);
    return stage->conf->inputs[input];
}

static const struct vd_topic_conf *output_topic(const struct vd_stage *stage, size_t output)
{
    assert(output < stage->output_count);
    return stage->conf->outputs[output];
}

const struct vd_topic_conf *vd_stage_chained_topic(const struct vd_stage *stage)
{
    for (size_t i = 0; i < stage->output_count; i++) {
        if ((stage->desc->outputs[i].flags & VD_PORT_CHAINED) != 0 &&
            stage->conf->outputs[i] != NULL) {
            return stage->conf->outputs[i];
        }
    }
    return NULL;
}

struct vd_table *vd_stage_table(const struct vd_stage *stage, size_t table)
{
    const struct vd_topic_conf *topic;

    assert(table < stage->conf->table_count);
    topic = stage->conf->tables[table];
    return topic == NULL ? NULL : vd_follower_table(stage->host->follower, topic->name);
}

size_t vd_stage_table_count(const struct vd_stage *stage)
{
    return stage->conf->table_count;
}

const char *vd_stage_table_name(const struct vd_stage *stage, size_t table)
{
    assert(table < stage->conf->table_count);
    return stage->conf->table_names[table];
}

const char *vd_stage_input_topic(const struct vd_stage *stage, size_t input)
{
    const struct vd_topic_conf *topic = input_topic(stage, input);

    return topic == NULL ? NULL : topic->name;
}

const char *vd_stage_output_topic(const struct vd_stage *stage, size_t output)
{
    const struct vd_topic_conf *topic = output_topic(stage, output);

    return topic == NULL ? NULL : topic->name;
}

int32_t vd_stage_input_partitions(const struct vd_stage *stage, size_t input)
{
    const struct vd_topic_conf *topic = input_topic(stage, input);

    return topic == NULL ? 0 : topic->partitions_found;
}

int32_t vd_stage_output_partitions(const struct vd_stage *stage, size_t output)
{
    const struct vd_topic_conf *topic = output_topic(stage, output);

    return topic == NULL ? 0 : topic->partitions_found;
}

int16_t vd_stage_input_generation(const struct vd_stage *stage, size_t input)
{
    const struct vd_topic_conf *topic = input_topic(stage, input);

    return topic == NULL ? 0 : (int16_t)topic->generation;
}

int16_t vd_stage_output_generation(const struct vd_stage *stage, size_t output)
{
    const struct vd_topic_conf *topic = output_topic(stage, output);

    return topic == NULL ? 0 : (int16_t)topic->generation;
}

size_t vd_stage_record_max(const struct vd_stage *stage)
{
    return vd_kafka_record_max(stage->host->kafka) - VD_KAFKA_OVERHEAD_BYTES; /* 1000 at least */
}

struct vd_part *vd_stage_find_part(const struct vd_stage *stage, size_t input, int32_t partition)
{
    for (size_t i = 0; i < stage->part_count; i++) {
        if (stage->parts[i]->input == input && stage->parts[i]->partition == partition) {
            return stage->parts[i];
        }
    }
    return NULL;
}

bool vd_stage_owns(const struct vd_stage *stage, int32_t partition)
{
    return vd_stage_find_part(stage, 0, partition) != NULL;
}

bool vd_stage_at_end(const struct vd_stage *stage, int32_t partition)
{
    const struct vd_part *part = vd_stage_find_part(stage, 0, partition);

    return part != NULL && part->stopped == NULL && part->is_at_end && part->held_count == 0;
}

struct vd_pg *vd_stage_pg(struct vd_stage *stage, const char *session_sql,
                          const struct vd_pg_events *events)
{
    struct vd_pg *pg =
        vd_pg_new(stage->host->loop, stage->host->conninfo, session_sql, stage->log, events);

    vd_pg_report_to(pg, stage->host->database);
    return pg;
}

struct vd_http *vd_stage_http(const struct vd_stage *stage)
{
    return stage->host->http;
}

struct vd_web *vd_stage_web(const struct vd_stage *stage)
{
    return stage->host->web;
}

struct vd_metric *vd_stage_metric(struct vd_stage *stage, enum vd_metric_type type,
                                  const char *name, const char *labels, const char *help)
{
    VD_AUTO(mem) char *full = vd_format("votingd_%s", name);
    VD_AUTO(mem)
    char *all = vd_format("stage=\"%s\"%s%s", stage->conf->name, labels != NULL ? "," : "",
                          labels != NULL ? labels : "");

    return vd_metric_get(stage->host->metrics, type, full, all, help);
}

void vd_stage_set_trouble(struct vd_stage *stage, const char *format, ...)
{
    char text[sizeof(stage->trouble)] = "";
    va_list args;

    if (format != NULL) {
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args); /* cut to fit */
        va_end(args);
    }
    if (strcmp(text, stage->trouble) == 0) {
        return;
    }
    vd_debug(stage->log, "%s%s", text[0] != '\0' ? "not ready: " : "ready, for its own part",
             text); /* if it lasts, vd_stage_tick tells */
    memcpy(stage->trouble, text, sizeof(text));
    vd_cycle_offer(stage);
}

void vd_stage_halt(struct vd_stage *stage, const char *format, ...)
{
    va_list args;

    if (stage->life != VD_LIFE_STARTED && stage->life != VD_LIFE_RUNNING) {
        return; /* halted already, or on its way out */
    }
    va_start(args, format);
    (void)vsnprintf(stage->fault, sizeof(stage->fault), format, args); /* cut to fit */
    va_end(args);
    vd_error(stage->log, "stopped: %s", stage->fault);
    vd_stage_set_life(stage, VD_LIFE_HALTED);
    vd_cycle_set_paused(stage, true);
}

VD_PRINTF(3, 0)
static void stop_part(struct vd_stage *stage, struct vd_part *part, const char *format,
                      va_list args)
{
    char reason[VD_ERR_MSG_BYTES];

    if (part == NULL || part->stopped != NULL || stage->life != VD_LIFE_RUNNING) {
        return;
    }
    (void)vsnprintf(reason, sizeof(reason), format, args); /* cut to fit */
    vd_error(stage->log, "stopped one partition: %s", reason);
    vd_cycle_stop_part(stage, part, reason);
}

void vd_stage_stop_part(struct vd_stage *stage, struct vd_part *part, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    stop_part(stage, part, format, args);
    va_end(args);
}

void vd_stage_stop_partition(struct vd_stage *stage, int32_t partition, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    stop_part(stage, vd_stage_find_part(stage, 0, partition), format, args);
    va_end(args);
}

void vd_stage_doubt(struct vd_stage *stage)
{
    if (stage->txn != NULL) {
        vd_txn_doubt(stage->txn);
    }
}

void vd_stage_hold(struct vd_stage *stage)
{
    assert(stage->life == VD_LIFE_DRAINING);
    stage->is_held = true;
}

void vd_stage_release(struct vd_stage *stage)
{
    stage->is_held = false;
    vd_cycle_offer(stage);
}

void vd_stage_set_tag(struct vd_stage *stage, const char *tag)
{
    (void)snprintf(stage->tag, sizeof(stage->tag), "%s", tag);
}

enum vd_status vd_stage_publish(struct vd_stage *stage, size_t output, const struct vd_msg *msg,
                                struct vd_err *err)
{
    const struct vd_topic_conf *topic = output_topic(stage, output);
    struct vd_publication record = {.partition = msg->partition,
                                    .key = msg->key,
                                    .key_len = msg->key_len,
                                    .value = msg->value,
                                    .value_len = msg->value_len,
                                    .timestamp_ms = msg->timestamp_ms};

    if (topic == NULL) {
        return VD_OK; /* an optional output that the topology leaves out */
    }
    if (stage->life < VD_LIFE_RUNNING || stage->life > VD_LIFE_DRAINING) {
        return vd_fail(err, VD_AGAIN, "stage \"%s\" is starting or stopping", stage->conf->name);
    }
    record.topic = topic->name;
    if (msg->partition == VD_BY_KEY) {
        record.partition = vd_partition_of(msg->key, msg->key_len, topic->partitions_found);
    }
    (void)VD_FAILPOINT(stage->log, publish);
    if (vd_publisher_send(stage->host->publisher, &record, err) != VD_OK) {
        return err->status;
    }
    vd_metric_add(stage->metrics.out[output], 1);
    return VD_OK;
}
