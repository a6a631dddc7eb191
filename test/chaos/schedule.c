/* Schedules. */
#include "schedule.h"

#define STOP_MS_MAX 15000 /* beyond the session's 10 s: the others take over */
#define AWAY_MS_MAX 4000
#define BURST_MS_MAX 300 /* into a start, or a takeover */
#define LINK_MS_MAX 5000

/* How many there are of each act for every twelve kills. */
static const int per_dozen[ACTS] = {
    [ACT_STOP] = 1,     [ACT_LEAVE] = 1, [ACT_SPARE] = 1, [ACT_BROKER] = 1,
    [ACT_DATABASE] = 1, [ACT_LINK] = 3,  [ACT_CLOCK] = 1, [ACT_FOUL] = 2,
};
#define KILLS_PER_DISK 60

uint64_t schedule_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int below(uint64_t *state, int limit)
{
    return (int)(schedule_next(state) % (uint64_t)limit);
}

static void shuffle(uint64_t *state, struct event *events, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)below(state, (int)i);
        struct event kept = events[i - 1];

        events[i - 1] = events[j];
        events[j] = kept;
    }
}

static size_t add(struct event *events, size_t count, enum act act, int times)
{
    for (int i = 0; i < times && count < EVENTS_MAX; i++) {
        events[count++] = (struct event){.act = act};
    }
    return count;
}

static int ms_max(enum act act)
{
    return act == ACT_STOP ? STOP_MS_MAX : act == ACT_LINK ? LINK_MS_MAX : AWAY_MS_MAX;
}

size_t schedule_make(uint64_t seed, int kills, int seconds, struct event *events)
{
    uint64_t state = seed;
    int dozens = (kills + 11) / 12;
    size_t count = add(events, 0, ACT_KILL, kills);
    int pause_ms;

    for (int act = 0; act < ACTS; act++) {
        count = add(events, count, (enum act)act, dozens * per_dozen[act]);
    }
    count = add(events, count, ACT_DISK, (kills + KILLS_PER_DISK - 1) / KILLS_PER_DISK);
    shuffle(&state, events, count);
    /* A quarter come at once, so the others wait 4/3 of the mean on average,
     * that is half of 8/3. */
    pause_ms = seconds * 1000 / ((int)count + 1);
    for (size_t i = 0; i < count; i++) {
        struct event *event = &events[i];
        bool is_burst = below(&state, 4) == 0;

        event->pause_ms = below(&state, is_burst ? BURST_MS_MAX : 8 * pause_ms / 3 + 1);
        event->node = below(&state, NODES);
        event->ms = below(&state, ms_max(event->act));
        event->is_aimed = below(&state, 4) < (event->act == ACT_KILL ? 3 : 2);
        event->failure = (enum failure)below(&state, FAILURES);
    }
    return count;
}
