/* Topics: their sections, who writes and reads them, and whether they fit what stages
 * do with them. */
#include <stdlib.h>
#include <string.h>

#include "topology_load.h"

#define TOPIC_BYTES_MAX 249 /* Kafka's own limit */
#define PREFIX "topic:"
#define NODES_SEGMENT_BYTES 1048576 /* cleaned soon, so that whoever starts reads little */

static struct vd_topic_conf *find_topic(const struct vd_topology *topology, const char *name)
{
    for (size_t i = 0; i < topology->all_topic_count; i++) {
        if (strcmp(topology->all_topics[i]->name, name) == 0) {
            return topology->all_topics[i];
        }
    }
    return NULL;
}

static struct vd_topic_conf *add_topic(struct vd_topology *topology, const char *name)
{
    struct vd_topic_conf *topic = vd_alloc(sizeof(*topic));

    vd_load_defaults(vd_topic_opts, topic);
    topic->name = vd_strdup(name);
    topology->all_topics = vd_realloc(topology->all_topics, (topology->all_topic_count + 1) *
                                                                sizeof(*topology->all_topics));
    topology->all_topics[topology->all_topic_count++] = topic;
    return topic;
}

static bool is_topic_name(const char *name)
{
    return vd_load_is_name(name, ".", TOPIC_BYTES_MAX) && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static const struct vd_ini_entry *header_of(const struct vd_load *load, const char *topic)
{
    VD_AUTO(mem) char *section = vd_format(PREFIX "%s", topic);

    return vd_ini_find(&load->topology->ini, section, NULL);
}

void vd_load_topics(struct vd_load *load)
{
    const struct vd_ini *ini = &load->topology->ini;

    for (size_t i = 0; i < ini->count; i++) {
        const struct vd_ini_entry *entry = &ini->entries[i];
        const char *name = entry->section + strlen(PREFIX);
        VD_AUTO(mem) char *context = NULL;
        struct vd_topic_conf *topic = NULL;
        size_t faults = load->fault_count;

        if (entry->key != NULL || strncmp(entry->section, PREFIX, strlen(PREFIX)) != 0) {
            continue;
        }
        if (!is_topic_name(name)) {
            vd_load_fault(load, entry,
                          "topic \"%s\": a name has 1 to %d letters, digits, '_', '-' and '.'",
                          name, TOPIC_BYTES_MAX);
        }
        context = vd_format("topic \"%s\"", name);
        topic = add_topic(load->topology, name);
        vd_load_section(load, entry->section, vd_topic_opts, topic, context);
        if (load->fault_count > faults) {
            load->doubtful =
                vd_realloc(load->doubtful, (load->doubtful_count + 1) * sizeof(*load->doubtful));
            load->doubtful[load->doubtful_count++] = topic;
        }
    }
}

void vd_load_nodes_topic(struct vd_load *load)
{
    struct vd_topology *topology = load->topology;
    const char *name = topology->daemon.nodes_topic;
    const struct vd_ini_entry *at = vd_ini_find(&topology->ini, "votingd", "nodes_topic");
    struct vd_topic_conf *topic = find_topic(topology, name);

    if (*name == '\0') {
        return;
    }
    if (!is_topic_name(name)) {
        vd_load_fault_value(load, at,
                            "section [votingd]: option \"nodes_topic\": a topic's name has 1 to %d "
                            "letters, digits, '_', '-' and '.', got \"%.64s\"",
                            TOPIC_BYTES_MAX, name);
        return;
    }
    if (topic == NULL) {
        topic = add_topic(topology, name);
        free(topic->cleanup);
        topic->cleanup = vd_strdup("compact");
        topic->partitions = 1;
        topic->segment_bytes = NODES_SEGMENT_BYTES;
    } else if (strcmp(topic->cleanup, "compact") != 0) {
        vd_load_fault(
            load, header_of(load, name),
            "topic \"%s\": the nodes write it, so it is compacted; set cleanup = compact, "
            "or another nodes_topic in [votingd]",
            name);
    }
    topology->nodes_topic = topic;
}

struct vd_topic_conf *vd_load_use(struct vd_load *load, const struct vd_use *use)
{
    const char *name = use->entry->value;
    struct vd_topic_conf *topic = NULL;

    if (!is_topic_name(name)) {
        vd_load_fault_value(load, use->entry,
                            "stage \"%s\": key \"%s\": a topic's name has 1 to %d letters, digits, "
                            "'_', '-' and '.', got \"%.64s\"",
                            use->stage, use->entry->key, TOPIC_BYTES_MAX, name);
        return NULL;
    }
    topic = find_topic(load->topology, name);
    if (topic == NULL) {
        topic = add_topic(load->topology, name);
    }
    load->uses = vd_realloc(load->uses, (load->use_count + 1) * sizeof(*load->uses));
    load->uses[load->use_count] = *use;
    load->uses[load->use_count++].topic = topic;
    return topic;
}

/* ---- who writes, who reads ------------------------------------------------------------------- */

static bool is_write(enum vd_use_kind kind)
{
    return kind == VD_USE_OUTPUT || kind == VD_USE_DEAD;
}

static bool is_used(const struct vd_load *load, const struct vd_topic_conf *topic, bool writing)
{
    if (writing && topic == load->topology->nodes_topic) {
        return true;
    }
    for (size_t i = 0; i < load->use_count; i++) {
        if (load->uses[i].topic == topic && is_write(load->uses[i].kind) == writing) {
            return true;
        }
    }
    return false;
}

/* The nearest topic that is written (or else declared or read), as a remedy.
 * The caller frees it. */
static char *remedy_topic(const struct vd_load *load, const struct vd_topic_conf *wrong,
                          bool is_written)
{
    const struct vd_topology *topology = load->topology;
    const char **names = vd_alloc_array(topology->all_topic_count + 1, sizeof(*names));
    size_t count = 0;
    char *remedy = NULL;

    for (size_t i = 0; i < topology->all_topic_count; i++) {
        const struct vd_topic_conf *topic = topology->all_topics[i];

        if (topic != wrong &&
            (is_written ? is_used(load, topic, true) || topic->external
                        : header_of(load, topic->name) != NULL || is_used(load, topic, false))) {
            names[count++] = topic->name;
        }
    }
    remedy = vd_load_remedy(wrong->name, names, count);
    free(names);
    return remedy;
}

static void check_read(struct vd_load *load, const struct vd_use *use)
{
    const char *topic = use->topic->name;
    const char *kind = use->kind == VD_USE_TABLE ? "table" : "input";
    VD_AUTO(mem) char *remedy = NULL;

    if (use->kind == VD_USE_TABLE && strcmp(use->topic->cleanup, "compact") != 0) {
        vd_load_fault_value(
            load, use->entry,
            "stage \"%s\": table \"%s\": topic \"%s\" is not compacted; set cleanup "
            "= compact in [topic:%s]",
            use->stage, use->port, topic, topic);
    }
    if (use->kind == VD_USE_INPUT && use->topic == load->topology->nodes_topic) {
        vd_load_fault_value(load, use->entry,
                            "stage \"%s\": input \"%s\": topic \"%s\" is the nodes' own, which no "
                            "stage consumes; follow it as a table",
                            use->stage, use->port, topic);
        return;
    }
    if (use->topic->external || is_used(load, use->topic, true)) {
        return;
    }
    remedy = remedy_topic(load, use->topic, true);
    if (*remedy == '\0') {
        free(remedy);
        remedy = vd_format("; if another program does, set external = yes in [topic:%s]", topic);
    }
    vd_load_fault_value(load, use->entry, "stage \"%s\": %s \"%s\": no stage writes topic \"%s\"%s",
                        use->stage, kind, use->port, topic, remedy);
}

static void check_write(struct vd_load *load, const struct vd_use *use)
{
    const char *topic = use->topic->name;
    VD_AUTO(mem) char *remedy = NULL;

    if (use->topic == load->topology->nodes_topic) {
        vd_load_fault_value(
            load, use->entry,
            "stage \"%s\": key \"%s\": only the nodes themselves write topic \"%s\"; "
            "name another one, or another nodes_topic in [votingd]",
            use->stage, use->entry->key, topic);
        return;
    }
    if (is_used(load, use->topic, false) || header_of(load, topic) != NULL) {
        return;
    }
    remedy = remedy_topic(load, use->topic, false);
    if (*remedy == '\0') {
        free(remedy);
        remedy = vd_format("; if other programs do, declare it with [topic:%s]", topic);
    }
    vd_load_fault_value(load, use->entry, "stage \"%s\": key \"%s\": no stage reads topic \"%s\"%s",
                        use->stage, use->entry->key, topic, remedy);
}

/* A section whose topic no stage mentions. */
static void check_unused(struct vd_load *load, const struct vd_topic_conf *topic)
{
    const struct vd_ini_entry *header = header_of(load, topic->name);

    if (header == NULL || load->has_form_faults || is_used(load, topic, true) ||
        is_used(load, topic, false)) {
        return;
    }
    vd_load_fault(load, header,
                  "topic \"%s\": no stage writes or reads it; name it in a stage, or remove the "
                  "section",
                  topic->name);
}

/* ---- what fits together ---------------------------------------------------------------------- */

static const struct vd_ini_entry *port_entry(const struct vd_load *load,
                                             const struct vd_stage_conf *conf, const char *kind,
                                             const char *port)
{
    VD_AUTO(mem) char *section = vd_format("stage:%s", conf->name);
    VD_AUTO(mem) char *key = vd_format("%s.%s", kind, port);

    return vd_ini_find(&load->topology->ini, section, key);
}

/* Whether another fault already says that the topic is not what it should be. */
static bool is_doubtful(const struct vd_load *load, const struct vd_topic_conf *topic)
{
    for (size_t i = 0; i < load->doubtful_count; i++) {
        if (load->doubtful[i] == topic) {
            return true;
        }
    }
    return load->has_form_faults ||
           (header_of(load, topic->name) == NULL && !is_used(load, topic, true));
}

/* A record keeps its partition number from input to output: both must have the same ones. */
static void check_partitions(struct vd_load *load, const struct vd_stage_conf *conf, size_t input,
                             size_t output)
{
    const struct vd_topic_conf *from = conf->inputs[input];
    const struct vd_topic_conf *to = conf->outputs[output];
    const char *name = conf->desc->outputs[output].name;
    const struct vd_ini_entry *at = port_entry(load, conf, "output", name);

    if (from == NULL || to == NULL) {
        return;
    }
    if (from == to) {
        vd_load_fault_value(
            load, at,
            "stage \"%s\": output \"%s\": topic \"%s\" is input \"%s\" too; the stage "
            "would read what it writes for ever",
            conf->name, name, to->name, conf->desc->inputs[input].name);
        return;
    }
    if ((conf->desc->outputs[output].flags & (VD_PORT_CHAINED | VD_PORT_COPARTITIONED)) == 0 ||
        is_doubtful(load, from) || is_doubtful(load, to)) {
        return;
    }
    if (from->partitions == 0 || to->partitions == 0) {
        vd_load_fault_value(load, at,
                            "stage \"%s\": output \"%s\": records keep their partition: declare "
                            "partitions, the same number, in [topic:%s] and [topic:%s]",
                            conf->name, name, from->name, to->name);
    } else if (from->partitions != to->partitions) {
        vd_load_fault_value(load, at,
                            "stage \"%s\": output \"%s\": records keep their partition, but topic "
                            "\"%s\" has %lld and \"%s\" has %lld; give both the same number",
                            conf->name, name, from->name, (long long)from->partitions, to->name,
                            (long long)to->partitions);
    }
}

/* Whether a stage runs on some node: alternatives that are disabled do not get into each other's
 * way. */
static bool runs(const struct vd_load *load, const char *stage)
{
    const struct vd_topology *topology = load->topology;

    for (size_t i = 0; i < load->args->enable_count; i++) {
        if (strcmp(load->args->enable[i], stage) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < topology->all_stage_count; i++) {
        if (strcmp(topology->all_stages[i]->name, stage) == 0) {
            return topology->all_stages[i]->enabled;
        }
    }
    return false;
}

/* Two stages with chains of their own on one topic would break each other's. */
static void check_chain(struct vd_load *load, const struct vd_stage_conf *conf, size_t output)
{
    const struct vd_topic_conf *topic = conf->outputs[output];
    const char *name = conf->desc->outputs[output].name;

    if (topic == NULL || (conf->desc->outputs[output].flags & VD_PORT_CHAINED) == 0 ||
        !runs(load, conf->name)) {
        return;
    }
    for (size_t i = 0; i < load->use_count; i++) {
        const struct vd_use *use = &load->uses[i];

        if (use->topic == topic && is_write(use->kind) && runs(load, use->stage) &&
            (strcmp(use->stage, conf->name) != 0 || strcmp(use->port, name) != 0)) {
            vd_load_fault_value(
                load, use->entry,
                "stage \"%s\": key \"%s\": topic \"%s\" is chained by stage \"%s\"; "
                "only output \"%s\" of that stage may write it",
                use->stage, use->entry->key, topic->name, conf->name, name);
        }
    }
}

static void check_ports(struct vd_load *load, const struct vd_stage_conf *conf)
{
    const struct vd_stage_desc *desc = conf->desc;

    for (size_t out = 0; desc->outputs != NULL && desc->outputs[out].name != NULL; out++) {
        for (size_t in = 0; desc->inputs != NULL && desc->inputs[in].name != NULL; in++) {
            check_partitions(load, conf, in, out);
        }
        check_chain(load, conf, out);
    }
    for (size_t in = 0; desc->inputs != NULL && desc->inputs[in].name != NULL; in++) {
        for (size_t other = 0; other < in; other++) {
            if (conf->inputs[in] != NULL && conf->inputs[in] == conf->inputs[other]) {
                vd_load_fault_value(
                    load, port_entry(load, conf, "input", desc->inputs[in].name),
                    "stage \"%s\": input \"%s\": topic \"%s\" is input \"%s\" already", conf->name,
                    desc->inputs[in].name, conf->inputs[in]->name, desc->inputs[other].name);
            }
        }
    }
}

void vd_load_check_topics(struct vd_load *load)
{
    const struct vd_topology *topology = load->topology;

    for (size_t i = 0; i < load->use_count && !load->has_form_faults; i++) {
        if (is_write(load->uses[i].kind)) {
            check_write(load, &load->uses[i]);
        } else {
            check_read(load, &load->uses[i]);
        }
    }
    for (size_t i = 0; i < topology->all_topic_count; i++) {
        check_unused(load, topology->all_topics[i]);
    }
    for (size_t i = 0; i < topology->all_stage_count; i++) {
        if (topology->all_stages[i]->desc != NULL) {
            check_ports(load, topology->all_stages[i]);
        }
    }
}
