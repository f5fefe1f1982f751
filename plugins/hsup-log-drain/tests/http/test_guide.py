"""The examples of the guide are what is sent."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from hsup_log_drain.testing import split_frames

_GUIDE = Path(__file__).parents[4] / "docs/guides/log-drains.md"


@pytest.mark.skipif(not _GUIDE.exists(), reason="there is no clone of the repository")
def test_lengths_and_ids_in_the_guide_are_right() -> None:
    posts = re.findall(r"```text\n(POST .*?)\n\n(.*?\n)```", _GUIDE.read_text(), re.DOTALL)
    assert len(posts) == 2
    for head, body in posts:
        counted = re.search("Logplex-Msg-Count: ([0-9]+)", head)
        assert counted is not None
        assert len(split_frames(body.encode())) == int(counted[1])
        length = re.search("Content-Length: ([0-9]+)", head)
        assert length is None or int(length[1]) == len(body.encode())
        request = re.search("X-Request-Id: (.*)", head)
        assert request is None or uuid.UUID(request[1]).version == 4
