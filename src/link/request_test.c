/* Requests and answers: what is taken for one, who is asked, and that a last word arrives.
 */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "link/request.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- records ------------------------------------------------------------------------- */

static const struct pf_request sound = {PF_REQUEST_MAGIC, PF_REQUEST_VERSION,
                                        PF_REQUEST_RELOAD, 1, 0};

static void
requests_are_taken_as_they_should_be_and_not_otherwise(void **state)
{
    static const struct {
        const char *name;
        struct pf_request request;
        size_t size;
        int expected;
    } cases[] = {
        {"reload", {PF_REQUEST_MAGIC, 1, PF_REQUEST_RELOAD, 1, 0}, 16, 0},
        {"restart", {PF_REQUEST_MAGIC, 1, PF_REQUEST_RESTART_WORKERS, 0, 0}, 16, 0},
        {"nothing", {0}, 0, -EBADMSG},
        {"a piece of the head", {PF_REQUEST_MAGIC, 1, 1, 0, 0}, 7, -EBADMSG},
        {"the head alone", {PF_REQUEST_MAGIC, 1, 1, 0, 0}, 8, -EBADMSG},
        {"too short", {PF_REQUEST_MAGIC, 1, 1, 0, 0}, 15, -EBADMSG},
        {"too long", {PF_REQUEST_MAGIC, 1, 1, 0, 0}, 17, -EBADMSG},
        {"other magic", {PF_REQUEST_MAGIC + 1, 1, 1, 0, 0}, 16, -EBADMSG},
        {"another version", {PF_REQUEST_MAGIC, 2, 9, 7, 7}, 16, -EPROTONOSUPPORT},
        {"another version, longer", {PF_REQUEST_MAGIC, 2, 1, 0, 0}, 64, -EPROTONOSUPPORT},
        {"no kind", {PF_REQUEST_MAGIC, 1, 0, 0, 0}, 16, -EBADMSG},
        {"unknown kind", {PF_REQUEST_MAGIC, 1, PF_REQUEST_LAST + 1, 0, 0}, 16, -EBADMSG},
        {"wait 2", {PF_REQUEST_MAGIC, 1, 1, 2, 0}, 16, -EBADMSG},
        {"a bit that means nothing", {PF_REQUEST_MAGIC, 1, 1, 0, 1}, 16, -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_request request = {0};
        int r = pf_request_parse(&cases[i].request, cases[i].size, &request);
        if (r != cases[i].expected)
            fail_msg("%s: %d", cases[i].name, r);
        if (r == 0)
            assert_memory_equal(&request, &cases[i].request, sizeof request);
    }
}

static void
answers_have_one_terminated_line(void **state)
{
    struct pf_answer answer;
    struct pf_answer read;

    (void)state;
    pf_answer_make(&answer, PF_ANSWER_FAILED, 7, "no\nworker\tcame \303\274\x7f");
    assert_string_equal(answer.text, "no worker came \303\274 ");
    assert_int_equal(pf_answer_parse(&answer, sizeof answer, &read), 0);
    assert_memory_equal(&answer, &read, sizeof answer);
    assert_int_equal(pf_answer_parse(&answer, sizeof answer - 1, &read), -EBADMSG);
    answer.text[0] = '\n';
    assert_int_equal(pf_answer_parse(&answer, sizeof answer, &read), -EBADMSG);
    memset(answer.text, 'x', sizeof answer.text);
    assert_int_equal(pf_answer_parse(&answer, sizeof answer, &read), -EBADMSG);
    answer.kind = PF_ANSWER_LAST + 1;
    assert_int_equal(pf_answer_parse(&answer, sizeof answer, &read), -EBADMSG);
}

static void
a_long_text_is_cut(void **state)
{
    char text[2 * PF_REQUEST_TEXT_BYTES];
    struct pf_answer answer;
    struct pf_answer read;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    pf_answer_make(&answer, PF_ANSWER_DONE, 1, text);
    assert_int_equal(pf_answer_parse(&answer, sizeof answer, &read), 0);
    assert_int_equal(strlen(read.text), PF_REQUEST_TEXT_BYTES - 1);
}

/* ---- the socket ---------------------------------------------------------------------- */

struct ends {
    int listener;
    int client;
    int served;
};

static pf_time
soon(void)
{
    return pf_clock_now() + 10 * PF_SECOND;
}

static void
open_all(struct ends *e)
{
    e->listener = pf_request_listen(getpid());
    assert_true(e->listener >= 0);
    e->client = pf_request_connect(getpid(), soon());
    assert_true(e->client >= 0);
    e->served = pf_request_accept(e->listener);
    assert_true(e->served >= 0);
}

static void
close_all(struct ends *e)
{
    (void)close(e->listener);
    (void)close(e->client);
    if (e->served >= 0)
        (void)close(e->served);
}

static void
a_request_and_its_answers_arrive(void **state)
{
    struct pf_request request;
    struct pf_answer answer;
    struct ends e;

    (void)state;
    open_all(&e);
    assert_int_equal(pf_request_receive(e.served, &request), -EAGAIN);
    assert_int_equal(pf_request_send(e.client, PF_REQUEST_RELOAD, true), 0);
    assert_int_equal(pf_request_receive(e.served, &request), 0);
    assert_memory_equal(&request, &sound, sizeof sound);
    pf_answer_make(&answer, PF_ANSWER_ACCEPTED, 3, "");
    assert_int_equal(pf_answer_send(e.served, &answer), 0);
    pf_answer_make(&answer, PF_ANSWER_DONE, 3, "all is new");
    pf_request_dismiss(&e.served, &answer);
    assert_int_equal(pf_answer_receive(e.client, soon(), &answer), 0);
    assert_int_equal(answer.kind, PF_ANSWER_ACCEPTED);
    assert_int_equal(pf_answer_receive(e.client, soon(), &answer), 0);
    assert_int_equal(answer.number, 3);
    assert_string_equal(answer.text, "all is new");
    assert_int_equal(pf_answer_receive(e.client, soon(), &answer), -EPIPE);
    close_all(&e);
}

static void
the_last_word_arrives_although_something_is_unread(void **state)
{
    struct pf_answer answer;
    struct ends e;

    (void)state;
    open_all(&e);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pf_request_send(e.client, PF_REQUEST_RELOAD, true), 0);
    pf_answer_make(&answer, PF_ANSWER_REFUSED, 0, "no");
    pf_request_dismiss(&e.served, &answer);
    assert_int_equal(pf_request_send(e.client, PF_REQUEST_RELOAD, true), -EPIPE);
    assert_int_equal(pf_answer_receive(e.client, soon(), &answer), 0);
    assert_string_equal(answer.text, "no");
    close_all(&e);
}

static void
a_wait_for_an_answer_ends_in_time(void **state)
{
    struct pf_answer answer;
    struct ends e;

    (void)state;
    open_all(&e);
    assert_int_equal(pf_answer_receive(e.client, 0, &answer), -ETIMEDOUT);
    close_all(&e);
}

static void
nobody_waits_for_a_master_that_does_not_accept(void **state)
{
    int clients[256];
    int listener = pf_request_listen(getpid());
    unsigned count = 0;
    int r;

    (void)state;
    assert_true(listener >= 0);
    do {
        r = pf_request_connect(getpid(), pf_clock_now() + PF_MILLISECOND);
        if (r >= 0)
            clients[count++] = r;
    } while (r >= 0 && count < PF_COUNT(clients));
    assert_int_equal(r, -ETIMEDOUT);
    while (count > 0)
        (void)close(clients[--count]);
    (void)close(listener);
}

static void
a_name_belongs_to_one(void **state)
{
    int listener = pf_request_listen(getpid());

    (void)state;
    assert_true(pf_request_is_listener(listener, getpid()));
    assert_false(pf_request_is_listener(listener, getpid() + 1));
    assert_false(pf_request_is_listener(STDIN_FILENO, getpid()));
    assert_int_equal(pf_request_listen(getpid()), -EADDRINUSE);
    (void)close(listener);
    assert_int_equal(pf_request_connect(getpid(), soon()), -ECONNREFUSED);
}

static void
descriptors_are_closed_by_exec_and_the_masters_never_block(void **state)
{
    struct ends e;

    (void)state;
    open_all(&e);
    assert_true(fcntl(e.listener, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(e.client, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(e.served, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(e.listener, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(e.served, F_GETFL) & O_NONBLOCK);
    close_all(&e);
}

static void
each_side_knows_the_other(void **state)
{
    struct ends e;
    pid_t pid = 0;
    uid_t uid = 0;

    (void)state;
    open_all(&e);
    assert_int_equal(pf_request_peer(e.client, &pid, &uid), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, geteuid());
    assert_int_equal(pf_request_peer(e.served, &pid, &uid), 0);
    assert_int_equal(pid, getpid());
    close_all(&e);
}

/* Its child goes on listening, and its number will be somebody else's one day. */
static void
a_listener_that_has_died_is_nobody(void **state)
{
    int pair[2];
    pid_t child;
    int client;
    pid_t pid = 0;
    uid_t uid = 0;
    int r;

    (void)state;
    assert_int_equal(pipe(pair), 0);
    child = fork();
    if (child == 0) {
        char byte;
        if (pf_request_listen(getpid()) < 0 || fork() != 0)
            _exit(0);
        (void)close(pair[1]);
        (void)read(pair[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    client = pf_request_connect(child, soon());
    assert_true(client >= 0);
    r = pf_request_peer(client, &pid, &uid);
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)close(client);
    if (r == 0)
        skip(); /* this kernel does not say */
    assert_int_equal(r, -ESRCH);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_taken_as_they_should_be_and_not_otherwise),
        cmocka_unit_test(answers_have_one_terminated_line),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(a_request_and_its_answers_arrive),
        cmocka_unit_test(the_last_word_arrives_although_something_is_unread),
        cmocka_unit_test(a_wait_for_an_answer_ends_in_time),
        cmocka_unit_test(nobody_waits_for_a_master_that_does_not_accept),
        cmocka_unit_test(a_name_belongs_to_one),
        cmocka_unit_test(descriptors_are_closed_by_exec_and_the_masters_never_block),
        cmocka_unit_test(each_side_knows_the_other),
        cmocka_unit_test(a_listener_that_has_died_is_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
