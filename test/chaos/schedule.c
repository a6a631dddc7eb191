/* Schedules. */
#include "schedule.h"

#define STOP_MS_MAX 15000 /* beyond the session's 10 s: the others take over */
#define AWAY_MS_MAX 4000
#define BURST_MS_MAX 500 /* into a start, or a takeover */

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

size_t schedule_make(uint64_t seed, int kills, int stops, int seconds, struct event *events)
{
    uint64_t state = seed;
    int few = (kills + 11) / 12;
    size_t count = 0;
    int pause_ms;

    count = add(events, count, ACT_KILL, kills);
    count = add(events, count, ACT_STOP, stops);
    count = add(events, count, ACT_LEAVE, few);
    count = add(events, count, ACT_BROKER, few);
    count = add(events, count, ACT_DATABASE, few);
    count = add(events, count, ACT_FOUL, 2 * few);
    shuffle(&state, events, count);
    pause_ms = 2 * seconds * 1000 / ((int)count + 1);
    for (size_t i = 0; i < count; i++) {
        bool is_burst = below(&state, 4) == 0;

        events[i].pause_ms = below(&state, is_burst ? BURST_MS_MAX : 4 * pause_ms / 3 + 1);
        events[i].node = below(&state, NODES);
        events[i].ms = below(&state, events[i].act == ACT_STOP ? STOP_MS_MAX : AWAY_MS_MAX);
        events[i].is_aimed = below(&state, 4) < (events[i].act == ACT_KILL ? 3 : 2);
    }
    return count;
}
