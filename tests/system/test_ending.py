"""The end: of a server that is asked to stop, and of one whose master was killed.

The ladder of a stop is doors closed, running requests finished, SIGTERM, SIGKILL. Each test
keeps a worker on one of its rungs, with a client that holds it or with a worker that does
not hear SIGTERM, and looks at what the log says and at who is still there. Timeouts that are
not to be reached are long, so a test that came past one would not end in time.

After kill -9 of the master nobody tells a worker anything: what it does then it does because
it noticed by itself.
"""

import re
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM

import pytest

from clients import Gate, ask_pid, clients, is_shut, lines  # noqa: F401
from support import ANY_PORT, is_alive, wait_until

LONG = {"graceful_timeout": 1000, "stop_timeout": 1000, "kill_timeout": 1000}
STOPS = [(SIGQUIT, "graceful_timeout"), (SIGTERM, "stop_timeout"), (SIGINT, "stop_timeout")]


def start(server, **settings):
    """The test program with three workers and long timeouts."""
    return server.start(server.program("pool"), {**LONG, "min_servers": 3, **settings})


def all_gone(pids):
    """None of them lives any more."""
    return not any(is_alive(pid) for pid in pids)


# ---- asked to stop ----


@pytest.mark.shows("signal:parent:TERM", "signal:parent:INT", "signal:parent:QUIT",
                   "hook:close_children", "hook:shutdown_sockets")
@pytest.mark.parametrize("signum", [SIGQUIT, SIGTERM, SIGINT])
def test_running_requests_finish_and_nobody_else_gets_in(server, clients, signum):
    s = start(server)
    held = clients.hold(s, 2)
    address = s.address
    s.signal(signum)
    wait_until(lambda: is_shut(address), "a closed door")
    s.wait_until(lambda: s.workers() == sorted(held), "the idle workers to be gone")
    for pid, client in held.items():
        assert client.finish() == [str(pid), "done"]
    assert s.wait_exit() == 0
    assert not s.find_log("sent SIG")


@pytest.mark.shows("signal:parent:TERM", "signal:parent:QUIT", "signal:parent:QUIT-deadline",
                   "hook:close_children")
@pytest.mark.parametrize("signum, timeout", STOPS)
def test_who_does_not_finish_gets_sigterm(server, clients, signum, timeout):
    s = start(server, **{timeout: 0.2})
    held, _ = clients.say(s, "hold")
    s.signal(signum)
    assert s.wait_exit() == 0
    assert held.is_cut()
    assert s.wait_log(r"sent SIGTERM to \d+ workers?: the server stops")
    assert not s.find_log("sent SIGKILL")


@pytest.mark.parametrize("signum, timeout", STOPS)
def test_who_does_not_hear_sigterm_gets_sigkill(server, clients, signum, timeout):
    s = start(server, **{timeout: 0.1, "kill_timeout": 0.2})
    clients.say(s, "stubborn")
    s.signal(signum)
    assert s.wait_exit() == 0
    assert s.wait_log(r"sent SIGTERM to \d+ workers?: the server stops(?s:.)*"
                      "sent SIGKILL to 1 worker: the server stops")


@pytest.mark.shows("signal:parent:second-INT")
def test_each_further_signal_goes_one_step_further(server, clients):
    s = start(server)
    clients.say(s, "stubborn")
    for signum, step in [(SIGQUIT, "SIGQUIT: stopping$"), (SIGTERM, "SIGTERM: stopping faster"),
                         (SIGTERM, "sent SIGTERM to 1 worker")]:
        mark = s.mark()
        s.signal(signum)
        s.wait_log(step, since=mark)
        s.wait_workers(1)  # the stubborn one
    s.signal(SIGTERM)
    assert s.wait_exit() == 0
    assert s.wait_log("sent SIGKILL to 1 worker")


@pytest.mark.shows("signal:parent:QUIT-deadline")
def test_term_shortens_a_quit(server, clients):
    s = start(server, stop_timeout=0.1)
    held, _ = clients.say(s, "hold")
    s.signal(SIGQUIT)
    s.wait_log("SIGQUIT: stopping")
    s.signal(SIGTERM)
    assert s.wait_exit() == 0
    assert held.is_cut()


def test_a_stop_does_not_wait_for_workers_that_are_starting(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = server.start(server.program("pool"), LONG, stop_timeout=0.1, wait="starting",
                     env={"POOL_GATE": str(gate)}, min_servers=2)
    s.wait_workers(2)
    assert s.stop() == 0
    assert s.wait_log("sent SIGTERM to 2 workers: the server stops")


@pytest.mark.shows("hook:child_finish_hook")
def test_every_worker_runs_its_child_finish_hook(server, clients, tmp_path):
    s = server.start(server.program("pool"), LONG, min_servers=3,
                     env={"POOL_FINISH": str(tmp_path / "finish")})
    pids = s.wait_workers(3)
    assert s.stop() == 0
    assert sorted(int(line[0]) for line in lines(tmp_path / "finish")) == pids


@pytest.mark.shows("hook:shutdown_sockets")
def test_the_path_of_a_unix_socket_is_gone_after_the_stop(server, tmp_path):
    s = start(server, port=tmp_path / "sock")
    assert ask_pid(s) in s.workers()
    assert s.stop() == 0
    assert not (tmp_path / "sock").exists()


# ---- programs ----

LEAVE_BEHIND = r"""
sleep 1000 & echo child $!
setsid sleep 1000 & echo session $!
( setsid sh -c 'sleep 1000 & echo $! > "$0.pid"' "$0" & wait )
echo daemon $(cat "$0.pid")
read line
"""


def test_nothing_a_program_started_outlives_the_stop(server, clients):
    s = server.serve(server.script(LEAVE_BEHIND), LONG, stop_timeout=0.1, min_servers=1)
    client = clients.send(s, "")
    left = [int(client.hear()[1]) for _ in range(3)]
    assert all(is_alive(pid) for pid in left)
    assert s.stop() == 0
    assert all_gone(left)


def test_leftovers_of_finished_programs_end_with_the_server(server, clients):
    s = server.serve(server.script(LEAVE_BEHIND), LONG, min_servers=1, max_servers=1)
    client = clients.send(s, "")
    left = [int(client.hear()[1]) for _ in range(3)]
    client.socket.sendall(b"\n")
    s.wait_workers(1, "idle")
    assert s.stop() == 0
    assert all_gone(left)


def test_a_leftover_that_ignores_sigterm_is_killed(server):
    script = server.script("""setsid sh -c 'trap "" TERM; echo $$; exec >&-; sleep 1000' """)
    s = server.serve(script, LONG, kill_timeout=0.2, stop_timeout=0.1, min_servers=1)
    with s.connect() as connection:
        left = int(connection.makefile().readline())
        assert s.stop() == 0
    assert all_gone([left])


# ---- the master was killed ----


def kill_master(s):
    """kill -9, and its pids: (workers, address)."""
    pids, address = s.workers(), s.address if s.listeners else None
    s.signal(SIGKILL)
    assert s.wait_exit() == -SIGKILL
    return pids, address


def _start_shape(server, shape, **settings):
    if shape == "callback":
        return start(server, **settings)
    if shape == "nowait":
        script = server.script('read word; echo $$ holds; read line; echo $$ done')
        return server.serve(script, LONG, min_servers=3, **settings)
    return server.serve(server.program("pool_wait", library=False), LONG, handler="wait",
                        min_servers=3, **settings)


@pytest.mark.shows("hook:shutdown_sockets", "hook:server_close")
@pytest.mark.parametrize("shape", ["callback", "nowait", "wait"])
def test_idle_workers_leave_at_once_and_the_port_is_free(server, shape):
    s = _start_shape(server, shape)
    s.wait_workers(3)
    pids, address = kill_master(s)
    wait_until(lambda: all_gone(pids), "the workers to leave")
    assert is_shut(address)


@pytest.mark.parametrize("shape", ["callback", "nowait", "wait"])
def test_a_busy_worker_finishes_its_connection_first(server, clients, shape):
    s = _start_shape(server, shape)
    s.wait_workers(3)
    client, _ = clients.say(s, "hold")
    pids, address = kill_master(s)
    wait_until(lambda: sum(map(is_alive, pids)) == 1, "the idle workers to leave")
    assert client.finish()[-1] == "done"
    wait_until(lambda: all_gone(pids), "the last worker to leave")
    assert is_shut(address)


def test_main_loops_leave_when_they_wait(server):
    s = server.start(server.program("pool_loop"), LONG, port=None, min_servers=3,
                     max_servers=3)
    s.wait_log(r"\d+ did it", count=3)
    pids, _ = kill_master(s)
    wait_until(lambda: all_gone(pids), "the workers to leave")
    assert len(s.find_log(r"\d+ leaves")) == 3


def test_main_loops_finish_their_work_first(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = server.start(server.program("pool_loop"), LONG, port=None, min_servers=2,
                     max_servers=2, env={"LOOP_GATE": str(gate)})
    s.wait_log(r"\d+ works", count=2)
    pids, _ = kill_master(s)
    assert all(map(is_alive, pids)) and not s.find_log("leaves")
    gate.open()
    wait_until(lambda: all_gone(pids), "the workers to leave")
    assert len(s.find_log(r"\d+ did it")) == len(s.find_log(r"\d+ leaves")) == 2


# ---- exit codes ----


@pytest.mark.shows("hook:server_exit")
@pytest.mark.parametrize("words, code, sentence", [
    (["stray"], 64, 'unexpected word "stray"'),
    (["--no_such_setting", "1"], 64, "no.such.setting"),
    (["--min_servers", "9", "--max_servers", "3"], 78, "min_servers 9 .* is more than"),
    (["--min_servers", "many"], 78, '--min-servers: "many" is not a whole number'),
    (["--conf_file", "/nowhere/at/all.conf"], 78, "/nowhere/at/all.conf"),
    (["--log_file", "/nowhere/at/all.log"], 71, "/nowhere/at/all.log"),
    (["--version"], 0, ""),
    (["--help"], 0, ""),
])
def test_exit_codes_of_a_server_that_does_not_start(server, words, code, sentence):
    done = server.command(server.program("pool"), "--port", ANY_PORT, *words)
    assert (done.returncode, bool(re.search(sentence, done.stderr))) == (code, True), done.stderr


@pytest.mark.shows("hook:server_exit", "hook:bind")
def test_exit_code_when_the_port_is_taken(server):
    s = start(server)
    done = server.command(server.program("pool"), "--port", f"127.0.0.1:{s.port}")
    assert done.returncode == 71 and str(s.port) in done.stderr


def test_exit_code_when_no_worker_becomes_ready(server, tmp_path):
    sick = tmp_path / "sick"
    sick.touch()
    done = server.command(server.program("pool"), "--port", ANY_PORT, "--background",
                          env={"POOL_SICK": str(sick)})
    assert done.returncode == 69 and "no worker became ready" in done.stderr


@pytest.mark.parametrize("program", ["/nowhere/handler", "no-such-program", "/"])
def test_exit_code_when_there_is_no_program(server, program):
    done = server.prefork("serve", "--port", ANY_PORT, program)
    assert done.returncode == 78 and program in done.stderr
