from __future__ import annotations

import asyncio
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.harnesses.stages import Stage
from tests.worlds.isolation.lab import kinds, living_with, needs_jail, until

from assay.core.episode import Outcome
from assay.core.errors import ConfigError, HarnessError
from assay.harnesses.agent import PythonAgent
from assay.harnesses.function import FunctionHarness

pytestmark = pytest.mark.anyio

everywhere = pytest.mark.parametrize("kind", ["task", "process", pytest.param("jail", marks=needs_jail)])


@pytest.fixture(autouse=True)
def forget_agents() -> Iterator[None]:
    """Agents that run as tasks are imported into this process, from a project that goes away."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("desk_agents", None)


@everywhere
@pytest.mark.parametrize("agent", ["echo", "async_echo", "wrapped_async"])
async def test_an_agent_is_called_with_the_input(stage: Stage, attempt: Any, kind: str, agent: str):
    played, _ = await stage.play(stage.function(agent), attempt({"nights": 2}), kind)
    assert (played.outcome, played.outputs, played.failure) == (Outcome.finished, ({"nights": 2},), None)
    (root,) = played.trace.spans
    assert (root.span_id, root.name, root.kind, root.status) == (attempt().root_id, "desk", "agent", "ok")
    assert (root.input, root.output) == ({"nights": 2}, {"nights": 2})


@everywhere
async def test_turns_share_a_world_and_leave_effects(stage: Stage, attempt: Any, kind: str):
    played, effects = await stage.play(stage.function("clerk"), attempt(["Ada", "Bob"]), kind)
    assert played.failure is None
    assert [output["turn"] for output in played.outputs] == [1, 2]
    assert played.outputs[1] == {
        "turn": 2, "clock": "2026-01-15T09:00:00+00:00", "seed": 7, "env": "test", "policy": "be kind",
    }  # fmt: skip
    assert [change.path for change in effects.files] == ["turn1.txt", "turn2.txt"]
    assert effects.table("hotel.stays").added == ({"id": 1, "guest": "Ada"}, {"id": 2, "guest": "Bob"})


@everywhere
async def test_turns_of_an_async_agent_share_a_loop(stage: Stage, attempt: Any, kind: str):
    played, _ = await stage.play(stage.function("async_clerk"), attempt(["one", "two"]), kind)
    assert played.outputs == (True, True)


@everywhere
@pytest.mark.parametrize(
    ("agent", "kind_of_failure", "message"),
    [
        ("fail", "ValueError", "ValueError: no room for hi"),
        ("rude", "RudeError", "RudeError"),
        ("leave", "SystemExit", "the agent left with exit code 3"),
        ("cancel", "CancelledError", "CancelledError"),
    ],
)
async def test_what_an_agent_raises_counts_against_it(
    stage: Stage, attempt: Any, kind: str, agent: str, kind_of_failure: str, message: str
):
    played, _ = await stage.play(stage.function(agent), attempt(), kind)
    assert played.outcome is Outcome.agent_error
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("agent", kind_of_failure)
    assert played.failure.message == message
    assert played.trace.spans[0].status_message == message
    if agent == "fail":
        assert "desk_agents.py" in played.failure.detail
        assert "assay/harnesses" not in played.failure.detail


@everywhere
async def test_turns_before_a_failure_are_kept(stage: Stage, attempt: Any, kind: str):
    played, _ = await stage.play(stage.function("fail_later"), attempt(["one", "two", "three"]), kind)
    assert played.outputs == ("first",)
    assert played.failure is not None
    assert played.failure.message == "RuntimeError: second turn"


@kinds
@pytest.mark.parametrize(
    ("agent", "request_", "failure_kind", "message"),
    [
        ("vanish", 0, "no_answer", "the agent's process ended before it answered"),
        ("vanish", 5, "exit_code", "the agent's process left with exit code 5 before it answered"),
        ("crash", 0, "signal", "the agent's process was ended by SIGSEGV before it answered"),
    ],
)
async def test_a_process_that_dies_counts_against_the_agent(
    stage: Stage, attempt: Any, kind: str, agent: str, request_: int, failure_kind: str, message: str
):
    played, _ = await stage.play(stage.function(agent), attempt(request_), kind)
    assert played.failure is not None
    assert (played.outcome, played.failure.kind, played.failure.message) == (Outcome.agent_error, failure_kind, message)
    if agent == "vanish":
        assert "about to vanish" in played.failure.detail
        assert "about to vanish" in played.logs


@pytest.mark.parametrize(
    ("kind", "agent"),
    [
        ("task", "async_sleep"),
        ("process", "async_sleep"),
        ("process", "sleep"),
        pytest.param("jail", "sleep", marks=needs_jail),
    ],
)
async def test_an_agent_that_takes_too_long_is_ended(stage: Stage, attempt: Any, kind: str, agent: str):
    played, _ = await stage.play(stage.function(agent), attempt(wall_s=0.5), kind)
    assert played.outcome is Outcome.agent_error
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("limit", "timeout")
    assert played.failure.message == "stopped after 0.5 s (limit wall_s = 0.5)"


async def test_a_function_in_a_thread_is_left_behind(attempt: Any):
    released = threading.Event()
    played = await FunctionHarness.of(lambda _: released.wait()).play(attempt(wall_s=0.1), None, None)
    released.set()
    assert played.failure is not None
    assert played.failure.kind == "timeout"


async def test_an_agent_that_answers_and_does_not_leave_has_finished(stage: Stage, attempt: Any):
    played, _ = await stage.play(stage.function("linger"), attempt(), "process")
    assert (played.outputs, played.failure) == (("done",), None)


@kinds
async def test_output_and_answer_are_bounded(stage: Stage, attempt: Any, kind: str):
    played, _ = await stage.play(stage.function("shout"), attempt(output_kb=64), kind)
    assert played.failure is None
    assert len(played.outputs[0]) <= 64 << 10
    assert "[cut " in played.outputs[0]
    assert len(played.logs) < 70_000
    assert played.logs.endswith("last words")
    assert "bytes dropped" in played.logs or "[cut" in played.logs


@everywhere
@pytest.mark.parametrize("agent", ["deep", "odd"])
async def test_any_answer_becomes_json(stage: Stage, attempt: Any, kind: str, agent: str):
    played, _ = await stage.play(stage.function(agent), attempt(), kind)
    assert played.failure is None
    assert len(played.outputs) == 1
    if agent == "odd":
        assert played.outputs[0]["surrogate"] == "\\ud800"
        assert played.outputs[0]["3"] == [1]


@kinds
async def test_a_daemon_does_not_outlive_its_episode(stage: Stage, attempt: Any, kind: str, tmp_path: Path):
    played, _ = await stage.play(stage.function("haunt"), attempt(str(tmp_path)), kind)
    assert played.outputs == ("gone?",)
    await until(lambda: not [pid for pid in living_with(str(tmp_path)) if pid != 0])


@kinds
async def test_an_agent_that_ruins_its_workspace_is_still_told(stage: Stage, attempt: Any, kind: str):
    played, effects = await stage.play(stage.function("destroy"), attempt(), kind)
    assert played.outputs == ("ruined",)
    assert [(change.path, change.change) for change in effects.files] == [("policy.md", "removed")]
    assert any("hotel cannot be read" in problem for problem in effects.problems)


@kinds
async def test_memory_beyond_the_limit_counts_against_the_agent(stage: Stage, attempt: Any, kind: str):
    played, _ = await stage.play(stage.function("hungry"), attempt(memory_mb=512), kind)
    assert played.outcome is Outcome.agent_error
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("limit", "memory")


@everywhere
@pytest.mark.parametrize("agent", ["traced", "async_traced"])
async def test_spans_of_the_agent_hang_below_the_root(stage: Stage, attempt: Any, kind: str, agent: str):
    played, _ = await stage.play(stage.function(agent), attempt(2), kind)
    assert played.outputs == ("booked",)
    assert [call.name for call in played.trace.tool_calls] == ["book", "book"]
    ids = {span.span_id: span for span in played.trace.spans}
    tool = next(span for span in played.trace.spans if span.tool)
    while tool.parent_id in ids:
        tool = ids[tool.parent_id]
    assert (tool.span_id, played.trace.trace_id) == (attempt().root_id, attempt().trace_id)


@everywhere
@pytest.mark.parametrize("agent", ["traced", "async_traced"])
async def test_an_agent_that_calls_too_many_tools_is_ended(stage: Stage, attempt: Any, kind: str, agent: str):
    calls = 200 if (kind, agent) == ("task", "traced") else 1_000_000
    played, _ = await stage.play(stage.function(agent), attempt(calls, tool_calls=3, wall_s=60.0), kind)
    assert played.outcome is Outcome.agent_error
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("limit", "tool_calls")
    assert 3 < len(played.trace.tool_calls) < calls
    assert played.outputs == ()


@kinds
async def test_episodes_share_nothing_but_the_imports(stage: Stage, attempt: Any, kind: str):
    harness = stage.function("clerk")
    async with stage.sandbox(kind, harness.needs()) as sandbox:
        plays = []
        for number in range(4):
            one = attempt([f"guest {number}"])
            live = stage.world.open(f"e{number}", one.case, one.seed)
            plays.append((live, harness.play(one, live, sandbox)))
        played = await asyncio.gather(*(play for _, play in plays))
        effects = [live.effects() for live, _ in plays]
        for live, _ in plays:
            live.close()
    assert [each.outputs[0]["turn"] for each in played] == [1, 1, 1, 1]
    assert [each.table("stays").added[0]["guest"] for each in effects] == [f"guest {number}" for number in range(4)]


async def test_tasks_that_run_at_once_keep_their_spans_apart(stage: Stage, attempt: Any):
    import msgspec

    harness = stage.function("async_traced")
    attempts = [
        msgspec.structs.replace(attempt(number), trace_id=f"{number:032x}", root_id=f"{number:016x}")
        for number in range(1, 6)
    ]
    played = await asyncio.gather(*(harness.play(each, None, None) for each in attempts))
    assert [len(each.trace.tool_calls) for each in played] == [1, 2, 3, 4, 5]
    assert [each.trace.trace_id for each in played] == [each.trace_id for each in attempts]


async def test_an_outer_cancellation_is_not_the_agents_failure(attempt: Any):
    harness = FunctionHarness.of(lambda _: asyncio.sleep(3600))
    task = asyncio.create_task(harness.play(attempt(), None, None))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_episode_leaves_no_process(stage: Stage, attempt: Any):
    harness = stage.function("sleep")
    async with stage.sandbox("process", harness.needs()) as sandbox:
        task = asyncio.create_task(stage.play_in(sandbox, harness, attempt()))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(stage.scratch.path.glob("w*/run-0-0")) == []


async def test_a_function_in_memory_runs_as_a_task_unless_it_can_be_imported(attempt: Any):
    def inner(text: str) -> str:
        return text.upper()

    harness = FunctionHarness.of(inner)
    assert (harness.name, harness.isolations, harness.fingerprint()) == ("inner", ("task",), "")
    assert (await harness.play(attempt(), None, None)).outputs == ("HI",)
    assert FunctionHarness.of(lambda text: text).name == "agent"
    importable = FunctionHarness.of(test_an_outer_cancellation_is_not_the_agents_failure)
    assert importable.isolations == ("jail", "process", "task")
    assert importable.fingerprint() != ""


async def test_an_agent_that_takes_a_world_needs_one(stage: Stage, attempt: Any):
    harness = FunctionHarness.of(lambda text, world: (text, world.seed))
    assert harness.takes_world
    with pytest.raises(HarnessError, match="takes a world"):
        await harness.play(attempt(), None, None)
    played, _ = await stage.play(harness, attempt(), "task")
    assert played.outputs == (["hi", 7],)
    assert not FunctionHarness.of(lambda text: text).takes_world


def test_other_signatures_are_refused():
    with pytest.raises(ConfigError, match=r"called with \(input\) or \(input, world\)"):
        FunctionHarness.of(lambda: None)


async def test_an_agent_that_cannot_be_imported_is_not_the_agents_failure(tmp_path: Path, attempt: Any):
    (tmp_path / "broken_agent.py").write_text("import no_such_module_anywhere\ndef run(x): ...")
    harness = FunctionHarness("x", PythonAgent.at("broken_agent:run", tmp_path))
    with pytest.raises(HarnessError, match="ModuleNotFoundError"):
        await harness.play(attempt(), None, None)


def test_harnesses_travel_to_fresh_workers(stage: Stage):
    harness = stage.function("echo")
    copy: FunctionHarness = pickle.loads(pickle.dumps(harness))
    assert (copy.name, copy.digest, copy.needs()) == (harness.name, harness.digest, harness.needs())


def test_the_fingerprint_follows_the_files(stage: Stage):
    harness = stage.function("echo")
    before = harness.fingerprint()
    assert before == stage.function("echo").fingerprint() != stage.function("fail").fingerprint()
    with (stage.project / "desk_agents.py").open("a") as file:
        file.write("# changed\n")
    assert harness.fingerprint() != before
    named = FunctionHarness("desk", PythonAgent.at("desk_agents:echo", stage.project, files=("seed/*",)))
    before = named.fingerprint()
    (stage.project / "seed" / "policy.md").write_text("be brief")
    assert named.fingerprint() != before
