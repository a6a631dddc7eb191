/* What librdkafka logs, in ours. One broker that is away makes every client of the node complain:
 * the words of lost connections are kept for whoever says that it is away (kafka_watch.c), and all
 * else is said less often. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "hash.h"
#include "kafka_inside.h"
#include "loop_uv.h"

#define CAUSE_QUIET_MS 5000 /* between two lines about one cause */

/* librdkafka's levels are syslog's. A broker that is away is no error of ours: clients reconnect by
 * themselves, so only what it calls critical asks for a person. */
enum vd_log_level vd_kafka_log_level(int level, const char *text)
{
    static const char *const harmless[] = {
        "will be ignored by this",             /* client.* goes to producers and consumers alike */
        "Failed to acquire transactional PID", /* the producer's thread waits, and says so */
        "Failed to acquire idempotence PID",   /* what is published waits in its queue */
    };

    if (level < LOG_ERR) {
        return VD_LOG_ERROR;
    }
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (strstr(text, harmless[i]) != NULL) {
            return VD_LOG_DEBUG;
        }
    }
    if (level > LOG_NOTICE) {
        return VD_LOG_DEBUG;
    }
    return level == LOG_NOTICE ? VD_LOG_INFO : VD_LOG_WARN;
}

/* The words of a complaint: without "[thrd:...]: " in front, counters and times. */
static uint64_t hash_cause(const char *facility, const char *text)
{
    static const struct vd_hash_key key = {0};
    const char *after = strstr(text, "(after ");
    char words[256];
    size_t len = 0;

    for (; *facility != '\0' && len < sizeof(words) / 2; facility++) {
        words[len++] = *facility;
    }
    if (text[0] == '[' && strstr(text, "]: ") != NULL) {
        text = strstr(text, "]: ") + 3;
    }
    for (; *text != '\0' && text != after && len < sizeof(words); text++) {
        if (*text < '0' || *text > '9') {
            words[len++] = *text;
        }
    }
    return vd_siphash(&key, words, len);
}

/* Returns: true if the line may be written; then *held_back is the number left out before it. */
static bool take_turn(struct vd_kafka *kafka, uint64_t hash, int64_t *held_back)
{
    const int64_t now_ms = vd_mono_ms();
    struct vd_kafka_cause *cause = &kafka->causes[0];
    bool is_mine = true;

    pthread_mutex_lock(&kafka->lock);
    for (size_t i = 0; i < VD_KAFKA_CAUSES_MAX; i++) {
        struct vd_kafka_cause *other = &kafka->causes[i];

        if (other->hash == hash) {
            cause = other;
            break;
        }
        if (other->since_ms < cause->since_ms) {
            cause = other;
        }
    }
    if (cause->hash != hash) {
        *cause = (struct vd_kafka_cause){.hash = hash};
    } else if (now_ms - cause->since_ms < CAUSE_QUIET_MS) {
        cause->held_back++;
        is_mine = false;
    }
    if (is_mine) {
        *held_back = cause->held_back;
        cause->held_back = 0;
        cause->since_ms = now_ms;
    }
    pthread_mutex_unlock(&kafka->lock);
    return is_mine;
}

/* A connection that could not be made or was lost: every client says so of each of its own. */
static bool is_connection(const char *facility, const char *text)
{
    return strcmp(facility, "FAIL") == 0 || strstr(text, "brokers are down") != NULL;
}

/* Keep the words, without the thread in front and the time behind. */
static void keep_failure(struct vd_kafka *kafka, const char *text)
{
    const char *begin = strstr(text, "]: ");
    const char *after = strstr(text, " (after ");

    begin = text[0] == '[' && begin != NULL ? begin + 3 : text;
    if (strstr(begin, "brokers are down") != NULL) {
        return; /* a sum, not a cause */
    }
    pthread_mutex_lock(&kafka->lock);
    if (kafka->failure.count++ == 0) {
        kafka->failure.first_ms = vd_mono_ms();
    }
    (void)snprintf(kafka->failure.words, sizeof(kafka->failure.words), "%.*s",
                   after > begin ? (int)(after - begin) : (int)strlen(begin),
                   begin); /* cut to fit */
    pthread_mutex_unlock(&kafka->lock);
}

void vd_kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct vd_kafka *kafka = rd_kafka_opaque(rk);
    enum vd_log_level ours = vd_kafka_log_level(level, text);
    int64_t held_back = 0;

    if (ours != VD_LOG_DEBUG && is_connection(facility, text)) {
        keep_failure(kafka, text);
        vd_metric_add(kafka->lines_held_back, 1);
        ours = VD_LOG_DEBUG;
    } else if (atomic_load(&kafka->is_away) && ours != VD_LOG_ERROR) {
        ours = VD_LOG_DEBUG;
    }
    if (!vd_log_is_enabled(ours)) {
        return;
    }
    if (ours != VD_LOG_DEBUG && !take_turn(kafka, hash_cause(facility, text), &held_back)) {
        vd_metric_add(kafka->lines_held_back, 1);
        return;
    }
    if (held_back > 0) {
        vd_log_write(kafka->log, ours, "%s: %s: %s (%" PRId64 " more of these held back)",
                     rd_kafka_name(rk), facility, text, held_back);
    } else {
        vd_log_write(kafka->log, ours, "%s: %s: %s", rd_kafka_name(rk), facility, text);
    }
}
