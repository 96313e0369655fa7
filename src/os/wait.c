/* epoll(7), and nothing of its pointers.
 *
 * Deadlines are rounded up to the millisecond: waking early would make the caller plan
 * for a moment that has not come and sleep again at once. */
#include "os/wait.h"

#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

int
pf_wait_open(struct pf_wait *w)
{
    w->fd = epoll_create1(EPOLL_CLOEXEC);
    return w->fd < 0 ? -errno : 0;
}

void
pf_wait_close(struct pf_wait *w)
{
    pf_fd_close(&w->fd);
}

static int
control(struct pf_wait *w, int operation, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};

    return epoll_ctl(w->fd, operation, fd, &event) < 0 ? -errno : 0;
}

int
pf_wait_add(struct pf_wait *w, int fd, uint64_t tag)
{
    return control(w, EPOLL_CTL_ADD, fd, EPOLLIN, tag);
}

int
pf_wait_add_exclusive(struct pf_wait *w, int fd, uint64_t tag)
{
    return control(w, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, tag);
}

int
pf_wait_add_end(struct pf_wait *w, int fd, uint64_t tag)
{
    return control(w, EPOLL_CTL_ADD, fd, 0, tag); /* EPOLLHUP and EPOLLERR always are */
}

static int
add_or_renew(struct pf_wait *w, int fd, uint32_t events, uint64_t tag)
{
    int r = control(w, EPOLL_CTL_ADD, fd, events, tag);

    return r == -EEXIST ? control(w, EPOLL_CTL_MOD, fd, events, tag) : r;
}

int
pf_wait_add_once(struct pf_wait *w, int fd, uint64_t tag)
{
    return add_or_renew(w, fd, EPOLLIN | EPOLLONESHOT, tag);
}

int
pf_wait_add_edge(struct pf_wait *w, int fd, uint64_t tag)
{
    return add_or_renew(w, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, tag);
}

void
pf_wait_remove(struct pf_wait *w, int fd)
{
    (void)epoll_ctl(w->fd, EPOLL_CTL_DEL, fd, NULL);
}

unsigned
pf_wait_sleep(struct pf_wait *w, pf_time deadline, struct pf_wait_event *events,
              unsigned max)
{
    struct epoll_event ready[64];
    int n;

    if (max > PF_COUNT(ready))
        max = PF_COUNT(ready);
    n = epoll_wait(w->fd, ready, (int)max, pf_clock_milliseconds_until(deadline));
    for (int i = 0; i < n; i++)
        events[i] = (struct pf_wait_event){
            .tag = ready[i].data.u64,
        };
    return n < 0 ? 0 : (unsigned)n;
}
