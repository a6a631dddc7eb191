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
    const char *fence; /* take this transactional.id away, once, in the middle; or NULL */
} made;

static bool is_all_durable(struct rig *rig)
{
    return made.durable >= ALL;
}

static void source_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
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
        /* No transaction is open now. In an open one the first try of the other producer would
         * fence us and fail, and its second try fence us again: that is a double, not a single
         * fence. */
        peer_fence(vd_take(made.fence));
    }
}

static void source_rewound(struct vd_stage *stage, void *state)
{
    made.next = made.durable;
    made.rewound++;
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

static void check_numbers(const char *application)
{
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct peer_log log = peer_read(out, true);
    bool seen[ALL] = {false};

    assert_int_equal(log.count, ALL);
    for (size_t i = 0; i < log.count; i++) {
        long number = strtol(log.records[i].value, NULL, 10);

        assert_in_range(number, 0, ALL - 1);
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
    assert_int_equal(made.rewound, 0);
    check_numbers(application);
}

TEST(a_source_whose_producer_was_fenced_once_resumes)
{
    VD_AUTO(mem) char *application = peer_name("source");
    VD_AUTO(mem) char *id = vd_format("%s.probe", application);
    struct rig rig;

    open_source(&rig, application, &source_desc);
    made.fence = id;
    rig_run(&rig, is_all_durable);
    assert_null(made.fence);
    assert_in_range(made.rewound, 1, 2);
    check_numbers(application);
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
    vd_stage_wake(stage);
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
    assert_int_equal(made.rewound, 1);
    log = peer_read(out, true);
    assert_int_equal(log.count, 1);
    assert_non_null(log.records[0].value); /* empty, which is no tombstone */
    assert_null(log.records[0].key);
    peer_log_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_makes_every_record_once),
        cmocka_unit_test(a_source_whose_producer_was_fenced_once_resumes),
        cmocka_unit_test(a_source_with_nothing_to_give_is_asked_again_without_end),
        cmocka_unit_test(a_record_that_the_library_refuses_is_tried_again),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
