"""The requests to a Docker Engine that running a dyno takes.

All methods block. They raise EngineError if the engine answers with an error, and
EngineUnreachable if it cannot be reached. See the Engine API, version 1.41 or later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, NamedTuple

from hsup.model import ExitStatus
from hsup_driver_docker.engine import reference
from hsup_driver_docker.engine.connection import (
    Connection,
    EngineError,
    EngineSlow,
    EngineUnreachable,
    Stream,
)
from hsup_driver_docker.engine.endpoint import Endpoint

if TYPE_CHECKING:
    from hsup.terminal import WindowSize

NOT_FOUND, CONFLICT = 404, 409

#: The status of a command that was found and could not be executed.
NOT_EXECUTABLE = 126
#: The status of a program that was killed.
KILLED = 128 + SIGKILL

#: Keys that would detach a user from a container. UTF-8 never contains this byte, so nobody types
#: them, and the feature is off.
_NO_KEYS = b",".join([b"\xff"] * 16)


class State(NamedTuple):
    """The state of a container; `code` is the exit status of one that has ended."""

    is_running: bool
    code: int = 0
    out_of_memory: bool = False


class Engine:
    """One Docker Engine, for any number of threads at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ask = connection.ask
        self._open = connection.open

    @property
    def endpoint(self) -> Endpoint:
        """Return the address of the engine."""
        return self._connection.endpoint

    def cut(self) -> EngineUnreachable:
        """Return the error for an answer that ended before it was complete."""
        return self._connection.cut()

    @property
    def is_given_up(self) -> bool:
        """Tell whether it has not answered for so long that requests time out at once."""
        return self._connection.is_given_up

    @property
    def is_podman(self) -> bool:
        """Tell whether an answer has shown that it is Podman."""
        return self._connection.is_podman

    def give_up(self) -> None:
        """Let requests time out at once, until one is answered."""
        self._connection.is_given_up = True

    def ping(self, patience_seconds: float) -> None:
        """Raise EngineUnreachable unless it answers in time."""
        self._open("GET", "/_ping", patience_seconds=patience_seconds).socket.close()

    def version(self) -> Mapping[str, Any]:
        """Return name and versions of the engine."""
        return dict(self._learn("GET", "/version"))

    def information(self) -> Mapping[str, Any]:
        """Return the properties of the engine's machine."""
        return dict(self._learn("GET", "/info"))

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Make a container; return its id."""
        return str(self._learn("POST", "/containers/create", {"name": name}, body)["Id"])

    def start(self, container: str) -> None:
        """Start the program of a container."""
        self._ask("POST", f"/containers/{container}/start")

    def attach(self, container: str, *, with_input: bool = False) -> Stream:
        """Return the stream of both outputs from now on; it also takes the input."""
        query: dict[str, int | bytes] = {"stream": 1, "stdout": 1, "stderr": 1}
        if with_input:
            query |= {"stdin": 1, "detachKeys": _NO_KEYS}
        return self._open("POST", f"/containers/{container}/attach", query)

    def logs(self, container: str, since: str) -> Stream:
        """Return the stream of both outputs since a given time, past output included.

        `since` is in seconds since the epoch, with up to nine decimals.
        """
        query = {"follow": 1, "stdout": 1, "stderr": 1, "since": since}
        return self._open("GET", f"/containers/{container}/logs", query)

    def wait(self, container: str, patience_seconds: float) -> None:
        """Wait until a container has ended or the timeout has expired."""
        path = f"/containers/{container}/wait"
        try:
            self._learn("POST", path, patience_seconds=patience_seconds)
        except EngineSlow:
            return

    def removal(self, container: str) -> Stream:
        """Return a stream that ends when a container is removed, and has its status (`status_of`).

        With Podman it ends with the program: Podman answers a wait for the removal with status 0,
        whatever the status was.
        """
        query = {"condition": "next-exit" if self.is_podman else "removed"}
        return self._open("POST", f"/containers/{container}/wait", query)

    def inspect(self, container: str) -> Mapping[str, Any]:
        """Return all properties of a container."""
        return dict(self._learn("GET", f"/containers/{container}/json"))

    def state(self, container: str) -> State:
        """Return the state of a container."""
        state = self.inspect(container)["State"]
        return State(
            is_running=state["Running"],
            code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
        )

    def kill(self, container: str, number: int) -> bool:
        """Send a signal to the first process of a container; tell whether that runs."""
        try:
            self._ask("POST", f"/containers/{container}/kill", {"signal": number})
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise
            return False
        return True

    def stats(self, container: str) -> Mapping[str, Any]:
        """Return the figures of a container at this moment (operation ContainerStats)."""
        query = {"stream": 0, "one-shot": 1}
        return dict(self._learn("GET", f"/containers/{container}/stats", query))

    def thread_states(self, container: str) -> Sequence[str] | None:
        """Return the states of all threads in a container, as ps has them; None if it cannot.

        The engine calls the ps of its machine, which has to be that of procps.
        """
        query = {"ps_args": "-eLo pid,state"}
        try:
            listing = self._ask("GET", f"/containers/{container}/top", query) or {}
        except EngineError:
            return None
        return [str(row[-1]) for row in listing.get("Processes") or ()] or None

    def count(self, container: str) -> int:
        """Return how many processes run in a container."""
        try:
            listing = self._ask("GET", f"/containers/{container}/top")
        except EngineError:  # it does not run, or a process ended while the engine looked
            return 0
        return len((listing or {}).get("Processes") or ())  # Podman answers null after its end

    def remove(self, container: str) -> None:
        """Remove a container, running or not, and wait until it is removed."""
        if not self.discard(container):
            self._wait_removed(container)

    def discard(self, container: str) -> bool:
        """Remove a container; return False while another request is removing it."""
        try:
            self._ask("DELETE", f"/containers/{container}", {"force": 1, "v": 1})
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise
            return error.status == NOT_FOUND
        return True

    def resize(self, container: str, size: WindowSize) -> None:
        """Set the window size of a container, if it runs."""
        query = {"h": size.rows, "w": size.columns}
        try:
            self._ask("POST", f"/containers/{container}/resize", query)
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise

    def containers(self, label: str) -> Sequence[Mapping[str, Any]]:
        """Return all containers with a label, running or not."""
        query = {"all": 1, "filters": json.dumps({"label": [label]})}
        return list(self._ask("GET", "/containers/json", query) or ())

    def execute(self, container: str, body: Mapping[str, Any]) -> tuple[str, Stream]:
        """Exec a command in a container; return its id, and the stream of its outputs."""
        made = self._learn("POST", f"/containers/{container}/exec", None, body)["Id"]
        start = {"Detach": False, "Tty": False}
        return str(made), self._open("POST", f"/exec/{made}/start", None, start)

    def executed(self, command: str) -> int | None:
        """Return the status of an exec'd command, None while it runs."""
        execution = self._learn("GET", f"/exec/{command}/json")
        if execution["Running"]:
            return None
        code = execution["ExitCode"]  # None if it could not be executed
        return NOT_EXECUTABLE if code is None else int(code)

    def events(self, events: Sequence[str], **container: str) -> Stream:
        """Return the stream of the named events of containers from now on (`events.Lines`).

        The containers are those with a `label`, or the one whose id is `container`.
        """
        of = {name: [value] for name, value in container.items()}
        filters = {"type": ["container"], "event": [*events], **of}
        return self._open("GET", "/events", {"filters": json.dumps(filters)})

    def image(self, name: str) -> Mapping[str, Any] | None:
        """Return all properties of an image, None if there is no such image.

        Raises DriverError for an invalid name, as the name becomes a part of a path.
        """
        reference.check(name)
        try:
            return dict(self._learn("GET", f"/images/{name}/json"))
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def images(self, labels: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """Return the images with all of these labels, newest first."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        query = {"filters": json.dumps({"label": wanted})}
        images = list(self._ask("GET", "/images/json", query) or ())
        return sorted(images, key=lambda image: int(image["Created"]), reverse=True)

    def look(self, container: str, path: str) -> None:
        """Raise EngineError, with status 404, if a container lacks a file."""
        self._ask("HEAD", f"/containers/{container}/archive", {"path": path})

    def _learn(self, *asked: Any, **options: Any) -> Any:
        """Return an answer, which must not be empty. Raises EngineUnreachable if it is."""
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
    """Return the status of a container from all data of `Engine.removal`.

    Raises EngineError if the engine does not know it.
    """
    answer = json.loads(removal)
    status = int(answer["StatusCode"])
    if status < 0:
        reason = (answer.get("Error") or {}).get("Message") or "it gave no reason"
        text = f"the Docker Engine does not know the exit status of the command: {reason}"
        raise EngineError(text, status=status, hint="read the log of the engine")
    return status


def exit_status(
    state: State, *, was_killed: bool = False, ran_out_of_memory: bool = False
) -> ExitStatus:
    """Return the exit status for a state, whose code is 128 + N for signal N, as in a shell."""
    out_of_memory = ran_out_of_memory or state.out_of_memory
    if (was_killed or out_of_memory) and state.code == KILLED:
        return ExitStatus(signal=SIGKILL, out_of_memory=out_of_memory)
    return ExitStatus(code=state.code, out_of_memory=out_of_memory)
