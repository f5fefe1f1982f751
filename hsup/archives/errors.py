"""What can go wrong with a slug."""

from __future__ import annotations

from hsup.errors import DriverError


class SlugError(DriverError):
    """A slug cannot be had, or cannot be unpacked."""


class SlugDenied(SlugError):
    """A server answers that there is no such slug, or not for us (401, 403, 404, 410).

    URLs of the platform are signed and expire: whoever gave it should ask for
    a new one.
    """


class SlugUnreachable(SlugError):
    """A server cannot be reached, or breaks off; the same may work later."""


class SlugUnchanged(SlugError):
    """A server answers that it has nothing newer than what is known."""


class HostileSlug(SlugError):
    """A member of the archive would do harm, or is of no use in a dyno."""


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
