#include "topology_sample.h"

#include "test.h"

TEST(the_nodes_topic_comes_last_and_can_be_another_or_none)
{
    static const struct {
        const char *set;
        size_t topics;
        int64_t partitions;
    } cases[] = {
        {"votingd.nodes_topic=votingd_nodes", 5, 1},
        {"votingd.nodes_topic=", 4, 0},
        {"votingd.nodes_topic=here", 4, 7},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *const set[] = {cases[i].set, "topic:here.external=yes"};
        struct vd_topology_args args = {.set = set, .set_count = i == 2 ? 1 : 2};
        struct sample sample;

        sample_load(&sample,
                    HEAD TOPICS "[topic:here]\npartitions = 7\ncleanup = compact\n" SOURCE RELAY
                                "table.totals = here\n",
                    &args);
        assert_string_equal(vd_buf_text(&sample.errors), "");
        assert_int_equal(sample.topology.topic_count, cases[i].topics);
        if (cases[i].partitions == 0) {
            assert_null(sample.topology.nodes_topic);
        } else {
            assert_ptr_equal(sample.topology.nodes_topic,
                             sample.topology.topics[sample.topology.topic_count - 1]);
            assert_int_equal(sample.topology.nodes_topic->partitions, cases[i].partitions);
        }
        sample_fini(&sample);
    }
}

TEST(faults_of_the_nodes_topic)
{
    static const struct wrong cases[] = {
        {TOPICS "[topic:votingd_nodes]\n" SOURCE RELAY,
         "t.ini:10:2: topic \"votingd_nodes\": the nodes write it, so it is compacted; set cleanup "
         "= "
         "compact, or another nodes_topic in [votingd]\n"},
        {TOPICS SOURCE RELAY "[stage:sink]\ninput.records = votingd_nodes\ndead = lost\n",
         "t.ini:17:17: stage \"sink\": input \"records\": topic \"votingd_nodes\" is the nodes' "
         "own, "
         "which no stage consumes; follow it as a table\n"},
        {TOPICS SOURCE RELAY "[stage:sink]\ninput.records = in\ndead = votingd_nodes\n",
         "t.ini:18:8: stage \"sink\": key \"dead\": only the nodes themselves write topic "
         "\"votingd_nodes\"; name another one, or another nodes_topic in [votingd]\n"},
        {"[topic:votingd_node]\ncleanup = compact\n" TOPICS SOURCE RELAY
         "table.totals = votingd_node\n",
         "t.ini:18:16: stage \"relay\": table \"totals\": no stage writes topic \"votingd_node\"; "
         "did "
         "you mean \"votingd_nodes\"?\n"},
    };
    static const char *const set[] = {"votingd.nodes_topic=a b"};
    struct vd_topology_args args = {.set = set, .set_count = 1};

    EXPECT_ALL(cases);
    expect_errors(HEAD TOPICS SOURCE RELAY, &args,
                  "--set: section [votingd]: option \"nodes_topic\": a topic's name has 1 to 249 "
                  "letters, digits, '_', '-' and '.', got \"a b\"\n");
}

TEST(nodes_run_what_their_section_lists)
{
    static const char text[] = HEAD TOPICS SOURCE RELAY
        "enabled = no\n[node:a]\nstages = source , relay\n[node:b]\nstages = source\n[node:c]\n";
    static const char *const relay[] = {"relay"};
    static const char *const source[] = {"source"};
    const struct {
        struct vd_topology_args args;
        size_t stages, topics;
    } cases[] = {
        {{.node = NULL}, 1, 1},
        {{.node = "a"}, 1, 1}, /* a stage that is not enabled does not run for being listed */
        {{.node = "b", .enable = relay, .enable_count = 1}, 2, 3},
        {{.node = "c", .enable = relay, .enable_count = 1}, 2, 3},
        {{.node = "a", .enable = relay, .enable_count = 1, .disable = source, .disable_count = 1},
         1,
         3},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_topology_args args = cases[i].args;
        struct sample sample;

        sample_load(&sample, text, &args);
        assert_string_equal(vd_buf_text(&sample.errors), "");
        assert_int_equal(sample.topology.stage_count, cases[i].stages);
        assert_int_equal(sample.topology.topic_count, cases[i].topics + 1); /* the nodes' own */
        sample_fini(&sample);
    }
}

TEST(faults_of_nodes)
{
    static const struct wrong cases[] = {
        {TOPICS SOURCE RELAY "[node:a]\nstages = source, rellay, x\n",
         "t.ini:17:10: node \"a\": option \"stages\": no stage \"rellay\"; did you mean "
         "\"relay\"?\n"
         "t.ini:17:10: node \"a\": option \"stages\": no stage \"x\"; there are source, relay\n"},
        {TOPICS SOURCE RELAY "[node:a b]\n",
         "t.ini:16:2: node \"a b\": a name has 1 to 64 letters, digits, '_' and '-'\n"},
        {TOPICS SOURCE RELAY "[node:main]\nstage = relay\n",
         "t.ini:17:1: node \"main\": unknown option \"stage\"; did you mean \"stages\"?\n"},
        {TOPICS SOURCE "enabled = no\n" RELAY "enabled = no\n",
         "t.ini:1:1: no stage would run on node \"main\"; enable one with `enabled = yes`, "
         "[node:NAME] or --enable\n"},
    };

    EXPECT_ALL(cases);
    expect_errors(HEAD TOPICS SOURCE RELAY "[node:east]\n[node:west]\n",
                  &(struct vd_topology_args){.node = "wst"},
                  "--node: no section [node:wst]; did you mean \"west\"?\n");
    expect_errors(HEAD TOPICS SOURCE RELAY, &(struct vd_topology_args){.node = "a.b"},
                  "--node: \"a.b\": a name has 1 to 64 letters, digits, '_' and '-'\n");
}

RUN_TESTS(cmocka_unit_test(the_nodes_topic_comes_last_and_can_be_another_or_none),
          cmocka_unit_test(faults_of_the_nodes_topic),
          cmocka_unit_test(nodes_run_what_their_section_lists), cmocka_unit_test(faults_of_nodes))
