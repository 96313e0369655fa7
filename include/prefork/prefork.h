/* prefork.h: network services as a pool of processes.
 *
 * The smallest server:
 *
 *     #include <prefork/prefork.h>
 *
 *     static void hello(struct prefork_conn *c, void *app)
 *     {
 *         prefork_printf(c, "Hello, %s\r\n", prefork_peer_text(c));
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         return prefork_main(argc, argv,
 *                             &(struct prefork_app){.name = "hello",
 *                                                   .process_request = hello});
 *     }
 *
 * How to read the contracts. Every call and every hook says in which process it runs: the
 * master, which starts workers and never serves a client, or a worker, which serves one
 * connection at a time. Pointers are *borrowed* (stay the caller's, must live as long as
 * said), *taken* (become the library's) or *given* (become the caller's). Descriptors are
 * *consumed* or *not consumed*. Calls that can fail return 0 or a negative errno value.
 *
 * A *connection* may also be one datagram (the protocols udp and unixdgram): every hook is
 * called for it as for others, and its whole input is there from the start.
 *
 * The library starts no thread. Between prefork_run() and its return the process must
 * not be multi-threaded: it forks (fork(2), signal-safety(7)).
 *
 * prefork(1) has the command and the exit codes, prefork.conf(5) all settings,
 * libprefork(3) a tutorial. */
#ifndef PREFORK_PREFORK_H
#define PREFORK_PREFORK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define PREFORK_VERSION "0.1.0"

/* Changes when a program or a shared object built before can no longer be run. */
#define PREFORK_ABI 0

struct prefork;        /* a server: its settings, and while it runs its pool */
struct prefork_worker; /* this worker, or this dequeue process */
struct prefork_conn;   /* one accepted connection */

/* How a server ends: what prefork_main() and prefork_run() return, and the exit status of
 * the command. The numbers are those of sysexits.h. */
enum prefork_exit {
    PREFORK_EXIT_OK = 0,           /* stopped as asked */
    PREFORK_EXIT_USAGE = 64,       /* the command line makes no sense */
    PREFORK_EXIT_UNAVAILABLE = 69, /* no worker became ready */
    PREFORK_EXIT_SOFTWARE = 70,    /* a bug of prefork */
    PREFORK_EXIT_SYSTEM = 71,      /* the system refused: port in use, no permission, ... */
    PREFORK_EXIT_TEMPFAIL = 75, /* prefork reload: failed, the server goes on as before */
    PREFORK_EXIT_CONFIG = 78,   /* a setting, or what it names, is wrong */
};

/* Levels of log lines, as the setting log_level counts them. */
enum prefork_log_level {
    PREFORK_LOG_ERROR = 0,
    PREFORK_LOG_WARNING = 1,
    PREFORK_LOG_NOTICE = 2,
    PREFORK_LOG_INFO = 3,
    PREFORK_LOG_DEBUG = 4,
};

/* What a process was forked for. */
enum prefork_kind {
    PREFORK_KIND_WORKER = 0,  /* one of the pool */
    PREFORK_KIND_DEQUEUE = 1, /* runs the function dequeue once; no part of the pool */
};

/* The end of a worker, as the master saw it. */
struct prefork_child {
    pid_t pid;
    enum prefork_kind kind;
    unsigned slot;          /* 0 and up; free again when the hook returns */
    int wait_status;        /* as in waitpid(2) */
    unsigned long requests; /* connections it said it accepted */
    double age;             /* seconds it lived */
    bool ready;             /* it had become ready */
};

/* A client that has gone while a worker was serving it. Texts are as those of a
 * struct prefork_conn. */
struct prefork_disconnect {
    pid_t pid;                /* of the worker */
    unsigned slot;            /* as in struct prefork_child */
    const char *proto;        /* "tcp", "ssl", "unix" */
    const char *local_host;   /* "127.0.0.1", or the path of a unix socket; "": not known */
    unsigned local_port;      /* 0 for unix */
    const char *foreign_host; /* "" for unix */
    unsigned foreign_port;
};

/* What the program is. Fill in what you need; the rest stays zero. Every hook gets `data`
 * as its last argument. Members come in the order in which they run.
 *
 * Hooks of the master must not block: while one runs, no worker is started or reaped.
 * A hook that returns int refuses to go on by returning anything but 0. */
struct prefork_app {
    const char *name; /* borrowed; default: the program's base name */
    void *data;       /* borrowed; handed to every hook */

    /* --- start, in the master. A refusal ends prefork_run() with PREFORK_EXIT_CONFIG. ---
     */

    /* Before settings are parsed: prefork_set() here gives the program's own defaults,
     * which file and command line override. */
    int (*configure_hook)(struct prefork *p, void *data);
    /* The password of an encrypted key that SSL_key_file or SSL_sni names, where
     * SSL_passwd_file is not set: write it into buffer and return its length, or -1 to
     * give up. Called while settings are checked, for each such key. */
    int (*SSL_passwd_cb)(char *buffer, size_t size, const char *key_file, void *data);
    /* Settings are parsed and checked; nothing is bound, privileges are still there. */
    int (*post_configure_hook)(struct prefork *p, void *data);
    /* After going to the background and writing the pid file, before sockets are bound. */
    int (*after_init)(void *data);
    /* Sockets are bound; still the original user, and outside of chroot. */
    int (*post_bind_hook)(struct prefork *p, void *data);
    /* Last call before the loop: as the user that workers run as, inside of chroot. What is
     * opened here is shared by all workers. */
    int (*pre_loop_hook)(void *data);

    /* --- supervision, in the master --- */

    /* n workers are about to be started. */
    void (*run_n_children_hook)(unsigned n, void *data);
    /* Before each fork. */
    void (*pre_fork_hook)(enum prefork_kind kind, void *data);
    /* After each fork: pid lives. */
    void (*register_child)(pid_t pid, enum prefork_kind kind, void *data);
    /* Each time the master was awake, before it sleeps again. */
    void (*idle_loop_hook)(void *data);
    /* A worker ended and was reaped; called once for each, whatever ended it. child is
     * borrowed for the call. */
    void (*cleanup_dead_child_hook)(const struct prefork_child *child, void *data);
    /* Right after it: the master forgets pid, whose number may be used again. */
    void (*delete_child_hook)(pid_t pid, void *data);
    /* A child of the master's that the library did not start ended and was reaped.
     * Setting this hook hands the reaping of such children over to the library, which
     * otherwise leaves them alone: do not wait for them then, but within one hook. Where
     * programs are served, processes that they left behind are told too. */
    void (*other_child_died_hook)(pid_t pid, int wait_status, void *data);
    /* With auto_reload_check_every: this file of the server's changed. Called once for
     * each change, and nothing else is done; without the hook the server does as with
     * SIGHUP. path is borrowed for the call. */
    void (*auto_reload_handler)(const char *path, void *data);
    /* Around a change of workers: close what the old ones share, and open it again for the
     * new ones, which inherit it. Not while the server stops. SIGUSR2: both run, in this
     * order, before the first old worker is asked to leave and the first new one is born.
     * A reload (SIGHUP): restart_close_hook runs in the old program, right before the
     * master executes the new one; restart_open_hook in the new one, after its listeners
     * were opened and before post_bind_hook. Nothing in memory is the same then, but what
     * the program left open without close-on-exec. On the way back from a trial it is the
     * other way round: restart_close_hook in the new program, restart_open_hook in the old
     * one. If the execve(2) is refused, restart_open_hook follows in the same program.
     * restart_open_hook also runs, alone, in a master that takes over after the last one
     * has died (settings keeper and fdstore). */
    void (*restart_close_hook)(void *data);
    void (*restart_open_hook)(void *data);

    /* Process pid said this line by prefork_tell_parent(). line is borrowed for the call.
     * True: enough for now; what else was said, by whomever, waits until the master was
     * awake once more. At most 16 lines of a process, 64 in all, are read before the
     * master looks at everything else again. */
    bool (*parent_read_hook)(pid_t pid, const char *line, void *data);
    /* With child_communication: something new came from worker pid on fd, the master's end
     * of its stream, non-blocking and not consumed. What the hook leaves unread it is
     * called for again in the next turn if it read some, and when more comes if it read
     * none. Not called at the end of the stream: fd is closed then, and when the worker
     * has ended. */
    void (*child_is_talking_hook)(pid_t pid, int fd, void *data);

    /* The client of a connection that a worker is serving has gone: once per connection,
     * usually within a millisecond, unless the setting on_client_disconnect is ignore.
     * With signal or kill there, what that does to the worker follows. gone is borrowed
     * for the call. A client that has only finished sending counts as gone unless
     * half_close is ignore; what the server itself shuts down does not count. Not called
     * when the worker is done with the connection by the time the master looks. Where a
     * program accepts by itself, the kernel is asked every check_for_disconnect, and pid
     * is the worker whose process group has the connection. */
    void (*on_client_disconnect)(const struct prefork_disconnect *gone, void *data);

    /* --- a worker's life, in the worker --- */

    /* First: connect to the database, seed, warm up. The worker counts as ready when it
     * returns 0; otherwise the worker ends and births are slowed down. Where a program is
     * started for each connection, this is also where signal handlers are installed: one
     * that comes later could run in the program's process just before its exec, on the
     * worker's memory (vfork(2)). */
    int (*child_init_hook)(struct prefork_worker *w, void *data);
    /* Last, before the worker exits: asked to leave, max_requests, or SIGTERM, SIGINT,
     * SIGQUIT. A signal that arrives inside process_request or main_loop runs this hook
     * in its handler: only what signal-safety(7) allows is safe there. Not called when
     * the worker crashes, is killed or calls exit(). */
    void (*child_finish_hook)(struct prefork_worker *w, void *data);

    /* --- one connection, in the worker --- */

    /* Before each wait for a connection, also after a wait that came to nothing. */
    void (*pre_accept_hook)(struct prefork_worker *w, void *data);
    /* Several listeners: this one has a connection. True: leave it to somebody else. */
    bool (*can_read_hook)(struct prefork_worker *w, int listener_fd, void *data);
    /* Protocol ssl with SSL_verify_mode: a certificate of the client's chain was looked
     * at, the issuer's first and the client's own (depth 0) last. good: nothing is wrong
     * with it; otherwise reason has the words. subject is as in RFC 2253. What it returns
     * decides: true accepts. Not called for a client that takes up an earlier session. */
    bool (*SSL_verify_callback)(struct prefork_conn *c, bool good, int depth,
                                const char *subject, const char *reason, void *data);
    /* Protocol ssl: the handshake failed, and the connection will be closed. Of the hooks
     * below only post_client_connection_hook follows. c still knows its addresses; nothing
     * can be read from it or written to it. */
    void (*SSL_error_callback)(struct prefork_conn *c, const char *reason, void *data);
    /* Accepted, with the TLS handshake done if there is one; c knows its addresses. */
    void (*post_accept_hook)(struct prefork_conn *c, void *data);
    /* The settings (allow, deny, ...) let it in. False: deny. */
    bool (*allow_deny_hook)(struct prefork_conn *c, void *data);
    /* The service. The connection is closed after it and the hooks below returned. */
    void (*process_request)(struct prefork_conn *c, void *data);
    /* Instead of process_request for a denied connection. */
    void (*request_denied_hook)(struct prefork_conn *c, void *data);
    /* After either; the connection is still open. */
    void (*post_process_request_hook)(struct prefork_conn *c, bool allowed, void *data);
    /* The connection is closed. */
    void (*post_client_connection_hook)(struct prefork_worker *w, void *data);

    /* --- instead of connections: a loop of the program's own, in the worker --- */

    /* Runs once; when it returns the worker ends and another is started. Should end soon
     * after prefork_stopping() becomes true. The pool needs no port then. Without workers
     * (min_servers 0) it runs in the master, and its return ends the server. */
    void (*main_loop)(struct prefork_worker *w, void *data);

    /* --- work that can wait, in a process of its own --- */

    /* With check_for_dequeue set: runs once in each dequeue process, between
     * child_init_hook and child_finish_hook; when it returns the process ends. At most one
     * is started per check_for_dequeue, and max_dequeue run at once. Such a process is
     * none of the pool: no limit of the pool counts it, and no time limit ends it. Should
     * end soon after prefork_stopping() becomes true. Not with a
     * program that accepts by itself. */
    void (*dequeue)(struct prefork_worker *w, void *data);

    /* --- end, in the master --- */

    /* A stop was asked for; nothing is closed yet. reason: "TERM", "QUIT", "INT", or what
     * was given to prefork_stop(). Without workers (min_servers 0): where the work looks
     * whether it should end, or, if it does not in time, in a signal handler. */
    void (*before_shutdown)(const char *reason, void *data);
    /* Listeners are about to close. */
    void (*pre_server_close_hook)(void *data);
    /* All workers are gone. */
    void (*post_child_cleanup_hook)(void *data);

    /* --- messages, from the first that the server has to say on --- */

    /* Instead of writing a line, in the process that logs, master or worker: text
     * (borrowed for the call) is the message alone, with control characters as \xNN, of a
     * level that log_level lets pass. It must not block in the master, and must not log:
     * what it logs is dropped. In a worker's signal handlers (child_finish_hook) it may do
     * what signal-safety(7) allows. log_file is opened all the same, and is where standard
     * error of a daemon goes. */
    void (*write_to_log_hook)(enum prefork_log_level level, const char *text, void *data);
    /* In the process that called prefork_run(), or the daemon that became of it: the server
     * cannot start, or ends by an error. Called once, before text (borrowed for the call)
     * is logged or printed and prefork_run() returns. It may log. */
    void (*fatal_hook)(const char *text, void *data);
};

/* ---- the whole daemon in one call ---------------------------------------------------- */

int prefork_main_sized(int argc, char **argv, const struct prefork_app *app, size_t size);

/* Read the command line (every setting is a flag; --help lists them) and the config file,
 * run until stopped. Errors go to standard error in one line. Returns an enum
 * prefork_exit in the master and never returns in a worker. app is borrowed.
 *
 * A reload executes the program again: see prefork_run(). */
static inline int
prefork_main(int argc, char **argv, const struct prefork_app *app)
{
    return prefork_main_sized(argc, argv, app, sizeof *app);
}

/* ---- the same in steps, in the process that becomes the master ------------------------
 */

struct prefork *prefork_new_sized(const struct prefork_app *app, size_t size);

/* A server for this app (copied; what it points to is borrowed until prefork_free()).
 * NULL: out of memory. */
static inline struct prefork *
prefork_new(const struct prefork_app *app)
{
    return prefork_new_sized(app, sizeof *app);
}

/* Set one value by its key, as in the config file; a list key collects. Values given here
 * stand above the config file and below the command line; from configure_hook below both.
 * 0, -ENOENT (no such key), -EINVAL or -ERANGE (value), for which prefork_error() has the
 * sentence; or, without one, -EBUSY (already running). key and value are copied. */
int prefork_set(struct prefork *p, const char *key, const char *value);

/* What prefork_args() met besides settings. */
enum prefork_args {
    PREFORK_ARGS_HELP = 1,
    PREFORK_ARGS_VERSION = 2,
};

/* Read settings from argv[1..]: --key value, --key=value, --flag, --no-flag. Stops at "--"
 * or the first word that is not an option; *ret_used (may be NULL) is how many elements
 * were read, argv[0] and "--" included. 0, an enum prefork_args, or as prefork_set(). */
int prefork_args(struct prefork *p, int argc, char **argv, int *ret_used);

/* Serve with a program instead of the app's functions: argv[0] is its path or a name to be
 * found in PATH, argv is borrowed until prefork_free() and ended by NULL. The setting
 * `handler` says whether it is a program to start for each connection (nowait), a program
 * that accepts by itself (wait), or a shared object with PREFORK_MODULE (so). */
void prefork_set_program(struct prefork *p, char *const *argv);

/* Read a config file now (prefork_run() reads the one named by conf_file by itself).
 * 0 or a negative errno. */
int prefork_load(struct prefork *p, const char *path);

/* Everything prefork_run() checks before it starts anything: settings as a whole, users,
 * the program (if there is one). 0 or a negative errno; nothing is bound or started. */
int prefork_check(struct prefork *p);

/* Print the effective settings with their origins, as a config file (after
 * prefork_check(): with adapted defaults). */
void prefork_print(const struct prefork *p, FILE *to);

/* The value of a setting as text: what was set, or its default; of a list the last entry.
 * NULL: it is not set, or there is no such key. Borrowed until the setting changes. */
const char *prefork_get(const struct prefork *p, const char *key);

/* Print the help text of all settings. */
void prefork_help(FILE *to);

/* Run until stopped by a signal. Returns an enum prefork_exit in the master (with
 * prefork_error() set if it could not start), never in a worker.
 *
 * A reload (SIGHUP) executes the program again, from the beginning of main(), with the
 * arguments, environment and directory of the start: first in a child, as a check, and then
 * in the master's own process. So
 *   - what main() does before this call is done again, while the server runs: it must not
 *     remove, lock, bind, start or count what there can only be once. The place for that
 *     is after_init, which no check runs;
 *   - a check ends with the settings: configure_hook, SSL_passwd_cb and post_configure_hook
 *     are called, sockets that are new are bound and closed again, the master is told what
 *     was found, and the process ends: this call does not return, no fatal_hook is called;
 *   - the new master runs all hooks of a start. Memory is new: of app.data and globals of
 *     the old one nothing is left;
 *   - the old program gets neither before_shutdown nor pre_server_close_hook, and this call
 *     does not return in it. Processes that it started stay children of the master, its
 *     threads end;
 *   - descriptors without close-on-exec are inherited each time, also by the check: open
 *     with O_CLOEXEC. */
int prefork_run(struct prefork *p);

/* The sentence that belongs to the last failure, "" if there was none. Borrowed, valid
 * until the next call on p. */
const char *prefork_error(const struct prefork *p);

/* The exit code that belongs to the last failure; PREFORK_EXIT_OK if there was none. */
int prefork_exit_code(const struct prefork *p);

/* The address a listener is bound to, as text ("127.0.0.1:8080"); NULL past the last.
 * From post_bind_hook on. Borrowed until prefork_free(). */
const char *prefork_listener_text(const struct prefork *p, unsigned index);

/* Release everything; NULL is fine. Not while prefork_run() runs. */
void prefork_free(struct prefork *p);

/* ---- a server that another process runs -----------------------------------------------
 */

/* What a pid file is about. */
enum prefork_pidfile {
    PREFORK_PIDFILE_RUNNING = 0, /* a server, which lives */
    PREFORK_PIDFILE_NONE = 1,    /* nobody: there is no file, or it is empty */
    PREFORK_PIDFILE_STALE = 2,   /* a process that is gone, or does not hold its lock */
    PREFORK_PIDFILE_FOREIGN = 3, /* it is not a pid file of prefork */
    PREFORK_PIDFILE_TAKEN = 4,   /* its lock is held by a process that it does not name */
};

/* The server that runs with this pid file: an enum prefork_pidfile, and for the first of
 * them its pid in *ret_pid (may be NULL); or a negative errno if that cannot be known, such
 * as -EACCES. text (size bytes; may be NULL) gets the sentence. The server is who holds the
 * lock of the file, and not who has the number in it. Nothing is signalled. */
int prefork_check_pidfile(const char *path, pid_t *ret_pid, char *text, size_t size);

/* Stop the server that runs with this pid file: SIGTERM, or SIGQUIT if graceful; SIGKILL if
 * it still lives after timeout seconds (negative: never). Returns when it is gone: 0; or as
 * prefork_check_pidfile() if there is none, -EPERM if it may not be signalled, -ETIMEDOUT
 * if not even SIGKILL ended it. Only the process that holds the lock of the file is
 * signalled. A file that a killed server left is removed. */
int prefork_kill_running(const char *path, bool graceful, double timeout, char *text,
                         size_t size);

/* How a server took what it was asked for, if not well. */
enum prefork_asked {
    PREFORK_ASKED_FAILED = 16,  /* it came to nothing, and what served before goes on */
    PREFORK_ASKED_REFUSED = 17, /* it was not done: the server is stopping, ... */
};

/* Ask the server that runs with this pid file for a reload, or to replace all its workers,
 * one at a time. With wait, returns when that is over, after timeout seconds at the
 * latest (negative: no limit); without, when the server has agreed, or was sent SIGHUP or
 * SIGUSR2 because it could not be asked. The sentence says how it went.
 *
 * 0: it is done, or agreed; as prefork_check_pidfile() if no server runs, or if it ended
 * meanwhile; an enum prefork_asked; -EPERM if this process is neither its user nor root;
 * -ETIMEDOUT: it does not answer, or is not done yet and goes on; -ECONNREFUSED: with wait,
 * it has no control socket in this network namespace; -EAGAIN: it has none yet;
 * -EPROTONOSUPPORT: another version. */
int prefork_reload_running(const char *path, bool wait, double timeout, char *text,
                           size_t size);
int prefork_restart_running(const char *path, bool wait, double timeout, char *text,
                            size_t size);

/* ---- a connection, in the worker, between accept and close ----------------------------
 */

/* Up to size bytes: their number, 0 at the end of the stream, or a negative errno.
 * Interruptions by signals are retried. With protocol ssl a stream that ends without the
 * client's farewell (close_notify) may have been cut on the way: -ECONNRESET; -EPROTO is
 * for what is not TLS. */
ssize_t prefork_read(struct prefork_conn *c, void *buffer, size_t size);

/* One line into buffer (size at least 2), terminated by '\0', its newline included if it
 * fitted: the length, 0 at the end of the stream, or a negative errno. A longer line
 * comes in pieces. Reads ahead: mix with prefork_read(), not with read(2). */
ssize_t prefork_gets(struct prefork_conn *c, char *buffer, size_t size);

/* All of size bytes, or a negative errno: -EPIPE when the client is gone (no SIGPIPE is
 * raised). Interruptions are retried.
 *
 * In answer to a datagram each call of this and the next two sends one datagram to its
 * sender, from the address that it was sent to. Then errors are those of send(2), such as
 * -EMSGSIZE (too long for one), -EAGAIN (the queue of a unix client is full; this call does
 * not wait for it), -ECONNREFUSED and -ENOENT (a unix client is gone), -EDESTADDRREQ (a
 * unix client without a name cannot be answered). */
int prefork_write(struct prefork_conn *c, const void *bytes, size_t size);

/* Formatted as by printf(3); 0 or a negative errno. */
int prefork_printf(struct prefork_conn *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int prefork_vprintf(struct prefork_conn *c, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The datagram that c is about, whole, whatever was read of it: *ret_size bytes, which may
 * be 0, and a null byte behind them. Borrowed until the hooks of c returned. NULL if c is
 * about a stream; then *ret_size is untouched. prefork_read() and prefork_gets() give the
 * same bytes and then the end. */
const void *prefork_datagram(const struct prefork_conn *c, size_t *ret_size);

/* How many bytes the datagram was longer than udp_recv_len; these are lost. 0: it is whole,
 * or c is about a stream. */
size_t prefork_datagram_cut(const struct prefork_conn *c);

/* The connected socket, blocking and close-on-exec; for a datagram the socket it came in
 * by, which is shared by all workers; reading from it is the library's affair. Not
 * consumed: do not close it. With protocol ssl what travels on it is encrypted: use it for
 * poll(2) and setsockopt(2), and never read from it or write to it. */
int prefork_fd(const struct prefork_conn *c);

/* Addresses as text, borrowed until the connection ends: "192.0.2.1:49152",
 * "[2001:db8::1]:49152"; for unix sockets the path of the listener ("" if it has none), and
 * for the peer of a unix datagram its own path ("" if it has none).
 * An IPv4 client of a dual-stack socket is shown as IPv4. */
const char *prefork_peer_text(struct prefork_conn *c);
const char *prefork_local_text(struct prefork_conn *c);

/* The numeric address without port, "" for unix sockets. Borrowed as above. */
const char *prefork_peer_address(struct prefork_conn *c);
const char *prefork_local_address(struct prefork_conn *c);

/* The client's name, if the settings reverse_lookups or double_reverse_lookups are on and
 * the name leads back to the client's address; "" otherwise. Looked up once, when it is
 * first needed, which may block for about lookup_timeout. Borrowed as above. */
const char *prefork_peer_name(struct prefork_conn *c);

/* Port in host byte order, 0 for unix sockets. */
unsigned prefork_peer_port(struct prefork_conn *c);
unsigned prefork_local_port(struct prefork_conn *c);

/* "tcp", "ssl", "udp", "unix" or "unixdgram"; static. */
const char *prefork_proto(const struct prefork_conn *c);

/* A connection with protocol ssl; for others the texts are "" and the answers false. Texts
 * are borrowed until the connection ends. */
const char *prefork_tls_version(struct prefork_conn *c); /* "TLSv1.3" */
const char *prefork_tls_cipher(struct prefork_conn *c);  /* "TLS_AES_256_GCM_SHA384" */

/* The host name that the client asked for (SNI), in lower case, "" if it named none. It is
 * the client's word: letters, digits, '-', '.', '_' and nothing else. */
const char *prefork_tls_server_name(struct prefork_conn *c);

/* The protocol chosen of those in SSL_alpn, "" if the client offered none. */
const char *prefork_tls_alpn(struct prefork_conn *c);

/* Of the certificate that the client showed, as in RFC 2253 ("CN=ann,O=example"); "" if it
 * showed none. To be believed only if it is verified. */
const char *prefork_tls_peer_subject(struct prefork_conn *c);

/* The client showed a certificate, and it is good. One that is not and that
 * SSL_verify_callback accepted is not verified. */
bool prefork_tls_peer_verified(struct prefork_conn *c);

/* The client took up an earlier session. */
bool prefork_tls_resumed(struct prefork_conn *c);

/* The worker that serves c. */
struct prefork_worker *prefork_conn_worker(struct prefork_conn *c);

/* ---- in the master, from its hooks ----------------------------------------------------
 */

/* With child_communication: the master's end of the stream between it and worker pid, from
 * register_child until it has ended. Non-blocking and close-on-exec; not consumed.
 * -1: no such worker, or its stream has ended. In a worker: always -1. */
int prefork_child_fd(pid_t pid);

/* ---- a worker, in the worker ----------------------------------------------------------
 */

/* Connections this worker accepted and datagrams it received so far, the current one
 * included. */
unsigned long prefork_requests(const struct prefork_worker *w);

/* What this process is: the hooks that run in both kinds can tell them apart by it. */
enum prefork_kind prefork_kind(const struct prefork_worker *w);

/* True as soon as the master asked this worker to leave, or is gone. One system call. */
bool prefork_stopping(struct prefork_worker *w);

/* Sleep until descriptor fd (or -1: none) is readable, the worker should leave, or
 * seconds are over (negative: no limit). 1: fd is readable, 0: time is over,
 * -ECANCELED: leave now. Meant for main_loop. */
int prefork_wait(struct prefork_worker *w, int fd, double seconds);

/* For main_loop: this worker has work / has none, as prefork_update_scoreboard() with 'W'
 * and '_'. A pool of main loops grows when too few of its workers are idle. Connections are
 * counted by the library itself. */
void prefork_busy(struct prefork_worker *w);
void prefork_idle(struct prefork_worker *w);

/* What this worker does, as a letter on the scoreboard: '_' (or '.') idle, 'R' reading a
 * request, 'W' writing the answer; any other printable character but 'S', 'L', 'D' and '?'
 * is a word of your own for busy. The library sets '_', 'R' and 'W' for connections; a
 * main_loop sets its own, which is also what the pool grows and shrinks by. A request
 * begins, and is counted, when the state leaves '_', and when it becomes 'R' after
 * something else. 0; -EINVAL (not printable, or one of the four); -EBUSY (in
 * child_init_hook and in a dequeue process, or '_' during a connection: the library says
 * when these are over). No system call. */
int prefork_update_scoreboard(struct prefork_worker *w, char state);

/* Leave after the present connection, as if asked. In a main_loop or dequeue
 * prefork_stopping() is true from here on. Safe in a signal handler. */
void prefork_done(struct prefork_worker *w);

/* One line, without a newline and of at most 1000 bytes, to parent_read_hook in the master.
 * 0, -EINVAL (it has a newline), -EMSGSIZE (too long), -EAGAIN (the master has not read
 * what was said before; never waited for), -EPIPE (it is gone). What a process said before
 * its end is read. Without the hook it is dropped. Safe in a signal handler. */
int prefork_tell_parent(struct prefork_worker *w, const char *line);

/* With child_communication: this worker's end of the stream between it and the master.
 * Blocking and close-on-exec; not consumed. -1: there is none, as in a dequeue process. */
int prefork_parent_fd(const struct prefork_worker *w);

/* What ps(1) shows after the name, instead of "worker idle" and so on; NULL gives it back
 * to the library. With NULL for w it is about this process, whatever it is: so also the
 * master has a label of its own, from after_init on. */
void prefork_set_label(struct prefork_worker *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- anywhere -------------------------------------------------------------------------
 */

/* True in the process that runs prefork_run() as the master, and in one that is master and
 * worker at once (min_servers 0); from after_init on. False in workers, in dequeue
 * processes and in whatever the program forks by itself. */
bool prefork_is_parent(void);

/* Ask the server to stop, as SIGTERM does. reason (NULL: none) is logged and given to
 * before_shutdown; copied, and cut after 255 bytes in the master and 1000 in a worker. In
 * the master: from after_init on. In a worker or dequeue process: the master is asked to,
 * and this process goes on until it is asked to leave; with no_close_by_child it is the
 * only one that leaves, as by prefork_done(). While the server stops already: nothing.
 * Returns at once. Safe in a signal handler. */
void prefork_stop(const char *reason);

/* One line in the server's log. Never blocks, never fails: what cannot be written at once
 * is dropped and counted. Not from write_to_log_hook. */
void prefork_log(enum prefork_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One line in the access log, access_log_path: what format says, with control characters as
 * \xNN and a newline behind it, and nothing before it; cut after 4094 bytes. Written by one
 * write(2), so lines of many processes do not mix, and never waited for. In a worker: from
 * child_init_hook on; called for a connection before it is closed, it stands instead of the
 * line that the library would write. In the master: from after_init on.
 *
 * 0, -EBADF (access_log_path is not set, or not open yet), or why the line is lost: -ENOSPC
 * (the disk is full), -EDQUOT, -EFBIG, -EIO, -EAGAIN (a FIFO is full). What is lost is told
 * in the log, once for all processes. errno stays as it was. Not safe in a signal handler.
 */
int prefork_access_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- what a server does, for any process, also of other programs ----------------------
 */

/* One process of a server, from its line on the scoreboard. Times are seconds since the
 * epoch, 0: never. Texts are what the process wrote, any bytes. The connection is the
 * present one or the last.
 *
 * States are those of prefork_update_scoreboard(), and 'S' starting, 'L' leaving, 'D' a
 * dequeue process, '?' unknown. */
struct prefork_score {
    unsigned slot; /* its place on the scoreboard, 0 and up */
    pid_t pid;     /* 0: it is just being born */
    char state;
    bool whole;     /* false: it was being written, and may be of two moments */
    double started; /* the process */
    double request_started;
    double updated;
    unsigned long long requests; /* the present one included */
    char proto[16];              /* as prefork_proto(); "": there was no connection yet */
    char peer[80];               /* as prefork_peer_text(); "": a unix socket, or unknown */
    char local[80];              /* the same of this end, if it had to be known */
    char label[88];              /* of prefork_set_label(); "": none */
};

/* A server, from its scoreboard (the setting scoreboard_path). Idle are the states '_' and
 * '.'; 'S', 'L', 'D' and '?' are neither idle nor busy, and all others are busy. */
struct prefork_scoreboard {
    bool alive;                  /* it runs; false: this is how it was when it ended */
    bool stopping;               /* a stop was asked for */
    pid_t pid;                   /* of its master */
    char name[64];               /* of the server */
    double started;              /* the server; times as above */
    double updated;              /* whatever was written last */
    unsigned long long births;   /* of workers and dequeue processes, so far */
    unsigned long long requests; /* of workers that are gone and of those present */
    unsigned num_children;       /* how many there are in workers */
    unsigned num_busy;
    unsigned num_idle;
    struct prefork_score *workers; /* by slot */
};

/* Read the scoreboard in the file at path. Needs no server in this process: it works in any
 * process that may read the file, hooks included, and disturbs nobody. 0 and the result in
 * *ret_scoreboard (given; prefork_free_scoreboard()); or a negative errno, with the
 * sentence in error (size bytes; may be NULL) and *ret_scoreboard untouched: of the system,
 * such as -ENOENT or -EACCES; -EINVAL (not a scoreboard), -ENODATA (it ends too early),
 * -EPROTONOSUPPORT (another version or byte order), -ENOMEM. */
int prefork_read_scoreboard(const char *path, struct prefork_scoreboard **ret_scoreboard,
                            char *error, size_t size);

/* Release it; NULL is fine. */
void prefork_free_scoreboard(struct prefork_scoreboard *scoreboard);

/* ---- a shared object for `prefork serve` ----------------------------------------------
 */

struct prefork_module {
    int abi;                       /* PREFORK_ABI */
    size_t app_size;               /* sizeof(struct prefork_app) */
    const struct prefork_app *app; /* borrowed for the life of the process */
};

/* Put this once, at file scope: PREFORK_MODULE(my_app); */
#define PREFORK_MODULE(app_object)                                                         \
    extern const struct prefork_module prefork_module                                      \
        __attribute__((visibility("default")));                                            \
    const struct prefork_module prefork_module = {PREFORK_ABI, sizeof(struct prefork_app), \
                                                  &(app_object)}

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
