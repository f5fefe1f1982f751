"""The images of dynos, built on an engine."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import docker
import pytest

from hsup.api import Settings
from hsup.cancellation import GivenUp, until
from hsup.errors import DriverError, UsageError
from hsup.model import Release, Slug
from hsup_driver_docker.driver import DockerDriver

from .running import output_of, run, spec, started


def test_an_image_that_somebody_removes_is_built_again(
    driver: DockerDriver, release: Release, sdk: docker.APIClient
) -> None:
    async def check() -> None:
        async with started(driver, spec(release, "sleep 60")) as (dyno, _):
            image = dyno.handle.image.id
        sdk.remove_image(image, force=True)
        assert await output_of(driver, spec(release, "echo again")) == (b"again\n", b"")

    run(check())


@pytest.fixture
def slug(tmp_path: Path) -> Callable[[int], Slug]:
    """A slug with a file that contains its number."""

    def make(number: int) -> Slug:
        directory = tmp_path / f"slug-{number}"
        (directory / "app").mkdir(parents=True)
        (directory / "app/number").write_text(str(number))
        archive = tmp_path / f"{number}.tgz"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(directory / "app", "./app", filter=lambda one: one)
        return Slug(str(archive))

    return make


def images(sdk: docker.APIClient, app: str) -> list[str]:
    found = sdk.images(filters={"label": f"hsup.image.app={app}"})
    return sorted(one["Id"] for one in found)


def test_a_release_is_built_once(
    settings: Settings, driver: DockerDriver, release: Release, sdk: docker.APIClient
) -> None:
    driver.build(release)
    before = images(sdk, release.app)
    with closing(DockerDriver(settings)) as another:
        another.build(release)
        another.build(release._replace(version=4, config={"A": "1"}))
    assert len(before) == 1
    assert images(sdk, release.app) == before


def test_it_is_built_each_time_where_images_are_not_to_be_reused(
    settings: Settings, driver: DockerDriver, release: Release, sdk: docker.APIClient
) -> None:
    driver.build(release)
    before = images(sdk, release.app)
    environ = {**settings.environ, "DOCKER_IMAGE_CACHE": "0"}
    with closing(DockerDriver(settings._replace(environ=environ))) as another:
        another.build(release)
    assert len(images(sdk, release.app)) == len(before) == 1
    assert images(sdk, release.app) != before


def test_a_changed_file_of_a_directory_makes_another_image(
    driver: DockerDriver, release: Release, tmp_path: Path, sdk: docker.APIClient
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/one").write_text("1")
    directory = release._replace(slug=Slug(str(tmp_path / "code")))
    driver.build(directory)
    first = set(images(sdk, release.app))
    driver.build(directory)
    assert set(images(sdk, release.app)) == first
    (tmp_path / "code/one").write_text("2")
    driver.build(directory)
    assert set(images(sdk, release.app)) > first


def test_an_application_keeps_its_newest_images(
    settings: Settings, release: Release, slug: Callable[[int], Slug], sdk: docker.APIClient
) -> None:
    environ = {**settings.environ, "DOCKER_IMAGES_KEEP": "2"}
    with closing(DockerDriver(settings._replace(environ=environ))) as driver:
        built = []
        for number in range(4):
            driver.build(release._replace(version=number, slug=slug(number)))
            built.append(set(images(sdk, release.app)))
        assert [len(one) for one in built] == [1, 2, 2, 2]
        assert built[3] - built[2]

        async def check() -> None:
            last = release._replace(version=3, slug=slug_of_last)
            assert (await output_of(driver, spec(last, "cat number")))[0] == b"3"

        slug_of_last = Slug(str(Path(settings.directory) / "3.tgz"))
        run(check())


def test_an_image_in_use_is_not_collected(
    settings: Settings, release: Release, slug: Callable[[int], Slug], sdk: docker.APIClient
) -> None:
    environ = {**settings.environ, "DOCKER_IMAGES_KEEP": "1"}

    async def check() -> None:
        with closing(DockerDriver(settings._replace(environ=environ))) as driver:
            first = release._replace(slug=slug(0))
            await asyncio.to_thread(driver.build, first)
            async with started(driver, spec(first, "sleep 60")) as (dyno, _):
                await asyncio.to_thread(driver.build, release._replace(slug=slug(1)))
                assert dyno.handle.image.id in images(sdk, release.app)
            await asyncio.to_thread(driver.build, release._replace(slug=slug(2)))
            assert len(images(sdk, release.app)) == 1

    run(check())


def test_an_image_with_a_name_of_an_older_hsup_is_collected_too(
    settings: Settings, release: Release, slug: Callable[[int], Slug], sdk: docker.APIClient
) -> None:
    environ = {**settings.environ, "DOCKER_IMAGES_KEEP": "1"}
    with closing(DockerDriver(settings._replace(environ=environ))) as driver:
        driver.build(release._replace(slug=slug(0)))
        (older,) = images(sdk, release.app)
        (name,) = sdk.inspect_image(older)["RepoTags"]
        sdk.tag(older, name.partition(":")[0], "0123456789abcdef")
        sdk.remove_image(name)
        driver.build(release._replace(slug=slug(1)))
        (built,) = images(sdk, release.app)
        assert built != older


def test_the_files_of_a_directory_are_the_dynos_and_have_no_set_id_bits(
    driver: DockerDriver, release: Release, tmp_path: Path
) -> None:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "tool").write_text("#!/bin/sh\necho run\n")
    (directory / "tool").chmod(0o4755)
    (directory / "others").touch(mode=0o644)
    os.chown(directory / "others", 4711, 4712)
    (directory / "link").symlink_to("tool")
    (tmp_path / "current").symlink_to("code")

    async def check() -> None:
        code = release._replace(slug=Slug(str(tmp_path / "current")))
        line = "stat -c '%U %a' tool; stat -c '%u %g' others; ./link"
        assert (await output_of(driver, spec(code, line)))[0] == b"dyno 755\n4711 4712\nrun\n"

    run(check())


def test_a_stack_that_has_changed_makes_another_image(
    settings: Settings,
    driver: DockerDriver,
    release: Release,
    sdk: docker.APIClient,
    root_archive: Callable[..., bytes],
) -> None:
    name = f"{release.stack}-other"
    sdk.import_image_from_data(root_archive(), repository=name, tag="1")
    before = images(sdk, release.app)
    environ = {**settings.environ, "DOCKER_STACKS": f"{release.stack}={name}:1"}
    try:
        driver.build(release)
        with closing(DockerDriver(settings._replace(environ=environ))) as another:
            another.build(release)
        assert images(sdk, release.app) != before
        assert len(images(sdk, release.app)) == 1
    finally:
        for image in images(sdk, release.app):
            sdk.remove_image(image, force=True)
        sdk.remove_image(f"{name}:1")


def test_users_that_are_a_link_in_the_stack_are_found(
    settings: Settings, release: Release, sdk: docker.APIClient
) -> None:
    name = f"{release.stack}-linked"
    made = sdk.create_container(settings.environ["DOCKER_STACKS"].partition("=")[2], "true")
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as archive:
        link = tarfile.TarInfo("etc/passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "../usr/users"
        archive.addfile(link)
        users = b"root:x:0:0::/:/bin/sh\n"
        member = tarfile.TarInfo("usr/users")
        member.size = len(users)
        archive.addfile(member, io.BytesIO(users))
    sdk.put_archive(made, "/", links.getvalue())
    sdk.commit(made, name, "1")
    sdk.remove_container(made)
    environ = {**settings.environ, "DOCKER_STACKS": f"linked={name}:1"}
    linked = release._replace(stack="linked")

    async def check() -> None:
        with closing(DockerDriver(settings._replace(environ=environ))) as another:
            await asyncio.to_thread(another.build, linked)
            wanted = spec(linked, "whoami; tail -n 2 /usr/users | head -n 1")
            out, _ = await output_of(another, wanted)
            assert out == b"dyno\nroot:x:0:0::/:/bin/sh\n"

    try:
        run(check())
    finally:
        for image in images(sdk, release.app):
            sdk.remove_image(image, force=True)
        sdk.remove_image(f"{name}:1")


def test_a_stack_without_bash_is_refused(
    settings: Settings, release: Release, sdk: docker.APIClient, root_archive: Callable[..., bytes]
) -> None:
    name = f"{release.stack}-bare"
    sdk.import_image_from_data(root_archive("true"), repository=name, tag="1")
    environ = {**settings.environ, "DOCKER_STACKS": f"bare={name}:1"}
    try:
        with (
            closing(DockerDriver(settings._replace(environ=environ))) as driver,
            pytest.raises(DriverError, match=f"image {name}:1 has no /bin/bash"),
        ):
            driver.build(release._replace(stack="bare"))
    finally:
        sdk.remove_image(f"{name}:1")


def test_a_stack_with_a_volume_for_the_slug_is_refused(
    settings: Settings, release: Release, sdk: docker.APIClient, root_archive: Callable[..., bytes]
) -> None:
    name = f"{release.stack}-volume"
    change = ["VOLUME /app/"]
    sdk.import_image_from_data(root_archive(), repository=name, tag="1", changes=change)
    environ = {**settings.environ, "DOCKER_STACKS": f"kept={name}:1"}
    try:
        with (
            closing(DockerDriver(settings._replace(environ=environ))) as driver,
            pytest.raises(DriverError, match=r"has a volume at /app/?, which cannot hold"),
        ):
            driver.build(release._replace(stack="kept"))
    finally:
        sdk.remove_image(f"{name}:1")


def test_an_image_that_cannot_be_pulled_is_an_error_that_names_it(
    settings: Settings, release: Release
) -> None:
    environ = {**settings.environ, "DOCKER_STACKS": "gone=127.0.0.1:1/no/such:1"}
    with (
        closing(DockerDriver(settings._replace(environ=environ))) as driver,
        pytest.raises(DriverError, match=r"cannot pull the image 127\.0\.0\.1:1/no/such:1: "),
    ):
        driver.build(release._replace(stack="gone"))


def test_a_pull_from_a_registry_that_says_nothing_is_given_up(
    settings: Settings, release: Release
) -> None:
    given_up, is_over = threading.Event(), threading.Event()

    def be_silent() -> None:
        with registry.accept()[0] as connection:
            connection.recv(1)
            given_up.set()
            is_over.wait(60)

    with (
        socket.create_server(("127.0.0.1", 0)) as registry,
        closing(DockerDriver(settings)) as driver,
        until(given_up),
    ):
        registry.settimeout(60)
        silent = threading.Thread(target=be_silent)
        silent.start()
        image = f"docker://127.0.0.1:{registry.getsockname()[1]}/silent:1"
        with pytest.raises(GivenUp):
            driver.build(release._replace(slug=Slug(image)))
        is_over.set()
        silent.join()


def test_a_release_that_is_an_image_runs_as_it_is(
    driver: DockerDriver,
    release: Release,
    sdk: docker.APIClient,
    root_archive: Callable[..., bytes],
) -> None:
    name = f"{release.stack}-own"
    change = [
        "USER 12:34",
        "WORKDIR /tmp",
        "ENV FROM=image",
        'CMD ["printenv", "FROM", "DYNO"]',
    ]
    sdk.import_image_from_data(root_archive(), repository=name, tag="1", changes=change)
    own = release._replace(slug=Slug(f"docker://{name}:1"))

    async def check() -> None:
        line = "echo $FROM $A $PORT; pwd; id -u; id -g"
        wanted = spec(own, line, port=5000, config={"A": "b"})
        assert (await output_of(driver, wanted))[0] == b"image b 5000\n/tmp\n12\n34\n"
        assert (await output_of(driver, spec(own)))[0] == b"image\nweb.1\n"

    try:
        driver.build(own)
        run(check())
    finally:
        sdk.remove_image(f"{name}:1")


@pytest.mark.parametrize("value", ["x", "0", "-1"])
def test_a_rule_that_makes_no_sense_is_bad_usage(settings: Settings, value: str) -> None:
    environ = {**settings.environ, "DOCKER_IMAGES_KEEP": value}
    with pytest.raises(
        UsageError, match=f'DOCKER_IMAGES_KEEP: "{value}" must be a number, 1 or more'
    ):
        DockerDriver(settings._replace(environ=environ))
