from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hsup_driver_docker.engine.frames import STDERR, STDOUT, Demultiplexer

FRAMES = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=300)))


def stream_of(frames: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack(">BxxxI", one, len(data)) + data for one, data in frames)


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 2000)))
def test_every_byte_comes_out_on_its_stream_however_the_pieces_are_cut(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = stream_of(frames)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    demultiplexer = Demultiplexer()
    got = {STDOUT: b"", STDERR: b""}
    for start, end in pairwise(places):
        for one, piece in demultiplexer.feed(stream[start:end]):
            got[one] += piece
    for one, data in got.items():
        assert data == b"".join(content for stream_, content in frames if stream_ == one)


def test_nothing_is_kept_back_until_a_frame_is_whole() -> None:
    demultiplexer = Demultiplexer()
    stream = stream_of([(STDOUT, b"a prompt")])
    assert [bytes(piece) for _, piece in demultiplexer.feed(stream[:11])] == [b"a p"]
    assert [bytes(piece) for _, piece in demultiplexer.feed(stream[11:])] == [b"rompt"]
