"""Load plugins, and call their hooks; the only user of pluggy's manager."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import pluggy

from hsup import hookspecs
from hsup.errors import HsupError, PluginError
from hsup.plugins import catalogue
from hsup.plugins.calls import Calls, Component, shortened
from hsup.plugins.entry_points import EntryPoint, entry_points

if TYPE_CHECKING:
    import click

    from hsup import events
    from hsup.api import DriverFactory, LogSinkFactory, ServiceFactory, SourceFactory

_Value = TypeVar("_Value")


class Plugin(NamedTuple):
    """An entry point of the group, with the hooks that it has, or why it has none."""

    entry_point: EntryPoint
    hooks: tuple[str, ...] = ()
    fault: str | None = None

    def part(self, kind: str, name: str) -> Component:
        """Return something that the plugin has registered."""
        point = self.entry_point
        return Component(kind, name, point.distribution, point.version)

    def __str__(self) -> str:
        return str(self.part("plugin", self.entry_point.name))


class Registered(Mapping[str, _Value]):
    """What plugins have registered of a kind, by name; what two of them have is left out."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.clashes: dict[str, str] = {}
        self._found: dict[str, _Value] = {}
        self._plugins: dict[str, Plugin] = {}

    def add(self, name: str, value: _Value, plugin: Plugin) -> None:
        """Take what a plugin has registered."""
        if name in self._plugins:
            text = f'{self._plugins[name]} and {plugin} both have a {self.kind} "{name}"'
            self.clashes.setdefault(name, text)
            self._found.pop(name, None)
        else:
            self._plugins[name] = plugin
            self._found[name] = value

    def choose(self, name: str) -> _Value:
        """Return what was registered under a name.

        Raises PluginError that says which package to install, or which two clash.
        """
        if name in self.clashes:
            raise PluginError(self.clashes[name], hint="uninstall one of them")
        if name not in self._found:
            raise catalogue.missing(self.kind, name, self._found)
        return self._found[name]

    def part(self, name: str) -> Component:
        """Return whose it is that was registered under a name."""
        return self._plugins[name].part(self.kind, name)

    def __getitem__(self, name: str) -> _Value:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class PluginManager:
    """The plugins that are installed, and what they register, by a typed name for each hook.

    A broken one does not keep the others from working: it is listed with its
    fault in `plugins`, and told by `faults`.
    """

    def __init__(
        self, points: Iterable[EntryPoint] | None = None, calls: Calls | None = None
    ) -> None:
        self._calls = calls or Calls()
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._faults: list[str] = []
        self._by_name: dict[str, Plugin] = {}
        found = entry_points(hookspecs.PROJECT) if points is None else points
        self.plugins = tuple(self._load(point) for point in found)
        self.drivers: Registered[DriverFactory] = self._collect(
            "driver", hookspecs.hsup_register_drivers, callable, "callable"
        )
        self.sources: Registered[SourceFactory] = self._collect(
            "source", hookspecs.hsup_register_sources, _is_source_factory, "a SourceFactory"
        )
        self.log_sinks: Registered[LogSinkFactory] = self._collect(
            "log sink", hookspecs.hsup_register_log_sinks, callable, "callable"
        )
        self.services: Registered[ServiceFactory] = self._collect(
            "service", hookspecs.hsup_register_services, callable, "callable"
        )

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with plugins, a sentence each."""
        broken = [f"{one} is not loaded: {one.fault}" for one in self.plugins if one.fault]
        kinds = (self.drivers, self.sources, self.log_sinks, self.services)
        clashes = [text for kind in kinds for text in kind.clashes.values()]
        return (*broken, *self._faults, *clashes)

    def commands(self, own: Collection[str] = ()) -> Registered[click.Command]:
        """Return the commands by name; of two with the same one, the first.

        `own` are the names of hsup's own commands, which no plugin can have.
        """
        import click

        found: Registered[click.Command] = Registered("command")
        for plugin, given in self._answers(hookspecs.hsup_register_commands):
            commands = given if isinstance(given, list) else [given]
            for command in commands:
                if not isinstance(command, click.Command):
                    text = f"{plugin}: its command is not a click.Command"
                    self._faults.append(f"{text}: {shortened(command)}")
                elif (name := str(command.name)) in own:
                    self._faults.append(f'{plugin}: the command "{name}" is hsup\'s own')
                elif name in found:
                    first = found.part(name)
                    self._faults.append(f'{plugin}: the command "{name}" is already {first}')
                else:
                    found.add(name, command, plugin)
        return found

    def observe(self, event: events.Event) -> None:
        """Tell every observer of an event; one that raises is told, and no more."""
        for impl in self._implementations(event.hook):
            plugin = self._by_name[impl.plugin_name]
            part = plugin.part("plugin", plugin.entry_point.name)
            tell = partial(impl.function, *(event for _ in impl.argnames))
            try:
                self._calls.run(part, f"observe {event.hook}", tell, failure=PluginError)
            except HsupError as error:
                self._calls.warn(str(error))

    def _load(self, point: EntryPoint) -> Plugin:
        name = f"{point.distribution}:{point.name}"
        part = Plugin(entry_point=point).part("plugin", point.name)

        def load() -> object:
            module = point.load()
            self._manager.register(module, name)
            return module

        try:
            module = self._calls.run(part, "be loaded", load, failure=PluginError)
        except HsupError as error:
            # Whatever a stranger's module does at import, hsup starts with the rest.
            cause = error.__cause__ or error
            text = " ".join(str(cause).split())  # pluggy's are of several lines
            return self._broken(name, point, f"{type(cause).__name__}: {text}")
        hooks = tuple(sorted(one.name for one in self._manager.get_hookcallers(module) or ()))
        if fault := _unknown_hook(hooks) or _async_hook(module, hooks):
            return self._broken(name, point, fault)
        self._by_name[name] = Plugin(entry_point=point, hooks=hooks)
        return self._by_name[name]

    def _broken(self, name: str, point: EntryPoint, fault: str) -> Plugin:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        return Plugin(entry_point=point, fault=fault)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def _answers(self, spec: Callable[[], object]) -> Iterator[tuple[Plugin, object]]:
        """Yield what each plugin answers; of one that raises, note that."""
        hook = spec.__name__
        for impl in self._implementations(hook):
            plugin = self._by_name[impl.plugin_name]
            part = plugin.part("plugin", plugin.entry_point.name)
            answer = partial(_answer, impl.function)
            try:
                yield plugin, self._calls.run(part, f"answer {hook}", answer, failure=PluginError)
            except HsupError as error:
                # As for a plugin that cannot be imported.
                cause = error.__cause__
                text = f"{plugin} failed in {hook}: {cause!r}" if cause else str(error)
                self._faults.append(text)

    def _collect(
        self,
        kind: str,
        spec: Callable[[], Mapping[str, _Value]],
        is_right: Callable[[object], bool],
        right: str,
    ) -> Registered[_Value]:
        """Return what all plugins have of a kind; the hook says of which type it should be."""
        found: Registered[_Value] = Registered(kind)
        for plugin, given in self._answers(spec):
            if not isinstance(given, dict):
                text = f"{plugin} did not return a mapping from {spec.__name__}"
                self._faults.append(f"{text}: {shortened(given)}")
                continue
            for name, value in given.items():
                if not isinstance(name, str):
                    text = f"{plugin}: the name of a {kind} is not a text"
                    self._faults.append(f"{text}: {shortened(name)}")
                elif is_right(value):
                    found.add(name, cast("_Value", value), plugin)
                else:
                    text = f'{plugin}: {kind} "{name}" is not {right}'
                    self._faults.append(f"{text}: {shortened(value)}")
        return found


def _answer(hook: Callable[[], object]) -> object:
    """Return what a hook returns, a mapping or a sequence as a copy: theirs may raise."""
    given = hook()
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        return list(given)
    return given


def _unknown_hook(hooks: Iterable[str]) -> str | None:
    """Return what pluggy does not say before `check_pending`, and then of one only."""
    known = [name for name in vars(hookspecs) if name.startswith("hsup_")]
    for name in hooks:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            advice = f"; did you mean {near[0]}?" if near else ""
            return f"there is no hook {name}{advice}"
    return None


def _async_hook(module: object, hooks: Iterable[str]) -> str | None:
    """Return what would never run: pluggy calls it, and nobody awaits it."""
    from inspect import iscoroutinefunction

    for name in hooks:
        if iscoroutinefunction(getattr(module, name, None)):
            return f"the hook {name} must be a plain function, not async"
    return None


def _is_source_factory(value: object) -> bool:
    try:
        has_remedy = isinstance(getattr(value, "remedy", None), str)
        methods = [getattr(value, one, None) for one in ("applies", "create", "check")]
        getattr(value, "follows_formation", None)
    except (Exception, SystemExit):
        return False
    return has_remedy and all(map(callable, methods))
