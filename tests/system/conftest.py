"""Fixtures and markers of the system tests; what they do is in support.py.

Every test has a time limit, so that a server that hangs is a failure and not a hanging test
run. The log of a failed test's servers is part of its report.
"""

import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import support  # noqa: E402

TIME_LIMIT = support.campaign(max(60, 4 * support.PATIENCE), 1200)


def pytest_configure(config):
    """Markers, and the duty of looking after orphans."""
    config.addinivalue_line("markers", "root: needs to be run as root")
    config.addinivalue_line("markers", "shows(id, ...): rows of tests/conformance/*.inventory")
    config.addinivalue_line("markers", "ipv6: needs IPv6 on the loopback interface")
    support.adopt_orphans()


def pytest_collection_modifyitems(config, items):
    """Time limits, and tests that this machine or user cannot run."""
    limited = config.getoption("timeout", None) is not None
    for item in items:
        if not limited and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIME_LIMIT))
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("ipv6") and not _has_ipv6():
            item.add_marker(pytest.mark.skip(reason="no IPv6 here"))


def _has_ipv6():
    import socket
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Put what the servers said into the report of a failure."""
    report = (yield).get_result()
    servers = getattr(item, "funcargs", {}).get("server")
    if report.failed and servers:
        for server in servers.running:
            report.sections.append(("server log", server.text()))


@pytest.fixture(scope="session")
def program_cache(tmp_path_factory):
    """Where test programs are compiled, shared by the parallel processes of a run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    cache = base / "programs"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture
def server(tmp_path, program_cache):
    """Starts servers; see support.Servers. Stops them all when the test ends."""
    servers = support.Servers(tmp_path, program_cache)
    yield servers
    servers.finish()


@pytest.fixture
def open_path():
    """A directory that every user may enter, for tests that change users."""
    with tempfile.TemporaryDirectory(prefix="prefork-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)
