"""Real shells complete the command line of hsup, as somebody who types it sees it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest

from ftest.program import Hsup
from ftest.terminal import Terminal

#: Interactive, without the files of this machine.
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
#: What each then reads.
LOAD = {
    "bash": """eval "$(hsup completion bash)"; bind 'set show-all-if-ambiguous on'""",
    "zsh": 'autoload -Uz compinit; compinit -u; eval "$(hsup completion zsh)"',
    "fish": "hsup completion fish | source",
}
#: Sets the prompt, and does not look like it.
PROMPT = {
    "bash": "PS1='NE''XT> '",
    "zsh": "PS1='NE''XT> '",
    "fish": "function fish_prompt; echo NE'XT> '; end",
}
#: Words that are typed before a tab, and the line that they become.
LINES = {
    "hsup comp": "hsup completion",
    "hsup start --driver si": "hsup start --driver simple",
    "hsup start --driver=si": "hsup start --driver=simple",
    "hsup -d si": "hsup -d simple",
    "hsup start --driver=simple --source=proc": "hsup start --driver=simple --source=procfile",
    "hsup start --driver=simple w": "hsup start --driver=simple web",
    "hsup start w": "hsup start web",
    "hsup start web --log-f": "hsup start web --log-format",
    "hsup start --log-format sc": "hsup start --log-format screen",
    "hsup start -d docker --size performance-2": "hsup start -d docker --size performance-2xl",
    "hsup start -d docker web=2:performance-2": "hsup start -d docker web=2:performance-2xl",
    "hsup start web=2:": "hsup start web=2:",
    "hsup start -m web=1,te": "hsup start -m web=1,test",
    "hsup start -c all=0,we": "hsup start -c all=0,web",
    "hsup start --formation=web=2,te": "hsup start --formation=web=2,test",
    "hsup start --only web,t": "hsup start --only web,test",
    "hsup start --only=web,t": "hsup start --only=web,test",
    "hsup start -e dev.env,envs/b": "hsup start -e dev.env,envs/base.env",
    "hsup start -e dev.env,env": "hsup start -e dev.env,envs/",
    "hsup start --env-file=dev.env,envs/b": "hsup start --env-file=dev.env,envs/base.env",
    "hsup start --exit-code-from we": "hsup start --exit-code-from web",
    "hsup start -f Procfile.d": "hsup start -f Procfile.dev",
    "hsup start -f Procfile.dev c": "hsup start -f Procfile.dev css",
    "hsup check --env-file=de": "hsup check --env-file=dev.env",
    "hsup export sys": "hsup export systemd",
    "hsup stacks pull mi": "hsup stacks pull mine-24",
    "hsup completion --ins": "hsup completion --install",
}
STACKS = "- {name: mine-24, url: /srv/mine}\n"

pytestmark = pytest.mark.simple_only("a shell completes the same with every driver")


@pytest.fixture(params=SHELLS)
def shell(
    request: pytest.FixtureRequest, hsup: Hsup, terminal: Callable[..., Terminal]
) -> Terminal:
    name = request.param
    require(name)
    hsup.procfile(web="serve", other="work", test="try")
    hsup.files({"Procfile.dev": "css: watch\n", "dev.env": "A=1\n", "envs/base.env": ""})
    hsup.files({"manifest.yml": STACKS})
    screen = start(hsup, terminal, SHELLS[name])
    screen.type(f"{LOAD[name]}; {PROMPT[name]}\n")
    screen.wait_for("NEXT> ")
    return screen


def require(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")


def start(hsup: Hsup, terminal: Callable[..., Terminal], argv: tuple[str, ...]) -> Terminal:
    path = f"{hsup.path.parent}:{hsup.environ['PATH']}"
    # Without it, fish makes completions of all manuals, in the background.
    (hsup.directory / ".local/share/fish/generated_completions").mkdir(parents=True)
    home = {"HOME": str(hsup.directory), "HSUP_STACKS_DIR": str(hsup.directory)}
    return terminal(argv=list(argv), env={"PATH": path, **home}, columns=200)


def completed(screen: Terminal, typed: str) -> str:
    """Return the line that a tab makes of what is typed; ^A goes to its start."""
    screen.type(f"{typed}\t")
    screen.type("\x01printf '%s ' \x05; echo o''ver\n")
    line = screen.wait_for(r"([^\r\n]*) over\r").group(1)
    screen.wait_for("NEXT> ")
    return re.sub("\x1b[^a-zA-Z]*[a-zA-Z]", "", line)


def test_what_is_typed_is_completed(shell: Terminal) -> None:
    assert {typed: completed(shell, typed) for typed in LINES} == LINES


@pytest.mark.parametrize("typed", ["hsup nosuch w", "hsup --nosuch sta", "hsup start -d nosuch w"])
def test_words_that_are_wrong_are_told_when_they_are_run(shell: Terminal, typed: str) -> None:
    """A message would stand in the line that is typed."""
    shell.type(f"{typed}\t\x15echo o''ver\n")
    assert "hsup: " not in shell.wait_for(r"(?s)(.*)over\r").group(1)
    shell.wait_for("NEXT> ")


def test_all_that_may_come_next_is_shown(shell: Terminal) -> None:
    shell.type("hsup start --driver \t")
    for driver in ("docker", "libcontainer", "simple"):
        shell.wait_for(driver)
    shell.type("\x15echo o''ver\n")
    shell.wait_for(r"over\r")
    shell.wait_for("NEXT> ")


@pytest.mark.parametrize(
    ("name", "file", "reads"),
    [
        ("bash", ".bashrc", ". /usr/share/bash-completion/bash_completion"),
        ("zsh", ".zshrc", ""),
        ("fish", ".fish", ""),
    ],
)
def test_a_shell_knows_what_is_installed_for_it(
    hsup: Hsup, terminal: Callable[..., Terminal], name: str, file: str, reads: str
) -> None:
    """What else is to be done stands behind a colon in what is told."""
    require(name)
    hsup.procfile(web="serve")
    installed = hsup.call("completion", name, "--install", env={"HOME": str(hsup.directory)})
    assert installed.status == 0, installed.message
    remark = installed.text.partition(": ")[2]
    (hsup.directory / file).write_text(f"{reads or remark}\n")
    screen = start(hsup, terminal, (name, "-i"))
    screen.type(f"{PROMPT[name]}\n")
    screen.wait_for("NEXT> ")
    assert completed(screen, "hsup start w") == "hsup start web"
