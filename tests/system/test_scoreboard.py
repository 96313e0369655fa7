"""What stands on the scoreboard: one line per worker, whole and right at any moment.

The file is read with nothing but its layout (scoreboard.py, programs/score_reader.c). What may
happen to the file itself is in test_scoreboard_file.py.
"""

import os
import re
import signal
import time
from contextlib import ExitStack
from errno import EBUSY, EINVAL

import pytest

from scoreboard import NO_LISTENER, Scores
from support import campaign, is_alive, read_line, title_of, wait_until
from test_syscalls import Trace

SEED = "pool_once"  # the smallest handler


def start(server, program="hold", workers=1, **settings):
    """A static pool with a scoreboard at scores in the test's directory."""
    path = settings.setdefault("scoreboard_path", server.directory / "scores")
    s = server.start(server.program(program), sizing="static", max_servers=workers, **settings)
    return s, Scores(path)


def wait_states(s, scores, states):
    """Wait until the lines, in the order of the slots, have these letters."""
    s.wait_until(lambda: scores.states() == states, f"states {states}, not {scores.states()}")


def loops(server, workers, how, **settings):
    """Workers of score_loop.c, all past their birth."""
    s, scores = start(server, "score_loop", workers, port=None, env={"SCORE_LOOP": how}, **settings)
    s.wait_until(lambda: len(scores.states()) == workers and "S" not in scores.states(),
                 "lines of all workers")
    return s, scores


def check_of_loop(line):
    """What score_reader.c checks, of one line."""
    k = int(line.label[:16], 16) if line.label else 0
    assert line.label == (f"{k:016x}" * 5 if k else "")
    before = 6 + 8 * (line.requests - 1)
    expected = {("R", line.requests - 1): before + 2, ("R", line.requests): before + 4,
                ("W", line.requests): before + 6, ("_", line.requests): before + 8}
    assert line.sequence == expected[line.state, k], line


# ---- the lines of connections -----------------------------------------------------------


def test_the_head_says_who_serves(server):
    """And the records of all workers that there can be are in the file."""
    before = time.time() * 1e6
    s, scores = start(server)
    head = scores.head()
    assert head["magic"] == b"PREFORK\n" and head["order"] == 0x01020304 and head["version"] == 1
    assert (head["pid"], head["name"]) == (s.pid, "hold")
    assert before - 1e6 < head["started"] < time.time() * 1e6 + 1e6
    size = scores.path.stat().st_size
    assert size == head["head_bytes"] + head["records"] * head["stride"]
    assert scores.is_held()


def test_letters_and_counts_of_a_connection(server):
    """Idle, reading from the accept on, writing from the first byte of the answer on."""
    path = server.directory / "scores"
    s = server.start("echo", sizing="static", max_servers=1, scoreboard_path=path)
    scores = Scores(path)
    wait_states(s, scores, "_")
    (worker,) = s.workers()
    idle = scores.line(0)
    assert (idle.pid, idle.requests, idle.peer, idle.proto) == (worker, 0, None, "")
    assert idle.listener == NO_LISTENER and idle.request == 0 < idle.born <= idle.updated
    with s.connect() as c:
        wait_states(s, scores, "R")
        reading = scores.line(0)
        c.sendall(b"hello\n")
        assert read_line(c) == b"hello\n"
        wait_states(s, scores, "W")
        writing = scores.line(0)
        assert writing.peer == c.getsockname() and writing.local is None  # nobody asked for it
    wait_states(s, scores, "_")
    done = scores.line(0)
    assert (reading.requests, writing.requests, done.requests) == (1, 1, 1)
    assert (reading.proto, reading.listener) == ("tcp", 0)
    assert idle.updated <= reading.request <= reading.updated <= writing.updated <= done.updated
    assert idle.born == done.born and idle.pid == done.pid


def test_a_label_stands_in_the_line(server):
    """Up to its 87 bytes, while the title shows it as well."""
    s, scores = start(server, "score_guest")
    with s.connect() as c:
        c.sendall(b"label counting sheep\n")
        assert read_line(c) == b"ok\n"
        assert scores.line(0).label == "counting sheep"
        c.sendall(b"label " + b"x" * 100 + b"\n")
        assert read_line(c) == b"ok\n"
        assert scores.line(0).label == "x" * 87


def test_letters_of_a_program(server):
    """Its own are taken; those that mean something else to readers are not, nor is the end of
    a connection a matter of letters."""
    s, scores = start(server, "score_guest")

    def say(letter):
        c.sendall(b"state " + letter + b"\n")
        return read_line(c), scores.line(0).state

    with s.connect() as c:
        assert say(b"Q") == (b"state 0\n", "Q")
        for letter in b"SLD?\x01\x7f":
            assert say(bytes([letter])) == (f"state {-EINVAL}\n".encode(), "Q")
        assert say(b"_") == (f"state {-EBUSY}\n".encode(), "Q")
        assert say(b"R") == (b"state 0\n", "W")  # the answer about it is one


def test_a_unix_socket_has_no_numbers(server):
    """The ends of such a connection are unknown; the protocol says why."""
    s, scores = start(server, port=f"{server.directory}/s|unix")
    with s.connect() as c:
        read_line(c)
        wait_states(s, scores, "W")
        line = scores.line(0)
        assert (line.proto, line.peer, line.local) == ("unix", None, None)


def test_the_line_of_a_killed_worker_is_cleaned(server):
    """Its slot is the next one's, and the totals keep what it did."""
    s, scores = start(server)
    with s.connect() as c:
        pid = int(read_line(c))
        assert scores.by_pid()[pid].requests == 1
        os.kill(pid, signal.SIGKILL)
        s.wait_until(lambda: scores.states() == "_" and pid not in scores.by_pid(), "another")
    (worker,) = s.wait_workers(1)
    assert (scores.line(0).pid, scores.line(0).requests) == (worker, 0)
    s.wait_until(lambda: scores.totals()["births"] == 2, "two births")
    totals = scores.totals()
    assert (totals["requests"], totals["stopping"], totals["used"]) == (1, 0, 1)


def test_a_slot_that_nobody_has_is_zero(server):
    """A pool that shrinks leaves no line behind."""
    s, scores = start(server, workers=3)
    s.wait_until(lambda: scores.states() == "___", "three")
    s.signal(signal.SIGTTOU)
    s.wait_until(lambda: len(scores.states()) == 2, "two")
    head = scores.head()
    free = ({0, 1, 2} - {line.slot for line in scores.lines()}).pop()
    at = head["head_bytes"] + free * head["stride"]
    page = scores.path.read_bytes()[at:at + head["stride"]]
    assert not any(page[8:])


def test_the_end_is_told_while_a_request_runs(server):
    """Whoever reads knows that a stop was asked for."""
    s, scores = start(server)
    with s.connect() as c:
        read_line(c)
        s.signal(signal.SIGQUIT)
        s.wait_until(lambda: scores.totals()["stopping"] == 1, "the word")
        assert scores.states() == "W"
        c.sendall(b"x")
    assert s.wait_exit() == 0
    assert not scores.path.exists()


def test_programs_that_accept_by_themselves_have_a_line(server):
    """They say nothing, so the master writes it, and clears it when they end."""
    path = server.directory / "scores"
    s = server.serve(server.program("acceptor", library=False), handler="wait", sizing="static",
                     max_servers=2, scoreboard_path=path)
    scores = Scores(path)
    wait_states(s, scores, "??")
    workers = s.wait_workers(2)
    assert sorted(scores.by_pid()) == workers
    line = scores.by_pid()[workers[0]]
    assert (line.requests, line.listener, line.label) == (0, NO_LISTENER, "") and line.born > 0
    os.kill(workers[0], signal.SIGKILL)
    s.wait_until(lambda: workers[0] not in scores.by_pid() and scores.states() == "??", "another")


# ---- weaknesses -------------------------------------------------------------------------


def test_P01_every_snapshot_is_right(server):
    """Ten workers and more that update twenty times a second: there every snapshot was wrong,
    several children had one record, and foreign pids stood in others' records."""
    s, scores = loops(server, 12, "calm")
    workers = s.wait_workers(12)
    last = {pid: 0 for pid in workers}

    def snapshot():
        lines = scores.by_pid()
        assert sorted(lines) == workers
        for pid, line in lines.items():
            if line.requests > 0:
                check_of_loop(line)
            assert line.requests >= last[pid]
            last[pid] = line.requests
        return min(last.values()) >= 5
    s.wait_until(snapshot, "five rounds of each of them")


def test_P20_counts_are_as_wide_as_they_need_to_be(server):
    """There they began anew at 65536, in another byte order than the rest."""
    s, scores = loops(server, 1, "fast")
    s.wait_until(lambda: scores.line(0).requests > 70000, "more than 16 bits")
    line = scores.line(0)
    check_of_loop(line)
    assert scores.line(0).requests >= line.requests


def test_P23_workers_that_never_report_are_counted(server):
    """There they were nobody: neither of the total nor idle."""
    s, scores = loops(server, 3, "silent")
    assert sorted(scores.by_pid()) == s.wait_workers(3)
    assert scores.states() == "___"


def test_P23_every_other_letter_is_busy(server):
    """Here too; the difference is who says so for connections: the library."""
    s, scores = start(server, "score_loop", 2, port=None, env={"SCORE_LOOP": "Q"})
    wait_states(s, scores, "QQ")
    assert [line.requests for line in scores.lines()] == [1, 1]
    assert s.wait_workers(2, "busy")
    s.stop()
    s, scores = start(server, "hold")
    with s.connect() as c:
        pid = int(read_line(c))
        assert scores.by_pid()[pid].state == "W" and title_of(pid).endswith("worker busy")


# ---- nobody can harm another ------------------------------------------------------------


def test_campaign_scoreboard_nothing_is_torn(server):
    """Many workers change their lines as fast as they can, and of all snapshots of all of
    them not one mixes two moments."""
    workers, snapshots, seconds = campaign((16, 5000, 1), (64, 100000, 20))
    s, scores = loops(server, workers, "fast", start_timeout=0)
    reader = server.program("score_reader", "-O2", library=False)
    done = server.command(reader, scores.path, workers, snapshots, seconds, timeout=900)
    print(done.stdout)
    found = re.fullmatch(r"snapshots (\d+), whole (\d+), unsettled (\d+), torn (\d+), last (\d+)\n",
                         done.stdout)
    assert found and done.returncode == 0, done.stdout
    taken, whole, unsettled, torn, last = map(int, found.groups())
    assert taken >= snapshots and whole + unsettled == workers * taken and torn == 0
    assert whole > workers * taken / 2 and last > 10
    assert len(s.workers()) == workers


def test_what_a_worker_scribbles_is_its_own_harm(server):
    """Random bytes over all that it shares with the master: the pool serves on, other lines
    stay as they are, and its own is right again with the next change."""
    s, scores = start(server, "score_guest", 3)
    wait_states(s, scores, "___")
    with ExitStack() as stack:
        connections = [stack.enter_context(s.connect()) for _ in range(3)]
        for c in connections:
            c.sendall(b"label quiet\n")
            assert read_line(c) == b"ok\n"
        before = scores.by_pid()
        guilty = next(line for line in before.values()
                      if line.peer == connections[0].getsockname())
        connections[0].sendall(b"scribble\n")
        assert read_line(connections[0]) == b"2 ok\n"
        others = [line for line in before.values() if line.pid != guilty.pid]
        assert [scores.line(line.slot) for line in others] == others
        connections[0].sendall(b"label loud\n")
        assert read_line(connections[0]) == b"ok\n"
        after = scores.by_pid()
        assert sorted(after) == sorted(before)
        assert (after[guilty.pid].label, after[guilty.pid].requests) == ("loud", 1)
        assert [scores.line(line.slot) for line in others] == others
    wait_states(s, scores, "___")
    assert s.ask(b"label x\n") == b"ok\n"


def test_what_a_dead_worker_scribbled_goes_with_it(server):
    """Also what was left half written."""
    s, scores = start(server, "score_guest", 2)
    with s.connect() as c:
        c.sendall(b"label x\n")
        read_line(c)
        guilty = next(line for line in scores.lines() if line.label == "x")
        c.sendall(b"scribble\n")
        assert read_line(c) == b"2 ok\n"
        os.kill(guilty.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(guilty.pid), "its end")
    s.wait_workers(2)
    wait_states(s, scores, "__")
    assert sorted(scores.by_pid()) == s.workers()
    head = scores.head()
    at = head["head_bytes"] + guilty.slot * head["stride"]
    assert not any(scores.path.read_bytes()[at + 200:at + head["stride"]])
    assert s.ask(b"label x\n") == b"ok\n"


# ---- what it costs ----------------------------------------------------------------------


@pytest.mark.parametrize("published", [False, True])
def test_a_scoreboard_costs_no_system_call(server, tmp_path, published):
    """Neither in a worker, per connection, nor in the master, which sleeps."""
    where = {"scoreboard_path": tmp_path / "scores"} if published else {}
    s = server.start(server.program(SEED), sizing="static", max_servers=1, log_level=2, **where)
    s.ask(b"hello")
    (worker,) = s.wait_workers(1, "idle")
    with Trace(s.pid, tmp_path / "trace.master") as master, \
            Trace(worker, tmp_path / "trace") as trace:
        for _ in range(100):
            with s.connect() as c:
                c.sendall(b"hello")
                assert c.recv(64) == b"hello" and c.recv(64) == b""
        wait_until(lambda: trace.path.read_text().count("close(") == 100, "the last close")
    calls = {name: trace.calls.count(name) for name in set(trace.calls)}
    assert calls.pop("epoll_wait") in (99, 100, 101)  # the last one may be under way
    assert calls == {"accept4": 100, "recvfrom": 100, "sendto": 100, "close": 100}
    assert master.calls == []
