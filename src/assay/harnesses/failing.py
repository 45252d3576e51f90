"""What an agent raised, as a value."""

from __future__ import annotations

import traceback
from types import TracebackType

from assay.core.episode import Failure
from assay.otel.bounds import clean_text, cut_text

_MESSAGE = 1_000
_DETAIL = 8_000
_FRAMES = 30
_OWN = "assay.harnesses."


def failure_of(error: BaseException) -> Failure:
    """Return the failure for an exception of the agent; copes with exceptions that cannot even be printed."""
    kind = type(error).__name__
    if isinstance(error, SystemExit):
        return Failure(boundary="agent", kind=kind, message=f"the agent left with exit code {_safe_text(error) or '0'}")
    said = cut_text(clean_text(_safe_text(error)), _MESSAGE)
    return Failure(
        boundary="agent",
        kind=cut_text(clean_text(kind), _MESSAGE),
        message=f"{kind}: {said}" if said else kind,
        detail=_traceback(error),
    )


def _safe_text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the agent's own `__str__` failed: its type says what there is to say
        return ""


def _traceback(error: BaseException) -> str:
    """Format the agent's frames; assay's own, above them, are left out."""
    where: TracebackType | None = error.__traceback__
    while where is not None and str(where.tb_frame.f_globals.get("__name__", "")).startswith(_OWN):
        where = where.tb_next
    try:
        lines = traceback.format_exception(type(error), error, where, limit=-_FRAMES)
    except Exception:  # noqa: BLE001 - formatting runs the agent's code too
        lines = traceback.format_tb(where, limit=-_FRAMES)
    text = clean_text("".join(lines))
    return text if len(text) <= _DETAIL else f"… [cut {len(text) - _DETAIL} characters]\n{text[-_DETAIL:]}"
