/* Files of secrets, read once at the start. */
#include "web_account.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "web_password.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-"

static const char *const role_names[] = {
    [VD_WEB_ANYONE] = "anyone",
    [VD_WEB_VIEWER] = "viewer",
    [VD_WEB_OPERATOR] = "operator",
    [VD_WEB_ADMIN] = "admin",
};

const char *vd_web_role_name(enum vd_web_role role)
{
    return role_names[role];
}

static bool take_role(const char *text, size_t len, enum vd_web_role *role)
{
    for (enum vd_web_role at = VD_WEB_VIEWER; at <= VD_WEB_ADMIN; at++) {
        if (strlen(role_names[at]) == len && memcmp(role_names[at], text, len) == 0) {
            *role = at;
            return true;
        }
    }
    return false;
}

enum vd_status vd_web_account_parse(const char *line, struct vd_web_account *account,
                                    const char **secret, struct vd_err *err)
{
    size_t name_len = strspn(line, NAME_CHARS);
    const char *role = line + name_len + 1;
    size_t role_len;

    if (name_len == 0 || name_len >= VD_WEB_NAME_BYTES || line[name_len] != ':') {
        return vd_fail(err, VD_INVALID,
                       "expected a name of 1 to %d letters, digits, '.', '_', '-' and '@', then "
                       "':' and a role",
                       VD_WEB_NAME_BYTES - 1);
    }
    role_len = strcspn(role, ":");
    if (!take_role(role, role_len, &account->role)) {
        return vd_fail(err, VD_INVALID, "the role of \"%.*s\" must be viewer, operator or admin",
                       (int)name_len, line);
    }
    memcpy(account->name, line, name_len);
    account->name[name_len] = '\0';
    *secret = role[role_len] == ':' ? role + role_len + 1 : NULL;
    return VD_OK;
}

static void digest_token(const char *token, unsigned char digest[VD_WEB_DIGEST_BYTES])
{
    (void)crypto_generichash(digest, VD_WEB_DIGEST_BYTES, (const unsigned char *)token,
                             strlen(token), NULL, 0); /* fails for wrong sizes only */
}

static bool is_token(const char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0; at < len; at++) {
        if (text[at] <= ' ' || text[at] > '~') {
            return false;
        }
    }
    return len >= VD_WEB_TOKEN_CHARS_MIN;
}

static enum vd_status take_secret(struct vd_web_account *account, enum vd_web_secret kind,
                                  const char *secret, struct vd_err *err)
{
    if (kind == VD_WEB_PASSWORD) {
        if (secret == NULL || !vd_web_password_is_hash(secret)) {
            return vd_fail(err, VD_INVALID,
                           "what follows is no hash of a password: make the line with "
                           "\"votingd --hash-password %s:%s\"",
                           account->name, vd_web_role_name(account->role));
        }
        account->hash = vd_strdup(secret);
        return VD_OK;
    }
    if (secret == NULL || !is_token(secret)) {
        return vd_fail(err, VD_INVALID,
                       "the token of \"%s\" must have at least %d letters, digits and signs: make "
                       "one with \"openssl rand -hex 32\"",
                       account->name, VD_WEB_TOKEN_CHARS_MIN);
    }
    digest_token(secret, account->digest);
    return VD_OK;
}

static enum vd_status add_line(struct vd_web_accounts *accounts, enum vd_web_secret kind,
                               const char *line, struct vd_err *err)
{
    struct vd_web_account account = {0};
    const char *secret = NULL;

    if (vd_web_account_parse(line, &account, &secret, err) != VD_OK) {
        return VD_INVALID;
    }
    if (vd_web_account_named(accounts, account.name) != NULL) {
        return vd_fail(err, VD_INVALID, "\"%s\" has a line already", account.name);
    }
    if (take_secret(&account, kind, secret, err) != VD_OK) {
        return VD_INVALID;
    }
    accounts->list = vd_realloc(accounts->list, (accounts->count + 1) * sizeof(*accounts->list));
    accounts->list[accounts->count++] = account;
    return VD_OK;
}

static enum vd_status add_lines(struct vd_web_accounts *accounts, enum vd_web_secret kind,
                                char *text, struct vd_err *err)
{
    int number = 0;

    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        number++;
        line[strcspn(line, "\r")] = '\0';
        if (line[0] != '\0' && line[0] != '#' && add_line(accounts, kind, line, err) != VD_OK) {
            return vd_fail_in(err, "line %d", number);
        }
    }
    if (accounts->count == 0) {
        return vd_fail(err, VD_INVALID, "nobody is named in it, so nobody could sign in");
    }
    return VD_OK;
}

/* Root's group may read: whoever is in it is as good as root, and systemd hands credentials over
 * with that mode. */
static enum vd_status check_mode(int fd, struct vd_err *err)
{
    struct stat stat;

    if (fstat(fd, &stat) != 0) {
        return vd_fail(err, VD_FAILED, "could not be looked at: %s", strerror(errno));
    }
    if (!S_ISREG(stat.st_mode)) {
        return vd_fail(err, VD_INVALID, "is no regular file");
    }
    if ((stat.st_mode & S_IRWXO) != 0 || ((stat.st_mode & S_IRWXG) != 0 && stat.st_gid != 0)) {
        return vd_fail(err, VD_INVALID,
                       "others may read it or write to it (mode %04o), and it holds secrets: "
                       "chmod 600",
                       (unsigned)(stat.st_mode & 07777));
    }
    return VD_OK;
}

static enum vd_status read_all(int fd, struct vd_buf *text, struct vd_err *err)
{
    ssize_t got;

    do {
        vd_buf_reserve(text, 4096);
        got = read(fd, text->data + text->len, 4096);
        text->len += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && text->len <= FILE_BYTES_MAX) || (got < 0 && errno == EINTR));
    if (got < 0) {
        return vd_fail(err, VD_FAILED, "could not be read: %s", strerror(errno));
    }
    if (text->len > FILE_BYTES_MAX) {
        return vd_fail(err, VD_INVALID, "is larger than 1 MiB");
    }
    return VD_OK;
}

enum vd_status vd_web_accounts_read(struct vd_web_accounts *accounts, const char *option,
                                    const char *path, enum vd_web_secret secret, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum vd_status status;

    if (fd < 0) {
        return vd_fail(err, VD_FAILED, "option \"%s\": could not open \"%s\": %s", option, path,
                       strerror(errno));
    }
    status = check_mode(fd, err);
    if (status == VD_OK) {
        status = read_all(fd, &text, err);
    }
    (void)close(fd); /* it was only read */
    if (status == VD_OK) {
        status = add_lines(accounts, secret, vd_buf_text(&text), err);
    }
    if (text.data != NULL) {
        sodium_memzero(text.data, text.cap);
    }
    return status == VD_OK ? VD_OK : vd_fail_in(err, "option \"%s\": \"%s\"", option, path);
}

void vd_web_accounts_fini(struct vd_web_accounts *accounts)
{
    for (size_t at = 0; at < accounts->count; at++) {
        free(accounts->list[at].hash);
    }
    free(vd_take(accounts->list));
    accounts->count = 0;
}

const struct vd_web_account *vd_web_account_named(const struct vd_web_accounts *accounts,
                                                  const char *name)
{
    for (size_t at = 0; at < accounts->count; at++) {
        if (strcmp(accounts->list[at].name, name) == 0) {
            return &accounts->list[at];
        }
    }
    return NULL;
}

const struct vd_web_account *vd_web_account_of_token(const struct vd_web_accounts *accounts,
                                                     const char *token)
{
    const struct vd_web_account *found = NULL;
    unsigned char digest[VD_WEB_DIGEST_BYTES];

    digest_token(token, digest);
    for (size_t at = 0; at < accounts->count; at++) {
        if (sodium_memcmp(accounts->list[at].digest, digest, sizeof(digest)) == 0) {
            found = &accounts->list[at]; /* and on: the time tells nothing of the place */
        }
    }
    return found;
}
