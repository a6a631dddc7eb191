/* What the programs of this folder share: options, the servers, and series of measured times. */
#ifndef VD_TEST_OUTAGE_MEASURE_H
#define VD_TEST_OUTAGE_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../wait.h"

#define SERIES_MAX 1024

/* Zeroed before the first use; more than SERIES_MAX values are not kept. */
struct series {
    double values[SERIES_MAX];
    size_t count;
};

/* An option of the command line, "--name VALUE"; one of the three is set, and gets the value. */
struct setting {
    const char *name; /* NULL ends the list */
    int *number;
    const char **text; /* borrowed from the command line */
    bool *flag;        /* takes no value */
};

/* Take all there are, or print 'usage' and exit with 2. */
void read_settings(int argc, char **argv, const struct setting *settings, const char *usage);

/* Run $VOTINGD_TEST_LOCAL with a verb, "kill", and servers, "kafka"; "": both. */
void serve(const char *verb, const char *servers);

void series_add(struct series *series, double value);

/* The value that so many per cent of the series do not exceed; -1 of an empty one. Sorts it. */
double series_quantile(struct series *series, int percent);

/* Descriptors that a process has open; 0 if it has ended. */
int open_files(pid_t pid);

#endif
