"""The command group of hsup for click: its own commands and those of plugins."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hsup import __version__
from hsup.api import CommandContext
from hsup.cli import completing
from hsup.cli.installed import plugin_manager
from hsup.cli.options import Options
from hsup.cli.shared import INSTALLED, SharingCommand, by_variable
from hsup.cli.usage import in_own_words, no_such_command
from hsup.errors import HsupError, PluginError
from hsup.visible import visible

if TYPE_CHECKING:
    from hsup.plugins.manager import Registered

#: A group without a command prints its help (click calls this an error since 8.2).
_SHOWN_BY_CLICK: tuple[type[Exception], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)

INSTALLED.names = {
    "driver": completing.drivers,
    "drains": completing.drains,
    "env_files": completing.env_files,
    "source": completing.sources,
    "size": completing.sizes,
    "formation": completing.formation,
    "exit_code_from": completing.types,
    "stdin": completing.types,
    "only": completing.several_types,
}
INSTALLED.has_containers = completing.has_containers

#: Each has a module of its own, imported when the command is called.
COMMANDS = ("run", "start", "build", "check", "doctor", "init", "export", "plugins", "completion")


class _Commands(SharingCommand, click.Group):
    """The commands of hsup, then those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [*COMMANDS, *sorted(_of_plugins().keys() - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name in COMMANDS:
            command = importlib.import_module(f"hsup.cli.{cmd_name}").command
            assert isinstance(command, click.Command)
            return command
        return _of_plugins().get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called. Raises HsupError if there is none."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise no_such_command(visible(name), self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        with _visible_errors():
            ctx = super().make_context(*given, **options)
        if ctx.resilient_parsing:  # to complete a line, for which `hsup` is not called
            ctx.obj = _options(ctx)
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        with _visible_errors(ctx), _plugin_errors(ctx):
            return super().invoke(ctx)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  hsup start                     one dyno of every type in ./Procfile
  hsup start web=2 worker        two of web, one of worker
  hsup run bash                  a shell with the app's environment
  hsup run -- rake db:migrate    a command with its arguments
  HSUP_CONTROL_DIR=/etc/hsup hsup start

Options are accepted before and after the command; each can also be set by its
environment variable. For shell completion: hsup completion --install""",
)
@click.version_option(__version__, prog_name="hsup")
@click.pass_context
def hsup(ctx: click.Context, /, **given: object) -> None:
    """Run an application the way Heroku runs it, on this machine.

    A source supplies the releases: Heroku, a control directory, or the Procfile
    here or above. A driver runs the dynos of the release.
    """
    del given
    ctx.obj = _options(ctx)


def _options(ctx: click.Context) -> CommandContext:
    """Return the options before the command."""
    return Options(ctx.params, by_variable(ctx))


@contextmanager
def _visible_errors(ctx: click.Context | None = None) -> Iterator[None]:
    """Escape control characters in what click prints, and say what is wrong in hsup's words."""
    try:
        yield
    except click.UsageError as error:
        if isinstance(error, _SHOWN_BY_CLICK):
            raise
        called = None if ctx is None else ctx.invoked_subcommand
        raise in_own_words(error, f"hsup {called}" if called else "hsup") from error
    except click.ClickException as error:
        error.__dict__["message"] = visible(error.message)  # click calls it final
        raise


@contextmanager
def _plugin_errors(ctx: click.Context) -> Iterator[None]:
    """Name the plugin in an error that its command did not mean for the user."""
    try:
        yield
    except (HsupError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        name = ctx.invoked_subcommand
        if name is None or name in COMMANDS:
            raise
        part = _of_plugins().part(name)
        raise PluginError(f"{part} failed: {type(error).__name__}: {error}") from error


def _of_plugins() -> Registered[click.Command]:
    return plugin_manager().commands(COMMANDS)
