"""Debian's docker-registry on the loopback interface."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftest.program import eventually, free_port

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {directory}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def running_registry(directory: Path) -> Iterator[str]:
    """Run it, with its data in a directory; give its address."""
    port = free_port()
    config = directory / "registry.yml"
    config.write_text(CONFIG.format(directory=directory / "registry", port=port))
    with (
        open(directory / "registry.log", "wb") as log,
        subprocess.Popen(("docker-registry", "serve", config), stdout=log, stderr=log) as process,
    ):
        try:
            assert eventually(lambda: _answers(port))
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
