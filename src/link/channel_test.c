/* The channel: what gets through, what is dropped, and how an end is noticed. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "link/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
    int master;
    int worker;
};

static void
open_both(struct ends *e)
{
    assert_int_equal(pf_channel_open(&e->master, &e->worker), 0);
}

static void
shut_both(struct ends *e)
{
    (void)close(e->master);
    (void)close(e->worker);
}

/* As the master does. */
static int
receive(int fd, struct pf_message *ret_message)
{
    char text[PF_CHANNEL_TEXT_BYTES];

    return pf_channel_receive_text(fd, ret_message, text);
}

static void
messages_arrive_in_order(void **state)
{
    struct pf_message message;
    struct ends e;

    (void)state;
    open_both(&e);
    assert_int_equal(receive(e.worker, &message), -EAGAIN);
    assert_int_equal(pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0), 0);
    assert_int_equal(pf_channel_send(e.worker, PF_MESSAGE_EXEC_FAILED, ENOENT), 0);
    assert_int_equal(pf_channel_send(e.worker, PF_MESSAGE_INIT_FAILED, -3), 0);
    assert_int_equal(receive(e.worker, &message), 0);
    assert_int_equal(message.kind, PF_MESSAGE_LEAVE);
    assert_int_equal(receive(e.master, &message), 0);
    assert_int_equal(message.kind, PF_MESSAGE_EXEC_FAILED);
    assert_int_equal(message.errnum, ENOENT);
    assert_int_equal(receive(e.master, &message), 0);
    assert_int_equal(message.errnum, -3);
    shut_both(&e);
}

static void
both_ends_are_closed_by_exec_and_never_block(void **state)
{
    struct ends e;

    (void)state;
    open_both(&e);
    assert_true(fcntl(e.master, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(e.worker, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(e.master, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(e.worker, F_GETFL) & O_NONBLOCK);
    shut_both(&e);
}

static const struct {
    const char *name;
    uint32_t words[4];
    size_t bytes;
} nonsense[] = {
    {"too short", {PF_MESSAGE_LEAVE}, 4},
    {"one byte", {PF_MESSAGE_LEAVE}, 1},
    {"too long", {PF_MESSAGE_LEAVE, 0, 0}, 12},
    {"one byte too long", {PF_MESSAGE_LEAVE, 0, 0}, 9},
    {"kind 0", {0, 0}, 8},
    {"a text where there is none", {PF_MESSAGE_INIT_FAILED, 0, 0x6c6c6c6c}, 12},
    {"a kind there is not", {PF_MESSAGE_LAST + 1, 0}, 8},
    {"the largest kind", {UINT32_MAX, 0}, 8},
};

/* By the master as by a worker. */
static void
nonsense_is_dropped(void **state)
{
    int passed = -1;
    struct ends e;

    (void)state;
    open_both(&e);
    for (size_t i = 0; i < PF_COUNT(nonsense); i++) {
        struct pf_message message = {.kind = 99};
        assert_int_equal(send(e.worker, nonsense[i].words, nonsense[i].bytes, 0),
                         nonsense[i].bytes);
        assert_int_equal(send(e.master, nonsense[i].words, nonsense[i].bytes, 0),
                         nonsense[i].bytes);
        assert_int_equal(pf_channel_send(e.worker, PF_MESSAGE_LEAVE, 0), 0);
        if (receive(e.master, &message) != -EBADMSG || message.kind != 99 ||
            pf_channel_receive_fd(e.worker, &message, &passed) != -EBADMSG ||
            message.kind != 99 || passed != -1)
            fail_msg("%s", nonsense[i].name);
        assert_int_equal(receive(e.master, &message), 0);
        assert_int_equal(message.kind, PF_MESSAGE_LEAVE);
    }
    shut_both(&e);
}

static void
a_worker_takes_no_text(void **state)
{
    struct pf_message message = {.kind = 99};
    int passed = -1;
    struct ends e;

    (void)state;
    open_both(&e);
    assert_int_equal(pf_channel_send_text(e.master, PF_MESSAGE_LINE, "line"), 0);
    assert_int_equal(pf_channel_receive_fd(e.worker, &message, &passed), -EBADMSG);
    assert_int_equal(message.kind, 99);
    shut_both(&e);
}

static void
texts_arrive(void **state)
{
    char text[PF_CHANNEL_TEXT_BYTES];
    char longest[PF_CHANNEL_TEXT_BYTES + 1] = "";
    struct pf_message message;
    struct ends e;

    (void)state;
    open_both(&e);
    memset(longest, 'l', PF_CHANNEL_TEXT_MAX);
    assert_int_equal(pf_channel_send_text(e.worker, PF_MESSAGE_LINE, longest), 0);
    assert_int_equal(pf_channel_send_text(e.worker, PF_MESSAGE_STOP, ""), 0);
    assert_int_equal(pf_channel_send(e.worker, PF_MESSAGE_INIT_FAILED, 7), 0);
    assert_int_equal(pf_channel_receive_text(e.master, &message, text), 0);
    assert_int_equal(message.kind, PF_MESSAGE_LINE);
    assert_string_equal(text, longest);
    assert_int_equal(pf_channel_receive_text(e.master, &message, text), 0);
    assert_int_equal(message.kind, PF_MESSAGE_STOP);
    assert_string_equal(text, "");
    assert_int_equal(pf_channel_receive_text(e.master, &message, text), 0);
    assert_int_equal(message.errnum, 7);
    assert_string_equal(text, "");
    longest[PF_CHANNEL_TEXT_MAX] = 'l';
    assert_int_equal(pf_channel_send_text(e.worker, PF_MESSAGE_LINE, longest), -EMSGSIZE);
    shut_both(&e);
}

static const struct {
    const char *name;
    uint32_t kind;
    size_t text_bytes;
    char byte; /* of which the text is made */
} bad_texts[] = {
    {"one byte too long", PF_MESSAGE_LINE, PF_CHANNEL_TEXT_MAX + 1, 'x'},
    {"far too long", PF_MESSAGE_LINE, 9000, 'x'},
    {"a byte that ends it", PF_MESSAGE_LINE, 1, '\0'},
    {"two lines", PF_MESSAGE_STOP, 1, '\n'},
    {"a text where there is none", PF_MESSAGE_LEAVE, 5, 'x'},
    {"a kind there is not", 99, 5, 'x'},
};

static void
bad_texts_are_dropped(void **state)
{
    char text[PF_CHANNEL_TEXT_BYTES];
    struct ends e;

    (void)state;
    open_both(&e);
    for (size_t i = 0; i < PF_COUNT(bad_texts); i++) {
        struct pf_message message = {.kind = bad_texts[i].kind};
        char record[sizeof message + 9000];
        memset(record, bad_texts[i].byte, sizeof record);
        memcpy(record, &message, sizeof message);
        assert_true(send(e.worker, record, sizeof message + bad_texts[i].text_bytes, 0) >
                    0);
        assert_int_equal(pf_channel_send_text(e.worker, PF_MESSAGE_LINE, "next"), 0);
        if (pf_channel_receive_text(e.master, &message, text) != -EBADMSG)
            fail_msg("%s", bad_texts[i].name);
        assert_int_equal(pf_channel_receive_text(e.master, &message, text), 0);
        assert_string_equal(text, "next");
    }
    shut_both(&e);
}

static void
who_hangs_up_hears_the_rest_and_may_speak(void **state)
{
    char text[PF_CHANNEL_TEXT_BYTES];
    struct pf_message message;
    struct ends e;

    (void)state;
    open_both(&e);
    assert_int_equal(pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0), 0);
    pf_channel_hang_up(e.worker);
    assert_int_equal(receive(e.worker, &message), 0);
    assert_int_equal(receive(e.worker, &message), -EPIPE);
    assert_int_equal(pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0), -EPIPE);
    assert_int_equal(receive(e.master, &message), -EAGAIN);
    assert_int_equal(pf_channel_send_text(e.worker, PF_MESSAGE_LINE, "still here"), 0);
    assert_int_equal(pf_channel_receive_text(e.master, &message, text), 0);
    assert_string_equal(text, "still here");
    shut_both(&e);
}

/* An empty record reads as the end: the worker that sends it cuts itself off. */
static void
an_empty_record_is_the_end(void **state)
{
    struct pf_message message;
    struct ends e;

    (void)state;
    open_both(&e);
    assert_int_equal(send(e.worker, "", 0, 0), 0);
    assert_int_equal(receive(e.master, &message), -EPIPE);
    shut_both(&e);
}

static void
the_end_is_noticed_after_the_last_words(void **state)
{
    struct pf_message message;
    struct ends e;

    (void)state;
    open_both(&e);
    assert_int_equal(pf_channel_send(e.worker, PF_MESSAGE_INIT_FAILED, 1), 0);
    (void)close(e.worker);
    assert_int_equal(receive(e.master, &message), 0);
    assert_int_equal(receive(e.master, &message), -EPIPE);
    assert_int_equal(pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0), -EPIPE);
    (void)close(e.master);
}

static void
an_end_with_unread_words_is_an_end(void **state)
{
    struct pf_message message;
    struct ends e;

    (void)state;
    open_both(&e);
    assert_int_equal(pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0), 0);
    (void)close(e.worker); /* unread: the other side gets ECONNRESET */
    assert_int_equal(receive(e.master, &message), -EPIPE);
    (void)close(e.master);
}

static void
a_descriptor_comes_along(void **state)
{
    struct pf_message message;
    struct ends e;
    int ends[2];
    int passed = -1;
    char c = 0;

    (void)state;
    open_both(&e);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pf_channel_send_fd(e.master, PF_MESSAGE_OUTLET, 17, ends[1]), 0);
    assert_int_equal(pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0), 0);
    (void)close(ends[1]);
    assert_int_equal(pf_channel_receive_fd(e.worker, &message, &passed), 0);
    assert_int_equal(message.kind, PF_MESSAGE_OUTLET);
    assert_int_equal(message.errnum, 17);
    assert_true(fcntl(passed, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(passed, "x", 1), 1);
    assert_int_equal(read(ends[0], &c, 1), 1);
    (void)close(passed);
    assert_int_equal(pf_channel_receive_fd(e.worker, &message, &passed), 0);
    assert_int_equal(message.kind, PF_MESSAGE_LEAVE);
    assert_int_equal(passed, -1);
    assert_int_equal(pf_channel_receive_fd(e.worker, &message, &passed), -EAGAIN);
    (void)close(ends[0]);
    shut_both(&e);
}

/* Its other end sees the end of file only when no copy is left anywhere. */
static void
a_descriptor_that_nobody_wants_is_closed(void **state)
{
    static const char rubbish[] = "something else";
    struct pf_message message;
    struct iovec part = {.iov_base = (void *)(uintptr_t)rubbish, .iov_len = sizeof rubbish};
    struct ends e;
    int ends[2];
    int passed = -1;
    char c;

    (void)state;
    open_both(&e);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pf_channel_send_fd(e.worker, PF_MESSAGE_OUTLET, 1, ends[1]), 0);
    assert_int_equal(receive(e.master, &message), 0); /* takes none */
    {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } passage = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                                .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS}};
        struct msghdr parcel = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = passage.bytes,
                                .msg_controllen = sizeof passage.bytes};
        memcpy(CMSG_DATA(&passage.header), &ends[1], sizeof ends[1]);
        assert_int_equal(sendmsg(e.master, &parcel, 0), sizeof rubbish);
    }
    assert_int_equal(pf_channel_receive_fd(e.worker, &message, &passed), -EBADMSG);
    assert_int_equal(passed, -1);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &c, 1), 0);
    (void)close(ends[0]);
    shut_both(&e);
}

static void
who_does_not_read_blocks_nobody(void **state)
{
    struct ends e;
    int r = 0;

    (void)state;
    open_both(&e);
    for (unsigned i = 0; i < 100000 && r == 0; i++)
        r = pf_channel_send(e.master, PF_MESSAGE_LEAVE, 0);
    assert_int_equal(r, -EAGAIN);
    shut_both(&e);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_in_order),
        cmocka_unit_test(both_ends_are_closed_by_exec_and_never_block),
        cmocka_unit_test(nonsense_is_dropped),
        cmocka_unit_test(a_worker_takes_no_text),
        cmocka_unit_test(texts_arrive),
        cmocka_unit_test(bad_texts_are_dropped),
        cmocka_unit_test(who_hangs_up_hears_the_rest_and_may_speak),
        cmocka_unit_test(an_empty_record_is_the_end),
        cmocka_unit_test(the_end_is_noticed_after_the_last_words),
        cmocka_unit_test(an_end_with_unread_words_is_an_end),
        cmocka_unit_test(a_descriptor_comes_along),
        cmocka_unit_test(a_descriptor_that_nobody_wants_is_closed),
        cmocka_unit_test(who_does_not_read_blocks_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
