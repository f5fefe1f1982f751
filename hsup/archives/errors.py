"""The errors of archives: those of slugs and of stacks."""

from __future__ import annotations

from hsup.errors import DriverError
from hsup.model import PlatformLine


class SlugError(DriverError):
    """A slug cannot be fetched, or cannot be unpacked."""


class SlugDenied(SlugError):
    """A server has no such slug, or does not let hsup read it (401, 403, 404, 410).

    URLs of the platform are signed and expire: the source should ask for a new one.
    """


class SlugUnreachable(SlugError):
    """A server cannot be reached, or breaks off; a later try may succeed."""


class SlugUnchanged(SlugError):
    """A server answers that the slug has not changed since it was last fetched."""


class HostileSlug(SlugError):
    """An archive would do harm, exceeds a limit, or has a member of no use in a dyno."""


class ChecksumError(SlugError):
    """The archive is not the one that the release was made with: the platform's R17."""

    code = "R17"

    def __init__(self, expected: str, actual: str, *, hint: str) -> None:
        self.expected, self.actual = expected, actual
        # The platform's text to the letter, its missing "not" included.
        text = (
            "Error R17 (Checksum error) -> Checksum does match expected value. "
            f"Expected: SHA256:{expected} Actual: SHA256:{actual}"
        )
        super().__init__(text, hint=hint)
        facts = {"expected": f"SHA256:{expected}", "actual": f"SHA256:{actual}"}
        self.platform_line = PlatformLine(text, facts)
