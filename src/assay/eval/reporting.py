"""Reports from the store: fold, compare with the baseline, decide."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from assay.core.errors import ConfigError, NotFoundError
from assay.core.protocols import Scored, Store
from assay.core.report import Comparison, FailureItem, Report
from assay.core.run import GateRules, RunInfo
from assay.report.compare import compare
from assay.report.fold import describe_drift, fold
from assay.report.gate import Evidence, decide, self_test

FAILURES_KEPT = 1_000
"""Failures that a report lists; all are counted."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A report with the comparison behind its decision."""

    report: Report
    """The report, decided where there are rules."""
    comparison: Comparison | None = None
    """With the baseline, where the rules name one that exists."""


def build_report(store: Store, run_id: str, *, link: str = "", rules: GateRules | None = None) -> Built:
    """Fold one run into the standard report; `rules` replace those of its manifest. Raises `NotFoundError`."""
    info = store.run(run_id)
    scored = store.scored(info.manifest.run_id)
    report = _folded(store, info, scored, link)
    rules = rules or info.manifest.gate or GateRules()
    baseline = find_baseline(store, info, rules.baseline) if rules.baseline else None
    comparison = None
    evidence = Evidence(scored=scored)
    if baseline is not None:
        scored_before = store.scored(baseline.manifest.run_id)
        comparison = compare(baseline, scored_before, info, scored, _reasons(report.failures))
        evidence = Evidence(scored=scored, baseline=scored_before)
        drift = describe_drift(_folded(store, baseline, scored_before).fingerprint, report.fingerprint)
        fingerprint = msgspec.structs.replace(report.fingerprint, drift=drift)
        report = msgspec.structs.replace(report, baseline=baseline.manifest.run_id, fingerprint=fingerprint)
    try:
        decision = decide(report, comparison, rules, evidence)
    except ValueError as error:
        raise ConfigError(f"gate: {error}") from error
    return Built(report=msgspec.structs.replace(report, decision=decision), comparison=comparison)


def compare_runs(store: Store, run_a: str, run_b: str) -> Comparison:
    """Compare run B with run A, paired by case. Raises `NotFoundError`."""
    a, b = store.run(run_a), store.run(run_b)
    reasons: dict[str, str] = {}
    for info in (a, b):
        reasons |= _reasons(store.failures(info.manifest.run_id, FAILURES_KEPT)[0])
    return compare(a, store.scored(a.manifest.run_id), b, store.scored(b.manifest.run_id), reasons)


def check_gate(store: Store, run_id: str, rules: GateRules | None = None) -> tuple[str, ...]:
    """Measure how often the no-regression rule would accuse an agent of being worse than itself; returns sentences.

    Raises `ConfigError` when the run has too few judged cases for it.
    """
    info = store.run(run_id)
    names = [judge.name for judge in info.manifest.judges]
    try:
        return self_test(store.scored(info.manifest.run_id), names, rules or info.manifest.gate or GateRules())
    except ValueError as error:
        raise ConfigError(f"the gate cannot be tested on run {info.manifest.run_id}: {error}") from error


def find_baseline(store: Store, info: RunInfo, wanted: str) -> RunInfo | None:
    """Return the run that `wanted` names: an id, or `latest`, the newest finished run of the same eval before this one.

    None when `latest` finds none. Raises `NotFoundError` for an id that is not there.
    """
    if wanted != "latest":
        found = store.run(wanted)
        if found.manifest.run_id == info.manifest.run_id:
            raise NotFoundError(f"run {wanted} cannot be its own baseline")
        return found
    earlier = (
        other
        for other in store.runs(eval_name=info.manifest.eval_name, limit=200)
        if other.status == "finished" and other.manifest.run_id < info.manifest.run_id
    )
    return next(earlier, None)


def _folded(store: Store, info: RunInfo, scored: Sequence[Scored], link: str = "") -> Report:
    run_id = info.manifest.run_id
    failures, total = store.failures(run_id, FAILURES_KEPT)
    if link:
        failures = [
            msgspec.structs.replace(
                item, link=link.format(trace_id=item.trace_id, episode_id=item.episode_id, run_id=run_id)
            )
            for item in failures
        ]
    return fold(info, scored, store.totals(run_id), failures, total)


def _reasons(failures: Sequence[FailureItem]) -> dict[str, str]:
    return {item.episode_id: item.reason for item in reversed(failures)}
