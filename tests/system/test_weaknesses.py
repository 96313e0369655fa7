"""Weaknesses of the two systems that prefork takes over from, one test for each.

W and P numbers are rows of the tables in our references: what was wrong with Net::Server
(W) and with SHARYANTO::Proc::Daemon::Prefork (P). The first sentence of each docstring says
what happened there, the second what prefork does instead; the test shows the second on
real processes. Rows about things that do not exist here, or that other files test, have no
test in this file.

Timers that could do a test's work by themselves are set out of reach: what happens here
happens because of an event.
"""

import os
import re
import resource
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGTTIN, SIGTTOU

import pytest

from clients import (Load, Watch, ask_pid, children_of, choose_worker, clients,  # noqa: F401
                     is_shut, is_zombie, lines, zombies_of)
from support import ANY_PORT, is_alive, proc_status, wait_until

NEVER = {"check_for_waiting": 1000, "spare_timeout": 1000, "check_for_spawn": 1000,
         "min_child_ttl": 0, "stop_timeout": 0.2, "kill_timeout": 1}


def start(server, env=(), wait="ready", **settings):
    """The test program with timers out of reach."""
    return server.start(server.program("pool"), {**NEVER, **settings}, wait=wait,
                        env={key: str(value) for key, value in dict(env).items()})


def kill(pid, signum=SIGKILL):
    """A signal to a process that may be gone."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


def doubling_pauses(s):
    """Seconds of pause that follow the third to sixth failure in a row."""
    return [float(s.wait_log(rf" {streak} bad starts in a row; next try in (\S+) s").group(1))
            for streak in range(3, 7)]


def stop_and_wait(pid):
    """SIGSTOP, and until it stands still."""
    os.kill(pid, SIGSTOP)
    wait_until(lambda: proc_status(pid)["State"].startswith("T"), "a stopped process")


# ---- Net::Server ----


def test_W01_news_that_came_while_the_master_was_away_are_all_heard(server, clients):
    """The parent read one status line per wake-up and believed old numbers for seconds.
    Here the slots are the truth: after any pause the first look sees all of them."""
    s = start(server, min_servers=5, min_spare_servers=2)
    s.wait_workers(5, "idle")
    stop_and_wait(s.pid)
    held = clients.hold(s, 5)
    s.signal(SIGCONT)
    s.wait_until(lambda: len(s.workers("idle")) >= 2, "two spares")
    assert set(held) <= set(s.workers("busy"))


@pytest.mark.parametrize("setting", ["min_servers=80", "max_servers=3", "max_servers=1",
                                     "min_spare_servers=9", "max_spare_servers=70"])
def test_W02_one_number_alone_never_contradicts_the_defaults(server, setting):
    """Changing only min_servers or max_servers made the server refuse to start. Here
    defaults move out of the way of what was set, and a line says so."""
    done = server.prefork("check", f"--{setting}")
    key, value = setting.split("=")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^{key}\W+{value}\b", done.stdout, re.MULTILINE)
    assert re.search(rf"(raised|lowered) to \d+ because {key} is {value}", done.stderr)


@pytest.mark.parametrize("words, sentence", [
    (["--min_servers=9", "--max_servers=4"], "min_servers 9 .* is more than max_servers 4"),
    (["--max_servers=0"], r"max-servers: .*1 to 100000"),
    (["--max_servers=-1"], r"max-servers: .*-1.*1 to 100000"),
    (["--min_servers=5x"], r'min-servers: "5x"'),
])
def test_W03_nonsense_is_refused_by_name_and_range(server, words, sentence):
    """min above max was accepted and garbage was silently replaced. Here either is an error
    that names the setting, the value and what is allowed."""
    done = server.command(server.program("pool"), "--port", ANY_PORT, *words)
    assert done.returncode == 78 and re.search(sentence, done.stderr), done.stderr


def test_W04_a_worker_asked_to_leave_serves_what_it_accepted(server):
    """A signal to leave that hit between accept and the busy flag lost the connection. Here
    the request comes on a channel that is looked at only between two connections."""
    s = start(server, min_servers=4, max_servers=8, max_recycling=4)
    with Load(s, word="pid") as load:
        for _ in range(12):
            old = set(s.workers())
            s.signal(SIGHUP)
            s.wait_until(lambda o=old: not o & set(s.workers()), "new workers")
            load.wait_for(5)
    assert load.failures == []


def test_W04_a_worker_that_leaves_strands_no_connection(server):
    """The other half of it: the kernel wakes one worker for a connection, and if that one
    leaves instead, nobody else is told. Here it first takes what it was woken for."""
    s = start(server, sizing="static", max_servers=40, accept_order="fair")
    s.wait_workers(40, "idle")
    with Load(s, 1, word="pid") as load:
        for left in range(39, 1, -1):
            mark = s.mark()
            s.signal(SIGTTOU)
            s.wait_log(rf"max_servers {left}$", since=mark)
            load.wait_for(2)
    assert load.failures == []


@pytest.mark.shows("signal:deferred")
def test_W05_every_signal_is_acted_on_at_once(server):
    """A signal between the look at the flag and the wait slept for up to ten seconds. Here
    signals are an event like others; no timer of this server ends within the test."""
    s = start(server, min_servers=1)
    for n in range(60):
        mark, signum = s.mark(), SIGTTIN if n % 2 == 0 else SIGTTOU
        s.signal(signum)
        s.wait_log(f"{signum.name}: min_servers", since=mark, timeout=5)


def test_W06_a_crash_loop_is_slowed_down(server, tmp_path):
    """Workers that crashed at birth were forked again at once and for ever. Here one is
    tried at a time, and the pause before each doubles."""
    (tmp_path / "abort").touch()
    s = start(server, {"POOL_ABORT": tmp_path / "abort", "POOL_BIRTHS": tmp_path / "births"},
              wait="starting", min_servers=4)
    pauses = doubling_pauses(s)
    assert all(b > a for a, b in zip(pauses, pauses[1:]))
    assert len(lines(tmp_path / "births")) <= 4 + 4 + 5  # not hundreds
    (tmp_path / "abort").unlink()
    s.wait_workers(4, "idle")


def test_W07_killing_workers_never_stops_the_others_from_accepting(server):
    """Whoever was killed while holding the accept token took it along for ever. Here there
    is none; after each kill the next client is served."""
    s = start(server, min_servers=3, max_servers=3)
    with Load(s, 2, word="pid") as load:
        for _ in range(40):
            kill(choose_worker(s))
            load.wait_for(3)
    assert len(load.failures) <= 40
    assert ask_pid(s) > 0


def test_W09_an_error_in_one_worker_is_the_end_of_that_worker_only(server, clients):
    """A fatal error in one child sent SIGINT to the parent. Here it is that worker's exit;
    the master replaces it and all others stay."""
    s = start(server, min_servers=4)
    before = set(s.wait_workers(4, "idle"))
    held = clients.hold(s, 1)
    for word in ["exit\n", "crash\n"]:
        assert clients.send(s, word).is_cut()
    exited = s.wait_log(r"worker (\d+) ended with status 3 ").group(1)
    crashed = s.wait_log(r"worker (\d+) killed by signal 6 ").group(1)
    s.wait_until(lambda: len(s.workers("idle")) >= 3, "replacements")
    assert before - set(s.workers()) <= {int(exited), int(crashed)}
    assert set(held) <= set(s.workers())


def test_W10_a_graceful_stop_has_a_deadline_and_tidies_up(server, clients, tmp_path):
    """QUIT waited without end, kept new clients hanging, and INT left the pid file. Here
    new clients are refused, the deadline holds, and the pid file is gone."""
    s = start(server, min_servers=2, graceful_timeout=0.3, pid_file=tmp_path / "pid")
    address = s.address
    held, _ = clients.say(s, "hold")
    s.signal(SIGQUIT)
    wait_until(lambda: is_shut(address), "a closed door")
    assert s.wait_exit() == 0
    assert held.is_cut() and not (tmp_path / "pid").exists()


@pytest.mark.parametrize("signum", [SIGHUP, SIGTERM])
def test_W15_neither_hup_nor_term_cuts_a_request(server, clients, signum):
    """HUP and TERM cut requests in progress. Here both leave them their time."""
    s = server.start(server.program("pool"), {**NEVER, "stop_timeout": 1000}, min_servers=2)
    held, pid = clients.say(s, "hold")
    others = set(s.wait_workers(3)) - {pid}
    s.signal(signum)
    s.wait_until(lambda: not others & set(s.workers()), "the idle ones to be gone")
    assert held.finish() == [str(pid), "done"]
    assert s.wait_until(lambda: not is_alive(pid), "its end")
    if signum == SIGTERM:
        assert s.wait_exit() == 0


def _lives(server, path, jitter):
    s = start(server, {"POOL_ENDS": path}, sizing="static", max_servers=8, max_recycling=8,
              max_requests=40, max_requests_jitter=jitter)
    with Load(s, word="pid"):
        s.wait_until(lambda: len(lines(path)) >= 16, "sixteen ends")
    ends = [int(line[2]) for line in lines(path)[:16]]
    s.stop()
    return ends


def test_W16_jitter_spreads_the_ends_of_workers(server, tmp_path):
    """Workers that started together retired together. Here max_requests is shortened by a
    random part for each, never lengthened, and without jitter it is exact."""
    assert set(_lives(server, tmp_path / "exact", 0)) == {40}
    spread = _lives(server, tmp_path / "spread", 90)
    assert len(set(spread)) > 3 and 4 <= min(spread) and max(spread) <= 40


def test_W17_max_servers_is_exact(server, clients):
    """The Fork personality ran one child more than max_servers. Here zombies and workers on
    their way out count too."""
    s = start(server, min_servers=1, max_servers=3, max_requests=5, max_recycling=3)
    with Watch(s) as watch, Load(s, 9) as load:
        load.wait_for(150)
    assert watch.most == 3 and load.failures == []


def test_W18_a_refused_fork_is_not_the_end(server, clients):
    """A fork that failed stopped the whole server. Here it is logged, tried again later, and
    the pool is whole when there is room; in this test descriptors run out."""
    s = start(server, min_servers=2, max_servers=8)
    s.wait_workers(2, "idle")
    soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (3, hard))
    held = clients.hold(s, 2)
    s.wait_log("cannot start a worker: Too many open files", count=2)
    assert s.workers() == sorted(held)
    resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert ask_pid(s) not in held


def _few_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))  # the soft one is what workers have


def test_W19_a_worker_out_of_descriptors_does_not_stall_the_others(server, clients):
    """A failing accept slept for a second with the accept lock held. Here the worker leaves
    the door to the others, and is still there to be asked to leave."""
    s = server.start(server.program("pool"), NEVER, min_servers=3, max_servers=3,
                     preexec_fn=_few_descriptors)
    s.wait_workers(3, "idle")
    _, full = clients.say(s, "full")
    answers = {ask_pid(s) for _ in range(20)}
    assert answers and full not in answers
    assert s.stop() == 0


@pytest.mark.parametrize("port", ["tcp", "unix"])
def test_W20_idle_workers_notice_that_the_master_is_gone(server, tmp_path, port):
    """Idle children served one more connection each before they noticed; until then the port
    was taken. Here they wait for the master as well, and nobody has to connect."""
    s = start(server, min_servers=5, port=ANY_PORT if port == "tcp" else tmp_path / "sock")
    pids, address = s.wait_workers(5), s.address
    s.signal(SIGKILL)
    assert s.wait_exit() == -SIGKILL
    wait_until(lambda: not any(map(is_alive, pids)), "the workers to leave")
    assert is_shut(address)


def test_W22_growth_is_as_large_as_the_need(server, clients):
    """Growth topped up one worker for each message. Here one look sees the whole queue, and
    as many workers are started at once."""
    s = start(server, min_servers=5, max_servers=60)
    s.wait_workers(5, "idle")
    stop_and_wait(s.pid)
    crowd = [clients.send(s, "hold\n") for _ in range(35)]
    s.wait_workers(5, "busy")
    s.signal(SIGCONT)
    assert len({client.hear_pid() for client in crowd}) == 35
    births = s.wait_log(r"started (\d+) workers?: connections are waiting")
    assert int(births.group(1)) >= 25


def test_W23_shrinking_follows_its_settings(server, clients):
    """Two hard-wired timers, 10 and 30 seconds, limited it, and victims were arbitrary. Here
    both are settings and the longest idle go: those that never served."""
    s = start(server, min_servers=2, min_spare_servers=2, spare_timeout=0.2,
              check_for_spawn=0.1)
    held = clients.hold(s, 4)
    (first, one), *others = held.items()
    for _, client in others:
        client.finish()
    s.wait_workers(3)
    assert first in s.workers() and one.finish()[-1] == "done"
    s.wait_workers(2)


def test_W24_a_hung_request_is_ended_with_all_it_started(server, clients):
    """A hung child kept its place for ever. Here request_timeout ends it, first by SIGTERM
    and then by SIGKILL, and a program with its children as well."""
    script = server.script("trap '' TERM; sleep 1000 & echo $!; wait; wait; sleep 1000")
    s = server.serve(script, NEVER, min_servers=2, request_timeout=0.2, kill_timeout=0.2)
    client, child = clients.say(s, "")
    assert client.is_cut()
    wait_until(lambda: not is_alive(child), "the end of what the program started")
    s.wait_log("sent SIGKILL to 1 worker: still there")
    s.wait_until(lambda: len(s.workers("idle")) == 2, "a replacement")


# ---- SHARYANTO::Proc::Daemon::Prefork ----


def test_P02_deaths_do_not_make_timers_run_faster(server, clients):
    """Sleeping was cut short by every death, so timers ran fast when children died. Here
    deadlines are moments of a clock: more deaths than two windows have seconds end none."""
    s = start(server, prefork=2, max_children=100, max_spare_servers=4, check_for_waiting=30,
              spare_timeout=30)
    for client in clients.hold(s, 80).values():
        client.finish()
    pids = s.wait_until(lambda: s.workers() if not s.workers("busy") else None, "idle workers")
    for pid in pids[:70]:
        kill(pid)
        s.wait_log(f"worker {pid} killed by signal 9")
    assert set(pids[70:]) <= set(s.workers())
    assert not s.find_log("asked to leave")


def test_P03_the_pool_grows_when_it_is_needed(server, clients):
    """Growth was polled for, four seconds late on average. Here the worker that leaves too
    few spares wakes the master; no timer of this server ends within the test."""
    s = start(server, prefork=2, min_spare_servers=2, max_children=12)
    for count in range(1, 9):
        clients.hold(s, 1)
        s.wait_until(lambda n=count: len(s.workers("idle")) >= 2 <= len(s.workers()) - n,
                     "two spares", timeout=5)


def test_P04_neither_floor_nor_ceiling_is_ever_crossed(server, clients):
    """A misspelt counter let the pool overshoot and shrink without bound. Here both hold
    while workers are killed under load, and while the pool shrinks."""
    s = start(server, prefork=3, min_spare_servers=1, max_children=6, spare_timeout=0.2,
              check_for_spawn=0.1)
    with Watch(s) as watch, Load(s, 12) as load:
        for _ in range(20):
            kill(choose_worker(s))
            load.wait_for(5)
    assert watch.most <= 6
    with Watch(s) as watch:
        s.wait_log("asked to leave .*: not needed")
        watch.settle(3)
        s.wait_workers(3, "idle")
    assert watch.least == 3


def test_P05_a_peak_is_not_for_ever(server, clients):
    """Shrinking was disabled, so the largest pool there ever was stayed. Here it goes back
    to min_servers, peak after peak."""
    s = start(server, prefork=2, spare_timeout=0.2, check_for_spawn=0.1)
    for _ in range(2):
        for client in clients.hold(s, 12).values():
            client.finish()
        s.wait_workers(2)


def test_P06_eight_workers_killed_at_once_are_all_reaped(server):
    """One wait per SIGCHLD left seven zombies of eight children, and a pool that believed in
    them. Here the kernel is asked until nobody is left."""
    s = start(server, prefork=8, max_children=8)
    old = s.wait_workers(8, "idle")
    for pid in old:
        kill(pid)
    s.wait_until(lambda: not set(old) & set(children_of(s.pid)), "all to be reaped")
    new = s.wait_workers(8, "idle")
    assert zombies_of(s.pid) == [] and ask_pid(s) in new


def test_P07_a_foreign_child_neither_blocks_the_master_nor_is_stolen(server, clients, tmp_path):
    """A SIGCHLD of somebody else's child made the parent wait for the next death. Here the
    library waits only for what it started: the program's child is left to the program."""
    s = start(server, {"POOL_FOREIGN": tmp_path / "foreign"}, prefork=2)
    foreign = int(lines(tmp_path / "foreign")[0][0])
    kill(foreign)
    wait_until(lambda: is_zombie(foreign), "its end")
    s.signal(SIGTTIN)
    s.wait_workers(3)
    assert clients.send(s, "crash\n").is_cut()
    s.wait_until(lambda: len(s.workers("idle")) == 3, "a replacement")
    assert is_zombie(foreign)


def test_P07_an_end_that_a_hook_took_away_is_noticed(server, tmp_path):
    """A hook that waits for any child gets the end of a worker, with its status. The worker
    is replaced all the same."""
    thief = tmp_path / "thief"
    s = start(server, {"POOL_THIEF": thief, "POOL_ENDS": tmp_path / "ends"}, prefork=2)
    gone, stays = s.wait_workers(2, "idle")
    thief.touch()
    s.signal(SIGTTIN)  # one more is to be born: the hook waits
    wait_until(lambda: not thief.exists(), "the hook")
    kill(gone)
    s.wait_log(rf"took {gone}")
    assert stays in s.wait_workers(3, "idle") and gone not in s.workers()
    assert lines(tmp_path / "ends") == [[str(gone), "0", "0"]]


def test_P08_deaths_at_birth_are_counted_right(server, tmp_path):
    """Deaths between fork and the entry in the table left phantoms. Here the table is the
    master's own and is filled before anybody is reaped."""
    (tmp_path / "strangle").touch()
    s = start(server, {"POOL_STRANGLE": tmp_path / "strangle",
                       "POOL_BIRTHS": tmp_path / "births", "POOL_ENDS": tmp_path / "ends"},
              wait="starting", prefork=5, max_children=5)
    s.wait_log("bad starts in a row", count=2)
    (tmp_path / "strangle").unlink()
    pids = s.wait_workers(5, "idle")
    ends = [int(line[0]) for line in lines(tmp_path / "ends")]
    assert len(ends) == len(set(ends))
    s.wait_until(lambda: {int(line[1]) for line in lines(tmp_path / "births")}
                 == set(ends) | set(pids), "every birth to be told")
    assert sorted(children_of(s.pid)) == pids


def test_P09_a_crashing_main_loop_is_slowed_down(server, tmp_path):
    """It was forked again 150 times a second, for each death ended the pause. Here a pause
    is one, and it doubles."""
    (tmp_path / "crash").touch()
    s = server.start(server.program("pool_loop"), NEVER, port=None, prefork=2,
                     max_children=2, wait="starting", env={"LOOP_CRASH": tmp_path / "crash"})
    pauses = doubling_pauses(s)
    assert all(b > a for a, b in zip(pauses, pauses[1:]))
    assert len(s.find_log(r"notice: born \d+")) <= 2 + 2 + 5
    (tmp_path / "crash").unlink()
    s.wait_log(r"\d+ did it", count=2)


def test_P11_a_stop_is_orderly(server, clients):
    """TERM killed children in their requests, the parent did not wait and exited with 1. Here
    requests have their time, the master leaves last, and its status is 0."""
    s = server.start(server.program("pool"), {**NEVER, "stop_timeout": 1000}, prefork=3)
    held, pid = clients.say(s, "hold")
    pids = s.workers()
    s.signal(SIGTERM)
    s.wait_until(lambda: s.workers() == [pid], "the idle ones to be gone")
    assert held.finish()[-1] == "done"
    assert s.wait_exit() == 0
    assert not any(map(is_alive, pids))


def test_P14_a_second_start_is_a_failure(server, tmp_path):
    """The second start reported success. Here the starter waits for the daemon's verdict, and
    the sentence names the process that runs already."""
    pid_file = tmp_path / "pid"
    s = server.start(server.program("pool"), NEVER, prefork=1, daemonize=True,
                     pid_path=pid_file, error_log_path=tmp_path / "log")
    assert int(Path(pid_file).read_text()) == s.pid
    done = server.command(server.program("pool"), "--port", ANY_PORT, "--daemonize",
                          "--pid_path", pid_file)
    assert done.returncode == 71 and f"already as process {s.pid}" in done.stderr
    assert ask_pid(s) in s.workers()


def test_P19_unknown_settings_are_refused(server, tmp_path):
    """Unknown arguments were ignored. Here they are errors with their place and the nearest
    name that there is."""
    (tmp_path / "x.conf").write_text("port 0\nmin_server 3\n")
    for words, place, nearest in [(["--max_childs=3"], "max-childs", "max-children"),
                                  (["--pid_paht=x"], "pid-paht", "pid-path"),
                                  (["--conf_file", tmp_path / "x.conf"], "x.conf:2",
                                   "min_servers")]:
        done = server.command(server.program("pool"), *words)
        assert done.returncode in (64, 78)
        assert place in done.stderr and nearest in done.stderr, done.stderr


def test_P19_what_is_required_is_checked(server):
    """A missing argument was met when it was first used. Here a program that has nothing to
    run does not start, and neither does one whose pid file cannot be made."""
    nothing = server.build("""#include <prefork/prefork.h>
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){.name = "nothing"});
}
""")
    done = server.command(nothing, "--port", ANY_PORT)
    assert done.returncode == 78 and "neither process_request, main_loop" in done.stderr
    done = server.command(server.program("pool"), "--port", ANY_PORT, "--daemonize",
                          "--pid_path", "/no/such/directory/pid")
    assert done.returncode == 71 and "/no/such/directory" in done.stderr, done.stderr


def test_P21_a_client_that_hangs_up_does_not_kill_its_worker(server, clients):
    """SIGPIPE was not ignored in children. Here writing to a client that is gone is an
    error, EPIPE, and the worker lives on."""
    s = start(server, prefork=2, max_children=2)
    before = s.wait_workers(2, "idle")
    for count in range(1, 4):
        client, _ = clients.say(s, "chatter")
        client.hang_up()
        s.wait_log(r"\d+ is not heard: EPIPE", count=count)
    assert s.wait_workers(2, "idle") == before
