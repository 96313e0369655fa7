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
 *                             &(struct prefork_app){.name = "hello", .process_request =
 * hello});
 *     }
 *
 * How to read the contracts. Every call and every hook says in which process it runs: the
 * master, which starts workers and never serves a client, or a worker, which serves one
 * connection at a time. Pointers are *borrowed* (stay the caller's, must live as long as
 * said), *taken* (become the library's) or *given* (become the caller's). Descriptors are
 * *consumed* or *not consumed*. Calls that can fail return 0 or a negative errno value.
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
struct prefork_worker; /* this worker */
struct prefork_conn;   /* one accepted connection */

/* How a server ends: what prefork_main() and prefork_run() return, and the exit status of
 * the command. The numbers are those of sysexits.h. */
enum prefork_exit {
    PREFORK_EXIT_OK = 0,           /* stopped as asked */
    PREFORK_EXIT_USAGE = 64,       /* the command line makes no sense */
    PREFORK_EXIT_UNAVAILABLE = 69, /* no worker became ready */
    PREFORK_EXIT_SOFTWARE = 70,    /* a bug of prefork */
    PREFORK_EXIT_SYSTEM = 71,      /* the system refused: port in use, no permission, ... */
    PREFORK_EXIT_CONFIG = 78,      /* a setting, or what it names, is wrong */
};

/* Levels of log lines, as the setting log_level counts them. */
enum prefork_log_level {
    PREFORK_LOG_ERROR = 0,
    PREFORK_LOG_WARNING = 1,
    PREFORK_LOG_NOTICE = 2,
    PREFORK_LOG_INFO = 3,
    PREFORK_LOG_DEBUG = 4,
};

/* The end of a worker, as the master saw it. */
struct prefork_child {
    pid_t pid;
    unsigned slot;          /* 0 and up; free again when the hook returns */
    int wait_status;        /* as in waitpid(2) */
    unsigned long requests; /* connections it said it accepted */
    double age;             /* seconds it lived */
    bool ready;             /* it had become ready */
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
    /* Sockets are bound; still the original user. */
    int (*post_bind_hook)(struct prefork *p, void *data);
    /* Last call before the loop. What is opened here is shared by all workers. */
    int (*pre_loop_hook)(void *data);

    /* --- supervision, in the master --- */

    /* n workers are about to be started. */
    void (*run_n_children_hook)(unsigned n, void *data);
    /* Before each fork. */
    void (*pre_fork_hook)(void *data);
    /* After each fork: worker pid lives. */
    void (*register_child)(pid_t pid, void *data);
    /* Each time the master was awake, before it sleeps again. */
    void (*idle_loop_hook)(void *data);
    /* A worker ended and was reaped; called once for each, whatever ended it. child is
     * borrowed for the call. */
    void (*cleanup_dead_child_hook)(const struct prefork_child *child, void *data);

    /* --- a worker's life, in the worker --- */

    /* First: connect to the database, seed, warm up. The worker counts as ready when it
     * returns 0; otherwise the worker ends and births are slowed down. */
    int (*child_init_hook)(struct prefork_worker *w, void *data);
    /* Last, before the worker exits: asked to leave, max_requests, or SIGTERM, SIGINT,
     * SIGQUIT. A signal that arrives inside process_request or main_loop runs this hook
     * in its handler: only what signal-safety(7) allows is safe there. Not called when
     * the worker crashes, is killed or calls exit(). */
    void (*child_finish_hook)(struct prefork_worker *w, void *data);

    /* --- one connection, in the worker --- */

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
    /* False: deny. */
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
     * after prefork_stopping() becomes true. The pool needs no port then. */
    void (*main_loop)(struct prefork_worker *w, void *data);

    /* --- end, in the master --- */

    /* A stop was asked for; nothing is closed yet. reason: "TERM", "QUIT", "INT". */
    void (*before_shutdown)(const char *reason, void *data);
    /* Listeners are about to close. */
    void (*pre_server_close_hook)(void *data);
    /* All workers are gone. */
    void (*post_child_cleanup_hook)(void *data);
};

/* ---- the whole daemon in one call ---------------------------------------------------- */

int prefork_main_sized(int argc, char **argv, const struct prefork_app *app, size_t size);

/* Read the command line (every setting is a flag; --help lists them) and the config file,
 * run until stopped. Errors go to standard error in one line. Returns an enum
 * prefork_exit in the master and never returns in a worker. app is borrowed. */
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
 * 0, -ENOENT (no such key), -EINVAL or -ERANGE (value), -EBUSY (already running);
 * prefork_error() has the sentence. key and value are copied. */
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

/* Print the help text of all settings. */
void prefork_help(FILE *to);

/* Run until stopped by a signal. Returns an enum prefork_exit in the master (with
 * prefork_error() set if it could not start), never in a worker. */
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
 * raised). Interruptions are retried. */
int prefork_write(struct prefork_conn *c, const void *bytes, size_t size);

/* Formatted as by printf(3); 0 or a negative errno. */
int prefork_printf(struct prefork_conn *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int prefork_vprintf(struct prefork_conn *c, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The connected socket, blocking and close-on-exec. Not consumed: do not close it. With
 * protocol ssl what travels on it is encrypted: use it for poll(2) and setsockopt(2), and
 * never read from it or write to it. */
int prefork_fd(const struct prefork_conn *c);

/* Addresses as text, borrowed until the connection ends: "192.0.2.1:49152",
 * "[2001:db8::1]:49152"; for unix sockets the path of the listener ("" if it has none).
 * An IPv4 client of a dual-stack socket is shown as IPv4. */
const char *prefork_peer_text(struct prefork_conn *c);
const char *prefork_local_text(struct prefork_conn *c);

/* The numeric address without port, "" for unix sockets. Borrowed as above. */
const char *prefork_peer_address(struct prefork_conn *c);
const char *prefork_local_address(struct prefork_conn *c);

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

/* ---- a worker, in the worker ----------------------------------------------------------
 */

/* Connections this worker accepted so far, the current one included. */
unsigned long prefork_requests(const struct prefork_worker *w);

/* True as soon as the master asked this worker to leave, or is gone. One system call. */
bool prefork_stopping(struct prefork_worker *w);

/* Sleep until descriptor fd (or -1: none) is readable, the worker should leave, or
 * seconds are over (negative: no limit). 1: fd is readable, 0: time is over,
 * -ECANCELED: leave now. Meant for main_loop. */
int prefork_wait(struct prefork_worker *w, int fd, double seconds);

/* For main_loop: this worker has work / has none. A pool of main loops grows when too few
 * of its workers are idle. Connections are counted by the library itself. */
void prefork_busy(struct prefork_worker *w);
void prefork_idle(struct prefork_worker *w);

/* What ps(1) shows after the name, instead of "worker idle" and so on; NULL gives it back
 * to the library. */
void prefork_set_label(struct prefork_worker *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- anywhere -------------------------------------------------------------------------
 */

/* One line in the server's log. Never blocks, never fails: what cannot be written at once
 * is dropped and counted. */
void prefork_log(enum prefork_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

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
