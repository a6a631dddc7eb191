/* Candidates come from the table, which the generator fills in one transaction: once synced and not
 * empty it is complete. */
#include "roll.h"

#include <stdio.h>
#include <string.h>

#include "election/candidate.h"

#define ASK_MS 1000 /* between two looks into PostgreSQL */

static const char candidates_sql[] =
    "SELECT candidate_id, candidate_name, party_affiliation, biography, campaign_platform,"
    " photo_url FROM candidates";

enum roll_state {
    ROLL_SYNCING, /* the table is not at its end yet */
    ROLL_EMPTY,   /* it holds no ballot: PostgreSQL is asked as well */
    ROLL_DONE,    /* the ballot was handed over */
};

/* Candidates as they are read; one more than a ballot takes is enough to be refused. */
struct list {
    struct el_candidate items[EL_BALLOT_CANDIDATES_MAX + 1];
    size_t count;
};

struct voting_roll {
    struct vd_stage *stage;
    struct vd_table *table;
    const struct el_ballot_conf *conf;
    struct voting_roll_events events;
    struct vd_pg *pg;
    struct vd_timer *ask;
    enum roll_state state;
    bool is_syncing;
    bool is_asking;
    char tag[EL_BALLOT_TAG_BYTES];  /* of the ballot handed over */
    char read[EL_BALLOT_TAG_BYTES]; /* of what PostgreSQL held at the last look, "": nothing */
    char trouble[VD_ERR_MSG_BYTES];
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        el_candidate_fini(&list->items[i]);
    }
    free(list);
}

VD_AUTO_KIND(list, struct list *, list_free)
VD_AUTO_KIND(ballot, struct el_ballot *, el_ballot_free)

static void set_state(struct voting_roll *roll, enum roll_state state)
{
    static const char *const names[] = {"syncing", "empty", "done"};

    if (state == roll->state) {
        return;
    }
    vd_debug(vd_stage_log(roll->stage), "candidates: %s, now %s", names[roll->state], names[state]);
    roll->state = state;
}

static void set_trouble(struct voting_roll *roll, const char *words)
{
    (void)snprintf(roll->trouble, sizeof(roll->trouble), "%s", words); /* cut to fit */
    if (roll->state != ROLL_DONE) {
        roll->events.on_trouble(roll->events.arg);
    }
}

/* A ballot of the candidates in 'list', which loses them on success. */
static struct el_ballot *make_ballot(struct voting_roll *roll, struct list *list,
                                     struct vd_err *err)
{
    struct el_ballot *ballot = NULL;

    if (el_ballot_new(roll->conf, list->items, list->count, &ballot, err) != VD_OK) {
        (void)vd_fail_in(err, "could not make the ballot"); /* told through 'err' */
        return NULL;
    }
    list->count = 0;
    return ballot;
}

static void hand_over(struct voting_roll *roll, struct el_ballot *ballot, const char *source)
{
    vd_info(vd_stage_log(roll->stage), "ballot %s: %zu candidates from %s", el_ballot_tag(ballot),
            el_ballot_count(ballot), source);
    memcpy(roll->tag, el_ballot_tag(ballot), sizeof(roll->tag));
    set_state(roll, ROLL_DONE);
    vd_timer_stop(roll->ask);
    roll->events.on_ballot(roll->events.arg, ballot);
}

/* ---- the table ----------------------------------------------------------------------------- */

static struct el_ballot *read_table(struct voting_roll *roll, struct vd_err *err)
{
    VD_AUTO(list) struct list *list = vd_alloc(sizeof(*list));
    struct vd_record row = {0};
    size_t at = 0;

    while (list->count <= EL_BALLOT_CANDIDATES_MAX && vd_table_next(roll->table, &at, &row)) {
        if (el_candidate_parse(row.value, row.value_len, &list->items[list->count], err) != VD_OK) {
            (void)vd_fail_in(err, "candidates topic, partition %d, offset %lld", row.partition,
                             (long long)row.offset); /* told through 'err' */
            return NULL;
        }
        list->count++;
    }
    return make_ballot(roll, list, err);
}

/* The ballot of a running election is what it was: a change now would make votes that were worked
 * out before say something else. */
static void compare(struct voting_roll *roll)
{
    struct vd_err err = {0};
    VD_AUTO(ballot) struct el_ballot *ballot = read_table(roll, &err);

    if (ballot == NULL) {
        vd_warn(vd_stage_log(roll->stage), "the candidates changed: %s; kept ballot %s", err.msg,
                roll->tag);
    } else if (strcmp(el_ballot_tag(ballot), roll->tag) != 0) {
        vd_warn(vd_stage_log(roll->stage),
                "the candidates changed, they would make ballot %s; kept ballot %s. A restart will "
                "refuse the offsets committed under it: put the candidates back",
                el_ballot_tag(ballot), roll->tag);
    }
}

static void on_synced(void *arg)
{
    struct voting_roll *roll = arg;
    struct el_ballot *ballot = NULL;
    struct vd_err err = {0};

    roll->is_syncing = false;
    if (roll->state == ROLL_DONE) {
        compare(roll);
        return;
    }
    if (vd_table_rows(roll->table) > 0) {
        ballot = read_table(roll, &err);
    }
    if (ballot != NULL) {
        hand_over(roll, ballot, "the candidates topic");
        return;
    }
    set_state(roll, ROLL_EMPTY);
    set_trouble(roll, err.msg[0] != '\0' ? err.msg : "waiting for the candidates");
    if (!vd_timer_is_active(roll->ask)) {
        vd_timer_start(roll->ask, 0);
    }
}

static void sync_table(struct voting_roll *roll)
{
    if (!roll->is_syncing) {
        roll->is_syncing = true;
        vd_table_sync(roll->table, on_synced, roll);
    }
}

static void on_change(void *arg, const struct vd_record *record)
{
    struct voting_roll *roll = arg;

    (void)record;
    sync_table(roll); /* the rest of its transaction first */
}

/* ---- PostgreSQL ---------------------------------------------------------------------------- */

static void read_rows(const struct vd_pg_reply *reply, struct list *list)
{
    size_t rows = vd_pg_reply_rows(reply, 0);

    for (size_t i = 0; i < rows && list->count <= EL_BALLOT_CANDIDATES_MAX; i++) {
        struct el_candidate *candidate = &list->items[list->count++];
        char **const texts[] = {&candidate->id,        &candidate->name,     &candidate->party,
                                &candidate->biography, &candidate->platform, &candidate->photo_url};

        for (size_t c = 0; c < sizeof(texts) / sizeof(texts[0]); c++) {
            const char *text = vd_pg_reply_get(reply, 0, i, c, NULL);

            *texts[c] = vd_strdup(text != NULL ? text : "");
        }
    }
}

/* Take what PostgreSQL holds if it held the same a second ago. */
static void weigh(struct voting_roll *roll, const struct vd_pg_reply *reply)
{
    VD_AUTO(list) struct list *list = vd_alloc(sizeof(*list));
    VD_AUTO(ballot) struct el_ballot *ballot = NULL;
    struct vd_err err = {0};

    read_rows(reply, list);
    if (list->count == 0) {
        roll->read[0] = '\0';
        set_trouble(roll, "waiting for the candidates");
        return;
    }
    ballot = make_ballot(roll, list, &err);
    if (ballot == NULL) {
        roll->read[0] = '\0';
        set_trouble(roll, err.msg);
    } else if (strcmp(roll->read, el_ballot_tag(ballot)) == 0) {
        hand_over(roll, vd_take(ballot), "PostgreSQL");
    } else {
        memcpy(roll->read, el_ballot_tag(ballot), sizeof(roll->read));
    }
}

static void on_rows(void *arg, const struct vd_pg_reply *reply)
{
    struct voting_roll *roll = arg;

    roll->is_asking = false;
    if (roll->state != ROLL_EMPTY) {
        return; /* the table was quicker */
    }
    if (vd_pg_reply_err(reply) == NULL) {
        weigh(roll, reply);
    }
    if (roll->state == ROLL_EMPTY) {
        vd_timer_start(roll->ask, ASK_MS);
    }
}

static void on_ask(void *arg)
{
    struct voting_roll *roll = arg;
    const struct vd_pg_stmt stmt = {.sql = candidates_sql};
    struct vd_err err = {0};

    if (roll->state != ROLL_EMPTY || roll->is_asking) {
        return;
    }
    if (roll->pg != NULL && vd_pg_run(roll->pg, &stmt, 1, on_rows, roll, &err) == VD_OK) {
        roll->is_asking = true;
    } else {
        vd_timer_start(roll->ask, ASK_MS);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

struct voting_roll *voting_roll_new(struct vd_stage *stage, struct vd_table *table,
                                    const struct el_ballot_conf *conf,
                                    const struct voting_roll_events *events)
{
    struct voting_roll *roll = vd_alloc(sizeof(*roll));

    roll->stage = stage;
    roll->table = table;
    roll->conf = conf;
    roll->events = *events;
    roll->ask = vd_timer_new(vd_stage_loop(stage), on_ask, roll);
    (void)snprintf(roll->trouble, sizeof(roll->trouble), "waiting for the candidates"); /* fits */
    if (table != NULL) {
        vd_table_watch(table, on_change, roll);
        sync_table(roll);
    } else {
        roll->state = ROLL_EMPTY;
        vd_timer_start(roll->ask, 0);
    }
    return roll;
}

void voting_roll_free(struct voting_roll *roll)
{
    if (roll == NULL) {
        return;
    }
    vd_timer_close(roll->ask);
    free(roll);
}

void voting_roll_set_pg(struct voting_roll *roll, struct vd_pg *pg)
{
    roll->pg = pg;
}

const char *voting_roll_trouble(const struct voting_roll *roll)
{
    return roll->state == ROLL_DONE ? NULL : roll->trouble;
}
