/* [stage:NAME] sections: the engine's options, the module, its ports, its own options,
 * its check. */
#include <stdlib.h>
#include <string.h>

#include "topology_load.h"

#define STAGE_BYTES_MAX 64
#define PREFIX "stage:"
#define KEYS_MAX 2048 /* that a stage may know: options and ports */
#define PORT_BYTES_MAX 64
#define MESSAGE_MAX "client.message.max.bytes"
#define TABLES_MAX 64 /* of a stage, those that the topology adds included */

const struct vd_opt vd_stage_opts[] = {
    VD_OPT(struct vd_stage_conf, plugin, .def = "",
           .help = "name of the module; default: the section's name"),
    VD_OPT(struct vd_stage_conf, enabled, .def = "yes",
           .help = "no: the stage is checked but does not run, unless --enable names it"),
    VD_OPT(struct vd_stage_conf, dead, .def = "",
           .help = "topic for records that cannot be read; needed by a stage with inputs"),
    VD_OPT(struct vd_stage_conf, batch.records, .def = "1000", .min = 1, .max = 100000,
           .help = "most records of one batch, that is of one transaction"),
    VD_OPT(struct vd_stage_conf, batch.wait_ms, .def = "50", .min = 0, .max = 60000,
           .help = "how long the oldest record waits for a full batch, in milliseconds"),
    VD_OPT(struct vd_stage_conf, buffer.records, .def = "10000", .min = 1, .max = 10000000,
           .help = "records held in memory before partitions are paused; at least batch.records"),
    VD_OPT(struct vd_stage_conf, buffer.bytes, .def = "33554432", .min = 1048576,
           .max = 17179869184, .help = "likewise, bytes of their keys and values"),
    VD_OPT(struct vd_stage_conf, retry.min_ms, .def = "100", .min = 1, .max = 3600000,
           .help = "first pause before a failed batch is tried again, in milliseconds"),
    VD_OPT(struct vd_stage_conf, retry.max_ms, .def = "10000", .min = 1, .max = 3600000,
           .help = "longest such pause; it doubles each time"),
    VD_OPT_END,
};

/* One section while it is read. */
struct stage_load {
    struct vd_load *load;
    struct vd_stage_conf *conf;
    const char *section; /* borrowed from the file's entries */
    const struct vd_ini_entry *header;
    void *state; /* scratch, for the stage's own options; NULL without a module */
    size_t faults_before;
};

static const char *const kinds[] = {"input.", "output.", "table."};

static const struct vd_port *ports_of(const struct vd_stage_desc *desc, enum vd_use_kind kind)
{
    const struct vd_port *const ports[] = {desc->inputs, desc->outputs, desc->tables};

    return ports[kind];
}

static struct vd_topic_conf **topics_of(const struct vd_stage_conf *conf, enum vd_use_kind kind)
{
    struct vd_topic_conf **const topics[] = {conf->inputs, conf->outputs, conf->tables};

    return topics[kind];
}

/* ---- the module ------------------------------------------------------------------------------ */

/* A stage's option may not hide one of the engine's. */
static enum vd_status check_shadows(const struct vd_stage_desc *desc, struct vd_err *err)
{
    for (const struct vd_opt *opt = desc->opts; opt != NULL && opt->name != NULL; opt++) {
        if (vd_opt_find(vd_stage_opts, opt->name) != NULL) {
            return vd_fail(
                err, VD_INVALID,
                "plugin \"%s\": option \"%s\" is the engine's own; rename it in the module",
                desc->name, opt->name);
        }
    }
    return VD_OK;
}

/* Whether the topology may add tables: their place is that of the last port. */
static bool has_further(const struct vd_stage_desc *desc)
{
    size_t count = vd_port_count(desc->tables);

    return count > 0 && (desc->tables[count - 1].flags & VD_PORT_FURTHER) != 0;
}

static void name_tables(struct vd_stage_conf *conf)
{
    conf->table_count = vd_port_count(conf->desc->tables) - (has_further(conf->desc) ? 1 : 0);
    conf->tables = vd_alloc_array(TABLES_MAX + 1, sizeof(*conf->tables));
    conf->table_names = vd_alloc_array(TABLES_MAX + 1, sizeof(*conf->table_names));
    for (size_t i = 0; i < conf->table_count; i++) {
        conf->table_names[i] = conf->desc->tables[i].name;
    }
}

static void load_module(struct stage_load *stage)
{
    struct vd_load *load = stage->load;
    struct vd_stage_conf *conf = stage->conf;
    const struct vd_ini_entry *at = vd_ini_find(&load->topology->ini, stage->section, "plugin");
    const struct vd_stage_desc *desc = NULL;
    struct vd_err err = {0};

    if (*conf->plugin == '\0') {
        free(conf->plugin);
        conf->plugin = vd_strdup(conf->name);
    }
    if (vd_plugins_find(load->topology->plugins, conf->plugin, &desc, &err) != VD_OK ||
        check_shadows(desc, &err) != VD_OK) {
        vd_load_fault_value(load, at != NULL ? at : stage->header, "stage \"%s\": %s", conf->name,
                            err.msg);
        return;
    }
    conf->desc = desc;
    conf->inputs = vd_alloc_array(vd_port_count(desc->inputs) + 1, sizeof(*conf->inputs));
    conf->outputs = vd_alloc_array(vd_port_count(desc->outputs) + 1, sizeof(*conf->outputs));
    name_tables(conf);
    stage->state = vd_alloc(desc->state_size + 1); /* a stage may have no state */
    vd_load_defaults(desc->opts, stage->state);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Whether the key names a port, of which kind, and where its name begins. */
static bool is_port_key(const char *key, enum vd_use_kind *kind, const char **port)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strncmp(key, kinds[i], strlen(kinds[i])) == 0) {
            *kind = (enum vd_use_kind)i;
            *port = key + strlen(kinds[i]);
            return true;
        }
    }
    return false;
}

static void fault_unknown_key(struct stage_load *stage, const struct vd_ini_entry *entry)
{
    const struct vd_stage_desc *desc = stage->conf->desc;
    const char **names = vd_alloc_array(KEYS_MAX, sizeof(*names));
    char *ports[KEYS_MAX / 4];
    size_t count = 0;
    size_t port_names = 0;
    VD_AUTO(mem) char *remedy = NULL;

    for (const struct vd_opt *opt = vd_stage_opts; opt->name != NULL; opt++) {
        names[count++] = opt->name;
    }
    for (const struct vd_opt *opt = desc->opts; opt != NULL && opt->name != NULL; opt++) {
        names[count++] = opt->name;
    }
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
        const struct vd_port *port = ports_of(desc, (enum vd_use_kind)kind);

        for (; port != NULL && port->name != NULL; port++) {
            ports[port_names] = vd_format("%s%s", kinds[kind], port->name);
            names[count++] = ports[port_names++];
        }
    }
    remedy = vd_load_remedy(entry->key, names, count);
    if (*remedy == '\0') {
        free(remedy);
        remedy = vd_format("; \"votingd --describe %s\" lists them", desc->name);
    }
    vd_load_fault(stage->load, entry, "stage \"%s\": plugin \"%s\" has no option or port \"%s\"%s",
                  stage->conf->name, desc->name, entry->key, remedy);
    for (size_t i = 0; i < port_names; i++) {
        free(ports[i]);
    }
    free(names);
}

/* A table of the descriptor that is left out, and whose name is so near that it may be meant. */
static const char *find_meant_table(const struct stage_load *stage, const char *name)
{
    const struct vd_port *ports = stage->conf->desc->tables;
    const char *left_out[TABLES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < vd_port_count(ports) && count < TABLES_MAX; i++) {
        VD_AUTO(mem) char *key = vd_format("table.%s", ports[i].name);

        if ((ports[i].flags & VD_PORT_FURTHER) == 0 &&
            vd_ini_find(&stage->load->topology->ini, stage->section, key) == NULL) {
            left_out[count++] = ports[i].name;
        }
    }
    return vd_nearest(name, left_out, count);
}

/* A table that the stage's descriptor does not name; an empty topic leaves it out. */
static void add_table(struct stage_load *stage, const struct vd_use *use)
{
    struct vd_stage_conf *conf = stage->conf;
    const char *meant = find_meant_table(stage, use->port);

    if (meant != NULL) {
        vd_load_fault(
            stage->load, use->entry,
            "stage \"%s\": key \"%s\": did you mean \"table.%s\"? If not, give this table "
            "a name less like it, or add \"table.%s =\"",
            conf->name, use->entry->key, meant, meant);
    }
    if (!vd_load_is_name(use->port, "", PORT_BYTES_MAX)) {
        vd_load_fault(stage->load, use->entry,
                      "stage \"%s\": key \"%s\": a table's name has 1 to %d letters, digits, '_' "
                      "and '-'",
                      conf->name, use->entry->key, PORT_BYTES_MAX);
    } else if (conf->table_count == TABLES_MAX) {
        vd_load_fault(stage->load, use->entry,
                      "stage \"%s\": key \"%s\": a stage follows at most %d tables; remove one",
                      conf->name, use->entry->key, TABLES_MAX);
    } else if (*use->entry->value != '\0') {
        conf->table_names[conf->table_count] = use->port;
        conf->tables[conf->table_count++] = vd_load_use(stage->load, use);
    }
}

static void load_port(struct stage_load *stage, const struct vd_ini_entry *entry,
                      enum vd_use_kind kind, const char *name)
{
    struct vd_stage_conf *conf = stage->conf;
    const struct vd_use use = {
        .kind = kind, .entry = entry, .stage = conf->name, .port = name, .topic = NULL};
    const struct vd_port *ports = conf->desc != NULL ? ports_of(conf->desc, kind) : NULL;
    struct vd_topic_conf *topic = NULL;

    for (size_t i = 0; i < vd_port_count(ports); i++) {
        if (strcmp(ports[i].name, name) != 0 || (ports[i].flags & VD_PORT_FURTHER) != 0) {
            continue;
        }
        if (*entry->value != '\0' || (ports[i].flags & VD_PORT_OPTIONAL) == 0) {
            topics_of(conf, kind)[i] = vd_load_use(stage->load, &use);
        }
        return;
    }
    if (conf->desc != NULL && kind == VD_USE_TABLE && has_further(conf->desc)) {
        add_table(stage, &use);
        return;
    }
    if (conf->desc != NULL) {
        fault_unknown_key(stage, entry);
        return;
    }
    topic = vd_load_use(stage->load, &use); /* so that others that name the topic are not blamed */
    (void)topic;
}

static void load_key(struct stage_load *stage, const struct vd_ini_entry *entry)
{
    struct vd_stage_conf *conf = stage->conf;
    VD_AUTO(mem) char *context = vd_format("stage \"%s\"", conf->name);
    enum vd_use_kind kind = VD_USE_INPUT;
    const char *port = NULL;

    if (vd_opt_find(vd_stage_opts, entry->key) != NULL) {
        return; /* done before the module was known */
    }
    if (is_port_key(entry->key, &kind, &port)) {
        load_port(stage, entry, kind, port);
    } else if (conf->desc == NULL) {
        return; /* nobody knows this stage's options */
    } else if (vd_opt_find(conf->desc->opts, entry->key) != NULL) {
        vd_load_set(stage->load, entry, conf->desc->opts, stage->state, context);
    } else {
        fault_unknown_key(stage, entry);
    }
}

/* ---- what is missing, what does not fit ------------------------------------------------------ */

static void check_missing_ports(struct stage_load *stage)
{
    struct vd_load *load = stage->load;
    const struct vd_stage_conf *conf = stage->conf;

    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
        const struct vd_port *ports = ports_of(conf->desc, (enum vd_use_kind)kind);

        for (size_t i = 0; i < vd_port_count(ports); i++) {
            VD_AUTO(mem) char *key = vd_format("%s%s", kinds[kind], ports[i].name);

            if ((ports[i].flags & VD_PORT_OPTIONAL) == 0 && !load->has_form_faults &&
                vd_ini_find(&load->topology->ini, stage->section, key) == NULL) {
                vd_load_fault(load, stage->header,
                              "stage \"%s\": %.*s \"%s\" has no topic; add \"%s = TOPIC\"",
                              conf->name, (int)strlen(kinds[kind]) - 1, kinds[kind], ports[i].name,
                              key);
            }
        }
    }
}

static void check_dead(struct stage_load *stage)
{
    struct vd_load *load = stage->load;
    struct vd_stage_conf *conf = stage->conf;
    const struct vd_ini_entry *entry = vd_ini_find(&load->topology->ini, stage->section, "dead");
    const struct vd_use use = {
        .kind = VD_USE_DEAD, .entry = entry, .stage = conf->name, .port = "dead", .topic = NULL};
    bool has_inputs = conf->desc == NULL || vd_port_count(conf->desc->inputs) > 0;

    if (entry != NULL && *entry->value != '\0') {
        conf->dead_topic = vd_load_use(load, &use);
        if (!has_inputs) {
            vd_load_fault(load, entry,
                          "stage \"%s\": option \"dead\": plugin \"%s\" has no input, so no dead "
                          "letters; remove the line",
                          conf->name, conf->plugin);
        }
    } else if (has_inputs && conf->desc != NULL && !load->has_form_faults) {
        vd_load_fault(load, entry != NULL ? entry : stage->header,
                      "stage \"%s\": option \"dead\" is missing; a stage with inputs needs a topic "
                      "for records it cannot read: add \"dead = TOPIC\"",
                      conf->name);
    }
}

static void check_limits(struct stage_load *stage)
{
    const struct vd_ini *ini = &stage->load->topology->ini;
    const struct vd_stage_conf *conf = stage->conf;
    const struct vd_ini_entry *buffer = vd_ini_find(ini, stage->section, "buffer.records");
    const struct vd_ini_entry *retry = vd_ini_find(ini, stage->section, "retry.max_ms");

    if (conf->buffer.records < conf->batch.records) {
        vd_load_fault_value(
            stage->load,
            buffer != NULL ? buffer : vd_ini_find(ini, stage->section, "batch.records"),
            "stage \"%s\": option \"buffer.records\": must be at least batch.records, "
            "which is %lld, got %lld",
            conf->name, (long long)conf->batch.records, (long long)conf->buffer.records);
    }
    if (conf->retry.max_ms < conf->retry.min_ms) {
        vd_load_fault_value(
            stage->load, retry != NULL ? retry : vd_ini_find(ini, stage->section, "retry.min_ms"),
            "stage \"%s\": option \"retry.max_ms\": must be at least retry.min_ms, "
            "which is %lld, got %lld",
            conf->name, (long long)conf->retry.min_ms, (long long)conf->retry.max_ms);
    }
}

/* A record that a stage cannot do without, and no producer takes, would stop it for good. */
static void check_record_bytes(const struct stage_load *stage)
{
    const struct vd_topology *topology = stage->load->topology;
    const struct vd_ini_entry *entry = vd_ini_find(&topology->ini, "kafka", MESSAGE_MAX);
    const size_t found = vd_kafka_conf_record_max(&topology->kafka);
    const size_t wanted = stage->conf->desc->record_bytes + VD_KAFKA_OVERHEAD_BYTES;

    if (stage->conf->desc->record_bytes > 0 && found < wanted) {
        vd_load_fault_value(stage->load, entry != NULL ? entry : stage->header,
                            "stage \"%s\": its records may have %zu bytes: option \"" MESSAGE_MAX
                            "\" of section [kafka] must be at least %zu, got %zu",
                            stage->conf->name, stage->conf->desc->record_bytes, wanted, found);
    }
}

/* Ask the stage itself, with its options set: as the engine will before the start, only earlier. */
static void check_stage(struct stage_load *stage)
{
    struct vd_load *load = stage->load;
    const struct vd_stage_conf *conf = stage->conf;
    const struct vd_ini_entry *at = stage->header;
    struct vd_err err = {0};

    if (conf->desc->check == NULL || load->fault_count > stage->faults_before ||
        load->has_form_faults || conf->desc->check(NULL, stage->state, &err) == VD_OK) {
        return;
    }
    for (const struct vd_opt *opt = conf->desc->opts; opt != NULL && opt->name != NULL; opt++) {
        VD_AUTO(mem) char *quoted = vd_format("option \"%s\"", opt->name);

        if (strstr(err.msg, quoted) != NULL &&
            vd_ini_find(&load->topology->ini, stage->section, opt->name) != NULL) {
            at = vd_ini_find(&load->topology->ini, stage->section, opt->name);
            break;
        }
    }
    vd_load_fault_value(load, at, "stage \"%s\": %s", conf->name, err.msg);
}

/* ---- the section ----------------------------------------------------------------------------- */

static void load_engine_options(struct stage_load *stage, const char *context)
{
    const struct vd_ini *ini = &stage->load->topology->ini;

    vd_load_defaults(vd_stage_opts, stage->conf);
    for (size_t i = 0; i < ini->count; i++) {
        const struct vd_ini_entry *entry = &ini->entries[i];

        if (entry->key != NULL && strcmp(entry->section, stage->section) == 0 &&
            vd_opt_find(vd_stage_opts, entry->key) != NULL) {
            vd_load_set(stage->load, entry, vd_stage_opts, stage->conf, context);
        }
    }
    check_limits(stage);
}

static void load_stage(struct vd_load *load, const struct vd_ini_entry *header)
{
    struct vd_topology *topology = load->topology;
    struct vd_stage_conf *conf = vd_alloc(sizeof(*conf));
    struct stage_load stage = {.load = load,
                               .conf = conf,
                               .section = header->section,
                               .header = header,
                               .faults_before = load->fault_count};
    VD_AUTO(mem) char *context = NULL;

    topology->all_stages = vd_realloc(topology->all_stages, (topology->all_stage_count + 1) *
                                                                sizeof(*topology->all_stages));
    topology->all_stages[topology->all_stage_count++] = conf;
    conf->name = vd_strdup(header->section + strlen(PREFIX));
    conf->ini = &topology->ini;
    conf->source = header->source;
    conf->line = header->line;
    context = vd_format("stage \"%s\"", conf->name);
    if (!vd_load_is_name(conf->name, "", STAGE_BYTES_MAX)) {
        vd_load_fault(load, header, "%s: a name has 1 to %d letters, digits, '_' and '-'", context,
                      STAGE_BYTES_MAX);
    }
    load_engine_options(&stage, context);
    load_module(&stage);
    for (size_t i = 0; i < topology->ini.count; i++) {
        const struct vd_ini_entry *entry = &topology->ini.entries[i];

        if (entry->key != NULL && strcmp(entry->section, stage.section) == 0) {
            load_key(&stage, entry);
        }
    }
    check_dead(&stage);
    if (conf->desc != NULL) {
        vd_load_required(load, stage.section, conf->desc->opts, context);
        check_missing_ports(&stage);
        check_record_bytes(&stage);
        check_stage(&stage);
        vd_opt_fini(conf->desc->opts, stage.state);
        free(stage.state);
    }
}

void vd_load_stages(struct vd_load *load)
{
    const struct vd_ini *ini = &load->topology->ini;

    for (size_t i = 0; i < ini->count; i++) {
        const struct vd_ini_entry *entry = &ini->entries[i];

        if (entry->key == NULL && strncmp(entry->section, PREFIX, strlen(PREFIX)) == 0) {
            load_stage(load, entry);
        }
    }
}

enum vd_status vd_topology_stage_state(const struct vd_stage_conf *conf, void *state,
                                       struct vd_err *err)
{
    VD_AUTO(mem) char *section = vd_format(PREFIX "%s", conf->name);
    const struct vd_opt *opts = conf->desc->opts;

    vd_load_defaults(opts, state);
    for (size_t i = 0; i < conf->ini->count; i++) {
        const struct vd_ini_entry *entry = &conf->ini->entries[i];
        VD_AUTO(mem) char *value = NULL;

        if (entry->key == NULL || strcmp(entry->section, section) != 0 ||
            vd_opt_find(opts, entry->key) == NULL) {
            continue;
        }
        value = vd_load_place_folders(entry->value);
        if (vd_opt_set(opts, state, entry->key, value, err) != VD_OK) {
            return vd_fail_in(err, "%s:%d: stage \"%s\"", entry->source, entry->line, conf->name);
        }
    }
    return VD_OK;
}
