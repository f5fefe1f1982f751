"""Parse quantities and sizes of dynos: `web=2:standard-2x worker`, `all=1,web=2`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hsup.cli.options import Options
from hsup.errors import UsageError
from hsup.numerals import are_digits, whole_number
from hsup.supervision.formation import ALL, ScaleRequest

#: More dynos of one type than any machine runs: a larger number is a typing mistake.
_MOST_DYNOS = 10_000
#: Names nothing, and overrides the formation of a file.
_NO_FORMATION = (",",)


def asked_by(options: Options, words: Collection[str]) -> tuple[Options, ScaleRequest]:
    """Return how many dynos there should be, and the options without a formation that gives way.

    Raises UsageError.
    """
    as_released = options.quantities == "release"
    if as_released and options.is_typed("quantities"):
        if words or options.is_typed("formation"):
            text = "--quantities release cannot be used together with TYPE or --formation"
            raise UsageError(text)
        options = options.refined({"formation": _NO_FORMATION})  # that of a file or a variable
    return options, scale_request(options, words, follows_release=as_released)


def scale_request(
    options: Options, words: Iterable[str] = (), *, follows_release: bool = False
) -> ScaleRequest:
    """Return how many dynos there should be by `--formation`, and by TYPE[=N[:SIZE]] in `words`.

    Of the types in `words`, if there are any, and of no others; those without a number have the
    one of the formation. Raises UsageError.
    """
    formation = _parse_formation(options)
    others, size = formation.pop(ALL, (None, None))
    asked = parse_types(words)
    formed = {name: quantity or 0 for name, (quantity, _) in formation.items()}
    typed = {
        name: formed.get(name, 1 if others is None else others) if quantity is None else quantity
        for name, (quantity, _) in asked.items()
    }
    is_formed = bool(formation or others is not None)
    is_asked = bool(asked) or is_formed
    return ScaleRequest(
        quantities=(typed if asked else formed) if is_asked else None,
        others=0 if asked else others or 0,
        sizes={name: size for name, (_, size) in {**formation, **asked}.items() if size},
        size=size or options.size,
        follows_release=follows_release and not is_asked,
        start_number=options.start_number or 1,
        called=options.called("formation") if is_formed and not asked else "",
    )


def _parse_formation(options: Options) -> dict[str, tuple[int | None, str | None]]:
    try:
        return parse_types(options.formation, need_quantity=True)
    except UsageError as error:
        error.put_before(options.called("formation"))
        raise


def parse_types(
    words: Iterable[str], *, need_quantity: bool = False
) -> dict[str, tuple[int | None, str | None]]:
    """Return quantities and sizes by type, None for what is not said. Raises UsageError."""
    asked: dict[str, tuple[int | None, str | None]] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        number, colon, size = rest.partition(":")
        if not name:
            raise UsageError(f'"{word}": the process type is missing, as in web=2')
        if "," in word:
            text = f'"{word}": separate process types with blanks'
            raise UsageError(f"{text}: {' '.join(filter(None, word.split(',')))}")
        if need_quantity and not equals:
            raise UsageError(f'"{word}": the quantity is missing, as in web=2')
        if colon and not size:
            raise UsageError(f'"{word}": the size is missing, as in web=2:standard-2x')
        if name in asked:
            raise UsageError(f'"{word}": process type "{name}" was already given')
        asked[name] = (_parse_quantity(word, number) if equals else None, size or None)
    return asked


def _parse_quantity(word: str, number: str) -> int:
    if not are_digits(number):
        text = f'"{word}": the quantity must be a whole number, 0 or more, got "{number}"'
        raise UsageError(text)
    quantity = whole_number(number.lstrip("0") or "0")
    if quantity is None or quantity > _MOST_DYNOS:
        raise UsageError(f'"{word}": the quantity must be at most {_MOST_DYNOS}')
    return quantity
