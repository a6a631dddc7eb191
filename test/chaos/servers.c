/* The servers of a test: deploy/local in a folder of its own, and proxy.c. */
#include "servers.h"
#include "../wait.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORTS_FROM 27000
#define PORTS_TO 30000
#define WORDS_BYTES 1024
#define GONE_S 60

/* Offsets from the first port; 2 to 5 as deploy/local's --proxy-port has them. */
enum port {
    KAFKA,
    CONTROLLER,
    PROXIED,
    INNER,
    KAFKA_PROXIED,
    KAFKA_INNER,
    POSTGRES,
    POSTGRES_PROXIED,
    CONTROL,
    PORT_COUNT
};

static char folder[128], command[512], brokers[32];
static int ports;       /* the first one */
static int keeper_pipe; /* its other end knows when we are gone */
static pid_t keeper;

__attribute__((noreturn)) static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static bool is_free(int port)
{
    const struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answer = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return answer;
}

static int find_ports(void)
{
    unsigned seed = (unsigned)getpid() ^ (unsigned)time(NULL);

    for (int attempt = 0; attempt < 100; attempt++) {
        int first = PORTS_FROM + rand_r(&seed) % (PORTS_TO - PORTS_FROM);
        int i = 0;

        while (i < PORT_COUNT && is_free(first + i)) {
            i++;
        }
        if (i == PORT_COUNT) {
            return first;
        }
    }
    give_up("no free ports");
}

/* ---- start and end --------------------------------------------------------------------------- */

static void locally(const char *words)
{
    char line[WORDS_BYTES];

    (void)snprintf(line, sizeof(line), "%s %s", command, words);
    (void)fflush(stdout);
    if (system(line) != 0) {
        (void)fprintf(stderr, "failed: %s\n", line);
        exit(1);
    }
}

/* A child that outlives us by as long as it takes to clear up. It reads "w" (wipe) or, also if we
 * are no more, the end. */
static void start_keeper(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0 || (keeper = fork()) < 0) {
        give_up("keeper");
    }
    if (keeper == 0) {
        char wish = 's';
        char line[WORDS_BYTES];

        (void)setsid(); /* what ends our group shall not end it */
        close(ends[1]);
        (void)read(ends[0], &wish, 1);
        (void)snprintf(line, sizeof(line), "%s %s >/dev/null", command,
                       wish == 'w' ? "wipe" : "stop");
        _exit(system(line) == 0 ? 0 : 1);
    }
    close(ends[0]);
    keeper_pipe = ends[1];
}

static void start_proxy(void)
{
    static const struct {
        const char *name;
        enum port from, to;
    } ways[] = {{"kafka", PROXIED, KAFKA_PROXIED},
                {"inner", INNER, KAFKA_INNER},
                {"postgres", POSTGRES_PROXIED, POSTGRES}};
    int ends[2];
    char words[4][48];

    (void)snprintf(words[3], sizeof(words[3]), "%d", ports + CONTROL);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(words[i], sizeof(words[i]), "%s:%d:%d", ways[i].name, ports + ways[i].from,
                       ports + ways[i].to);
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        give_up("proxy");
    }
    if (fork() == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[0], STDIN_FILENO);
        execl(getenv("VD_PROXY"), "proxy", words[3], words[0], words[1], words[2], NULL);
        _exit(127);
    }
    close(ends[0]); /* the other one stays open as long as we live */
    while (is_free(ports + CONTROL)) {
        pause_ms(20);
    }
}

/* What "deploy/local env" prints, into our own environment. */
static void take_environment(void)
{
    char line[WORDS_BYTES];
    FILE *in;

    (void)snprintf(line, sizeof(line), "%s env", command);
    in = popen(line, "re");
    while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
        char *value = strchr(line, '=');
        const char *name = line + strlen("export ");

        if (value != NULL) {
            *value++ = '\0';
            value[strcspn(value, "\n")] = '\0';
            setenv(name, value, 1);
        }
    }
    if (in == NULL || pclose(in) != 0) {
        give_up(command);
    }
    setenv("VOTINGD_TEST_LOCAL", command, 1);
}

void servers_start(void)
{
    char words[WORDS_BYTES];

    ports = find_ports();
    (void)snprintf(folder, sizeof(folder), "/tmp/votingd-chaos-%d", (int)getpid());
    /* The servers are not to run with what is loaded into us. */
    (void)snprintf(command, sizeof(command), "env -u LD_PRELOAD %s/deploy/local --dir %s",
                   getenv("VOTINGD_SOURCE"), folder);
    (void)snprintf(brokers, sizeof(brokers), "127.0.0.1:%d", ports + PROXIED);
    start_keeper();
    start_proxy();
    (void)snprintf(words, sizeof(words),
                   "--test --kafka-version 3.9 --kafka-port %d --controller-port %d"
                   " --postgres-port %d --proxy-port %d start",
                   ports + KAFKA, ports + CONTROLLER, ports + POSTGRES, ports + PROXIED);
    locally(words);
    take_environment();
}

void servers_stop(bool is_kept)
{
    if (!is_kept && write(keeper_pipe, "w", 1) != 1) {
        perror("keeper");
    }
    close(keeper_pipe);
    (void)waitpid(keeper, NULL, 0);
}

const char *servers_folder(void)
{
    return folder;
}

const char *servers_brokers(void)
{
    return brokers;
}

char *servers_database(const char *url)
{
    char real[16], proxied[16];
    char *answer = strdup(url);
    char *at;

    (void)snprintf(real, sizeof(real), ":%d/", ports + POSTGRES);
    (void)snprintf(proxied, sizeof(proxied), ":%d/", ports + POSTGRES_PROXIED);
    at = strstr(answer, real);
    if (at != NULL) {
        memcpy(at, proxied, strlen(proxied)); /* five digits, both */
    }
    return answer;
}

/* ---- faults ---------------------------------------------------------------------------------- */

void servers_link(const char *format, ...)
{
    const struct sockaddr_in address = loopback(ports + CONTROL);
    char line[WORDS_BYTES];
    char answer[64] = "";
    size_t len;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    len = strlen(line);
    line[len++] = '\n';
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        write(fd, line, len) != (ssize_t)len || read(fd, answer, sizeof(answer) - 1) <= 0 ||
        strcmp(answer, "ok\n") != 0) {
        (void)fprintf(stderr, "proxy, %.*s: %s\n", (int)len - 1, line, answer);
        exit(1);
    }
    close(fd);
}

/* The process of a server, as deploy/local has noted it. */
static pid_t pid_of(const char *server)
{
    char path[WORDS_BYTES];
    int pid = 0;
    FILE *note;

    (void)snprintf(path, sizeof(path), "%s/run/%s", folder, server);
    note = fopen(path, "re");
    if (note == NULL || fscanf(note, "%d", &pid) != 1) {
        give_up(path);
    }
    (void)fclose(note);
    return (pid_t)pid;
}

static void wait_gone(const char *server, pid_t pid)
{
    const int64_t deadline = time(NULL) + GONE_S;

    while (kill(pid, 0) == 0) {
        if (time(NULL) > deadline) {
            (void)fprintf(stderr, "%s, process %d, does not end\n", server, (int)pid);
            exit(1);
        }
        pause_ms(20);
    }
}

/* The limit is lowered by a process of the same user: root in a container need not be allowed to
 * change another user's. */
void servers_fill_disk(void)
{
    pid_t kafka = pid_of("kafka");
    pid_t child = fork();
    int status;

    if (child == 0) {
        char path[64];
        struct stat owner;
        struct rlimit limit;

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)kafka);
        if (stat(path, &owner) != 0 || setresgid(owner.st_gid, owner.st_gid, owner.st_gid) != 0 ||
            setresuid(owner.st_uid, owner.st_uid, owner.st_uid) != 0 ||
            prlimit(kafka, RLIMIT_FSIZE, NULL, &limit) != 0) {
            _exit(1);
        }
        limit.rlim_cur = 0;
        _exit(prlimit(kafka, RLIMIT_FSIZE, &limit, NULL) == 0 ? 0 : 1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        give_up("could not limit Kafka's files");
    }
    wait_gone("kafka", kafka);
}

void servers_abort_postgres(void)
{
    pid_t postgres = pid_of("postgres");

    (void)kill(postgres, SIGQUIT);
    wait_gone("postgres", postgres);
}
