/* The source randomuser: pages of made-up people from an HTTP API. Its birth dates are of 1944 to
 * 2001: there are no young voters in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "generator/randomuser.h"
#include "generator/source.h"
#include "hash.h"

#define IMPORT_MAX 20000 /* what one address gets in five minutes */
#define PAGES_MAX 10000
#define BODY_BYTES_MAX (16 * 1024 * 1024)
#define TIMEOUT_MS 10000
#define RETRY_AFTER_MAX_S 3600
#define FIELDS "login,name,gender,dob,location,email,phone,cell,nat,picture,registered"

struct gen_source {
    const struct gen_source_host *host;
    struct el_date election_day;
    struct vd_timer *timer;    /* until the next request may go out */
    struct vd_http_call *call; /* under way, or NULL */
    int64_t last_request_ms;   /* by the loop's clock; 0: none yet */
    int64_t tries;             /* that failed, of the page that is wanted */
    bool is_stopped;           /* after too many */
    struct vd_err trouble;     /* of the last try; status VD_OK: none */

    int64_t wanted, asked;        /* page under way, from 0, and how many users of it */
    struct vd_buf body;           /* of page 'loaded' */
    int64_t loaded, loaded_count; /* -1: no page is there */
    struct gen_users users;       /* in 'body' */
    int64_t row;                  /* of the next user */
    struct gen_user user;
};

/* ---- options ------------------------------------------------------------------------------- */

static int64_t import_max(const struct gen_conf *conf)
{
    return conf->import.max > 0 ? conf->import.max : IMPORT_MAX;
}

static enum vd_status randomuser_check(const struct gen_conf *conf, struct vd_err *err)
{
    struct el_date day;

    if (conf->shards != 1) {
        return vd_fail(err, VD_INVALID,
                       "option \"shards\": source \"randomuser\" has one shard, got %lld",
                       (long long)conf->shards);
    }
    if (conf->voters > import_max(conf)) {
        return vd_fail(err, VD_INVALID,
                       "option \"voters\": source \"randomuser\" gives at most import.max = %lld, "
                       "got %lld; use source \"synthetic\", or raise import.max",
                       (long long)import_max(conf), (long long)conf->voters);
    }
    if (conf->voters > (int64_t)GEN_USERS_PAGE_MAX * PAGES_MAX) {
        return vd_fail(err, VD_INVALID, "option \"voters\": the API has at most %d pages of %d",
                       PAGES_MAX, GEN_USERS_PAGE_MAX);
    }
    if (strncmp(conf->url, "http://", 7) != 0 && strncmp(conf->url, "https://", 8) != 0) {
        return vd_fail(err, VD_INVALID, "option \"url\": must begin with http:// or https://");
    }
    if (conf->backoff.min_ms > conf->backoff.max_ms) {
        return vd_fail(err, VD_INVALID,
                       "option \"backoff.min_ms\": must be at most backoff.max_ms = %lld, got %lld",
                       (long long)conf->backoff.max_ms, (long long)conf->backoff.min_ms);
    }
    if (conf->cache[0] != '\0' && access(conf->cache, W_OK | X_OK) != 0) {
        return vd_fail(err, VD_INVALID, "option \"cache\": could not write to folder \"%s\": %s",
                       conf->cache, strerror(errno));
    }
    if (el_date_parse(conf->election_day, strlen(conf->election_day), &day, err) != VD_OK) {
        return vd_fail_in(err, "option \"election_day\"");
    }
    return gen_users_check_nat(conf->nat, err);
}

/* ---- the cache ----------------------------------------------------------------------------- */

static char *page_url(const struct gen_source *source, int64_t page, int64_t count)
{
    const struct gen_conf *conf = source->host->conf;

    return vd_format("%s?results=%lld&page=%lld&seed=%lld%s%s&inc=" FIELDS "&noinfo", conf->url,
                     (long long)count, (long long)page + 1, (long long)conf->seed,
                     conf->nat[0] != '\0' ? "&nat=" : "", conf->nat);
}

/* NULL without a cache. Named by a hash of all parameters. */
static char *cache_path(const struct gen_source *source, int64_t page, int64_t count)
{
    static const struct vd_hash_key key = {.k0 = 0, .k1 = 0};
    VD_AUTO(mem) char *url = page_url(source, page, count);

    if (source->host->conf->cache[0] == '\0') {
        return NULL;
    }
    return vd_format("%s/randomuser-%016llx.json", source->host->conf->cache,
                     (unsigned long long)vd_siphash(&key, url, strlen(url)));
}

static bool read_file(const char *path, struct vd_buf *out)
{
    FILE *file = fopen(path, "rbe");
    size_t got = 1;

    vd_buf_clear(out);
    while (file != NULL && got > 0 && out->len <= BODY_BYTES_MAX) {
        vd_buf_reserve(out, 256 * 1024);
        got = fread(out->data + out->len, 1, 256 * 1024, file);
        out->len += got;
    }
    if (file != NULL) {
        (void)fclose(file); /* nothing was written */
    }
    return file != NULL && out->len > 0 && out->len <= BODY_BYTES_MAX;
}

/* A new file and a rename: half a page is never found under the name. */
static void write_cache(struct gen_source *source)
{
    VD_AUTO(mem) char *path = cache_path(source, source->loaded, source->loaded_count);
    VD_AUTO(mem) char *part = path != NULL ? vd_format("%s.part", path) : NULL;
    FILE *file = part != NULL ? fopen(part, "wbe") : NULL;
    bool is_written;

    if (path == NULL) {
        return;
    }
    is_written =
        file != NULL && fwrite(source->body.data, 1, source->body.len, file) == source->body.len;
    if (file != NULL) {
        is_written = fclose(file) == 0 && is_written;
    }
    if (!is_written || rename(part, path) != 0) {
        vd_warn(vd_stage_log(source->host->stage),
                "could not keep page %lld in \"%s\": %s; a restart will ask for it again",
                (long long)source->loaded + 1, path, strerror(errno));
    }
}

/* True if 'body' holds 'count' users of 'page' now. */
static enum vd_status load_body(struct gen_source *source, int64_t page, int64_t count,
                                struct vd_err *err)
{
    source->loaded = -1;
    if (gen_users_open(source->body.data, source->body.len, (size_t)count, &source->users, err) !=
        VD_OK) {
        return VD_INVALID;
    }
    source->loaded = page;
    source->loaded_count = count;
    source->row = 0;
    return VD_OK;
}

static bool load_cached(struct gen_source *source, int64_t page, int64_t count)
{
    VD_AUTO(mem) char *path = cache_path(source, page, count);
    struct vd_err err = {.status = VD_OK};

    if (path == NULL || !read_file(path, &source->body)) {
        source->loaded = -1;
        return false;
    }
    if (load_body(source, page, count, &err) != VD_OK) {
        vd_warn(vd_stage_log(source->host->stage), "%s: %s; asking for it again", path, err.msg);
        return false;
    }
    return true;
}

/* ---- requests ------------------------------------------------------------------------------ */

/* Doubling from min to max, give or take a fifth,
 * so that many clients do not come back together. */
static int64_t backoff_ms(const struct gen_source *source, int64_t retry_after_s)
{
    const struct gen_conf *conf = source->host->conf;
    int64_t wait = conf->backoff.min_ms;
    int64_t asked = retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S;

    for (int64_t i = 1; i < source->tries && wait < conf->backoff.max_ms; i++) {
        wait *= 2;
    }
    wait = wait < conf->backoff.max_ms ? wait : conf->backoff.max_ms;
    wait += wait * (vd_mono_ns() / 1000 % 401 - 200) / 1000;
    return asked * 1000 > wait ? asked * 1000 : wait;
}

static void request_failed(struct gen_source *source, int64_t retry_after_s)
{
    const struct gen_conf *conf = source->host->conf;
    int64_t wait;

    source->tries++;
    if (source->tries >= conf->tries) {
        source->is_stopped = true;
        (void)vd_fail_in(&source->trouble,
                         "page %lld: the import has stopped after %lld tries, restart to go on",
                         (long long)source->wanted + 1, (long long)source->tries);
        source->trouble.status = VD_FAILED;
        source->host->on_ready(source->host->arg);
        return;
    }
    wait = backoff_ms(source, retry_after_s);
    (void)vd_fail_in(&source->trouble, "page %lld: try %lld of %lld, the next in %lld s",
                     (long long)source->wanted + 1, (long long)source->tries,
                     (long long)conf->tries, (long long)(wait + 999) / 1000);
    source->trouble.status = VD_FAILED;
    vd_warn(vd_stage_log(source->host->stage), "%s", source->trouble.msg);
    vd_timer_start(source->timer, wait);
    source->host->on_ready(source->host->arg); /* to have the trouble shown */
}

static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t len = sizeof(json) - 1;

    return strncmp(content_type, json, len) == 0 &&
           (content_type[len] == '\0' || content_type[len] == ';' || content_type[len] == ' ');
}

/* A page counts only if everything about it is right: a wrong parameter has status 200, too. */
static enum vd_status accept_response(struct gen_source *source,
                                      const struct vd_http_response *response, struct vd_err *err)
{
    if (response->err != NULL) {
        return vd_fail(err, VD_FAILED, "%s", response->err->msg);
    }
    if (response->status != 200) {
        return vd_fail(err, VD_FAILED, "status %d: %.*s", response->status,
                       response->len < 200 ? (int)response->len : 200, response->body);
    }
    if (!is_json(response->content_type)) {
        return vd_fail(err, VD_FAILED, "content type \"%s\" instead of application/json",
                       response->content_type);
    }
    vd_buf_clear(&source->body);
    vd_buf_add(&source->body, response->body, response->len);
    return load_body(source, source->wanted, source->asked, err);
}

static void on_response(void *arg, const struct vd_http_response *response)
{
    struct gen_source *source = arg;

    source->call = NULL;
    source->trouble = (struct vd_err){.status = VD_OK};
    if (accept_response(source, response, &source->trouble) != VD_OK) {
        request_failed(source, response->retry_after_s);
        return;
    }
    source->tries = 0;
    write_cache(source);
    source->host->on_ready(source->host->arg);
}

static void send_request(struct gen_source *source)
{
    VD_AUTO(mem) char *url = page_url(source, source->wanted, source->asked);
    struct vd_http_request request = {.url = url,
                                      .accept = "application/json",
                                      .timeout_ms = TIMEOUT_MS,
                                      .body_bytes_max = BODY_BYTES_MAX};

    source->trouble = (struct vd_err){.status = VD_OK};
    source->last_request_ms = vd_loop_now_ms(vd_stage_loop(source->host->stage));
    vd_info(vd_stage_log(source->host->stage), "asking for page %lld, %lld users",
            (long long)source->wanted + 1, (long long)source->asked);
    source->call = vd_http_get(vd_stage_http(source->host->stage), &request, on_response, source,
                               &source->trouble);
    if (source->call == NULL) {
        request_failed(source, -1);
    }
}

static void on_request_time(void *arg)
{
    send_request(arg);
}

/* Have page 'page' fetched; VD_OK if it is there already. */
static enum vd_status want_page(struct gen_source *source, int64_t page, int64_t count,
                                struct vd_err *err)
{
    int64_t now = vd_loop_now_ms(vd_stage_loop(source->host->stage));
    int64_t wait = source->last_request_ms + source->host->conf->page_interval_ms - now;

    if (source->loaded == page && source->loaded_count >= count) {
        return VD_OK;
    }
    if (source->trouble.status != VD_OK) {
        *err = source->trouble;
        return VD_FAILED;
    }
    if (source->call != NULL || vd_timer_is_active(source->timer)) {
        return VD_AGAIN;
    }
    if (load_cached(source, page, count)) {
        return VD_OK;
    }
    source->wanted = page;
    source->asked = count;
    /* on_ready must not come from within a read, so a request never starts from one */
    vd_timer_start(source->timer, source->last_request_ms > 0 && wait > 0 ? wait : 0);
    return VD_AGAIN;
}

/* ---- the source ---------------------------------------------------------------------------- */

static struct gen_source *randomuser_create(const struct gen_source_host *host)
{
    struct gen_source *source = vd_alloc(sizeof(*source));

    source->host = host;
    source->loaded = -1;
    source->timer = vd_timer_new(vd_stage_loop(host->stage), on_request_time, source);
    return source;
}

static void randomuser_release(struct gen_source *source)
{
    if (source == NULL) {
        return;
    }
    vd_timer_close(source->timer);
    vd_http_cancel(source->call);
    vd_buf_fini(&source->body);
    gen_user_fini(&source->user);
    free(source);
}

static enum vd_status randomuser_open(struct gen_source *source, struct vd_err *err)
{
    const char *day = source->host->conf->election_day;

    return el_date_parse(day, strlen(day), &source->election_day, err);
}

static void randomuser_define(const struct gen_source *source, struct vd_buf *out)
{
    const struct gen_conf *conf = source->host->conf;

    vd_buf_printf(out, "url=%s seed=%lld nat=%s election_day=%s", conf->url, (long long)conf->seed,
                  conf->nat, conf->election_day);
}

static int64_t randomuser_target(const struct gen_source *source)
{
    return source->host->conf->voters;
}

static uint64_t mark_of(const struct gen_source *source)
{
    struct vd_hash_key key = {.k0 = (uint64_t)source->host->conf->seed, .k1 = 0};

    return vd_siphash(&key, source->host->conf->nat, strlen(source->host->conf->nat));
}

static void add_user(struct gen_source *source, int64_t number, const struct el_text *text,
                     struct gen_page *page)
{
    struct vd_err err = {.status = VD_OK};
    struct gen_item item = {.record = gen_record_mark(mark_of(source), number),
                            .number = number + 1};

    if (gen_user_parse(text, &source->election_day, &source->user, &err) == VD_OK) {
        gen_page_import(page, &source->user.voter, &item, text);
    } else {
        gen_page_reject(page, number + 1, text, err.msg);
    }
}

/* The page's users stand one after the other: going back is reading from the first one again. */
static void seek_row(struct gen_source *source, int64_t row)
{
    struct el_text skipped;

    if (row < source->row) {
        source->users.at = 0;
        source->row = 0;
    }
    while (source->row < row && gen_users_next(&source->users, &skipped)) {
        source->row++;
    }
}

static enum vd_status randomuser_read(struct gen_source *source, const struct gen_place *from,
                                      int64_t max, struct gen_page *page, struct vd_err *err)
{
    int64_t target = randomuser_target(source);
    int64_t number = from->next / GEN_USERS_PAGE_MAX;
    int64_t rest = target - number * GEN_USERS_PAGE_MAX;
    int64_t count = rest < GEN_USERS_PAGE_MAX ? rest : GEN_USERS_PAGE_MAX;
    struct el_text user;

    page->after = *from;
    if (from->next >= target) {
        page->is_last = true;
        return VD_OK;
    }
    if (want_page(source, number, count, err) != VD_OK) {
        return source->trouble.status != VD_OK ? VD_FAILED : VD_AGAIN;
    }
    seek_row(source, from->next % GEN_USERS_PAGE_MAX);
    while (max-- > 0 && source->row < count && gen_users_next(&source->users, &user)) {
        add_user(source, page->after.next++, &user, page);
        source->row++;
    }
    page->is_last = page->after.next >= target;
    return VD_OK;
}

const struct gen_source_ops gen_randomuser_source = {
    .name = "randomuser",
    .is_import = true,
    .check = randomuser_check,
    .create = randomuser_create,
    .release = randomuser_release,
    .open = randomuser_open,
    .define = randomuser_define,
    .target = randomuser_target,
    .read = randomuser_read,
};
