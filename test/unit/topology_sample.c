#include "topology_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

#include "test.h"

void sample_on_error(void *arg, const char *line)
{
    vd_buf_printf(arg, "%s\n", line);
}

void sample_load(struct sample *sample, const char *text, struct vd_topology_args *args)
{
    char folder[] = "/tmp/votingd-test-topology-XXXXXX";
    FILE *file = NULL;

    *sample = (struct sample){0};
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    file = fopen(FILE_NAME, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    args->path = FILE_NAME;
    sample->status =
        vd_topology_load(&sample->topology, args, sample_on_error, &sample->errors, &sample->err);
    assert_int_equal(sample->status, sample->errors.len == 0 ? VD_OK : VD_INVALID);
    assert_int_equal(unlink(FILE_NAME), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

void sample_fini(struct sample *sample)
{
    vd_topology_fini(&sample->topology);
    vd_buf_fini(&sample->errors);
}

void expect_errors(const char *text, struct vd_topology_args *args, const char *errors)
{
    struct sample sample;

    sample_load(&sample, text, args);
    assert_string_equal(vd_buf_text(&sample.errors), errors);
    sample_fini(&sample);
}

void expect_all(const struct wrong *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        VD_AUTO(mem) char *text = vd_format(HEAD "%s", cases[i].text);
        struct vd_topology_args args = {0};

        expect_errors(text, &args, cases[i].errors);
    }
}
