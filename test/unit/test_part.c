/* Records of one partition between the consumer and their commit. The events that own their bytes
 * are the library's; here there are none, which it accepts. */
#include "test.h"

#include <stdlib.h>

#include "stage_impl.h"

static struct vd_held *push(struct vd_part *part, int64_t offset)
{
    struct vd_held *held = vd_part_push(part, NULL, 10, 1000 + offset);

    held->record.offset = offset;
    return held;
}

/* Offsets with a gap, as markers and compaction leave them. */
static struct vd_part *sample(void)
{
    struct vd_part *part = vd_part_new(0, 3, 10, 7);

    push(part, 10);
    push(part, 11);
    push(part, 14);
    push(part, 15);
    return part;
}

/* What batches do: take the first 'count' that wait. */
static struct vd_held *take(struct vd_part *part, size_t count)
{
    struct vd_held *first = part->cursor;

    for (size_t i = 0; i < count; i++) {
        part->cursor = part->cursor->next;
    }
    part->waiting -= count;
    return first;
}

TEST(a_new_part_is_owned_and_empty)
{
    struct vd_part *part = vd_part_new(1, 3, 10, 7);

    assert_int_equal(part->input, 1);
    assert_int_equal(part->partition, 3);
    assert_true(part->is_owned);
    assert_int_equal(part->next_offset, 10);
    assert_int_equal(part->last, 7);
    assert_int_equal(part->last_committed, 7);
    assert_null(part->cursor);
    assert_int_equal(part->waiting, 0);
    vd_part_unref(part);
}

TEST(bytes_are_held_until_the_commit)
{
    struct vd_part *part = sample();

    assert_int_equal(part->held_bytes, 40);
    (void)take(part, 3);
    assert_int_equal(part->held_bytes, 40);
    vd_part_commit(part, 14);
    assert_int_equal(part->held_bytes, 20);
    vd_part_rewind(part);
    assert_int_equal(part->held_bytes, 20);
    vd_part_unref(part);
}

TEST(records_wait_in_the_order_of_their_offsets)
{
    struct vd_part *part = sample();

    assert_int_equal(part->waiting, 4);
    assert_int_equal(part->held_count, 4);
    assert_int_equal(part->cursor->record.offset, 10);
    assert_int_equal(part->cursor->arrived_ms, 1010);
    assert_int_equal(part->cursor->next->record.offset, 11);
    assert_int_equal(part->tail->record.offset, 15);
    vd_part_unref(part);
}

TEST(a_commit_frees_what_lies_below_it)
{
    struct vd_part *part = sample();

    (void)take(part, 3);
    vd_part_commit(part, 12);
    assert_int_equal(part->held_count, 2);
    assert_int_equal(part->head->record.offset, 14);
    assert_int_equal(part->waiting, 1);
    vd_part_commit(part, 15);
    assert_ptr_equal(part->head, part->cursor);
    vd_part_unref(part);
}

TEST(after_everything_was_committed_the_next_record_waits)
{
    struct vd_part *part = sample();

    (void)take(part, 4);
    assert_null(part->cursor);
    vd_part_commit(part, 16);
    assert_null(part->head);
    assert_null(part->tail);
    assert_int_equal(part->held_count, 0);
    push(part, 20);
    assert_int_equal(part->cursor->record.offset, 20);
    assert_int_equal(part->waiting, 1);
    vd_part_unref(part);
}

TEST(a_rewind_begins_again_at_the_first_record_not_committed)
{
    struct vd_part *part = sample();

    (void)take(part, 2);
    part->last = 11;
    vd_part_commit(part, 11);
    part->last_committed = 10;
    vd_part_rewind(part);
    assert_int_equal(part->cursor->record.offset, 11);
    assert_int_equal(part->waiting, 3);
    assert_int_equal(part->last, 10);
    vd_part_unref(part);
}

TEST(a_batch_put_back_waits_again_before_what_came_since)
{
    struct vd_part *part = sample();
    struct vd_held *first;

    (void)take(part, 2); /* with the producer */
    first = take(part, 2);
    push(part, 16);
    assert_int_equal(part->cursor->record.offset, 16);
    vd_part_put_back(part, first, 2);
    assert_int_equal(part->cursor->record.offset, 14);
    assert_int_equal(part->waiting, 3);
    vd_part_commit(part, 12); /* the earlier one arrives meanwhile */
    assert_int_equal(part->head->record.offset, 14);
    vd_part_unref(part);
}

TEST(a_part_lives_until_its_last_batch_lets_go)
{
    struct vd_part *part = sample();

    part->refs++;
    part->is_owned = false;
    vd_part_unref(part);
    assert_int_equal(part->head->record.offset, 10); /* still there, says ASan */
    vd_part_unref(part);
}

RUN_TESTS(cmocka_unit_test(a_new_part_is_owned_and_empty),
          cmocka_unit_test(bytes_are_held_until_the_commit),
          cmocka_unit_test(records_wait_in_the_order_of_their_offsets),
          cmocka_unit_test(a_commit_frees_what_lies_below_it),
          cmocka_unit_test(after_everything_was_committed_the_next_record_waits),
          cmocka_unit_test(a_rewind_begins_again_at_the_first_record_not_committed),
          cmocka_unit_test(a_batch_put_back_waits_again_before_what_came_since),
          cmocka_unit_test(a_part_lives_until_its_last_batch_lets_go))
