/* Blocking calls on a thread, answers on the loop. */
#include "errand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"

#include "test.h"

struct job {
    struct vd_errand errand;
    int runs_wanted, runs;
    pthread_t thread;
    int *done; /* counts */
    int done_as;
};

static bool run_job(struct vd_errand *errand)
{
    struct job *job = vd_owner(errand, struct job, errand);

    job->thread = pthread_self();
    return ++job->runs >= job->runs_wanted;
}

static void on_job_done(struct vd_errand *errand)
{
    struct job *job = vd_owner(errand, struct job, errand);

    job->done_as = ++*job->done;
}

static void on_closed(void *arg)
{
    bool *is_closed = arg;

    *is_closed = true;
}

static void job_init(struct job *job, int runs_wanted, int *done)
{
    *job = (struct job){.runs_wanted = runs_wanted, .done = done};
    job->errand.run = run_job;
    job->errand.on_done = on_job_done;
}

TEST(errands_are_run_off_the_loop_and_answered_on_it_in_order)
{
    enum { JOBS = 1000 };
    struct vd_loop loop;
    struct vd_errands *errands;
    struct job *jobs = vd_alloc_array(JOBS, sizeof(*jobs));
    bool is_closed = false;
    int done = 0;

    vd_loop_init(&loop);
    errands = vd_errands_new(&loop);
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], 1, &done);
        vd_errands_submit(errands, &jobs[i].errand);
    }
    vd_errands_close(errands, on_closed, &is_closed);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(done, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].done_as, i + 1);
        assert_false(pthread_equal(jobs[i].thread, pthread_self()));
    }
    free(jobs);
    vd_loop_fini(&loop);
}

TEST(an_errand_that_is_not_done_is_repeated_behind_the_others)
{
    struct vd_loop loop;
    struct vd_errands *errands;
    struct job slow, quick;
    int done = 0;

    vd_loop_init(&loop);
    errands = vd_errands_new(&loop);
    job_init(&slow, 3, &done);
    job_init(&quick, 1, &done);
    vd_errands_submit(errands, &slow.errand);
    vd_errands_submit(errands, &quick.errand);
    vd_errands_close(errands, NULL, NULL);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(quick.done_as, 1);
    assert_int_equal(slow.done_as, 2);
    assert_int_equal(slow.runs, 3);
    vd_loop_fini(&loop);
}

TEST(a_thread_without_errands_ends)
{
    struct vd_loop loop;
    bool is_closed = false;

    vd_loop_init(&loop);
    vd_errands_close(vd_errands_new(&loop), on_closed, &is_closed);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_true(is_closed);
    vd_loop_fini(&loop);
}

RUN_TESTS(cmocka_unit_test(errands_are_run_off_the_loop_and_answered_on_it_in_order),
          cmocka_unit_test(an_errand_that_is_not_done_is_repeated_behind_the_others),
          cmocka_unit_test(a_thread_without_errands_ends))
