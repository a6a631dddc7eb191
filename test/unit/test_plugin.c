/* The loader: whom it trusts, what it refuses, and in which words. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "plugin.h"
#include "plugin_elf.h"

#define MODULES TEST_MODULES /* the folder, from meson */

/* A folder of our own, with what is in it, for one test. */
struct place {
    char folder[64];
};

static void place_init(struct place *place)
{
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/votingd-test-plugin-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
}

static void place_fini(struct place *place)
{
    VD_AUTO(mem) char *command = vd_format("rm -rf '%s'", place->folder);

    assert_int_equal(system(command), 0);
}

static char *place_path(const struct place *place, const char *name)
{
    return vd_format("%s/%s", place->folder, name);
}

static void place_copy(const struct place *place, const char *from, const char *to)
{
    VD_AUTO(mem)
    char *command = vd_format("cp '" MODULES "/%s' '%s/%s' && chmod 644 '%s/%s'", from,
                              place->folder, to, place->folder, to);

    assert_int_equal(system(command), 0);
}

/* Look for a module and expect a refusal, whose message is returned. */
static struct vd_err refuse(const char *path, const char *name)
{
    struct vd_plugins *plugins = vd_plugins_new(path);
    const struct vd_stage_desc *desc = NULL;
    struct vd_err err = {0};
    struct vd_err again = {0};

    assert_int_equal(vd_plugins_find(plugins, name, &desc, &err), VD_INVALID);
    assert_null(desc);
    assert_int_equal(vd_plugins_find(plugins, name, &desc, &again), VD_INVALID); /* no trace */
    assert_string_equal(err.msg, again.msg);
    vd_plugins_free(plugins);
    return err;
}

TEST(a_good_module_is_loaded_once)
{
    struct vd_plugins *plugins = vd_plugins_new(MODULES);
    const struct vd_stage_desc *desc = NULL;
    const struct vd_stage_desc *again = NULL;
    struct vd_err err = {0};

    assert_int_equal(vd_plugins_find(plugins, "relay", &desc, &err), VD_OK);
    assert_string_equal(desc->name, "relay");
    assert_string_equal(desc->inputs[0].name, "records");
    assert_non_null(desc->batch);
    assert_null(desc->drain);
    assert_int_equal(vd_plugins_find(plugins, "relay", &again, &err), VD_OK);
    assert_ptr_equal(desc, again);
    vd_plugins_free(plugins);
}

TEST(a_differing_module_is_refused_with_field_found_wanted_and_remedy)
{
    static const struct {
        const char *name, *message; /* of which the folder and a colon come first */
    } cases[] = {
        {"wrong_magic", "magic: found 0x12345678, wanted 0x76647367; begin the descriptor with "
                        "VD_STAGE_HEAD"},
        {"wrong_major", "ABI major: found 2, wanted 1; build the module against this votingd's "
                        "<votingd/stage.h>"},
        {"newer_minor", "ABI minor: found 2, wanted at most 1; update votingd, or build the module "
                        "against this votingd's <votingd/stage.h>"},
        {"small_size", "size: found 64, wanted 168 to 168; begin the descriptor with "
                       "VD_STAGE_HEAD"},
        {"wrong_name", "name: found \"other\", wanted \"wrong_name\"; file and descriptor have one "
                       "name"},
        {"wrong_default", "its own default: option \"broken\": must be a whole number, got "
                          "\"ten\""},
        {"wrong_port", "output \"results\": flags: found 0x40, wanted only some of 0x1f"},
        {"no_batch", "batch: found none, wanted one, since there are inputs; set .batch"},
        {"no_symbol", "exports no function vd_stage_describe; end the module with "
                      "VD_STAGE_EXPORT(descriptor)"},
        {"no_descriptor", "vd_stage_describe returned nothing; end the module with "
                          "VD_STAGE_EXPORT(descriptor)"},
        {"calls_kafka", "calls \"rd_kafka_new\" of a client library; use the host's services in "
                        "<votingd/stage.h> instead"},
        {"defines_curl", "defines \"curl_easy_init\" of a client library; use the host's services "
                         "in <votingd/stage.h> instead"},
        {"needs_pq",
         "needs \"libpq.so.5\"; use the host's services in <votingd/stage.h> and do not "
         "link it"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_err err = refuse(MODULES, cases[i].name);
        VD_AUTO(mem)
        char *message = vd_format("\"" MODULES "/%s.so\": %s", cases[i].name, cases[i].message);

        if (strcmp(cases[i].name, "small_size") == 0) {
            free(message); /* its numbers are the machine's */
            message =
                vd_format("\"" MODULES "/small_size.so\": size: found 64, wanted %zu to %zu; "
                          "begin the descriptor with VD_STAGE_HEAD",
                          offsetof(struct vd_stage_desc, audit), sizeof(struct vd_stage_desc));
        }
        assert_string_equal(err.msg, message);
    }
}

TEST(a_module_of_an_older_minor_is_loaded_without_what_came_later)
{
    struct vd_plugins *plugins = vd_plugins_new(MODULES);
    const struct vd_stage_desc *desc = NULL;
    struct vd_err err = {0};

    assert_int_equal(vd_plugins_find(plugins, "older_minor", &desc, &err), VD_OK);
    assert_int_equal(desc->abi_minor, 0);
    assert_non_null(desc->batch);
    assert_null(desc->audit);
    vd_plugins_free(plugins);
}

TEST(a_missing_function_fails_the_load)
{
    struct vd_err err = refuse(MODULES, "calls_unknown");

    assert_non_null(strstr(err.msg, "undefined symbol: vd_frobnicate"));
    assert_non_null(strstr(err.msg, "newer than this votingd"));
}

TEST(an_unknown_name_is_answered_with_folders_and_the_nearest)
{
    struct vd_err err = refuse(MODULES ":/nowhere", "rellay");

    assert_string_equal(err.msg, "no plugin \"rellay\" in \"" MODULES
                                 "\", \"/nowhere\" (cannot be read); did you mean \"relay\"?");
    err = refuse("", "relay");
    assert_string_equal(err.msg, "no plugin \"relay\" in an empty plugin_path");
    err = refuse(MODULES, "../unit/modules/relay");
    assert_string_equal(err.msg, "plugin \"../unit/modules/relay\": a name has 1 to 64 letters, "
                                 "digits, '_' and '-'");
}

TEST(files_and_folders_that_others_may_write_are_refused)
{
    struct place place;
    struct vd_err err;

    place_init(&place);
    place_copy(&place, "relay.so", "relay.so");
    {
        VD_AUTO(mem) char *path = place_path(&place, "relay.so");
        VD_AUTO(mem)
        char *file_message =
            vd_format("\"%s\": mode: found 0666, wanted no write permission for group and others; "
                      "chmod go-w it",
                      path);
        VD_AUTO(mem)
        char *folder_message =
            vd_format("\"%s\": mode: found 0770, wanted no write permission for group and others; "
                      "chmod go-w it",
                      place.folder);

        assert_int_equal(chmod(path, 0666), 0);
        err = refuse(place.folder, "relay");
        assert_string_equal(err.msg, file_message);
        assert_int_equal(chmod(path, 0644), 0);
        assert_int_equal(chmod(place.folder, 0770), 0);
        err = refuse(place.folder, "relay");
        assert_string_equal(err.msg, folder_message);
        assert_int_equal(chmod(place.folder, 0700), 0);
    }
    place_fini(&place);
}

TEST(files_of_other_users_are_refused)
{
    struct place place;
    VD_AUTO(mem) char *path = NULL;
    struct vd_err err;

    if (geteuid() != 0) {
        skip(); /* only root may give a file away */
    }
    place_init(&place);
    place_copy(&place, "relay.so", "relay.so");
    path = place_path(&place, "relay.so");
    assert_int_equal(chown(path, 12345, 0), 0);
    err = refuse(place.folder, "relay");
    assert_non_null(strstr(err.msg, "relay.so\": owner: found user 12345, wanted 0 or root"));
    place_fini(&place);
}

TEST(only_regular_elf_files_are_loaded)
{
    struct place place;
    struct vd_err err;

    place_init(&place);
    {
        VD_AUTO(mem) char *folder = place_path(&place, "folder.so");
        VD_AUTO(mem) char *fifo = place_path(&place, "fifo.so");
        VD_AUTO(mem) char *text = place_path(&place, "text.so");
        VD_AUTO(mem) char *empty = place_path(&place, "empty.so");
        VD_AUTO(mem) char *dangling = place_path(&place, "dangling.so");
        FILE *file = fopen(text, "we");

        assert_non_null(file);
        assert_true(fputs("this is no module\n", file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(mkdir(folder, 0755), 0);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(symlink("/nowhere", dangling), 0);
        file = fopen(empty, "we");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    err = refuse(place.folder, "folder");
    assert_non_null(strstr(err.msg, "folder.so\": not a regular file"));
    err = refuse(place.folder, "fifo");
    assert_non_null(strstr(err.msg, "fifo.so\": not a regular file"));
    err = refuse(place.folder, "text");
    assert_non_null(strstr(err.msg, "text.so\": not a shared object; build it with -shared -fPIC"));
    err = refuse(place.folder, "empty");
    assert_non_null(strstr(err.msg, "empty.so\": size: found 0 bytes"));
    err = refuse(place.folder, "dangling");
    assert_non_null(strstr(err.msg, "no plugin \"dangling\" in"));
    place_fini(&place);
}

TEST(the_folder_behind_a_link_is_checked_too)
{
    struct place linked;
    struct place real;
    struct vd_plugins *plugins = NULL;
    const struct vd_stage_desc *desc = NULL;
    struct vd_err err = {0};

    place_init(&linked);
    place_init(&real);
    place_copy(&real, "relay.so", "relay.so.1");
    {
        VD_AUTO(mem) char *target = place_path(&real, "relay.so.1");
        VD_AUTO(mem) char *link = place_path(&linked, "relay.so");

        assert_int_equal(symlink(target, link), 0);
    }
    assert_int_equal(chmod(real.folder, 0777), 0);
    err = refuse(linked.folder, "relay");
    assert_non_null(strstr(err.msg, real.folder));
    assert_non_null(strstr(err.msg, "mode: found 0777"));
    assert_int_equal(chmod(real.folder, 0700), 0);
    plugins = vd_plugins_new(linked.folder);
    assert_int_equal(vd_plugins_find(plugins, "relay", &desc, &err), VD_OK);
    vd_plugins_free(plugins);
    place_fini(&linked);
    place_fini(&real);
}

TEST(a_module_in_two_folders_is_refused)
{
    struct place place;
    VD_AUTO(mem) char *path = NULL;
    VD_AUTO(mem) char *twice = vd_format("%s:%s", MODULES, MODULES);
    struct vd_plugins *plugins = vd_plugins_new(twice);
    const struct vd_stage_desc *desc = NULL;
    struct vd_err err = {0};

    assert_int_equal(vd_plugins_find(plugins, "relay", &desc, &err), VD_OK); /* the same file */
    vd_plugins_free(plugins);
    place_init(&place);
    place_copy(&place, "relay.so", "relay.so");
    path = vd_format("%s:%s", place.folder, MODULES);
    err = refuse(path, "relay");
    assert_non_null(strstr(err.msg, "plugin \"relay\": found as \""));
    assert_non_null(strstr(err.msg, "wanted once; remove one or its folder from plugin_path"));
    place_fini(&place);
}

TEST(modules_are_listed_by_name_without_loading_them)
{
    struct vd_plugins *plugins = vd_plugins_new(MODULES ":" MODULES ":/nowhere");
    char **names = NULL;
    size_t count = vd_plugins_list(plugins, &names);

    assert_int_equal(count, 21);
    assert_string_equal(names[0], "calls_kafka");
    assert_string_equal(names[count - 1], "wrong_port");
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
    }
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    vd_plugins_free(plugins);
}

static void nothing(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
}

TEST(descriptors_of_the_wrong_form_are_refused)
{
    static const struct vd_port twice[] = {{"a"}, {"a"}, VD_PORT_END};
    static const struct vd_port spaced[] = {{"a b"}, VD_PORT_END};
    static const struct vd_port one[] = {{"a"}, VD_PORT_END};
    static const struct vd_port chained[] = {{"a", VD_PORT_CHAINED}, VD_PORT_END};
    static const struct vd_port both[] = {{"a", VD_PORT_CHAINED | VD_PORT_PLAIN}, VD_PORT_END};
    static const struct vd_port further[] = {{"a"}, {"*", VD_PORT_FURTHER}, VD_PORT_END};
    static const struct vd_port not_last[] = {{"*", VD_PORT_FURTHER}, {"a"}, VD_PORT_END};
    static const struct vd_port not_star[] = {{"more", VD_PORT_FURTHER}, VD_PORT_END};
    static const struct vd_opt ported[] = {{.name = "input.a"}, VD_OPT_END};
    const struct vd_stage_desc good = {VD_STAGE_HEAD,    .name = "x",   .summary = "s",
                                       .state_size = 64, .inputs = one, .batch = nothing};
    struct {
        struct vd_stage_desc desc;
        const char *message;
    } cases[] = {
        {good, NULL},
        {good, "\"d/x.so\": summary: found none, wanted one line of text; set .summary"},
        {good, "\"d/x.so\": input \"a\": found twice, wanted once"},
        {good, "\"d/x.so\": input \"a b\": a name has 1 to 64 letters, digits, '_' and '-'"},
        {good, "\"d/x.so\": input \"a\": flags: found 0x2, wanted only some of 0x1"},
        {good, "\"d/x.so\": table \"a\": flags: found 0x2, wanted only some of 0x21"},
        {good, "\"d/x.so\": output \"a\": found plain and chained or copartitioned, wanted one of "
               "them"},
        {good, "\"d/x.so\": output \"a\": chained or copartitioned, but there is no input to "
               "follow"},
        {good, "\"d/x.so\": option \"input.a\": input., output. and table. name ports; rename it"},
        {good, "\"d/x.so\": flags: found 0x8, wanted those of votingd/stage.h"},
        {good, "\"d/x.so\": start and batch: found neither, wanted one; set .batch or .start"},
        {good, "\"d/x.so\": state_size: found 68719476736, wanted at most 67108864; allocate large "
               "things in start"},
        {good, NULL},
        {good, "\"d/x.so\": table \"*\": any number of them, wanted the name \"*\" and the last "
               "place"},
        {good, "\"d/x.so\": table \"more\": any number of them, wanted the name \"*\" and the "
               "last place"},
    };

    cases[1].desc.summary = "";
    cases[2].desc.inputs = twice;
    cases[3].desc.inputs = spaced;
    cases[4].desc.inputs = chained;
    cases[5].desc.tables = chained;
    cases[6].desc.outputs = both;
    cases[7].desc.inputs = NULL;
    cases[7].desc.outputs = chained;
    cases[8].desc.opts = ported;
    cases[9].desc.flags = 8;
    cases[10].desc.inputs = NULL;
    cases[10].desc.batch = NULL;
    cases[11].desc.state_size = (size_t)64 << 30;
    cases[12].desc.tables = further;
    cases[13].desc.tables = not_last;
    cases[14].desc.tables = not_star;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vd_err err = {0};
        enum vd_status status = vd_plugin_check(&cases[i].desc, "d/x.so", &err);

        assert_int_equal(status, cases[i].message == NULL ? VD_OK : VD_INVALID);
        assert_string_equal(err.msg, cases[i].message == NULL ? "" : cases[i].message);
    }
}

TEST(a_damaged_file_is_refused_wherever_it_is_cut)
{
    FILE *file = fopen(MODULES "/relay.so", "re");
    VD_AUTO(mem) char *bytes = vd_alloc(1 << 22);
    size_t len = 0;
    struct vd_err err = {0};

    assert_non_null(file);
    len = fread(bytes, 1, 1 << 22, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(vd_plugin_elf_check(bytes, len, &err), VD_OK);
    for (size_t cut = 0; cut < len; cut += cut < 4096 ? 1 : 509) {
        VD_AUTO(mem) char *part = vd_memdup(bytes, cut); /* so that a read behind it is noticed */

        assert_int_equal(vd_plugin_elf_check(part, cut, &err), VD_INVALID);
    }
}

/* A file whose bytes lie must neither crash nor be read past its end; its verdict may be either. */
TEST(a_file_with_changed_bytes_is_read_within_its_bounds)
{
    FILE *file = fopen(MODULES "/relay.so", "re");
    VD_AUTO(mem) char *bytes = vd_alloc(1 << 22);
    size_t len = 0;
    uint64_t seed = 20261103;
    size_t refused = 0;

    assert_non_null(file);
    len = fread(bytes, 1, 1 << 22, file);
    assert_int_equal(fclose(file), 0);
    for (size_t round = 0; round < 2000; round++) {
        VD_AUTO(mem) char *changed = vd_memdup(bytes, len);
        struct vd_err err = {0};

        for (size_t change = 0; change < 8; change++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            /* half of them in the file's head, half in the section headers at its end */
            changed[change % 2 == 0 ? (seed >> 33) % 64 : len - 1 - (seed >> 33) % 2048] =
                (char)(seed >> 20);
        }
        refused += vd_plugin_elf_check(changed, len, &err) == VD_OK ? 0 : 1;
    }
    assert_true(refused > 1000);
}

RUN_TESTS(cmocka_unit_test(a_good_module_is_loaded_once),
          cmocka_unit_test(a_differing_module_is_refused_with_field_found_wanted_and_remedy),
          cmocka_unit_test(a_module_of_an_older_minor_is_loaded_without_what_came_later),
          cmocka_unit_test(a_missing_function_fails_the_load),
          cmocka_unit_test(an_unknown_name_is_answered_with_folders_and_the_nearest),
          cmocka_unit_test(files_and_folders_that_others_may_write_are_refused),
          cmocka_unit_test(files_of_other_users_are_refused),
          cmocka_unit_test(only_regular_elf_files_are_loaded),
          cmocka_unit_test(the_folder_behind_a_link_is_checked_too),
          cmocka_unit_test(a_module_in_two_folders_is_refused),
          cmocka_unit_test(modules_are_listed_by_name_without_loading_them),
          cmocka_unit_test(descriptors_of_the_wrong_form_are_refused),
          cmocka_unit_test(a_damaged_file_is_refused_wherever_it_is_cut),
          cmocka_unit_test(a_file_with_changed_bytes_is_read_within_its_bounds))
