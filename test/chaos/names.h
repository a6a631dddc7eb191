/* Texts and their numbers: 0, 1, 2, ... in the order of their first appearance. */
#ifndef VD_TEST_CHAOS_NAMES_H
#define VD_TEST_CHAOS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define NO_NAME ((size_t)-1)

/* All zero: empty. */
struct names {
    char **texts; /* owned, zero-terminated */
    size_t count;
    size_t *slots; /* number + 1; 0: free */
    size_t slot_count;
};

/* The number of a text, NO_NAME if it was never added. */
size_t names_find(const struct names *names, const char *text);

/* The number of a text, added if it is new. */
size_t names_add(struct names *names, const char *text);

void names_fini(struct names *names);

/* FNV-1a. */
uint64_t names_hash(const char *text);

#endif
