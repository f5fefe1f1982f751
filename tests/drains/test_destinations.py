from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from hsup.api import LogEvent, Settings
from hsup.drains.destinations import Destinations, Undelivered, wanted
from hsup.errors import DrainError, DrainRefused, UsageError
from hsup.log_drain import Destination, DrainLimits
from hsup.model import Author, Drain, Release
from hsup.output.backlog import Backlog
from hsup.testing import MemoryDrain, make_batch, make_release

SETTINGS = Settings(directory="/", environ={})
ME = Author(os.geteuid(), os.getegid())
STRANGER = Author(os.geteuid() + 1, os.getegid() + 1)


class Kinds:
    """Makes drains in memory, and keeps them by what they are called."""

    def __init__(self) -> None:
        self.made: dict[str, MemoryDrain] = {}
        self.destinations: list[Destination] = []
        self.said: list[str] = []
        self.backlog = Backlog()

    def create(self, kind: str, destination: Destination) -> MemoryDrain:
        if kind == "gopher":
            raise UsageError(f'no log drain "{kind}" is installed')
        self.destinations.append(destination)
        drain = MemoryDrain(DrainLimits(wait_seconds=0.0, only_dynos=kind == "logplex"))
        self.made[f"{kind} {destination.url}"] = drain
        return drain

    def say(self, text: str, event: LogEvent) -> None:
        assert event.name in {"warning", "notice"}
        self.said.append(text)

    def add(self, lines: bytes) -> None:
        self.backlog.append(make_batch(lines))


@asynccontextmanager
async def destinations(*own: str) -> AsyncIterator[tuple[Destinations, Kinds]]:
    kinds = Kinds()
    all_of_them = Destinations(
        map(wanted, own),
        backlog=kinds.backlog,
        settings=SETTINGS,
        create=kinds.create,
        say=kinds.say,
    )
    try:
        yield all_of_them, kinds
    finally:
        await all_of_them.finish(0.0)


def released(*drains: str, author: Author | None = ME, logplex_url: str | None = None) -> Release:
    return make_release(logplex_url=logplex_url)._replace(
        drains=tuple(map(Drain, drains)), author=author
    )


async def test_each_destination_gets_every_line() -> None:
    async with destinations("https://a.example/x", "file:/var/log/b") as (all_of_them, kinds):
        kinds.add(b"one\n")
        assert await all_of_them.finish(5.0) == []
        assert set(kinds.made) == {"https https://a.example", "file file:/var/log/b"}
        assert all(drain.lines() == b"one\n" for drain in kinds.made.values())
        assert all(drain.is_closed for drain in kinds.made.values())


async def test_one_that_takes_nothing_costs_the_others_nothing_and_is_counted() -> None:
    async with destinations("https://a.example", "https://b.example") as (all_of_them, kinds):
        kinds.made["https https://a.example"].open.clear()
        for _ in range(100):
            kinds.add(b"line\n")
        await kinds.made["https https://b.example"].until(lambda drain: len(drain.lines()) == 500)
        undelivered = await all_of_them.finish(0.01)
        assert undelivered == [Undelivered("drain https://a.example", 100)]


async def test_the_drains_of_a_release_come_and_go_with_it() -> None:
    async with destinations() as (all_of_them, kinds):
        all_of_them.follow(released("https://a.example"), grace_seconds=5.0)
        kinds.add(b"one\n")
        all_of_them.follow(released("https://b.example"), grace_seconds=5.0)
        kinds.add(b"two\n")
        await all_of_them.finish(5.0)
        assert kinds.made["https https://b.example"].lines() == b"two\n"
        first = kinds.made["https https://a.example"]
        assert first.lines().startswith(b"one\n")
        assert first.is_closed


async def test_a_drain_that_stays_is_not_made_again() -> None:
    async with destinations("https://own.example") as (all_of_them, kinds):
        for _ in range(2):
            all_of_them.follow(released("https://a.example"), grace_seconds=5.0)
        assert len(kinds.destinations) == 2


async def test_the_log_url_of_a_release_has_a_kind_of_its_own() -> None:
    async with destinations() as (all_of_them, kinds):
        release = released(logplex_url="https://token:t.s@logplex.example/logs")
        all_of_them.follow(release, grace_seconds=5.0)
        assert set(kinds.made) == {"logplex https://logplex.example"}
        assert kinds.destinations[0].url.password == "t.s"


async def test_hsups_own_lines_are_not_counted_as_lost_where_they_are_not_sent() -> None:
    async with destinations() as (all_of_them, kinds):
        release = released(logplex_url="https://logplex.example/logs")
        all_of_them.follow(release, grace_seconds=5.0)
        (drain,) = kinds.made.values()
        drain.errors.append(DrainRefused("no"))
        own = make_batch(b"Stopping\n", source="hsup", event=LogEvent("notice"))
        for batch in (own, make_batch(b"one\ntwo\n"), own):
            kinds.backlog.append(batch)
        assert await all_of_them.finish(5.0) == [Undelivered("drain https://logplex.example", 2)]
        assert [batch.dyno for batch in drain.batches] == ["logplex"]
        assert drain.lines("heroku").startswith(b"Error L13: 2 messages lost since")


async def test_an_unknown_scheme_of_a_release_is_said_once_and_stops_nothing() -> None:
    async with destinations() as (all_of_them, kinds):
        for _ in range(2):
            all_of_them.follow(released("gopher://x", "https://a.example"), grace_seconds=5.0)
        assert kinds.said == ['Warning: the release\'s no log drain "gopher" is installed']
        assert set(kinds.made) == {"https https://a.example"}


@pytest.mark.parametrize(
    ("drain", "problem"),
    [
        ("file:/etc/passwd", "drain file:/etc/passwd is of this machine"),
        ("journal:", "drain journal: is of this machine"),
        ("https://a.example/?spool=/etc", 'drain https://a.example has the parameter "spool"'),
        ("https://a.example/?key=/x&cert=/y", 'drain https://a.example has the parameter "key"'),
        ("syslog+tls://a.example?key=/x", 'drain syslog+tls://a.example has the parameter "key"'),
    ],
)
@pytest.mark.parametrize("author", [STRANGER, None])
async def test_the_author_of_a_release_names_no_file_of_this_machine(
    drain: str, problem: str, author: Author | None
) -> None:
    async with destinations() as (all_of_them, kinds):
        all_of_them.follow(released(drain, author=author), grace_seconds=5.0)
        assert kinds.made == {}
        assert problem in kinds.said[0]


async def test_a_release_may_give_a_receiver_its_own_parameters() -> None:
    async with destinations() as (all_of_them, kinds):
        logs = "https://logplex.example/?key=1&cert=2&spool=3&buffer=4"
        release = released("https://a.example/?key=1", author=STRANGER, logplex_url=logs)
        all_of_them.follow(release, grace_seconds=5.0)
        assert kinds.said == []
        assert {one.url.query for one in kinds.destinations} == {"key=1", logs.partition("?")[2]}


async def test_hsups_user_may_name_files_in_a_release() -> None:
    async with destinations() as (all_of_them, kinds):
        all_of_them.follow(released("file:/var/log/app.log"), grace_seconds=5.0)
        assert set(kinds.made) == {"file file:/var/log/app.log"}


async def test_what_the_user_named_and_cannot_be_made_is_an_error() -> None:
    with pytest.raises(UsageError, match="gopher"):
        async with destinations("gopher://x"):
            pass


async def test_two_destinations_of_one_host_are_told_apart() -> None:
    async with destinations("https://a.example/1", "https://a.example/2") as (all_of_them, kinds):
        for destination in kinds.destinations:
            assert str(destination.url) == "https://a.example"
        drain = kinds.made["https https://a.example"]  # the second one
        drain.errors.append(DrainError("status 500"))
        kinds.add(b"one\n")
        await drain.until(lambda one: one.blocks)
        assert kinds.said[0] == "Warning: drain https://a.example (2): status 500"
        await all_of_them.finish(5.0)


async def test_metadata_are_those_of_the_release_that_runs() -> None:
    async with destinations("https://a.example") as (all_of_them, kinds):
        metadata: Callable[[], object] = kinds.destinations[0].metadata
        assert metadata() == {}
        release = released()._replace(metadata={"HEROKU_APP_ID": "1-2"})
        all_of_them.follow(release, grace_seconds=5.0)
        assert metadata() == {
            "HEROKU_APP_NAME": release.app,
            "HEROKU_RELEASE_VERSION": f"v{release.version}",
            "HEROKU_APP_ID": "1-2",
        }


async def test_what_a_drain_that_a_release_has_left_does_not_take_is_counted_at_the_end() -> None:
    async with destinations() as (all_of_them, kinds):
        all_of_them.follow(released("https://a.example"), grace_seconds=3600)
        kinds.made["https https://a.example"].open.clear()
        kinds.add(b"1\n2\n3\n")
        await kinds.made["https https://a.example"].until(lambda drain: drain.tried)
        all_of_them.follow(released(), grace_seconds=3600)
        for grace_seconds in (0.01, 0.0):
            undelivered = await all_of_them.finish(grace_seconds)
            assert undelivered == [Undelivered("drain https://a.example", 3)]
        assert kinds.made["https https://a.example"].is_closed


async def test_an_unusable_drain_of_a_release_is_said_once() -> None:
    async with destinations() as (all_of_them, kinds):
        for _ in range(2):
            all_of_them.follow(released("https://x y"), grace_seconds=5.0)
        assert len(kinds.said) == 1
