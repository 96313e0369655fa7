/* Blocks of addresses: their grammar, garbage, and sets against a plain search. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/block.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GARBAGE_RUNS = 200000,
    SETS = 30,
    BLOCKS_IN_SET = 300,
    QUESTIONS = 2000,
};

static struct pf_block
block_of(const char *text)
{
    struct pf_error error = {0};
    struct pf_block block = {0};

    if (pf_block_parse(text, strlen(text), &block, &error) != 0)
        fail_msg("%s: %s", text, error.text);
    return block;
}

static struct pf_ip
ip_of(const char *text)
{
    return block_of(text).first;
}

static void
reads_what_is_right(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.0.0.1/32", "127.0.0.1"},
        {"10.0.0.0/8", "10.0.0.0 to 10.255.255.255"},
        {"192.0.2.128/25", "192.0.2.128 to 192.0.2.255"},
        {"192.0.2.4/31", "192.0.2.4 to 192.0.2.5"},
        {"0.0.0.0/0", "0.0.0.0 to 255.255.255.255"},
        {"::1", "::1"},
        {"2001:DB8::/32", "2001:db8:: to 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"2001:db8::8/127", "2001:db8::8 to 2001:db8::9"},
        {"::/0", ":: to ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.0/120", "192.0.2.0 to 192.0.2.255"},
        {"::ffff:0:0/96", "0.0.0.0 to 255.255.255.255"},
    };
    char shown[100];

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_block block = block_of(cases[i].text);
        pf_block_format(&block, shown, sizeof shown);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void
refuses_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "is no block"},
        {"/8", "is no block"},
        {"10", "is no block"},
        {"10/8", "is no block"},
        {"10.0.0/8", "is no block"},
        {"010.0.0.0/8", "is no block"},
        {"256.0.0.0", "is no block"},
        {"10.0.0.0-10.0.0.9", "is no block"},
        {"fe80::1%lo", "is no block"},
        {"localhost", "such as 192.0.2.0/24"},
        {"10.0.0.0/", "length that its address cannot have"},
        {"10.0.0.0/33", "length that its address cannot have"},
        {"10.0.0.0/-1", "length that its address cannot have"},
        {"10.0.0.0/+8", "length that its address cannot have"},
        {"10.0.0.0/8 ", "length that its address cannot have"},
        {"10.0.0.0/8/8", "length that its address cannot have"},
        {"10.0.0.0/255.0.0.0", "length that its address cannot have"},
        {"10.0.0.0/4294967304", "length that its address cannot have"},
        {"::/129", "length that its address cannot have"},
        {"::ffff:0:0/95", "length that its address cannot have"},
        {"10.1.2.3/8", "write 10.0.0.0/8 for the block, or 10.1.2.3 for the one address"},
        {"2001:db8::1/64", "write 2001:db8::/64 for the block, or 2001:db8::1"},
        {"0.0.0.1/0", "write 0.0.0.0/0"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_block block = {.first = {.version = 77}};
        struct pf_error error = {0};
        int r = pf_block_parse(cases[i].text, strlen(cases[i].text), &block, &error);
        if (r != -EINVAL || !strstr(error.text, cases[i].sentence))
            fail_msg("\"%s\": %d %s", cases[i].text, r, error.text);
        assert_int_equal(block.first.version, 77);
    }
}

/* Each text ends where its memory does, so that a sanitizer or valgrind sees a step too
 * far. What is accepted is a block whose bounds are in order. */
static void
survives_garbage(void **state)
{
    static const char letters[] = "0123456789./:abcdef%-, \377f";
    unsigned accepted = 0;

    (void)state;
    srand(1);
    for (int run = 0; run < GARBAGE_RUNS; run++) {
        size_t length = (size_t)rand() % 24;
        char *text = malloc(length + 1);
        struct pf_error error = {0};
        struct pf_block block;
        for (size_t i = 0; i < length; i++)
            text[i] = letters[(size_t)rand() % sizeof letters];
        if (pf_block_parse(text, length, &block, &error) == 0) {
            accepted++;
            assert_true(memcmp(&block.first, &block.last, sizeof block.first) <= 0);
            assert_int_equal(block.first.version, block.last.version);
        } else {
            assert_true(error.text[0] != '\0');
        }
        free(text);
    }
    assert_true(accepted > 0);
}

static void
reads_socket_addresses(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr plain = {.sa_family = AF_UNIX};
    struct pf_ip expected = ip_of("192.0.2.7");
    struct pf_ip ip;

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr), 1);
    ip = pf_ip_of((const void *)&v4, sizeof v4);
    assert_memory_equal(&ip, &expected, sizeof ip);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr), 1);
    ip = pf_ip_of((const void *)&v6, sizeof v6);
    assert_memory_equal(&ip, &expected, sizeof ip);
    assert_int_equal(pf_ip_of(&plain, sizeof plain).version, 0);
    assert_int_equal(pf_ip_of((const void *)&v6, sizeof v6 - 1).version, 0);
}

static void
add(struct pf_blocks *set, const char *text)
{
    struct pf_block block = block_of(text);

    assert_int_equal(pf_blocks_add(set, &block), 0);
}

static bool
has(const struct pf_blocks *set, const char *text)
{
    struct pf_ip ip = ip_of(text);

    return pf_blocks_find(set, &ip) != NULL;
}

static void
finds_bounds_and_keeps_versions_apart(void **state)
{
    struct pf_blocks set = {0};

    (void)state;
    assert_false(has(&set, "10.0.0.1"));
    add(&set, "10.0.0.0/8");
    add(&set, "10.2.0.0/16"); /* inside the other */
    add(&set, "192.0.2.7");
    add(&set, "::/0");
    pf_blocks_seal(&set);
    assert_int_equal(set.count, 3);
    assert_true(has(&set, "10.0.0.0"));
    assert_true(has(&set, "10.255.255.255"));
    assert_true(has(&set, "10.200.0.1")); /* behind the inner block */
    assert_false(has(&set, "9.255.255.255"));
    assert_false(has(&set, "11.0.0.0"));
    assert_true(has(&set, "192.0.2.7"));
    assert_true(has(&set, "::ffff:192.0.2.7"));
    assert_false(has(&set, "192.0.2.8"));
    assert_true(has(&set, "2001:db8::1"));
    assert_false(has(&set, "255.255.255.255"));
    pf_blocks_deinit(&set);
}

/* Random blocks in a small part of the address space, so that many overlap and touch. */
static void
random_block(char *text, size_t size)
{
    unsigned bits = 20 + (unsigned)rand() % 13;
    unsigned address = 0x0a000000u | (unsigned)rand() % 0x20000;

    address &= bits == 32 ? 0xffffffffu : ~(0xffffffffu >> bits);
    (void)snprintf(text, size, "%u.%u.%u.%u/%u", address >> 24, address >> 16 & 255,
                   address >> 8 & 255, address & 255, bits);
}

static bool
is_in_any(const struct pf_block *blocks, size_t count, const struct pf_ip *ip)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&blocks[i].first, ip, sizeof *ip) <= 0 &&
            memcmp(ip, &blocks[i].last, sizeof *ip) <= 0)
            return true;
    }
    return false;
}

static void
agrees_with_a_plain_search(void **state)
{
    static struct pf_block blocks[BLOCKS_IN_SET];
    char text[40];

    (void)state;
    srand(2);
    for (int run = 0; run < SETS; run++) {
        struct pf_blocks set = {0};
        size_t count = (size_t)rand() % BLOCKS_IN_SET;
        for (size_t i = 0; i < count; i++) {
            random_block(text, sizeof text);
            blocks[i] = block_of(text);
            assert_int_equal(pf_blocks_add(&set, &blocks[i]), 0);
        }
        pf_blocks_seal(&set);
        for (int i = 0; i < QUESTIONS; i++) {
            struct pf_ip ip = ip_of("10.0.0.0");
            ip.bytes[1] = (uint8_t)(rand() % 3);
            ip.bytes[2] = (uint8_t)rand();
            ip.bytes[3] = (uint8_t)rand();
            assert_int_equal(pf_blocks_find(&set, &ip) != NULL,
                             is_in_any(blocks, count, &ip));
        }
        pf_blocks_deinit(&set);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_right),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(survives_garbage),
        cmocka_unit_test(reads_socket_addresses),
        cmocka_unit_test(finds_bounds_and_keeps_versions_apart),
        cmocka_unit_test(agrees_with_a_plain_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
