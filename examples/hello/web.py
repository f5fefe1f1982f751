"""Answer every HTTP request on PORT with a greeting."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

DYNO = os.environ.get("DYNO", "no dyno")
GREETING = os.environ.get("GREETING", "Hello")
# On a platform, set HOST=0.0.0.0: a laptop need not serve its network.
HOST = os.environ.get("HOST", "127.0.0.1")
PORT = int(os.environ.get("PORT", "5000"))


class Greeter(BaseHTTPRequestHandler):
    """Greets; its base class logs each request as a line."""

    def do_GET(self) -> None:
        """Answer with text."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        body = f"{GREETING}\nThis is {DYNO}, and it is {now}\n".encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End the process with status 0."""
    print(f"{DYNO} stops serving")
    sys.exit()


def main() -> None:
    """Serve until told to stop."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with ThreadingHTTPServer((HOST, PORT), Greeter) as server:
        print(f"{DYNO} serves http://{HOST}:{PORT}/")
        server.serve_forever()


if __name__ == "__main__":
    main()
