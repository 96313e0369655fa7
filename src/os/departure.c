/* An epoll instance that two processes share.
 *
 * Each event carries the number of its connection and says nothing else that could be
 * trusted: the child may have registered anything. Reports are edge-triggered and not
 * one-shot. What the child itself shuts down looks at first like a departure; after a
 * single shot for that, the real one would be missed. Data that arrives is no edge here,
 * because it wakes nobody who waits for other events. */
#include "os/departure.h"

#include <errno.h>
#include <sys/epoll.h>

enum {
    AT_ONCE = 16,
};

int
pf_departures_open(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int
pf_departures_watch(int departures, int fd, uint64_t connection, bool half_close)
{
    struct epoll_event event = {
        .events = EPOLLET | (half_close ? EPOLLRDHUP : 0u),
        .data.u64 = connection,
    };

    return epoll_ctl(departures, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

unsigned
pf_departures_take(int departures, struct pf_departure *table, unsigned max)
{
    struct epoll_event events[AT_ONCE];
    int n = epoll_wait(departures, events, max < AT_ONCE ? (int)max : AT_ONCE, 0);

    for (int i = 0; i < n; i++)
        table[i] = (struct pf_departure){
            .connection = events[i].data.u64,
            .broken = (events[i].events & EPOLLERR) != 0,
            .shut = (events[i].events & EPOLLHUP) != 0,
        };
    return n < 0 ? 0 : (unsigned)n;
}
