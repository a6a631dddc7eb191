/* A Kafka and a PostgreSQL of a test's own, a proxy in front of both, and what is done to them. All
 * end with the process that started them, however that ends. */
#ifndef VD_TEST_CHAOS_SERVERS_H
#define VD_TEST_CHAOS_SERVERS_H

#include <stdbool.h>

/* Start all, and set KAFKA_BROKERS, DATABASE_URL and VOTINGD_TEST_LOCAL to what leads there past
 * the proxy. VOTINGD_SOURCE and VD_PROXY are needed. Exits with 1 if that fails. */
void servers_start(void);

/* End all; 'is_kept': data and logs stay, in servers_folder(). */
void servers_stop(bool is_kept);
const char *servers_folder(void);

/* What a node is given: the same servers behind the proxy. */
const char *servers_brokers(void);
char *servers_database(const char *url); /* Owns: the caller frees it */

/* A command to the proxy (proxy.c says which), of links "kafka", "inner" (Kafka's requests to
 * itself: transaction markers) and "postgres". From any process. */
void servers_link(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Kafka cannot write one more byte until it is started again, as on a full disk; it ends over it.
 * This waits for that. */
void servers_fill_disk(void);

/* PostgreSQL ends at once, as "pg_ctl -m immediate" has it; waits for that. */
void servers_abort_postgres(void);

#endif
