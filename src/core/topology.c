/* Loading a topology: the file, the engine's own sections, and every fault with its place. */
#include "topology.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg.h"
#include "topology_load.h"

#define APPLICATION_BYTES_MAX 64
#define CLIENT_PREFIX "client."

const struct vd_opt vd_daemon_opts[] = {
    VD_OPT(struct vd_daemon_conf, application, .def = "votingd", .min = 1,
           .max = APPLICATION_BYTES_MAX,
           .help = "name of the whole system; prefix of consumer groups and transactional ids"),
    VD_OPT(struct vd_daemon_conf, plugin_path, .def = "@PLUGINDIR@", .min = 1,
           .help = "folders with stage modules, separated by colons"),
    VD_OPT(struct vd_daemon_conf, log_level, .def = "info", .choices = "error|warn|info|debug",
           .help = "least important lines that are logged"),
    VD_OPT(struct vd_daemon_conf, log_format, .def = "text", .choices = "text|json",
           .help = "form of the lines on standard error"),
    VD_OPT(struct vd_daemon_conf, drain_timeout_ms, .def = "30000", .min = 100, .max = 600000,
           .help = "from SIGTERM to the exit at the latest, in milliseconds"),
    VD_OPT(struct vd_daemon_conf, nodes_topic, .def = "votingd_nodes",
           .help =
               "compacted topic on which every node says how it is, for the dashboard's pipeline "
               "view; empty: none"),
    VD_OPT(struct vd_daemon_conf, nodes_ms, .def = "2000", .min = 500, .max = 60000,
           .help = "how often a node does so, in milliseconds"),
    VD_OPT_END,
};

const struct vd_opt vd_postgres_opts[] = {
    VD_OPT(struct vd_postgres_conf, conninfo, .def = "", .is_secret = true,
           .help =
               "connection string of libpq: key=value pairs or postgresql://...; what it leaves "
               "out comes from the PG* variables"),
    VD_OPT_END,
};

/* ---- faults ---------------------------------------------------------------------------------- */

static bool has_form_fault(const struct vd_load *load, int line)
{
    for (size_t i = 0; i < load->fault_count; i++) {
        if (load->faults[i].is_form && load->faults[i].line == line) {
            return true;
        }
    }
    return false;
}

/* Takes 'message'. */
static void add_fault(struct vd_load *load, const struct vd_ini_entry *at, int column,
                      char *message)
{
    VD_AUTO(mem) char *owned = message;
    const struct vd_ini_entry *place = at != NULL ? at : &load->top;
    struct vd_fault *fault = NULL;

    if (place->line > 0 && has_form_fault(load, place->line)) {
        return;
    }
    load->faults = vd_realloc(load->faults, (load->fault_count + 1) * sizeof(*load->faults));
    fault = &load->faults[load->fault_count];
    *fault = (struct vd_fault){.source = place->source,
                               .line = place->line,
                               .column = place->line > 0 ? column : 0,
                               .order = load->fault_count};
    if (place->line > 0) {
        fault->text = vd_format("%s:%d:%d: %s", place->source, place->line, column, message);
    } else if (place->source != NULL) {
        fault->text = vd_format("%s: %s", place->source, message);
    } else {
        fault->text = vd_take(owned);
    }
    load->fault_count++;
}

static VD_PRINTF(1, 0) char *format_message(const char *format, va_list args)
{
    char message[VD_ERR_MSG_BYTES];

    (void)vsnprintf(message, sizeof(message), format, args); /* cut to fit */
    return vd_strdup(message);
}

void vd_load_fault(struct vd_load *load, const struct vd_ini_entry *at, const char *format, ...)
{
    va_list args;
    char *message = NULL;

    va_start(args, format);
    message = format_message(format, args);
    va_end(args);
    add_fault(load, at, at != NULL ? at->column : load->top.column, message);
}

void vd_load_fault_value(struct vd_load *load, const struct vd_ini_entry *at, const char *format,
                         ...)
{
    va_list args;
    char *message = NULL;

    va_start(args, format);
    message = format_message(format, args);
    va_end(args);
    add_fault(load, at, at != NULL ? at->value_column : load->top.column, message);
}

static void on_ini_error(void *arg, const struct vd_ini_entry *at, const char *message)
{
    struct vd_load *load = arg;
    size_t before = load->fault_count;

    if (at->key == NULL) {
        load->has_form_faults = true; /* not a substitution, which leaves the key in place */
    }
    vd_load_fault_value(load, at, "%s", message);
    if (load->fault_count > before) {
        load->faults[before].is_form = true;
    }
}

static int compare_faults(const void *a, const void *b)
{
    const struct vd_fault *first = a;
    const struct vd_fault *second = b;

    if (first->line != second->line) {
        return first->line < second->line ? -1 : 1;
    }
    if (first->column != second->column) {
        return first->column < second->column ? -1 : 1;
    }
    return first->order < second->order ? -1 : 1;
}

char *vd_load_remedy(const char *name, const char *const *candidates, size_t count)
{
    const char *nearest = vd_nearest(name, candidates, count);

    return nearest == NULL ? vd_strdup("") : vd_format("; did you mean \"%s\"?", nearest);
}

/* ---- options --------------------------------------------------------------------------------- */

bool vd_load_is_name(const char *name, const char *allowed, size_t max)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if (strchr(letters, name[i]) == NULL && strchr(allowed, name[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= max;
}

char *vd_load_place_folders(const char *value)
{
    static const struct {
        const char *mark, *folder;
    } places[] = {
        {"@PLUGINDIR@", VD_PLUGIN_DIR},
        {"@DATADIR@", VD_DATA_DIR},
    };
    VD_AUTO(buf) struct vd_buf out = {0};

    while (*value != '\0') {
        size_t plain = 1;

        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
            size_t len = strlen(places[i].mark);

            if (strncmp(value, places[i].mark, len) == 0) {
                vd_buf_add_text(&out, places[i].folder);
                value += len;
                plain = 0;
                break;
            }
        }
        vd_buf_add(&out, value, plain);
        value += plain;
    }
    return vd_strdup(vd_buf_text(&out));
}

void vd_load_defaults(const struct vd_opt *opts, void *target)
{
    vd_opt_defaults(opts, target);
    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        char **text = (void *)((char *)target + opt->offset);

        if (opt->type == VD_OPT_TEXT) {
            char *placed = vd_load_place_folders(*text != NULL ? *text : "");

            free(*text);
            *text = placed;
        }
    }
}

void vd_load_set(struct vd_load *load, const struct vd_ini_entry *entry, const struct vd_opt *opts,
                 void *target, const char *context)
{
    VD_AUTO(mem) char *value = vd_load_place_folders(entry->value);
    struct vd_err err = {0};

    if (vd_opt_set(opts, target, entry->key, value, &err) != VD_OK) {
        vd_load_fault_value(load, entry, "%s: %s", context, err.msg);
    }
}

void vd_load_required(struct vd_load *load, const char *section, const struct vd_opt *opts,
                      const char *context)
{
    const struct vd_ini *ini = &load->topology->ini;

    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        if (opt->def == NULL && !load->has_form_faults &&
            vd_ini_find(ini, section, opt->name) == NULL) {
            vd_load_fault(load, vd_ini_find(ini, section, NULL),
                          "%s: option \"%s\" is missing; add \"%s = ...\" to [%s]: %s", context,
                          opt->name, opt->name, section, opt->help != NULL ? opt->help : "");
        }
    }
}

/* Keys of [kafka] that are librdkafka's own. */
static bool is_client_key(const char *section, const char *key)
{
    return strcmp(section, "kafka") == 0 && strncmp(key, CLIENT_PREFIX, strlen(CLIENT_PREFIX)) == 0;
}

void vd_load_section(struct vd_load *load, const char *section, const struct vd_opt *opts,
                     void *target, const char *context)
{
    const struct vd_ini *ini = &load->topology->ini;

    vd_load_defaults(opts, target);
    for (size_t i = 0; i < ini->count; i++) {
        const struct vd_ini_entry *entry = &ini->entries[i];
        struct vd_err err = {0};

        if (entry->key == NULL || strcmp(entry->section, section) != 0 ||
            is_client_key(section, entry->key)) {
            continue;
        }
        if (vd_opt_find(opts, entry->key) != NULL) {
            vd_load_set(load, entry, opts, target, context);
        } else if (strcmp(section, "kafka") == 0 &&
                   vd_kafka_check_prop(entry->key, entry->value, &err) == VD_OK) {
            vd_load_fault(load, entry,
                          "%s: unknown option \"%s\"; librdkafka's own are written \"client.%s\"",
                          context, entry->key, entry->key);
        } else if (vd_opt_set(opts, target, entry->key, "", &err) != VD_OK) {
            vd_load_fault(load, entry, "%s: %s%s", context, err.msg,
                          strstr(err.msg, "did you mean") != NULL
                              ? ""
                              : "; \"votingd --describe engine\" lists them");
        }
    }
    vd_load_required(load, section, opts, context);
}

/* ---- the engine's own sections --------------------------------------------------------------- */

/* A fault of a section's value that no option table could find:
 * at the option that it names first. */
static void fault_in_section(struct vd_load *load, const char *section, const char *message)
{
    const struct vd_ini *ini = &load->topology->ini;
    const struct vd_ini_entry *at = vd_ini_find(ini, section, NULL);

    for (size_t i = 0; i < ini->count; i++) {
        const struct vd_ini_entry *entry = &ini->entries[i];
        VD_AUTO(mem) char *quoted = NULL;

        if (entry->key == NULL || strcmp(entry->section, section) != 0) {
            continue;
        }
        quoted = vd_format("\"%s\"", entry->key);
        if (strstr(message, quoted) != NULL) {
            at = entry;
            break;
        }
    }
    vd_load_fault_value(load, at, "section [%s]: %s", section, message);
}

static void load_daemon(struct vd_load *load)
{
    struct vd_topology *topology = load->topology;
    const char *application = NULL;

    vd_load_section(load, "votingd", vd_daemon_opts, &topology->daemon, "section [votingd]");
    application = topology->daemon.application;
    if (!vd_load_is_name(application, ".", APPLICATION_BYTES_MAX)) {
        vd_load_fault_value(load, vd_ini_find(&topology->ini, "votingd", "application"),
                            "section [votingd]: option \"application\": must have letters, digits, "
                            "'_', '-' and '.' only, got \"%s\"",
                            application);
    }
    topology->plugins = vd_plugins_new(topology->daemon.plugin_path);
}

static void load_kafka(struct vd_load *load)
{
    struct vd_topology *topology = load->topology;
    struct vd_kafka_conf *kafka = &topology->kafka;

    vd_load_section(load, "kafka", vd_kafka_opts, kafka, "section [kafka]");
    kafka->application = topology->daemon.application;
    kafka->node = topology->node;
    kafka->props = vd_alloc_array(topology->ini.count + 1, sizeof(*kafka->props));
    for (size_t i = 0; i < topology->ini.count; i++) {
        const struct vd_ini_entry *entry = &topology->ini.entries[i];
        struct vd_err err = {0};

        if (entry->key == NULL || !is_client_key(entry->section, entry->key)) {
            continue;
        }
        if (vd_kafka_check_prop(entry->key + strlen(CLIENT_PREFIX), entry->value, &err) != VD_OK) {
            vd_load_fault(load, entry, "section [kafka]: %s", err.msg);
            continue;
        }
        kafka->props[kafka->prop_count++] =
            (struct vd_kafka_prop){.name = vd_strdup(entry->key + strlen(CLIENT_PREFIX)),
                                   .value = vd_strdup(entry->value)};
    }
}

static void load_servers(struct vd_load *load)
{
    struct vd_topology *topology = load->topology;
    struct vd_err err = {0};

    vd_load_section(load, "postgres", vd_postgres_opts, &topology->postgres, "section [postgres]");
    if (vd_pg_check_conninfo(topology->postgres.conninfo, &err) != VD_OK) {
        vd_load_fault_value(load, vd_ini_find(&topology->ini, "postgres", "conninfo"),
                            "section [postgres]: option \"conninfo\": %s", err.msg);
    }
    vd_load_section(load, "http", vd_web_opts, &topology->web, "section [http]");
    if (vd_web_check(&topology->web, &err) != VD_OK) {
        fault_in_section(load, "http", err.msg);
    }
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_section(struct vd_load *load, const struct vd_ini_entry *entry)
{
    static const char *const kinds[] = {"topic",   "stage", "node", /* these have names */
                                        "votingd", "kafka", "postgres", "http"};
    const size_t named = 3;
    const size_t all = sizeof(kinds) / sizeof(*kinds);
    VD_AUTO(mem) char *kind = vd_strndup(entry->section, strcspn(entry->section, ":"));
    const char *name = entry->section + strlen(kind);
    const char *nearest = NULL;

    if (*name == ':' ? is_one_of(kind, kinds, named)
                     : is_one_of(kind, kinds + named, all - named)) {
        return;
    }
    nearest = vd_nearest(kind, kinds, *name == ':' ? named : all);
    if (nearest == NULL) {
        vd_load_fault(load, entry,
                      "unknown section [%s]; there are [votingd], [kafka], [postgres], [http], "
                      "[topic:NAME], [stage:NAME] and [node:NAME]",
                      entry->section);
        return;
    }
    if (*name == '\0' && is_one_of(nearest, kinds, named)) {
        name = ":NAME";
    }
    vd_load_fault(load, entry, "unknown section [%s]; did you mean [%s%s]?", entry->section,
                  nearest, name);
}

/* Sections of an unknown name. The known ones are read by those who own them. */
static void check_sections(struct vd_load *load)
{
    const struct vd_ini *ini = &load->topology->ini;

    for (size_t i = 0; i < ini->count; i++) {
        if (ini->entries[i].key == NULL) {
            check_section(load, &ini->entries[i]);
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The file, then what the command line changes in it, then the environment. */
static void read_file(struct vd_load *load)
{
    struct vd_ini *ini = &load->topology->ini;
    const struct vd_topology_args *args = load->args;
    struct vd_ini_entry command_line = {.source = "--set"};
    struct vd_err err = {0};

    ini->on_error = on_ini_error;
    ini->on_error_arg = load;
    if (vd_ini_load(ini, args->path, &err) != VD_OK && load->fault_count == 0) {
        load->has_form_faults = true;
        add_fault(load, &(struct vd_ini_entry){0}, 0, vd_strdup(err.msg));
        return;
    }
    for (size_t i = 0; i < args->set_count; i++) {
        if (vd_ini_override(ini, args->set[i], &err) != VD_OK) {
            add_fault(load, &command_line, 0, vd_strdup(err.msg));
        }
    }
    if (vd_ini_substitute(ini, &err) != VD_OK) {
        return; /* each fault was reported */
    }
}

static enum vd_status report_faults(struct vd_load *load, vd_topology_error_fn *on_error, void *arg,
                                    struct vd_err *err)
{
    if (load->fault_count > 0) {
        qsort(load->faults, load->fault_count, sizeof(*load->faults), compare_faults);
    }
    for (size_t i = 0; i < load->fault_count; i++) {
        if (on_error != NULL) {
            on_error(arg, load->faults[i].text);
        }
        free(load->faults[i].text);
    }
    free(vd_take(load->faults));
    free(vd_take(load->uses));
    free(vd_take(load->doubtful));
    if (load->fault_count == 0) {
        return VD_OK;
    }
    return vd_fail(err, VD_INVALID, "%zu error%s in \"%s\"", load->fault_count,
                   load->fault_count == 1 ? "" : "s", load->args->path);
}

enum vd_status vd_topology_load(struct vd_topology *topology, const struct vd_topology_args *args,
                                vd_topology_error_fn *on_error, void *arg, struct vd_err *err)
{
    struct vd_load load = {
        .topology = topology,
        .args = args,
        .top = {.source = args->path, .line = 1, .column = 1, .value_column = 1},
    };

    topology->node = vd_strdup(args->node != NULL ? args->node : "main");
    read_file(&load);
    if (topology->ini.count > 0 || !load.has_form_faults) {
        check_sections(&load);
        load_daemon(&load);
        load_kafka(&load);
        load_servers(&load);
        vd_load_topics(&load);
        vd_load_nodes_topic(&load);
        vd_load_stages(&load);
        vd_load_check_topics(&load);
        vd_load_nodes(&load);
    }
    topology->ini.on_error = NULL;
    topology->ini.on_error_arg = NULL;
    return report_faults(&load, on_error, arg, err);
}

static void free_stage(struct vd_stage_conf *conf)
{
    vd_opt_fini(vd_stage_opts, conf);
    free(conf->name);
    free(conf->inputs);
    free(conf->outputs);
    free(conf->tables);
    free(conf->table_names);
    free(conf);
}

void vd_topology_fini(struct vd_topology *topology)
{
    for (size_t i = 0; i < topology->all_stage_count; i++) {
        free_stage(topology->all_stages[i]);
    }
    for (size_t i = 0; i < topology->all_topic_count; i++) {
        vd_opt_fini(vd_topic_opts, topology->all_topics[i]);
        free(topology->all_topics[i]->name);
        free(topology->all_topics[i]);
    }
    for (size_t i = 0; i < topology->kafka.prop_count; i++) {
        free(topology->kafka.props[i].name);
        free(topology->kafka.props[i].value);
    }
    free(topology->all_stages);
    free(topology->all_topics);
    free(topology->stages);
    free(topology->topics);
    free(topology->kafka.props);
    vd_opt_fini(vd_daemon_opts, &topology->daemon);
    vd_opt_fini(vd_kafka_opts, &topology->kafka);
    vd_opt_fini(vd_postgres_opts, &topology->postgres);
    vd_opt_fini(vd_web_opts, &topology->web);
    free(topology->node);
    vd_plugins_free(topology->plugins);
    vd_ini_fini(&topology->ini);
    *topology = (struct vd_topology){0};
}
