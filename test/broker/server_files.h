/* The files of the private Kafka and PostgreSQL behind VOTINGD_TEST_LOCAL, for losses that no
 * server's interface produces: a database put back to an earlier state,
 * the end of a topic cut off. */
#ifndef VD_TEST_BROKER_SERVER_FILES_H
#define VD_TEST_BROKER_SERVER_FILES_H

#include <stdint.h>

/* Keep a copy of PostgreSQL's data as it is; it is stopped for that and started again. */
void server_keep_postgres(void);

/* Put the copy back, which stays; PostgreSQL must not be running. */
void server_put_postgres_back(void);

/* Forget the copy. */
void server_drop_postgres_copy(void);

/* Cut off what stands behind a marker in a partition's log, so that about 'part' hundredths of it
 * stay; Kafka must have been stopped in good order. */
void server_cut_topic(const char *topic, int32_t partition, int percent);

#endif
