/* What a request says of itself: path, query string, Host, Origin, cookies, lists in headers; and
 * lines of the files that access goes by. One text is tried as each of them, split at its first
 * line feed where two are needed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "web.h"
#include "web_account.h"
#include "web_guard.h"
#include "web_password.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_path(const char *text)
{
    char path[VD_WEB_PATH_BYTES];

    if (strlen(text) < VD_WEB_PATH_BYTES && vd_web_path_decode(text, path)) {
        assert(path[0] == '/' && strlen(path) <= strlen(text));
        assert(strstr(path, "/../") == NULL && strchr(path, '\n') == NULL);
        assert(vd_utf8_is_valid(path, strlen(path)));
    }
}

static void try_query(const char *query, const char *name)
{
    char *value = vd_web_query_get(query, name);

    assert(value == NULL || strlen(value) <= strlen(query));
    free(value);
    (void)vd_web_query_is_clean(query);
}

static void try_headers(const char *first, const char *second)
{
    struct vd_web_guard guard = {0};
    char address[VD_WEB_ADDRESS_BYTES];
    char tag[32];

    vd_web_guard_init(&guard, "127.0.0.1", second, second);
    if (vd_web_guard_has_host(&guard, first)) {
        assert(strlen(first) <= 253 + 6);
    }
    (void)vd_web_guard_has_origin(&guard, first, second);
    vd_web_guard_address(&guard, second, first, address);
    assert(strlen(address) < sizeof(address));
    vd_web_guard_fini(&guard);
    (void)vd_web_takes_gzip(first);
    (void)vd_web_etag_is_known(first, second);
    vd_web_etag_first(first, tag, sizeof(tag));
    assert(strlen(tag) < sizeof(tag));
}

static void try_access(const char *first, const char *second)
{
    struct vd_web_account account = {0};
    const char *secret = NULL;
    char value[32];

    if (vd_web_cookie_find(first, second, value, sizeof(value))) {
        assert(strlen(value) < sizeof(value) && strpbrk(value, "; \t") == NULL);
    }
    (void)vd_web_bearer(first);
    (void)vd_web_password_is_hash(first);
    if (vd_web_account_parse(first, &account, &secret, NULL) == VD_OK) {
        assert(account.name[0] != '\0' && account.role >= VD_WEB_VIEWER);
        assert(secret == NULL || strlen(secret) < strlen(first));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *first = calloc(len + 1, 1);
    char *second;

    if (len > 0) {
        memcpy(first, bytes, len);
    }
    second = strchr(first, '\n');
    if (second != NULL) {
        *second++ = '\0';
    } else {
        second = first + strlen(first);
    }
    try_path(first);
    try_query(first, second);
    try_headers(first, second);
    try_access(first, second);
    free(first);
    return 0;
}
