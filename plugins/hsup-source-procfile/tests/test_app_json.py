from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsup.validation import MAX_QUANTITY, MOST_SHOWN
from hsup_source_procfile.app_json import AppJson, parse, unused_quantities

# The first example imports the parser, which may take longer than an example should.
IMPORTING = settings(deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, AppJson()),
        ({"name": "hello"}, AppJson(name="hello")),
        ({"name": None, "buildpacks": [], "env": {"A": "b"}}, AppJson()),
        (
            {"formation": {"web": {"quantity": 2, "size": "eco"}, "clock": {"quantity": 0}}},
            AppJson(quantities={"web": 2, "clock": 0}, sizes={"web": "eco"}),
        ),
        ({"formation": {"web": {"quantity": 10_000}}}, AppJson(quantities={"web": 10_000})),
        ({"formation": {"web": {"size": "eco"}}}, AppJson(sizes={"web": "eco"})),
    ],
)
def test_names_quantities_and_sizes_are_read_and_the_rest_is_ignored(
    content: dict[str, Any], expected: AppJson
) -> None:
    assert parse(json.dumps(content)) == (expected, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: must be JSON: expecting value"),
        ('{\n  "name": x\n}', "line 2, column 11: must be JSON: expecting value"),
        ("[1]", "must be an object, got a list"),
        ('"web"', 'must be an object, got "web"'),
        ('{"formation": 3}', '"formation": must be an object, got 3'),
        ('{"formation": {"web": 3}}', '"formation" of "web": must be an object, got 3'),
        (
            '{"formation": {"web": {"quantity": 10001}}}',
            '"quantity" of "web": must be a whole number, 10000 or less, got 10001',
        ),
        *(
            (
                f'{{"formation": {{"web": {{"size": {size}}}}}}}',
                f'"size" of "web": must be the name of a dyno size, got {size}',
            )
            for size in ["2", "null", '""', '"two\\nlines"']
        ),
        *(
            (
                f'{{"formation": {{"web": {{"quantity": {quantity}}}}}}}',
                f'"quantity" of "web": must be a whole number, 0 or more, got {shown}',
            )
            for quantity, shown in [
                ("-1", "-1"),
                ("1.5", "1.5"),
                ("2.0", "2.0"),
                ("true", "true"),
                ("null", "null"),
                ('"two"', '"two"'),
                ("[2]", "a list"),
                ("{}", "an object"),
                (f'"{"x" * 80}"', f'"{"x" * 59}…'),
            ]
        ),
    ],
)
def test_what_cannot_be_used_is_a_fault_with_its_place(text: str, message: str) -> None:
    _, faults = parse(text)
    assert [str(fault) for fault in faults] == [message]
    assert not faults[0].is_warning


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 200_000, "is nested too deeply"),
        ('{"a": ' + "1" * 5_000 + "}", "contains a number with too many digits"),
    ],
)
def test_json_that_python_refuses_to_read_is_a_fault(text: str, problem: str) -> None:
    _, faults = parse(text)
    assert [fault.problem for fault in faults] == [problem]


@pytest.mark.parametrize("name", ["", 3, "two\nlines", "\ud800"])
def test_an_unusable_name_is_a_warning(name: str | int) -> None:
    app, faults = parse(json.dumps({"name": name}))
    assert app.name is None
    assert [str(fault) for fault in faults] == [
        f'"name": must be a line of text, got {json.dumps(name)}; it is ignored'
    ]
    assert faults[0].is_warning


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wbe", 'the Procfile has no such process type; did you mean "web"?'),
        ("clock", "the Procfile has no such process type"),
        ("release", "the release phase runs once for every release"),
    ],
)
def test_a_quantity_that_nothing_can_have_is_a_warning(name: str, reason: str) -> None:
    app = AppJson(quantities={"web": 1, name: 1})
    faults = list(unused_quantities(app, ["web", "release"]))
    assert [str(fault) for fault in faults] == [f'"quantity" of "{name}": is ignored: {reason}']
    assert faults[0].is_warning


@IMPORTING
@given(JSON)
def test_no_json_is_too_much_for_the_reader(content: object) -> None:
    app, _ = parse(json.dumps(content))
    assert all(0 <= quantity <= MAX_QUANTITY for quantity in app.quantities.values())


@IMPORTING
@given(st.text())
def test_no_text_is_too_much_for_the_reader(text: str) -> None:
    app, faults = parse(text)
    assert faults or app == AppJson()


@pytest.mark.parametrize("text", ["a\u200db", "a\u00a0b", "a\ue000b"], ids=ascii)
def test_a_name_and_a_size_may_have_what_a_control_file_may(text: str) -> None:
    content = {"name": text, "formation": {"web": {"size": text}}}
    assert parse(json.dumps(content)) == (AppJson(name=text, sizes={"web": text}), ())


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "\ud800"], ids=ascii)
def test_a_name_and_a_size_may_not_have_what_a_control_file_may_not(text: str) -> None:
    app, faults = parse(json.dumps({"name": text, "formation": {"web": {"size": text}}}))
    assert app == AppJson()
    assert [one.place for one in faults] == ['"name"', '"size" of "web"']


def test_of_what_is_wrong_very_often_only_the_first_is_told() -> None:
    names = [f"web{number}" for number in range(40_000)]
    _, faults = parse(json.dumps({"formation": dict.fromkeys(names, 3)}))
    assert len(faults) == MOST_SHOWN + 1
    assert str(faults[-1]) == f"{40_000 - MOST_SHOWN} more like these are not shown"
    assert not faults[-1].is_warning


def test_to_name_types_that_are_none_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("difflib.get_close_matches", lambda name, *_, **__: compared.append(name))
    app = AppJson(quantities=dict.fromkeys([f"web{number}" for number in range(40_000)], 1))
    faults = unused_quantities(app, ["web", "worker"])
    assert len(faults) == MOST_SHOWN + 1
    assert all(one.is_warning for one in faults)
    assert str(faults[-1]) == f"{40_000 - MOST_SHOWN} more like these are not shown"
    assert len(compared) <= MOST_SHOWN
    compared.clear()
    unused_quantities(AppJson(quantities={"w" * 100_000: 1}), ["web"])
    assert compared == []
