#include "pg_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

#define PATIENCE_MS 60000

const char *scene_url;
char scene_session[128];

static char schema[64];
static struct vd_log *quiet;

static void on_ready(void *arg)
{
    ((struct client *)arg)->ready++;
}

static void on_lost(void *arg, const struct vd_err *err)
{
    struct client *client = arg;

    assert_int_equal(err->status, VD_FAILED);
    client->lost++;
    (void)snprintf(client->lost_msg, sizeof(client->lost_msg), "%s", err->msg);
}

void client_open_at(struct client *client, struct vd_loop *loop, const char *conninfo,
                    const char *session_sql)
{
    const struct vd_pg_events events = {.on_ready = on_ready, .on_lost = on_lost, .arg = client};

    *client = (struct client){.loop = loop};
    client->pg = vd_pg_new(loop, conninfo, session_sql, quiet, &events);
}

static void on_impatient(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

void scene_turn_until(struct vd_loop *loop, const int *counter, int wanted)
{
    uv_timer_t patience;
    int seen = *counter - 1;

    uv_timer_init(&loop->uv, &patience);
    while (*counter < wanted) {
        if (*counter != seen) {
            seen = *counter;
            uv_timer_start(&patience, on_impatient, PATIENCE_MS, 0);
        }
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&patience, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

void client_open(struct client *client, struct vd_loop *loop)
{
    client_open_at(client, loop, scene_url, scene_session);
    scene_turn_until(loop, &client->ready, 1);
}

void scene_close(struct vd_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop->uv), 0);
}

void client_on_answer(void *arg, const struct vd_pg_reply *reply)
{
    struct answer *answer = arg;
    const struct vd_err *err = vd_pg_reply_err(reply);
    size_t last = answer->stmts > 0 ? answer->stmts - 1 : 0;

    answer->count++;
    answer->status = err != NULL ? err->status : VD_OK;
    (void)snprintf(answer->msg, sizeof(answer->msg), "%s", err != NULL ? err->msg : "");
    (void)snprintf(answer->sqlstate, sizeof(answer->sqlstate), "%s", vd_pg_reply_sqlstate(reply));
    answer->rows = vd_pg_reply_rows(reply, last);
    answer->affected = vd_pg_reply_affected(reply, last);
    if (answer->rows > 0) {
        const char *text = vd_pg_reply_get(reply, last, 0, 0, &answer->len);

        (void)snprintf(answer->text, sizeof(answer->text), "%s", text != NULL ? text : "NULL");
    }
    if (answer->close != NULL) {
        vd_pg_close(answer->close->pg);
    }
}

void client_start(struct client *client, const char *const *sql, size_t count,
                  struct answer *answer)
{
    struct vd_pg_stmt stmts[8] = {0};
    struct vd_err err = {0};

    for (size_t i = 0; i < count; i++) {
        stmts[i].sql = sql[i];
    }
    answer->stmts = count;
    if (vd_pg_run(client->pg, stmts, count, client_on_answer, answer, &err) != VD_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(answer->count, 0);
}

void client_run_values(struct client *client, const char *sql, const struct vd_pg_value *values,
                       size_t count, struct answer *answer)
{
    const struct vd_pg_stmt stmt = {.sql = sql, .values = values, .count = count};
    struct vd_err err = {0};

    *answer = (struct answer){0};
    assert_int_equal(vd_pg_run(client->pg, &stmt, 1, client_on_answer, answer, &err), VD_OK);
    scene_turn_until(client->loop, &answer->count, 1);
}

struct answer client_run(struct client *client, const char *sql)
{
    struct answer answer;

    client_run_values(client, sql, NULL, 0, &answer);
    if (answer.status != VD_OK) {
        fail_msg("%s: %s", sql, answer.msg);
    }
    return answer;
}

/* Run one statement outside any test. */
static void run_alone(const char *session_sql)
{
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open_at(&client, &loop, scene_url, session_sql);
    scene_turn_until(&loop, &client.ready, 1);
    vd_pg_close(client.pg);
    scene_close(&loop);
}

int scene_make(void **state)
{
    VD_AUTO(mem) char *sql = vd_format("CREATE SCHEMA %s", schema);

    (void)state;
    quiet = vd_log_new("test");
    run_alone(sql);
    return 0;
}

int scene_drop(void **state)
{
    VD_AUTO(mem) char *sql = vd_format("DROP SCHEMA %s CASCADE", schema);

    (void)state;
    run_alone(sql);
    vd_log_free(vd_take(quiet));
    return 0;
}

bool scene_find(const char *program)
{
    scene_url = getenv("DATABASE_URL");
    if (scene_url == NULL || scene_url[0] == '\0') {
        (void)puts("skipped: DATABASE_URL names no server");
        return false;
    }
    (void)snprintf(schema, sizeof(schema), "votingd_test_%s_%ld", program, (long)getpid());
    (void)snprintf(scene_session, sizeof(scene_session),
                   "SET search_path = %s; SET TimeZone = 'UTC'", schema);
    vd_log_setup(VD_LOG_WARN, VD_LOG_TEXT);
    return true;
}
