#include "map.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"

#include "test.h"

#define KEYS 5000

static int released;

static void count_release(void *value)
{
    released++;
    free(value);
}

TEST(an_empty_map_finds_nothing)
{
    struct vd_map map = {0};
    size_t at = 0;

    assert_null(vd_map_find(&map, "a", 1));
    assert_null(vd_map_remove(&map, "a", 1));
    assert_null(vd_map_next(&map, &at));
    vd_map_fini(&map, NULL);
    vd_map_fini(NULL, NULL);
}

TEST(put_returns_what_was_there_before)
{
    struct vd_map map = {0};
    int one = 1, two = 2;

    assert_null(vd_map_put(&map, "key", 3, &one));
    assert_ptr_equal(vd_map_put(&map, "key", 3, &two), &one);
    assert_ptr_equal(vd_map_find(&map, "key", 3), &two);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(vd_map_remove(&map, "key", 3), &two);
    assert_null(vd_map_remove(&map, "key", 3));
    assert_int_equal(map.count, 0);
    vd_map_fini(&map, NULL);
}

TEST(keys_are_bytes_with_a_length)
{
    struct vd_map map = {0};
    int empty, nul, two, shorter;

    assert_null(vd_map_put(&map, "", 0, &empty));
    assert_null(vd_map_put(&map, "\0", 1, &nul));
    assert_null(vd_map_put(&map, "a\0b", 3, &two));
    assert_null(vd_map_put(&map, "a", 1, &shorter));
    assert_ptr_equal(vd_map_find(&map, NULL, 0), &empty);
    assert_ptr_equal(vd_map_find(&map, "\0", 1), &nul);
    assert_ptr_equal(vd_map_find(&map, "a\0b", 3), &two);
    assert_ptr_equal(vd_map_find(&map, "a", 1), &shorter);
    assert_null(vd_map_find(&map, "a\0c", 3));
    vd_map_fini(&map, NULL);
}

TEST(fini_releases_every_value)
{
    struct vd_map map = {0};

    released = 0;
    assert_null(vd_map_put(&map, "a", 1, vd_strdup("first")));
    assert_null(vd_map_put(&map, "b", 1, vd_strdup("second")));
    vd_map_fini(&map, count_release);
    assert_int_equal(released, 2);
    assert_null(map.slots);
}

/* Against a plain array, in an order that makes long probes and holes. */
TEST(thousands_of_changes_leave_what_was_meant)
{
    static int present[KEYS];
    struct vd_map map = {0};
    uint32_t random = 12345;
    size_t count = 0, walked = 0, at = 0;
    const struct vd_map_slot *slot;

    for (int i = 0; i < 200000; i++) {
        char key[16];
        uint32_t n;
        void *before;

        random = random * 1664525u + 1013904223u;
        n = (random >> 8) % KEYS;
        (void)snprintf(key, sizeof(key), "voter-%u", n);
        if ((random >> 3) % 2 == 0) {
            before = vd_map_put(&map, key, strlen(key), &present[n]);
            count += before == NULL ? 1 : 0;
        } else {
            before = vd_map_remove(&map, key, strlen(key));
            count -= before != NULL ? 1 : 0;
        }
        assert_ptr_equal(before, present[n] != 0 ? &present[n] : NULL);
        present[n] = (random >> 3) % 2 == 0;
    }
    assert_int_equal(map.count, count);
    for (uint32_t n = 0; n < KEYS; n++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "voter-%u", n);
        assert_ptr_equal(vd_map_find(&map, key, strlen(key)), present[n] != 0 ? &present[n] : NULL);
    }
    while ((slot = vd_map_next(&map, &at)) != NULL) {
        assert_int_equal(strlen(slot->key), slot->key_len);
        assert_int_equal(*(int *)slot->value, 1);
        walked++;
    }
    assert_int_equal(walked, count);
    vd_map_fini(&map, NULL);
}

RUN_TESTS(cmocka_unit_test(an_empty_map_finds_nothing),
          cmocka_unit_test(put_returns_what_was_there_before),
          cmocka_unit_test(keys_are_bytes_with_a_length),
          cmocka_unit_test(fini_releases_every_value),
          cmocka_unit_test(thousands_of_changes_leave_what_was_meant))
