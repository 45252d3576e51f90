"""The same tools behind a language model: any endpoint that speaks OpenAI's chat completions.

Settings come from the environment: `OPENAI_BASE_URL` (default: OpenAI), `OPENAI_API_KEY` (optional), `FRONTDESK_MODEL`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx2

from . import replies, tracing
from .tools import Toolbox, definitions

if TYPE_CHECKING:
    from .world import World

MAX_ROUNDS = 12
_TIMEOUT = httpx2.Timeout(120, connect=10)
_RULES = Path(__file__).parent.parent / "POLICY.md"
_INSTRUCTIONS = """\
You are the front desk of the Northlight Hotel. Today is {today}.
Work through the tools only: never state a price, a room or a reservation that no tool has returned. Book, change or
cancel as soon as the rules allow it, then send exactly one confirmation. When a rule sends the guest to a person, call
transfer_to_human. Answer in a few plain sentences with full dates, amounts and the confirmation number.

{rules}"""


class ModelError(Exception):
    """The model's endpoint could not be reached, refused the request or answered nonsense."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model said in one round."""

    message: dict[str, Any]
    """The assistant message as it goes back to the endpoint."""
    calls: list[tuple[str, str, str]]
    """Call id, tool name and arguments (JSON text) of each tool call."""


def agent(message: str, world: World) -> str:
    """Answer one message of a guest; `world.session` carries the conversation."""
    history: list[dict[str, str]] = world.session.setdefault("history", [])
    history.append({"role": "user", "content": message})
    with tracing.agent_span("frontdesk-llm", history) as span, Toolbox.open(world) as toolbox:
        messages = world.session.setdefault("messages", [])
        messages.append({"role": "user", "content": message})
        with Model.from_environment(_system(world)) as model:
            text = _converse(model, toolbox, messages)
        history.append({"role": "assistant", "content": text})
        tracing.answer(span, text)
    return text


def _system(world: World) -> str:
    return _INSTRUCTIONS.format(
        today=f"{world.clock:%A}, {world.clock.date().isoformat()}", rules=_RULES.read_text("utf-8")
    )


def _converse(model: Model, toolbox: Toolbox, messages: list[dict[str, Any]]) -> str:
    """Let the model call tools until it answers; after `MAX_ROUNDS` a person takes over."""
    for _ in range(MAX_ROUNDS):
        reply = model.complete(messages)
        messages.append(reply.message)
        if not reply.calls:
            return str(reply.message["content"] or "")
        for call_id, name, arguments in reply.calls:
            result = _run(toolbox, call_id, name, arguments)
            messages.append({"role": "tool", "tool_call_id": call_id, "content": json.dumps(result)})
    toolbox.call("transfer_to_human", {"reason": f"No answer after {MAX_ROUNDS} rounds."})
    messages.append({"role": "assistant", "content": replies.TRANSFERRED})
    return replies.TRANSFERRED


def _run(toolbox: Toolbox, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    try:
        values = json.loads(arguments or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return {"error": "invalid_argument", "message": "The arguments have to be a JSON object."}
    return toolbox.call(name, values, call_id=call_id)


class Model:
    """A chat completions endpoint with the desk's instructions and tools."""

    def __init__(self, client: httpx2.Client, name: str, system: str) -> None:
        self._client = client
        self._name = name
        self._system = system

    @classmethod
    def from_environment(cls, system: str) -> Model:
        """Read endpoint, key and model from the environment."""
        name = os.environ.get("FRONTDESK_MODEL")
        if not name:
            raise ModelError("Set FRONTDESK_MODEL to the name of a model that the endpoint serves.")
        key = os.environ.get("OPENAI_API_KEY")
        client = httpx2.Client(
            base_url=os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
        )
        return cls(client, name, system)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def complete(self, messages: list[dict[str, Any]]) -> Reply:
        """Ask for the next assistant message. Raises `ModelError`."""
        request = {
            "model": self._name,
            "temperature": 0,
            "messages": [{"role": "system", "content": self._system}, *messages],
            "tools": [
                {"type": "function", "function": {key: tool[key] for key in ("name", "description", "parameters")}}
                for tool in definitions()
            ],
        }
        attributes = {
            "gen_ai.request.temperature": 0,
            "gen_ai.system_instructions": [{"type": "text", "content": self._system}],
            "gen_ai.tool.definitions": definitions(),
            "gen_ai.input.messages": [_traced(message) for message in messages],
            "server.address": self._client.base_url.host,
        }
        with tracing.chat_span(self._name, attributes) as span:
            body = self._post(request)
            reply, finish = _reply(body)
            usage = body.get("usage") or {}
            measured = {
                "gen_ai.response.id": body.get("id"),
                "gen_ai.response.model": body.get("model"),
                "gen_ai.response.finish_reasons": [finish] if finish else None,
                "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
                "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
                "gen_ai.output.messages": json.dumps([_traced(reply.message)]),
            }
            span.set_attributes({key: value for key, value in measured.items() if value is not None})
        return reply

    def _post(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.post("chat/completions", json=request)
            response.raise_for_status()
            body = response.json()
        except httpx2.HTTPStatusError as error:
            raise ModelError(f"HTTP {error.response.status_code}: {error.response.text[:200]}") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise ModelError(f"{type(error).__name__}: {error}") from error
        if not isinstance(body, dict):
            raise ModelError("The endpoint answered with something that is no JSON object.")
        return body


def _reply(body: dict[str, Any]) -> tuple[Reply, str | None]:
    """Read the first choice: the message, reduced to what goes back, and the reason why it ended."""
    try:
        choice = body["choices"][0]
        said = choice["message"]
        calls = [
            (str(call["id"]), str(call["function"]["name"]), str(call["function"]["arguments"]))
            for call in said.get("tool_calls") or ()
        ]
        message: dict[str, Any] = {"role": "assistant", "content": said.get("content")}
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ModelError(f"The endpoint's answer has no usable message ({type(error).__name__}: {error}).") from error
    if calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in calls
        ]
    return Reply(message=message, calls=calls), choice.get("finish_reason")


def _traced(message: dict[str, Any]) -> dict[str, Any]:
    """Write a chat message in the shape of the GenAI conventions."""
    content = message.get("content") or ""
    if message["role"] == "tool":
        part = {"type": "tool_call_response", "id": message["tool_call_id"], "response": content}
        return {"role": "tool", "parts": [part]}
    parts: list[dict[str, Any]] = [{"type": "text", "content": content}] if content else []
    for call in message.get("tool_calls", ()):
        function = call["function"]
        parts.append(
            {"type": "tool_call", "id": call["id"], "name": function["name"], "arguments": function["arguments"]}
        )
    return {"role": message["role"], "parts": parts}
