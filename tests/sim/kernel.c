/* The fake kernel: what os/, link/channel.h and net/listener.h promise, on a clock that
 * only moves when nobody has anything to do.
 *
 * Waiting is level-triggered and fair like epoll(7): what is still ready after it was
 * reported goes to the end of the line. Nothing here decides anything about workers.
 *
 * Time passes in the middle of a turn too: a fork takes its time, and while the master is
 * in it workers take connections, finish and die. That is how the moments between a plan
 * and its act, and between an act and the next sleep, come to be tried. */
#include "link/wire.h"
#include "net/handed.h"
#include "net/tls.h"
#include "os/clock.h"
#include "os/departure.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/notice.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/share.h"
#include "os/signal.h"
#include "os/wait.h"
#include "os/wake.h"
#include "sim.h"
#include "worker/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_BYTES = 256, /* as large as the board needs: ten thousand real ones are slow */
    STRANGER = 1,     /* the pid of a child that is not the pool's */
};

static_assert(sizeof(struct pf_board_slot) <= PAGE_BYTES, "a slot fits into a page");

/* ---- time ---------------------------------------------------------------------------- */

pf_time
pf_clock_now(void)
{
    return sim.now;
}

int64_t
pf_clock_epoch(void)
{
    return 0;
}

void
sim_happen(void)
{
    struct sim_event event = sim_take();

    if (event.at > sim.now)
        sim.now = event.at;
    switch (event.kind) {
    case SIM_EVENT_PROCESS:
        if (sim.processes[event.process].stamp == event.stamp)
            sim_process_step(event.process);
        break;
    case SIM_EVENT_FATE:
        if (sim.processes[event.process].life == event.stamp)
            sim_process_fate(event.process);
        break;
    case SIM_EVENT_ARRIVAL: sim_world_arrive(); break;
    case SIM_EVENT_LOAD: sim_world_change_load(); break;
    case SIM_EVENT_OPERATOR: sim_world_operate(); break;
    case SIM_EVENT_STOP: sim_world_stop(); break;
    }
}

void
sim_pass(pf_time span)
{
    pf_time until = sim.now + span;

    while (sim_next() && sim_next()->at <= until)
        sim_happen();
    if (sim.now < until)
        sim.now = until;
}

/* ---- descriptors --------------------------------------------------------------------- */

int
sim_fd_open(enum sim_fd_kind kind, unsigned process)
{
    int fd = sim.fd_free;

    if (fd >= 0) {
        sim.fd_free = sim.fds[fd].next;
    } else {
        if (sim.fd_count == sim.fd_room) {
            sim.fd_room = sim.fd_room ? 2 * sim.fd_room : 1024;
            sim.fds = realloc(sim.fds, (size_t)sim.fd_room * sizeof *sim.fds);
            PF_ASSERT(sim.fds);
        }
        fd = sim.fd_count++;
        sim.fds[fd].waiting = false;
    }
    sim.fds[fd] = (struct sim_fd){.kind = kind,
                                  .process = process,
                                  .waiting = sim.fds[fd].waiting,
                                  .next = sim.fds[fd].next};
    return fd;
}

static struct sim_fd *
fd_of(int fd)
{
    SIM_CHECK(fd >= 0 && fd < sim.fd_count && sim.fds[fd].kind != SIM_FD_FREE,
              "descriptor %d is not open", fd);
    return &sim.fds[fd];
}

static bool
is_ready(const struct sim_fd *f)
{
    const struct sim_process *p =
        f->process < sim.process_count ? &sim.processes[f->process] : NULL;

    switch (f->kind) {
    case SIM_FD_SIGNALS: return sim.pending != 0;
    case SIM_FD_BELL: return sim.rung;
    case SIM_FD_CHANNEL: return p->outbox_count > 0 || !p->worker_end_open;
    case SIM_FD_DOOR: return sim.queue > 0 || sim.shut;
    case SIM_FD_NOTICES: return sim.notice_count > 0;
    case SIM_FD_PLAIN:
    case SIM_FD_FREE: break;
    }
    return false;
}

void
sim_fd_touch(int fd)
{
    struct sim_fd *f = &sim.fds[fd];

    if (fd < 0 || !f->watched || f->waiting || !is_ready(f))
        return;
    f->waiting = true;
    f->next = -1;
    if (sim.ready_last >= 0)
        sim.fds[sim.ready_last].next = fd;
    else
        sim.ready_first = fd;
    sim.ready_last = fd;
}

static int
next_ready(void)
{
    int fd = sim.ready_first;

    sim.ready_first = sim.fds[fd].next;
    if (sim.ready_first < 0)
        sim.ready_last = -1;
    sim.fds[fd].waiting = false;
    return fd;
}

/* A number that is still in the line of those that may be ready is given out again only
 * after it left it: the link is in use. */
static void
fd_release(int fd)
{
    struct sim_fd *f = fd_of(fd);
    bool waiting = f->waiting;

    f->kind = SIM_FD_FREE;
    f->watched = false;
    if (waiting)
        return;
    f->next = sim.fd_free;
    sim.fd_free = fd;
}

static void
process_release(unsigned index)
{
    struct sim_process *p = &sim.processes[index];

    p->state = SIM_FREE;
    p->stamp++;
    p->life = 0;
    p->next = sim.process_free;
    sim.process_free = index;
}

/* Whoever is dead, reaped and has no channel any more is forgotten. */
static void
release_if_done(unsigned index)
{
    struct sim_process *p = &sim.processes[index];

    if (!p->master_end_open &&
        (p->state == SIM_UNBORN || (p->state == SIM_ZOMBIE && p->reaped)))
        process_release(index);
}

int
pf_notify_open(pf_time *ret_watchdog)
{
    *ret_watchdog = PF_NEVER;
    return PF_NOTIFY_NOBODY;
}

int
pf_notify_send(int fd, const char *text)
{
    (void)fd;
    (void)text;
    return -EAGAIN;
}

/* Who finds no room says nothing. */
void
sim_say_ready(pid_t pid)
{
    if (sim.notice_count < SIM_NOTICES)
        sim.notices[sim.notice_count++] = pid;
    sim_fd_touch(sim.notice_fd);
}

int
pf_notice_open(void)
{
    return sim.notice_fd = sim_fd_open(SIM_FD_NOTICES, SIM_NOBODY);
}

int
pf_notice_name(int fd, char name[PF_NOTICE_NAME_BYTES])
{
    (void)fd;
    memcpy(name, "@", 2);
    return 0;
}

int
pf_notice_receive(int fd, struct pf_notice *ret_notice)
{
    (void)fd;
    if (sim.notice_count == 0)
        return -EAGAIN;
    *ret_notice = (struct pf_notice){.pid = sim.notices[0], .group = -1, .ready = true};
    memmove(sim.notices, sim.notices + 1, --sim.notice_count * sizeof sim.notices[0]);
    return 0;
}

void
pf_fd_close(int *fd)
{
    struct sim_fd *f;
    unsigned index;

    if (*fd < 0)
        return;
    f = fd_of(*fd);
    index = f->process;
    if (f->kind == SIM_FD_CHANNEL) {
        sim.processes[index].master_end_open = false;
        sim.processes[index].master_end = -1;
        if (sim.processes[index].state != SIM_UNBORN)
            sim_process_hear(index);
        release_if_done(index);
    }
    fd_release(*fd);
    *fd = -1;
}

void
pf_fd_limit_raise(void)
{
}

/* ---- waiting ----------------------------------------------------------------------------
 */

int
pf_wait_open(struct pf_wait *w)
{
    w->fd = sim_fd_open(SIM_FD_PLAIN, SIM_NOBODY);
    return 0;
}

void
pf_wait_close(struct pf_wait *w)
{
    pf_fd_close(&w->fd);
}

static int
watch(int fd, uint64_t tag, bool once)
{
    struct sim_fd *f = fd_of(fd);

    f->watched = true;
    f->once = once;
    f->tag = tag;
    sim_fd_touch(fd);
    return 0;
}

int
pf_wait_add(struct pf_wait *w, int fd, uint64_t tag)
{
    (void)fd_of(w->fd);
    return watch(fd, tag, false);
}

int
pf_wait_add_once(struct pf_wait *w, int fd, uint64_t tag)
{
    (void)fd_of(w->fd);
    return watch(fd, tag, true);
}

void
pf_wait_remove(struct pf_wait *w, int fd)
{
    (void)fd_of(w->fd);
    if (fd >= 0)
        fd_of(fd)->watched = false;
}

/* What is ready now, at most max of it. Level-triggered: it goes to the end of the line,
 * where the next call finds it if it is still ready. */
static unsigned
collect(struct pf_wait_event *events, unsigned max)
{
    unsigned count = 0;
    int last = sim.ready_last;
    int fd = -1;

    while (sim.ready_first >= 0 && fd != last && count < max) {
        struct sim_fd *f;
        fd = next_ready();
        f = &sim.fds[fd];
        if (f->kind == SIM_FD_FREE) {
            f->next = sim.fd_free;
            sim.fd_free = fd;
            continue;
        }
        if (!f->watched || !is_ready(f))
            continue;
        events[count++] = (struct pf_wait_event){.tag = f->tag};
        f->watched = !f->once;
        sim_fd_touch(fd);
    }
    return count;
}

static pf_time
round_up(pf_time t)
{
    pf_time left = t == PF_NEVER ? 0 : t - sim.now;

    if (t == PF_NEVER || left <= 0)
        return t;
    return sim.now + (left + PF_MILLISECOND - 1) / PF_MILLISECOND * PF_MILLISECOND;
}

unsigned
pf_wait_sleep(struct pf_wait *w, pf_time deadline, struct pf_wait_event *events,
              unsigned max)
{
    unsigned count;

    (void)fd_of(w->fd);
    sim_watch_sleep(deadline);
    deadline = round_up(deadline);
    sim.deadline = deadline;
    sim.master_sleeps = true;
    while ((count = collect(events, max)) == 0 && sim.now < deadline) {
        const struct sim_event *next = sim_next();
        SIM_CHECK(next || deadline != PF_NEVER, "the master sleeps for ever");
        if (next && next->at <= deadline)
            sim_happen();
        else
            sim.now = deadline;
        sim_watch_asleep();
    }
    sim.master_sleeps = false;
    sim_pass(sim_span(0, 50)); /* until it runs */
    return count;
}

/* ---- signals and the bell
 * ------------------------------------------------------------------ */

int
pf_signal_open(pf_signal_set more)
{
    (void)more;
    sim.signals = sim_fd_open(SIM_FD_SIGNALS, SIM_NOBODY);
    return sim.signals;
}

int
pf_signal_next(int fd, pid_t *ret_sender)
{
    (void)fd_of(fd);
    for (int signum = 1; signum < 32; signum++) {
        if (sim.pending & 1u << signum) {
            sim.pending &= ~(1u << signum);
            *ret_sender = signum == SIGCHLD ? sim.ended_first : STRANGER;
            return signum;
        }
    }
    return 0;
}

void
pf_signal_close(int *fd)
{
    pf_fd_close(fd);
}

const char *
pf_signal_name(int signum)
{
    return sigabbrev_np(signum);
}

void
sim_signal_master(int signum)
{
    sim.pending |= 1u << signum;
    sim_fd_touch(sim.signals);
}

void
sim_signal_end(pid_t pid)
{
    if (!(sim.pending & 1u << SIGCHLD))
        sim.ended_first = pid;
    sim_signal_master(SIGCHLD);
}

int
pf_wake_open(void)
{
    /* The first is the master's, the second one is for workers that wait. */
    if (sim.bell >= 0)
        return sim.pass = sim_fd_open(SIM_FD_PLAIN, SIM_NOBODY);
    return sim.bell = sim_fd_open(SIM_FD_BELL, SIM_NOBODY);
}

void
pf_wake_ring(int fd)
{
    if (fd == sim.pass) {
        sim_process_pass();
        return;
    }
    sim.rung = true;
    sim_fd_touch(fd);
}

void
pf_wake_hush(int fd)
{
    (void)fd_of(fd);
    sim.rung = false;
}

/* ---- memory
 * ------------------------------------------------------------------------------------ */

size_t
pf_share_page_bytes(void)
{
    return PAGE_BYTES;
}

int
pf_share_object_open(struct pf_share_object *share, size_t bytes)
{
    sim.hints = calloc(1, bytes);
    *share = (struct pf_share_object){.fd = -1, .memory = sim.hints, .bytes = bytes};
    return sim.hints ? 0 : -ENOMEM;
}

/* There is only one, and descriptors mean nothing here. */
int
pf_share_object_adopt(struct pf_share_object *share, int fd, size_t bytes)
{
    (void)fd;
    *share = (struct pf_share_object){.fd = -1, .memory = sim.hints, .bytes = bytes};
    return 0;
}

void
pf_share_object_close(struct pf_share_object *share)
{
    free(share->memory);
    share->memory = NULL;
}

unsigned
pf_fd_limit(void)
{
    return 1 << 20;
}

void *
pf_memory_new(size_t bytes)
{
    return calloc(1, bytes);
}

void *
pf_memory_new_own(size_t bytes)
{
    return pf_memory_new(bytes);
}

void
pf_memory_inherit(void *memory, size_t bytes, bool on)
{
    (void)memory;
    (void)bytes;
    (void)on;
}

void
pf_memory_free(void *memory, size_t bytes)
{
    (void)bytes;
    free(memory);
}

int
pf_share_pages_open(struct pf_share_pages *pages, size_t count)
{
    sim.pages = calloc(count, PAGE_BYTES);
    *pages = (struct pf_share_pages){.fd = -1, .memory = sim.pages, .count = count};
    return sim.pages ? 0 : -ENOMEM;
}

int
pf_share_pages_adopt(struct pf_share_pages *pages, int fd, size_t count)
{
    (void)fd;
    *pages = (struct pf_share_pages){.fd = -1, .memory = sim.pages, .count = count};
    return 0;
}

void
pf_share_pages_close(struct pf_share_pages *pages)
{
    free(pages->memory);
    pages->memory = NULL;
}

void *
pf_share_page(const struct pf_share_pages *pages, size_t index)
{
    return pages->memory + index * PAGE_BYTES;
}

int
pf_share_page_clear(struct pf_share_pages *pages, size_t index)
{
    if (sim.refuse == ENOMEM && sim_chance(300))
        return -ENOMEM;
    sim.fresh_page = pf_share_page(pages, index);
    memset(sim.fresh_page, 0, PAGE_BYTES);
    return 0;
}

/* Nobody is a child here. */
void *
pf_share_page_claim(int fd, size_t index)
{
    (void)fd;
    (void)index;
    sim_fail("a child ran in the master's process");
}

/* ---- the scoreboard's file: there is none
 * ------------------------------------------------------------------------------- */

enum pf_score_damage
pf_score_file_damage(const struct pf_score_file *f)
{
    (void)f;
    sim_fail("a file that nobody opened was looked at");
}

int
pf_score_file_write(struct pf_score_file *f, unsigned slot,
                    const struct pf_score_line *line)
{
    (void)f;
    (void)slot;
    (void)line;
    sim_fail("a file that nobody opened was written");
}

int
pf_score_file_write_totals(struct pf_score_file *f, const struct pf_score_totals *totals)
{
    (void)f;
    (void)totals;
    sim_fail("a file that nobody opened was written");
}

struct pf_score *
pf_score_file_claim(int page_fd, unsigned slot)
{
    (void)page_fd;
    (void)slot;
    sim_fail("a child ran in the master's process");
}

void
pf_score_file_leave(struct pf_score_file *f)
{
    (void)f;
    sim_fail("a child ran in the master's process");
}

/* ---- the channel
 * -------------------------------------------------------------------------------- */

static unsigned
new_process(void)
{
    unsigned index = sim.process_free;
    uint64_t stamp = 0;

    if (index != SIM_NOBODY) {
        sim.process_free = sim.processes[index].next;
        stamp = sim.processes[index].stamp + 1;
    } else {
        if (sim.process_count == sim.process_room) {
            sim.process_room = sim.process_room ? 2 * sim.process_room : 256;
            sim.processes =
                realloc(sim.processes, sim.process_room * sizeof *sim.processes);
            PF_ASSERT(sim.processes);
        }
        index = sim.process_count++;
    }
    sim.processes[index] = (struct sim_process){
        .state = SIM_UNBORN,
        .stamp = stamp,
        .master_end = -1,
        .next = SIM_NOBODY,
        .before = SIM_NOBODY,
    };
    return index;
}

int
pf_channel_open(int *ret_master_end, int *ret_worker_end)
{
    struct sim_process *p;

    if (sim.refuse == EMFILE && sim_chance(500))
        return -EMFILE;
    sim.unborn = new_process();
    p = &sim.processes[sim.unborn];
    p->worker_end_open = p->master_end_open = true;
    *ret_master_end = p->master_end = sim_fd_open(SIM_FD_CHANNEL, sim.unborn);
    *ret_worker_end = sim_fd_open(SIM_FD_PLAIN, SIM_NOBODY);
    return 0;
}

int
pf_channel_send(int fd, enum pf_message_kind kind, int errnum)
{
    struct sim_fd *f = fd_of(fd);
    struct sim_process *p = &sim.processes[f->process];

    SIM_CHECK(f->kind == SIM_FD_CHANNEL && kind == PF_MESSAGE_LEAVE && errnum == 0,
              "an odd message from the master");
    sim_watch_ask(p);
    if (!p->worker_end_open)
        return -EPIPE;
    p->asked++;
    p->asked_ever = true;
    sim_process_hear(f->process);
    return 0;
}

int
pf_channel_receive_text(int fd, struct pf_message *ret_message,
                        char text[PF_CHANNEL_TEXT_BYTES])
{
    struct sim_fd *f = fd_of(fd);
    struct sim_process *p = &sim.processes[f->process];

    if (p->outbox_count == 0)
        return p->worker_end_open ? -EAGAIN : -EPIPE;
    text[0] = '\0';
    *ret_message = p->outbox[0];
    memmove(p->outbox, p->outbox + 1, --p->outbox_count * sizeof p->outbox[0]);
    return ret_message->kind == 0 ? -EBADMSG : 0;
}

/* ---- the wire: no world has child_communication
 * --------------------------------------------------- */

int
pf_wait_add_edge(struct pf_wait *w, int fd, uint64_t tag)
{
    (void)w;
    sim_fail("descriptor %d is watched as %llu", fd, (unsigned long long)tag);
}

int
pf_wire_open(int *ret_master_end, int *ret_worker_end)
{
    *ret_master_end = *ret_worker_end = -1;
    return -ENOSYS;
}

int
pf_wire_unread(int fd)
{
    sim_fail("descriptor %d is a wire", fd);
}

bool
pf_wire_is_over(int fd)
{
    sim_fail("descriptor %d is a wire", fd);
}

/* ---- connections of foreign programs: not to be seen here
 * ------------------------------------------------------------------------------------ */

bool
pf_master_has_taken(const struct pf_master *m, unsigned slot)
{
    (void)m;
    (void)slot;
    return false;
}

/* ---- clients that go: no world wants to know
 * ------------------------------------------------------------------------------------ */

int
pf_departures_open(void)
{
    sim_fail("clients are watched");
}

void
pf_master_departed(struct pf_master *m, unsigned slot)
{
    (void)m;
    sim_fail("the client of slot %u has gone", slot);
}

bool
pf_master_heeds_departures(const struct pf_master *m)
{
    (void)m;
    return false;
}

void
pf_master_unwatch_departures(struct pf_master *m, unsigned slot)
{
    (void)m;
    (void)slot;
}

int
pf_master_open_patrol(struct pf_master *m)
{
    (void)m;
    return 0;
}

void
pf_master_close_patrol(struct pf_master *m)
{
    (void)m;
}

void
pf_master_patrol(struct pf_master *m)
{
    (void)m;
}

pf_time
pf_master_patrol_at(const struct pf_master *m)
{
    (void)m;
    return PF_NEVER;
}

/* Nobody holds anything for a next master: this one does not die. */

int
pf_store_open(struct pf_master *m, int keeper, bool wanted)
{
    (void)m;
    (void)keeper;
    (void)wanted;
    return 0;
}

void
pf_store_close(struct pf_store *s)
{
    *s = PF_STORE_NONE;
}

void
pf_master_store(struct pf_master *m)
{
    (void)m;
}

void
pf_master_lose_store(struct pf_master *m)
{
    (void)m;
}

/* ---- requests from outside: clients are not simulated, what they ask for is
 * ------------------------------------------------------------------------------------ */

void
sim_ask_master(void)
{
    sim.asks++;
    pf_wake_ring(sim.bell);
}

void
pf_control_init(struct pf_control *c)
{
    c->listener = -1;
    sim.asks = 0;
    sim.asked = sim.told = 0;
}

void
pf_control_open(struct pf_master *m)
{
    (void)m;
}

void
pf_control_close(struct pf_control *c)
{
    (void)c;
}

void
pf_control_greet(struct pf_master *m)
{
    (void)m;
    sim_fail("somebody connects");
}

void
pf_control_hear(struct pf_master *m, unsigned index)
{
    (void)m;
    sim_fail("client %u speaks", index);
}

/* Numbers go up by one, and each has an end that is still to be told. */
static void
ask(struct pf_master *m)
{
    uint64_t number = 0;
    int r = pf_master_ask_restart(m, "somebody", &number);

    SIM_CHECK((r == 0) == (m->pool.stop == PF_STOP_NONE), "a restart is refused: %d", r);
    if (r < 0)
        return;
    SIM_CHECK(number >= sim.asked, "number %llu", (unsigned long long)number);
    SIM_CHECK(number > sim.told, "the end of number %llu was told before it began",
              (unsigned long long)number);
    sim.asked = number;
    m->deadline = m->now;
}

void
pf_control_tend(struct pf_master *m)
{
    for (; sim.asks > 0; sim.asks--)
        ask(m);
}

/* Nobody from before is there, if that is what is said. */
void
pf_control_tell(struct pf_master *m, uint64_t number, bool ok, const char *text)
{
    SIM_CHECK(number > sim.told, "the end of number %llu: %s", (unsigned long long)number,
              text);
    sim.told = number;
    for (unsigned i = 0; ok && i < m->pool.used; i++) {
        const struct pf_slot *s = &m->pool.slots[i];
        SIM_CHECK(!pf_life_alive(s->life) || s->kind != PF_KIND_WORKER ||
                      s->birth > m->upgrade.mark,
                  "slot %u is from before: %s", i, text);
    }
}

/* ---- processes
 * ------------------------------------------------------------------------------------ */

int
pf_process_fork(struct pf_process *ret_child)
{
    struct sim_process *p = &sim.processes[sim.unborn];

    sim_pass(sim_span(50, 400));
    if (sim.refuse) {
        sim.counts.births_refused++;
        return -sim.refuse;
    }
    p = &sim.processes[sim.unborn]; /* the table may have moved */
    p->life = ++sim.life;
    p->slot = (unsigned)(((char *)sim.fresh_page - sim.pages) / PAGE_BYTES);
    p->seat = (struct pf_board_seat){sim.fresh_page, sim.hints, sim.bell};
    p->born = sim.now;
    p->dequeue = sim.for_dequeue;
    sim_watch_birth(p);
    *ret_child = (struct pf_process){.pid = sim_pid_of(sim.life), .pidfd = -1};
    sim.by_pid[ret_child->pid % SIM_PIDS] = sim.unborn;
    sim_process_start(sim.unborn);
    return 1;
}

static bool
has_pid(unsigned index, pid_t pid)
{
    const struct sim_process *p = &sim.processes[index];

    return index < sim.process_count && p->life > 0 && !p->reaped &&
           sim_pid_of(p->life) == pid;
}

/* Where it was born, unless another one was remembered there since. */
unsigned
sim_process_of(pid_t pid)
{
    unsigned index = sim.by_pid[pid % SIM_PIDS];

    if (has_pid(index, pid))
        return index;
    for (index = 0; index < sim.process_count; index++) {
        if (has_pid(index, pid))
            return index;
    }
    return SIM_NOBODY;
}

void
pf_process_signal(const struct pf_process *child, int signum)
{
    unsigned index = sim_process_of(child->pid);

    SIM_CHECK(index != SIM_NOBODY, "a signal to nobody");
    sim_process_signal(index, signum);
}

int
pf_process_signal_alone(const struct pf_process *child, int signum)
{
    pf_process_signal(child, signum);
    return 0;
}

int
pf_process_has_ended(const struct pf_process *child)
{
    unsigned index = sim_process_of(child->pid);

    SIM_CHECK(index != SIM_NOBODY, "the end of nobody");
    return sim.processes[index].state == SIM_ZOMBIE;
}

/* Now and then a child of somebody else's is in front. */
pid_t
pf_process_ended(void)
{
    if (sim_chance(50))
        return STRANGER;
    for (unsigned i = 0; i < sim.process_count; i++) {
        const struct sim_process *p = &sim.processes[i];
        if (p->state == SIM_ZOMBIE && !p->reaped)
            return sim_pid_of(p->life);
    }
    return 0;
}

int
pf_process_reap(struct pf_process *child, int *ret_wait_status)
{
    unsigned index = sim_process_of(child->pid);
    struct sim_process *p = &sim.processes[index];

    if (child->pid == STRANGER)
        return 0;
    SIM_CHECK(index != SIM_NOBODY, "the end of nobody");
    if (p->state != SIM_ZOMBIE)
        return -EAGAIN;
    *ret_wait_status = p->status;
    sim_watch_reaped(p);
    sim_process_forget(index);
    p->reaped = true;
    release_if_done(index);
    return 0;
}

int
pf_process_adopt_orphans(void)
{
    return 0;
}

unsigned
pf_process_signal_orphans(int signum, bool (*is_ours)(void *context, pid_t pid),
                          void *context)
{
    (void)signum;
    (void)is_ours;
    (void)context;
    return 0;
}

/* pf_process_fork() of this kernel returns in the parent only. */
PF_NORETURN void
pf_worker_main(const struct pf_heritage *heritage)
{
    (void)heritage;
    sim_fail("a worker's code runs in the master");
}

/* ---- files
 * ----------------------------------------------------------------------------------------
 */

/* No master of this kernel has any. */
int
pf_watch_look(const struct pf_watch *w, const char *path, struct pf_identity *ret_identity)
{
    (void)w;
    (void)ret_identity;
    sim_fail("a look at %s", path);
}

int
pf_watch_listen(struct pf_watch *w)
{
    (void)w;
    return -ENOSYS;
}

int
pf_watch_add(struct pf_watch *w, const char *path)
{
    (void)w;
    (void)path;
    return -ENOSYS;
}

void
pf_watch_deafen(struct pf_watch *w)
{
    (void)w;
}

bool
pf_watch_hush(struct pf_watch *w)
{
    (void)w;
    return false;
}

void
pf_watch_close(struct pf_watch *w)
{
    (void)w;
}

/* ---- doors
 * ----------------------------------------------------------------------------------------
 */

/* No door of this kernel has TLS. */
int
pf_tls_hand_over(const struct pf_listeners *listeners, pf_time now)
{
    (void)listeners;
    (void)now;
    return -1;
}

void
pf_tls_before_fork(const struct pf_listeners *listeners, pf_time now)
{
    (void)listeners;
    (void)now;
}

unsigned
pf_listeners_queued(const struct pf_listeners *ls)
{
    (void)ls;
    return sim.queue;
}

/* Nothing is ever handed over here. */
void
pf_listeners_forget_handed(struct pf_listeners *ls)
{
    (void)ls;
}

void
pf_listeners_shut(struct pf_listeners *ls)
{
    (void)ls;
    sim.shut = true;
    sim.counts.refused += sim.queue;
    sim.queue = 0;
}

/* ---- the start and the end of a world
 * ---------------------------------------------------------------- */

void
sim_kernel_reset(void)
{
    sim_heap_clear();
    sim.fd_count = 0;
    sim.fd_free = sim.ready_first = sim.ready_last = -1;
    sim.process_count = 0;
    sim.process_free = sim.sleeper_first = sim.sleeper_last = SIM_NOBODY;
    sim.asleep = sim.woken = sim.queue = sim.pending = 0;
    sim.shut = sim.rung = sim.passed = false;
    sim.ending = 0;
    sim.bell = sim.pass = -1;
    sim.notice_fd = -1;
    sim.notice_count = 0;
    sim.refuse = 0;
    sim.door = sim_fd_open(SIM_FD_DOOR, SIM_NOBODY);
    sim.listeners = (struct pf_listeners){.count = 1};
    sim.listeners.table[0].fd = sim.door;
}

void
sim_kernel_free(void)
{
    free(sim.heap);
    free(sim.fds);
    free(sim.processes);
}
