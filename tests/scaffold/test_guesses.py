from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.scaffold.compose import compose
from hsup.scaffold.guess import Files, Guess
from hsup.scaffold.languages import LANGUAGES
from hsup.scaffold.watchers import development_types

Write = Callable[[dict[str, str]], Files]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a writer of the files of an application."""

    def write(files: dict[str, str]) -> Files:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Files(tmp_path)

    return write


def guessed(files: Files) -> Guess | None:
    guesses = [one for look in LANGUAGES if (one := look(files))]
    return next((one for one in guesses if one.types), next(iter(guesses), None))


def package(**scripts: str) -> str:
    return json.dumps({"scripts": scripts})


@pytest.mark.parametrize(
    ("files", "types"),
    [
        (
            {"package.json": package(start="x", worker="y")},
            {"web": "npm start", "worker": "npm run worker"},
        ),
        ({"package.json": package(start="x"), "yarn.lock": ""}, {"web": "yarn start"}),
        ({"package.json": package(start="x"), "pnpm-lock.yaml": ""}, {"web": "pnpm start"}),
        ({"package.json": "{}", "server.js": ""}, {"web": "node server.js"}),
        ({"package.json": '{"main": "index.js"}'}, {"web": "node index.js"}),
        (
            {"package.json": r'{"main": "src/my app; x.js"}'},
            {"web": "node 'src/my app; x.js'"},
        ),
        ({"package.json": r'{"main": "a.js\nworker: touch x"}'}, {}),
        ({"package.json": '{"main": ["x"]}'}, {}),
        (
            {"package.json": '{"main": "gone.js", "scripts": {"dev": "x"}}'},
            {"web": "npm run dev"},
        ),
        ({"package.json": "\ufeff" + package(start="x")}, {"web": "npm start"}),
        (
            {
                "manage.py": "",
                "a b/wsgi.py": "",
                "shop/wsgi.py": "",
                "requirements.txt": "gunicorn",
            },
            {"web": "gunicorn shop.wsgi", "release": "python3 manage.py migrate --noinput"},
        ),
        ({"package.json": package(dev="x")}, {"web": "npm run dev"}),
        (
            {"Gemfile": "gem 'rails'\n  gem \"sidekiq\", '~> 7'\n", "db/migrate/1.rb": ""},
            {
                "web": "bin/rails server -b 0.0.0.0 -p $PORT",
                "worker": "bundle exec sidekiq",
                "release": "bin/rails db:migrate",
            },
        ),
        (
            {"Gemfile": "gem 'puma'", "config/puma.rb": "port ENV['PORT']"},
            {"web": "bundle exec puma -C config/puma.rb"},
        ),
        (
            {"Gemfile": "gem 'puma'", "config/puma.rb": "threads 1, 1"},
            {"web": "bundle exec puma -C config/puma.rb -p $PORT"},
        ),
        (
            {"Gemfile": "gem 'sinatra'", "main.rb": ""},
            {"web": "bundle exec ruby main.rb -o 0.0.0.0 -p $PORT"},
        ),
        (
            {"Gemfile": "gem 'sinatra'", "config.ru": ""},
            {"web": "bundle exec rackup config.ru -o 0.0.0.0 -p $PORT"},
        ),
        (
            {
                "manage.py": "",
                "shop/wsgi.py": "",
                "shop/celery.py": "app = Celery()",
                "requirements.txt": "Django>=5\ngunicorn==23 # server\ncelery\n",
            },
            {
                "web": "gunicorn shop.wsgi",
                "worker": "celery -A shop worker",
                "release": "python3 manage.py migrate --noinput",
            },
        ),
        (
            {"manage.py": ""},
            {
                "web": "python3 manage.py runserver 0.0.0.0:$PORT",
                "release": "python3 manage.py migrate --noinput",
            },
        ),
        (
            {
                "main.py": "",
                "pyproject.toml": '[project]\ndependencies = ["fastapi[standard]>=0.1"]',
            },
            {"web": "uvicorn main:app --host 0.0.0.0 --port $PORT"},
        ),
        (
            {"app.py": "", "worker.py": "", "requirements.txt": "flask"},
            {
                "web": "flask --app app run --host 0.0.0.0 --port $PORT",
                "worker": "python3 worker.py",
            },
        ),
        ({"app.py": "", "requirements.txt": "Flask\nGunicorn"}, {"web": "gunicorn app:app"}),
        ({"main.py": "", "requirements.txt": ""}, {"web": "python3 main.py"}),
        (
            {"app.py": "", "tasks.py": "app = Celery('shop')", "requirements.txt": "celery[redis]"},
            {"web": "python3 app.py", "worker": "celery -A tasks worker"},
        ),
        (
            {"jobs/celery.py": "app = Celery()", "requirements.txt": "celery"},
            {"worker": "celery -A jobs worker"},
        ),
        (
            {"jobs/__init__.py": "app = Celery()", "requirements.txt": "celery"},
            {"worker": "celery -A jobs worker"},
        ),
        (
            {"main.py": "import flask\nserver = flask.Flask(__name__)\n"},
            {"web": "flask --app main:server run --host 0.0.0.0 --port $PORT"},
        ),
        (
            {"requirements.txt": "", "shop/main.py": "api: FastAPI = FastAPI()\n"},
            {"web": "uvicorn shop.main:api --host 0.0.0.0 --port $PORT"},
        ),
        (
            {
                "requirements.txt": "gunicorn",
                "examples/a.py": "app = Flask('a')\n",
                "shop/__init__.py": "app = Flask('shop')\n",
            },
            {"web": "gunicorn shop:app"},
        ),
        (
            {"requirements.txt": "flask", "shop/__init__.py": "def create_app(x=None): ..."},
            {"web": "flask --app shop run --host 0.0.0.0 --port $PORT"},
        ),
        (
            {"requirements.txt": "flask\ngunicorn", "shop/a.py": "def create_app(): ..."},
            {"web": "gunicorn 'shop.a:create_app()'"},
        ),
        (
            {"requirements.txt": "streamlit", "app.py": ""},
            {"web": "streamlit run app.py --server.address 0.0.0.0 --server.port $PORT"},
        ),
        (
            {"go.mod": "", "cmd/api/main.go": "", "cmd/worker/main.go": ""},
            {"web": "go run ./cmd/api", "worker": "go run ./cmd/worker"},
        ),
        ({"go.mod": "", "main.go": "", "cmd/tool/main.go": ""}, {"web": "go run ."}),
        # What a package.json has beside another language may be for its assets alone.
        (
            {"composer.json": "", "package.json": package(dev="vite")},
            {"web": "php -S 0.0.0.0:$PORT -t ."},
        ),
        (
            {"index.html": "", "package.json": package(dev="vite")},
            {"web": "npm run dev -- --port $PORT"},
        ),
        ({"mix.exs": '[\n  {:phoenix, "~> 1.7"}\n]'}, {"web": "mix phx.server"}),
        (
            {"mix.exs": '# {:phoenix, "1"}\n{:phoenix_pubsub, "2"}', "lib/x.ex": ""},
            {"web": "mix run --no-halt"},
        ),
        (
            {"mix.exs": "apps_path: 'apps'", "apps/x/mix.exs": '[{:phoenix, "~> 1"}]'},
            {"web": "mix phx.server"},
        ),
        ({"deno.json": '{"tasks": {"start": "x"}} // x'}, {"web": "deno task start"}),
        ({"deno.json": '{"tasks": {"dev": "x"}}'}, {"web": "deno task dev"}),
        ({"go.mod": ""}, {"web": "go run ."}),
        ({"Cargo.toml": ""}, {"web": "cargo run --release"}),
        ({"composer.json": "", "public/index.php": ""}, {"web": "php -S 0.0.0.0:$PORT -t public"}),
        ({"index.html": ""}, {"web": "python3 -m http.server $PORT"}),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_types_are_guessed_from_what_is_there(
    write: Write, files: dict[str, str], types: dict[str, str]
) -> None:
    guess = guessed(write(files))
    assert guess is not None
    assert dict(guess.types) == types


@pytest.mark.parametrize(
    ("line", "lock", "command"),
    [
        ("vite", "", "npm start -- --port $PORT"),
        ("tsc -b && vite preview --host", "", "npm start -- --port $PORT"),
        ("NODE_ENV=x npx astro dev", "pnpm-lock.yaml", "pnpm start --port $PORT"),
        ("cross-env A=1 ng serve", "yarn.lock", "yarn start --port $PORT"),
        ("webpack serve --mode development", "bun.lock", "bun start --port $PORT"),
        ("npm run a", "", "npm run a -- --port $PORT"),
        # These look at PORT, do not serve, or know it.
        ("next dev", "", "npm start"),
        ("vite build && node server.js", "", "npm start"),
        ("webpack --watch", "", "npm start"),
        ("vite --port ${PORT:-80}", "", "npm start"),
        ("npm run gone", "", "npm start"),
        ("npm run start", "", "npm start"),
    ],
)
def test_a_script_serves_on_the_port_of_the_dyno(
    write: Write, line: str, lock: str, command: str
) -> None:
    guess = guessed(write({"package.json": package(start=line, a="vite"), lock or "x": ""}))
    assert guess == Guess("package.json", {"web": command})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("vite --port 3000", "names port 3000: write $PORT there"),
        ("next dev -p3001", "names port 3001: write $PORT there"),
        ("PORT=3002 react-scripts start", "names port 3002: write $PORT there"),
        ("run 'vite' \"x\"", "runs vite at a port of its own: add --port $PORT to it"),
        ("vite & node x", "runs vite at a port of its own: add --port $PORT to it"),
    ],
)
def test_a_script_that_may_serve_elsewhere_is_told(write: Write, line: str, told: str) -> None:
    files = write({"package.json": package(start=line)})
    assert guessed(files) == Guess(
        "package.json", {"web": "npm start"}, remarks=(f'script "start" {told}',)
    )
    types = {"web": "npm start"}
    write({"package.json": package(dev=line)})
    assert development_types(files, types) == (
        {"web": "npm run dev"},
        (f'script "dev" {told}',),
    )


def test_the_scripts_of_a_procfile_for_development_serve_on_the_port_of_the_dyno(
    write: Write,
) -> None:
    files = write({"package.json": package(start="x", dev="vite")})
    types = {"web": "npm run dev -- --port $PORT"}
    assert development_types(files, {"web": "npm start"}) == (types, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("package.json", "{"),
        ("package.json", "[]"),
        ("package.json", "[" * 99999),
        ("package.json", '{"scripts": []}'),
        ("pyproject.toml", "="),
        ("pyproject.toml", 'project = "x"'),
        ("pyproject.toml", f"project.dependencies = [0x{'f' * 4000}]"),
        ("requirements.txt", ""),
        ("Gemfile", ""),
    ],
)
def test_of_files_that_say_nothing_nothing_is_guessed(write: Write, name: str, text: str) -> None:
    guess = guessed(write({name: text}))
    assert guess is None or not guess.types


def test_of_code_that_is_not_text_nothing_is_told(write: Write, tmp_path: Path) -> None:
    files = write({"requirements.txt": ""})
    (tmp_path / "app.py").write_bytes(b"\xff")
    guess = guessed(files)
    assert guess is not None
    assert guess.types == {"web": "python3 app.py"}
    assert not files.faults


def test_celery_without_an_application_is_told(write: Write) -> None:
    guess = guessed(write({"app.py": "", "requirements.txt": "celery"}))
    assert guess is not None
    (told,) = guess.remarks
    assert told == (
        "no module with an application of Celery was found; "
        'add a line "worker: celery -A MODULE worker"'
    )


@pytest.mark.parametrize(
    ("scripts", "types"),
    [
        ({"start": "x", "build": "x", "test": "x"}, {}),
        ({"dev": "vite"}, {}),
        ({"start": "x", "dev": "y"}, {"web": "npm run dev"}),
        ({"start": "x", "start:dev": "y"}, {"web": "npm run start:dev"}),
        ({"start": "x", "watch": "y"}, {"web": "npm start", "watch": "npm run watch"}),
        (
            {"start": "x", "watch:css": "y", "build:js:watch": "z", "dev": "w"},
            {"web": "npm run dev", "css": "npm run watch:css", "js": "npm run build:js:watch"},
        ),
        (
            {"dev:server": "x", "dev": "y", "dev:css": "z", "css:watch": "w"},
            {
                "web": "npm run dev",
                "server": "npm run dev:server",
                "css": "npm run dev:css",
                "css-watch": "npm run css:watch",
            },
        ),
        (
            {"start": "x", "worker": "y", "dev:worker": "z", "release": "w", "watch:release": "v"},
            {
                "web": "npm start",
                "worker": "npm run dev:worker",
                "watch-release": "npm run watch:release",
            },
        ),
        # A name that is another way to run, to build or to test the same.
        (
            {
                "start": "x",
                "build:dev": "x",
                "dev:https": "x",
                "watch:test": "x",
                "watch:prod": "x",
            },
            {},
        ),
        # What a script runs itself is started once.
        (
            {"start": "npm run dev", "dev": "x", "watch:css": "x"},
            {"web": "npm start", "css": "npm run watch:css"},
        ),
        ({"start": "npm run dev", "dev": "run-p dev:*", "dev:css": "x"}, {}),
        (
            {"start": "x", "dev": "concurrently npm:watch:* 'node x'", "watch:css": "x"},
            {"web": "npm run dev"},
        ),
        # One that only runs others leaves its place to them.
        (
            {"start": "x", "dev": "run-p dev:*", "dev:css": "x", "dev:server": "y"},
            {"web": "npm run dev:server", "css": "npm run dev:css"},
        ),
        (
            {"start": "x", "watch": "concurrently 'npm run watch:a' npm:watch-b", "watch:a": "x"},
            {"web": "npm start", "watch": "npm run watch"},
        ),
        ({"start": "x", f"watch:{'x' * 130}": "x", "-watch": "x", "watch css": "x"}, {}),
    ],
    ids=lambda value: ", ".join(value)[:40],
)
def test_scripts_for_development_are_types_of_another_procfile(
    write: Write, scripts: dict[str, str], types: dict[str, str]
) -> None:
    files = write({"package.json": package(**scripts)})
    guess = guessed(files)
    assert guess is not None
    assert development_types(files, guess.types) == (types, ())


def test_scripts_that_watch_are_beside_any_application(write: Write) -> None:
    files = write({"index.html": "", "package.json": package(**{"css:watch": "x"}), "bun.lock": ""})
    types = {"web": "python3 -m http.server $PORT", "release": "x"}
    expected = {"web": types["web"], "css": "bun run css:watch"}
    assert development_types(files, types) == (expected, ())


def test_assets_are_developed_beside_a_program_of_another_language(write: Write) -> None:
    files = write({"package.json": package(dev="vite", start="x")})
    types = {"web": "php -S 0.0.0.0:$PORT"}
    assert development_types(files, types) == ({**types, "assets": "npm run dev"}, ())


@pytest.mark.parametrize(
    "variable",
    [
        "DATABASE_URL: postgres://u:p@db/x",
        "DATABASE_URL: postgres://db:5432/x",
        "QUEUE: db:6379",
        "DB_HOST: db",
    ],
)
def test_a_host_that_only_compose_has_is_told(write: Write, variable: str) -> None:
    services = f"services: {{web: {{command: x, environment: {{{variable}}}}}, db: {{image: y}}}}"
    guess = compose(write({"compose.yaml": services}))
    name = variable.partition(":")[0]
    told = f'service "web" has the host "db" in "{name}", which exists in Compose alone'
    assert guess is not None
    assert guess.remarks[0] == f"{told}: name another one in .env"


@pytest.mark.parametrize("variable", ["NAME: db", "URL: http://x/db", "URL: http://db.example.com"])
def test_a_host_that_others_have_too_is_not_told(write: Write, variable: str) -> None:
    services = f"services: {{db: {{command: x, environment: {{{variable}}}}}}}"
    guess = compose(write({"compose.yaml": services}))
    assert guess is not None
    assert guess.remarks == ()


COMPOSE = """
services:
  web:
    build: .
    command: ./serve --port 5000
    environment: {DEBUG: true, EMPTY: "", CALLERS: , PRICE: 5$$}
  work.er:
    build: .
    command: [bundle, exec, "a b"]
    environment: [QUEUE=high, NAME]
  db:
    image: postgres:17
  script:
    command: |
      one
      two
  proxy: {}
"""


def test_services_with_a_command_are_types(write: Write) -> None:
    guess = compose(write({"docker-compose.yml": COMPOSE}))
    assert guess == Guess(
        found="docker-compose.yml",
        types={"web": "./serve --port $PORT", "work-er": "bundle exec 'a b'"},
        config={"DEBUG": "true", "EMPTY": "", "PRICE": "5$", "QUEUE": "high"},
        remarks=(
            'service "db" has no command (image postgres:17); start it separately',
            'service "script" has a command of several lines: put it into a script',
            'service "proxy" has neither a command nor an image; start it separately',
        ),
    )


@pytest.mark.parametrize(
    ("service", "command"),
    [
        ("web: {command: gunicorn -b 0.0.0.0:8000 x}", "gunicorn -b 0.0.0.0:$PORT x"),
        ("web: {command: [flask, run, --port=80]}", "flask run --port=$PORT"),
        ("web: {command: python manage.py runserver 8000}", "python manage.py runserver $PORT"),
        ("web: {command: serve -addr :8080}", "serve -addr :$PORT"),
        ("web: {command: ['sh', '-c', 'x; run -p 80']}", "sh -c 'x; run -p $PORT'"),
        ("api: {build: ., command: 'puma -b tcp://[::]:80'}", "puma -b tcp://[::]:$PORT"),
        ("api: {build: ., ports: ['80:9090'], command: x -p 9090}", "x -p $PORT"),
        ("api: {build: ., ports: [{target: 90}], command: x -p 90}", "x -p $PORT"),
        ("api: {build: ., expose: [90/tcp], command: 'x :90 -m :91'}", "x :$PORT -m :91"),
        ("web: {command: 'x -p ${PORT:-80}'}", "x -p ${PORT:-80}"),
        ("web: {command: x --db-port 54 http://a:80 1:20}", "x --db-port 54 http://a:80 1:20"),
    ],
)
def test_the_port_at_which_a_service_serves_is_that_of_the_dyno(
    write: Write, service: str, command: str
) -> None:
    guess = compose(write({"compose.yaml": f"services: {{{service}}}"}))
    assert guess is not None
    assert [*guess.types.values()] == [command]
    assert guess.remarks == ()


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("cache: {image: x, ports: ['6380:6380'], command: x --port 6380}", "6380"),
        ("api: {build: ., command: x --port 80}", "80"),
        ("api: {build: ., ports: ['1:90'], command: x -p 80}", "80"),
        ("web: {command: 'x -b 0.0.0.0:80 -m 0.0.0.0:90'}", "80, 90"),
        ("web: {command: [python, -c, 'serve(\":80\") # -p 80']}", "80"),
        ("api: {build: ., command: x 0.0.0.0:80}, b: {image: x, environment: [A=api:80]}", "80"),
    ],
)
def test_a_port_that_others_may_expect_stays_and_is_told(
    write: Write, service: str, ports: str
) -> None:
    guess = compose(write({"compose.yaml": f"services: {{{service}}}"}))
    assert guess is not None
    assert "PORT" not in str(guess.types)
    name = service.partition(":")[0]
    told = f'service "{name}" names port {ports}: write $PORT where that is what it serves at'
    assert guess.remarks[0] == told


@pytest.mark.parametrize(
    "text",
    ["", "[", "services: 3", "services: {web: 3}", "- a", "x: 2024-13-01", "[" * 9000, "!!bool x"],
)
def test_a_file_of_compose_that_says_nothing_has_no_types(write: Write, text: str) -> None:
    guess = compose(write({"compose.yaml": text}))
    assert guess is not None
    assert guess.types == {}
