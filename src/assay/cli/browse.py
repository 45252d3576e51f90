"""`assay runs`, `assay show`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from assay.cli.context import project_store
from assay.core.errors import NotFoundError
from assay.core.protocols import JudgeCount, Store


@click.command(epilog="\b\nExamples:\n  assay runs\n  assay runs --eval booking -n 5")
@click.option("--eval", "name", default="", help="Only runs of this eval.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
def runs(name: str, limit: int) -> None:
    """List runs, newest first."""
    with project_store() as store:
        found = store.runs(eval_name=name, limit=limit)
        if not found:
            click.echo("no runs yet: start one with `assay run`")
            return
        rows = [("RUN", "STARTED (UTC)", "EVAL", "KIND", "STATUS", "EPISODES", "PASSED", "HARNESS", "ISOLATION")]
        for info in found:
            manifest = info.manifest
            started = datetime.fromtimestamp(manifest.created_at, UTC).strftime("%Y-%m-%d %H:%M")
            episodes = f"{info.done:,}" if info.done == info.total else f"{info.done:,} of {info.total:,}"
            rows.append(
                (
                    manifest.run_id,
                    started,
                    manifest.eval_name,
                    manifest.kind,
                    info.status,
                    episodes,
                    _passed(store.counts(manifest.run_id)[""]),
                    manifest.harness,
                    manifest.isolation,
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _passed(count: JudgeCount) -> str:
    judged = count.passed + count.failed
    return f"{count.passed:,} of {judged:,} judged" if judged else "none judged"


@click.command(
    epilog="\b\nExamples:\n  assay show latest\n  assay show 06h0bgnndx52eb6rev5f-12-0\n  assay show latest --case tea"
)
@click.argument("episode", default="latest")
@click.option("--case", "case_id", default="", help="The episode of this case, where EPISODE names a run.")
@click.option("--spans", is_flag=True, help="Show every span of the trace.")
def show(episode: str, *, case_id: str, spans: bool) -> None:
    """Show one episode: verdicts, conversation, tool calls, effects, logs.

    EPISODE is an episode id, a trace id, or a run (`latest` or a prefix): then its first failure, or --case, is shown.
    """
    with project_store() as store:
        episode_id = _find(store, episode, case_id)
        found = store.episode(episode_id)
        verdicts = store.verdicts(episode_id)
    if sys.stdout.isatty():
        from rich.console import Console

        from assay.report.episode import render_episode_rich

        console = Console()
        console.print(render_episode_rich(found, verdicts, spans=spans, width=console.width))
    else:
        from assay.report.episode import render_episode_text

        click.echo(render_episode_text(found, verdicts, spans=spans))


def _find(store: Store, wanted: str, case_id: str) -> str:
    """Find an episode by its id, its trace id or its run."""
    try:
        info = store.run(wanted)
    except NotFoundError:
        return store.episode(wanted).id
    run_id = info.manifest.run_id
    if case_id:
        rows = [row for row in store.scored(run_id) if row.case_id == case_id and row.episode_id]
        if not rows:
            raise NotFoundError(f"run {run_id} has no episode of a case {case_id!r}")
        failed = (row for row in rows if any(passed is False for passed, _ in row.verdicts.values()))
        return next(failed, rows[0]).episode_id
    failures, _ = store.failures(run_id, 1)
    if failures:
        return failures[0].episode_id
    first = next((row.episode_id for row in store.scored(run_id) if row.episode_id), "")
    if not first:
        raise NotFoundError(f"run {run_id} has no finished episode yet")
    return first
