"""Getting into OpenTelemetry, however the agent sets it up: each case in a fresh interpreter, for it is one per process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

HEAD = """
import json, sys
from assay.otel.capture import SpanCapture
capture, spans = SpanCapture(), []
def play(agent):
    capture.open("ab" * 16, spans.append)
    with capture.attached("ab" * 16, "cd" * 8):
        agent()
    lost = capture.close("ab" * 16)
    print(json.dumps({
        "spans": [[span.name, span.trace_id == "ab" * 16, span.parent_id] for span in spans],
        "notes": capture.notes, "lost": lost, "sdk": "opentelemetry.sdk.trace" in sys.modules,
        "api": "opentelemetry.trace" in sys.modules,
    }))
"""
API_ONLY = """
from opentelemetry import trace
tracer = trace.get_tracer("agent")
def agent():
    with tracer.start_as_current_span("a"):
        tracer.start_span("b").end()
"""
OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
def set_up():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider
"""
EMIT = """
def agent():
    with trace.get_tracer("agent").start_as_current_span("a"):
        trace.get_tracer("agent").start_span("b").end()
    assert len(exporter.get_finished_spans()) == 2, "the agent's own exporter lost spans"
"""
OWN_NOTE = "the agent's own span processors stay active: SimpleSpanProcessor(InMemorySpanExporter)"
TWO = ["a", "b"]


def run(*parts: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    code = HEAD + "\n".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def test_an_agent_without_opentelemetry_pays_nothing() -> None:
    found = run("capture.install()", "play(lambda: None)")
    assert found == {"spans": [], "notes": [], "lost": "", "sdk": False, "api": False}


def test_an_agent_that_set_no_provider_gets_ours() -> None:
    found = run(API_ONLY, "capture.install()", "capture.install()", "play(agent)")
    assert [name for name, _, _ in found["spans"]] == ["b", "a"]
    assert all(is_ours for _, is_ours, _ in found["spans"])
    assert found["spans"][1][2] == "cd" * 8
    assert found["notes"] == []


def test_a_provider_set_before_keeps_its_exporter_and_gets_our_processor() -> None:
    found = run(OWN_PROVIDER, EMIT, "set_up()", "capture.install()", "play(agent)")
    assert sorted(name for name, _, _ in found["spans"]) == TWO
    assert found["notes"] == [OWN_NOTE]


@pytest.mark.parametrize("installed", ["capture.install()", "trace.get_tracer('x'); capture.install()"])
def test_a_provider_set_during_the_episode_is_the_agents_and_captured(installed: str) -> None:
    found = run(OWN_PROVIDER, EMIT, installed, "def late():\n    set_up()\n    agent()", "play(late)")
    assert sorted(name for name, _, _ in found["spans"]) == TWO
    assert all(is_ours for _, is_ours, _ in found["spans"])
    assert found["notes"] == [OWN_NOTE]


def test_a_provider_that_is_never_made_global_is_captured_too() -> None:
    found = run(
        "capture.install()",
        OWN_PROVIDER,
        "def agent():\n    TracerProvider(shutdown_on_exit=False).get_tracer('x').start_span('private').end()",
        "play(agent)",
    )
    assert [name for name, _, _ in found["spans"]] == ["private"]


@pytest.mark.parametrize(
    "body",
    [
        "from opentelemetry import trace",
        "import opentelemetry.sdk.trace\nfrom opentelemetry import trace",
        "from opentelemetry.sdk.resources import Resource\nfrom opentelemetry import trace\nimport opentelemetry.sdk.trace",
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\nfrom opentelemetry import trace",
        "from opentelemetry.trace import Status\nfrom opentelemetry import trace",
    ],
)
def test_imports_inside_the_episode_are_noticed(body: str) -> None:
    agent = "def agent():\n" + textwrap.indent(body + "\ntrace.get_tracer('late').start_span('a').end()", "    ")
    found = run("capture.install()", agent, "play(agent)")
    assert [name for name, _, _ in found["spans"]] == ["a"]
    assert found["notes"] == []


def test_a_late_provider_with_a_late_import_keeps_its_exporter() -> None:
    body = textwrap.indent(textwrap.dedent(OWN_PROVIDER + EMIT), "    ")
    found = run("capture.install()", "def late():\n" + body + "\n    set_up()\n    agent()", "play(late)")
    assert sorted(name for name, _, _ in found["spans"]) == TWO


def test_modules_that_are_watched_keep_their_loader_and_are_found_as_always() -> None:
    found = run(
        "capture.install()",
        "import opentelemetry.trace, inspect",
        "assert 'class Tracer' in inspect.getsource(opentelemetry.trace)",
        "assert opentelemetry.trace.__spec__.loader is opentelemetry.trace.__loader__",
        "assert not any(type(finder).__name__ == '_LateImport' and finder._name == 'opentelemetry.trace' for finder in sys.meta_path)",
        "play(lambda: None)",
    )
    assert found["notes"] == []


def test_a_provider_put_in_place_before_a_fork_captures_in_the_child_without_new_threads() -> None:
    fork = """
    import os, threading
    child = os.fork()
    if child == 0:
        assert threading.active_count() == 1
        play(agent)
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    """
    found = run(API_ONLY, "capture.install()", fork)
    assert [name for name, _, _ in found["spans"]] == ["b", "a"]


def test_a_missing_sdk_is_told() -> None:
    hide = """
    class Hide:
        def find_spec(self, name, path=None, target=None):
            if name.startswith("opentelemetry.sdk"):
                raise ModuleNotFoundError(name)
    sys.meta_path.insert(0, Hide())
    """
    found = run(hide, API_ONLY, "capture.install()", "play(agent)")
    assert found["spans"] == []
    assert found["notes"] == [
        "the agent uses the OpenTelemetry API but opentelemetry-sdk is not installed: its spans cannot be captured"
    ]


def test_a_disabled_sdk_is_told() -> None:
    found = run("import os; os.environ['OTEL_SDK_DISABLED'] = 'true'", API_ONLY, "capture.install()", "play(agent)")
    assert found["spans"] == []
    assert "OTEL_SDK_DISABLED" in found["notes"][0]


def test_a_provider_of_another_kind_is_told_and_left_alone() -> None:
    foreign = """
    from opentelemetry import trace
    class Foreign(trace.TracerProvider):
        def get_tracer(self, *args, **kwargs):
            return trace.NoOpTracer()
    trace.set_tracer_provider(Foreign())
    """
    found = run(foreign, "capture.install()", "play(lambda: None)")
    assert found["notes"] == ["the agent's tracer provider Foreign takes no span processors: its spans are not seen"]


def test_an_opentelemetry_that_is_broken_does_not_break_the_agent() -> None:
    broken = """
    import types
    fake = types.ModuleType("opentelemetry.trace")
    def get_tracer_provider():
        raise RuntimeError("half an installation")
    fake.get_tracer_provider = get_tracer_provider
    sys.modules["opentelemetry.trace"] = fake
    """
    found = run(broken, "capture.install()", "del sys.modules['opentelemetry.trace']", "play(lambda: None)")
    assert "half an installation" in found["notes"][0]
