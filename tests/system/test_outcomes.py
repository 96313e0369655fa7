"""How a reload can end, as docs/UPGRADES.md has it, where no other file shows it: what the log
says, what `prefork reload --wait` says and ends with, and who serves afterwards."""

import os
import re
import resource
import subprocess
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psutil
import pytest

from certificates import certificates  # noqa: F401
from clients import clients  # noqa: F401
from support import (PATIENCE, PREFORK, REPO, address_of, is_alive, proc_fds,
                     read_all, wait_until)
from upgrades import (Site, births, ended, gate, held,  # noqa: F401
                      needs_reload, own_port, site, started, wait_next_master)

pytestmark = needs_reload
ONE = {"sizing": "static", "max_servers": 1}
FAILED, REFUSED, UNAVAILABLE = 75, 71, 69


def literal(path):
    """A path, as a text in C."""
    return f'"{path}"'


def in_trial(site, s, gate):
    """A reload whose new worker does not become ready before the gate opens: who waits for it."""
    gate.close()
    site.deploy_next()
    waiting = site.start_reload()
    s.wait_until(lambda: births(site) == ["v1", "v2"], "the trial")
    return waiting


# ---- words ----


def test_what_is_said_of_a_good_one(site):
    """By the log, and by the command."""
    site = site()
    s = site.start(**ONE)
    site.deploy_next()
    done = site.reload()
    text = "generation 2 serves, the one before is leaving"
    assert (done.returncode, done.stdout) == (0, f"process {s.pid}: {text}\n")
    s.wait_log(rf"notice: reload 1 \(prefork reload \(process \d+\)\): checking {site.executable}$")
    s.wait_log(rf"notice: reload 1: starting {site.executable} in this process$")
    s.wait_log(f"notice: reload 1: {text}$")


def test_what_is_said_of_one_that_is_refused(site):
    """Once by the program that refuses, and once by the one that goes on."""
    site = site()
    s = site.start(**ONE)
    site.break_conf("max_reqests 9\n")
    done = site.reload()
    why = r"/conf:\d+: max_reqests: unknown setting; did you mean max_requests\?"
    assert done.returncode == FAILED
    assert re.fullmatch(rf"prefork reload: process {s.pid}: \S*{why}\n", done.stderr)
    s.wait_log(rf"error: reload 1 failed: \S*{why}; what ran before goes on$")


def test_what_is_said_of_one_that_is_rolled_back(site):
    """By the program that failed, and by the one that is back."""
    site = site()
    s = site.start(**ONE)
    site.break_code("crashes in its init")
    why = "a new worker did not become ready: bad start"
    done = site.fail(f"^prefork reload: process {s.pid}: {why}\n$")
    assert done.returncode == FAILED
    s.wait_log(f"error: reload 1 failed: {why}; going back$")
    s.wait_log(f"error: reload 1 failed: {why}; what ran before goes on$")


# ---- refused by the system ----


@pytest.mark.shows("hup:exec-fails")
def test_an_executable_that_is_gone_after_its_check(site):
    """execve(2) is refused in the master's own process: nothing has changed."""
    site = site()
    s = site.start(**ONE)
    site.put(site.code, site.compile("v2", f"-DSTART=unlink({literal(site.executable)})"))
    why = f"cannot execute {re.escape(str(site.executable))}: No such file or directory"
    assert site.fail(f"{why}\n$").returncode == FAILED
    s.wait_log(f"error: reload 1 failed: {why}; what ran before goes on$")
    site.repair()
    site.deploy_next()
    site.succeed()


def test_a_check_that_cannot_be_started(site):
    """The master is out of descriptors."""
    site = site()
    s = site.start(**ONE)
    limits = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (max(proc_fds(s.pid)) + 1, limits[1]))
    site.hang_up()
    s.wait_log("error: reload 1 failed: cannot check the new program: Too many open files; "
               "what ran before goes on$")
    assert site.reload().returncode in (FAILED, REFUSED)
    resource.prlimit(s.pid, resource.RLIMIT_NOFILE, limits)
    site.deploy_next()
    s.wait_until(lambda: site.reload().returncode == 0, "a reload")  # it pauses after a refusal
    s.wait_until(lambda: site.serves() == site.version, "the new version")


@pytest.mark.root
def test_a_key_that_only_root_may_read(server, open_path, certificates):  # noqa: F811
    """It was read at the start, and cannot be read again by the user that the server became."""
    site = Site(server, open_path)
    key = open_path / "key"
    key.write_bytes(Path(certificates.server.key).read_bytes())
    key.chmod(0o600)
    words = f"SSL_cert_file={certificates.server.cert} SSL_key_file={key}"
    s = site.start(**{**ONE, "port": f"{own_port()}/ssl {words}"}, user="nobody")
    done = site.reload()
    assert done.returncode == FAILED and "Permission denied" in done.stderr
    assert s.workers()


# ---- no way back ----


@pytest.mark.root
def test_no_way_back_out_of_another_root_directory(server, open_path):
    """The old program cannot be executed where its libraries are not. Its workers serve on."""
    empty = open_path / "empty"
    empty.mkdir()
    site = Site(server, open_path)
    s = site.start(**ONE)
    site.configure(chroot=empty)
    site.break_code("crashes in its init")
    why = ("a new worker did not become ready: bad start; and the program that ran before cannot "
           "be executed again: No such file or directory")
    assert site.fail(f"{why}\n$").returncode == FAILED
    s.wait_log(f"error: reload 1 failed: {why}; its workers serve on, with a master of the new one")


@pytest.mark.root
def test_no_way_back_and_a_port_with_tls(server, open_path, certificates):
    """The new program has its socket and no certificate: it says nothing there in the clear."""
    jail = open_path / "jail"
    jail.mkdir()
    (jail / "broken").touch()
    site = Site(server, open_path)
    port, pair = own_port(), certificates.server
    s = site.start(**ONE, port=f"{port}/ssl", SSL_cert_file=pair.cert, SSL_key_file=pair.key)
    old = s.workers()
    site.configure(port=own_port(), SSL_cert_file=None, SSL_key_file=None, chroot=jail)
    site.put(site.code, site.compile("v2", '-DINIT=(access("/broken", F_OK) ? 0 : (abort(), 0))'))
    assert site.reload().returncode == FAILED
    (jail / "broken").unlink()
    for pid in old:
        os.kill(pid, SIGKILL)
    s.wait_until(lambda: set(s.workers()) - set(old), "a worker of the new program")
    for _ in range(2):
        with s.connect(address=address_of(port)) as client:
            assert read_all(client) == b""
    assert s.text().count(f"{port} speaks TLS, and the settings have no certificate") == 1


def test_back_from_settings_that_would_not_have_gone_forward(site):
    """The next reload would replace workers only; the way back needs more, and has it."""
    site = site()
    site.start(**ONE)
    site.configure(reload_mode="workers")
    site.break_code("crashes in its init")
    assert site.fail("bad start").returncode == FAILED
    site.configure(reload_mode=None)
    site.repair()
    site.deploy_next()
    site.succeed()


@pytest.mark.root
def test_root_does_not_come_back(server, open_path):
    """A trial as another user gives root up, for the program that comes back too."""
    site = Site(server, open_path)
    s = site.start(**ONE)
    site.configure(user="nobody")
    site.break_code("crashes in its init")
    assert site.fail("bad start").returncode == FAILED
    assert psutil.Process(s.pid).username() == "nobody"


# ---- a stop, or the end of the master, at each stage ----


@pytest.mark.parametrize("broken", [None, "crashes in its init"])
def test_a_stop_by_the_hook_before_the_exec(site, broken):
    """Of the program that goes, forward or back: it is not forgotten with its memory."""
    site = site()
    s = site.start(**ONE, env={"CLOSING": "1"})
    site.deploy_next()
    waiting = site.start_reload()
    assert ended(waiting)[0] == UNAVAILABLE
    assert s.wait_exit() == 0
    assert s.find_log("notice: .*the hook says so")
    assert not s.find_log("version.* notice: reload 1: generation")


def checking(site, **settings):
    """A server whose reload hangs in its check: who waits, and the pid of the check."""
    s = site.start(**ONE, **settings)
    workers = set(s.workers())
    site.break_code("hangs when loaded")
    waiting = site.start_reload()
    (check,) = s.wait_until(
        lambda: [p.pid for p in psutil.Process(s.pid).children() if p.pid not in workers
                 and p.pid != s.pid and "--conf_file" in " ".join(p.cmdline())], "the check")
    return s, waiting, check


def test_a_stop_during_the_check(site):
    """The check is dropped with everything else."""
    site = site()
    s, waiting, check = checking(site)
    s.signal(SIGTERM)
    assert ended(waiting) == (UNAVAILABLE,
                              f"prefork reload: process {s.pid}: no reload: it is stopping\n")
    assert s.wait_exit() == 0
    wait_until(lambda: not is_alive(check), "the end of the check")


def test_a_master_that_is_killed_during_the_check(site):
    """The check dies with it."""
    site = site()
    s, waiting, check = checking(site)
    s.signal(SIGKILL)
    assert ended(waiting) == (
        UNAVAILABLE, f"prefork reload: process {s.pid} has ended before the reload did\n")
    assert s.wait_exit() == -SIGKILL
    wait_until(lambda: not is_alive(check), "the end of the check")


def test_a_master_that_is_killed_during_the_trial(site, gate):
    """Without a keeper: workers of both generations leave."""
    site = site()
    s = started(site, **ONE, env={"GATE": gate})
    waiting = in_trial(site, s, gate)
    workers = set(s.workers())
    assert len(workers) == 2
    s.signal(SIGKILL)
    assert ended(waiting)[0] == UNAVAILABLE
    assert s.wait_exit() == -SIGKILL
    gate.open()
    wait_until(lambda: not any(is_alive(pid) for pid in workers), "the end of all workers")


def test_a_new_master_that_crashes_without_a_keeper(site):
    """There is nobody who could start another one: that is the end."""
    site = site()
    s = site.start(**ONE)
    (worker,) = s.workers()
    site.put(site.code, site.compile("broken", "-DLATE=raise(SIGKILL)"))
    done = site.reload()
    assert (done.returncode, done.stderr) == (
        UNAVAILABLE, f"prefork reload: process {s.pid} has ended before the reload did\n")
    assert s.wait_exit() == -SIGKILL
    wait_until(lambda: not is_alive(worker), "the end of its worker")


def test_a_kept_master_that_is_killed_during_the_check(site):
    """The next one is of the old program, and has the old workers."""
    site = site()
    s, waiting, check = checking(site, keeper=1)
    before = site.answer()
    os.kill(s.pid, SIGKILL)
    assert ended(waiting)[0] == UNAVAILABLE
    wait_until(lambda: not is_alive(check), "the end of the check")
    s.pid = wait_next_master(s, s.pid, 1)
    assert site.answer() == before


def test_a_kept_master_that_is_killed_during_the_trial(site, gate):
    """The next one is of the old program; nobody of the new generation stays."""
    site = site()
    s = started(site, **ONE, keeper=1, env={"GATE": gate})
    before = site.answer()
    waiting = in_trial(site, s, gate)
    os.kill(s.pid, SIGKILL)
    assert ended(waiting)[0] == UNAVAILABLE
    gate.open()
    s.pid = wait_next_master(s, s.pid, 1)
    assert site.answer() == before
    site.succeed()


def test_a_kept_master_that_is_killed_while_old_workers_leave(site, clients):
    """The next one is of the new program, and the old worker finishes what it has begun."""
    site = site()
    s = site.start(**ONE, keeper=1, graceful_timeout=2 * PATIENCE)
    client, pid = held(site, clients)
    site.deploy_next()
    assert site.reload().returncode == 0
    s.wait_log("asked to leave 1 worker: workers are being replaced")
    assert site.serves() == "v2"
    os.kill(s.pid, SIGKILL)
    s.pid = wait_next_master(s, s.pid, 2)
    assert site.serves() == "v2" and is_alive(pid)
    assert client.finish() == ["v1", "done"]
    s.wait_until(lambda: not is_alive(pid), "its end")


# ---- what a program has to know ----


HOOKS = r"""
#include <prefork/prefork.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void note(const char *what)
{
    int fd = open(getenv("HOOKS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    (void)dprintf(fd, "%d %s\n", (int)getpid(), what);
    (void)close(fd);
}
#define HOOK(name) static int name(void *data) { (void)data; note(#name); return 0; }
#define HOOK_P(name) \
    static int name(struct prefork *p, void *data) { (void)p, (void)data; note(#name); return 0; }
#define HOOK_V(name) static void name(void *data) { (void)data; note(#name); }
HOOK_P(configure)
HOOK_P(post_configure)
HOOK(after_init)
HOOK_P(post_bind)
HOOK(pre_loop)
HOOK_V(restart_close)
HOOK_V(restart_open)
HOOK_V(pre_server_close)
static void hello(struct prefork_conn *c, void *data)
{
    (void)data;
    (void)prefork_printf(c, "hello\n");
}
int main(int argc, char **argv)
{
    note("main");
    return prefork_main(argc, argv, &(struct prefork_app){
        .name = "hooks", .configure_hook = configure, .post_configure_hook = post_configure,
        .after_init = after_init, .post_bind_hook = post_bind, .pre_loop_hook = pre_loop,
        .restart_close_hook = restart_close, .restart_open_hook = restart_open,
        .pre_server_close_hook = pre_server_close, .process_request = hello});
}
"""


@pytest.mark.shows("hook:restart_close_hook", "hook:restart_open_hook", "hup:new-configuration")
def test_which_hooks_run_when(server, tmp_path):
    """main() runs again in the check, which ends before anything is started, and in the master;
    a reload that is refused runs nothing in the master."""
    words, sick = tmp_path / "hooks", tmp_path / "conf"
    sick.write_text("max_servers 1\n")
    s = server.start(server.build(HOOKS), port="127.0.0.1:0", conf_file=sick, min_servers=1,
                     pid_file=tmp_path / "pid", env={"HOOKS": words})

    def said():
        """Since the last time: by the master, and by others."""
        lines = [line.split() for line in words.read_text().splitlines()]
        words.write_text("")
        return ([what for pid, what in lines if int(pid) == s.pid],
                [what for pid, what in lines if int(pid) != s.pid])
    start = ["main", "configure", "post_configure", "after_init", "post_bind", "pre_loop"]
    assert said() == (start, [])
    done = server.prefork("reload", "--wait", "--pid-file", tmp_path / "pid")
    assert done.returncode == 0, done.stderr
    assert said() == (["restart_close", *start[:4], "restart_open", *start[4:]], start[:3])
    sick.write_text("max_servers many\n")
    done = server.prefork("reload", "--wait", "--pid-file", tmp_path / "pid")
    assert done.returncode == FAILED
    assert said() == ([], start[:2])


def test_environment_arguments_and_directory_stay(server, tmp_path):
    """They are those of the start, whoever asks, and from wherever; of the reload nothing is
    in the environment."""
    s = server.serve(["sh", "-c", "echo $MARK ${PREFORK_STATE-none}"],
                     env={"MARK": "first"}, cwd=tmp_path, pid_file=tmp_path / "pid", **ONE)
    words = s.ask(b"").decode().splitlines()[0]
    assert words == "first none"
    directory = os.readlink(f"/proc/{s.pid}/cwd")
    done = server.prefork("reload", "--wait", "--pid-file", tmp_path / "pid", cwd="/",
                          env={"MARK": "second"})
    assert done.returncode == 0, done.stderr
    assert s.ask(b"").decode().splitlines()[0] == words
    assert os.readlink(f"/proc/{s.pid}/cwd") == directory


def test_a_program_that_runs_cannot_be_written_over(site):
    """The system refuses it; a rename is what is to be done."""
    site = site()
    site.start(**ONE)
    with pytest.raises(OSError, match="Text file busy"):
        site.executable.open("r+b").close()


def test_a_config_file_that_was_written_over_is_no_loss(site):
    """The way back needs what it said when it was read."""
    site = site()
    site.start(**ONE, max_requests=1)
    site.conf.write_text(site.lines.replace("max_requests 1\n", ""))
    site.break_code("crashes in its init")
    assert site.fail("bad start").returncode == FAILED
    assert len({site.answer()[1] for _ in range(3)}) == 3  # it still says max_requests 1


# ---- units of systemd ----


@pytest.mark.parametrize("unit", sorted((REPO / "packaging/systemd").glob("*.service")),
                         ids=lambda unit: unit.stem)
def test_units_of_systemd(unit, tmp_path):
    """systemd has nothing to say about them."""
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/usr/bin/prefork", str(PREFORK)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], check=False, text=True,
                          capture_output=True, timeout=4 * PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
