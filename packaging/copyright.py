"""Print the file `copyright` of a package that has hsup and all that it is installed with.

usage: copyright.py LICENSE

LICENSE is the file of hsup. The licences of the other distributions in the environment are those of
their metadata; for the text of a common one, Debian refers to /usr/share/common-licenses.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

#: How the texts begin that every Debian has.
_COMMON = {
    "Apache-2.0": r"Apache License\s+Version 2\.0, January 2004",
    "GPL-2": r"GNU GENERAL PUBLIC LICENSE\s+Version 2, June 1991",
    "GPL-3": r"GNU GENERAL PUBLIC LICENSE\s+Version 3, 29 June 2007",
    "MPL-2.0": r"Mozilla Public License Version 2\.0\s+=",
}
_HOLDER = re.compile(r"^\s*(Copyright (?:\(c\) )?\d.*)$", re.MULTILINE | re.IGNORECASE)
#: What python-prctl says in its metadata; its own copy of the text is that of version 3.
_GPL = "License :: OSI Approved :: GNU General Public License (GPL)"
_REFERENCE = "The text of this licence is in /usr/share/common-licenses/"
_LICENSES = re.compile(r"(?:^|/)(?:LICEN[CS]E|COPYING|NOTICE)[^/]*$", re.IGNORECASE)


def main() -> None:
    """Print the licence of hsup, then those of all that comes with it."""
    print(Path(sys.argv[1]).read_text("utf-8"))
    print("The package has these Python distributions, too, as PyPI has them.")
    for one in sorted(distributions(), key=lambda one: one.name.lower()):
        if not one.name.startswith("hsup"):
            print("\n".join(_told(one)))


def _told(distribution: Distribution) -> Iterator[str]:
    """Yield the lines about a distribution: what it is, who wrote it, and its licences."""
    heading = f"{distribution.name} {distribution.version}"
    yield f"\n\n{heading}\n{'=' * len(heading)}\n"
    yield f"https://pypi.org/project/{distribution.name}/"
    metadata = distribution.metadata.json
    if author := metadata.get("author") or metadata.get("author_email"):
        yield f"by {author}"
    texts = [one for one in distribution.files or () if _LICENSES.search(str(one))]
    if not texts and _GPL in metadata.get("classifier", ()):
        yield f"{_GPL.rpartition(' :: ')[2]}\n{_REFERENCE}GPL-3."
    for text in texts:
        yield "\n".join(_licence(text.read_text("utf-8")))


def _licence(text: str) -> Iterator[str]:
    """Yield the lines of a licence, only those with a name if the text is a common one."""
    for name, beginning in _COMMON.items():
        if re.search(beginning, text):
            yield from ("", *_HOLDER.findall(text))
            yield f"{_REFERENCE}{name}."
            return
    yield f"\n{text.strip()}"


if __name__ == "__main__":
    main()
