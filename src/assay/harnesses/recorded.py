"""The `recorded` harness: episodes that already happened, played back from a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.core.codec import decode_json, digest, digest_bytes
from assay.core.episode import Failure, Outcome
from assay.core.errors import ConfigError, HarnessError, Problem
from assay.core.protocols import Attempt, LiveWorld, Played, SandboxNeeds
from assay.core.recording import Recording
from assay.core.sandbox import Sandbox
from assay.core.trace import Span, Trace


class _Key(msgspec.Struct):
    case: str
    attempt: int = 0


class RecordedHarness:
    """Plays recordings back by case and attempt; nothing is called."""

    kind = "recorded"
    isolations: tuple[str, ...] = ("recorded",)
    takes_world = False
    shares_port = False

    def __init__(self, name: str, path: Path) -> None:
        """Name the file of recordings (JSON lines). Raises `ConfigError` when it is not there."""
        if not path.is_file():
            raise ConfigError([Problem(message=f"there is no file {path}", key="recordings")])
        self.name = name
        self._path = path
        self.digest = digest(["recorded", digest_bytes(path.read_bytes())])
        self._offsets: dict[tuple[str, int], int] | None = None

    def fingerprint(self) -> str:
        """Return the digest of the recordings: they are the agent."""
        return self.digest

    def needs(self) -> SandboxNeeds:
        """Need nothing."""
        return SandboxNeeds()

    async def play(self, attempt: Attempt, world: LiveWorld | None, sandbox: Sandbox | None) -> Played:
        """Return the recording of this case and attempt; raises `HarnessError` when there is none."""
        if self._offsets is None:
            self._offsets = self._index()
        offset = self._offsets.get((attempt.case.id, attempt.number))
        if offset is None:
            raise HarnessError(f"{self._path} holds no attempt {attempt.number} at case {attempt.case.id}")
        with self._path.open("rb") as file:
            file.seek(offset)
            try:
                recording = decode_json(file.readline(), Recording)
            except ConfigError as error:
                raise HarnessError(
                    f"{self._path}: attempt {attempt.number} at case {attempt.case.id}: {error}"
                ) from error
        failure = recording.failure
        if failure is None and recording.outcome is not Outcome.finished:
            message = f"the recorded episode ended as {recording.outcome.value}"
            failure = Failure(boundary="agent", kind="recorded", message=message)
        return Played(
            outcome=recording.outcome,
            outputs=recording.outputs,
            trace=_joined(recording, attempt, self.name),
            failure=failure,
            effects=recording.effects,
        )

    async def close(self) -> None:
        """Release nothing."""

    def _index(self) -> dict[tuple[str, int], int]:
        offsets: dict[tuple[str, int], int] = {}
        with self._path.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        key = msgspec.json.decode(line, type=_Key)
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        raise HarnessError(f"{self._path}:{number}: {error}") from error
                    offsets[key.case, key.attempt] = offset
                offset += len(line)
        return offsets


def _joined(recording: Recording, attempt: Attempt, name: str) -> Trace:
    """Give the trace the episode's id, and a root where it has none or several."""
    trace = msgspec.structs.replace(recording.trace, trace_id=attempt.trace_id)
    ids = {span.span_id for span in trace.spans}
    roots = [span for span in trace.spans if span.parent_id not in ids]
    if len(roots) == 1:
        return trace
    outputs = recording.outputs
    root = Span(
        span_id=attempt.root_id,
        name=name,
        start_ns=min((span.start_ns for span in trace.spans), default=0),
        end_ns=max((span.end_ns for span in trace.spans), default=0),
        kind="agent",
        status="ok" if recording.outcome is Outcome.finished else "error",
        input=attempt.case.input,
        output=list(outputs) if len(outputs) > 1 else outputs[0] if outputs else None,
    )
    below = (
        msgspec.structs.replace(span, parent_id=attempt.root_id) if span.parent_id not in ids else span
        for span in trace.spans
    )
    return msgspec.structs.replace(trace, spans=(root, *below))
