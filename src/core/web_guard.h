/* What is checked in a request before anything else looks at it: host, origin, path, query, and the
 * address that limits are counted by. Pure functions over text; not installed. */
#ifndef VD_CORE_WEB_GUARD_H
#define VD_CORE_WEB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define VD_WEB_PATH_BYTES 1024  /* of a path, as sent */
#define VD_WEB_QUERY_BYTES 1024 /* of a query string, as sent */
#define VD_WEB_ADDRESS_BYTES 48

/* Names that the server answers to. Immutable while it listens. */
struct vd_web_guard {
    char **hosts; /* option "hosts": allowed in Host and in Origin; NULL at the end */
    char *own;    /* the address of 'listen': allowed in Host */
    char **proxies;
};

/* A comma separated list as texts without spaces around them. Owns: vd_web_list_free. */
char **vd_web_list_new(const char *text);
void vd_web_list_free(char **list);

/* True for a name or address as it stands in a Host header, without a port. */
bool vd_web_host_is_name(const char *text);

void vd_web_guard_init(struct vd_web_guard *guard, const char *own, const char *hosts,
                       const char *proxies);
void vd_web_guard_fini(struct vd_web_guard *guard);

/* True if a Host header names this server: 'own', "localhost", "127.0.0.1" or one of 'hosts', with
 * any port (ports are forwarded; it is the name that a rebinding attack cannot choose). */
bool vd_web_guard_has_host(const struct vd_web_guard *guard, const char *host);

/* True if a page from 'origin' may talk to us: its authority is exactly the request's Host, or its
 * name is one of 'hosts'. */
bool vd_web_guard_has_origin(const struct vd_web_guard *guard, const char *origin,
                             const char *host);

/* The client's address: the peer's, or, behind a trusted proxy, the last one in X-Forwarded-For
 * ('forwarded', may be NULL) that is no trusted proxy itself. */
void vd_web_guard_address(const struct vd_web_guard *guard, const char *peer, const char *forwarded,
                          char address[VD_WEB_ADDRESS_BYTES]);

/* What limits count 'address' as: one of IPv6 as its /64, which is all one customer's; any other
 * text as it is. */
void vd_web_guard_counted(const char *address, char counted[VD_WEB_ADDRESS_BYTES]);

/* True if 'address' is a trusted proxy's. */
bool vd_web_guard_is_proxy(const struct vd_web_guard *guard, const char *address);

/* The token in an Authorization header (may be NULL) of the form "Bearer TOKEN", or NULL. */
const char *vd_web_bearer(const char *authorization);

/* Copy the value of the first cookie 'name' in a Cookie header (may be NULL) into 'value'; false
 * if there is none, or it is longer. */
bool vd_web_cookie_find(const char *cookies, const char *name, char *value, size_t bytes);

/* Decode a path as sent, shorter than VD_WEB_PATH_BYTES, into 'path' of that size. False for a bad
 * escape, a control character, a segment "." or "..", and bytes that are no UTF-8. */
bool vd_web_path_decode(const char *raw, char *path);

/* True if a query string holds nothing but printable ASCII, as RFC 3986 demands. */
bool vd_web_query_is_clean(const char *query);

/* True if an Accept-Encoding header allows gzip. NULL: no. */
bool vd_web_takes_gzip(const char *accept);

/* True if If-None-Match ('header', may be NULL) names 'etag', with or without our suffix "-gz". */
bool vd_web_etag_is_known(const char *header, const char *etag);

/* The first tag of If-None-Match in quotes, without suffix and W/; "" if there is none. */
void vd_web_etag_first(const char *header, char *etag, size_t bytes);

#endif
