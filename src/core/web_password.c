/* Passwords: their hashes, and how one is made. */
#include "web_password.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "alloc.h"
#include "web_account.h"

#define MEMORY_KIB_MAX (256 * 1024)
#define PASSES_MAX 10

bool vd_web_password_is_hash(const char *text)
{
    unsigned memory_kib = 0, passes = 0;
    int head = 0;

    return strlen(text) < crypto_pwhash_STRBYTES &&
           sscanf(text, "$argon2id$v=19$m=%7u,t=%3u,p=1$%n", &memory_kib, &passes, &head) == 2 &&
           head > 0 &&
           strspn(text + head, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789+/$") == strlen(text + head) &&
           strchr(text + head, '$') != NULL && memory_kib >= 8 && memory_kib <= MEMORY_KIB_MAX &&
           passes >= 1 && passes <= PASSES_MAX;
}

enum vd_status vd_web_password_check(const char *hash, const char *password)
{
    errno = 0;
    if (crypto_pwhash_str_verify(hash, password, strlen(password)) == 0) {
        return VD_OK;
    }
    return errno == EINVAL ? VD_INVALID : VD_FAILED; /* libsodium says so of a mismatch only */
}

enum vd_status vd_web_password_hash(const char *password, struct vd_buf *out, struct vd_err *err)
{
    char hash[crypto_pwhash_STRBYTES];
    size_t len = strlen(password);

    if (len < VD_WEB_PASSWORD_CHARS_MIN || len >= VD_WEB_PASSWORD_BYTES) {
        return vd_fail(err, VD_INVALID, "a password must have %d to %d bytes, this one has %zu",
                       VD_WEB_PASSWORD_CHARS_MIN, VD_WEB_PASSWORD_BYTES - 1, len);
    }
    if (sodium_init() < 0 ||
        crypto_pwhash_str(hash, password, len, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
        return vd_fail(err, VD_FAILED, "could not hash the password: it takes 64 MiB of memory");
    }
    vd_buf_add_text(out, hash);
    return VD_OK;
}

/* One line of standard input, without its end. */
static enum vd_status read_line(char password[VD_WEB_PASSWORD_BYTES], struct vd_err *err)
{
    size_t len = 0;
    ssize_t got;

    /* Not through stdio, whose buffer would keep it. */
    while ((got = read(STDIN_FILENO, password + len, 1)) != 0 && password[len] != '\n') {
        if (got < 0) {
            return vd_fail(err, VD_FAILED, "could not read the password: %s", strerror(errno));
        }
        if (++len == VD_WEB_PASSWORD_BYTES) {
            return vd_fail(err, VD_INVALID, "a password has at most %d bytes",
                           VD_WEB_PASSWORD_BYTES - 1);
        }
    }
    password[len] = '\0';
    return VD_OK;
}

static void on_signal(int number)
{
    (void)number; /* read() returns: that is all */
}

/* Ask the terminal. Ctrl-C must not end the process while nothing typed is shown. */
static enum vd_status ask(const char *prompt, char password[VD_WEB_PASSWORD_BYTES],
                          struct vd_err *err)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
    struct sigaction old[sizeof(signals) / sizeof(signals[0])];
    struct sigaction noted = {.sa_handler = on_signal}; /* and no SA_RESTART */
    struct termios before, silent;
    enum vd_status status;

    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return read_line(password, err); /* no terminal: nothing is shown */
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    for (size_t at = 0; at < sizeof(signals) / sizeof(signals[0]); at++) {
        (void)sigaction(signals[at], &noted, &old[at]); /* fails for programming errors only */
    }
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0) {
        (void)fputs(prompt, stderr); /* a lost prompt is all that could happen */
        status = read_line(password, err);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* it worked a moment ago */
        (void)fputc('\n', stderr);
    } else {
        status = vd_fail(err, VD_FAILED, "could not silence the terminal: %s", strerror(errno));
    }
    for (size_t at = 0; at < sizeof(signals) / sizeof(signals[0]); at++) {
        (void)sigaction(signals[at], &old[at], NULL);
    }
    return status;
}

static enum vd_status ask_twice(char password[VD_WEB_PASSWORD_BYTES], struct vd_err *err)
{
    char again[VD_WEB_PASSWORD_BYTES] = "";
    enum vd_status status = ask("Password: ", password, err);

    if (status == VD_OK && isatty(STDIN_FILENO) == 1) {
        status = ask("Once more: ", again, err);
        if (status == VD_OK && strcmp(password, again) != 0) {
            status = vd_fail(err, VD_INVALID, "the two passwords differ");
        }
    }
    sodium_memzero(again, sizeof(again));
    return status;
}

enum vd_status vd_web_password_line(const char *name_role, struct vd_buf *out, struct vd_err *err)
{
    char password[VD_WEB_PASSWORD_BYTES] = "";
    struct vd_web_account account = {0};
    const char *secret = NULL;
    enum vd_status status = vd_web_account_parse(name_role, &account, &secret, err);

    if (status == VD_OK && secret != NULL) {
        status = vd_fail(err, VD_INVALID, "a password on the command line can be read by others");
    }
    if (status == VD_OK) {
        status = ask_twice(password, err);
    }
    if (status == VD_OK) {
        vd_buf_printf(out, "%s:", name_role);
        status = vd_web_password_hash(password, out, err);
        vd_buf_add_char(out, '\n');
    }
    sodium_memzero(password, sizeof(password));
    return status;
}
