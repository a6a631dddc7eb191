/* Where made voters live: regions and towns of real countries, with real weights. */
#ifndef VD_GENERATOR_PLACES_H
#define VD_GENERATOR_PLACES_H

#include <stddef.h>
#include <stdint.h>

#define GEN_CITIES_MAX 8

struct gen_city {
    const char *name;   /* NULL: there are no more */
    uint16_t thousands; /* residents: its weight inside the region */
    const char *post;   /* the beginning of its postcodes */
    const char *phone;  /* the beginning of its fictitious telephone numbers */
};

struct gen_region {
    const char *name;   /* the voter's `state` */
    const char *code;   /* begins registration numbers */
    uint16_t thousands; /* residents: its weight inside the country */
    struct gen_city cities[GEN_CITIES_MAX];
};

extern const struct gen_region gen_us_regions[];
extern const size_t gen_us_region_count;
extern const struct gen_region gen_gb_regions[];
extern const size_t gen_gb_region_count;

#endif
