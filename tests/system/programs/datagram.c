/* datagram: a service for datagrams that tells what it sees. The first word asks:
 *
 *   addresses            protocol and both ends
 *   pid, requests        of this worker
 *   size                 bytes received, bytes cut off
 *   read, gets           the payload as prefork_read() and prefork_gets() give it
 *   big N                N bytes, then what that call gave
 *   twice                two answers
 *   errno                what answering gave goes to the log
 *   broadcast ADDR PORT  sends "hello" there by prefork_fd(), and tells what came of it
 *   hold                 waits for a shared lock on the file that GATE names
 *   deny                 is denied
 *   silent               no answer
 *   stopping             asks prefork_stopping(), then echoes
 *
 * Anything else comes back as it is. With HOOKS in the environment hooks go to the log. */
#include <prefork/prefork.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *
name_of(int r)
{
    return r == 0 ? "0" : strerrorname_np(-r);
}

static void
tell_hook(const char *hook)
{
    if (getenv("HOOKS"))
        prefork_log(PREFORK_LOG_NOTICE, "hook %s", hook);
}

static void
tell_addresses(struct prefork_conn *c)
{
    (void)prefork_printf(c, "%s|%s|%s|%u|%s|%s|%u", prefork_proto(c), prefork_peer_text(c),
                         prefork_peer_address(c), prefork_peer_port(c),
                         prefork_local_text(c), prefork_local_address(c),
                         prefork_local_port(c));
}

/* In pieces of five bytes, then whatever is said at the end. */
static void
tell_input(struct prefork_conn *c, bool lines)
{
    char text[512] = "";
    char piece[6];
    size_t used = 0;
    ssize_t n;

    do {
        n = lines ? prefork_gets(c, piece, sizeof piece) : prefork_read(c, piece, 5);
        if (n > 0)
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%.*s|", (int)n, piece);
    } while (n > 0 && used < sizeof text);
    (void)prefork_printf(c, "%s%zd", text, n);
}

static void
send_big(struct prefork_conn *c, size_t size)
{
    char *bytes = calloc(1, size + 1);
    int r = bytes ? prefork_write(c, bytes, size) : -ENOMEM;

    free(bytes);
    (void)prefork_printf(c, "%s", name_of(r));
}

static void
broadcast(struct prefork_conn *c, const char *words)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char address[64];
    int port;
    int r = 0;

    if (sscanf(words, "broadcast %63s %d", address, &port) != 2)
        return;
    to.sin_port = htons((in_port_t)port);
    (void)inet_pton(AF_INET, address, &to.sin_addr);
    if (sendto(prefork_fd(c), "hello", 5, 0, (struct sockaddr *)&to, sizeof to) < 0)
        r = -errno;
    (void)prefork_printf(c, "%s", name_of(r));
}

static void
hold(struct prefork_conn *c)
{
    int fd = open(getenv("GATE"), O_RDONLY | O_CLOEXEC);

    (void)prefork_printf(c, "%d holds", (int)getpid());
    (void)flock(fd, LOCK_SH);
    (void)close(fd);
    (void)prefork_printf(c, "%d done", (int)getpid());
}

static void
answer(struct prefork_conn *c, const char *bytes, size_t size)
{
    struct prefork_worker *w = prefork_conn_worker(c);

    if (strcmp(bytes, "addresses") == 0)
        tell_addresses(c);
    else if (strcmp(bytes, "pid") == 0)
        (void)prefork_printf(c, "%d", (int)getpid());
    else if (strcmp(bytes, "requests") == 0)
        (void)prefork_printf(c, "%lu", prefork_requests(w));
    else if (strncmp(bytes, "size", 4) == 0)
        (void)prefork_printf(c, "%zu %zu", size, prefork_datagram_cut(c));
    else if (strncmp(bytes, "read", 4) == 0 || strncmp(bytes, "gets", 4) == 0)
        tell_input(c, bytes[0] == 'g');
    else if (strncmp(bytes, "big ", 4) == 0)
        send_big(c, (size_t)strtoul(bytes + 4, NULL, 10));
    else if (strcmp(bytes, "errno") == 0)
        prefork_log(PREFORK_LOG_NOTICE, "answering gave %s",
                    name_of(prefork_write(c, "x", 1)));
    else if (strncmp(bytes, "broadcast ", 10) == 0)
        broadcast(c, bytes);
    else if (strcmp(bytes, "hold") == 0)
        hold(c);
    else if (strcmp(bytes, "silent") != 0)
        (void)prefork_write(c, bytes, size);
}

static void
serve(struct prefork_conn *c, void *data)
{
    size_t size = 0;
    const char *bytes = prefork_datagram(c, &size);

    (void)data;
    tell_hook("process_request");
    if (!bytes) {
        (void)prefork_printf(c, "a stream");
        return;
    }
    if (strcmp(bytes, "stopping") == 0)
        (void)prefork_stopping(prefork_conn_worker(c));
    if (strcmp(bytes, "twice") == 0)
        (void)prefork_write(c, bytes, size);
    answer(c, bytes, size);
}

static void
accepted(struct prefork_conn *c, void *data)
{
    (void)c;
    (void)data;
    tell_hook("post_accept");
}

static bool
allow(struct prefork_conn *c, void *data)
{
    size_t size = 0;
    const char *bytes = prefork_datagram(c, &size);

    (void)data;
    tell_hook("allow_deny");
    return !bytes || strcmp(bytes, "deny") != 0;
}

static void
denied(struct prefork_conn *c, void *data)
{
    (void)c;
    (void)data;
    tell_hook("request_denied");
}

static void
processed(struct prefork_conn *c, bool allowed, void *data)
{
    (void)c;
    (void)data;
    tell_hook(allowed ? "post_process_request 1" : "post_process_request 0");
}

static void
closed(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    tell_hook("post_client_connection");
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "datagram",
                                              .post_accept_hook = accepted,
                                              .allow_deny_hook = allow,
                                              .process_request = serve,
                                              .request_denied_hook = denied,
                                              .post_process_request_hook = processed,
                                              .post_client_connection_hook = closed});
}
