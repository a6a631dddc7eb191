/* The websocket side of the web server: a real one on loopback, and clients that keep the protocol
 * or break it. */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"
#include "web_rig.h"

#define ORIGIN "Origin: http://HOST\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: votingd.v1\r\n"

/* --- handshake --- */

TEST(handshakes_are_accepted_or_refused)
{
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {ORIGIN PROTOCOL, 101},
        {ORIGIN "Sec-WebSocket-Protocol: other, votingd.v1\r\n", 101},
        {"Origin: https://vote.example.org\r\n" PROTOCOL, 101},
        {PROTOCOL, 403},
        {"Origin: null\r\n" PROTOCOL, 403},
        {"Origin: http://evil.example\r\n" PROTOCOL, 403},
        {"Origin: http://HOST.evil.example\r\n" PROTOCOL, 403},
        {"Origin: http://127.0.0.1\r\n" PROTOCOL, 403}, /* another port is another site */
        {"Origin: file://HOST\r\n" PROTOCOL, 403},
        {ORIGIN ORIGIN PROTOCOL, 403},
        {ORIGIN, 400},
        {ORIGIN "Sec-WebSocket-Protocol: votingd.v2\r\n", 400},
        {ORIGIN PROTOCOL "Content-Length: 5\r\n", 400},
        {ORIGIN PROTOCOL "Sec-WebSocket-Extensions: permessage-deflate\r\n", 101},
    };
    static const char *const options[] = {"hosts", "vote.example.org", NULL};
    struct rig rig;

    rig_open(&rig, options, rig_add_socket);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws ws;
        int status = ws_open(&ws, &rig, cases[i].headers);

        if (status != cases[i].status) {
            fail_msg("case %zu: expected %d, got %s", i, cases[i].status, ws.answer);
        }
        if (status == 101) {
            assert_non_null(strstr(ws.answer, "Sec-WebSocket-Protocol: votingd.v1\r\n"));
            assert_non_null(
                strstr(ws.answer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
            assert_null(strstr(ws.answer, "Sec-WebSocket-Extensions"));
        } else {
            assert_non_null(strstr(ws.answer, "Content-Security-Policy"));
        }
        ws_close(&ws);
    }
    rig_close(&rig);
}

TEST(requests_that_are_no_handshake_are_refused)
{
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"GET /ws HTTP/1.1\r\nHost: HOST\r\n\r\n", "HTTP/1.1 426 "},
        {"GET /other HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "HTTP/1.1 404 "},
        {"GET /ws/more HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "HTTP/1.1 404 "},
        {"GET /%77s HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "HTTP/1.1 404 "},
        {"GET /ws HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
         "Connection: Upgrade\r\nUpgrade: websocket\r\n" PROTOCOL "\r\n",
         "HTTP/1.1 421 "},
        {"GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" ORIGIN
             PROTOCOL "\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" ORIGIN
             PROTOCOL "Sec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" ORIGIN
             PROTOCOL "Sec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
        {"GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" ORIGIN
             PROTOCOL "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
         "HTTP/1.1 400 "},
        {"POST /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" ORIGIN
             PROTOCOL "Sec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
    };
    struct rig rig;

    rig_open(&rig, NULL, rig_add_socket);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem) char *answer = rig_http(&rig, cases[i].request);

        if (strncmp(answer, cases[i].status, strlen(cases[i].status)) != 0) {
            fail_msg("case %zu: expected %s, got %.100s", i, cases[i].status, answer);
        }
    }
    assert_true(rig_metric(&rig, "votingd_websocket_clients") == 0);
    rig_close(&rig);
}

/* --- pictures --- */

TEST(a_client_gets_hello_then_the_full_picture_then_deltas)
{
    struct rig rig;
    struct ws first, second;

    rig_open(&rig, NULL, rig_add_socket);
    assert_false(rig_wants_full(&rig));
    ws_open_at_1(&first, &rig);
    assert_false(rig_wants_full(&rig));
    rig_publish(&rig, 2, true, false);
    ws_assert_reads(&first, "delta 2");
    rig_publish(&rig, 3, true, true); /* who has the base needs no more */
    ws_assert_reads(&first, "delta 3");

    assert_int_equal(ws_open(&second, &rig, NULL), 101);
    ws_assert_reads(&second, "hello");
    ws_assert_reads(&second, "full 3"); /* it is still at hand */
    rig_publish(&rig, 4, true, false);
    ws_assert_reads(&first, "delta 4");
    ws_assert_reads(&second, "delta 4");
    ws_close(&second);
    assert_int_equal(ws_open(&second, &rig, NULL), 101);
    ws_assert_reads(&second, "hello");
    assert_true(rig_wants_full(&rig));
    rig_publish(&rig, 4, true, true); /* the same once more: only for the new one */
    ws_assert_reads(&second, "full 4");
    ws_assert_reads_nothing(&first);
    rig_do(&rig, rig_beat, "beat");
    ws_assert_reads(&first, "beat");
    ws_assert_reads(&second, "beat");
    rig_publish(&rig, 4, false, true); /* without a delta it is for all */
    ws_assert_reads(&first, "full 4");
    ws_assert_reads(&second, "full 4");
    ws_close(&first);
    ws_close(&second);
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 0));
    rig_close(&rig);
}

TEST(a_client_waits_for_the_first_hello)
{
    struct rig rig;
    struct ws ws;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    rig_do(&rig, rig_set_hello, "changed"); /* is for those who come later */
    ws_assert_reads_nothing(&ws);
    rig_do(&rig, rig_restart, NULL);
    ws_assert_reads(&ws, "changed");
    ws_assert_reads(&ws, "full 1");
    ws_close(&ws);
    rig_close(&rig);
}

TEST(large_frames_have_the_right_length)
{
    static const size_t sizes[] = {100, 117, 118, 119, 120, 125, 126, 65520, 65540, 300000};
    struct rig rig;
    struct ws ws;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig_publication publication = {.seq = 2 + i, .has_delta = true, .bytes = sizes[i]};
        VD_AUTO(mem) char *text = vd_format("delta %zu%*s", 2 + i, (int)sizes[i], "");
        VD_AUTO(mem) char *ack = vd_format("{\"type\":\"ack\",\"seq\":%zu}", 2 + i);

        rig_do(&rig, rig_publish_job, &publication);
        ws_assert_reads(&ws, text);
        assert_true(ws_say(&ws, ack));
    }
    ws_close(&ws);
    rig_close(&rig);
}

TEST(a_client_that_does_not_ack_skips_and_then_gets_the_full_picture)
{
    struct rig rig;
    struct ws ws;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    for (uint64_t seq = 2; seq <= 64; seq++) {
        VD_AUTO(mem) char *text = vd_format("delta %d", (int)seq);

        rig_publish(&rig, seq, true, false);
        ws_assert_reads(&ws, text);
    }
    for (uint64_t seq = 65; seq <= 90; seq++) {
        rig_publish(&rig, seq, true, false); /* beyond its credit of 64 */
    }
    ws_assert_reads_nothing(&ws);
    assert_false(rig_wants_full(&rig)); /* it could not get it now */
    assert_true(ws_say(&ws, "{\"type\":\"ack\",\"seq\":64}"));
    assert_true(rig_full_becomes_wanted(&rig));
    rig_publish(&rig, 91, true, true);
    ws_assert_reads(&ws, "full 91");
    rig_publish(&rig, 92, true, false);
    ws_assert_reads(&ws, "delta 92");
    assert_true(rig_metric(&rig, "votingd_websocket_skipped_pictures_total") == 26);
    assert_true(rig_metric(&rig, "votingd_websocket_age_seconds_count") == 1);
    ws_close(&ws);
    rig_close(&rig);
}

TEST(a_client_that_missed_a_few_deltas_gets_them_all_at_once)
{
    struct rig rig;
    struct ws ws;
    uint64_t seq = 2;
    double frames, age;
    char ack[64];

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    for (int round = 0; round < 2; round++) { /* sixteen at once count as one picture unacked */
        for (uint64_t end = seq + 63; seq < end; seq++) {
            VD_AUTO(mem) char *text = vd_format("delta %d", (int)seq);

            rig_publish(&rig, seq, true, false);
            ws_assert_reads(&ws, text);
        }
        for (int missed = 0; missed < 16; missed++) {
            rig_publish(&rig, seq + (uint64_t)missed, true, false);
        }
        ws_assert_reads_nothing(&ws);
        frames = rig_metric(&rig, "votingd_websocket_frames_total");
        (void)snprintf(ack, sizeof(ack), "{\"type\":\"ack\",\"seq\":%d}", (int)seq - 1);
        assert_true(ws_say(&ws, ack));
        for (uint64_t end = seq + 16; seq < end; seq++) {
            VD_AUTO(mem) char *text = vd_format("delta %d", (int)seq);

            ws_assert_reads(&ws, text);
        }
        assert_true(rig_metric_becomes(&rig, "votingd_websocket_frames_total", frames + 16));
    }
    assert_false(rig_wants_full(&rig));
    assert_true(rig_metric(&rig, "votingd_websocket_skipped_pictures_total") == 0);
    /* What it waited for is in the age of the data. */
    age = rig_metric(&rig, "votingd_websocket_age_seconds_sum");
    (void)snprintf(ack, sizeof(ack), "{\"type\":\"ack\",\"seq\":%d}", (int)seq - 1);
    assert_true(ws_say(&ws, ack));
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_age_seconds_count", 3));
    assert_true(rig_metric(&rig, "votingd_websocket_age_seconds_sum") - age > 0.14);
    ws_close(&ws);
    rig_close(&rig);
}

TEST(bytes_beyond_the_last_ack_are_limited_but_a_lone_large_picture_passes)
{
    static const char *const options[] = {"credit_bytes", "16384", NULL};
    struct rig_publication large = {.seq = 2, .has_delta = true, .bytes = 40000};
    struct rig rig;
    struct ws ws;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    assert_true(ws_say(&ws, "{\"type\":\"ack\",\"seq\":1}"));
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_age_seconds_count", 1));
    rig_do(&rig, rig_publish_job, &large);
    assert_non_null(ws_read(&ws, WS_READ_MS));
    rig_publish(&rig, 3, true, true);
    ws_assert_reads_nothing(&ws);
    assert_true(ws_say(&ws, "{\"type\":\"ack\",\"seq\":2}"));
    ws_assert_reads(&ws, "delta 3");
    ws_close(&ws);
    rig_close(&rig);
}

TEST(resync_brings_the_full_picture_once_in_2_seconds)
{
    struct rig rig;
    struct ws ws;
    int64_t first_ns;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    rig_publish(&rig, 2, true, false);
    ws_assert_reads(&ws, "delta 2");
    assert_true(ws_say(&ws, "{\"type\":\"resync\"}"));
    first_ns = vd_mono_ns();
    assert_true(rig_full_becomes_wanted(&rig));
    rig_publish(&rig, 2, true, true);
    ws_assert_reads(&ws, "full 2");
    assert_true(ws_say(&ws, " { \"type\" : \"resync\" } "));
    ws_assert_reads(&ws, "full 2"); /* it is still at hand */
    assert_true(vd_mono_ns() - first_ns >= (int64_t)1900 * 1000000);
    ws_close(&ws);
    rig_close(&rig);
}

TEST(a_new_client_hears_the_last_heartbeat)
{
    struct rig rig;
    struct ws first, second;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&first, &rig);
    rig_do(&rig, rig_beat, "beat");
    ws_assert_reads(&first, "beat");
    assert_int_equal(ws_open(&second, &rig, NULL), 101);
    ws_assert_reads(&second, "hello");
    ws_assert_reads(&second, "full 1");
    ws_assert_reads(&second, "beat"); /* what the picture says of its time may be old */
    ws_assert_reads_nothing(&first);
    ws_close(&first);
    ws_close(&second);
    rig_close(&rig);
}

TEST(a_rate_spaces_pictures_out_and_beats_still_come)
{
    struct rig rig;
    struct ws ws;
    int64_t start_ns;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    start_ns = vd_mono_ns();
    assert_true(ws_say(&ws, "{\"type\":\"rate\",\"min_ms\":5000}"));
    assert_true(ws_say(&ws, "{\"type\":\"ack\",\"seq\":1}"));
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_age_seconds_count", 1));
    for (uint64_t seq = 2; seq < 20; seq++) {
        rig_publish(&rig, seq, true, false);
    }
    rig_do(&rig, rig_beat, "beat");
    ws_assert_reads(&ws, "beat");
    ws_assert_reads_nothing(&ws);
    for (int i = 0; i < 10 && !rig_wants_full(&rig); i++) {
        assert_null(ws_read(&ws, 1000));
    }
    assert_true(vd_mono_ns() - start_ns > (int64_t)4900 * 1000000);
    rig_publish(&rig, 20, true, true);
    ws_assert_reads(&ws, "full 20");
    rig_publish(&rig, 21, true, false);
    ws_assert_reads_nothing(&ws);
    assert_true(ws_say(&ws, "{\"type\":\"rate\",\"min_ms\":0}"));
    ws_assert_reads(&ws, "delta 21"); /* at once */
    ws_close(&ws);
    rig_close(&rig);
}

/* --- broken rules --- */

TEST(what_a_client_must_not_send_ends_with_the_right_code)
{
    static const struct {
        unsigned first;
        const char *text;
        unsigned code;
    } cases[] = {
        {0x81, "{\"type\":\"nonsense\"}", 1003}, /* by the endpoint */
        {0x81, "", 1003},
        {0x81, "{", 1003},
        {0x81, "\xff\xfe", 1003},
        {0x82, "binary", 1003},
        {0x83, "unknown opcode", 1003},
        {0x01, "{\"type\":\"re", 1003},               /* a fragment */
        {0x80, "sync\"}", 1003},                      /* the rest of none */
        {0xc1, "{\"type\":\"resync\"}", 1003},        /* compressed, it says */
        {0x81, "{\"type\":\"ack\",\"seq\":2}", 1008}, /* of a picture to come */
        {0x81, "{\"type\":\"ack\"}", 1008},
        {0x81, "{\"type\":\"ack\",\"seq\":-1}", 1008},
        {0x81, "{\"type\":\"rate\",\"min_ms\":4999}", 1008},
        {0x81, "{\"type\":\"rate\",\"min_ms\":60001}", 1008},
        {0x88, "\x03\xe9", 1001},
        {0x88, "", 1000},
        {0x88, "x", 1002},
        {0x88, "\x03\xee", 1002}, /* 1006 is never sent */
    };
    struct rig rig;

    rig_open(&rig, NULL, rig_add_socket);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws ws;

        ws_open_at_1(&ws, &rig);
        assert_true(ws_send(&ws, cases[i].first, true, cases[i].text, strlen(cases[i].text)));
        assert_true(ws_is_closed(&ws, WS_READ_MS));
        if (ws.close_code != cases[i].code) {
            fail_msg("case %zu: expected %u, got %u", i, cases[i].code, ws.close_code);
        }
        ws_close(&ws);
    }
    rig_close(&rig);
}

TEST(a_message_over_1_KiB_closes_with_1009)
{
    VD_AUTO(mem) char *text = vd_format("{\"type\":\"hi\"%*s}", 2000, "");
    struct rig rig;
    struct ws ws;
    const char *bye;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    assert_true(ws_send(&ws, 0x81, true, text, 1024)); /* is for the endpoint, which lets it be */
    ws_assert_reads_nothing(&ws);
    assert_true(ws_send(&ws, 0x81, true, text, 1025));
    bye = ws_read(&ws, WS_READ_MS);
    assert_non_null(bye);
    assert_non_null(strstr(bye, "\"type\":\"bye\",\"seq\":1,"));
    assert_non_null(strstr(bye, "\"reason\":\"long_frame\",\"retry_ms\":5000}"));
    ws_assert_closed(&ws, 1009);
    assert_true(rig_metric(&rig, "votingd_websocket_evictions_total{reason=\"long_frame\"}") == 1);
    rig_close(&rig);
}

/* civetweb takes the mask off before anyone can see whether there was one: such a frame is read as
 * if it were right. What counts is that it does no harm. */
TEST(an_unmasked_frame_does_no_harm)
{
    struct rig rig;
    struct ws ws;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    assert_true(ws_send(&ws, 0x81, false, "{\"type\":\"resync\"}", 17));
    ws_assert_reads(&ws, "full 1");
    assert_true(ws_send(&ws, 0x81, false, "nonsense", 8));
    ws_assert_closed(&ws, 1003);
    rig_close(&rig);
}

TEST(a_flood_of_messages_closes_with_1008)
{
    struct rig rig;
    struct ws ws;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    for (int i = 0; i < 40; i++) {
        (void)ws_say(&ws, "{\"type\":\"ack\",\"seq\":1}"); /* the last ones find it closed */
    }
    ws_assert_closed(&ws, 1008);
    rig_close(&rig);
}

TEST(a_flood_of_fragments_ends_at_the_first)
{
    struct rig rig;
    struct ws ws;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    (void)ws_send(&ws, 0x01, true, "{", 1);
    for (int i = 0; i < 10000 && ws_send(&ws, 0x00, true, " ", 1); i++) {
    }
    assert_true(ws_is_closed(&ws, WS_READ_MS));
    ws_close(&ws);
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 0));
    assert_true(rig_metric(&rig, "votingd_websocket_evictions_total{reason=\"bad_frame\"}") == 1);
    rig_close(&rig);
}

TEST(nothing_follows_a_close_while_much_is_being_said)
{
    enum { ROUNDS = 100, BEATS = 20 };
    static const unsigned char normal[] = {0x03, 0xe8}; /* 1000 */
    const char *const options[] = {"sockets_per_second", "10000", NULL};
    struct rig rig;

    rig_open(&rig, options, rig_add_socket);
    for (int round = 0; round < ROUNDS; round++) {
        bool is_closed = false;
        struct ws ws;

        assert_int_equal(ws_open(&ws, &rig, NULL), 101);
        for (int beat = 0; beat < BEATS; beat++) {
            rig_post(&rig, rig_beat, "beat");
            if (beat == BEATS / 2) {
                assert_true(ws_send(&ws, 0x88, true, normal, sizeof(normal)));
            }
        }
        while (ws_read(&ws, WS_READ_MS) != NULL) {
            assert_false(is_closed);
            is_closed = ws.opcode == 8;
        }
        assert_true(is_closed);
        ws_close(&ws);
    }
    rig_close(&rig);
}

TEST(pings_are_answered)
{
    struct rig rig;
    struct ws ws;
    const char *payload;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    assert_true(ws_send(&ws, 0x89, true, "echo", 4));
    payload = ws_read(&ws, WS_READ_MS);
    assert_int_equal(ws.opcode, 0xa);
    assert_string_equal(payload, "echo");
    ws_close(&ws);
    rig_close(&rig);
}

/* A header that announces 2 GiB: the memory is reserved but never touched, and the place is limited
 * by address. Others must not notice. */
TEST(a_header_of_2_GiB_harms_nobody)
{
    static const unsigned char header[] = {0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xfe, 0, 0, 1, 2, 3, 4};
    static const unsigned char larger[] = {0x81, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 2, 3, 4};
    struct rig rig;
    struct ws ws, huge, other;

    rig_open(&rig, NULL, rig_add_socket);
    ws_open_at_1(&ws, &rig);
    ws_open_at_1(&huge, &rig);
    ws_open_at_1(&other, &rig);
    assert_true(rig_send(ws.fd, header, sizeof(header)));
    assert_true(rig_send(huge.fd, larger, sizeof(larger)));
    rig_publish(&rig, 2, true, false);
    ws_assert_reads(&other, "delta 2");
    ws_close(&ws);
    ws_close(&huge);
    ws_close(&other);
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 0));
    rig_close(&rig);
}

RUN_TESTS(cmocka_unit_test(a_new_client_hears_the_last_heartbeat),
          cmocka_unit_test(handshakes_are_accepted_or_refused),
          cmocka_unit_test(requests_that_are_no_handshake_are_refused),
          cmocka_unit_test(a_client_gets_hello_then_the_full_picture_then_deltas),
          cmocka_unit_test(a_client_waits_for_the_first_hello),
          cmocka_unit_test(large_frames_have_the_right_length),
          cmocka_unit_test(a_client_that_does_not_ack_skips_and_then_gets_the_full_picture),
          cmocka_unit_test(a_client_that_missed_a_few_deltas_gets_them_all_at_once),
          cmocka_unit_test(bytes_beyond_the_last_ack_are_limited_but_a_lone_large_picture_passes),
          cmocka_unit_test(resync_brings_the_full_picture_once_in_2_seconds),
          cmocka_unit_test(a_rate_spaces_pictures_out_and_beats_still_come),
          cmocka_unit_test(what_a_client_must_not_send_ends_with_the_right_code),
          cmocka_unit_test(a_message_over_1_KiB_closes_with_1009),
          cmocka_unit_test(an_unmasked_frame_does_no_harm),
          cmocka_unit_test(a_flood_of_messages_closes_with_1008),
          cmocka_unit_test(a_flood_of_fragments_ends_at_the_first),
          cmocka_unit_test(nothing_follows_a_close_while_much_is_being_said),
          cmocka_unit_test(pings_are_answered), cmocka_unit_test(a_header_of_2_GiB_harms_nobody))
