/* A stage to copy: it passes on the records whose value contains a text. */
#include <string.h>
#include <votingd/stage.h>

struct template
{
    char *contains; /* an option: its name is the field's name, its type the field's */
};

static const struct vd_opt template_opts[] = {
    VD_OPT(struct template, contains, .min = 1, .help = "the text that a value must contain"),
    VD_OPT_END,
};

static void template_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    const struct template *self = state;
    size_t len = strlen(self->contains);

    (void)stage; /* loop, log, tables, metrics and a database are to be had from it */
    for (size_t i = 0; i < vd_batch_count(batch); i++) {
        const struct vd_record *in = vd_batch_record(batch, i);
        const struct vd_msg out = {
            .key = in->key,
            .key_len = in->key_len,
            .value = in->value,
            .value_len = in->value_len,
            .partition = VD_BY_KEY,
        };

        if (in->value != NULL && memmem(in->value, in->value_len, self->contains, len) != NULL) {
            vd_batch_emit(batch, 0, i, &out);
        }
    }
    vd_batch_done(batch); /* what was emitted and the input's position: one transaction */
}

static const struct vd_stage_desc template_desc = {
    VD_STAGE_HEAD,
    .name = "template",
    .summary = "passes on the records whose value contains a text",
    .state_size = sizeof(struct template),
    .opts = template_opts,
    .inputs = (const struct vd_port[]){{"records", .help = "records of any form"}, VD_PORT_END},
    .outputs = (const struct vd_port[]){{"matches", .help = "those with the text"}, VD_PORT_END},
    .batch = template_batch,
};
VD_STAGE_EXPORT(template_desc)
