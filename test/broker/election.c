/* Running the real daemon on topics and a database of its own. */
#include "election.h"

#include "../unit/test.h"
#include "../wait.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 100
#define LOOK_MS 20
#define EXIT_S 90        /* beyond every deadline of a node's own */
#define ANSWER_S 20      /* of a node to a request ... */
#define METRICS_MS 30000 /* ... and of one that starts */
#define TAIL_BYTES 200   /* of a log, told with what went wrong */
#define REASON_BYTES 1200
#define FILE_BYTES_MAX 65536

static const char *const variables[] = {"KAFKA_BROKERS",   "DATABASE_URL", "VOTINGD",
                                        "VOTINGD_PLUGINS", "VOTINGD_WWW",  "VOTINGD_SOURCE"};

bool election_is_possible(void)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (getenv(variables[i]) == NULL) {
            print_message("%s is not set\n", variables[i]);
            return false;
        }
    }
    return true;
}

static char *join(const char *a, const char *b, const char *c)
{
    char *text = calloc(1, strlen(a) + strlen(b) + strlen(c) + 1);

    strcat(strcat(strcat(text, a), b), c);
    return text;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Words of the topology that name topics end in one of these;
 * each gets the election's name behind. */
static const char *const topic_names[] = {"voters_topic",
                                          "candidates_topic",
                                          "generator_progress",
                                          "votes_topic",
                                          "rejected_votes",
                                          "voters_dead",
                                          "votes_dead",
                                          "agg_partials",
                                          "aggregated_votes_per_candidate",
                                          "aggregated_turnout_by_location",
                                          "aggregated_turnout_by_age",
                                          "aggregated_turnout_by_age_group",
                                          "aggregated_turnout_by_gender",
                                          "aggregated_party_wise_votes",
                                          "aggregated_votes_by_region",
                                          "aggregated_votes_by_state_and_candidate",
                                          "enriched_votes",
                                          "enriched_dead",
                                          "votingd_nodes"};
#define TOPICS (sizeof(topic_names) / sizeof(topic_names[0]))

static bool is_topic(const char *word, size_t len)
{
    for (size_t i = 0; i < TOPICS; i++) {
        if (strlen(topic_names[i]) == len && memcmp(topic_names[i], word, len) == 0) {
            return true;
        }
    }
    return false;
}

static void write_topology(const struct election *election, const char *config, const char *target)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    char *path = join(getenv("VOTINGD_SOURCE"), "/config/", config);
    char *text = calloc(1, FILE_BYTES_MAX);
    FILE *in = fopen(path, "re");
    FILE *out = fopen(target, "we");

    assert_non_null(in);
    assert_non_null(out);
    assert_true(fread(text, 1, FILE_BYTES_MAX - 1, in) > 0);
    for (const char *at = text; *at != '\0';) {
        size_t word = strspn(at, letters);

        if (word == 0) {
            fputc(*at++, out);
            continue;
        }
        fwrite(at, 1, word, out);
        if (is_topic(at, word)) {
            fprintf(out, "-%s", election->name);
        }
        at += word;
    }
    fclose(in);
    fclose(out);
    free(text);
    free(path);
}

/* DATABASE_URL with another database's name: postgresql://user:pw@host:port/NAME */
static char *database_named(const char *name)
{
    char *url = strdup(getenv("DATABASE_URL"));
    char *slash = strrchr(url, '/');
    char *answer;

    assert_non_null(slash);
    slash[1] = '\0';
    answer = join(url, name, "");
    free(url);
    return answer;
}

static void run_sql(const char *conninfo, const char *verb, const char *name)
{
    char sql[256];
    PGconn *connection = PQconnectdb(conninfo);
    PGresult *result;

    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    (void)snprintf(sql, sizeof(sql), "%s DATABASE \"%s\"%s", verb, name,
                   strcmp(verb, "DROP") == 0 ? " WITH (FORCE)" : "");
    result = PQexec(connection, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(connection);
}

void election_open(struct election *election, const char *stem)
{
    memset(election, 0, sizeof(*election));
    election->name = peer_name(stem);
    election->topology = join("/tmp/votingd-test-", election->name, ".ini");
    write_topology(election, "election.ini", election->topology);
    run_sql(getenv("DATABASE_URL"), "CREATE", election->name);
    election->database = database_named(election->name);
}

char *election_topic(const struct election *election, const char *name)
{
    return join(name, "-", election->name);
}

/* Those that were never made are refused, which nobody minds. */
static void delete_topics(const struct election *election)
{
    char *topics[TOPICS];

    for (size_t i = 0; i < TOPICS; i++) {
        topics[i] = election_topic(election, topic_names[i]);
    }
    peer_delete_topics(topics, TOPICS);
    for (size_t i = 0; i < TOPICS; i++) {
        free(topics[i]);
    }
}

void election_close(struct election *election)
{
    for (int n = 0; n < NODES_MAX; n++) {
        if (election->nodes[n].pid != 0) {
            (void)election_stop(election, n, SIGKILL);
        }
        if (election->nodes[n].log != NULL) {
            (void)unlink(election->nodes[n].log);
        }
        free(election->nodes[n].log);
    }
    if (election->sql != NULL) {
        PQfinish(election->sql);
    }
    run_sql(getenv("DATABASE_URL"), "DROP", election->name);
    delete_topics(election);
    (void)unlink(election->topology);
    free(election->topology);
    free(election->database);
    free(election->name);
}

char *election_topology(const struct election *election, const char *config)
{
    char *stem = join("/tmp/votingd-test-", election->name, "-");
    char *path = join(stem, config, "");

    write_topology(election, config, path);
    free(stem);
    return path;
}

/* In the child: the daemon with its own log, database, port and application. */
static void become_node(const struct election *election, int n, const char *const *more)
{
    const struct node *node = &election->nodes[n];
    char name[16];
    char listen[32];
    char application[192];
    const char *words[40] = {getenv("VOTINGD"), "--topology", election->topology, "--node", name,
                             "--set",           application};
    int count = 7;
    int fd = open(node->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    (void)snprintf(name, sizeof(name), "n%d", n);
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", node->port);
    (void)snprintf(application, sizeof(application), "votingd.application=%s", election->name);
    for (; *more != NULL && count < 39; more++) {
        words[count++] = *more;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no daemon behind */
    setenv("DATABASE_URL",
           election->node_database != NULL ? election->node_database : election->database, 1);
    if (election->node_brokers != NULL) {
        setenv("KAFKA_BROKERS", election->node_brokers, 1);
    }
    setenv("VOTINGD_LISTEN", listen, 1);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    execv(words[0], (char *const *)(uintptr_t)words);
    _exit(127);
}

void election_start(struct election *election, int n, ...)
{
    struct node *node = &election->nodes[n];
    const char *more[32] = {NULL};
    va_list args;
    char text[32];

    va_start(args, n);
    for (int i = 0; i < 31 && (more[i] = va_arg(args, const char *)) != NULL; i++) {
    }
    va_end(args);
    if (node->log == NULL) {
        (void)snprintf(text, sizeof(text), "-n%d.log", n);
        node->log = join("/tmp/votingd-test-", election->name, text);
        node->port = free_port();
    }
    node->pid = fork();
    assert_true(node->pid >= 0);
    if (node->pid == 0) {
        become_node(election, n, more);
    }
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void print_log(const char *path)
{
    char line[1024];
    FILE *log = fopen(path, "re");

    print_message("---- %s\n", path);
    while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
        print_message("%s", line);
    }
    if (log != NULL) {
        fclose(log);
    }
}

char *election_log(const struct election *election, int n)
{
    size_t len = 0;
    char *text = NULL;
    FILE *log = fopen(election->nodes[n].log, "re");

    if (log != NULL) {
        if (getdelim(&text, &len, '\0', log) < 0) {
            free(text);
            text = NULL;
        }
        fclose(log);
    }
    return text != NULL ? text : strdup("");
}

/* The last line of a log, cut to fit; the caller frees it. */
static char *last_line(const struct election *election, int n)
{
    char *log = election_log(election, n);
    size_t len = strlen(log);
    size_t from;
    char *line;

    len -= len > 0 && log[len - 1] == '\n';
    from = len;
    while (from > 0 && log[from - 1] != '\n') {
        from--;
    }
    line = strndup(log + from, len - from < TAIL_BYTES ? len - from : TAIL_BYTES);
    free(log);
    return line;
}

/* In one line, since a record of failures may keep only those that say "ERROR". */
void election_give_up(struct election *election, const char *reason)
{
    char text[REASON_BYTES];

    (void)snprintf(text, sizeof(text), "%s", reason);
    for (int n = 0; n < NODES_MAX; n++) {
        if (election->nodes[n].log != NULL) {
            size_t len = strlen(text);
            char *line = last_line(election, n);

            (void)snprintf(text + len, sizeof(text) - len, "; n%d%s logged last: %s", n,
                           election->nodes[n].pid != 0 ? "" : ", which has ended,", line);
            free(line);
            print_log(election->nodes[n].log);
        }
        if (election->nodes[n].pid != 0) {
            kill(election->nodes[n].pid, SIGKILL);
        }
    }
    print_message("FAILED: %s\n", text); /* also in a program that is no test */
    fail_msg("%s", text);
}

void election_must_run(struct election *election, int n)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)election->nodes[n].pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0) {
        election_give_up(election, "the node has ended by itself");
    }
}

void election_look_again(struct election *election, int64_t deadline_ms, const char *words)
{
    for (int n = 0; n < NODES_MAX; n++) {
        if (election->nodes[n].pid != 0) {
            election_must_run(election, n);
        }
    }
    if (now_ms() > deadline_ms) {
        election_give_up(election, words);
    }
    pause_ms(LOOK_MS);
}

int election_wait_exit(struct election *election, int n, int seconds)
{
    struct node *node = &election->nodes[n];
    int64_t deadline_ms = now_ms() + seconds * INT64_C(1000);
    int status;

    while (waitpid(node->pid, &status, WNOHANG) == 0) {
        if (now_ms() > deadline_ms) {
            election_give_up(election, "the node did not end in time");
        }
        pause_ms(POLL_MS);
    }
    node->pid = 0;
    return exit_code(status);
}

int election_stop(struct election *election, int n, int signal)
{
    kill(election->nodes[n].pid, signal);
    return election_wait_exit(election, n, EXIT_S);
}

static void connect_sql(struct election *election)
{
    if (election->sql != NULL && PQstatus(election->sql) == CONNECTION_OK) {
        return;
    }
    if (election->sql != NULL) {
        PQfinish(election->sql);
    }
    election->sql = PQconnectdb(election->database);
}

/* Once more over a new connection, if the server was started anew since the last statement. */
static PGresult *query(struct election *election, const char *sql)
{
    PGresult *result;

    connect_sql(election);
    result = PQexec(election->sql, sql);
    if (PQstatus(election->sql) != CONNECTION_OK) {
        PQclear(result);
        connect_sql(election);
        result = PQexec(election->sql, sql);
    }
    return result;
}

int64_t election_count(struct election *election, const char *sql)
{
    PGresult *result = query(election, sql);
    int64_t answer = -1;

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0) {
        answer = atoll(PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return answer;
}

char *election_text(struct election *election, const char *sql)
{
    PGresult *result = query(election, sql);
    char *answer = NULL;

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0) {
        answer = strdup(PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return answer;
}

void election_execute(struct election *election, const char *sql)
{
    PGresult *result = query(election, sql);

    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(election->sql));
    }
    PQclear(result);
}

struct body {
    char *text;
    size_t len;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    struct body *body = arg;

    body->text = realloc(body->text, body->len + size * count + 1);
    memcpy(body->text + body->len, bytes, size * count);
    body->len += size * count;
    body->text[body->len] = '\0';
    return size * count;
}

int election_get(struct election *election, int n, const char *path, char **out)
{
    char url[256];
    struct body body = {.text = calloc(1, 1)};
    long status = 0;
    CURL *curl = curl_easy_init();

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", election->nodes[n].port, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_S);
    if (curl_easy_perform(curl) == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_easy_cleanup(curl);
    if (out != NULL) {
        *out = body.text;
    } else {
        free(body.text);
    }
    return (int)status;
}

void election_wait_log(struct election *election, int n, const char *words, int seconds)
{
    int64_t deadline_ms = now_ms() + seconds * INT64_C(1000);
    bool is_there = false;

    while (!is_there) {
        char *text = election_log(election, n);

        is_there = strstr(text, words) != NULL;
        free(text);
        if (!is_there && now_ms() > deadline_ms) {
            char reason[REASON_BYTES];

            (void)snprintf(reason, sizeof(reason), "n%d did not log \"%s\" in %d s", n, words,
                           seconds);
            election_give_up(election, reason);
        }
        pause_ms(is_there ? 0 : POLL_MS);
    }
}

double election_metric(struct election *election, int n, const char *name)
{
    const int64_t deadline_ms = now_ms() + METRICS_MS;
    char *body = NULL;
    double value = -1;
    size_t len = strlen(name);

    while (election_get(election, n, "/metrics", &body) != 200 && now_ms() < deadline_ms) {
        election_must_run(election, n);
        free(body);
        pause_ms(LOOK_MS);
    }
    for (const char *line = body; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ' ') {
            value = atof(line + len);
        }
    }
    free(body);
    return value;
}

int election_audit(const struct election *election, const char *more, char *output, size_t bytes)
{
    char command[1024];
    FILE *pipe;

    (void)snprintf(
        command, sizeof(command),
        "DATABASE_URL='%s' %s --topology %s --set votingd.application=%s --audit %s 2>&1",
        election->database, getenv("VOTINGD"), election->topology, election->name, more);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    output[fread(output, 1, bytes - 1, pipe)] = '\0';
    return exit_code(pclose(pipe));
}

void election_server(const char *words)
{
    char *command = join(getenv("VOTINGD_TEST_LOCAL"), " ", words);

    if (system(command) != 0) {
        print_message("FAILED: %s\n", command);
        fail_msg("%s", command);
    }
    free(command);
}
