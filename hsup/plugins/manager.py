"""Load plugins, and call their hooks; the only user of pluggy's manager."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import pluggy

from hsup import hookspecs
from hsup.errors import HsupError, PluginError
from hsup.plugins import catalogue
from hsup.plugins.calls import Calls, PluginPart, shortened
from hsup.plugins.entry_points import EntryPoint, entry_points

if TYPE_CHECKING:
    import click

    from hsup import events
    from hsup.api import DriverFactory, LogSinkFactory, ServiceFactory, SourceFactory
    from hsup.log_drain import LogDrainFactory

_Value = TypeVar("_Value")


class Plugin(NamedTuple):
    """An entry point of the group, with its hooks, or the reason why it is not loaded."""

    entry_point: EntryPoint
    hooks: tuple[str, ...] = ()
    fault: str | None = None

    def part(self, kind: str, name: str) -> PluginPart:
        """Return the component that the plugin registered under a name."""
        point = self.entry_point
        return PluginPart(kind, name, point.distribution, point.version)

    def __str__(self) -> str:
        return str(self.part("plugin", self.entry_point.name))


class Registered(Mapping[str, _Value]):
    """What plugins registered of one kind, by name, without names that two plugins claim."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.clashes: dict[str, str] = {}
        self._found: dict[str, _Value] = {}
        self._plugins: dict[str, Plugin] = {}

    def add(self, name: str, value: _Value, plugin: Plugin) -> None:
        """Add what a plugin registered."""
        if name in self._plugins:
            text = f'{self._plugins[name]} and {plugin} both register {self.kind} "{name}"'
            self.clashes.setdefault(name, text)
            self._found.pop(name, None)
        else:
            self._plugins[name] = plugin
            self._found[name] = value

    def choose(self, name: str) -> _Value:
        """Return what was registered under a name.

        Raises PluginError, which says which package to install, or which two plugins clash.
        """
        if name in self.clashes:
            raise PluginError(self.clashes[name], hint="uninstall one of them")
        if name not in self._found:
            raise catalogue.missing(self.kind, name, self._found)
        return self._found[name]

    def part(self, name: str) -> PluginPart:
        """Return the component that was registered under a name."""
        return self._plugins[name].part(self.kind, name)

    def __getitem__(self, name: str) -> _Value:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class PluginManager:
    """The installed plugins and what they register, with a typed attribute for each hook.

    A broken plugin does not keep the others from working: `plugins` lists it with
    its fault, and `faults` describes it.
    """

    def __init__(
        self, points: Iterable[EntryPoint] | None = None, calls: Calls | None = None
    ) -> None:
        self._calls = calls or Calls()
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._faults: list[str] = []
        self._by_name: dict[str, Plugin] = {}
        loadable = entry_points(hookspecs.PROJECT) if points is None else points
        self.plugins = tuple(self._load(point) for point in loadable)
        self.drivers: Registered[DriverFactory] = self._collect(
            "driver", hookspecs.hsup_register_drivers, callable, "callable"
        )
        self.sources: Registered[SourceFactory] = self._collect(
            "source", hookspecs.hsup_register_sources, _is_source_factory, "a SourceFactory"
        )
        self.log_sinks: Registered[LogSinkFactory] = self._collect(
            "log sink", hookspecs.hsup_register_log_sinks, callable, "callable"
        )
        self.log_drains: Registered[LogDrainFactory] = self._collect(
            "log drain", hookspecs.hsup_register_log_drains, callable, "callable"
        )
        self.services: Registered[ServiceFactory] = self._collect(
            "service", hookspecs.hsup_register_services, callable, "callable"
        )

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with plugins, one sentence each."""
        broken = [f"{one} is not loaded: {one.fault}" for one in self.plugins if one.fault]
        kinds = (
            self.drivers,
            self.sources,
            self.log_sinks,
            self.log_drains,
            self.services,
        )
        clashes = [text for kind in kinds for text in kind.clashes.values()]
        return (*broken, *self._faults, *clashes)

    def commands(self, own: Collection[str] = ()) -> Registered[click.Command]:
        """Return the commands by name; the first one of two with the same name.

        `own` are the names of hsup's own commands, which no plugin can use.
        """
        import click

        registered: Registered[click.Command] = Registered("command")
        for plugin, given in self._answers(hookspecs.hsup_register_commands):
            commands = given if isinstance(given, list) else [given]
            for command in commands:
                if not isinstance(command, click.Command):
                    text = f"{plugin}: its command is not a click.Command"
                    self._faults.append(f"{text}: {shortened(command)}")
                elif (name := str(command.name)) in own:
                    self._faults.append(f'{plugin}: command "{name}" is one of hsup\'s own')
                elif name in registered:
                    first = registered.part(name)
                    self._faults.append(
                        f'{plugin}: command "{name}" is already registered: {first}'
                    )
                else:
                    registered.add(name, command, plugin)
        return registered

    def observe(self, event: events.Event) -> None:
        """Notify every observer of an event; warn about one that raises."""
        from hsup.events import HOOKS  # `hsup run` has no events

        hook = HOOKS[type(event)]
        for impl in self._implementations(hook):
            plugin = self._by_name[impl.plugin_name]
            part = plugin.part("plugin", plugin.entry_point.name)
            tell = partial(impl.function, *(event for _ in impl.argnames))
            try:
                self._calls.run(part, f"observe {hook}", tell, failure=PluginError)
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
            # Whatever the module of a plugin does at import, hsup starts without it.
            cause = error.__cause__ or error
            text = " ".join(str(cause).split())  # pluggy's errors have several lines
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
        """Yield what each plugin answers; note a fault for one that raises."""
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
        """Return what all plugins register of a kind, checked by `is_right`."""
        registered: Registered[_Value] = Registered(kind)
        for plugin, given in self._answers(spec):
            if not isinstance(given, dict):
                text = f"{plugin}: hook {spec.__name__} must return a mapping"
                self._faults.append(f"{text}, got {shortened(given)}")
                continue
            for name, value in given.items():
                if not isinstance(name, str):
                    text = f"{plugin}: the name of a {kind} is not a string"
                    self._faults.append(f"{text}: {shortened(name)}")
                elif is_right(value):
                    registered.add(name, cast("_Value", value), plugin)
                else:
                    text = f'{plugin}: {kind} "{name}" is not {right}'
                    self._faults.append(f"{text}: {shortened(value)}")
        return registered


def _answer(hook: Callable[[], object]) -> object:
    """Return what a hook returns; copy a mapping or a sequence, since a plugin's may raise."""
    given = hook()
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        return list(given)
    return given


def _unknown_hook(hooks: Iterable[str]) -> str | None:
    """Return the fault of an unknown hook; pluggy reports only one, in `check_pending`."""
    known = [name for name in vars(hookspecs) if name.startswith("hsup_")]
    for name in hooks:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            advice = f"; did you mean {near[0]}?" if near else ""
            return f"there is no hook {name}{advice}"
    return None


def _async_hook(module: object, hooks: Iterable[str]) -> str | None:
    """Return the fault of an async hook, which pluggy would call but not await."""
    from inspect import iscoroutinefunction

    for name in hooks:
        if iscoroutinefunction(getattr(module, name, None)):
            return f"the hook {name} must be a plain function, not async"
    return None


def _is_source_factory(value: object) -> bool:
    try:
        has_remedy = isinstance(getattr(value, "remedy", None), str)
        methods = [getattr(value, one, None) for one in ("applies", "create", "check")]
        for ability in ("follows_formation", "follows_drains"):
            getattr(value, ability, None)
    except (Exception, SystemExit):
        return False
    return has_remedy and all(map(callable, methods))
