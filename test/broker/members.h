/* The members that a JSON object must have, for tests of contracts. */
#ifndef VD_TEST_BROKER_MEMBERS_H
#define VD_TEST_BROKER_MEMBERS_H

#include <cjson/cJSON.h>

#include "peer.h"

enum member_type {
    MEMBER_TEXT,
    MEMBER_INTEGER,
    MEMBER_OBJECT,
};

struct member {
    const char *name; /* NULL ends the list */
    enum member_type type;
};

/* The value of a record that has a key. Owns: the caller frees it. */
cJSON *members_parse(const struct peer_record *record);

/* These members and no others, in any order. */
void members_check(const cJSON *object, const struct member *members);

const char *members_text(const cJSON *object, const char *name);
double members_number(const cJSON *object, const char *name);

/* 'text' has the form of 'pattern': 9 stands for a digit, x for a hexadecimal one,
 * A for a capital. */
void members_check_form(const char *text, const char *pattern);

#endif
