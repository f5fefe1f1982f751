"""Lines of dynos, and of hsup, arrive at rsyslog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest.program import Hsup, eventually
from hsup_log_drain.testing import Authority, Rsyslog

pytestmark = pytest.mark.skipif(
    not Rsyslog.is_installed(), reason="rsyslog is not installed here, as in hsup's image"
)


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    running = Rsyslog(tmp_path / "rsyslog")
    running.start()
    yield running
    running.stop()


def _messages(rsyslog: Rsyslog, process: str) -> list[bytes]:
    """Return what has arrived of the output of a dyno, in order."""
    parsed = (line.split(b"|", 6) for line in rsyslog.parsed(0))
    return [one[6] for one in parsed if one[2:4] == [b"app", process.encode()]]


def test_every_line_arrives_in_order_over_tcp(hsup: Hsup, rsyslog: Rsyslog) -> None:
    hsup.procfile(web="seq 20000", worker="printf 'a\\n\\nb'")
    url = f"syslog://127.0.0.1:{rsyslog.tcp_port}"
    assert hsup.call("start", "--oneshot", "--drain", url).status == 0
    # The kernel has taken all, and rsyslog has not read it yet.
    assert eventually(lambda: len(_messages(rsyslog, "web.1")) >= 20_000)
    assert _messages(rsyslog, "web.1") == [b"%d" % number for number in range(1, 20_001)]
    assert _messages(rsyslog, "worker.1") == [b"a", b"", b"b"]


def test_lines_arrive_over_udp(hsup: Hsup, rsyslog: Rsyslog) -> None:
    hsup.procfile(web="seq 100")
    url = f"syslog+udp://127.0.0.1:{rsyslog.udp_port}"
    assert hsup.call("start", "--oneshot", "--drain", url).status == 0
    expected = [b"%d" % number for number in range(1, 101)]
    assert eventually(lambda: _messages(rsyslog, "web.1") == expected)


def test_lines_wait_for_a_receiver_that_is_started_again(hsup: Hsup, rsyslog: Rsyslog) -> None:
    hsup.procfile(web=f"seq 100; exec {hsup.sleep}")
    rsyslog.stop()
    url = f"syslog://127.0.0.1:{rsyslog.tcp_port}"
    running = hsup.start("--drain", url)
    running.wait_for(rf"drain {url}: cannot connect: Connection refused")
    rsyslog.start()
    running.wait_for("takes lines again after .* no line was lost")
    assert running.stop() == 0
    expected = [b"%d" % number for number in range(1, 101)]
    assert eventually(lambda: _messages(rsyslog, "web.1") == expected)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def with_tls(authority: Authority, tmp_path: Path) -> Iterator[Rsyslog]:
    running = Rsyslog(tmp_path / "rsyslog", authority.issue("receiver"))
    running.start()
    yield running
    running.stop()


def test_lines_arrive_over_tls(hsup: Hsup, authority: Authority, with_tls: Rsyslog) -> None:
    hsup.procfile(web="seq 100")
    url = f"syslog+tls://127.0.0.1:{with_tls.tcp_port}?ca={authority.certificate}"
    assert hsup.call("start", "--oneshot", "--drain", url).status == 0
    expected = [b"%d" % number for number in range(1, 101)]
    assert eventually(lambda: _messages(with_tls, "web.1") == expected)


def test_a_receiver_that_nobody_vouches_for_gets_nothing(hsup: Hsup, with_tls: Rsyslog) -> None:
    hsup.procfile(web=f"echo hello; exec {hsup.sleep}")
    url = f"syslog+tls://127.0.0.1:{with_tls.tcp_port}"
    running = hsup.start("--drain", url, "--grace", "1")
    running.wait_for(
        r'Error L14 \(certificate validation\): error="unable to get local issuer certificate" '
        rf'uri="{re.escape(url)}"'
    )
    running.stop()
    running.wait_for("not delivered")
    with_tls.stop()
    assert _messages(with_tls, "web.1") == []


def test_a_file_of_tls_that_is_missing_is_named(hsup: Hsup, tmp_path: Path) -> None:
    hsup.procfile(web="echo hello")
    missing = tmp_path / "missing.pem"
    ended = hsup.call("start", "--drain", f"syslog+tls://logs.example?ca={missing}")
    assert ended.status == 2
    assert f'parameter "ca": cannot read file "{missing}": No such file' in ended.message
