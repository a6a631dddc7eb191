/* The command line, the servers, sorted times. */
#include "measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../broker/election.h"

static const struct setting *find_setting(const struct setting *settings, const char *word)
{
    if (strncmp(word, "--", 2) != 0) {
        return NULL;
    }
    while (settings->name != NULL && strcmp(settings->name, word + 2) != 0) {
        settings++;
    }
    return settings->name != NULL ? settings : NULL;
}

void read_settings(int argc, char **argv, const struct setting *settings, const char *usage)
{
    for (int i = 1; i < argc; i++) {
        const struct setting *setting = find_setting(settings, argv[i]);

        if (setting == NULL || (setting->flag == NULL && ++i == argc)) {
            (void)fputs(usage, stderr);
            exit(2);
        }
        if (setting->flag != NULL) {
            *setting->flag = true;
        } else if (setting->number != NULL) {
            *setting->number = atoi(argv[i]);
        } else {
            *setting->text = argv[i];
        }
    }
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

int open_files(pid_t pid)
{
    char path[64];
    int count = 0;
    const struct dirent *entry;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}
