"""Remember the last lines, for those who look back, and let them follow what comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence

from hsup.api import LogBatch
from hsup.output.backlog import Backlog, Segment, line_count
from hsup.output.losses import Loss, told

#: Beyond this, older lines are forgotten once there are enough.
_USUAL_BYTES = 2 << 20
#: Beyond this, older lines are forgotten even if there are fewer than asked for.
_MOST_BYTES = 16 << 20
#: How much waits for a follower before it loses lines.
_FOLLOWER_BYTES = 1 << 20
_NEWLINE = b"\n"


class History:
    """The last lines of a backlog: `most_lines` of them, unless these are very long."""

    def __init__(self, backlog: Backlog, most_lines: int) -> None:
        self._backlog = backlog
        self._most_lines = most_lines
        self._oldest = backlog.last
        self._start_bytes = backlog.total_bytes - backlog.last.size
        backlog.watch(self)

    def last(
        self, lines: int, *, dyno: str | None = None, source: str | None = None
    ) -> Sequence[LogBatch]:
        """Return the last lines of a dyno, or of a type, and of a source; see LogHistory."""
        found: list[LogBatch] = []
        missing = min(lines, self._most_lines)
        for segment, index in self._backwards():
            if missing <= 0:
                break
            if _matches(segment.head(index), dyno, source):
                text = _last_lines(segment.lines[index], missing)
                missing -= line_count(text)
                found.append(segment.batch(index, text))
        found.reverse()
        return found

    def follow(
        self, lines: int = 0, *, dyno: str | None = None, source: str | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        """Yield the last lines, and those that come; see LogHistory."""
        before = self.last(lines, dyno=dyno, source=source)
        reader = self._backlog.reader(_FOLLOWER_BYTES)

        async def following() -> AsyncGenerator[LogBatch, None]:
            try:
                for batch in before:
                    yield batch
                while True:
                    await reader.ready()
                    if dropped := reader.dropped():
                        yield told(Loss("L11", dropped.line_count, dropped.since))
                    while came := reader.next(_FOLLOWER_BYTES):
                        if _matches(came, dyno, source):
                            yield came
            finally:
                reader.close()

        return following()

    @property
    def alarm(self) -> float:
        """Return beyond which total of bytes there is something to forget."""
        return self._start_bytes + _USUAL_BYTES

    def wake(self) -> None:
        """Forget the oldest segments, as far as enough lines are left without them."""
        segments = list(self._segments())
        count = size = kept = 0
        for segment in reversed(segments):
            if count >= self._most_lines or (kept and size + segment.size > _MOST_BYTES):
                break
            kept += 1
            size += segment.size
            count += sum(map(line_count, segment.lines))
        self._oldest = segments[-kept]
        # Not to count again with each batch: the next time is when there is as much more.
        self._start_bytes = max(self._backlog.total_bytes - _USUAL_BYTES // 2, 0)

    def _segments(self) -> Iterator[Segment]:
        segment: Segment | None = self._oldest
        while segment is not None:
            yield segment
            segment = segment.after

    def _backwards(self) -> Iterator[tuple[Segment, int]]:
        for segment in reversed(list(self._segments())):
            for index in range(len(segment.lines) - 1, -1, -1):
                yield segment, index


def _matches(batch: LogBatch, dyno: str | None, source: str | None) -> bool:
    """Tell whether a batch is of a dyno, or of a process type, and of a source; None is any."""
    if source is not None and batch.source != source:
        return False
    return dyno in (None, batch.dyno, batch.dyno.rpartition(".")[0])


def _last_lines(lines: bytes, count: int) -> bytes:
    """Return the last lines, not more than so many."""
    if line_count(lines) <= count:
        return lines
    end = len(lines) - lines.endswith(_NEWLINE)
    for _ in range(count):
        end = lines.rfind(_NEWLINE, 0, end)
    return lines[end + 1 :]
