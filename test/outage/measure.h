/* What the programs of this folder share: a clock, the servers, and series of measured times. */
#ifndef VD_TEST_OUTAGE_MEASURE_H
#define VD_TEST_OUTAGE_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define SERIES_MAX 1024

/* Zeroed before the first use; more than SERIES_MAX values are not kept. */
struct series {
    double values[SERIES_MAX];
    size_t count;
};

int64_t now_ms(void);
void pause_ms(int64_t ms);

/* Run $VOTINGD_TEST_LOCAL with a verb, "kill", and servers, "kafka"; "": both. */
void serve(const char *verb, const char *servers);

void series_add(struct series *series, double value);

/* The value that so many per cent of the series do not exceed; -1 of an empty one. Sorts it. */
double series_quantile(struct series *series, int percent);

#endif
