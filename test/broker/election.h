/* A whole election in processes of its own, for tests: config/election.ini with topics, database
 * and port of its own, run by the real daemon. */
#ifndef VD_TEST_BROKER_ELECTION_H
#define VD_TEST_BROKER_ELECTION_H

#include <cjson/cJSON.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../wait.h"
#include "peer.h"

#define NODES_MAX 4

struct election {
    char *name;     /* unique; part of every topic's name */
    char *topology; /* path of the file written */
    char *database; /* its connection string */
    /* What nodes are told instead of KAFKA_BROKERS and 'database', to lead them through a proxy;
     * NULL: the same. Borrowed */
    const char *node_brokers, *node_database;
    PGconn *sql;
    struct node {
        pid_t pid; /* 0: not running */
        int port;
        char *log;
    } nodes[NODES_MAX];
};

/* True if broker, database and daemon are named by the environment (KAFKA_BROKERS, DATABASE_URL,
 * VOTINGD, VOTINGD_PLUGINS, VOTINGD_WWW, VOTINGD_SOURCE). */
bool election_is_possible(void);

/* Write the topology and make the database. */
void election_open(struct election *election, const char *stem);

/* End what runs, drop database and topics. */
void election_close(struct election *election);

/* Name of this election's own "votes_topic", ... Owns: the caller frees it. */
char *election_topic(const struct election *election, const char *name);

/* Write another file of config/ the same way, for a node started with "--topology", PATH. Owns: the
 * caller unlinks and frees the path. */
char *election_topology(const struct election *election, const char *config);

/* Start node 'n' with further arguments, ended by NULL. */
void election_start(struct election *election, int n, ...) __attribute__((sentinel));

/* Send a signal and wait for the end. Returns: the exit code, or 128 + the signal. */
int election_stop(struct election *election, int n, int signal);

/* Fails the test if a node that was started has ended: who waits for its words waits in vain. */
void election_must_run(struct election *election, int n);

/* Wait until 'is_so', for two minutes; then, or when a node ends by itself, the test fails with
 * these words. */
#define ELECTION_AWAIT_MS 120000
#define ELECTION_AWAIT(election, is_so)                                               \
    for (int64_t deadline_ms_ = now_ms() + ELECTION_AWAIT_MS; !(is_so);) {            \
        election_look_again((election), deadline_ms_, "waited in vain for: " #is_so); \
    }
void election_look_again(struct election *election, int64_t deadline_ms, const char *words);

/* Fail the test with these words and the last ones of its nodes, in one line. */
void election_give_up(struct election *election, const char *reason);

/* Wait for a node that ends by itself. */
int election_wait_exit(struct election *election, int n, int seconds);

/* First column of the first row, as a number. */
int64_t election_count(struct election *election, const char *sql);

/* The same as text; NULL without a row. Owns: the caller frees it. */
char *election_text(struct election *election, const char *sql);

/* Run a statement that has no rows to give. */
void election_execute(struct election *election, const char *sql);

/* GET of a node. Returns: the status, 0 if it does not answer. Owns: *body is the caller's. */
int election_get(struct election *election, int n, const char *path, char **body);

/* All that a node has logged, over all its starts. Owns: the caller frees it. */
char *election_log(const struct election *election, int n);

/* Wait until a node has logged these words. */
void election_wait_log(struct election *election, int n, const char *words, int seconds);

/* Value of the metric "name" or "name{labels}"; -1 if there is none, or the node does not answer
 * for a while. */
double election_metric(struct election *election, int n, const char *name);

/* Sum of 'member' over the newest record of each key of one of our aggregates. */
int64_t election_sum(struct election *election, const char *topic, const char *member);

/* Wait until the table has 'votes' votes and all aggregates add up to them. */
void election_wait_counted(struct election *election, int64_t votes, int seconds);

/* Table, topic, totals and page say the same. */
void election_check(struct election *election, int64_t votes);

/* Run the daemon's --audit with more options, as a shell would. Returns: its exit code; 'output'
 * gets what it says, cut to fit. */
int election_audit(const struct election *election, const char *more, char *output, size_t bytes);

/* Run $VOTINGD_TEST_LOCAL with words, as a shell would. */
void election_server(const char *words);

#endif
