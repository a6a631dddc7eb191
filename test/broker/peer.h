/* Another program at the broker, for tests: librdkafka without any of votingd's code. */
#ifndef VD_TEST_BROKER_PEER_H
#define VD_TEST_BROKER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_record {
    char *key, *value; /* owned, zero-terminated; NULL: none */
    size_t key_len, value_len;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* since 1970 */
    uint8_t source[64];   /* header vd-src */
    size_t source_len;
    char reason[256]; /* header vd-reason, "" if none */
};

struct peer_log {
    struct peer_record *records;
    size_t count;
};

/* Brokers of the environment, or NULL: then the test is skipped. */
const char *peer_brokers(void);

/* A name that no other run uses. Owns: the caller frees it. */
char *peer_name(const char *stem);

/* Send one record, uncompressed; peer_flush waits for all of them. */
void peer_send(const char *topic, int32_t partition, const char *key, const char *value);
void peer_flush(void);

/* The same with a header vd-src of these bytes, without a key. */
void peer_send_source(const char *topic, int32_t partition, const char *value, const void *source,
                      size_t len);

/* The same with all that a record has but offset, time and reason. */
void peer_send_record(const char *topic, const struct peer_record *record);

/* Delete what stands before an offset of a partition, as retention does. */
void peer_delete_before(const char *topic, int32_t partition, int64_t offset);

/* A transaction with so many records, which are at the broker, left open. Owns: the caller ends it
 * with peer_transaction_abort. */
struct peer_transaction;
struct peer_transaction *peer_transaction_open(const char *topic, int32_t partition, int count);
void peer_transaction_abort(struct peer_transaction *transaction);

/* Send so many records without a header in one transaction, and abort it. */
void peer_abort(const char *topic, int32_t partition, int count);

/* The committed offset of a group; -1: none. 'note' takes its metadata, or is NULL. */
#define PEER_NOTE_BYTES 128
int64_t peer_committed(const char *group, const char *topic, int32_t partition,
                       char note[PEER_NOTE_BYTES]);

/* Set it by hand, with 'note' as metadata or without (NULL), whoever is in the group. */
void peer_commit(const char *group, const char *topic, int32_t partition, int64_t offset,
                 const char *note);

/* Delete it; waits until the sessions of its members are over. */
void peer_uncommit(const char *group, const char *topic, int32_t partition);
/* The same with headers of any names, and a key. */
struct peer_header {
    const char *name; /* NULL ends the list */
    const void *bytes;
    size_t len;
};
void peer_send_headers(const char *topic, int32_t partition, const char *key, const char *value,
                       const struct peer_header *list);

/* Delete the topic and make it anew, empty. */
void peer_recreate(const char *topic, int partitions);

/* Ask that topics be deleted, and wait for no more than the broker's word, nor for long: a broker
 * that is away leaves them. */
void peer_delete_topics(char *const *topics, size_t count);

/* Take a transactional.id from whoever uses it. */
void peer_fence(const char *transactional_id);

/* Every record of the topic from its beginning to its present end, by partition, then offset.
 * 'committed_only': waits, for 20 s at most, until all transactions are over that were open then.
 */
struct peer_log peer_read(const char *topic, bool committed_only);
void peer_log_free(struct peer_log *log);

/* How far a topic is written, all partitions together: uncommitted records and markers count. */
struct peer_watch;
struct peer_watch *peer_watch_new(const char *topic);
int64_t peer_watch_written(struct peer_watch *watch);
void peer_watch_free(struct peer_watch *watch);

#endif
