"""Guess process types from what package managers and frameworks leave in a directory.

The commands are those that Heroku's buildpacks and the frameworks' manuals name for production.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from hsup.scaffold.guess import CONTROL, Files, Guess
from hsup.scaffold.servers import serving


def node(files: Files) -> Guess | None:
    """Guess from `package.json`: its scripts, run by the package manager of the lock file."""
    if not files.has("package.json"):
        return None
    package = files.json("package.json")
    run = package_manager(files)
    scripts = files.scripts()
    types: dict[str, str] = {}
    told = None
    main = _main(package)
    if "start" in scripts:
        types["web"], told = serving(run, "start", scripts)
    elif files.has("server.js"):
        types["web"] = "node server.js"
    elif main and (files.has(main) or "dev" not in scripts):
        types["web"] = f"node {shlex.quote(main)}"
    elif "dev" in scripts:
        types["web"], told = serving(run, "dev", scripts)
    for name in ("worker", "clock", "scheduler"):
        if name in scripts:
            types[name] = f"{run} run {name}"
    return Guess("package.json", types, remarks=(told,) if told else ())


def _main(package: Mapping[str, object]) -> str | None:
    """Return the module that a package is run from; it may have to be built first."""
    main = package.get("main")
    return main if isinstance(main, str) and main and not CONTROL.search(main) else None


def package_manager(files: Files) -> str:
    """Return the command that runs scripts of `package.json`."""
    locks = {
        "pnpm-lock.yaml": "pnpm",
        "yarn.lock": "yarn",
        "bun.lock": "bun",
        "bun.lockb": "bun",
    }
    return next((run for lock, run in locks.items() if files.has(lock)), "npm")


def rails(files: Files) -> Guess | None:
    """Guess from `Gemfile`: Rails, or any other Rack application, and background jobs."""
    if not files.has("Gemfile"):
        return None
    gems = files.gems()
    types: dict[str, str] = {}
    if files.has("config/puma.rb"):
        types["web"] = "bundle exec puma -C config/puma.rb"
    elif "rails" in gems or files.has("bin/rails"):
        types["web"] = "bin/rails server -b 0.0.0.0 -p $PORT"
    elif files.has("config.ru"):
        types["web"] = "bundle exec rackup config.ru -o 0.0.0.0 -p $PORT"
    workers = {
        "sidekiq": "bundle exec sidekiq",
        "good_job": "bundle exec good_job start",
        "solid_queue": "bin/jobs",
        "resque": "bundle exec rake resque:work QUEUE='*'",
        "delayed_job": "bin/delayed_job run",
    }
    if worker := next((command for gem, command in workers.items() if gem in gems), None):
        types["worker"] = worker
    if files.has("db/migrate"):
        types["release"] = "bin/rails db:migrate"
    return Guess("Gemfile", types)


def django(files: Files) -> Guess | None:
    """Guess from `manage.py`: Django, with gunicorn if the application has it."""
    if not files.has("manage.py"):
        return None
    packages = files.python_packages()
    module = _module(files, "*/wsgi.py", "*/*/wsgi.py")
    types = {"web": "python3 manage.py runserver 0.0.0.0:$PORT"}
    if module and "gunicorn" in packages:
        types["web"] = f"gunicorn {module}"
    worker, remarks = _celery(files)
    types |= worker
    types["release"] = "python3 manage.py migrate --noinput"
    return Guess("manage.py", types, remarks=remarks)


def _celery(files: Files) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the worker of Celery, if its package is needed; or what has to be added for it."""
    if "celery" not in files.python_packages():
        return {}, ()
    module = _module(files, "*.py", "*/*.py", text="Celery(")
    if module is None:
        line = "worker: celery -A MODULE worker"
        return {}, (f'no module with an application of Celery was found; add a line "{line}"',)
    package = module.removesuffix(".celery").removesuffix(".__init__")
    return {"worker": f"celery -A {package} worker"}, ()


def _module(files: Files, *patterns: str, text: str = "") -> str | None:
    """Return the first module whose file matches a pattern, and has a text; None without one."""
    for path in files.matching(*patterns):
        name = _module_name(path)
        if all(map(str.isidentifier, name.split("."))) and text in files.text(str(path)):
            return name
    return None


def _module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def python(files: Files) -> Guess | None:
    """Guess from the packages of a Python application: FastAPI, Flask, or a script."""
    named = ("requirements.txt", "pyproject.toml", "Pipfile")
    found = next((name for name in named if files.has(name)), None)
    if found is None:
        return None
    packages = files.python_packages()
    module = next((one for one in ("app", "main", "wsgi", "web") if files.has(f"{one}.py")), None)
    worker, remarks = _celery(files)
    if module is None:
        return Guess(found, worker, remarks=remarks)
    types = {"web": f"python3 {module}.py"}
    if packages & {"fastapi", "starlette"}:
        types["web"] = f"uvicorn {module}:app --host 0.0.0.0 --port $PORT"
    elif "gunicorn" in packages:
        types["web"] = f"gunicorn {module}:app"
    elif "flask" in packages:
        types["web"] = f"flask --app {module} run --host 0.0.0.0 --port $PORT"
    if files.has("worker.py"):
        types["worker"] = "python3 worker.py"
    return Guess(found, types | worker, remarks=remarks)


def others(files: Files) -> Guess | None:
    """Guess from the file of another language's build tool."""
    commands = {
        "go.mod": "go run .",
        "Cargo.toml": "cargo run --release",
        "mix.exs": "mix phx.server" if _has_phoenix(files) else "mix run --no-halt",
        "composer.json": "php -S 0.0.0.0:$PORT -t " + ("public" if files.has("public") else "."),
        "pom.xml": "java -Dserver.port=$PORT -jar target/*.jar",
        "build.gradle": "java -Dserver.port=$PORT -jar build/libs/*.jar",
        "build.gradle.kts": "java -Dserver.port=$PORT -jar build/libs/*.jar",
        "deno.json": "deno task start",
        "index.html": "python3 -m http.server $PORT",
    }
    found = next((name for name in commands if files.has(name)), None)
    return None if found is None else Guess(found, {"web": commands[found]})


def _has_phoenix(files: Files) -> bool:
    return re.search(r"^[^#\n]*\{:phoenix,", files.text("mix.exs"), re.MULTILINE) is not None


#: The most telling ones first.
LANGUAGES: tuple[Callable[[Files], Guess | None], ...] = (django, rails, node, python, others)
