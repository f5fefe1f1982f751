"""Drains leave the event loop to others while they work."""

from __future__ import annotations

from hsup.testing import make_batch
from hsup_log_drain.otlp.messages import encode
from hsup_log_drain.otlp.numbering import Numbering

from .blocks import in_loop, with_turns


@in_loop
async def test_other_tasks_run_while_otlp_encodes_many_batches() -> None:
    batches = [make_batch(b"x\n", dyno=f"web.{number}") for number in range(1024)]
    encoding = encode(batches, lambda batch: {"dyno": batch.dyno}, Numbering())
    message, turns = await with_turns(encoding)
    assert message.record_count == 1024
    assert turns == 7
