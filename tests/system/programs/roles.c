/* roles: each worker takes connections of one listener only, by can_read_hook.
 *
 * Workers get their role from files role0 and role1 in the current directory: who creates
 * one has it. A connection is answered with the role of the worker that took it. */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct prefork *server;
static int role = -1;

static int
remember(struct prefork *p, void *data)
{
    (void)data;
    server = p;
    return 0;
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (open("role0", O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0)
        role = 0;
    else if (open("role1", O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0)
        role = 1;
    return role < 0;
}

static bool
is_not_mine(struct prefork_worker *w, int listener_fd, void *data)
{
    const char *mine = prefork_listener_text(server, (unsigned)role);
    struct sockaddr_in a;
    socklen_t size = sizeof a;

    (void)w;
    (void)data;
    if (getsockname(listener_fd, (struct sockaddr *)&a, &size) < 0)
        return false;
    return atoi(strrchr(mine, ':') + 1) != ntohs(a.sin_port);
}

static void
serve(struct prefork_conn *c, void *data)
{
    (void)data;
    (void)prefork_printf(c, "%d\n", role);
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "roles",
                                              .post_bind_hook = remember,
                                              .child_init_hook = init,
                                              .can_read_hook = is_not_mine,
                                              .process_request = serve});
}
