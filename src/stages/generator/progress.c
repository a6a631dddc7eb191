/* The progress row's JSON. */
#include "generator/progress.h"

#include <math.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

/* Beyond 2^53 a double, which cJSON keeps numbers in, is not exact. */
#define NUMBER_MAX 9007199254740991.0

static const struct {
    const char *name;
    size_t offset; /* in struct gen_place */
} members[] = {
    {"next", offsetof(struct gen_place, next)},
    {"voters", offsetof(struct gen_place, voters)},
    {"rejected", offsetof(struct gen_place, rejected)},
    {"line", offsetof(struct gen_place, line)},
    {"byte", offsetof(struct gen_place, byte)},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

void gen_progress_fini(struct gen_progress *progress)
{
    if (progress != NULL) {
        free(progress->definition);
        *progress = (struct gen_progress){0};
    }
}

void gen_progress_format(const struct gen_progress *progress, struct vd_buf *out)
{
    const char *place = (const char *)&progress->place;

    vd_buf_add_text(out, "{\"definition\":");
    vd_buf_add_json(out, progress->definition, strlen(progress->definition));
    for (size_t i = 0; i < MEMBERS; i++) {
        int64_t number;

        memcpy(&number, place + members[i].offset, sizeof(number));
        vd_buf_printf(out, ",\"%s\":", members[i].name);
        vd_buf_add_int(out, number);
    }
    vd_buf_add_text(out, ",\"target\":");
    if (progress->target >= 0) {
        vd_buf_add_int(out, progress->target);
    } else {
        vd_buf_add_text(out, "null");
    }
    vd_buf_printf(out, ",\"complete\":%s}", progress->is_complete ? "true" : "false");
}

static enum vd_status read_number(const cJSON *json, const char *name, int64_t *number,
                                  struct vd_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, name);

    if (!cJSON_IsNumber(member) || member->valuedouble < 0 || member->valuedouble > NUMBER_MAX ||
        member->valuedouble != floor(member->valuedouble)) {
        return vd_fail(err, VD_INVALID, "member \"%s\": expected a whole number", name);
    }
    *number = (int64_t)member->valuedouble;
    return VD_OK;
}

static enum vd_status read_place(const cJSON *json, struct gen_place *place, struct vd_err *err)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        int64_t number = 0;

        if (read_number(json, members[i].name, &number, err) != VD_OK) {
            return VD_INVALID;
        }
        memcpy((char *)place + members[i].offset, &number, sizeof(number));
    }
    return VD_OK;
}

enum vd_status gen_progress_parse(const char *json, size_t len, struct gen_progress *progress,
                                  struct vd_err *err)
{
    struct gen_progress read = {.target = -1};
    VD_AUTO(cjson) cJSON *tree = json != NULL ? cJSON_ParseWithLength(json, len) : NULL;
    const cJSON *definition = cJSON_GetObjectItemCaseSensitive(tree, "definition");
    const cJSON *target = cJSON_GetObjectItemCaseSensitive(tree, "target");

    if (!cJSON_IsObject(tree)) {
        return vd_fail(err, VD_INVALID, "not a JSON object");
    }
    if (!cJSON_IsString(definition)) {
        return vd_fail(err, VD_INVALID, "member \"definition\": expected a string");
    }
    if (read_place(tree, &read.place, err) != VD_OK ||
        (cJSON_IsNumber(target) && read_number(tree, "target", &read.target, err) != VD_OK)) {
        return VD_INVALID;
    }
    read.is_complete = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "complete"));
    read.definition = vd_strdup(definition->valuestring);
    *progress = read;
    return VD_OK;
}
