/* Which stages run on this node: [node:NAME] sections, `enabled`, and the command line. */
#include <stdlib.h>
#include <string.h>

#include "topology_load.h"

#define NODE_BYTES_MAX 64
#define PREFIX "node:"

const struct vd_opt vd_node_opts[] = {
    VD_OPT(struct vd_node_conf, stages, .def = "",
           .help =
               "stages that run on this node, separated by commas; empty: all that are enabled"),
    VD_OPT_END,
};

/* Where one list of stages comes from, for messages. */
struct origin {
    const struct vd_ini_entry *entry;
    const char *context;
};

/* The nearest stage, or all of them. Owns: the caller frees it. */
static char *remedy_stage(const struct vd_topology *topology, const char *name)
{
    const char **names = vd_alloc_array(topology->all_stage_count + 1, sizeof(*names));
    VD_AUTO(buf) struct vd_buf list = {0};
    char *remedy = NULL;

    for (size_t i = 0; i < topology->all_stage_count; i++) {
        names[i] = topology->all_stages[i]->name;
        vd_buf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    remedy = vd_load_remedy(name, names, topology->all_stage_count);
    free(names);
    if (*remedy == '\0' && list.len > 0) {
        free(remedy);
        remedy = vd_format("; there are %s", vd_buf_text(&list));
    }
    return remedy;
}

/* Set the mark of stage 'name' to 'runs'. */
static void mark(struct vd_load *load, bool *marks, const char *name, bool runs,
                 const struct origin *from)
{
    const struct vd_topology *topology = load->topology;
    VD_AUTO(mem) char *remedy = NULL;

    for (size_t i = 0; i < topology->all_stage_count; i++) {
        if (strcmp(topology->all_stages[i]->name, name) == 0) {
            marks[i] = runs;
            return;
        }
    }
    if (!load->has_form_faults) {
        remedy = remedy_stage(topology, name);
        vd_load_fault_value(load, from->entry, "%sno stage \"%s\"%s", from->context, name, remedy);
    }
}

static void mark_list(struct vd_load *load, bool *marks, const char *list,
                      const struct origin *from)
{
    VD_AUTO(mem) char *copy = vd_strdup(list);
    char *rest = copy;

    while (rest != NULL) {
        char *name = strsep(&rest, ",");

        name += strspn(name, " \t");
        name[strcspn(name, " \t")] = '\0';
        mark(load, marks, name, true, from);
    }
}

/* One [node:NAME] section: into 'marks' if it is ours, else only for its faults. */
static void load_node(struct vd_load *load, const struct vd_ini_entry *header, bool *marks)
{
    const struct vd_topology *topology = load->topology;
    const char *name = header->section + strlen(PREFIX);
    bool is_ours = strcmp(name, topology->node) == 0;
    bool *listed = vd_alloc_array(topology->all_stage_count + 1, sizeof(*listed));
    VD_AUTO(mem) char *context = vd_format("node \"%s\"", name);
    VD_AUTO(mem) char *prefix = vd_format("%s: option \"stages\": ", context);
    struct origin from = {.entry = vd_ini_find(&topology->ini, header->section, "stages"),
                          .context = prefix};
    struct vd_node_conf conf = {0};

    if (!vd_load_is_name(name, "", NODE_BYTES_MAX)) {
        vd_load_fault(load, header, "%s: a name has 1 to %d letters, digits, '_' and '-'", context,
                      NODE_BYTES_MAX);
    }
    vd_load_section(load, header->section, vd_node_opts, &conf, context);
    if (*conf.stages != '\0') {
        mark_list(load, listed, conf.stages, &from);
        for (size_t i = 0; is_ours && i < topology->all_stage_count; i++) {
            marks[i] = marks[i] && listed[i];
        }
    }
    vd_opt_fini(vd_node_opts, &conf);
    free(listed);
}

/* Every [node:NAME] section, and whether the name of this node is one of them. */
static void load_sections(struct vd_load *load, bool *marks)
{
    const struct vd_topology *topology = load->topology;
    const char **names = vd_alloc_array(topology->ini.count + 1, sizeof(*names));
    const struct vd_ini_entry at = {.source = "--node"};
    size_t count = 0;
    bool is_known = false;

    for (size_t i = 0; i < topology->ini.count; i++) {
        const struct vd_ini_entry *entry = &topology->ini.entries[i];

        if (entry->key == NULL && strncmp(entry->section, PREFIX, strlen(PREFIX)) == 0) {
            load_node(load, entry, marks);
            names[count++] = entry->section + strlen(PREFIX);
            is_known = is_known || strcmp(entry->section + strlen(PREFIX), topology->node) == 0;
        }
    }
    if (!vd_load_is_name(topology->node, "", NODE_BYTES_MAX)) {
        vd_load_fault(load, &at, "\"%.64s\": a name has 1 to %d letters, digits, '_' and '-'",
                      topology->node, NODE_BYTES_MAX);
    } else if (load->args->node != NULL && count > 0 && !is_known && !load->has_form_faults) {
        VD_AUTO(mem) char *remedy = vd_load_remedy(topology->node, names, count);

        vd_load_fault(load, &at, "no section [node:%s]%s", topology->node, remedy);
    }
    free(names);
}

static void apply_command_line(struct vd_load *load, bool *marks)
{
    const struct vd_topology_args *args = load->args;
    const struct vd_ini_entry enable = {.source = "--enable"};
    const struct vd_ini_entry disable = {.source = "--disable"};

    for (size_t i = 0; i < args->enable_count; i++) {
        mark(load, marks, args->enable[i], true, &(struct origin){.entry = &enable, .context = ""});
    }
    for (size_t i = 0; i < args->disable_count; i++) {
        mark(load, marks, args->disable[i], false,
             &(struct origin){.entry = &disable, .context = ""});
        for (size_t j = 0; j < args->enable_count; j++) {
            if (strcmp(args->enable[j], args->disable[i]) == 0) {
                vd_load_fault(load, &disable, "stage \"%s\" is named by --enable too",
                              args->disable[i]);
            }
        }
    }
}

/* Note a topic once; not the nodes topic, which comes last. */
static void need_topic(struct vd_topology *topology, struct vd_topic_conf *topic)
{
    if (topic == topology->nodes_topic) {
        return;
    }
    for (size_t i = 0; i < topology->topic_count; i++) {
        if (topology->topics[i] == topic) {
            return;
        }
    }
    if (topic != NULL) {
        topology->topics[topology->topic_count++] = topic;
    }
}

static void need_topics(struct vd_topology *topology, struct vd_topic_conf **topics, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        need_topic(topology, topics[i]);
    }
}

static void choose_stages(struct vd_load *load, const bool *marks)
{
    struct vd_topology *topology = load->topology;

    topology->stages = vd_alloc_array(topology->all_stage_count + 1, sizeof(*topology->stages));
    topology->topics = vd_alloc_array(topology->all_topic_count + 1, sizeof(*topology->topics));
    for (size_t i = 0; i < topology->all_stage_count; i++) {
        struct vd_stage_conf *conf = topology->all_stages[i];

        conf->enabled = marks[i];
        if (!marks[i] || conf->desc == NULL) {
            continue;
        }
        topology->stages[topology->stage_count++] = conf;
        need_topics(topology, conf->inputs, vd_port_count(conf->desc->inputs));
        need_topics(topology, conf->outputs, vd_port_count(conf->desc->outputs));
        need_topics(topology, conf->tables, conf->table_count);
        need_topic(topology, conf->dead_topic);
    }
    if (topology->nodes_topic != NULL) {
        topology->topics[topology->topic_count++] = topology->nodes_topic;
    }
    if (topology->stage_count == 0 && load->fault_count == 0) {
        vd_load_fault(load, NULL, "no stage would run on node \"%s\"; %s", topology->node,
                      topology->all_stage_count == 0
                          ? "add a [stage:NAME] section"
                          : "enable one with `enabled = yes`, [node:NAME] or --enable");
    }
}

void vd_load_nodes(struct vd_load *load)
{
    const struct vd_topology *topology = load->topology;
    bool *marks = vd_alloc_array(topology->all_stage_count + 1, sizeof(*marks));

    for (size_t i = 0; i < topology->all_stage_count; i++) {
        marks[i] = topology->all_stages[i]->enabled;
    }
    load_sections(load, marks);
    apply_command_line(load, marks);
    choose_stages(load, marks);
    free(marks);
}
