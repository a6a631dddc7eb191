/* The model checker's command line: what to explore, and what is expected of it. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recount.h"
#include "takeover.h"
#include "voting.h"

enum {
    STATES_MAX = 12000000,
};

struct word {
    const char *name;
    unsigned value;
};

static const struct word parts[] = {
    {"high-watermark", PART_HIGH_WATERMARK},
    {"last", PART_LAST},
    {"self-check", PART_SELF_CHECK},
    {"statement-3", PART_STATEMENT_3},
    {"positions", PART_POSITIONS},
    {"row", PART_ROW},
    {"pure", PART_PURE},
    {"snapshot", PART_SNAPSHOT},
    {"fence", PART_FENCE},
    {"filters", PART_FILTERS},
    {"recycle", PART_RECYCLE},
    {"meta", PART_META},
    {"sums", PART_SUMS},
    {"rewind", PART_REWIND},
    {"progress", PART_PROGRESS},
    {"event", PART_EVENT},
    {"recounted", PART_RECOUNTED},
    {"again", PART_AGAIN},
    {NULL, 0},
};

static const struct word fault_words[] = {
    {"kill", FAULT_KILL},
    {"rebalance", FAULT_REBALANCE},
    {"doubt", FAULT_DOUBT},
    {"timeout", FAULT_TIMEOUT},
    {"pg", FAULT_PG},
    {"topic", FAULT_TOPIC},
    {"topic-live", FAULT_TOPIC_LIVE},
    {"offsets", FAULT_OFFSETS},
    {"rebuild", FAULT_REBUILD},
    {NULL, 0},
};

static const char usage[] =
    "usage: model [option ...] voting | takeover | recount\n"
    "  --input LETTERS        one letter a record: its voter            [aba, others: abc]\n"
    "  --faults NAME=N,...    what may go wrong, and how often          [kill=1,rebalance=1]\n"
    "  --without NAME,...     leave these parts of the protocol out\n"
    "  --expect holds|violation                                         [holds]\n"
    "  --only WORDS           look only for properties whose text contains WORDS\n"
    "  --states-max N         give up after so many states\n"
    "  --verbose              the state after each move of a trace\n"
    "  --quiet                no trace\n"
    "exit status: 0 as expected, 1 not as expected, 2 wrong use\n";

static const struct word *find_word(const struct word *words, const char *name)
{
    while (words->name != NULL && strcmp(words->name, name) != 0) {
        words++;
    }
    return words->name == NULL ? NULL : words;
}

__attribute__((noreturn)) static void refuse(const char *what, const char *name)
{
    (void)fprintf(stderr, "%s \"%s\" is not known\n%s", what, name, usage);
    exit(2);
}

static unsigned read_words(const struct word *words, const char *what, char *list)
{
    unsigned bits = 0;
    char *rest = NULL;

    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        const struct word *word = find_word(words, name);

        if (word == NULL) {
            refuse(what, name);
        }
        bits |= word->value;
    }
    return bits;
}

static void read_faults(struct setup *setup, char *list)
{
    char *rest = NULL;

    memset(setup->faults, 0, sizeof(setup->faults));
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        char *count = strchr(name, '=');
        const struct word *word;

        if (count != NULL) {
            *count++ = '\0';
        }
        word = find_word(fault_words, name);
        if (word == NULL || (count != NULL && strspn(count, "0123456789") != strlen(count))) {
            refuse("fault", name);
        }
        setup->faults[word->value] = count == NULL ? 1 : (uint8_t)strtoul(count, NULL, 10);
    }
}

static void read_input(struct setup *setup, const char *letters)
{
    size_t count = strlen(letters);

    if (count == 0 || count > INPUT_MAX || strspn(letters, "abcd") != count) {
        refuse("input", letters);
    }
    setup->input = letters;
    setup->records = (uint8_t)count;
}

struct request {
    struct setup setup;
    const struct model *model;
    enum verdict expected;
    struct search search;
};

static void read_option(struct request *request, int option, char *value)
{
    switch (option) {
    case 'i':
        read_input(&request->setup, value);
        break;
    case 'f':
        read_faults(&request->setup, value);
        break;
    case 'o':
        request->setup.without = read_words(parts, "part", value);
        break;
    case 'b':
        request->search.only = value;
        break;
    case 'e':
        if (strcmp(value, "violation") != 0 && strcmp(value, "holds") != 0) {
            refuse("expectation", value);
        }
        request->expected = value[0] == 'v' ? VERDICT_VIOLATION : VERDICT_HOLDS;
        break;
    case 's':
        request->search.states_max = strtoul(value, NULL, 10);
        break;
    case 'v':
        request->search.is_verbose = true;
        break;
    case 'q':
        request->search.trace = NULL;
        break;
    default:
        (void)fputs(usage, stderr);
        exit(2);
    }
}

static void read_arguments(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"input", required_argument, NULL, 'i'},
        {"faults", required_argument, NULL, 'f'},
        {"without", required_argument, NULL, 'o'},
        {"only", required_argument, NULL, 'b'},
        {"expect", required_argument, NULL, 'e'},
        {"states-max", required_argument, NULL, 's'},
        {"verbose", no_argument, NULL, 'v'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        read_option(request, option, optarg);
    }
    if (optind + 1 == argc && strcmp(argv[optind], "voting") == 0) {
        request->model = &voting_model;
    } else if (optind + 1 == argc && strcmp(argv[optind], "takeover") == 0) {
        request->model = &takeover_model;
    } else if (optind + 1 == argc && strcmp(argv[optind], "recount") == 0) {
        request->model = &recount_model;
    } else {
        read_option(request, '?', NULL);
    }
    for (unsigned fault = FAULT_PG; fault < FAULTS; fault++) {
        bool is_known = fault == FAULT_REBUILD ? request->model == &recount_model
                                               : request->model == &voting_model;

        if (!is_known && request->setup.faults[fault] > 0) {
            refuse("fault of this model", fault_words[fault].name);
        }
    }
    if (request->setup.input == NULL) {
        read_input(&request->setup, request->model == &voting_model ? "aba" : "abc");
    }
}

static bool is_as_expected(const struct request *request, const struct finding *finding)
{
    if (finding->verdict != request->expected) {
        return false;
    }
    if (finding->verdict == VERDICT_HOLDS && finding->done == 0) {
        (void)puts("but no history comes to its end: the model is wrong");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"holds", "violation", "undecided: too many states"};
    struct request request = {.search = {.states_max = STATES_MAX, .trace = stdout}};
    struct finding finding;
    clock_t begin = clock();

    request.setup.faults[FAULT_KILL] = 1;
    request.setup.faults[FAULT_REBALANCE] = 1;
    read_arguments(&request, argc, argv);
    finding = explore(request.model, &request.setup, &request.search);
    (void)printf("%s: %s: %zu states, %zu moves, depth %u, %zu with all work done; "
                 "%zu MB, %.1f s\n",
                 request.model->name, words[finding.verdict], finding.states, finding.moves,
                 finding.depth, finding.done, finding.bytes >> 20,
                 (double)(clock() - begin) / CLOCKS_PER_SEC);
    return is_as_expected(&request, &finding) ? 0 : 1;
}
