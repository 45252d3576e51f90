"""Numbers as people read them, the same in every renderer."""

from __future__ import annotations

from datetime import UTC, datetime

from assay.core.report import PairedRate, Rate, Repeat
from assay.core.run import RunManifest

ORDER = ("failed", "agent_error", "unjudged", "infra_error")
"""Kinds of failures, the most telling first."""

KINDS = {"failed": "failed", "agent_error": "agent error", "unjudged": "unjudged", "infra_error": "lost"}
"""Kinds of failures as they are shown."""


def percent(value: float) -> str:
    """Return a share as a percentage with one digit; 100% and 0% stand for all and none, nothing is rounded to them."""
    scaled = 100.0 * value
    if 0.0 < scaled < 0.05:
        return "<0.1%"
    if 99.95 <= scaled < 100.0:
        return ">99.9%"
    return f"{scaled:.1f}%" if scaled not in {0.0, 100.0} else f"{scaled:.0f}%"


def share(value: float | None) -> str:
    """Return a share as a percentage, a dash for one that is not known."""
    return "\u2013" if value is None else percent(value)


def kind(name: str) -> str:
    """Return a kind of failure as it is shown."""
    return KINDS.get(name, name)


def points(difference: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign; a dash for one that is not known."""
    if difference is None:
        return "\u2013"
    return f"{100.0 * difference:+.1f}"


def interval(low: float, high: float) -> str:
    """Return an interval of shares in percent, without the sign."""
    return f"{100.0 * low:.1f}\u2013{100.0 * high:.1f}"


def limits(value: Rate) -> str:
    """Return the interval of a rate in percent, a dash when nothing was judged."""
    return "\u2013" if value.value is None else interval(value.low, value.high)


def rate(value: Rate) -> str:
    """Return a rate with its interval, method and cases; the counts first where there are fewer than ten cases."""
    if value.value is None:
        return "no rate: nothing was judged"
    detail = f"{value.level:.0%} {interval(value.low, value.high)}, {value.method}, {plural(value.cases, 'case')}"
    if value.cases < 10:
        return f"{value.passed} of {value.judged} passed: {percent(value.value)} ({detail})"
    return f"{percent(value.value)} ({detail})"


def difference(pair: PairedRate) -> str:
    """Return a difference in points with its interval; a dash when no case was judged in both runs."""
    if pair.difference is None:
        return "\u2013"
    return f"{points(pair.difference)} points ({pair.level:.0%} {points(pair.low)} to {points(pair.high)})"


def p_value(value: float | None) -> str:
    """Return a p value with two digits, `<0.001` below that, a dash for a test that could not be made."""
    if value is None:
        return "\u2013"
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def money(cost: float | None) -> str:
    """Return money in US dollars; an unknown amount says so."""
    if cost is None:
        return "unknown"
    return f"${cost:,.2f}" if cost >= 0.0995 or cost == 0 else f"${cost:.4f}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def moment(seconds: float | None) -> str:
    """Return a Unix time as minutes of UTC; empty when it is not known."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def repeat(point: Repeat) -> str:
    """Return pass@k and pass^k with their standard errors."""
    return (
        f"pass@{point.k} {percent(point.pass_at)} \u00b1{100 * point.pass_at_se:.1f}, "
        f"pass^{point.k} {percent(point.pass_hat)} \u00b1{100 * point.pass_hat_se:.1f}"
    )


def identity(manifest: RunManifest) -> list[tuple[str, str]]:
    """Return what a run was made of, as label and value, without what is not known."""
    attempts = f" \u00d7 {manifest.attempts} attempts" if manifest.attempts > 1 else ""
    pairs = [
        ("run", manifest.run_id),
        ("started", moment(manifest.created_at)),
        ("dataset", f"{manifest.dataset} ({manifest.tier}, {plural(manifest.cases, 'case')}{attempts})"),
        ("harness", f"{manifest.harness} ({manifest.harness_kind})"),
        ("isolation", manifest.isolation),
        ("commit", manifest.commit[:12] + ("-dirty" if manifest.commit.endswith("-dirty") else "")),
        ("judged again from", manifest.parent),
    ]
    return [(label, value) for label, value in pairs if value]
