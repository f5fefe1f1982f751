"""What a dyno's life asks of a Docker Engine, request by request.

Everything here blocks, and raises EngineError for what the engine refuses and
EngineAway where there is none. See the Engine API, version 1.41 or later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, NamedTuple

from hsup.model import ExitStatus
from hsup_driver_docker import reference
from hsup_driver_docker.connection import (
    Connection,
    EngineAway,
    EngineError,
    EngineSlow,
    Stream,
)
from hsup_driver_docker.endpoint import Endpoint

if TYPE_CHECKING:
    from hsup.terminal import WindowSize

NOT_FOUND, CONFLICT = 404, 409

#: The status of a command that was found and could not be executed.
NOT_EXECUTABLE = 126
#: The status of a program that was killed.
KILLED = 128 + SIGKILL

#: Keys that take a user off a container. Nobody types this byte, in no UTF-8 text
#: there is one, so that they turn the feature off.
_NO_KEYS = b",".join([b"\xff"] * 16)


class State(NamedTuple):
    """How a container is, or how it ended."""

    is_running: bool
    code: int = 0
    out_of_memory: bool = False


class Engine:
    """One Docker Engine; any number of threads may use it at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ask = connection.ask
        self._open = connection.open

    @property
    def endpoint(self) -> Endpoint:
        """Return where the engine is."""
        return self._connection.endpoint

    def cut(self) -> EngineAway:
        """Return the error for an engine that has not told all that it should have."""
        return self._connection.cut()

    @property
    def is_given_up(self) -> bool:
        """Tell whether it did not answer for so long that nothing is worth a wait."""
        return self._connection.is_given_up

    @property
    def is_podman(self) -> bool:
        """Tell whether it is Podman's service, as far as its answers have shown."""
        return self._connection.is_podman

    def give_up(self) -> None:
        """Wait for it no longer, until it answers again."""
        self._connection.is_given_up = True

    def ping(self, patience_seconds: float) -> None:
        """Raise EngineAway unless it answers anything at all in time."""
        self._open("GET", "/_ping", patience_seconds=patience_seconds).socket.close()

    def version(self) -> Mapping[str, Any]:
        """Return what engine it is."""
        return dict(self._learn("GET", "/version"))

    def information(self) -> Mapping[str, Any]:
        """Return what the engine's machine has."""
        return dict(self._learn("GET", "/info"))

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Make a container; return its id."""
        return str(self._learn("POST", "/containers/create", {"name": name}, body)["Id"])

    def start(self, container: str) -> None:
        """Have a container execute its program."""
        self._ask("POST", f"/containers/{container}/start")

    def attach(self, container: str, *, with_input: bool = False) -> Stream:
        """Return the stream of both outputs, from now on; the input goes the other way."""
        query: dict[str, int | bytes] = {"stream": 1, "stdout": 1, "stderr": 1}
        if with_input:
            query |= {"stdin": 1, "detachKeys": _NO_KEYS}
        return self._open("POST", f"/containers/{container}/attach", query)

    def logs(self, container: str, since: str) -> Stream:
        """Return the stream of both outputs, from a point of time on that may have passed.

        `since` is in seconds since the epoch, up to nine digits behind the point.
        """
        query = {"follow": 1, "stdout": 1, "stderr": 1, "since": since}
        return self._open("GET", f"/containers/{container}/logs", query)

    def wait(self, container: str, patience_seconds: float) -> None:
        """Return when a container does not run any more, or after a while."""
        path = f"/containers/{container}/wait"
        try:
            self._learn("POST", path, patience_seconds=patience_seconds)
        except EngineSlow:
            return

    def removal(self, container: str) -> Stream:
        """Return what ends when a container is no more, and tells its status (`status_of`).

        With Podman, it ends when the program has: Podman answers a wait for the removal with 0,
        whatever the status was.
        """
        query = {"condition": "next-exit" if self.is_podman else "removed"}
        return self._open("POST", f"/containers/{container}/wait", query)

    def inspect(self, container: str) -> Mapping[str, Any]:
        """Return all that there is to know of a container."""
        return dict(self._learn("GET", f"/containers/{container}/json"))

    def state(self, container: str) -> State:
        """Return how a container is."""
        found = self.inspect(container)["State"]
        return State(
            is_running=found["Running"],
            code=found["ExitCode"],
            out_of_memory=found["OOMKilled"],
        )

    def kill(self, container: str, number: int) -> bool:
        """Send a signal to the first process of a container; tell whether it ran."""
        try:
            self._ask("POST", f"/containers/{container}/kill", {"signal": number})
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise
            return False
        return True

    def count(self, container: str) -> int:
        """Return how many processes run in a container."""
        try:
            found = self._ask("GET", f"/containers/{container}/top")
        except EngineError:  # it does not run, or its processes are gone while they are looked at
            return 0
        return len((found or {}).get("Processes") or ())  # Podman says null of one that has ended

    def remove(self, container: str) -> None:
        """Return when a container is no more, whatever it did."""
        if not self.discard(container):
            self._wait_removed(container)

    def discard(self, container: str) -> bool:
        """Remove a container, and tell whether that is done: somebody else may be at it."""
        try:
            self._ask("DELETE", f"/containers/{container}", {"force": 1, "v": 1})
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise
            return error.status == NOT_FOUND
        return True

    def resize(self, container: str, size: WindowSize) -> None:
        """Tell a container how large the window is; nothing if it does not run."""
        query = {"h": size.rows, "w": size.columns}
        try:
            self._ask("POST", f"/containers/{container}/resize", query)
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise

    def containers(self, label: str) -> Sequence[Mapping[str, Any]]:
        """Return all containers with a label, those that have ended too."""
        query = {"all": 1, "filters": json.dumps({"label": [label]})}
        return list(self._ask("GET", "/containers/json", query) or ())

    def execute(self, container: str, body: Mapping[str, Any]) -> tuple[str, Stream]:
        """Start a command in a container; return its id, and the stream of its outputs."""
        made = self._learn("POST", f"/containers/{container}/exec", None, body)["Id"]
        start = {"Detach": False, "Tty": False}
        return str(made), self._open("POST", f"/exec/{made}/start", None, start)

    def executed(self, command: str) -> int | None:
        """Return the status of a command in a container, None as long as it has not ended."""
        found = self._learn("GET", f"/exec/{command}/json")
        if found["Running"]:
            return None
        code = found["ExitCode"]  # none where it was refused
        return NOT_EXECUTABLE if code is None else int(code)

    def events(self, events: Sequence[str], **container: str) -> Stream:
        """Return what happens from now on to containers: what `hsup_driver_docker.events` reads.

        Which ones is told by `label`, or by `container` for its id.
        """
        of = {name: [value] for name, value in container.items()}
        filters = {"type": ["container"], "event": [*events], **of}
        return self._open("GET", "/events", {"filters": json.dumps(filters)})

    def image(self, name: str) -> Mapping[str, Any] | None:
        """Return all that there is to know of an image, None if there is none.

        Raises DriverError for a name that no image may have: it is a part of a path here.
        """
        reference.check(name)
        try:
            return dict(self._learn("GET", f"/images/{name}/json"))
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def images(self, labels: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """Return the images that have all of the labels, the newest first."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        query = {"filters": json.dumps({"label": wanted})}
        found = list(self._ask("GET", "/images/json", query) or ())
        return sorted(found, key=lambda one: int(one["Created"]), reverse=True)

    def look(self, container: str, path: str) -> None:
        """Raise EngineError, with status 404, where a container has not got a file."""
        self._ask("HEAD", f"/containers/{container}/archive", {"path": path})

    def _learn(self, *asked: Any, **options: Any) -> Any:
        """Return an answer that has to say something."""
        answer = self._ask(*asked, **options)
        if answer is None:
            raise self.cut()
        return answer

    def _wait_removed(self, container: str) -> None:
        try:
            self._ask("POST", f"/containers/{container}/wait", {"condition": "removed"})
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise


def status_of(removal: bytes) -> int:
    """Return the status of a container of which all that `removal` gives is here.

    Raises EngineError where the engine did not get to know it.
    """
    told = json.loads(removal)
    status = int(told["StatusCode"])
    if status < 0:
        reason = (told.get("Error") or {}).get("Message") or "it gave no reason"
        text = f"the Docker Engine does not know the exit status of the command: {reason}"
        raise EngineError(text, status=status)
    return status


def exit_status(
    state: State, *, was_killed: bool = False, ran_out_of_memory: bool = False
) -> ExitStatus:
    """Return what an engine says of an end: 128 + N for signal N, as a shell does."""
    out_of_memory = ran_out_of_memory or state.out_of_memory
    if (was_killed or out_of_memory) and state.code == KILLED:
        return ExitStatus(signal=SIGKILL, out_of_memory=out_of_memory)
    return ExitStatus(code=state.code, out_of_memory=out_of_memory)
