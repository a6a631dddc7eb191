/* Records of nodes in, one JSON object out. */
#include "pipeline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"

#define INT_MAX_JSON 9007199254740991.0 /* 2^53 - 1 */
#define STAGES_MAX 100                  /* of one node */
#define PORTS_MAX 100                   /* of one kind and stage */
#define NAME_BYTES 64
#define TOPIC_BYTES 249
#define CAUSE_BYTES 2200

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

/* ---- what a record may say ------------------------------------------------------------------- */

enum kind {
    TEXT,
    NUMBER,
    NUMBER_OR_NULL,
    PAIR, /* [total, recent], or two quantiles */
    PAIR_OR_NULL,
    LIST, /* of objects */
};

struct member {
    const char *name; /* NULL ends the list */
    enum kind kind;
    size_t max;                   /* bytes of a text, items of a list */
    const struct member *members; /* of an item */
};

static const struct member missing_members[] = {
    {"server", TEXT, NAME_BYTES, NULL},
    {"cause", TEXT, CAUSE_BYTES, NULL},
    {NULL, TEXT, 0, NULL},
};

static const struct member input_members[] = {
    {"port", TEXT, NAME_BYTES, NULL},
    {"topic", TEXT, TOPIC_BYTES, NULL},
    {"partitions", NUMBER, 0, NULL},
    {"lag", NUMBER_OR_NULL, 0, NULL},
    {NULL, TEXT, 0, NULL},
};

static const struct member output_members[] = {
    {"port", TEXT, NAME_BYTES, NULL},
    {"topic", TEXT, TOPIC_BYTES, NULL},
    {"records", PAIR, 0, NULL},
    {NULL, TEXT, 0, NULL},
};

static const struct member table_members[] = {
    {"port", TEXT, NAME_BYTES, NULL},
    {"topic", TEXT, TOPIC_BYTES, NULL},
    {NULL, TEXT, 0, NULL},
};

static const struct member stage_members[] = {
    {"stage", TEXT, NAME_BYTES, NULL},
    {"module", TEXT, NAME_BYTES, NULL},
    {"state", TEXT, PIPELINE_STATE_BYTES - 1, NULL},
    {"cause", TEXT, CAUSE_BYTES, NULL},
    {"in", PAIR, 0, NULL},
    {"out", PAIR, 0, NULL},
    {"rejected", PAIR, 0, NULL},
    {"dead", PAIR, 0, NULL},
    {"retries", PAIR, 0, NULL},
    {"batches", PAIR, 0, NULL},
    {"recycled", PAIR, 0, NULL},
    {"buffered", NUMBER, 0, NULL},
    {"stopped", NUMBER, 0, NULL},
    {"latency_us", PAIR_OR_NULL, 0, NULL},
    {"commit_us", PAIR_OR_NULL, 0, NULL},
    {"inputs", LIST, PORTS_MAX, input_members},
    {"outputs", LIST, PORTS_MAX, output_members},
    {"tables", LIST, PORTS_MAX, table_members},
    {"dead_topic", TEXT, TOPIC_BYTES, NULL},
    {NULL, TEXT, 0, NULL},
};

static const struct member node_members[] = {
    {"node", TEXT, NAME_BYTES, NULL},
    {"version", TEXT, NAME_BYTES, NULL},
    {"started_ms", NUMBER, 0, NULL},
    {"interval_ms", NUMBER, 0, NULL},
    {"window_ms", NUMBER, 0, NULL},
    {"resident_bytes", NUMBER, 0, NULL},
    {"cpu_ms", PAIR, 0, NULL},
    {"missing", LIST, 2, missing_members},
    {"stages", LIST, STAGES_MAX, stage_members},
    {NULL, TEXT, 0, NULL},
};

static bool is_number(const cJSON *value)
{
    return cJSON_IsNumber(value) && fabs(value->valuedouble) <= INT_MAX_JSON &&
           value->valuedouble == floor(value->valuedouble);
}

static bool is_pair(const cJSON *value)
{
    return cJSON_IsArray(value) && cJSON_GetArraySize(value) == 2 && is_number(value->child) &&
           is_number(value->child->next);
}

static void add_number(struct vd_buf *out, const cJSON *value)
{
    vd_buf_add_int(out, (int64_t)value->valuedouble);
}

/* False if 'value' is not of the member's kind, which is no list. */
static bool add_value(struct vd_buf *out, const cJSON *value, const struct member *member)
{
    bool may_be_null = member->kind == NUMBER_OR_NULL || member->kind == PAIR_OR_NULL;

    if (may_be_null && cJSON_IsNull(value)) {
        vd_buf_add_text(out, "null");
        return true;
    }
    if (member->kind == TEXT) {
        if (!cJSON_IsString(value) || strlen(value->valuestring) > member->max) {
            return false;
        }
        vd_buf_add_json(out, value->valuestring, strlen(value->valuestring));
        return true;
    }
    if (member->kind == NUMBER || member->kind == NUMBER_OR_NULL) {
        if (!is_number(value)) {
            return false;
        }
        add_number(out, value);
        return true;
    }
    if (!is_pair(value)) {
        return false;
    }
    vd_buf_add_char(out, '[');
    add_number(out, value->child);
    vd_buf_add_char(out, ',');
    add_number(out, value->child->next);
    vd_buf_add_char(out, ']');
    return true;
}

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* The members of 'object' that are known, all of which it must have. The depth is the tables'. */
static enum vd_status add_members(struct vd_buf *out, const cJSON *object,
                                  const struct member *members, struct vd_err *err)
{
    for (const struct member *member = members; member->name != NULL; member++) {
        const cJSON *value = get(object, member->name);
        const cJSON *item = NULL;

        vd_buf_printf(out, "%s\"%s\":", member == members ? "" : ",", member->name);
        if (member->kind != LIST) {
            if (!add_value(out, value, member)) {
                return vd_fail(err, VD_INVALID, "\"%s\" is missing or not of its form",
                               member->name);
            }
            continue;
        }
        if (!cJSON_IsArray(value) || (size_t)cJSON_GetArraySize(value) > member->max) {
            return vd_fail(err, VD_INVALID, "\"%s\" is no list, or too long", member->name);
        }
        vd_buf_add_char(out, '[');
        cJSON_ArrayForEach(item, value)
        {
            vd_buf_add_text(out, item == value->child ? "{" : ",{");
            if (add_members(out, item, member->members, err) != VD_OK) {
                return vd_fail_in(err, "%s", member->name);
            }
            vd_buf_add_char(out, '}');
        }
        vd_buf_add_char(out, ']');
    }
    return VD_OK;
}

/* ---- the nodes ------------------------------------------------------------------------------- */

static int64_t silence_ms(const struct pipeline_node *node)
{
    int64_t ms = PIPELINE_SILENCES * node->interval_ms;

    return ms > PIPELINE_SILENCE_MS ? ms : PIPELINE_SILENCE_MS;
}

static bool has_stopped(const struct pipeline_node *node)
{
    return strcmp(node->state, "stopped") == 0;
}

static bool is_gone(const struct pipeline_node *node, int64_t now_ms)
{
    return !has_stopped(node) && now_ms - node->heard_ms > silence_ms(node);
}

/* Where the node is, or belongs. */
static size_t locate(const struct pipeline *pipeline, const char *name, bool *is_there)
{
    size_t at = 0;
    int order = -1;

    while (at < pipeline->count && (order = strcmp(pipeline->nodes[at].name, name)) < 0) {
        at++;
    }
    *is_there = at < pipeline->count && order == 0;
    return at;
}

static void remove_at(struct pipeline *pipeline, size_t at)
{
    free(pipeline->nodes[at].name);
    vd_buf_fini(&pipeline->nodes[at].members);
    pipeline->count--;
    memmove(pipeline->nodes + at, pipeline->nodes + at + 1,
            (pipeline->count - at) * sizeof(*pipeline->nodes));
}

/* Forget those that nobody asks about any more. */
static void forget_old(struct pipeline *pipeline, int64_t now_ms)
{
    for (size_t i = pipeline->count; i > 0; i--) {
        const struct pipeline_node *node = &pipeline->nodes[i - 1];

        if (now_ms - node->heard_ms > PIPELINE_KEPT_MS &&
            (has_stopped(node) || is_gone(node, now_ms))) {
            remove_at(pipeline, i - 1);
        }
    }
}

/* The node of that name, made if there is room; one that is gone or has stopped makes it. */
static struct pipeline_node *find_node(struct pipeline *pipeline, const char *name, int64_t now_ms)
{
    bool is_there;
    size_t at = locate(pipeline, name, &is_there);

    if (is_there) {
        return &pipeline->nodes[at];
    }
    for (size_t i = 0; i < pipeline->count && pipeline->count == PIPELINE_NODES_MAX; i++) {
        if (has_stopped(&pipeline->nodes[i]) || is_gone(&pipeline->nodes[i], now_ms)) {
            remove_at(pipeline, i);
            at = locate(pipeline, name, &is_there);
        }
    }
    if (pipeline->count == PIPELINE_NODES_MAX) {
        return NULL;
    }
    if (pipeline->nodes == NULL) {
        pipeline->nodes = vd_alloc_array(PIPELINE_NODES_MAX, sizeof(*pipeline->nodes));
    }
    memmove(pipeline->nodes + at + 1, pipeline->nodes + at,
            (pipeline->count - at) * sizeof(*pipeline->nodes));
    pipeline->count++;
    pipeline->nodes[at] = (struct pipeline_node){.name = vd_strdup(name)};
    return &pipeline->nodes[at];
}

void pipeline_fini(struct pipeline *pipeline)
{
    while (pipeline->count > 0) {
        remove_at(pipeline, pipeline->count - 1);
    }
    free(vd_take(pipeline->nodes));
}

/* ---- records --------------------------------------------------------------------------------- */

/* Whether the record's key is that of 'node': "APPLICATION.NODE". */
static bool is_key(const struct pipeline *pipeline, const struct vd_record *record,
                   const char *node)
{
    VD_AUTO(mem) char *key = vd_format("%s.%s", pipeline->application, node);

    return record->key_len == strlen(key) && memcmp(record->key, key, record->key_len) == 0;
}

static void take_tombstone(struct pipeline *pipeline, const struct vd_record *record)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        if (is_key(pipeline, record, pipeline->nodes[i].name)) {
            remove_at(pipeline, i);
            return;
        }
    }
}

/* A record of ours that is of the present format. */
static enum vd_status take_node(struct pipeline *pipeline, const struct vd_record *record,
                                const cJSON *said, int64_t heard_ms, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf members = {0};
    const cJSON *state = get(said, "state");
    struct pipeline_node *node = NULL;

    if (add_members(&members, said, node_members, err) != VD_OK) {
        return err->status;
    }
    if (!cJSON_IsString(state) || strlen(state->valuestring) >= sizeof(node->state)) {
        return vd_fail(err, VD_INVALID, "\"state\" is missing or too long");
    }
    if (!is_key(pipeline, record, get(said, "node")->valuestring)) {
        return vd_fail(err, VD_INVALID, "the key is another node's");
    }
    node = find_node(pipeline, get(said, "node")->valuestring, pipeline->now_ms(pipeline->arg));
    if (node == NULL) {
        pipeline->refused++;
        return VD_OK;
    }
    (void)snprintf(node->state, sizeof(node->state), "%s", state->valuestring); /* fits */
    node->interval_ms = (int64_t)get(said, "interval_ms")->valuedouble;
    node->heard_ms = heard_ms;
    vd_buf_fini(&node->members);
    node->members = members;
    members = (struct vd_buf){0};
    return VD_OK;
}

static enum vd_status try_take(struct pipeline *pipeline, const struct vd_record *record,
                               int64_t heard_ms, struct vd_err *err)
{
    VD_AUTO(cjson) cJSON *said = NULL;
    const cJSON *application;
    const cJSON *format;

    if (record->value == NULL) {
        take_tombstone(pipeline, record);
        return VD_OK;
    }
    if (record->value_len > PIPELINE_RECORD_BYTES) {
        return vd_fail(err, VD_INVALID, "%zu bytes are too many", record->value_len);
    }
    said = cJSON_ParseWithLength(record->value, record->value_len);
    format = get(said, "format");
    application = get(said, "application");
    if (!is_number(format) || !cJSON_IsString(application)) {
        return vd_fail(err, VD_INVALID, "not a node's record");
    }
    if ((int64_t)format->valuedouble != PIPELINE_FORMAT ||
        strcmp(application->valuestring, pipeline->application) != 0) {
        pipeline->ignored++;
        return VD_OK;
    }
    return take_node(pipeline, record, said, heard_ms, err);
}

enum vd_status pipeline_take(struct pipeline *pipeline, const struct vd_record *record,
                             int64_t heard_ms, struct vd_err *err)
{
    enum vd_status status = try_take(pipeline, record, heard_ms, err);

    pipeline->invalid += status == VD_OK ? 0 : 1;
    return status;
}

/* ---- the answer ------------------------------------------------------------------------------ */

void pipeline_write(struct pipeline *pipeline, struct vd_buf *out)
{
    int64_t now_ms = pipeline->now_ms(pipeline->arg);

    forget_old(pipeline, now_ms);
    vd_buf_add_text(out, "{\"application\":");
    vd_buf_add_json(out, pipeline->application, strlen(pipeline->application));
    vd_buf_printf(out,
                  ",\"followed\":%s,\"ignored\":%lld,\"invalid\":%lld,\"refused\":%lld,"
                  "\"nodes\":[",
                  pipeline->is_followed ? "true" : "false", (long long)pipeline->ignored,
                  (long long)pipeline->invalid, (long long)pipeline->refused);
    for (size_t i = 0; i < pipeline->count; i++) {
        const struct pipeline_node *node = &pipeline->nodes[i];
        int64_t heard_ms = now_ms - node->heard_ms;

        vd_buf_add_text(out, i > 0 ? ",{\"state\":" : "{\"state\":");
        if (is_gone(node, now_ms)) {
            vd_buf_add_text(out, "\"gone\"");
        } else {
            vd_buf_add_json(out, node->state, strlen(node->state));
        }
        vd_buf_printf(out, ",\"heard_ms\":%lld,", (long long)(heard_ms > 0 ? heard_ms : 0));
        vd_buf_add(out, node->members.data, node->members.len);
        vd_buf_add_char(out, '}');
    }
    vd_buf_add_text(out, "]}\n");
}

static void on_pipeline(void *arg, const struct vd_web_request *request,
                        struct vd_web_response *response)
{
    if (*request->query != '\0') {
        vd_web_fail(response, 400, "unknown_parameter", "parameters known here: none");
        return;
    }
    pipeline_write(arg, &response->body);
}

enum vd_status pipeline_serve(struct vd_web *web, struct pipeline *pipeline, struct vd_err *err)
{
    return vd_web_route(web, "GET /api/v1/pipeline", on_pipeline, pipeline, err);
}
