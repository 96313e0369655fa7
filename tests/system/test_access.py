"""Who may connect: rules, names, hooks, on real connections and with a real name server.

Clients come from addresses of 127.0.0.0/8, whose names are what the test's own name server
says (dns.py). A denied client is one whose connection ends without a byte.
"""

import re
import select
import socket
import threading
import time

import pytest

from dns import Names
from support import PATIENCE, converse, read_all

pytestmark = pytest.mark.root

DENIED = b""
ONE = {"sizing": "static", "max_servers": 1}


@pytest.fixture
def names(server, tmp_path):
    """Name servers; they end before the test's servers are looked after."""
    made = Names(tmp_path)
    yield made
    made.finish()


def start(server, *settings, names=None, **more):
    """The test program, with few workers; with names: where it sees their name servers."""
    if names:
        more["preexec_fn"] = names.enter
    more.setdefault("max_servers", 4)
    return server.start(server.program("guest"), *settings, **more)


def call(s, source="127.0.0.1"):
    """A connected socket that comes from this address."""
    client = socket.socket()
    client.settimeout(PATIENCE)
    client.bind((source, 0))
    client.connect(s.address)
    return client


def visit(s, source="127.0.0.1"):
    """What a client from this address is told: (name, address), or DENIED."""
    with call(s, source) as client:
        try:
            words = read_all(client).split()
        except ConnectionResetError:
            return DENIED
    return tuple(word.decode() for word in words[:2]) if words else DENIED


def reason(s, source):
    """Why this client was denied last, as logged."""
    return s.wait_log(rf"info: denied {re.escape(source)}:\d+: (.*)$").group(1)


# ---- rules ------------------------------------------------------------------------------


@pytest.mark.parametrize("settings, allowed, denied", [
    ({"allow": r"127\.0\.0\.[45]"}, ["127.0.0.4", "127.0.0.5"], ["127.0.0.6", "127.0.0.1"]),
    ({"allow": [r"127\.0\.0\.4", r"127\.0\.1\..*"]}, ["127.0.0.4", "127.0.1.9"],
     ["127.0.0.40"]),
    ({"deny": r"127\.0\.0\.4"}, ["127.0.0.5"], ["127.0.0.4"]),
    ({"cidr_allow": "127.0.1.0/24, 127.0.0.4"}, ["127.0.1.77", "127.0.0.4"], ["127.0.2.1"]),
    ({"cidr_deny": "127.0.1.0/24"}, ["127.0.0.4"], ["127.0.1.1"]),
    ({"cidr_deny": "127.0.1.0/24", "allow": r"127\..*"}, ["127.0.0.4"], ["127.0.1.1"]),
    ({"deny": r"127\.0\.1\..*", "cidr_allow": "127.0.0.0/8"}, ["127.0.0.4"], ["127.0.1.1"]),
    ({"access_default": "deny"}, [], ["127.0.0.1"]),
    ({"access_default": "allow", "allow": "x", "cidr_deny": "127.0.0.4"}, ["127.0.0.1"],
     ["127.0.0.4"]),
])
def test_rules_decide_by_address(server, settings, allowed, denied):
    """Each list, and which of them is stronger."""
    s = start(server, settings)
    for source in allowed:
        assert visit(s, source) == ("-", source)
    for source in denied:
        assert visit(s, source) == DENIED


@pytest.mark.ipv6
def test_an_ipv4_client_of_a_socket_for_both_is_ipv4(server):
    """It shows as ::ffff:127.0.0.1 there, and no rule for IPv6 means it."""
    s = start(server, allow=r"127\.0\.0\.4", cidr_deny="::/0", port="*:0")
    assert visit(s, "127.0.0.4") == ("-", "127.0.0.4")
    assert visit(s, "127.0.0.5") == DENIED
    with socket.create_connection(("::1", s.port)) as client:
        assert read_all(client) == DENIED


def test_unix_clients_are_allowed_but_the_hook_is_asked(server, tmp_path):
    """No address, so no rule; a hook can still say no."""
    path = tmp_path / "door.sock"
    s = start(server, access_default="deny", port=path)
    with s.connect() as client:
        assert converse(client).startswith(b"- ")
    s.stop()
    s = start(server, port=path, env={"GUEST_HOOK": "deny"})
    with s.connect() as client:
        assert read_all(client) == DENIED
    s.wait_log("hook: request_denied for unix")


def test_a_denial_runs_its_hooks_and_says_why(server):
    """allow_deny_hook is asked only about those whom the rules admit."""
    s = start(server, cidr_deny="127.0.1.0/24")
    assert visit(s, "127.0.1.9") == DENIED
    s.wait_log("hook: post_process_request, denied")
    assert s.wait_log("hook: request_denied for tcp")
    assert not s.find_log("hook: allow_deny")
    assert reason(s, "127.0.1.9") == "cidr_deny has 127.0.1.0 to 127.0.1.255"
    assert visit(s, "127.0.0.4") != DENIED
    s.wait_log("hook: post_process_request, allowed")
    assert s.wait_log("hook: allow_deny for tcp")


def test_a_hook_denies_what_rules_allow(server):
    """The last word is the program's."""
    s = start(server, cidr_allow="127.0.0.0/8", env={"GUEST_HOOK": "deny"})
    assert visit(s) == DENIED
    assert reason(s, "127.0.0.1") == "allow_deny_hook"


def test_a_flood_of_denied_clients_costs_no_lookups_and_no_workers(server, names):
    """The pool stays within its bounds, allowed clients are served meanwhile, and for whom a
    block denies nobody asks a name server."""
    names.use(names.serve({"127.0.0.4": "four.test"}.items(), [("four.test", "127.0.0.4")]))
    s = start(server, names=names, max_servers=6, double_reverse_lookups=1,
              cidr_deny="127.0.9.0/24", deny="evil.*")
    over = threading.Event()
    floods = [threading.Thread(target=flood, args=(s, over)) for _ in range(6)]
    for thread in floods:
        thread.start()
    try:
        for _ in range(20):
            assert visit(s, "127.0.0.4") == ("four.test", "127.0.0.4")
            assert len(s.workers()) <= 6
    finally:
        over.set()
        for thread in floods:
            thread.join()
    assert names.queries("4.0.0.127.in-addr.arpa")
    assert not names.queries(".9.0.127.in-addr.arpa")


def flood(s, over):
    """Denied clients, one after the other."""
    while not over.is_set():
        assert visit(s, "127.0.9.9") == DENIED


# ---- names ------------------------------------------------------------------------------


@pytest.fixture
def domain(names):
    """What most tests of names need: one name that is right and several that are not."""
    names.use(names.serve(
        {"127.0.0.4": "good.test", "127.0.0.5": "liar.test", "127.0.0.6": "gone.test",
         "127.0.0.7": "127.0.0.7", "127.0.0.8": "bad.test"}.items(),
        [("good.test", "127.0.0.4"), ("liar.test", "127.0.0.99"), ("bad.test", "127.0.0.8")]),
        options="timeout:7")
    return names


def test_rules_decide_by_name(server, domain):
    """With reverse_lookups, patterns match names as well, whatever their letters' case."""
    s = start(server, names=domain, reverse_lookups=1, allow=r".*\.test", deny="BAD.*")
    assert visit(s, "127.0.0.4") == ("good.test", "127.0.0.4")
    assert visit(s, "127.0.0.8") == DENIED
    assert reason(s, "127.0.0.8") == "deny BAD.* matches bad.test"
    assert visit(s, "127.0.0.9") == DENIED
    assert reason(s, "127.0.0.9") == "no rule allows 127.0.0.9"


def test_names_are_for_those_who_ask(server, domain):
    """Without lookups the program is told no name, and nobody is asked for one. With them
    rules and program share one."""
    s = start(server, names=domain, cidr_allow="127.0.0.0/8")
    assert visit(s, "127.0.0.4") == ("-", "127.0.0.4")
    assert not domain.queries()
    s.stop()
    s = start(server, names=domain, reverse_lookups=1, allow=r".*\.test")
    assert visit(s, "127.0.0.4") == ("good.test", "127.0.0.4")
    assert len(domain.queries("4.0.0.127.in-addr.arpa")) == 1


@pytest.mark.parametrize("source", ["127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.9"])
def test_W39_a_name_that_does_not_lead_back_is_no_name(server, domain, source):
    """Whoever owns an address gives it any name he likes, and reverse_lookups believed it.
    Here a name counts only if it has the client's address."""
    s = start(server, names=domain, reverse_lookups=1, allow=[r".*\.test", r"127\.0\.0\.7"])
    expected = ("-", source) if source == "127.0.0.7" else DENIED
    assert visit(s, source) == expected
    assert visit(s, "127.0.0.4") == ("good.test", "127.0.0.4")


@pytest.mark.parametrize("source, why", [
    ("127.0.0.5", "its name has other addresses"),
    ("127.0.0.6", "its name has no address"),
    ("127.0.0.9", "it has no name"),
])
def test_double_reverse_lookups_deny_unconfirmed_names(server, domain, source, why):
    """Whatever else allows them."""
    s = start(server, names=domain, double_reverse_lookups="detail,debug",
              cidr_allow="127.0.0.0/8")
    assert visit(s, source) == DENIED
    assert reason(s, source) == f"double_reverse_lookups: {why}"
    assert visit(s, "127.0.0.4") == ("good.test", "127.0.0.4")
    s.wait_log("info: double_reverse_lookups: 127.0.0.4 is good.test")
    s.wait_log("info: double_reverse_lookups: 127.0.0.4: name good.test, "
               "addresses 127.0.0.4")


def test_reverse_lookups_double_is_the_other_setting(server, domain):
    """The value turns double_reverse_lookups on, with its words; autofail denies all."""
    s = start(server, names=domain, reverse_lookups="double-detail")
    assert visit(s, "127.0.0.5") == DENIED
    s.wait_log("127.0.0.5: name liar.test, addresses 127.0.0.99")
    assert visit(s, "127.0.0.4") == ("good.test", "127.0.0.4")
    s.stop()
    s = start(server, names=domain, reverse_lookups="2 autofail")
    assert visit(s, "127.0.0.4") == DENIED
    assert reason(s, "127.0.0.4") == "double_reverse_lookups: autofail"


@pytest.mark.ipv6
def test_ipv6_clients_have_names(server, names):
    """Asked for in the IP version of the client."""
    domain = ".".join(["1"] + ["0"] * 31) + ".ip6.arpa"
    names.use(names.serve((), [("six.test", "::1")], f"--ptr-record={domain},six.test"))
    s = start(server, names=names, double_reverse_lookups=1, port="[::1]:0")
    with socket.create_connection(("::1", s.port)) as client:
        assert read_all(client).split()[:2] == [b"six.test", b"::1"]


def test_the_resolver_is_given_back_as_it_was(server, domain):
    """The program's own questions have the options of resolv.conf, and a changed
    resolv.conf is noticed by a worker that lives."""
    s = start(server, ONE, names=domain, reverse_lookups=1)
    with call(s, "127.0.0.4") as client:
        assert read_all(client) == b"good.test 127.0.0.4 7\n"
    domain.use(domain.serve({"127.0.0.4": "new.test"}.items(), [("new.test", "127.0.0.4")]),
               options="timeout:11")
    with call(s, "127.0.0.4") as client:
        assert read_all(client) == b"new.test 127.0.0.4 11\n"


def test_programs_find_the_name_in_their_environment(server, domain):
    """TCPREMOTEHOST and REMOTE_HOST, as tcpserver and inetd set them."""
    program = server.script('echo "${TCPREMOTEHOST-unset} $REMOTE_HOST"')
    s = server.serve(program, preexec_fn=domain.enter, reverse_lookups=1,
                     env={"TCPREMOTEHOST": "inherited"})
    assert visit(s, "127.0.0.4") == ("good.test", "good.test")
    assert visit(s, "127.0.0.5") == ("unset", "127.0.0.5")


# ---- time -------------------------------------------------------------------------------


def seconds_to_denial(s, source):
    """How long a client waits until it is denied."""
    begin = time.monotonic()
    assert visit(s, source) == DENIED
    return time.monotonic() - begin


def test_a_name_server_that_never_answers_costs_a_bounded_time(server, names):
    """By resolv.conf the library would wait for these two for half a minute; by default a
    lookup takes two seconds, and here it has a lot of slack for a busy machine."""
    names.use(names.silent(), names.silent(), options="timeout:5 attempts:3")
    s = start(server, names=names, reverse_lookups=1, allow=r".*\.test")
    assert seconds_to_denial(s, "127.0.0.4") < 10
    assert reason(s, "127.0.0.4") == "no rule allows 127.0.0.4"


def test_a_name_that_is_never_confirmed_costs_a_bounded_time(server, names):
    """The same with a name that is told at once and whose own name server is silent."""
    names.use(names.serve({"127.0.0.4": "a.slow.test"}.items(), (),
                          f"--server=/slow.test/{names.silent()}"),
              options="timeout:5 attempts:6")
    s = start(server, names=names, double_reverse_lookups=1)
    assert seconds_to_denial(s, "127.0.0.4") < 10
    assert reason(s, "127.0.0.4") == "double_reverse_lookups: its name has no address"


def test_others_are_served_while_one_worker_waits_for_a_name(server, names):
    """The wait is a worker's own; whom an address allows does not even begin one."""
    names.use(names.silent())
    s = server.start("echo", preexec_fn=names.enter, max_servers=4, reverse_lookups=1,
                     allow=r".*\.test", cidr_allow="127.0.0.1", lookup_timeout=60,
                     stop_timeout=0)
    with call(s, "127.0.0.4") as waiting:
        s.wait_workers(1, "busy")
        for _ in range(20):
            with call(s) as client:
                assert converse(client, b"hello\n") == b"hello\n"
        assert select.select([waiting], [], [], 0)[0] == []
        s.stop()


def test_rules_as_the_manual_of_the_reference_has_them(server, tmp_path):
    """Keys and values of its sample file work as they stand."""
    conf = tmp_path / "x.conf"
    conf.write_text("allow       .+\\.(net|com)\nallow       domain\\.com\ndeny        a.+\n"
                    "cidr_allow  127.0.0.0/8\ncidr_allow  192.0.2.0/24\n"
                    "cidr_deny   192.0.2.4/30\n")
    s = start(server, conf_file=conf)
    assert visit(s, "127.0.0.4") == ("-", "127.0.0.4")
    assert s.wait_log("access: deny has 1 patterns and 1 blocks, allow has 2 and 2; whoever no "
                      "rule names is denied")


# ---- the weaknesses of the reference ------------------------------------------------------


def test_W38_deny_rules_alone_leave_the_rest_in(server):
    """A configuration of deny rules denied everybody. Here it denies whom it names, and a
    line at start says what happens to the rest."""
    s = start(server, cidr_deny="127.0.0.4")
    assert s.wait_log(r"notice: access: deny has 0 patterns and 1 blocks, .*; whoever no rule "
                      r"names is allowed \(access_default auto\)")
    assert visit(s) != DENIED and visit(s, "127.0.0.4") == DENIED
    s.stop()
    s = start(server, cidr_deny="127.0.0.4", access_default="deny")
    assert s.wait_log(r"notice: access: .* is denied \(access_default deny\)")
    assert visit(s) == DENIED


def test_W38_a_pattern_is_the_whole_text(server):
    """Of "a|b" only the ends were tied to the ends of the text, in one alternative each. Here
    every pattern is about the whole text."""
    s = start(server, allow=r"127\.0\.0\.4|127\.0\.0\.5")
    assert visit(s, "127.0.0.4") != DENIED and visit(s, "127.0.0.5") != DENIED
    assert visit(s, "127.0.0.40") == DENIED


def test_W38_a_pattern_for_names_without_names_is_told(server):
    """It could never match, and nobody said so. Here a notice does."""
    s = start(server, deny=r".*\.example\.com")
    assert s.wait_log(r"notice: deny: \.\*\\\.example\\\.com \(--deny\) can match no address, "
                      "and names are not looked up: reverse_lookups is off")


@pytest.mark.parametrize("line, sentence", [
    ("cidr_allow 10.0.0.0/33", r'cidr_allow: "10\.0\.0\.0/33" has a length .*expected is an '
                               r"address with or without a length, such as 192\.0\.2\.0/24"),
    ("cidr_deny 10.0.0.0/8 10.1", r'cidr_deny: "10\.1" is no block'),
    ("cidr_deny 10.1.2.3/8", r"write 10\.0\.0\.0/8 for the block, or 10\.1\.2\.3 for the one"),
    ("allow (a|b", r'allow: "\(a\|b" is not a regular expression: missing closing '
                   r"parenthesis, behind character 4"),
    ("reverse_lookups dubble", r'reverse_lookups: "dubble" is none of 1, yes'),
])
def test_W44_a_wrong_rule_is_found_at_start(server, tmp_path, line, sentence):
    """A malformed block was met by the first client and killed each child. Here the server
    does not start, and one line says where the rule is, what is wrong and what is right."""
    conf = tmp_path / "x.conf"
    conf.write_text(f"# rules\n{line}\n")
    done = server.command(server.program("guest"), "--port=127.0.0.1:0", "--conf-file", conf)
    assert done.returncode == 78
    assert re.search(rf"{conf}:2: .*{sentence}", done.stderr), done.stderr


def test_W44_rules_that_nobody_can_keep_are_refused(server):
    """A program that accepts by itself would let everybody in."""
    done = server.prefork("serve", "--handler=wait", "--cidr-allow=10.0.0.0/8",
                          "--port=127.0.0.1:0", "--", "/bin/cat")
    assert done.returncode == 78 and "cidr-allow: cannot be kept" in done.stderr
