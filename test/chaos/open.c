/* Comparing ends as readers of both kinds see them. */
#include "open.h"
#include "../wait.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ASK_MS 1000
#define STUCK_MS 60

struct open_probe {
    rd_kafka_t *readers[2]; /* of all records, of committed ones */
    rd_kafka_topic_partition_list_t *parts;
    int64_t *stable, *before; /* by partition; before: of the look before */
};

static rd_kafka_t *reader(const char *brokers, const char *isolation)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "isolation.level", isolation, text, sizeof(text));
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "500", text, sizeof(text));
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    return rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
}

struct open_probe *open_probe_new(const char *brokers, char *const *topics, int topic_count,
                                  int partitions)
{
    struct open_probe *probe = calloc(1, sizeof(*probe));

    probe->readers[0] = reader(brokers, "read_uncommitted");
    probe->readers[1] = reader(brokers, "read_committed");
    probe->parts = rd_kafka_topic_partition_list_new(topic_count * partitions);
    for (int t = 0; t < topic_count; t++) {
        for (int p = 0; p < partitions; p++) {
            rd_kafka_topic_partition_list_add(probe->parts, topics[t], p);
        }
    }
    probe->stable = calloc((size_t)probe->parts->cnt, sizeof(*probe->stable));
    probe->before = calloc((size_t)probe->parts->cnt, sizeof(*probe->before));
    return probe;
}

void open_probe_free(struct open_probe *probe)
{
    rd_kafka_topic_partition_list_destroy(probe->parts);
    rd_kafka_destroy(probe->readers[0]);
    rd_kafka_destroy(probe->readers[1]);
    free(probe->stable);
    free(probe->before);
    free(probe);
}

static bool ask(struct open_probe *probe, int which)
{
    for (int i = 0; i < probe->parts->cnt; i++) {
        probe->parts->elems[i].offset = RD_KAFKA_OFFSET_END;
    }
    return rd_kafka_offsets_for_times(probe->readers[which], probe->parts, ASK_MS) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The stable end is asked first, so that one that moves in between may only look open. 'is_same':
 * count only those that have not moved since the last look. */
static int count_open(struct open_probe *probe, bool is_same)
{
    int64_t *kept = probe->before;
    int open = 0;

    probe->before = probe->stable;
    probe->stable = kept;
    if (!ask(probe, 1)) {
        return 0;
    }
    for (int i = 0; i < probe->parts->cnt; i++) {
        probe->stable[i] = probe->parts->elems[i].offset;
    }
    if (!ask(probe, 0)) {
        return 0;
    }
    for (int i = 0; i < probe->parts->cnt; i++) {
        if (probe->stable[i] < probe->parts->elems[i].offset &&
            (!is_same || probe->stable[i] == probe->before[i])) {
            open++;
        }
    }
    return open;
}

bool open_probe_wait(struct open_probe *probe, int timeout_ms)
{
    int64_t deadline_ms = now_ms() + timeout_ms;

    while (count_open(probe, false) == 0) {
        if (now_ms() > deadline_ms) {
            return false;
        }
    }
    return true;
}

bool open_probe_is_stuck(struct open_probe *probe)
{
    if (count_open(probe, false) == 0) {
        return false;
    }
    pause_ms(STUCK_MS);
    return count_open(probe, true) > 0;
}
