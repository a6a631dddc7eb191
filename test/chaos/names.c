/* A table of texts with open addressing. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

uint64_t names_hash(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    }
    return hash;
}

/* The slot where a text is, or belongs. */
static size_t slot_of(const struct names *names, const char *text)
{
    size_t slot = names_hash(text) % names->slot_count;

    while (names->slots[slot] != 0 && strcmp(names->texts[names->slots[slot] - 1], text) != 0) {
        slot = (slot + 1) % names->slot_count;
    }
    return slot;
}

size_t names_find(const struct names *names, const char *text)
{
    size_t slot;

    if (names->slot_count == 0) {
        return NO_NAME;
    }
    slot = slot_of(names, text);
    return names->slots[slot] != 0 ? names->slots[slot] - 1 : NO_NAME;
}

static void grow(struct names *names)
{
    free(names->slots);
    names->slot_count = names->slot_count == 0 ? 1024 : 2 * names->slot_count;
    names->slots = calloc(names->slot_count, sizeof(*names->slots));
    names->texts = realloc(names->texts, names->slot_count * sizeof(*names->texts));
    for (size_t i = 0; i < names->count; i++) {
        names->slots[slot_of(names, names->texts[i])] = i + 1;
    }
}

size_t names_add(struct names *names, const char *text)
{
    size_t slot;

    if (2 * names->count >= names->slot_count) {
        grow(names);
    }
    slot = slot_of(names, text);
    if (names->slots[slot] == 0) {
        names->texts[names->count] = strdup(text);
        names->slots[slot] = ++names->count;
    }
    return names->slots[slot] - 1;
}

void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->texts[i]);
    }
    free(names->texts);
    free(names->slots);
    *names = (struct names){0};
}
