/* Visits every state that a model can reach, breadth first, so that the first broken property found
 * has a shortest counter-example. States are kept and compared whole: no answer rests on a hash.
 * Thread: one. Running out of memory aborts. */
#ifndef VD_TEST_MODEL_EXPLORE_H
#define VD_TEST_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct explorer;
struct setup;

/* One model. Its state is a plain block of 'state_bytes', a multiple of 8, without pointers; bytes
 * that no member covers stay zero. */
struct model {
    const char *name;
    size_t state_bytes;
    void (*start)(const struct setup *setup, void *state);
    /* Offers every next state of 'state' with explorer_add. */
    void (*expand)(const struct setup *setup, struct explorer *explorer, const void *state);
    /* The property that 'state' breaks, or NULL. */
    const char *(*judge)(const struct setup *setup, const void *state);
    /* Whether all work is done: only such a state may have no next one. */
    bool (*is_done)(const struct setup *setup, const void *state);
    void (*print)(const struct setup *setup, const void *state, FILE *out);
};

enum verdict {
    VERDICT_HOLDS,
    VERDICT_VIOLATION,
    VERDICT_UNDECIDED, /* 'states_max' was not enough */
};

struct finding {
    enum verdict verdict;
    const char *property;       /* what was broken; static text */
    size_t states, moves, done; /* distinct states, moves between them, states with all work done */
    size_t bytes;               /* memory taken */
    unsigned depth;             /* moves from the start to the last state looked at */
};

struct search {
    size_t states_max; /* give up after so many */
    const char *only;  /* look only for properties whose text contains this; NULL: for all */
    FILE *trace;       /* where a counter-example goes; NULL: nowhere */
    bool is_verbose;   /* with the state after each move */
};

/* Explore 'model' until a property is broken. A counter-example is one numbered line a move, then
 * the property and the state. */
struct finding explore(const struct model *model, const struct setup *setup,
                       const struct search *search);

/* Offer one next state, with the words for the move that leads to it. Called by a model's expand
 * only. The words are put together only while a trace is written. */
void explorer_add(struct explorer *explorer, const void *state, const char *words, ...)
    __attribute__((format(printf, 3, 4)));

#endif
