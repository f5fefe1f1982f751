"""Run rsyslog as an ordinary process, with files and ports of its own."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hsup_log_drain.testing.certificates import Certificate

_PROGRAM = Path("/usr/sbin/rsyslogd")
_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 60.0
#: Below those that the kernel gives to connections (man 7 ip, ip_local_port_range).
_PORTS = range(20_000, 32_000)

_CONFIG = """
global(workDirectory="{directory}" maxMessageSize="128k" defaultNetstreamDriver="{driver}"
       parser.escapeControlCharactersOnReceive="off")
module(load="imtcp")
module(load="imudp")
template(name="raw" type="string" string="%rawmsg%\\n")
template(name="parsed" type="string"
         string="%pri%|%hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n")
ruleset(name="taken") {{
    action(type="omfile" file="{directory}/raw" template="raw")
    action(type="omfile" file="{directory}/parsed" template="parsed")
}}
input(type="imtcp" address="{host}" port="{tcp_port}" ruleset="taken" {encryption})
input(type="imudp" address="{host}" port="{udp_port}" ruleset="taken" rcvbufSize="4m")
action(type="omfile" file="{directory}/own")
"""
_ENCRYPTION = """streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="{mode}"
    streamDriver.certFile="{cert}" streamDriver.keyFile="{key}" streamDriver.caFile="{ca}" """


class Rsyslog:
    """An rsyslog that takes syslog over TCP, or TLS, and over UDP.

    With `certificate` it has TLS; with `clients_of`, the file of an authority, it requires a
    certificate from that of its clients.
    """

    @staticmethod
    def is_installed() -> bool:
        """Tell whether there is an rsyslog on this machine."""
        return _PROGRAM.exists()

    def __init__(
        self,
        directory: Path,
        certificate: Certificate | None = None,
        clients_of: Path | None = None,
    ) -> None:
        directory.mkdir()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        # AppArmor does not let the installed one write where tests do.
        self._program = shutil.copy(_PROGRAM, directory / "rsyslogd")
        self.tcp_port = free_port(socket.SOCK_STREAM)
        self.udp_port = free_port(socket.SOCK_DGRAM)
        self._config = directory / "rsyslog.conf"
        self._config.write_text(
            _CONFIG.format(
                directory=directory,
                host=_HOST,
                driver="ossl" if certificate else "ptcp",
                tcp_port=self.tcp_port,
                udp_port=self.udp_port,
                encryption=_encryption(certificate, clients_of) if certificate else "",
            )
        )

    def start(self) -> None:
        """Start it; return when it takes lines."""
        command = (self._program, "-n", "-f", self._config, "-i", self._directory / "pid")
        with open(self._directory / "output", "ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - ours
        _until(self._is_listening, "rsyslog listens")

    def stop(self) -> None:
        """End it, as a service manager does; it writes what it has read."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_PATIENCE_SECONDS)
            self._process = None

    def raw(self, count: int) -> Sequence[bytes]:
        """Return what it has received, without newlines, once there are so many messages."""
        return self._lines("raw", count)

    def raw_up_to(self, last: bytes) -> Sequence[bytes]:
        """Return what it has received, once this is the last message."""
        _until(lambda: self.raw(0)[-1:] == [last], f"rsyslog has received {last!r}")
        return self.raw(0)

    def parsed(self, count: int) -> Sequence[bytes]:
        """Return the fields of what it has received, once there are so many messages."""
        return self._lines("parsed", count)

    def _lines(self, name: str, count: int) -> Sequence[bytes]:
        file = self._directory / name

        def lines() -> Sequence[bytes]:
            return file.read_bytes().split(b"\n")[:-1] if file.exists() else ()

        _until(lambda: len(lines()) >= count, f"rsyslog has {count} messages")
        return lines()

    def _is_listening(self) -> bool:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            output = (self._directory / "output").read_text()
            raise RuntimeError(f"rsyslog ended with status {status}: {output}")
        with socket.socket() as client, socket.socket(type=socket.SOCK_DGRAM) as other:
            if client.connect_ex((_HOST, self.tcp_port)):
                return False
            try:
                other.bind((_HOST, self.udp_port))
            except OSError:
                return True
            return False


def free_port(kind: socket.SocketKind) -> int:
    """Return a port of the loopback address that nobody has, nor gets for a connection."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket(type=kind) as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port


def _encryption(certificate: Certificate, clients_of: Path | None) -> str:
    mode = "anon" if clients_of is None else "x509/certvalid"
    ca = certificate.certificate if clients_of is None else clients_of
    return _ENCRYPTION.format(mode=mode, cert=certificate.certificate, key=certificate.key, ca=ca)


def _until(is_true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS:.0f} s in vain until {what}")
        time.sleep(0.01)
