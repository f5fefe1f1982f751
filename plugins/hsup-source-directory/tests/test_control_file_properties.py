"""Any bytes give either a release or printable faults."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hsup_source_directory.control_file import Parsed, parse

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
processes = st.fixed_dictionaries(
    {},
    optional={"Args": json_values | st.lists(words), "Quantity": json_values, "Type": json_values},
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "Version": json_values,
        "Name": json_values,
        "Env": json_values | st.dictionaries(words, json_values),
        "Slug": json_values,
        "Stack": json_values,
        "LogplexURL": json_values,
        "LogDrains": json_values | st.lists(json_values),
        "Processes": json_values | st.lists(processes | json_values),
        "processes": json_values,
    },
)
releases = st.fixed_dictionaries(
    {
        "Version": st.integers(0, 2**63 - 1),
        "Name": st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
        "Env": st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]*", fullmatch=True), words),
        "Slug": lines,
        "Stack": lines,
        "LogplexURL": lines,
        "LogDrains": st.lists(lines),
        "Processes": st.lists(
            st.fixed_dictionaries(
                {
                    "Args": st.tuples(words.filter(str.strip), words).map(list)
                    | st.tuples(words.filter(str.strip)).map(list),
                    "Quantity": st.integers(0, 10_000),
                    "Type": st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True),
                }
            ),
            unique_by=lambda process: process["Type"],
        ),
    }
)


def check_faults(found: Parsed) -> None:
    assert (found.release is None) == bool(found.errors)
    for fault in found.faults:
        str(fault).encode()
        assert "\n" not in str(fault)
        assert "\0" not in str(fault)


@given(st.binary())
def test_bytes_give_faults_and_never_an_exception(content: bytes) -> None:
    check_faults(parse(content, app=None, default_app="directory"))


@given(json_values | near_misses)
def test_json_gives_a_release_or_faults_and_never_an_exception(value: object) -> None:
    check_faults(parse(json.dumps(value).encode(), app=None, default_app="directory"))


@given(releases, st.sampled_from([None, 2]), st.booleans())
def test_a_good_file_gives_what_it_says(
    value: dict[str, Any], indent: int | None, ensure_ascii: bool
) -> None:
    content = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii).encode()
    found = parse(content, app=None, default_app="directory")
    assert found.faults == ()
    release = found.release
    assert release is not None
    assert release.slug is not None
    assert value == {
        "Version": release.version,
        "Name": release.app,
        "Env": release.config,
        "Slug": release.slug.location,
        "Stack": release.stack,
        "LogplexURL": release.logplex_url,
        "LogDrains": [one.url for one in release.drains],
        "Processes": [
            {"Args": list(one.command.words), "Quantity": one.quantity, "Type": one.name}
            for one in release.processes
        ],
    }
