/* What votes are counted by. To add a group-by, add a line to AGG_GROUPS: its output, its table,
 * its dimension in the partials and its public records all follow from there. */
#ifndef VD_AGGREGATION_GROUPS_H
#define VD_AGGREGATION_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

/* The members of a vote that are looked at. */
enum agg_field {
    AGG_VOTER_ID,
    AGG_CANDIDATE_ID,
    AGG_CANDIDATE_NAME,
    AGG_PARTY,
    AGG_PHOTO_URL,
    AGG_STATE,
    AGG_CITY,
    AGG_AGE,
    AGG_GENDER,
    AGG_VOTE,
    AGG_VOTING_TIME,
    AGG_FIELDS,
};

/* How a member's value follows from its field. */
enum agg_kind {
    AGG_TEXT,      /* a string; another type or an empty one is none */
    AGG_INTEGER,   /* a whole number */
    AGG_AGE_GROUP, /* "18-24" of an age */
};

/* One member of a group's public record: of its key, or an attribute that follows from the key. */
struct agg_member {
    const char *name;
    enum agg_field field;
    enum agg_kind kind;
    bool is_key;
};

#define AGG_MEMBERS_MAX 4

struct agg_group {
    const char *name;  /* of its ports, and of the dimension: a name keeps its meaning for ever */
    const char *count; /* name of the public count */
    struct agg_member members[AGG_MEMBERS_MAX + 1]; /* keys first; ended by a NULL name */
};

#define AGG_KEY(name, field, kind) \
    {                              \
#name, field, kind, true   \
    }
#define AGG_ALSO(name, field)         \
    {                                 \
#name, field, AGG_TEXT, false \
    }

/* GROUP(name, port flags, count, help, members): the public topics are those of the reference
 * system, and a few more. */
#define AGG_GROUPS(GROUP)                                                                       \
    GROUP(candidate, 0, "total_votes", "votes per candidate",                                   \
          AGG_KEY(candidate_id, AGG_CANDIDATE_ID, AGG_TEXT),                                    \
          AGG_ALSO(candidate_name, AGG_CANDIDATE_NAME), AGG_ALSO(party_affiliation, AGG_PARTY), \
          AGG_ALSO(photo_url, AGG_PHOTO_URL))                                                   \
    GROUP(state, 0, "count", "turnout per state", AGG_KEY(state, AGG_STATE, AGG_TEXT))          \
    GROUP(age, VD_PORT_OPTIONAL, "total_votes", "turnout per year of age",                      \
          AGG_KEY(registered_age, AGG_AGE, AGG_INTEGER))                                        \
    GROUP(age_group, VD_PORT_OPTIONAL, "total_votes", "turnout per group of ages",              \
          AGG_KEY(age_group, AGG_AGE, AGG_AGE_GROUP))                                           \
    GROUP(gender, VD_PORT_OPTIONAL, "total_votes", "turnout per gender",                        \
          AGG_KEY(gender, AGG_GENDER, AGG_TEXT))                                                \
    GROUP(party, VD_PORT_OPTIONAL, "total_votes", "votes per party",                            \
          AGG_KEY(party_affiliation, AGG_PARTY, AGG_TEXT))                                      \
    GROUP(city, VD_PORT_OPTIONAL, "total_votes", "turnout per city",                            \
          AGG_KEY(city, AGG_CITY, AGG_TEXT))                                                    \
    GROUP(state_candidate, VD_PORT_OPTIONAL, "total_votes", "votes per state and candidate",    \
          AGG_KEY(state, AGG_STATE, AGG_TEXT), AGG_KEY(candidate_id, AGG_CANDIDATE_ID, AGG_TEXT))

#define AGG_GROUP_COUNTED(...) +1
#define AGG_GROUP_COUNT (0 AGG_GROUPS(AGG_GROUP_COUNTED))

extern const struct agg_group agg_groups[AGG_GROUP_COUNT];

/* The group named so, or AGG_GROUP_COUNT. */
size_t agg_group_find(const char *name, size_t len);

/* Texts in a row, in the partials and in memory: length u16 big-endian and bytes each; an empty one
 * stands for none. */
#define AGG_KEY_BYTES_MAX 1024
#define AGG_ATTRIBUTE_BYTES_MAX 65535

/* The largest record, key and value: a candidate's public total, each byte of its texts escaped
 * ("\u0001"). Whether a vote counts follows from the vote alone, so what it counts in always fits:
 * the topology is checked for room. */
#define AGG_RECORD_BYTES_MAX 800000

/* Cut the next text off; false at the end, or where the bytes are no texts. */
bool agg_texts_next(const char **at, size_t *left, const char **text, size_t *len);

/* True if 'texts' has exactly as many as the group has keys (or attributes). */
bool agg_texts_fit(const struct agg_group *group, bool is_key, const char *texts, size_t len);

/* May 'texts' replace attributes that are there? Not if one is missing: a vote of another program
 * that says less than the others must not wipe out a name. */
bool agg_texts_are_whole(const char *texts, size_t len);

/* The public record's key: the values, joined with "/". */
void agg_public_key(const char *keys, size_t len, struct vd_buf *out);

/* The public record's value; a member without a value is left out. */
struct agg_public {
    const char *keys; /* texts */
    size_t keys_len;
    const char *attributes; /* texts */
    size_t attributes_len;
    uint64_t count;
    uint64_t sequence;
};
void agg_public_value(const struct agg_group *group, const struct agg_public *shown,
                      struct vd_buf *out);

#endif
