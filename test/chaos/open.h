/* Is a transaction open? Written records that a reader of committed ones may not see yet. */
#ifndef VD_TEST_CHAOS_OPEN_H
#define VD_TEST_CHAOS_OPEN_H

#include <stdbool.h>

struct open_probe;

/* Names are borrowed. */
struct open_probe *open_probe_new(const char *brokers, char *const *topics, int topic_count,
                                  int partitions);
void open_probe_free(struct open_probe *probe);

/* Wait until any partition has an open transaction. Returns: whether there is one. */
bool open_probe_wait(struct open_probe *probe, int timeout_ms);

/* True if a partition has an open transaction that does not move for a moment: nobody works on it
 * any more. */
bool open_probe_is_stuck(struct open_probe *probe);

#endif
