/* When the tables are counted, and what is shown in between; no server needed to test it. */
#include "counts.h"

#include <string.h>

static bool is_moved(const struct counts_meter *from, const struct counts_meter *to)
{
    return from->changes != to->changes || memcmp(from->grown, to->grown, sizeof(to->grown)) != 0;
}

/* True if the last count holds whatever a server process may still keep to itself. */
static bool is_settled(const struct counts_rule *rule, const struct counts_meter *meter)
{
    return meter->is_metered && !is_moved(&rule->scanned, meter) &&
           rule->scan_begin_ms >= rule->moved_ms + COUNTS_TAIL_MS;
}

/* Leave out of guesses what a table's meter says first after standing still: an idle server process
 * may tell now of rows that were counted already. */
static void note_growth(struct counts_rule *rule, const struct counts_meter *meter, int64_t now_ms)
{
    for (enum counts_table i = 0; i < COUNTS_TABLES; i++) {
        int64_t grown = meter->grown[i] - rule->last.grown[i];

        if (grown == 0) {
            continue;
        }
        if (now_ms - rule->grown_ms[i] >= COUNTS_STILL_MS) {
            rule->baseline.grown[i] += grown;
        }
        rule->grown_ms[i] = now_ms;
    }
}

enum counts_step counts_rule_step(struct counts_rule *rule, const struct counts_meter *meter,
                                  int64_t now_ms)
{
    bool is_quiet = !is_moved(&rule->last, meter);
    int64_t scan_ms = rule->scan_end_ms - rule->scan_begin_ms;

    if (!is_quiet) {
        rule->moved_ms = now_ms;
        note_growth(rule, meter, now_ms);
    }
    rule->last = *meter;
    if (!meter->has_tables) {
        return COUNTS_HOLD;
    }
    if (!rule->has_scan) {
        return COUNTS_SCAN;
    }
    if (!rule->has_baseline && now_ms - rule->scan_end_ms >= COUNTS_SETTLE_MS) {
        rule->baseline = *meter;
        rule->has_baseline = true;
    }
    if (is_settled(rule, meter)) {
        return COUNTS_HOLD;
    }
    if (now_ms - rule->scan_end_ms >=
        scan_ms * (is_quiet ? COUNTS_QUIET_FACTOR : COUNTS_BUSY_FACTOR)) {
        return COUNTS_SCAN;
    }
    return rule->has_baseline && meter->is_metered ? COUNTS_GUESS : COUNTS_HOLD;
}

void counts_rule_scanned(struct counts_rule *rule, const struct counts_meter *meter,
                         int64_t begin_ms, int64_t end_ms, bool is_changed)
{
    if (!rule->has_scan || is_changed) {
        rule->moved_ms = begin_ms;
    }
    rule->scanned = *meter;
    rule->has_scan = true;
    rule->has_baseline = false;
    rule->scan_begin_ms = begin_ms;
    rule->scan_end_ms = end_ms;
}

int64_t counts_rule_guess(const struct counts_rule *rule, const struct counts_meter *meter,
                          enum counts_table table, int64_t counted)
{
    int64_t grown = meter->grown[table] - rule->baseline.grown[table];

    return rule->has_baseline && grown > 0 ? counted + grown : counted;
}
