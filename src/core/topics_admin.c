/* Metadata, CreateTopics, DescribeConfigs and DeleteRecords, blocking, for a thread that has the
 * time. */
#include "topics_admin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

#define ADMIN_SLICE_MS 100      /* how soon a cancelled question is noticed */
#define LOOK_MAX_MS 2000        /* of a metadata request, which cannot be cancelled */
#define COMPLAINTS_BYTES 900    /* of one message; the rest is counted only */
#define REPLICAS_OF_BROKER (-1) /* the broker's default */
#define UNCLEAN "unclean.leader.election.enable"

/* What a compacted topic is created with (exactly-once protocol, 6.1): segments close and are
 * cleaned soon, so a restart reads little more than one record a key. */
static const char *const compact_props[][2] = {
    {"min.cleanable.dirty.ratio", "0.1"},
    {"max.compaction.lag.ms", "600000"},
    {"delete.retention.ms", "86400000"},
    {"segment.ms", "60000"},
};

struct complaints {
    struct vd_buf text;
    size_t left_out;
};

static VD_PRINTF(2, 3) void complain(struct complaints *complaints, const char *format, ...)
{
    char text[400];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof(text), format, values); /* cut to fit */
    va_end(values);
    if (complaints->text.len + strlen(text) > COMPLAINTS_BYTES) {
        complaints->left_out++;
        return;
    }
    if (complaints->text.len > 0) {
        vd_buf_add_text(&complaints->text, "; ");
    }
    vd_buf_add_text(&complaints->text, text);
}

/* VD_INVALID with all complaints, or 'status' if there are none. */
static enum vd_status settle_complaints(struct complaints *complaints, enum vd_status status,
                                        struct vd_err *err)
{
    if (complaints->left_out > 0) {
        vd_buf_printf(&complaints->text, "; and %zu more", complaints->left_out);
    }
    if (complaints->text.len > 0) {
        status = vd_fail(err, VD_INVALID, "%s", vd_buf_text(&complaints->text));
    }
    vd_buf_fini(&complaints->text);
    return status;
}

enum vd_status vd_topics_open(struct vd_topics_ask *ask, struct vd_kafka *kafka, struct vd_err *err)
{
    rd_kafka_conf_t *conf = vd_kafka_client_conf(kafka, "enable.auto.commit", "false",
                                                 "socket.timeout.ms", "10000", NULL);
    char text[512] = "";

    rd_kafka_conf_set_error_cb(conf, NULL); /* nobody polls it: errors would pile up */
    ask->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (ask->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return vd_fail(err, VD_INVALID, "could not create a Kafka client: %s", text);
    }
    return VD_OK;
}

static bool is_cancelled(const struct vd_topics_ask *ask)
{
    return ask->is_cancelled != NULL && atomic_load(ask->is_cancelled);
}

/* The answer to an admin request, or NULL. Owns: the caller. */
static rd_kafka_event_t *wait_answer(const struct vd_topics_ask *ask, rd_kafka_queue_t *queue,
                                     int timeout_ms, struct vd_err *err)
{
    rd_kafka_event_t *event = NULL;

    /* The library answers by itself at 'timeout_ms'; a slice more lets it say why. */
    for (int left_ms = timeout_ms + 10 * ADMIN_SLICE_MS;
         event == NULL && left_ms > 0 && !is_cancelled(ask); left_ms -= ADMIN_SLICE_MS) {
        event = rd_kafka_queue_poll(queue, ADMIN_SLICE_MS);
    }
    if (event == NULL) {
        (void)vd_fail(err, VD_FAILED, "no answer from \"%s\"", ask->conf->brokers);
    } else if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)vd_fail(err, VD_FAILED, "no answer from \"%s\": %s", ask->conf->brokers,
                      rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

static rd_kafka_AdminOptions_t *new_options(const struct vd_topics_ask *ask, rd_kafka_admin_op_t op,
                                            int timeout_ms)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(ask->rk, op);
    rd_kafka_resp_err_t error;
    char text[256];

    error = rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS) {
        error =
            rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, text, sizeof(text));
        assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
        error = rd_kafka_AdminOptions_set_validate_only(options, ask->is_dry, text, sizeof(text));
        assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    (void)error; /* only asserted */
    return options;
}

/* ---- look ------------------------------------------------------------------------------------ */

static enum vd_status check_leaders(const rd_kafka_metadata_topic_t *seen, struct vd_err *err)
{
    for (int i = 0; i < seen->partition_cnt; i++) {
        if (seen->partitions[i].leader < 0) {
            return vd_fail(err, VD_AGAIN, "topic \"%s\": partition %" PRId32 " has no leader",
                           seen->topic, seen->partitions[i].id);
        }
    }
    return VD_OK;
}

/* Fill in partitions_found, 0 for a missing topic. */
static enum vd_status look(struct vd_topics_ask *ask, int timeout_ms, int32_t *broker,
                           struct vd_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t error = rd_kafka_metadata(ask->rk, 1, NULL, &metadata, timeout_ms);
    enum vd_status status = VD_OK;

    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return vd_fail(err, VD_FAILED, "no answer from \"%s\": %s", ask->conf->brokers,
                       rd_kafka_err2str(error));
    }
    *broker = metadata->orig_broker_id;
    for (size_t i = 0; i < ask->count; i++) {
        struct vd_topic_conf *topic = &ask->topics[i];

        topic->partitions_found = 0;
        for (int at = 0; at < metadata->topic_cnt; at++) {
            const rd_kafka_metadata_topic_t *seen = &metadata->topics[at];

            if (strcmp(seen->topic, topic->name) == 0 && seen->partition_cnt > 0) {
                topic->partitions_found = seen->partition_cnt;
                status = status == VD_OK ? check_leaders(seen, err) : status;
            }
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return status;
}

/* ---- create ---------------------------------------------------------------------------------- */

static void set_number(rd_kafka_NewTopic_t *new_topic, const char *name, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);     /* a number fits */
    (void)rd_kafka_NewTopic_set_config(new_topic, name, text); /* never fails */
}

static rd_kafka_NewTopic_t *new_topic(const struct vd_topics_ask *ask,
                                      const struct vd_topic_conf *topic)
{
    const int64_t partitions = topic->partitions > 0 ? topic->partitions : ask->conf->partitions;
    const int64_t replicas = topic->replication > 0 ? topic->replication : ask->conf->replication;
    char text[256] = "";
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(
        topic->name, (int)partitions, replicas > 0 ? (int)replicas : REPLICAS_OF_BROKER, text,
        sizeof(text));

    assert(made != NULL); /* the option tables keep both numbers in range */
    (void)rd_kafka_NewTopic_set_config(made, "cleanup.policy", topic->cleanup); /* never fails */
    if (topic->retention_ms != 0) {
        set_number(made, "retention.ms", topic->retention_ms);
    }
    if (topic->segment_bytes > 0) {
        set_number(made, "segment.bytes", topic->segment_bytes);
    }
    if (strcmp(topic->cleanup, "compact") == 0) {
        for (size_t i = 0; i < sizeof(compact_props) / sizeof(compact_props[0]); i++) {
            (void)rd_kafka_NewTopic_set_config(made, compact_props[i][0], compact_props[i][1]);
        }
    }
    return made;
}

/* Refusals that no waiting mends. A wrong replication factor may only mean that brokers are still
 * coming up, so only a dry run takes it for final. */
static bool is_final(rd_kafka_resp_err_t error, bool is_dry)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return true;
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return is_dry;
    default:
        return false;
    }
}

static enum vd_status judge_created(const struct vd_topics_ask *ask, rd_kafka_event_t *event,
                                    struct complaints *complaints, struct vd_err *err)
{
    enum vd_status status = VD_OK;
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
        const char *name = rd_kafka_topic_result_name(results[i]);
        const char *reason = rd_kafka_topic_result_error_string(results[i]);

        reason = reason != NULL ? reason : rd_kafka_err2str(error);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR && !ask->is_dry) {
            vd_info(ask->log, "created topic \"%s\"", name);
        } else if (is_final(error, ask->is_dry)) {
            complain(complaints, "could not create topic \"%s\": %s", name, reason);
        } else if (error != RD_KAFKA_RESP_ERR_NO_ERROR &&
                   error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) { /* another node was faster */
            status = vd_fail(err, VD_AGAIN, "could not create topic \"%s\": %s", name, reason);
        }
    }
    return status;
}

static enum vd_status create_missing(struct vd_topics_ask *ask, int timeout_ms,
                                     struct complaints *complaints, struct vd_err *err)
{
    rd_kafka_NewTopic_t **missing = vd_alloc_array(ask->count, sizeof(*missing));
    const char *first = NULL;
    size_t count = 0;
    enum vd_status status = VD_OK;

    for (size_t i = 0; i < ask->count; i++) {
        if (ask->topics[i].partitions_found == 0) {
            first = first == NULL ? ask->topics[i].name : first;
            missing[count++] = new_topic(ask, &ask->topics[i]);
        }
    }
    if (count > 0) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(ask->rk);
        rd_kafka_AdminOptions_t *options =
            new_options(ask, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
        rd_kafka_event_t *event;

        rd_kafka_CreateTopics(ask->rk, missing, count, options, queue);
        event = wait_answer(ask, queue, timeout_ms, err);
        status = event == NULL ? VD_FAILED : judge_created(ask, event, complaints, err);
        if (event != NULL) {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_queue_destroy(queue);
        if (status == VD_OK && !ask->is_dry) {
            status =
                vd_fail(err, VD_AGAIN, "topic \"%s\" was created and is not visible yet", first);
        }
    }
    rd_kafka_NewTopic_destroy_array(missing, count);
    free(missing);
    return status;
}

/* ---- compare --------------------------------------------------------------------------------- */

static const char *find_value(const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
            const char *value = rd_kafka_ConfigEntry_value(entries[i]);

            return value != NULL ? value : "";
        }
    }
    return "";
}

static void compare_topic(const struct vd_topics_ask *ask, const struct vd_topic_conf *topic,
                          const rd_kafka_ConfigResource_t *resource, struct complaints *complaints)
{
    const char *cleanup = find_value(resource, "cleanup.policy");
    const char *retention = find_value(resource, "retention.ms");
    char wanted[32];

    if (topic->partitions > 0 && topic->partitions != topic->partitions_found) {
        complain(complaints,
                 "topic \"%s\": has %" PRId32 " partitions, declared %" PRId64 ": declare %" PRId32
                 ", or delete it and raise its generation",
                 topic->name, topic->partitions_found, topic->partitions, topic->partitions_found);
    }
    if (strcmp(cleanup, topic->cleanup) != 0) {
        complain(complaints,
                 "topic \"%s\": cleanup.policy is \"%s\", declared \"%s\": change it with "
                 "kafka-configs, or declare cleanup = %s",
                 topic->name, cleanup, topic->cleanup, cleanup);
    }
    (void)snprintf(wanted, sizeof(wanted), "%" PRId64, topic->retention_ms); /* a number fits */
    if (topic->retention_ms != 0 && strcmp(retention, wanted) != 0) {
        complain(complaints,
                 "topic \"%s\": retention.ms is %s, declared %s: change it with kafka-configs, or "
                 "declare retention_ms = %s",
                 topic->name, retention, wanted, retention);
    }
    if (strcmp(find_value(resource, UNCLEAN), "true") != 0) {
        return;
    }
    if (ask->is_dry) {
        complain(complaints,
                 "topic \"%s\": " UNCLEAN " is true, which loses committed records: set it to "
                 "false with kafka-configs",
                 topic->name);
    } else {
        vd_warn(ask->log,
                "topic \"%s\": " UNCLEAN " is true, which loses committed records; going on, "
                "but set it to false",
                topic->name);
    }
}

static const struct vd_topic_conf *find_topic(const struct vd_topics_ask *ask, const char *name)
{
    for (size_t i = 0; i < ask->count; i++) {
        if (strcmp(ask->topics[i].name, name) == 0) {
            return &ask->topics[i];
        }
    }
    return NULL;
}

static enum vd_status judge_described(const struct vd_topics_ask *ask, rd_kafka_event_t *event,
                                      struct complaints *complaints, struct vd_err *err)
{
    enum vd_status status = VD_OK;
    size_t count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_ConfigResource_t *resource = resources[i];
        const char *name = rd_kafka_ConfigResource_name(resource);
        const rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(resource);
        const bool is_topic = rd_kafka_ConfigResource_type(resource) == RD_KAFKA_RESOURCE_TOPIC;

        if (error == RD_KAFKA_RESP_ERR_NO_ERROR && is_topic) {
            const struct vd_topic_conf *topic = find_topic(ask, name);

            if (topic != NULL) {
                compare_topic(ask, topic, resource, complaints);
            }
        } else if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (strcmp(find_value(resource, UNCLEAN), "true") == 0) {
                complain(complaints,
                         "broker %s: " UNCLEAN " is true, which loses committed records: set it "
                         "to false",
                         name);
            }
        } else if (is_final(error, ask->is_dry)) {
            complain(complaints, "could not read the settings of %s \"%s\": %s",
                     is_topic ? "topic" : "broker", name, rd_kafka_err2str(error));
        } else {
            status = vd_fail(err, VD_AGAIN, "could not read the settings of %s \"%s\": %s",
                             is_topic ? "topic" : "broker", name, rd_kafka_err2str(error));
        }
    }
    return status;
}

static enum vd_status compare_all(struct vd_topics_ask *ask, int32_t broker, int timeout_ms,
                                  struct complaints *complaints, struct vd_err *err)
{
    rd_kafka_ConfigResource_t **resources = vd_alloc_array(ask->count + 1, sizeof(*resources));
    char broker_name[16];
    size_t count = 0;
    enum vd_status status = VD_OK;

    for (size_t i = 0; i < ask->count; i++) {
        if (ask->topics[i].partitions_found > 0) {
            resources[count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, ask->topics[i].name);
        }
    }
    if (ask->is_dry && broker >= 0) { /* its default is what topics still to be created will have */
        (void)snprintf(broker_name, sizeof(broker_name), "%" PRId32, broker); /* fits */
        resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, broker_name);
    }
    if (count > 0) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(ask->rk);
        rd_kafka_AdminOptions_t *options =
            new_options(ask, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
        rd_kafka_event_t *event;

        rd_kafka_DescribeConfigs(ask->rk, resources, count, options, queue);
        event = wait_answer(ask, queue, timeout_ms, err);
        status = event == NULL ? VD_FAILED : judge_described(ask, event, complaints, err);
        if (event != NULL) {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_ConfigResource_destroy_array(resources, count);
    free(resources);
    return status;
}

enum vd_status vd_topics_round(struct vd_topics_ask *ask, int timeout_ms, struct vd_err *err)
{
    const int look_ms = timeout_ms < LOOK_MAX_MS ? timeout_ms : LOOK_MAX_MS;
    struct complaints complaints = {0};
    int32_t broker = -1;
    enum vd_status status = look(ask, look_ms, &broker, err);

    if (status == VD_OK && ask->is_look) {
        return VD_OK;
    }
    if (status == VD_OK && !is_cancelled(ask)) {
        status = create_missing(ask, timeout_ms, &complaints, err);
    }
    if (status == VD_OK && !is_cancelled(ask)) {
        status = compare_all(ask, broker, timeout_ms, &complaints, err);
    }
    return settle_complaints(&complaints, status, err);
}

/* ---- delete ---------------------------------------------------------------------------------- */

static enum vd_status judge_deleted(rd_kafka_event_t *event, struct vd_err *err)
{
    const rd_kafka_topic_partition_list_t *done =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));

    for (int i = 0; i < done->cnt; i++) {
        if (done->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return vd_fail(err, VD_FAILED,
                           "could not delete records of \"%s\" partition %" PRId32 ": %s",
                           done->elems[i].topic, done->elems[i].partition,
                           rd_kafka_err2str(done->elems[i].err));
        }
    }
    return VD_OK;
}

enum vd_status vd_topics_delete_before(struct vd_topics_ask *ask,
                                       const rd_kafka_topic_partition_list_t *list, int timeout_ms,
                                       struct vd_err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(ask->rk);
    rd_kafka_AdminOptions_t *options =
        new_options(ask, RD_KAFKA_ADMIN_OP_DELETERECORDS, timeout_ms);
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_event_t *event;
    enum vd_status status = VD_FAILED;

    rd_kafka_DeleteRecords(ask->rk, &request, 1, options, queue);
    event = wait_answer(ask, queue, timeout_ms, err);
    if (event != NULL) {
        status = judge_deleted(event, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return status;
}
