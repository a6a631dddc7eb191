/* What made voters are called, where they live in a town, and how old they are. */
#ifndef VD_GENERATOR_PEOPLE_H
#define VD_GENERATOR_PEOPLE_H

#include <stddef.h>
#include <stdint.h>

#define GEN_AGE_MIN 18
#define GEN_AGE_MAX 100

struct gen_names {
    const char *const *name; /* UTF-8; beyond ASCII only letters of Latin-1 */
    size_t count;
};

struct gen_ages {
    uint8_t first; /* youngest of the group */
    uint16_t thousands;
};

struct gen_people {
    struct gen_names men, women, families, streets;
    const struct gen_ages *ages;
    size_t age_groups;
};

extern const struct gen_people gen_us_people;
extern const struct gen_people gen_gb_people;

#endif
