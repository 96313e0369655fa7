/* says_ready: a program that accepts by itself, for `handler wait`, and is ready when its
 * arguments say so. It answers each connection with "VERSION PID" and keeps it until the
 * client closes it, also when SIGTERM comes. Not built on prefork. Arguments, done one
 * after the other:
 *
 *   version=V what it answers
 *   ms=N      let N milliseconds go by
 *   file=PATH wait until this file is there
 *   mark=PATH make this file
 *   say=TEXT  one message of sd_notify(3); a comma is the end of a line
 *   flood=N   N messages STATUS=x
 *   child=TEXT     a child says it, waits until it was read, and ends
 *   stranger=TEXT  the same in another process group
 *   fd=TEXT   say it with a descriptor, and wait until that was closed
 *   exit=N    end with this status */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *version = "v1";
static volatile sig_atomic_t is_over;

static void
leave(int signum)
{
    (void)signum;
    is_over = 1;
}

/* With the writing end of a pipe, unless end is -1. */
static void
say(const char *text, int end)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof end)];
    } control = {.header = {CMSG_LEN(sizeof end), SOL_SOCKET, SCM_RIGHTS}};
    char line[512];
    struct iovec part = {line, strlen(text)};
    struct msghdr message = {.msg_name = &address,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = end < 0 ? NULL : &control,
                             .msg_controllen = end < 0 ? 0 : sizeof control};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (!name || fd < 0)
        abort();
    message.msg_namelen =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    memcpy(address.sun_path, name, strlen(name));
    address.sun_path[0] = '\0';
    for (size_t i = 0; i <= strlen(text); i++)
        line[i] = (char)(text[i] == ',' ? '\n' : text[i]);
    memcpy(CMSG_DATA(&control.header), &end, sizeof end);
    if (sendmsg(fd, &message, 0) < 0)
        abort();
    (void)close(fd);
}

/* Say it, and wait until the descriptor that came along was closed. */
static void
say_and_wait(const char *text)
{
    char byte;
    int ends[2];

    if (pipe(ends) < 0)
        abort();
    say(text, ends[1]);
    (void)close(ends[1]);
    if (read(ends[0], &byte, 1) != 0)
        abort();
    (void)close(ends[0]);
}

static void
let_child_say(const char *text, int apart)
{
    pid_t child = fork();

    if (child == 0) {
        if (apart && setpgid(0, 0) < 0)
            abort();
        say(text, -1); /* and be there until somebody has looked: sd_notify_barrier(3) */
        say_and_wait("BARRIER=1");
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
}

static void
make_file(const char *path)
{
    FILE *file = fopen(path, "w");

    if (!file || fclose(file) != 0)
        abort();
}

static void
wait_for_file(const char *path)
{
    while (access(path, F_OK) < 0)
        (void)poll(NULL, 0, 10);
}

static void
follow(char *word)
{
    char *value = strchr(word, '=');

    if (value)
        *value++ = '\0';
    if (strcmp(word, "version") == 0)
        version = value;
    else if (strcmp(word, "ms") == 0)
        (void)poll(NULL, 0, atoi(value));
    else if (strcmp(word, "file") == 0)
        wait_for_file(value);
    else if (strcmp(word, "mark") == 0)
        make_file(value);
    else if (strcmp(word, "say") == 0)
        say(value, -1);
    else if (strcmp(word, "fd") == 0)
        say_and_wait(value);
    else if (strcmp(word, "child") == 0 || strcmp(word, "stranger") == 0)
        let_child_say(value, word[0] == 's');
    else if (strcmp(word, "flood") == 0)
        for (int i = atoi(value); i > 0; i--)
            say("STATUS=x", -1);
    else if (strcmp(word, "exit") == 0)
        exit(atoi(value));
    else
        abort();
}

static void
answer(int fd)
{
    char bytes[64];

    (void)dprintf(fd, "%s %d\n", version, (int)getpid());
    (void)shutdown(fd, SHUT_WR);
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
    (void)close(fd);
}

int
main(int argc, char *argv[])
{
    struct pollfd door = {.fd = 0, .events = POLLIN};
    sigset_t waiting, mask;

    for (int i = 1; i < argc; i++)
        follow(argv[i]);
    (void)fcntl(0, F_SETFL, O_NONBLOCK); /* others may be faster */
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &mask, &waiting); /* heard where it waits only */
    (void)signal(SIGTERM, leave);
    while (!is_over) {
        int fd = ppoll(&door, 1, NULL, &waiting) > 0 ? accept(0, NULL, NULL) : -1;
        if (fd >= 0)
            answer(fd);
        else if (errno == EINVAL)
            break; /* the door is shut, and always ready: no signal would be heard */
    }
    return 0;
}
