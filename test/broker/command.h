/* The daemon run as a command beside an election, for what it says and how it ends. */
#ifndef VD_TEST_BROKER_COMMAND_H
#define VD_TEST_BROKER_COMMAND_H

#include <stdarg.h>

#include "election.h"

struct command {
    pid_t pid;
    int out; /* pipe: both of its outputs */
};

/* Run it on a topology, with the election's application and database: 'what' is "--dead-letters" or
 * "--audit", more words follow, ended by NULL. */
struct command command_start(const struct election *election, const char *topology,
                             const char *what, va_list words);

/* Wait for its end. Returns: the exit code, or 128 + signal. Owns: *out is all it has written, the
 * caller's. */
int command_end(struct command *command, char **out);

#endif
