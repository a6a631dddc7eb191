/* What the web server does with peers that send, or read, a byte now and then: none keeps a thread.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"
#include "web_rig.h"

/* Send a byte each 20 ms until the server has enough; how long that took. */
static int64_t drip_ms(int fd, const char *text)
{
    int64_t start_ns = vd_mono_ns();
    char byte;

    while (send(fd, text, 1, MSG_NOSIGNAL) == 1 &&
           (recv(fd, &byte, 1, MSG_DONTWAIT) != 0 || *text == '\0') &&
           vd_mono_ns() - start_ns < (int64_t)20 * 1000000000) {
        text += text[1] != '\0' ? 1 : 0;
        (void)poll(NULL, 0, 20); /* the pace of the attack */
    }
    return (vd_mono_ns() - start_ns) / 1000000;
}

TEST(requests_that_come_byte_by_byte_are_cut_off)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "x"};
    static const char head[] = "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: 1000%s\r\n\r\n";
    static const char *const more[] = {"", "000"}; /* the second body is refused */
    struct rig rig;
    int fd;

    rig_open(&rig, NULL, rig_add_socket);
    fd = rig_connect(&rig, 0);
    assert_true(drip_ms(fd, texts[0]) < 15000);
    close(fd);
    for (size_t i = 0; i < 2; i++) {
        VD_AUTO(mem) char *text = vd_format(head, more[i]);

        fd = rig_connect(&rig, 0);
        assert_true(rig_send(fd, text, strlen(text)));
        assert_true(drip_ms(fd, texts[1]) < 15000);
        close(fd);
    }
    rig_close(&rig);
}

static void add_large(struct rig *rig, const void *arg)
{
    static char bytes[4000000];
    const struct vd_buf large = {.data = bytes, .len = sizeof(bytes)};

    assert_int_equal(vd_web_file(rig->web, "/large", "text/plain", &large, &rig->err), VD_OK);
}

/* As many of them as there are threads. */
TEST(answers_that_are_read_byte_by_byte_are_cut_off)
{
    static const char *const options[] = {"threads", "9", NULL};
    static const char request[] = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct pollfd fds[10]; /* the last is in a hurry */
    int64_t start_ms = vd_mono_ms();
    struct rig rig;
    char byte;

    rig_open(&rig, options, add_large);
    for (int i = 0; i < 10; i++) {
        fds[i] = (struct pollfd){.fd = rig_connect(&rig, i < 9 ? 4096 : 0), .events = POLLIN};
        assert_true(rig_send(fds[i].fd, request, sizeof(request) - 1));
    }
    while (poll(&fds[9], 1, 1000) == 0) { /* the pace of the attack */
        for (int i = 0; i < 9; i++) {
            (void)recv(fds[i].fd, &byte, 1, MSG_DONTWAIT);
        }
    }
    assert_true(vd_mono_ms() - start_ms < 25000);
    for (int i = 0; i < 10; i++) {
        close(fds[i].fd);
    }
    rig_close(&rig);
}

/* One that begins a frame and then sends a byte now and then reads its bye, perhaps, and keeps its
 * thread: civetweb waits for the rest of a frame for ever. */
TEST(a_frame_that_comes_byte_by_byte_is_cut_off)
{
    static const char *const options[] = {"ack_timeout_ms", "1000", NULL};
    static const unsigned char head[] = {0x81, 0xfe, 0x03, 0xe8, 0, 0, 0, 0}; /* of 1000 bytes */
    struct rig rig;
    struct ws slow, good;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&slow, &rig);
    ws_open_at_1(&good, &rig);
    assert_true(ws_say(&good, "{\"type\":\"ack\",\"seq\":1}"));
    assert_true(rig_send(slow.fd, head, sizeof(head)));
    assert_true(drip_ms(slow.fd, "x") < 15000);
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 1));
    rig_publish(&rig, 2, true, false);
    ws_assert_reads(&good, "delta 2");
    ws_close(&slow);
    ws_close(&good);
    rig_close(&rig);
}

/* Read 'bytes' each 'ms' until the server is gone, from when on the client's own buffer may still
 * hold something; how much was read. */
static size_t sip(int fd, size_t bytes, int ms)
{
    int64_t start_ns = vd_mono_ns();
    size_t total = 0;
    char sip[4096];
    ssize_t got = 1;

    while (got > 0 && vd_mono_ns() - start_ns < (int64_t)30 * 1000000000) {
        got = recv(fd, sip, bytes, 0);
        total += got > 0 ? (size_t)got : 0;
        (void)poll(NULL, 0, ms); /* the pace of the attack */
    }
    return total;
}

/* One reads just enough for civetweb never to give up, the other a byte at a time. */
TEST(pictures_that_are_read_byte_by_byte_are_cut_off)
{
    static const char *const options[] = {"writers", "1", "credit_bytes", "16777216", NULL};
    struct rig_publication large = {.seq = 2, .has_delta = true, .bytes = 400000};
    struct rig rig;
    struct ws good, slow, slower;

    rig_open(&rig, options, rig_add_socket);
    ws_open_at_1(&good, &rig);
    rig.receive_bytes = 4096;
    ws_open_at_1(&slow, &rig);
    ws_open_at_1(&slower, &rig);
    rig_do(&rig, rig_publish_job, &large);
    assert_non_null(ws_read(&good, WS_READ_MS)); /* with one writer, and both in its way */
    for (uint64_t seq = 3; seq < 6; seq++) {
        VD_AUTO(mem) char *text = vd_format("delta %d", (int)seq);

        rig_publish(&rig, seq, true, false);
        ws_assert_reads(&good, text);
        (void)recv(slower.fd, text, 1, 0);
    }
    assert_true(sip(slow.fd, 4096, 50) < 400000);
    assert_true(
        rig_metric_becomes(&rig, "votingd_websocket_evictions_total{reason=\"slow_write\"}", 2));
    assert_true(rig_metric_becomes(&rig, "votingd_websocket_clients", 1));
    ws_close(&slow);
    ws_close(&slower);
    ws_close(&good);
    rig_close(&rig);
}

RUN_TESTS(cmocka_unit_test(requests_that_come_byte_by_byte_are_cut_off),
          cmocka_unit_test(answers_that_are_read_byte_by_byte_are_cut_off),
          cmocka_unit_test(a_frame_that_comes_byte_by_byte_is_cut_off),
          cmocka_unit_test(pictures_that_are_read_byte_by_byte_are_cut_off))
