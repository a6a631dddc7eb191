/* What modules were compiled against must not move within an ABI major. A line that fails here is
 * put right by undoing the change, or by a new VD_ABI_MAJOR; only the descriptor may grow. */
#include "stage.h"

#include "test.h"

#define SIZE_OF(name) #name, sizeof(struct name)
#define PLACE_OF(member) #member, offsetof(struct vd_stage_desc, member)
#define IS_LP64 (sizeof(long) == 8 && sizeof(void *) == 8)

struct layout {
    const char *name;
    size_t found, wanted;
};

static void compare(const struct layout *layouts, size_t count)
{
    if (!IS_LP64) {
        skip();
    }
    for (size_t i = 0; i < count; i++) {
        if (layouts[i].found != layouts[i].wanted) {
            fail_msg("%s: %zu bytes, must be %zu", layouts[i].name, layouts[i].found,
                     layouts[i].wanted);
        }
    }
}

TEST(structures_that_modules_hold_keep_their_size)
{
    static const struct layout sizes[] = {
        {SIZE_OF(vd_err), 1028},
        {SIZE_OF(vd_buf), 24},
        {SIZE_OF(vd_map), 24},
        {SIZE_OF(vd_map_slot), 24},
        {SIZE_OF(vd_hash_key), 16},
        {SIZE_OF(vd_opt), 72},
        {SIZE_OF(vd_port), 24},
        {SIZE_OF(vd_msg), 56},
        {SIZE_OF(vd_record), 88},
        {SIZE_OF(vd_position), 24},
        {SIZE_OF(vd_pg_events), 24},
        {SIZE_OF(vd_pg_stmt), 32},
        {SIZE_OF(vd_pg_value), 24},
        {SIZE_OF(vd_http_request), 32},
        {SIZE_OF(vd_http_response), 48},
        {SIZE_OF(vd_web_request), 48},
        {SIZE_OF(vd_web_response), 376},
        {SIZE_OF(vd_web_picture), 48},
        {SIZE_OF(vd_web_socket_events), 16},
    };

    compare(sizes, sizeof(sizes) / sizeof(sizes[0]));
}

TEST(members_of_the_descriptor_stay_where_they_are)
{
    static const struct layout places[] = {
        {PLACE_OF(magic), 0},          {PLACE_OF(abi_major), 4}, {PLACE_OF(abi_minor), 6},
        {PLACE_OF(size), 8},           {PLACE_OF(name), 16},     {PLACE_OF(opts), 40},
        {PLACE_OF(tables), 64},        {PLACE_OF(flags), 72},    {PLACE_OF(check), 80},
        {PLACE_OF(batch), 104},        {PLACE_OF(stop), 144},    {PLACE_OF(audit), 152},
        {PLACE_OF(record_bytes), 160},
    };

    compare(places, sizeof(places) / sizeof(places[0]));
    assert_true(sizeof(struct vd_stage_desc) >= 168);
}

RUN_TESTS(cmocka_unit_test(structures_that_modules_hold_keep_their_size),
          cmocka_unit_test(members_of_the_descriptor_stay_where_they_are))
