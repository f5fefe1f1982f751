"""Run one dyno on hsup's own streams, terminal and signals: `hsup run`, for every driver.

                      ┌────────────────── Session ──────────────────┐
    signals ────────▶ │ states ──▶ stop, send, kill, resize ──────▶ │
    standard input ─▶ │ Feed ────▶ DynoInput.write ───────────────▶ │  ForegroundDyno
    terminal, or   ◀─ │ Output ◀── Session.show, Session.write ◀─── │
    output streams    │ Loop: calls for descriptors and timers ◀──▶ │
                      └─────────────────────────────────────────────┘

The driver starts its dyno, and passes a ForegroundDyno to the session. `states` says how the
session handles a signal, a closed terminal and the end of the grace period.

    with signals_woken() as woken:
        status = Session(dyno, woken, grace_seconds).run()
"""

from __future__ import annotations

from hsup.foreground.loop import Loop
from hsup.foreground.session import ForegroundDyno, Session
from hsup.foreground.states import Input
from hsup.foreground.streams import DynoInput, Feed

__all__ = ["DynoInput", "Feed", "ForegroundDyno", "Input", "Loop", "Session"]
