/* The command --dead-letters: records that stages have set aside (letter.h) are listed, shown,
 * replayed to the topics they came from, and purged. It works on a topology and the brokers alone:
 * the stages may run meanwhile, or not. */
#ifndef VD_CORE_LETTERS_H
#define VD_CORE_LETTERS_H

#include "topology.h"

/* Options of the command line that belong to --dead-letters; '_' in a name is '-' there. */
struct vd_letters_conf {
    const char *action; /* "list", "show", "replay" or "purge"; not an option. NULL: none of this */
    char *stage;        /* that set the record aside; "": any, like all texts that follow */
    char *topic;        /* that holds the letter */
    int64_t partition;  /* of that topic; -1: any */
    char *offset;       /* in that topic: A, A..B, A.. or ..B */
    char *reason;       /* a part of it */
    char *key;
    char *since, *until; /* when it was set aside: 2026-11-03T20:00:00Z, or 90s, 15m, 2h, 7d ago */
    bool open;           /* only letters that were not replayed */
    int64_t limit;       /* at most so many; 0: what the action takes by default */
    bool dry_run, yes, force;
    bool is_json; /* --format json, which other commands have, too; not an option of this table */
};
extern const struct vd_opt vd_letters_opts[];

/* Check what needs no topology. Fails: VD_INVALID, naming the option and what it takes. */
enum vd_status vd_letters_check(const struct vd_letters_conf *conf,
                                struct vd_err *err) VD_MUST_CHECK;

/* Do it; results go to standard output, everything else to standard error. Blocks. Returns: the
 * exit code of the process (see vd_exit in node.h). */
int vd_letters_run(struct vd_topology *topology, const struct vd_letters_conf *conf);

#endif
