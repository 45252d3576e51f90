"""A small result file of the same shape; the published one is read in tests/examples/test_tau_bench.py."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.core.codec import canonical_json
from assay.core.episode import Outcome
from assay.core.errors import ConfigError
from assay.core.protocols import Attempt
from assay.core.recording import Recording
from assay.core.trace import ToolCall, Trace
from assay.core.usage import Limits
from assay.datasets.imported import write_import
from assay.datasets.imports import import_cases
from assay.datasets.tau_bench import import_tau_bench
from assay.datasets.transcripts import ChatMessage, Transcript, trace_of
from assay.harnesses.recorded import RecordedHarness

TASK = {
    "user_id": "mia",
    "instruction": "You are Mia.",
    "actions": [{"name": "get_user", "kwargs": {}}, {"name": "book", "kwargs": {"seat": 1}}],
    "outputs": ["42"],
}
READ_ONLY = {
    "user_id": "mia",
    "instruction": "Just ask.",
    "actions": [{"name": "get_user", "kwargs": {}}],
    "outputs": [],
}


def asked(name: str, arguments: str, call_id: str = "call_1", content: str | None = None) -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def answered(name: str, content: str, call_id: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


TALK = [
    {"role": "system", "content": "Policy."},
    {"role": "user", "content": "Book a seat."},
    asked("book", '{"seat": 1}', content="One moment."),
    answered("book", "Error: taken"),
    asked("book", '{"seat": 2}'),
    answered("book", '{"id": "R1"}'),
    {"role": "assistant", "content": "Booked R1."},
    {"role": "user", "content": "Thanks ###STOP###"},
]


def trial(task_id: int, number: int, *, task: Any = TASK, talk: Any = TALK, reward: float = 1.0, **info: Any) -> Any:
    info = {"task": task, "source": "user", "user_cost": 0.01, "reward_info": {"reward": reward, "info": {}}} | info
    return {"task_id": task_id, "trial": number, "reward": reward, "info": info, "traj": talk}


TRIALS = [
    trial(3, 1, reward=0.0, reward_info=None, talk=TALK[:-2]),
    trial(3, 0),
    trial(1, 0, task=READ_ONLY, talk=[*TALK[:2], asked("transfer_to_human_agents", "{}"), answered("transfer_to_human_agents", "ok")]),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "gpt-x-airline.json"
    file.write_text(json.dumps(TRIALS))
    return file


def test_tasks_become_cases(path: Path):
    imported = import_tau_bench(path)
    first, second = imported.cases
    assert (first.id, first.tags, second.id, second.tags) == ("airline-001", ("no_change",), "airline-003", ("book",))
    assert second.input == "You are Mia."
    assert second.expected["actions"][1] == {"tool": "book", "arguments": {"seat": 1}}
    assert second.expected["outputs"] == ["42"]
    assert first.cluster == second.cluster == "mia"
    assert imported.name == "tau-bench-airline"
    assert "tasks have between 1 and 2 trials" in imported.notes


def test_trials_become_recordings(path: Path):
    recordings = import_tau_bench(path).recordings
    assert [(one.case, one.attempt) for one in recordings] == [
        ("airline-001", 0),
        ("airline-003", 0),
        ("airline-003", 1),
    ]
    assert [one.outcome for one in recordings] == [Outcome.finished, Outcome.finished, Outcome.agent_error]
    assert [one.outputs for one in recordings] == [(), ("Booked R1.",), ()]
    attributes = [one.trace.spans[0].attributes for one in recordings]
    assert [one["tau_bench.reward"] for one in attributes] == [1.0, 1.0, 0.0]
    assert [one["tau_bench.ended"] for one in attributes] == ["agent", "user", "step_limit"]
    assert all(one["assay.synthetic_times"] is True for one in attributes)
    assert recordings[2].failure is not None
    assert "step limit" in recordings[2].failure.message


def test_traces_are_readable(path: Path):
    trace = import_tau_bench(path).recordings[1].trace
    assert [(span.kind, span.name) for span in trace.spans] == [
        ("agent", "invoke_agent airline"),
        ("llm", "chat gpt-x"),
        ("tool", "execute_tool book"),
        ("llm", "chat gpt-x"),
        ("tool", "execute_tool book"),
        ("llm", "chat gpt-x"),
    ]
    failed, booked = trace.tool_calls
    assert (failed.arguments, failed.error, failed.result) == ({"seat": 1}, "Error: taken", None)
    assert (booked.arguments, booked.error, booked.result) == ({"seat": 2}, "", {"id": "R1"})
    assert [failed.id, booked.id] == ["call_1", "call_1#2"]
    assert [message.role for message in trace.messages] == [
        "system", "user", "assistant", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert [message.tool_call_id for message in trace.messages if message.role == "tool"] == ["call_1", "call_1#2"]
    assert [len(call.input) for call in trace.model_calls] == [2, 1, 6]
    assert trace.root is not None
    assert (trace.root.input, trace.root.output, trace.root.status) == ("Book a seat.", "Booked R1.", "ok")
    assert [span.start_ns for span in trace.spans] == sorted(span.start_ns for span in trace.spans)


def test_the_same_file_gives_the_same_bytes(path: Path, tmp_path: Path):
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "gpt-x-airline.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    first, second = import_tau_bench(path), import_tau_bench(packed)
    assert canonical_json(first.recordings) == canonical_json(second.recordings)
    assert len({one.trace.trace_id for one in first.recordings}) == 3


def test_the_recorded_harness_plays_them(path: Path, tmp_path: Path):
    imported = import_cases("tau-bench", path)
    files = write_import(tmp_path / "airline", imported)
    assert [file.name for file in files] == ["cases.jsonl", "dataset.toml", "recordings.jsonl"]
    lines = files[2].read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Recording) for line in lines] == list(imported.recordings)
    harness = RecordedHarness("airline", files[2])
    attempt = Attempt(
        episode_id="e", case=imported.cases[1], number=1, seed=0, trace_id="a" * 32, root_id="b" * 16, limits=Limits()
    )
    played = asyncio.run(harness.play(attempt, None, None))
    recording = imported.recordings[2]
    assert (played.outcome, played.failure, played.outputs) == (recording.outcome, recording.failure, recording.outputs)
    assert played.trace.spans == recording.trace.spans


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]", "holds no trial"),
        (b"{}", "Expected `array`, got `object`"),
        (b"oops", "malformed"),
        (json.dumps([{"task_id": 1}]).encode(), "missing required field"),
        (json.dumps([trial(1, 0), trial(1, 1, task=READ_ONLY)]).encode(), "task 1 differs between trials"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        import_tau_bench(path)
    assert caught.value.problems[0].path == str(path)


def test_broken_archives_and_ambiguous_folders(tmp_path: Path, path: Path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(ConfigError, match="cannot be read"):
        import_tau_bench(tmp_path / "x.json.gz")
    with pytest.raises(ConfigError, match=r"holds 2 result files \(name the file: gpt-x-airline\.json, x\.json\.gz\)"):
        import_tau_bench(tmp_path)


def test_a_tool_answer_without_a_call_is_kept():
    message = ChatMessage(role="tool", name="book", content="ok", tool_call_id="x")
    trace = trace_of(Transcript(name="a", key="k", messages=[message]))
    assert trace.tool_calls == (ToolCall(name="book", id="x", result="ok", span_id=trace.spans[1].span_id),)
    assert trace_of(Transcript(name="a", key="k", messages=[])) == Trace(
        trace_id=trace.trace_id, spans=(msgspec.structs.replace(trace.spans[0], end_ns=trace.spans[0].start_ns),)
    )
