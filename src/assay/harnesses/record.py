"""What one episode came to: spans and outputs while it runs, a `Played` at its end."""

from __future__ import annotations

import time
from typing import Any

from assay.core.episode import Failure, Outcome
from assay.core.protocols import Attempt, Played
from assay.core.trace import Span, Trace
from assay.harnesses.answer import answer_bounds, as_answer, decode_answer
from assay.harnesses.limits import LimitWatch
from assay.otel.bounds import clean_text
from assay.otel.raw import RawSpan


class Record:
    """Collects what an agent does and answers; every episode has a root span, whatever the agent emits."""

    def __init__(self, attempt: Attempt, name: str) -> None:
        """Start now. `name` becomes the name of the root span."""
        self.outputs: list[Any] = []
        """Answers so far, one per turn."""
        self._attempt = attempt
        self._name = name
        self._bounds = answer_bounds(attempt.limits.output_kb)
        self._watch: LimitWatch | None = None
        self._start_ns = time.time_ns()

    @property
    def failure(self) -> Failure | None:
        """The limit that the spans passed; None while the episode may go on."""
        return self._watch.failure if self._watch is not None else None

    @property
    def is_complete(self) -> bool:
        """Whether every turn has its answer."""
        return len(self.outputs) == len(self._attempt.case.turns)

    def add_span(self, span: RawSpan) -> Failure | None:
        """Take a span; returns the failure when a limit is passed."""
        if self._watch is None:
            self._watch = LimitWatch(self._attempt.limits, self._attempt.trace_id)
        return self._watch.add(span)

    def add_output(self, value: Any) -> None:
        """Take the answer to a turn."""
        self.outputs.append(as_answer(value, self._bounds))

    def add_encoded_output(self, data: bytes) -> None:
        """Take the answer to a turn as JSON; answers beyond the last turn are ignored."""
        if len(self.outputs) < len(self._attempt.case.turns):
            self.outputs.append(decode_answer(data, self._bounds))

    def played(self, failure: Failure | None, logs: str = "") -> Played:
        """End now."""
        return Played(
            outcome=Outcome.finished if failure is None else Outcome.agent_error,
            outputs=tuple(self.outputs),
            trace=self._trace(failure),
            failure=failure,
            logs=logs,
        )

    def _trace(self, failure: Failure | None) -> Trace:
        turns = self._attempt.case.turns
        root = Span(
            span_id=self._attempt.root_id,
            name=self._name,
            start_ns=self._start_ns,
            end_ns=time.time_ns(),
            kind="agent",
            status="ok" if failure is None else "error",
            status_message="" if failure is None else failure.message,
            input=self._attempt.case.input,
            output=self.outputs if len(turns) > 1 else self.outputs[0] if self.outputs else None,
        )
        if self._watch is None:
            return Trace(trace_id=self._attempt.trace_id, spans=(root,))
        return self._watch.builder.build(root)


def log_text(*streams: bytes, limit_kb: int) -> str:
    """Return what was printed, decoded, streams one after the other; the last `limit_kb` KiB characters are kept."""
    text = "\n".join(clean_text(stream.decode("utf-8", "replace")).rstrip("\n") for stream in streams if stream.strip())
    limit = limit_kb << 10
    return text if len(text) <= limit else f"… [cut {len(text) - limit} characters]\n{text[-limit:]}"
