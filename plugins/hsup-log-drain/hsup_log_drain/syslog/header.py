"""What stands before each message: the platform's header of syslog drains."""

from __future__ import annotations

from hsup.api import LogBatch
from hsup_log_drain.frames import Head, field, priority, timestamp

#: The most bytes of each field (RFC 5424, 6).
_HOSTNAME, _APP_NAME, _PROCID = 255, 48, 128


def header(token: str) -> Head:
    """Return what makes `<PRI>1 TS d.TOKEN SOURCE PROC - - ` for a batch.

    The host name is the drain's token, and the fields of MSGID and of structured data are empty
    (logplex_syslog_utils.erl).
    """
    hostname = field(token, _HOSTNAME)

    def head(batch: LogBatch) -> bytes:
        return b"<%d>1 %b %b %b %b - - " % (
            priority(batch),
            timestamp(batch.time),
            hostname,
            field(batch.source, _APP_NAME),
            field(batch.dyno, _PROCID),
        )

    return head
