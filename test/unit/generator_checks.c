/* What the tests of the generator stage ask of the host, and say once. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "generator_host.h"

void host_begin(const char *const *options)
{
    struct vd_err err = {0};

    assert_int_equal(host_start(options, &err), VD_OK);
}

size_t host_count(size_t output)
{
    size_t count = 0;

    for (size_t i = 0; i < host_log_count; i++) {
        count += host_log[i].output == output;
    }
    return count;
}

/* The n-th committed record of an output. */
const struct host_record *host_nth(size_t output, size_t n)
{
    for (size_t i = 0; i < host_log_count; i++) {
        if (host_log[i].output == output && n-- == 0) {
            return &host_log[i];
        }
    }
    return NULL;
}

/* All voters' values, one a line. */
char *host_voters_text(void)
{
    struct vd_buf out = {0};

    for (size_t i = 0; i < host_log_count; i++) {
        if (host_log[i].output == VOTERS) {
            vd_buf_add_text(&out, host_log[i].value);
            vd_buf_add_char(&out, '\n');
        }
    }
    return vd_buf_text(&out);
}

int64_t host_number(const char *key, const char *member)
{
    cJSON *json = cJSON_Parse(host_row(key));
    const cJSON *number = cJSON_GetObjectItem(json, member);
    int64_t value = cJSON_IsNumber(number) ? (int64_t)number->valuedouble : -1;

    cJSON_Delete(json);
    return value;
}

bool host_is_complete(const char *key)
{
    cJSON *json = cJSON_Parse(host_row(key) != NULL ? host_row(key) : "{}");
    bool is = cJSON_IsTrue(cJSON_GetObjectItem(json, "complete"));

    cJSON_Delete(json);
    return is;
}

void host_end(void)
{
    host_stop();
    host_wipe();
}

uint64_t host_dice;

static unsigned roll(unsigned sides)
{
    host_dice = host_dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((host_dice >> 33) % sides);
}

/* One step of misfortune or of progress. */
void host_stumble(const char *const *options)
{
    switch (roll(16)) {
    case 0:
        (void)host_abort();
        break;
    case 1:
        (void)host_pg_step(HOST_FAILS);
        break;
    case 2:
        (void)host_pg_step(HOST_LOST_AFTER);
        break;
    case 3:
        host_pg_lose();
        break;
    case 4:
        if (roll(4) == 0) {
            host_stop();
            host_begin(options);
        }
        break;
    case 5:
        if (roll(4) == 0 && host_commit_unknown()) {
            host_stop();
            host_begin(options);
        }
        break;
    case 6:
    case 7:
        (void)host_table_step();
        break;
    case 8:
    case 9:
        (void)host_commit();
        break;
    case 10:
        host_advance(roll(600));
        break;
    case 11:
        (void)host_pg_connect();
        break;
    default:
        if (!host_pg_step(HOST_OK)) {
            (void)host_offer();
        }
        break;
    }
}
