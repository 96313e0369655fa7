"""P16: what is done about a client that has gone: policies without code, and programs that
accept by themselves, whose clients have to be looked for."""

import os
import re
import shutil
import socket
from signal import SIGKILL

import pytest

from departures import FIXED, gone  # noqa: F401
from support import campaign, connect, is_alive, proc_fds, read_all, read_line


# ---- policies without code -----------------------------------------------------------------


@pytest.mark.parametrize("policy, signal", [("signal", 15), ("kill", 9)])
@pytest.mark.parametrize("hook", [True, False], ids=["hook", "no-hook"])
def test_P16_the_worker_is_ended(gone, policy, signal, hook):
    """And replaced, as usual: no bad start, no pause. The hook is called before."""
    g = gone(workers=1, on_client_disconnect=policy, min_child_ttl=0,
             env={} if hook else {"GONE_NO_HOOK": "1"})
    pids = []
    for n in range(5):  # more in a row than bad starts would be forgiven
        s, pid = g.send("hold")
        s.close()
        g.server.wait_until(lambda pid=pid: not is_alive(pid), "its end")
        pids.append(pid)
        g.server.wait_log(rf"info: sent SIG{'TERM' if signal == 15 else 'KILL'} to 1 worker: "
                          "the client has gone", count=n + 1)
    assert g.server.wait_workers(1, "idle")[0] not in pids
    assert "bad start" not in g.server.text()
    assert not re.search(r"(warning|error): .*(killed|ended)", g.server.text())
    assert [int(words[0]) for words in g.told()] == (pids if hook else [])


@pytest.mark.parametrize("policy", ["signal", "kill"])
def test_P16_a_program_and_what_it_started_are_ended(server, tmp_path, policy):
    """nowait: the program waits for something else, with a child in its group."""
    script = server.script("read word; sleep 1000 & echo $$ $!; wait")
    s = server.serve(script, **FIXED, max_servers=1, on_client_disconnect=policy)
    (worker,) = s.wait_workers(1)
    with s.connect() as client:
        client.sendall(b"go\n")
        program, child = (int(word) for word in read_line(client).split())
        assert is_alive(program) and is_alive(child)
    s.wait_until(lambda: not any(map(is_alive, (worker, program, child))), "their end")
    s.wait_workers(1, "idle")
    s.wait_log("the client has gone")


def test_P16_one_that_ignores_sigterm_is_killed(server):
    """The existing ladder."""
    script = server.script("trap '' TERM; read word; echo $$; while :; do sleep 1; done")
    s = server.serve(script, **FIXED, max_servers=1, on_client_disconnect="signal")
    with s.connect() as client:
        client.sendall(b"go\n")
        program = int(read_line(client))
    s.wait_log("sent SIGKILL to 1 worker: still there kill_timeout after SIGTERM")
    s.wait_until(lambda: not is_alive(program), "its end")
    assert "bad start" not in s.text()


def test_P16_nobody_is_ended_for_a_connection_that_is_over(gone, tmp_path):
    """With policy kill, clients that leave after their answer cost no worker unless it is
    still with them; the pool serves on."""
    g = gone(workers=2, on_client_disconnect="kill", log_level=3)
    for _ in range(campaign(300, 3000)):
        with g.server.connect() as s:
            s.sendall(b"quick\n")
            assert read_all(s).endswith(b" quick\n")
    assert "SIGKILL" not in g.server.text()


def test_P16_ignore_is_ignore(gone):
    """The hook is there and is not called; nothing is watched."""
    g = gone(workers=1, on_client_disconnect="ignore")
    s, pid = g.send("read")
    s.close()
    assert not [link for link in proc_fds(pid).values() if "eventpoll" in link][1:]
    g.gate.open()
    g.server.wait_workers(1, "idle")
    assert g.told() == []


def test_P16_the_hook_is_needed_to_be_asked_for(server):
    """The setting names something that is not there."""
    done = server.prefork("serve", "--port", "127.0.0.1:0", "--on_client_disconnect", "hook",
                          "--", "cat")
    assert done.returncode == 78
    assert "on-client-disconnect: there is no such function to call" in done.stderr
    assert server.prefork("check", "--on_client_disconnect", "hook").returncode == 0


def test_P16_without_a_master_it_has_no_effect(server):
    """And says so."""
    done = server.prefork("check", "--server_type", "INET", "--on_client_disconnect", "kill", "--",
                          "cat")
    assert "on_client_disconnect: without effect" in done.stdout + done.stderr


# ---- programs that accept by themselves ----------------------------------------------------


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_wait_programs(server, tmp_path, unix):
    """The one whose client has gone is ended, the other serves on."""
    path = tmp_path / "sock"
    held = server.build(WAIT_HOLD, library=False)
    s = server.serve(held, **FIXED, handler="wait", max_servers=2, check_for_disconnect=0.1,
                     on_client_disconnect="signal",
                     port=f"{path}|unix" if unix else "127.0.0.1:0")
    address = path if unix else s.address
    first, second = (connect(address) for _ in range(2))
    pids = []
    for client in (first, second):
        client.sendall(b"x\n")
        pids.append(int(read_line(client)))
    assert len(set(pids)) == 2
    first.close()
    s.wait_until(lambda: not is_alive(pids[0]), "its end")
    s.wait_log("sent SIGTERM to 1 worker: the client has gone")
    assert is_alive(pids[1]) and len(s.find_log("the client of worker")) == 1
    s.wait_workers(2)
    assert "bad start" not in s.text()
    second.close()
    s.wait_until(lambda: not is_alive(pids[1]), "the other's end")


# Says its pid, then does nothing until it is ended; a second word makes its child do that.
WAIT_HOLD = r"""
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <poll.h>
int main(void)
{
    for (;;) {
        char word[8];
        struct pollfd p = {.fd = 0, .events = POLLIN};
        int fd;
        poll(&p, 1, -1);
        fd = accept(0, NULL, NULL);
        if (fd < 0)
            continue;
        if (read(fd, word, sizeof word) > 0 && word[0] == 'c' && fork() > 0) {
            close(fd);
            continue;
        }
        dprintf(fd, "%d\n", (int)getpid());
        if (word[0] == 's')
            shutdown(fd, SHUT_RDWR);
        pause();
    }
}
"""




def start_hold(server, **settings):
    """A program that accepts by itself and holds its clients; its workers' clients are looked
    for ten times a second."""
    program = server.build(WAIT_HOLD, library=False)
    return server.serve(program, **{**FIXED, "handler": "wait", "max_servers": 2,
                                    "check_for_disconnect": 0.1, **settings})


def greet(s, word, address=None):
    """A client of it that has heard who serves it: (socket, pid)."""
    client = connect(address or s.address)
    client.sendall(word.encode() + b"\n")
    return client, int(read_line(client))


def test_P16_wait_a_child_of_the_program_has_the_connection(server):
    """What counts is the group that the worker leads."""
    s = start_hold(server, max_servers=1, on_client_disconnect="kill")
    (worker,) = s.wait_workers(1)
    client, child = greet(s, "c")
    assert child != worker
    client.close()
    s.wait_until(lambda: not is_alive(child) and not is_alive(worker), "their end")


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_wait_half_a_close(server, tmp_path, unix):
    """Ignored, a unix client has to be gone altogether, and a TCP client is never seen."""
    path = tmp_path / "sock"
    s = start_hold(server, on_client_disconnect="signal", half_close="ignore",
                   port=[f"{path}|unix", "127.0.0.1:0"])
    half, kept = greet(s, "x", s.address if not unix else path)
    half.shutdown(socket.SHUT_WR)
    other, pid = greet(s, "x", path)
    other.close()
    s.wait_until(lambda: not is_alive(pid), "its end")
    assert is_alive(kept)
    assert "half_close ignore: of a program that accepts by itself clients over TCP" in s.text()
    half.close()


def test_P16_wait_what_the_program_shuts_down_does_not_count(server, tmp_path):
    """The client is there, and only the other one's departure is acted on."""
    path = tmp_path / "sock"
    s = start_hold(server, on_client_disconnect="signal", port=f"{path}|unix")
    mine, kept = greet(s, "s", path)
    other, pid = greet(s, "x", path)
    other.close()
    s.wait_until(lambda: not is_alive(pid), "its end")
    assert is_alive(kept)
    mine.close()
    s.wait_until(lambda: not is_alive(kept), "its end")


def test_P16_wait_told_once(server, tmp_path):
    """A connection without its client stays there for many rounds, and one that comes after
    is told too."""
    s = server.start(server.build(WAIT_HOOK), *["--handler", "wait"], **FIXED, max_servers=3,
                     check_for_disconnect=0.1, env={"GONE_LOG": tmp_path / "gone"},
                     tail=["--", server.build(WAIT_HOLD, library=False)])
    path = tmp_path / "gone"
    told = []
    for n in range(1, 4):
        client, pid = greet(s, "x")
        there = client.getsockname()[1]
        client.close()
        told.append(f"{pid} tcp 127.0.0.1 {s.port} 127.0.0.1 {there}")
        s.wait_until(lambda n=n: path.exists() and path.read_text().count("\n") >= n, "the call")
    assert path.read_text().splitlines() == told


# A server of a program with a hook: what prefork serve has not.
WAIT_HOOK = r"""
#include <prefork/prefork.h>
#include <stdlib.h>
static void
gone(const struct prefork_disconnect *g, void *data)
{
    FILE *file = fopen(getenv("GONE_LOG"), "a");
    (void)data;
    fprintf(file, "%d %s %s %u %s %u\n", (int)g->pid, g->proto, g->local_host, g->local_port,
            g->foreign_host, g->foreign_port);
    fclose(file);
}
int main(int argc, char **argv)
{
    struct prefork *p = prefork_new(&(struct prefork_app){.on_client_disconnect = gone});
    int used;
    int status;
    if (prefork_args(p, argc, argv, &used) != 0)
        fprintf(stderr, "%s\n", prefork_error(p));
    prefork_set_program(p, argv + used);
    status = prefork_run(p);
    prefork_free(p);
    return status;
}
"""


@pytest.mark.root
def test_P16_wait_a_program_that_hides(server, open_path):
    """A master without rights may not look into it: one notice, and the server goes on."""
    program = open_path / "hold"
    shutil.copy(server.build(WAIT_HOLD.replace("int main(void)\n{", """#include <sys/prctl.h>
        int main(void)\n{ prctl(PR_SET_DUMPABLE, 0);"""), library=False), program)
    s = server.serve(program, **FIXED, handler="wait", max_servers=1, user="nobody",
                     check_for_disconnect=0.1, on_client_disconnect="signal")
    for _ in range(2):
        client, pid = greet(s, "x")
        client.close()
        s.wait_log("notice: on_client_disconnect: process .* does not let itself be looked into")
        assert is_alive(pid)
        os.kill(pid, SIGKILL)
        s.wait_until(lambda pid=pid: not is_alive(pid), "its end")
        s.wait_workers(1)
    assert len(s.find_log("does not let itself be looked into")) == 1
