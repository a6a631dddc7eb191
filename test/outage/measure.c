/* A clock, the servers, sorted times. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../broker/election.h"

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL); /* woken early: whoever waits looks once more */
}

void serve(const char *verb, const char *servers)
{
    char words[128];

    (void)snprintf(words, sizeof(words), "%s %s >/dev/null", verb, servers);
    election_server(words);
}

void series_add(struct series *series, double value)
{
    if (series->count < SERIES_MAX) {
        series->values[series->count++] = value;
    }
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

double series_quantile(struct series *series, int percent)
{
    size_t at = series->count * (size_t)percent / 100;

    if (series->count == 0) {
        return -1;
    }
    qsort(series->values, series->count, sizeof(double), compare);
    return series->values[at < series->count ? at : series->count - 1];
}
