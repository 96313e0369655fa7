/* Rules between settings: what people set, and the pool they get. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/text.h"
#include "config/check.h"
#include "config/parse.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CALLBACK PF_HANDLER_CALLBACK
#define WAIT     PF_HANDLER_WAIT

/* All notes of one check, one per line. */
struct notes {
    char bytes[2048];
    struct pf_text text;
};

static void
take_note(void *context, const char *text)
{
    struct notes *notes = context;

    pf_text_add(&notes->text, "%s\n", text);
}

static int
check(struct pf_settings *s, const char *text, enum pf_handler handler, struct notes *notes,
      struct pf_error *error)
{
    enum pf_server_type type = PF_SERVER_PREFORK;
    int r;

    pf_text_init(&notes->text, notes->bytes, sizeof notes->bytes);
    assert_int_equal(pf_parse_config(s, "x.conf", text, strlen(text), error), 0);
    r = pf_type_choose(s, &type, take_note, notes, error);
    return r < 0 ? r : pf_check_settings(s, type, handler, take_note, notes, error);
}

struct good {
    const char *name;
    const char *text; /* what is set */
    enum pf_handler handler;
    const char *pool; /* min_servers min_spare max_spare max_servers sizing */
    const char *note; /* part of what is told; NULL: nothing is told */
};

static const struct good goods[] = {
    {"nothing", "", CALLBACK, "5 2 10 50 dynamic", NULL},
    {"only max_servers 1", "max_servers 1", CALLBACK, "1 1 1 1 dynamic",
     "min_servers: 5 lowered to 1 because max_servers is 1 (x.conf:1)\n"},
    {"only max_servers 2", "max_servers 2", CALLBACK, "2 2 2 2 dynamic", ""},
    {"only max_servers 3", "max_servers 3", CALLBACK, "3 2 3 3 dynamic",
     "max_spare_servers: 10 lowered to 3 because max_servers is 3 (x.conf:1)\n"},
    {"only max_servers 4", "max_servers 4", CALLBACK, "4 2 4 4 dynamic", ""},
    {"only max_servers 10", "max_servers 10", CALLBACK, "5 2 10 10 dynamic", NULL},
    {"only min_servers 1", "min_servers 1", CALLBACK, "1 1 10 50 dynamic",
     "min_spare_servers: 2 lowered to 1 because min_servers is 1 (x.conf:1)\n"},
    {"only min_servers 20", "min_servers 20", CALLBACK, "20 2 10 50 dynamic", NULL},
    {"only min_servers 60", "min_servers 60", CALLBACK, "60 2 10 60 dynamic",
     "max_servers: 50 raised to 60 because min_servers is 60 (x.conf:1)\n"},
    {"max 3, min 2", "max_servers 3\nmin_servers 2", CALLBACK, "2 2 3 3 dynamic", ""},
    {"max 1, no spare", "max_servers 1\nmin_spare_servers 0", CALLBACK, "1 0 1 1 dynamic",
     ""},
    {"min is max", "max_servers 20\nmin_servers 20", CALLBACK, "20 2 10 20 dynamic", NULL},
    {"the sample of the manual",
     "min_servers 20\nmax_servers 80\nmin_spare_servers 10\nmin_spare_servers 15", CALLBACK,
     "20 15 15 80 dynamic",
     "max_spare_servers: 10 raised to 15 because min_spare_servers is 15 (x.conf:4)\n"},
    {"type by default", "server_type PREFORK", CALLBACK, "5 2 10 50 dynamic", NULL},
    {"simple", "server_type PreForkSimple", CALLBACK, "5 2 10 50 static", NULL},
    {"simple with max", "server_type preforksimple\nmax_servers 4\nmin_servers 9", CALLBACK,
     "9 2 10 4 static",
     "min_servers 9 (x.conf:3) is not used with server_type PreForkSimple\n"},
    {"single", "server_type Single\nmax_servers 4", CALLBACK, "5 2 10 4 static",
     "max_servers 4 (x.conf:2) is not used with server_type Single\n"},
    {"fork", "server_type Fork", CALLBACK, "5 2 10 256 ondemand", NULL},
    {"fork with numbers", "server_type Fork\nmax_servers 3\nmin_servers 20", CALLBACK,
     "20 2 10 3 ondemand", "min_servers 20 (x.conf:3) is not used with server_type Fork\n"},
    {"several types", "server_type Multiplex, Thread Single\nserver_type Fork", CALLBACK,
     "5 2 10 1 static",
     "x.conf:1: server_type: there is no type Multiplex, Thread; Single is used\n"},
    {"inet", "server_type INET\nmax_servers 3", CALLBACK, "5 2 10 3 dynamic",
     "max_servers 3 (x.conf:2) is not used with server_type INET\n"},
    {"simple with a program", "server_type PreForkSimple", WAIT, "5 2 10 50 static", NULL},
    {"only min_spare 8", "min_spare_servers 8", CALLBACK, "8 8 10 50 dynamic",
     "min_servers: 5 raised to 8 because min_spare_servers is 8 (x.conf:1)\n"},
    {"only min_spare 60", "min_spare_servers 60", CALLBACK, "60 60 60 60 dynamic",
     "max_servers: 50 raised to 60 because min_spare_servers is 60 (x.conf:1)\n"},
    {"only max_spare 60", "max_spare_servers 60", CALLBACK, "5 2 60 60 dynamic",
     "max_servers: 50 raised to 60 because max_spare_servers is 60 (x.conf:1)\n"},
    {"only max_spare 1", "max_spare_servers 1", CALLBACK, "5 1 1 50 dynamic", ""},
    {"only max_spare 0", "max_spare_servers 0", CALLBACK, "5 0 0 50 dynamic", ""},
    {"spares as large as the pool", "max_servers 4\nmin_spare_servers 4", CALLBACK,
     "4 4 4 4 dynamic", ""},
    {"static", "sizing static", CALLBACK, "50 2 10 50 static",
     "min_servers: 5 raised to 50 because max_servers is 50 (default)\n"},
    {"static, min", "sizing static\nmin_servers 4", CALLBACK, "4 2 10 4 static",
     "max_servers: 50 lowered to 4 because min_servers is 4 (x.conf:2)\n"},
    {"static, max", "sizing static\nmax_servers 4", CALLBACK, "4 2 10 4 static", ""},
    {"static, both", "sizing static\nmax_servers 4\nmin_servers 2", CALLBACK,
     "2 2 10 4 static", NULL},
    {"static, spares of another sizing",
     "sizing static\nmin_servers 4\nmin_spare_servers 9\nmax_spare_servers 12", CALLBACK,
     "4 9 12 4 static", ""},
    {"on demand", "sizing ondemand", CALLBACK, "0 0 10 50 ondemand",
     "min_servers: 5 lowered to 0 because sizing is ondemand\n"},
    {"on demand, max", "sizing ondemand\nmax_servers 3", CALLBACK, "0 0 3 3 ondemand", ""},
    {"on demand, zeros", "sizing ondemand\nmin_servers 0\nmin_spare_servers 0", CALLBACK,
     "0 0 10 50 ondemand", NULL},
    {"no workers", "min_servers 0", CALLBACK, "0 2 10 50 dynamic", NULL},
    {"no workers, and words for a pool",
     "prefork 0\nmax_servers 3\nmin_spare_servers 9\nsizing static", CALLBACK,
     "0 9 10 3 static",
     "sizing static (x.conf:4) is not used: with min_servers 0 (x.conf:1) there are no "
     "workers\nmax_servers 3 (x.conf:2) is not used: with min_servers 0 (x.conf:1) there "
     "are "
     "no workers\nmin_spare_servers 9 (x.conf:3) is not used"},
    {"no workers, where a type has its own number", "server_type Single\nmin_servers 0",
     CALLBACK, "0 2 10 1 static", "min_servers 0 (x.conf:2) is not used with server_type"},
    {"wait", "", WAIT, "5 2 10 5 static",
     "max_servers: 50 lowered to 5 because min_servers is 5 (default)\n"},
    {"wait, min", "min_servers 2", WAIT, "2 2 10 2 static",
     "sizing: dynamic changed to static because a program that accepts by itself"},
    {"wait, max", "max_servers 3", WAIT, "3 2 10 3 static", ""},
    {"wait, static", "sizing static", WAIT, "5 2 10 5 static", ""},
};

static void
describe(const struct pf_settings *s, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%u %u %u %u %s",
                   pf_settings_number(s, PF_SETTING_MIN_SERVERS),
                   pf_settings_number(s, PF_SETTING_MIN_SPARE_SERVERS),
                   pf_settings_number(s, PF_SETTING_MAX_SPARE_SERVERS),
                   pf_settings_number(s, PF_SETTING_MAX_SERVERS),
                   pf_settings_text(s, PF_SETTING_SIZING));
}

static void
test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(goods); i++) {
        const struct good *g = &goods[i];
        struct pf_settings *s = pf_settings_new();
        struct pf_error error = {0};
        struct notes notes;
        char pool[64];

        if (check(s, g->text, g->handler, &notes, &error) < 0)
            fail_msg("%s: %s", g->name, error.text);
        describe(s, pool, sizeof pool);
        if (strcmp(pool, g->pool) != 0)
            fail_msg("%s: %s", g->name, pool);
        if (g->note ? !strstr(notes.bytes, g->note) : notes.bytes[0] != '\0')
            fail_msg("%s: %s", g->name, notes.bytes);
        pf_settings_free(s);
    }
}

struct bad {
    const char *name;
    const char *text;
    enum pf_handler handler;
    const char *says;
};

static const struct bad bads[] = {
    {"min above max", "min_servers 60\nmax_servers 50", CALLBACK,
     "min_servers 60 (x.conf:1) is more than max_servers 50 (x.conf:2)"},
    {"max_spare above max", "max_spare_servers 6\nmax_servers 5", CALLBACK,
     "max_spare_servers 6 (x.conf:1) is more than max_servers 5 (x.conf:2)"},
    {"min_spare above max", "min_spare_servers 6\nmax_servers 5", CALLBACK,
     "min_spare_servers 6 (x.conf:1) is more than max_servers 5 (x.conf:2)"},
    {"min_spare above max_spare", "min_spare_servers 6\nmax_spare_servers 5", CALLBACK,
     "min_spare_servers 6 (x.conf:1) is more than max_spare_servers 5 (x.conf:2)"},
    {"min_spare above min", "min_spare_servers 6\nmin_servers 5", CALLBACK,
     "min_spare_servers 6 (x.conf:1) is more than min_servers 5 (x.conf:2)"},
    {"no workers, and a program that accepts", "min_servers 0", WAIT,
     "min_servers 0 (x.conf:1): is a server without workers, but a program that accepts by "
     "itself (handler wait) has to be one; set min_servers to 1"},
    {"static, min above max", "sizing static\nmin_servers 3\nmax_servers 2", CALLBACK,
     "is more than"},
    {"on demand, min", "sizing ondemand\nmin_servers 1", CALLBACK,
     "min_servers 1 (x.conf:2) must be 0 with sizing ondemand (x.conf:1)"},
    {"on demand, spares", "sizing ondemand\nmin_spare_servers 1", CALLBACK,
     "min_spare_servers 1 (x.conf:2) must be 0 with sizing ondemand (x.conf:1)"},
    {"no such type", "server_type Multiplex", CALLBACK,
     "x.conf:1: server_type: there is no type Multiplex; use PreFork, PreForkSimple"},
    {"simple and dynamic", "sizing dynamic\nserver_type PreForkSimple", CALLBACK,
     "sizing dynamic (x.conf:1) cannot go with server_type PreForkSimple (x.conf:2)"},
    {"fork and a program that accepts", "server_type Fork", WAIT,
     "server_type Fork gives each process one connection, but the program accepts"},
    {"wait on demand", "sizing ondemand", WAIT,
     "sizing ondemand (x.conf:1): a program that accepts by itself (handler wait)"},
    {"wait, dynamic", "sizing dynamic", WAIT, "leave sizing out or set it to static"},
    {"ready too late", "ready_delay 60", WAIT,
     "ready_delay 60 (x.conf:1) is not below start_timeout 60 (default)"},
    {"ready too late for a reload", "ready_delay 5\nreload_timeout 4", WAIT,
     "ready_delay 5 (x.conf:1) is not below reload_timeout 4 (x.conf:2)"},
};

static void
test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(bads); i++) {
        const struct bad *b = &bads[i];
        struct pf_settings *s = pf_settings_new();
        struct pf_error error = {0};
        struct notes notes;
        int r = check(s, b->text, b->handler, &notes, &error);

        if (r != -EINVAL || error.exit_code != PREFORK_EXIT_CONFIG ||
            !strstr(error.text, b->says))
            fail_msg("%s: %d, exit %d, \"%s\"", b->name, r, error.exit_code, error.text);
        pf_settings_free(s);
    }
}

/* -1 stands for "not set". */
static void
set_number(struct pf_text *t, const char *key, int value)
{
    if (value >= 0)
        pf_text_add(t, "%s %d\n", key, value);
}

static void
assert_rules(const struct pf_settings *s, const char *text)
{
    unsigned min = pf_settings_number(s, PF_SETTING_MIN_SERVERS);
    unsigned min_spare = pf_settings_number(s, PF_SETTING_MIN_SPARE_SERVERS);
    unsigned max_spare = pf_settings_number(s, PF_SETTING_MAX_SPARE_SERVERS);
    unsigned max = pf_settings_number(s, PF_SETTING_MAX_SERVERS);

    if (min < 1 || min > max || min_spare > max_spare || max_spare > max || min_spare > min)
        fail_msg("%u %u %u %u from %s", min, min_spare, max_spare, max, text);
}

/* Whatever somebody sets: the rules hold, or two values that were set are named. */
static void
try_numbers(const int n[4], bool *ret_alone)
{
    struct pf_settings *s = pf_settings_new();
    struct pf_error error = {0};
    struct notes notes;
    char buffer[256];
    struct pf_text text;
    int given = 0;

    pf_text_init(&text, buffer, sizeof buffer);
    set_number(&text, "min_servers", n[0]);
    set_number(&text, "min_spare_servers", n[1]);
    set_number(&text, "max_spare_servers", n[2]);
    set_number(&text, "max_servers", n[3]);
    for (int i = 0; i < 4; i++)
        given += n[i] >= 0;
    *ret_alone = given < 2 || n[0] == 0; /* without workers no other number means a thing */
    if (check(s, buffer, CALLBACK, &notes, &error) < 0 && *ret_alone)
        fail_msg("%s from %s", error.text, buffer);
    else if (error.exit_code == 0 && n[0] != 0)
        assert_rules(s, buffer);
    else if (strstr(error.text, "default"))
        fail_msg("%s from %s", error.text, buffer);
    pf_settings_free(s);
}

static void
test_all_combinations(void **state)
{
    static const int values[] = {-1, 0, 1, 2, 3, 5, 9, 12, 50, 60};
    bool alone;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(values) * PF_COUNT(values); i++) {
        for (size_t k = 0; k < PF_COUNT(values) * PF_COUNT(values); k++) {
            int n[4] = {values[i / PF_COUNT(values)], values[i % PF_COUNT(values)],
                        values[k / PF_COUNT(values)], values[k % PF_COUNT(values)]};
            if (n[3] != 0) /* out of range by itself */
                try_numbers(n, &alone);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_all_combinations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
