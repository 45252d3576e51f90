"""Where reports go: the terminal, and any of JSON, Markdown, JUnit and HTML files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from assay.core.episode import Episode
from assay.core.errors import AssayError
from assay.core.protocols import Store
from assay.core.report import Comparison, Report
from assay.core.verdict import Verdict
from assay.eval.reporting import Built

HTML_EPISODES = 200
"""Failed episodes that an HTML report opens; the rest stays in the store."""


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """Files that were asked for."""

    json: Path | None = None
    """Report as JSON (`assay.report/1`)."""
    markdown: Path | None = None
    """Report as Markdown, such as for a pull request."""
    junit: Path | None = None
    """Report as JUnit XML."""
    html: Path | None = None
    """Report as one self-contained HTML file."""


_FILES = {
    "json": "Write the report as JSON.",
    "markdown": "Write the report as Markdown, for a pull request.",
    "junit": "Write the report as JUnit XML, for CI.",
    "html": "Write the report as one self-contained HTML file.",
}


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, `--markdown`, `--junit` and `--html` to a command, handed over as one `outputs`."""

    def wrapped(**values: Any) -> Any:
        files = {name: values.pop(name) for name in _FILES}
        return command(outputs=Outputs(**files), **values)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # pyright: ignore[reportFunctionMemberAccess] - how click passes options on
    for name, text in reversed(_FILES.items()):
        kind = click.Path(path_type=Path, dir_okay=False)
        click.option(f"--{name}", name, type=kind, metavar="FILE", help=text)(wrapped)
    return wrapped


def show_report(built: Built, outputs: Outputs, store: Store) -> None:
    """Print a report and write the files that were asked for."""
    report, comparison = built.report, built.comparison
    if sys.stdout.isatty():
        from rich.console import Console

        from assay.report.text import render_rich

        console = Console()
        console.print(render_rich(report, comparison, width=console.width))
    else:
        from assay.report.text import render_text

        click.echo(render_text(report, comparison))
    for path in write_files(built, outputs, store):
        click.echo(f"wrote {path}")


def write_files(built: Built, outputs: Outputs, store: Store) -> Iterator[Path]:
    """Write the files that were asked for and yield each one's path."""
    report, comparison = built.report, built.comparison
    if outputs.json is not None:
        from assay.report.export import report_json

        yield _write(outputs.json, report_json(report))
    if outputs.markdown is not None:
        from assay.report.markdown import render_markdown

        yield _write(outputs.markdown, render_markdown(report, comparison).encode())
    if outputs.junit is not None:
        from assay.report.junit import render_junit

        yield _write(outputs.junit, render_junit(report, store.scored(report.manifest.run_id)).encode())
    if outputs.html is not None:
        from assay.report.html import render_html

        tags = {row.case_id: row.tags for row in store.scored(report.manifest.run_id)}
        page = render_html(report, failed_episodes(report, store), comparison, tags=tags)
        yield _write(outputs.html, page.encode())


def failed_episodes(report: Report, store: Store) -> Iterator[tuple[Episode, list[Verdict]]]:
    """Yield the first failed episodes of a report with the verdicts of its judges."""
    digests = {judge.digest for judge in report.judges}
    seen: set[str] = set()
    for item in report.failures:
        if item.episode_id in seen:
            continue
        if len(seen) == HTML_EPISODES:
            return
        seen.add(item.episode_id)
        verdicts = [verdict for verdict in store.verdicts(item.episode_id) if verdict.judge_digest in digests]
        yield store.episode(item.episode_id), verdicts


def show_comparison(comparison: Comparison) -> None:
    """Print a comparison."""
    if sys.stdout.isatty():
        from rich.console import Console

        from assay.report.text import render_comparison_rich

        console = Console()
        console.print(render_comparison_rich(comparison, width=console.width))
    else:
        from assay.report.text import render_comparison_text

        click.echo(render_comparison_text(comparison))


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise AssayError(f"cannot write {path}: {error.strerror or error}") from error
    return path
