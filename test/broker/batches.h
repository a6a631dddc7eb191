/* Record batches as the broker keeps them: what a client library hides, such as compression and
 * transaction markers. One Fetch request over a socket of our own. */
#ifndef VD_TEST_BROKER_BATCHES_H
#define VD_TEST_BROKER_BATCHES_H

#include <stdint.h>

enum batches_codec {
    BATCHES_PLAIN,
    BATCHES_GZIP,
    BATCHES_SNAPPY,
    BATCHES_LZ4,
    BATCHES_ZSTD,
};

struct batches {
    int count;
    int codecs[8];     /* batches of each codec */
    int transactional; /* batches of a transaction, its markers included */
    int markers;
};

/* Count the batches of a partition's first megabyte, markers and what was aborted included. */
struct batches batches_read(const char *topic, int32_t partition);

#endif
