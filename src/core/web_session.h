/* Who is signed in: sessions in memory, known by a random id in a cookie. Under the caller's lock;
 * not installed. */
#ifndef VD_CORE_WEB_SESSION_H
#define VD_CORE_WEB_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "web_account.h"
#include "web_guard.h"

#define VD_WEB_SESSION_ID_BYTES 16
#define VD_WEB_SESSION_ID_TEXT                                        \
    (2 * VD_WEB_SESSION_ID_BYTES + 1) /* in hexadecimal, with its end \
                                       */

#define VD_WEB_SESSIONS_PER_ACCOUNT 16 /* more are a script's, and would end other people's */

struct vd_web_session {
    uint64_t serial; /* never used again; 0: a free place */
    unsigned char id[VD_WEB_SESSION_ID_BYTES];
    unsigned char proof[VD_WEB_SESSION_ID_BYTES]; /* that a request was made by our own page */
    char name[VD_WEB_NAME_BYTES];
    enum vd_web_role role;
    char address[VD_WEB_ADDRESS_BYTES]; /* that it was begun from */
    int64_t began_ms, used_ms;
};

struct vd_web_sessions {
    struct vd_web_session *list; /* array of 'max' */
    size_t max;
    uint64_t last_serial;
    int64_t life_ms, idle_ms; /* since it began, since it was last used */
};

void vd_web_sessions_init(struct vd_web_sessions *sessions, int64_t max, int64_t life_ms,
                          int64_t idle_ms);
void vd_web_sessions_fini(struct vd_web_sessions *sessions);

/* Begin a session for 'account'; where it has VD_WEB_SESSIONS_PER_ACCOUNT, in place of the one of
 * them that was not used for the longest time; where all places are taken, of all. Borrowed until
 * the next call that begins or ends one. */
struct vd_web_session *vd_web_session_begin(struct vd_web_sessions *sessions,
                                            const struct vd_web_account *account,
                                            const char *address, int64_t now_ms);

/* The session with this id, which is thereby used; NULL if there is none any more. Takes as long
 * for any id. */
struct vd_web_session *vd_web_session_find(struct vd_web_sessions *sessions, const char *id,
                                           int64_t now_ms);

/* The session with this serial; NULL if its place is another's by now. */
struct vd_web_session *vd_web_session_of(struct vd_web_sessions *sessions, uint64_t serial);

/* Use the session without its id, as an open websocket does; false if it has ended. */
bool vd_web_session_use(struct vd_web_sessions *sessions, uint64_t serial, int64_t now_ms);

/* False if it had ended already. */
bool vd_web_session_end(struct vd_web_sessions *sessions, uint64_t serial);

/* The sessions that have not ended, one after the other: start with *at = 0; NULL at the end. */
const struct vd_web_session *vd_web_session_next(const struct vd_web_sessions *sessions,
                                                 int64_t now_ms, size_t *at);

/* Id or proof in hexadecimal. */
void vd_web_session_text(const unsigned char bytes[VD_WEB_SESSION_ID_BYTES],
                         char text[VD_WEB_SESSION_ID_TEXT]);

/* True if 'text' is the proof of 'session'. */
bool vd_web_session_is_proof(const struct vd_web_session *session, const char *text);

#endif
