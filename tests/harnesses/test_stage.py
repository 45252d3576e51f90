"""What a hostile process may send. The programs here are real values of the Protocol that replay frames."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.case import Case
from assay.core.episode import Failure, Outcome
from assay.core.errors import WorldError
from assay.core.protocols import Attempt, Played
from assay.core.sandbox import Exit, Frame
from assay.core.usage import Limits
from assay.harnesses.record import Record
from assay.harnesses.script import END, OUTPUT, SPAN, End, encode_end
from assay.harnesses.stage import watch
from assay.otel.raw import RawSpan, encode_raw


class Replayed:
    """A program that sends these frames and ends like this."""

    listener: socket.socket | None = None
    listen_port = 0

    def __init__(self, frames: list[Frame], left: Exit) -> None:
        self.killed = False
        self._frames = frames
        self._left = left

    async def frames(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            yield frame

    async def exit(self) -> Exit:
        return self._left

    async def kill(self) -> None:
        self.killed = True


def attempt(turns: Any = "hi", **limits: Any) -> Attempt:
    return Attempt(
        episode_id="e",
        case=Case(id="c", input=turns),
        number=0,
        seed=1,
        trace_id="a" * 32,
        root_id="b" * 16,
        limits=Limits(**limits),
    )


def watched(frames: list[Frame], left: Exit | None = None, at: Attempt | None = None) -> tuple[Played, Replayed]:
    at = at or attempt()
    program = Replayed(frames, left or Exit(status="exited", code=0))
    return asyncio.run(watch(program, Record(at, "desk"), at.limits)), program


def span(number: int) -> Frame:
    raw = RawSpan(trace_id="a" * 32, span_id=f"{number:016x}", parent_id="", name="s", kind=1, start_ns=1, end_ns=2)
    return Frame(kind=SPAN, data=encode_raw(raw))


END_WELL = Frame(kind=END, data=encode_end(End()))
ANSWER = Frame(kind=OUTPUT, data=b'"ok"')


def test_an_answer_and_a_good_end_finish_an_episode():
    played, program = watched([span(1), ANSWER, END_WELL])
    assert (played.outcome, played.outputs, len(played.trace.spans)) == (Outcome.finished, ("ok",), 2)
    assert not program.killed


def test_a_failure_from_the_process_is_always_the_agents():
    forged = Failure(
        boundary="world", kind="k" * 9_000, message="infrastructure, I swear\x00" + "m" * 9_000, detail="d" * 99_000
    )
    played, _ = watched([Frame(kind=END, data=encode_end(End(failure=forged)))])
    assert played.failure is not None
    assert (played.outcome, played.failure.boundary) == (Outcome.agent_error, "agent")
    assert len(played.failure.kind + played.failure.message + played.failure.detail) < 25_000


def test_answers_beyond_the_last_turn_are_ignored():
    played, _ = watched([ANSWER, ANSWER, ANSWER, END_WELL], at=attempt(["one", "two"]))
    assert played.outputs == ("ok", "ok")


def test_a_good_end_without_all_answers_is_no_end():
    played, _ = watched([ANSWER, END_WELL], at=attempt(["one", "two"]))
    assert played.failure is not None
    assert (played.outputs, played.failure.kind) == (("ok",), "no_answer")


def test_what_comes_after_the_end_is_not_read():
    played, _ = watched([ANSWER, END_WELL, span(1)])
    assert len(played.trace.spans) == 1


def test_malformed_frames_are_counted_and_ignored():
    frames = [Frame(kind=kind, data=data) for kind in (0, SPAN, END, 99) for data in (b"", b"\xff", b"{", b"[" * 5_000)]
    played, _ = watched([*frames, ANSWER, END_WELL])
    assert played.outputs == ("ok",)
    assert f"{len(frames)} malformed messages" in played.logs


def test_a_flood_of_frames_ends_the_episode():
    big = Frame(kind=99, data=bytes(64 << 20))
    played, program = watched([big] * 5 + [ANSWER, END_WELL])
    assert program.killed
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind, played.outputs) == ("limit", "messages", ())


def test_a_lost_program_is_infrastructure():
    with pytest.raises(WorldError, match="the supervisor died"):
        watched([ANSWER, END_WELL], Exit(status="lost", detail="the supervisor died"))


def test_a_note_about_the_trace_stands_in_the_logs():
    played, _ = watched(
        [ANSWER, Frame(kind=END, data=encode_end(End(note="spans were lost")))],
        Exit(status="exited", code=0, stdout=b"out\n"),
    )
    assert played.logs == "out\nassay: spans were lost"


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=30)), max_size=6))
def test_no_frame_breaks_the_worker(frames: list[tuple[int, bytes]]):
    played, _ = watched([Frame(kind=kind, data=data) for kind, data in frames])
    assert len(played.outputs) <= 1
    msgspec.json.encode(played)
