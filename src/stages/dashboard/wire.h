/* The picture as JSON: the frames of the websocket's subprotocol votingd.v1 and the bodies of the
 * API. Integers and texts only; every function appends one JSON object to 'out'.
 *
 * Members of every frame: "type", "epoch", "seq", "now_ms". Beside them:
 *   hello     protocol, snapshot (the API's path), preload
 *   snapshot  the picture's times and states, tables, add, rows: all there is
 *   delta     base, and the same: what changed in that picture
 *   changes   since, next, is_truncated, and the same: what changed after 'since'
 *   beat      source
 * "rows" is {TABLE: [[row, n, ...], ...]} by the table's columns, "add" {TABLE: [[row, "text",
 * ...], ...]} by its texts, both absolute. The preload is what is said once: elections, contests,
 * every table with its title and the names of texts and columns, and the texts of all rows. It
 * says nothing twice: a contest names the table whose rows are its candidates ("table", each with
 * its party) and that of its reporting units ("units"), and in "photos" the ids of those whose
 * photo is at /photos/ID; in "baseline" what it is compared with, if anything (baseline.h): its
 * label, its columns, and each state's votes by them. An aggregate's texts are known from its first
 * record on; then the frames that bring it have its shape in "tables", in front of its rows. While
 * an operator leads all pages through the past (lead.h), each picture says so in "lead"; without,
 * nobody does.
 */
#ifndef VD_DASHBOARD_WIRE_H
#define VD_DASHBOARD_WIRE_H

#include <stdint.h>

#include "buf.h"
#include "election/scenario.h"
#include "picture.h"

#define WIRE_PROTOCOL "votingd.v1"
#define WIRE_CHANGES_BYTES (1024 * 1024) /* of one answer to changes?since= */

/* What is said of votes that do not come in. */
enum wire_source {
    WIRE_WAITING, /* the topics are not read to their end yet, or hold nothing */
    WIRE_ALIVE,   /* a total changed lately */
    WIRE_QUIET,   /* none did, but the feed is alive */
    WIRE_SILENT,  /* the feed itself is gone; for nodes' own signs of life, once they give any */
};

/* What is said once. Borrowed texts. */
struct wire_election {
    const char *id;
    const char *title;
    const char *kind;          /* live, simulated, replay */
    const char *const *photos; /* ids of the candidates that have one */
    size_t photo_count;
    const struct el_scenario *baseline; /* votes to compare with; NULL: none */
    const char *baseline_label;
};

/* {"elections": ..., "contests": ..., "tables": ...} with the rows of 'frame'. */
void wire_preload(struct vd_buf *out, const struct picture *picture,
                  const struct picture_frame *frame, const struct wire_election *election);

void wire_hello(struct vd_buf *out, const struct picture *picture,
                const struct picture_frame *frame, const struct wire_election *election,
                int64_t now_ms);

/* Every row of 'frame', with its texts. */
void wire_snapshot(struct vd_buf *out, const struct picture *picture,
                   const struct picture_frame *frame, enum wire_source source, int64_t now_ms);

/* What the newest picture changed in the one before it. */
void wire_delta(struct vd_buf *out, const struct picture *picture, enum wire_source source,
                int64_t now_ms);

void wire_beat(struct vd_buf *out, const struct picture *picture, enum wire_source source,
               int64_t now_ms);

/* The "lead" of a picture, or null. */
void wire_lead(struct vd_buf *out, const struct lead *lead);

void wire_version(struct vd_buf *out, const struct picture *picture);

/* A moment of the past. */
struct wire_past {
    int64_t as_of_ms;                        /* the last of its step; 0: no vote was ever counted */
    int64_t step_ms;                         /* how fine the past is known there */
    const char *without[PICTURE_TABLES_MAX]; /* names of tables that keep none */
    size_t without_count;
};

/* The rows of 'frame', which stands for that moment. No frame of the websocket: it has no "seq" and
 * says nothing of now; its texts are those of the preload. */
void wire_past(struct vd_buf *out, const struct picture *picture, const struct picture_frame *frame,
               const struct wire_past *about);

/* Which changes are asked for: those after picture 'since', of this epoch. */
struct wire_asked {
    uint64_t since;
    size_t bytes_max; /* more is cut between two pictures, never inside one */
};

/* All rows that changed, in the order of their change, and where to ask on. */
void wire_changes(struct vd_buf *out, const struct picture *picture, const struct wire_asked *asked,
                  enum wire_source source, int64_t now_ms);

#endif
