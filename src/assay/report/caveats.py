"""What a reader must know before quoting a number of a report, in plain sentences, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator

from assay.core.case import Tier
from assay.core.report import Coverage, Hermetic, Report
from assay.core.run import RunManifest
from assay.report.counts import Counts
from assay.report.words import percent, plural

_MANY = 0.5
"""Share of agent errors from which the harness, not the agent, is the first suspect."""


def caveats(report: Report, counts: Counts, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the warnings of a report; `notes` are those of the overall estimate (few cases, few clusters)."""
    lines = [
        *_unfinished(report),
        *_agent_errors(report.coverage),
        *(_sentence(note) for note in notes),
        *_missing(report, counts),
        *_surroundings(report.hermetic),
        *_dataset(report.manifest),
    ]
    return tuple(lines)


def _unfinished(report: Report) -> Iterator[str]:
    coverage = report.coverage
    if coverage.pending or report.status == "interrupted":
        yield (
            f"The run is not complete ({report.status}): {coverage.pending:,} of {plural(coverage.planned, 'episode')} "
            "have not been run; every number may still change."
        )
    elif coverage.planned == 0:
        yield "The run has no episodes."


def _agent_errors(coverage: Coverage) -> Iterator[str]:
    ran = coverage.finished + coverage.agent_error
    if ran and coverage.agent_error / ran >= _MANY:
        yield (
            f"{coverage.agent_error:,} of {plural(ran, 'episode')} ended with an error of the agent (crash, timeout or limit): "
            "open one before trusting the rate, the harness may be set up wrongly."
        )


def _missing(report: Report, counts: Counts) -> Iterator[str]:
    coverage = report.coverage
    settled = coverage.planned - coverage.pending
    if coverage.infra_error:
        yield (
            f"{coverage.infra_error:,} of {plural(settled, 'episode')} ({percent(coverage.infra_error / settled)}) were lost to "
            "infrastructure: not in any rate."
        )
    for judge in report.judges:
        if judge.unjudged:
            share = judge.unjudged / (judge.judged + judge.unjudged)
            yield f"Judge {judge.name} left {plural(judge.unjudged, 'episode')} ({percent(share)}) unjudged: not in its rate."
    missing = coverage.infra_error + counts.overall.unjudged
    if missing and report.overall.value is not None:
        low, high = counts.overall.bounds()
        yield f"Had all that is missing failed, {percent(low)} would have passed overall; had it passed, {percent(high)}."
    empty = sum(1 for judged in counts.overall.judged if not judged)
    if empty and len(counts.cases) > empty and report.manifest.attempts > 1:
        yield f"{plural(empty, 'case')} of {len(counts.cases):,} have no judged attempt at all."


def _surroundings(hermetic: Hermetic) -> Iterator[str]:
    if hermetic.world_digests:
        yield (
            f"{plural(hermetic.world_digests, 'episode')} started from another world than others of the same case and seed: "
            "the seeding is not deterministic."
        )
    if hermetic.isolation == "recorded":
        yield "The episodes are recordings: what surrounded the agent is not known."
    elif not hermetic.guarantees:
        yield f"The episodes were not hermetic ({hermetic.isolation or 'no'} isolation): one may have influenced another."
    elif missing := _lacking(hermetic):
        yield f"The episodes were only partly hermetic ({hermetic.isolation} isolation): not isolated are {', '.join(missing)}."


def _lacking(hermetic: Hermetic) -> list[str]:
    names = {"fs": "files", "pids": "processes", "net": "network", "ipc": "shared memory", "env": "environment"}
    return [name for key, name in names.items() if key not in hermetic.guarantees]


def _dataset(manifest: RunManifest) -> Iterator[str]:
    why = {
        Tier.synthetic: "its cases were made by a program or model",
        Tier.candidate: "nobody has verified its cases",
        Tier.traffic: "its cases are recorded traffic without verified answers",
    }
    if manifest.tier in why:
        yield f"The dataset is {manifest.tier}, not golden: {why[Tier(manifest.tier)]}."


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + "."
