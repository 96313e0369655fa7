/* Freezing, printing and help: what comes out of the settings. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/text.h"
#include "config/config.h"
#include "config/help.h"
#include "config/parse.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pf_config config;

static struct pf_settings *
settings_of(const char *text)
{
    struct pf_settings *s = pf_settings_new();
    struct pf_error error = {0};

    if (pf_parse_config(s, "x.conf", text, strlen(text), &error) < 0)
        fail_msg("%s", error.text);
    return s;
}

/* Freeze what text sets into config; the settings are the caller's. */
static struct pf_settings *
freeze(const char *text)
{
    struct pf_settings *s = settings_of(text);
    struct pf_error error = {0};

    config = (struct pf_config){0};
    if (pf_config_freeze(s, &config, NULL, NULL, &error) < 0)
        fail_msg("%s", error.text);
    return s;
}

static void
test_defaults(void **state)
{
    struct pf_settings *s = freeze("");

    (void)state;
    assert_int_equal(config.policy.sizing, PF_SIZING_DYNAMIC);
    assert_int_equal(config.policy.min_servers, 5);
    assert_int_equal(config.policy.max_recycling, 5);
    assert_true(config.policy.check_for_waiting == 10 * PF_SECOND);
    assert_true(config.policy.start_timeout == 60 * PF_SECOND);
    assert_true(config.policy.ready_delay == PF_SECOND);
    assert_true(config.policy.request_timeout == PF_NEVER);
    assert_true(config.policy.graceful_timeout == 30 * PF_SECOND);
    assert_false(config.recipe.client_stdio);
    assert_int_equal(config.recipe.max_requests, 10000);
    assert_int_equal(config.recipe.max_requests_jitter, 10);
    assert_false(config.recipe.drop_privileges);
    assert_int_equal(config.recipe.uid, geteuid());
    assert_null(config.daemon.pid_file);
    assert_int_equal(config.daemon.log_level, 2);
    assert_true(config.endpoints_by_default);
    assert_int_equal(config.endpoint_count, 1);
    assert_string_equal(config.endpoints[0].port, "20203");
    assert_int_equal(config.endpoints[0].backlog, 4096);
    pf_settings_free(s);
}

static void
test_values(void **state)
{
    struct pf_settings *s =
        freeze("max_servers 5\nmax_recycling 0\nstart_timeout 0\nkill_timeout 0\n"
               "ready_delay 0\n"
               "accept_order fair\nno_client_stdout 0\nsetsid\npid_file /run/x.pid\n"
               "log_level 4\nmax_requests 0\n");

    (void)state;
    assert_int_equal(config.policy.max_recycling, 1);
    assert_true(config.policy.start_timeout == PF_NEVER);
    assert_true(config.policy.ready_delay == PF_NEVER);
    assert_true(config.policy.kill_timeout == 0);
    assert_int_equal(config.recipe.accept_order, PF_ACCEPT_FAIR);
    assert_true(config.recipe.client_stdio);
    assert_int_equal(config.recipe.max_requests, 0);
    assert_true(config.daemon.setsid && config.daemon.background);
    assert_string_equal(config.daemon.pid_file, "/run/x.pid");
    assert_int_equal(config.daemon.log_level, 4);
    pf_settings_free(s);
}

/* Values of another sizing do not get into the policy. */
static void
test_static_policy_is_consistent(void **state)
{
    struct pf_settings *s = freeze("sizing static\nmin_servers 2\nmax_servers 4\n"
                                   "min_spare_servers 9\nmax_spare_servers 12\n");

    (void)state;
    assert_int_equal(config.policy.min_servers, 4);
    assert_int_equal(config.policy.max_servers, 4);
    assert_int_equal(config.policy.max_spare_servers, 4);
    assert_int_equal(config.policy.min_spare_servers, 4);
    pf_settings_free(s);
}

/* The caller's part of the recipe stays, and freezing again starts from the table. */
static void
test_freeze_twice(void **state)
{
    struct pf_settings *s = settings_of("");
    const struct pf_origin call = {.kind = PF_ORIGIN_CALL};

    (void)state;
    config = (struct pf_config){.recipe = {.handler = PF_HANDLER_WAIT, .name = "n"}};
    assert_int_equal(pf_config_freeze(s, &config, NULL, NULL, NULL), 0);
    assert_int_equal(config.recipe.handler, PF_HANDLER_WAIT);
    assert_string_equal(config.recipe.name, "n");
    assert_int_equal(config.policy.sizing, PF_SIZING_STATIC);
    assert_int_equal(config.policy.max_servers, 5);
    assert_int_equal(pf_settings_set(s, "min_servers", "7", &call, NULL), 0);
    config.recipe.handler = PF_HANDLER_CALLBACK;
    assert_int_equal(pf_config_freeze(s, &config, NULL, NULL, NULL), 0);
    assert_int_equal(config.policy.sizing, PF_SIZING_DYNAMIC);
    assert_int_equal(config.policy.min_servers, 7);
    assert_int_equal(config.policy.max_servers, 50);
    pf_settings_free(s);
}

/* Ports and hosts are paired by index, however many sockets a port means. */
static void
test_pairs(void **state)
{
    struct pf_settings *s =
        freeze("host a\nhost b\nhost c\nport 1/IPv4/IPv6\nport 2\nport 3\n"
               "port 4\nlisten 7\n");
    static const char *const hosts[] = {"a", "b", "c", "c"};

    (void)state;
    assert_false(config.endpoints_by_default);
    assert_int_equal(config.endpoint_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(config.endpoints[i].host, hosts[i]);
        assert_int_equal(config.endpoints[i].backlog, 7);
    }
    pf_settings_free(s);
}

/* What a port sets for itself goes with it alone. */
static void
test_settings_of_a_port(void **state)
{
    struct pf_settings *s =
        freeze("listen 9\nhost a\n"
               "port 1/tcp listen=7 host=\"b\"\n"
               "port /run/a b|unix socket_mode=0600 socket_owner=:root\n"
               "port 3 ipv=4  listen=5 listen=6\n"
               "port 4\n");
    static const int backlogs[] = {7, 9, 6, 9};

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(config.endpoints[i].backlog, backlogs[i]);
    assert_string_equal(config.endpoints[0].host, "b");
    assert_int_equal(config.endpoints[0].proto, PF_PROTO_TCP);
    assert_string_equal(config.endpoints[1].port, "/run/a b");
    assert_int_equal(config.endpoints[1].mode, 0600);
    assert_int_equal(config.endpoints[1].group, 0);
    assert_int_equal(config.endpoints[2].ipv, PF_IPV_4);
    assert_string_equal(config.endpoints[2].host, "a");
    assert_false(config.endpoints[3].has_mode);
    pf_settings_free(s);
}

static void
test_ports_for_datagrams(void **state)
{
    struct pf_settings *s =
        freeze("port 53/udp udp_recv_len=512 udp_broadcast=1\n"
               "port 54/udp udp_recv_flags=\"MSG_TRUNC | 64\"\n"
               "port /run/x|unix\nport /run/y|unix|sock_stream\n"
               "port /run/z unix_type=1\nport 55\n"
               "udp_recv_len 1000\nudp_recv_flags MSG_WAITALL\nunix_type SOCK_DGRAM\n");
    const struct pf_endpoint *e = config.endpoints;

    (void)state;
    assert_int_equal(e[0].recv_len, 512);
    assert_true(e[0].broadcast);
    assert_int_equal(e[0].recv_flags, MSG_WAITALL);
    assert_int_equal(e[1].recv_len, 1000);
    assert_false(e[1].broadcast);
    assert_int_equal(e[1].recv_flags, MSG_TRUNC | MSG_DONTWAIT);
    assert_int_equal(e[2].proto, PF_PROTO_UNIXDGRAM);
    assert_int_equal(e[3].proto, PF_PROTO_UNIX);
    assert_int_equal(e[4].proto, PF_PROTO_UNIX);
    assert_int_equal(e[5].proto, PF_PROTO_TCP);
    assert_int_equal(config.recipe.udp_recv_len, 1000);
    assert_int_equal(config.recipe.udp_recv_flags, MSG_WAITALL);
    pf_settings_free(s);
}

static void
count_note(void *context, const char *text)
{
    unsigned *count = context;

    assert_non_null(strstr(text, "is not used"));
    (*count)++;
}

static void
test_more_hosts_than_ports(void **state)
{
    struct pf_settings *s = settings_of("host a\nhost b\nport 1\n");
    unsigned count = 0;

    (void)state;
    assert_int_equal(pf_config_freeze(s, &config, count_note, &count, NULL), 0);
    assert_int_equal(count, 1);
    pf_settings_free(s);
}

static void
test_unix_rights(void **state)
{
    struct pf_settings *s = freeze("port /run/x.sock|unix\nport 80\nsocket_mode 0660\n"
                                   "socket_owner root:0\n");

    (void)state;
    assert_int_equal(config.endpoints[0].proto, PF_PROTO_UNIX);
    assert_true(config.endpoints[0].has_mode);
    assert_int_equal(config.endpoints[0].mode, 0660);
    assert_int_equal(config.endpoints[0].owner, 0);
    assert_int_equal(config.endpoints[0].group, 0);
    assert_false(config.endpoints[1].has_mode);
    assert_int_equal(config.endpoints[1].owner, (uid_t)-1);
    pf_settings_free(s);

    s = freeze("port /run/x.sock|unix\nsocket_owner = :root\n");
    assert_false(config.endpoints[0].has_mode);
    assert_int_equal(config.endpoints[0].owner, (uid_t)-1);
    assert_int_equal(config.endpoints[0].group, 0);
    pf_settings_free(s);
}

static void
test_environment_ipv(void **state)
{
    struct pf_settings *s;

    (void)state;
    assert_int_equal(setenv("IPV", "4", 1), 0);
    s = freeze("port 80");
    assert_int_equal(config.endpoints[0].ipv, PF_IPV_4);
    pf_settings_free(s);
    s = freeze("port 80\nipv 6");
    assert_int_equal(config.endpoints[0].ipv, PF_IPV_6);
    pf_settings_free(s);
    assert_int_equal(unsetenv("IPV"), 0);
}

static void
test_credentials(void **state)
{
    struct pf_settings *s = freeze("user root\n");

    (void)state;
    assert_true(config.recipe.drop_privileges);
    assert_int_equal(config.recipe.uid, 0);
    assert_int_equal(config.recipe.gid, 0);
    assert_true(config.recipe.group_count >= 1);
    assert_ptr_equal(config.recipe.groups, config.groups);
    pf_settings_free(s);

    s = freeze("group 7, root,12345\n");
    assert_true(config.recipe.drop_privileges);
    assert_int_equal(config.recipe.uid, geteuid());
    assert_int_equal(config.recipe.gid, 7);
    assert_int_equal(config.recipe.group_count, 3);
    assert_int_equal(config.groups[1], 0);
    assert_int_equal(config.groups[2], 12345);
    pf_settings_free(s);

    s = freeze("user 54321\ngroup 7\n");
    assert_int_equal(config.recipe.uid, 54321);
    assert_int_equal(config.recipe.gid, 7);
    pf_settings_free(s);
}

struct bad {
    const char *name;
    const char *text;
    const char *says;
};

static const struct bad bads[] = {
    {"unknown user", "user no-such-user",
     "x.conf:1: user: there is no user \"no-such-user\""},
    {"unknown group", "\ngroup root no-such-group",
     "x.conf:2: group: there is no group \"no-such-group\""},
    {"no group", "group ,", "x.conf:1: group: no group is named"},
    {"a number beyond numbers", "user 4294967295", "there is no user"},
    {"a number without groups", "user 54321",
     "user 54321 is not in the user database, so group must be set too"},
    {"unknown owner", "socket_owner no-such-user:0", "x.conf:1: socket_owner: there is no"},
    {"empty group of owner", "socket_owner root:", "there is no group \"\""},
    {"not a port's setting", "port 80 max_servers=5",
     "x.conf:1: port: a single port cannot have the setting \"max_servers\""},
    {"unknown setting of a port", "port 80 lisen=5",
     "x.conf:1: lisen: unknown setting; did you mean listen?"},
    {"bad setting of a port", "\nport 80 listen=x",
     "x.conf:2: listen: \"x\" is not a whole number"},
    {"owner at a port", "port /s|unix socket_owner=no-such-user",
     "x.conf:1: port: there is no user \"no-such-user\""},
    {"word among settings", "port 80 listen=5 tcp",
     "x.conf:1: port: key=value is expected at \"tcp\""},
    {"open quote", "port 80 host=\"a b", "the quote is not closed after \"host\""},
    {"empty value at a port", "port 80 listen=", "x.conf:1: listen: \"\" is empty"},
    {"bad flag", "udp_recv_flags MSG_PEEK", "x.conf:1: udp_recv_flags: MSG_PEEK would"},
    {"bad flag at a port", "port 80/udp udp_recv_flags=3",
     "x.conf:1: port: udp_recv_flags: 3 would"},
    {"bad type", "port /x\nunix_type 3", "x.conf:2: unix_type: \"3\" is neither"},
    {"bad port", "port 80\nport 80/nonsense", "x.conf:2: port: "},
    {"contradiction", "min_servers 60\nmax_servers 50", "is more than"},
};

static void
test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(bads); i++) {
        const struct bad *b = &bads[i];
        struct pf_settings *s = settings_of(b->text);
        struct pf_error error = {0};
        int r = pf_config_freeze(s, &config, NULL, NULL, &error);

        if (r >= 0 || error.exit_code != PREFORK_EXIT_CONFIG ||
            !strstr(error.text, b->says))
            fail_msg("%s: %d, exit %d, \"%s\"", b->name, r, error.exit_code, error.text);
        pf_settings_free(s);
    }
}

static void
test_ports_have_a_limit(void **state)
{
    struct pf_settings *s = pf_settings_new();
    const struct pf_origin call = {.kind = PF_ORIGIN_CALL};
    struct pf_error error = {0};

    (void)state;
    for (int i = 0; i < PF_CONFIG_ENDPOINTS_MAX; i++)
        assert_int_equal(pf_settings_set(s, "port", "80", &call, NULL), 0);
    assert_int_equal(pf_config_freeze(s, &config, NULL, NULL, NULL), 0);
    assert_int_equal(pf_settings_set(s, "port", "80", &call, NULL), 0);
    assert_int_equal(pf_config_freeze(s, &config, NULL, NULL, &error), -EINVAL);
    assert_non_null(strstr(error.text, "more than 64 ports"));
    pf_settings_free(s);
}

/* ---- printing -------------------------------------------------------------------- */

/* What was printed; freed by the caller. */
static char *
print(const struct pf_settings *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    if (s)
        pf_config_print(s, to);
    else
        pf_settings_help(to);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void
test_print(void **state)
{
    struct pf_settings *s = freeze("max_servers 3\nport 1\nport 2\nbackground\n"
                                   "log_file a\\#b\n");
    char *text = print(s);

    (void)state;
    assert_non_null(strstr(text, "max_servers 3  # x.conf:1\n"));
    assert_non_null(strstr(text, "min_servers 3  # default, adapted to max_servers\n"));
    assert_non_null(strstr(text, "port 1  # x.conf:2\nport 2  # x.conf:3\n"));
    assert_non_null(strstr(text, "background 1  # x.conf:4\n"));
    assert_non_null(strstr(text, "log_file a\\#b  # x.conf:5\n"));
    assert_non_null(strstr(text, "# user is not set\n"));
    free(text);
    pf_settings_free(s);
}

static const char *const printed[] = {
    "",
    "max_servers 3",
    "min_servers 60\nkill_timeout 0.25\nsocket_mode 0600",
    "sizing ondemand\nmax_servers 2",
    "sizing static\nmin_servers 4\nmin_spare_servers 9\nmax_spare_servers 12",
    "log_file = =x\\#y\\\\#z\\\npid_file = :a # b\ngroup 0, 7",
    "port = [::1]:80\nport 8080\nhost a\nhost b",
};

/* Whatever is printed can be loaded and means the same. */
static void
test_print_and_load(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(printed); i++) {
        struct pf_settings *a = freeze(printed[i]);
        struct pf_config first = config;
        char *text = print(a);
        struct pf_settings *b = freeze(text);

        assert_memory_equal(&first.policy, &config.policy, sizeof first.policy);
        assert_memory_equal(&first.endpoints, &config.endpoints, sizeof first.endpoints);
        for (unsigned id = 0; id < PF_SETTING_COUNT_OF; id++) {
            const char *was = pf_settings_text(a, (enum pf_setting_id)id);
            const char *is = pf_settings_text(b, (enum pf_setting_id)id);
            assert_string_equal(was ? was : "", is ? is : "");
        }
        free(text);
        pf_settings_free(a);
        pf_settings_free(b);
    }
}

static void
test_conf_file_is_printed_as_comment(void **state)
{
    struct pf_settings *s = pf_settings_new();
    const struct pf_origin argument = {.kind = PF_ORIGIN_ARGUMENT};
    char *text;

    (void)state;
    assert_int_equal(pf_settings_set(s, "conf_file", "a.conf", &argument, NULL), 0);
    text = print(s);
    assert_non_null(strstr(text, "\n# conf_file a.conf  # --conf-file\n"));
    free(text);
    pf_settings_free(s);
}

static void
test_help(void **state)
{
    char *text = print(NULL);

    (void)state;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t length = strcspn(line, "\n");
        assert_true(length <= 79);
        assert_true(length == 0 || line[length - 1] != ' ');
    }
    assert_non_null(strstr(text, "--min-servers N"));
    assert_non_null(strstr(text, "--[no-]background"));
    assert_non_null(strstr(text, "Daemon:\n"));
    free(text);
}

static void
hook(const struct prefork_disconnect *gone, void *data)
{
    (void)gone;
    (void)data;
}

static void
process(struct prefork_conn *c, void *data)
{
    (void)c;
    (void)data;
}

static const struct departure_case {
    const char *text;
    bool has_hook;
    enum pf_handler handler;
    int policy; /* -1: refused */
} departures[] = {
    {"", false, PF_HANDLER_CALLBACK, PF_DEPARTURE_IGNORE},
    {"", true, PF_HANDLER_CALLBACK, PF_DEPARTURE_TELL},
    {"on_client_disconnect ignore", true, PF_HANDLER_CALLBACK, PF_DEPARTURE_IGNORE},
    {"on_client_disconnect hook", true, PF_HANDLER_CALLBACK, PF_DEPARTURE_TELL},
    {"on_client_disconnect hook", false, PF_HANDLER_CALLBACK, -1},
    {"on_client_disconnect signal", false, PF_HANDLER_NOWAIT, PF_DEPARTURE_TERM},
    {"on_client_disconnect kill", true, PF_HANDLER_WAIT, PF_DEPARTURE_KILL},
    {"on_client_disconnect kill", true, PF_HANDLER_MAIN_LOOP, PF_DEPARTURE_IGNORE},
    {"on_client_disconnect kill\nserver_type INET", true, PF_HANDLER_CALLBACK,
     PF_DEPARTURE_IGNORE},
};

static void
test_departures(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(departures); i++) {
        const struct departure_case *c = &departures[i];
        struct pf_settings *s = settings_of(c->text);
        struct pf_error error = {0};
        int r;
        config = (struct pf_config){
            .recipe = {.handler = c->handler,
                       .app = {.process_request = process,
                               .on_client_disconnect = c->has_hook ? hook : NULL}}};
        r = pf_config_freeze(s, &config, NULL, NULL, &error);
        if (c->policy < 0 ? r != -EINVAL
                          : r < 0 || (int)config.policy.on_departure != c->policy)
            fail_msg("%s: %d %s", c->text, r, error.text);
        assert_true(r < 0 || (config.policy.check_for_disconnect == PF_SECOND) ==
                                 (c->handler == PF_HANDLER_WAIT));
        assert_true(r < 0 || config.recipe.half_close_is_end);
        pf_settings_free(s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_departures),
        cmocka_unit_test(test_static_policy_is_consistent),
        cmocka_unit_test(test_freeze_twice),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_settings_of_a_port),
        cmocka_unit_test(test_ports_for_datagrams),
        cmocka_unit_test(test_more_hosts_than_ports),
        cmocka_unit_test(test_unix_rights),
        cmocka_unit_test(test_environment_ipv),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_ports_have_a_limit),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_and_load),
        cmocka_unit_test(test_conf_file_is_printed_as_comment),
        cmocka_unit_test(test_help),
    };

    (void)unsetenv("IPV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
