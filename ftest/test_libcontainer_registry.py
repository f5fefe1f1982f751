"""A stack that comes from a registry: a Debian made by debootstrap, pushed and pulled."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager

import pytest

from ftest.program import eventually, free_port

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(autouse=True)
def _tools():
    for tool in ("docker-registry", "skopeo", "umoci"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@contextmanager
def registry(folder):
    """Run Debian's docker-registry on the loopback interface; give its address."""
    port = free_port()
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder / "registry", port=port))
    with (
        open(folder / "registry.log", "wb") as log,
        subprocess.Popen(("docker-registry", "serve", config), stdout=log, stderr=log) as process,
    ):
        try:
            assert eventually(lambda: answers(port))
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def push(stack, layout, reference):
    image = f"{layout}:1"
    for words in (
        ("umoci", "init", "--layout", layout),
        ("umoci", "new", "--image", image),
        ("umoci", "insert", "--image", image, stack, "/"),
        ("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{image}", reference),
    ):
        subprocess.run(words, check=True, capture_output=True)


def test_a_dyno_runs_on_a_debian_from_a_registry(hsup, request):
    hsup.procfile(one="true")
    hsup.environ["HSUP_STACKS_DIR"] = str(hsup.folder / "stacks")
    stack = str(request.config.getoption("--stack"))
    with registry(hsup.folder) as address:
        reference = f"docker://{address}/debian:12"
        push(stack, hsup.folder / "image", reference)
        pulled = hsup.call("stacks", "import", "debian", reference, "--primary", timeout=120)
        assert pulled.status == 0, pulled
    done = hsup.call("run", "cat /etc/os-release; stat -c %u:%g:%a /bin/su /root")
    assert 'VERSION_ID="12"' in done.text
    assert done.text.endswith("0:0:4755\n0:0:700\n")
