"""Asking a running server: prefork reload, prefork restart-workers, and the socket behind them.

A request has a number and an end, and who waits hears of it. What must never happen is that
somebody else is believed to be the server, or may ask it; and whatever clients do, the master
serves on.
"""

import errno
import os
import socket
import struct
import subprocess
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from support import PREFORK, is_alive, wait_until

ONE = {"sizing": "static", "max_servers": 1}
OK, USAGE, UNAVAILABLE, REFUSED, FAILED, WRONG = 0, 64, 69, 71, 75, 78
COMMANDS = ["reload", "restart-workers"]
NOUNS = ["reload", "restart of the workers"]
# Both commands do the same then: what is looked at here is who asks, and who is told.
WORKERS = {"reload_mode": "workers"}

MAGIC, VERSION = 0x70666B72, 1
RELOAD, RESTART = 1, 2
ACCEPTED, ANSWER_REFUSED, DONE, ANSWER_FAILED, STOPPING = range(1, 6)
CLIENTS_MAX = 8


@pytest.fixture
def path(tmp_path):
    """Of the pid file."""
    return tmp_path / "pid"


def run(server, command, path, *words, **options):
    """The command: (status, what it says on standard output, and on standard error)."""
    done = server.prefork(command, "--pid-file", path, *words, **options)
    return done.returncode, done.stdout, done.stderr


def begin(command, path, *words):
    """The command, which is not waited for."""
    return subprocess.Popen([PREFORK, command, "--pid-file", path, *words], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process):
    """Its end: as run()."""
    out, err = process.communicate(timeout=15)
    return process.returncode, out, err


def replaced(s, count):
    """What is said when all is well."""
    return f"process {s.pid}: all workers were replaced; there are {count} now\n"


# ---- clients that are no command -----------------------------------------------------------


def record(kind=RELOAD, wait=1, zero=0, magic=MAGIC, version=VERSION):
    """A request."""
    return struct.pack("=IHHII", magic, version, kind, wait, zero)


def answer(client):
    """The next answer: (kind, number, text), or None at the end."""
    try:
        data = client.recv(4096)
    except ConnectionResetError:
        return None
    if not data:
        return None
    magic, version, kind, number, text = struct.unpack("=IHHQ512s", data)
    assert (magic, version) == (MAGIC, VERSION)
    return kind, number, text.rstrip(b"\0").decode()


@pytest.fixture
def connect():
    """connect(server): a socket to its control socket."""
    clients = []

    def make(s):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(15)
        client.connect(f"\0prefork-control/{s.pid}")
        clients.append(client)
        return client
    yield make
    for client in clients:
        client.close()


# ---- it works ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_wait_until_all_workers_are_replaced(server, path, command):
    """When it returns nobody of before is there."""
    s = server.start("echo", **WORKERS, sizing="static", max_servers=3, pid_file=path)
    before = s.wait_workers(3)
    assert run(server, command, path, "--wait") == (OK, replaced(s, 3), "")
    assert not any(is_alive(pid) for pid in before)
    assert s.wait_log(rf"notice: re\w+ 1 \(prefork {command} \(process \d+\)\): replacing all workers")
    assert s.wait_log(r"notice: re\w+ \d+: all workers were replaced; there are 3 now")
    assert s.ask(b"x\n") == b"x\n"


@pytest.mark.parametrize("command, what", zip(COMMANDS, NOUNS))
def test_without_wait_the_server_has_agreed(server, path, command, what):
    """And does it."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    before = s.wait_workers(1)
    assert run(server, command, path) == (
        OK, f"process {s.pid} was asked for a {what}; its log says how it goes\n", "")
    s.wait_log(r"notice: re\w+ \d+: all workers were replaced; there are 1 now")
    assert not is_alive(before[0])


def test_the_server_is_found_by_its_config_file(server, path, tmp_path):
    """Also one whose other settings are wrong by now."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    conf = tmp_path / "x.conf"
    conf.write_text(f"pid_file {path}\nuser nobody-here\n")
    done = server.prefork("reload", "--conf-file", conf, "--wait")
    assert (done.returncode, done.stdout) == (OK, replaced(s, 1))


def test_reload_running_from_a_program(server, path):
    """The call behind it: (outcome, sentence)."""
    def ask(seconds):
        outcome, text = server.command(server.program("pidfile"), "reload", path,
                                       seconds).stdout.split(": ", 1)
        return int(outcome), text
    assert ask(-1) == (1, f"pid file {path} is not there: no server runs with it\n")
    s = server.start(server.program("hold"), **ONE, **WORKERS, pid_file=path)
    assert ask(-1) == (0, replaced(s, 1))
    with s.connect() as c:
        assert c.recv(1)
        assert ask(0.1)[0] == -errno.ETIMEDOUT
        s.signal(SIGTERM)
        s.wait_log("stopping")
        assert ask(-1) == (17, f"process {s.pid}: no reload: it is stopping\n")


def test_wait_lasts_as_long_as_the_last_request(server, path):
    """No request is cut, and until its worker has gone it is not over."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    with s.connect() as c:
        c.sendall(b"one\n")
        assert c.recv(10) == b"one\n"
        waiting = begin("reload", path, "--wait")
        s.wait_log("replacing all workers")
        s.wait_log("asked to leave 1 worker")
        c.sendall(b"two\n")
        assert c.recv(10) == b"two\n"
        assert waiting.poll() is None
    assert end(waiting) == (OK, replaced(s, 1), "")


def test_a_timeout_ends_the_wait_and_nothing_else(server, path):
    """The server goes on, and does it."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    with s.connect() as c:
        c.sendall(b"one\n")
        assert c.recv(10) == b"one\n"
        assert run(server, "reload", path, "--wait", "--timeout", "0.1") == (
            REFUSED, "",
            f"prefork reload: process {s.pid}: the reload was not over in time; it goes on\n")
    s.wait_log(r"notice: re\w+ \d+: all workers were replaced")


def test_new_workers_that_do_not_start_are_a_failure(server, path, tmp_path):
    """Those of before serve on, and the status tells it from everything else."""
    flag = tmp_path / "refuse"
    s = server.start(server.build(REFUSING), **WORKERS, sizing="static", max_servers=2,
                     pid_file=path, env={"REFUSE": flag})
    before = s.wait_workers(2)
    flag.touch()
    status, out, err = run(server, "reload", path, "--wait")
    assert (status, out) == (FAILED, "")
    assert err == (f"prefork reload: process {s.pid}: workers are not replaced: new ones do not "
                   "start; 2 of before serve on\n")
    assert all(map(is_alive, before))
    assert s.connect().recv(10) == b"hello\n"
    flag.unlink()
    s.wait_until(lambda: not any(is_alive(pid) for pid in before), "the replacement after all")


REFUSING = r"""
#include <prefork/prefork.h>
#include <stdlib.h>
#include <unistd.h>
static int init(struct prefork_worker *w, void *data)
{
    (void)w, (void)data;
    return access(getenv("REFUSE"), F_OK) == 0;
}
static void hello(struct prefork_conn *c, void *data)
{
    (void)data;
    (void)prefork_printf(c, "hello\n");
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){
        .name = "refusing", .child_init_hook = init, .process_request = hello});
}
"""


# ---- two at once ---------------------------------------------------------------------------


def test_a_request_that_comes_meanwhile_waits_for_the_next_one(server, path, connect):
    """Several are the same number, and all of them hear of its end. The first is under way for
    as long as a worker is busy that cannot be asked to leave before another one has gone."""
    s = server.start(server.program("hold"), **WORKERS, sizing="static", max_servers=2,
                     max_recycling=1, pid_file=path)
    with s.connect() as one, s.connect() as two:
        assert one.recv(1) and two.recv(1)
        clients = [connect(s) for _ in range(4)]
        for n, client in enumerate(clients):
            client.send(record(RELOAD if n < 2 else RESTART))
            assert answer(client) == (ACCEPTED, min(n + 1, 2), "")
        assert len(s.find_log("replacing all workers")) == 1
    assert answer(clients[0])[:1] == (DONE,)
    for client in clients[1:]:
        assert answer(client) == (DONE, 2, "all workers were replaced; there are 2 now")
        assert answer(client) is None
    assert len(s.find_log("replacing all workers")) == 2


def test_the_next_one_does_not_wait_for_who_takes_his_time(server, path):
    """A connection that lasts for hours does not keep a new program from coming in."""
    s = server.start(server.program("hold"), **WORKERS, sizing="static", max_servers=2,
                     max_recycling=2, pid_file=path)
    with s.connect() as c:
        assert c.recv(1)
        assert run(server, "reload", path)[0] == OK
        s.wait_log("asked to leave 1 worker", count=2)
        waiting = begin("reload", path, "--wait")
        s.wait_until(lambda: len(s.find_log("replacing all workers")) == 2, "the second")
        assert waiting.poll() is None
    assert end(waiting) == (OK, replaced(s, 2), "")


def test_two_commands_at_once(server, path):
    """Both hear that all is done."""
    s = server.start("echo", **WORKERS, sizing="static", max_servers=3, pid_file=path)
    both = [begin(command, path, "--wait") for command in COMMANDS]
    assert [end(process) for process in both] == [(OK, replaced(s, 3), "")] * 2


# ---- there is no such server ---------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["--wait"]])
def test_no_server(server, path, words):
    """No file, and one that was left."""
    assert run(server, "reload", path, *words) == (
        UNAVAILABLE, "",
        f"prefork reload: pid file {path} is not there: no server runs with it\n")
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    assert s.stop(SIGKILL) == -SIGKILL
    assert run(server, "restart-workers", path, *words) == (
        UNAVAILABLE, "",
        f"prefork restart-workers: pid file {path} is stale: process {s.pid} is gone; a start "
        "will not mind it\n")


@pytest.mark.parametrize("words, says", [
    ([], "which server? --pid-file names its pid file"),
    (["--timeout", "soon"], "--timeout: seconds are expected"),
    (["--timeout"], "--timeout: how many seconds?"),
    (["now"], "only options are expected"),
    (["--graceful"], "graceful")])
def test_a_command_line_that_makes_no_sense(server, path, words, says):
    """Each says what is wrong."""
    more = ["--pid-file", path] if words else []
    done = server.prefork("reload", *more, *words)
    assert done.returncode == USAGE
    assert says in done.stderr


def test_a_server_that_stops_says_so_to_who_waits(server, path):
    """Whether the reload would have gone well nobody will know."""
    s = server.start(server.program("hold"), **ONE, **WORKERS, pid_file=path)
    with s.connect() as c:
        assert c.recv(1)
        waiting = begin("reload", path, "--wait")
        s.wait_log("asked to leave 1 worker")
        s.signal(SIGTERM)
        sentence = f"process {s.pid}: no reload: it is stopping\n"
        assert end(waiting) == (UNAVAILABLE, "", f"prefork reload: {sentence}")
        assert run(server, "restart-workers", path) == (
            UNAVAILABLE, "", f"prefork restart-workers: {sentence.replace(*NOUNS)}")
    assert s.wait_exit() == 0


def test_a_server_that_dies_is_noticed(server, path):
    """The connection ends, and so does the wait."""
    s = server.start(server.program("hold"), **ONE, **WORKERS, pid_file=path)
    with s.connect() as c:
        assert c.recv(1)
        waiting = begin("reload", path, "--wait")
        s.wait_log("asked to leave 1 worker")
        s.signal(SIGKILL)
        assert end(waiting) == (
            UNAVAILABLE, "",
            f"prefork reload: process {s.pid} has ended before the reload did\n")
    assert s.wait_exit() == -SIGKILL


def test_a_server_that_does_not_answer(server, path):
    """It was stopped, as a debugger does it."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    s.signal(SIGSTOP)
    assert run(server, "reload", path, "--wait", "--timeout", "0.1") == (
        REFUSED, "", f"prefork reload: process {s.pid} does not answer\n")
    s.signal(SIGCONT)
    assert s.ask(b"x\n") == b"x\n"


# ---- no control socket ---------------------------------------------------------------------


NOT_HERE = ("process {} has no control socket here: is it in another container or network "
            "namespace, or a server without workers, or of an older version?\n")


def test_a_server_without_workers_has_none(server, path):
    """Who waits is told; who does not has sent a signal."""
    s = server.start("echo", prefork=0, pid_file=path)
    assert run(server, "reload", path, "--wait") == (
        REFUSED, "", "prefork reload: " + NOT_HERE.format(s.pid))
    for command, signal in zip(COMMANDS, ["SIGHUP", "SIGUSR2"]):
        assert run(server, command, path) == (
            OK, f"process {s.pid} has no control socket here and was sent {signal}; its log says "
            "how it goes\n", "")


def test_a_server_that_is_starting_is_not_ended_by_a_signal(server, path, tmp_path):
    """It has a pid file, and neither a control socket nor signals that it listens to."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    s = server.start(server.build(SLOW), **ONE, **WORKERS, pid_file=path, env={"SLOW": fifo}, wait=None)
    with open(fifo, "wb"):
        pid = int(path.read_text())
        for command in COMMANDS:
            assert run(server, command, path) == (
                REFUSED, "",
                f"prefork {command}: process {pid} is about to start or to end; try again\n")
    s.wait_log("notice: ready")


SLOW = r"""
#include <prefork/prefork.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
static int bound(struct prefork *p, void *data)
{
    char byte;
    int fd = open(getenv("SLOW"), O_RDONLY);
    (void)p, (void)data;
    return read(fd, &byte, 1) != 0;
}
static void hello(struct prefork_conn *c, void *data)
{
    (void)data;
    (void)prefork_printf(c, "hello\n");
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){
        .name = "slow", .post_bind_hook = bound, .process_request = hello});
}
"""


@pytest.fixture
def elsewhere():
    """A command in a network namespace of its own, which nobody else is in."""
    words = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    return words


def test_another_network_namespace(server, path, elsewhere):
    """The process is seen, its socket is not; a signal reaches it."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    done = server.command(*elsewhere, PREFORK, "reload", "--wait", "--pid-file", path)
    assert (done.returncode, done.stderr) == (REFUSED, "prefork reload: " + NOT_HERE.format(s.pid))
    done = server.command(*elsewhere, PREFORK, "reload", "--pid-file", path)
    assert (done.returncode, done.stderr) == (OK, "")
    s.wait_log(r"\(SIGHUP\): replacing all workers")


def test_a_name_that_somebody_else_has(server, path):
    """Here it is this test. A start is not hindered by it, and no command believes who listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mine:
        s = server.start("echo", **ONE, **WORKERS, pid_file=path,
                         preexec_fn=lambda: mine.bind(f"\0prefork-control/{os.getpid()}"))
        mine.listen()
        s.wait_log("warning: control socket: another process has its name")
        assert run(server, "reload", path, "--wait") == (
            REFUSED, "",
            f"prefork reload: process {s.pid} cannot be asked: its control socket here is that of "
            f"process {os.getpid()}; is it in another container or network namespace?\n")
        assert run(server, "reload", path)[::2] == (OK, "")
        s.wait_log(r"\(SIGHUP\): replacing all workers")
        for _ in range(2):  # and neither of them said a word
            assert mine.accept()[0].recv(100) == b""


# ---- who may ask ---------------------------------------------------------------------------


AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.mark.root
def test_another_user_may_not_ask(server, path, connect):
    """The command says so; one who knows the protocol is closed, and nothing happens."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path, log_level=4)
    name = f"\\0prefork-control/{s.pid}"
    client = "\n".join([
        "import socket",
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
        f"s.connect('{name}')",
        "try:",
        f"    s.send({record()!r})",
        "    print(s.recv(4096))",
        "except OSError as e:",
        "    print(e.strerror)"])
    done = server.command(*AS_NOBODY, "/usr/bin/python3", "-c", client, cwd="/")
    assert done.stdout in ("b''\n", "Connection reset by peer\n", "Broken pipe\n")
    s.wait_log(r"debug: control socket: process \d+ of user 65534 may not ask for anything")
    with connect(s) as mine:
        mine.send(record(wait=0))
        assert answer(mine) == (ACCEPTED, 1, "")


@pytest.mark.root
def test_the_user_of_a_server_that_dropped_its_privileges_may_ask(server, open_path):
    """As may root, in spite of another root directory."""
    empty = open_path / "root"
    empty.mkdir()
    path = open_path / "pid"
    s = server.start("echo", **ONE, **WORKERS, pid_file=path, user="nobody", chroot=empty)
    name = f"\\0prefork-control/{s.pid}"
    client = "\n".join([
        "import socket",
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
        f"s.connect('{name}')",
        f"s.send({record()!r})",
        "print(s.recv(4096)[6], s.recv(4096)[6])"])
    done = server.command(*AS_NOBODY, "/usr/bin/python3", "-c", client, cwd="/")
    assert done.stdout == f"{ACCEPTED} {DONE}\n", done.stderr
    assert run(server, "reload", path, "--wait") == (OK, replaced(s, 1), "")


# ---- clients that are a nuisance -----------------------------------------------------------


@pytest.mark.parametrize("data", [
    b"x", b"reload\n", record()[:-1], record() + b"\0", record(kind=0), record(kind=3),
    record(wait=2), record(zero=1), record(magic=1), b"\0" * 4000])
def test_garbage_is_not_answered(server, connect, data):
    """The client is closed, nothing is done, and the next one is served."""
    s = server.start("echo", **ONE, **WORKERS)
    client = connect(s)
    client.send(data)
    assert answer(client) is None
    client = connect(s)
    client.send(record(wait=0))
    assert answer(client) == (ACCEPTED, 1, "")
    s.wait_log("replacing all workers")
    assert len(s.find_log("replacing all workers")) == 1


def test_another_version_is_told(server, connect):
    """Whatever else is in its request."""
    s = server.start("echo", **ONE, **WORKERS)
    client = connect(s)
    client.send(record(version=VERSION + 1) + b"more")
    assert answer(client) == (
        ANSWER_REFUSED, 0, "it is of another version than this command; use that of its own")
    assert not s.find_log("replacing all workers")


def test_who_waits_and_speaks_again_is_closed(server, connect):
    """One request, one end."""
    s = server.start(server.program("hold"), **ONE, **WORKERS)
    with s.connect() as c:
        assert c.recv(1)
        client = connect(s)
        client.send(record())
        assert answer(client)[0] == ACCEPTED
        client.send(record())
        assert answer(client) is None


def test_silent_clients_are_closed_and_the_rest_are_refused(server, path, connect):
    """There is room for a few; it is free again when their time is over."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    clients = [connect(s) for _ in range(20)]
    refused = [answer(client) for client in clients[CLIENTS_MAX:]]
    assert {kind for kind, _, _ in refused} == {ANSWER_REFUSED}
    status, _, err = run(server, "reload", path)
    assert status == UNAVAILABLE
    assert err == (f"prefork reload: process {s.pid} refused a reload: too many others are asking "
                   "it at the same time; try again\n")
    assert [answer(client) for client in clients[:CLIENTS_MAX]] == [None] * CLIENTS_MAX
    assert run(server, "reload", path, "--wait") == (OK, replaced(s, 1), "")


def test_a_client_that_hangs_up_is_forgotten(server, path, connect):
    """Also one that waits."""
    s = server.start(server.program("hold"), **ONE, **WORKERS, pid_file=path)
    with s.connect() as c:
        assert c.recv(1)
        for n in range(3 * CLIENTS_MAX):
            client = connect(s)
            if n % 2:
                client.send(record())
                assert answer(client)[0] == ACCEPTED
            client.close()
        client = connect(s)
        client.send(record())
        assert answer(client)[0] == ACCEPTED
    assert answer(client)[0] == DONE


def test_workers_and_programs_have_none_of_its_descriptors(server, connect):
    """A worker that is born while clients wait."""
    s = server.serve(["sh", "-c", "ls -l /proc/$PPID/fd /proc/self/fd"], sizing="static",
                     max_servers=1)
    client = connect(s)
    client.send(record())
    assert answer(client)[0] == ACCEPTED
    assert answer(client)[0] == DONE
    held = connect(s)
    inodes = control_inodes(s)
    assert inodes
    os.kill(s.workers()[0], SIGTERM)
    wait_until(lambda: s.wait_workers(1, "idle"), "another worker")
    text = s.ask(b"").decode()
    assert not [inode for inode in inodes if f"socket:[{inode}]" in text]
    held.close()


def control_inodes(s):
    """Of the sockets with the name, listening and connected."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
        return [line.split()[6] for line in f if line.rstrip().endswith(f"@prefork-control/{s.pid}")]


def test_the_name_is_free_again(server, path, connect):
    """Nothing is left behind when the server ends."""
    s = server.start("echo", **ONE, **WORKERS, pid_file=path)
    connect(s)
    assert s.stop() == 0
    assert not control_inodes(s)
