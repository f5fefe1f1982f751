from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.errors import UsageError
from hsup.model import Slug
from hsup.slugs import SlugError, SlugStore


def test_a_store_that_cannot_be_made_is_told_with_the_variable(
    make_store: Callable[..., SlugStore], archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "occupied").touch()
    store = make_store(HSUP_SLUGS_DIR=str(tmp_path / "occupied" / "slugs"))
    with pytest.raises(
        SlugError, match=r'cannot store slugs in ".*/occupied/slugs": Not a directory'
    ):
        store.unpack(Slug(location=str(archive)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_to_have_a_store_of_their_own(
    make_store: Callable[..., SlugStore],
) -> None:
    store = make_store(HSUP_SLUGS_DIR="/root/slugs")
    os.seteuid(65534)
    try:
        with pytest.raises(SlugError, match="run hsup as root, or set HSUP_SLUGS_DIR"):
            store.unpack(Slug(location="/etc/passwd"))
    finally:
        os.seteuid(0)


def test_values_that_make_no_sense_are_told_when_the_store_is_made(
    make_store: Callable[..., SlugStore],
) -> None:
    with pytest.raises(UsageError, match='HSUP_SLUGS_KEEP: "some" is not a count'):
        make_store(HSUP_SLUGS_KEEP="some")


def test_closing_twice_does_no_harm(store: SlugStore, archive: Path) -> None:
    unpacked = store.unpack(Slug(location=str(archive)))
    unpacked.close()
    unpacked.close()
