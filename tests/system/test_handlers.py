"""The four handler shapes: shared objects, programs, programs that accept, loops.

Programs are ordinary ones: `env`, `cat`, small scripts, and programs/acceptor.c, which knows
nothing of us. What they find (descriptors, environment, signals) is compared with what
programs for inetd, tcpserver and socket activation expect.
"""

import os
import re
import signal
import socket
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from support import (EXAMPLES, Log, converse, flags, is_alive, proc_status, read_line, title_of,
                     wait_until)

ONE = {"sizing": "static", "max_servers": 1}
CONFIG = 78


def refusal(server, program, *words, **settings):
    """The one line of a start that is refused with 78."""
    done = server.prefork("serve", *flags(*words, port="127.0.0.1:0", log_level=1, **settings),
                          "--", program, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == CONFIG, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# ---- shared objects ------------------------------------------------------------------------


@pytest.mark.shows("command:net-server")
def test_a_shared_object(server):
    """Serves, under the name that its app has."""
    s = server.serve(EXAMPLES / "hello.so", **ONE)
    assert re.fullmatch(rb"Hello, 127\.0\.0\.1:\d+\r\n", s.ask())
    assert title_of(s.pid) == "hello: master"


def test_a_shared_object_by_another_name(server, tmp_path):
    """handler so: the name does not have to end in .so, nor have a slash."""
    (tmp_path / "module").symlink_to(EXAMPLES / "hello.so")
    s = server.serve("module", **ONE, handler="so", cwd=tmp_path)
    assert s.ask().startswith(b"Hello, ")


def test_configure_hook_of_a_shared_object(server):
    """Its defaults count, below the command line."""
    source = """#include <prefork/prefork.h>
        static int conf(struct prefork *p, void *d) { (void)d;
            return prefork_set(p, "max_servers", "1") < 0 || prefork_set(p, "sizing", "static"); }
        static void serve(struct prefork_conn *c, void *d) { (void)d; prefork_printf(c, "x"); }
        static const struct prefork_app app = {.configure_hook = conf, .process_request = serve};
        PREFORK_MODULE(app);"""
    s = server.serve(server.build(source, shared=True))
    assert s.wait_log("starting: 1 to 1 workers")
    assert s.ask() == b"x"


@pytest.mark.parametrize("source, sentence", [
    ("int nothing;", "no symbol prefork_module: put PREFORK_MODULE(app) into its source"),
    ("""#include <prefork/prefork.h>
        static const struct prefork_app app;
        __attribute__((visibility("default"))) const struct prefork_module prefork_module
            = {4711, sizeof app, &app};""", "built for ABI 4711 of prefork"),
    ("""#include <prefork/prefork.h>
        __attribute__((visibility("default"))) const struct prefork_module prefork_module
            = {PREFORK_ABI, 8, 0};""", "prefork_module names no app"),
    ("void missing_function(void); void f(void) { missing_function(); }", "missing_function"),
    ("""#include <prefork/prefork.h>
        static const struct prefork_app app = {.name = "idle"};
        PREFORK_MODULE(app);""", "nothing to run"),
])
def test_a_wrong_shared_object(server, source, sentence):
    """Each kind of wrong has its sentence."""
    assert sentence in refusal(server, server.build(source, shared=True))


def test_a_missing_shared_object(server, tmp_path):
    """Named with its path."""
    line = refusal(server, tmp_path / "missing.so")
    assert f"{tmp_path}/missing.so: No such file or directory" in line


def test_a_file_that_is_no_shared_object(server, tmp_path):
    """The loader's own words."""
    (tmp_path / "text.so").write_text("this is text, and long enough to be looked at\n" * 9)
    assert "text.so" in refusal(server, tmp_path / "text.so")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_shared_object(server, tmp_path):
    """Permission denied, with its path."""
    path = tmp_path / "closed.so"
    path.write_bytes((EXAMPLES / "hello.so").read_bytes())
    path.chmod(0)
    assert f"{path}: Permission denied" in refusal(server, path)


# ---- a program for each connection ---------------------------------------------------------


def test_a_program_gets_the_connection_as_input_and_output(server):
    """cat is an echo service."""
    s = server.serve("cat", **ONE)
    assert s.ask(b"one\ntwo\n") == b"one\ntwo\n"
    assert s.ask(b"x" * 300000) == b"x" * 300000


@pytest.mark.shows("command:net-server")
def test_a_program_per_connection(server):
    """Each has its own process, below the worker."""
    s = server.serve(server.script("echo $$ $PPID"), **ONE)
    first, second = s.ask().split(), s.ask().split()
    assert first[0] != second[0]
    assert int(first[1]) == int(second[1]) == s.workers()[0]


def test_arguments_of_a_program(server):
    """After --, whatever they look like, and argv[0] as written."""
    s = server.serve(["sh", "-c", 'echo "$0|$*"', "--port", "--help", "a b", "--"], **ONE)
    assert s.ask() == b"--port|--help a b --\n"


def test_options_of_a_program_without_dashes(server):
    """The first word that is not an option is the program; the rest is the program's."""
    s = server.start("/bin/sh", "-c", 'exec "$@"', "sh", Path(os.environ.get("PREFORK_BUILD")
                     or EXAMPLES.parent).resolve() / "prefork", "serve",
                     tail=["sh", "-c", "echo $0", "--version"], **ONE)
    assert s.ask() == b"--version\n"


def environment_of(reply):
    """What env printed."""
    return dict(line.split("=", 1) for line in reply.decode().splitlines() if "=" in line)


def test_environment_of_a_tcp_program(server):
    """UCSPI-TCP's names, inetd's and systemd's."""
    s = server.serve("env", **ONE, env={"MINE": "kept", "TCPREMOTEHOST": "stale", "PROTO": "old",
                                        "REMOTE_HOST": "stale"})
    with s.connect() as c:
        port = str(c.getsockname()[1])
        env = environment_of(converse(c))
    expected = {"PROTO": "TCP", "TCPLOCALIP": "127.0.0.1", "TCPLOCALPORT": str(s.port),
                "TCPREMOTEIP": "127.0.0.1", "TCPREMOTEPORT": port, "REMOTE_HOST": "127.0.0.1",
                "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": port, "MINE": "kept"}
    assert {key: env.get(key) for key in expected} == expected
    assert "TCPREMOTEHOST" not in env
    assert not [key for key in env if key.startswith(("UNIX", "LISTEN_", "SERVER_STARTER"))]


@pytest.mark.ipv6
def test_environment_of_an_ipv6_program(server):
    """Addresses without brackets; IPv4 clients of a dual-stack socket as IPv4."""
    s = server.serve("env", **ONE, port="0")
    six = environment_of(s.ask(address=("::1", s.port)))
    four = environment_of(s.ask(address=("127.0.0.1", s.port)))
    assert (six["TCPREMOTEIP"], six["TCPLOCALIP"]) == ("::1", "::1")
    assert (four["TCPREMOTEIP"], four["TCPLOCALIP"]) == ("127.0.0.1", "127.0.0.1")


def test_environment_of_a_unix_program(server, tmp_path):
    """UCSPI-UNIX's names, with the client's credentials; nothing of TCP."""
    path = tmp_path / "s"
    s = server.serve("env", **ONE, port=f"{path}|unix", env={"TCPREMOTEIP": "stale"})
    env = environment_of(s.ask())
    expected = {"PROTO": "UNIX", "UNIXLOCALPATH": str(path), "UNIXREMOTEPID": str(os.getpid()),
                "UNIXREMOTEEUID": str(os.geteuid()), "UNIXREMOTEEGID": str(os.getegid())}
    assert {key: env.get(key) for key in expected} == expected
    assert not [key for key in env if key.startswith(("TCP", "REMOTE_"))]


def test_environment_changes_with_the_connection(server, tmp_path):
    """One worker, TCP and unix in turn: nothing of the last one is left."""
    s = server.serve("env", **ONE, port=["127.0.0.1:0", f"{tmp_path}/s|unix"])
    for _ in range(2):
        assert environment_of(s.ask(index=0))["PROTO"] == "TCP"
        unix = environment_of(s.ask(index=1))
        assert unix["PROTO"] == "UNIX"
        assert not [key for key in unix if key.startswith("TCP")]


def test_standard_error_of_a_program_is_the_servers(server):
    """It does not reach the client."""
    s = server.serve(server.script("echo to the log >&2; echo to the client"), **ONE)
    assert s.ask() == b"to the client\n"
    s.wait_log("^to the log$")


def test_exit_status_of_a_program_is_told(server):
    """Status as information, a signal as a warning; the worker goes on."""
    s = server.serve(["sh", "-c", "read line; eval $line"], **ONE)
    (worker,) = s.wait_workers(1, "idle")
    s.ask(b"exit 3\n")
    s.wait_log(rf"\[{worker}\] info: \S*/sh ended with status 3$")
    s.ask(b"kill -KILL $$\n")
    s.wait_log(rf"\[{worker}\] warning: \S*/sh was killed by signal 9 \(Killed\)$")
    s.ask(b"exit 0\n")
    s.wait_workers(1, "idle")
    assert s.workers() == [worker]
    assert not s.find_log("ended with status 0$")


def test_signals_of_a_program(server):
    """None blocked, none ignored: SIGPIPE is the default one."""
    def prepare():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    s = server.serve(["cat", "/proc/self/status"], **ONE, preexec_fn=prepare)
    status = dict(line.split(":\t", 1) for line in s.ask().decode().splitlines() if ":\t" in line)
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigIgn"], 16) == 0


def test_descriptors_of_a_program(server, tmp_path):
    """The connection on 0 and 1, the server's standard error on 2, and no other."""
    s = server.serve(server.script("exec ls -l /proc/$$/fd"), **ONE, log_file=tmp_path / "log",
                     pid_file=tmp_path / "pid", port=["127.0.0.1:0", f"{tmp_path}/s|unix"])
    links = dict(re.findall(r" (\d+) -> (\S+)$", s.ask().decode(), re.MULTILINE))
    links.pop("3", None)  # the directory that ls reads
    assert sorted(links) == ["0", "1", "2"]
    assert links["0"] == links["1"] and links["0"].startswith("socket:")
    assert links["2"].endswith("stderr.1")


def test_the_limit_on_descriptors_of_a_program(server):
    """The operator's, not the one that the master raised."""
    s = server.serve(["sh", "-c", "ulimit -Sn 64; exec cat"], **ONE)
    assert s.ask(b"x") == b"x"
    s = server.start("/bin/sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh",
                     EXAMPLES.parent / "prefork", "serve", tail=["sh", "-c", "ulimit -Sn"], **ONE)
    assert s.ask() == b"64\n"


def test_the_connection_of_a_program_blocks(server):
    """As programs expect: O_NONBLOCK is off on both descriptors."""
    s = server.serve([sys.executable, "-Sc", "import os; print(os.get_blocking(0), "
                      "os.get_blocking(1))"], **ONE)
    assert s.ask() == b"True True\n"


def test_as_many_programs_as_workers(server):
    """The worker waits for the program's end before it takes the next connection."""
    s = server.serve(["sh", "-c", "echo $$; read line; echo $line"], sizing="static",
                     max_servers=2)
    with s.connect() as a, s.connect() as b, s.connect() as c:
        read_line(a)
        read_line(b)
        assert len(s.programs()) == 2
        c.sendall(b"third\n")
        a.sendall(b"first\n")
        assert read_line(a) == b"first\n"
        read_line(c)
        assert read_line(c) == b"third\n"
        b.sendall(b"second\n")
        assert read_line(b) == b"second\n"


def test_hooks_are_not_there_for_programs_but_limits_are(server):
    """max_requests counts a program's connections as any other's."""
    s = server.serve(["sh", "-c", "echo $PPID"], **ONE, max_requests=2, max_requests_jitter=0)
    pids = [s.ask() for _ in range(6)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]


def test_a_program_that_is_gone_and_comes_back(server):
    """Told once with its path; births back off; when it is back the service is."""
    script = server.script("echo served")
    s = server.serve(script, **ONE)
    assert s.ask() == b"served\n"
    text = script.read_text()
    script.unlink()
    wait_until(lambda: ask_in_vain(s) and s.find_log("bad starts in a row"), "back-off", 20,
               s.describe)
    assert len(s.find_log(rf"error: cannot run {script}: No such file or directory$")) == 1
    server.script(text.partition("\n")[2])
    wait_until(lambda: ask_once(s) == b"served\n", "the service to be back", 20, s.describe)
    assert s.ask() == b"served\n"


def ask_once(s):
    """A reply, or None if the connection was cut or nobody answered soon."""
    try:
        with s.connect(timeout=5) as c:
            return converse(c)
    except OSError:
        return None


def ask_in_vain(s):
    """True: nobody may get an answer now."""
    assert not ask_once(s)
    return True


def test_a_program_ends_with_the_server(server):
    """Stopped: the program of a running request is asked as well, and nothing is left."""
    s = server.serve(["sh", "-c", "echo started; exec sleep 1000"], **ONE, stop_timeout="0.1")
    with s.connect() as c:
        assert read_line(c) == b"started\n"
        (program,) = s.programs()
        assert s.stop() == 0
    assert not is_alive(program)


def test_a_program_ends_with_its_worker(server):
    """A worker that is killed does not leave its program to the next client's dismay."""
    s = server.serve(["sh", "-c", "echo started; exec sleep 1000"], **ONE)
    with s.connect() as c:
        assert read_line(c) == b"started\n"
        (program,) = s.programs()
        (worker,) = s.workers()
        os.kill(worker, SIGTERM)
        s.wait_until(lambda: not is_alive(worker), "the end of the worker")
        assert s.stop() == 0
    assert not is_alive(program)


@pytest.mark.parametrize("handler", ["nowait", "wait"])
@pytest.mark.parametrize("kind, sentence", [
    ("missing", "No such file or directory"), ("unknown", "No such file or directory in PATH"),
    ("plain", "Permission denied"), ("directory", "Is a directory"),
])
def test_a_program_that_cannot_be_run(server, tmp_path, handler, kind, sentence):
    """Found at the start, in one line."""
    path = tmp_path / kind
    if kind == "plain":
        path.write_text("#!/bin/sh\n")
    if kind == "directory":
        path.mkdir()
    name = "no-such-program-here" if kind == "unknown" else path
    assert f"program {name}: {sentence}" in refusal(server, name, handler=handler)


def test_a_program_whose_interpreter_is_missing(server):
    """Cannot be seen before it is run: told once, and births back off."""
    script = server.script("echo never", interpreter="/no/such/interpreter")
    s = server.serve(script, **ONE)
    assert not ask_once(s)
    s.wait_log(rf"error: cannot run {script}: No such file or directory")


# ---- a program that accepts by itself ------------------------------------------------------


def start_acceptor(server, *words, **settings):
    """prefork serve with handler wait, once its programs wait for connections."""
    settings.setdefault("min_servers", 2)
    s = server.serve(server.program("acceptor", library=False), *words, handler="wait", **settings)
    s.wait_log("^acceptor waits", count=settings["min_servers"])
    return s


def facts_of(reply):
    """What acceptor said: key -> value."""
    return dict(word.split("=", 1) for word in reply.decode().split())


def test_a_wait_program_finds_its_sockets(server, tmp_path):
    """On 0, by LISTEN_FDS, by SERVER_STARTER_PORT; all of them block."""
    s = start_acceptor(server, port=["127.0.0.1:0", f"{tmp_path}/s|unix"])
    for index in range(2):
        facts = facts_of(s.ask(index=index))
        assert int(facts.pop("pid")) in s.workers()
        assert facts == {"via": str(3 + index), "fd0": "1", "fds": "2", "pid_matches": "1",
                         "ports": f"127.0.0.1:{s.port}=3;{tmp_path}/s=4", "blocking": "11"}


def test_a_wait_pool_has_a_fixed_size(server):
    """min_servers programs, replaced when they end."""
    s = start_acceptor(server, min_servers=3)
    first = s.wait_workers(3)
    os.kill(first[0], SIGKILL)
    s.wait_log(rf"worker {first[0]} killed by signal 9")
    s.wait_log("^acceptor waits", count=4)
    assert len(set(s.wait_workers(3)) - set(first)) == 1


def test_wait_programs_are_asked_to_leave_by_sigterm(server):
    """At the stop of the server; they end as they like."""
    s = start_acceptor(server)
    mark = s.mark()
    assert s.stop() == 0
    assert len(s.find_log("^acceptor leaves", mark)) == 2


def test_wait_programs_end_when_the_master_is_killed(server):
    """They cannot see a channel, so the kernel tells them."""
    s = start_acceptor(server)
    workers = s.workers()
    assert s.stop(SIGKILL) == -SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in workers), "the end of the programs")
    assert len(s.find_log("^acceptor leaves")) == 2


def test_a_wait_program_is_an_ordinary_process(server):
    """No signal is blocked or ignored; nothing is open but what it was given."""
    s = server.serve(["sleep", "1000"], handler="wait", min_servers=1)
    (pid,) = s.workers()
    s.wait_until(lambda: title_of(pid) == "sleep 1000", "the program")
    status = proc_status(pid)
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigIgn"], 16) == 0
    assert sorted(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()) == [0, 1, 2, 3]


def test_a_wait_program_that_ends_at_once_backs_off(server):
    """It is started again, ever more slowly."""
    s = server.serve("true", handler="wait", min_servers=1, wait="starting: ")
    s.wait_log(r"warning: \d+ bad starts in a row; next try in \d")
    assert s.stop() == 0


def test_a_wait_program_that_is_removed_is_told_once(server):
    """With its path; it is found again when it is back."""
    acceptor = server.program("acceptor", library=False)
    copy = server.directory / "acceptor"
    copy.write_bytes(acceptor.read_bytes())
    copy.chmod(0o755)
    s = server.serve(copy, handler="wait", min_servers=1)
    s.wait_log("^acceptor waits")
    copy.rename(server.directory / "away")
    os.kill(s.workers()[0], SIGKILL)
    s.wait_log("bad starts in a row")
    assert len(s.find_log(rf"error: cannot run {copy}: No such file or directory$")) == 1
    (server.directory / "away").rename(copy)
    s.wait_log("^acceptor waits", count=2, timeout=30)
    assert facts_of(s.ask())["via"] == "3"


def test_a_wait_program_may_not_have_a_dynamic_pool(server):
    """Nobody could count its idle ones."""
    line = refusal(server, "cat", handler="wait", sizing="dynamic")
    assert "sizing dynamic (--sizing)" in line


# ---- a loop of the program's own -----------------------------------------------------------


LOOP = """#include <prefork/prefork.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
static void loop(struct prefork_worker *w, void *d)
{
    int fd = open("jobs", O_RDWR | O_CLOEXEC);
    char job[2] = "";
    int r;
    (void)d;
    while ((r = prefork_wait(w, fd, -1)) == 1) {
        if (read(fd, job, 1) != 1)
            continue;
        prefork_busy(w);
        prefork_log(PREFORK_LOG_NOTICE, "job %s, stopping %d", job, prefork_stopping(w));
        if (job[0] == 'e')
            return;
        prefork_idle(w);
    }
    prefork_log(PREFORK_LOG_NOTICE, "wait gave %d, stopping %d", r, prefork_stopping(w));
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){.name = "loop", .main_loop = loop});
}
"""


@pytest.fixture
def jobs(server):
    """A loop server that reads its jobs, one byte each, from a FIFO; start(**settings)."""
    fifo = server.directory / "jobs"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)

    def start(**settings):
        s = server.start(server.build(LOOP), port=None, cwd=server.directory, **settings)
        s.give = lambda job: os.write(writer, job)
        return s
    yield start
    os.close(writer)


def test_a_loop_needs_no_port(jobs):
    """It listens on nothing."""
    s = jobs(**ONE)
    assert s.listeners == []
    assert title_of(s.wait_workers(1, "idle")[0]) == "loop: worker idle"


def test_a_loop_waits_for_its_descriptor_and_for_the_master(jobs):
    """prefork_wait: 1 for work, -ECANCELED for the end; prefork_stopping agrees."""
    s = jobs(**ONE)
    s.give(b"a")
    s.wait_log("job a, stopping 0")
    s.wait_workers(1, "idle")
    assert s.stop() == 0
    assert s.wait_log("wait gave -125, stopping 1")


def test_a_loop_that_returns_is_started_again(jobs):
    """Its worker ends with 0 and another takes its place."""
    s = jobs(**ONE)
    (first,) = s.wait_workers(1, "idle")
    s.give(b"e")
    s.wait_until(lambda: s.workers("idle") not in ([], [first]), "another worker")
    s.give(b"b")
    s.wait_log("job b, stopping 0")
    assert s.stop() == 0


def test_a_loop_may_have_a_socket(server):
    """A port that is set is bound; the loop finds the worker's end of it by itself."""
    access_log = server.directory / "access.log"
    s = server.start("jobs", **ONE, port="127.0.0.1:0", access_log_path=access_log,
                     env={"JOBS_SPOOL": server.directory / "spool"})
    assert len(s.listeners) == 1
    with socket.socket() as c:
        c.connect(s.address)
    (server.directory / "job").write_text("sum 28")
    (server.directory / "job").rename(server.directory / "spool/new/job")
    Log(access_log).wait(r"job job, attempt 1, worker \d+: 56")
