r"""For tests of log drains: receivers on real sockets, which believe nothing that they are sent.

    with HttpReceiver() as receiver:
        receiver.answer(status(503), times=2)
        ...
        receiver.wait_for_requests(3)
        assert receiver.requests[-1].messages == [b"hello\n"]
        assert receiver.invalid == []

This needs nothing but Python, not even hsup, so that tests can also run hsup from outside.
"""

from __future__ import annotations

from hsup_log_drain.testing.certificates import Authority, Certificate
from hsup_log_drain.testing.http_answers import OK, Ending, HttpAnswer, Reading, status
from hsup_log_drain.testing.http_receiver import HttpReceiver
from hsup_log_drain.testing.http_requests import Frame, SeenRequest
from hsup_log_drain.testing.octet_counted import FramingError, split_frames, take_frames
from hsup_log_drain.testing.rsyslog import Rsyslog

__all__ = [
    "OK",
    "Authority",
    "Certificate",
    "Ending",
    "Frame",
    "FramingError",
    "HttpAnswer",
    "HttpReceiver",
    "Reading",
    "Rsyslog",
    "SeenRequest",
    "split_frames",
    "status",
    "take_frames",
]
