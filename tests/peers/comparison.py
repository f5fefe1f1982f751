"""Run every construct of the tables with every program: `make peers`.

The name of this file has pytest leave it out unless it is asked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.env_constructs import ENV_CONSTRUCTS, FAILS, EnvConstruct
from tests.peers.procfile_constructs import PROCFILE_CONSTRUCTS, ProcfileConstruct
from tests.peers.programs import PROGRAMS, make_serve, runs_in, start, what_ran

#: The longest that any of the programs takes to start the second process after the first.
STAY_SECONDS = 1.5


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("construct", ENV_CONSTRUCTS, ids=lambda one: one.shown)
def test_a_program_reads_an_env_file_as_the_table_says(
    program: str, construct: EnvConstruct, tmp_path: Path
) -> None:
    make_serve(tmp_path, seconds=0)
    (tmp_path / "Procfile").write_text("web: serve\n")
    (tmp_path / ".env").write_bytes(construct.file)
    output = start(program, tmp_path)
    seen = [run.environ.get("A") for run in runs_in(tmp_path)]
    expected = getattr(construct, program)
    assert seen == ([] if expected is FAILS else [expected]), output


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "dotenv"])
@pytest.mark.parametrize("construct", PROCFILE_CONSTRUCTS, ids=lambda one: one.shown)
def test_a_program_runs_of_a_procfile_what_the_table_says(
    program: str, construct: ProcfileConstruct, tmp_path: Path
) -> None:
    serve = make_serve(tmp_path, STAY_SECONDS)
    (tmp_path / "Procfile").write_bytes(construct.file(serve))
    output = start(program, tmp_path)
    assert what_ran(tmp_path) == getattr(construct, program), output
