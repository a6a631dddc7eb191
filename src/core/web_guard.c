/* Host, Origin, X-Forwarded-For, paths, queries and entity tags: everything a request says about
 * itself, taken apart without trusting it. */
#include "web_guard.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "buf.h"
#include "web.h"

#define ETAG_SUFFIX "-gz"

char **vd_web_list_new(const char *text)
{
    size_t count = 0;
    char **list = vd_alloc(sizeof(*list));

    while (text != NULL && *text != '\0') {
        size_t len;

        text += strspn(text, ", \t");
        len = strcspn(text, ", \t");
        if (len > 0) {
            list = vd_realloc(list, (count + 2) * sizeof(*list));
            list[count++] = vd_strndup(text, len);
            list[count] = NULL;
        }
        text += len;
    }
    return list;
}

void vd_web_list_free(char **list)
{
    if (list == NULL) {
        return;
    }
    for (char **at = list; *at != NULL; at++) {
        free(*at);
    }
    free(list);
}

/* The length of the name at the head of "name" or "name:port"; 0 if 'text' is neither. */
static size_t name_len(const char *text)
{
    size_t len;
    const char *rest;

    if (text[0] == '[') {
        len = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (len == 1 || text[len] != ']') {
            return 0;
        }
        len++;
    } else {
        len = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_");
    }
    rest = text + len;
    if (len == 0 || len > 253) {
        return 0;
    }
    if (*rest == ':') {
        size_t digits = strspn(rest + 1, "0123456789");

        rest += digits >= 1 && digits <= 5 ? 1 + digits : 0;
    }
    return *rest == '\0' ? len : 0;
}

bool vd_web_host_is_name(const char *text)
{
    size_t len = name_len(text);

    return len > 0 && text[len] == '\0';
}

void vd_web_guard_init(struct vd_web_guard *guard, const char *own, const char *hosts,
                       const char *proxies)
{
    guard->own = vd_strdup(own);
    guard->hosts = vd_web_list_new(hosts);
    guard->proxies = vd_web_list_new(proxies);
}

void vd_web_guard_fini(struct vd_web_guard *guard)
{
    vd_web_list_free(vd_take(guard->hosts));
    vd_web_list_free(vd_take(guard->proxies));
    free(vd_take(guard->own));
}

static bool is_same(const char *text, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(text, name, len) == 0;
}

static bool is_listed(char *const *list, const char *text, size_t len)
{
    for (; *list != NULL; list++) {
        if (is_same(text, len, *list)) {
            return true;
        }
    }
    return false;
}

bool vd_web_guard_has_host(const struct vd_web_guard *guard, const char *host)
{
    size_t len = name_len(host);

    return len > 0 && (is_same(host, len, guard->own) || is_same(host, len, "localhost") ||
                       is_same(host, len, "127.0.0.1") || is_listed(guard->hosts, host, len));
}

bool vd_web_guard_has_origin(const struct vd_web_guard *guard, const char *origin, const char *host)
{
    const char *authority;
    size_t len;

    if (strncasecmp(origin, "http://", 7) == 0) {
        authority = origin + 7;
    } else if (strncasecmp(origin, "https://", 8) == 0) {
        authority = origin + 8;
    } else {
        return false;
    }
    len = name_len(authority);
    return len > 0 && (strcasecmp(authority, host) == 0 || is_listed(guard->hosts, authority, len));
}

void vd_web_guard_address(const struct vd_web_guard *guard, const char *peer, const char *forwarded,
                          char address[VD_WEB_ADDRESS_BYTES])
{
    const char *end = forwarded != NULL ? forwarded + strlen(forwarded) : NULL;

    (void)snprintf(address, VD_WEB_ADDRESS_BYTES, "%s", peer);
    /* From the right: each proxy appended the address that it saw itself. */
    while (end != NULL && end > forwarded && is_listed(guard->proxies, address, strlen(address))) {
        const char *start = end;
        const char *comma;

        while (start > forwarded && start[-1] != ',') {
            start--;
        }
        comma = start;
        start += strspn(start, " \t");
        while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }
        if (end <= start || end - start >= VD_WEB_ADDRESS_BYTES) {
            return; /* nothing to go by: it counts as the proxy's own */
        }
        (void)snprintf(address, VD_WEB_ADDRESS_BYTES, "%.*s", (int)(end - start), start);
        end = comma > forwarded ? comma - 1 : forwarded;
    }
}

void vd_web_guard_counted(const char *address, char counted[VD_WEB_ADDRESS_BYTES])
{
    struct in6_addr ip;
    char text[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, address, &ip) != 1) {
        (void)snprintf(counted, VD_WEB_ADDRESS_BYTES, "%s", address);
    } else if (IN6_IS_ADDR_V4MAPPED(&ip)) {
        (void)inet_ntop(AF_INET, &ip.s6_addr[12], counted, VD_WEB_ADDRESS_BYTES); /* fits */
    } else {
        memset(&ip.s6_addr[8], 0, 8);
        (void)inet_ntop(AF_INET6, &ip, text, sizeof(text)); /* fits */
        (void)snprintf(counted, VD_WEB_ADDRESS_BYTES, "%s/64", text);
    }
}

bool vd_web_guard_is_proxy(const struct vd_web_guard *guard, const char *address)
{
    return is_listed(guard->proxies, address, strlen(address));
}

const char *vd_web_bearer(const char *authorization)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0) {
        return NULL;
    }
    return authorization + 7 + strspn(authorization + 7, " ");
}

bool vd_web_cookie_find(const char *cookies, const char *name, char *value, size_t bytes)
{
    size_t name_len = strlen(name);

    while (cookies != NULL && *cookies != '\0') {
        size_t len;

        cookies += strspn(cookies, "; \t");
        len = strcspn(cookies, "; \t");
        if (len > name_len && strncmp(cookies, name, name_len) == 0 && cookies[name_len] == '=') {
            len -= name_len + 1;
            (void)snprintf(value, bytes, "%.*s", (int)len, cookies + name_len + 1);
            return len < bytes;
        }
        cookies += len;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XY" at 'text' stands for, or -1. */
static int escaped(const char *text)
{
    int high = hex_digit(text[1]);

    if (high < 0 || hex_digit(text[2]) < 0) {
        return -1;
    }
    return high << 4 | hex_digit(text[2]);
}

/* A segment "." or ".." has no use here but to look for files, and there are none. */
static bool has_dots(const char *path)
{
    for (const char *at = path; (at = strchr(at, '/')) != NULL;) {
        size_t len = strcspn(++at, "/");

        if ((len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.')) {
            return true;
        }
    }
    return false;
}

bool vd_web_path_decode(const char *raw, char *path)
{
    size_t len = 0;

    assert(strlen(raw) < VD_WEB_PATH_BYTES);
    for (; *raw != '\0'; raw++) {
        int c = (unsigned char)*raw;

        if (c == '%') {
            c = escaped(raw);
            raw += 2;
        }
        if (c < 0x20 || c == 0x7f || c == '\\') {
            return false; /* -1, a bad escape, is among them */
        }
        path[len++] = (char)c;
    }
    path[len] = '\0';
    return path[0] == '/' && !has_dots(path) && vd_utf8_is_valid(path, len);
}

bool vd_web_query_is_clean(const char *query)
{
    for (; *query != '\0'; query++) {
        if (*query <= 0x20 || *query >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* Decode the part of a query string; an escape that is none, or of a zero byte, stays as it is. */
static char *query_decode(const char *text, size_t len)
{
    char *value = vd_alloc(len + 1);
    size_t out = 0;

    for (size_t at = 0; at < len; at++) {
        int c = text[at] == '%' && len - at > 2 ? escaped(text + at) : 0;

        if (c > 0) {
            value[out++] = (char)c;
            at += 2;
        } else {
            value[out++] = text[at] == '+' ? ' ' : text[at];
        }
    }
    return value;
}

char *vd_web_query_get(const char *query, const char *name)
{
    while (*query != '\0') {
        size_t len = strcspn(query, "&");
        const char *equal = memchr(query, '=', len);
        size_t key_len = equal != NULL ? (size_t)(equal - query) : len;
        VD_AUTO(mem) char *key = query_decode(query, key_len);

        if (key_len > 0 && strcmp(key, name) == 0) {
            return equal != NULL ? query_decode(equal + 1, len - key_len - 1) : vd_strdup("");
        }
        query += len;
        query += *query == '&' ? 1 : 0;
    }
    return NULL;
}

/* "gzip;q=0" and "gzip;q=0.000" say no. */
static bool is_weighted_out(const char *parameters, size_t len)
{
    const char *q = memchr(parameters, '=', len);

    if (q == NULL) {
        return false;
    }
    for (q++; q < parameters + len; q++) {
        if (*q >= '1' && *q <= '9') {
            return false;
        }
    }
    return true;
}

bool vd_web_takes_gzip(const char *accept)
{
    while (accept != NULL && *accept != '\0') {
        size_t len, name;

        accept += strspn(accept, ", \t");
        len = strcspn(accept, ",");
        name = strcspn(accept, ",; \t");
        if (is_same(accept, name, "gzip") || is_same(accept, name, "*")) {
            return !is_weighted_out(accept + name, len - name);
        }
        accept += len;
    }
    return false;
}

/* Step to the next entity tag of a list: its text without W/ and quotes; NULL at the end. */
static const char *etag_next(const char **at, size_t *len)
{
    const char *tag = *at + strspn(*at, ", \t");

    if (tag[0] == 'W' && tag[1] == '/') {
        tag += 2;
    }
    if (*tag == '"') {
        *len = strcspn(++tag, "\"");
        *at = tag + *len + (tag[*len] == '"' ? 1 : 0);
    } else {
        *len = strcspn(tag, ", \t");
        *at = tag + *len;
    }
    return *len > 0 ? tag : NULL;
}

static size_t etag_bare_len(const char *tag, size_t len)
{
    size_t suffix = sizeof(ETAG_SUFFIX) - 1;

    return len > suffix && memcmp(tag + len - suffix, ETAG_SUFFIX, suffix) == 0 ? len - suffix
                                                                                : len;
}

bool vd_web_etag_is_known(const char *header, const char *etag)
{
    const char *tag;
    size_t len = 0;

    if (header == NULL || etag[0] == '\0') {
        return false;
    }
    while ((tag = etag_next(&header, &len)) != NULL) {
        size_t bare = etag_bare_len(tag, len);

        if ((len == 1 && *tag == '*') || (bare == strlen(etag) && memcmp(tag, etag, bare) == 0)) {
            return true;
        }
    }
    return false;
}

void vd_web_etag_first(const char *header, char *etag, size_t bytes)
{
    const char *tag;
    size_t len = 0;

    etag[0] = '\0';
    tag = header != NULL ? etag_next(&header, &len) : NULL;
    if (tag != NULL && len + 3 <= bytes) {
        (void)snprintf(etag, bytes, "\"%.*s\"", (int)etag_bare_len(tag, len), tag);
    }
}
