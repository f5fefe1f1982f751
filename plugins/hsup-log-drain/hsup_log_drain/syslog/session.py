"""Seal what is sent over a connection, and open what comes: as it is, or with TLS."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import ssl

# ssl takes 10 ms to import, and only TLS needs it.

#: The most bytes that a record of TLS carries (RFC 8446, 5.1).
_RECORD_BYTES = 1 << 14
_READ_BYTES = 1 << 16


class Sealed(NamedTuple):
    """Bytes as they are sent.

    `marks` are pairs: after so many sealed bytes, a receiver can open so many bytes. None is for
    bytes that are sent as they are.
    """

    data: bytes
    marks: Sequence[tuple[int, int]] | None = None

    def opened(self, sealed_bytes: int) -> int:
        """Return how many bytes a receiver has that has taken so many sealed ones."""
        if self.marks is None:
            return sealed_bytes
        number = bisect_right(self.marks, (sealed_bytes, len(self.data)))
        return self.marks[number - 1][1] if number else 0


class Session(Protocol):
    """How bytes are sent and received."""

    def seal(self, data: bytes) -> Sealed:
        """Return bytes as they are sent."""

    def receive(self, data: bytes) -> bool:
        """Take what the peer has sent; return False if it says that it will send no more.

        b"" is for the end of the stream. Raises OSError, which `ssl.SSLError` is.
        """

    def end(self) -> bytes:
        """Return what tells the peer that nothing more is sent."""


class PlainSession:
    """Bytes are sent as they are, and what comes is ignored: syslog has no answers."""

    def seal(self, data: bytes) -> Sealed:
        """Return bytes as they are."""
        return Sealed(data)

    def receive(self, data: bytes) -> bool:
        """Tell the end of the stream."""
        return bool(data)

    def end(self) -> bytes:
        """Return nothing: the end of the stream says it."""
        return b""


class TLSSession:
    """TLS without a socket of its own, so that the bytes on the wire can be counted."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        import ssl

        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.is_established = False

    @property
    def may_be_refused(self) -> bool:
        """Tell whether the peer may yet refuse this side's certificate.

        With TLS 1.3 it checks that after this side's handshake has ended (RFC 8446, 2).
        """
        return self._tls.version() == "TLSv1.3"

    def greet(self, data: bytes = b"") -> bytes:
        """Go on with the handshake; return what is to be sent.

        Raises `ssl.SSLError`; `farewell` is then to be sent.
        """
        import ssl

        self._incoming.write(data)
        try:
            self._tls.do_handshake()
            self.is_established = True
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def farewell(self) -> bytes:
        """Return the alert that tells the peer why the handshake has failed."""
        return self._outgoing.read()

    def seal(self, data: bytes) -> Sealed:
        """Return bytes as records."""
        view, marks = memoryview(data), []
        for start in range(0, len(data), _RECORD_BYTES):
            end = start + self._tls.write(view[start : start + _RECORD_BYTES])
            marks.append((self._outgoing.pending, end))
        return Sealed(self._outgoing.read(), marks)

    def receive(self, data: bytes) -> bool:
        """Process records, and ignore what they carry."""
        import ssl

        if not data:
            return False
        self._incoming.write(data)
        try:
            while self._tls.read(_READ_BYTES):
                pass
        except ssl.SSLWantReadError:
            return True
        return False

    def end(self) -> bytes:
        """Return the alert close_notify, as far as the session has come."""
        import ssl

        try:
            self._tls.unwrap()
        except ssl.SSLError:  # it waits for the peer's
            pass
        return self._outgoing.read()
