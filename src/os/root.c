/* Another root directory.
 *
 * chroot(2) leaves the working directory where it is, outside, and with it a way out; so
 * chdir("/") belongs to it. Both are done by whoever still has the right to, and the drop
 * of privileges that follows takes the right to do it again.
 *
 * libc opens some files at first use, and behind a new root they are others or none. So
 * each is used once before: the time zone (log lines stay in local time), users, groups and
 * names of hosts (nsswitch.conf and the modules it names are loaded for good; a change of
 * the root keeps libc from reading it again). What is read at each use is not found outside
 * any more: resolv.conf, hosts, services, the user database itself.
 *
 * Descriptors that lead outside are not looked for: whoever opened one for a directory
 * before, in a hook, has opened a way out. */
#include "os/root.h"

#include "os/fd.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    ENTRY_BYTES = 16384,
};

/* The answers do not matter: asking loads the modules. Only names that every machine has
 * in its files are asked for, so that no server is waited for. */
static void
warm_names(void)
{
    const struct sockaddr_in loopback = {.sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char buffer[ENTRY_BYTES];
    struct addrinfo *list;
    struct passwd user, *found_user;
    struct group group, *found_group;

    (void)getpwuid_r(0, &user, buffer, sizeof buffer, &found_user);
    (void)getgrgid_r(0, &group, buffer, sizeof buffer, &found_group);
    if (getaddrinfo("localhost", NULL, &hints, &list) == 0)
        freeaddrinfo(list);
    (void)getnameinfo((const struct sockaddr *)&loopback, sizeof loopback, buffer,
                      sizeof buffer, NULL, 0, 0);
}

static int
refuse(const char *path, int errnum, struct pf_error *error)
{
    switch (errnum) {
    case ENOENT:
        return pf_error_set(error, PREFORK_EXIT_CONFIG, errnum,
                            "chroot %s: there is no such directory: create it", path);
    case ENOTDIR:
        return pf_error_set(error, PREFORK_EXIT_CONFIG, errnum,
                            "chroot %s: is not a directory", path);
    case EPERM:
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum,
                            "chroot %s: not permitted; start as root or with "
                            "CAP_SYS_CHROOT",
                            path);
    default:
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum, "chroot %s: %s", path,
                            strerror(errnum));
    }
}

int
pf_root_check(const char *path, struct pf_error *error)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return refuse(path, errno, error);
    return S_ISDIR(st.st_mode) ? 0 : refuse(path, ENOTDIR, error);
}

int
pf_root_enter(const char *path, struct pf_error *error)
{
    int r;

    tzset();
    warm_names();
    r = pf_fd_keep_null();
    if (r < 0)
        return refuse(path, -r, error);
    if (chroot(path) < 0 || chdir("/") < 0)
        return refuse(path, errno, error);
    return 0;
}
