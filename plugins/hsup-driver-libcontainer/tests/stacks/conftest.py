from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hsup.api import Settings
from hsup_driver_libcontainer.stacks.store import StackStore

WAIT_SECONDS = 20
#: bcrypt of "secret", as `htpasswd -B` writes it.
HTPASSWD = "dyno:$2y$04$GBSWJCIsn47sZDtTbrvefemloFSJzDgv7bW1m3nygbtN2NshFBkeq\n"
OCI = "application/vnd.oci.image"


@pytest.fixture
def need() -> Callable[..., None]:
    def skip_without(*tools: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root")
        for tool in tools:
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")

    return skip_without


@pytest.fixture
def as_root(need: Callable[..., None]) -> None:
    """Skip the test unless it is run as root."""
    need()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system of one program, with the attributes that layers have to preserve."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed (apt-get install busybox-static)")
    root = tmp_path_factory.mktemp("small") / "root"
    for directory in ("usr/bin", "etc", "kept", "replaced"):
        (root / directory).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    shutil.copy(busybox, root / "usr/bin/busybox")
    (root / "usr/bin/sh").hardlink_to(root / "usr/bin/busybox")
    (root / "usr/bin/bash").symlink_to("/bin/busybox")
    (root / "etc/gone").write_text("first layer")
    (root / "etc/kept").write_text("first layer")
    (root / "replaced/old").write_text("first layer")
    (root / "etc/set-id").write_text("x")
    (root / "etc/set-id").chmod(0o4755)
    if os.geteuid() == 0:
        os.chown(root / "etc/kept", 12, 34)
    os.setxattr(root / "etc/kept", "user.colour", b"blue")
    return root


@pytest.fixture(scope="session")
def root_tar(small_root: Path) -> bytes:
    return make_tar(small_root)


@pytest.fixture
def tar_path(tmp_path: Path, root_tar: bytes) -> Path:
    path = tmp_path / "root.tar"
    path.write_bytes(root_tar)
    return path


@pytest.fixture
def ext4(need: Callable[..., None], tmp_path: Path, small_root: Path) -> Path:
    need("mkfs.ext4", "mount")
    path = tmp_path / "ext4.img"
    subprocess.run(["mkfs.ext4", "-q", "-d", small_root, path, "16M"], check=True)
    return path


def make_tar(directory: Path) -> bytes:
    command = ["tar", "--xattrs", "--numeric-owner", "-C", str(directory), "-cf", "-", "."]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        directory=str(tmp_path),
        environ={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "HSUP_STACKS_DIR": str(tmp_path / "stacks"),
        },
    )


@pytest.fixture
def stacks_dir(settings: Settings) -> Path:
    directory = Path(settings.environ["HSUP_STACKS_DIR"])
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def store(settings: Settings) -> StackStore:
    return StackStore(settings)


@pytest.fixture
def pack() -> Callable[[Path], bytes]:
    return make_tar


class Layout:
    """An OCI layout, made by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def put(self, data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    def put_image(
        self, *tars: bytes, architecture: str = "amd64", zstd_layer: bytes | None = None
    ) -> dict[str, Any]:
        layers = [self.put(gzip.compress(tar, 1, mtime=0), "layer.v1.tar+gzip") for tar in tars]
        if zstd_layer:
            layers = [self.put(zstd_layer, "layer.v1.tar+zstd")]
        digests = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": digests},
            "config": {},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.put(json.dumps(config).encode(), "config.v1+json"),
            "layers": layers,
        }
        return {
            **self.put(json.dumps(manifest).encode(), "manifest.v1+json"),
            "platform": {"os": "linux", "architecture": architecture},
        }

    def put_index(self, *images: dict[str, Any]) -> dict[str, Any]:
        index = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.index.v1+json",
            "manifests": list(images),
        }
        return self.put(json.dumps(index).encode(), "index.v1+json")

    def tag(self, image: dict[str, Any]) -> str:
        named = {**image, "annotations": {"org.opencontainers.image.ref.name": "it"}}
        index = {"schemaVersion": 2, "manifests": [named]}
        (self.path / "index.json").write_text(json.dumps(index))
        return f"oci:{self.path}:it"


class Registry(NamedTuple):
    """Debian's docker-registry on a port of the loopback interface, and the images in it."""

    address: str
    log: Path
    layout: Layout
    stacks_dir: Path

    def publish(self, image: dict[str, Any], *options: str, checksum: str = "") -> None:
        """Publish an image as the stack "small" of the manifest."""
        reference = f"docker://{self.address}/t/small:1"
        command = ["skopeo", "copy", "--all", "--quiet", "--dest-tls-verify=false", *options]
        copied = [*command, self.layout.tag(image), reference]
        subprocess.run(copied, check=True, capture_output=True)
        more = f", checksum: '{checksum}'" if checksum else ""
        text = f"- {{name: small, url: '{reference}'{more}}}\n"
        (self.stacks_dir / "manifest.yml").write_text(text)

    def requests(self, part: str) -> int:
        lines = self.log.read_text().splitlines()
        return sum("response completed" in line and part in line for line in lines)


@pytest.fixture
def registry(tmp_path: Path, stacks_dir: Path, need: Callable[..., None]) -> Iterator[Registry]:
    need("docker-registry", "skopeo", "umoci")
    with _serving(tmp_path / "registry", stacks_dir, auth="") as found:
        yield found


@pytest.fixture
def closed_registry(
    tmp_path: Path, stacks_dir: Path, need: Callable[..., None]
) -> Iterator[Registry]:
    """A registry that asks for the user dyno and the password secret."""
    need("docker-registry", "skopeo", "umoci")
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = f"auth: {{htpasswd: {{realm: r, path: {tmp_path / 'htpasswd'}}}}}\n"
    with _serving(tmp_path / "registry", stacks_dir, auth=auth) as found:
        yield found


@contextmanager
def _serving(directory: Path, stacks_dir: Path, *, auth: str) -> Iterator[Registry]:
    directory.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (directory / "config.yml").write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {directory / 'data'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n{auth}"
    )
    log = directory / "log"
    with log.open("wb") as file:
        command = ["docker-registry", "serve", str(directory / "config.yml")]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        end = time.monotonic() + WAIT_SECONDS
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.01)
        yield Registry(f"127.0.0.1:{port}", log, Layout(directory / "layout"), stacks_dir)
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
