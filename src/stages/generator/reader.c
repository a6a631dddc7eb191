/* Chunked reading. */
#include "generator/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"

#define CHUNK_BYTES (256 * 1024)
#define HASH_BLOCK_BYTES (1024 * 1024)

enum vd_status gen_reader_open(struct gen_reader *reader, const char *path, char separator,
                               struct vd_err *err)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */

    if (fd < 0) {
        return vd_fail(err, VD_INVALID, "could not open \"%s\": %s", path, strerror(errno));
    }
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        (void)close(fd); /* nothing was written */
        return vd_fail(err, VD_INVALID, "could not open \"%s\": not a regular file", path);
    }
    *reader = (struct gen_reader){.fd = fd, .size = about.st_size, .separator = separator};
    return VD_OK;
}

void gen_reader_close(struct gen_reader *reader)
{
    if (reader->fd >= 0) {
        (void)close(reader->fd); /* nothing was written */
    }
    vd_buf_fini(&reader->chunk);
    vd_buf_fini(&reader->kept);
    *reader = (struct gen_reader){.fd = -1};
}

/* Append at most 'bytes' of the file to the chunk; less only at the file's end. */
static enum vd_status fill(struct gen_reader *reader, size_t bytes, struct vd_err *err)
{
    int64_t from = reader->base + (int64_t)reader->chunk.len;

    if (reader->size - from < (int64_t)bytes) {
        bytes = (size_t)(reader->size - from);
    }
    vd_buf_reserve(&reader->chunk, bytes);
    while (bytes > 0) {
        ssize_t got = pread(reader->fd, reader->chunk.data + reader->chunk.len, bytes, from);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return vd_fail(err, VD_FAILED, "could not read the file at byte %lld: %s",
                           (long long)from,
                           got < 0 ? strerror(errno) : "it is shorter than it was");
        }
        reader->chunk.len += (size_t)got;
        from += got;
        bytes -= (size_t)got;
    }
    return VD_OK;
}

enum vd_status gen_reader_hash(struct gen_reader *reader, int64_t bytes, struct vd_err *err)
{
    for (int64_t end = reader->hashed + bytes; reader->hashed < end;) {
        struct vd_hash_key key = {.k0 = reader->hash, .k1 = (uint64_t)reader->hashed};

        if (reader->hashed >= reader->size) {
            return VD_OK;
        }
        gen_reader_seek(reader, reader->hashed, 0);
        if (fill(reader, HASH_BLOCK_BYTES, err) != VD_OK) {
            return VD_FAILED;
        }
        reader->hash = vd_siphash(&key, reader->chunk.data, reader->chunk.len);
        reader->hashed += (int64_t)reader->chunk.len;
    }
    return reader->hashed >= reader->size ? VD_OK : VD_AGAIN;
}

void gen_reader_seek(struct gen_reader *reader, int64_t byte, int64_t line)
{
    vd_buf_clear(&reader->chunk);
    reader->base = byte;
    reader->at = 0;
    reader->line = line;
}

int64_t gen_reader_byte(const struct gen_reader *reader)
{
    return reader->base + (int64_t)reader->at;
}

/* Where a record ends, seen from its first byte. */
struct extent {
    size_t len;   /* of the record, line end included */
    size_t first; /* of its first line, line end included; 0: not known yet */
    bool is_whole;
    bool is_quoted; /* it stopped inside quotes */
};

static struct extent find_line(const char *text, size_t len)
{
    const char *end = len > 0 ? memchr(text, '\n', len) : NULL;

    return (struct extent){.len = end != NULL ? (size_t)(end - text) + 1 : len,
                           .first = end != NULL ? (size_t)(end - text) + 1 : 0,
                           .is_whole = end != NULL};
}

/* RFC 4180: a quote opens only at the beginning of a field, and two of them inside are one. */
static struct extent find_csv(const char *text, size_t len, char separator)
{
    struct extent extent = {.len = len};
    bool may_open = true; /* at the beginning of a field, or right behind a quote that closed */

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\n' && extent.first == 0) {
            extent.first = i + 1;
        }
        if (extent.is_quoted) {
            may_open = c == '"';
            extent.is_quoted = !may_open;
        } else if (c == '\n') {
            extent.len = i + 1;
            extent.is_whole = true;
            return extent;
        } else {
            extent.is_quoted = c == '"' && may_open;
            may_open = c == separator;
        }
    }
    return extent;
}

static struct extent find_end(const struct gen_reader *reader)
{
    const char *text = reader->chunk.data + reader->at;
    size_t len = reader->chunk.len - reader->at;

    if (len > GEN_RECORD_BYTES_MAX) {
        len = GEN_RECORD_BYTES_MAX;
    }
    return reader->separator != 0 ? find_csv(text, len, reader->separator) : find_line(text, len);
}

/* Have a whole record of at most GEN_RECORD_BYTES_MAX in the chunk, or the file's end. */
static enum vd_status look_ahead(struct gen_reader *reader, struct vd_err *err)
{
    size_t rest = reader->chunk.len - reader->at;

    if (rest > GEN_RECORD_BYTES_MAX || reader->base + (int64_t)reader->chunk.len >= reader->size) {
        return VD_OK;
    }
    if (rest > 0) {
        memmove(reader->chunk.data, reader->chunk.data + reader->at, rest);
    }
    reader->base += (int64_t)reader->at;
    reader->chunk.len = rest;
    reader->at = 0;
    return fill(reader, CHUNK_BYTES, err);
}

static bool is_at_end(const struct gen_reader *reader)
{
    return reader->at >= reader->chunk.len;
}

/* After a record without end: drop what is left of its line. */
static enum vd_status skip_line(struct gen_reader *reader, struct vd_err *err)
{
    for (;;) {
        struct extent extent;

        if (look_ahead(reader, err) != VD_OK) {
            return VD_FAILED;
        }
        if (is_at_end(reader)) {
            return VD_OK;
        }
        extent = find_line(reader->chunk.data + reader->at, reader->chunk.len - reader->at);
        reader->at += extent.len;
        if (extent.is_whole) {
            return VD_OK;
        }
    }
}

static struct el_text without_line_end(const char *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    return (struct el_text){.data = text, .len = len};
}

static int64_t count_lines(const char *text, size_t len)
{
    int64_t lines = 0;
    const char *end = text + len;

    while (text < end && (text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        lines++;
        text++;
    }
    return lines;
}

/* The record is its first line only: with an open quote the rest is not to be trusted, and without
 * a line end in reach it is too long. What is kept of it is for the report. */
static enum vd_status take_first_line(struct gen_reader *reader, const struct extent *extent,
                                      struct gen_record *record, struct vd_err *err)
{
    size_t len = extent->first > 0 ? extent->first : extent->len;

    reader->first_line = 0;
    vd_buf_clear(&reader->kept);
    vd_buf_add(&reader->kept, reader->chunk.data + reader->at, len);
    record->text = without_line_end(reader->kept.data, len);
    record->fault = extent->is_quoted ? "a quote is not closed" : "longer than 65536 bytes";
    reader->line++;
    reader->at += len;
    return extent->first > 0 ? VD_OK : skip_line(reader, err);
}

static enum vd_status take_record(struct gen_reader *reader, struct gen_record *record,
                                  struct vd_err *err)
{
    struct extent extent = find_end(reader);
    const char *text = reader->chunk.data + reader->at;
    bool is_last = reader->base + (int64_t)(reader->at + extent.len) >= reader->size;

    record->line = reader->line + 1;
    if (!extent.is_whole && (!is_last || extent.is_quoted)) {
        return take_first_line(reader, &extent, record, err);
    }
    record->text = without_line_end(text, extent.len);
    reader->record_at = reader->at;
    reader->first_line = extent.first < extent.len ? extent.first : 0;
    reader->line += count_lines(text, extent.len) + (extent.is_whole ? 0 : 1);
    reader->at += extent.len;
    return VD_OK;
}

void gen_reader_cut(struct gen_reader *reader, struct gen_record *record)
{
    if (reader->first_line == 0) {
        return;
    }
    record->text = without_line_end(reader->chunk.data + reader->record_at, reader->first_line);
    reader->at = reader->record_at + reader->first_line;
    reader->line = record->line;
    reader->first_line = 0;
}

static bool has_byte_order_mark(const struct gen_reader *reader)
{
    return reader->base == 0 && reader->at == 0 && reader->chunk.len >= 3 &&
           memcmp(reader->chunk.data, "\xef\xbb\xbf", 3) == 0;
}

enum vd_status gen_reader_next(struct gen_reader *reader, struct gen_record *record,
                               struct vd_err *err)
{
    for (;;) {
        *record = (struct gen_record){.is_end = false};
        if (look_ahead(reader, err) != VD_OK) {
            return VD_FAILED;
        }
        if (has_byte_order_mark(reader)) {
            reader->at = 3;
        }
        if (is_at_end(reader)) {
            record->is_end = true;
            return VD_OK;
        }
        if (take_record(reader, record, err) != VD_OK) {
            return VD_FAILED;
        }
        if (record->text.len > 0) {
            return VD_OK;
        }
    }
}
