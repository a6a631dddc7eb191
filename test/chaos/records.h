/* Topics as the checker reads them: librdkafka without any of votingd's code. */
#ifndef VD_TEST_CHAOS_RECORDS_H
#define VD_TEST_CHAOS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARTITIONS_MAX 256
#define NO_OFFSET ((int64_t)-1)

/* Borrowed: valid during the call. */
struct record {
    const char *key; /* NULL: none; not zero-terminated */
    size_t key_len;
    const char *value; /* NULL: none; not zero-terminated */
    size_t value_len;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* since 1970 */
    bool has_source;      /* a readable header vd-src, and then: */
    int32_t source_partition;
    int64_t source_offset;
    int64_t source_previous; /* NO_OFFSET: none */
};

typedef void record_fn(void *arg, const struct record *record);

/* How many partitions a topic has; the program ends with exit code 2 if that cannot be known, as it
 * does in all that follows. */
int records_partitions(const char *brokers, const char *topic);

/* Every record of a topic, committed ones only, each partition in order. */
void records_each(const char *brokers, const char *topic, record_fn *on_record, void *arg);

/* The end of every partition: of what is written, or of what a reader of committed records may see
 * (the last stable offset). Returns: the number of partitions. */
int records_ends(const char *brokers, const char *topic, bool is_stable,
                 int64_t ends[PARTITIONS_MAX]);

#endif
