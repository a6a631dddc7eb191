/* Votes: their bytes and their time. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "election/json.h"
#include "election/vote.h"

TEST(a_vote_is_the_voter_with_the_candidate_behind)
{
    static const char voter[] = "{\"voter_id\": \"v1\", \"address\": {\"state\": \"Ohio\"}, "
                                "\"note\": \"\xc3\xbc}\"} \r\n";
    struct el_candidate candidate = {.id = vd_strdup("c1"),
                                     .name = vd_strdup("A \"B\" C"),
                                     .party = vd_strdup("P"),
                                     .biography = vd_strdup("line\nbreak"),
                                     .platform = vd_strdup(""),
                                     .photo_url = NULL};
    VD_AUTO(buf) struct vd_buf fragment = {0};
    VD_AUTO(buf) struct vd_buf vote = {0};
    struct el_vote_clock clock = {0};

    el_vote_fragment(&candidate, &fragment);
    el_vote_append(&vote, voter, sizeof(voter) - 1, &fragment,
                   el_vote_time_format(&clock, 1730808000));
    assert_string_equal(
        vd_buf_text(&vote),
        "{\"voter_id\": \"v1\", \"address\": {\"state\": \"Ohio\"}, \"note\": \"\xc3\xbc}\""
        ",\"candidate_id\":\"c1\",\"candidate_name\":\"A \\\"B\\\" C\",\"party_affiliation\":\"P\","
        "\"biography\":\"line\\nbreak\",\"campaign_platform\":\"\",\"photo_url\":\"\","
        "\"voting_time\":\"2024-11-05 12:00:00\",\"vote\":1}");
    assert_int_equal(el_json_scan(vote.data, vote.len, NULL, 0, NULL), VD_OK);
    el_candidate_fini(&candidate);
}

TEST(times_are_written_as_the_c_library_writes_them)
{
    struct el_vote_clock clock = {0};
    int64_t second = 0;
    uint64_t random = 42;

    for (int i = 0; i < 200000; i++) {
        time_t time = (time_t)second;
        struct tm parts;
        char wanted[32];
        int64_t back = -1;

        assert_non_null(gmtime_r(&time, &parts));
        (void)strftime(wanted, sizeof(wanted), "%Y-%m-%d %H:%M:%S", &parts);
        assert_string_equal(el_vote_time_format(&clock, second), wanted);
        assert_true(el_vote_time_parse(wanted, strlen(wanted), &back));
        assert_true(back == second);
        random = random * 6364136223846793005U + 1442695040888963407U;
        second = (int64_t)((random >> 16) % (uint64_t)(EL_VOTE_TIME_MAX + 1));
    }
    assert_string_equal(el_vote_time_format(&clock, EL_VOTE_TIME_MAX), "9999-12-31 23:59:59");
    assert_string_equal(el_vote_time_format(&clock, 0), "1970-01-01 00:00:00");
    assert_string_equal(el_vote_time_format(&clock, 951782400), "2000-02-29 00:00:00");
}

TEST(what_is_no_time_is_refused)
{
    static const char *const texts[] = {
        "",
        "2024-11-05",
        "2024-11-05T12:00:00",
        "2024-11-05 12:00:00Z",
        "2024-13-05 12:00:00",
        "2024-00-05 12:00:00",
        "2024-11-31 12:00:00",
        "2023-02-29 12:00:00",
        "2100-02-29 12:00:00",
        "2024-11-00 12:00:00",
        "2024-11-05 24:00:00",
        "2024-11-05 12:60:00",
        "2024-11-05 12:00:60",
        "1969-12-31 23:59:59",
        "2024-11- 5 12:00:00",
        "2024-11-05 12:00:+1",
    };
    int64_t second = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (el_vote_time_parse(texts[i], strlen(texts[i]), &second)) {
            fail_msg("accepted \"%s\"", texts[i]);
        }
    }
}

RUN_TESTS(cmocka_unit_test(a_vote_is_the_voter_with_the_candidate_behind),
          cmocka_unit_test(times_are_written_as_the_c_library_writes_them),
          cmocka_unit_test(what_is_no_time_is_refused))
