/* The engine against a real broker: stages that make records from nothing. */
#include "rig.h"

#include <unistd.h>

#define ALL 3000
#define PORTION 50

/* What the source has made, and what of it is durable. */
static struct {
    int next, durable;
    int asked;   /* batches offered */
    int refused; /* make so many records that the library refuses */
    size_t rewound;
    const char *fence;  /* take this transactional.id away, once, in the middle; or NULL */
    bool is_doubting;   /* replace the producer in the middle, once */
    bool is_fenced;     /* the engine wants the process to end */
    int unread_batches; /* offered although the progress was not read under this producer */
    bool is_read;
    char reason[VD_ERR_MSG_BYTES]; /* why the stage was not ready */
} made;

static bool is_all_durable(struct rig *rig)
{
    return made.durable >= ALL;
}

static void source_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    made.unread_batches += made.is_read ? 0 : 1;
    for (int i = 0; i < PORTION && made.next < ALL; i++) {
        char text[32];
        const struct vd_msg msg = {.value = text,
                                   .value_len =
                                       (size_t)snprintf(text, sizeof(text), "%d", made.next),
                                   .partition = made.next % RIG_PARTITIONS};

        vd_batch_emit(batch, 0, VD_NO_SOURCE, &msg);
        made.next++;
    }
    if (made.next == ALL) {
        vd_batch_end(batch);
    } else {
        vd_batch_done(batch);
    }
}

/* Serial: the batch that became durable is the one made last. */
static void source_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    made.durable = made.next;
    if (made.fence != NULL && made.durable > ALL / 3) {
        peer_fence(vd_take(made.fence));
    }
    if (made.is_doubting && made.durable > ALL / 3) {
        made.is_doubting = false;
        vd_stage_doubt(stage);
    }
}

static void source_rewound(struct vd_stage *stage, void *state)
{
    made.next = made.durable;
    made.rewound++;
    made.is_read = true;
}

static const struct vd_stage_desc source_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "counts up",
    .flags = VD_STAGE_SERIAL,
    .outputs = (const struct vd_port[]){{.name = "out"}, VD_PORT_END},
    .batch = source_batch,
    .committed = source_committed,
    .rewound = source_rewound,
};

static void open_source(struct rig *rig, const char *application, const struct vd_stage_desc *desc)
{
    VD_AUTO(mem) char *out = vd_format("%s-out", application);

    memset(&made, 0, sizeof(made));
    rig_open(rig, application, "main", desc);
    rig->outputs[0] = rig_topic(rig, out, RIG_PARTITIONS);
}

static void check_numbers(const char *application, int all)
{
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct peer_log log = peer_read(out, true);
    bool seen[ALL] = {false};

    assert_int_equal(log.count, all);
    for (size_t i = 0; i < log.count; i++) {
        long number = strtol(log.records[i].value, NULL, 10);

        assert_in_range(number, 0, all - 1);
        assert_false(seen[number]);
        seen[number] = true;
    }
    peer_log_free(&log);
}

TEST(a_source_makes_every_record_once)
{
    VD_AUTO(mem) char *application = peer_name("source");
    struct rig rig;

    open_source(&rig, application, &source_desc);
    rig_run(&rig, is_all_durable);
    assert_int_equal(made.rewound, 1); /* before the first batch */
    assert_int_equal(made.unread_batches, 0);
    check_numbers(application, ALL);
}

/* Another process may have gone on between two producers, so what was made meanwhile is void. */
TEST(a_source_reads_its_progress_again_under_each_producer)
{
    VD_AUTO(mem) char *application = peer_name("source");
    struct rig rig;

    open_source(&rig, application, &source_desc);
    made.is_doubting = true;
    rig_run(&rig, is_all_durable);
    assert_false(made.is_doubting);
    assert_int_equal(made.rewound, 2);
    check_numbers(application, ALL);
}

static void on_fenced(void *arg, const char *stage, const char *reason)
{
    made.is_fenced = true;
    assert_non_null(strstr(reason, "another process uses transactional.id"));
}

static bool is_fenced(struct rig *rig)
{
    return made.is_fenced;
}

/* There is no group that would keep two processes apart: the one that is fenced ends at once, and
 * does not fence the other. */
TEST(a_source_whose_producer_is_fenced_ends)
{
    VD_AUTO(mem) char *application = peer_name("source");
    VD_AUTO(mem) char *id = vd_format("%s.probe", application);
    struct rig rig;

    open_source(&rig, application, &source_desc);
    rig.host.on_fenced = on_fenced;
    made.fence = id;
    rig_run(&rig, is_fenced);
    assert_in_range(made.durable, ALL / 3, ALL - 1);
    check_numbers(application, made.durable);
}

/* ---- odd sources ---------------------------------------------------------------------------- */

static bool is_ended(struct rig *rig)
{
    return rig->stage->is_ended && rig->stage->batches == NULL;
}

static void patient_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    if (++made.asked == 100000) {
        vd_batch_end(batch);
    } else {
        vd_batch_done(batch);
    }
}

static const struct vd_stage_desc patient_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "has nothing to give",
    .outputs = (const struct vd_port[]){{.name = "out"}, VD_PORT_END},
    .batch = patient_batch,
};

TEST(a_source_with_nothing_to_give_is_asked_again_without_end)
{
    VD_AUTO(mem) char *application = peer_name("source");
    struct rig rig;

    open_source(&rig, application, &patient_desc);
    rig.conf.batch.wait_ms = 0;
    rig_run(&rig, is_ended);
    assert_int_equal(made.asked, 100000);
}

/* The first attempt goes to a partition that the topic does not have. */
static void refused_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    const bool is_refused = made.refused-- > 0;
    const struct vd_msg msg = {.value = "", .partition = is_refused ? RIG_PARTITIONS : 0};

    stage->conf->outputs[0]->partitions_found = RIG_PARTITIONS + 1;
    vd_batch_emit(batch, 0, VD_NO_SOURCE, &msg);
    vd_batch_end(batch);
}

static void refused_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    made.durable++;
}

static void refused_rewound(struct vd_stage *stage, void *state)
{
    made.rewound++;
    vd_stage_wake(stage); /* the first time it is not needed, and does no harm */
}

static const struct vd_stage_desc refused_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "names a partition that is not there",
    .outputs = (const struct vd_port[]){{.name = "out"}, VD_PORT_END},
    .batch = refused_batch,
    .committed = refused_committed,
    .rewound = refused_rewound,
};

static bool is_one_durable(struct rig *rig)
{
    return made.durable == 1;
}

TEST(a_record_that_the_library_refuses_is_tried_again)
{
    VD_AUTO(mem) char *application = peer_name("source");
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct rig rig;
    struct peer_log log;

    open_source(&rig, application, &refused_desc);
    made.refused = 1;
    rig_run(&rig, is_one_durable);
    assert_int_equal(made.rewound, 2);
    log = peer_read(out, true);
    assert_int_equal(log.count, 1);
    assert_non_null(log.records[0].value); /* empty, which is no tombstone */
    assert_null(log.records[0].key);
    peer_log_free(&log);
}

/* A record too large for any producer would be made again and again. */
static void huge_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    const size_t bytes = vd_stage_record_max(stage) + 1;
    VD_AUTO(mem) char *value = vd_alloc(bytes);
    const struct vd_msg msg = {.value = value, .value_len = bytes};

    made.asked++;
    vd_batch_emit(batch, 0, VD_NO_SOURCE, &msg);
    vd_batch_done(batch);
}

static const struct vd_stage_desc huge_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "makes a record that is too large",
    .outputs = (const struct vd_port[]){{.name = "out"}, VD_PORT_END},
    .batch = huge_batch,
};

static bool is_halted(struct rig *rig)
{
    (void)vd_stage_is_ready(rig->stage, made.reason, sizeof(made.reason));
    return rig->stage->life == VD_LIFE_HALTED;
}

TEST(a_source_whose_record_no_producer_takes_halts_and_says_the_remedy)
{
    VD_AUTO(mem) char *application = peer_name("source");
    VD_AUTO(mem)
    char *wanted = vd_format("output \"out\": a record has 999489 bytes, and "
                             "client.message.max.bytes, 1000000, leaves room for 999488: raise it "
                             "on every node, and max.message.bytes of topic \"%s-out\" if need "
                             "be, and start again",
                             application);
    struct rig rig;

    open_source(&rig, application, &huge_desc);
    rig_run(&rig, is_halted);
    assert_string_equal(made.reason, wanted);
    assert_int_equal(made.asked, 1);
    check_numbers(application, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_makes_every_record_once),
        cmocka_unit_test(a_source_reads_its_progress_again_under_each_producer),
        cmocka_unit_test(a_source_whose_producer_is_fenced_ends),
        cmocka_unit_test(a_source_with_nothing_to_give_is_asked_again_without_end),
        cmocka_unit_test(a_record_that_the_library_refuses_is_tried_again),
        cmocka_unit_test(a_source_whose_record_no_producer_takes_halts_and_says_the_remedy),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
