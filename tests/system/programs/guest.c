/* Tells a client who it is, and the log which hooks ran for it.
 *
 * The answer is one line: the client's name or "-", its address, and the seconds that the
 * resolver waits for a name server, as this process has them after whatever the library
 * did. GUEST_HOOK=deny makes allow_deny_hook deny everybody. */
#include <prefork/prefork.h>

#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>

static bool
allow_deny(struct prefork_conn *c, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_INFO, "hook: allow_deny for %s", prefork_proto(c));
    return getenv("GUEST_HOOK") == NULL;
}

static void
answer(struct prefork_conn *c, void *data)
{
    const char *name = prefork_peer_name(c);

    (void)data;
    prefork_printf(c, "%s %s %d\n", name[0] ? name : "-", prefork_peer_address(c),
                   (int)_res.retrans);
}

static void
denied(struct prefork_conn *c, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_INFO, "hook: request_denied for %s", prefork_proto(c));
}

static void
after(struct prefork_conn *c, bool allowed, void *data)
{
    (void)c;
    (void)data;
    prefork_log(PREFORK_LOG_INFO, "hook: post_process_request, %s",
                allowed ? "allowed" : "denied");
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "guest",
                            .allow_deny_hook = allow_deny,
                            .process_request = answer,
                            .request_denied_hook = denied,
                            .post_process_request_hook = after,
                        });
}
