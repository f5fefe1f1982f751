from __future__ import annotations

import os

from hsup.copying.channel import COPIED, PID, READY, SAID, pair


def test_what_is_told_is_heard_in_order_with_what_belongs_to_it() -> None:
    one, other = pair()
    one.tell(PID, "42")
    one.tell(SAID, "a line\nof two, \udcff")
    heard = other.heard()
    assert heard is not None
    assert list(heard) == [(PID, "42"), (SAID, "a line of two, \udcff")]


def test_a_word_that_is_waited_for_may_come_after_others() -> None:
    one, other = pair()
    one.tell(READY)
    one.tell(COPIED)
    assert other.waits_for(COPIED)


def test_an_end_that_has_gone_tells_nothing_and_is_told_nothing() -> None:
    one, other = pair()
    one.close()
    other.tell(READY)
    assert other.heard() is None
    assert not other.waits_for(READY)


def test_half_a_line_is_kept_until_the_rest_has_come() -> None:
    one, other = pair()
    os.write(one.fileno(), b"said hel")
    heard = other.heard()
    assert heard is not None
    assert list(heard) == []
    os.write(one.fileno(), b"lo\n")
    heard = other.heard()
    assert heard is not None
    assert list(heard) == [(SAID, "hello")]
