/* What the parts of topology loading share; core only. */
#ifndef VD_CORE_TOPOLOGY_LOAD_H
#define VD_CORE_TOPOLOGY_LOAD_H

#include "topology.h"

enum vd_use_kind {
    VD_USE_INPUT,
    VD_USE_OUTPUT,
    VD_USE_TABLE,
    VD_USE_DEAD,
};

/* One mention of a topic in a stage's section. */
struct vd_use {
    enum vd_use_kind kind;
    const struct vd_ini_entry *entry; /* "input.voters = voters_topic" */
    const char *stage;
    const char *port; /* "voters"; of a dead-letter topic "dead" */
    struct vd_topic_conf *topic;
};

struct vd_fault {
    const char *source;
    int line, column;
    size_t order;
    bool is_form; /* the line itself could not be understood: what follows from it is not said */
    char *text;
};

/* One loading of a topology, while it lasts. */
struct vd_load {
    struct vd_topology *topology;
    const struct vd_topology_args *args;
    struct vd_ini_entry top; /* the file's first byte: where nothing better is known */
    struct vd_fault *faults;
    size_t fault_count;
    bool has_form_faults; /* lines are missing: do not complain of what is absent */
    struct vd_use *uses;
    size_t use_count;
    const struct vd_topic_conf **doubtful; /* their sections have faults: do not reason from them */
    size_t doubtful_count;
};

/* ---- topology.c ------------------------------------------------------------------------------ */

/* Add a fault at the key or at the value of an entry; 'at' may be a header,
 * or NULL for the file. */
void vd_load_fault(struct vd_load *load, const struct vd_ini_entry *at, const char *format, ...)
    VD_PRINTF(3, 4);
void vd_load_fault_value(struct vd_load *load, const struct vd_ini_entry *at, const char *format,
                         ...) VD_PRINTF(3, 4);

/* "; did you mean "NAME"?", or "". Owns: the caller frees it. */
char *vd_load_remedy(const char *name, const char *const *candidates, size_t count);

/* A name of 1 to 'max' letters, digits, '_', '-' and what else is 'allowed'. */
bool vd_load_is_name(const char *name, const char *allowed, size_t max);

/* 'value' with the folders of this installation for @PLUGINDIR@ and @DATADIR@.
 * The caller frees it. */
char *vd_load_place_folders(const char *value);

/* Give every option of the table its default, texts without one "", with the folders put in. */
void vd_load_defaults(const struct vd_opt *opts, void *target);

/* Parse an entry into 'target', with the folders put in; a fault is reported with 'context' before
 * it. The option exists. */
void vd_load_set(struct vd_load *load, const struct vd_ini_entry *entry, const struct vd_opt *opts,
                 void *target, const char *context);

/* Report the options without default that the section does not set. */
void vd_load_required(struct vd_load *load, const char *section, const struct vd_opt *opts,
                      const char *context);

/* Defaults, values and faults of a whole section whose keys are the options of one table. */
void vd_load_section(struct vd_load *load, const char *section, const struct vd_opt *opts,
                     void *target, const char *context);

/* ---- topology_stage.c ------------------------------------------------------------------------ */

/* Read every [stage:NAME] section. */
void vd_load_stages(struct vd_load *load);

/* ---- topology_topic.c ------------------------------------------------------------------------ */

/* Read every [topic:NAME] section. */
void vd_load_topics(struct vd_load *load);

/* The nodes topic, declared or not. */
void vd_load_nodes_topic(struct vd_load *load);

/* The topic that an entry of a stage names; its mention is noted. NULL: the name is wrong, which
 * was reported. Owns: the topology. */
struct vd_topic_conf *vd_load_use(struct vd_load *load, const struct vd_use *use);

/* Compare what the stages write, read and follow with each other and with the topics. */
void vd_load_check_topics(struct vd_load *load);

/* ---- topology_node.c ------------------------------------------------------------------------- */

/* Read every [node:NAME] section and choose the stages that run here, and their topics. */
void vd_load_nodes(struct vd_load *load);

#endif
