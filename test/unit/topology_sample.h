/* Topologies written into a folder of their own, loaded, and compared with what is expected. */
#ifndef VD_TEST_UNIT_TOPOLOGY_SAMPLE_H
#define VD_TEST_UNIT_TOPOLOGY_SAMPLE_H

#include "buf.h"
#include "topology.h"

#define HEAD                           \
    "[votingd]\n"                      \
    "plugin_path = " TEST_MODULES "\n" \
    "[kafka]\n"                        \
    "brokers = localhost:9092\n"
#define TOPICS "[topic:in]\npartitions = 2\n[topic:out]\npartitions = 2\n[topic:lost]\n"
#define SOURCE "[stage:source]\noutput.results = in\n"
#define RELAY "[stage:relay]\ninput.records = in\noutput.results = out\ndead = lost\n"
#define FILE_NAME "t.ini"

/* One loaded topology. */
struct sample {
    struct vd_topology topology;
    struct vd_buf errors; /* every line */
    struct vd_err err;
    enum vd_status status;
};

/* Adds the line to a struct vd_buf. */
void sample_on_error(void *arg, const char *line);

/* Owns: the caller ends it with sample_fini. */
void sample_load(struct sample *sample, const char *text, struct vd_topology_args *args);
void sample_fini(struct sample *sample);

/* Loading 'text' must give just these errors. */
void expect_errors(const char *text, struct vd_topology_args *args, const char *errors);

struct wrong {
    const char *text; /* behind HEAD */
    const char *errors;
};

void expect_all(const struct wrong *cases, size_t count);

#define EXPECT_ALL(cases) expect_all(cases, sizeof(cases) / sizeof(*(cases)))

#endif
