/* The PostgreSQL client's connection against a real server: coming, going, and coming back. */
#include "pg.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"

#include "pg_scene.h"

#define SIEGE_UNITS 3000
#define SIEGE_KILLS 5
#define SIEGE_BYTES 20000

static struct vd_pg_value text_value(const char *text)
{
    return (struct vd_pg_value){.data = text, .len = strlen(text)};
}

/* ---- connecting --------------------------------------------------------------------------- */

TEST(session_sql_runs_before_ready)
{
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open_at(&client, &loop, scene_url,
                   "SET TimeZone = 'UTC'; SET application_name = 'seen'; SELECT 1");
    assert_false(vd_pg_is_ready(client.pg));
    scene_turn_until(&loop, &client.ready, 1);
    assert_true(vd_pg_is_ready(client.pg));
    assert_string_equal(client_run(&client, "SHOW application_name").text, "seen");
    assert_int_equal(client.lost, 0);
    vd_pg_close(client.pg);
    scene_close(&loop);
}

TEST(the_session_has_our_name_and_utf8)
{
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open(&client, &loop);
    assert_string_equal(client_run(&client, "SHOW application_name").text, "votingd/test");
    assert_string_equal(client_run(&client, "SHOW client_encoding").text, "UTF8");
    vd_pg_close(client.pg);
    scene_close(&loop);
}

TEST(a_session_that_fails_is_tried_again)
{
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open_at(&client, &loop, scene_url, "SET TimeZone = 'UTC'; SELECT no_such_column");
    scene_turn_until(&loop, &client.lost, 2);
    assert_int_equal(client.ready, 0);
    assert_string_equal(client.lost_msg,
                        "could not set up the PostgreSQL session: ERROR:  column "
                        "\"no_such_column\" does not exist; LINE 1: SET TimeZone = 'UTC'; SELECT "
                        "no_such_column; ^");
    vd_pg_close(client.pg);
    scene_close(&loop);
}

TEST(a_refused_connection_is_tried_again)
{
    struct vd_loop loop;
    struct client client;
    struct vd_pg_stmt stmt = {.sql = "SELECT 1"};
    struct vd_err err = {0};
    int64_t begin;

    vd_loop_init(&loop);
    begin = vd_loop_now_ms(&loop);
    client_open_at(&client, &loop, "host=127.0.0.1 port=1 user=x dbname=x", NULL);
    scene_turn_until(&loop, &client.lost, 4);
    assert_true(vd_loop_now_ms(&loop) - begin >= 50 + 100 + 200);
    assert_non_null(strstr(client.lost_msg, "could not connect to PostgreSQL: connection to server "
                                            "at \"127.0.0.1\", port 1 failed: Connection refused"));
    assert_null(strchr(client.lost_msg, '\n'));
    assert_int_equal(vd_pg_run(client.pg, &stmt, 1, client_on_answer, NULL, &err), VD_FAILED);
    assert_string_equal(err.msg, "no connection to PostgreSQL");
    vd_pg_close(client.pg);
    scene_close(&loop);
}

/* Of DATABASE_URL; "" if it has none. */
static const char *password(void)
{
    static char text[128];
    PQconninfoOption *options = PQconninfoParse(getenv("DATABASE_URL"), NULL);

    for (const PQconninfoOption *at = options; at != NULL && at->keyword != NULL; at++) {
        if (strcmp(at->keyword, "password") == 0 && at->val != NULL) {
            (void)snprintf(text, sizeof(text), "%s", at->val);
        }
    }
    PQconninfoFree(options);
    return text;
}

TEST(a_second_host_is_tried_after_the_first)
{
    struct vd_loop loop;
    struct client client;
    VD_AUTO(mem) char *two = NULL;
    struct client probe;

    vd_loop_init(&loop);
    client_open(&probe, &loop);
    two = vd_format("host=127.0.0.1,127.0.0.1 port=1,%s password='%s' user=%s dbname=%s",
                    client_run(&probe, "SELECT inet_server_port()").text, password(),
                    client_run(&probe, "SELECT current_user").text,
                    client_run(&probe, "SELECT current_database()").text);
    client_open_at(&client, &loop, two, scene_session);
    scene_turn_until(&loop, &client.ready, 1);
    assert_int_equal(client.lost, 0);
    vd_pg_close(client.pg);
    vd_pg_close(probe.pg);
    scene_close(&loop);
}

/* A socket that listens, and nobody who accepts. */
static int listen_silently(int *port)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return listener;
}

TEST(a_server_that_does_not_answer_is_given_up)
{
    struct vd_loop loop;
    struct client client;
    VD_AUTO(mem) char *conninfo = NULL;
    int port;
    int listener = listen_silently(&port);

    conninfo = vd_format("host=127.0.0.1 port=%d user=x dbname=x", port);
    vd_loop_init(&loop);
    client_open_at(&client, &loop, conninfo, NULL);
    vd_pg_set_limits(client.pg, 100, 0);
    scene_turn_until(&loop, &client.lost, 2);
    assert_string_equal(client.lost_msg, "could not connect to PostgreSQL: no answer for 100 ms");
    vd_pg_close(client.pg);
    scene_close(&loop);
    close(listener);
}

TEST(close_while_connecting_is_quiet)
{
    struct vd_loop loop;
    struct client client;

    for (int turns = 0; turns < 6; turns++) {
        vd_loop_init(&loop);
        client_open_at(&client, &loop, scene_url, scene_session);
        for (int i = 0; i < turns; i++) {
            uv_run(&loop.uv, UV_RUN_ONCE);
        }
        vd_pg_close(client.pg);
        scene_close(&loop);
        assert_int_equal(client.lost, 0);
    }
    vd_pg_close(NULL);
}

TEST(connection_strings_are_checked_without_telling_passwords)
{
    struct vd_err err = {0};

    assert_int_equal(vd_pg_check_conninfo(scene_url, &err), VD_OK);
    assert_int_equal(vd_pg_check_conninfo("host=a colour=b", &err), VD_INVALID);
    assert_int_equal(err.status, VD_INVALID);
    assert_string_equal(err.msg, "not a connection string of PostgreSQL: invalid connection "
                                 "option \"colour\"");
    assert_int_equal(vd_pg_check_conninfo("host=a password=se cret", &err), VD_INVALID);
    assert_string_equal(err.msg, "not a connection string of PostgreSQL");
    assert_int_equal(vd_pg_check_conninfo("postgres://a:se%cret@b", NULL), VD_INVALID);
    assert_int_equal(vd_pg_check_server(scene_url, 5000, &err), VD_OK);
    assert_int_equal(vd_pg_check_server("host=127.0.0.1 port=1", 5000, &err), VD_FAILED);
    assert_memory_equal(err.msg, "could not connect to PostgreSQL: ", 33);
}

/* ---- loss --------------------------------------------------------------------------------- */

/* The server's last words, or libpq's own: closing a socket with bytes unread throws away what was
 * sent before. */
static void assert_sqlstate_of_loss(const char *sqlstate)
{
    if (strcmp(sqlstate, "57P01") != 0) {
        assert_string_equal(sqlstate, "08006");
    }
}

TEST(a_killed_server_process_is_noticed_and_replaced)
{
    static const char *const work[] = {"SELECT pg_sleep(60)"};
    static const char *const more[] = {"SELECT 'more'"};
    struct answer answers[2] = {0};
    struct vd_loop loop;
    struct client victim, killer;
    struct answer pid, killed;
    struct vd_pg_value value;

    vd_loop_init(&loop);
    client_open(&victim, &loop);
    client_open(&killer, &loop);
    assert_string_equal(client_run(&victim, more[0]).text, "more");
    pid = client_run(&victim, "SELECT pg_backend_pid()");
    value = text_value(pid.text);
    client_start(&victim, work, 1, &answers[0]);
    client_start(&victim, more, 1, &answers[1]);
    client_run_values(&killer, "SELECT pg_terminate_backend($1::int)", &value, 1, &killed);
    scene_turn_until(&loop, &victim.lost, 1);
    assert_int_equal(answers[0].count, 1);
    assert_int_equal(answers[0].status, VD_FAILED);
    assert_sqlstate_of_loss(answers[0].sqlstate);
    assert_int_equal(answers[1].count, 1);
    assert_int_equal(answers[1].status, VD_FAILED);
    assert_string_equal(answers[1].sqlstate, "08006");
    assert_memory_equal(victim.lost_msg, "lost the connection to PostgreSQL: ", 35);
    scene_turn_until(&loop, &victim.ready, 2);
    assert_string_equal(client_run(&victim, more[0]).text, "more");
    assert_string_not_equal(client_run(&victim, "SELECT pg_backend_pid()").text, pid.text);
    vd_pg_close(victim.pg);
    vd_pg_close(killer.pg);
    scene_close(&loop);
}

TEST(a_kill_while_idle_is_noticed_at_once)
{
    struct vd_loop loop;
    struct client victim, killer;
    struct answer pid, killed;
    struct vd_pg_value value;

    vd_loop_init(&loop);
    client_open(&victim, &loop);
    client_open(&killer, &loop);
    for (int round = 1; round <= 3; round++) {
        pid = client_run(&victim, "SELECT pg_backend_pid()");
        value = text_value(pid.text);
        client_run_values(&killer, "SELECT pg_terminate_backend($1::int)", &value, 1, &killed);
        scene_turn_until(&loop, &victim.lost, round);
        assert_false(vd_pg_is_ready(victim.pg));
        scene_turn_until(&loop, &victim.ready, round + 1);
    }
    vd_pg_close(victim.pg);
    vd_pg_close(killer.pg);
    scene_close(&loop);
}

/* Units of two statements with a big value, while another client kills their server process. */
struct siege {
    struct client victim, killer;
    char *big;
    size_t sent, answered, kills, kills_done;
    enum vd_status said[SIEGE_UNITS + 1]; /* by the unit's number, from 1 */
    int rows[SIEGE_UNITS + 1];            /* found afterwards */
};

static struct siege siege;

static void on_siege_answer(void *arg, const struct vd_pg_reply *reply)
{
    const struct vd_err *err = vd_pg_reply_err(reply);

    siege.said[(uintptr_t)arg] = err != NULL ? err->status : VD_OK;
    siege.answered++;
}

/* Fill the pipeline; the second statement of every seventh unit divides by zero. */
static void send_siege_units(void)
{
    while (siege.sent < SIEGE_UNITS) {
        char number[16];
        struct vd_pg_value values[] = {{.data = number},
                                       {.data = siege.big, .len = SIEGE_BYTES, .is_binary = true}};
        const struct vd_pg_stmt stmts[] = {
            {.sql = "INSERT INTO siege SELECT $1::int, length($2::bytea)",
             .values = values,
             .count = 2},
            {.sql = "INSERT INTO siege SELECT $1::int, 1 / ($1::int % 7)",
             .values = values,
             .count = 1}};

        values[0].len = (size_t)snprintf(number, sizeof(number), "%zu", siege.sent + 1);
        if (vd_pg_run(siege.victim.pg, stmts, 2, on_siege_answer,
                      (void *)(uintptr_t)(siege.sent + 1), NULL) != VD_OK) {
            return;
        }
        siege.sent++;
    }
}

static void on_kill_answer(void *arg, const struct vd_pg_reply *reply)
{
    (void)arg;
    assert_null(vd_pg_reply_err(reply));
    siege.kills_done++;
}

/* The answers so far are the clock: a kill falls somewhere into the units after them. */
static void kill_now_and_then(void)
{
    const struct vd_pg_stmt stmt = {.sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                           "WHERE application_name = 'siege'"};

    if (siege.kills < SIEGE_KILLS && siege.kills == siege.kills_done &&
        siege.answered > (siege.kills + 1) * SIEGE_UNITS / (SIEGE_KILLS + 1)) {
        assert_int_equal(vd_pg_run(siege.killer.pg, &stmt, 1, on_kill_answer, NULL, NULL), VD_OK);
        siege.kills++;
    }
}

static void on_siege_rows(void *arg, const struct vd_pg_reply *reply)
{
    ++*(int *)arg;
    for (size_t i = 0; i < vd_pg_reply_rows(reply, 0); i++) {
        siege.rows[atoi(vd_pg_reply_get(reply, 0, i, 0, NULL))]++;
    }
}

TEST(kills_at_any_moment_leave_whole_units_only)
{
    VD_AUTO(mem) char *marked = vd_format("%s; SET application_name = 'siege'", scene_session);
    const struct vd_pg_stmt all = {.sql = "SELECT n FROM siege"};
    struct vd_loop loop;
    int read = 0;

    vd_loop_init(&loop);
    client_open(&siege.killer, &loop);
    (void)client_run(&siege.killer, "CREATE TABLE siege (n int, v int)");
    client_open_at(&siege.victim, &loop, scene_url, marked);
    siege.big = vd_alloc(SIEGE_BYTES);
    while (siege.answered < SIEGE_UNITS || siege.kills_done < siege.kills) {
        send_siege_units();
        kill_now_and_then();
        uv_run(&loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(siege.kills, SIEGE_KILLS);
    assert_true(siege.victim.lost >= 1);
    assert_int_equal(vd_pg_run(siege.killer.pg, &all, 1, on_siege_rows, &read, NULL), VD_OK);
    scene_turn_until(&loop, &read, 1);
    for (size_t i = 1; i <= SIEGE_UNITS; i++) {
        if (i % 7 == 0 || siege.said[i] == VD_INVALID) {
            assert_true(i % 7 == 0 && siege.said[i] != VD_OK && siege.rows[i] == 0);
        } else {
            assert_true(siege.rows[i] == 2 || (siege.said[i] == VD_FAILED && siege.rows[i] == 0));
        }
    }
    vd_pg_close(siege.victim.pg);
    vd_pg_close(siege.killer.pg);
    scene_close(&loop);
    free(siege.big);
}

/* Two answers within the limit each, but not both together. False: the machine was so slow that the
 * client was right to give the server up. */
static bool is_patient(struct client *client)
{
    static const char *const naps[] = {"SELECT pg_sleep(0.6)"};

    for (int i = 0; i < 2; i++) {
        struct answer answer = {0};

        client_start(client, naps, 1, &answer);
        scene_turn_until(client->loop, &answer.count, 1);
        if (answer.status != VD_OK) {
            scene_turn_until(client->loop, &client->ready, client->lost + 1);
            return false;
        }
    }
    return true;
}

TEST(silence_is_taken_for_a_loss)
{
    enum { TRIES = 5 };
    static const char *const long_work[] = {"SELECT pg_sleep(60)"};
    struct answer answer = {0};
    struct vd_loop loop;
    struct client client;
    int tries = 1;
    int lost;

    vd_loop_init(&loop);
    client_open(&client, &loop);
    vd_pg_set_limits(client.pg, 0, 1000);
    while (!is_patient(&client) && tries < TRIES) {
        tries++;
    }
    assert_in_range(tries, 1, TRIES - 1);
    lost = client.lost;
    client_start(&client, long_work, 1, &answer);
    scene_turn_until(&loop, &client.lost, lost + 1);
    assert_int_equal(answer.status, VD_FAILED);
    assert_string_equal(answer.sqlstate, "08006");
    assert_memory_equal(client.lost_msg, "lost the connection to PostgreSQL: no answer for ", 49);
    scene_turn_until(&loop, &client.ready, lost + 2);
    vd_pg_close(client.pg);
    scene_close(&loop);
}

TEST(close_answers_what_is_under_way)
{
    static const char *const work[] = {"SELECT pg_sleep(60)"};
    struct answer answers[3] = {0};
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open(&client, &loop);
    for (size_t i = 0; i < 3; i++) {
        client_start(&client, work, 1, &answers[i]);
    }
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    vd_pg_close(client.pg);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].status, VD_FAILED);
        assert_string_equal(answers[i].msg, "the connection to PostgreSQL is being closed");
    }
    scene_close(&loop);
    assert_int_equal(client.lost, 0);
}

TEST(a_unit_may_close_its_own_client)
{
    static const char *const quick[] = {"SELECT 1"};
    struct answer answers[3] = {0};
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open(&client, &loop);
    answers[1].close = &client;
    for (size_t i = 0; i < 3; i++) {
        client_start(&client, quick, 1, &answers[i]);
    }
    scene_close(&loop);
    assert_int_equal(answers[0].status, VD_OK);
    assert_int_equal(answers[1].status, VD_OK);
    assert_int_equal(answers[2].count, 1);
    assert_int_equal(answers[2].status, VD_FAILED);
    assert_int_equal(client.lost, 0);
}

TEST(a_unit_lost_with_the_server_may_close_its_client)
{
    static const char *const suicide[] = {"SELECT pg_terminate_backend(pg_backend_pid())"};
    struct answer answers[2] = {0};
    struct vd_loop loop;
    struct client client;

    vd_loop_init(&loop);
    client_open(&client, &loop);
    answers[0].close = &client;
    client_start(&client, suicide, 1, &answers[0]);
    client_start(&client, suicide, 1, &answers[1]);
    scene_close(&loop);
    assert_int_equal(answers[0].count, 1);
    assert_sqlstate_of_loss(answers[0].sqlstate);
    assert_int_equal(answers[1].count, 1);
    assert_int_equal(client.lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_sql_runs_before_ready),
        cmocka_unit_test(the_session_has_our_name_and_utf8),
        cmocka_unit_test(a_session_that_fails_is_tried_again),
        cmocka_unit_test(a_refused_connection_is_tried_again),
        cmocka_unit_test(a_second_host_is_tried_after_the_first),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
        cmocka_unit_test(close_while_connecting_is_quiet),
        cmocka_unit_test(connection_strings_are_checked_without_telling_passwords),
        cmocka_unit_test(a_killed_server_process_is_noticed_and_replaced),
        cmocka_unit_test(a_kill_while_idle_is_noticed_at_once),
        cmocka_unit_test(kills_at_any_moment_leave_whole_units_only),
        cmocka_unit_test(silence_is_taken_for_a_loss),
        cmocka_unit_test(close_answers_what_is_under_way),
        cmocka_unit_test(a_unit_may_close_its_own_client),
        cmocka_unit_test(a_unit_lost_with_the_server_may_close_its_client),
    };

    if (!scene_find("pg")) {
        return 77;
    }
    return cmocka_run_group_tests(tests, scene_make, scene_drop);
}
