from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.isolation.capture import Capture


@given(chunks=st.lists(st.binary(max_size=40), max_size=30), limit=st.integers(0, 60))
def test_beginning_and_end_are_kept_and_the_gap_is_counted(chunks: list[bytes], limit: int) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as sink:
        capture = Capture(reader, limit)
        for chunk in filter(None, chunks):
            sink.write(chunk)
            assert capture.read_once()
    assert not capture.read_once()
    os.close(reader)
    whole = b"".join(chunks)
    assert capture.dropped == max(0, len(whole) - limit)
    if capture.dropped:
        head, tail = limit - limit // 2, limit // 2
        gap = f"\n... {capture.dropped} bytes dropped ...\n".encode()
        assert capture.kept == whole[:head] + gap + whole[len(whole) - tail :]
    else:
        assert capture.kept == whole


def test_a_pipe_with_nothing_in_it_does_not_block() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    assert not Capture(reader, 10).read_once()
    os.close(reader)
    os.close(writer)
