"""Read YAML that somebody else has written."""

from __future__ import annotations

from typing import TextIO


def load(given: str | TextIO) -> object:
    """Return the value in a text, or in a file, of YAML.

    Raises ValueError, in one line, for whatever PyYAML raises: it does not expect a value that its
    tag does not fit, such as `!!bool foo`. Raises OSError if the file cannot be read.
    """
    import yaml  # slow to import, and rarely needed

    try:
        return yaml.safe_load(given)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (AttributeError, LookupError, OverflowError, TypeError) as error:
        raise ValueError("it has a value that its tag does not fit") from error
