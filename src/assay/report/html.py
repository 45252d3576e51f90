"""One self-contained HTML file: no server, no network, light and dark, failures first, readable without JavaScript.

Everything that comes from agents, judges and datasets passes `visible` and is escaped, by the environment and not by the
templates' care. The content security policy allows the two inlined blocks by their hashes and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from assay.core.episode import Episode
from assay.core.report import Comparison, PairedRate, Report
from assay.core.verdict import Verdict
from assay.report import words
from assay.report.escaping import line, visible
from assay.report.excerpt import Excerpt, excerpt
from assay.report.failures import by_episode, safe_link, show_command
from assay.report.text import paired_notes

if TYPE_CHECKING:
    from jinja2 import Environment

ROWS_LIMIT = 2_000
"""Failed episodes that are listed at most."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the episodes goes into one file."""

    episodes: int = 200
    """Episodes that are embedded at most."""
    characters: int = 8_000_000
    """Characters of all embedded episodes together."""


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list: one episode with all that went wrong in it."""

    episode_id: str
    case_id: str
    attempt: int
    anchor: str
    link: str
    kinds: list[str]
    judges: list[int]
    tags: list[int]
    reasons: list[tuple[str, str]]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the bar of outcomes."""

    kind: str
    label: str
    count: int
    start: float
    width: float


def render_html(
    report: Report,
    episodes: Iterable[tuple[Episode, Sequence[Verdict]]] = (),
    comparison: Comparison | None = None,
    *,
    tags: Mapping[str, Sequence[str]] | None = None,
    room: Room | None = None,
) -> str:
    """Return the report as one HTML file.

    Args:
        report: what to show.
        episodes: episodes behind the report's failures, each with its verdicts, most wanted first. They are read one by
            one and no further than `room` allows; the file says how many were left out.
        comparison: shown in a section of its own.
        tags: tags by case id, to filter failures by; embedded episodes know theirs.
        room: bounds of what is embedded.

    """
    excerpts = _embedded(episodes, {item.episode_id for item in report.failures}, room or Room())
    items, judges, shown_tags = _items(report, excerpts, tags or {})
    coverage = report.coverage
    unjudged = coverage.finished + coverage.agent_error - report.overall.judged
    rules = report.manifest.gate
    wanted: dict[str, float | None] = {"": rules.minimum if rules else None}
    wanted |= {judge.name: rules.judges.get(judge.name) if rules else None for judge in report.judges}
    pairs = [comparison.overall, *comparison.judges] if comparison else []
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            manifest=report.manifest,
            identity=words.identity(report.manifest),
            details=_details(report),
            notices=[*([report.fingerprint.drift] if report.fingerprint.drift else []), *report.warnings],
            parts=_parts(report, unjudged),
            unjudged=unjudged,
            wanted=wanted,
            has_wanted=any(minimum is not None for minimum in wanted.values()),
            comparison=comparison,
            pairs=pairs,
            reach=_reach(pairs),
            power_notes=paired_notes(comparison.overall) if comparison else [],
            items=items,
            excerpts=excerpts,
            anchors={item.episode_id: item.anchor for item in items if item.episode_id in excerpts},
            kinds=[(kind, words.KINDS[kind]) for kind in words.ORDER if any(kind in item.kinds for item in items)],
            judges=judges,
            tags=shown_tags,
            left_out=_left_out(report, items, excerpts),
            **_blocks(),
        )
    )


def _embedded(
    episodes: Iterable[tuple[Episode, Sequence[Verdict]]], wanted: set[str], room: Room
) -> dict[str, Excerpt]:
    kept: dict[str, Excerpt] = {}
    left = room.characters
    for episode, verdicts in episodes:
        if len(kept) >= room.episodes or left <= 0:
            break
        if episode.id in wanted:
            kept[episode.id] = excerpt(episode, verdicts)
            left -= kept[episode.id].size
    return kept


def _items(
    report: Report, excerpts: Mapping[str, Excerpt], tags: Mapping[str, Sequence[str]]
) -> tuple[list[_Item], list[str], list[str]]:
    """Group the failures by episode; also return the judges and tags that the items point to."""
    items: list[_Item] = []
    judges: dict[str, int] = {}
    known: dict[str, int] = {}
    for position, group in enumerate(by_episode(report.failures)[:ROWS_LIMIT]):
        first = group[0]
        embedded = excerpts.get(first.episode_id)
        found = tags.get(first.case_id) or (embedded.tags if embedded else ())
        items.append(
            _Item(
                episode_id=first.episode_id,
                case_id=line(first.case_id, 120),
                attempt=first.attempt,
                anchor=f"f-{position + 1}",
                link=safe_link(first.link),
                kinds=list(dict.fromkeys(item.kind for item in group)),
                judges=[judges.setdefault(item.judge, len(judges)) for item in group if item.judge],
                tags=[known.setdefault(tag, len(known)) for tag in found],
                reasons=[(line(item.judge, 60), line(item.reason, 300)) for item in group],
            )
        )
    return items, list(judges), list(known)


def _parts(report: Report, unjudged: int) -> list[_Part]:
    """Divide the bar of outcomes, in thousandths; every episode is in exactly one part."""
    coverage, overall = report.coverage, report.overall
    by_judges = overall.judged - overall.passed - (coverage.agent_error if report.judges else 0)
    counts = (
        ("passed", "passed", overall.passed),
        ("failed", "failed by a judge", by_judges),
        ("agent_error", "agent errors", coverage.agent_error if report.judges else 0),
        ("unjudged", "unjudged", unjudged),
        ("infra_error", "lost to infrastructure", coverage.infra_error),
        ("pending", "not run yet", coverage.pending),
    )
    parts: list[_Part] = []
    before = 0
    for kind, label, count in counts:
        if count:
            start, width = (round(1000 * number / coverage.planned, 2) for number in (before, count))
            parts.append(_Part(kind=kind, label=label, count=count, start=start, width=width))
            before += count
    return parts


def _reach(pairs: Sequence[PairedRate]) -> float:
    """Return how far the axis of differences goes to either side, so that every interval fits."""
    most = max((max(-pair.low, pair.high) for pair in pairs if pair.difference is not None), default=1.0)
    return next(reach for reach in (0.05, 0.1, 0.25, 0.5, 1.0) if most <= reach or reach == 1.0)


def _left_out(report: Report, items: Sequence[_Item], excerpts: Mapping[str, Excerpt]) -> str:
    sentences: list[str] = []
    if len(excerpts) < len(items):
        sentences.append(
            f"{len(excerpts):,} of {words.plural(len(items), 'episode')} are embedded here; the others open with the command in "
            "their row."
        )
    listed = {item.episode_id for item in items}
    unlisted = report.failures_total - sum(failure.episode_id in listed for failure in report.failures)
    if unlisted > 0:
        sentences.append(f"{words.plural(unlisted, 'further failure')} are only in the store.")
    return " ".join(sentences)


def _details(report: Report) -> list[tuple[str, str]]:
    manifest, hermetic, agent = report.manifest, report.hermetic, report.fingerprint
    limits = msgspec.to_builtins(manifest.limits)
    pairs: list[tuple[str, str]] = [
        ("dataset digest", manifest.dataset_digest),
        ("harness digest", manifest.harness_digest),
        *((f"judge {judge.name}", judge.digest) for judge in manifest.judges),
        ("agent fingerprint", agent.static or "none"),
        ("models seen", ", ".join(agent.models)),
        ("system prompts seen", str(agent.prompts) if agent.prompts else ""),
        ("tools seen", ", ".join(agent.tools)),
        ("isolation", f"{hermetic.isolation} ({', '.join(hermetic.guarantees) or 'no guarantee'})"),
        ("isolation note", hermetic.note),
        ("seed", str(manifest.seed)),
        ("retries", str(manifest.retries)),
        ("limits", ", ".join(f"{name} {value}" for name, value in limits.items() if value is not None)),
        ("commit", manifest.commit),
        ("finished", words.moment(report.finished_at)),
        ("host", ", ".join(f"{key} {value}" for key, value in manifest.host.items())),
    ]
    return [(label, line(value, 1_000)) for label, value in pairs if value]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        """Make every text visible that a template prints; only what the environment itself made is already safe."""
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("assay.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "brief": _brief,
        "interval": words.interval,
        "kind": words.kind,
        "limits": words.limits,
        "money": words.money,
        "p_value": words.p_value,
        "percent": words.percent,
        "place": _place,
        "plural": words.plural,
        "points": words.points,
        "share": words.share,
        "show": show_command,
    }
    environment.filters.update(filters)
    return environment


def _brief(text: str) -> str:
    return line(text, 160)


def _place(share: float) -> str:
    """Return where a share lies on a bar of 260 units with a margin for the dot."""
    return f"{6 + 248 * min(1.0, max(0.0, share)):.1f}"


@cache
def _blocks() -> dict[str, Any]:
    """Return the inlined style and script, and the policy that allows exactly them."""
    from markupsafe import Markup

    folder = resources.files("assay.report") / "templates"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    # both are files of this package: trusted, and free of a closing tag
    return {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
