/* Ballots. The golden choices and tags come from an independent program written
 * from the protocol. */
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "election/ballot.h"

#define UNIFORM                                                          \
    {                                                                    \
        .choice = "uniform", .weights = "", .scenario = "", .seed = 2024 \
    }

static struct el_candidate candidate(const char *id, const char *name, const char *party)
{
    return (struct el_candidate){
        .id = vd_strdup(id), .name = vd_strdup(name), .party = vd_strdup(party)};
}

/* Three candidates, not in the order of their ids. */
static enum vd_status make(const struct el_ballot_conf *conf, struct el_ballot **ballot,
                           struct vd_err *err)
{
    struct el_candidate three[] = {
        candidate("gamma", "Cleo Clark", "Blue Party"),
        candidate("alpha", "Ann Abel", "Red Party"),
        candidate("beta", "Bob Bell", "Green Party"),
    };
    enum vd_status status = el_ballot_new(conf, three, 3, ballot, err);

    for (size_t i = 0; status != VD_OK && i < 3; i++) {
        el_candidate_fini(&three[i]);
    }
    return status;
}

static char *write_file(const char *text)
{
    char *path = vd_strdup("/tmp/votingd-test-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    return path;
}

static void assert_choices(const struct el_ballot *ballot, const char *state, const char *wanted)
{
    for (size_t i = 0; i < 14; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "voter-%zu", i);
        if (i == 12) {
            (void)snprintf(id, sizeof(id), "\xc5\xbdofie");
        }
        if (i == 13) {
            id[0] = '\0';
        }
        assert_int_equal(
            el_ballot_choose(ballot, &(struct el_voter_key){id, strlen(id), state, strlen(state)}),
            wanted[i] - '0');
    }
}

TEST(uniform_choices_are_those_of_the_protocol)
{
    struct el_ballot_conf conf = UNIFORM;
    struct el_ballot *ballot = NULL;

    assert_int_equal(make(&conf, &ballot, NULL), VD_OK);
    assert_int_equal(el_ballot_count(ballot), 3);
    assert_string_equal(el_ballot_candidate(ballot, 0)->id, "alpha");
    assert_string_equal(el_ballot_candidate(ballot, 2)->id, "gamma");
    assert_string_equal(el_ballot_tag(ballot), "7a59138978801249");
    assert_false(el_ballot_has_states(ballot));
    assert_choices(ballot, "Ohio", "20021120100220");
    el_ballot_free(ballot);

    conf.seed = 7;
    assert_int_equal(make(&conf, &ballot, NULL), VD_OK);
    assert_string_equal(el_ballot_tag(ballot), "902a7f4a77c9f1da");
    assert_choices(ballot, "", "22202100121121");
    el_ballot_free(ballot);
}

TEST(weights_are_given_by_id_name_or_party)
{
    static const char *const same[] = {
        "alpha:3,beta:0,gamma:1",
        " Ann Abel : 3 , bob bell:0",
        "RED PARTY:3,green:0,Blue Party:1",
    };

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct el_ballot_conf conf = {
            .choice = "weights", .weights = same[i], .scenario = "", .seed = 2024};
        struct el_ballot *ballot = NULL;
        struct vd_err err = {0};

        if (make(&conf, &ballot, &err) != VD_OK) {
            fail_msg("%s: %s", same[i], err.msg);
        }
        assert_string_equal(el_ballot_tag(ballot), "421dd25f599734bf");
        assert_choices(ballot, "", "20020000000220");
        el_ballot_free(ballot);
    }
}

TEST(a_scenario_decides_by_state_and_otherwise_by_the_sums)
{
    static const char *const same[] = {
        "state,red,green,blue\nOhio,5,3,2\nUtah,9,1,0\n",
        "state,blue party,x,beta\r\nOhio,2,5,3\r\n\r\nUtah,0,9,1", /* x: what is left over */
        "state,a,b,c\nOhio,5,3,2\nUtah,9,1,0\n",                   /* in order */
    };

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        VD_AUTO(mem) char *path = write_file(same[i]);
        struct el_ballot_conf conf = {
            .choice = "scenario", .weights = "", .scenario = path, .seed = 2024};
        struct el_ballot *ballot = NULL;
        struct vd_err err = {0};

        assert_int_equal(el_ballot_check(&conf, NULL), VD_OK);
        if (make(&conf, &ballot, &err) != VD_OK) {
            fail_msg("%s: %s", same[i], err.msg);
        }
        assert_true(el_ballot_has_states(ballot));
        assert_string_equal(el_ballot_tag(ballot), "b68369a3cfd4f88a");
        assert_choices(ballot, "Ohio", "10020110000220");
        assert_choices(ballot, "Utah", "00000000000110");
        assert_choices(ballot, "Kent", "10010000000220");
        el_ballot_free(ballot);
        assert_int_equal(unlink(path), 0);
    }
}

TEST(shares_of_many_choices_follow_the_weights)
{
    struct el_ballot_conf conf = {
        .choice = "weights", .weights = "alpha:5,beta:3,gamma:2", .scenario = "", .seed = 1};
    struct el_ballot *ballot = NULL;
    int counts[3] = {0};

    assert_int_equal(make(&conf, &ballot, NULL), VD_OK);
    for (int i = 0; i < 100000; i++) {
        char id[16];
        int len = snprintf(id, sizeof(id), "%d", i);

        counts[el_ballot_choose(ballot, &(struct el_voter_key){id, (size_t)len, "", 0})]++;
    }
    /* six standard deviations of a binomial count are below 1000 */
    assert_in_range(counts[0], 49000, 51000);
    assert_in_range(counts[1], 29000, 31000);
    assert_in_range(counts[2], 19000, 21000);
    el_ballot_free(ballot);
}

TEST(huge_weights_do_not_overflow)
{
    struct el_ballot_conf conf = {.choice = "weights",
                                  .weights = "alpha:1000000000000,beta:1000000000000,gamma:0",
                                  .scenario = "",
                                  .seed = 2024};
    struct el_ballot *ballot = NULL;
    int counts[3] = {0};

    assert_int_equal(make(&conf, &ballot, NULL), VD_OK);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        int len = snprintf(id, sizeof(id), "%d", i);

        counts[el_ballot_choose(ballot, &(struct el_voter_key){id, (size_t)len, "", 0})]++;
    }
    assert_in_range(counts[0], 400, 600);
    assert_int_equal(counts[2], 0);
    el_ballot_free(ballot);
}

TEST(wrong_settings_are_refused_with_the_reason)
{
    static const struct {
        struct el_ballot_conf conf;
        const char *words;
    } cases[] = {
        {{.choice = "weights", .weights = ""},
         "option \"weights\": choice \"weights\" needs NAME:WEIGHT, ..."},
        {{.choice = "weights", .weights = "alpha"},
         "option \"weights\": expected NAME:WEIGHT with 0 to 1000000000000, got \"alpha\""},
        {{.choice = "weights", .weights = "alpha:1,"},
         "option \"weights\": expected NAME:WEIGHT with 0 to 1000000000000, got \"\""},
        {{.choice = "weights", .weights = "alpha:-1"},
         "option \"weights\": expected NAME:WEIGHT with 0 to 1000000000000, got \"alpha:-1\""},
        {{.choice = "weights", .weights = "alpha:1000000000001"},
         "option \"weights\": expected NAME:WEIGHT with 0 to 1000000000000, got "
         "\"alpha:1000000000001\""},
        {{.choice = "weights", .weights = ":5"},
         "option \"weights\": expected NAME:WEIGHT with 0 to 1000000000000, got \":5\""},
        {{.choice = "scenario", .weights = "", .scenario = ""},
         "option \"scenario\": choice \"scenario\" needs the path of a file"},
        {{.choice = "scenario", .weights = "", .scenario = "/nonexistent/x.csv"},
         "option \"scenario\": scenario \"/nonexistent/x.csv\": No such file or directory"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(el_ballot_check(&cases[i].conf, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
    }
}

TEST(settings_that_do_not_fit_the_candidates_are_refused)
{
    struct el_ballot *ballot = NULL;
    struct vd_err err = {0};
    VD_AUTO(mem) char *wide = write_file("state,a,b,c,d\nOhio,1,2,3,4\n");
    VD_AUTO(mem) char *twice = write_file("state,alpha,Ann Abel\nOhio,1,2\n");
    struct el_ballot_conf conf = {.choice = "weights", .weights = "delta:1", .scenario = wide};

    assert_int_equal(make(&conf, &ballot, &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"weights\": \"delta\" is not the id, name or party of "
                                 "exactly one candidate");
    conf.weights = "alpha:0,beta:0,gamma:0";
    assert_int_equal(make(&conf, &ballot, &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"weights\": all are 0, nobody can be voted for");
    conf.choice = "scenario";
    assert_int_equal(make(&conf, &ballot, &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "option \"scenario\": 4 columns of votes, but there are 3 candidates");
    conf.scenario = twice;
    assert_int_equal(make(&conf, &ballot, &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"scenario\": column \"Ann Abel\" is a second one for "
                                 "candidate \"alpha\"");
    assert_int_equal(unlink(wide), 0);
    assert_int_equal(unlink(twice), 0);
    assert_null(ballot);
}

TEST(candidates_are_counted_and_told_apart)
{
    struct el_ballot_conf conf = UNIFORM;
    struct el_candidate twins[] = {candidate("a", "A", "A"), candidate("a", "B", "B")};
    struct el_ballot *ballot = NULL;
    struct vd_err err = {0};

    assert_int_equal(el_ballot_new(&conf, twins, 0, &ballot, &err), VD_INVALID);
    assert_string_equal(err.msg, "expected 1 to 1000 candidates, got 0");
    assert_int_equal(el_ballot_new(&conf, twins, 2, &ballot, &err), VD_INVALID);
    assert_string_equal(err.msg, "candidate_id \"a\" stands there twice");
    el_candidate_fini(&twins[1]);
    assert_int_equal(el_ballot_new(&conf, twins, 1, &ballot, &err), VD_OK);
    el_ballot_free(ballot);
}

RUN_TESTS(cmocka_unit_test(uniform_choices_are_those_of_the_protocol),
          cmocka_unit_test(weights_are_given_by_id_name_or_party),
          cmocka_unit_test(a_scenario_decides_by_state_and_otherwise_by_the_sums),
          cmocka_unit_test(shares_of_many_choices_follow_the_weights),
          cmocka_unit_test(huge_weights_do_not_overflow),
          cmocka_unit_test(wrong_settings_are_refused_with_the_reason),
          cmocka_unit_test(settings_that_do_not_fit_the_candidates_are_refused),
          cmocka_unit_test(candidates_are_counted_and_told_apart))
