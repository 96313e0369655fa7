"""serialize and accept_order: who waits for connections, and what a death there costs."""

import os
from signal import SIGCONT, SIGHUP, SIGKILL, SIGSTOP

import pytest

from clients import Load, ask_pid, choose_worker, clients  # noqa: F401
from support import is_alive, wait_until

KINDS = ["flock", "semaphore", "pipe"]
NEVER = {"check_for_waiting": 1000, "spare_timeout": 1000, "check_for_spawn": 1000,
         "min_child_ttl": 0, "stop_timeout": 0.2, "kill_timeout": 1}


def start(server, **settings):
    """The test program with timers out of reach."""
    return server.start(server.program("pool"), {**NEVER, **settings})


@pytest.mark.parametrize("kind", KINDS)
def test_W07_the_turn_does_not_die_with_its_holder(server, kind):
    """A worker that was killed with the token took it along, and all others blocked for
    ever. Here the turn is free again, however often and whoever is killed: with a pool of
    fixed size the holder is hit again and again."""
    s = start(server, serialize=kind, min_servers=4, max_servers=4)
    with Load(s, 2, word="pid") as load:
        for _ in range(60):
            os.kill(choose_worker(s), SIGKILL)
            load.wait_for(2)
    assert len(load.failures) <= 60
    assert ask_pid(s) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_idle_holder_is_killed(server, kind):
    """Nothing is under way, so the killed ones include whoever waits for connections."""
    s = start(server, serialize=kind, min_servers=3, max_servers=3)
    for _ in range(5):
        for pid in s.wait_workers(3, "idle"):
            os.kill(pid, SIGKILL)
        assert ask_pid(s) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_workers_that_wait_for_their_turn_can_be_asked_to_leave(server, kind):
    """HUP replaces idle workers at once, also those that never had their turn."""
    s = start(server, serialize=kind, min_servers=4, max_servers=8)
    old = set(s.wait_workers(4, "idle"))
    s.signal(SIGHUP)
    s.wait_until(lambda: not old & set(s.workers()), "the old ones to be gone")
    s.wait_workers(4, "idle")
    assert ask_pid(s) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_waits_while_the_others_serve(server, clients, kind):
    """Requests run at the same time: the turn is given back as soon as one is accepted."""
    s = start(server, serialize=kind, min_servers=5, max_servers=5)
    pids = {clients.say(s, "hold")[1] for _ in range(5)}
    assert len(pids) == 5


def epoll_targets(pid):
    """Descriptors that the process waits for, from the kernel's own list."""
    targets = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{entry}") == "anon_inode:[eventpoll]":
            for line in open(f"/proc/{pid}/fdinfo/{entry}", encoding="ascii"):
                if line.startswith("tfd:"):
                    targets.add(int(line.split()[1]))
    return targets


def waits_for_connections(pid):
    """A listening socket is among what the process waits for."""
    for fd in epoll_targets(pid):
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
        if link.startswith("socket:"):
            inode = link[8:-1]
            with open("/proc/net/tcp", encoding="ascii") as table:
                if any(line.split()[9] == inode and line.split()[3] == "0A"
                       for line in table.readlines()[1:]):
                    return True
    return False


@pytest.mark.parametrize("kind,expected", [("none", 4), ("flock", 1), ("SEMAPHORE", 1),
                                           ("Pipe", 1)])
def test_how_many_wait_for_connections(server, kind, expected):
    """With serialize exactly one worker does, with none all of them."""
    s = start(server, serialize=kind, min_servers=4, max_servers=4)
    s.wait_until(lambda: sum(map(waits_for_connections, s.wait_workers(4, "idle"))) == expected,
                 f"{expected} waiting workers")


def test_several_ports_take_turns_as_well(server):
    """The one that waits, waits on all ports."""
    s = start(server, serialize="flock", port=["127.0.0.1:0", "127.0.0.1:0"], min_servers=2)
    for index in (0, 1, 0, 1):
        with s.connect(index) as c:
            c.sendall(b"pid\n")
            assert c.recv(100)


def test_W21_a_lock_file_is_neither_truncated_nor_needed_twice(server, tmp_path):
    """Every child truncated a named lock file, and had to be able to open it after giving up
    root. Here the master opens it once, its content stays, and workers that may not open it
    lock it all the same."""
    lock = tmp_path / "lock"
    lock.write_text("precious")
    lock.chmod(0o600)
    user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    s = start(server, serialize="flock", lock_file=lock, min_servers=3, max_servers=3, **user)
    assert len({ask_pid(s) for _ in range(20)}) >= 1
    assert s.stop() == 0
    assert lock.read_text() == "precious"


def test_W21_nothing_is_left_behind_by_a_killed_master(server, tmp_path):
    """Generated lock files and semaphores stayed when the parent was killed. Here they have
    no name."""
    def semaphores():
        return open("/proc/sysvipc/sem", encoding="ascii").read()

    before = semaphores()
    for kind in KINDS:
        s = start(server, serialize=kind, min_servers=2, lock_file=tmp_path / "lock")
        workers = s.workers()
        s.signal(SIGKILL)
        s.wait_exit()
        wait_until(lambda: not any(map(is_alive, workers)), "the workers' end")
    assert semaphores() == before


def test_a_lock_file_in_no_directory_is_refused(server, tmp_path):
    """What cannot be opened is an error at start, with its name."""
    done = server.prefork("serve", "--port", "127.0.0.1:0", "--serialize", "flock",
                          "--lock-file", tmp_path / "no" / "lock", "--", "cat")
    assert done.returncode == 71
    assert f"lock_file {tmp_path}/no/lock: No such file or directory" in done.stderr


# ---- accept_order shard ----


def queues(port):
    """How many connections wait at each listening socket of this port."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [int(row[4].split(":")[1], 16) for row in rows
            if row[3] == "0A" and row[1].endswith(f":{port:04X}")]


def test_shard_opens_so_many_sockets(server):
    """Each address has as many as the setting says, and is one listener to people."""
    s = start(server, accept_order="shard", shards=4, min_servers=2)
    assert len(queues(s.port)) == 4
    assert len(s.listeners) == 1
    assert {ask_pid(s) for _ in range(40)} <= set(s.workers())


def test_shard_by_default_as_many_as_processors(server):
    """Those that the server may run on."""
    s = start(server, accept_order="shard", min_servers=2)
    assert len(queues(s.port)) == len(os.sched_getaffinity(0))


def test_shard_a_busy_worker_holds_up_nobody(server, clients):
    """Every socket's connections are taken by whoever is idle: with one worker left, clients
    are served whichever socket the kernel chose for them."""
    s = start(server, accept_order="shard", shards=8, min_servers=3, max_servers=3)
    for _ in range(2):
        clients.say(s, "hold")
    assert len({ask_pid(s) for _ in range(40)}) == 1


@pytest.mark.parametrize("signum", [SIGHUP, SIGKILL])
def test_shard_retiring_workers_resets_no_queued_connection(server, signum):
    """Sockets belong to the server and not to a worker. While workers are replaced, nobody
    who waits in a queue is reset: no connection fails, or with SIGKILL at most that of the
    killed worker."""
    s = start(server, accept_order="shard", shards=4, min_servers=3, max_servers=6)
    with Load(s, 8, word="pid") as load:
        for _ in range(20):
            if signum == SIGHUP:
                old = set(s.workers())
                s.signal(SIGHUP)
                s.wait_until(lambda: not old & set(s.workers()), "their end")
            else:
                os.kill(choose_worker(s), SIGKILL)
            load.wait_for(20)
    assert len(load.failures) <= (0 if signum == SIGHUP else 20)


def test_shard_clients_in_the_queue_survive_all_workers(server):
    """All workers are stopped in their tracks, clients queue up, all workers are killed:
    their successors serve every one of them."""
    s = start(server, accept_order="shard", shards=4, min_servers=2, max_servers=2)
    workers = s.wait_workers(2, "idle")
    for pid in workers:
        os.kill(pid, SIGSTOP)
    waiting = [s.connect() for _ in range(20)]
    for c in waiting:
        c.sendall(b"pid\n")
    for pid in workers:
        os.kill(pid, SIGKILL)
    # A stopped worker may have been given one connection each by the kernel before.
    answers = [c.recv(100) for c in waiting]
    assert all(answers)
    for c in waiting:
        c.close()


def test_shard_a_second_server_is_refused(server):
    """SO_REUSEPORT would let two servers share a port by mistake."""
    s = start(server, accept_order="shard", shards=2)
    done = server.prefork("serve", "--port", f"127.0.0.1:{s.port}", "--accept-order", "shard",
                          "--", "cat")
    assert done.returncode == 71 and "in use by another process" in done.stderr


def test_shard_load_is_divided(server):
    """While nobody accepts, 64 clients are found in the queues of all four sockets."""
    s = start(server, accept_order="shard", shards=4, min_servers=2, max_servers=2)
    workers = s.wait_workers(2, "idle")
    for pid in workers:
        os.kill(pid, SIGSTOP)
    waiting = [s.connect() for _ in range(64)]
    s.wait_until(lambda: sum(queues(s.port)) >= 62, "64 clients in the queues")
    assert all(queues(s.port))
    for pid in workers:
        os.kill(pid, SIGCONT)
    for c in waiting:
        c.sendall(b"pid\n")
    for c in waiting:
        assert c.recv(100)
        c.close()
