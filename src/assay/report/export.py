"""Exports: the same values as bytes, for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator

from assay.core.codec import canonical_json
from assay.core.episode import Episode
from assay.core.protocols import Scored
from assay.core.report import Comparison, Report
from assay.core.trace import Trace
from assay.report.escaping import visible

CSV_HEAD = (
    "seq", "case", "cluster", "tags", "attempt", "outcome", "judge", "passed", "score", "reused", "episode", "trace",
)  # fmt: skip
"""Columns of the verdict table."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def report_json(report: Report | Comparison) -> bytes:
    """Return a report or comparison as canonical JSON and a newline; equal values give equal bytes."""
    return canonical_json(report) + b"\n"


def episodes_jsonl(episodes: Iterable[Episode]) -> Iterator[bytes]:
    """Yield each episode as one line of canonical JSON; nothing but the line at hand is held."""
    for episode in episodes:
        yield canonical_json(episode) + b"\n"


def verdicts_csv(scored: Iterable[Scored]) -> Iterator[str]:
    """Yield the verdicts as CSV, one line per episode and judge, `passed` being 1, 0, or empty for unjudged.

    Rows without verdicts (pending, lost) have one line with an empty judge. Tags are joined by spaces. Control
    characters are spelled out, and a text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    yield _row(CSV_HEAD)
    for row in scored:
        start = (
            row.seq, _safe(row.case_id), _safe(row.cluster), _safe(" ".join(row.tags)), row.attempt, _safe(row.outcome),
        )  # fmt: skip
        end = (int(row.reused), _safe(row.episode_id), _safe(row.trace_id))
        if not row.verdicts:
            yield _row((*start, "", "", "", *end))
        for judge, (passed, score) in row.verdicts.items():
            yield _row(
                (*start, _safe(judge), "" if passed is None else int(passed), "" if score is None else score, *end)
            )


def otlp_traces(episodes: Iterable[Episode], encode: Callable[[Trace], bytes]) -> Iterator[bytes]:
    """Yield the trace of each episode as `encode` writes it, such as one OTLP/JSON line."""
    for episode in episodes:
        yield encode(episode.trace).rstrip(b"\n") + b"\n"


def _safe(text: str) -> str:
    shown = visible(text)
    return f"'{shown}" if _FORMULA.match(shown) and not _NUMBER.fullmatch(shown) else shown


def _row(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
