"""What hsup executes in a container to reach its processes.

An engine signals the first process of a container only. That is an init, which
passes signals on to its child, and which ends, and all others with it, when that child
does. So hsup has a shell of the image's signal all others at once (kill(2): -1 is
every process but the first one and the caller).
"""

from __future__ import annotations

from typing import Any

from hsup.model import DynoSpec
from hsup_driver_docker import container
from hsup_driver_docker.image import Image

#: What a script writes when it has signalled.
TOLD = b"told"

#: A config var PATH, which a script has too, may lead to none of these programs.
_PATH = "PATH=/usr/local/bin:/usr/bin:/bin:$PATH\n"

#: Waits for the program, the child of process 1, without which a signal is lost. Process 1 may
#: be stopped. Fields are those of man 5 proc.
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

#: Waits until none is left but itself and process 1, which it has go on then, also where hsup is
#: no more. Letters are those of man 5 proc: Z and X have ended.
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

#: Signals the process that an engine has started with a mark in its environment: it
#: is the one whose parent is not of this container, 0. Nothing is written if it has not begun.
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
    """Return what sends a signal to every process."""
    return _shell(_SIGNAL_ALL, str(number))


def end_all(number: int) -> dict[str, Any]:
    """Return what sends a signal to every process, writes a line, and waits for their end."""
    return _shell(_END_ALL, str(number))


def new_mark() -> str:
    """Return what no other execution has in its environment."""
    return f"{_MARK}={container.new_token()}"


def execution(spec: DynoSpec, image: Image, mark: str) -> dict[str, Any]:
    """Return what runs a command in a container beside its program."""
    argv = container.command(spec, image).get("Cmd", [])
    streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    return {"Cmd": argv, "Env": [mark], **streams}


def signal_marked(number: int, mark: str) -> dict[str, Any]:
    """Return what sends a signal to what `execution` has started."""
    return _shell(_SIGNAL_MARKED, str(number), mark)


def _shell(script: str, *words: str) -> dict[str, Any]:
    return {"Cmd": ["/bin/sh", "-c", script, "sh", *words], "AttachStdout": True}
