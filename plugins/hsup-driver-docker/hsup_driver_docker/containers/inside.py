"""Scripts that hsup executes in a container to signal its processes.

An engine can only signal the first process of a container. That is an init, which passes signals
on to its child, and which ends with that child, as do all other processes. So hsup runs a shell of
the image to signal all of them at once (man 2 kill: -1 is every process but the first one and the
caller).
"""

from __future__ import annotations

from typing import Any

from hsup.model import DynoSpec
from hsup_driver_docker.containers import container
from hsup_driver_docker.images.image import Image
from hsup_driver_docker.labels import new_token

#: Written by a script once it has signalled.
TOLD = b"told"

#: Scripts have the config vars, too, and a PATH among these may lack these directories.
_PATH = "PATH=/usr/local/bin:/usr/bin:/bin:$PATH\n"

#: Waits for the program, the child of process 1: an earlier signal would be lost. Process 1 may be
#: stopped. The fields of `stat` are those of man 5 proc.
_AWAIT_PROGRAM = """\
has_begun() {
  for one in /proc/[0-9]*; do
    { read -r line <"$one/stat"; } 2>/dev/null || continue
    case ${line##*) } in ?' 1 '*) return 0 ;; esac
  done
  return 1
}
tries=0
until has_begun || [ "$tries" -ge 500 ]; do
  kill -s CONT 1
  tries=$((tries + 1))
  sleep 0.02 || break
done
"""
_SIGNAL_ALL = f"""\
{_PATH}{_AWAIT_PROGRAM}kill -s "$1" -- -1 2>/dev/null
echo {TOLD.decode()}
"""

#: Signals all processes, waits until only itself and process 1 are left, and resumes process 1,
#: even if hsup has ended. Processes in the states Z and X have ended (man 5 proc).
_END_ALL = f"""\
trap '' HUP INT TERM
{_SIGNAL_ALL}
while :; do
  left=
  for one in /proc/[0-9]*; do
    case ${{one#/proc/}} in 1 | $$) continue ;; esac
    {{ read -r line <"$one/stat"; }} 2>/dev/null || continue
    case ${{line##*) }} in [ZX]*) ;; *) left=1; break ;; esac
  done
  [ "$left" ] || break
  sleep 0.05 || break
done
kill -s CONT 1
"""

#: Signals the process that the engine started with a mark in its environment. Its parent is outside
#: of the container, which /proc shows as 0. Writes nothing if the process was not executed yet.
_SIGNAL_MARKED = f"""\
{_PATH}for one in /proc/[0-9]*; do
  {{ read -r line <"$one/stat"; }} 2>/dev/null || continue
  case ${{line##*) }} in ?' 0 '*) ;; *) continue ;; esac
  case $(tr '\\0' '\\n' <"$one/environ" 2>/dev/null) in
    *"$2"*) kill -s "$1" "${{one#/proc/}}" && echo {TOLD.decode()} ;;
  esac
done
"""
_MARK = "HSUP_EXECUTION"


def signal_all(number: int) -> dict[str, Any]:
    """Return the request that sends a signal to every process."""
    return _shell(_SIGNAL_ALL, str(number))


def end_all(number: int) -> dict[str, Any]:
    """Return the request that signals every process, writes a line, and waits for their end."""
    return _shell(_END_ALL, str(number))


def new_mark() -> str:
    """Return a unique environment variable, for a process to be found by."""
    return f"{_MARK}={new_token()}"


def execution(spec: DynoSpec, image: Image, mark: str) -> dict[str, Any]:
    """Return the request that execs a command in a container."""
    argv = container.command(spec, image).get("Cmd", [])
    streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    return {"Cmd": argv, "Env": [mark], **streams}


def signal_marked(number: int, mark: str) -> dict[str, Any]:
    """Return the request that signals the process of an `execution`."""
    return _shell(_SIGNAL_MARKED, str(number), mark)


def _shell(script: str, *words: str) -> dict[str, Any]:
    return {"Cmd": ["/bin/sh", "-c", script, "sh", *words], "AttachStdout": True}
