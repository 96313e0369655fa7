"""server_type: what each personality of Net::Server is here."""

import os
import signal
import socket
import subprocess

import pytest

from clients import Load, Watch, ask_pid, clients  # noqa: F401
from support import EXAMPLES, PREFORK, read_all

NEVER = {"check_for_waiting": 1000, "spare_timeout": 1000, "check_for_spawn": 1000,
         "min_child_ttl": 0, "stop_timeout": 0.2, "kill_timeout": 1}


def start(server, **settings):
    """The test program with timers out of reach."""
    return server.start(server.program("pool"), {**NEVER, **settings})


def test_prefork_grows_with_the_load(server, clients):
    """The default, also when it is named."""
    s = start(server, server_type="PreFork", min_servers=2, max_servers=8)
    s.wait_workers(2, "idle")
    for _ in range(4):
        clients.say(s, "hold")
    s.wait_until(lambda: len(s.workers()) > 4, "more workers")


def test_preforksimple_is_a_pool_of_fixed_size(server, clients):
    """Exactly max_servers workers, whatever the load, whatever min_servers says."""
    s = start(server, server_type="PreForkSimple", min_servers=1, max_servers=3)
    with Watch(s) as watch:
        s.wait_workers(3, "idle")
        for _ in range(3):
            clients.say(s, "hold")
        assert len(s.workers()) == 3
    assert watch.most == 3
    assert "min_servers 1 (--min-servers) is not used with server_type PreForkSimple" in s.text()


def test_preforksimple_ttin_and_ttou_change_the_size(server):
    """One more, one less, never none."""
    s = start(server, server_type="PreForkSimple", max_servers=2)
    s.wait_workers(2, "idle")
    s.signal(signal.SIGTTIN)
    s.wait_workers(3, "idle")
    for expected in (2, 1, 1):
        s.signal(signal.SIGTTOU)
        s.wait_workers(expected, "idle")


def test_fork_gives_each_connection_a_worker_of_its_own(server):
    """No worker serves twice."""
    s = start(server, server_type="Fork")
    pids = [ask_pid(s) for _ in range(20)]
    assert len(set(pids)) == 20


def test_fork_starts_nobody_before_the_first_connection(server):
    """The first connection brings the first worker."""
    s = start(server, server_type="Fork")
    assert s.workers() == []
    assert ask_pid(s) > 0


def test_W17_fork_runs_at_most_max_servers(server, clients):
    """One child more than max_servers ran at a time. Here the limit is exact, and whoever
    comes later waits."""
    s = start(server, server_type="Fork", max_servers=3)
    with Watch(s) as watch, Load(s, 9, word="pid") as load:
        load.wait_for(100)
        held = [clients.say(s, "hold")[0] for _ in range(2)]
        for c in held:
            c.finish()
    assert watch.most <= 3 and load.failures == []


def test_single_serves_one_connection_after_the_other(server, clients):
    """One worker, which is not replaced by max_requests; the second client waits."""
    s = start(server, server_type="Single", max_servers=7)
    first = ask_pid(s)
    held, pid = clients.say(s, "hold")
    with s.connect() as second:
        second.sendall(b"pid\n")
        assert len(s.workers()) == 1
        held.finish()
        assert second.recv(100) == f"{first} is here\n".encode()
    assert pid == first


def test_single_stays_single(server):
    """SIGTTIN and SIGTTOU are heard and change nothing."""
    s = start(server, server_type="Single")
    (worker,) = s.wait_workers(1, "idle")
    for signum in (signal.SIGTTIN, signal.SIGTTOU):
        mark = s.mark()
        s.signal(signum)
        s.wait_log(r"min_servers 1, max_servers 1 \(as far as it goes\)$", since=mark)
    assert s.workers() == [worker]


def test_multitype_takes_the_first_that_it_knows(server):
    """As MultiType does; the others are told about."""
    s = start(server, server_type=["Multiplex", "Single", "Fork"])
    s.wait_workers(1, "idle")
    assert "server-type: there is no type Multiplex; Single is used" in s.text()


def test_a_type_that_is_not_there_is_refused(server, tmp_path):
    """With where it was said, and what there is."""
    conf = tmp_path / "x.conf"
    conf.write_text("port 8080\nserver_type Thread\n")
    done = server.prefork("check", "--conf_file", conf)
    assert done.returncode == 78
    assert (f"{conf}:2: server_type: there is no type Thread; use PreFork, PreForkSimple, "
            "Fork, Single or INET") in done.stderr


# ---- INET ----


def run_inet(argv, stdin, stdout, **options):
    """A server whose connection is handed in, as inetd(8) does it."""
    return subprocess.Popen(list(map(str, argv)), stdin=stdin, stdout=stdout, **options)


def test_inet_serves_a_socket_as_inetd_hands_it_in(server):
    """Descriptors 0, 1 and 2 are the connection: served once, with its real addresses, and
    no log line goes to the client."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        with socket.create_connection(door.getsockname()) as client:
            accepted, peer = door.accept()
            with accepted:
                process = run_inet([server.program("pool"), "--server_type", "INET",
                                    "--log_level", "4", "--max_servers", "3"],
                                   accepted, accepted, stderr=accepted)
            client.sendall(b"pid\n")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == f"{process.pid} is here\n".encode()
            assert process.wait(15) == 0
            assert peer[1]


def test_inet_serves_pipes(server):
    """The connection may be a pair of pipes."""
    done = subprocess.run([EXAMPLES / "echo", "--server_type", "INET"], input=b"one\ntwo\n",
                          capture_output=True, timeout=15, check=True)
    assert done.stdout == b"one\ntwo\n"


def test_inet_copies_much_both_ways(server):
    """More than any buffer holds."""
    data = os.urandom(3_000_000)
    done = subprocess.run([PREFORK, "serve", "--server_type", "INET", "--", "cat"], input=data,
                          capture_output=True, timeout=30, check=True)
    assert done.stdout == data


def test_inet_runs_a_program(server):
    """With the environment that it would have from a pool."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        with socket.create_connection(door.getsockname()) as client:
            accepted, peer = door.accept()
            with accepted:
                process = run_inet([PREFORK, "serve", "--server_type", "INET", "--", "env"],
                                   accepted, accepted)
            text = read_all(client).decode()
            assert process.wait(15) == 0
            assert f"TCPREMOTEPORT={peer[1]}\n" in text and "TCPREMOTEIP=127.0.0.1\n" in text


def test_inet_runs_the_hooks_of_one_connection(server, tmp_path):
    """Those of a worker and of a connection, in their order, and those of start and end."""
    log = tmp_path / "ends"
    done = subprocess.run([server.program("pool"), "--server_type", "INET"], input=b"pid\n",
                          capture_output=True, timeout=15, check=True,
                          env={**os.environ, "POOL_FINISH": str(log)})
    assert done.stdout.split()[1:] == [b"is", b"here"]
    assert log.read_text().strip() == done.stdout.split()[0].decode()


@pytest.mark.parametrize("words", [["--handler", "wait", "--", "cat"]])
def test_inet_has_nothing_for_a_program_that_accepts(server, words):
    """There is no listening socket to give it."""
    done = server.prefork("serve", "--server_type", "INET", *words)
    assert done.returncode == 78
    assert "server_type INET gives each process one connection" in done.stderr
