"""The front desk behind a language model, against a scripted loopback endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

STAY = {"arrival": "2026-02-03", "departure": "2026-02-05", "guests": 1}
MARTA = {"guest_name": "Marta Silva", "email": "marta.silva@example.com"}


@dataclass
class Script:
    """A loopback endpoint that gives the scripted answers in order, the last one for ever."""

    answers: list[tuple[int, Any]]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    played = Script(answers=[])

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            played.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = played.answers[min(len(played.requests), len(played.answers)) - 1]
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that the base class gives it)
            """Keep the test output clean."""

    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("FRONTDESK_MODEL", "scripted-1")
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        yield played
        server.shutdown()
        thread.join()


def says(content: str | None, *calls: tuple[str, str]) -> tuple[int, Any]:
    made = [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content} | ({"tool_calls": made} if made else {})
    choice = {"message": message, "finish_reason": "tool_calls" if made else "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return 200, {"id": "r1", "model": "scripted-1-exact", "choices": [choice], "usage": usage}


def test_a_model_books_through_the_tools(desk: SimpleNamespace, world: Any, script: Script, spans: Any) -> None:
    booking = json.dumps(STAY | MARTA | {"room_number": "101"})
    key = {"confirmation": "HB-1023", "email": MARTA["email"], "kind": "booked"}
    script.answers = [
        says(None, ("book_room", booking)),
        says(None, ("send_confirmation", json.dumps(key)), ("book_room", "{not json")),
        says("Booked HB-1023."),
    ]
    assert desk.llm_agent.agent("A single on February 3, two nights.", world) == "Booked HB-1023."
    assert world.rows("reservations")["HB-1023"]["total_cents"] == 16000
    assert len(world.mail()) == 1
    results = [json.loads(said["content"]) for said in script.requests[2]["messages"] if said["role"] == "tool"]
    assert results[1] == {"sent_to": MARTA["email"]}
    assert results[2]["error"] == "invalid_argument"
    assert "Thursday, 2026-01-15" in script.requests[0]["messages"][0]["content"]
    chat = next(span for span in spans.get_finished_spans() if span.name == "chat scripted-1")
    assert chat.attributes["gen_ai.response.model"] == "scripted-1-exact"
    assert chat.attributes["gen_ai.usage.input_tokens"] == 100
    names = [tool["name"] for tool in json.loads(str(chat.attributes["gen_ai.tool.definitions"]))]
    assert names == list(desk.tools.TOOLS)
    (part,) = json.loads(str(chat.attributes["gen_ai.output.messages"]))[0]["parts"]
    assert part == {"type": "tool_call", "id": "c0", "name": "book_room", "arguments": booking}


def test_a_model_that_never_answers_is_cut_off(desk: SimpleNamespace, world: Any, script: Script) -> None:
    script.answers = [says(None, ("hotel_information", '{"topic": "pets"}'))]
    assert "colleague" in desk.llm_agent.agent("Dogs?", world)
    assert len(script.requests) == desk.llm_agent.MAX_ROUNDS
    assert len(world.rows("handoffs")) == 1


@pytest.mark.parametrize(("answer", "message"), [
    ((500, b"overloaded"), "HTTP 500: overloaded"), ((200, b"<html>"), "JSONDecodeError"),
    ((200, []), "no JSON object"), ((200, {"choices": []}), "no usable message"),
])  # fmt: skip
def test_a_broken_endpoint_is_named(
    desk: SimpleNamespace, world: Any, script: Script, answer: tuple[int, Any], message: str
) -> None:
    script.answers = [answer]
    with pytest.raises(desk.llm_agent.ModelError, match=message):
        desk.llm_agent.agent("Hello?", world)


def test_a_model_has_to_be_named(desk: SimpleNamespace, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRONTDESK_MODEL", raising=False)
    with pytest.raises(desk.llm_agent.ModelError, match="FRONTDESK_MODEL"):
        desk.llm_agent.agent("Hello?", world)
