/* The table of group-bys, and the bytes of their keys. */
#include "groups.h"

#include <string.h>

#define GROUP(name_, flags, count_, help, ...) \
    {.name = #name_, .count = count_, .members = {__VA_ARGS__}},

const struct agg_group agg_groups[AGG_GROUP_COUNT] = {AGG_GROUPS(GROUP)};

size_t agg_group_find(const char *name, size_t len)
{
    size_t i = 0;

    while (i < AGG_GROUP_COUNT &&
           (strlen(agg_groups[i].name) != len || memcmp(agg_groups[i].name, name, len) != 0)) {
        i++;
    }
    return i;
}

bool agg_texts_next(const char **at, size_t *left, const char **text, size_t *len)
{
    size_t bytes = 0;

    if (*left < 2) {
        return false;
    }
    bytes = vd_be16(*at);
    if (*left - 2 < bytes) {
        return false;
    }
    *text = *at + 2;
    *len = bytes;
    *at += 2 + bytes;
    *left -= 2 + bytes;
    return true;
}

bool agg_texts_fit(const struct agg_group *group, bool is_key, const char *texts, size_t len)
{
    const char *text = NULL;
    size_t text_len = 0;

    for (const struct agg_member *member = group->members; member->name != NULL; member++) {
        if (member->is_key == is_key && !agg_texts_next(&texts, &len, &text, &text_len)) {
            return false;
        }
    }
    return len == 0;
}

bool agg_texts_are_whole(const char *texts, size_t len)
{
    const char *text = NULL;
    size_t text_len = 0;

    while (agg_texts_next(&texts, &len, &text, &text_len)) {
        if (text_len == 0) {
            return false;
        }
    }
    return true;
}

void agg_public_key(const char *keys, size_t len, struct vd_buf *out)
{
    const char *text = NULL;
    size_t text_len = 0;
    bool is_first = true;

    while (agg_texts_next(&keys, &len, &text, &text_len)) {
        if (!is_first) {
            vd_buf_add_char(out, '/');
        }
        vd_buf_add(out, text, text_len);
        is_first = false;
    }
}

static void add_name(struct vd_buf *out, const char *name)
{
    vd_buf_add_char(out, '"');
    vd_buf_add_text(out, name);
    vd_buf_add(out, "\":", 2);
}

void agg_public_value(const struct agg_group *group, const struct agg_public *shown,
                      struct vd_buf *out)
{
    const char *keys = shown->keys;
    const char *attributes = shown->attributes;
    size_t keys_left = shown->keys_len;
    size_t attributes_left = shown->attributes_len;

    vd_buf_add_char(out, '{');
    for (const struct agg_member *member = group->members; member->name != NULL; member++) {
        const char *text = NULL;
        size_t len = 0;
        bool is_there = member->is_key ? agg_texts_next(&keys, &keys_left, &text, &len)
                                       : agg_texts_next(&attributes, &attributes_left, &text, &len);

        if (!is_there || len == 0) {
            continue;
        }
        add_name(out, member->name);
        if (member->kind == AGG_INTEGER) {
            vd_buf_add(out, text, len);
        } else {
            vd_buf_add_json(out, text, len);
        }
        vd_buf_add_char(out, ',');
    }
    add_name(out, group->count);
    vd_buf_add_int(out, (int64_t)shown->count);
    vd_buf_add_text(out, ",\"sequence\":");
    vd_buf_add_int(out, (int64_t)shown->sequence);
    vd_buf_add_char(out, '}');
}
