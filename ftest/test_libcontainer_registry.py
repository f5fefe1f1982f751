"""A stack that comes from a registry: a Debian made by debootstrap, pushed and pulled."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ftest.program import Hsup
from ftest.registry import running_registry


@pytest.fixture(autouse=True)
def _tools() -> None:
    for tool in ("docker-registry", "skopeo", "umoci"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def push(stack: str, layout: Path, reference: str) -> None:
    image = f"{layout}:1"
    for words in (
        ("umoci", "init", "--layout", layout),
        ("umoci", "new", "--image", image),
        ("umoci", "insert", "--image", image, stack, "/"),
        ("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{image}", reference),
    ):
        subprocess.run(words, check=True, capture_output=True)


def test_a_dyno_runs_on_a_debian_from_a_registry(
    hsup: Hsup, request: pytest.FixtureRequest
) -> None:
    hsup.procfile(one="true")
    hsup.environ["HSUP_STACKS_DIR"] = str(hsup.directory / "stacks")
    stack = str(request.config.getoption("--stack"))
    with running_registry(hsup.directory) as address:
        reference = f"docker://{address}/debian:12"
        push(stack, hsup.directory / "image", reference)
        pulled = hsup.call("stacks", "import", "debian", reference, "--primary", timeout=120)
        assert pulled.status == 0, pulled
    done = hsup.call("run", "cat /etc/os-release; stat -c %u:%g:%a /bin/su /root")
    assert 'VERSION_ID="12"' in done.text
    assert done.text.endswith("0:0:4755\n0:0:700\n")
