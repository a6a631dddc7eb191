/* Topologies: every fault is found at once, with its place and its remedy. Lines 1 to 4 of each
 * file are HEAD, so a case's own text begins in line 5. */
#include "topology_sample.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

#include "test.h"

TEST(a_right_topology_is_loaded_whole)
{
    struct vd_topology_args args = {.node = "a"};
    struct sample sample;
    const struct vd_stage_conf *relay = NULL;

    sample_load(&sample,
                HEAD "client.compression.type = lz4\n"
                     "[http]\nlisten = 127.0.0.1:0\n" TOPICS SOURCE RELAY
                     "batch.records = 7\nlimit = 20\nmode = slow\nkey = hush\n",
                &args);
    assert_string_equal(vd_buf_text(&sample.errors), "");
    assert_string_equal(sample.topology.node, "a");
    assert_string_equal(sample.topology.daemon.application, "votingd");
    assert_string_equal(sample.topology.kafka.brokers, "localhost:9092");
    assert_int_equal(sample.topology.kafka.prop_count, 1);
    assert_string_equal(sample.topology.kafka.props[0].name, "compression.type");
    assert_string_equal(sample.topology.web.listen, "127.0.0.1:0");
    assert_int_equal(sample.topology.stage_count, 2);
    assert_int_equal(sample.topology.topic_count, 4); /* with the nodes' own */
    relay = sample.topology.stages[1];
    assert_string_equal(relay->name, "relay");
    assert_string_equal(relay->plugin, "relay");
    assert_int_equal(relay->batch.records, 7);
    assert_string_equal(relay->inputs[0]->name, "in");
    assert_int_equal(relay->inputs[0]->partitions, 2);
    assert_null(relay->inputs[1]);
    assert_string_equal(relay->outputs[0]->name, "out");
    assert_ptr_equal(relay->inputs[0], sample.topology.stages[0]->outputs[0]);
    assert_null(relay->tables[0]);
    assert_string_equal(relay->dead_topic->name, "lost");
    sample_fini(&sample);
}

TEST(a_stages_own_options_come_from_its_section)
{
    struct state {
        int64_t limit;
        char *mode;
        char *key;
    } own = {0};
    static const char *const set[] = {"stage:relay.limit=99"};
    struct vd_topology_args args = {.set = set, .set_count = 1};
    struct sample sample;
    const struct vd_stage_conf *relay = NULL;

    sample_load(&sample, HEAD TOPICS SOURCE RELAY "limit = 20\nkey = @DATADIR@/x\n", &args);
    assert_string_equal(vd_buf_text(&sample.errors), "");
    relay = sample.topology.stages[1];
    assert_int_equal(vd_topology_stage_state(relay, &own, &sample.err), VD_OK);
    assert_int_equal(own.limit, 99);
    assert_string_equal(own.mode, "fast");
    assert_string_equal(own.key, VD_DATA_DIR "/x");
    vd_opt_fini(relay->desc->opts, &own);
    sample_fini(&sample);
}

TEST(a_stage_may_take_tables_that_only_the_topology_names)
{
    struct vd_topology_args args = {0};
    struct sample sample;
    const struct vd_stage_conf *gather = NULL;

    sample_load(&sample,
                HEAD TOPICS SOURCE RELAY
                "[topic:more]\ncleanup = compact\nexternal = yes\n"
                "[stage:gather]\ninput.records = in\ndead = lost\n"
                "table.by_age = more\ntable.none =\ntable.by_town = more\n",
                &args);
    assert_string_equal(vd_buf_text(&sample.errors), "");
    gather = sample.topology.stages[2];
    assert_int_equal(gather->table_count, 3);
    assert_null(gather->tables[0]);
    assert_string_equal(gather->table_names[0], "totals");
    assert_string_equal(gather->table_names[1], "by_age");
    assert_string_equal(gather->tables[1]->name, "more");
    assert_string_equal(gather->table_names[2], "by_town");
    assert_int_equal(sample.topology.topic_count, 5); /* with the nodes' own */
    sample_fini(&sample);
}

/* With its own table in place nothing is missing, and a name like it may well be meant. */
TEST(a_further_table_named_like_one_that_is_mapped_stands_in_the_summary)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_topology_args args = {0};
    struct sample sample;

    sample_load(&sample,
                HEAD TOPICS SOURCE RELAY "[topic:more]\ncleanup = compact\nexternal = yes\n"
                                         "[stage:gather]\ninput.records = in\ndead = lost\n"
                                         "table.totals = more\ntable.total = more\n",
                &args);
    assert_string_equal(vd_buf_text(&sample.errors), "");
    vd_topology_summarise(&sample.topology, &out);
    assert_non_null(strstr(vd_buf_text(&out), "\n  follows  totals=more total=more\n"));
    sample_fini(&sample);
}

TEST(faults_of_sections_and_their_options)
{
    static const struct wrong cases[] = {
        {TOPICS SOURCE RELAY "[kafak]\n",
         "t.ini:16:2: unknown section [kafak]; did you mean [kafka]?\n"},
        {TOPICS SOURCE RELAY "[stages:x]\n",
         "t.ini:16:2: unknown section [stages:x]; did you mean [stage:x]?\n"},
        {TOPICS SOURCE RELAY "[stage]\n",
         "t.ini:16:2: unknown section [stage]; did you mean [stage:NAME]?\n"},
        {TOPICS SOURCE RELAY "[logging]\n",
         "t.ini:16:2: unknown section [logging]; there are [votingd], [kafka], [postgres], [http], "
         "[topic:NAME], [stage:NAME] and [node:NAME]\n"},
        {"partitons = 2\n" TOPICS SOURCE RELAY, "t.ini:5:1: section [kafka]: unknown option "
                                                "\"partitons\"; did you mean \"partitions\"?\n"},
        {"compression.type = lz4\n" TOPICS SOURCE RELAY,
         "t.ini:5:1: section [kafka]: unknown option \"compression.type\"; librdkafka's own are "
         "written \"client.compression.type\"\n"},
        {"partitions = many\n" TOPICS SOURCE RELAY,
         "t.ini:5:14: section [kafka]: option \"partitions\": must be a whole number, 1 to 10000, "
         "got \"many\"\n"},
        {"[postgres]\nconninfo = host=x passwrd=secret\n" TOPICS SOURCE RELAY,
         "t.ini:6:12: section [postgres]: option \"conninfo\": not a connection string of "
         "PostgreSQL\n"},
        {TOPICS SOURCE RELAY "[topic:spare]\n",
         "t.ini:16:2: topic \"spare\": no stage writes or reads it; name it in a stage, or remove "
         "the section\n"},
        {TOPICS "cleanup = compct\n" SOURCE RELAY,
         "t.ini:10:11: topic \"lost\": option \"cleanup\": must be delete or compact, got "
         "\"compct\"; did you mean \"compact\"?\n"},
        {TOPICS SOURCE RELAY "[votingd]\nlog_level = info\n",
         "t.ini:16:2: section [votingd] again; the first one is in line 1\n"},
        {"", "t.ini:1:1: no stage would run on node \"main\"; add a [stage:NAME] section\n"},
    };

    EXPECT_ALL(cases);
}

TEST(faults_of_stages)
{
    static const struct wrong cases[] = {
        {TOPICS SOURCE "[stage:reley]\ninput.records = in\noutput.results = out\ndead = lost\n",
         "t.ini:12:2: stage \"reley\": no plugin \"reley\" in \"" TEST_MODULES
         "\"; did you mean \"relay\"?\n"},
        {TOPICS SOURCE RELAY "plugin = sorce\n",
         "t.ini:16:10: stage \"relay\": no plugin \"sorce\" in \"" TEST_MODULES
         "\"; did you mean \"source\"?\n"},
        {TOPICS SOURCE RELAY "inptu.extra = in\n",
         "t.ini:16:1: stage \"relay\": plugin \"relay\" has no option or port \"inptu.extra\"; did "
         "you mean \"input.extra\"?\n"},
        {TOPICS SOURCE RELAY "output.reslts = in\n",
         "t.ini:16:1: stage \"relay\": plugin \"relay\" has no option or port \"output.reslts\"; "
         "did "
         "you mean \"output.results\"?\n"},
        {TOPICS SOURCE RELAY "batch.recods = 5\n", "t.ini:16:1: stage \"relay\": plugin \"relay\" "
                                                   "has no option or port \"batch.recods\"; did "
                                                   "you mean \"batch.records\"?\n"},
        {TOPICS SOURCE RELAY "batch.records = 0\n",
         "t.ini:16:17: stage \"relay\": option \"batch.records\": must be 1 to 100000, got 0\n"},
        {TOPICS SOURCE RELAY "batch.records = 500\nbuffer.records = 100\n",
         "t.ini:17:18: stage \"relay\": option \"buffer.records\": must be at least batch.records, "
         "which is 500, got 100\n"},
        {TOPICS SOURCE RELAY "retry.min_ms = 20000\n",
         "t.ini:16:16: stage \"relay\": option \"retry.max_ms\": must be at least retry.min_ms, "
         "which is 20000, got 10000\n"},
        {TOPICS SOURCE RELAY "limit = 1000\n",
         "t.ini:16:9: stage \"relay\": option \"limit\": must be 1 to 100, got 1000\n"},
        {TOPICS SOURCE RELAY "mode = fsat\n", "t.ini:16:8: stage \"relay\": option \"mode\": must "
                                              "be fast or slow, got \"fsat\"; did you "
                                              "mean \"fast\"?\n"},
        {TOPICS SOURCE RELAY "mode = slow\nlimit = 13\n",
         "t.ini:17:9: stage \"relay\": option \"limit\": 13 brings bad luck; take another\n"},
        {TOPICS SOURCE RELAY "enabled = maybe\n",
         "t.ini:16:11: stage \"relay\": option \"enabled\": must be yes or no, got \"maybe\"\n"},
        {TOPICS SOURCE RELAY "plugin = keyed\n",
         "t.ini:12:2: stage \"relay\": option \"key\" is missing; add \"key = ...\" to "
         "[stage:relay]: a required text\n"},
        {TOPICS SOURCE "[stage:relay]\noutput.results = out\ndead = lost\n[stage:sink]\n"
                       "input.records = in\ndead = lost\n",
         "t.ini:12:2: stage \"relay\": input \"records\" has no topic; add \"input.records = "
         "TOPIC\"\n"},
        {"[topic:in]\npartitions = 2\n[topic:out]\npartitions = 2\n" SOURCE
         "[stage:relay]\ninput.records = in\noutput.results = out\n",
         "t.ini:11:2: stage \"relay\": option \"dead\" is missing; a stage with inputs needs a "
         "topic "
         "for records it cannot read: add \"dead = TOPIC\"\n"},
        {TOPICS SOURCE "dead = lost\n" RELAY, "t.ini:12:1: stage \"source\": option \"dead\": "
                                              "plugin \"source\" has no input, so no dead "
                                              "letters; remove the line\n"},
        {TOPICS SOURCE RELAY "[stage:a.b]\nplugin = sink\ninput.records = in\ndead = lost\n",
         "t.ini:16:2: stage \"a.b\": a name has 1 to 64 letters, digits, '_' and '-'\n"},
        {TOPICS SOURCE RELAY "[stage:shadows]\ninput.records = in\noutput.results = out\ndead = "
                             "lost\nenabled = no\n",
         "t.ini:16:2: stage \"shadows\": plugin \"shadows\": option \"dead\" is the engine's own; "
         "rename it in the module\n"},
        {TOPICS SOURCE RELAY
         "[stage:gather]\ninput.records = in\ndead = lost\ntable.by age = out\n",
         "t.ini:19:1: stage \"gather\": key \"table.by age\": a table's name has 1 to 64 letters, "
         "digits, '_' and '-'\n"},
        {TOPICS SOURCE RELAY
         "[stage:gather]\ninput.records = in\ndead = lost\ntable.by_age = out\n",
         "t.ini:19:16: stage \"gather\": table \"by_age\": topic \"out\" is not compacted; set "
         "cleanup = compact in [topic:out]\n"},
        {TOPICS SOURCE RELAY "table.by_age = out\n",
         "t.ini:16:1: stage \"relay\": plugin \"relay\" has no option or port \"table.by_age\"; "
         "\"votingd --describe relay\" lists them\n"},
        {TOPICS SOURCE RELAY "[stage:wrong_magic]\nenabled = no\n",
         "t.ini:16:2: stage \"wrong_magic\": \"" TEST_MODULES "/wrong_magic.so\": magic: found "
         "0x12345678, wanted 0x76647367; begin the descriptor with VD_STAGE_HEAD\n"},
    };

    EXPECT_ALL(cases);
}

TEST(faults_of_topics_between_stages)
{
    static const struct wrong cases[] = {
        {TOPICS SOURCE
         "[stage:relay]\ninput.records = inn\noutput.results = out\ndead = lost\n[stage:sink]\n"
         "input.records = in\ndead = lost\n",
         "t.ini:13:17: stage \"relay\": input \"records\": no stage writes topic \"inn\"; did you "
         "mean \"in\"?\n"},
        {TOPICS RELAY, "t.ini:11:17: stage \"relay\": input \"records\": no stage writes topic "
                       "\"in\"; if another "
                       "program does, set external = yes in [topic:in]\n"},
        {"[topic:in]\npartitions = 2\n[topic:lost]\n" SOURCE
         "[stage:sink]\ninput.records = in\noutput.results = somewhere\ndead = lost\n",
         "t.ini:12:18: stage \"sink\": key \"output.results\": no stage reads topic \"somewhere\"; "
         "if other programs do, declare it with [topic:somewhere]\n"},
        {TOPICS SOURCE RELAY "[stage:sink]\ninput.records = in\ndead = lots\n",
         "t.ini:18:8: stage \"sink\": key \"dead\": no stage reads topic \"lots\"; did you mean "
         "\"lost\"?\n"},
        {TOPICS SOURCE RELAY "table.totals = out\n",
         "t.ini:16:16: stage \"relay\": table \"totals\": topic \"out\" is not compacted; set "
         "cleanup = compact in [topic:out]\n"},
        {"[topic:in]\npartitions = 2\n[topic:out]\npartitions = 3\n[topic:lost]\n" SOURCE RELAY,
         "t.ini:14:18: stage \"relay\": output \"results\": records keep their partition, but "
         "topic "
         "\"in\" has 2 and \"out\" has 3; give both the same number\n"},
        {"[topic:in]\n[topic:out]\npartitions = 3\n[topic:lost]\n" SOURCE RELAY,
         "t.ini:13:18: stage \"relay\": output \"results\": records keep their partition: declare "
         "partitions, the same number, in [topic:in] and [topic:out]\n"},
        {"[topic:in]\npartitions = 2\n[topic:lost]\n" SOURCE
         "[stage:relay]\ninput.records = in\noutput.results = in\ndead = lost\n",
         "t.ini:9:18: stage \"source\": key \"output.results\": topic \"in\" is chained by stage "
         "\"relay\"; only output \"results\" of that stage may write it\n"
         "t.ini:12:18: stage \"relay\": output \"results\": topic \"in\" is input \"records\" too; "
         "the stage would read what it writes for ever\n"},
        {TOPICS SOURCE RELAY "input.extra = in\n",
         "t.ini:16:15: stage \"relay\": input \"extra\": topic \"in\" is input \"records\" "
         "already\n"},
        {TOPICS SOURCE RELAY "[stage:late]\nplugin = source\noutput.results = out\n",
         "t.ini:18:18: stage \"late\": key \"output.results\": topic \"out\" is chained by stage "
         "\"relay\"; only output \"results\" of that stage may write it\n"},
        {TOPICS SOURCE RELAY "[stage:sink]\ninput.records = a b\ndead = lost\n",
         "t.ini:17:17: stage \"sink\": key \"input.records\": a topic's name has 1 to 249 letters, "
         "digits, '_', '-' and '.', got \"a b\"\n"},
        {TOPICS SOURCE RELAY "[stage:sink]\ninput.records =\ndead = lost\n",
         "t.ini:17:16: stage \"sink\": key \"input.records\": a topic's name has 1 to 249 letters, "
         "digits, '_', '-' and '.', got \"\"\n"},
    };

    EXPECT_ALL(cases);
}

TEST(disabled_stages_count_as_writers_and_readers)
{
    struct vd_topology_args args = {0};
    struct sample sample;

    sample_load(&sample, HEAD TOPICS SOURCE "enabled = no\n" RELAY, &args);
    assert_string_equal(vd_buf_text(&sample.errors), "");
    assert_int_equal(sample.topology.stage_count, 1);
    assert_int_equal(sample.topology.all_stage_count, 2);
    sample_fini(&sample);
}

TEST(topics_of_other_programs_are_declared_external)
{
    expect_errors(HEAD "[topic:in]\npartitions = 2\nexternal = yes\n[topic:out]\npartitions = 2\n"
                       "[topic:lost]\n" RELAY,
                  &(struct vd_topology_args){0}, "");
}

TEST(all_faults_come_at_once_sorted_by_place)
{
    expect_errors(
        "[kafka]\n"
        "partitions = 0\n"
        "[votingd]\n"
        "plugin_path = " TEST_MODULES "\n"
        "log_levl = info\n"
        "[stage:relay]\n"
        "limit = x\n"
        "dead = ${VD_T_UNSET}\n"
        "input.records = in\n",
        &(struct vd_topology_args){0},
        "t.ini:1:2: section [kafka]: option \"brokers\" is missing; add \"brokers = ...\" "
        "to [kafka]: host:port of one or more brokers, separated by commas\n"
        "t.ini:2:14: section [kafka]: option \"partitions\": must be 1 to 10000, got 0\n"
        "t.ini:5:1: section [votingd]: unknown option \"log_levl\"; did you mean "
        "\"log_level\"?\n"
        "t.ini:6:2: stage \"relay\": output \"results\" has no topic; add "
        "\"output.results = TOPIC\"\n"
        "t.ini:7:9: stage \"relay\": option \"limit\": must be a whole number, 1 to 100, "
        "got \"x\"\n"
        "t.ini:8:8: key \"dead\": environment variable VD_T_UNSET is not set; set it or "
        "write ${VD_T_UNSET:-default}\n"
        "t.ini:9:17: stage \"relay\": input \"records\": no stage writes topic \"in\"; if "
        "another program does, set external = yes in [topic:in]\n");
}

TEST(a_fault_of_form_hides_what_would_follow_from_it)
{
    expect_errors(HEAD TOPICS SOURCE "[stage:relay\ninput.records = in\noutput.results = out\n",
                  &(struct vd_topology_args){0}, "t.ini:12:1: section has no closing \"]\"\n");
}

TEST(a_missing_file_is_said_once)
{
    VD_AUTO(buf) struct vd_buf errors = {0};
    struct vd_topology topology = {0};
    struct vd_err err = {0};
    const struct vd_topology_args args = {.path = "/nowhere/x.ini"};

    assert_int_equal(vd_topology_load(&topology, &args, sample_on_error, &errors, &err),
                     VD_INVALID);
    assert_string_equal(vd_buf_text(&errors),
                        "could not open \"/nowhere/x.ini\": No such file or directory\n");
    assert_string_equal(err.msg, "1 error in \"/nowhere/x.ini\"");
    vd_topology_fini(&topology);
}

TEST(the_command_line_changes_values_and_says_its_own_faults)
{
    static const char *const set[] = {"nonsense", "stage:relay.limit=0", "stage:relay.limt=1",
                                      "kafkaa.brokers=x"};
    static const char *const enable[] = {"rely", "relay"};
    static const char *const disable[] = {"sourec", "relay"};
    struct vd_topology_args args = {.set = set,
                                    .set_count = 4,
                                    .enable = enable,
                                    .enable_count = 2,
                                    .disable = disable,
                                    .disable_count = 2};

    expect_errors(
        HEAD TOPICS SOURCE RELAY, &args,
        "--set: \"nonsense\": expected section.key=value\n"
        "--set: unknown section [kafkaa]; did you mean [kafka]?\n"
        "--set: stage \"relay\": option \"limit\": must be 1 to 100, got 0\n"
        "--set: stage \"relay\": plugin \"relay\" has no option or port \"limt\"; did you "
        "mean \"limit\"?\n"
        "--enable: no stage \"rely\"; did you mean \"relay\"?\n"
        "--disable: no stage \"sourec\"; did you mean \"source\"?\n"
        "--disable: stage \"relay\" is named by --enable too\n");
}

TEST(a_secret_is_nowhere_in_the_messages)
{
    struct vd_topology_args args = {0};
    struct sample sample;

    sample_load(&sample,
                HEAD "[postgres]\nconninfo = postgresql://u:hunter2@h:x/y?z=1\n" TOPICS SOURCE RELAY
                     "key = hunter2\nlimit = 13\n",
                &args);
    assert_non_null(strstr(vd_buf_text(&sample.errors), "limit"));
    assert_null(strstr(vd_buf_text(&sample.errors), "hunter2"));
    sample_fini(&sample);
}

TEST(the_summary_shows_stages_topics_and_what_is_left_out)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_topology_args args = {0};
    struct sample sample;

    sample_load(&sample,
                HEAD TOPICS SOURCE "[stage:twin]\nplugin = source\noutput.results = in\n"
                                   "enabled = no\n" RELAY,
                &args);
    assert_string_equal(vd_buf_text(&sample.errors), "");
    vd_topology_summarise(&sample.topology, &out);
    assert_string_equal(vd_buf_text(&out),
                        "node main of application votingd: 2 stages, 4 topics\n"
                        "\nstage source\n  writes   in\n"
                        "\nstage relay\n  reads    in\n  writes   out\n  dead     lost\n"
                        "\nstage twin: does not run on this node\n"
                        "\nTOPIC          PARTITIONS  CLEANUP\n"
                        "in                      2  delete\n"
                        "out                     2  delete\n"
                        "lost                    1  delete\n"
                        "votingd_nodes           1  compact\n");
    sample_fini(&sample);
}

TEST(a_stage_is_described_by_its_tables)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_plugins *plugins = vd_plugins_new(TEST_MODULES);
    const struct vd_stage_desc *desc = NULL;
    struct vd_err err = {0};

    assert_int_equal(vd_plugins_find(plugins, "keyed", &desc, &err), VD_OK);
    vd_describe_stage(desc, VD_DESCRIBE_TEXT, &out);
    assert_string_equal(vd_buf_text(&out), "stage keyed\n"
                                           "  a module of the tests\n"
                                           "\n"
                                           "  PORT            KIND\n"
                                           "  input.records   -\n"
                                           "  input.extra     optional\n"
                                           "  output.results  chained\n"
                                           "  table.totals    optional\n"
                                           "\n"
                                           "  OPTION  DEFAULT   VALUES\n"
                                           "  limit   10        1 to 100\n"
                                           "      a number\n"
                                           "  mode    fast      fast or slow\n"
                                           "      a choice\n"
                                           "  key     required  any text\n"
                                           "      a required text\n");
    vd_buf_clear(&out);
    vd_describe_stage(desc, VD_DESCRIBE_MARKDOWN, &out);
    assert_non_null(strstr(vd_buf_text(&out), "| `output.results` | chained |  |\n"));
    assert_non_null(strstr(vd_buf_text(&out), "| `limit` | `10` | 1 to 100 | a number |\n"));
    assert_non_null(strstr(vd_buf_text(&out), "| `key` | required | any text | a required text |"));
    vd_plugins_free(plugins);
}

RUN_TESTS(cmocka_unit_test(a_right_topology_is_loaded_whole),
          cmocka_unit_test(a_stages_own_options_come_from_its_section),
          cmocka_unit_test(a_stage_may_take_tables_that_only_the_topology_names),
          cmocka_unit_test(a_further_table_named_like_one_that_is_mapped_stands_in_the_summary),
          cmocka_unit_test(faults_of_sections_and_their_options),
          cmocka_unit_test(faults_of_stages), cmocka_unit_test(faults_of_topics_between_stages),
          cmocka_unit_test(disabled_stages_count_as_writers_and_readers),
          cmocka_unit_test(topics_of_other_programs_are_declared_external),
          cmocka_unit_test(all_faults_come_at_once_sorted_by_place),
          cmocka_unit_test(a_fault_of_form_hides_what_would_follow_from_it),
          cmocka_unit_test(a_missing_file_is_said_once),
          cmocka_unit_test(the_command_line_changes_values_and_says_its_own_faults),
          cmocka_unit_test(a_secret_is_nowhere_in_the_messages),
          cmocka_unit_test(the_summary_shows_stages_topics_and_what_is_left_out),
          cmocka_unit_test(a_stage_is_described_by_its_tables))
