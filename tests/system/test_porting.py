"""The programs of docs/PORTING.md, as they stand there: built, started as daemons, asked.

Only the directories are others.
"""

import json
import re

import pytest

from clients import lines
from support import REPO, connect, converse, title_of

GUIDE = REPO / "docs" / "PORTING.md"
PROGRAMS = re.findall(r"^```c\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)


def start(server, tmp_path, source):
    """The daemon that comes of a program of the guide."""
    for directory in ("/run/", "/var/log/"):
        source = source.replace(directory, f"{tmp_path}/")
    program = server.build(source, "-Werror")
    return server.start(program, port=None, daemonize=True,
                        error_log_path=tmp_path / "greeter.log")


def greet(path):
    """What it answers."""
    with connect(path) as client:
        return converse(client, b"world\n")


def test_the_guide_has_both_programs():
    assert len(PROGRAMS) == 2
    assert ["main_loop" in source for source in PROGRAMS] == [True, False]


@pytest.mark.parametrize("source", PROGRAMS, ids=["loop", "no-loop"])
@pytest.mark.shows("method:init", "method:daemonize", "arg:after_init")
def test_programs_of_the_guide_do_what_they_say(server, tmp_path, source):
    s = start(server, tmp_path, source)
    assert lines(tmp_path / "greeter.pid") == [[str(s.pid)]]
    assert len(s.wait_workers(3)) == 3
    for _ in range(5):
        assert greet(tmp_path / "greeter.sock") == b"Hello, world\n"
    assert s.stop() == 0
    assert not (tmp_path / "greeter.pid").exists()


@pytest.mark.shows("method:set_label", "method:update_scoreboard")
def test_labels_of_the_guide_show_what_children_do(server, tmp_path):
    s = start(server, tmp_path, PROGRAMS[0])
    s.wait_until(lambda: [title_of(pid) for pid in s.workers()] == ["greeter: listening"] * 3,
                 "three children that listen")
    with connect(tmp_path / "greeter.sock"):
        s.wait_until(lambda: "greeter: serving client 1" in s.titles().values(), "one that serves")
        status = json.loads(server.prefork("status", "--json", "--scoreboard",
                                           tmp_path / "greeter.scoreboard").stdout)
        serving = [w for w in status["workers"] if w["state"] == "R"]
        assert [w["label"] for w in serving] == ["serving client 1"]
        assert (status["num_busy"], status["num_idle"]) == (1, 2)
