/* Option values: the first byte chooses the option, the rest is the value. What is taken must be in
 * range and survive formatting; what is refused must say why. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "opt.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

struct sample {
    int64_t any_int, ranged_int;
    double any_double, share;
    bool truth;
    char *text, *format, *title;
};

static const struct vd_opt opts[] = {
    VD_OPT(struct sample, any_int),
    VD_OPT(struct sample, ranged_int, .min = -5, .max = 60000),
    VD_OPT(struct sample, any_double),
    VD_OPT(struct sample, share, .min = 0, .max = 1),
    VD_OPT(struct sample, truth),
    VD_OPT(struct sample, text),
    VD_OPT(struct sample, format, .choices = "text|json"),
    VD_OPT(struct sample, title, .min = 1, .max = 8),
    VD_OPT_END,
};

static void check_ranges(const struct sample *sample)
{
    if (sample->ranged_int < -5 || sample->ranged_int > 60000 || sample->share < 0 ||
        sample->share > 1 || !isfinite(sample->any_double)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    struct sample sample = {0};
    struct sample again = {0};
    struct vd_err err = {0};
    const struct vd_opt *opt = &opts[len > 0 ? bytes[0] % 8 : 0];
    VD_AUTO(mem)
    char *value = vd_strndup(len > 0 ? (const char *)bytes + 1 : "", len > 0 ? len - 1 : 0);

    if (vd_opt_set(opts, &sample, opt->name, value, &err) == VD_OK) {
        VD_AUTO(buf) struct vd_buf first = {0};
        VD_AUTO(buf) struct vd_buf second = {0};

        check_ranges(&sample);
        vd_opt_format(opt, &sample, &first);
        if (vd_opt_set(opts, &again, opt->name, vd_buf_text(&first), &err) != VD_OK) {
            abort();
        }
        vd_opt_format(opt, &again, &second);
        if (strcmp(vd_buf_text(&first), vd_buf_text(&second)) != 0) {
            abort();
        }
    } else if (err.msg[0] == '\0') {
        abort();
    }
    vd_opt_fini(opts, &sample);
    vd_opt_fini(opts, &again);
    if (vd_opt_set(opts, &sample, value, "1", &err) == VD_OK) {
        vd_opt_fini(opts, &sample); /* the value was an option's name */
    }
    return 0;
}
