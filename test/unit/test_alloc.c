#include "alloc.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

struct pair {
    int first;
    int second;
};

TEST(memory_is_zeroed)
{
    VD_AUTO(mem) char *bytes = vd_alloc(64);
    VD_AUTO(mem) struct pair *pairs = vd_alloc_array(3, sizeof(*pairs));

    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(pairs[2].second, 0);
}

TEST(nothing_is_still_memory)
{
    VD_AUTO(mem) void *none = vd_alloc(0);
    VD_AUTO(mem) void *no_items = vd_alloc_array(0, 8);
    VD_AUTO(mem) void *no_bytes = vd_realloc(NULL, 0);
    VD_AUTO(mem) void *copy = vd_memdup("x", 0);

    assert_non_null(none);
    assert_non_null(no_items);
    assert_non_null(no_bytes);
    assert_non_null(copy);
}

TEST(copies_of_null_are_null)
{
    assert_null(vd_strdup(NULL));
    assert_null(vd_strndup(NULL, 3));
    assert_null(vd_memdup(NULL, 3));
}

TEST(strndup_reads_no_further_than_it_may)
{
    const char open_end[3] = {'a', 'b', 'c'};
    VD_AUTO(mem) char *all = vd_strndup(open_end, sizeof(open_end));
    VD_AUTO(mem) char *some = vd_strndup("ab\0cd", 5);

    assert_string_equal(all, "abc");
    assert_string_equal(some, "ab");
}

TEST(format_makes_a_string_of_any_length)
{
    VD_AUTO(mem) char *text = vd_format("%0500d", 7);

    assert_int_equal(strlen(text), 500);
    assert_int_equal(text[499], '7');
}

TEST(realloc_keeps_what_was_there)
{
    VD_AUTO(mem) char *text = vd_strdup("voter");

    text = vd_realloc(text, 4096);
    assert_string_equal(text, "voter");
}

TEST(take_leaves_null)
{
    VD_AUTO(mem) char *from = vd_strdup("moved");
    VD_AUTO(mem) char *to = vd_take(from);

    assert_null(from);
    assert_string_equal(to, "moved");
}

TEST(owner_is_found_from_its_member)
{
    struct pair pair = {0};

    assert_ptr_equal(vd_owner(&pair.second, struct pair, second), &pair);
}

/* In a child, which is to abort and leaves its words in a pipe. */
TEST(a_product_that_overflows_aborts)
{
    volatile size_t huge = SIZE_MAX / 2;
    char words[64] = "";
    int ends[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        free(vd_alloc_array(huge, 3));
        _exit(0);
    }
    close(ends[1]);
    assert_true(read(ends[0], words, sizeof(words) - 1) >= 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
        assert_non_null(strstr(words, "votingd: out of memory\n"));
    }
#endif
}

RUN_TESTS(cmocka_unit_test(memory_is_zeroed), cmocka_unit_test(nothing_is_still_memory),
          cmocka_unit_test(copies_of_null_are_null),
          cmocka_unit_test(strndup_reads_no_further_than_it_may),
          cmocka_unit_test(format_makes_a_string_of_any_length),
          cmocka_unit_test(realloc_keeps_what_was_there), cmocka_unit_test(take_leaves_null),
          cmocka_unit_test(owner_is_found_from_its_member),
          cmocka_unit_test(a_product_that_overflows_aborts))
