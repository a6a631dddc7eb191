/* Sessions in a fixed array; serials tell the place they are in. */
#include "web_session.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

void vd_web_sessions_init(struct vd_web_sessions *sessions, int64_t max, int64_t life_ms,
                          int64_t idle_ms)
{
    *sessions = (struct vd_web_sessions){
        .list = vd_alloc_array((size_t)max, sizeof(*sessions->list)),
        .max = (size_t)max,
        .life_ms = life_ms,
        .idle_ms = idle_ms,
    };
}

void vd_web_sessions_fini(struct vd_web_sessions *sessions)
{
    if (sessions->list != NULL) {
        sodium_memzero(sessions->list, sessions->max * sizeof(*sessions->list));
    }
    free(vd_take(sessions->list));
}

static bool is_alive(const struct vd_web_sessions *sessions, const struct vd_web_session *session,
                     int64_t now_ms)
{
    return session->serial != 0 && now_ms - session->began_ms < sessions->life_ms &&
           now_ms - session->used_ms < sessions->idle_ms;
}

/* The one of the two, either may be NULL, that was used longer ago. */
static struct vd_web_session *staler(struct vd_web_session *one, struct vd_web_session *other)
{
    return one == NULL || (other != NULL && other->used_ms < one->used_ms) ? other : one;
}

/* Where the next session of 'name' goes. */
static struct vd_web_session *find_place(struct vd_web_sessions *sessions, const char *name,
                                         int64_t now_ms)
{
    struct vd_web_session *vacant = NULL, *own = NULL, *taken = NULL;
    size_t own_count = 0;

    for (size_t at = 0; at < sessions->max; at++) {
        struct vd_web_session *session = &sessions->list[at];

        if (!is_alive(sessions, session, now_ms)) {
            vacant = session;
        } else if (strcmp(session->name, name) == 0) {
            own = staler(own, session);
            own_count++;
        } else {
            taken = staler(taken, session);
        }
    }
    if (own_count >= VD_WEB_SESSIONS_PER_ACCOUNT) {
        return own;
    }
    return vacant != NULL ? vacant : staler(own, taken);
}

struct vd_web_session *vd_web_session_begin(struct vd_web_sessions *sessions,
                                            const struct vd_web_account *account,
                                            const char *address, int64_t now_ms)
{
    struct vd_web_session *place = find_place(sessions, account->name, now_ms);

    *place = (struct vd_web_session){
        .serial = ++sessions->last_serial * sessions->max + (size_t)(place - sessions->list),
        .role = account->role,
        .began_ms = now_ms,
        .used_ms = now_ms,
    };
    randombytes_buf(place->id, sizeof(place->id));
    randombytes_buf(place->proof, sizeof(place->proof));
    (void)snprintf(place->name, sizeof(place->name), "%s", account->name); /* fits */
    (void)snprintf(place->address, sizeof(place->address), "%s", address); /* fits */
    return place;
}

/* The bytes of an id or proof; false if 'text' is neither. */
static bool parse(const char *text, unsigned char bytes[VD_WEB_SESSION_ID_BYTES])
{
    size_t len = 0;

    return strlen(text) == 2 * VD_WEB_SESSION_ID_BYTES &&
           sodium_hex2bin(bytes, VD_WEB_SESSION_ID_BYTES, text, strlen(text), NULL, &len, NULL) ==
               0 &&
           len == VD_WEB_SESSION_ID_BYTES;
}

struct vd_web_session *vd_web_session_find(struct vd_web_sessions *sessions, const char *id,
                                           int64_t now_ms)
{
    unsigned char bytes[VD_WEB_SESSION_ID_BYTES];
    struct vd_web_session *found = NULL;

    if (!parse(id, bytes)) {
        return NULL;
    }
    for (size_t at = 0; at < sessions->max; at++) {
        struct vd_web_session *session = &sessions->list[at];

        if (sodium_memcmp(session->id, bytes, sizeof(bytes)) == 0) {
            found = session; /* and on: the time tells nothing of the place */
        }
    }
    if (found == NULL || !is_alive(sessions, found, now_ms)) {
        return NULL;
    }
    found->used_ms = now_ms;
    return found;
}

struct vd_web_session *vd_web_session_of(struct vd_web_sessions *sessions, uint64_t serial)
{
    struct vd_web_session *session;

    if (serial == 0) {
        return NULL;
    }
    session = &sessions->list[serial % sessions->max];
    return session->serial == serial ? session : NULL;
}

bool vd_web_session_use(struct vd_web_sessions *sessions, uint64_t serial, int64_t now_ms)
{
    struct vd_web_session *session = vd_web_session_of(sessions, serial);

    if (session == NULL || !is_alive(sessions, session, now_ms)) {
        return false;
    }
    session->used_ms = now_ms;
    return true;
}

bool vd_web_session_end(struct vd_web_sessions *sessions, uint64_t serial)
{
    struct vd_web_session *session = vd_web_session_of(sessions, serial);

    if (session == NULL) {
        return false;
    }
    sodium_memzero(session, sizeof(*session));
    return true;
}

const struct vd_web_session *vd_web_session_next(const struct vd_web_sessions *sessions,
                                                 int64_t now_ms, size_t *at)
{
    while (*at < sessions->max) {
        const struct vd_web_session *session = &sessions->list[(*at)++];

        if (is_alive(sessions, session, now_ms)) {
            return session;
        }
    }
    return NULL;
}

void vd_web_session_text(const unsigned char bytes[VD_WEB_SESSION_ID_BYTES],
                         char text[VD_WEB_SESSION_ID_TEXT])
{
    (void)sodium_bin2hex(text, VD_WEB_SESSION_ID_TEXT, bytes, VD_WEB_SESSION_ID_BYTES);
}

bool vd_web_session_is_proof(const struct vd_web_session *session, const char *text)
{
    unsigned char bytes[VD_WEB_SESSION_ID_BYTES];

    return parse(text, bytes) && sodium_memcmp(session->proof, bytes, sizeof(bytes)) == 0;
}
