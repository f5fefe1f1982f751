"""Have a script of `package.json` serve on `$PORT`, also if its program does not look at it."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Programs that do not look at PORT, and with which of their words they serve: "" is none, and
#: those without any always do. Next, Nuxt, Create React App, Vue CLI, Gatsby, Ember and Parcel do.
_SERVERS: Mapping[str, frozenset[str]] = {
    "astro": frozenset({"dev", "preview", "start"}),
    "docusaurus": frozenset({"serve", "start"}),
    "eleventy": frozenset({"--serve"}),
    "json-server": frozenset(),
    "ng": frozenset({"dev", "s", "serve"}),
    "react-router": frozenset({"dev"}),
    "vite": frozenset({"", "dev", "preview", "serve"}),
    "vitepress": frozenset({"dev", "preview", "serve"}),
    "vuepress": frozenset({"dev"}),
    "webpack": frozenset({"serve"}),
    "webpack-dev-server": frozenset(),
    "wrangler": frozenset({"dev"}),
}
#: What separates commands, also those in quotes that another one runs.
_SEPARATOR = re.compile(r"[;&|\"']+")
#: What may stand before the program of one.
_BEFORE = re.compile(r"\w+=\S*|npx|bunx|cross-env(?:-shell)?|dotenv|--|pnpm|exec|dlx")
_PORT = re.compile(r"(?<!\S)(?:-p|--port)(?:[ =]|$)|\bPORT\b")
_NUMBER = re.compile(r"(?:(?<!\S)(?:-p *|--port[ =])|\bPORT=)(\d+)")
#: A script that only runs another one.
_ALIAS = re.compile(r"(?:npm run|yarn(?: run)?|pnpm(?: run)?|bun run) ([\w:.-]+)")


def serving(run: str, script: str, scripts: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the command with which a package manager runs a script so that it serves on `$PORT`.

    If that is not certain, return the command as it is, and what to tell.
    """
    command = _command(run, script)
    meant = _meant(script, scripts)
    line = scripts[meant]
    if number := _NUMBER.search(line):
        return command, f'script "{meant}" names port {number[1]}: write $PORT there'
    parts = [part.strip() for part in _SEPARATOR.split(line)]
    server = next(filter(None, map(_server, parts)), None)
    if server is None or _PORT.search(line):
        return command, None
    if server != _server(parts[-1]):
        told = f'script "{meant}" runs {server} at a port of its own: add --port $PORT to it'
        return command, told
    return f"{_command(run, meant)}{' --' if run == 'npm' else ''} --port $PORT", None


def _command(run: str, script: str) -> str:
    return f"{run} start" if script == "start" else f"{run} run {script}"


def _meant(script: str, scripts: Mapping[str, str]) -> str:
    """Return the script that a script runs, if it does nothing else."""
    seen = {script}
    while match := _ALIAS.fullmatch(scripts[script].strip()):
        if match[1] not in scripts or match[1] in seen:
            break
        script = match[1]
        seen.add(script)
    return script


def _server(part: str) -> str | None:
    """Return the program of a command if it serves at a port of its own."""
    words = part.split()
    while words and _BEFORE.fullmatch(words[0]):
        words = words[1:]
    needed = _SERVERS.get(words[0]) if words else None
    if needed is None:
        return None
    first = next((word for word in words[1:2] if not word.startswith("-")), "")
    return words[0] if not needed or needed.intersection([first, *words]) else None
