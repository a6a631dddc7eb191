/* libcurl's multi interface on the loop: libcurl says which sockets it waits for and when it wants
 * to be called, the loop calls it, and finished calls are collected after every such call. */
#include "http.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "buf.h"
#include "loop_uv.h"

#define TIMEOUT_MS 10000
#define BODY_BYTES_MAX ((size_t)16 << 20)
#define HEAD_BYTES_MAX ((size_t)64 << 10) /* libcurl limits a line only */
#define CALLS_MAX 256
#define CONNECTIONS_MAX 16

struct watch {
    uv_poll_t poll;
    struct vd_http *http; /* NULL: being closed */
    curl_socket_t socket;
    int events;
    struct watch *next, **at; /* in the client's list */
};

struct vd_http {
    uv_timer_t timer;
    struct vd_loop *loop;
    CURLM *multi;
    struct watch *watches;
    struct vd_http_call *calls;
    size_t call_count;
    bool is_closed;
};

struct vd_http_call {
    struct vd_http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct vd_http_call *next, **at; /* in the client's list */
    vd_http_done_fn *on_done;
    void *arg;
    char *label; /* the URL as it may be shown: no user, no query */
    int64_t timeout_ms;
    size_t body_bytes_max;
    struct vd_buf body;
    size_t head_bytes;
    int64_t retry_after_s;
    bool is_body_too_big, is_head_too_big;
    bool is_answering; /* its callback runs */
    char words[CURL_ERROR_SIZE];
};

/* ---- calls ----------------------------------------------------------------------------------- */

static void unlink_call(struct vd_http_call *call)
{
    *call->at = call->next;
    if (call->next != NULL) {
        call->next->at = call->at;
    }
    call->http->call_count--;
    (void)curl_multi_remove_handle(call->http->multi, call->easy); /* it is there */
}

static void free_call(struct vd_http_call *call)
{
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    vd_buf_fini(&call->body);
    free(call->label);
    free(call);
}

static void set_error(const struct vd_http_call *call, CURLcode code, struct vd_err *err)
{
    const char *words = call->words[0] != '\0' ? call->words : curl_easy_strerror(code);

    if (call->is_body_too_big || code == CURLE_FILESIZE_EXCEEDED) {
        (void)vd_fail(err, VD_FAILED, "the answer is larger than %zu bytes", call->body_bytes_max);
    } else if (call->is_head_too_big) {
        (void)vd_fail(err, VD_FAILED, "the head of the answer is larger than %zu bytes",
                      HEAD_BYTES_MAX);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)vd_fail(err, VD_FAILED, "no complete answer within %lld ms",
                      (long long)call->timeout_ms);
    } else {
        (void)vd_fail(err, VD_FAILED, "%s", words);
    }
    (void)vd_fail_in(err, "could not get \"%s\"", call->label);
}

/* Give the call's answer, and free it. The callback may do anything,
 * closing the client included. */
static void finish_call(struct vd_http_call *call, CURLcode code)
{
    struct vd_http_response response = {.content_type = "", .retry_after_s = -1, .body = ""};
    struct vd_err err = {0};
    const char *content_type = NULL;
    long status = 0;

    unlink_call(call);
    if (code != CURLE_OK) {
        set_error(call, code, &err);
        response.err = &err;
    } else {
        /* Asking for what this version knows does not fail. */
        (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &content_type);
        response.status = (int)status;
        response.content_type = content_type != NULL ? content_type : "";
        response.retry_after_s = call->retry_after_s;
        response.body = vd_buf_text(&call->body);
        response.len = call->body.len;
    }
    call->is_answering = true;
    call->on_done(call->arg, &response);
    free_call(call);
}

static void finish_calls(struct vd_http *http)
{
    CURLMsg *msg;
    int left;

    while (!http->is_closed && (msg = curl_multi_info_read(http->multi, &left)) != NULL) {
        CURLcode code = msg->data.result; /* msg goes with the handle */
        struct vd_http_call *call = NULL;

        assert(msg->msg == CURLMSG_DONE);
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call); /* set in every call */
        finish_call(call, code);
    }
}

/* ---- what libcurl asks for ------------------------------------------------------------------- */

static void act(struct vd_http *http, curl_socket_t socket, int events)
{
    int running;

    (void)curl_multi_socket_action(http->multi, socket, events, &running); /* errors: each call's */
    finish_calls(http);
}

static void on_poll(uv_poll_t *handle, int error, int events)
{
    struct watch *watch = handle->data;
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);

    /* A socket with an error, such as a reset, may still have bytes to read: go on until libcurl
     * has found the error, too. libuv has stopped polling it. */
    if (error != 0) {
        flags = CURL_CSELECT_ERR | CURL_CSELECT_IN;
        (void)uv_poll_start(handle, watch->events, on_poll); /* worked before */
    }
    act(watch->http, watch->socket, flags);
}

static void on_timer(uv_timer_t *handle)
{
    act(handle->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_watch(struct watch *watch)
{
    *watch->at = watch->next;
    if (watch->next != NULL) {
        watch->next->at = watch->at;
    }
    watch->http = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct watch *new_watch(struct vd_http *http, curl_socket_t socket)
{
    struct watch *watch = vd_alloc(sizeof(*watch));

    if (uv_poll_init_socket(&http->loop->uv, &watch->poll, socket) != 0) {
        free(watch); /* a failed init leaves nothing to close */
        return NULL;
    }
    watch->poll.data = watch;
    watch->http = http;
    watch->socket = socket;
    watch->next = http->watches;
    watch->at = &http->watches;
    if (watch->next != NULL) {
        watch->next->at = &watch->next;
    }
    http->watches = watch;
    return watch;
}

/* libcurl asks before it closes a socket, so the loop never polls one that is gone. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *known)
{
    struct vd_http *http = arg;
    struct watch *watch = known;
    int events =
        (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);

    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            (void)curl_multi_assign(http->multi, socket, NULL); /* the socket may be gone already */
            close_watch(watch);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = new_watch(http, socket);
        if (watch == NULL) {
            return -1;
        }
        (void)curl_multi_assign(http->multi, socket, watch); /* libcurl knows this socket */
    }
    watch->events = events;
    return uv_poll_start(&watch->poll, events, on_poll) == 0 ? 0 : -1;
}

/* libcurl must not be called from here, not even when it wants to be called at once. */
static int on_timeout_wanted(CURLM *multi, long ms, void *arg)
{
    struct vd_http *http = arg;

    if (ms < 0 || http->is_closed) {
        (void)uv_timer_stop(&http->timer); /* always 0 */
    } else {
        (void)uv_timer_start(&http->timer, on_timer, (uint64_t)ms,
                             0); /* refused when closed only */
    }
    return 0;
}

/* ---- what an answer brings ------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct vd_http_call *call = arg;
    size_t len = size * count;

    if (len > call->body_bytes_max - call->body.len) {
        call->is_body_too_big = true;
        return 0;
    }
    vd_buf_add(&call->body, bytes, len);
    return len;
}

/* Seconds or a date; -1 for neither. */
static int64_t parse_retry_after(const char *text)
{
    char *end = NULL;
    int64_t seconds;

    text += strspn(text, " \t");
    if (*text >= '0' && *text <= '9') {
        seconds = strtoll(text, &end, 10);
        return end[strspn(end, " \t\r\n")] == '\0' ? seconds : -1;
    }
    seconds = (int64_t)curl_getdate(text, NULL);
    if (seconds < 0) {
        return -1;
    }
    seconds -= vd_wall_ms() / 1000;
    return seconds > 0 ? seconds : 0;
}

/* One line of the head, status lines included: of several heads the last one counts. */
static size_t on_head(char *bytes, size_t size, size_t count, void *arg)
{
    static const char retry_after[] = "retry-after:";
    struct vd_http_call *call = arg;
    size_t len = size * count;
    size_t name_len = sizeof(retry_after) - 1;

    call->head_bytes += len;
    if (call->head_bytes > HEAD_BYTES_MAX) {
        call->is_head_too_big = true;
        return 0;
    }
    if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        call->retry_after_s = -1;
    } else if (len > name_len && strncasecmp(bytes, retry_after, name_len) == 0) {
        VD_AUTO(mem) char *value = vd_strndup(bytes + name_len, len - name_len);

        call->retry_after_s = parse_retry_after(value);
    }
    return len;
}

/* ---- starting a call ------------------------------------------------------------------------- */

static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    char *copy;

    if (curl_url_get(url, part, &text, 0) != CURLUE_OK) {
        return vd_strdup("");
    }
    copy = vd_strdup(text);
    curl_free(text);
    return copy;
}

/* The URL without what may be secret, or NULL with 'err' set. */
static char *check_url(const char *text, struct vd_err *err)
{
    CURLU *url = curl_url();
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    VD_AUTO(mem) char *scheme = part_of(url, CURLUPART_SCHEME);
    VD_AUTO(mem) char *host = part_of(url, CURLUPART_HOST);
    VD_AUTO(mem) char *port = part_of(url, CURLUPART_PORT);
    VD_AUTO(mem) char *path = part_of(url, CURLUPART_PATH);

    curl_url_cleanup(url);
    if (code == CURLUE_UNSUPPORTED_SCHEME ||
        (code == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        (void)vd_fail(err, VD_INVALID, "not a URL of http or https");
        return NULL;
    }
    if (code != CURLUE_OK) {
        (void)vd_fail(err, VD_INVALID, "not a URL: %s", curl_url_strerror(code));
        return NULL;
    }
    return vd_format("%s://%s%s%s%s", scheme, host, port[0] != '\0' ? ":" : "", port, path);
}

/* Setting an option of this version with a value of the right kind fails only without memory. */
static void set_options(struct vd_http_call *call, const struct vd_http_request *request)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->words);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "votingd/" VD_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancelled name look-up is not waited for */
#endif
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->body_bytes_max);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    if (request->accept != NULL) {
        VD_AUTO(mem) char *accept = vd_format("Accept: %s", request->accept);

        call->headers = curl_slist_append(NULL, accept);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    }
}

static void link_call(struct vd_http *http, struct vd_http_call *call)
{
    call->http = http;
    call->next = http->calls;
    call->at = &http->calls;
    if (call->next != NULL) {
        call->next->at = &call->next;
    }
    http->calls = call;
    http->call_count++;
}

struct vd_http_call *vd_http_get(struct vd_http *http, const struct vd_http_request *request,
                                 vd_http_done_fn *on_done, void *arg, struct vd_err *err)
{
    VD_AUTO(mem) char *label = check_url(request->url, err);
    struct vd_http_call *call;
    CURLMcode code;

    if (label == NULL) {
        return NULL;
    }
    if (http->call_count >= CALLS_MAX) {
        (void)vd_fail(err, VD_AGAIN, "%d requests are under way", CALLS_MAX);
        return NULL;
    }
    call = vd_alloc(sizeof(*call));
    call->on_done = on_done;
    call->arg = arg;
    call->label = vd_take(label);
    call->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS;
    call->body_bytes_max = request->body_bytes_max > 0 ? request->body_bytes_max : BODY_BYTES_MAX;
    call->retry_after_s = -1;
    call->easy = curl_easy_init();
    assert(call->easy != NULL); /* no memory */
    set_options(call, request);
    link_call(http, call);
    code = curl_multi_add_handle(http->multi, call->easy);
    assert(code == CURLM_OK); /* no memory, or our own misuse */
    (void)code;
    return call;
}

void vd_http_cancel(struct vd_http_call *call)
{
    if (call != NULL && !call->is_answering) {
        unlink_call(call);
        free_call(call);
    }
}

/* ---- the client ------------------------------------------------------------------------------ */

struct vd_http *vd_http_new(struct vd_loop *loop)
{
    struct vd_http *http = vd_alloc(sizeof(*http));
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); /* counted; undone in close */

    assert(code == CURLE_OK);
    (void)code;
    http->loop = loop;
    http->multi = curl_multi_init();
    assert(http->multi != NULL);                  /* no memory */
    (void)uv_timer_init(&loop->uv, &http->timer); /* always 0 */
    http->timer.data = http;
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
    return http;
}

static void on_http_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void vd_http_close(struct vd_http *http)
{
    if (http == NULL) {
        return;
    }
    http->is_closed = true;
    while (http->calls != NULL) {
        struct vd_http_call *call = http->calls;

        unlink_call(call);
        free_call(call);
    }
    (void)curl_multi_cleanup(http->multi); /* fails on a wrong handle only */
    http->multi = NULL;
    while (http->watches != NULL) {
        close_watch(http->watches); /* of a socket that libcurl kept for the next call */
    }
    uv_close((uv_handle_t *)&http->timer, on_http_closed);
    curl_global_cleanup();
}
