/* What access control is made of: files of secrets, passwords, tries that run out, sessions. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"
#include "web_account.h"
#include "web_password.h"
#include "web_session.h"
#include "web_throttle.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define HASH "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$aGFzaA"

/* ---- files ----------------------------------------------------------------------------------- */

static char path[64];

static int make_file(void **state)
{
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/votingd-accounts-XXXXXX"); /* fits */
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_file(void **state)
{
    return unlink(path);
}

static enum vd_status read_text(const char *text, mode_t mode, enum vd_web_secret secret,
                                struct vd_web_accounts *accounts, struct vd_err *err)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return vd_web_accounts_read(accounts, "users", path, secret, err);
}

TEST(tokens_and_users_are_read_from_files)
{
    struct vd_web_accounts accounts = {0};
    struct vd_err err = {0};

    assert_int_equal(read_text("# who\n\nscraper:viewer:" TOKEN "\r\nops@x:operator:" TOKEN "0",
                               0600, VD_WEB_TOKEN, &accounts, &err),
                     VD_OK);
    assert_int_equal(accounts.count, 2);
    assert_string_equal(vd_web_account_of_token(&accounts, TOKEN)->name, "scraper");
    assert_int_equal(vd_web_account_of_token(&accounts, TOKEN "0")->role, VD_WEB_OPERATOR);
    assert_null(vd_web_account_of_token(&accounts, TOKEN "1"));
    assert_null(vd_web_account_of_token(&accounts, ""));
    assert_null(vd_web_account_named(&accounts, "ops"));
    vd_web_accounts_fini(&accounts);
    assert_int_equal(read_text("ada:admin:" HASH, 0400, VD_WEB_PASSWORD, &accounts, &err), VD_OK);
    assert_string_equal(vd_web_account_named(&accounts, "ada")->hash, HASH);
    vd_web_accounts_fini(&accounts);
}

TEST(files_that_are_wrong_are_refused_without_their_secrets)
{
    static const struct {
        const char *text;
        mode_t mode;
        enum vd_web_secret secret;
        const char *message; /* behind the file's name */
    } cases[] = {
        {"a:viewer:" TOKEN, 0604, VD_WEB_TOKEN,
         "others may read it or write to it (mode 0604), and it holds secrets: chmod 600"},
        {"a:viewer:" TOKEN, 0602, VD_WEB_TOKEN,
         "others may read it or write to it (mode 0602), and it holds secrets: chmod 600"},
        {"# nobody\n", 0600, VD_WEB_TOKEN, "nobody is named in it, so nobody could sign in"},
        {"\na b:viewer:" TOKEN, 0600, VD_WEB_TOKEN,
         "line 2: expected a name of 1 to 63 letters, digits, '.', '_', '-' and '@', then ':' and "
         "a role"},
        {"a:boss:" TOKEN, 0600, VD_WEB_TOKEN,
         "line 1: the role of \"a\" must be viewer, operator or admin"},
        {"a:anyone:" TOKEN, 0600, VD_WEB_TOKEN,
         "line 1: the role of \"a\" must be viewer, operator or admin"},
        {"a:viewer:short", 0600, VD_WEB_TOKEN,
         "line 1: the token of \"a\" must have at least 32 letters, digits and signs: make one "
         "with "
         "\"openssl rand -hex 32\""},
        {"a:viewer", 0600, VD_WEB_TOKEN,
         "line 1: the token of \"a\" must have at least 32 letters, digits and signs: make one "
         "with "
         "\"openssl rand -hex 32\""},
        {"a:viewer:" TOKEN "\na:admin:" TOKEN, 0600, VD_WEB_TOKEN,
         "line 2: \"a\" has a line already"},
        {"a:admin:secret", 0600, VD_WEB_PASSWORD,
         "line 1: what follows is no hash of a password: make the line with \"votingd "
         "--hash-password a:admin\""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem)
        char *message = vd_format("option \"users\": \"%s\": %s", path, cases[i].message);
        struct vd_web_accounts accounts = {0};
        struct vd_err err = {0};

        assert_int_equal(read_text(cases[i].text, cases[i].mode, cases[i].secret, &accounts, &err),
                         VD_INVALID);
        assert_string_equal(err.msg, message);
        assert_null(strstr(err.msg, TOKEN));
        vd_web_accounts_fini(&accounts);
    }
}

TEST(a_file_that_is_missing_is_named)
{
    struct vd_web_accounts accounts = {0};
    struct vd_err err = {0};

    assert_int_equal(
        vd_web_accounts_read(&accounts, "tokens", "/nowhere/tokens", VD_WEB_TOKEN, &err),
        VD_FAILED);
    assert_string_equal(
        err.msg,
        "option \"tokens\": could not open \"/nowhere/tokens\": No such file or directory");
}

/* ---- passwords ------------------------------------------------------------------------------- */

TEST(hashes_that_would_take_too_much_are_none)
{
    assert_true(vd_web_password_is_hash(HASH));
    assert_true(vd_web_password_is_hash("$argon2id$v=19$m=262144,t=10,p=1$a$b"));
    assert_false(vd_web_password_is_hash("$argon2id$v=19$m=262145,t=2,p=1$a$b"));
    assert_false(vd_web_password_is_hash("$argon2id$v=19$m=4294967297,t=2,p=1$a$b"));
    assert_false(vd_web_password_is_hash("$argon2id$v=19$m=65536,t=11,p=1$a$b"));
    assert_false(vd_web_password_is_hash("$argon2id$v=19$m=65536,t=2,p=2$a$b"));
    assert_false(vd_web_password_is_hash("$argon2i$v=19$m=65536,t=2,p=1$a$b"));
    assert_false(vd_web_password_is_hash("$argon2id$v=19$m=65536,t=2,p=1$a"));
    assert_false(vd_web_password_is_hash("$argon2id$v=19$m=65536,t=2,p=1$a$b c"));
    assert_false(vd_web_password_is_hash(""));
}

TEST(a_password_has_twelve_bytes_at_least)
{
    VD_AUTO(buf) struct vd_buf hash = {0};
    struct vd_err err = {0};

    assert_int_equal(vd_web_password_hash("elevenbytes", &hash, &err), VD_INVALID);
    assert_string_equal(err.msg, "a password must have 12 to 255 bytes, this one has 11");
}

TEST(a_hash_is_that_of_its_password_only)
{
    VD_AUTO(buf) struct vd_buf hash = {0};
    struct vd_err err = {0};

    assert_int_equal(vd_web_password_hash("correct horse battery", &hash, &err), VD_OK);
    assert_true(vd_web_password_is_hash(vd_buf_text(&hash)));
    assert_int_equal(vd_web_password_check(hash.data, "correct horse battery"), VD_OK);
    assert_int_equal(vd_web_password_check(hash.data, "correct horse batterx"), VD_INVALID);
}

TEST(a_password_that_could_not_be_checked_is_not_a_wrong_one)
{
    assert_int_equal(vd_web_password_check("$argon2id$v=19$m=8", "correct horse battery"),
                     VD_FAILED);
}

TEST(a_terminal_shows_what_is_typed_again_after_ctrl_c_at_the_prompt)
{
    VD_AUTO(buf) struct vd_buf line = {0};
    struct termios terminal;
    struct vd_err err = {0};
    char prompt[64] = "";
    int master, status = 0;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);

    assert_true(pid >= 0);
    if (pid == 0) {
        bool is_right = vd_web_password_line("ada:admin", &line, &err) == VD_FAILED &&
                        strstr(err.msg, "could not read the password") != NULL;

        _exit(is_right ? 0 : 1);
    }
    assert_true(read(master, prompt, sizeof(prompt) - 1) > 0); /* it is silent by now */
    assert_string_equal(prompt, "Password: ");
    assert_int_equal(tcgetattr(master, &terminal), 0);
    assert_int_equal(terminal.c_lflag & ECHO, 0);
    do { /* again, if it came before anybody read */
        assert_int_equal(write(master, "\x03", 1), 1);
        (void)poll(NULL, 0, 100);
        assert_int_equal(tcgetattr(master, &terminal), 0);
    } while ((terminal.c_lflag & ECHO) == 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(master);
}

/* ---- tries ----------------------------------------------------------------------------------- */

TEST(an_address_has_ten_tries_and_one_more_every_30_s)
{
    struct vd_web_throttle *throttle = vd_alloc(sizeof(*throttle));

    for (int i = 0; i < 10; i++) {
        assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 1000), 0);
    }
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 1000), 30);
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.2", "", 1000), 0);
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 21000), 10);
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 31000), 0);
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 31000), 30);
    free(throttle);
}

TEST(a_name_has_fifty_tries_from_all_addresses)
{
    struct vd_web_throttle *throttle = vd_alloc(sizeof(*throttle));

    for (int i = 0; i < 50; i++) {
        VD_AUTO(mem) char *address = vd_format("10.0.0.%d", i);

        assert_int_equal(vd_web_throttle_try(throttle, address, "ada", 0), 0);
    }
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "ada", 0), 6);
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "bob", 0), 0);
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "ada", 6000), 0);
    free(throttle);
}

TEST(long_names_that_begin_alike_are_counted_each)
{
    struct vd_web_throttle *throttle = vd_alloc(sizeof(*throttle));

    for (int i = 0; i < 100; i++) {
        VD_AUTO(mem) char *address = vd_format("10.0.0.%d", i);
        VD_AUTO(mem) char *name = vd_format("%0200d%d", 0, i % 2);

        assert_int_equal(vd_web_throttle_try(throttle, address, name, 0), 0);
    }
    free(throttle);
}

TEST(tries_that_did_not_fail_are_given_back)
{
    struct vd_web_throttle *throttle = vd_alloc(sizeof(*throttle));

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "ada", 0), 0);
        vd_web_throttle_forgive(throttle, "192.0.2.1", "ada", 0);
    }
    free(throttle);
}

TEST(more_addresses_than_there_is_room_for_push_out_the_least)
{
    struct vd_web_throttle *throttle = vd_alloc(sizeof(*throttle));

    for (int i = 0; i < 10; i++) {
        assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 0), 0);
    }
    for (int i = 0; i < 2 * VD_WEB_THROTTLE_KEYS; i++) {
        VD_AUTO(mem) char *address = vd_format("10.0.%d.%d", i / 256, i % 256);

        assert_int_equal(vd_web_throttle_try(throttle, address, "", 0), 0);
    }
    assert_int_equal(vd_web_throttle_try(throttle, "192.0.2.1", "", 0), 30);
    free(throttle);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static const struct vd_web_account ada = {.name = "ada", .role = VD_WEB_OPERATOR};

TEST(a_session_is_known_by_its_id_until_it_ends)
{
    struct vd_web_sessions sessions;
    struct vd_web_session *session;
    char id[VD_WEB_SESSION_ID_TEXT], proof[VD_WEB_SESSION_ID_TEXT];
    uint64_t serial;

    vd_web_sessions_init(&sessions, 3, 10000, 1000);
    session = vd_web_session_begin(&sessions, &ada, "192.0.2.1", 0);
    serial = session->serial;
    vd_web_session_text(session->id, id);
    vd_web_session_text(session->proof, proof);
    assert_string_not_equal(id, proof);
    assert_ptr_equal(vd_web_session_find(&sessions, id, 1), session);
    assert_true(vd_web_session_is_proof(session, proof));
    assert_false(vd_web_session_is_proof(session, id));
    assert_false(vd_web_session_is_proof(session, ""));
    assert_null(vd_web_session_find(&sessions, proof, 1));
    assert_null(vd_web_session_find(&sessions, "00000000000000000000000000000000", 1));
    assert_null(vd_web_session_find(&sessions, "x", 1));
    assert_true(vd_web_session_end(&sessions, serial));
    assert_false(vd_web_session_end(&sessions, serial));
    assert_null(vd_web_session_find(&sessions, id, 1));
    assert_false(vd_web_session_use(&sessions, serial, 1));
    assert_false(vd_web_session_use(&sessions, 0, 1));
    vd_web_sessions_fini(&sessions);
}

TEST(a_session_ends_unused_or_after_its_life)
{
    struct vd_web_sessions sessions;
    char id[VD_WEB_SESSION_ID_TEXT];
    uint64_t serial;

    vd_web_sessions_init(&sessions, 3, 10000, 1000);
    serial = vd_web_session_begin(&sessions, &ada, "192.0.2.1", 0)->serial;
    vd_web_session_text(vd_web_session_of(&sessions, serial)->id, id);
    for (int64_t now_ms = 999; now_ms < 9999; now_ms += 999) {
        assert_true(vd_web_session_use(&sessions, serial, now_ms));
    }
    assert_non_null(vd_web_session_find(&sessions, id, 9999));
    assert_null(vd_web_session_find(&sessions, id, 10000));
    serial = vd_web_session_begin(&sessions, &ada, "192.0.2.1", 20000)->serial;
    assert_false(vd_web_session_use(&sessions, serial, 21000));
    vd_web_sessions_fini(&sessions);
}

TEST(one_session_too_many_ends_the_one_unused_for_longest)
{
    struct vd_web_sessions sessions;
    uint64_t serials[3];
    size_t at = 0;

    vd_web_sessions_init(&sessions, 2, 10000, 1000);
    serials[0] = vd_web_session_begin(&sessions, &ada, "192.0.2.1", 0)->serial;
    serials[1] = vd_web_session_begin(&sessions, &ada, "192.0.2.1", 1)->serial;
    assert_true(vd_web_session_use(&sessions, serials[0], 2));
    serials[2] = vd_web_session_begin(&sessions, &ada, "192.0.2.1", 3)->serial;
    assert_true(vd_web_session_use(&sessions, serials[0], 4));
    assert_false(vd_web_session_use(&sessions, serials[1], 4));
    assert_true(vd_web_session_use(&sessions, serials[2], 4));
    assert_non_null(vd_web_session_next(&sessions, 4, &at));
    assert_non_null(vd_web_session_next(&sessions, 4, &at));
    assert_null(vd_web_session_next(&sessions, 4, &at));
    vd_web_sessions_fini(&sessions);
}

TEST(an_account_with_too_many_sessions_ends_its_own_only)
{
    static const struct vd_web_account bob = {.name = "bob", .role = VD_WEB_VIEWER};
    struct vd_web_sessions sessions;
    uint64_t serials[2 * VD_WEB_SESSIONS_PER_ACCOUNT], of_bob;

    vd_web_sessions_init(&sessions, 100, 10000, 1000);
    of_bob = vd_web_session_begin(&sessions, &bob, "192.0.2.1", 0)->serial;
    for (int i = 0; i < 2 * VD_WEB_SESSIONS_PER_ACCOUNT; i++) {
        serials[i] = vd_web_session_begin(&sessions, &ada, "192.0.2.1", i)->serial;
    }
    assert_true(vd_web_session_use(&sessions, of_bob, 100));
    for (int i = 0; i < 2 * VD_WEB_SESSIONS_PER_ACCOUNT; i++) {
        assert_int_equal(vd_web_session_use(&sessions, serials[i], 100),
                         i >= VD_WEB_SESSIONS_PER_ACCOUNT);
    }
    vd_web_sessions_fini(&sessions);
}

RUN_TESTS(cmocka_unit_test_setup_teardown(tokens_and_users_are_read_from_files, make_file,
                                          remove_file),
          cmocka_unit_test_setup_teardown(files_that_are_wrong_are_refused_without_their_secrets,
                                          make_file, remove_file),
          cmocka_unit_test(a_file_that_is_missing_is_named),
          cmocka_unit_test(hashes_that_would_take_too_much_are_none),
          cmocka_unit_test(a_password_has_twelve_bytes_at_least),
          cmocka_unit_test(a_hash_is_that_of_its_password_only),
          cmocka_unit_test(a_password_that_could_not_be_checked_is_not_a_wrong_one),
          cmocka_unit_test(a_terminal_shows_what_is_typed_again_after_ctrl_c_at_the_prompt),
          cmocka_unit_test(an_address_has_ten_tries_and_one_more_every_30_s),
          cmocka_unit_test(a_name_has_fifty_tries_from_all_addresses),
          cmocka_unit_test(long_names_that_begin_alike_are_counted_each),
          cmocka_unit_test(tries_that_did_not_fail_are_given_back),
          cmocka_unit_test(more_addresses_than_there_is_room_for_push_out_the_least),
          cmocka_unit_test(a_session_is_known_by_its_id_until_it_ends),
          cmocka_unit_test(a_session_ends_unused_or_after_its_life),
          cmocka_unit_test(one_session_too_many_ends_the_one_unused_for_longest),
          cmocka_unit_test(an_account_with_too_many_sessions_ends_its_own_only))
