/* Addresses as text: every family, and the shapes the kernel returns them in. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/address.h"
#include "base/attr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

union any {
    struct sockaddr plain;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

static socklen_t
make_ip(union any *a, const char *host, unsigned port, unsigned scope)
{
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons((in_port_t)port);
        return sizeof a->v4;
    }
    assert_int_equal(inet_pton(AF_INET6, host, &a->v6.sin6_addr), 1);
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons((in_port_t)port);
    a->v6.sin6_scope_id = scope;
    return sizeof a->v6;
}

static socklen_t
make_unix(union any *a, const char *name, size_t bytes)
{
    memset(a, 0, sizeof *a);
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, name, bytes);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
}

static void
formats_ip(void **state)
{
    static const struct {
        const char *in;
        unsigned port, scope;
        const char *text, *host;
    } cases[] = {
        {"127.0.0.1", 80, 0, "127.0.0.1:80", "127.0.0.1"},
        {"0.0.0.0", 65535, 0, "0.0.0.0:65535", "0.0.0.0"},
        {"::1", 80, 0, "[::1]:80", "::1"},
        {"::", 0, 0, "[::]:0", "::"},
        {"::ffff:192.0.2.1", 49152, 0, "192.0.2.1:49152", "192.0.2.1"},
        {"fe80::1", 80, 2, "[fe80::1%2]:80", "fe80::1"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", 65535, 4294967295u,
         "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535",
         "1111:2222:3333:4444:5555:6666:7777:8888"},
    };
    char text[PF_ADDRESS_TEXT_BYTES];
    union any a;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        socklen_t n = make_ip(&a, cases[i].in, cases[i].port, cases[i].scope);
        pf_address_format(&a.plain, n, text, sizeof text);
        assert_string_equal(text, cases[i].text);
        pf_address_host(&a.plain, n, text, sizeof text);
        assert_string_equal(text, cases[i].host);
        assert_int_equal(pf_address_port(&a.plain, n), cases[i].port);
    }
}

static void
formats_unix(void **state)
{
    static const struct {
        const char *name;
        size_t bytes;
        const char *text;
    } cases[] = {
        {"", 0, ""},
        {"/run/x.sock", 12, "/run/x.sock"},
        {"/run/x.sock", 11, "/run/x.sock"},
        {"\0name", 5, "@name"},
        {"\0a\0b", 4, "@a@b"},
    };
    char text[PF_ADDRESS_TEXT_BYTES];
    union any a;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        socklen_t n = make_unix(&a, cases[i].name, cases[i].bytes);
        pf_address_format(&a.plain, n, text, sizeof text);
        assert_string_equal(text, cases[i].text);
        pf_address_host(&a.plain, n, text, sizeof text);
        assert_string_equal(text, "");
        assert_int_equal(pf_address_port(&a.plain, n), 0);
    }
}

/* A path of 108 bytes has no terminator. */
static void
formats_a_path_without_end(void **state)
{
    char text[PF_ADDRESS_TEXT_BYTES];
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    union any a;

    (void)state;
    memset(path, 'x', sizeof path);
    pf_address_format(&a.plain, make_unix(&a, path, sizeof path), text, sizeof text);
    assert_int_equal(strlen(text), sizeof path);
}

static void
cuts_what_does_not_fit(void **state)
{
    char text[4];
    union any a;
    socklen_t n = make_ip(&a, "127.0.0.1", 80, 0);

    (void)state;
    pf_address_format(&a.plain, n, text, sizeof text);
    assert_string_equal(text, "127");
    pf_address_host(&a.plain, n, text, sizeof text);
    assert_string_equal(text, "127");
    pf_address_format(&a.plain, make_unix(&a, "/run/x", 6), text, sizeof text);
    assert_string_equal(text, "/ru");
}

static void
distrusts_short_addresses(void **state)
{
    char text[PF_ADDRESS_TEXT_BYTES];
    union any a;

    (void)state;
    (void)make_ip(&a, "127.0.0.1", 80, 0);
    pf_address_format(&a.plain, sizeof a.v4 - 1, text, sizeof text);
    assert_string_equal(text, "");
    pf_address_format(&a.plain, 0, text, sizeof text);
    assert_string_equal(text, "");
}

static void
compares(void **state)
{
    union any a, b;
    socklen_t n = make_ip(&a, "127.0.0.1", 80, 0);
    socklen_t m = make_ip(&b, "127.0.0.1", 81, 0);

    (void)state;
    assert_false(pf_address_same(&a.plain, n, &b.plain, m));
    pf_address_set_port(&b.plain, 80);
    assert_true(pf_address_same(&a.plain, n, &b.plain, m));
    m = make_ip(&b, "::1", 0, 0);
    pf_address_set_port(&b.plain, 80);
    assert_int_equal(pf_address_port(&b.plain, m), 80);
    assert_false(pf_address_same(&a.plain, n, &b.plain, m));
    assert_true(pf_address_same(&b.plain, m, &b.plain, m));
    n = make_unix(&a, "/x", 2);
    m = make_unix(&b, "/x", 3);
    assert_true(pf_address_same(&a.plain, n, &b.plain, m));
    m = make_unix(&b, "/y", 3);
    assert_false(pf_address_same(&a.plain, n, &b.plain, m));
    m = make_unix(&b, "", 0);
    assert_false(pf_address_same(&b.plain, m, &b.plain, m));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_ip),
        cmocka_unit_test(formats_unix),
        cmocka_unit_test(formats_a_path_without_end),
        cmocka_unit_test(cuts_what_does_not_fit),
        cmocka_unit_test(distrusts_short_addresses),
        cmocka_unit_test(compares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
