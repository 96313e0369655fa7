"""Reloads: new settings and new code in a running server, and back if they are no good.

A reload is a transaction (docs/notes/0010-reload.md): each of these tests replaces something
that a server is made of, asks for a reload, and looks at what can be seen from outside. Which
version of the code answers, that the process is the same one, what `prefork reload --wait`
says, and that no client notices.

The campaigns are short in ./dev test, where each reload follows when the last one ended;
./dev campaign has one every second for 100,000 connections, and a thousand of them in a row.
"""

import itertools
import os
import signal
import time
from signal import SIGKILL, SIGTERM

import psutil
import pytest

from certificates import certificates  # noqa: F401
from clients import children_of, clients, zombies_of  # noqa: F401
from support import IN_CAMPAIGN, PATIENCE, address_of, campaign, is_alive
from upgrades import (Census, Churn, Crowd, belongings, births, ended, gate, held,  # noqa: F401
                      needs_reload, own_port, pss_kib, rss_kib, site, started, tree_of,
                      wait_next_master)

pytestmark = needs_reload
POOL = {"min_servers": 3, "max_servers": 6}
ONE = {"sizing": "static", "max_servers": 1}
QUIET = {"log_level": 2}  # no line for each connection


class Turns:
    """What the campaign deploys: seven good versions out of ten, and three that are broken."""

    def __init__(self, site):
        self.site = site
        self.hangs = itertools.cycle(["hangs in its init", "hangs when loaded"])

    def take(self, number):
        """One reload, and what it has to come to."""
        broken = {2: self.conf, 5: self.executable, 8: self.code}.get(number % 10)
        if broken:
            broken()
            self.site.repair()
        else:
            self.site.deploy_next()
            self.site.succeed()

    def conf(self):
        """The config file has a key that nobody knows."""
        self.site.break_conf("max_reqests 9\n")
        self.site.fail("max_reqests")

    def executable(self):
        """The executable crashes at once."""
        self.site.break_executable()
        self.site.fail(r"SIGABRT|signal 6|Aborted")

    def code(self):
        """The shared object hangs while it is loaded, or in its init."""
        self.site.break_code(next(self.hangs))
        self.site.fail("reload_timeout|ready|time")


class Beats:
    """A second for each turn in a campaign; otherwise no time at all."""

    def __init__(self):
        self.next = time.monotonic()

    def wait(self):
        """Until the next second begins."""
        self.next += campaign(0, 1)
        if IN_CAMPAIGN:
            time.sleep(max(0, self.next - time.monotonic()))


@pytest.mark.parametrize("before", [1, 2])
def test_campaign_more_shards_that_come_to_nothing(site, server, before):
    """Clients are sent to the new sockets only when they stay: twenty of them notice neither
    the reloads that fail nor the one that does not."""
    site = site()
    s = site.start(**POOL, accept_order="shard", shards=before, arguments=QUIET)
    with Churn(server, site.address) as churn:
        site.configure(shards=8)
        for _ in range(campaign(3, 100)):
            site.break_code("crashes in its init")
            site.fail("bad start")
            churn.wait_for(100)
        site.repair()
        site.deploy_next()
        site.succeed()
        churn.wait_for(300)
    assert churn.end["failed"] == 0, churn.end
    assert [c.status for c in psutil.Process(s.pid).connections("tcp")] == ["LISTEN"] * 8


def kind_of_port(kind, tmp_path, certificates):
    """The setting of a port of this kind."""
    if kind == "unix":
        return str(tmp_path / "socket")
    return own_port() + (f"/ssl {certificates.server.words()}" if kind == "tls" else "")


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_campaign_reloads_under_load(site, server, tmp_path, certificates, kind):
    """Twenty clients, and three of ten reloads are of something broken: no connection fails,
    and after each the right code serves, in the same process."""
    site = site("so")
    plain = own_port()  # where the test itself asks
    s = site.start(port=[plain, kind_of_port(kind, tmp_path, certificates)], **POOL,
                   reload_timeout=3, start_timeout=4, arguments=QUIET)
    turns, beats = Turns(site), Beats()
    address = address_of(s.listeners[1])
    with Census(s.pid) as census, Churn(server, address, kind == "tls") as churn:
        for number in itertools.count():
            if number >= 10 and churn.connections >= campaign(3000, 100000):
                break
            turns.take(number)
            beats.wait()
    assert churn.end["failed"] == 0, churn.end
    assert not census.lasting and census.samples > 0
    print(f"{kind}: {number} reloads, {churn.end}")


def test_campaign_busy_workers_across_reloads(site):
    """All workers are busy whenever there is a reload: every request is finished by the one
    who began it, and somebody is there for the next."""
    count = campaign(6, 64)
    site = site("so")
    s = site.start(min_servers=count, max_servers=count, graceful_timeout=2 * PATIENCE,
                   env={"SLOW": "2000"})
    with Crowd(s, count, campaign("hold", "slow")) as crowd:
        for _ in range(campaign(4, 30)):
            crowd.wait_holding(campaign(count, 0))
            site.deploy_next()
            reload = site.start_reload()
            s.wait_until(lambda: site.serves() == site.version, "the new version")
            crowd.release()
            crowd.wait_done(count)
            assert ended(reload) == (0, "")
    assert crowd.failures == [] and crowd.done >= count * campaign(4, 30)


def settled(s, workers):
    """What the master has once the last generation is gone."""
    s.wait_until(lambda: len(children_of(s.pid)) == workers, f"{workers} children")
    return belongings(s)


def test_campaign_a_thousand_reloads(site):
    """The same process, with as much of everything as before."""
    site = site("so")
    s = site.start(sizing="static", max_servers=4)
    with Census(s.pid) as census:
        for _ in range(5):  # by then it has all that it will ever have
            site.deploy_next()
            site.succeed()
        before, memory = settled(s, 4), (pss_kib(s.pid), rss_kib(s.pid))
        for _ in range(campaign(20, 1000)):
            site.deploy_next()
            site.succeed()
            assert int(site.pid_file.read_text()) == s.pid
        assert settled(s, 4) == before
        after = (pss_kib(s.pid), rss_kib(s.pid))
    # what the master shares with others of its pages varies by some
    assert all(b <= a + max(a * 0.05, 256) for a, b in zip(memory, after)), (memory, after)
    assert not census.lasting and not zombies_of(s.pid)
    print(f"PSS and RSS of the master: {memory} KiB, then {after}")


def test_campaign_killed_masters(site, server):
    """With a keeper: the master is killed under load, no connection fails, and the next
    master has a whole pool within a second."""
    site = site("so")
    s = site.start(sizing="static", max_servers=4, keeper=1, arguments=QUIET)
    s.wait_until(lambda: len(tree_of(s)["worker"]) == 4, "a pool")
    slowest = 0
    with Churn(server, site.address) as churn:
        for _ in range(campaign(3, 12)):
            (master,) = tree_of(s)["master"]
            begin = time.monotonic()
            os.kill(master, SIGKILL)

            s.pid = wait_next_master(s, master, 4)
            slowest = max(slowest, time.monotonic() - begin)
            churn.wait_for(campaign(200, 20000))
            if IN_CAMPAIGN:
                time.sleep(max(0, 5 - (time.monotonic() - begin)))
    assert churn.end["failed"] == 0, churn.end
    assert slowest < campaign(PATIENCE, 1)
    print(f"whole after at most {slowest:.3f} s; {churn.end}")


# ---- what else may happen meanwhile ------------------------------------------------------------

def test_a_hang_up_during_a_reload(site, gate):
    """However many come: one more reload follows, with what is there by then."""
    site = site()
    s = started(site, **ONE, env={"GATE": gate})
    gate.close()
    site.deploy_next()
    site.hang_up()
    s.wait_until(lambda: births(site) == ["v1", "v2"], "the trial")
    site.deploy_next()
    for _ in range(3):
        site.hang_up()
    gate.open()
    s.wait_until(lambda: site.serves() == "v3", "the last version")
    site.deploy_next()
    site.succeed()
    assert births(site) == ["v1", "v2", "v3", "v4"]


@pytest.mark.parametrize("signum", [SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_during_a_reload(site, gate, signum):
    """Both generations end, and nobody is left."""
    site = site()
    s = started(site, **ONE, env={"GATE": gate}, stop_timeout=1, graceful_timeout=1,
                kill_timeout=1)
    gate.close()
    site.deploy_next()
    reload = site.start_reload()
    s.wait_until(lambda: births(site) == ["v1", "v2"], "the trial")
    s.signal(signum)
    assert s.wait_exit() == 0
    status, said = ended(reload)
    assert status != 0 and said
    assert not site.pid_file.exists()


def test_two_who_wait(site, gate):
    """Each gets a true answer: when it comes, the new code serves."""
    site = site()
    s = started(site, **ONE, env={"GATE": gate})
    gate.close()
    site.deploy_next()
    first = site.start_reload()
    s.wait_until(lambda: births(site) == ["v1", "v2"], "the trial")
    site.deploy_next()
    second = site.start_reload()
    gate.open()
    assert ended(first) == (0, "") and ended(second) == (0, "")
    s.wait_until(lambda: site.serves() == "v3", "the new version")


def test_two_who_wait_for_something_broken(site):
    """Both hear why."""
    site = site()
    site.start(**POOL)
    site.break_conf("max_reqests 9\n")
    for status, said in [ended(p) for p in (site.start_reload(), site.start_reload())]:
        assert status != 0 and "max_reqests" in said
    assert site.serves() == "v1"


def test_one_who_waits_and_goes_away(site, gate):
    """The reload does not depend on him."""
    site = site()
    s = started(site, **ONE, env={"GATE": gate})
    gate.close()
    site.deploy_next()
    waiting = site.start_reload()
    s.wait_until(lambda: births(site) == ["v1", "v2"], "the trial")
    waiting.kill()
    ended(waiting)
    gate.open()
    s.wait_until(lambda: site.serves() == "v2", "the new version")
    site.deploy_next()
    site.succeed()


def test_a_worker_that_never_leaves(site, clients):
    """It is ended after graceful_timeout."""
    site = site()
    s = site.start(**POOL, graceful_timeout=0.3, kill_timeout=1)
    client, pid = held(site, clients)
    site.deploy_next()
    site.succeed()
    assert client.is_cut()
    s.wait_until(lambda: not is_alive(pid), "its end")


def test_a_worker_that_may_stay(site, clients):
    """leave_children_open_on_hup: as long as its client, over more than one reload."""
    site = site()
    s = site.start(**POOL, graceful_timeout=0.01, kill_timeout=0.01,
                   leave_children_open_on_hup=1)
    client, pid = held(site, clients)
    waiting = []
    for _ in range(2):
        old = set(s.workers()) - {pid}
        site.deploy_next()
        waiting.append(site.start_reload())
        s.wait_until(lambda: site.serves() == site.version, "the new version")
    s.wait_until(lambda: not old & set(s.workers()), "the end of the others")
    for _ in range(200):  # many times graceful_timeout
        assert site.serves() == site.version
    assert is_alive(pid)
    assert client.finish() == ["v1", "done"]
    assert [ended(p) for p in waiting] == [(0, "")] * 2
    s.wait_until(lambda: not is_alive(pid), "its end")


# ---- masters that die --------------------------------------------------------------------------


def test_a_master_that_is_killed_after_a_reload(site):
    """The next one is made of what serves, not of what was started once, nor of what was
    refused since then."""
    site = site()
    s = site.start(**ONE, keeper=1)
    site.deploy_next()
    site.succeed()
    site.break_code("crashes in its init")
    site.fail()
    os.kill(s.pid, SIGKILL)
    s.pid = wait_next_master(s, s.pid, 1)
    assert site.serves() == "v2"
    site.deploy_next()
    site.succeed()


def test_a_new_master_that_crashes(site):
    """After it took over: the keeper starts one of the old code."""
    site = site()
    s = site.start(**ONE, keeper=1)
    site.put(site.code, site.compile("broken", "-DLATE=raise(SIGKILL)"))
    assert site.reload().returncode != 0
    s.pid = wait_next_master(s, s.pid, 1)
    assert site.serves() == "v1"
    site.repair()
    site.deploy_next()
    site.succeed()
