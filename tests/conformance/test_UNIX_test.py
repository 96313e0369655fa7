"""UNIX_test: a TCP port and a unix socket of one server, with user and group as numbers."""

import os
import stat

import pytest

from service import Talk, serves, service
from support import proc_status

USER, GROUP = 12345, 23456
SMALL = {"min_servers": 1, "max_servers": 3}


@pytest.mark.root
@pytest.mark.shows("proto:unix", "proto:tcp", "key:user", "key:group", "hook:get_client_info",
                   "hook:allow_deny_hook", "daemon:get_uid", "daemon:get_gid",
                   "daemon:is_root_user")
def test_tcp_and_unix(server, open_path):
    """Both serve as the other user; a connection knows its protocol and port, and the program
    is asked about each client."""
    path = open_path / "sock"
    s = server.start(service(server), SMALL, port=["127.0.0.1:0", f"{path}|unix"], user=USER,
                     group=GROUP, socket_owner=f"{USER}:{GROUP}", env={"SERVICE_LOUD": 1})
    for index, proto, local in [(0, "tcp", f"127.0.0.1:{s.port}"), (1, "unix", str(path))]:
        mark = s.mark()
        with Talk(s, index, first="let me in") as talk:
            assert (talk.fact("proto"), talk.fact("local")) == (proto, local)
            assert talk.quit() == b""
            status = proc_status(talk.pid)
        s.wait_log("hook allow_deny_hook", since=mark)
        assert status["Uid"].split() == [str(USER)] * 4
        assert status["Gid"].split() == [str(GROUP)] * 4
    assert (path.stat().st_uid, path.stat().st_gid) == (USER, GROUP)


@pytest.mark.shows("hook:allow_deny_hook", "hook:request_denied_hook")
@pytest.mark.parametrize("index", [0, 1])
def test_a_denied_client(server, tmp_path, index):
    """Of either kind: the other hook runs instead, and the next client is served."""
    s = server.start(service(server), SMALL, port=["127.0.0.1:0", f"{tmp_path}/sock|unix"],
                     env={"SERVICE_LOUD": 1})
    assert s.ask(b"no\n", index) == b"denied\r\n"
    assert s.find_log("hook request_denied_hook") and not s.find_log("hook process_request")
    with Talk(s, index, first="yes") as talk:
        assert talk.quit() == b""


@pytest.mark.shows("proto:unix", "hook:shutdown_sockets", "port:expand-unix")
def test_mode_and_removal(server, tmp_path):
    """The umask decides about the mode as there, the path goes with the server."""
    path = tmp_path / "sock"
    s = server.start(service(server), SMALL, port=f"{path}|unix", umask=0o007)
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    assert path.stat().st_uid == os.geteuid()
    assert serves(s) == ("unix", "")
    assert s.stop() == 0
    assert not path.exists()
