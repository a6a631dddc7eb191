/* The world around the stage: PostgreSQL, the progress table and an HTTP server. */
#include "generator_host.h"

#include <assert.h>
#include <string.h>

#define COLUMNS_MAX 17

struct row {
    char *column[COLUMNS_MAX]; /* voters: then source_record, or NULL */
};

struct rows {
    struct row *row;
    size_t count;
};

struct unit {
    struct unit *next;
    size_t count;
    const char *sql[16];
    struct rows values[16]; /* columns of the arrays, as rows */
    vd_pg_done_fn *on_done;
    void *arg;
};

struct vd_pg {
    struct vd_pg_events events;
    bool is_ready;
    struct unit *units;
};

struct vd_pg_reply {
    const struct vd_err *err;
    struct rows rows[16];
};

struct wish {
    struct wish *next;
    vd_table_synced_fn *on_synced;
    void *arg;
};

/* What outlives the process. */
static struct rows voters, candidates;

static struct {
    struct vd_pg *pg;
    struct wish *wishes;
    vd_table_change_fn *on_change;
    void *change_arg;
    char *url;
    vd_http_done_fn *on_response;
    void *response_arg;
} world;

/* ---- the table ----------------------------------------------------------------------------- */

const char *host_row(const char *key)
{
    for (size_t i = host_log_count; i > 0; i--) {
        if (host_log[i - 1].output == 2 && strcmp(host_log[i - 1].key, key) == 0) {
            return host_log[i - 1].value;
        }
    }
    return NULL;
}

const char *vd_table_get(const struct vd_table *table, const void *key, size_t key_len,
                         size_t *value_len)
{
    VD_AUTO(mem) char *text = vd_strndup(key, key_len);
    const char *value = host_row(text);

    (void)table;
    *value_len = value != NULL ? strlen(value) : 0;
    return value;
}

void vd_table_watch(struct vd_table *table, vd_table_change_fn *on_change, void *arg)
{
    (void)table;
    world.on_change = on_change;
    world.change_arg = arg;
}

void vd_table_sync(struct vd_table *table, vd_table_synced_fn *on_synced, void *arg)
{
    struct wish *wish = vd_alloc(sizeof(*wish)), **end = &world.wishes;

    (void)table;
    *wish = (struct wish){.on_synced = on_synced, .arg = arg};
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = wish;
}

bool host_table_step(void)
{
    struct wish *wish = world.wishes;

    if (wish == NULL) {
        return false;
    }
    world.wishes = wish->next;
    wish->on_synced(wish->arg);
    free(wish);
    return true;
}

/* ---- PostgreSQL ---------------------------------------------------------------------------- */

static void free_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t k = 0; k < COLUMNS_MAX; k++) {
            free(rows->row[i].column[k]);
        }
    }
    free(rows->row);
    *rows = (struct rows){.row = NULL};
}

static struct row *add_row(struct rows *rows)
{
    rows->row = vd_realloc(rows->row, (rows->count + 1) * sizeof(*rows->row));
    rows->row[rows->count] = (struct row){.column = {NULL}};
    return &rows->row[rows->count++];
}

/* Arrays, one a column, into rows of text. */
static void read_arrays(const struct vd_pg_stmt *stmt, struct rows *rows)
{
    for (size_t column = 0; column < stmt->count; column++) {
        const char *at = stmt->values[column].data;
        uint32_t type = vd_be32(at + 8);
        size_t count = vd_be32(at) == 0 ? 0 : vd_be32(at + 12);

        at += 20;
        for (size_t i = 0; i < count; i++) {
            uint32_t len = vd_be32(at);
            struct row *row = column == 0 ? add_row(rows) : &rows->row[i];

            row->column[column] =
                type == VD_PG_TEXT
                    ? vd_strndup(at + 4, len)
                    : vd_format("%lld", type == VD_PG_INT4 ? (long long)(int32_t)vd_be32(at + 4)
                                                           : (long long)vd_be64(at + 4));
            at += 4 + len;
        }
    }
}

static struct row *find_row(const struct rows *rows, const char *key)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->row[i].column[0], key) == 0) {
            return &rows->row[i];
        }
    }
    return NULL;
}

static void insert_rows(struct rows *table, const struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row;

        if (find_row(table, rows->row[i].column[0]) != NULL) {
            continue;
        }
        row = add_row(table);
        for (size_t k = 0; k < COLUMNS_MAX; k++) {
            row->column[k] = vd_strdup(rows->row[i].column[k]);
        }
    }
}

/* What el_voter_select_sql gives: source_record first. */
static void select_voters(const struct rows *asked, struct rows *found)
{
    for (size_t i = 0; i < asked->count; i++) {
        const struct row *row = find_row(&voters, asked->row[i].column[0]);
        struct row *out;

        if (row == NULL) {
            continue;
        }
        out = add_row(found);
        for (size_t k = 0; k < COLUMNS_MAX; k++) {
            out->column[k] = vd_strdup(row->column[k == 0 ? COLUMNS_MAX - 1 : k - 1]);
        }
    }
}

static void execute(const struct unit *unit, size_t i, struct rows *found)
{
    if (strncmp(unit->sql[i], "INSERT INTO voters", 18) == 0) {
        insert_rows(&voters, &unit->values[i]);
    } else if (strncmp(unit->sql[i], "SELECT source_record", 20) == 0) {
        select_voters(&unit->values[i], found);
    } else if (strncmp(unit->sql[i], "INSERT INTO candidates", 22) == 0 && candidates.count == 0) {
        insert_rows(&candidates, &unit->values[i]);
    } else if (strncmp(unit->sql[i], "SELECT candidate_id", 19) == 0) {
        insert_rows(found, &candidates);
    }
}

struct vd_pg *vd_stage_pg(struct vd_stage *stage, const char *session_sql,
                          const struct vd_pg_events *events)
{
    (void)stage;
    (void)session_sql;
    world.pg = vd_alloc(sizeof(*world.pg));
    world.pg->events = *events;
    return world.pg;
}

bool vd_pg_is_ready(const struct vd_pg *pg)
{
    return pg->is_ready;
}

enum vd_status vd_pg_run(struct vd_pg *pg, const struct vd_pg_stmt *stmts, size_t count,
                         vd_pg_done_fn *on_done, void *arg, struct vd_err *err)
{
    struct unit *unit, **end = &pg->units;

    if (!pg->is_ready) {
        return vd_fail(err, VD_FAILED, "no connection to PostgreSQL");
    }
    unit = vd_alloc(sizeof(*unit));
    assert(count <= 16);
    unit->count = count;
    unit->on_done = on_done;
    unit->arg = arg;
    for (size_t i = 0; i < count; i++) {
        unit->sql[i] = stmts[i].sql;
        read_arrays(&stmts[i], &unit->values[i]);
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = unit;
    return VD_OK;
}

bool host_pg_step(enum host_outcome outcome)
{
    static const struct vd_err fault = {.status = VD_FAILED, .msg = "out of luck"};
    struct unit *unit = world.pg->units;
    struct vd_pg_reply reply = {.err = outcome != HOST_OK ? &fault : NULL};

    if (unit == NULL) {
        return false;
    }
    world.pg->units = unit->next;
    for (size_t i = 0; i < unit->count && outcome != HOST_FAILS; i++) {
        execute(unit, i, &reply.rows[i]);
    }
    unit->on_done(unit->arg, &reply);
    for (size_t i = 0; i < unit->count; i++) {
        free_rows(&reply.rows[i]);
        free_rows(&unit->values[i]);
    }
    free(unit);
    return true;
}

bool host_pg_connect(void)
{
    if (world.pg->is_ready) {
        return false;
    }
    world.pg->is_ready = true;
    world.pg->events.on_ready(world.pg->events.arg);
    return true;
}

void host_pg_lose(void)
{
    static const struct vd_err lost = {.status = VD_FAILED, .msg = "connection lost"};

    if (world.pg->is_ready) {
        world.pg->is_ready = false;
        while (host_pg_step(HOST_FAILS)) {
        }
        world.pg->events.on_lost(world.pg->events.arg, &lost);
    }
}

void vd_pg_close(struct vd_pg *pg)
{
    while (host_pg_step(HOST_FAILS)) {
    }
    free(pg);
    world.pg = NULL;
}

const struct vd_err *vd_pg_reply_err(const struct vd_pg_reply *reply)
{
    return reply->err;
}

size_t vd_pg_reply_rows(const struct vd_pg_reply *reply, size_t stmt)
{
    return reply->rows[stmt].count;
}

const char *vd_pg_reply_get(const struct vd_pg_reply *reply, size_t stmt, size_t row, size_t column,
                            size_t *len)
{
    const char *text = reply->rows[stmt].row[row].column[column];

    if (len != NULL && text != NULL) {
        *len = strlen(text);
    }
    return text;
}

size_t host_rows(void)
{
    return voters.count;
}

size_t host_candidates(void)
{
    return candidates.count;
}

void host_add_candidate(const char *id)
{
    add_row(&candidates)->column[0] = vd_strdup(id);
}

/* ---- HTTP ---------------------------------------------------------------------------------- */

struct vd_http_call *vd_http_get(struct vd_http *http, const struct vd_http_request *request,
                                 vd_http_done_fn *on_done, void *arg, struct vd_err *err)
{
    (void)http;
    (void)err;
    assert(world.url == NULL);
    world.url = vd_strdup(request->url);
    world.on_response = on_done;
    world.response_arg = arg;
    return (struct vd_http_call *)(void *)&world;
}

void vd_http_cancel(struct vd_http_call *call)
{
    if (call != NULL) {
        free(vd_take(world.url));
    }
}

const char *host_url(void)
{
    return world.url;
}

void host_answer(int status, const char *content_type, const char *body, int64_t retry_after_s)
{
    struct vd_http_response response = {.status = status,
                                        .content_type = content_type,
                                        .retry_after_s = retry_after_s,
                                        .body = body,
                                        .len = strlen(body)};

    free(vd_take(world.url));
    world.on_response(world.response_arg, &response);
}

/* ---- life ---------------------------------------------------------------------------------- */

void world_changed(const struct host_record *record)
{
    struct vd_record change = {.key = record->key, .key_len = strlen(record->key)};

    world.on_change(world.change_arg, &change);
}

void world_end(void)
{
    while (world.wishes != NULL) {
        struct wish *wish = world.wishes;

        world.wishes = wish->next;
        free(wish);
    }
    assert(world.url == NULL && world.pg == NULL);
}

void world_wipe(void)
{
    free_rows(&voters);
    free_rows(&candidates);
}
