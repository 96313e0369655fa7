/* What is there, what is told, and what another root directory changes of both. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char home[] = "/tmp/prefork-watch-XXXXXX";

/* A path in the directory of the tests; a few may be in use at once. */
static const char *
at(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % PF_COUNT(paths)];

    (void)snprintf(path, sizeof paths[0], "%s/%s", home, name);
    return path;
}

static void
put(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void
move(const char *from, const char *to)
{
    assert_int_equal(rename(at(from), at(to)), 0);
}

static void
link_to(const char *target, const char *name)
{
    assert_int_equal(symlink(target, at(name)), 0);
}

static int
enter(void **state)
{
    (void)state;
    (void)snprintf(home, sizeof home, "/tmp/prefork-watch-XXXXXX");
    assert_non_null(mkdtemp(home));
    put("file", "one");
    return 0;
}

static int
leave(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", home);
    return system(command); /* NOLINT(cert-env33-c): a directory of our own */
}

static bool
rings(const struct pf_watch *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static struct pf_watch
listening(const char *name)
{
    struct pf_watch w;

    assert_int_equal(pf_watch_open(&w), 0);
    assert_int_equal(pf_watch_listen(&w), 0);
    assert_int_equal(pf_watch_add(&w, at(name)), 0);
    assert_false(rings(&w));
    return w;
}

/* It was told, and everything of it can be forgotten. */
static void
assert_told(struct pf_watch *w, bool lost)
{
    assert_true(rings(w));
    assert_int_equal(pf_watch_hush(w), lost);
    assert_false(rings(w));
}

static struct pf_identity
look(const struct pf_watch *w, const char *name)
{
    struct pf_identity identity;

    assert_int_equal(pf_watch_look(w, at(name), &identity), 0);
    return identity;
}

static void
a_look_sees_what_stat_sees(void **state)
{
    struct pf_watch w = listening("file");
    struct pf_identity seen = look(&w, "file");
    struct pf_identity said;
    int fd = open(at("file"), O_RDONLY | O_CLOEXEC);

    (void)state;
    pf_watch_identify(at("file"), &said);
    assert_true(said.there && said.size == 3 && pf_identity_equal(&seen, &said));
    pf_watch_identify_fd(fd, &said);
    assert_true(pf_identity_equal(&seen, &said));
    assert_int_equal(close(fd), 0);
    pf_watch_close(&w);
}

static void
what_is_no_file_is_not_there(void **state)
{
    struct pf_watch w = listening("file");
    struct pf_identity identity;

    (void)state;
    assert_int_equal(pf_watch_look(&w, at("none"), &identity), -ENOENT);
    assert_false(identity.there);
    assert_int_equal(pf_watch_look(&w, home, &identity), -EINVAL);
    assert_false(identity.there);
    pf_watch_identify(home, &identity);
    assert_false(identity.there);
    pf_watch_identify(at("none"), &identity);
    assert_false(identity.there);
    pf_watch_close(&w);
}

static void
renamed_away_and_back_it_is_the_same(void **state)
{
    struct pf_watch w = listening("file");
    struct pf_identity before = look(&w, "file");
    struct pf_identity after;

    (void)state;
    move("file", "away");
    move("away", "file");
    assert_int_equal(chmod(at("file"), 0600), 0);
    after = look(&w, "file");
    assert_true(pf_identity_equal(&before, &after));
    put("file", "!");
    after = look(&w, "file");
    assert_false(pf_identity_equal(&before, &after));
    pf_watch_close(&w);
}

static void
what_is_written_is_told(void **state)
{
    struct pf_watch w = listening("file");

    (void)state;
    put("file", "more");
    assert_told(&w, false);
    assert_int_equal(utimensat(AT_FDCWD, at("file"), NULL, 0), 0);
    assert_told(&w, false);
    pf_watch_close(&w);
}

static void
a_neighbour_that_grows_is_not(void **state)
{
    struct pf_watch w;

    (void)state;
    put("log", "first line");
    w = listening("file");
    put("log", "next line");
    assert_false(rings(&w));
    pf_watch_close(&w);
}

static void
a_file_in_its_place_is_told(void **state)
{
    struct pf_watch w;

    (void)state;
    put("next", "two");
    w = listening("file");
    move("next", "file");
    assert_told(&w, true); /* the old one is gone, and with it what watched it */
    pf_watch_close(&w);
}

static void
a_missing_file_is_told_when_it_comes(void **state)
{
    struct pf_watch w = listening("later");

    (void)state;
    put("later", "here");
    assert_told(&w, false);
    pf_watch_close(&w);
}

/* path -> now/file, now -> a directory: both links and the file behind them. */
static void
links_are_followed(void **state)
{
    struct pf_watch w;

    (void)state;
    assert_int_equal(mkdir(at("v1"), 0755), 0);
    assert_int_equal(mkdir(at("v2"), 0755), 0);
    put("v1/file", "one");
    put("v2/file", "two");
    link_to("v1", "now");
    link_to(at("v2"), "next");
    w = listening("now/file");
    put("v1/file", "more");
    assert_told(&w, false);
    put("v1/neighbour", "");
    assert_told(&w, false);
    move("next", "now");
    assert_told(&w, false);
    assert_int_equal(look(&w, "now/file").size, 3);
    pf_watch_close(&w);
    w = listening("now/file");
    put("v2/file", "more");
    assert_told(&w, false);
    pf_watch_close(&w);
}

static void
a_circle_of_links_is_refused(void **state)
{
    struct pf_watch w;

    (void)state;
    link_to("b", "a");
    link_to("a", "b");
    w = listening("file");
    assert_int_equal(pf_watch_add(&w, at("a")), -ELOOP);
    pf_watch_close(&w);
}

static void
a_directory_that_moves_is_a_loss(void **state)
{
    struct pf_watch w;

    (void)state;
    assert_int_equal(mkdir(at("d"), 0755), 0);
    put("d/file", "one");
    w = listening("d/file");
    move("d", "e");
    assert_told(&w, true);
    assert_int_equal(pf_watch_listen(&w), 0);
    assert_int_equal(pf_watch_add(&w, at("d/file")), -ENOENT);
    pf_watch_deafen(&w);
    assert_int_equal(w.fd, -1);
    assert_false(pf_watch_hush(&w));
    pf_watch_close(&w);
}

static void
relative_and_endless_paths_are_refused(void **state)
{
    struct pf_watch w = listening("file");
    char endless[8192];

    (void)state;
    memset(endless, '/', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(pf_watch_add(&w, "file"), -EINVAL);
    assert_int_equal(pf_watch_add(&w, endless), -EINVAL);
    pf_watch_close(&w);
}

static void
without_descriptors_nobody_tells(void **state)
{
    struct pf_watch w = listening("file");
    struct rlimit old, none;

    (void)state;
    pf_watch_deafen(&w);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(pf_watch_listen(&w), -EMFILE);
    assert_int_equal(w.fd, -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    pf_watch_close(&w);
}

/* What a process in another root directory finds: 0 if all is as before, but that nobody
 * can be asked anew to tell of changes. */
static int
look_from_inside(struct pf_watch *w, const char *path)
{
    struct pf_identity identity;

    if (chroot(at("jail")) < 0 || chdir("/") < 0)
        return 1;
    if (access(path, F_OK) == 0)
        return 2;
    if (pf_watch_look(w, path, &identity) < 0 || identity.size != 3)
        return 3;
    return pf_watch_listen(w) == -EXDEV && w->fd == -1 ? 0 : 4;
}

/* Also by an absolute link, which would lead elsewhere from there. */
static void
another_root_does_not_change_what_paths_mean(void **state)
{
    struct pf_watch w = listening("file");
    const char *path = at("link");
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        pf_watch_close(&w);
        skip();
    }
    assert_int_equal(mkdir(at("jail"), 0755), 0);
    link_to(at("file"), "link");
    pid = fork();
    if (pid == 0)
        _exit(look_from_inside(&w, path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    pf_watch_close(&w);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_look_sees_what_stat_sees),
        TEST(what_is_no_file_is_not_there),
        TEST(renamed_away_and_back_it_is_the_same),
        TEST(what_is_written_is_told),
        TEST(a_neighbour_that_grows_is_not),
        TEST(a_file_in_its_place_is_told),
        TEST(a_missing_file_is_told_when_it_comes),
        TEST(links_are_followed),
        TEST(a_circle_of_links_is_refused),
        TEST(a_directory_that_moves_is_a_loss),
        TEST(relative_and_endless_paths_are_refused),
        TEST(without_descriptors_nobody_tells),
        TEST(another_root_does_not_change_what_paths_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
