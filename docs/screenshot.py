"""Make the picture of README from a real run: `make screenshot`.

`hsup start` runs in a terminal, in a copy of examples/hello; its web dyno is asked twice, and its
worker is killed once. Every line of the picture was written in that run.
"""

from __future__ import annotations

import html
import os
import pty
import re
import select
import shutil
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/images/start.svg"
COLUMNS = 96
_SECONDS = 60


def _colours(*numbers: int) -> list[tuple[int, int, int]]:
    return [(number >> 16, number >> 8 & 0xFF, number & 0xFF) for number in numbers]


#: GitHub's dark colours: background, foreground, the eight of ECMA-48, and their bright variants.
_THEME = TerminalTheme(
    _colours(0x0D1117)[0],
    _colours(0xE6EDF3)[0],
    _colours(0x484F58, 0xFF7B72, 0x3FB950, 0xD29922, 0x58A6FF, 0xBC8CFF, 0x39C5CF, 0xB1BAC4),
    _colours(0x8B949E, 0xFFA198, 0x56D364, 0xE3B341, 0x79C0FF, 0xD2A8FF, 0x56D4DD, 0xFFFFFF),
)
#: Rich's own, without the fonts that it would have from the network.
_SVG = """\
<svg viewBox="0 0 {width} {height}" xml:space="preserve" xmlns="http://www.w3.org/2000/svg">
<title>hsup start: a web dyno and a worker, which is killed and restarted</title>
<style>
.{unique_id}-matrix {{
  font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def record(hsup: str, seconds_of_work: int = 5) -> str:
    """Return what a terminal is sent in a run, with control sequences for colours.

    `hsup` is the program's path; the worker does a job every so many seconds.
    """
    with tempfile.TemporaryDirectory() as scratch:
        directory = f"{scratch}/hello"
        shutil.copytree(ROOT / "examples/hello", directory)
        config = (ROOT / "examples/hello/.env").read_text()
        config = re.sub("WORKER_SECONDS=.*", f"WORKER_SECONDS={seconds_of_work}", config)
        Path(f"{directory}/.env").write_text(config)
        with _terminal(hsup, directory) as terminal:
            seen = _until(terminal, rb"serves (http:\S+/)")
            port = re.findall(rb":(\d+)/", seen)[-1].decode()
            for path in ("", "favicon.ico"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}").close()
            seen += _until(terminal, rb"GET /favicon.* 200")
            worker = re.findall(rb"worker.1 started \(pid (\d+)", seen)[-1]
            seen += _until(terminal, rb"did job 1")
            os.kill(int(worker), signal.SIGKILL)
            seen += _until(terminal, rb"(?s)restart.*did job 1\r\n")
            os.write(terminal, b"\x03")
            for part in iter(lambda: _read(terminal), b""):
                seen += part
    shown = seen.decode().replace("^C\r", "")  # which hsup writes over
    return shown.replace("\r\n", "\n").replace(directory, "/srv/hello")


def lines(svg: str) -> list[str]:
    """Return the lines of text in a picture, without the title and the command."""
    shown: dict[str, str] = {}
    for y, text in re.findall(r'<text class="hsup-r[^>]* y="([0-9.]+)"[^>]*>([^<]*)<', svg):
        shown[y] = shown.get(y, "") + html.unescape(text)
    return list(shown.values())[1:]


def picture(recorded: str) -> str:
    """Return an SVG of what was recorded."""
    console = Console(file=StringIO(), record=True, width=COLUMNS, force_terminal=True)
    console.print(Text.from_ansi(f"\x1b[1m$ hsup start\x1b[0m\n{recorded.rstrip()}"))
    drawn = console.export_svg(
        title="examples/hello", theme=_THEME, code_format=_SVG, unique_id="hsup"
    )
    lines = filter(None, map(str.strip, drawn.splitlines()))
    # A no-break space at the start of a text is not drawn by all that draw SVG.
    return "\n".join(lines).replace("&#160;", " ") + "\n"


@contextmanager
def _terminal(hsup: str, directory: str) -> Iterator[int]:
    """Run `hsup start` in a terminal, and give that."""
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": str(COLUMNS)}
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(directory)
        os.execve(hsup, [hsup, "start", "-p", "auto"], environ)
    try:
        yield terminal
    finally:
        os.close(terminal)  # which hangs up
        os.waitpid(pid, 0)


def _until(terminal: int, pattern: bytes) -> bytes:
    seen = b""
    while not re.search(pattern, seen):
        part = _read(terminal)
        if not part:
            raise SystemExit(f"no {pattern!r} was seen in:\n{seen.decode()}")
        seen += part
    return seen


def _read(terminal: int) -> bytes:
    if not select.select([terminal], [], [], _SECONDS)[0]:
        raise SystemExit(f"nothing was printed for {_SECONDS} s")
    try:
        return os.read(terminal, 4096)
    except OSError:  # hsup has ended
        return b""


if __name__ == "__main__":
    PICTURE.write_text(picture(record(os.path.abspath(sys.argv[1]))))
