/* Answers: the headers that every one of them carries, errors as JSON, gzip. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "alloc.h"
#include "loop_uv.h"
#include "web_local.h"

/* A peer that takes longer than this for one answer keeps a thread from the others. One that reads
 * next to nothing is gone sooner: civetweb gives up a write that finds no room for
 * request_timeout_ms. */
#define REPLY_MAX_MS 30000
#define PIECE_BYTES (64 * 1024)
#define GZIP_MIN_BYTES 512 /* below, the headers outweigh what is gained */

/* No inline script or style, nothing from elsewhere, in no frame. connect-src covers the websocket
 * of the same origin. */
static const char security_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

static const char *phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t at = 0; at < sizeof(phrases) / sizeof(phrases[0]); at++) {
        if (phrases[at].status == status) {
            return phrases[at].phrase;
        }
    }
    return "Unknown";
}

static void write_all(struct mg_connection *conn, const char *bytes, size_t len,
                      int64_t deadline_ms)
{
    while (len > 0 && vd_mono_ms() < deadline_ms) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;

        if (mg_write(conn, bytes, piece) != (int)piece) {
            return; /* the peer is gone or reads too slowly: there is nobody to tell */
        }
        bytes += piece;
        len -= piece;
    }
}

static void add_date(struct vd_buf *head)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[64];

    if (gmtime_r(&now, &tm) != NULL &&
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0) {
        vd_buf_printf(head, "Date: %s\r\n", text);
    }
}

int vd_web_reply(struct mg_connection *conn, const struct vd_web_reply *reply)
{
    struct vd_web *web = vd_web_of(conn);
    int64_t deadline_ms = vd_mono_ms() + REPLY_MAX_MS;
    VD_AUTO(buf) struct vd_buf head = {0};

    vd_buf_printf(&head, "HTTP/1.1 %d %s\r\n", reply->status, phrase(reply->status));
    add_date(&head);
    vd_buf_add_text(&head, security_headers);
    vd_buf_add_text(&head, reply->headers != NULL ? reply->headers : "");
    if (reply->content_type != NULL) {
        vd_buf_printf(&head, "Content-Type: %s\r\n", reply->content_type);
    }
    if (reply->status != 304 && reply->status != 204) {
        vd_buf_printf(&head, "Content-Length: %zu\r\n", reply->len);
    }
    /* A connection that is kept alive would keep one of the few threads that sockets leave. */
    vd_buf_add_text(&head, "Connection: close\r\n\r\n");
    mg_disable_connection_keep_alive(conn);
    vd_metric_add(web->answers[reply->status / 100 % 6], 1);
    if (!reply->is_head && reply->len > 0 && reply->len <= PIECE_BYTES) {
        vd_buf_add(&head, reply->body, reply->len); /* one packet where it fits */
        write_all(conn, head.data, head.len, deadline_ms);
        return reply->status;
    }
    write_all(conn, head.data, head.len, deadline_ms);
    if (!reply->is_head && reply->len > 0) {
        write_all(conn, reply->body, reply->len, deadline_ms);
    }
    return reply->status;
}

static void add_error(struct vd_buf *body, const char *code, const char *message)
{
    vd_buf_add_text(body, "{\"error\":{\"code\":");
    vd_buf_add_json(body, code, strlen(code));
    vd_buf_add_text(body, ",\"message\":");
    vd_buf_add_json(body, message, strlen(message));
    vd_buf_add_text(body, "}}");
}

int vd_web_reply_error(struct mg_connection *conn, int status, const char *code,
                       const char *message, const char *headers)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *method = info != NULL ? info->request_method : NULL;
    VD_AUTO(buf) struct vd_buf body = {0};
    VD_AUTO(buf) struct vd_buf lines = {0};
    struct vd_web_reply reply = {.status = status, .content_type = "application/json"};

    add_error(&body, code, message);
    vd_buf_printf(&lines, "Cache-Control: no-store\r\n%s", headers != NULL ? headers : "");
    reply.headers = vd_buf_text(&lines);
    reply.body = body.data;
    reply.len = body.len;
    reply.is_head = method != NULL && strcmp(method, "HEAD") == 0;
    return vd_web_reply(conn, &reply);
}

void vd_web_fail(struct vd_web_response *response, int status, const char *code, const char *format,
                 ...)
{
    char message[VD_ERR_MSG_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args); /* cut to fit */
    va_end(args);
    response->status = status;
    response->content_type = NULL;
    response->etag[0] = '\0';
    response->filename = NULL;
    response->is_immutable = false;
    vd_buf_clear(&response->body);
    add_error(&response->body, code, message);
}

int vd_web_on_error(struct mg_connection *conn, int status, const char *message)
{
    /* civetweb's words are for those who read its source; ours name what a client can change. */
    switch (status) {
    case 400:
        message = "the request is malformed, or longer than 16 KiB";
        break;
    case 411:
        message = "the length of the body is malformed";
        break;
    case 413:
        message = "the request is longer than 16 KiB";
        break;
    default:
        message = phrase(status);
        break;
    }
    (void)vd_web_reply_error(conn, status, "bad_request", message, NULL);
    return 0; /* handled */
}

void vd_web_gzip(const struct vd_buf *plain, int level, struct vd_buf *out)
{
    z_stream stream = {0};
    uLong bound;

    if (plain->len < GZIP_MIN_BYTES || plain->len > UINT32_MAX ||
        deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return; /* out of memory among it: plain will do */
    }
    bound = deflateBound(&stream, (uLong)plain->len);
    vd_buf_reserve(out, bound);
    stream.next_in = (Bytef *)plain->data;
    stream.avail_in = (uInt)plain->len;
    stream.next_out = (Bytef *)out->data;
    stream.avail_out = (uInt)bound;
    if (deflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out < plain->len / 10 * 9) {
        out->len = stream.total_out;
    } else {
        vd_buf_fini(out);
    }
    (void)deflateEnd(&stream); /* complains about input that is left, which we threw away */
}
