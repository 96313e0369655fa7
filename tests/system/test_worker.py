"""What a worker does: takes connections, calls hooks, reads, writes, shows itself, leaves.

Most tests ask programs/probe.c, which answers questions about its worker and connection in
the connection itself. Where order among workers matters, a test first waits until all of
them rest, that is, sleep and say so in their titles: only then the kernel can choose.
"""

import collections
import os
import re
import resource
import signal
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM

import pytest

from support import ANY_PORT, proc_fds, proc_status, read_line, title_of

ONE = {"sizing": "static", "max_servers": 1}
IGNORED = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTIN, signal.SIGTTOU}


def is_resting(pid):
    """Idle by its title, and asleep."""
    try:
        return title_of(pid).endswith("worker idle") and proc_status(pid)["State"][0] == "S"
    except FileNotFoundError:
        return False


def wait_rest(s, count):
    """Wait until this many workers rest; their pids."""
    s.wait_workers(count, "idle")
    s.wait_until(lambda: all(is_resting(pid) for pid in s.workers()), "rest")
    return s.workers()


class Conversation:
    """One connection to the probe, a question at a time."""

    def __init__(self, s, index=0):
        self.socket = s.connect(index)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def ask(self, question):
        """One line for one line."""
        self.socket.sendall(question.encode() + b"\n")
        return read_line(self.socket).decode().rstrip("\n")


# ---- who takes a connection ----------------------------------------------------------------


def served_by(s, count, workers):
    """Connections one after the other, each when all workers rest: who had which."""
    pids = []
    for _ in range(count):
        wait_rest(s, workers)
        pids.append(int(s.ask(b"pid\n")))
    return pids


def test_hot_prefers_one_worker(server):
    """Sequential connections go to the same worker; the others are for peaks."""
    s = server.start(server.program("probe"), sizing="static", max_servers=4, accept_order="hot")
    assert len(set(served_by(s, 20, 4))) == 1


def test_fair_serves_in_turn(server):
    """40 sequential connections on 4 workers: 10 each, two in a row."""
    s = server.start(server.program("probe"), sizing="static", max_servers=4, accept_order="fair")
    pids = served_by(s, 40, 4)
    assert sorted(collections.Counter(pids).values()) == [10, 10, 10, 10]
    assert pids[0::2] == pids[1::2] and len(set(pids[:8])) == 4


@pytest.mark.parametrize("order", ["hot", "fair"])
def test_simultaneous_connections_go_to_different_workers(server, order):
    """A busy worker takes nothing; nobody waits while another is idle."""
    s = server.start(server.program("hold"), sizing="static", max_servers=4, accept_order=order)
    clients = [s.connect() for _ in range(4)]
    pids = {read_line(c) for c in clients}
    assert len(pids) == 4
    s.wait_workers(4, "busy")
    for client in clients:
        client.close()


@pytest.mark.parametrize("order", ["hot", "fair"])
@pytest.mark.parametrize("busy", [0, 1, 2])
def test_a_listener_that_is_never_empty_leaves_room_for_others(server, order, busy):
    """Of three, one has many waiting: the others have a turn before the second of them."""
    s = server.start(server.program("hold"), **ONE, accept_order=order, port=[ANY_PORT] * 3)
    with s.connect(busy) as first:
        read_line(first)
        many = [s.connect(busy) for _ in range(10)]
        others = [s.connect((busy + n) % 3) for n in (1, 2)]
        first.sendall(b"x")
        assert read_line(first) == b"done\n"
        for client in [*others, many[0]]:
            assert read_line(client)
            client.close()
        for client in many:
            client.close()


def test_a_connection_waits_for_a_worker(server):
    """With all workers busy the next one is served as soon as one is free."""
    s = server.start(server.program("hold"), **ONE)
    with s.connect() as first, s.connect() as second:
        pid = read_line(first)
        first.sendall(b"x")
        assert read_line(first) == b"done\n"
        assert read_line(second) == pid


@pytest.mark.shows("hook:can_read_hook")
def test_can_read_hook_leaves_connections_to_others(server, tmp_path):
    """Two listeners, two workers, each of which takes one of them only."""
    s = server.start(server.program("roles"), sizing="static", max_servers=2, cwd=tmp_path,
                     port=["127.0.0.1:0", "127.0.0.1:0"])
    s.wait_workers(2, "idle")
    for _ in range(5):
        assert s.ask(index=0) == b"0\n"
        assert s.ask(index=1) == b"1\n"


# ---- hooks ---------------------------------------------------------------------------------


def hooks_of(s, pid=None, since=0):
    """Names and arguments of hooks as logged, of one process or all."""
    who = str(pid) if pid else r"\d+"
    found = s.find_log(rf"\[{who}\] notice: hook (.*)$", since)
    return [match.group(1) for match in found]


@pytest.mark.shows("hook:configure_hook", "hook:post_configure_hook", "hook:post_bind_hook",
                   "hook:pre_loop_hook", "hook:run_n_children_hook", "hook:pre_fork_hook",
                   "hook:register_child", "hook:idle_loop_hook", "hook:child_init_hook",
                   "hook:post_accept_hook", "hook:allow_deny_hook", "hook:process_request",
                   "hook:post_process_request_hook", "hook:post_client_connection_hook",
                   "hook:child_finish_hook", "hook:pre_server_close_hook",
                   "hook:cleanup_dead_child_hook", "hook:post_child_cleanup_hook",
                   "source:post_configure_hook", "hook:pre_bind", "hook:run_child", "hook:loop")
def test_all_hooks_in_the_documented_order(server):
    """With the arguments and the process that the contract names."""
    s = server.start(server.program("hooks"), **ONE)
    (worker,) = wait_rest(s, 1)
    assert s.ask(b"yes\n") == b"served\nstill open\n"
    wait_rest(s, 1)
    assert s.stop() == 0
    text = s.listeners[0]
    in_worker = [re.sub(r"peer=127\.0\.0\.1:\d+", "peer=P", h) for h in hooks_of(s, worker)]
    assert in_worker == [
        "child_init_hook requests=0 kind=0", "pre_accept_hook requests=0",
        "post_accept_hook peer=P", "allow_deny_hook peer=P",
        "process_request requests=1", "post_process_request_hook allowed=1 write=0",
        "post_client_connection_hook requests=1", "pre_accept_hook requests=1",
        "child_finish_hook requests=1 kind=0"]
    in_master = hooks_of(s, s.pid)
    assert in_master == [
        "configure_hook", "post_configure_hook listener=none", "after_init",
        f"post_bind_hook listener={text}", "pre_loop_hook", "run_n_children_hook n=1",
        "pre_fork_hook kind=0", f"register_child pid={worker} kind=0", "idle_loop_hook",
        "before_shutdown reason=TERM", "pre_server_close_hook",
        f"cleanup_dead_child_hook pid={worker} kind=0 slot=0 status=0 requests=1 ready=1 "
        "age=positive", f"delete_child_hook pid={worker}", "post_child_cleanup_hook"]
    assert not s.find_log("WITHOUT DATA")


@pytest.mark.shows("arg:before_shutdown")
@pytest.mark.parametrize("signum, reason", [(SIGTERM, "TERM"), (SIGINT, "INT"), (SIGQUIT, "QUIT")])
def test_before_shutdown_gets_the_reason(server, signum, reason):
    """The name of the signal."""
    s = server.start(server.program("hooks"), **ONE)
    assert s.stop(signum) == 0
    assert f"before_shutdown reason={reason}" in hooks_of(s, s.pid)


@pytest.mark.shows("hook:allow_deny_hook", "hook:request_denied_hook",
                   "hook:post_process_request_hook")
def test_a_denied_connection(server):
    """request_denied_hook instead of process_request; the rest as always."""
    s = server.start(server.program("hooks"), **ONE)
    (worker,) = wait_rest(s, 1)
    assert s.ask(b"no\n") == b"denied\nstill open\n"
    wait_rest(s, 1)
    names = [hook.split()[0] for hook in hooks_of(s, worker)]
    assert names == ["child_init_hook", "pre_accept_hook", "post_accept_hook",
                     "allow_deny_hook", "request_denied_hook", "post_process_request_hook",
                     "post_client_connection_hook", "pre_accept_hook"]
    assert "post_process_request_hook allowed=0 write=0" in hooks_of(s, worker)


@pytest.mark.shows("hook:can_read_hook")
def test_can_read_hook_is_asked_for_several_listeners(server):
    """Before accept, with a listening descriptor; with one listener it is not asked."""
    s = server.start(server.program("hooks"), **ONE, port=["127.0.0.1:0", "127.0.0.1:0"])
    (worker,) = wait_rest(s, 1)
    for index in range(2):
        assert s.ask(b"yes\n", index) == b"served\nstill open\n"
    names = [hook.split()[0] for hook in hooks_of(s, worker)]
    assert names.index("can_read_hook") < names.index("post_accept_hook")
    asked = [hook for hook in hooks_of(s, worker) if hook.startswith("can_read_hook")]
    assert asked[0] == "can_read_hook listens=1 requests=0"


@pytest.mark.shows("hook:configure_hook", "hook:post_configure_hook", "hook:post_bind_hook",
                   "hook:pre_loop_hook", "source:post_configure_hook")
@pytest.mark.parametrize("hook", ["configure_hook", "post_configure_hook", "after_init",
                                  "post_bind_hook", "pre_loop_hook"])
def test_a_hook_that_refuses_ends_the_start(server, tmp_path, hook):
    """One line with its name, exit status 78, and what was made is undone."""
    done = server.command(server.program("hooks"), f"--port={tmp_path}/s|unix", "--log_level=1",
                          f"--pid_file={tmp_path}/pid", env={"REFUSE": hook})
    assert done.returncode == 78
    lines = [line for line in done.stderr.splitlines() if " notice: " not in line]
    assert len(lines) == 1 and f"{hook} refused to start" in lines[0], done.stderr
    assert not (tmp_path / "s").exists() and not (tmp_path / "pid").exists()


@pytest.mark.shows("hook:child_finish_hook", "signal:child:TERM", "signal:child:INT",
                   "signal:child:QUIT")
@pytest.mark.parametrize("signum", [SIGTERM, SIGINT, SIGQUIT])
def test_child_finish_hook_runs_when_a_worker_is_signalled(server, signum):
    """The worker ends with 0 and another takes its place."""
    s = server.start(server.program("hooks"), **ONE)
    (worker,) = wait_rest(s, 1)
    os.kill(worker, signum)
    s.wait_log(rf"\[{worker}\] notice: hook child_finish_hook requests=0 kind=0$")
    s.wait_log(rf"cleanup_dead_child_hook pid={worker} kind=0 slot=0 status=0 ")
    s.wait_until(lambda: s.workers() not in ([], [worker]), "another worker")
    assert s.ask(b"yes\n").startswith(b"served")


def test_child_finish_hook_does_not_run_when_a_worker_is_killed(server):
    """The master's hook tells the signal."""
    s = server.start(server.program("hooks"), **ONE)
    (worker,) = wait_rest(s, 1)
    os.kill(worker, SIGKILL)
    s.wait_log(rf"cleanup_dead_child_hook pid={worker} kind=0 slot=0 signal=9 ")
    assert "child_finish_hook requests=0 kind=0" not in hooks_of(s, worker)


# ---- titles --------------------------------------------------------------------------------


@pytest.mark.shows("arg:name")
def test_titles_show_role_and_state(server):
    """For master and workers, before, while and after a connection."""
    s = server.start(server.program("hold"), sizing="static", max_servers=2)
    wait_rest(s, 2)
    assert sorted(s.titles().values()) == ["hold: master", "hold: worker idle", "hold: worker idle"]
    with s.connect() as c:
        pid = int(read_line(c))
        assert s.titles()[pid] == "hold: worker busy"
        assert sorted(s.titles().values())[1:] == ["hold: worker busy", "hold: worker idle"]
    wait_rest(s, 2)


def test_titles_are_clean_in_ps(server):
    """Nothing of the command line that was there before shows behind the title."""
    s = server.start(server.program("hold"), **ONE)
    (worker,) = wait_rest(s, 1)
    done = server.command("ps", "-ww", "-o", "args=", "-p", f"{s.pid},{worker}")
    assert sorted(line.rstrip() for line in done.stdout.splitlines()) == [
        "hold: master", "hold: worker idle"]


def test_a_title_as_long_as_the_first_word_of_the_command_line(server, tmp_path):
    """Has nothing behind it either, and shows the state."""
    program = server.program("hold")
    first_word = "./" + "x" * (len("hold: worker idle") - 2)
    (tmp_path / first_word).symlink_to(program)
    s = server.start(first_word, cwd=tmp_path, **ONE)
    (worker,) = wait_rest(s, 1)
    assert s.titles() == {s.pid: "hold: master", worker: "hold: worker idle"}
    with s.connect() as c:
        read_line(c)
        assert s.titles()[worker] == "hold: worker busy"


def test_the_name_of_the_process_is_that_of_the_server(server):
    """What top and killall show."""
    s = server.start(server.program("hold"), **ONE)
    (worker,) = wait_rest(s, 1)
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in (s.pid, worker)}
    assert names == {"hold"}


@pytest.mark.shows("method:set_label")
def test_a_program_may_show_its_own_label(server):
    """It stays over connections until it is given back."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    assert s.ask(b"label 50 % of it\n") == b"ok\n"
    assert title_of(worker) == "probe: 50 % of it"
    with Conversation(s) as c:
        assert c.ask("pid") == str(worker)
        assert title_of(worker) == "probe: 50 % of it"
        assert c.ask("unlabel") == "ok"
    wait_rest(s, 1)
    with Conversation(s) as c:
        assert c.ask("requests") == "3"
        assert title_of(worker) == "probe: worker busy"


# ---- descriptors, signals ------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_without_descriptors_keeps_nobody_waiting(server, workers):
    """It says why it cannot accept, does not spin, and the connection is served all the same:
    by another worker, or by the one that takes its place."""
    def few():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, hard))

    s = server.start(server.program("probe"), sizing="static", max_servers=workers,
                     preexec_fn=few)
    wait_rest(s, workers)
    assert s.ask(b"eat\n") == b""
    worker = s.wait_log(r"\[(\d+)\] notice: ate [1-9]\d* descriptors").group(1)
    wait_rest(s, workers)
    assert s.ask(b"pid\n") != worker.encode() + b"\n"
    assert s.wait_log(rf"\[{worker}\] warning: cannot accept on .*: Too many open files")
    assert len(s.find_log("cannot accept on")) < 20


def test_a_worker_has_nothing_of_the_masters_descriptors(server, tmp_path):
    """Standard ones, the log, listeners, its channel, the two bells, its own epoll: no more."""
    s = server.start(server.program("probe"), sizing="static", max_servers=3,
                     log_file=tmp_path / "log", pid_file=tmp_path / "pid",
                     port=["127.0.0.1:0", f"{tmp_path}/s|unix"])
    for pid in wait_rest(s, 3):
        links = sorted(re.sub(r":\[\d+\]$", "", link)
                       for fd, link in proc_fds(pid).items() if fd > 2)
        assert links == sorted(["anon_inode:[eventfd]", "anon_inode:[eventfd]",
                                    "anon_inode:[eventpoll]",
                                str(tmp_path / "log"), "socket", "socket", "socket"])


def test_replaced_workers_are_as_clean_as_the_first(server):
    """Nothing piles up from one generation of siblings to the next."""
    s = server.start(server.program("probe"), sizing="static", max_servers=2)
    first = wait_rest(s, 2)
    before = sorted(len(proc_fds(pid)) for pid in first)
    in_master = len(proc_fds(s.pid))
    for pid in first:
        os.kill(pid, SIGTERM)
    s.wait_until(lambda: not set(first) & set(s.workers()), "the end of the first workers")
    second = wait_rest(s, 2)
    assert sorted(len(proc_fds(pid)) for pid in second) == before
    assert len(proc_fds(s.pid)) == in_master


def signal_set(text):
    """Signals of a mask in /proc/PID/status."""
    mask = int(text, 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.shows("signal:child:CHLD", "signal:child:PIPE", "signal:child:TTIN",
                   "signal:child:TTOU", "signal:child:HUP", "method:child_sig_handlers")
def test_a_worker_has_nothing_of_the_masters_signals(server):
    """None blocked, those of no use to it ignored, handlers for the four that end it."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    master, status = proc_status(s.pid), proc_status(worker)
    assert signal_set(status["SigBlk"]) == set()
    assert signal_set(status["SigIgn"]) == IGNORED
    assert signal_set(status["SigCgt"]) - signal_set(master["SigCgt"]) == {SIGTERM, SIGINT, SIGQUIT,
                                                                         signal.SIGHUP}


@pytest.mark.shows("child:USR1", "child:USR2")
def test_a_worker_inherits_the_mask_the_server_was_started_with(server):
    """What the operator blocked or ignored stays so; the master's own mask does not show."""
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGHUP])
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    s = server.start(server.program("probe"), **ONE, preexec_fn=prepare)
    (worker,) = wait_rest(s, 1)
    status = proc_status(worker)
    assert signal_set(status["SigBlk"]) == {signal.SIGUSR2, signal.SIGHUP}
    assert signal_set(status["SigIgn"]) == {*IGNORED, signal.SIGUSR1}


def test_a_worker_has_the_limit_on_descriptors_the_server_was_started_with(server):
    """The master raises its own and gives the operator's back."""
    def limit():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))

    s = server.start(server.program("probe"), **ONE, preexec_fn=limit)
    (worker,) = wait_rest(s, 1)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (64, hard)
    assert resource.prlimit(s.pid, resource.RLIMIT_NOFILE) == (hard, hard)


# ---- max_requests --------------------------------------------------------------------------


@pytest.mark.shows("key:max_requests")
def test_max_requests_is_exact_without_jitter(server):
    """A worker serves as many as it says and not one more; nobody is turned away."""
    s = server.start(server.program("probe"), **ONE, max_requests=5, max_requests_jitter=0)
    pids = [int(s.ask(b"pid\n")) for _ in range(23)]
    runs = collections.Counter(pids)
    assert list(runs.values()) == [5, 5, 5, 5, 3]
    s.wait_log(r"worker \d+ ended with status 0 .* and 5 requests", count=4)


def test_jitter_shortens_and_never_lengthens(server):
    """Lives between half of max_requests and all of it."""
    s = server.start(server.program("probe"), **ONE, max_requests=10, max_requests_jitter=50)
    runs = collections.Counter()
    for _ in range(60):
        wait_rest(s, 1)
        runs[int(s.ask(b"pid\n"))] += 1
    lives = list(runs.values())[:-1]
    assert len(lives) >= 5
    assert all(5 <= life <= 10 for life in lives), lives


@pytest.mark.shows("key:max_requests")
def test_max_requests_zero_means_no_limit(server):
    """One worker serves them all."""
    s = server.start(server.program("probe"), **ONE, max_requests=0)
    assert len({s.ask(b"pid\n") for _ in range(50)}) == 1


@pytest.mark.shows("hook:post_accept")
def test_a_worker_counts_its_connections(server):
    """The current one included."""
    s = server.start(server.program("probe"), **ONE)
    assert [s.ask(b"requests\n") for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]


@pytest.mark.shows("hook:done")
def test_a_handler_that_asks_whether_it_should_stop_ends_its_worker_too(server):
    """The handler has read the request to leave; the worker leaves all the same."""
    s = server.start(server.build("""#include <prefork/prefork.h>
static void hold(struct prefork_conn *c, void *data)
{
    (void)data;
    (void)prefork_printf(c, "holding\\n");
    while (!prefork_stopping(prefork_conn_worker(c)))
        (void)prefork_wait(prefork_conn_worker(c), -1, 60);
    (void)prefork_printf(c, "stopping\\n");
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){.process_request = hold});
}
"""), **ONE, graceful_timeout=3600)
    with s.connect() as c:
        assert read_line(c) == b"holding\n"
        s.signal(SIGQUIT)
        assert read_line(c) == b"stopping\n"
        assert s.wait_exit() == 0
