"""The root file systems of a release's dynos: a stack and an unpacked slug."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hsup.directories import make_directories
from hsup.model import Author, Slug
from hsup.slugs import SlugStore, Unpacked

if TYPE_CHECKING:
    from hsup_driver_libcontainer.stacks.stack import Stack
    from hsup_driver_libcontainer.stacks.store import StackStore

#: Runs a mount command in the mount namespace of the dynos.
Mount = Callable[[Sequence[str]], None]


class RootfsRef:
    """A stack and a slug in use, locked so that nobody removes them.

    `users` counts the dynos that use them.
    """

    def __init__(self, stack: Stack, root: str, unpacked: Unpacked | None) -> None:
        self._stack = stack
        self._unpacked = unpacked
        self.root = root
        self.users = 0

    @property
    def app(self) -> str | None:
        """Return the directory of the application's files, None for a release without a slug."""
        return self._unpacked.directory if self._unpacked else None

    @property
    def digest(self) -> str | None:
        """Return the digest of the archive with the slug, None if it is no archive."""
        return self._unpacked.digest if self._unpacked else None

    def leave(self, gone: object = None) -> None:
        """Count one dyno less; `gone` is the future that calls this as its callback."""
        del gone
        self.users -= 1

    def close(self) -> None:
        """Release the locks on both."""
        self._stack.close()
        if self._unpacked is not None:
            self._unpacked.close()


class RootfsCache:
    """Fetches, unpacks and mounts stacks and slugs that are not present yet."""

    def __init__(self, stacks: StackStore, slugs: SlugStore, images: str, mount: Mount) -> None:
        self._stacks = stacks
        self._slugs = slugs
        self._images = images
        self._mount = mount
        self._mounted: set[str] = set()

    def prepare(
        self, slug: Slug | None, stack_name: str | None, author: Author | None
    ) -> RootfsRef:
        """Return a slug and a stack that are ready for use; may take long. Raises HsupError."""
        with ExitStack() as undo:
            stack = self._stacks.obtain(stack_name)
            undo.callback(stack.close)
            unpacked = self._slugs.unpack(slug, author=author) if slug else None
            if unpacked is not None:
                undo.callback(unpacked.close)
            prepared = RootfsRef(stack, self._root(stack), unpacked)
            undo.pop_all()
        return prepared

    def _root(self, stack: Stack) -> str:
        if stack.directory is not None:
            return stack.directory
        target = mount_point(stack, self._images)
        if target not in self._mounted:
            make_directories(target)
            self._mount(stack.mount_command(target))
            self._mounted.add(target)
        return target


def mount_point(stack: Stack, images: str) -> str:
    """Return the mount point of a stack's disk image, below the directory for all images."""
    assert stack.image is not None
    return f"{images}/{os.path.basename(os.path.dirname(stack.image))}"
