/* What the web server decides by text alone: its configuration, and who may ask for what. */
#include <string.h>

#include "alloc.h"
#include "test.h"
#include "web_guard.h"
#include "web_message.h"
#include "web_server.h"

/* --- configuration --- */

TEST(listen_addresses_that_are_not_ours_are_refused)
{
    static const struct {
        const char *listen, *message;
    } cases[] = {
        {"127.0.0.1:8080", NULL},
        {"localhost:0", NULL},
        {"127.0.0.2:65535", NULL},
        {"0.0.0.0:8080",
         "option \"listen\": 0.0.0.0:8080 is open to others, and nobody would have to sign in: set "
         "\"access\" to token or users (docs/access.md), or listen on 127.0.0.1"},
        {"192.0.2.1:80",
         "option \"listen\": 192.0.2.1:80 is open to others, and nobody would have to sign in: set "
         "\"access\" to token or users (docs/access.md), or listen on 127.0.0.1"},
        {"127.0.0.1:8443s",
         "option \"listen\": \"127.0.0.1:8443s\" asks for TLS, with which this civetweb (1.15) "
         "crashes: listen without, and let a proxy do TLS"},
        {"8443s", "option \"listen\": \"8443s\" asks for TLS, with which this civetweb (1.15) "
                  "crashes: listen without, and let a proxy do TLS"},
        {"127.0.0.1:8080r", "option \"listen\": \"127.0.0.1:8080r\" asks for TLS, with which this "
                            "civetweb (1.15) crashes: listen without, and let a proxy do TLS"},
        {"[::1]:8080",
         "option \"listen\": \"[::1]:8080\" is IPv6, which this civetweb was built without"},
        {"8080", "option \"listen\": expected ADDRESS:PORT, got \"8080\""},
        {"127.0.0.1", "option \"listen\": expected ADDRESS:PORT, got \"127.0.0.1\""},
        {"127.0.0.1:", "option \"listen\": expected ADDRESS:PORT, got \"127.0.0.1:\""},
        {"127.0.0.1:65536", "option \"listen\": expected ADDRESS:PORT, got \"127.0.0.1:65536\""},
        {"127.0.0.1:80,0.0.0.0:81",
         "option \"listen\": expected ADDRESS:PORT, got \"127.0.0.1:80,0.0.0.0:81\""},
        {"here:80", "option \"listen\": expected an IPv4 address, got \"here\""},
    };
    struct vd_web_conf conf = {0};

    vd_opt_defaults(vd_web_opts, &conf);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(vd_opt_set(vd_web_opts, &conf, "listen", cases[i].listen, &err), VD_OK);
        assert_int_equal(vd_web_check(&conf, &err), cases[i].message == NULL ? VD_OK : VD_INVALID);
        assert_string_equal(err.msg, cases[i].message == NULL ? "" : cases[i].message);
    }
    vd_opt_fini(vd_web_opts, &conf);
}

TEST(options_of_access_that_contradict_each_other_are_refused)
{
    static const struct {
        const char *options[9]; /* pairs, NULL at the end */
        const char *message;
    } cases[] = {
        {{"access", "token", "tokens", "/t", "listen", "192.0.2.1:80"}, ""},
        {{"access", "users", "users", "/u", "tokens", "/t", "actions", "yes"}, ""},
        {{"access", "token"},
         "option \"tokens\": access = token needs the file with lines NAME:ROLE:TOKEN; \"openssl "
         "rand -hex 32\" makes a token"},
        {{"access", "users"},
         "option \"users\": access = users needs the file with their passwords; \"votingd "
         "--hash-password NAME:ROLE\" makes a line of it"},
        {{"access", "token", "tokens", "/t", "users", "/u"},
         "option \"users\": nobody is asked for a password with access = token: set it to users"},
        {{"users", "/u"},
         "option \"access\": with none nobody is asked for what \"users\" names: set it to token "
         "or users"},
        {{"tokens", "/t"},
         "option \"access\": with none nobody is asked for what \"tokens\" names: set it to token "
         "or users"},
        {{"actions", "yes"},
         "option \"actions\": with access = none the log could not say who acted: set \"access\" "
         "to token or users"},
        {{"open", "/metrics, readyz"},
         "option \"open\": expected paths such as /metrics, got \"readyz\""},
        {{"access", "token", "tokens", "/t", "listen", "0.0.0.0:80"},
         "option \"hosts\": must name what browsers reach 0.0.0.0 by, such as vote.example.org: "
         "requests for other names are refused"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_web_conf conf = {0};
        struct vd_err err = {0};

        vd_opt_defaults(vd_web_opts, &conf);
        for (const char *const *at = cases[i].options; *at != NULL; at += 2) {
            assert_int_equal(vd_opt_set(vd_web_opts, &conf, at[0], at[1], &err), VD_OK);
        }
        assert_int_equal(vd_web_check(&conf, &err), *cases[i].message ? VD_INVALID : VD_OK);
        assert_string_equal(err.msg, cases[i].message);
        vd_opt_fini(vd_web_opts, &conf);
    }
}

TEST(the_defaults_are_in_order)
{
    struct vd_web_conf conf = {0};
    struct vd_err err = {0};

    vd_opt_defaults(vd_web_opts, &conf);
    assert_int_equal(vd_web_check(&conf, &err), VD_OK);
    assert_string_equal(conf.listen, "127.0.0.1:8080");
    vd_opt_fini(vd_web_opts, &conf);
}

TEST(more_sockets_than_threads_allow_are_refused)
{
    struct vd_web_conf conf = {0};
    struct vd_err err = {0};

    vd_opt_defaults(vd_web_opts, &conf);
    conf.threads = 100;
    conf.sockets_max = 93;
    assert_int_equal(vd_web_check(&conf, &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "option \"sockets_max\": must be at most threads - 8, which is 92, got 93");
    conf.sockets_max = 92;
    assert_int_equal(vd_web_check(&conf, &err), VD_OK);
    vd_opt_fini(vd_web_opts, &conf);
}

TEST(a_host_option_with_a_port_is_refused)
{
    struct vd_web_conf conf = {0};
    struct vd_err err = {0};

    vd_opt_defaults(vd_web_opts, &conf);
    assert_int_equal(vd_opt_set(vd_web_opts, &conf, "hosts", "a.example, b:80", &err), VD_OK);
    assert_int_equal(vd_web_check(&conf, &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "option \"hosts\": expected names or addresses without port, got \"b:80\"");
    vd_opt_fini(vd_web_opts, &conf);
}

/* --- requests --- */

TEST(query_parameters_are_found_and_decoded)
{
    static const struct {
        const char *query, *name, *value;
    } cases[] = {
        {"", "a", NULL},           {"a=1", "a", "1"},
        {"b=2&a=1", "a", "1"},     {"a", "a", ""},
        {"a=", "a", ""},           {"aa=1", "a", NULL},
        {"a=1&a=2", "a", "1"},     {"a=%41+b", "a", "A b"},
        {"%61=1", "a", "1"},       {"a=%", "a", "%"},
        {"a=%4", "a", "%4"},       {"a=%zz", "a", "%zz"},
        {"a=x%00y", "a", "x%00y"}, {"&&a=1&", "a", "1"},
        {"=1", "a", NULL},         {"a=b=c", "a", "b=c"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem) char *value = vd_web_query_get(cases[i].query, cases[i].name);

        if (cases[i].value == NULL) {
            assert_null(value);
        } else {
            assert_non_null(value);
            assert_string_equal(value, cases[i].value);
        }
    }
}

TEST(hosts_are_known_by_name_with_any_port)
{
    static const struct {
        const char *host;
        bool is_known;
    } cases[] = {
        {"127.0.0.2", true},
        {"127.0.0.2:8080", true},
        {"localhost:1", true},
        {"LOCALHOST", true},
        {"127.0.0.1:65535", true},
        {"vote.example", true},
        {"Vote.Example:1", true},
        {"[::1]:8080", true},
        {"", false},
        {":80", false},
        {"localhost:", false},
        {"localhost:123456", false},
        {"localhost:80 ", false},
        {"localhost/", false},
        {"user@localhost", false},
        {"localhost.", false},
        {"evil.example", false},
        {"vote.example.evil", false},
        {"xvote.example", false},
        {"[::1", false},
        {"[]", false},
        {"[::2]", false},
        {"127.0.0.2:8080s", false},
    };
    struct vd_web_guard guard = {0};

    vd_web_guard_init(&guard, "127.0.0.2", " vote.example ,[::1],, ", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (vd_web_guard_has_host(&guard, cases[i].host) != cases[i].is_known) {
            fail_msg("\"%s\"", cases[i].host);
        }
    }
    vd_web_guard_fini(&guard);
}

TEST(origins_are_those_of_the_request_or_of_the_list)
{
    static const struct {
        const char *origin, *host;
        bool is_known;
    } cases[] = {
        {"http://localhost:8080", "localhost:8080", true},
        {"HTTPS://LocalHost:8080", "localhost:8080", true},
        {"https://vote.example", "127.0.0.1:8080", true},
        {"https://vote.example:444", "127.0.0.1:8080", true},
        {"http://localhost:3000", "localhost:8080", false},
        {"http://localhost", "localhost:8080", false},
        {"http://127.0.0.1:8080", "localhost:8080", false},
        {"ws://localhost:8080", "localhost:8080", false},
        {"localhost:8080", "localhost:8080", false},
        {"null", "null", false},
        {"", "", false},
        {"http://", "", false},
        {"http://vote.example/path", "localhost", false},
        {"http://vote.example@evil.example", "localhost", false},
    };
    struct vd_web_guard guard = {0};

    vd_web_guard_init(&guard, "127.0.0.1", "vote.example", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (vd_web_guard_has_origin(&guard, cases[i].origin, cases[i].host) != cases[i].is_known) {
            fail_msg("\"%s\" to \"%s\"", cases[i].origin, cases[i].host);
        }
    }
    vd_web_guard_fini(&guard);
}

TEST(limits_count_the_64_that_an_ipv6_address_is_in)
{
    static const struct {
        const char *address, *counted;
    } cases[] = {
        {"192.0.2.9", "192.0.2.9"},
        {"::ffff:192.0.2.9", "192.0.2.9"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:DB8:1:2::9", "2001:db8:1:2::/64"},
        {"2001:db8:1:3::9", "2001:db8:1:3::/64"},
        {"::1", "::/64"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444::/64"},
        {"someone", "someone"},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char counted[VD_WEB_ADDRESS_BYTES];

        vd_web_guard_counted(cases[i].address, counted);
        assert_string_equal(counted, cases[i].counted);
    }
}

TEST(the_address_is_the_last_one_that_no_trusted_proxy_has)
{
    static const struct {
        const char *peer, *forwarded, *address;
    } cases[] = {
        {"192.0.2.9", NULL, "192.0.2.9"},
        {"192.0.2.9", "1.1.1.1", "192.0.2.9"}, /* anyone can say that */
        {"10.0.0.1", NULL, "10.0.0.1"},
        {"10.0.0.1", "", "10.0.0.1"},
        {"10.0.0.1", "1.1.1.1", "1.1.1.1"},
        {"10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"},
        {"10.0.0.1", "6.6.6.6,1.1.1.1 , 10.0.0.2", "1.1.1.1"},
        {"10.0.0.1", "10.0.0.2", "10.0.0.2"},
        {"10.0.0.1", ",", "10.0.0.1"},
        {"10.0.0.1", "1.1.1.1,", "10.0.0.1"},
        {"10.0.0.1", "0123456789012345678901234567890123456789012345678901234567890", "10.0.0.1"},
    };
    struct vd_web_guard guard = {0};

    vd_web_guard_init(&guard, "127.0.0.1", "", "10.0.0.1,10.0.0.2");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char address[VD_WEB_ADDRESS_BYTES];

        vd_web_guard_address(&guard, cases[i].peer, cases[i].forwarded, address);
        assert_string_equal(address, cases[i].address);
    }
    vd_web_guard_fini(&guard);
}

TEST(cookies_and_tokens_are_found_in_their_headers)
{
    static const struct {
        const char *cookies, *value;
    } cases[] = {
        {NULL, NULL},          {"", NULL},
        {"id=1", "1"},         {"a=b; id=12", "12"},
        {"xid=1", NULL},       {"id", NULL},
        {"id=", ""},           {"id=1; id=2", "1"},
        {";; id=1;", "1"},     {"id=1234567", "1234567"},
        {"id=12345678", NULL}, {"ID=1", NULL},
    };
    char value[8];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_found = vd_web_cookie_find(cases[i].cookies, "id", value, sizeof(value));

        assert_int_equal(is_found, cases[i].value != NULL);
        if (is_found) {
            assert_string_equal(value, cases[i].value);
        }
    }
    assert_string_equal(vd_web_bearer("bearer  x y"), "x y");
    assert_null(vd_web_bearer("Basic eDp5"));
    assert_null(vd_web_bearer("Bearer"));
    assert_null(vd_web_bearer(NULL));
}

TEST(gzip_is_taken_only_where_it_is_named)
{
    assert_true(vd_web_takes_gzip("gzip"));
    assert_true(vd_web_takes_gzip("br;q=1.0, GZIP;q=0.8"));
    assert_true(vd_web_takes_gzip("*"));
    assert_true(vd_web_takes_gzip("gzip;q=0.001"));
    assert_false(vd_web_takes_gzip(NULL));
    assert_false(vd_web_takes_gzip(""));
    assert_false(vd_web_takes_gzip("br, deflate"));
    assert_false(vd_web_takes_gzip("gzipped"));
    assert_false(vd_web_takes_gzip("gzip; q=0"));
    assert_false(vd_web_takes_gzip("gzip;q=0.000, br"));
}

TEST(entity_tags_are_compared_one_by_one)
{
    char first[16];

    assert_true(vd_web_etag_is_known("\"a\"", "a"));
    assert_true(vd_web_etag_is_known("W/\"b\" , \"a-gz\"", "a"));
    assert_true(vd_web_etag_is_known("*", "a"));
    assert_false(vd_web_etag_is_known(NULL, "a"));
    assert_false(vd_web_etag_is_known("", "a"));
    assert_false(vd_web_etag_is_known("\"aa\"", "a"));
    assert_false(vd_web_etag_is_known("\"\"", ""));
    assert_false(vd_web_etag_is_known("\"", "a"));
    vd_web_etag_first("W/\"tag-gz\", \"b\"", first, sizeof(first));
    assert_string_equal(first, "\"tag\"");
    vd_web_etag_first("\"0123456789abcdef\"", first, sizeof(first));
    assert_string_equal(first, ""); /* longer than any of ours */
    vd_web_etag_first(NULL, first, sizeof(first));
    assert_string_equal(first, "");
}

/* --- messages from clients --- */

TEST(messages_are_told_apart)
{
    static const struct {
        const char *text;
        enum vd_web_message_kind kind;
        long long number;
    } cases[] = {
        {"{\"type\":\"ack\",\"seq\":0}", VD_WEB_ACK, 0},
        {"{\"seq\":9007199254740991,\"type\":\"ack\"}", VD_WEB_ACK, 9007199254740991},
        {"{\"type\":\"ack\",\"seq\":9007199254740992}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"ack\",\"seq\":99999999999999999999}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"ack\",\"seq\":01}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"ack\",\"seq\":1.5}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"ack\",\"seq\":\"1\"}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"ack\",\"seq\":1,\"more\":true}", VD_WEB_ACK, 1},
        {"{\"type\":\"ack\",\"seq\":1}x", VD_WEB_BROKEN, 0},
        {"{\"type\":\"rate\",\"min_ms\":0}", VD_WEB_RATE, 0},
        {"\t{ \"type\" : \"rate\" ,\r\n \"min_ms\" : 60000 } ", VD_WEB_RATE, 60000},
        {"{\"type\":\"rate\",\"min_ms\":1}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"resync\"}", VD_WEB_RESYNC, 0},
        {"{\"type\":\"resync\",}", VD_WEB_BROKEN, 0},
        {"{\"type\":\"re\\u0073ync\"}", VD_WEB_OTHER, 0},
        {"{\"more\":{\"type\":\"ack\"}}", VD_WEB_OTHER, 0},
        {"{\"type\":\"Ack\",\"seq\":1}", VD_WEB_OTHER, 0},
        {"[\"ack\"]", VD_WEB_OTHER, 0},
        {"{}", VD_WEB_OTHER, 0},
        {"{", VD_WEB_OTHER, 0},
        {"", VD_WEB_OTHER, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_web_message message = vd_web_message_parse(cases[i].text, strlen(cases[i].text));

        if (message.kind != cases[i].kind) {
            fail_msg("%s: expected %d, got %d", cases[i].text, cases[i].kind, message.kind);
        }
        assert_int_equal(message.kind == VD_WEB_ACK ? (long long)message.seq : message.min_ms,
                         cases[i].number);
    }
}

RUN_TESTS(cmocka_unit_test(listen_addresses_that_are_not_ours_are_refused),
          cmocka_unit_test(options_of_access_that_contradict_each_other_are_refused),
          cmocka_unit_test(the_defaults_are_in_order),
          cmocka_unit_test(more_sockets_than_threads_allow_are_refused),
          cmocka_unit_test(a_host_option_with_a_port_is_refused),
          cmocka_unit_test(query_parameters_are_found_and_decoded),
          cmocka_unit_test(hosts_are_known_by_name_with_any_port),
          cmocka_unit_test(origins_are_those_of_the_request_or_of_the_list),
          cmocka_unit_test(limits_count_the_64_that_an_ipv6_address_is_in),
          cmocka_unit_test(the_address_is_the_last_one_that_no_trusted_proxy_has),
          cmocka_unit_test(cookies_and_tokens_are_found_in_their_headers),
          cmocka_unit_test(gzip_is_taken_only_where_it_is_named),
          cmocka_unit_test(entity_tags_are_compared_one_by_one),
          cmocka_unit_test(messages_are_told_apart))
