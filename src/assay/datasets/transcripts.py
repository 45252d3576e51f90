"""Chat transcripts become traces: a root span for the agent, one for each model call and each tool call."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from assay.core.codec import digest_bytes
from assay.core.trace import Message, ModelCall, Span, ToolCall, Trace

SYNTHETIC_TIMES = "assay.synthetic_times"
NEW_MESSAGES_ONLY = "assay.input_since_last_call"
_START_NS = 1_700_000_000 * 10**9
_STEP_NS = 10**9


class ChatFunction(msgspec.Struct, frozen=True):
    """What a tool call of a chat message calls."""

    name: str
    """Name of the tool."""
    arguments: str = ""
    """Arguments as JSON text."""


class ChatCall(msgspec.Struct, frozen=True):
    """A tool call of a chat message."""

    function: ChatFunction
    """What is called."""
    id: str = ""
    """Call id."""


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message in the format of OpenAI's chat completions."""

    role: str
    """`system`, `user`, `assistant` or `tool`."""
    content: str | None = None
    """Text."""
    tool_calls: tuple[ChatCall, ...] | None = None
    """Calls that an assistant message requests."""
    tool_call_id: str = ""
    """For `tool` messages: the call that this answers."""
    name: str = ""
    """For `tool` messages: the tool."""

    @property
    def text(self) -> str:
        """The text, empty where there is none."""
        return self.content or ""


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of an agent with its user and its tools."""

    name: str
    """Name of the agent."""
    key: str
    """What tells it from all others: trace and span ids are made from it."""
    messages: Sequence[ChatMessage]
    """All messages, in order."""
    model: str = ""
    """The model, where it is known."""
    attributes: dict[str, Any] = {}
    """Attributes of the root span."""
    failure: str = ""
    """Why the conversation did not finish; empty if it did."""


def outputs_of(messages: Sequence[ChatMessage]) -> tuple[str, ...]:
    """Return what the agent answered: the assistant messages that go to the user and call no tool."""
    return tuple(m.text for m in messages if m.role == "assistant" and m.text and not m.tool_calls)


def trace_of(transcript: Transcript) -> Trace:
    """Make a trace of a transcript.

    Its times are made up (a second per message) and the root span says so in `assay.synthetic_times`. The input of a
    model call is what was said since the last one, marked `assay.input_since_last_call`; only the last model call holds
    the whole conversation, so that a long one is not stored over and over.
    """
    return _Tracer(transcript).trace()


class _Tracer:
    """Walks through the messages of one transcript and collects spans."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._trace_id = digest_bytes(transcript.key.encode())
        self._root_id = self._span_id(0)
        self._spans: list[Span] = []
        self._said: list[Message] = []
        self._seen = 0
        self._open: deque[ToolCall] = deque()
        self._ids: dict[str, int] = {}

    def trace(self) -> Trace:
        messages = self._transcript.messages
        last = max((index for index, message in enumerate(messages) if message.role == "assistant"), default=-1)
        for index, message in enumerate(messages):
            if message.role == "assistant":
                self._model_call(index, message, whole=index == last)
            elif message.role == "tool":
                self._tool_call(index, message)
            else:
                self._said.append(Message(role=message.role, text=message.text))
        return Trace(trace_id=self._trace_id, spans=(self._root(), *self._spans))

    def _root(self) -> Span:
        messages, failure = self._transcript.messages, self._transcript.failure
        outputs = outputs_of(messages)
        return Span(
            span_id=self._root_id,
            name=f"invoke_agent {self._transcript.name}",
            start_ns=_START_NS,
            end_ns=_START_NS + len(messages) * _STEP_NS,
            kind="agent",
            status="error" if failure else "ok",
            status_message=failure,
            input=next((message.text for message in messages if message.role == "user"), None),
            output=outputs[-1] if outputs else None,
            attributes={**self._transcript.attributes, SYNTHETIC_TIMES: True},
        )

    def _model_call(self, index: int, message: ChatMessage, *, whole: bool) -> None:
        calls = tuple(self._requested(call) for call in message.tool_calls or ())
        self._open.extend(calls)
        answer = Message(role="assistant", text=message.text, tool_calls=calls)
        model = ModelCall(
            model=self._transcript.model,
            input=tuple(self._said if whole else self._said[self._seen :]),
            output=(answer,),
            finish_reasons=("tool_calls" if calls else "stop",),
        )
        attributes = {NEW_MESSAGES_ONLY: True} if self._seen and not whole else {}
        self._said.append(answer)
        self._seen = len(self._said)
        name = f"chat {self._transcript.model}".strip()
        self._add(index, name, "llm", model=model, attributes=attributes)

    def _requested(self, call: ChatCall) -> ToolCall:
        """Read a requested call; ids that occur again (the published files hold many) get a number."""
        count = self._ids[call.id] = self._ids.get(call.id, 0) + 1
        call_id = call.id if count == 1 else f"{call.id}#{count}"
        return ToolCall(name=call.function.name, arguments=_parsed(call.function.arguments), id=call_id)

    def _tool_call(self, index: int, message: ChatMessage) -> None:
        """Record an execution. Answers come in the order of the calls; their ids do not tell calls apart."""
        call = self._open.popleft() if self._open else ToolCall(name=message.name, id=message.tool_call_id)
        failed = message.text.startswith("Error")
        call = msgspec.structs.replace(
            call,
            result=None if failed else _parsed(message.text),
            error=message.text if failed else "",
            span_id=self._span_id(index + 1),
        )
        self._said.append(Message(role="tool", text=message.text, tool_call_id=call.id, name=call.name))
        status = "error" if failed else "ok"
        self._add(index, f"execute_tool {call.name}", "tool", tool=call, status=status, status_message=call.error)

    def _add(self, index: int, name: str, kind: str, **content: Any) -> None:
        start = _START_NS + index * _STEP_NS
        span = Span(
            span_id=self._span_id(index + 1),
            name=name,
            start_ns=start,
            end_ns=start + _STEP_NS,
            parent_id=self._root_id,
            kind=kind,
            **content,
        )
        self._spans.append(span)

    def _span_id(self, number: int) -> str:
        return digest_bytes(f"{self._trace_id}/{number}".encode())[:16]


def _parsed(text: str) -> Any:
    """Read JSON text as what it stands for; other text is itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
