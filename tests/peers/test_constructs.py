"""What hsup makes of constructs that programs read differently, and how it tells faults."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hsup.model import Fault
from hsup_source_procfile import dotenv_file, procfile
from hsup_source_procfile.text_file import decode
from tests.peers.env_constructs import ENV_CONSTRUCTS, FAILS, EnvConstruct
from tests.peers.procfile_constructs import NOTHING, PROCFILE_CONSTRUCTS, ProcfileConstruct
from tests.peers.programs import environment, make_serve, runs_in, what_ran

FAULTY = [
    *(one for one in ENV_CONSTRUCTS if one.hsup is FAILS),
    *(one for one in PROCFILE_CONSTRUCTS if one.hsup == NOTHING),
]


@pytest.mark.parametrize("construct", ENV_CONSTRUCTS, ids=lambda one: one.shown)
def test_hsup_reads_an_env_file_as_the_table_says(construct: EnvConstruct) -> None:
    text = decode(construct.file)
    config, faults = ({}, (text,)) if isinstance(text, Fault) else dotenv_file.parse(text)
    is_faulty = any(not fault.is_warning for fault in faults)
    assert (FAILS if is_faulty else config.get("A")) == construct.hsup
    assert any(fault.is_warning for fault in faults) == construct.warns


@pytest.mark.parametrize("construct", PROCFILE_CONSTRUCTS, ids=lambda one: one.shown)
def test_hsup_reads_a_procfile_as_the_table_says(
    construct: ProcfileConstruct, tmp_path: Path
) -> None:
    serve = make_serve(tmp_path, seconds=0)
    text = decode(construct.file(serve))
    processes, faults = ((), (text,)) if isinstance(text, Fault) else procfile.parse(text)
    if all(fault.is_warning for fault in faults):
        for process in processes:
            environ = {**environment(tmp_path), "PORT": "5000", "DYNO": f"{process.name}.1"}
            subprocess.run(["bash", "-c", str(process.command)], env=environ, check=True)
    assert what_ran(tmp_path) == construct.hsup
    assert any(fault.is_warning for fault in faults) == construct.warns


@pytest.mark.parametrize("construct", FAULTY, ids=lambda one: one.shown)
def test_check_and_start_tell_the_same_fault_and_run_nothing(
    construct: EnvConstruct | ProcfileConstruct, tmp_path: Path
) -> None:
    serve = make_serve(tmp_path, seconds=0)
    (tmp_path / "Procfile").write_text("web: serve\n")
    if isinstance(construct, EnvConstruct):
        file, content = ".env", construct.file
    else:
        file, content = "Procfile", construct.file(serve)
    (tmp_path / file).write_bytes(content)
    checked = called("check", tmp_path)
    faults = re.findall(rf"^{file}: fault: (.+)$", checked.stdout, re.MULTILINE)
    started = called("start", tmp_path)
    more = f" (and {len(faults) - 1} more); run hsup check to list all faults"
    told = f"hsup: cannot read {file}: {faults[0]}{more if len(faults) > 1 else ''}"
    assert told in started.stderr.splitlines()
    assert (checked.returncode, started.returncode) == (1, 1)
    assert runs_in(tmp_path) == ()


def called(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hsup", command],
        cwd=directory,
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
