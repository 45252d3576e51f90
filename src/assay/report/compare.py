"""Compare two runs, paired by case: what changed, whether it can be chance, and which episodes to open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress

import msgspec

from assay.core.protocols import Scored
from assay.core.report import COMPARE_SCHEMA, Comparison, Flip, PairedRate
from assay.core.run import RunInfo
from assay.report.counts import Counts, Series, count, episode_passed
from assay.report.words import plural
from assay.stats import paired, power
from assay.stats.multiplicity import holm

LEVEL = 0.95
"""Confidence of the intervals of differences."""


def compare(
    a: RunInfo,
    scored_a: Sequence[Scored],
    b: RunInfo,
    scored_b: Sequence[Scored],
    reasons: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare run B with run A (the baseline) on the cases that both judged.

    Only the order of the two runs matters, not that of their rows. `reasons` says why an episode failed, by episode id; flips
    quote it. Case ids tie the runs together, so a warning says when the datasets are not the same.
    """
    names_a, names_b = [ref.name for ref in a.manifest.judges], [ref.name for ref in b.manifest.judges]
    shared = [name for name in names_b if name in names_a]
    counts = (count(scored_a, names_a), count(scored_b, names_b))
    common = common_cases(counts)
    overall = _paired("overall", common, (counts[0].overall, counts[1].overall))
    judges = [_paired(name, common, (counts[0].judges[name], counts[1].judges[name])) for name in shared]
    judged = [_judged(side) for side in counts]
    lost, gained = _flips(judged, (scored_a, scored_b), (names_a, names_b), reasons or {})
    comparison = Comparison(
        schema=COMPARE_SCHEMA,
        run_a=a.manifest.run_id,
        run_b=b.manifest.run_id,
        eval_a=a.manifest.eval_name,
        eval_b=b.manifest.eval_name,
        overall=overall,
        judges=_adjusted(judges),
        lost=lost,
        gained=gained,
        only_a=len(judged[0].keys() - judged[1].keys()),
        only_b=len(judged[1].keys() - judged[0].keys()),
        judges_differ=_changed_judges(a, b),
    )
    return msgspec.structs.replace(comparison, warnings=tuple(_warnings(comparison, (a, b), counts)))


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """The cases that two runs both settled, sorted by id."""

    positions: list[tuple[int, int]]
    """Position of each case in the counts of A and of B."""
    clusters: list[str | None] | None
    """Cluster of each case as B has it, else as A has it; None when no case has one."""


def common_cases(counts: tuple[Counts, Counts]) -> Common:
    """Match the cases of two runs by id."""
    at = [{case: position for position, case in enumerate(side.cases)} for side in counts]
    positions = [(at[0][case], at[1][case]) for case in sorted(at[0].keys() & at[1].keys())]
    for side in (1, 0):
        labels = counts[side].clusters
        if labels is not None:
            return Common(positions=positions, clusters=[labels[pair[side]] for pair in positions])
    return Common(positions=positions, clusters=None)


def _judged(counts: Counts) -> dict[str, float]:
    """Return the share of attempts of each judged case that all judges passed."""
    rows = zip(counts.cases, counts.overall.passed, counts.overall.judged, strict=True)
    return {case: passed / judged for case, passed, judged in rows if judged}


def _paired(name: str, common: Common, series: tuple[Series, Series]) -> PairedRate:
    a, b = series
    both = [bool(a.judged[i] and b.judged[j]) for i, j in common.positions]
    pairs = list(compress(common.positions, both))
    if not pairs:
        return _nothing(name)
    result = paired.compare(
        [a.passed[i] / a.judged[i] for i, _ in pairs],
        [b.passed[j] / b.judged[j] for _, j in pairs],
        clusters=None if common.clusters is None else list(compress(common.clusters, both)),
        level=LEVEL,
    )
    return PairedRate(
        name=name,
        cases=result.n_cases,
        rate_a=result.baseline,
        rate_b=result.candidate,
        difference=result.difference,
        low=result.interval.low,
        high=result.interval.high,
        level=LEVEL,
        p_value=result.p_value,
        p_adjusted=None,
        test=f"{result.test}, {result.interval.method}",
        lost=result.regressed,
        gained=result.improved,
        minimum_detectable=_detectable(result),
        cases_needed=_needed(result),
        note="; ".join(result.notes),
    )


def _nothing(name: str) -> PairedRate:
    return PairedRate(
        name=name,
        cases=0,
        rate_a=None,
        rate_b=None,
        difference=None,
        low=-1.0,
        high=1.0,
        level=LEVEL,
        p_value=None,
        p_adjusted=None,
        test="none",
        lost=0,
        gained=0,
        minimum_detectable=None,
        cases_needed=None,
        note="no case was judged in both runs",
    )


def _detectable(result: paired.PairedResult) -> float | None:
    """Return the difference that this comparison finds in 4 of 5 tries, given how many cases flip; None when it finds none."""
    n = result.n_cases
    if result.test.startswith("mcnemar"):
        return power.detectable_difference(n, (result.regressed + result.improved) / n) or None
    return 2.8016 * result.se if result.se else None  # z(0.975) + z(0.8)


def _needed(result: paired.PairedResult) -> int | None:
    """Return the cases with which the observed difference would be found in 4 of 5 tries; None without a difference."""
    n, difference = result.n_cases, result.difference
    if not difference or result.se is None:
        return None
    if result.test.startswith("mcnemar"):
        return power.cases_for_difference(difference, max(abs(difference), (result.regressed + result.improved) / n))
    return power.cases_for_scores(difference, variance=result.se**2 * n)


def _adjusted(judges: Sequence[PairedRate]) -> tuple[PairedRate, ...]:
    """Adjust the p values of all judges that were tested (Holm): with ten judges, one false alarm is likely otherwise."""
    raw = [pair.p_value for pair in judges if pair.p_value is not None]
    adjusted = iter(holm(raw))
    return tuple(
        pair if pair.p_value is None else msgspec.structs.replace(pair, p_adjusted=next(adjusted)) for pair in judges
    )


def _flips(
    judged: Sequence[Mapping[str, float]],
    scored: tuple[Sequence[Scored], Sequence[Scored]],
    judges: tuple[Sequence[str], Sequence[str]],
    reasons: Mapping[str, str],
) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    before, after = judged
    changed = {case for case in before.keys() & after.keys() if before[case] != after[case]}
    episodes_a, episodes_b = (_to_open(rows, names, changed) for rows, names in zip(scored, judges, strict=True))
    flips = [
        Flip(
            case_id=case,
            before=before[case],
            after=after[case],
            episode_a=episodes_a[case],
            episode_b=episodes_b[case],
            reason=reasons.get(episodes_b[case] if after[case] < before[case] else episodes_a[case], ""),
        )
        for case in sorted(changed)
    ]
    lost = sorted((flip for flip in flips if flip.after < flip.before), key=lambda flip: flip.after - flip.before)
    gained = sorted((flip for flip in flips if flip.after > flip.before), key=lambda flip: flip.before - flip.after)
    return tuple(lost), tuple(gained)


def _to_open(scored: Sequence[Scored], judges: Sequence[str], cases: set[str]) -> dict[str, str]:
    """Return the episode worth opening of each case: the first that failed, else the first that was judged."""
    best: dict[str, tuple[int, int, str]] = {}
    rank = {False: 0, True: 1, None: 2}
    for row in scored:
        if row.case_id in cases and row.outcome:
            candidate = (rank[episode_passed(row, judges)], row.attempt, row.episode_id)
            best[row.case_id] = min(candidate, best.get(row.case_id, candidate))
    return {case: found[2] for case, found in best.items()}


def _changed_judges(a: RunInfo, b: RunInfo) -> tuple[str, ...]:
    old = {ref.name: ref.digest for ref in a.manifest.judges}
    new = {ref.name: ref.digest for ref in b.manifest.judges}
    return tuple(name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name))


def _warnings(comparison: Comparison, runs: tuple[RunInfo, RunInfo], counts: tuple[Counts, Counts]) -> Iterator[str]:
    a, b = (run.manifest for run in runs)
    for letter, run in zip("AB", runs, strict=True):
        if run.status != "finished":
            yield f"Run {letter} is {run.status}: its numbers may still change."
    if a.dataset_digest != b.dataset_digest:
        yield (
            f"The datasets are not the same (A: {a.dataset} {a.dataset_digest[:8]}, B: {b.dataset} {b.dataset_digest[:8]}): "
            "cases are matched by id only and may have been edited."
        )
    if comparison.judges_differ:
        yield (
            f"Not judged by the same judges ({', '.join(comparison.judges_differ)}): a difference may be theirs and not the "
            "agent's. Rejudge one of the runs."
        )
    if comparison.only_a or comparison.only_b:
        yield (
            f"{plural(comparison.only_a, 'case')} judged only in A and {comparison.only_b:,} only in B are left out; "
            f"{comparison.overall.cases:,} are compared."
        )
    yield from _losses(counts)
    for what, old, new in (
        ("isolation", a.isolation, b.isolation),
        ("attempts per case", a.attempts, b.attempts),
        ("harness", a.harness, b.harness),
    ):
        if old != new:
            yield f"The {what} differs: {old} in A, {new} in B."
    if a.limits != b.limits:
        yield "The limits per episode differ."
    if a.fingerprint and a.fingerprint == b.fingerprint and a.harness_digest == b.harness_digest:
        yield "Both runs are of the same agent as far as its fingerprint tells: a difference is chance, or lies outside it."


def _losses(counts: tuple[Counts, Counts]) -> Iterator[str]:
    infra = [side.outcomes["infra_error"] for side in counts]
    unjudged = [side.overall.unjudged for side in counts]
    if any(infra):
        yield f"Lost to infrastructure, not in any rate: {plural(infra[0], 'episode')} in A, {infra[1]:,} in B."
    if any(unjudged):
        yield f"Unjudged, not in any rate: {plural(unjudged[0], 'episode')} in A, {unjudged[1]:,} in B."
