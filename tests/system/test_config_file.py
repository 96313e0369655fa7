"""The grammar of files and options, and bad input for every row of the table of settings.

The first part is about the weaknesses W31 to W34: values that were changed on the way,
mistakes that passed in silence. The second part has no list of settings of its own: it reads
the rows from src/config/settings.def (by scripts/settings-man) and feeds each of them, by a
file and by the command line, every class of malformed value that its type knows. A new row
is tested from its first day; a new type needs its classes in MALFORMED.
"""

import grp
import json
import pwd
import re
import socket
import subprocess

import pytest

from support import REPO, Log, flags, proc_status
from test_check import CONFIG, OK, SYSTEM, USAGE, check, complaint, effective, write

DEFINITIONS = REPO / "src/config/settings.def"


def table(what):
    """Rows of settings.def ("rows") or foreign.def ("foreign") as dicts of texts."""
    done = subprocess.run([REPO / "scripts/settings-man", what, DEFINITIONS], text=True,
                          capture_output=True, check=True)
    return json.loads(done.stdout)


ROWS = table("rows")
FOREIGN = table("foreign")


def in_file(server, tmp_path, line, key):
    """What the only line of a file makes of a key."""
    conf = write(tmp_path, f"{line}\n")
    return effective(server, conf_file=conf)[key]


# ---- W31: percent signs --------------------------------------------------------------------


@pytest.mark.parametrize("value", ["/x/%a%b", "/x/%41", "/x/%", "/x/%%", "/x/%4", "/x/100%"])
def test_W31_percent_signs_mean_themselves(server, tmp_path, value):
    """% and one hex digit were replaced in every value from everywhere. Here nothing is
    decoded, neither in a file nor on the command line."""
    assert in_file(server, tmp_path, f"log_file {value}", "log_file")[0] == value
    assert effective(server, "--log_file", value)["log_file"][0] == value
    assert effective(server, f"--log_file={value}")["log_file"][0] == value


# ---- W32: files ----------------------------------------------------------------------------


def test_W32_a_missing_file_ends_the_start(server, tmp_path):
    """A config file that could not be read was a warning, and the server started without it.
    Here nothing is started."""
    done = server.prefork("serve", *flags(conf_file=tmp_path / "no.conf", port="127.0.0.1:0"),
                          "cat")
    assert done.returncode == CONFIG
    assert done.stderr == (f"prefork serve: config file {tmp_path}/no.conf: "
                           "No such file or directory\n")


def test_W32_a_default_file_of_the_program(server, tmp_path):
    """Here configure_hook may name a file, which has to be there; another on the command line
    takes its place."""
    program = server.build("""#include <prefork/prefork.h>
        static int set(struct prefork *p, void *d) { (void)d;
            return prefork_set(p, "conf_file", "default.conf"); }
        static void f(struct prefork_conn *c, void *d) { (void)c; (void)d; }
        int main(int argc, char **argv) { return prefork_main(argc, argv, &(struct prefork_app){
            .name = "defaulting", .configure_hook = set, .process_request = f}); }""")
    done = server.command(program, cwd=tmp_path)
    assert done.returncode == CONFIG
    assert done.stderr == "defaulting: config file default.conf: No such file or directory\n"
    write(tmp_path, "max_servers none\n", "default.conf")
    done = server.command(program, cwd=tmp_path)
    assert 'default.conf:1: max_servers: "none" is not a whole number' in done.stderr
    write(tmp_path, "max_servers other\n", "other.conf")
    done = server.command(program, "--conf-file", "other.conf", cwd=tmp_path)
    assert 'other.conf:1: max_servers: "other" is not a whole number' in done.stderr


@pytest.mark.parametrize("line", [
    "log_file /x/y   ", "log_file /x/y\t", "log_file /x/y\r", "log_file /x/y # z",
    'log_file "/x/y"', "log_file '/x/y'", 'log_file = "/x/y"   # z', "log_file: '/x/y'\r",
    "--log-file   =   /x/y", "  log-file /x/y", "--error_log_path /x/y",
])
def test_W32_what_stands_around_a_value_is_no_part_of_it(server, tmp_path, line):
    """Trailing blanks, carriage returns and quotes were kept and failed much later. Here
    they are taken off."""
    assert in_file(server, tmp_path, line, "log_file")[0] == "/x/y"


@pytest.mark.parametrize("line, printed", [
    ('pid_file "/x/a b"', "/x/a b"), ("""pid_file '"x"'""", '""x""'), ("pid_file x'y'", "x'y'"),
    ("""pid_file "'x\"""", "\"'x\""), ("pid_file /x\\#y", "/x\\#y"), ('pid_file "/x\\#y"', "/x\\#y"),
    ("pid_file --x", "--x"), ("pid_file --port 80", "--port 80"), ("pid_file a = b", "a = b"),
    ("pid_file = =x", "= =x"), ("pid_file = ::x", "= ::x"),
])
def test_W32_what_is_inside_of_a_value_stays(server, tmp_path, line, printed):
    """A value that began with --word was taken for a flag. Here a value is what stands
    there, and what check prints is read as the same value again."""
    assert in_file(server, tmp_path, line, "pid_file")[0] == printed
    assert in_file(server, tmp_path, f"pid_file {printed}", "pid_file")[0] == printed


@pytest.mark.parametrize("line", ['log_file "/x', "log_file '/x\"", 'log_file "', "log_file 'a # b'"])
def test_W32_half_a_pair_of_quotes_is_told(server, tmp_path, line):
    """Here it is an error, with the line, and not a strange file name."""
    conf = write(tmp_path, f"\n{line}\n")
    message = complaint(server, conf_file=conf)
    assert message.startswith(f"{conf}:2: log_file: a quote")


@pytest.mark.parametrize("line", ["background", "--background", "background # yes", "setsid\r"])
def test_W32_a_flag_alone_is_on(server, tmp_path, line):
    """Lines without a value were ignored. Here a flag alone is on..."""
    key = line.lstrip("-").split()[0]
    assert in_file(server, tmp_path, line, key)[0] == "1"


@pytest.mark.parametrize("key", [row["key"] for row in ROWS if row["type"] != "FLAG"])
def test_W32_every_other_key_alone_is_told(server, tmp_path, key):
    """...and every other key needs its value."""
    conf = write(tmp_path, f"# x\n{key}\n")
    assert complaint(server, conf_file=conf) == f"{conf}:2: {key}: a value is needed"


# ---- W33: unknown keys ---------------------------------------------------------------------


@pytest.mark.parametrize("key, meant", [
    ("max_server", "max_servers"), ("min-server", "min_servers"), ("pidfile", "pid_file"),
    ("logfile", "log_file"), ("backgrund", "background"), ("chrot", "chroot"),
    ("keep_capability", None), ("frobnicate", None),
])
def test_W33_unknown_keys_are_told_with_what_may_be_meant(server, tmp_path, key, meant):
    """Misspelt keys were ignored everywhere. Here each is an error that says where it is."""
    conf = write(tmp_path, f"port 127.0.0.1:1\n{key} 3\n")
    hint = f"; did you mean {meant}?" if meant else ""
    message = complaint(server, conf_file=conf)
    assert message.startswith(f"{conf}:2: {key}: unknown setting{hint}")
    option = key.replace("_", "-")
    message = complaint(server, f"--{option}", "3", status=USAGE)
    assert message.startswith(f"--{option}: unknown option")
    assert not meant or message.endswith(f"; did you mean --{meant.replace('_', '-')}?")


def test_W33_bare_words_are_no_options(server):
    """A bare word equal to the name of an option took the next word with it. Here the first
    word that is no option is the program, and all behind it is the program's."""
    done = check(server, "--background", "echo", "port", "80", "--user", "nobody")
    assert done.returncode == OK
    assert "# --port" not in done.stdout and "# --user" not in done.stdout
    assert complaint(server, "port", "80").startswith("program port: No such file")


def test_W33_an_option_and_its_value_in_one_word(server):
    """Here it is an unknown option, and said so."""
    assert complaint(server, "--port 80", status=USAGE).startswith("--port 80: unknown option")


# ---- W34: flags ----------------------------------------------------------------------------


FLAGS = [row for row in ROWS if row["type"] == "FLAG"]


@pytest.mark.parametrize("key", [row["key"] for row in FLAGS])
def test_W34_every_flag_can_be_said_in_every_way(server, tmp_path, key):
    """1 was the only way to say yes, and =0 the only way to say no. Here there are the usual
    words, and --no-x, on the command line and in files."""
    option = key.replace("_", "-")
    forms = {"1": ["{}", "{} 1", "{} yes", "{} on", "{} true", "{}=True", "{} = ON", "{}: 1"],
             "0": ["no_{}", "no-{}", "{} 0", "{} no", "{} off", "{} false", "{}=No"]}
    for wanted, lines in forms.items():
        for line in lines:
            for name in (key, f"--{option}") if not line.startswith("no") else (key, option):
                text = line.format(name)
                value = in_file(server, tmp_path, text, key)[0]
                assert value.lower() in {"1": "1 yes on true", "0": "0 no off false"}[wanted], text
    for words, wanted in (([f"--{option}"], "1"), ([f"--{key}"], "1"), ([f"--no-{option}"], "0"),
                          ([f"--no_{key}"], "0"), ([f"--{option}", "off"], "off"),
                          ([f"--{option}=off"], "off")):
        assert effective(server, *words)[key][0] == wanted


def test_W34_a_negation_takes_no_value(server, tmp_path):
    """Here that is an error, because it could mean either."""
    conf = write(tmp_path, "no_background 1\n")
    assert complaint(server, conf_file=conf) == f"{conf}:1: no_background: takes no value"
    message = complaint(server, "--no-background=1", status=USAGE)
    assert message == "--no-background: takes no value"


# ---- malformed values, row by row ----------------------------------------------------------

# A file of one line, or an option: what is written, and the sentence that is expected.
OVERFLOW = "9" * 25


def _bounds(row):
    low, high = (f"{float(row[bound]):.10g}" for bound in ("min", "max"))
    return f"{low} to {high} is allowed"


def _numbers(row):
    form = f"is not a whole number; {_bounds(row)}"
    for value in ("many", "-1", "+1", "1x", "0x10", "1e3", "1.5", "1,000", "1 2", "--1"):
        yield value, form
    yield from _out_of_range(row, 1)


def _seconds(row):
    form = f"is not a number of seconds such as 10 or 0.5; {_bounds(row)}"
    for value in ("soon", "-1", "+1", "1s", "1.5.5", "1,5", "0x10", "1 2", "1e3", "inf", "nan"):
        yield value, form
    yield from _out_of_range(row, 0.5)


def _out_of_range(row, step):
    form = f"is out of range; {_bounds(row)}"
    yield OVERFLOW, form
    yield f"{float(row['max']) + 1:.0f}", form
    if float(row["min"]) > 0:
        yield f"{float(row['min']) * (1 - step):g}", form


def _flags(_):
    for value in ("maybe", "2", "-1", "yess", "1 0", "00"):
        yield value, "is neither 1, yes, on, true nor 0, no, off, false"


def _words(row):
    form = "is not one of " + ", ".join(row["words"].split())
    first = row["words"].split()[0]
    for value in ("no-such-word", first + "x", first[:-1], row["words"], "1", "-1"):
        if value not in row["words"].split():
            yield value, form


def _modes(row):
    high = int(row["max"], 8)
    form = f"an octal number from 0000 to {high:04o} is allowed"
    for value in ("rw-r--r--", "u=rw", "0999", "8", "-1", "0x1ff", "644.0", "0o644"):
        yield value, f"is not an octal mode; {form}"
    for value in (f"{high + 1:o}", "77777", "7" * 30):
        yield value, f"is out of range; {form}"


MALFORMED = {"COUNT": _numbers, "PERCENT": _numbers, "SECONDS": _seconds, "FLAG": _flags,
             "CHOICE": _words, "MODE": _modes, "TEXT": lambda _: (), "PATH": lambda _: ()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["key"])
def test_malformed_values_of_a_file(server, tmp_path, row):
    """File and line, key, value, expected form; and nothing is started."""
    key = row["key"]
    if key == "conf_file":
        cases = [("x", "a config file cannot name another one")]
    else:
        cases = [(f" {value}", f'"{value}" {form}') for value, form in MALFORMED[row["type"]](row)]
        cases += [("=", '"" is empty; a value is needed'), (' ""', '"" is empty; a value is needed'),
                  (' " x"', '" x" begins or ends with a blank'),
                  (' "x', "a quote at the beginning of the value is not closed")]
    cases += [(" a\x01b", "there is a control character in the line"),
              (" a\x7f", "there is a control character in the line"),
              (" a\rb", "there is a control character in the line"),
              (" " + "x" * 4096, "the line is longer than 4096 bytes")]
    for text, sentence in cases:
        conf = write(tmp_path, f"# first\n{key} {text}\nlog_level 1\n")
        message = complaint(server, conf_file=conf)
        assert message.startswith(f"{conf}:2: {key}: {sentence}"), (text, message)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["key"])
def test_malformed_values_of_the_command_line(server, row):
    """The option, value, expected form."""
    option = "--" + row["key"].replace("_", "-")
    cases = [(value, f'"{value}" {form}') for value, form in MALFORMED[row["type"]](row)]
    cases += [("", '"" is empty; a value is needed'), (" x", '" x" begins or ends with a blank'),
              ("x\t", '"x\t" begins or ends with a blank'),
              ("a\x01b", '"a?b" has a control character in it'),
              ("a\nb", '"a?b" has a control character in it'),
              ("x" * 4096, f'"{"x" * 80}..." is longer than 4095 bytes')]
    for value, sentence in cases:
        message = complaint(server, f"{option}={value}")
        assert message.startswith(f"{option}: {sentence}"), (value, message)


@pytest.mark.parametrize("row", [row for row in ROWS if row["type"] != "FLAG"],
                         ids=lambda row: row["key"])
def test_an_option_without_its_value(server, row):
    """At the end of the line, or before another option: said at once."""
    option = "--" + row["key"].replace("_", "-")
    assert complaint(server, option, status=USAGE) == f"{option}: a value is needed"
    assert complaint(server, option, "--background", status=USAGE) == (
        f"{option}: a value is needed; one that begins with -- is given with =")


def test_a_long_file_name_in_a_message_keeps_its_end(server, tmp_path):
    """What tells files apart is at the end."""
    directory = tmp_path / ("d" * 120) / ("e" * 120)
    directory.mkdir(parents=True)
    conf = write(directory, "max_servers none\n", "pool.conf")
    message = complaint(server, conf_file=directory / conf)
    name = f"{directory}/pool.conf"
    assert message.startswith(f'...{name[-200:]}:1: max_servers: "none" is not a whole number; 1 ')
    conf = write(directory, "max_servers 3\n", "pool.conf")
    origin = effective(server, conf_file=directory / conf)["max_servers"][1]
    assert origin == f"...{name[-200:]}:1"


# ---- keys without effect -------------------------------------------------------------------


@pytest.mark.parametrize("row", FOREIGN, ids=lambda row: row["key"])
def test_keys_of_net_server_without_effect(server, tmp_path, row):
    """Accepted in a file and on the command line, with a notice that says where and why, once;
    what stands behind them is read."""
    key, option = row["key"], "--" + row["key"].replace("_", "-")
    conf = write(tmp_path, f"max_servers 9\n{key} 7\n--{key} = 8\nlog_level 3\n")
    done = check(server, conf_file=conf)
    assert done.returncode == OK, done.stderr
    notices = re.findall(r" notice: (.* has no effect.*)", done.stderr)
    assert notices == [f"{conf}:2: {key}: has no effect: {row['reason']}"]
    for words in ([f"{option}=7"], [option, "1"]):
        done = check(server, *words, "--max-servers", "9")
        assert done.returncode == OK, done.stderr
        assert f"notice: {option}: has no effect: {row['reason']}" in done.stderr
        assert "max_servers 9  # --max-servers" in done.stdout


def test_a_foreign_flag_leaves_the_program_alone(server):
    """As a flag of ours does."""
    done = check(server, "--multi-port", "cat")
    assert (done.returncode, "multi-port: has no effect" in done.stderr) == (OK, True)
    assert "no-such-program" in complaint_after_notices(server, "--multi-port", "no-such-program")


def complaint_after_notices(server, *words):
    """The last line of what check says."""
    done = check(server, *words)
    assert done.returncode == CONFIG
    return done.stderr.splitlines()[-1]


# ---- two names of one thing ----------------------------------------------------------------


def test_ports_is_another_name_of_port(server, tmp_path):
    """As in older files."""
    conf = write(tmp_path, "ports 127.0.0.1:1\nport 127.0.0.1:2\n")
    assert [value for value, _ in effective(server, conf_file=conf)["port"]] == [
        "127.0.0.1:1", "127.0.0.1:2"]


def test_tie_client_stdout_is_no_client_stdout_off(server):
    """The default gives way, and both together are a contradiction."""
    done = check(server, "--tie-client-stdout")
    assert done.returncode == OK
    assert "no_client_stdout 0  # default, adapted to tie_client_stdout" in done.stdout
    assert "no_client_stdout: 1 changed to 0 because tie_client_stdout is on" in done.stderr
    assert complaint(server, "--tie-client-stdout", "--no-client-stdout") == (
        "no_client_stdout 1 (--no-client-stdout) contradicts tie_client_stdout 1 "
        "(--tie-client-stdout)")
    assert check(server, "--tie-client-stdout", "--no-client-stdout=0").returncode == OK
    assert effective(server, "--no-tie-client-stdout")["no_client_stdout"][0] == "1"


def test_tie_client_stdout_puts_the_connection_there(server):
    """A handler that reads and prints talks to its client."""
    s = server.start(server.program("stdio"), sizing="static", max_servers=1,
                     tie_client_stdout=1)
    assert s.ask(b"hello\n") != b""


# ---- the environment -----------------------------------------------------------------------


def listeners_of(server, port, env, **settings):
    """What a server listens on, stopped again."""
    s = server.start("echo", sizing="static", max_servers=1, port=port, env=env, **settings)
    listeners = s.listeners
    assert s.stop() == 0
    return [re.sub(r":\d+$", "", text) for text in listeners]


@pytest.mark.ipv6
def test_no_ipv6_of_the_environment(server):
    """NO_IPV6 narrows what asks for no version; what was asked for stands, and so does the
    machine's IPv6 for a value that means no."""
    assert listeners_of(server, "*:0", {"NO_IPV6": "1"}) == ["0.0.0.0"]
    assert listeners_of(server, "*:0", {"NO_IPV6": "1"}, ipv="*") == ["0.0.0.0"]
    assert listeners_of(server, "localhost:0", {"NO_IPV6": "yes"}) == ["127.0.0.1"]
    assert listeners_of(server, "[::1]:0", {"NO_IPV6": "1"}) == ["[::1]"]
    assert listeners_of(server, "*:0/IPv6", {"NO_IPV6": "1"}) == ["[::]"]
    for no in ("", "0"):
        assert listeners_of(server, "*:0", {"NO_IPV6": no}) == ["[::]"]


# ---- the sample of the manual of Net::Server::PreFork --------------------------------------


def sample(tmp_path):
    """All its settings, with a user, paths and ports of this machine."""
    user = pwd.getpwnam("nobody")
    return write(tmp_path, f"""### a comment
min_servers       20
max_servers       80
min_spare_servers 10
min_spare_servers 15

max_requests      1000

### who, and where to
user        {user.pw_name}
group       {grp.getgrgid(user.pw_gid).gr_name}
log_file    {tmp_path}/server.log
log_level   3
pid_file    {tmp_path}/server.pid

### who may come
allow       .+\\.(net|com)
allow       domain\\.com
deny        a.+

background  1

port        localhost:0
port        0

### not used
# reverse_lookups on
# child_communication
""", "sample.conf")


def test_W02_the_sample_of_the_manual_is_accepted(server, tmp_path):
    """It was fatal there. Here every line of it has its effect, and defaults make way."""
    conf = sample(tmp_path)
    done = check(server, conf_file=conf)
    assert done.returncode == OK, done.stderr
    assert not re.search(r" (warning|error): |has no effect", done.stderr), done.stderr
    values = effective(server, conf_file=conf)
    assert [value for value, _ in values["port"]] == ["localhost:0", "0"]
    assert [value for value, _ in values["allow"]] == [r".+\.(net|com)", r"domain\.com"]
    assert values["deny"][0] == "a.+"
    assert values["min_spare_servers"][0] == "15"
    assert values["max_spare_servers"] == ("15", "default, adapted to min_spare_servers")


def serve_sample(server, tmp_path, **settings):
    """A daemon as the file says, on loopback."""
    s = server.serve(["cat"], conf_file=tmp_path / sample(tmp_path), host="127.0.0.1",
                     port=None, log_level=None, wait=None, **settings)
    assert s.process.wait(15) == 0, s.log.text()
    s.starter_status = 0
    s.logs.append(Log(tmp_path / "server.log"))
    s.pid = int((tmp_path / "server.pid").read_text())
    return s


def answer(s):
    """What a client gets; nothing if it is cut, before or after it could speak."""
    try:
        return s.ask(b"hello\n")
    except TimeoutError:
        raise
    except OSError:
        return b""


@pytest.mark.root
def test_W02_the_sample_of_the_manual_is_served(server, tmp_path):
    """As the user it names, on its ports, with its rules: they let in names only, so nobody
    from here until the command line says so."""
    s = serve_sample(server, tmp_path)
    workers = s.wait_workers(20, "idle")
    assert {proc_status(pid)["Uid"].split()[0] for pid in (s.pid, *workers)} == {
        str(pwd.getpwnam("nobody").pw_uid)}
    assert len(s.ports) >= 2
    assert answer(s) == b""
    assert s.stop() == 0
    (tmp_path / "server.log").unlink()
    s = serve_sample(server, tmp_path, allow=r"(::ffff:)?127\.0\.0\.1|::1")
    assert answer(s) == b"hello\n"


@pytest.mark.parametrize("text, sentence", [
    ("\n\nipv 5\n", '3: ipv: port "20203": ip version "5" is not known'),
    ("ipv 5\n\n\nport 80\n", '1: ipv: port "80": ip version "5" is not known'),
    ("port 80\nport 81\nhost 127.0.0.1\nhost bad host\n", '4: host: port "81": '),
    ("port 80\nproto Foo\n", '2: proto: port "80": protocol Foo is not known'),
    ("port 80/Foo\n", '1: port: port "80/Foo": protocol Foo is not known'),
    ("port 80 udp_recv_len=7\n",
     "1: port: udp_recv_len: is for the protocols udp and unixdgram, and this is tcp"),
    ("port 80 socket_mode=0660\n",
     "1: port: socket_mode: is for the protocols unix and unixdgram, and this is tcp"),
])
def test_the_setting_that_is_wrong_is_named(server, tmp_path, text, sentence):
    """Of several that make a listener together, the one whose value does not do, where it
    stands."""
    conf = write(tmp_path, text)
    done = check(server, conf_file=conf)
    assert done.returncode == CONFIG
    assert f"{conf}:{sentence}" in done.stderr


def test_an_address_of_ipv6_keeps_its_colons(server, tmp_path):
    """A colon divides key and value, and two of them begin an address."""
    conf = write(tmp_path, "deny ::1\nhost ::1\nport ::1, 80\ncidr_deny ::/0\nlisten: 5\n")
    done = check(server, conf_file=conf)
    assert done.returncode == 0
    for line in ("deny = ::1 ", "host = ::1 ", "port = ::1, 80 ", "cidr_deny = ::/0 ", "listen 5 "):
        assert f"\n{line}" in "\n" + done.stdout


# ---- values that only the system refuses ---------------------------------------------------


@pytest.mark.parametrize("line", [
    "port 127.0.0.1:{port}",
    "pid_file {missing}/pid",
    "lock_file {missing}/lock",
    "log_file {missing}/log",
])
def test_a_value_that_the_system_refuses_is_told_with_its_line(server, tmp_path, line):
    """What shows only when something is opened is told with file and line all the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = line.format(port=taken.getsockname()[1], missing=tmp_path / "missing")
        before = "" if line.startswith("port") else "port 127.0.0.1:0"
        conf = tmp_path / write(tmp_path, f"serialize flock\n{before}\n{line}\n")
        done = server.prefork("serve", *flags(conf_file=conf), "cat")
    assert done.returncode == SYSTEM
    last = done.stderr.splitlines()[-1]
    assert re.match(rf"prefork serve: {re.escape(str(conf))}:3: ", last), last


def test_a_value_of_the_command_line_has_no_line(server, tmp_path):
    """Only what stands in a file is told with one."""
    done = server.prefork("serve", *flags(port="127.0.0.1:0", pid_file=tmp_path / "no/pid"),
                          "cat")
    assert done.returncode == SYSTEM
    assert done.stderr.splitlines()[-1].startswith("prefork serve: pid_file ")
