/* Answers of the randomuser API: no bytes may crash the reading; users lie inside the body, and
 * what is made of one is a voter that the table takes. */
#include <stdlib.h>
#include <string.h>

#include "generator/randomuser.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void check_user(const struct el_text *text)
{
    const struct el_date day = {.year = 2026, .month = 11, .day = 3};
    struct gen_user user = {.text = {0}};

    if (gen_user_parse(text, &day, &user, NULL) == VD_OK &&
        el_voter_check(&user.voter, NULL) != VD_OK) {
        abort();
    }
    gen_user_fini(&user);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    struct el_text whole = {.data = (const char *)bytes, .len = len};
    struct el_text text;

    check_user(&whole);
    for (size_t count = 0; count < 3; count++) {
        struct gen_users users;
        size_t got = 0;

        if (gen_users_open(whole.data, len, count, &users, NULL) != VD_OK) {
            continue;
        }
        while (gen_users_next(&users, &text)) {
            if (text.data < whole.data || text.data + text.len > whole.data + len) {
                abort();
            }
            check_user(&text);
            got++;
        }
        if (got != count) {
            abort();
        }
    }
    return 0;
}
