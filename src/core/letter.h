/* A letter: a record that a stage has set aside, as a dead letter or as a rejected record, and what
 * its headers say. docs/dead-letters.md tells the same to those who read such topics.
 *
 * A letter has key, value and timestamp of the record that it is made of. First come our headers,
 * in text but for the first:
 *
 *   vd-src       where the record stands (record.h); absent if it came from no topic
 *   vd-stage     the stage that set it aside, by the name of its section
 *   vd-node      the node where that happened
 *   vd-topic     the record's topic; absent if it came from none
 *   vd-reason    why, at most 1023 bytes
 *   vd-attempts  how often the stage was offered the record
 *   vd-time      when it was set aside, in milliseconds since 1970 UTC
 *   vd-cut       size of a record that was too large to be kept in full, in bytes: the letter then
 *                has no value, none of the record's own headers, and only a short key
 *
 * Then come the record's own headers, in their order. Names that begin with "vd-" are ours, so the
 * record's "vd-X" stands as "vd-orig-X", and its "vd-orig-X" as "vd-orig-orig-X".
 *
 * A record that was replayed has its own headers as they were, with two differences. It has no
 * vd-src: that is the position of the record it repeats, which the stage is past; its own offset
 * stands for it. And it has
 *
 *   vd-replay    "STAGE OFFSET": only this stage takes the record, all others pass it by, for they
 *                had the one at OFFSET of the same partition, which it stands for
 *
 * The transaction that writes it also writes a receipt behind the letter, in the same partition: a
 * record without key and value, with vd-time and
 *
 *   vd-receipt   offset of the letter that was replayed
 *
 * A receipt always stands behind its letter, so whatever deletes old records deletes the letter
 * first: none is ever replayed a second time because its receipt is gone. */
#ifndef VD_CORE_LETTER_H
#define VD_CORE_LETTER_H

#include <librdkafka/rdkafka.h>

#include "buf.h"
#include "record.h"

#define VD_LETTER_STAGE "vd-stage"
#define VD_LETTER_NODE "vd-node"
#define VD_LETTER_TOPIC "vd-topic"
#define VD_LETTER_REASON "vd-reason"
#define VD_LETTER_ATTEMPTS "vd-attempts"
#define VD_LETTER_TIME "vd-time"
#define VD_LETTER_CUT "vd-cut"
#define VD_LETTER_REPLAY "vd-replay"
#define VD_LETTER_RECEIPT "vd-receipt"

#define VD_LETTER_OWN_BYTES 4096   /* room for our headers in a letter */
#define VD_LETTER_HEADERS_MAX 1000 /* of the record; with more it is cut */
#define VD_LETTER_CUT_KEY_BYTES 1024
#define VD_LETTER_REASON_BYTES (VD_ERR_MSG_BYTES - 1)

/* A letter as it was read. All is borrowed from the message; texts end in a zero, NULL: absent. */
struct vd_letter {
    const char *topic;                 /* where it stands, with partition and offset of 'record' */
    struct vd_record record;           /* its position is that of the record set aside */
    const rd_kafka_headers_t *headers; /* NULL: none */
    const char *stage, *node;
    const char *from;          /* vd-topic */
    const char *reason;        /* may hold anything, like all that is read */
    int64_t attempts, time_ms; /* -1: not said */
    int64_t cut_bytes;         /* -1: it is whole */
    int64_t stands_for; /* OFFSET of the record's own vd-replay: it was a replay and has been set
                           aside again; VD_NO_OFFSET: it was none */
    int64_t receipt_of; /* of a receipt; VD_NO_OFFSET: it is a letter */
};

/* Never fails: headers of another form than ours count as absent. */
void vd_letter_read(const rd_kafka_message_t *message, struct vd_letter *letter);

/* The same of headers, which may be NULL; 'letter->record' is set already, without position. */
void vd_letter_read_headers(const rd_kafka_headers_t *headers, struct vd_letter *letter);

/* Append the name under which a letter keeps a record's header. */
void vd_letter_keep_name(const char *name, struct vd_buf *out);

/* Append the record's name of a letter's header. Returns: false for one of our own headers. */
bool vd_letter_give_name(const char *name, struct vd_buf *out);

/* Append the value of vd-replay. */
void vd_letter_add_replay(const char *stage, int64_t offset, struct vd_buf *out);

/* OFFSET of a record's vd-replay; VD_NO_OFFSET: it is no replay. */
int64_t vd_letter_replay_of(const rd_kafka_headers_t *headers);

/* Whether a stage shall take a record: neither a receipt nor another stage's replay.
 * Fails: VD_INVALID where vd-replay is not of our form. */
enum vd_status vd_letter_route(const rd_kafka_headers_t *headers, const char *stage, bool *is_ours,
                               struct vd_err *err) VD_MUST_CHECK;

#endif
