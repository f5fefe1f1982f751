from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.store import StackStore

from .conftest import Registry

OBTAIN = """
import os, sys
from hsup.api import Settings
from hsup_driver_libcontainer.stacks.store import StackStore
with StackStore(Settings(directory="/", environ=dict(os.environ))).obtain(sys.argv[1]) as stack:
    print(stack.directory)
"""


@pytest.fixture
def second_layer(tmp_path: Path, pack: Callable[[Path], bytes]) -> bytes:
    """The content of a second layer: one file removed, a directory replaced."""
    directory = tmp_path / "second"
    (directory / "etc").mkdir(parents=True)
    (directory / "etc/.wh.gone").touch()
    (directory / "etc/added").write_text("second layer")
    (directory / "replaced").mkdir()
    (directory / "replaced/.wh..wh..opq").touch()
    (directory / "replaced/new").write_text("second layer")
    return pack(directory)


@pytest.mark.parametrize("manifest_format", ["oci", "v2s2"])
def test_layers_of_an_image_are_unpacked_one_over_the_other(
    store: StackStore,
    registry: Registry,
    root_tar: bytes,
    second_layer: bytes,
    manifest_format: str,
) -> None:
    image = registry.layout.put_image(root_tar, second_layer)
    registry.publish(image, f"--format={manifest_format}")

    with store.obtain("small") as stack:
        assert stack.directory
        root = Path(str(stack.directory))

    assert stack.image is None
    assert not (root / "etc/gone").exists()
    assert (root / "etc/added").read_text() == "second layer"
    assert [path.name for path in (root / "replaced").iterdir()] == ["new"]
    assert not list(root.rglob(".wh.*"))
    assert (root / "usr/bin/sh").samefile(root / "usr/bin/busybox")
    assert (root / "usr/bin/sh").stat().st_nlink == 2
    kept = (root / "etc/kept").stat()
    assert (kept.st_uid, kept.st_gid) == (12, 34)
    assert os.getxattr(root / "etc/kept", "user.colour") == b"blue"
    assert stat.S_IMODE((root / "etc/set-id").stat().st_mode) == 0o4755
    assert os.listdir(registry.stacks_dir / "fetching") == []


def test_layers_may_be_compressed_with_zstd(
    store: StackStore, registry: Registry, need: Callable[..., None], root_tar: bytes
) -> None:
    need("zstd")
    layer = subprocess.run(["zstd", "-qc"], input=root_tar, capture_output=True, check=True).stdout
    registry.publish(registry.layout.put_image(root_tar, zstd_layer=layer))

    with store.obtain("small") as stack:
        assert Path(str(stack.directory), "etc/kept").read_text() == "first layer"


def test_devices_of_a_layer_are_left_out(
    store: StackStore, registry: Registry, root_tar: bytes, tmp_path: Path
) -> None:
    (tmp_path / "dev").mkdir()
    os.mknod(tmp_path / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    packed = ["tar", "-C", str(tmp_path), "-cf", "-", "dev"]
    devices = subprocess.run(packed, capture_output=True, check=True).stdout
    registry.publish(registry.layout.put_image(root_tar, devices))

    with store.obtain("small") as stack:
        assert stack.directory
        assert os.listdir(f"{stack.directory}/dev") == []


def test_of_an_index_it_is_the_image_of_this_machine(
    store: StackStore, registry: Registry, root_tar: bytes, second_layer: bytes
) -> None:
    own, other = ("arm64", "amd64") if os.uname().machine == "aarch64" else ("amd64", "arm64")
    index = registry.layout.put_index(
        registry.layout.put_image(second_layer, architecture=other),
        registry.layout.put_image(root_tar, architecture=own),
    )
    registry.publish(index)

    with store.obtain("small") as stack:
        assert stack.directory
        assert Path(str(stack.directory), "etc/gone").exists()
    assert stack.record.digest == index["digest"]


def test_an_index_without_this_machine_is_refused(
    store: StackStore, registry: Registry, root_tar: bytes
) -> None:
    index = registry.layout.put_index(registry.layout.put_image(root_tar, architecture="s390x"))
    registry.publish(index)

    with pytest.raises(
        DriverError, match=r'stack "small" is not available for \w+, only for s390x; '
    ):
        store.obtain("small")


def test_what_an_index_has_for_no_platform_is_passed_over(
    store: StackStore, registry: Registry, root_tar: bytes
) -> None:
    own = "arm64" if os.uname().machine == "aarch64" else "amd64"
    image = registry.layout.put_image(root_tar, architecture=own)
    anywhere = {**registry.layout.put_image(root_tar, architecture="s390x")}
    del anywhere["platform"]
    registry.publish(registry.layout.put_index(anywhere, image))

    with store.obtain("small") as stack:
        assert stack.directory
        assert Path(str(stack.directory), "etc/kept").exists()


NO_IMAGES = ["{", "[]", '{"manifests": [{"platform": null}]}', "[" * 100_000]


@pytest.mark.parametrize("answer", NO_IMAGES, ids=["half", "list", "no platform", "deep"])
def test_an_answer_that_is_no_image_is_one_sentence(
    answer: str, settings: Settings, stacks_dir: Path, tmp_path: Path
) -> None:
    store = store_whose_registry_answers(answer, settings, stacks_dir, tmp_path)
    with pytest.raises(DriverError, match=r"cannot pull example.com/a:1: .* is not an image; "):
        store.obtain("a")


@pytest.mark.parametrize(
    "size", ["-1", "1e400", "9223372036854775808", '"1"', "1.5", "true", "null"]
)
def test_a_layer_without_a_number_of_bytes_is_named(
    size: str, settings: Settings, stacks_dir: Path, tmp_path: Path
) -> None:
    answer = (
        f'{{"layers": [{{"digest": "sha256:1", "size": 1}}, {{"digest": "x", "size": {size}}}]}}'
    )
    store = store_whose_registry_answers(answer, settings, stacks_dir, tmp_path)
    with pytest.raises(DriverError, match=r'pull example.com/a:1: layer "x" has the size '):
        store.obtain("a")


def store_whose_registry_answers(
    answer: str, settings: Settings, stacks_dir: Path, tmp_path: Path
) -> StackStore:
    reference = "example.com/a:1"
    (stacks_dir / "manifest.yml").write_text(f"- {{name: a, url: 'docker://{reference}'}}")
    (tmp_path / "bin").mkdir()
    for tool in ("skopeo", "umoci"):
        (tmp_path / "bin" / tool).write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    path = f"{tmp_path / 'bin'}:{settings.environ['PATH']}"
    return StackStore(settings._replace(environ={**settings.environ, "PATH": path}))


def test_a_tag_that_has_moved_is_pulled_again(
    store: StackStore, registry: Registry, root_tar: bytes, second_layer: bytes
) -> None:
    registry.publish(registry.layout.put_image(root_tar))
    with store.obtain("small") as old:
        assert not store.pull("small")[1]

        registry.publish(registry.layout.put_image(root_tar, second_layer))
        with store.obtain("small") as still:
            assert still.directory == old.directory
        assert store.pull("small")[1]

        with store.obtain("small") as new:
            assert new.directory != old.directory
            assert Path(str(new.directory), "etc/added").exists()
        assert Path(str(old.directory), "etc/gone").exists()
    store.sweep()
    assert not Path(str(old.directory)).exists()
    assert Path(str(new.directory)).exists()


def test_a_checksum_is_the_digest_that_is_pulled(
    store: StackStore, registry: Registry, root_tar: bytes, second_layer: bytes
) -> None:
    image = registry.layout.put_image(root_tar)
    registry.publish(image)
    newer = registry.layout.put_image(root_tar, second_layer)
    registry.publish(newer, checksum=image["digest"])

    with store.obtain("small") as stack:
        assert Path(str(stack.directory), "etc/gone").exists()


def test_a_damaged_layer_is_not_installed(
    store: StackStore, stacks_dir: Path, registry: Registry, root_tar: bytes
) -> None:
    registry.publish(registry.layout.put_image(root_tar))
    blobs = registry.log.parent.glob("data/docker/registry/v2/blobs/sha256/*/*/data")
    largest = max(blobs, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)

    with pytest.raises(DriverError, match=r"cannot pull .*(?i:digest|checksum|mismatch)"):
        store.obtain("small")

    assert os.listdir(stacks_dir / "fetching") == []
    assert not (stacks_dir / "installed").exists()


def test_credentials_are_taken_from_the_usual_place(
    settings: Settings, closed_registry: Registry, root_tar: bytes, tmp_path: Path
) -> None:
    image = closed_registry.layout.put_image(root_tar)
    closed_registry.publish(image, "--dest-creds=dyno:secret")
    store = StackStore(settings)
    with pytest.raises(DriverError, match=r"cannot pull .*authentication required"):
        store.obtain("small")

    password = base64.b64encode(b"dyno:secret").decode()
    auths = json.dumps({"auths": {closed_registry.address: {"auth": password}}})
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(auths)
    store.obtain("small").close()

    store.remove("small")
    (tmp_path / ".docker/config.json").rename(tmp_path / "auth.json")
    elsewhere = {**settings.environ, "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    StackStore(settings._replace(environ=elsewhere)).obtain("small").close()


def test_eight_that_need_a_stack_at_once_fetch_it_once(
    settings: Settings, stacks_dir: Path, registry: Registry, root_tar: bytes
) -> None:
    image = registry.layout.put_image(root_tar)
    registry.publish(image)
    manifest_blob = json.loads(
        (registry.layout.path / "blobs/sha256" / image["digest"][7:]).read_bytes()
    )
    layer = manifest_blob["layers"][0]["digest"]
    before = registry.requests(layer)

    programs = [
        subprocess.Popen(
            [sys.executable, "-c", OBTAIN, "small"],
            env=dict(settings.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    outputs = [program.communicate() for program in programs]

    assert [program.returncode for program in programs] == [0] * 8, outputs
    assert {directory for directory, _ in outputs} == {f"{stacks_dir}/installed/small@+1/root\n"}
    assert sum("pulling" in told for _, told in outputs) == 1
    assert registry.requests(layer) - before == 1


def test_a_pull_that_was_killed_leaves_nothing_that_counts(
    settings: Settings,
    stacks_dir: Path,
    registry: Registry,
    *,
    root_tar: bytes,
    wait_until: Callable[[Callable[[], object]], None],
    tmp_path: Path,
) -> None:
    registry.publish(registry.layout.put_image(root_tar))
    work = stacks_dir / "fetching/small@"
    endless = tmp_path / "bin/umoci"
    endless.parent.mkdir()
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    program = subprocess.Popen(
        [sys.executable, "-c", OBTAIN, "small"],
        env={**settings.environ, "PATH": f"{endless.parent}:{settings.environ['PATH']}"},
        stderr=subprocess.DEVNULL,
    )
    wait_until((work / "layout/blobs").exists)
    program.kill()
    program.wait()
    store = StackStore(settings)

    assert not (stacks_dir / "installed").exists()
    # Its children are killed with it, and hold its lock until the last of them has gone.
    wait_until(lambda: store.sweep() == ("stack small@",))
    assert os.listdir(stacks_dir / "fetching") == []

    registry.publish(registry.layout.put_image(root_tar))
    store.obtain("small").close()


def test_missing_tools_are_one_sentence_with_the_package(
    settings: Settings, stacks_dir: Path, tmp_path: Path
) -> None:
    (stacks_dir / "manifest.yml").write_text("- {name: a, url: 'docker://example.com/a:1'}")
    (tmp_path / "bin").mkdir()
    poor = settings._replace(environ={**settings.environ, "PATH": str(tmp_path / "bin")})

    with pytest.raises(DriverError) as caught:
        StackStore(poor).obtain("a")

    assert re.fullmatch(
        r"skopeo is not installed, but this stack needs it; "
        r"install them: apt-get install skopeo umoci, or .*",
        str(caught.value),
    )
