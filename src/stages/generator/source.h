/* Where voters come from: what each source offers to the generator.
 *
 * A source is a function of its place: the same place gives the same records, whenever and however
 * often it is asked. So resuming, and taking back what was not committed, is reading from there. */
#ifndef VD_GENERATOR_SOURCE_H
#define VD_GENERATOR_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "generator/conf.h"
#include "generator/page.h"
#include "generator/progress.h"
#include "stage.h"

struct gen_source; /* each source's own */

/* What a source gets. on_ready: an open or a read that said VD_AGAIN or VD_FAILED is worth another
 * call; never called from within one. */
struct gen_source_host {
    const struct gen_conf *conf;
    struct vd_stage *stage; /* borrowed; NULL in tests of sources that need no loop */
    void (*on_ready)(void *arg);
    void *arg;
};

struct gen_source_ops {
    const char *name;
    bool is_import; /* what is published is read back from the table: a source changes its mind */

    /* Check the options. No side effects. Fails: VD_INVALID, naming the option. */
    enum vd_status (*check)(const struct gen_conf *conf, struct vd_err *err);

    struct gen_source *(*create)(const struct gen_source_host *host);
    void (*release)(struct gen_source *source); /* NULL is accepted */

    /* Get ready to read. Fails: VD_AGAIN, on_ready comes; VD_FAILED, on_ready comes later and 'err'
     * is a trouble until then; VD_INVALID, only a person can help. */
    enum vd_status (*open)(struct gen_source *source, struct vd_err *err);

    /* Once open: append what the voters are a function of ("seed=1 country=us"). A different text
     * for the same source and shard is a different electorate. */
    void (*define)(const struct gen_source *source, struct vd_buf *out);

    /* Voters of this shard in all; -1: not known yet. */
    int64_t (*target)(const struct gen_source *source);

    /* Fill the empty 'page' with at most 'max' records from 'from' on, and set page->after; without
     * any record left, is_last. Fails: as open; the page then is empty. */
    enum vd_status (*read)(struct gen_source *source, const struct gen_place *from, int64_t max,
                           struct gen_page *page, struct vd_err *err);
};

extern const struct gen_source_ops gen_synthetic_source;
extern const struct gen_source_ops gen_csv_source;
extern const struct gen_source_ops gen_jsonl_source;
extern const struct gen_source_ops gen_randomuser_source;

#endif
