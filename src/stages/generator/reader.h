/* Records of a local file, one after the other: lines, or CSV records that may span lines. The file
 * is read in chunks and never held as a whole. Reading a local file blocks the loop for the time of
 * one chunk: some 100 microseconds where it is cached, a disk access where it is not. */
#ifndef VD_GENERATOR_READER_H
#define VD_GENERATOR_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "election/voter.h"
#include "err.h"

#define GEN_RECORD_BYTES_MAX 65536 /* longer ones are bad records */

struct gen_reader {
    int fd;              /* -1: closed */
    int64_t size;        /* of the file when it was opened; what comes after is not read */
    char separator;      /* of CSV; 0: records are lines */
    struct vd_buf chunk; /* bytes of the file from 'base' on */
    struct vd_buf kept;  /* of a record that is too long: its beginning */
    int64_t base;
    size_t at;         /* next byte in the chunk */
    int64_t line;      /* lines read */
    size_t record_at;  /* in the chunk: where the last record begins */
    size_t first_line; /* length of its first line, if it has more; 0: it has not */
    int64_t hashed;    /* bytes */
    uint64_t hash;
};

struct gen_record {
    bool is_end;         /* there is none */
    struct el_text text; /* without its line end; borrowed until the next call */
    int64_t line;        /* number of its first line, from 1 */
    const char *fault;   /* why it is bad before anyone looks at its fields; NULL: it is not */
};

/* Fails: VD_INVALID if the file cannot be opened or is not a regular one.
 * Owns: the caller, who ends it with gen_reader_close. */
enum vd_status gen_reader_open(struct gen_reader *reader, const char *path, char separator,
                               struct vd_err *err) VD_MUST_CHECK;
void gen_reader_close(
    struct gen_reader *reader); /* of one that was opened, or is zeroed with fd -1 */

/* Hash the next 'bytes' of the file, whole blocks of 1 MiB; reader->hash is that of the file when
 * it is done. Moves the place. Fails: VD_AGAIN until the whole file is hashed; VD_FAILED if it
 * cannot be read. */
enum vd_status gen_reader_hash(struct gen_reader *reader, int64_t bytes,
                               struct vd_err *err) VD_MUST_CHECK;

/* Go on at 'byte', behind 'line' lines. */
void gen_reader_seek(struct gen_reader *reader, int64_t byte, int64_t line);

/* Offset of the next byte. */
int64_t gen_reader_byte(const struct gen_reader *reader);

/* The next record; empty lines are left out, and a byte order mark at the file's beginning.
 * Fails: VD_FAILED if the file cannot be read, or is shorter than it was. */
enum vd_status gen_reader_next(struct gen_reader *reader, struct gen_record *record,
                               struct vd_err *err) VD_MUST_CHECK;

/* The last record's quotes make no sense: take its first line only and read on behind that, so that
 * an open quote costs no more than its own line. Nothing happens to a record of one line. */
void gen_reader_cut(struct gen_reader *reader, struct gen_record *record);

#endif
