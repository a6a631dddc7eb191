/* What the web server does with websockets that are too many, too slow or gone, and how it ends. */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"
#include "web_rig.h"

#define ORIGIN "Origin: http://HOST\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: votingd.v1\r\n"

/* --- limits and evictions --- */

TEST(sockets_are_limited_by_address_and_in_total)
{
    static const char *const options[] = {"sockets_per_address", "2",         "sockets_max", "3",
                                          "trusted_proxies",     "127.0.0.1", NULL};
    static const char *const from[] = {"X-Forwarded-For: 9.9.9.9, 2001:db8::1\r\n" ORIGIN PROTOCOL,
                                       "X-Forwarded-For: 192.0.2.2\r\n" ORIGIN PROTOCOL,
                                       "X-Forwarded-For: 2001:db8::2\r\n" ORIGIN PROTOCOL};
    struct rig rig;
    struct ws ws[3], more;

    rig_open(&rig, options, rig_add_socket);
    assert_int_equal(ws_open(&ws[0], &rig, from[0]), 101);
    assert_int_equal(ws_open(&ws[1], &rig, from[2]), 101); /* of the same /64 */
    assert_int_equal(ws_open(&more, &rig, from[0]), 429);
    assert_non_null(strstr(more.answer, "Retry-After: 10\r\n"));
    ws_close(&more);
    assert_int_equal(ws_open(&ws[2], &rig, from[1]), 101);
    assert_int_equal(ws_open(&more, &rig, from[1]), 503);
    assert_non_null(strstr(more.answer, "Retry-After: 10\r\n"));
    ws_close(&more);
    assert_true(rig_metric(&rig, "votingd_websocket_refusals_total{reason=\"address\"}") == 1);
    assert_true(rig_metric(&rig, "votingd_websocket_refusals_total{reason=\"full\"}") == 1);
    ws_close(&ws[0]);
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 2));
    assert_int_equal(ws_open(&ws[0], &rig, from[0]), 101);
    for (int i = 0; i < 3; i++) {
        ws_close(&ws[i]);
    }
    rig_close(&rig);
}

TEST(new_sockets_a_second_are_limited)
{
    static const char *const options[] = {"sockets_per_second", "3", NULL};
    struct rig rig;
    int accepted = 0;

    rig_open(&rig, options, rig_add_socket);
    for (int i = 0; i < 8; i++) {
        struct ws ws;
        int status = ws_open(&ws, &rig, NULL);

        accepted += status == 101 ? 1 : 0;
        assert_true(status == 101 ||
                    (status == 503 && strstr(ws.answer, "Retry-After: 1\r\n") != NULL));
        ws_close(&ws);
    }
    assert_true(accepted >= 3 && accepted < 8);
    rig_close(&rig);
}

TEST(requests_are_served_while_all_sockets_are_taken)
{
    static const char *const options[] = {"threads", "12", NULL};
    struct rig rig;
    struct ws ws[4], more;
    VD_AUTO(mem) char *answer = NULL;

    rig_open(&rig, options, rig_add_socket);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ws_open(&ws[i], &rig, NULL), 101);
    }
    assert_int_equal(ws_open(&more, &rig, NULL), 503);
    ws_close(&more);
    answer = rig_http(&rig, "GET /nothing HTTP/1.1\r\nHost: HOST\r\n\r\n");
    assert_non_null(strstr(answer, "404 Not Found"));
    for (int i = 0; i < 4; i++) {
        ws_close(&ws[i]);
    }
    rig_close(&rig);
}

TEST(a_half_open_client_is_gone_after_six_pings_in_vain)
{
    static const char *const options[] = {"ping_ms", "100", NULL};
    struct rig rig;
    struct ws dead, alive;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&dead, &rig);
    ws_open_at_1(&alive, &rig);
    dead.is_silent = true;
    for (int i = 0; i < 15; i++) {
        assert_null(ws_read(&alive, 100)); /* answers pings */
    }
    assert_true(ws_is_closed(&dead, WS_READ_MS));
    ws_close(&dead);
    rig_publish(&rig, 2, true, false);
    ws_assert_reads(&alive, "delta 2");
    ws_close(&alive);
    rig_close(&rig);
}

TEST(a_client_that_owes_an_ack_too_long_is_evicted)
{
    static const char *const options[] = {"ack_timeout_ms", "1000", NULL};
    struct rig rig;
    struct ws mute, good;
    const char *bye;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&mute, &rig);
    ws_open_at_1(&good, &rig);
    assert_true(ws_say(&good, "{\"type\":\"ack\",\"seq\":1}"));
    bye = ws_read(&mute, WS_READ_MS);
    assert_non_null(bye);
    assert_memory_equal(bye, "{\"type\":\"bye\",\"seq\":1,\"now_ms\":", 31);
    assert_non_null(strstr(bye, ",\"reason\":\"no_ack\",\"retry_ms\":5000}"));
    ws_assert_closed(&mute, 1013);
    assert_true(rig_metric(&rig, "votingd_websocket_evictions_total{reason=\"no_ack\"}") == 1);
    assert_null(ws_read(&good, 1200)); /* it owes nothing, however long */
    assert_int_equal(good.opcode, -2);
    ws_close(&good);
    rig_close(&rig);
}

TEST(a_client_that_loses_track_again_and_again_without_an_ack_is_evicted)
{
    static const char *const options[] = {"ping_ms", "60000", NULL};
    struct rig rig;
    struct ws ws;
    const char *text;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    assert_null(ws_read(&ws, 3100));             /* with a younger ack it would be let be */
    for (uint64_t seq = 3; seq <= 9; seq += 2) { /* each on a picture that it never got */
        rig_publish(&rig, seq, true, false);
        if (seq < 9) {
            VD_AUTO(mem) char *full = vd_format("full %d", (int)seq);

            assert_true(rig_full_becomes_wanted(&rig));
            rig_publish(&rig, seq, true, true);
            ws_assert_reads(&ws, full);
        }
    }
    text = ws_read(&ws, WS_READ_MS);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"type\":\"bye\",\"seq\":7,"));
    assert_non_null(strstr(text, "\"reason\":\"behind\",\"retry_ms\":5000}"));
    ws_assert_closed(&ws, 1013);
    rig_close(&rig);
}

TEST(clients_that_do_not_read_hold_up_nobody_and_are_evicted)
{
    static const char *const options[] = {
        "writers", "1",       "credit_bytes", "16777216",           "sockets_per_address",
        "40",      "threads", "48",           "sockets_per_second", "100",
        NULL};
    struct rig_publication large = {.has_delta = true, .has_full = true, .bytes = 600000};
    struct rig rig;
    struct ws stuck[30], good;
    int64_t worst_ns = 0;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&good, &rig);
    rig.receive_bytes = 4096;
    for (int i = 0; i < 30; i++) {
        ws_open_at_1(&stuck[i], &rig);
    }
    for (large.seq = 2; large.seq < 8; large.seq++) {
        VD_AUTO(mem) char *ack = vd_format("{\"type\":\"ack\",\"seq\":%d}", (int)large.seq);
        int64_t start_ns = vd_mono_ns();

        rig_do(&rig, rig_publish_job, &large);
        assert_non_null(ws_read(&good, WS_READ_MS));
        assert_int_equal(good.opcode, 1);
        worst_ns = vd_mono_ns() - start_ns > worst_ns ? vd_mono_ns() - start_ns : worst_ns;
        assert_true(ws_say(&good, ack));
    }
    /* 1, 2, 4, ... spare writers, each 20 ms later; one write lasts 2 s, and one more
     * would take 30 times as long. */
    assert_true(worst_ns < (int64_t)2900 * 1000000);
    assert_true(rig_metric(&rig, "votingd_websocket_stuck_writers_total") >= 7);
    assert_true(
        rig_metric_becomes(&rig, "votingd_websocket_evictions_total{reason=\"slow_write\"}", 30));
    rig_publish(&rig, 8, true, true);
    ws_assert_reads(&good, "delta 8");
    for (int i = 0; i < 30; i++) {
        ws_close(&stuck[i]);
    }
    ws_close(&good);
    rig_close(&rig);
}

TEST(clients_that_close_during_a_write_leave_nothing_behind)
{
    static const char *const options[] = {"sockets_per_second", "1000", "sockets_per_address",
                                          "1000", NULL}; /* they linger */
    struct rig_publication large = {.has_delta = true, .has_full = true, .bytes = 3000000};
    struct rig rig;

    rig_open(&rig, options, rig_add_socket);
    rig.receive_bytes = 4096;
    rig_publish(&rig, 1, true, true);
    for (large.seq = 2; large.seq < 22; large.seq++) {
        struct ws ws[4];

        for (int i = 0; i < 4; i++) {
            assert_int_equal(ws_open(&ws[i], &rig, NULL), 101);
        }
        rig_do(&rig, rig_publish_job, &large);
        for (int i = 0; i < 4; i++) {
            ws_assert_reads(&ws[i], "hello");
            if (i % 2 == 0) {
                (void)shutdown(ws[i].fd, SHUT_RDWR);
            }
            ws_close(&ws[i]); /* with most of the picture under way */
        }
    }
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 0));
    rig_close(&rig);
}

/* --- what the system has to give --- */

#define NOBODY 65534

/* valgrind has limits of its own in place of the system's. */
static void skip_under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
        skip();
    }
}

/* Start a server in a process of its own with 'soft' and 'hard' open files and, unless that is 0,
 * 'tasks' threads as a user who has none yet; return why it did not start, or "open files: N". */
static void start_with(rlim_t soft, rlim_t hard, rlim_t tasks, char *words, size_t bytes)
{
    const struct rlimit files = {soft, hard}, threads = {tasks, tasks};
    struct rlimit now;
    struct rig rig;
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        bool is_set =
            setrlimit(RLIMIT_NOFILE, &files) == 0 &&
            (tasks == 0 || (setrlimit(RLIMIT_NPROC, &threads) == 0 && setuid(NOBODY) == 0));

        rig_open(&rig, NULL, NULL);
        (void)getrlimit(RLIMIT_NOFILE, &now);
        if (rig.err.status != VD_OK) {
            (void)dprintf(ends[1], "%s", rig.err.msg);
        } else {
            (void)dprintf(ends[1], "open files: %d", (int)now.rlim_cur);
        }
        rig_close(&rig);
        _exit(is_set ? 0 : 1);
    }
    (void)close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    words[read(ends[0], words, bytes - 1)] = '\0';
    (void)close(ends[0]);
}

TEST(the_limit_of_open_files_is_raised_as_far_as_needed_or_the_start_says_how)
{
    char words[VD_ERR_MSG_BYTES + 1];

    skip_under_valgrind();
    start_with(100, 20000, 0, words, sizeof(words));
    assert_string_equal(words, "open files: 352");
    start_with(100, 351, 0, words, sizeof(words));
    assert_string_equal(words,
                        "32 \"threads\" of [http] need 352 open files, and the limit is 351: lower "
                        "\"threads\", or raise it (ulimit -Hn, LimitNOFILE of a service)");
}

TEST(threads_that_are_missing_keep_the_server_from_starting)
{
    char words[VD_ERR_MSG_BYTES + 1];

    skip_under_valgrind();
    if (geteuid() != 0) {
        skip(); /* only root can become a user whose threads are known */
    }
    start_with(1000, 1000, 20, words, sizeof(words));
    assert_non_null(strstr(words, "could not start the 32 \"threads\" of [http]: "));
    assert_non_null(strstr(words, "; lower it, or raise the system's limit: ulimit -u, "));
}

/* --- the end --- */

#define FRAMES "votingd_websocket_frames_total"
#define HELD_UP_MS 300 /* a writer that has written nothing for so long */

TEST(closing_says_bye_to_every_client)
{
    struct rig rig;
    struct ws ws[5];
    int64_t start_ns;

    rig_open(&rig, NULL, rig_add_socket);
    for (int i = 0; i < 5; i++) {
        ws_open_at_1(&ws[i], &rig);
    }
    start_ns = vd_mono_ns();
    rig_close(&rig); /* none of them reads meanwhile */
    assert_true(vd_mono_ns() - start_ns < (int64_t)3500 * 1000000);
    for (int i = 0; i < 5; i++) {
        const char *bye = ws_read(&ws[i], WS_READ_MS);

        assert_non_null(bye);
        assert_non_null(strstr(bye, "\"type\":\"bye\",\"seq\":1,"));
        assert_non_null(strstr(bye, "\"reason\":\"drain\",\"retry_ms\":1000}"));
        ws_assert_closed(&ws[i], 1001);
    }
}

/* Publish on the loop, whose housekeeping rests meanwhile, until the one writer is held up with all
 * 'clients' in its batch, and close. */
static void hold_up_and_close(struct rig *rig, const void *clients)
{
    struct rig_publication publication = {.seq = 1, .has_delta = true, .bytes = 16000};
    double frames, all = *(const int *)clients;
    int ms = 0;

    while (ms < HELD_UP_MS) {
        frames = rig_metric(rig, FRAMES);
        publication.seq++;
        rig_publish_job(rig, &publication);
        for (ms = 0; ms < HELD_UP_MS && rig_metric(rig, FRAMES) < frames + all; ms++) {
            (void)poll(NULL, 0, 1); /* nothing tells when a counter moves */
        }
    }
    vd_web_close(vd_take(rig->web));
}

/* The dead one is the first of a batch; without help nobody would take the others off its writer.
 */
TEST(closing_says_bye_to_those_behind_a_client_that_does_not_read)
{
    static const char *const options[] = {"writers", "1", "credit_bytes", "16777216", NULL};
    const int clients = 3;
    struct rig rig;
    struct ws dead, good[2];

    rig_open(&rig, options, rig_add_socket);
    rig.receive_bytes = 4096;
    ws_open_at_1(&dead, &rig);
    rig.receive_bytes = 0;
    ws_open_at_1(&good[0], &rig);
    ws_open_at_1(&good[1], &rig);
    rig_do(&rig, hold_up_and_close, &clients);
    for (int i = 0; i < 2; i++) {
        const char *text = ws_read(&good[i], WS_READ_MS);

        while (text != NULL && strncmp(text, "delta ", 6) == 0) {
            text = ws_read(&good[i], WS_READ_MS);
        }
        assert_non_null(text);
        assert_non_null(strstr(text, "\"reason\":\"drain\",\"retry_ms\":1000}"));
        ws_assert_closed(&good[i], 1001);
    }
    ws_close(&dead);
    rig_close(&rig);
}

/* --- many at once --- */

#define CROWD 50
#define CROWD_SECONDS 5

static atomic_bool crowd_is_over;

static void crowd_visit(struct rig *rig, unsigned *seed)
{
    struct ws ws;
    int frames = rand_r(seed) % 20;

    if (ws_open(&ws, rig, NULL) == 101) {
        while (frames-- > 0 && ws_read(&ws, 1000) != NULL) {
            if (rand_r(seed) % 8 == 0) {
                (void)ws_say(&ws, "{\"type\":\"resync\"}"); /* it may be gone */
            }
        }
        if (rand_r(seed) % 2 == 0) {
            (void)ws_send(&ws, 0x88, true, "\x03\xe8", 2); /* the other half just drops it */
        }
    }
    ws_close(&ws);
}

static void *crowd_run(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)&seed;

    while (!atomic_load(&crowd_is_over)) {
        crowd_visit(arg, &seed);
    }
    return NULL;
}

TEST(clients_come_and_go_while_pictures_are_published)
{
    static const char *const options[] = {
        "threads", "70", "sockets_per_address", "100", "sockets_per_second", "10000", NULL};
    struct rig_publication publication = {.seq = 1, .bytes = 500};
    pthread_t threads[CROWD];
    int64_t end_ns;
    struct rig rig;

    rig_open(&rig, options, rig_add_socket);
    atomic_store(&crowd_is_over, false);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &rig), 0);
    }
    end_ns = vd_mono_ns() + (int64_t)CROWD_SECONDS * 1000000000;
    while (vd_mono_ns() < end_ns) {
        publication.seq++;
        rig_do(&rig, rig_publish_as_wanted, &publication);
        if (publication.seq % 50 == 0) {
            rig_do(&rig, rig_beat, "beat");
        }
        (void)poll(NULL, 0, 2); /* the pace of a busy election, not a wait */
    }
    atomic_store(&crowd_is_over, true);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 0));
    assert_true(rig_metric(&rig, "votingd_websocket_frames_total") > CROWD);
    rig_close(&rig);
}

RUN_TESTS(
    cmocka_unit_test(sockets_are_limited_by_address_and_in_total),
    cmocka_unit_test(new_sockets_a_second_are_limited),
    cmocka_unit_test(requests_are_served_while_all_sockets_are_taken),
    cmocka_unit_test(a_half_open_client_is_gone_after_six_pings_in_vain),
    cmocka_unit_test(a_client_that_owes_an_ack_too_long_is_evicted),
    cmocka_unit_test(a_client_that_loses_track_again_and_again_without_an_ack_is_evicted),
    cmocka_unit_test(clients_that_do_not_read_hold_up_nobody_and_are_evicted),
    cmocka_unit_test(clients_that_close_during_a_write_leave_nothing_behind),
    cmocka_unit_test(the_limit_of_open_files_is_raised_as_far_as_needed_or_the_start_says_how),
    cmocka_unit_test(threads_that_are_missing_keep_the_server_from_starting),
    cmocka_unit_test(closing_says_bye_to_every_client),
    cmocka_unit_test(closing_says_bye_to_those_behind_a_client_that_does_not_read),
    cmocka_unit_test(clients_come_and_go_while_pictures_are_published))
