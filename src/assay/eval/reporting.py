"""Reports from the store: fold, compare with the baseline, decide."""

from __future__ import annotations

import msgspec

from assay.core.errors import NotFoundError
from assay.core.protocols import Store
from assay.core.report import Comparison, Report
from assay.core.run import GateRules, RunInfo
from assay.report.compare import compare
from assay.report.fold import fold
from assay.report.gate import decide

FAILURES_KEPT = 1_000


def build_report(store: Store, run_id: str, *, link: str = "", rules: GateRules | None = None) -> Report:
    """Fold one run into the standard report; `rules` replace those of its manifest. Raises `NotFoundError`."""
    info = store.run(run_id)
    run_id = info.manifest.run_id
    failures, total = store.failures(run_id, FAILURES_KEPT)
    report = fold(info, store.scored(run_id), store.totals(run_id), failures, total)
    if link:
        report = msgspec.structs.replace(
            report,
            failures=tuple(
                msgspec.structs.replace(
                    item,
                    link=link.format(trace_id=item.trace_id, episode_id=item.episode_id, run_id=run_id),
                )
                for item in report.failures
            ),
        )
    rules = rules or info.manifest.gate
    if rules is None:
        return report
    baseline = find_baseline(store, info, rules.baseline) if rules.baseline else None
    comparison = compare_runs(store, baseline.manifest.run_id, run_id) if baseline is not None else None
    decision = decide(report, comparison, rules)
    return msgspec.structs.replace(
        report, decision=decision, baseline=baseline.manifest.run_id if baseline is not None else ""
    )


def compare_runs(store: Store, run_a: str, run_b: str) -> Comparison:
    """Compare run B with run A, paired by case. Raises `NotFoundError`."""
    a, b = store.run(run_a), store.run(run_b)
    return compare(a, store.scored(a.manifest.run_id), b, store.scored(b.manifest.run_id))


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
