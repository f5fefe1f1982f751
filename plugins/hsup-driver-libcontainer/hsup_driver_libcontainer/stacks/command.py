"""The command `hsup stacks`, which lists, fetches, imports and removes stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hsup.errors import HsupError
from hsup.visible import tell, tell_json, warn

if TYPE_CHECKING:
    from hsup.api import CommandContext
    from hsup_driver_libcontainer.stacks.store import Listed, StackStore

_MIB = 1 << 20


def _known(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of the known stacks that begin with what was typed."""
    del param
    try:
        listed = _store(ctx.obj).list()
    except (HsupError, OSError):  # nobody sees why
        return []
    return sorted({name for one in listed if (name := one.entry.name).startswith(incomplete)})


@click.group(
    epilog="""\b
Examples:
  hsup stacks list
  hsup stacks pull heroku-24           the image docker.io/heroku/heroku:24
  hsup stacks import debian /srv/root  a directory made by debootstrap
  hsup stacks remove cedar-14:1.9"""
)
def stacks() -> None:
    """Manage stacks, the root file systems of dynos.

    They are kept in HSUP_STACKS_DIR, by default /var/lib/hsup/stacks, and
    manifest.yml there lists them. If a dyno needs a stack that is not
    installed, hsup pulls it.
    """


@stacks.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_stacks(context: CommandContext, /, *, as_json: bool) -> None:
    """List the known stacks.

    These are the stacks of the manifest, the imported and the installed ones.
    Releases that name no stack use the one marked *. Warnings about the
    manifest go to standard error.
    """
    store = _store(context)
    listed = _list_with_faults(store)
    if as_json:
        tell_json([_fields(each) for each in listed])
        return
    from hsup.table import table

    for line in table([("NAME", "VERSION", "STATE", "SIZE", "FROM"), *map(_row, listed)]):
        tell(line)


@stacks.command(
    "pull",
    epilog="""\b
Examples:
  hsup stacks pull                       the stack for releases that name none
  hsup stacks pull heroku-24 heroku-22
  hsup stacks pull heroku-24:24.v123     one build of it""",
)
@click.argument("names", metavar="[NAME[:VERSION]]...", nargs=-1, shell_complete=_known)
@click.pass_obj
def pull(context: CommandContext, /, names: tuple[str, ...]) -> None:
    """Fetch stacks, or newer images of them.

    An installed stack is fetched again only if its tag in the registry has
    moved. Running dynos keep the stack that they were started with. For
    registries that need a password, use docker login, skopeo login, or
    REGISTRY_AUTH_FILE.
    """
    from hsup.long_work import said
    from hsup_driver_libcontainer.stacks.progress import StepPrinter

    store = _store(context)
    for name in names or (None,):
        with said():
            entry, is_new = store.pull(name, StepPrinter())
        warn(f"stack {entry} is {'installed' if is_new else 'up to date'}")


@stacks.command(
    "import",
    epilog="""\b
Examples:
  hsup stacks import debian /srv/root
  hsup stacks import cedar-14:1.10 ./cedar.img.gz --primary
  hsup stacks import mine https://example.com/root.tar.zst --checksum sha256:0123...
  hsup stacks import mine docker://registry.example.com/mine:7""",
)
@click.argument("name", metavar="NAME[:VERSION]")
@click.argument("place", metavar="PATH|URL")
@click.option("--checksum", metavar="sha256:DIGITS", help="The expected checksum of the file.")
@click.option("--primary", is_flag=True, help="Use it for releases that name no stack.")
@click.pass_obj
def import_stack(
    context: CommandContext, /, name: str, place: str, *, checksum: str | None, primary: bool
) -> None:
    """Make a stack from a directory, a tar or an image.

    A directory is used where it is, and has to stay there; a tar or an image
    is copied. Tars and disk images (ext4, squashfs) may be compressed with
    gzip, xz, zstd or bzip2. An imported stack takes precedence over one of the
    same name in manifest.yml.
    """
    from hsup.long_work import said
    from hsup_driver_libcontainer.stacks.imports import entry_of
    from hsup_driver_libcontainer.stacks.progress import StepPrinter

    settings = context.settings()
    entry = entry_of(name, place, directory=settings.directory, checksum=checksum, primary=primary)
    with said():
        _store(context).add(entry, StepPrinter())
    warn(f"imported stack {entry}")


@stacks.command("remove")
@click.argument(
    "names", metavar="NAME[:VERSION]...", nargs=-1, required=True, shell_complete=_known
)
@click.pass_obj
def remove(context: CommandContext, /, names: tuple[str, ...]) -> None:
    """Remove stacks from the disk.

    Without a version, all versions are removed. A stack in use is not removed.
    A stack of the manifest is fetched again when a dyno needs it. An imported
    directory is forgotten, but not deleted.
    """
    store = _store(context)
    for name in names:
        for removed in store.remove(name):
            warn(f"removed stack {removed}")


def _store(context: CommandContext) -> StackStore:
    from hsup_driver_libcontainer.stacks.store import StackStore

    return StackStore(context.settings())


def _list_with_faults(store: StackStore) -> tuple[Listed, ...]:
    path = store.catalogue.manifest_path
    for fault in store.catalogue.parse_manifest().faults:
        severity = "warning" if fault.is_warning else "fault"
        warn(f"{path}: {severity}: {fault}")
    return store.list()


def _fields(listed: Listed) -> dict[str, object]:
    from hsup_driver_libcontainer.stacks.manifest import shown

    record = listed.record
    return {
        "name": listed.entry.name,
        "version": listed.entry.version,
        "primary": listed.entry.primary,
        "url": shown(listed.entry.url),
        "checksum": listed.entry.checksum,
        "path": listed.path,
        "in_use": listed.is_in_use,
        "digest": record.digest if record else None,
        "filesystem": record.filesystem if record else None,
        "bytes": record.size if record else None,
    }


def _row(listed: Listed) -> tuple[str, ...]:
    from hsup_driver_libcontainer.stacks.manifest import shown

    state = "in use" if listed.is_in_use else "installed" if listed.path else "not installed"
    size = f"{listed.record.size / _MIB:.0f} MiB" if listed.record else ""
    name = f"{listed.entry.name}{' *' if listed.entry.primary else ''}"
    return name, listed.entry.version or "", state, size, shown(listed.entry.url)
