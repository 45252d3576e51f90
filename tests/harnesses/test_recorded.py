from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.core.effects import Effects, FileChange
from assay.core.episode import Failure, Outcome
from assay.core.errors import ConfigError, HarnessError
from assay.core.protocols import Attempt, Played
from assay.core.recording import Recording
from assay.core.trace import Span, Trace
from assay.harnesses.recorded import RecordedHarness


def span(span_id: str, parent: str = "", start: int = 1) -> Span:
    return Span(span_id=span_id * 16, name=span_id, start_ns=start, end_ns=start + 5, parent_id=parent * 16)


def write(folder: Path, *recordings: Recording | str) -> RecordedHarness:
    lines = [line.encode() if isinstance(line, str) else msgspec.json.encode(line) for line in recordings]
    (folder / "recordings.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return RecordedHarness("desk", folder / "recordings.jsonl")


def play(harness: RecordedHarness, attempt: Attempt) -> Played:
    return asyncio.run(harness.play(attempt, None, None))


def test_episodes_are_found_by_case_and_attempt(tmp_path: Path, attempt: Any):
    effects = Effects(files=(FileChange(path="a", change="added"),))
    harness = write(
        tmp_path,
        Recording(case="c1", attempt=0, outputs=("first",)),
        "",
        Recording(case="c2", outputs=("ñ",), meta={"reward": 1}),
        Recording(
            case="c1", attempt=1, outputs=("a", "b"), effects=effects, trace=Trace(trace_id="x", spans=(span("a"),))
        ),
    )
    assert play(harness, attempt()).outputs == ("first",)
    assert play(harness, attempt(case_id="c2")).outputs == ("ñ",)
    second = play(harness, attempt(number=1))
    assert (second.outputs, second.effects) == (("a", "b"), effects)
    assert second.trace.trace_id == attempt().trace_id
    assert [each.name for each in second.trace.spans] == ["a"]


def test_a_missing_recording_is_infrastructure(tmp_path: Path, attempt: Any):
    with pytest.raises(HarnessError, match="no attempt 2 at case c1"):
        play(write(tmp_path, Recording(case="c1")), attempt(number=2))


@pytest.mark.parametrize("spans", [(), (span("a", start=3), span("b", "a", 4), span("c", "f", 2))])
def test_a_trace_without_one_root_gets_one(tmp_path: Path, attempt: Any, spans: tuple[Span, ...]):
    trace = play(
        write(tmp_path, Recording(case="c1", outputs=("x",), trace=Trace(trace_id="", spans=spans))), attempt()
    ).trace
    assert trace.root is not None
    assert (trace.root.span_id, trace.root.input, trace.root.output) == (attempt().root_id, "hi", "x")
    assert {each.name: each.parent_id[:1] for each in trace.spans if each is not trace.root} == (
        {"a": "b", "b": "a", "c": "b"} if spans else {}
    )


def test_a_recorded_failure_stays_one(tmp_path: Path, attempt: Any):
    failure = Failure(boundary="agent", kind="crash", message="it crashed")
    harness = write(
        tmp_path,
        Recording(case="c1", outcome=Outcome.agent_error),
        Recording(case="c2", outcome=Outcome.agent_error, failure=failure),
    )
    first = play(harness, attempt())
    assert first.failure is not None
    assert (first.outcome, first.failure.kind) == (Outcome.agent_error, "recorded")
    assert play(harness, attempt(case_id="c2")).failure == failure


def test_broken_files_say_where(tmp_path: Path, attempt: Any):
    with pytest.raises(HarnessError, match=r"recordings\.jsonl:2"):
        play(write(tmp_path, Recording(case="c1"), "{nonsense"), attempt())
    with pytest.raises(HarnessError, match=r"case c1.*outcome"):
        play(write(tmp_path, '{"case": "c1", "outcome": "odd"}'), attempt())
    with pytest.raises(ConfigError, match="there is no file"):
        RecordedHarness("desk", tmp_path / "missing.jsonl")


def test_the_recordings_are_the_agent(tmp_path: Path):
    one = write(tmp_path, Recording(case="c1"))
    assert one.fingerprint() == one.digest
    assert write(tmp_path, Recording(case="c2")).digest != one.digest
