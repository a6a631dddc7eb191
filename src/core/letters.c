/* --dead-letters: from the topology to the topics that hold letters, and one action on them. */
#include "letters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "letters_inside.h"
#include "node.h"

enum vd_status vd_letters_put(const struct vd_buf *text, struct vd_err *err)
{
    if (text->len > 0 &&
        (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) == EOF)) {
        return vd_fail(err, VD_FAILED, "could not write: %s", strerror(errno));
    }
    return VD_OK;
}

/* ---- which topics ---------------------------------------------------------------------------- */

static void add_box(struct vd_letters *letters, const struct vd_letters_box *box)
{
    for (size_t i = 0; i < letters->box_count; i++) {
        if (letters->boxes[i].topic == box->topic) {
            return;
        }
    }
    letters->boxes = vd_realloc(letters->boxes, (letters->box_count + 1) * sizeof(*letters->boxes));
    letters->boxes[letters->box_count++] = *box;
}

/* Every topic that a stage sets records aside in, once. */
static void find_boxes(struct vd_letters *letters)
{
    const struct vd_topology *topology = letters->topology;

    for (size_t i = 0; i < topology->all_stage_count; i++) {
        const struct vd_stage_conf *conf = topology->all_stages[i];
        const struct vd_port *outputs = conf->desc->outputs;

        if (conf->dead_topic != NULL) {
            add_box(letters,
                    &(struct vd_letters_box){.topic = conf->dead_topic, .stage = conf->name});
        }
        for (size_t n = 0; n < vd_port_count(outputs); n++) {
            if ((outputs[n].flags & VD_PORT_REJECTED) != 0 && conf->outputs[n] != NULL) {
                add_box(letters, &(struct vd_letters_box){.topic = conf->outputs[n],
                                                          .stage = conf->name,
                                                          .is_rejected = true});
            }
        }
    }
}

/* Replay and purge take rejected records only if they are named: those are verdicts, which another
 * try does not change. */
static bool is_meant(const struct vd_letters_filter *filter, const struct vd_letters_box *box)
{
    const char *topic = filter->conf->topic;
    bool is_change = filter->action == VD_LETTERS_REPLAY || filter->action == VD_LETTERS_PURGE;

    return *topic != '\0' ? strcmp(topic, box->topic->name) == 0 : !(is_change && box->is_rejected);
}

static void choose_boxes(struct vd_letters *letters)
{
    size_t count = 0;

    for (size_t i = 0; i < letters->box_count; i++) {
        if (is_meant(&letters->filter, &letters->boxes[i])) {
            letters->boxes[count++] = letters->boxes[i];
        }
    }
    letters->box_count = count;
}

/* ---- names that the command line gives ------------------------------------------------------- */

static enum vd_status check_name(const char *name, const char *const *names, size_t count,
                                 const char *complaint, struct vd_err *err)
{
    const char *nearest = vd_nearest(name, names, count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return VD_OK;
        }
    }
    if (*name == '\0') {
        return VD_OK; /* not given */
    }
    if (nearest != NULL) {
        return vd_fail(err, VD_INVALID, "%s \"%s\"; did you mean \"%s\"?", complaint, name,
                       nearest);
    }
    return vd_fail(err, VD_INVALID, "%s \"%s\"", complaint, name);
}

static enum vd_status check_names(const struct vd_letters *letters, struct vd_err *err)
{
    const struct vd_topology *topology = letters->topology;
    const struct vd_letters_conf *conf = letters->filter.conf;
    size_t most = topology->all_stage_count + letters->box_count;
    const char **names = vd_alloc_array(most + 1, sizeof(*names));
    enum vd_status status;

    for (size_t i = 0; i < topology->all_stage_count; i++) {
        names[i] = topology->all_stages[i]->name;
    }
    status = check_name(conf->stage, names, topology->all_stage_count, "--stage: no stage", err);
    for (size_t i = 0; i < letters->box_count; i++) {
        names[i] = letters->boxes[i].topic->name;
    }
    if (status == VD_OK) {
        status = check_name(conf->topic, names, letters->box_count,
                            "--topic: no stage sets records aside in", err);
    }
    free(names);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void open_kafka(struct vd_letters *letters)
{
    vd_loop_init(&letters->loop);
    letters->metrics = vd_metrics_new();
    letters->log = vd_log_new("dead-letters");
    letters->kafka =
        vd_kafka_new(&letters->loop, &letters->topology->kafka, letters->log, letters->metrics);
}

static void close_kafka(struct vd_letters *letters)
{
    vd_scan_client_free(letters->rk);
    vd_kafka_free(letters->kafka);
    vd_log_free(letters->log);
    vd_metrics_free(letters->metrics);
    vd_loop_fini(&letters->loop);
}

/* With 'earliest', what retention takes away meanwhile ends nothing. */
static bool open_client(struct vd_letters *letters, struct vd_err *err)
{
    letters->rk = vd_scan_client(letters->kafka, "earliest", err);
    return letters->rk != NULL;
}

static int act(struct vd_letters *letters, struct vd_err *err)
{
    static int (*const actions[])(struct vd_letters * letters, struct vd_err * err) = {
        [VD_LETTERS_LIST] = vd_letters_list,
        [VD_LETTERS_SHOW] = vd_letters_show,
        [VD_LETTERS_REPLAY] = vd_letters_replay,
        [VD_LETTERS_PURGE] = vd_letters_purge,
    };

    if (vd_topics_look(letters->kafka, letters->topology->all_topics,
                       letters->topology->all_topic_count, VD_LETTERS_TIMEOUT_MS, err) != VD_OK ||
        !open_client(letters, err)) {
        return VD_EXIT_FAILURE;
    }
    return actions[letters->filter.action](letters, err);
}

int vd_letters_run(struct vd_topology *topology, const struct vd_letters_conf *conf)
{
    struct vd_letters letters = {.topology = topology};
    struct vd_err err = {0};
    int code = VD_EXIT_USAGE;

    vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT); /* what fails is told once, by us */
    if (vd_letters_filter_parse(conf, vd_wall_ms(), &letters.filter, &err) == VD_OK) {
        find_boxes(&letters);
        if (check_names(&letters, &err) == VD_OK) {
            choose_boxes(&letters);
            open_kafka(&letters);
            code = act(&letters, &err);
            close_kafka(&letters);
        }
    }
    if (err.msg[0] != '\0' && code != VD_EXIT_OK) {
        (void)fprintf(stderr, "votingd: %s\n", err.msg); /* there is nowhere else to say it */
    }
    free(letters.boxes);
    return code;
}
