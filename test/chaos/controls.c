/* Controls of the chaos suite: elections without one step of the exactly-once protocol. In each the
 * damage must come about, and vd_check must find it; with the step, the same must be sound. */
#include "../unit/test.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "servers.h"
#include "trial.h"

#define NODE GENERATOR_NODE
#define VOTERS 2000
#define RATE 400
#define REPEATS 12
#define POISON 4
#define WAIT_S 300
#define COMMAND_BYTES 1024

/* ---- without the step, and with it ----------------------------------------------------------- */

static bool wait_sound(struct trial *trial)
{
    int64_t deadline_ms = now_ms() + WAIT_S * 1000;

    while (trial_check(trial, true) != 0) {
        if (now_ms() > deadline_ms) {
            trial_say(trial, "NOT SOUND");
            (void)trial_check(trial, false);
            return false;
        }
        trial_look_after(trial);
        pause_ms(500);
    }
    return true;
}

static bool wait_found(struct trial *trial, const char *words)
{
    int64_t deadline_ms = now_ms() + WAIT_S * 1000;

    while (!trial_finds(trial, words)) {
        if (now_ms() > deadline_ms) {
            trial_say(trial, "NOT FOUND: %s", words);
            (void)trial_check(trial, false);
            return false;
        }
        trial_look_after(trial);
        pause_ms(500);
    }
    return true;
}

/* Some voters again, and what is no voter; behind all that is there. */
static void send_foul(struct trial *trial)
{
    char *voters = election_topic(&trial->election, "voters_topic");
    struct peer_log log = peer_read(voters, true);

    for (int i = 0; i < REPEATS; i++) {
        peer_send(voters, log.records[i].partition, log.records[i].key, log.records[i].value);
    }
    for (int p = 0; p < POISON; p++) {
        peer_send(voters, p, "poison", "{");
    }
    peer_flush();
    trial->rejected += REPEATS;
    trial->dead += POISON;
    peer_log_free(&log);
    free(voters);
}

/* A commit whose answer is lost did happen; who does not ask the group repeats it. */
static bool lose_an_answer(struct trial *trial, bool is_removed)
{
    trial->failpoints = is_removed ? "voting.txn_answered=skip@4;voting.txn_doubt=skip"
                                   : "voting.txn_answered=skip@4";
    trial_start(trial, NODE);
    return is_removed ? wait_found(trial, "DIFFERS 2 votes_topic, voters in it")
                      : wait_sound(trial);
}

/* Offsets are part of the transaction, or what was judged last is judged again after a crash. What
 * is repeated lies behind the last vote, where no vote's position tells that it was judged. */
static bool crash_after_rejects(struct trial *trial, bool is_removed)
{
    trial->failpoints = is_removed ? "voting.txn_offsets=skip" : NULL;
    trial_start(trial, NODE);
    if (!wait_sound(trial)) {
        return false;
    }
    send_foul(trial);
    if (!wait_sound(trial)) {
        return false;
    }
    (void)election_stop(&trial->election, NODE, SIGKILL);
    trial_start(trial, NODE);
    if (!is_removed) {
        pause_ms(3000); /* time enough to do it again */
    }
    return is_removed ? wait_found(trial, "DIFFERS 1 rejected and dead, voters' records in them")
                      : wait_sound(trial);
}

/* The modules of the stages, with the weak one for "voting", in a folder of their own. */
static bool take_weak_modules(const struct trial *trial, char *folder, size_t bytes)
{
    char command[COMMAND_BYTES];
    const char *stages = getenv("VOTINGD_PLUGINS");

    (void)snprintf(folder, bytes, "/tmp/votingd-test-%s-modules", trial->election.name);
    (void)snprintf(command, sizeof(command), "mkdir %s && cp %.*s/*.so %s && cp %s %s/voting.so",
                   folder, (int)strcspn(stages, ":"), stages, folder, getenv("VD_WEAK_VOTING"),
                   folder);
    setenv("VOTINGD_PLUGINS", folder, 1);
    return system(command) == 0;
}

/* A row that is there is mine only if it came from this record. */
static bool repeat_voters(struct trial *trial, bool is_removed)
{
    char folder[128] = "";
    char command[COMMAND_BYTES];
    bool is_good = !is_removed || take_weak_modules(trial, folder, sizeof(folder));

    if (is_good) {
        trial_start(trial, NODE);
        is_good = wait_sound(trial);
        send_foul(trial);
    }
    if (is_good && is_removed) {
        is_good = wait_found(trial, "DIFFERS 2 votes_topic, voters in it");
    } else if (is_good) {
        is_good = wait_sound(trial);
    }
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command) == 0 && is_good;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct control {
    const char *name;
    bool (*run)(struct trial *trial, bool is_removed);
} controls[] = {
    {"asking the group after a doubt", lose_an_answer},
    {"offsets in the transaction", crash_after_rejects},
    {"judging by position", repeat_voters},
};
#define CONTROLS ((int)(sizeof(controls) / sizeof(controls[0])))

static bool run_one(int nth)
{
    const struct control *control = &controls[nth / 2];
    bool is_removed = nth % 2 == 0;
    char name[96];
    struct trial trial = {.name = name, .rate = RATE, .patience_s = WAIT_S};
    bool is_good;

    (void)snprintf(name, sizeof(name), "%s %s", is_removed ? "without" : "with", control->name);
    trial_open(&trial);
    trial.voters = VOTERS;
    is_good = control->run(&trial, is_removed);
    is_good = trial_end(&trial, NODE) && is_good && trial.ended == 0;
    trial_say(&trial, "%s", !is_good ? "BAD" : is_removed ? "found" : "sound");
    trial_close(&trial, is_good);
    return is_good;
}

int main(void)
{
    struct trial all = {.name = "controls"};
    int failed;

    trial_say(&all, "%d controls", CONTROLS);
    servers_start();
    failed = trial_run_all(2 * CONTROLS, run_one);
    servers_stop(failed > 0);
    trial_say(&all, "%d of %d elections as they should be", 2 * CONTROLS - failed, 2 * CONTROLS);
    return failed == 0 ? 0 : 1;
}
