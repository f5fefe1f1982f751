"""Read YAML that somebody else has written."""

from __future__ import annotations

from typing import TextIO


class InvalidYaml(ValueError):
    """A text is not YAML; `line` is the number of the line at fault, None if it is not known."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


def load(given: str | TextIO) -> object:
    """Return the value in a text, or in a file, of YAML.

    Raises InvalidYaml, in one line, for whatever PyYAML raises: it does not expect a value that its
    tag does not fit, such as `!!bool foo`. Raises OSError if the file cannot be read.
    """
    import yaml  # slow to import, and rarely needed

    try:
        return yaml.safe_load(given)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidYaml(" ".join(str(error).split()), mark and mark.line + 1) from error
    except RecursionError as error:
        raise InvalidYaml("it is nested too deeply") from error
    except (AttributeError, LookupError, OverflowError, TypeError) as error:
        raise InvalidYaml("it has a value that its tag does not fit") from error
