/* agg_partials, read from its description: big-endian, the first byte of key and value a version 1.
 *   key    version, kind (1 TOTAL, 3 META), partition u32; of a TOTAL also the group-by (length u8,
 *          bytes) and its keys (length u16, bytes each)
 *   TOTAL  version, count u64, ...
 *   META   version, next offset i64, generation i16, offset i64, votes u64, event time i64, idle
 * u8, watermark i64, commits u64, rebuilds u32, checksum u64, ... A record that cannot be read is
 * explained, and missing where it should have counted. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"

#define VERSION 1
#define KIND_TOTAL 1
#define KIND_META 3
#define KEY_BYTES 6
#define KEY_BYTES_MAX 4096
#define META_BYTES 64 /* up to the checksum's end */
#define META_VERSION_MAX 2

struct total {
    char *group, *key; /* "state_candidate", "Ohio/c1" */
    int32_t partition;
    int64_t count;
};

struct meta {
    int64_t next_offset, votes, watermark;
    uint64_t checksum;
    bool is_known;
    int64_t falls; /* METAs with an earlier watermark than the one before */
};

struct partials {
    struct audit *audit;
    struct names keys; /* the key's bytes, in hexadecimal digits */
    struct total *totals;
    size_t cap;
    struct meta metas[PARTITIONS_MAX];
};

/* ---- SipHash-2-4 under the key 0 (Aumasson, Bernstein 2012) ---------------------------------- */

static uint64_t turn(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turn(v[1], 13) ^ v[0];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] = turn(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = turn(v[1], 17) ^ v[2];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] = turn(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t sip_hash(const unsigned char *bytes, size_t len)
{
    uint64_t v[4] = {UINT64_C(0x736f6d6570736575), UINT64_C(0x646f72616e646f6d),
                     UINT64_C(0x6c7967656e657261), UINT64_C(0x7465646279746573)};
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)bytes[i] << 8 * (i % 8);
        if (i % 8 == 7) {
            sip_word(v, word);
            word = 0;
        }
    }
    sip_word(v, word | (uint64_t)len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t audit_vote_hash(const char *voter, const char *candidate)
{
    unsigned char bytes[1024];
    size_t voter_len = strnlen(voter, 500);
    size_t candidate_len = strnlen(candidate, 500);

    memcpy(bytes, voter, voter_len);
    bytes[voter_len] = '\0';
    memcpy(bytes + voter_len + 1, candidate, candidate_len);
    return sip_hash(bytes, voter_len + 1 + candidate_len);
}

/* ---- reading --------------------------------------------------------------------------------- */

static uint64_t number_at(const char *bytes, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++) {
        value = value << 8 | (unsigned char)bytes[i];
    }
    return value;
}

static struct total *total_of(struct partials *partials, const struct record *record)
{
    char text[2 * KEY_BYTES_MAX + 1];
    size_t number;

    for (size_t i = 0; i < record->key_len; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", (unsigned char)record->key[i]);
    }
    number = names_add(&partials->keys, text);
    if (number >= partials->cap) {
        size_t cap = partials->cap == 0 ? 256 : 2 * partials->cap;

        partials->totals = realloc(partials->totals, cap * sizeof(*partials->totals));
        memset(partials->totals + partials->cap, 0, (cap - partials->cap) * sizeof(struct total));
        partials->cap = cap;
    }
    return &partials->totals[number];
}

/* Take group-by and keys out of a TOTAL's key: 'left' bytes from 'at' on. */
static bool read_names(struct total *total, const char *at, size_t left)
{
    char key[KEY_BYTES_MAX];
    size_t len = 0;
    size_t group_len = left > 0 ? (unsigned char)at[0] : 0;

    if (left < 1 + group_len) {
        return false;
    }
    total->group = strndup(at + 1, group_len);
    at += 1 + group_len;
    left -= 1 + group_len;
    while (left >= 2) {
        size_t text_len = (size_t)number_at(at, 2);

        if (left < 2 + text_len) {
            return false;
        }
        len += (size_t)snprintf(key + len, sizeof(key) - len, "%s%.*s", len > 0 ? "/" : "",
                                (int)text_len, at + 2);
        at += 2 + text_len;
        left -= 2 + text_len;
    }
    key[len] = '\0';
    total->key = strdup(key);
    return left == 0;
}

static bool read_total(struct partials *partials, const struct record *record)
{
    struct total *total = total_of(partials, record);

    if (total->group == NULL &&
        !read_names(total, record->key + KEY_BYTES, record->key_len - KEY_BYTES)) {
        return false;
    }
    total->partition = record->partition;
    total->count = 0; /* of one that was deleted */
    if (record->value == NULL) {
        return true;
    }
    if (record->value_len < 9 || record->value[0] != VERSION) {
        return false;
    }
    total->count = (int64_t)number_at(record->value + 1, 8);
    return true;
}

static bool read_meta(struct meta *meta, const struct record *record)
{
    const struct meta before = *meta;

    /* One that cannot be read counts nothing, nor does the one before it. */
    *meta = (struct meta){
        .watermark = before.watermark, .is_known = before.is_known, .falls = before.falls};
    if (record->value == NULL || record->value_len < META_BYTES || record->value[0] < VERSION ||
        record->value[0] > META_VERSION_MAX) {
        return false;
    }
    meta->next_offset = (int64_t)number_at(record->value + 1, 8);
    meta->votes = (int64_t)number_at(record->value + 19, 8);
    meta->watermark = (int64_t)number_at(record->value + 36, 8);
    meta->checksum = number_at(record->value + 56, 8);
    meta->falls += before.is_known && meta->watermark < before.watermark;
    meta->is_known = true;
    return true;
}

static void on_partial(void *arg, const struct record *record)
{
    struct partials *partials = arg;
    const char *key = record->key;
    bool is_ours = key != NULL && record->key_len >= KEY_BYTES &&
                   record->key_len <= KEY_BYTES_MAX && key[0] == VERSION &&
                   number_at(key + 2, 4) == (uint64_t)record->partition;

    if (is_ours && key[1] == KIND_TOTAL) {
        is_ours = read_total(partials, record);
    } else if (is_ours && key[1] == KIND_META) {
        is_ours = read_meta(&partials->metas[record->partition], record);
    } else {
        is_ours = false;
    }
    if (!is_ours) {
        audit_explain(partials->audit, "agg_partials [%d] %" PRId64 " is no partial",
                      record->partition, record->offset);
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void check_metas(struct audit *audit, const struct partials *partials)
{
    for (int p = 0; p < audit->part_count; p++) {
        const struct part *part = &audit->parts[p];
        const struct meta *meta = &partials->metas[p];

        audit_report(audit, meta->votes, part->votes, "3 partition %d: votes in META, votes_topic",
                     p);
        audit_report(audit, meta->next_offset, part->votes_end,
                     "3 partition %d: next offset in META, end of votes_topic", p);
        audit_report(audit, (int64_t)meta->checksum, (int64_t)part->checksum,
                     "3 partition %d: checksum in META, of votes_topic", p);
        audit_report(audit, meta->falls, 0, "3 partition %d: watermarks that go back", p);
    }
}

/* In each partition and group-by the totals add up to META's votes. */
static void check_sums(struct audit *audit, const struct partials *partials)
{
    static int64_t sums[PARTITIONS_MAX];
    struct names groups = {0};
    int64_t all = 0;
    int64_t equal = 0;

    for (size_t i = 0; i < partials->keys.count; i++) {
        (void)names_add(&groups, partials->totals[i].group);
    }
    for (size_t g = 0; g < groups.count; g++) {
        memset(sums, 0, sizeof(sums));
        for (size_t i = 0; i < partials->keys.count; i++) {
            if (strcmp(partials->totals[i].group, groups.texts[g]) == 0) {
                sums[partials->totals[i].partition] += partials->totals[i].count;
            }
        }
        for (int p = 0; p < audit->part_count; p++) {
            all++;
            equal += sums[p] == partials->metas[p].votes;
            if (sums[p] != partials->metas[p].votes) {
                audit_explain(audit, "partition %d, totals by %s: %" PRId64 ", META: %" PRId64, p,
                              groups.texts[g], sums[p], partials->metas[p].votes);
            }
        }
    }
    audit_report(audit, all, equal, "3 sums of totals by partition and group-by, as META's votes");
    names_fini(&groups);
}

void audit_check_partials(struct audit *audit)
{
    static struct partials partials;
    int64_t known = 0;

    partials.audit = audit;
    records_each(audit->brokers, audit_topic(audit, "agg_partials"), on_partial, &partials);
    check_metas(audit, &partials);
    check_sums(audit, &partials);
    for (size_t i = 0; i < partials.keys.count; i++) {
        const struct total *total = &partials.totals[i];

        known += audit_add_partial(audit, total->group, total->key, total->count);
        free(total->group);
        free(total->key);
    }
    audit_report(audit, (int64_t)partials.keys.count, known, "3 totals, of a group-by we know");
    names_fini(&partials.keys);
    free(partials.totals);
}
