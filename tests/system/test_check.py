"""`prefork check`, and what every start does with settings before anything is started.

The command prints the configuration in effect, each value with where it came from, in the
grammar of the config file. So a test reads it as an operator would: key, value, origin.
What is wrong is one line on standard error that names the file and line or the option, and
an exit status that says whose fault it is: 64 the command line's, 78 a setting's.
"""

import re
import socket

import pytest

from support import EXAMPLES, PREFORK, flags

OK, USAGE, SYSTEM, CONFIG = 0, 64, 71, 78


def write(tmp_path, text, name="x.conf"):
    """A config file, bytes or text: its name in the directory that commands run in."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def check(server, *words, **settings):
    """Run prefork check; its CompletedProcess."""
    env = settings.pop("env", None)
    return server.prefork("check", *flags(*words, **settings), env=env, cwd=server.directory)


def effective(server, *words, **settings):
    """What prefork check prints: key -> (value, origin), lists as lists of these."""
    done = check(server, *words, **settings)
    assert done.returncode == OK, done.stderr
    return parse(done.stdout)


def parse(text):
    """Lines "key value  # origin"; what is not set is a comment and left out."""
    found = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"([a-zA-Z_]+) (.*?)  # (.*)", line):
            key, value, origin = match.groups()
            found[key] = [*found.get(key, []), (value, origin)]
        else:
            assert line.startswith("# "), line
    return {key: entries if len(entries) > 1 else entries[0] for key, entries in found.items()}


def complaint(server, *words, status=CONFIG, **settings):
    """The one line that prefork check complains with."""
    done = check(server, *words, **settings)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("prefork check: ")
    return lines[0].removeprefix("prefork check: ")


# ---- the effective configuration -----------------------------------------------------------


def test_defaults_need_nothing_set(server):
    """The defaults fit together: no adaptation, no complaint, every origin is "default"."""
    done = check(server)
    assert (done.returncode, done.stderr) == (OK, "")
    values = parse(done.stdout)
    assert {origin for _, origin in values.values()} == {"default"}
    assert values["max_servers"] == ("50", "default")
    assert values["port"] == ("20203", "default")


@pytest.mark.shows("source:conf_file", "source:command-line", "source:built-in",
                   "key:conf_file")
def test_origins_name_file_line_and_option(server, tmp_path):
    """Each value says where it came from."""
    conf = write(tmp_path, "# first\nmax_servers 20\n\nlog_level 3\n")
    values = effective(server, conf_file=conf, min_servers=4)
    assert values["max_servers"] == ("20", f"{conf}:2")
    assert values["log_level"] == ("3", f"{conf}:4")
    assert values["min_servers"] == ("4", "--min-servers")
    assert values["listen"] == ("4096", "default")


@pytest.mark.shows("key:conf_file", "source:command-line", "source:conf_file")
def test_the_command_line_stands_above_the_file(server, tmp_path):
    """Also when the option comes before conf_file."""
    conf = write(tmp_path, "max_servers 20\nmax_requests 5\n")
    for words in (["--max_servers", "30", "--conf_file", conf],
                  ["--conf_file", conf, "--max_servers", "30"]):
        values = effective(server, *words)
        assert values["max_servers"] == ("30", "--max-servers")
        assert values["max_requests"] == ("5", f"{conf}:2")


@pytest.mark.shows("source:last-wins")
def test_the_last_of_one_source_counts(server, tmp_path):
    """For settings that have one value."""
    conf = write(tmp_path, "log_level 1\nlog_level 2\n")
    assert effective(server, conf_file=conf)["log_level"] == ("2", f"{conf}:2")
    assert effective(server, "--log_level=1", "--log_level=3")["log_level"][0] == "3"


@pytest.mark.shows("env:IPV", "port:ipv-precedence")
def test_ipv_of_the_environment_is_below_everything(server, tmp_path):
    """IPV replaces the default of ipv and nothing more."""
    conf = write(tmp_path, "ipv 6\n")
    assert effective(server, env={"IPV": "4"})["ipv"][0] == "4"
    assert effective(server, conf_file=conf, env={"IPV": "4"})["ipv"] == ("6", f"{conf}:1")
    assert effective(server, ipv="6", env={"IPV": "4"})["ipv"] == ("6", "--ipv")


@pytest.mark.shows("hook:configure_hook", "source:configure_hook", "source:default_values")
def test_defaults_of_the_program_are_lowest(server, tmp_path):
    """configure_hook says 777; the file and the command line may say otherwise."""
    hooks = server.program("hooks")
    conf = write(tmp_path, "max_requests nonsense\n")
    done = server.command(hooks, "--conf_file", conf, cwd=tmp_path)
    assert (done.returncode, "max_requests" in done.stderr) == (CONFIG, True)
    done = server.command(hooks, "--max_requests=1", "--min_servers=9", "--max_servers=8")
    assert "min_servers 9 (--min-servers) is more than max_servers 8" in done.stderr


@pytest.mark.shows("rule:start-up-validation")
@pytest.mark.parametrize("settings, key, value, verb", [
    ({"max_servers": 3}, "max_spare_servers", "3", "lowered"),
    ({"max_servers": 3}, "min_servers", "3", "lowered"),
    ({"max_servers": 1}, "min_spare_servers", "1", "lowered"),
    ({"min_servers": 80}, "max_servers", "80", "raised"),
    ({"min_spare_servers": 7}, "min_servers", "7", "raised"),
    ({"min_spare_servers": 20}, "max_spare_servers", "20", "raised"),
    ({"sizing": "ondemand"}, "min_servers", "0", "lowered"),
    ({"sizing": "static", "max_servers": 9}, "min_servers", "9", "raised"),
])
def test_adapted_defaults_are_told(server, settings, key, value, verb):
    """Setting one number never breaks a server: the defaults move, and say so."""
    done = check(server, **settings)
    assert done.returncode == OK
    entry = parse(done.stdout)[key]
    assert entry[0] == value
    assert entry[1].startswith("default, adapted to ")
    assert re.search(rf"notice: {key}: \d+ {verb} to {value} because ", done.stderr)


@pytest.mark.shows("rule:sample-of-the-manual", "file:comment", "file:entry")
def test_the_sample_of_net_server_works(server, tmp_path):
    """The configuration that the manual of Net::Server::PreFork shows, where it applies."""
    conf = write(tmp_path, "#-------------- file test.conf --------------\n"
                           "### user and group to become\nuser        root\ngroup       root\n"
                           "### logging ?\nlog_file    /var/log/server.log\nlog_level   3\n"
                           "pid_file    /tmp/server.pid\n"
                           "min_servers   20\nmax_servers   80\nmin_spare_servers 10\n"
                           "max_spare_servers 15\nmax_requests  1000\n"
                           "host        127.0.0.1\nport        localhost:20204\n"
                           "port        20205\nbackground  1\nsetsid      1\n")
    values = effective(server, conf_file=conf)
    assert [value for value, _ in values["port"]] == ["localhost:20204", "20205"]
    assert values["min_servers"][0] == "20"


def test_the_output_can_be_loaded_again(server, tmp_path):
    """What check prints is a config file with the same meaning."""
    first = check(server, "--port=127.0.0.1:1", "--port=/a b#c.sock|unix", "--no-client-stdout=0",
                  "--background", max_servers=3, request_timeout="0.25", socket_mode="0660",
                  accept_order="fair", sizing="static")
    assert first.returncode == OK, first.stderr
    again = effective(server, conf_file=write(tmp_path, first.stdout))
    expected = parse(first.stdout)
    assert values_of(again) == values_of(expected)
    assert [value for value, _ in again["port"]][1].startswith("/a b")


def values_of(entries):
    """Values without their origins."""
    return {key: [value for value, _ in (entry if isinstance(entry, list) else [entry])]
            for key, entry in entries.items()}


# ---- the command line ----------------------------------------------------------------------


@pytest.mark.shows("form:key-value")
@pytest.mark.parametrize("words", [
    ["--min-servers", "4"], ["--min_servers", "4"], ["--min-servers=4"], ["--min_servers=4"],
    ["--prefork=4"], ["--prefork", "4"],
])
def test_all_spellings_of_an_option(server, words):
    """Dashes or underscores, a blank or "=", and the other system's name."""
    assert effective(server, *words)["min_servers"] == ("4", "--min-servers")


@pytest.mark.shows("form:flag", "form:flag-word")
@pytest.mark.parametrize("words, value", [
    (["--background"], "1"), (["--background=1"], "1"), (["--background", "yes"], "1"),
    (["--background=off"], "0"), (["--no-background"], "0"), (["--no_background"], "0"),
    (["--daemonize"], "1"), (["--background", "--no-background"], "0"),
])
def test_flags_can_be_given_and_taken_back(server, words, value):
    """A flag alone is on, --no-FLAG is off, and a value may be said."""
    values = effective(server, *words)
    assert {"1": "1", "0": "0", "yes": "1", "off": "0"}[values["background"][0]] == value


@pytest.mark.shows("form:flag-word")
def test_a_flag_leaves_the_program_alone(server):
    """The word after a flag is its value only if it can be nothing else."""
    done = check(server, "--background", "cat")
    assert done.returncode == OK
    assert parse(done.stdout)["background"][0] == "1"
    message = complaint(server, "--background", "no-such-program")
    assert "no-such-program" in message


@pytest.mark.shows("key:no_client_stdout", "form:flag")
def test_the_name_of_a_setting_is_no_negation(server):
    """no_client_stdout is a setting; its negation has a no- more."""
    assert effective(server, "--no-client-stdout")["no_client_stdout"][0] == "1"
    assert effective(server, "--no-no-client-stdout")["no_client_stdout"][0] == "0"


@pytest.mark.shows("source:list-collects", "source:list-not-extended")
def test_repeated_list_keys_are_collected(server, tmp_path):
    """All of one source; a stronger source replaces the list as a whole."""
    conf = write(tmp_path, "port 127.0.0.1:1\nport 127.0.0.1:2\n")
    assert effective(server, conf_file=conf)["port"] == [
        ("127.0.0.1:1", f"{conf}:1"), ("127.0.0.1:2", f"{conf}:2")]
    values = effective(server, "--port=127.0.0.1:3", "--port", "127.0.0.1:4", conf_file=conf)
    assert [value for value, _ in values["port"]] == ["127.0.0.1:3", "127.0.0.1:4"]


@pytest.mark.shows("form:unrecognized")
@pytest.mark.parametrize("words, sentence", [
    (["--max_server", "3"], "--max-server: unknown option; did you mean --max-servers?"),
    (["--max_children_x=1"], "--max-children-x: unknown option"),
    (["--frobnicate"], "--frobnicate: unknown option"),
    (["-x"], "-x: unknown option; options begin with --"),
    (["--log_level"], "--log-level: a value is needed"),
    (["--log_level", "--background"], "--log-level: a value is needed"),
    (["--no-background=1"], "takes no value"),
    (["--no-log-level"], "--no-log-level: unknown option"),
])
def test_mistakes_of_the_command_line(server, words, sentence):
    """Exit status 64, and the option by its name."""
    assert sentence in complaint(server, *words, status=USAGE)


# ---- the file ------------------------------------------------------------------------------


@pytest.mark.shows("file:entry", "file:dashes", "file:comment", "file:value")
@pytest.mark.parametrize("line", [
    "max_servers 20", "max_servers = 20", "max_servers=20", "max_servers: 20", "max_servers\t20",
    "   max_servers   20", "--max_servers 20", "--max-servers 20", "max-servers 20",
    "max_servers 20   # as many as we can", "max_servers 20\r", "max_servers 20 \t ",
    "max_servers 20 \r", "max_children 20",
])
def test_the_ways_to_write_a_line(server, tmp_path, line):
    """Blanks, "=", ":", comments, carriage returns, dashes, other names: one meaning."""
    conf = write(tmp_path, f"{line}\n")
    assert effective(server, conf_file=conf)["max_servers"] == ("20", f"{conf}:1")


def test_a_file_without_a_last_newline(server, tmp_path):
    """The last line counts."""
    conf = write(tmp_path, "log_level 1\nmax_servers 20")
    assert effective(server, conf_file=conf)["max_servers"][0] == "20"


def test_comments_and_empty_lines_count_as_lines(server, tmp_path):
    """So that the line number is the editor's."""
    conf = write(tmp_path, "\n# one\n   \n\t# two\nmax_servers 20\n")
    assert effective(server, conf_file=conf)["max_servers"] == ("20", f"{conf}:5")


@pytest.mark.shows("file:no-value")
def test_a_flag_alone_is_on(server, tmp_path):
    """A line that is only the name of a flag."""
    assert effective(server, conf_file=write(tmp_path, "setsid\n"))["setsid"][0] == "1"


@pytest.mark.shows("file:unknown-key", "file:no-value")
@pytest.mark.parametrize("line, sentence", [
    ("max_server 3", "max_server: unknown setting; did you mean max_servers?"),
    ("max-chldren 3", "max-chldren: unknown setting; did you mean max_children?"),
    ("frobnicate 3", "frobnicate: unknown setting"),
    ("max_servers many", 'max_servers: "many" is not a whole number; 1 to 100000 is allowed'),
    ("max_servers -1", 'max_servers: "-1" is not a whole number'),
    ("max_servers 1.5", 'max_servers: "1.5" is not a whole number'),
    ("max_servers 0x10", 'max_servers: "0x10" is not a whole number'),
    ("max_servers 0", 'max_servers: "0" is out of range; 1 to 100000 is allowed'),
    ("max_servers 100001", 'max_servers: "100001" is out of range'),
    ("max_servers 99999999999999999999", "is out of range"),
    ("max_requests_jitter 91", "0 to 90 is allowed"),
    ("request_timeout soon", 'request_timeout: "soon" is not a number of seconds'),
    ("spare_timeout 0.01", 'spare_timeout: "0.01" is out of range'),
    ("background perhaps", 'background: "perhaps" is neither'),
    ("accept_order random", 'accept_order: "random" is not one of hot, fair'),
    ("socket_mode 0999", 'socket_mode: "0999" is not an octal mode'),
    ("max_servers", "max_servers: a value is needed"),
    ("max_servers =", "max_servers"),
    ("conf_file /etc/passwd", "a config file cannot name another one"),
    ("= 3", "a line begins with the name of a setting"),
    ("max_servers|3", "between a setting and its value stands a blank, = or :"),
    ("max_servers 3\x01", "control character"),
    ("user no-such-user-here", 'user: there is no user "no-such-user-here"'),
    ("group no-such-group-here", 'group: there is no group "no-such-group-here"'),
    ("socket_owner no-such-user-here", "socket_owner: there is no user"),
    ("port 70000", "port"),
    ("port localhost:", "port"),
    ("port relative/path|unix", "port"),
])
def test_mistakes_of_a_file(server, tmp_path, line, sentence):
    """Exit status 78, the file, the line, and what is allowed."""
    conf = write(tmp_path, f"# a comment\n{line}\nlog_level 1\n")
    message = complaint(server, conf_file=conf)
    assert message.startswith(f"{conf}:2: "), message
    assert sentence in message


def test_a_line_that_is_too_long(server, tmp_path):
    """Is told by its number and not cut."""
    conf = write(tmp_path, "log_file /" + "x" * 5000 + "\n")
    assert complaint(server, conf_file=conf).startswith(
        f"{conf}:1: log_file: the line is longer")


@pytest.mark.shows("file:missing")
def test_a_missing_file(server, tmp_path):
    """Is an error and not a warning."""
    message = complaint(server, conf_file=tmp_path / "missing")
    assert message == f"config file {tmp_path}/missing: No such file or directory"


def test_a_directory_as_file(server, tmp_path):
    """Is said to be one."""
    assert complaint(server, conf_file=tmp_path) == f"config file {tmp_path}: is a directory"


def test_a_file_full_of_nul_bytes(server, tmp_path):
    """Anything may be in a file; nothing may break."""
    assert "control character" in complaint(server, conf_file=write(tmp_path, bytes(100)))


# ---- rules between settings ----------------------------------------------------------------


@pytest.mark.shows("rule:start-up-validation", "key:min_servers", "key:max_spare_servers",
                   "key:min_spare_servers")
@pytest.mark.parametrize("settings, sentence", [
    ({"min_servers": 5, "max_servers": 3},
     "min_servers 5 (--min-servers) is more than max_servers 3 (--max-servers)"),
    ({"max_spare_servers": 9, "max_servers": 3}, "max_spare_servers 9 "),
    ({"min_spare_servers": 9, "max_spare_servers": 3}, "min_spare_servers 9 "),
    ({"min_spare_servers": 9, "min_servers": 3}, "min_spare_servers 9 "),
    ({"min_servers": 1, "sizing": "ondemand"}, "min_servers 1 (--min-servers) must be 0"),
    ({"handler": "wait", "sizing": "dynamic"}, "sizing dynamic (--sizing)"),
])
def test_contradictions(server, settings, sentence):
    """Two numbers that were both set: both are named with their origins."""
    assert sentence in complaint(server, **settings)


def test_a_contradiction_across_sources_names_both(server, tmp_path):
    """One in the file, one on the command line."""
    conf = write(tmp_path, "min_servers 5\n")
    message = complaint(server, conf_file=conf, max_servers=3)
    assert f"min_servers 5 ({conf}:1)" in message
    assert "max_servers 3 (--max-servers)" in message


# ---- nothing is started --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "serve", "example"])
def test_nothing_is_started_on_error(server, tmp_path, command):
    """A bad last setting leaves no pid file, no log file and no unix socket behind."""
    words = flags(port=f"{tmp_path}/s|unix", pid_file=tmp_path / "pid", log_file=tmp_path / "log",
                  max_servers=0)
    argv = {"check": [PREFORK, "check", *words, "cat"],
            "serve": [PREFORK, "serve", *words, "cat"],
            "example": [EXAMPLES / "echo", *words]}[command]
    done = server.command(*argv)
    assert done.returncode == CONFIG
    assert "max-servers" in done.stderr
    assert not any((tmp_path / name).exists() for name in ("s", "pid", "log"))


def test_check_starts_nothing_and_binds_nothing(server, tmp_path):
    """Also when all is well: a port that is taken is no matter, and no file is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = flags(port=[f"127.0.0.1:{taken.getsockname()[1]}", f"{tmp_path}/s|unix"],
                      pid_file=tmp_path / "pid", log_file=tmp_path / "log")
        done = check(server, *words, "cat")
    assert done.returncode == OK, done.stderr
    assert not any((tmp_path / name).exists() for name in ("s", "pid", "log"))


def test_check_of_a_program_looks_for_it(server, tmp_path):
    """Settings may be fine and the program may still not be there."""
    assert "No such file" in complaint(server, tmp_path / "missing")
    path = {"PATH": "/usr/bin:/bin"}
    assert "in PATH" in complaint(server, "no-such-program-here", env=path)
