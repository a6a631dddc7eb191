/* The options of the generator stage; filled in by core from the table in generator.c. */
#ifndef VD_GENERATOR_CONF_H
#define VD_GENERATOR_CONF_H

#include <stdbool.h>
#include <stdint.h>

struct gen_conf {
    char *source;         /* synthetic|randomuser|csv|jsonl */
    int64_t voters;       /* to be made in all, all shards together */
    int64_t seed;         /* of voters, and of the candidates */
    char *country;        /* us|gb */
    char *election_day;   /* YYYY-MM-DD; registered_age is the age on it */
    double rate;          /* voters per second; 0: as fast as possible */
    int64_t batch_voters; /* at most so many in one transaction */
    int64_t shards, shard;
    char *path;      /* csv and jsonl: the register */
    char *columns;   /* csv and jsonl: "voter_name:Full Name, ..." */
    char *separator; /* csv: comma|semicolon|tab|pipe */
    char *url;       /* randomuser: of the API, without a query */
    char *nat;       /* randomuser: nationalities, "gb,us"; "": any */
    char *cache;     /* randomuser: folder for pages; "": none */
    int64_t page_interval_ms;
    int64_t tries; /* randomuser: for one page, before it gives up */
    struct {
        int64_t min_ms, max_ms; /* randomuser: between tries */
    } backoff;
    struct {
        int64_t max; /* csv, jsonl, randomuser: records at most; 0: as many as there are */
    } import;
};

#endif
