/* Kafka's log format: record batches one behind the other, each with its length at byte 8 and its
 * attributes at byte 21 (version 2). */
#include "server_files.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "election.h"

#define COMMAND_BYTES 4096
#define BATCH_LENGTH_AT 8
#define BATCH_ATTRIBUTES_AT 21
#define BATCH_CONTROL 0x20

/* Run a command of the shell with $data set to the data folder of a server. */
static void in_data(const char *server, const char *command)
{
    char text[COMMAND_BYTES];
    int len = snprintf(text, sizeof(text),
                       "set -e; data=$(%s status %s | awk 'END {print $NF}'); [ -d \"$data\" ]; %s",
                       getenv("VOTINGD_TEST_LOCAL"), server, command);
    int status;

    assert(len > 0 && len < COMMAND_BYTES);
    (void)len; /* only asserted */
    status = system(text);
    assert(status == 0);
    (void)status; /* only asserted */
}

void server_keep_postgres(void)
{
    election_server("stop postgres");
    in_data("postgres", "rm -rf \"$data/kept\"; cp -a \"$data/data\" \"$data/kept\"");
    election_server("start postgres");
}

void server_put_postgres_back(void)
{
    in_data("postgres", "rm -rf \"$data/data\"; cp -a \"$data/kept\" \"$data/data\"");
}

void server_drop_postgres_copy(void)
{
    in_data("postgres", "rm -rf \"$data/kept\"");
}

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *bytes;

    assert(file != NULL);
    (void)fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(*len + 1);
    assert(fread(bytes, 1, *len, file) == *len);
    (void)fclose(file);
    return bytes;
}

/* Where to cut: behind the last marker in the part that is to stay. */
static size_t find_cut(const char *bytes, size_t len, size_t keep)
{
    size_t cut = 0;
    size_t at = 0;

    while (at + BATCH_ATTRIBUTES_AT + 2 <= len) {
        uint32_t big;
        uint32_t length;

        memcpy(&big, bytes + at + BATCH_LENGTH_AT, sizeof(big));
        length = be32toh(big) + BATCH_LENGTH_AT + 4;
        if (at + length > keep) {
            return cut;
        }
        at += length;
        cut = (bytes[at - length + BATCH_ATTRIBUTES_AT + 1] & BATCH_CONTROL) != 0 ? at : cut;
    }
    return cut;
}

static void cut_file(const char *path, int percent)
{
    size_t len = 0;
    char *bytes = read_file(path, &len);
    size_t cut = find_cut(bytes, len, len * (size_t)percent / 100);
    int failed;

    free(bytes);
    assert(cut < len);
    failed = truncate(path, (off_t)cut);
    assert(failed == 0);
    (void)failed; /* only asserted */
}

void server_cut_topic(const char *topic, int32_t partition, int percent)
{
    char command[COMMAND_BYTES];
    char path[COMMAND_BYTES] = "";
    FILE *found;

    /* One segment: these topics are small. What is derived from it goes; Kafka makes it anew. */
    (void)snprintf(command, sizeof(command),
                   "cd \"$data/data/%s-%d\"; rm -f -- *.index *.timeindex *.txnindex *.snapshot; "
                   "realpath 00000000000000000000.log > /tmp/votingd-cut-%d",
                   topic, partition, (int)getpid());
    in_data("kafka", command);
    (void)snprintf(command, sizeof(command), "/tmp/votingd-cut-%d", (int)getpid());
    found = fopen(command, "re");
    assert(found != NULL && fgets(path, sizeof(path), found) != NULL);
    (void)fclose(found);
    (void)unlink(command);
    path[strcspn(path, "\n")] = '\0';
    cut_file(path, percent);
}
