"""Options: where values come from, which source wins, and how they are written.

There the order is: constructor, command line, run, file, default_values, built in. Here it is:
command line, prefork_set(), file, configure_hook, built in. What a program says before it
reads its command line is no reason to ignore its operator. The scalar that is looked at is
the size of a static pool, the list the ports.
"""

import pytest

from service import Talk, serves, service
from support import ANY_PORT, flags

CONFIG, USAGE = 78, 64
HOSTS = {"argument": "127.0.0.1", "call": "127.0.0.2", "file": "127.0.0.3",
         "program": "127.0.0.4"}
ORDER = list(HOSTS)


def start(server, tmp_path, values, wait=True):
    """A service with "key value" lines from some of the four sources. More arguments are in
    values["words"]."""
    (tmp_path / "x.conf").write_text(values.get("file", "") + "\n")
    words = [f"--{line.replace(' ', '=', 1)}" for line in lines_of(values.get("argument"))]
    env = {name: "\n".join(lines_of(values.get(source))) or None
           for name, source in (("SERVICE_VALUES", "call"), ("SERVICE_DEFAULTS", "program"))}
    return server.start(service(server), "--sizing=static", *words, *values.get("words", []),
                        conf_file=tmp_path / "x.conf", env=env,
                        port=values.get("port"), **({} if wait else {"wait": None}))


def lines_of(text):
    """Lines without the empty ones."""
    return [line for line in (text or "").split("\n") if line]


@pytest.mark.shows("source:new", "source:command-line", "source:run", "source:conf_file",
                   "source:default_values", "source:configure_hook", "hook:new", "hook:run",
                   "hook:configure", "hook:configure_hook", "key:conf_file", "key:max_servers")
@pytest.mark.parametrize("strongest", range(4))
def test_the_strongest_source_counts(server, tmp_path, strongest):
    """All that are below it say something else."""
    values = {source: f"max_servers {index + 2}\nport {HOSTS[source]}:0"
              for index, source in enumerate(ORDER) if index >= strongest}
    s = start(server, tmp_path, values)
    s.wait_workers(strongest + 2, "idle")
    assert [text.rpartition(":")[0] for text in s.listeners] == [HOSTS[ORDER[strongest]]]


@pytest.mark.shows("source:list-not-extended", "source:list-collects")
@pytest.mark.parametrize("strongest", range(4))
def test_a_list_of_one_source_is_whole(server, tmp_path, strongest):
    """All that one source says, nothing of the others."""
    values = {source: f"max_servers 1\nport {HOSTS[source]}:0\nport {HOSTS[source]}:0"
              for index, source in enumerate(ORDER) if index >= strongest}
    s = start(server, tmp_path, values)
    hosts = [text.rpartition(":")[0] for text in s.listeners]
    assert hosts == [HOSTS[ORDER[strongest]]] * 2
    assert len(set(s.ports)) == 2


@pytest.mark.shows("source:last-wins")
@pytest.mark.parametrize("source", ORDER)
def test_the_last_scalar_of_a_source_counts(server, tmp_path, source):
    """Of one source."""
    values = {source: "max_servers 4\nmax_servers 1\nmax_servers 2\nport 127.0.0.1:0"}
    start(server, tmp_path, values).wait_workers(2, "idle")


@pytest.mark.shows("source:default_values", "key:conf_file")
def test_a_conf_file_of_the_program(server, tmp_path):
    """The program may name one; the operator may name another instead."""
    for name, count in (("own", 2), ("other", 3)):
        (tmp_path / name).write_text(f"max_servers {count}\nport {ANY_PORT}\nsizing static\n")
    defaults = {"SERVICE_DEFAULTS": f"conf_file {tmp_path}/own"}
    server.start(service(server), port=None, env=defaults).wait_workers(2, "idle")
    s = server.start(service(server), port=None, conf_file=tmp_path / "other", env=defaults)
    s.wait_workers(3, "idle")


@pytest.mark.shows("source:built-in", "hook:options", "hook:default_port", "key:log_level",
                   "key:log_file", "key:port")
def test_built_in_defaults(server):
    """Log level 2, no log file, port 20203: as there."""
    lines = server.prefork("check").stdout.splitlines()
    shown = {line.split()[0]: line.split()[1] for line in lines if not line.startswith("#")}
    assert (shown["log_level"], shown["port"], shown["host"]) == ("2", "20203", "*")
    assert (shown["proto"], shown["ipv"]) == ("tcp", "*")
    assert "log_file" not in shown


@pytest.mark.shows("decode:percent", "file:value", "file:escaped-hash")
@pytest.mark.parametrize("source", ORDER)
def test_W31_values_are_what_was_written(server, tmp_path, source):
    """A per cent sign and a digit became a character there. Here no value is decoded, from
    whatever source."""
    path = tmp_path / "a%41%b%%#c"
    text = str(path).replace("#", r"\#") if source == "file" else str(path)
    s = start(server, tmp_path, {source: f"port {text}|unix\nmax_servers 1"})
    assert s.listeners == [str(path)]
    assert path.is_socket()


@pytest.mark.shows("form:blank-in-value", "form:one-word", "form:key-value")
def test_a_blank_in_a_value(server, tmp_path):
    """Belongs to it: there such words were left in argv without a word."""
    path = tmp_path / "a b"
    for words in (["--port", f"{path} unix"], [f"--port={path} unix"]):
        s = start(server, tmp_path, {"words": [*words, "--max_servers=1"]})
        assert s.listeners == [str(path)]
        assert s.stop() == 0


@pytest.mark.shows("form:empty-value", "form:bare", "form:unrecognized", "form:one-word")
@pytest.mark.parametrize("words, sentence", [
    (["--port="], "port"),
    (["port=20203"], "port=20203"),
    (["port", "20203"], "port"),
    (["-port", "20203"], "-port"),
    (["--port 20203"], "port 20203"),
    (["--no_such_key=1"], "unknown option"),
])
def test_what_is_no_option_is_refused(server, words, sentence):
    """There none of these was an error."""
    done = server.command(service(server), *words)
    assert done.returncode in (USAGE, CONFIG)
    assert len(done.stderr.splitlines()) == 1 and sentence in done.stderr


@pytest.mark.shows("form:double-dash", "form:flag", "form:flag-word")
def test_double_dash_ends_the_options(server, tmp_path):
    """What follows is the program's, even if it looks like an option."""
    program = server.script('read -r line; echo "$@"')
    s = server.serve([program, "--max_servers=0", "port", "--"], sizing="static", max_servers=1)
    assert s.ask(b"x\n") == b"--max_servers=0 port --\n"
    done = server.prefork("check", "--background", "--", "no-such-program-at-all")
    assert "no-such-program-at-all" in done.stderr


@pytest.mark.shows("file:value-with-dashes", "file:dashes", "file:entry")
@pytest.mark.parametrize("line", ["log_file --x", "log_file = --x", "--log_file --x"])
def test_a_value_with_dashes_in_a_file(server, tmp_path, line):
    """Is a value: there the key became 1."""
    (tmp_path / "x.conf").write_text(line + "\n")
    done = server.prefork("check", "--conf_file", "x.conf", cwd=tmp_path)
    assert "log_file --x  # x.conf:1" in done.stdout.splitlines()


@pytest.mark.shows("file:comment", "file:escaped-hash")
def test_a_hash_that_is_meant(server, tmp_path):
    r"""After a backslash it is one, and the comment begins at the next."""
    (tmp_path / "x.conf").write_text("log_file /tmp/a\\#b # comment \\# more\n")
    done = server.prefork("check", "--conf_file", "x.conf", cwd=tmp_path)
    assert any(line.startswith(("log_file /tmp/a#b ", r"log_file /tmp/a\#b "))
               for line in done.stdout.splitlines()), done.stdout


@pytest.mark.shows("file:nothing-else", "file:unknown-key", "file:no-value")
@pytest.mark.parametrize("text", ["include other.conf", "[section]", "max_servers \\\n3",
                                  "max_servers $COUNT", "port"])
def test_what_is_not_in_the_grammar(server, tmp_path, text):
    """Sections, includes, continued lines and variables are refused with file and line, and so
    is a key alone."""
    (tmp_path / "x.conf").write_text(text + "\n")
    done = server.prefork("check", "--conf_file", "x.conf", env={"COUNT": "3"}, cwd=tmp_path)
    assert done.returncode == CONFIG
    assert "x.conf:1: " in done.stderr


@pytest.mark.shows("command:net-server", "command:type-word", "command:help")
def test_the_command(server):
    """Serves without a line of code; a word that means nothing is an error."""
    s = server.serve(["cat"], sizing="static", max_servers=1)
    assert s.ask(b"hello\n") == b"hello\n"
    done = server.prefork("PreFrok", *flags(port=ANY_PORT))
    assert done.returncode == USAGE and "PreFrok" in done.stderr
    assert "--min-servers" in server.prefork("serve", "--help").stdout


@pytest.mark.shows("prop:no_exit_on_close", "hook:server_close", "hook:run")
def test_run_returns(server, tmp_path):
    """prefork_run() ends by returning: the program goes on after the server's end."""
    program = server.build("""#include <prefork/prefork.h>
        static void f(struct prefork_conn *c, void *d) { (void)d; prefork_printf(c, "x"); }
        int main(int argc, char **argv) {
            struct prefork *p = prefork_new(&(struct prefork_app){.process_request = f});
            int r = prefork_args(p, argc, argv, NULL);
            if (r == 0) r = prefork_run(p);
            prefork_free(p);
            fprintf(stderr, "went on after %d\\n", r);
            return 42; }""")
    s = server.start(program, "--sizing=static", max_servers=1)
    assert s.ask() == b"x"
    assert s.stop() == 42
    assert s.log.find("^went on after 0$")


@pytest.mark.shows("source:post_configure_hook", "hook:post_configure_hook")
def test_values_may_be_refused_by_the_program(server):
    """post_configure_hook has the last word: it can end the start before anything is bound."""
    program = server.program("hooks")
    done = server.command(program, *flags(port=ANY_PORT), env={"REFUSE": "post_configure_hook"})
    assert done.returncode == CONFIG
    assert "post_configure_hook" in done.stderr
    assert "listening on" not in done.stderr


@pytest.mark.shows("command:net-server")
def test_the_command_and_the_library_are_one(server):
    """The same conversation with a program started for each connection."""
    script = server.script("""printf 'Welcome to "service" (%s)\\r\\n' $$
        while read -r line; do
            [ "$line" = quit ] && exit
            [ "$line" = "get proto" ] && printf '%s\\r\\n' "$PROTO" | tr A-Z a-z && continue
            [ "$line" = "get peeraddr" ] && printf '%s\\r\\n' "$TCPREMOTEIP" && continue
            printf 'You said "%s"\\r\\n' "$line"
        done""")
    s = server.serve(script, sizing="static", max_servers=1)
    assert serves(s) == ("tcp", "127.0.0.1")
    with Talk(s) as talk:
        assert talk.ask("x") == 'You said "x"'
