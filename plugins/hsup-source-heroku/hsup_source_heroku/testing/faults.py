"""The faults of answers."""

from __future__ import annotations

import functools
import json
import operator
import time
from collections.abc import Mapping
from dataclasses import replace

from hsup_source_heroku.testing.answers import Fault, HttpAnswer, error


class Faults:
    """Makers of faults, which turn a correct answer into a wrong one."""

    @staticmethod
    def status(status: int, headers: Mapping[str, str] | None = None) -> Fault:
        """Answer with an error: `status(429, {"Retry-After": "7"})`."""
        return lambda _: error(status, headers)

    @staticmethod
    def slow(seconds: float) -> Fault:
        """Answer late."""

        def wait(answer: HttpAnswer) -> HttpAnswer:
            time.sleep(seconds)
            return answer

        return wait

    @staticmethod
    def broken_json() -> Fault:
        """Leave out the last character of an answer."""
        return lambda answer: replace(answer, body=answer.body[:-1])

    @staticmethod
    def nested() -> Fault:
        """Add an unknown key whose value is nested deeper than a parser follows."""
        deep = b'{"x": ' + b"[" * 200_000

        def nest(answer: HttpAnswer) -> HttpAnswer:
            return replace(answer, body=b"[" + deep if answer.body.startswith(b"[") else deep)

        return nest

    @staticmethod
    def without(field: str, *, is_null: bool = False) -> Fault:
        """Remove a field of an answer, or make it null; `user.email` is a field in a field."""
        *above, last = field.split(".")

        def change(answer: HttpAnswer) -> HttpAnswer:
            content = json.loads(answer.body)
            for one in content if isinstance(content, list) else [content]:
                inner = functools.reduce(operator.getitem, above, one)
                if is_null:
                    inner[last] = None
                else:
                    del inner[last]
            return replace(answer, body=json.dumps(content).encode())

        return change

    @staticmethod
    def cut() -> Fault:
        """Close the connection in the middle of the body."""
        return lambda answer: replace(answer, is_cut=True)

    @staticmethod
    def not_utf8() -> Fault:
        """Put a byte that is invalid in UTF-8 at the beginning of each value."""
        return lambda answer: replace(answer, body=answer.body.replace(b': "', b': "\xff'))

    @staticmethod
    def not_modified() -> Fault:
        """Answer 304 to a request without a condition."""
        return lambda answer: replace(answer, status=304, body=b"")

    @staticmethod
    def redirect() -> Fault:
        """Redirect to the same URL."""
        return lambda answer: replace(answer, status=302, headers={"Location": "/schema"})

    @staticmethod
    def endless() -> Fault:
        """Answer with pages that always have a next one."""
        more = {"Next-Range": "version ]1..; max=100, order=desc"}
        return lambda answer: replace(answer, status=206, headers={**answer.headers, **more})

    @staticmethod
    def drip(seconds: float) -> Fault:
        """Send the body byte by byte."""
        return lambda answer: replace(answer, pause_seconds=seconds)

    @staticmethod
    def hang_up() -> Fault:
        """Close the connection before any answer."""
        return lambda _: None
