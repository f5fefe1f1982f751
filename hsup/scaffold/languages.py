"""Guess process types from what package managers and frameworks leave in a directory.

The commands are those that Heroku's buildpacks and the frameworks' manuals name for production.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from hsup.scaffold.guess import CONTROL, Files, Guess
from hsup.scaffold.servers import serving

#: Where a module makes an application of a framework.
_APPLICATION = re.compile(
    r"^(\w+)(?: *:[^=\n]+)? *= *(?:\w+\.)?(FastAPI|Flask|Starlette)\(", re.MULTILINE
)
#: Directories whose applications are not the one that is served.
_APART = {"docs", "examples", "test", "tests", "venv"}
_ASGI = {"FastAPI", "Starlette"}


def node(files: Files) -> Guess | None:
    """Guess from `package.json`: its scripts, run by the package manager of the lock file."""
    if not files.has("package.json"):
        return None
    run, scripts = package_manager(files), files.scripts()
    types: dict[str, str] = {}
    told = None
    main = _main(files)
    if "start" in scripts:
        types["web"], told = serving(run, "start", scripts)
    elif files.has("server.js"):
        types["web"] = "node server.js"
    elif main and (files.has(main) or "dev" not in scripts):
        types["web"] = f"node {shlex.quote(main)}"
    for name in ("worker", "clock", "scheduler"):
        if name in scripts:
            types[name] = f"{run} run {name}"
    return Guess("package.json", types, remarks=(told,) if told else ())


def frontend(files: Files) -> Guess | None:
    """Guess from a script of `package.json` that may be only for a part of an application."""
    scripts = files.scripts()
    if "dev" not in scripts:
        return None
    line, told = serving(package_manager(files), "dev", scripts)
    return Guess("package.json", {"web": line}, remarks=(told,) if told else ())


def _main(files: Files) -> str | None:
    """Return the module that a package is run from; it may have to be built first."""
    main = files.json("package.json").get("main")
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
        has_port = "PORT" in files.text("config/puma.rb")
        types["web"] = f"bundle exec puma -C config/puma.rb{'' if has_port else ' -p $PORT'}"
    elif "rails" in gems or files.has("bin/rails"):
        types["web"] = "bin/rails server -b 0.0.0.0 -p $PORT"
    elif files.has("config.ru"):
        types["web"] = "bundle exec rackup config.ru -o 0.0.0.0 -p $PORT"
    elif "sinatra" in gems and (
        script := _first(files, "app.rb", "main.rb", "server.rb", "web.rb")
    ):
        types["web"] = f"bundle exec ruby {script} -o 0.0.0.0 -p $PORT"
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


def _first(files: Files, *names: str) -> str | None:
    return next((name for name in names if files.has(name)), None)


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
        if all(map(str.isidentifier, name.split("."))) and text in files.code(path):
            return name
    return None


def _module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def python(files: Files) -> Guess | None:
    """Guess from a Python application: FastAPI, Flask, Streamlit, or a script."""
    scripts = ("app.py", "main.py", "wsgi.py", "web.py")
    found = _first(files, "requirements.txt", "pyproject.toml", "Pipfile", *scripts)
    if found is None:
        return None
    types, remarks = _celery(files)
    if web := _python_web(files, _first(files, *scripts)):
        types = {"web": web} | types
        if files.has("worker.py"):
            types.setdefault("worker", "python3 worker.py")
    return Guess(found, types, remarks=remarks)


def _python_web(files: Files, script: str | None) -> str | None:
    """Return the command that serves an application, None if there is none to be seen."""
    packages = files.python_packages()
    if script and "streamlit" in packages:
        return f"streamlit run {script} --server.address 0.0.0.0 --server.port $PORT"
    has_gunicorn = "gunicorn" in packages
    application = next(_python_applications(files), None)
    if application is None and "flask" in packages and (factory := _flask_factory(files)):
        return f"gunicorn '{factory}:create_app()'" if has_gunicorn else _flask(factory)
    if application is None and script:
        if not packages & {"fastapi", "flask", "gunicorn", "starlette"}:
            return f"python3 {script}"
        framework = "FastAPI" if packages & {"fastapi", "starlette"} else "Flask"
        application = (script.removesuffix(".py"), "app", framework)
    return _served(*application, has_gunicorn=has_gunicorn) if application else None


def _served(module: str, name: str, framework: str, *, has_gunicorn: bool) -> str:
    if framework in _ASGI:
        return f"uvicorn {module}:{name} --host 0.0.0.0 --port $PORT"
    if has_gunicorn:
        return f"gunicorn {module}:{name}"
    return _flask(module if name == "app" else f"{module}:{name}")


def _flask_factory(files: Files) -> str | None:
    found = _module(files, "*.py", "*/*.py", text="def create_app(")
    return found and found.removesuffix(".__init__")


def _flask(application: str) -> str:
    return f"flask --app {application} run --host 0.0.0.0 --port $PORT"


def _python_applications(files: Files) -> Iterator[tuple[str, str, str]]:
    """Yield modules that make an application, its name there, and its framework."""
    for path in files.matching("*.py", "*/*.py", "*/*/*.py"):
        module = _module_name(path).removesuffix(".__init__")
        is_importable = all(map(str.isidentifier, module.split(".")))
        if (
            is_importable
            and path.parts[0] not in _APART
            and (made := _APPLICATION.search(files.code(path)))
        ):
            yield module, made[1], made[2]


def go(files: Files) -> Guess | None:
    """Guess from `go.mod`: the program in its directory, or those below `cmd`."""
    if not files.has("go.mod"):
        return None
    programs = [path.parent.name for path in files.matching("cmd/*/main.go")]
    if not programs or files.has("main.go"):
        return Guess("go.mod", {"web": "go run ."})
    web = next((one for one in ("web", "server", "api") if one in programs), programs[0])
    types = {"web": f"go run {shlex.quote(f'./cmd/{web}')}"}
    if "worker" in programs and web != "worker":
        types["worker"] = "go run ./cmd/worker"
    return Guess("go.mod", types)


def others(files: Files) -> Guess | None:
    """Guess from the file of another language's build tool."""
    commands = {
        "Cargo.toml": "cargo run --release",
        "mix.exs": "mix phx.server" if _has_phoenix(files) else "mix run --no-halt",
        "composer.json": "php -S 0.0.0.0:$PORT -t " + ("public" if files.has("public") else "."),
        "pom.xml": "java -Dserver.port=$PORT -jar target/*.jar",
        "build.gradle": "java -Dserver.port=$PORT -jar build/libs/*.jar",
        "build.gradle.kts": "java -Dserver.port=$PORT -jar build/libs/*.jar",
        "deno.json": "deno task " + ("start" if '"start"' in files.text("deno.json") else "dev"),
    }
    found = _first(files, *commands)
    return None if found is None else Guess(found, {"web": commands[found]})


def _has_phoenix(files: Files) -> bool:
    """Tell whether an application of Elixir, or one below an umbrella, needs Phoenix."""
    needs = re.compile(r"^[^#\n]*\{:phoenix,", re.MULTILINE)
    return any(needs.search(files.code(one)) for one in files.matching("mix.exs", "apps/*/mix.exs"))


def static(files: Files) -> Guess | None:
    """Guess from pages that need no program but a server."""
    has_pages = files.has("index.html")
    return Guess("index.html", {"web": "python3 -m http.server $PORT"}) if has_pages else None


#: The most telling ones first.
LANGUAGES: tuple[Callable[[Files], Guess | None], ...] = (
    *(django, rails, node, python, go, others),
    *(frontend, static),
)
