/* The command line: what is asked for, and the exit code. */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/audit_run.h"
#include "core/letters.h"
#include "core/node.h"
#include "core/web_password.h"

static const char usage[] =
    "usage: votingd --topology FILE [OPTION]...\n"
    "       votingd --topology FILE --dead-letters list|show|replay|purge [FILTER]...\n"
    "       votingd --list-stages | --describe STAGE\n"
    "       votingd --hash-password NAME:ROLE\n"
    "\n"
    "Run the stages of a topology on this node until SIGINT or SIGTERM.\n"
    "\n"
    "  --topology FILE          the topology to run\n"
    "  --check                  say what would run, or what is wrong, and exit\n"
    "  --connect                with --check: also ask broker and database\n"
    "  --audit                  recount from raw data what the stages have written,\n"
    "                           compare it with what is published, and exit\n"
    "  --format text|json       with --audit: as a table (default), or as one JSON object\n"
    "  --node NAME              name of this node (default: main)\n"
    "  --enable STAGE           run a stage that the topology disables; repeatable\n"
    "  --disable STAGE          leave a stage out; repeatable\n"
    "  --set SECTION.KEY=VALUE  replace a value of the topology; repeatable\n"
    "\n"
    "  --dead-letters ACTION    what stages have set aside (docs/dead-letters.md):\n"
    "      list                 the letters, and how many there are for each reason\n"
    "      show                 one of them whole\n"
    "      replay               write the records back to where they came from, once\n"
    "      purge                delete letters that were replayed\n"
    "    replay and purge take rejected records only if --topic names theirs\n"
    "    --stage NAME           set aside by this stage\n"
    "    --topic TOPIC          kept in this topic ...\n"
    "    --partition N          ... and partition, ...\n"
    "    --offset A..B          ... at these offsets; also A, A.. or ..B\n"
    "    --reason TEXT          with this in its reason\n"
    "    --key TEXT             with this key\n"
    "    --since, --until TIME  set aside then: 2026-11-03T20:15:00Z, or 90s, 15m, 2h\n"
    "                           or 7d ago\n"
    "    --open                 not replayed\n"
    "    --limit N              at most N (default: list 100, show 1, replay all)\n"
    "    --format text|json     list, show: in words, or JSON, a line each\n"
    "    --dry-run              replay, purge: only say what would be done\n"
    "    --yes                  purge: do not ask\n"
    "    --force                purge: also what was not replayed\n"
    "\n"
    "  --list-stages            the stage modules that are found\n"
    "  --describe STAGE         ports and options of a stage; \"engine\": those of\n"
    "                           the other sections; \"all\": everything\n"
    "  --markdown               with --describe: as Markdown\n"
    "  --plugin-path FOLDERS    where these two look, separated by colons (default:\n"
    "                           $VOTINGD_PLUGINS, else the folder of the installation)\n"
    "\n"
    "  --hash-password NAME:ROLE\n"
    "                           ask for a password (or read a line of standard input)\n"
    "                           and print its line for the file of users; ROLE is\n"
    "                           viewer, operator or admin (docs/access.md)\n"
    "\n"
    "  --version                version of votingd and of its stage interface\n"
    "  --help                   this text\n"
    "\n"
    "exit codes\n"
    "  0  done, stopped as asked, checked and right; --audit: every invariant holds\n"
    "  1  something outside failed for good, or a stage could not start; --audit:\n"
    "     something differs; --dead-letters: some could not be replayed\n"
    "  2  the command line is wrong\n"
    "  3  the topology is wrong\n"
    "  4  another process runs under this node's name, or another replay took over\n"
    "  5  the drain did not end in time, or Kafka did not answer in the middle of\n"
    "     a transaction: nothing is lost, some work will be repeated\n"
    "  6  --audit: not at rest, so nothing is known; run it again when all is counted\n"
    "  7  --audit: broker or database could not be read\n"
    "  8  a second SIGINT or SIGTERM ended the drain: nothing is lost either\n";

enum action {
    ACTION_RUN,
    ACTION_LIST,
    ACTION_DESCRIBE,
    ACTION_HASH_PASSWORD,
    ACTION_VERSION,
    ACTION_HELP,
};

struct command_line {
    enum action action;
    struct vd_topology_args args;
    const char **set, **enable, **disable; /* as many as there are arguments */
    const char *describe;
    const char *name_role;
    const char *plugin_path;
    struct vd_letters_conf letters;
    const char *letters_option; /* the last one given; NULL: none */
    const char *format;
    bool is_check, is_connect, is_audit, is_markdown;
};

enum letter {
    LETTER_TOPOLOGY = 256,
    LETTER_CHECK,
    LETTER_CONNECT,
    LETTER_AUDIT,
    LETTER_FORMAT,
    LETTER_NODE,
    LETTER_ENABLE,
    LETTER_DISABLE,
    LETTER_SET,
    LETTER_DEAD_LETTERS,
    LETTER_OF_DEAD_LETTERS, /* an option of vd_letters_opts */
    LETTER_LIST,
    LETTER_DESCRIBE,
    LETTER_MARKDOWN,
    LETTER_PLUGIN_PATH,
    LETTER_HASH_PASSWORD,
    LETTER_VERSION,
    LETTER_HELP,
};

static const struct option long_options[] = {
    {"topology", required_argument, NULL, LETTER_TOPOLOGY},
    {"check", no_argument, NULL, LETTER_CHECK},
    {"connect", no_argument, NULL, LETTER_CONNECT},
    {"audit", no_argument, NULL, LETTER_AUDIT},
    {"format", required_argument, NULL, LETTER_FORMAT},
    {"node", required_argument, NULL, LETTER_NODE},
    {"enable", required_argument, NULL, LETTER_ENABLE},
    {"disable", required_argument, NULL, LETTER_DISABLE},
    {"set", required_argument, NULL, LETTER_SET},
    {"dead-letters", required_argument, NULL, LETTER_DEAD_LETTERS},
    {"stage", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"topic", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"partition", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"offset", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"reason", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"key", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"since", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"until", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"open", no_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"limit", required_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"dry-run", no_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"yes", no_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"force", no_argument, NULL, LETTER_OF_DEAD_LETTERS},
    {"list-stages", no_argument, NULL, LETTER_LIST},
    {"describe", required_argument, NULL, LETTER_DESCRIBE},
    {"markdown", no_argument, NULL, LETTER_MARKDOWN},
    {"plugin-path", required_argument, NULL, LETTER_PLUGIN_PATH},
    {"hash-password", required_argument, NULL, LETTER_HASH_PASSWORD},
    {"version", no_argument, NULL, LETTER_VERSION},
    {"help", no_argument, NULL, LETTER_HELP},
    {NULL, 0, NULL, 0},
};

#define OPTION_COUNT (sizeof(long_options) / sizeof(*long_options) - 1)

/* ---- the command line ------------------------------------------------------------------------ */

/* An option of one letter, of which there are none; they may be written together, "-xy". */
static enum vd_status fail_letter(int letter, struct vd_err *err)
{
    return vd_fail(err, VD_INVALID, "unknown option \"-%c\"; --help lists them", letter);
}

/* What getopt_long did not take: 'argument' is as it was written, "--topolgy=x". */
static enum vd_status fail_unknown(const char *argument, struct vd_err *err)
{
    const char *names[OPTION_COUNT];
    const char *bare = argument + strspn(argument, "-");
    VD_AUTO(mem) char *name = vd_strndup(bare, strcspn(bare, "="));
    const char *nearest = NULL;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        names[i] = long_options[i].name;
        if (strcmp(names[i], name) == 0) {
            return vd_fail(err, VD_INVALID, "option --%s takes no value", name);
        }
    }
    nearest = vd_nearest(name, names, OPTION_COUNT);
    if (nearest != NULL) {
        return vd_fail(err, VD_INVALID, "unknown option \"%s\"; did you mean --%s?", argument,
                       nearest);
    }
    return vd_fail(err, VD_INVALID, "unknown option \"%s\"; --help lists them", argument);
}

/* An option of vd_letters_opts; 'value' is NULL for one that takes none. */
static enum vd_status take_letters_option(struct command_line *line, const char *name,
                                          const char *value, struct vd_err *err)
{
    VD_AUTO(mem) char *option = vd_strdup(name);

    for (char *at = strchr(option, '-'); at != NULL; at = strchr(at, '-')) {
        *at = '_'; /* as the field is called */
    }
    line->letters_option = name;
    return vd_opt_set(vd_letters_opts, &line->letters, option, value != NULL ? value : "yes", err);
}

/* Take an option. False: it is none of ours. */
static bool take_option(struct command_line *line, int letter, const char *value)
{
    switch ((enum letter)letter) {
    case LETTER_TOPOLOGY:
        line->args.path = value;
        return true;
    case LETTER_CHECK:
        line->is_check = true;
        return true;
    case LETTER_CONNECT:
        line->is_connect = true;
        return true;
    case LETTER_AUDIT:
        line->is_audit = true;
        return true;
    case LETTER_FORMAT:
        line->format = value;
        return true;
    case LETTER_NODE:
        line->args.node = value;
        return true;
    case LETTER_ENABLE:
        line->enable[line->args.enable_count++] = value;
        return true;
    case LETTER_DISABLE:
        line->disable[line->args.disable_count++] = value;
        return true;
    case LETTER_SET:
        line->set[line->args.set_count++] = value;
        return true;
    case LETTER_DEAD_LETTERS:
        line->letters.action = value;
        return true;
    case LETTER_OF_DEAD_LETTERS:
        return true; /* taken already, with its name */
    case LETTER_LIST:
        line->action = ACTION_LIST;
        return true;
    case LETTER_DESCRIBE:
        line->action = ACTION_DESCRIBE;
        line->describe = value;
        return true;
    case LETTER_MARKDOWN:
        line->is_markdown = true;
        return true;
    case LETTER_PLUGIN_PATH:
        line->plugin_path = value;
        return true;
    case LETTER_HASH_PASSWORD:
        line->action = ACTION_HASH_PASSWORD;
        line->name_role = value;
        return true;
    case LETTER_VERSION:
        line->action = ACTION_VERSION;
        return true;
    case LETTER_HELP:
        line->action = ACTION_HELP;
        return true;
    }
    return false;
}

static enum vd_status check_command_line(const struct command_line *line, struct vd_err *err)
{
    if (line->action == ACTION_RUN && line->args.path == NULL) {
        return vd_fail(err, VD_INVALID, "--topology FILE is missing; --help lists the options");
    }
    if (line->letters.action != NULL && (line->is_check || line->is_audit)) {
        return vd_fail(err, VD_INVALID, "--%s and --dead-letters exclude each other",
                       line->is_check ? "check" : "audit");
    }
    if (line->letters.action == NULL && line->letters_option != NULL) {
        return vd_fail(err, VD_INVALID, "--%s belongs to --dead-letters", line->letters_option);
    }
    if (line->is_connect && !line->is_check) {
        return vd_fail(err, VD_INVALID, "--connect belongs to --check");
    }
    if (line->is_check && line->is_audit) {
        return vd_fail(err, VD_INVALID, "--check and --audit exclude each other");
    }
    if (line->format != NULL && !line->is_audit && line->letters.action == NULL) {
        return vd_fail(err, VD_INVALID, "--format belongs to --audit and --dead-letters");
    }
    if (line->format != NULL && strcmp(line->format, "text") != 0 &&
        strcmp(line->format, "json") != 0) {
        return vd_fail(err, VD_INVALID, "option --format: must be text or json, got \"%s\"",
                       line->format);
    }
    if (line->is_markdown && line->action != ACTION_DESCRIBE) {
        return vd_fail(err, VD_INVALID, "--markdown belongs to --describe");
    }
    if (line->plugin_path != NULL && line->action == ACTION_RUN) {
        return vd_fail(err, VD_INVALID,
                       "--plugin-path belongs to --list-stages and --describe; of a topology use "
                       "--set votingd.plugin_path=FOLDERS");
    }
    return line->letters.action == NULL ? VD_OK : vd_letters_check(&line->letters, err);
}

static enum vd_status parse_command_line(struct command_line *line, int argc, char **argv,
                                         struct vd_err *err)
{
    int letter = 0;
    int nth = 0;

    opterr = 0; /* the words are ours */
    while ((letter = getopt_long(argc, argv, ":", long_options, &nth)) != -1) {
        if (letter == ':') {
            return vd_fail(err, VD_INVALID, "option %s needs a value", argv[optind - 1]);
        }
        if (letter == LETTER_OF_DEAD_LETTERS &&
            take_letters_option(line, long_options[nth].name, optarg, err) != VD_OK) {
            return err->status;
        }
        if (!take_option(line, letter, optarg)) {
            return optopt > 0 && optopt < LETTER_TOPOLOGY ? fail_letter(optopt, err)
                                                          : fail_unknown(argv[optind - 1], err);
        }
    }
    if (optind < argc) {
        return vd_fail(err, VD_INVALID,
                       "unexpected argument \"%s\"; a topology is given with "
                       "--topology",
                       argv[optind]);
    }
    line->args.set = line->set;
    line->args.enable = line->enable;
    line->args.disable = line->disable;
    line->letters.is_json = line->format != NULL && strcmp(line->format, "json") == 0;
    return check_command_line(line, err);
}

/* ---- what it asks for ------------------------------------------------------------------------ */

static int print(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
        perror("votingd: could not write");
        return VD_EXIT_FAILURE;
    }
    return VD_EXIT_OK;
}

static int complain(int code, const struct vd_err *err)
{
    (void)fprintf(stderr, "votingd: %s\n", err->msg); /* there is nowhere else to say it */
    return code;
}

static struct vd_plugins *open_plugins(const struct command_line *line)
{
    const char *path = line->plugin_path;

    if (path == NULL) {
        path = getenv("VOTINGD_PLUGINS");
    }
    return vd_plugins_new(path != NULL && *path != '\0' ? path : VD_PLUGIN_DIR);
}

static int list_stages(const struct command_line *line)
{
    struct vd_plugins *plugins = open_plugins(line);
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_describe_list(plugins, &out);
    vd_plugins_free(plugins);
    return print(vd_buf_text(&out));
}

/* The engine's sections, then every stage. */
static enum vd_status describe_all(struct vd_plugins *plugins, enum vd_describe_form form,
                                   struct vd_buf *out, struct vd_err *err)
{
    char **names = NULL;
    size_t count = vd_plugins_list(plugins, &names);
    enum vd_status status = VD_OK;

    vd_describe_engine(form, out);
    for (size_t i = 0; i < count; i++) {
        const struct vd_stage_desc *desc = NULL;

        if (status == VD_OK) {
            status = vd_plugins_find(plugins, names[i], &desc, err);
        }
        if (status == VD_OK) {
            vd_buf_add_char(out, '\n');
            vd_describe_stage(desc, form, out);
        }
        free(names[i]);
    }
    free(names);
    return status;
}

static int describe(const struct command_line *line)
{
    enum vd_describe_form form = line->is_markdown ? VD_DESCRIBE_MARKDOWN : VD_DESCRIBE_TEXT;
    struct vd_plugins *plugins = open_plugins(line);
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_err err = {0};
    enum vd_status status = VD_OK;

    if (strcmp(line->describe, "engine") == 0) {
        vd_describe_engine(form, &out);
    } else if (strcmp(line->describe, "all") == 0) {
        status = describe_all(plugins, form, &out, &err);
    } else {
        const struct vd_stage_desc *desc = NULL;

        status = vd_plugins_find(plugins, line->describe, &desc, &err);
        if (status == VD_OK) {
            vd_describe_stage(desc, form, &out);
        }
    }
    vd_plugins_free(plugins);
    return status == VD_OK ? print(vd_buf_text(&out)) : complain(VD_EXIT_USAGE, &err);
}

static int hash_password(const char *name_role)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_err err = {0};

    if (vd_web_password_line(name_role, &out, &err) != VD_OK) {
        (void)vd_fail_in(&err, "--hash-password");
        return complain(err.status == VD_INVALID ? VD_EXIT_USAGE : VD_EXIT_FAILURE, &err);
    }
    return print(vd_buf_text(&out));
}

static int print_version(void)
{
    VD_AUTO(mem)
    char *text = vd_format("votingd %s\nstage interface %d.%d, librdkafka %s\n", VD_VERSION,
                           VD_ABI_MAJOR, VD_ABI_MINOR, rd_kafka_version_str());

    return print(text);
}

static void on_error(void *arg, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", text); /* there is nowhere else to say it */
}

static int check(struct vd_topology *topology, bool is_connect)
{
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_err err = {0};

    if (vd_web_check_files(&topology->web, &err) != VD_OK) {
        (void)vd_fail_in(&err, "section [http]");
        return complain(VD_EXIT_CONFIG, &err);
    }
    vd_topology_summarise(topology, &out);
    if (is_connect && vd_node_check_connect(topology, &err) != VD_OK) {
        return complain(err.status == VD_INVALID ? VD_EXIT_CONFIG : VD_EXIT_FAILURE, &err);
    }
    vd_buf_add_text(&out, "\nok\n");
    return print(vd_buf_text(&out));
}

static int audit(struct vd_topology *topology, bool is_json)
{
    static const int codes[] = {
        [VD_AUDIT_HOLDS] = VD_EXIT_OK,
        [VD_AUDIT_DIFFERS] = VD_EXIT_FAILURE,
        [VD_AUDIT_MOVING] = VD_EXIT_MOVING,
    };
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_err err = {0};
    enum vd_audit_outcome outcome = VD_AUDIT_HOLDS;

    if (vd_audit_topology(topology, is_json, &out, &outcome, &err) != VD_OK) {
        return complain(err.status == VD_INVALID ? VD_EXIT_CONFIG : VD_EXIT_UNREAD, &err);
    }
    return print(vd_buf_text(&out)) == VD_EXIT_OK ? codes[outcome] : VD_EXIT_FAILURE;
}

static int run(const struct command_line *line)
{
    struct vd_topology topology = {0};
    struct vd_err err = {0};
    int code = VD_EXIT_OK;

    if (vd_topology_load(&topology, &line->args, on_error, NULL, &err) != VD_OK) {
        code = complain(VD_EXIT_CONFIG, &err);
    } else if (line->is_check) {
        code = check(&topology, line->is_connect);
    } else if (line->is_audit) {
        code = audit(&topology, line->format != NULL && strcmp(line->format, "json") == 0);
    } else if (line->letters.action != NULL) {
        code = vd_letters_run(&topology, &line->letters);
    } else {
        code = vd_node_run(&topology);
    }
    vd_topology_fini(&topology);
    return code;
}

static int act(const struct command_line *line)
{
    switch (line->action) {
    case ACTION_RUN:
        return run(line);
    case ACTION_LIST:
        return list_stages(line);
    case ACTION_DESCRIBE:
        return describe(line);
    case ACTION_HASH_PASSWORD:
        return hash_password(line->name_role);
    case ACTION_VERSION:
        return print_version();
    case ACTION_HELP:
        return print(usage);
    }
    return VD_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct command_line line = {
        .set = vd_alloc_array((size_t)argc, sizeof(char *)),
        .enable = vd_alloc_array((size_t)argc, sizeof(char *)),
        .disable = vd_alloc_array((size_t)argc, sizeof(char *)),
    };
    struct vd_err err = {0};
    int code = VD_EXIT_OK;

    vd_opt_defaults(vd_letters_opts, &line.letters);
    if (parse_command_line(&line, argc, argv, &err) != VD_OK) {
        code = complain(VD_EXIT_USAGE, &err);
    } else {
        code = act(&line);
    }
    vd_opt_fini(vd_letters_opts, &line.letters);
    free(line.set);
    free(line.enable);
    free(line.disable);
    return code;
}
