/* Preloaded into a node, this moves its wall clock: by as many seconds as the file VD_CLOCK holds
 * (a native int64_t), which may change at any time. The monotonic clock stays, as in a real jump.
 *
 * libfaketime does not do here: librdkafka waits in C11's cnd_timedwait for a moment of the wall
 * clock, which libfaketime leaves alone, so each wait would last an hour. A jump back prolongs
 * waits that are under way, and only these; so it does here. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS 50000000 /* how soon a wait sees a jump */
#define SECOND_NS 1000000000

static const volatile int64_t *offset_s;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("VD_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (page == MAP_FAILED) {
        abort(); /* a test that fakes nothing would pass */
    }
    offset_s = page;
    close(fd);
}

/* Both may be called before the constructor, by other libraries' own. */
static int64_t offset(void)
{
    return offset_s != NULL ? *offset_s : 0;
}

static void *real(const char *name, void **kept)
{
    if (*kept == NULL) {
        *kept = dlsym(RTLD_NEXT, name);
    }
    return *kept;
}

static int real_clock_gettime(clockid_t clock, struct timespec *now)
{
    static void *kept;
    int (*call)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))(uintptr_t)real("clock_gettime", &kept);

    return call(clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = real_clock_gettime(clock, now);

    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        now->tv_sec += offset();
    }
    return result;
}

int timespec_get(struct timespec *now, int base)
{
    return clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;

    (void)zone; /* nobody asks for it any more */
    (void)clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *now)
{
    struct timespec exact;

    (void)clock_gettime(CLOCK_REALTIME, &exact);
    if (now != NULL) {
        *now = exact.tv_sec;
    }
    return exact.tv_sec;
}

static bool is_over(const struct timespec *deadline)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec > deadline->tv_sec ||
           (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict deadline)
{
    static void *kept;
    int (*call)(cnd_t *, mtx_t *, const struct timespec *) =
        (int (*)(cnd_t *, mtx_t *, const struct timespec *))(uintptr_t)real("cnd_timedwait", &kept);
    int result = thrd_timedout;

    do {
        struct timespec slice, left;

        (void)real_clock_gettime(CLOCK_REALTIME, &slice);
        left =
            (struct timespec){.tv_sec = deadline->tv_sec - offset(), .tv_nsec = deadline->tv_nsec};
        slice.tv_nsec += SLICE_NS;
        slice.tv_sec += slice.tv_nsec / SECOND_NS;
        slice.tv_nsec %= SECOND_NS;
        if (left.tv_sec < slice.tv_sec ||
            (left.tv_sec == slice.tv_sec && left.tv_nsec < slice.tv_nsec)) {
            slice = left;
        }
        result = call(cond, mutex, &slice);
    } while (result == thrd_timedout && !is_over(deadline));
    return result;
}
