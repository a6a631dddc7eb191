#include "dashboard/pipeline.h"

#include <string.h>

#include "alloc.h"

#include "test.h"

/* A node's record with everything but what stands in for %s. */
#define STAGE                                                                                \
    "{\"stage\":\"voting\",\"module\":\"voting\",\"state\":\"running\",\"cause\":\"\","      \
    "\"in\":[7,5],\"out\":[6,4],\"rejected\":[1,1],\"dead\":[1,0],\"retries\":[0,0],"        \
    "\"batches\":[2,1],\"recycled\":[0,0],\"buffered\":0,\"stopped\":0,\"latency_us\":null," \
    "\"commit_us\":[1500,9000],\"inputs\":[{\"port\":\"voters\",\"topic\":\"in\","           \
    "\"partitions\":4,\"lag\":null}],\"outputs\":[{\"port\":\"votes\",\"topic\":\"out\","    \
    "\"records\":[6,4]}],\"tables\":[{\"port\":\"names\",\"topic\":\"names\"}],"             \
    "\"dead_topic\":\"lost\"}"
#define MEMBERS                                                                                  \
    "\"version\":\"1.0\",\"started_ms\":1700000000000,\"interval_ms\":2000,\"window_ms\":10000," \
    "\"resident_bytes\":1048576,\"cpu_ms\":[900,30],\"missing\":[{\"server\":\"PostgreSQL\","    \
    "\"cause\":\"no answer\"}],\"stages\":[" STAGE "]"
#define HEAD(node, state) \
    "{\"format\":1,\"application\":\"election\",\"node\":\"" node "\",\"state\":\"" state "\","
#define RECORD(node, state) HEAD(node, state) MEMBERS "}"

static int64_t now_ms;

static int64_t read_now(void *arg)
{
    (void)arg;
    return now_ms;
}

static void pipeline_begin(struct pipeline *pipeline)
{
    now_ms = 1000000;
    *pipeline =
        (struct pipeline){.application = "election", .is_followed = true, .now_ms = read_now};
}

static enum vd_status take(struct pipeline *pipeline, const char *key, const char *value,
                           struct vd_err *err)
{
    const struct vd_record record = {.key = key,
                                     .key_len = strlen(key),
                                     .value = value,
                                     .value_len = value != NULL ? strlen(value) : 0};

    return pipeline_take(pipeline, &record, now_ms, err);
}

static void expect(struct pipeline *pipeline, const char *text)
{
    VD_AUTO(buf) struct vd_buf out = {0};

    pipeline_write(pipeline, &out);
    assert_string_equal(vd_buf_text(&out), text);
}

/* "NODE STATE, " of every node. */
static void expect_states(struct pipeline *pipeline, const char *states)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    VD_AUTO(buf) struct vd_buf found = {0};

    pipeline_write(pipeline, &out);
    for (const char *at = vd_buf_text(&out); (at = strstr(at, "\"heard_ms\"")) != NULL; at++) {
        const char *node = strstr(at, "\"node\":\"") + 8;
        const char *state = at;

        while (strncmp(state, "\"state\":\"", 9) != 0) {
            state--;
        }
        vd_buf_printf(&found, "%.*s %.*s, ", (int)strcspn(node, "\""), node,
                      (int)strcspn(state + 9, "\""), state + 9);
    }
    assert_string_equal(vd_buf_text(&found), states);
}

TEST(a_record_is_shown_member_by_member)
{
    struct pipeline pipeline;
    struct vd_err err = {0};

    pipeline_begin(&pipeline);
    expect(&pipeline, "{\"application\":\"election\",\"followed\":true,\"ignored\":0,"
                      "\"invalid\":0,\"refused\":0,\"nodes\":[]}\n");
    assert_int_equal(take(&pipeline, "election.a", RECORD("a", "running"), &err), VD_OK);
    now_ms += 300;
    expect(&pipeline, "{\"application\":\"election\",\"followed\":true,\"ignored\":0,"
                      "\"invalid\":0,\"refused\":0,\"nodes\":[{\"state\":\"running\","
                      "\"heard_ms\":300,\"node\":\"a\"," MEMBERS "}]}\n");
    pipeline_fini(&pipeline);
}

TEST(what_is_not_known_is_left_out_and_texts_are_written_anew)
{
    struct pipeline pipeline;
    struct vd_err err = {0};
    VD_AUTO(buf) struct vd_buf out = {0};

    pipeline_begin(&pipeline);
    assert_int_equal(take(&pipeline, "election.<b>",
                          "{\"x\":[1.5],"
                          "\"format\":1,\"application\":\"election\","
                          "\"node\":\"<b>\",\"state\":\"a\\u0001b\\\"\"," MEMBERS "}",
                          &err),
                     VD_OK);
    pipeline_write(&pipeline, &out);
    assert_null(strstr(vd_buf_text(&out), "\"x\""));
    assert_non_null(strstr(vd_buf_text(&out), "\"state\":\"a\\u0001b\\\"\""));
    pipeline_fini(&pipeline);
}

TEST(nodes_stand_by_name_and_the_last_word_counts)
{
    struct pipeline pipeline;
    struct vd_err err = {0};

    pipeline_begin(&pipeline);
    assert_int_equal(take(&pipeline, "election.b", RECORD("b", "starting"), &err), VD_OK);
    assert_int_equal(take(&pipeline, "election.c", RECORD("c", "running"), &err), VD_OK);
    assert_int_equal(take(&pipeline, "election.a", RECORD("a", "running"), &err), VD_OK);
    assert_int_equal(take(&pipeline, "election.b", RECORD("b", "draining"), &err), VD_OK);
    expect_states(&pipeline, "a running, b draining, c running, ");
    assert_int_equal(take(&pipeline, "election.a", NULL, &err), VD_OK);
    expect_states(&pipeline, "b draining, c running, ");
    pipeline_fini(&pipeline);
}

TEST(a_node_that_falls_silent_is_gone_and_one_that_stopped_is_not)
{
    struct pipeline pipeline;
    struct vd_err err = {0};

    pipeline_begin(&pipeline);
    assert_int_equal(take(&pipeline, "election.a", RECORD("a", "running"), &err), VD_OK);
    assert_int_equal(take(&pipeline, "election.b", RECORD("b", "stopped"), &err), VD_OK);
    now_ms += 10000; /* five times its interval */
    expect_states(&pipeline, "a running, b stopped, ");
    now_ms += 1;
    expect_states(&pipeline, "a gone, b stopped, ");
    assert_int_equal(take(&pipeline, "election.a", RECORD("a", "starting"), &err), VD_OK);
    expect_states(&pipeline, "a starting, b stopped, ");
    now_ms += PIPELINE_KEPT_MS - 1000;
    expect_states(&pipeline, "a gone, ");
    now_ms += 2000;
    expect_states(&pipeline, "");
    pipeline_fini(&pipeline);
}

TEST(records_of_others_are_ignored_and_counted)
{
    struct pipeline pipeline;
    struct vd_err err = {0};

    pipeline_begin(&pipeline);
    assert_int_equal(take(&pipeline, "other.a", "{\"format\":1,\"application\":\"other\"}", &err),
                     VD_OK);
    assert_int_equal(
        take(&pipeline, "election.a", "{\"format\":2,\"application\":\"election\"}", &err), VD_OK);
    assert_int_equal(pipeline.ignored, 2);
    expect_states(&pipeline, "");
    pipeline_fini(&pipeline);
}

TEST(malformed_records_are_refused_with_a_reason)
{
    static const struct {
        const char *value, *reason;
    } cases[] = {
        {"", "not a node's record"},
        {"[]", "not a node's record"},
        {"{\"format\":1}", "not a node's record"},
        {"{\"format\":\"1\",\"application\":\"election\"}", "not a node's record"},
        {"{\"format\":1,\"application\":\"election\"}", "\"node\" is missing or not of its form"},
        {HEAD("a", "running") "\"version\":1}", "\"version\" is missing or not of its form"},
        {HEAD("a", "running") "\"version\":\"1\",\"started_ms\":1.5}",
         "\"started_ms\" is missing or not of its form"},
        {HEAD("a", "running") "\"version\":\"1\",\"started_ms\":9007199254740992}",
         "\"started_ms\" is missing or not of its form"},
        {HEAD("a", "running") "\"version\":\"1\",\"started_ms\":1,\"interval_ms\":1,"
                              "\"window_ms\":1,\"resident_bytes\":1,\"cpu_ms\":[1]}",
         "\"cpu_ms\" is missing or not of its form"},
        {HEAD("a", "running") "\"version\":\"1\",\"started_ms\":1,\"interval_ms\":1,"
                              "\"window_ms\":1,\"resident_bytes\":1,\"cpu_ms\":[1,2],"
                              "\"missing\":{}}",
         "\"missing\" is no list, or too long"},
        {HEAD("a", "running") "\"version\":\"1\",\"started_ms\":1,\"interval_ms\":1,"
                              "\"window_ms\":1,\"resident_bytes\":1,\"cpu_ms\":[1,2],"
                              "\"missing\":[],\"stages\":[{\"stage\":\"a\"}]}",
         "stages: \"module\" is missing or not of its form"},
        {RECORD("a", "much longer than any state"), "\"state\" is missing or too long"},
        {RECORD("b", "running"), "the key is another node's"},
    };
    struct pipeline pipeline;

    pipeline_begin(&pipeline);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(take(&pipeline, "election.a", cases[i].value, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].reason);
    }
    assert_int_equal(pipeline.invalid, sizeof(cases) / sizeof(cases[0]));
    expect_states(&pipeline, "");
    pipeline_fini(&pipeline);
}

TEST(a_record_too_long_is_no_nodes)
{
    VD_AUTO(mem) char *text = vd_alloc(PIPELINE_RECORD_BYTES + 2);
    struct pipeline pipeline;
    struct vd_err err = {0};

    pipeline_begin(&pipeline);
    memset(text, ' ', PIPELINE_RECORD_BYTES + 1);
    assert_int_equal(take(&pipeline, "election.a", text, &err), VD_INVALID);
    assert_string_equal(err.msg, "65537 bytes are too many");
    pipeline_fini(&pipeline);
}

TEST(nodes_are_many_but_not_without_end)
{
    struct pipeline pipeline;
    struct vd_err err = {0};

    pipeline_begin(&pipeline);
    for (int i = 0; i <= PIPELINE_NODES_MAX; i++) {
        VD_AUTO(mem) char *key = vd_format("election.n%d", i);
        VD_AUTO(mem)
        char *value = vd_format("{\"format\":1,\"application\":\"election\",\"node\":\"n%d\","
                                "\"state\":\"running\"," MEMBERS "}",
                                i);

        assert_int_equal(take(&pipeline, key, value, &err), VD_OK);
    }
    assert_int_equal(pipeline.count, PIPELINE_NODES_MAX);
    assert_int_equal(pipeline.refused, 1);
    assert_int_equal(take(&pipeline, "election.n7", RECORD("n7", "stopped"), &err), VD_OK);
    assert_int_equal(take(&pipeline, "election.z", RECORD("z", "running"), &err), VD_OK);
    assert_int_equal(pipeline.count, PIPELINE_NODES_MAX);
    assert_int_equal(pipeline.refused, 1); /* in the place of the one that stopped */
    assert_string_equal(pipeline.nodes[PIPELINE_NODES_MAX - 1].name, "z");
    pipeline_fini(&pipeline);
}

RUN_TESTS(cmocka_unit_test(a_record_is_shown_member_by_member),
          cmocka_unit_test(what_is_not_known_is_left_out_and_texts_are_written_anew),
          cmocka_unit_test(nodes_stand_by_name_and_the_last_word_counts),
          cmocka_unit_test(a_node_that_falls_silent_is_gone_and_one_that_stopped_is_not),
          cmocka_unit_test(records_of_others_are_ignored_and_counted),
          cmocka_unit_test(malformed_records_are_refused_with_a_reason),
          cmocka_unit_test(a_record_too_long_is_no_nodes),
          cmocka_unit_test(nodes_are_many_but_not_without_end))
