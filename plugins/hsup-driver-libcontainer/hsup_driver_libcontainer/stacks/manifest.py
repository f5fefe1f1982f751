"""The format of manifest.yml: a list of stacks.

    - name: cedar-14
      version: "1.10"
      url: https://example.com/cedar-14-1.10.img.gz
      checksum: sha256:0123…
      primary: true

Only `name` and `url` are required. The manifests of the Go program have `md5` in place of
`checksum`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hsup.archives.errors import SlugError
from hsup.archives.location import path_of_url, shown_url
from hsup.model import IMAGE_SCHEME, Fault

if TYPE_CHECKING:
    import yaml

#: Also a directory's name in the store, so without the separators of mount options.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGITS = {"sha256": 64, "md5": 32}
_KEYS = ("name", "version", "url", "checksum", "md5", "primary")
_WEB = ("http://", "https://")
_SCHEMES = (*_WEB, IMAGE_SCHEME, "/")
#: An image without a user in front of its host; the registry checks the rest.
_IMAGE = re.compile(rf"{IMAGE_SCHEME}[^@?#\s]+(@sha256:[0-9a-f]{{64}})?")
#: Shown in place of a URL whose secret parts cannot be recognized.
_NO_URL = "a URL"
_WORD_HINT = "must be letters, digits, dots, hyphens and underscores, at most 100"


class Entry(NamedTuple):
    """A known stack: its name, its version, and where to get it.

    `url` begins with `http://`, `https://` or `docker://` (an image in a registry), or is the
    absolute path of a directory, archive or disk image. `checksum` is `sha256:` or
    `md5:` and the digits in lower case.
    """

    name: str
    version: str | None
    url: str
    checksum: str | None = None
    primary: bool = False

    @property
    def image(self) -> str | None:
        """Return the name of the image in a registry, None for a stack from elsewhere."""
        return self.url.removeprefix(IMAGE_SCHEME) if self.url.startswith(IMAGE_SCHEME) else None

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name


class Parsed(NamedTuple):
    """The stacks of a manifest, and all its faults."""

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]


def check_word(what: str, word: str) -> str | None:
    """Return what is wrong with a stack's name or version, None if it is valid."""
    return None if _WORD.fullmatch(word) else f"{what} {_WORD_HINT}, got {word!r}"


def check_url(url: str) -> str | None:
    """Return what is wrong with the URL of a stack, None if it is valid."""
    if url.startswith("file://"):
        try:
            path_of_url(url, subject="stack")
        except SlugError as error:
            return f"url must name a file on this machine: {error}"
        return None
    if url.startswith(IMAGE_SCHEME) and not _IMAGE.fullmatch(url):
        # Not shown: any part of it may be a misplaced password.
        return "url must name an image, docker://HOST/NAME:TAG; give passwords to docker login"
    if url.startswith(_WEB) and shown(url) == _NO_URL:
        return "url must have a valid host; %-encode the special characters of a password"
    if url.startswith(_SCHEMES) and url not in _SCHEMES:
        return None
    kinds = "docker://, https://, http:// or file://"
    return f"url must begin with {kinds}, or be an absolute path, got {shown(url)!r}"


def normalized_checksum(text: str, algorithm: str = "sha256") -> str | None:
    """Return a checksum in the form of an Entry, None if it is invalid; the prefix is optional."""
    prefix, _, digits = text.strip().lower().rpartition(":")
    good = (prefix or algorithm) == algorithm and len(digits) == _DIGITS[algorithm]
    return f"{algorithm}:{digits}" if good and re.fullmatch("[0-9a-f]+", digits) else None


def shown(url: str) -> str:
    """Return a URL without the parts that may be a password, and a path unchanged."""
    if url.startswith("/"):
        return url
    try:
        return shown_url(url)
    except SlugError:
        return _NO_URL


def parse(text: str) -> Parsed:
    """Return the stacks of a manifest; none if a fault is an error."""
    # Nodes of YAML are read, not values: 1.10 is a version, not a number.
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        return Parsed((), (_syntax_fault(error),))
    except (yaml.YAMLError, RecursionError, OverflowError, ValueError) as error:
        return Parsed((), (Fault("", f"must be YAML: {str(error).splitlines()[0]}"),))
    if root is None:
        return Parsed((), ())
    reader = _Reader()
    entries = reader.entries(root)
    refused = any(not fault.is_warning for fault in reader.faults)
    return Parsed(() if refused else entries, tuple(reader.faults))


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Fault(place, f"must be YAML: {error.problem or error.context}")


class _Reader:
    """Reads YAML nodes, and notes their faults."""

    def __init__(self) -> None:
        self._faults: list[tuple[int, Fault]] = []

    @property
    def faults(self) -> list[Fault]:
        """Return the faults in the order of the file."""
        return [fault for _, fault in sorted(self._faults, key=lambda noted: noted[0])]

    def entries(self, root: yaml.Node) -> tuple[Entry, ...]:
        import yaml

        if not isinstance(root, yaml.SequenceNode):
            self._note(root, "", "the manifest must be a list, `- name: …`")
            return ()
        read = [(node, self._entry(node)) for node in root.value]
        entries = [(node, entry) for node, entry in read if entry]
        self._check_repetition(entries)
        self._check_primary(entries)
        return tuple(entry for _, entry in entries)

    def _entry(self, node: yaml.Node) -> Entry | None:
        import yaml

        if not isinstance(node, yaml.MappingNode):
            self._note(node, "", "a stack must be a mapping with name and url")
            return None
        values = self._values(node)
        name = self._name(node, values)
        entry = Entry(
            name=name,
            version=self._version(name, values),
            url=self._url(node, name, values),
            checksum=self._checksum(name, values),
            primary=self._primary(name, values),
        )
        if entry.url.startswith("http://") and not entry.checksum:
            problem = "needs a checksum: what comes over http:// may have been altered in transit"
            self._note(values["url"], _of("url", name), problem, is_warning=True)
        return entry

    def _values(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        import yaml

        values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            word = str(key.value)
            if word not in _KEYS:
                self._note(key, f'"{word}"', f"is not a key of a stack; use {', '.join(_KEYS)}")
            elif word in values:
                self._note(key, f'"{word}"', "is duplicated; remove one")
            elif not isinstance(value, yaml.ScalarNode):
                self._note(value, f'"{word}"', "must be a single value")
            else:
                values[word] = value
        return values

    def _name(self, node: yaml.Node, values: Mapping[str, yaml.Node]) -> str:
        if "name" not in values:
            self._note(node, "", 'a stack has no "name"')
            return ""
        return self._word("name", '"name"', values)

    def _version(self, name: str, values: Mapping[str, yaml.Node]) -> str | None:
        return self._word("version", _of("version", name), values) if "version" in values else None

    def _word(self, key: str, place: str, values: Mapping[str, yaml.Node]) -> str:
        word = str(values[key].value)
        if check_word("", word):
            self._note(values[key], place, f"{_WORD_HINT}, got {word!r}")
        return word

    def _url(self, node: yaml.Node, name: str, values: Mapping[str, yaml.Node]) -> str:
        if "url" not in values:
            self._note(node, "", f'stack "{name}" has no "url"')
            return ""
        url = str(values["url"].value)
        problem = check_url(url)
        if problem:
            self._note(values["url"], _of("url", name), problem.removeprefix("url "))
            return url
        return path_of_url(url) if url.startswith("file://") else url

    def _checksum(self, name: str, values: Mapping[str, yaml.Node]) -> str | None:
        for key, algorithm in (("checksum", "sha256"), ("md5", "md5")):
            if key not in values:
                continue
            text = str(values[key].value)
            checksum = normalized_checksum(text, algorithm)
            if checksum is None:
                expected = f"{_DIGITS[algorithm]} hexadecimal digits"
                self._note(values[key], _of(key, name), f"must be {expected}, got {text!r}")
            elif algorithm == "md5":
                problem = 'can be forged; use "checksum: sha256:…" instead'
                self._note(values[key], _of(key, name), problem, is_warning=True)
            return checksum
        return None

    def _primary(self, name: str, values: Mapping[str, yaml.Node]) -> bool:
        if "primary" not in values:
            return False
        word = str(values["primary"].value).lower()
        if word not in ("true", "false", "yes", "no"):
            self._note(
                values["primary"], _of("primary", name), f"must be true or false, got {word!r}"
            )
        return word in ("true", "yes")

    def _check_repetition(self, entries: Sequence[tuple[yaml.Node, Entry]]) -> None:
        lines: dict[tuple[str, str | None], int] = {}
        for node, entry in entries:
            first = lines.setdefault(entry[:2], node.start_mark.line + 1)
            if entry.name and first != node.start_mark.line + 1:
                self._note(node, f'stack "{entry}"', f"is already on line {first}; remove one")

    def _check_primary(self, entries: Sequence[tuple[yaml.Node, Entry]]) -> None:
        primaries = [(node, entry) for node, entry in entries if entry.primary]
        for node, entry in primaries[1:]:
            other, first = primaries[0]
            line = other.start_mark.line + 1
            problem = f'only one stack can be primary, and "{first}" on line {line} already is'
            self._note(node, _of("primary", entry.name), problem)

    def _note(self, node: yaml.Node, place: str, problem: str, *, is_warning: bool = False) -> None:
        line = node.start_mark.line + 1
        where = f"line {line}, {place}" if place else f"line {line}"
        self._faults.append((line, Fault(where, problem, is_warning)))


def _of(key: str, name: str) -> str:
    return f'"{key}" of stack "{name}"'
