"""Episodes for judges to look at."""

from __future__ import annotations

from typing import Any

from assay.core.case import Case
from assay.core.effects import NO_EFFECTS, Effects
from assay.core.episode import Episode, Failure, Outcome
from assay.core.trace import Message, ModelCall, Span, ToolCall, Trace


def make_episode(
    output: Any = "",
    *,
    outputs: tuple[Any, ...] | None = None,
    expected: Any = None,
    calls: tuple[ToolCall, ...] = (),
    effects: Effects = NO_EFFECTS,
    messages: tuple[Message, ...] = (),
    outcome: Outcome = Outcome.finished,
    failure: Failure | None = None,
    case_input: Any = "question",
) -> Episode:
    spans = [Span(span_id="f" * 16, name="root", start_ns=0, end_ns=9, kind="agent")]
    spans += [
        Span(
            span_id=call.span_id,
            name=call.name,
            start_ns=index,
            end_ns=index,
            kind="tool",
            parent_id="f" * 16,
            tool=call,
        )
        for index, call in enumerate(calls, 1)
    ]
    if messages:
        model = ModelCall(input=messages)
        spans.append(Span(span_id="e" * 16, name="chat", start_ns=1, end_ns=2, kind="llm", model=model))
    return Episode(
        id="episode",
        case=Case(id="case", input=case_input, expected=expected),
        outcome=outcome,
        trace=Trace(trace_id="0" * 32, spans=tuple(spans)),
        outputs=(output,) if outputs is None else outputs,
        effects=effects,
        failure=failure,
        world_digest="world",
    )
