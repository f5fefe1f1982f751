"""The images of stacks."""

from __future__ import annotations

from collections.abc import Mapping

from hsup.errors import DriverError, UsageError
from hsup.numerals import are_digits

VARIABLE = "DOCKER_STACKS"
DEFAULT_STACK = "heroku-24"

#: The names of Heroku's stacks before the hyphen. What stands behind it is the tag of the image.
_HEROKU = frozenset({"heroku", "cedar"})


class Stacks:
    """The images in DOCKER_STACKS, and those of Heroku's stacks."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the environment variable. Raises UsageError if it is invalid."""
        self._images: dict[str, str] = {}
        for word in environ.get(VARIABLE, "").split():
            name, equals, image = word.partition("=")
            if not (name and equals and image):
                hint = "write, for example, cedar-14=heroku/cedar:14"
                text = f'{VARIABLE}: "{word}" is not of the form STACK=IMAGE'
                raise UsageError(text, hint=hint)
            self._images[name] = image

    def image(self, stack: str | None) -> str:
        """Return the name of a stack's image. Raises DriverError for an unknown stack."""
        name = stack or DEFAULT_STACK
        if name in self._images:
            return self._images[name]
        family, _, number = name.partition("-")
        if family in _HEROKU and are_digits(number):
            return f"heroku/{family}:{number}"
        hint = f"set {VARIABLE}={name}=IMAGE"
        raise DriverError(f'no image is known for the stack "{name}"', hint=hint)
