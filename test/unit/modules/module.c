/* One module a define, most of them with just one thing wrong. MODULE is the file's name. */
#include <votingd/stage.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

struct sample {
    int64_t limit;
    char *mode;
    char *key;
};

static const struct vd_opt sample_opts[] = {
    VD_OPT(struct sample, limit, .def = "10", .min = 1, .max = 100, .help = "a number"),
    VD_OPT(struct sample, mode, .def = "fast", .choices = "fast|slow", .help = "a choice"),
#ifdef WITH_REQUIRED
    VD_OPT(struct sample, key, .help = "a required text"),
#else
    VD_OPT(struct sample, key, .def = "", .is_secret = true, .help = "a secret"),
#endif
#ifdef WRONG_DEFAULT
    {.name = "broken", .type = VD_OPT_INT, .def = "ten"},
#endif
#ifdef SHADOWS_ENGINE
    {.name = "dead", .type = VD_OPT_INT, .def = "1"},
#endif
    VD_OPT_END,
};

static void sample_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
}

static enum vd_status sample_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
#ifdef CALLS_UNKNOWN
    extern void vd_frobnicate(void);

    vd_frobnicate();
#endif
#ifdef CALLS_KAFKA
    extern void rd_kafka_new(void);

    rd_kafka_new();
#endif
#ifdef NEEDS_PQ
    extern int PQlibVersion(void);

    return PQlibVersion() > 0 ? VD_OK : VD_FAILED;
#else
    return VD_OK;
#endif
}

#ifdef DEFINES_CURL
VD_API void curl_easy_init(void);
VD_API void curl_easy_init(void)
{
}
#endif

static enum vd_status sample_check(struct vd_stage *stage, void *state, struct vd_err *err)
{
    const struct sample *self = state;

    if (self->limit == 13) {
        return vd_fail(err, VD_INVALID, "option \"limit\": 13 brings bad luck; take another");
    }
    return VD_OK;
}

#ifdef OLDER_MINOR
static enum vd_status sample_audit(struct vd_audit *audit, void *state, struct vd_err *err)
{
    return vd_fail(err, VD_FAILED, "never called");
}
#endif

static const struct vd_stage_desc sample_desc = {
    VD_STAGE_HEAD,
#ifdef WRONG_MAGIC
    .magic = 0x12345678,
#endif
#ifdef WRONG_MAJOR
    .abi_major = VD_ABI_MAJOR + 1,
#endif
#ifdef NEWER_MINOR
    .abi_minor = VD_ABI_MINOR + 1,
#endif
#ifdef SMALL_SIZE
    .size = 64,
#endif
#ifdef OLDER_MINOR /* what stands behind its end is none of the host's business */
    .abi_minor = 0,
    .size = offsetof(struct vd_stage_desc, audit),
    .audit = sample_audit,
#endif
#ifdef WRONG_NAME
    .name = "other",
#else
    .name = TEXT(MODULE),
#endif
    .summary = "a module of the tests",
    .state_size = sizeof(struct sample),
    .opts = sample_opts,
#ifndef SOURCE
    .inputs = (const struct vd_port[]){{"records"}, {"extra", VD_PORT_OPTIONAL}, VD_PORT_END},
#endif
    .outputs = (const struct vd_port[]){{"results", PORT_FLAGS}, VD_PORT_END},
    .tables = (const struct vd_port[]){{"totals", VD_PORT_OPTIONAL},
#ifdef WITH_FURTHER
                                       {"*", VD_PORT_OPTIONAL | VD_PORT_FURTHER},
#endif
                                       VD_PORT_END},
    .check = sample_check,
    .start = sample_start,
#ifndef NO_BATCH
    .batch = sample_batch,
#endif
};

#if defined(NO_DESCRIPTOR)
VD_API const struct vd_stage_desc *vd_stage_describe(void);
VD_API const struct vd_stage_desc *vd_stage_describe(void)
{
    return NULL;
}
#elif !defined(NO_SYMBOL)
VD_STAGE_EXPORT(sample_desc)
#else
VD_API const struct vd_stage_desc *vd_stage_descrbe(void);
VD_API const struct vd_stage_desc *vd_stage_descrbe(void)
{
    return &sample_desc;
}
#endif
