"""Read mutated archives: each is read to its end, or refused."""

from __future__ import annotations

import io
import tarfile

from harness import fuzz, instrumented

with instrumented("hsup.slugs"):
    from hsup.slugs.errors import SlugError
    from hsup.slugs.tar import Stream, members


def seeds():
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", format=form) as archive:
            archive.addfile(tarfile.TarInfo("./app/" + "long/" * 40))
        yield content.getvalue()


def execute(data):
    try:
        for _ in members(Stream(iter([data]), 1 << 20)):
            pass
    except SlugError:
        pass


if __name__ == "__main__":
    fuzz(execute, seeds())
