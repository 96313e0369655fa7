/* probe: answers questions about the worker and the connection, one per line.
 *
 *   pid, requests, addresses       one line each
 *   gets N                         the next line, read with a buffer of N bytes, in pieces
 *   read N                         N bytes in hexadecimal, from prefork_read()
 *   fill N                         N bytes of 'x'
 *   bigprintf N                    the same by one prefork_printf()
 *   label TEXT, unlabel            sets and gives back the title
 *   handle, signals                counts SIGUSR1 with a handler that interrupts calls
 *   nonblock                       makes the socket non-blocking
 *   epipe                          waits for the client's end, writes, logs what that gave
 *   eat                            after this connection all descriptors are taken
 *   root                           tries to become root again */
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t signals;
static bool hungry;

static void
count_signal(int signum)
{
    (void)signum;
    signals++;
    (void)!write(STDERR_FILENO, "signal seen\n", 12);
}

static void
eat(struct prefork_worker *w, void *data)
{
    int count = 0;

    (void)w;
    (void)data;
    if (!hungry)
        return;
    hungry = false;
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        count++;
    prefork_log(PREFORK_LOG_NOTICE, "ate %d descriptors", count);
}

static void
fill(struct prefork_conn *c, size_t size, bool formatted)
{
    char *text = malloc(size + 1);
    int r;

    if (!text)
        return;
    memset(text, 'x', size);
    text[size] = '\0';
    r = formatted ? prefork_printf(c, "%s", text) : prefork_write(c, text, size);
    free(text);
    prefork_log(PREFORK_LOG_NOTICE, "fill gave %d", r);
}

static void
read_bytes(struct prefork_conn *c, size_t size)
{
    while (size > 0) {
        unsigned char byte;
        ssize_t n = prefork_read(c, &byte, 1);
        if (n <= 0) {
            (void)prefork_printf(c, "(%zd)", n);
            break;
        }
        (void)prefork_printf(c, "%02x", byte);
        size--;
    }
    (void)prefork_printf(c, "\n");
}

static void
get_pieces(struct prefork_conn *c, size_t size)
{
    char *line = malloc(size + 1);
    ssize_t n;

    if (!line)
        return;
    do {
        n = prefork_gets(c, line, size);
        if (n > 0 && line[n] != '\0')
            (void)prefork_printf(c, "NOT TERMINATED ");
        (void)prefork_printf(c, "%zd ", n);
    } while (n > 0 && line[n - 1] != '\n');
    free(line);
    (void)prefork_printf(c, "\n");
}

static void
meet_epipe(struct prefork_conn *c)
{
    char byte;
    int r = 0;

    while (prefork_read(c, &byte, 1) > 0)
        continue;
    for (int i = 0; i < 1000000 && r == 0; i++)
        r = prefork_write(c, "x", 1);
    prefork_log(PREFORK_LOG_NOTICE, "write gave %s", r == 0 ? "0" : strerrorname_np(-r));
}

static void
tell_addresses(struct prefork_conn *c)
{
    (void)prefork_printf(c, "%s|%s|%s|%u|%s|%s|%u\n", prefork_proto(c),
                         prefork_peer_text(c), prefork_peer_address(c),
                         prefork_peer_port(c), prefork_local_text(c),
                         prefork_local_address(c), prefork_local_port(c));
}

static void
tell_root(struct prefork_conn *c)
{
    int user = seteuid(0);
    int group = setegid(0);

    (void)prefork_printf(c, "%d %d\n", user, group);
}

static bool
answer_about_worker(struct prefork_conn *c, const char *word, const char *rest)
{
    struct prefork_worker *w = prefork_conn_worker(c);
    struct sigaction handler = {.sa_handler = count_signal};

    if (strcmp(word, "pid") == 0)
        (void)prefork_printf(c, "%d\n", (int)getpid());
    else if (strcmp(word, "requests") == 0)
        (void)prefork_printf(c, "%lu\n", prefork_requests(w));
    else if (strcmp(word, "signals") == 0)
        (void)prefork_printf(c, "%d\n", (int)signals);
    else if (strcmp(word, "root") == 0)
        tell_root(c);
    else if (strcmp(word, "handle") == 0)
        (void)prefork_printf(c, "%d\n", sigaction(SIGUSR1, &handler, NULL));
    else if (strcmp(word, "eat") == 0)
        hungry = true;
    else if (strcmp(word, "label") == 0 || strcmp(word, "unlabel") == 0) {
        prefork_set_label(w, *rest ? "%s" : NULL, rest);
        (void)prefork_printf(c, "ok\n");
    } else
        return false;
    return true;
}

static void
answer(struct prefork_conn *c, const char *word, const char *rest)
{
    size_t number = strtoul(rest, NULL, 10);

    if (answer_about_worker(c, word, rest))
        return;
    if (strcmp(word, "addresses") == 0)
        tell_addresses(c);
    else if (strcmp(word, "gets") == 0)
        get_pieces(c, number);
    else if (strcmp(word, "read") == 0)
        read_bytes(c, number);
    else if (strcmp(word, "fill") == 0)
        fill(c, number, false);
    else if (strcmp(word, "bigprintf") == 0)
        fill(c, number, true);
    else if (strcmp(word, "nonblock") == 0)
        (void)prefork_printf(c, "%d\n", fcntl(prefork_fd(c), F_SETFL, O_NONBLOCK));
    else if (strcmp(word, "epipe") == 0)
        meet_epipe(c);
    else
        (void)prefork_printf(c, "what is \"%s\"?\n", word);
}

static void
probe(struct prefork_conn *c, void *data)
{
    char line[256];

    (void)data;
    while (prefork_gets(c, line, sizeof line) > 0) {
        char *rest;
        line[strcspn(line, "\r\n")] = '\0';
        rest = line + strcspn(line, " ");
        if (*rest)
            *rest++ = '\0';
        answer(c, line, rest);
    }
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "probe",
                                              .process_request = probe,
                                              .post_client_connection_hook = eat});
}
