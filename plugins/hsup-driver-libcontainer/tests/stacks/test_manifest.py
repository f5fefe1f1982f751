from __future__ import annotations

import pytest

from hsup_driver_libcontainer.stacks.manifest import Entry, parse, shown

SHA256 = "0" * 64


def faults(text: str) -> list[str]:
    return [str(fault) for fault in parse(text).faults]


def test_a_manifest_is_a_list_of_stacks() -> None:
    text = f"""
- name: cedar-14
  version: 1.10
  url: https://example.com/cedar.img.gz
  checksum: SHA256:{"AB" * 32}
  primary: true
- name: plain
  url: /srv/root
"""
    assert parse(text) == (
        (
            Entry(
                "cedar-14",
                "1.10",
                "https://example.com/cedar.img.gz",
                f"sha256:{'ab' * 32}",
                primary=True,
            ),
            Entry("plain", None, "/srv/root"),
        ),
        (),
    )


def test_a_manifest_of_the_go_program_is_read_with_a_warning() -> None:
    text = f"- {{name: cedar, version: 3, url: 'http://e.com/c.img.gz', md5: {'0' * 32}}}"

    parsed = parse(text)

    assert parsed.entries == (Entry("cedar", "3", "http://e.com/c.img.gz", f"md5:{'0' * 32}"),)
    assert [str(fault) for fault in parsed.faults] == [
        'line 1, "md5" of stack "cedar": can be forged; use "checksum: sha256:…" instead'
    ]
    assert parsed.faults[0].is_warning


def test_an_unprotected_url_without_a_checksum_is_a_warning() -> None:
    parsed = parse("- name: a\n  url: http://example.com/a.tar")

    assert [(fault.place, fault.is_warning) for fault in parsed.faults] == [
        ('line 2, "url" of stack "a"', True)
    ]
    assert parsed.entries


@pytest.mark.parametrize("url", ["file:///a%20root", "file://localhost/a%20root", "/a root"])
def test_a_url_of_a_file_is_its_path(url: str) -> None:
    assert parse(f"- name: a\n  url: {url}") == ((Entry("a", None, "/a root"),), ())


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("file://host/root", '"file://host/root" names a file on another machine, "host"'),
        ("file://[root", "the stack's URL has an invalid host"),
        ("file://localhost", '"file://localhost" has no valid path'),
        ("file:///a%00b", '"file:///a%00b" has no valid path'),
    ],
)
def test_a_url_of_no_file_is_told(url: str, problem: str) -> None:
    (told,) = faults(f"- name: a\n  url: '{url}'")
    assert told.startswith(
        f'line 2, "url" of stack "a": must name a file on this machine: {problem}'
    )


def test_an_empty_manifest_has_no_stacks() -> None:
    assert parse("# nothing yet\n") == ((), ())


def test_every_fault_is_told_with_its_place_and_remedy() -> None:
    text = """\
- name: a b
  version: [1]
  url: ftp://user:secret@example.com/x
  checksum: 12
  primary: maybe
  colour: red
- name: twice
  url: /a
  name: again
- just a word
- version: 1
- name: same
  url: /a
  primary: true
- name: same
  url: /b
  primary: true
"""
    words = "must be letters, digits, dots, hyphens and underscores, at most 100"
    keys = "name, version, url, checksum, md5, primary"
    only = 'only one stack can be primary, and "same" on line 12 already is'
    kinds = "docker://, https://, http:// or file://"
    assert faults(text) == [
        f"line 1, \"name\": {words}, got 'a b'",
        'line 2, "version": must be a single value',
        (
            f'line 3, "url" of stack "a b": must begin with {kinds}, or be an absolute path, '
            "got 'ftp://example.com/x'"
        ),
        'line 4, "checksum" of stack "a b": must be 64 hexadecimal digits, got \'12\'',
        'line 5, "primary" of stack "a b": must be true or false, got \'maybe\'',
        f'line 6, "colour": is not a key of a stack; use {keys}',
        'line 9, "name": is duplicated; remove one',
        "line 10: a stack must be a mapping with name and url",
        'line 11: a stack has no "name"',
        'line 11: stack "" has no "url"',
        'line 15, stack "same": is already on line 12; remove one',
        f'line 15, "primary" of stack "same": {only}',
    ]
    assert parse(text).entries == ()


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: 1", "line 1: the manifest must be a list"),
        ("- a: [", "line 1, column 7: must be YAML: "),
        ("- \t- x", "line 1, column "),
        ("[" * 1100, "must be YAML: "),
        ("- &a [*a]", "line 1: a stack must be a mapping"),
        ("--- 1\n--- 2", "line 2, column 1: must be YAML: "),
        ("\x00", "must be YAML: "),
    ],
)
def test_what_is_no_manifest_is_one_fault(text: str, start: str) -> None:
    assert len(faults(text)) == 1
    assert faults(text)[0].startswith(start)


def test_aliases_that_multiply_are_not_followed() -> None:
    bomb = "- &a0 [x]\n" + "".join(f"- &a{n + 1} [{f'*a{n},' * 9}]\n" for n in range(30))

    assert len(faults(bomb)) == 31


def test_passwords_and_tokens_of_a_url_are_not_shown() -> None:
    assert shown("https://me:secret@example.com/a.tar?token=1") == "https://example.com/a.tar"
    assert shown("https://me:sec@ret@example.com/a.tar#token") == "https://example.com/a.tar"
    assert "secret" not in shown("https://me:p/secret@example.com/a.tar")
    assert shown("/srv/a?b@c") == "/srv/a?b@c"


@pytest.mark.parametrize(
    "url",
    [
        "docker://me:secret@registry.example.com/a:1",
        "docker://me:x/secret@registry.example.com/a:1",
        "docker://registry.example.com/a:1?token=secret",
        "https://me:p/secret@example.com/a.tar",
        "https://me:p#secret@example.com/a.tar",
        "ftp://me:secret@example.com/a.tar",
        "file://me:secret@example.com/a.tar",
    ],
)
def test_a_url_that_is_refused_is_not_shown_with_its_password(url: str) -> None:
    (fault,) = faults(f"- {{name: a, url: '{url}'}}")
    assert "secret" not in fault


def test_an_image_may_be_named_by_its_digest() -> None:
    url = f"docker://registry.example.com:5000/a/b:1@sha256:{'0' * 64}"
    assert faults(f"- {{name: a, url: '{url}'}}") == []


@pytest.mark.parametrize("text", [r'"\U99999999"', r'"\U00110000"', "[" * 9000])
def test_what_the_reader_of_yaml_does_not_expect_is_a_fault(text: str) -> None:
    (fault,) = faults(text)
    assert "must be YAML: " in fault
