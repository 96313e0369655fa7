"""`prefork status`: a server as its scoreboard shows it, for people and as JSON.

The command runs on files that the tests write by prefork.scoreboard(5), and on those of real
servers. Of real ones only what is seen from outside counts: who is busy with which client.
"""

import base64
import json
import os
import re
import stat
import time
from signal import SIGKILL

import pytest

import scorefiles
from scorefiles import Scoreboard, end, line
from support import PREFORK, REPO, flags, is_alive, proc_fds, read_line

OK, USAGE, GONE, SYSTEM, CONFIG = 0, 64, 69, 71, 78
NOW = 1_763_700_000.25

WORKERS = [
    line(101, "_", born=NOW - 3600, updated=NOW - 5, requests=12, proto=b"tcp",
         request=NOW - 6, peer=end("192.0.2.1", 49152), local=end("192.0.2.9", 80)),
    line(102, "W", born=NOW - 90, updated=NOW - 1, requests=3, proto=b"ssl",
         request=NOW - 75, peer=end("2001:db8::7", 50000), local=end("::1", 443),
         label=b"sends a file"),
    line(103, "S", born=NOW, updated=NOW),
    line(104, "R", born=NOW - 200000, updated=NOW - 2, request=NOW - 2, requests=70000,
         proto=b"unix"),
    line(105, "?", born=NOW - 1, updated=NOW - 1),
]


@pytest.fixture
def board(tmp_path):
    """Makes scoreboards of a server that lives, or of one that is gone."""
    made = []

    def make(lines=WORKERS, alive=True, **more):
        made.append(Scoreboard(tmp_path / f"score{len(made) or ''}", lines, **{
            "started": NOW - 200000, "updated": NOW, "births": 7, "requests": 1000, **more}))
        if alive:
            made[-1].lock()
        return made[-1].path

    yield make
    for one in made:
        one.close()


def status(server, *words, **options):
    """Run the command; its CompletedProcess."""
    return server.prefork("status", *words, cwd=server.directory, **options)


def as_json(server, path, code=OK):
    """The object that --json prints, and that a line of its own ends it."""
    done = status(server, "--scoreboard", path, "--json")
    assert done.returncode == code, done
    assert done.stderr == "" and done.stdout.endswith("}\n")
    return json.loads(done.stdout)


def complaint(server, *words, code=CONFIG):
    """The one line that the command complains with, and nothing else."""
    done = status(server, *words)
    assert done.returncode == code, done
    assert done.stdout == ""
    assert re.fullmatch(r"prefork status: .*\n", done.stderr), done.stderr
    return done.stderr.removeprefix("prefork status: ").rstrip("\n")


# ---- what is shown ---------------------------------------------------------------------------


def test_json_field_by_field(server, board):
    """Every field of the file, under the names of prefork(1)."""
    shown = as_json(server, board())
    workers = shown.pop("workers")
    assert shown == {
        "alive": True, "stopping": False, "pid": 4711, "name": "hello",
        "started": NOW - 200000, "updated": NOW, "births": 7, "requests": 1000 + 12 + 3 + 70000,
        "num_children": 5, "num_busy": 2, "num_idle": 1}
    assert workers[1] == {
        "slot": 1, "pid": 102, "state": "W", "whole": True, "started": NOW - 90,
        "request_started": NOW - 75, "updated": NOW - 1, "requests": 3, "proto": "ssl",
        "peer": "[2001:db8::7]:50000", "local": "[::1]:443", "label": "sends a file"}
    assert workers[2]["request_started"] is None
    assert [w["peer"] for w in workers] == ["192.0.2.1:49152", "[2001:db8::7]:50000", "", "", ""]
    assert "".join(w["state"] for w in workers) == "_WSR?"


def test_the_names_of_the_object_are_those_of_the_manual(server, board):
    """In the same order."""
    page = (REPO / "docs/man/prefork.1").read_text()
    section = page.partition(".Ss What a server does")[2].partition(".Sh ENVIRONMENT")[0]
    names = re.findall(r"^\.It Li (\w+) Ta", section, re.MULTILINE)
    shown = as_json(server, board())
    assert names == [*shown, *shown["workers"][0]]


def test_times_keep_their_microseconds(server, board):
    """Nothing is rounded on the way."""
    shown = as_json(server, board([line(1, "_", born=1763700000.123457)]))
    assert shown["workers"][0]["started"] == 1763700000.123457


def test_text_field_by_field(server, board):
    """A head, counts, and an aligned line for each worker, in 80 columns."""
    done = status(server, "--scoreboard", board(alive=False), env={"TZ": "UTC"})
    assert done.returncode == GONE
    lines = done.stdout.splitlines()
    assert lines[0] == "hello[4711] does not run: it ended without cleaning up."
    assert re.fullmatch(r"It ran since 2025-11-18 21:06:40, last change 2025-11-21 04:40:00 "
                        r"\(\d+d\d\dh ago\)", lines[1])
    assert lines[2] == "5 children, 2 busy, 1 idle; 7 births, 71015 requests"
    assert lines[3] == ""
    assert lines[4:] == [
        "SLOT PID S  REQUESTS     AGE    TIME PEER                LABEL",
        "   0 101 _        12   1h00m      5s 192.0.2.1:49152",
        "   1 102 W         3   1m30s   1m15s [2001:db8::7]:50000 sends a file",
        "   2 103 S         0      0s      0s -",
        "   3 104 R     70000   2d07h      2s unix",
        "   4 105 ?         0      1s      1s -",
    ]


def test_the_head_of_a_server_that_lives(server, board):
    """And of one that is about to end."""
    path = board([], started=time.time() - 5)
    assert re.match(r"hello\[4711\] runs since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n"
                    r"0 children, 0 busy, 0 idle; 7 births, 1000 requests\n$",
                    status(server, "--scoreboard", path).stdout)
    first = status(server, "--scoreboard", board([], stopping=1)).stdout.splitlines()[0]
    assert first.endswith(" and is stopping")


def test_ages_of_a_server_that_lives_grow(server, board):
    """They are measured by the clock, and not by the last change."""
    begin = time.time() - 86400 * 3 - 3600 * 4 - 60
    out = status(server, "--scoreboard", board([line(1, "_", born=begin, updated=begin)])).stdout
    assert re.search(r"^ *0 +1 _ +0 +3d04h +3d04h -$", out, re.MULTILINE)


def test_a_server_that_is_gone_is_shown_all_the_same(server, board):
    """With another exit status."""
    shown = as_json(server, board(alive=False), code=GONE)
    assert shown["alive"] is False and shown["num_children"] == 5


def test_a_server_that_could_not_remove_its_file(server, board):
    """It was stopped, and that is another thing than a crash."""
    done = status(server, "--scoreboard", board([], alive=False, stopping=1))
    assert done.returncode == GONE
    assert "does not run: it ended after a stop was asked for" in done.stdout


def test_somebody_who_is_just_being_born(server, board):
    """Has no pid yet, and counts."""
    shown = as_json(server, board([line(0, "S", born=NOW), line(101, "_")]))
    assert [w["pid"] for w in shown["workers"]] == [0, 101]
    assert shown["num_children"] == 2 and shown["num_busy"] == 0


def test_a_line_in_the_middle_of_being_written(server, board):
    """Marked, and no reason to fail."""
    path = board([scorefiles.record(line(101, "W"), sequence=7)], alive=False)
    assert as_json(server, path, code=GONE)["workers"][0]["whole"] is False
    out = status(server, "--scoreboard", path).stdout
    assert re.search(r"^ *0 101 W! ", out, re.MULTILINE)
    assert out.splitlines()[-1].startswith("! was being written")


def test_slots_that_nobody_uses_are_left_out(server, board):
    """A big board of few workers is a short text."""
    path = board([line(101, "_")], records=3000)
    assert len(as_json(server, path)["workers"]) == 1


# ---- texts of strangers ----------------------------------------------------------------------

STRANGE = [
    b'quotes " and \\ and \'', b"tab\tnewline\nescape\x1b[2J", b"\x7f", "schön ☃ 漢字".encode(),
    b"cut \xe2\x98", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80 alone",
    "C1 \x9b2J".encode(), "turned \u202e gnirts".encode(), b"\xf0\x9f\x98\x80", b"x" * 87,
    b"\x01" * 87, b"\xff" * 87, "\u2028".encode(),
]


def replaced(data):
    """Each byte that is no part of a character as U+FFFD, one by one."""
    text = data.decode("utf-8", errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", "\ufffd", text)


@pytest.mark.parametrize("label", STRANGE)
def test_strange_labels_and_names(server, board, label):
    """They are valid JSON whatever they are, and harmless to a terminal."""
    path = board([line(101, "W", label=label, proto=label[:15])], name=label[:63])
    shown = as_json(server, path)
    assert shown["workers"][0]["label"] == replaced(label)
    assert shown["workers"][0]["proto"] == replaced(label[:15])
    assert shown["name"] == replaced(label[:63])
    done = server.command("/bin/sh", "-c", f'"{PREFORK}" status --scoreboard "{path}" | base64')
    out = base64.b64decode(done.stdout).decode()  # which has to be UTF-8
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", out)
    assert len(out.splitlines()) == 5
    assert all(len(one) <= 80 for one in out.splitlines()[3:])


@pytest.mark.parametrize("label, shown", [
    (b"\x1b[2J", r"\x1B[2J"), (b"a\xffb", r"a\xFFb"), ("\u202e".encode(), r"\xE2\x80\xAE"),
    ("schön".encode(), "schön"), (b'"', '"'), (b"x" * 87, "x" * 24 + "..."),
    (b"y" * 27, "y" * 27), (b"z" * 28, "z" * 24 + "..."), (b"\n" * 8, r"\x0A" * 6 + "..."),
])
def test_how_a_label_is_shown(server, board, label, shown):
    """Cut where 80 columns end, but never within \\xNN."""
    path = board([line(123, "W", label=label, peer=end("192.0.2.1", 49152))])
    row = status(server, "--scoreboard", path).stdout.splitlines()[-1]
    assert row.split(" 192.0.2.1:49152 ")[1] == shown
    assert len(row) <= 80


def test_addresses_are_never_cut(server, board):
    """Where they are too long for 80 columns, the label still has some room."""
    path = board([line(4000000, "W", requests=10**9, label=b"l" * 87, peer=end(
        "2001:db8:1111:2222:3333:4444:5555:6666", 65535, scope=4294967295))])
    row = status(server, "--scoreboard", path).stdout.splitlines()[-1]
    assert "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535 lllllllll..." in row


def test_numbers_out_of_all_bounds(server, board):
    """A worker that has gone mad writes anything into its line."""
    mad = b"\xff" * 192
    worst = b"\x7f\xff" * 96
    path = board([mad, worst, mad[:8] + b"\xff" * 7 + b"\x7f" + mad[16:]], name=b"\xff" * 64)
    assert as_json(server, path)["workers"][0]["state"] == "?"
    assert status(server, "--scoreboard", path).returncode == OK


# ---- what cannot be shown --------------------------------------------------------------------


@pytest.mark.parametrize("words, sentence", [
    ([], "which server? --scoreboard names the file"),
    (["--json"], "which server?"),
    (["--scoreboard"], "--scoreboard: a file name is needed"),
    (["--frobnicate"], "--frobnicate: unknown option"),
    (["--scoreboard", "a", "--conf-file", "b"], "give one of them"),
    (["score"], "options are all it takes"),
    (["--scoreboard", "a", "b"], "options are all it takes"),
])
def test_mistakes_of_the_command_line(server, words, sentence):
    """Exit status 64."""
    assert sentence in complaint(server, *words, code=USAGE)


def test_help(server):
    """The subcommand explains itself, and the command lists it."""
    done = status(server, "--help")
    assert done.returncode == OK and "--scoreboard FILE" in done.stdout
    assert "prefork status --scoreboard FILE" in server.prefork("--help").stdout


@pytest.mark.parametrize("what, sentence", [
    ("missing", "is not there; a server makes it when it starts"),
    ("directory", "is a directory"),
    ("fifo", "is not a file"),
    ("socket", "is not a file"),
    ("empty", "is empty"),
    ("text", 'is not a scoreboard: it begins with "hello\\x0A"'),
    ("short", "ends after 100 of 304 bytes"),
    ("version", "is of version 7 where this program reads version 1"),
    ("order", "of the other byte order"),
])
def test_files_that_are_no_scoreboard(server, board, tmp_path, what, sentence):
    """Exit status 78, what is wrong, and which file."""
    path = tmp_path / "score"
    if what in ("version", "order"):
        board(version=7 if what == "version" else 1,
              order=0x04030201 if what == "order" else 0x01020304)
    elif what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif what != "missing":
        path.write_bytes({"empty": b"", "text": b"hello\n", "short": b"PREFORK\n" + bytes(92)}[what])
    message = complaint(server, "--scoreboard", path)
    assert message.startswith(f"scoreboard {path}: ") and sentence in message


@pytest.mark.root
def test_no_permission(server, board):
    """Exit status 71: the system does not let it be read."""
    path = board()
    path.chmod(0o600)
    done = server.command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                          "--inh-caps=-all", PREFORK, "status", "--scoreboard", path)
    if "score: " not in done.stderr:
        pytest.skip("the directory of the build or of the tests is closed to others")
    assert done.returncode == SYSTEM
    assert "permission denied" in done.stderr


def test_output_that_cannot_be_written(server, board):
    """A full disk is no success."""
    for form in ("", "--json"):
        done = server.command("/bin/sh", "-c",
                              f'"{PREFORK}" status --scoreboard "{board()}" {form} >/dev/full')
        assert done.returncode == SYSTEM
        assert "cannot be written" in done.stderr


# ---- by the config file ----------------------------------------------------------------------


def has_setting(server):
    """True if this build knows scoreboard_path."""
    return server.prefork("check", "--scoreboard-path=/tmp/score").returncode == OK


def test_a_config_file_without_a_scoreboard(server, tmp_path):
    """Said, and what is missing."""
    (tmp_path / "x.conf").write_text("max_servers 20\n")
    for spelling in (["--conf_file", "x.conf"], ["--conf-file=x.conf"]):
        assert complaint(server, *spelling).startswith("x.conf does not set scoreboard_path")


def test_a_config_file_with_a_mistake(server, tmp_path):
    """The sentence is the one of check."""
    (tmp_path / "x.conf").write_text("max_server 20\n")
    assert complaint(server, "--conf_file", "x.conf").startswith("x.conf:1: max_server: unknown")
    assert "y.conf: No such file" in complaint(server, "--conf_file", "y.conf")


# ---- the call --------------------------------------------------------------------------------

CALL = r"""
#include <prefork/prefork.h>
int main(int argc, char **argv)
{
    struct prefork_scoreboard *b = NULL;
    char error[200] = "";
    int r = prefork_read_scoreboard(argv[argc - 1], &b, error, sizeof error);
    printf("%d %s\n", r, error);
    if (b)
        printf("%s %u %u %u %s\n", b->name, b->num_children, b->num_busy, b->num_idle,
               b->workers[1].label);
    prefork_free_scoreboard(b);
    return prefork_read_scoreboard("/", &b, NULL, 0) == 0;
}
"""


def test_the_call_in_a_program_without_a_server(server, board):
    """The result, or the sentence."""
    program = server.build(CALL)
    assert server.command(program, board()).stdout == "0 \nhello 5 2 1 sends a file\n"
    done = server.command(program, "/nowhere")
    assert done.returncode == 0
    assert re.match(r"-2 scoreboard /nowhere: is not there;", done.stdout)


def test_the_value_of_a_setting(server):
    """prefork_get: set, default, unknown."""
    program = server.build(r"""
        #include <prefork/prefork.h>
        int main(void)
        {
            struct prefork *p = prefork_new(&(struct prefork_app){.name = "x"});
            const char *none = prefork_get(p, "no_such_key");
            const char *unset = prefork_get(p, "pid_file");
            if (prefork_set(p, "min-servers", "4") < 0 || prefork_set(p, "port", "1") < 0 ||
                prefork_set(p, "port", "2") < 0)
                return 1;
            printf("%s %s %s %s %s\n", none ? none : "none", unset ? unset : "unset",
                   prefork_get(p, "min_servers"), prefork_get(p, "port"),
                   prefork_get(p, "log_level"));
            prefork_free(p);
            return 0;
        }""")
    assert server.command(program).stdout == "none unset 4 2 2\n"


# ---- real servers ----------------------------------------------------------------------------


@pytest.fixture
def score(server, tmp_path):
    """Settings of a server with a scoreboard; a skip where there are none."""
    if not has_setting(server):
        pytest.skip("there is no setting scoreboard_path")
    return {"scoreboard_path": tmp_path / "score"}


def counted(server, score, **expected):
    """Wait until the numbers are these: the object."""
    def look():
        done = status(server, "--scoreboard", score["scoreboard_path"], "--json")
        shown = json.loads(done.stdout) if done.returncode == OK else {}
        return shown if expected.items() <= shown.items() else None
    return server.running[-1].wait_until(look, f"a scoreboard with {expected}")


def hold(pool):
    """A held connection, and the pid of the worker that holds it."""
    connection = pool.connect()
    connection.sendall(b"hold\n")
    return connection, int(read_line(connection).split()[0])


def test_a_server_at_rest(server, score):
    """Everybody is idle, is a worker, and is as old as it should be."""
    tick = 0.1  # clocks of the file are coarse, each in its own way
    begin = time.time() - tick
    pool = server.start(server.program("pool"), score, min_servers=3, max_servers=3)
    shown = counted(server, score, num_idle=3)
    assert shown["alive"] and shown["pid"] == pool.pid and shown["name"] == "pool"
    assert shown["num_children"] == 3 and shown["num_busy"] == 0 and shown["births"] == 3
    assert sorted(w["pid"] for w in shown["workers"]) == pool.workers()
    assert begin <= shown["started"] <= time.time() + tick
    assert shown["started"] - tick <= shown["workers"][0]["started"] <= time.time() + tick


def test_held_connections_are_busy(server, score):
    """With their clients, and idle again after them."""
    pool = server.start(server.program("pool"), score, min_servers=3, max_servers=3)
    held = [hold(pool) for _ in range(2)]
    shown = counted(server, score, num_busy=2, num_idle=1)
    by_pid = {w["pid"]: w for w in shown["workers"]}
    for connection, pid in held:
        host, port = connection.getsockname()
        assert by_pid[pid]["peer"] == f"{host}:{port}"
        assert by_pid[pid]["local"] in ("", pool.listeners[0])
        assert by_pid[pid]["state"] == "W" and by_pid[pid]["proto"] == "tcp"
        assert by_pid[pid]["requests"] == 1
        connection.sendall(b"done\n")
        connection.close()
    assert counted(server, score, num_busy=0, num_idle=3)["requests"] == 2


def test_requests_of_the_dead_still_count(server, score):
    """In the total, which never falls."""
    pool = server.start(server.program("pool"), score, min_servers=2, max_servers=2)
    for _ in range(4):
        assert b"is here" in pool.ask(b"pid\n")
    counted(server, score, requests=4)
    os.kill(pool.workers()[0], SIGKILL)
    assert counted(server, score, births=3, num_idle=2)["requests"] == 4


def test_a_master_that_was_killed(server, score):
    """Its file stays, and says so; the workers leave by themselves."""
    pool = server.start(server.program("pool"), score, min_servers=2, max_servers=2)
    counted(server, score, num_idle=2)
    workers = pool.workers()
    pool.signal(SIGKILL)
    assert pool.wait_exit() == -SIGKILL
    pool.wait_until(lambda: not any(is_alive(pid) for pid in workers), "the end of the workers")
    shown = as_json(server, score["scoreboard_path"], code=GONE)
    assert shown["alive"] is False and shown["pid"] == pool.pid
    done = status(server, "--scoreboard", score["scoreboard_path"])
    assert done.returncode == GONE
    assert "does not run: it ended without cleaning up" in done.stdout


def test_a_server_that_stopped_has_none(server, score):
    """The sentence says that this is how it should be."""
    pool = server.start(server.program("pool"), score)
    counted(server, score, alive=True)
    assert pool.stop() == 0
    assert "removes it when it stops" in complaint(
        server, "--scoreboard", score["scoreboard_path"])


def test_by_the_config_file_of_a_server(server, score, tmp_path):
    """The same as by name."""
    conf = tmp_path / "x.conf"
    conf.write_text(f"scoreboard_path {score['scoreboard_path']}\nmin_servers 2\nmax_servers 2\n")
    server.start(server.program("pool"), *flags(conf_file=conf))
    counted(server, score, num_idle=2)
    done = status(server, "--conf_file", conf, "--json")
    assert done.returncode == OK and json.loads(done.stdout)["num_idle"] == 2


INSIDE = r"""
#include <prefork/prefork.h>
#include <stdlib.h>
static void tell(const char *who)
{
    struct prefork_scoreboard *b;
    char error[300];
    if (prefork_read_scoreboard(getenv("SCORE"), &b, error, sizeof error) < 0) {
        prefork_log(PREFORK_LOG_NOTICE, "%s: %s", who, error);
        return;
    }
    prefork_log(PREFORK_LOG_NOTICE, "%s: alive %d busy %u idle %u", who, b->alive,
                b->num_busy, b->num_idle);
    prefork_free_scoreboard(b);
}
static bool heard(pid_t pid, const char *line, void *data)
{
    (void)pid, (void)line, (void)data;
    tell("master");
    return false;
}
static void serve(struct prefork_conn *c, void *data)
{
    (void)data;
    tell("worker");
    (void)prefork_tell_parent(prefork_conn_worker(c), "now");
    char line[9];
    (void)prefork_gets(c, line, sizeof line);
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){
        .name = "inside", .process_request = serve, .parent_read_hook = heard});
}
"""


def test_the_call_in_hooks(server, score):
    """In a worker and in the master, which holds the lock itself, and leaves nothing open."""
    inside = server.start(server.build(INSIDE), score, min_servers=2, max_servers=2,
                          env={"SCORE": score["scoreboard_path"]})
    counted(server, score, num_idle=2)
    before = len(proc_fds(inside.pid))
    with inside.connect():
        inside.wait_log("worker: alive 1 busy 1 idle 1")
        inside.wait_log("master: alive 1 busy 1 idle 1")
    assert len(proc_fds(inside.pid)) == before
