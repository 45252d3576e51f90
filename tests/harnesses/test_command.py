from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.harnesses.stages import Stage
from tests.worlds.isolation.lab import kinds

from assay.core.episode import Outcome
from assay.core.errors import ConfigError, HarnessError
from assay.core.protocols import Played
from assay.harnesses.command import CommandHarness, Invocation

pytestmark = pytest.mark.anyio

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node.js")

NODE_AGENT = """
const fs = require("fs");
const order = JSON.parse(fs.readFileSync(0, "utf8"));
fs.writeFileSync("order.txt", order.input);
console.error("thinking about " + order.input);
const span = (id, parent, name, attributes) => ({
  traceId: process.env.TRACEPARENT.split("-")[1], spanId: id, parentSpanId: parent, name,
  startTimeUnixNano: "1700000000000000000", endTimeUnixNano: "1700000000100000000",
  attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: { stringValue: value } })),
});
const spans = [
  span("1111111111111111", process.env.TRACEPARENT.split("-")[2], "agent", {}),
  span("2222222222222222", "1111111111111111", "execute_tool book",
    { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book" }),
];
fetch(process.env.OTEL_EXPORTER_OTLP_ENDPOINT + "/v1/traces", {
  method: "POST", headers: { "content-type": "application/json" },
  body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }),
}).then((response) => {
  console.log(JSON.stringify({ answer: order.input.toUpperCase(), seed: order.seed, received: response.status }));
});
"""

PYTHON_AGENT = """
import os, sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
parent = TraceContextTextMapPropagator().extract({"traceparent": os.environ["TRACEPARENT"]})
tracer = provider.get_tracer("agent")
with tracer.start_as_current_span("work", context=parent):
    for _ in range(int(sys.argv[1])):
        with tracer.start_as_current_span("execute_tool book") as span:
            span.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book"})
        provider.force_flush()
provider.shutdown()
print("booked")
"""


def harness(stage: Stage, *argv: str, files: tuple[str, ...] = (), **settings: Any) -> CommandHarness:
    return CommandHarness("desk", Invocation(argv=argv, **settings), stage.project, files=files)


def shell(stage: Stage, script: str, **settings: Any) -> CommandHarness:
    return harness(stage, "sh", "-c", script, **settings)


async def play(stage: Stage, program: CommandHarness, attempt: Any, kind: str = "process") -> Played:
    return (await stage.play(program, attempt, kind))[0]


@needs_node
@kinds
async def test_an_agent_in_node(stage: Stage, attempt: Any, kind: str):
    (stage.project / "agent.js").write_text(NODE_AGENT)
    played, effects = await stage.play(harness(stage, "node", "agent.js", stdin="json"), attempt("two nights"), kind)
    assert played.failure is None
    assert played.outputs == ({"answer": "TWO NIGHTS", "seed": 7, "received": 200},)
    assert played.logs == "thinking about two nights"
    assert [(change.path, change.text) for change in effects.files] == [("order.txt", "two nights")]
    assert [call.name for call in played.trace.tool_calls] == ["book"]
    names = {span.span_id: span.name for span in played.trace.spans}
    assert [(span.name, names.get(span.parent_id)) for span in played.trace.spans if span.name != "desk"] == [
        ("agent", "desk"),
        ("execute_tool book", "agent"),
    ]


@kinds
async def test_an_agent_with_the_opentelemetry_sdk(stage: Stage, attempt: Any, kind: str):
    (stage.project / "agent.py").write_text(PYTHON_AGENT)
    played = await play(stage, harness(stage, sys.executable, "agent.py", "3"), attempt(), kind)
    assert (played.outputs, played.failure) == (("booked",), None)
    assert len(played.trace.tool_calls) == 3
    assert played.trace.root is not None
    assert played.trace.root.name == "desk"


async def test_an_agent_that_calls_too_many_tools_is_ended(stage: Stage, attempt: Any):
    (stage.project / "agent.py").write_text(PYTHON_AGENT)
    played = await play(stage, harness(stage, sys.executable, "agent.py", "100000"), attempt(tool_calls=2, wall_s=60.0))
    assert played.failure is not None
    assert (played.failure.kind, played.outputs) == ("tool_calls", ())
    assert len(played.trace.tool_calls) >= 3


@pytest.mark.parametrize(
    ("request_", "settings", "expected"),
    [
        ("plain text\n", {}, "plain text\n"),
        ({"q": 1}, {}, {"q": 1}),
        ("42", {}, 42),
        ("42", {"output": "text"}, "42"),
        ("né", {}, "né"),
    ],
)
async def test_the_turn_arrives_on_stdin_and_the_answer_is_stdout(
    stage: Stage, attempt: Any, request_: Any, settings: dict[str, str], expected: Any
):
    played = await play(stage, harness(stage, "cat", **settings), attempt(request_))
    assert played.outputs == (expected if not isinstance(expected, str) else expected.removesuffix("\n"),)


async def test_arguments_are_a_template_and_never_a_shell(stage: Stage, attempt: Any):
    printed = "import json, sys; print(json.dumps(sys.argv[1:] + [sys.stdin.read()]))"
    program = harness(stage, sys.executable, "-c", printed, "{input}", "--seed={seed}", "{case_id}", "{nothing}")
    hostile = "; touch owned; $(id) {seed}"
    played, effects = await stage.play(program, attempt(hostile), "process")
    assert played.outputs == ([hostile, "--seed=7", "c1", "{nothing}", ""],)
    assert effects.files == ()


async def test_the_json_on_stdin_says_everything(stage: Stage, attempt: Any):
    played = await play(stage, harness(stage, "cat", stdin="json"), attempt("hi"))
    (said,) = played.outputs
    assert said["databases"]["hotel"].endswith("/hotel.db")
    assert Path(said["workspace"]).name == "work"
    expected = {
        "input": "hi", "case_id": "c1", "seed": 7, "attempt": 0, "turn": 0, "conversation_id": "run-0-0",
        "messages": [{"role": "user", "content": "hi"}], "clock": "2026-01-15T09:00:00+00:00", "root": str(stage.project),
    }  # fmt: skip
    assert said.items() >= expected.items()


@kinds
async def test_the_environment_says_where_things_are(
    stage: Stage, attempt: Any, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOST_SECRET", "hunter2")
    played = await play(
        stage, shell(stage, "env; test -f $ASSAY_DB_HOTEL && cd $ASSAY_WORKSPACE && cat policy.md"), attempt(), kind
    )
    lines = played.outputs[0].splitlines()
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    assert lines[-1] == "be kind"
    assert "HOST_SECRET" not in env
    assert {name: env[name] for name in ("ASSAY_CASE_ID", "ASSAY_SEED", "ASSAY_TURN", "ASSAY_ATTEMPT", "ASSAY_CLOCK", "MODE")} == {
        "ASSAY_CASE_ID": "c1", "ASSAY_SEED": "7", "ASSAY_TURN": "0", "ASSAY_ATTEMPT": "0",
        "ASSAY_CLOCK": "2026-01-15T09:00:00+00:00", "MODE": "test",
    }  # fmt: skip
    assert env["TRACEPARENT"] == f"00-{attempt().trace_id}-{attempt().root_id}-01"


async def test_turns_are_processes_that_share_files_and_home(stage: Stage, attempt: Any):
    program = shell(
        stage, 'cat >> said; echo -n "$ASSAY_TURN" >> $HOME/turns; echo "$(cat said) $(cat $HOME/turns)"', output="text"
    )
    played = await play(stage, program, attempt(["one ", "two "]))
    assert played.outputs == ("one  0", "one two  01")
    assert played.trace.root is not None
    assert played.trace.root.output == ["one  0", "one two  01"]


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("echo oops >&2; exit 3", "exit_code", "the agent's process left with exit code 3"),
        ("kill -9 $$", "signal", "the agent's process was ended by SIGKILL"),
        ("no_such_program_anywhere", "exit_code", "the agent's process left with exit code 127"),
    ],
)
async def test_a_program_that_fails_counts_against_the_agent(
    stage: Stage, attempt: Any, script: str, kind: str, message: str
):
    played = await play(stage, shell(stage, script), attempt(["one", "two"]))
    assert played.failure is not None
    assert (played.outcome, played.failure.boundary, played.failure.kind) == (Outcome.agent_error, "agent", kind)
    assert (played.failure.message, played.outputs) == (message, ())
    if "oops" in script:
        assert (played.failure.detail, played.logs) == ("oops\n", "oops")


async def test_all_turns_share_the_time_limit(stage: Stage, attempt: Any):
    played = await play(stage, shell(stage, "sleep 0.4; echo done"), attempt(["a", "b", "c", "d"], wall_s=1.0))
    assert played.failure is not None
    assert (played.failure.kind, played.failure.message) == ("timeout", "stopped after 1.0 s (limit wall_s = 1)")
    assert 1 <= len(played.outputs) <= 2


async def test_json_that_was_promised_and_is_none_counts_against_the_agent(stage: Stage, attempt: Any):
    played = await play(stage, shell(stage, "echo no json", output="json"), attempt())
    assert played.failure is not None
    assert played.failure.kind == "no_output"
    assert played.logs == "no json"


async def test_megabytes_and_broken_text_are_bounded(stage: Stage, attempt: Any):
    script = r"head -c 3000000 /dev/zero | tr '\0' x; printf '\033[31m\377' >&2; head -c 3000000 /dev/zero >&2"
    played = await play(stage, shell(stage, script), attempt(output_kb=64))
    assert len(played.outputs[0]) <= 64 << 10
    assert "dropped" in played.outputs[0] or "[cut" in played.outputs[0]
    assert len(played.logs) < 70_000
    assert "\x00" not in played.logs
    json.dumps(played.outputs)


def test_mistakes_are_found_without_running(stage: Stage):
    with pytest.raises(ConfigError) as caught:
        harness(stage, "no-such-program", "{imput}", "{clok}")
    assert [(problem.key, problem.message) for problem in caught.value.problems] == [
        ("argv", "{imput} is no placeholder, did you mean 'input'?"),
        ("argv", "{clok} is no placeholder, did you mean 'clock'?"),
        ("argv", "there is no program 'no-such-program'"),
    ]
    with pytest.raises(ConfigError, match="names no program"):
        harness(stage)
    with pytest.raises(ConfigError, match="matches no file"):
        harness(stage, "cat", files=("agents/*",))


async def test_a_program_of_the_project_is_found_from_the_workspace(stage: Stage, attempt: Any):
    (stage.project / "agent.sh").write_text("#!/bin/sh\necho $1 in $(basename $PWD)")
    (stage.project / "agent.sh").chmod(0o755)
    played = await play(stage, harness(stage, "agent.sh", "{root}", output="text"), attempt())
    assert played.outputs == (f"{stage.project} in work",)


async def test_it_needs_a_world_and_a_sandbox(stage: Stage, attempt: Any):
    with pytest.raises(HarnessError, match="needs a world and a sandbox"):
        await harness(stage, "cat").play(attempt(), None, None)


def test_the_fingerprint_is_of_the_files_that_are_named(stage: Stage):
    assert harness(stage, "cat").fingerprint() == ""
    named = harness(stage, "cat", files=("seed",))
    before = named.fingerprint()
    (stage.project / "seed" / "policy.md").write_text("be brief")
    assert named.fingerprint() != before
    assert harness(stage, "cat", "-u", files=("seed",)).fingerprint() != named.fingerprint()
    copy: CommandHarness = pickle.loads(pickle.dumps(named))
    assert (copy.digest, copy.fingerprint()) == (named.digest, named.fingerprint())
