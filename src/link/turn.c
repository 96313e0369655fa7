/* Three ways to let one worker at a time accept, behind one word.
 *
 * flock: a record lock (fcntl(2), F_SETLK) belongs to a process and not to an open file, so
 * all workers share the master's descriptor, and no worker has to be able to open the file
 * after privileges were dropped. The kernel releases it with its owner.
 *
 * semaphore: a mutex in shared memory. Being robust (pthread_mutexattr_setrobust(3)), it is
 * released by the kernel if its owner ends. Unlike a System V semaphore it has no name that
 * could be left behind.
 *
 * pipe: whoever reads the token has the turn, and writes it back. A worker that is killed
 * in between takes it to the grave. The master puts a new one into the pipe if it is empty
 * and nobody alive is known to hold the old one. It may be wrong about that for a worker
 * that has read the token and not yet signed for it; then there are two, two workers wait
 * for connections at once, which costs a needless wake-up and nothing else, and the first
 * that finds a token in the pipe when it wants to give back its own drops it. */
#include "link/turn.h"

#include "os/fd.h"
#include "os/wake.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct pf_turn_memory {
    pthread_mutex_t mutex; /* SEMAPHORE */
    _Atomic(pid_t) holder; /* PIPE: who has the token; 0: it is on its way */
};

static int
open_file(struct pf_turn *t, const char *path)
{
    if (path)
        t->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    else
        t->file = memfd_create("prefork-lock", MFD_CLOEXEC);
    return t->file < 0 ? -errno : 0;
}

static int
open_memory(struct pf_turn *t)
{
    void *memory = mmap(NULL, sizeof *t->memory, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return -errno;
    t->memory = memory;
    return 0;
}

static int
open_mutex(struct pf_turn *t)
{
    pthread_mutexattr_t attributes;
    int r = open_memory(t);

    if (r < 0)
        return r;
    r = pthread_mutexattr_init(&attributes);
    if (r == 0)
        r = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (r == 0)
        r = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (r == 0)
        r = pthread_mutex_init(&t->memory->mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes); /* cannot fail */
    return -r;
}

static bool
put_token(struct pf_turn *t)
{
    return write(t->token_end, "t", 1) == 1;
}

static int
open_pipe(struct pf_turn *t)
{
    int ends[2];
    int r = open_memory(t);

    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    t->file = ends[0];
    t->token_end = ends[1];
    return put_token(t) ? 0 : -EIO;
}

static int
open_kind(struct pf_turn *t, const char *lock_file)
{
    switch (t->kind) {
    case PF_TURN_FLOCK: return open_file(t, lock_file);
    case PF_TURN_SEMAPHORE: return open_mutex(t);
    case PF_TURN_PIPE: return open_pipe(t);
    case PF_TURN_NONE: break;
    }
    return 0;
}

int
pf_turn_open(struct pf_turn *t, enum pf_turn_kind kind, const char *lock_file,
             struct pf_error *error)
{
    int r;

    *t = (struct pf_turn){.kind = kind, .bell = -1, .file = -1, .token_end = -1};
    if (kind == PF_TURN_NONE)
        return 0;
    r = open_kind(t, lock_file);
    if (r < 0 && kind == PF_TURN_FLOCK && lock_file)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r,
                            "lock_file %s: %s; is the directory there and writable?",
                            lock_file, strerror(-r));
    if (r == 0) {
        t->bell = pf_wake_open();
        r = t->bell < 0 ? t->bell : 0;
    }
    if (r < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r, "cannot set up serialize: %s",
                            strerror(-r));
    return 0;
}

void
pf_turn_close(struct pf_turn *t)
{
    if (t->memory)
        (void)munmap(t->memory, sizeof *t->memory);
    t->memory = NULL;
    if (t->kind == PF_TURN_NONE)
        return;
    pf_fd_close(&t->bell);
    pf_fd_close(&t->file);
    pf_fd_close(&t->token_end);
}

static bool
lock_file_as(struct pf_turn *t, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

    return fcntl(t->file, F_SETLK, &lock) == 0;
}

/* The last owner died with it: the kernel says so, and gives it to us. */
static bool
lock_mutex(pthread_mutex_t *mutex)
{
    int r = pthread_mutex_trylock(mutex);

    return r == 0 || (r == EOWNERDEAD && pthread_mutex_consistent(mutex) == 0);
}

static bool
take_token(struct pf_turn *t)
{
    char token;

    if (read(t->file, &token, 1) != 1)
        return false;
    atomic_store(&t->memory->holder, getpid());
    return true;
}

static bool
has_token(const struct pf_turn *t)
{
    int bytes = 0;

    return ioctl(t->file, FIONREAD, &bytes) == 0 && bytes > 0;
}

static void
give_token(struct pf_turn *t)
{
    atomic_store(&t->memory->holder, 0);
    if (!has_token(t))
        (void)put_token(t); /* an empty pipe has room */
}

bool
pf_turn_take(struct pf_turn *t)
{
    switch (t->kind) {
    case PF_TURN_FLOCK: return lock_file_as(t, F_WRLCK);
    case PF_TURN_SEMAPHORE: return lock_mutex(&t->memory->mutex);
    case PF_TURN_PIPE: return take_token(t);
    case PF_TURN_NONE: break;
    }
    return true;
}

void
pf_turn_give(struct pf_turn *t)
{
    switch (t->kind) {
    case PF_TURN_FLOCK: (void)lock_file_as(t, F_UNLCK); break; /* it is ours */
    case PF_TURN_SEMAPHORE: (void)pthread_mutex_unlock(&t->memory->mutex); break;
    case PF_TURN_PIPE: give_token(t); break;
    case PF_TURN_NONE: return;
    }
    pf_wake_ring(t->bell);
}

void
pf_turn_mend(struct pf_turn *t, pid_t dead)
{
    pid_t holder;

    if (t->kind == PF_TURN_NONE)
        return;
    if (t->kind == PF_TURN_PIPE) {
        holder = atomic_load(&t->memory->holder);
        if ((holder == dead || holder == 0) && !has_token(t)) {
            atomic_store(&t->memory->holder, 0);
            (void)put_token(t); /* an empty pipe has room */
        }
    }
    pf_wake_ring(t->bell);
}
