/* The dashboard stage: follows the published totals, counts what PostgreSQL holds, and shows one
 * consistent picture of both to any number of browsers. It writes nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "api.h"
#include "baseline.h"
#include "counts.h"
#include "feed.h"
#include "history.h"
#include "page.h"
#include "past.h"
#include "photos.h"
#include "picture.h"
#include "pipeline.h"
#include "stage.h"
#include "wire.h"

#define BEAT_MS 5000  /* the page calls a feed late after 7.5 s without a frame */
#define HEAL_MS 60000 /* a full picture to everyone, so that any client heals */
#define HELLO_MS 1000 /* a new preload at most this often */

struct dashboard;

/* One followed table. */
struct watch {
    struct dashboard *dashboard;
    struct vd_table *table; /* NULL: not mapped */
    bool has_invalid;       /* a record of another form was told */
    struct feed feed;
};

struct dashboard {
    /* options */
    char *www;
    char *photos;
    char *title;
    char *kind;
    char *baseline;
    char *baseline_label;
    int64_t tick_ms;
    int64_t count_ms;
    int64_t quiet_ms;
    int64_t rows_max;
    int64_t history_points;
    int64_t history_rows;

    struct vd_stage *stage;
    struct wire_election election;
    struct photos served;
    struct el_scenario *compared; /* owned; NULL: with nothing */
    struct picture picture;
    struct history *history; /* owned */
    struct past past;
    struct pipeline pipeline;
    struct vd_table *nodes; /* where the pipeline comes from; NULL: not mapped */
    struct watch *watches;  /* owned; by index of the table */
    size_t watch_count;
    struct counts *counts; /* owned */
    struct api api;
    struct vd_web_socket *socket; /* the web server's */
    struct vd_timer *tick;        /* owned */
    enum wire_source source;      /* as it was last told */
    uint64_t hello_seq;           /* the picture that the last hello was made from */
    int64_t hello_at_ms;          /* loop time of the last hello, beat and full picture for all */
    int64_t beat_at_ms;
    int64_t heal_at_ms;
    struct vd_metric *records;
    struct vd_metric *invalid;
    struct vd_metric *refused;
    struct vd_metric *pictures;
};

static const struct vd_opt dashboard_opts[] = {
    VD_OPT(struct dashboard, www, .def = VD_DATA_DIR "/www", .min = 1, .max = 4096,
           .help = "the folder that holds the page"),
    VD_OPT(struct dashboard, photos, .def = "", .max = 4096,
           .help = "a folder of the candidates' photos, CANDIDATE_ID.jpg, .png or .webp, read at "
                   "start: 256 at most, each of 256 KiB at most; without, initials are shown"),
    VD_OPT(struct dashboard, title, .def = "Real-time Election Dashboard", .min = 1, .max = 200,
           .help = "the election's name, on top of the page"),
    VD_OPT(struct dashboard, kind, .def = "simulated", .choices = "live|simulated|replay",
           .help = "what the votes are; the page says so"),
    VD_OPT(struct dashboard, baseline, .def = "", .max = 4096,
           .help = "votes that the shares are compared with, those of the last election or of the "
                   "simulation's scenario: a file as config/scenarios/README.md describes it, of "
                   "64 KiB at most; without, nothing is compared"),
    VD_OPT(struct dashboard, baseline_label, .def = "last election", .min = 1, .max = 40,
           .help = "what these votes are called on the page, behind \"vs\""),
    VD_OPT(struct dashboard, tick_ms, .def = "50", .min = 16, .max = 5000,
           .help = "at most one picture in this many milliseconds"),
    VD_OPT(struct dashboard, count_ms, .def = "1000", .min = 100, .max = 3600000,
           .help = "how often PostgreSQL is asked whether its counts moved, in milliseconds"),
    VD_OPT(struct dashboard, quiet_ms, .def = "10000", .min = 1000, .max = 3600000,
           .help = "without a changed total for this long, the feed is called quiet"),
    VD_OPT(struct dashboard, rows_max, .def = "10000", .min = 100, .max = 1000000,
           .help = "rows of one table at most; further groups are not shown"),
    VD_OPT(struct dashboard, history_points, .def = "2000", .min = 100, .max = 100000,
           .help = "points of the past that are kept of each row, for the whole election; beside "
                   "them the last 1200 seconds one by one. Each takes 8 bytes: by default 25.6 kB "
                   "a row"),
    VD_OPT(struct dashboard, history_rows, .def = "200", .min = 10, .max = 5000,
           .help = "a table with more rows than this keeps no past: at most 5.1 MB a table by "
                   "default"),
    VD_OPT_END,
};

static const struct vd_port dashboard_tables[] = {
    [FEED_NAMES] = {.name = "candidates", .help = "names of the candidates"},
    [FEED_CANDIDATE] = {.name = "candidate", .help = "votes per candidate"},
    [FEED_STATE] = {.name = "state", .flags = VD_PORT_OPTIONAL, .help = "votes per state"},
    [FEED_NODES] = {.name = "nodes",
                    .flags = VD_PORT_OPTIONAL,
                    .help = "how every node is: nodes_topic of [votingd]"},
    [FEED_AGGREGATE] = {.name = "*",
                        .flags = VD_PORT_OPTIONAL | VD_PORT_FURTHER,
                        .help = "any other aggregate, shown under this name: records with a key, "
                                "total_votes or count, and what they count by"},
    [FEED_AGGREGATE + 1] = VD_PORT_END,
};

static int64_t loop_ms(const struct dashboard *dashboard)
{
    return vd_loop_now_ms(vd_stage_loop(dashboard->stage));
}

/* How the feed is now. */
static enum wire_source find_source(void *arg)
{
    const struct dashboard *dashboard = arg;
    const struct picture_about *about = &dashboard->picture.about;

    for (size_t i = 0; i < dashboard->watch_count; i++) {
        const struct vd_table *table = dashboard->watches[i].table;

        if (table != NULL && !vd_table_is_current(table)) {
            return WIRE_WAITING;
        }
    }
    if (about->as_of_ms == 0) {
        return WIRE_WAITING;
    }
    return vd_wall_ms() - about->changed_ms < dashboard->quiet_ms ? WIRE_ALIVE : WIRE_QUIET;
}

/* Once for each table: a topic of something else has nothing but such records. */
static void tell_invalid(struct watch *watch, const struct vd_record *record,
                         const struct vd_err *err)
{
    const struct dashboard *dashboard = watch->dashboard;

    vd_metric_add(dashboard->invalid, 1);
    if (!watch->has_invalid) {
        watch->has_invalid = true;
        vd_warn(vd_stage_log(dashboard->stage),
                "table \"%s\", partition %" PRId32 ", offset %" PRId64
                ": %s; left out this record and those like it",
                vd_stage_table_name(dashboard->stage, (size_t)(watch - dashboard->watches)),
                record->partition, record->offset, err->msg);
    }
}

static void on_record(void *arg, const struct vd_record *record)
{
    struct watch *watch = arg;
    struct dashboard *dashboard = watch->dashboard;
    struct vd_err err = {0};

    vd_metric_add(dashboard->records, 1);
    watch->feed.is_live = vd_table_is_current(watch->table);
    if (feed_take(&watch->feed, record, vd_wall_ms(), &err) != VD_OK) {
        tell_invalid(watch, record, &err);
    }
}

/* What is read back after a start is as old as its record. */
static void on_node(void *arg, const struct vd_record *record)
{
    struct dashboard *dashboard = arg;
    bool is_old = !vd_table_is_current(dashboard->nodes) && record->timestamp_ms > 0;
    int64_t age_ms = is_old ? vd_wall_ms() - record->timestamp_ms : 0;
    struct vd_err err = {0};

    age_ms = age_ms > 0 ? age_ms : 0;
    if (pipeline_take(&dashboard->pipeline, record, loop_ms(dashboard) - age_ms, &err) != VD_OK) {
        vd_debug(vd_stage_log(dashboard->stage), "left out a node's record: %s", err.msg);
    }
}

/* For those who connect from now on. Those who are connected know it already: the title and the
 * tables are fixed for the process's life; their texts, and rows and their names, come with every
 * delta. */
static void send_hello(struct dashboard *dashboard)
{
    VD_AUTO(buf) struct vd_buf hello = {0};

    wire_hello(&hello, &dashboard->picture, picture_frame_last(&dashboard->picture),
               &dashboard->election, vd_wall_ms());
    vd_web_socket_set_hello(dashboard->socket, hello.data, hello.len);
    dashboard->hello_seq = dashboard->picture.seq;
    dashboard->hello_at_ms = loop_ms(dashboard);
}

/* Publish the newest picture; 'is_for_all': in full to everyone. */
static void publish(struct dashboard *dashboard, bool is_for_all)
{
    VD_AUTO(buf) struct vd_buf delta = {0};
    VD_AUTO(buf) struct vd_buf full = {0};
    struct vd_web_picture picture = {
        .seq = dashboard->picture.seq,
        .base = dashboard->picture.seq - 1,
    };

    if (!is_for_all) {
        wire_delta(&delta, &dashboard->picture, dashboard->source, vd_wall_ms());
        picture.delta = delta.data;
        picture.delta_len = delta.len;
    }
    if (is_for_all || vd_web_socket_wants_full(dashboard->socket)) {
        wire_snapshot(&full, &dashboard->picture, picture_frame_last(&dashboard->picture),
                      dashboard->source, vd_wall_ms());
        picture.full = full.data;
        picture.full_len = full.len;
    }
    vd_web_socket_publish(dashboard->socket, &picture);
}

static void beat(struct dashboard *dashboard)
{
    VD_AUTO(buf) struct vd_buf text = {0};

    wire_beat(&text, &dashboard->picture, dashboard->source, vd_wall_ms());
    vd_web_socket_beat(dashboard->socket, text.data, text.len);
    dashboard->beat_at_ms = loop_ms(dashboard);
}

static struct lead_world lead_world(const struct dashboard *dashboard)
{
    return (struct lead_world){.now_ms = vd_wall_ms(),
                               .newest_ms = dashboard->picture.about.as_of_ms};
}

static bool settle(struct dashboard *dashboard)
{
    struct lead_world world = lead_world(dashboard);

    if (lead_settle(&dashboard->picture.about.lead, &world)) {
        picture_touch(&dashboard->picture);
    }
    return picture_settle(&dashboard->picture);
}

/* One look at everything that may have to be said. */
static void tick(struct dashboard *dashboard)
{
    int64_t now_ms = loop_ms(dashboard);
    enum wire_source source = find_source(dashboard);
    bool is_news = source != dashboard->source;
    bool is_new = settle(dashboard);
    bool is_heal = now_ms - dashboard->heal_at_ms >= HEAL_MS;

    dashboard->source = source;
    vd_metric_set(dashboard->refused, (int64_t)dashboard->picture.refused);
    if (is_new) {
        vd_metric_add(dashboard->pictures, 1);
    }
    if (vd_web_socket_clients(dashboard->socket) > 0 &&
        (is_new || is_heal || vd_web_socket_wants_full(dashboard->socket))) {
        publish(dashboard, is_heal);
    }
    if (is_heal) {
        dashboard->heal_at_ms = now_ms;
    }
    if (dashboard->picture.texts_seq > dashboard->hello_seq &&
        now_ms - dashboard->hello_at_ms >= HELLO_MS) {
        send_hello(dashboard);
    }
    if (is_news || now_ms - dashboard->beat_at_ms >= BEAT_MS) {
        beat(dashboard);
    }
}

static void on_tick(void *arg)
{
    struct dashboard *dashboard = arg;

    tick(dashboard);
    vd_timer_start(dashboard->tick, dashboard->tick_ms);
}

static void audit_lead(const struct vd_web_request *request, const struct lead *lead)
{
    time_t at = (time_t)(lead->at_ms / 1000);
    VD_AUTO(mem) char *action = NULL;
    char time[32] = "";
    struct tm utc;

    if (gmtime_r(&at, &utc) != NULL) {
        (void)strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &utc); /* fits, or stays empty */
    }
    action = lead->is_on ? vd_format("replay for all: %s at %s, speed %" PRId64,
                                     lead->is_running ? "play" : "stand still", time, lead->speed)
                         : vd_strdup("replay for all: stop");
    vd_web_request_audit(request, action, "ok");
}

/* POST /api/v1/replay. The next picture tells everybody. */
static void on_lead(void *arg, const struct vd_web_request *request,
                    struct vd_web_response *response)
{
    struct dashboard *dashboard = arg;
    struct lead *lead = &dashboard->picture.about.lead;
    struct lead_world world = lead_world(dashboard);
    struct vd_err err = {0};

    if (lead_act(lead, request->body, vd_web_request_name(request), &world, &err) != VD_OK) {
        vd_web_fail(response, 400, "bad_field", "%s", err.msg);
        return;
    }
    picture_touch(&dashboard->picture);
    audit_lead(request, lead);
    vd_buf_add_text(&response->body, "{\"lead\":");
    wire_lead(&response->body, lead);
    vd_buf_add_text(&response->body, "}\n");
}

static enum vd_status dashboard_check(struct vd_stage *stage, void *state, struct vd_err *err)
{
    const struct dashboard *dashboard = state;

    if (page_check(dashboard->www, err) != VD_OK) {
        return err->status;
    }
    if (dashboard->photos[0] != '\0' && photos_check(dashboard->photos, err) != VD_OK) {
        return err->status;
    }
    return dashboard->baseline[0] == '\0' ? VD_OK : baseline_read(dashboard->baseline, NULL, err);
}

static void begin_picture(struct dashboard *dashboard)
{
    uint64_t random = 0;
    char epoch[PICTURE_EPOCH_BYTES];

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random)) {
        random =
            (uint64_t)vd_mono_ns() ^ ((uint64_t)vd_wall_ms() << 20); /* new is all it must be */
    }
    (void)snprintf(epoch, sizeof(epoch), "%016" PRIx64, random); /* 16 digits */
    picture_init(&dashboard->picture, epoch, (uint32_t)dashboard->rows_max);
    dashboard->picture.about.started_ms = vd_wall_ms();
    dashboard->history = history_new(&(struct history_limits){
        .points = (size_t)dashboard->history_points,
        .rows = (uint32_t)dashboard->history_rows,
        .tables = PICTURE_TABLES_MAX,
    });
    dashboard->election = (struct wire_election){
        .id = "election",
        .title = dashboard->title,
        .kind = dashboard->kind,
    };
    dashboard->source = WIRE_WAITING;
}

static void get_metrics(struct dashboard *dashboard)
{
    struct vd_stage *stage = dashboard->stage;

    dashboard->records = vd_stage_metric(stage, VD_COUNTER, "dashboard_records_total", NULL,
                                         "records read from the followed topics");
    dashboard->invalid = vd_stage_metric(stage, VD_COUNTER, "dashboard_invalid_total", NULL,
                                         "records that are not of their topic's form, left out");
    dashboard->refused = vd_stage_metric(stage, VD_GAUGE, "dashboard_refused_rows", NULL,
                                         "records left out because their table has rows_max rows");
    dashboard->pictures =
        vd_stage_metric(stage, VD_COUNTER, "dashboard_pictures_total", NULL, "pictures made");
}

static enum vd_status serve_photos(struct dashboard *dashboard, struct vd_err *err)
{
    struct vd_stage *stage = dashboard->stage;

    if (dashboard->photos[0] != '\0' &&
        photos_serve(&dashboard->served, dashboard->photos, vd_stage_web(stage),
                     vd_stage_log(stage), err) != VD_OK) {
        return err->status;
    }
    dashboard->election.photos = (const char *const *)dashboard->served.ids;
    dashboard->election.photo_count = dashboard->served.count;
    return VD_OK;
}

static enum vd_status read_baseline(struct dashboard *dashboard, struct vd_err *err)
{
    if (dashboard->baseline[0] != '\0' &&
        baseline_read(dashboard->baseline, &dashboard->compared, err) != VD_OK) {
        return err->status;
    }
    dashboard->election.baseline = dashboard->compared;
    dashboard->election.baseline_label = dashboard->baseline_label;
    return VD_OK;
}

static enum vd_status serve(struct dashboard *dashboard, struct vd_err *err)
{
    struct vd_web *web = vd_stage_web(dashboard->stage);

    if (page_serve(web, dashboard->www, err) != VD_OK || serve_photos(dashboard, err) != VD_OK ||
        read_baseline(dashboard, err) != VD_OK || api_serve(web, &dashboard->api, err) != VD_OK ||
        pipeline_serve(web, &dashboard->pipeline, err) != VD_OK ||
        vd_web_route_action(web, "POST /api/v1/replay", on_lead, dashboard, err) != VD_OK) {
        return err->status;
    }
    dashboard->socket = vd_web_socket_new(web, "/ws", WIRE_PROTOCOL, NULL, err);
    return dashboard->socket != NULL ? VD_OK : err->status;
}

static void follow_nodes(struct dashboard *dashboard)
{
    dashboard->nodes = vd_stage_table(dashboard->stage, FEED_NODES);
    dashboard->pipeline.is_followed = dashboard->nodes != NULL;
    if (dashboard->nodes != NULL) {
        vd_table_watch(dashboard->nodes, on_node, dashboard);
    }
}

/* Follow every table of totals that the topology maps. Names and totals of candidates are one
 * table. */
static enum vd_status follow(struct dashboard *dashboard, struct vd_err *err)
{
    static const size_t tables[] = {
        [FEED_NAMES] = PICTURE_CANDIDATE,
        [FEED_CANDIDATE] = PICTURE_CANDIDATE,
        [FEED_STATE] = PICTURE_STATE,
    };
    struct vd_stage *stage = dashboard->stage;

    dashboard->watch_count = vd_stage_table_count(stage);
    dashboard->watches = vd_alloc_array(dashboard->watch_count, sizeof(*dashboard->watches));
    for (size_t i = 0; i < dashboard->watch_count; i++) {
        struct watch *watch = &dashboard->watches[i];

        if (i == FEED_NODES) {
            continue;
        }
        *watch = (struct watch){
            .dashboard = dashboard,
            .table = vd_stage_table(stage, i),
            .feed = {.picture = &dashboard->picture,
                     .history = dashboard->history,
                     .source = i < FEED_AGGREGATE ? (enum feed_source)i : FEED_AGGREGATE},
        };
        if (i < FEED_AGGREGATE) {
            watch->feed.table = tables[i];
        } else if (picture_add_table(&dashboard->picture, vd_stage_table_name(stage, i),
                                     &watch->feed.table, err) != VD_OK) {
            return err->status;
        }
        if (watch->table != NULL) {
            vd_table_watch(watch->table, on_record, watch);
        }
    }
    return VD_OK;
}

static int64_t read_loop_ms(void *arg)
{
    return loop_ms(arg);
}

static enum vd_status dashboard_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct dashboard *dashboard = state;

    dashboard->stage = stage;
    begin_picture(dashboard);
    get_metrics(dashboard);
    dashboard->past = (struct past){.picture = &dashboard->picture, .history = dashboard->history};
    dashboard->api = (struct api){
        .picture = &dashboard->picture,
        .history = dashboard->history,
        .past = &dashboard->past,
        .election = &dashboard->election,
        .source = find_source,
        .arg = dashboard,
    };
    dashboard->pipeline = (struct pipeline){
        .application = vd_stage_application(stage), .now_ms = read_loop_ms, .arg = dashboard};
    if (serve(dashboard, err) != VD_OK || follow(dashboard, err) != VD_OK) {
        return err->status;
    }
    follow_nodes(dashboard);
    dashboard->counts = counts_new(stage, &dashboard->picture, dashboard->count_ms);
    dashboard->tick = vd_timer_new(vd_stage_loop(stage), on_tick, dashboard);
    dashboard->heal_at_ms = loop_ms(dashboard);
    send_hello(dashboard);
    vd_timer_start(dashboard->tick, dashboard->tick_ms);
    return VD_OK;
}

static void dashboard_stop(struct vd_stage *stage, void *state)
{
    struct dashboard *dashboard = state;

    vd_timer_close(dashboard->tick);
    counts_free(vd_take(dashboard->counts));
    past_fini(&dashboard->past);
    history_free(vd_take(dashboard->history));
    picture_fini(&dashboard->picture);
    pipeline_fini(&dashboard->pipeline);
    photos_fini(&dashboard->served);
    el_scenario_free(vd_take(dashboard->compared));
    free(dashboard->watches);
}

static const struct vd_stage_desc dashboard_desc = {
    VD_STAGE_HEAD,
    .name = "dashboard",
    .summary = "shows the published totals live to browsers",
    .state_size = sizeof(struct dashboard),
    .opts = dashboard_opts,
    .tables = dashboard_tables,
    .check = dashboard_check,
    .start = dashboard_start,
    .stop = dashboard_stop,
};
VD_STAGE_EXPORT(dashboard_desc)
