"""TLS as the URL of a drain asks for it, with files that may be replaced while hsup runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hsup.errors import DrainUnreachable, UsageError
from hsup.log_drain import DrainURL
from hsup.signatures import FileSignature, signatures
from hsup.threads import in_thread_or_here

if TYPE_CHECKING:
    import ssl

#: The parameters of a URL, each a file: the authorities to trust instead of the system's, this
#: side's certificate, and its key if that is not in the same file.
PARAMETERS = ("ca", "cert", "key")

#: A file may be on a file system that does not answer.
_READING_SECONDS = 10.0

#: What OpenSSL calls the alerts with which a receiver refuses this side's certificate.
_REFUSALS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")


class _Made(NamedTuple):
    """A context, and what its files were like just before it was made."""

    context: ssl.SSLContext
    signatures: tuple[FileSignature | None, ...]


class TLS:
    """Makes contexts from files, again only when one of these has changed.

    This takes 30 ms: a new drain makes one at once only if it has to say what is wrong with a file.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        """Take the files by the names of the parameters. Raises UsageError for one that is bad."""
        if "key" in files and "cert" not in files:
            raise UsageError('parameter "key" needs "cert"', hint="name the certificate's file")
        self._files = files
        self._made = _made(files) if files else None

    async def context(self) -> ssl.SSLContext:
        """Return a context. Raises DrainUnreachable if a file is no longer what it has to be."""
        if self._made is None or self._files:
            try:
                async with asyncio.timeout(_READING_SECONDS):
                    self._made = await in_thread_or_here(partial(_made, self._files, self._made))
            except UsageError as error:
                raise DrainUnreachable(str(error)) from None
            except TimeoutError:
                text = f"cannot read its certificates within {_READING_SECONDS:.0f} s"
                raise DrainUnreachable(text) from None
        return self._made.context


def take_tls(url: DrainURL) -> tuple[TLS, DrainURL]:
    """Return the TLS that a URL asks for, and the URL without that. Raises UsageError."""
    files, rest = url.take(*PARAMETERS)
    return TLS(files), rest


def refusal(error: OSError, url: DrainURL) -> DrainUnreachable:
    """Return what to raise after a failed handshake: L14 if it was about a certificate."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return _bad_certificate(error.verify_message, url)
    if isinstance(error, ssl.SSLError):
        words = (error.reason or str(error)).lower().replace("_", " ")
        if any(name in (error.reason or "") for name in _REFUSALS):
            return _bad_certificate(f"this side's was refused: {words}", url)
        return DrainUnreachable(f"cannot set up TLS: {words}")
    if isinstance(error, TimeoutError):
        return DrainUnreachable("cannot set up TLS: no answer in time")
    return DrainUnreachable(f"cannot set up TLS: {error.strerror or error}")


def _bad_certificate(words: str, url: DrainURL) -> DrainUnreachable:
    text = f'Error L14 (certificate validation): error="{words}" uri="{url}"'
    return DrainUnreachable(text, code="L14")


def _made(files: Mapping[str, str], before: _Made | None = None) -> _Made:
    """Return a context, the one before if no file has changed. Raises UsageError."""
    now = signatures(files.values())
    if before is not None and before.signatures == now:
        return before
    return _Made(_context(files), now)


def _context(files: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that verifies the receiver and its name. Raises UsageError."""
    import ssl  # takes long, and only some drains need it

    if "ca" in files:
        with _explained("ca", files["ca"], "has no certificate"):
            context = ssl.create_default_context(cafile=files["ca"])
    else:
        context = ssl.create_default_context()
    # From Python 3.13 on it is set, and refuses what other clients take: authorities of a
    # company's own often lack extensions that RFC 5280 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_RENEGOTIATION
    if "cert" in files:
        _load_certificate(context, files["cert"], files.get("key"))
    return context


def _load_certificate(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    import ssl

    with _explained("cert", cert, "has no certificate"):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert)
    name, path = ("cert", cert) if key is None else ("key", key)
    with _explained(name, path, "has no key without a passphrase, or that of another certificate"):
        with open(path, "rb"):  # what OpenSSL says of a file that cannot be read names neither
            pass
        context.load_cert_chain(cert, key, password=str)  # else it asks for one on the terminal


@contextmanager
def _explained(name: str, path: str, problem: str) -> Iterator[None]:
    """Raise UsageError that names a parameter and its file if the block cannot use that."""
    import ssl

    try:
        yield
    except ssl.SSLError:
        raise UsageError(f'parameter "{name}": file "{path}" {problem}') from None
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise UsageError(f'parameter "{name}": cannot read file "{path}": {text}') from None
