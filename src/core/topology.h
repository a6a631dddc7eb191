/* The topology: an INI file checked against the option tables and the stages' descriptors. */
#ifndef VD_CORE_TOPOLOGY_H
#define VD_CORE_TOPOLOGY_H

#include <stdbool.h>

#include "ini_file.h"
#include "kafka.h"
#include "plugin.h"
#include "web_server.h"

/* Section [votingd]. */
struct vd_daemon_conf {
    char *application; /* prefix of group and transactional ids */
    char *plugin_path;
    char *log_level;          /* error|warn|info|debug */
    char *log_format;         /* text|json */
    int64_t drain_timeout_ms; /* SIGTERM to exit, at the latest */
    char *nodes_topic;        /* where every node says how it is; "": nowhere */
    int64_t nodes_ms;         /* between two records of a node */
};
extern const struct vd_opt vd_daemon_opts[];

/* Section [postgres]. */
struct vd_postgres_conf {
    char *conninfo; /* secret */
};
extern const struct vd_opt vd_postgres_opts[];

/* The engine's own options of a [stage:NAME] section. */
struct vd_stage_conf {
    char *name;   /* of the section; not an option */
    char *plugin; /* default: the section's name */
    bool enabled;
    char *dead; /* topic for dead letters; "" if the stage has no input */
    struct {
        int64_t records; /* most records of one batch */
        int64_t wait_ms; /* how long the oldest record waits for a full batch */
    } batch;
    struct {
        int64_t records, bytes; /* held in memory before partitions are paused */
    } buffer;
    struct {
        int64_t min_ms, max_ms; /* backoff between attempts */
    } retry;
    /* not options: */
    const struct vd_stage_desc *desc;
    struct vd_ini *ini;                                 /* for the stage's own options */
    struct vd_topic_conf **inputs, **outputs, **tables; /* by port index; NULL: not mapped */
    const char **table_names;                           /* borrowed; further ones at the end */
    size_t table_count;
    struct vd_topic_conf *dead_topic;
    const char *source; /* file and line of the section, for messages */
    int line;
};
extern const struct vd_opt vd_stage_opts[];

/* Section [node:NAME]. */
struct vd_node_conf {
    char *stages; /* names, separated by commas; "": all */
};
extern const struct vd_opt vd_node_opts[];

struct vd_topology {
    struct vd_ini ini;
    struct vd_daemon_conf daemon;
    struct vd_kafka_conf kafka;
    struct vd_postgres_conf postgres;
    struct vd_web_conf web;
    struct vd_topic_conf **topics; /* every topic that a port or dead of 'stages' names, and last
                                      the nodes topic, if there is one. Borrowed */
    size_t topic_count;
    struct vd_topic_conf *nodes_topic; /* written by the nodes themselves; NULL: none. Borrowed */
    struct vd_stage_conf **stages; /* in the file's order, those that run on this node. Borrowed */
    size_t stage_count;
    struct vd_topic_conf **all_topics; /* every one the file names. Owned */
    size_t all_topic_count;
    struct vd_stage_conf **all_stages; /* every [stage:NAME] of the file. Owned */
    size_t all_stage_count;
    char *node; /* name of this node */
    struct vd_plugins *plugins;
};

/* How many of 'topics' hold data: all but the nodes topic. */
static inline size_t vd_topology_data_topics(const struct vd_topology *topology)
{
    return topology->topic_count - (topology->nodes_topic != NULL ? 1 : 0);
}

/* What the command line adds. */
struct vd_topology_args {
    const char *path;
    const char *node; /* NULL: "main" */
    const char *const *set;
    size_t set_count;
    const char *const *enable;
    size_t enable_count;
    const char *const *disable;
    size_t disable_count;
};

/* Read, substitute and check everything without side effects, but for the modules of the stages,
 * which are loaded. Every fault, sorted by place, is given to 'on_error' as FILE:LINE:COLUMN:
 * message; the result then is VD_INVALID with their number in 'err'. Owns: the caller ends
 * 'topology' (zeroed before, not moved afterwards) with vd_topology_fini in every case. 'args' is
 * borrowed until this returns. */
typedef void vd_topology_error_fn(void *arg, const char *line);
enum vd_status vd_topology_load(struct vd_topology *topology, const struct vd_topology_args *args,
                                vd_topology_error_fn *on_error, void *arg,
                                struct vd_err *err) VD_MUST_CHECK;
void vd_topology_fini(struct vd_topology *topology);

/* Fill the zeroed 'state' of a stage with its own options from the topology.
 * Owns: the caller ends the texts with vd_opt_fini(conf->desc->opts, state),
 * also after a failure. */
enum vd_status vd_topology_stage_state(const struct vd_stage_conf *conf, void *state,
                                       struct vd_err *err) VD_MUST_CHECK;

/* What would run, for --check: node, stages with their topics, topics with their partitions. */
void vd_topology_summarise(const struct vd_topology *topology, struct vd_buf *out);

enum vd_describe_form {
    VD_DESCRIBE_TEXT,     /* aligned, for a terminal of 80 columns */
    VD_DESCRIBE_MARKDOWN, /* for docs/reference.md */
};

/* Options, ports, defaults and ranges of one stage, or of the engine's own sections. */
void vd_describe_stage(const struct vd_stage_desc *desc, enum vd_describe_form form,
                       struct vd_buf *out);
void vd_describe_engine(enum vd_describe_form form, struct vd_buf *out);

/* Name and summary of every module in the path; of one that is refused, the reason. */
void vd_describe_list(struct vd_plugins *plugins, struct vd_buf *out);

#endif
