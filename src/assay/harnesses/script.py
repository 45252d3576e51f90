"""What the worker tells an agent's process, and what comes back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from assay.core.episode import Failure
from assay.harnesses.handle import Surroundings
from assay.harnesses.target import Target

ENTRY: Final = "assay.harnesses.player:play"
"""Entry function of the agent's process."""
WARM: Final = "assay.harnesses.warm"
"""Imported in the zygote after the agent was."""

SPAN: Final = 1
"""Frame kind: one encoded `RawSpan`."""
OUTPUT: Final = 2
"""Frame kind: the answer to one turn, as JSON."""
END: Final = 3
"""Frame kind: the last one, an encoded `End`."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One episode to be played."""

    target: Target
    """The agent."""
    turns: tuple[Any, ...]
    """User turns, in order."""
    surroundings: Surroundings
    """What its world is made of."""
    trace_id: str
    """Trace that the agent's spans join."""
    root_id: str
    """Span that they hang below."""
    output_kb: int
    """Bound of each answer."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How playing ended. Comes from the agent's process: its word counts for the agent only."""

    failure: Failure | None = None
    """Why it did not finish."""
    note: str = ""
    """What a reader of the trace should know."""


# JSON and not MessagePack: a clock keeps its offset from UTC
encode_script = msgspec.json.Encoder().encode
decode_script = msgspec.json.Decoder(Script).decode
encode_end = msgspec.json.Encoder().encode
decode_end = msgspec.json.Decoder(End).decode
