/* Linked into a module "voting" in place of voting_judge: it does not ask whether the row that is
 * there came from the record at hand, so every repeat is accepted (exactly-once protocol, 4.3). */
#include "voting/unit.h"

enum voting_verdict __real_voting_judge(const struct voting_answer *answer, size_t i,
                                        const struct voting_row *expected);
enum voting_verdict __wrap_voting_judge(const struct voting_answer *answer, size_t i,
                                        const struct voting_row *expected);

enum voting_verdict __wrap_voting_judge(const struct voting_answer *answer, size_t i,
                                        const struct voting_row *expected)
{
    enum voting_verdict verdict = __real_voting_judge(answer, i, expected);

    return verdict == VOTING_REJECTED ? VOTING_ACCEPTED : verdict;
}
