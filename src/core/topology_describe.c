/* Option tables and topologies in words: --describe, --list-stages, the reference page, --check. */
#include <stdlib.h>
#include <string.h>

#include "topology.h"

#define TERMINAL_COLUMNS 80
#define HELP_INDENT 6
#define DEFAULT_COLUMNS 32

struct port_list {
    const char *kind; /* "input" */
    const struct vd_port *ports;
};

/* What an option or a port is called, in columns of one width. */
struct widths {
    int name, def;
};

/* The reference page says @DATADIR@ where a module was built with this installation's folder. */
static const char *const places[][2] = {
    {"@PLUGINDIR@", VD_PLUGIN_DIR},
    {"@DATADIR@", VD_DATA_DIR},
};

/* The default in words: on a terminal with this installation's folders, in Markdown without them.
 * Owns: the caller frees it. */
static char *format_default(const struct vd_opt *opt, enum vd_describe_form form)
{
    const int from = form == VD_DESCRIBE_MARKDOWN ? 1 : 0;

    if (opt->def == NULL) {
        return vd_strdup("required");
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        size_t len = strlen(places[i][from]);

        if (strncmp(opt->def, places[i][from], len) == 0) {
            return vd_format("%s%s", places[i][1 - from], opt->def + len);
        }
    }
    return vd_strdup(*opt->def == '\0' ? "-" : opt->def);
}

static int wider(int width, const char *text)
{
    int len = (int)strlen(text);

    return len > width ? len : width;
}

/* Words of 'text', indented, in lines of at most TERMINAL_COLUMNS. */
static void add_wrapped(struct vd_buf *out, const char *text, size_t indent)
{
    size_t column = 0;

    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, " ");

        if (column > 0 && column + 1 + len > TERMINAL_COLUMNS) {
            vd_buf_add_char(out, '\n');
            column = 0;
        }
        if (column == 0) {
            vd_buf_printf(out, "%*s", (int)indent, "");
            column = indent;
        } else {
            vd_buf_add_char(out, ' ');
            column++;
        }
        vd_buf_add(out, at, len);
        column += len;
        at += len + strspn(at + len, " ");
    }
    vd_buf_add_char(out, '\n');
}

/* A cell of a Markdown table. */
static void add_cell(struct vd_buf *out, const char *text, const char *quote)
{
    vd_buf_printf(out, " %s", quote);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '|') {
            vd_buf_add_char(out, '\\');
        }
        vd_buf_add_char(out, *at);
    }
    vd_buf_printf(out, "%s |", quote);
}

/* ---- options --------------------------------------------------------------------------------- */

static void add_options_text(const struct vd_opt *opts, struct vd_buf *out)
{
    struct widths widths = {.name = 6, .def = 7};

    for (const struct vd_opt *opt = opts; opt->name != NULL; opt++) {
        VD_AUTO(mem) char *def = format_default(opt, VD_DESCRIBE_TEXT);

        widths.name = wider(widths.name, opt->name);
        if (strlen(def) <= DEFAULT_COLUMNS) { /* a longer one moves its own line only */
            widths.def = wider(widths.def, def);
        }
    }
    vd_buf_printf(out, "  %-*s  %-*s  VALUES\n", widths.name, "OPTION", widths.def, "DEFAULT");
    for (const struct vd_opt *opt = opts; opt->name != NULL; opt++) {
        VD_AUTO(buf) struct vd_buf range = {0};
        VD_AUTO(mem) char *def = format_default(opt, VD_DESCRIBE_TEXT);

        vd_opt_range(opt, &range);
        vd_buf_printf(out, "  %-*s  %-*s  %s%s\n", widths.name, opt->name, widths.def, def,
                      vd_buf_text(&range), opt->is_secret ? ", secret" : "");
        if (opt->help != NULL) {
            add_wrapped(out, opt->help, HELP_INDENT);
        }
    }
}

static void add_options_markdown(const struct vd_opt *opts, struct vd_buf *out)
{
    vd_buf_add_text(out, "| option | default | values | meaning |\n| --- | --- | --- | --- |\n");
    for (const struct vd_opt *opt = opts; opt->name != NULL; opt++) {
        VD_AUTO(buf) struct vd_buf range = {0};
        VD_AUTO(mem) char *def = format_default(opt, VD_DESCRIBE_MARKDOWN);
        bool is_quoted = opt->def != NULL && *opt->def != '\0';

        vd_opt_range(opt, &range);
        if (opt->is_secret) {
            vd_buf_add_text(&range, ", secret");
        }
        vd_buf_add_char(out, '|');
        add_cell(out, opt->name, "`");
        add_cell(out, def, is_quoted ? "`" : "");
        add_cell(out, vd_buf_text(&range), "");
        add_cell(out, opt->help != NULL ? opt->help : "", "");
        vd_buf_add_char(out, '\n');
    }
}

static void add_options(const struct vd_opt *opts, enum vd_describe_form form, struct vd_buf *out)
{
    if (opts == NULL || opts->name == NULL) {
        return;
    }
    vd_buf_add_char(out, '\n');
    if (form == VD_DESCRIBE_MARKDOWN) {
        add_options_markdown(opts, out);
    } else {
        add_options_text(opts, out);
    }
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* What a port's flags promise, in words: "optional, chained". */
static void add_flags(unsigned flags, struct vd_buf *out)
{
    static const struct {
        unsigned flag;
        const char *word;
    } words[] = {
        {VD_PORT_OPTIONAL, "optional"},           {VD_PORT_CHAINED, "chained"},
        {VD_PORT_COPARTITIONED, "copartitioned"}, {VD_PORT_PLAIN, "outside transactions"},
        {VD_PORT_REJECTED, "rejected records"},   {VD_PORT_FURTHER, "any number"},
    };
    bool is_first = true;

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if ((flags & words[i].flag) != 0) {
            vd_buf_printf(out, "%s%s", is_first ? "" : ", ", words[i].word);
            is_first = false;
        }
    }
    if (is_first) {
        vd_buf_add_char(out, '-');
    }
}

static void add_ports_text(const struct port_list *lists, size_t count, struct vd_buf *out)
{
    int width = 4;

    for (size_t i = 0; i < count; i++) {
        for (const struct vd_port *port = lists[i].ports; port != NULL && port->name != NULL;
             port++) {
            width = wider(width, port->name);
        }
    }
    width += (int)strlen("output."); /* the longest kind */
    vd_buf_printf(out, "\n  %-*s  KIND\n", width, "PORT");
    for (size_t i = 0; i < count; i++) {
        for (const struct vd_port *port = lists[i].ports; port != NULL && port->name != NULL;
             port++) {
            VD_AUTO(mem) char *key = vd_format("%s.%s", lists[i].kind, port->name);

            vd_buf_printf(out, "  %-*s  ", width, key);
            add_flags(port->flags, out);
            vd_buf_add_char(out, '\n');
            if (port->help != NULL) {
                add_wrapped(out, port->help, HELP_INDENT);
            }
        }
    }
}

static void add_ports_markdown(const struct port_list *lists, size_t count, struct vd_buf *out)
{
    vd_buf_add_text(out, "\n| port | kind | topic |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        for (const struct vd_port *port = lists[i].ports; port != NULL && port->name != NULL;
             port++) {
            VD_AUTO(mem) char *key = vd_format("%s.%s", lists[i].kind, port->name);
            VD_AUTO(buf) struct vd_buf flags = {0};

            add_flags(port->flags, &flags);
            vd_buf_add_char(out, '|');
            add_cell(out, key, "`");
            add_cell(out, vd_buf_text(&flags), "");
            add_cell(out, port->help != NULL ? port->help : "", "");
            vd_buf_add_char(out, '\n');
        }
    }
}

void vd_describe_stage(const struct vd_stage_desc *desc, enum vd_describe_form form,
                       struct vd_buf *out)
{
    const struct port_list lists[] = {
        {"input", desc->inputs},
        {"output", desc->outputs},
        {"table", desc->tables},
    };
    bool has_ports = false;

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        has_ports = has_ports || (lists[i].ports != NULL && lists[i].ports->name != NULL);
    }
    if (form == VD_DESCRIBE_MARKDOWN) {
        vd_buf_printf(out, "## Stage `%s`\n\n%s\n", desc->name, desc->summary);
    } else {
        vd_buf_printf(out, "stage %s\n", desc->name);
        add_wrapped(out, desc->summary, 2);
    }
    if (has_ports && form == VD_DESCRIBE_MARKDOWN) {
        add_ports_markdown(lists, sizeof(lists) / sizeof(*lists), out);
    } else if (has_ports) {
        add_ports_text(lists, sizeof(lists) / sizeof(*lists), out);
    }
    add_options(desc->opts, form, out);
}

/* ---- the engine ------------------------------------------------------------------------------ */

void vd_describe_engine(enum vd_describe_form form, struct vd_buf *out)
{
    static const struct {
        const char *section, *summary;
        const struct vd_opt *opts;
    } sections[] = {
        {"[votingd]", "the process", vd_daemon_opts},
        {"[kafka]",
         "the broker; keys that begin with client. go to librdkafka unchanged, as in "
         "client.compression.type = lz4",
         vd_kafka_opts},
        {"[postgres]", "the database of the stages that need one", vd_postgres_opts},
        {"[http]", "the server for metrics, health and the pages of stages", vd_web_opts},
        {"[topic:NAME]",
         "one topic; created at the start if it is missing, compared if it is there",
         vd_topic_opts},
        {"[stage:NAME]",
         "one stage; its ports are mapped with input.PORT, output.PORT and table.PORT = TOPIC, and "
         "its own options stand beside these",
         vd_stage_opts},
        {"[node:NAME]", "what runs on the node that was started with --node NAME", vd_node_opts},
    };

    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        if (i > 0) {
            vd_buf_add_char(out, '\n');
        }
        if (form == VD_DESCRIBE_MARKDOWN) {
            vd_buf_printf(out, "## `%s`\n\n%s\n", sections[i].section, sections[i].summary);
        } else {
            vd_buf_printf(out, "%s\n", sections[i].section);
            add_wrapped(out, sections[i].summary, 2);
        }
        add_options(sections[i].opts, form, out);
    }
}

/* ---- lists ----------------------------------------------------------------------------------- */

void vd_describe_list(struct vd_plugins *plugins, struct vd_buf *out)
{
    char **names = NULL;
    size_t count = vd_plugins_list(plugins, &names);
    int width = 0;

    if (count == 0) {
        vd_buf_add_text(out,
                        "no stage modules; set VOTINGD_PLUGINS or --plugin-path to their folder\n");
    }
    for (size_t i = 0; i < count; i++) {
        width = wider(width, names[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const struct vd_stage_desc *desc = NULL;
        struct vd_err err = {0};

        if (vd_plugins_find(plugins, names[i], &desc, &err) == VD_OK) {
            vd_buf_printf(out, "%-*s  %s\n", width, names[i], desc->summary);
        } else {
            vd_buf_printf(out, "%-*s  refused: %s\n", width, names[i], err.msg);
        }
        free(names[i]);
    }
    free(names);
}

/* Names of the topics behind the ports of one list; of tables their own names too, so that one
 * that a slip of the pen has added is seen. */
static void add_topics(struct vd_buf *out, struct vd_topic_conf *const *topics,
                       const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (topics[i] != NULL) {
            vd_buf_printf(out, "%s%s%s%s", out->len > 0 ? " " : "", names != NULL ? names[i] : "",
                          names != NULL ? "=" : "", topics[i]->name);
        }
    }
}

static void summarise_stage(const struct vd_stage_conf *conf, struct vd_buf *out)
{
    const struct {
        const char *verb;
        struct vd_topic_conf *const *topics;
        const char *const *names;
        size_t count;
    } lists[] = {
        {"reads", conf->inputs, NULL, vd_port_count(conf->desc->inputs)},
        {"follows", conf->tables, conf->table_names, conf->table_count},
        {"writes", conf->outputs, NULL, vd_port_count(conf->desc->outputs)},
    };

    vd_buf_printf(out, "\nstage %s", conf->name);
    if (strcmp(conf->name, conf->plugin) != 0) {
        vd_buf_printf(out, " (plugin %s)", conf->plugin);
    }
    vd_buf_add_char(out, '\n');
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        VD_AUTO(buf) struct vd_buf names = {0};
        VD_AUTO(buf) struct vd_buf wrapped = {0};

        add_topics(&names, lists[i].topics, lists[i].names, lists[i].count);
        if (names.len == 0) {
            continue;
        }
        add_wrapped(&wrapped, vd_buf_text(&names), 11);
        vd_buf_printf(out, "  %-7s  %s", lists[i].verb, vd_buf_text(&wrapped) + 11);
    }
    if (conf->dead_topic != NULL) {
        vd_buf_printf(out, "  %-7s  %s\n", "dead", conf->dead_topic->name);
    }
}

static void summarise_topics(const struct vd_topology *topology, struct vd_buf *out)
{
    int width = 5;

    for (size_t i = 0; i < topology->topic_count; i++) {
        width = wider(width, topology->topics[i]->name);
    }
    vd_buf_printf(out, "\n%-*s  PARTITIONS  CLEANUP\n", width, "TOPIC");
    for (size_t i = 0; i < topology->topic_count; i++) {
        const struct vd_topic_conf *topic = topology->topics[i];
        int64_t partitions = topic->partitions > 0 ? topic->partitions : topology->kafka.partitions;

        vd_buf_printf(out, "%-*s  %10lld  %s\n", width, topic->name, (long long)partitions,
                      topic->cleanup);
    }
}

void vd_topology_summarise(const struct vd_topology *topology, struct vd_buf *out)
{
    vd_buf_printf(out, "node %s of application %s: %zu stage%s, %zu topic%s\n", topology->node,
                  topology->daemon.application, topology->stage_count,
                  topology->stage_count == 1 ? "" : "s", topology->topic_count,
                  topology->topic_count == 1 ? "" : "s");
    for (size_t i = 0; i < topology->stage_count; i++) {
        summarise_stage(topology->stages[i], out);
    }
    for (size_t i = 0; i < topology->all_stage_count; i++) {
        if (!topology->all_stages[i]->enabled) {
            vd_buf_printf(out, "\nstage %s: does not run on this node\n",
                          topology->all_stages[i]->name);
        }
    }
    if (topology->topic_count > 0) {
        summarise_topics(topology, out);
    }
}
