"""Runtimes that size themselves by their cgroup: for the dyno, and not for the machine."""

from __future__ import annotations

import json
import os
import re

import pytest

from ftest.program import Hsup

MIB = 1 << 20
CPUS = len(os.sched_getaffinity(0))

#: (size, its memory in MiB, the most processors that a dyno of it has)
SIZES = [("standard-1x", 512, 8), ("standard-2x", 1024, 8), ("performance-m", 2560, 2)]

JAVA = "java -XX:+PrintFlagsFinal -XshowSettings:system -version 2>&1"
NODE = """node -p 'JSON.stringify({
    memory: process.constrainedMemory(),
    heap: require("v8").getHeapStatistics().heap_size_limit,
    cpus: os.availableParallelism(),
})'"""
#: As psutil, joblib and gunicorn's documentation have it.
PYTHON = """python3 -c '
import os
for path in "memory/memory.limit_in_bytes", "memory.max":
    try:
        print(open("/sys/fs/cgroup/" + path).read().strip(), len(os.sched_getaffinity(0)))
        break
    except OSError:
        pass
'"""


@pytest.fixture(autouse=True)
def runtimes(hsup: Hsup, request: pytest.FixtureRequest) -> None:
    directory = request.config.getoption("--runtimes")
    if not directory.exists():
        pytest.skip(f"{directory} is not there: make build/runtimes makes it")
    hsup.environ["HSUP_STACKS_DIR"] = str(hsup.directory / "stacks")
    done = hsup.call("stacks", "import", "runtimes", str(directory), "--primary")
    assert done.status == 0, done
    hsup.procfile(one="true")


@pytest.mark.parametrize(("size", "memory", "cpus"), SIZES)
def test_java_takes_a_quarter_of_the_dynos_memory_for_its_heap(
    hsup: Hsup, size: str, memory: int, cpus: int
) -> None:
    said = hsup.call("run", "--size", size, JAVA, timeout=60).text
    (heap,) = re.findall(r" MaxHeapSize += (\d+)", said)
    assert int(heap) == pytest.approx(memory * MIB // 4, abs=8 * MIB)
    assert f"Effective CPU Count: {min(cpus, CPUS)}\n" in said


@pytest.mark.parametrize(("size", "memory", "cpus"), SIZES)
def test_node_knows_the_dynos_memory_and_processors(
    hsup: Hsup, size: str, memory: int, cpus: int
) -> None:
    found = json.loads(hsup.call("run", "--size", size, NODE, timeout=60).text)
    assert found["memory"] == memory * MIB
    assert memory * MIB // 4 < found["heap"] < memory * MIB
    assert found["cpus"] == min(cpus, CPUS)


@pytest.mark.parametrize(("size", "memory", "cpus"), SIZES)
def test_python_reads_the_dynos_memory_and_processors(
    hsup: Hsup, size: str, memory: int, cpus: int
) -> None:
    assert hsup.call("run", "--size", size, PYTHON).text == f"{memory * MIB} {min(cpus, CPUS)}\n"
