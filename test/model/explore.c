/* The explorer: an array of states in the order they were found, which is also the queue of a
 * breadth-first search, each with the number of the one it came from; and a hash table of numbers
 * into the array. Moves are not stored: a trace finds them by expanding its states again. */
#include "explore.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATES_AT_START = 1 << 12,
    STATE_BYTES_MAX = 256,
    WORDS_MAX = 200,
    TRACE_MAX = 1000,
};

struct explorer {
    const struct model *model;
    const struct setup *setup;
    unsigned char *states; /* 'count' of them, room for 'room' */
    uint32_t *parents;
    uint64_t *slots; /* upper half: bits of the hash; lower half: number of the state + 1 */
    size_t count, room, slot_count, moves;
    size_t present, offered; /* the state being expanded, and what it has offered so far */

    const void *wanted; /* set while a trace is written: tell the words of the move to this state */
    char words[WORDS_MAX];
};

static void *must(void *memory)
{
    if (memory == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

static uint64_t hash_of(const void *state, size_t bytes)
{
    const uint64_t odd = 0x9e3779b97f4a7c15U;
    uint64_t hash = bytes;

    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = 0;

        memcpy(&word, (const unsigned char *)state + at, sizeof(word));
        hash = (hash ^ word) * odd;
        hash ^= hash >> 29;
    }
    return (hash * odd) ^ (hash >> 32);
}

static unsigned char *state_at(const struct explorer *explorer, size_t number)
{
    return explorer->states + number * explorer->model->state_bytes;
}

static void grow(struct explorer *explorer)
{
    size_t mask;

    explorer->room *= 2;
    explorer->states =
        must(realloc(explorer->states, explorer->room * explorer->model->state_bytes));
    explorer->parents = must(realloc(explorer->parents, explorer->room * sizeof(uint32_t)));
    free(explorer->slots);
    explorer->slot_count = explorer->room * 2;
    explorer->slots = must(calloc(explorer->slot_count, sizeof(uint64_t)));
    mask = explorer->slot_count - 1;
    for (size_t number = 0; number < explorer->count; number++) {
        uint64_t hash = hash_of(state_at(explorer, number), explorer->model->state_bytes);
        size_t slot = hash & mask;

        while (explorer->slots[slot] != 0) {
            slot = (slot + 1) & mask;
        }
        explorer->slots[slot] = (hash & 0xffffffff00000000U) | (uint32_t)(number + 1);
    }
}

static void insert(struct explorer *explorer, const void *state)
{
    size_t bytes = explorer->model->state_bytes;
    uint64_t hash = hash_of(state, bytes);
    uint64_t tag = hash & 0xffffffff00000000U;
    size_t mask = explorer->slot_count - 1;
    size_t slot = hash & mask;

    for (; explorer->slots[slot] != 0; slot = (slot + 1) & mask) {
        uint64_t found = explorer->slots[slot];

        if ((found & 0xffffffff00000000U) == tag &&
            memcmp(state_at(explorer, (uint32_t)found - 1), state, bytes) == 0) {
            return;
        }
    }
    explorer->slots[slot] = tag | (uint32_t)(explorer->count + 1);
    explorer->parents[explorer->count] = (uint32_t)explorer->present;
    memcpy(state_at(explorer, explorer->count), state, bytes);
    explorer->count++;
    if (explorer->count == explorer->room) {
        grow(explorer);
    }
}

void explorer_add(struct explorer *explorer, const void *state, const char *words, ...)
{
    explorer->offered++;
    if (explorer->wanted == NULL) {
        explorer->moves++;
        insert(explorer, state);
        return;
    }
    if (explorer->words[0] == '\0' &&
        memcmp(state, explorer->wanted, explorer->model->state_bytes) == 0) {
        va_list args;

        va_start(args, words);
        (void)vsnprintf(explorer->words, sizeof(explorer->words), words, args);
        va_end(args);
    }
}

/* States move when the array grows, so a model is always given a copy. */
static void expand(struct explorer *explorer, size_t number)
{
    union {
        unsigned char bytes[STATE_BYTES_MAX];
        uint64_t align;
    } copy;

    memcpy(copy.bytes, state_at(explorer, number), explorer->model->state_bytes);
    explorer->present = number;
    explorer->offered = 0;
    explorer->model->expand(explorer->setup, explorer, copy.bytes);
}

static void write_trace(struct explorer *explorer, size_t number, const char *property,
                        const struct search *search)
{
    FILE *out = search->trace;
    size_t path[TRACE_MAX];
    size_t length = 0;

    for (; number != 0; number = explorer->parents[number]) {
        assert(length < TRACE_MAX);
        path[length++] = number;
    }
    for (size_t step = 1; step <= length; step++) {
        size_t to = path[length - step];

        explorer->wanted = state_at(explorer, to);
        explorer->words[0] = '\0';
        expand(explorer, explorer->parents[to]);
        (void)fprintf(out, "%4zu  %s\n", step, explorer->words);
        if (search->is_verbose) {
            explorer->model->print(explorer->setup, state_at(explorer, to), out);
        }
    }
    (void)fprintf(out, "broken after %zu moves: %s\n", length, property);
    explorer->model->print(explorer->setup, state_at(explorer, length == 0 ? 0 : path[0]), out);
}

static unsigned depth_of(const struct explorer *explorer, size_t number)
{
    unsigned depth = 0;

    for (; number != 0; number = explorer->parents[number]) {
        depth++;
    }
    return depth;
}

static const char *wanted(const struct search *search, const char *property)
{
    bool is_wanted = property != NULL && (search->only == NULL || strstr(property, search->only));

    return is_wanted ? property : NULL;
}

/* Look at states in the order they were found until one is broken: its number, or 'count'. */
static size_t look(struct explorer *explorer, const struct search *search, struct finding *finding)
{
    static const char *const stuck = "nothing can go on, and the work is not done";
    const struct model *model = explorer->model;

    for (size_t number = 0; number < explorer->count; number++) {
        bool is_done = model->is_done(explorer->setup, state_at(explorer, number));

        finding->done += is_done;
        finding->property =
            wanted(search, model->judge(explorer->setup, state_at(explorer, number)));
        if (finding->property != NULL) {
            return number;
        }
        if (explorer->count > search->states_max) {
            finding->verdict = VERDICT_UNDECIDED;
            return explorer->count;
        }
        expand(explorer, number);
        if (explorer->offered == 0 && !is_done && wanted(search, stuck) != NULL) {
            finding->property = stuck;
            return number;
        }
    }
    return explorer->count;
}

struct finding explore(const struct model *model, const struct setup *setup,
                       const struct search *search)
{
    struct explorer explorer = {.model = model, .setup = setup, .room = STATES_AT_START / 2};
    struct finding finding = {.verdict = VERDICT_HOLDS};
    unsigned char first[STATE_BYTES_MAX] __attribute__((aligned(8))) = {0};
    size_t last;

    assert(model->state_bytes % sizeof(uint64_t) == 0 && model->state_bytes <= STATE_BYTES_MAX);
    assert(search->states_max < UINT32_MAX / 2);
    grow(&explorer);
    model->start(setup, first);
    insert(&explorer, first);
    last = look(&explorer, search, &finding);
    finding.states = explorer.count;
    finding.moves = explorer.moves;
    finding.depth = depth_of(&explorer, last < explorer.count ? last : explorer.count - 1);
    finding.bytes = explorer.room * (model->state_bytes + sizeof(uint32_t)) +
                    explorer.slot_count * sizeof(uint64_t);
    if (finding.property != NULL) {
        finding.verdict = VERDICT_VIOLATION;
        if (search->trace != NULL) {
            write_trace(&explorer, last, finding.property, search);
        }
    }
    free(explorer.states);
    free(explorer.parents);
    free(explorer.slots);
    return finding;
}
