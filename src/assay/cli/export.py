"""`assay export`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

from assay.cli.context import project_store
from assay.core.protocols import Store
from assay.otel.encode import encode_json_line
from assay.report.export import episodes_jsonl, otlp_traces, verdicts_csv


@click.command(
    epilog="\b\nExamples:\n  assay export latest > episodes.jsonl\n  assay export latest --format verdicts -o verdicts.csv"
)
@click.argument("run_id", default="latest")
@click.option(
    "--format",
    "form",
    type=click.Choice(["episodes", "verdicts", "otlp"]),
    default="episodes",
    show_default=True,
    help="episodes: JSON lines with traces; verdicts: CSV; otlp: OTLP/JSON lines, for any tracing tool.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File; standard output by default."
)
def export(run_id: str, *, form: str, output: Path | None) -> None:
    """Write all episodes, verdicts or traces of a run, one after the other in constant memory."""
    with project_store() as store:
        chunks = _chunks(store, store.run(run_id).manifest.run_id, form)
        if output is None:
            _pour(chunks, sys.stdout.buffer)
            return
        with output.open("wb") as stream:
            _pour(chunks, stream)
    click.echo(f"wrote {output}")


def _chunks(store: Store, run_id: str, form: str) -> Iterable[bytes]:
    if form == "verdicts":
        return (line.encode() for line in verdicts_csv(store.scored(run_id)))
    episodes = store.episodes(run_id)
    return episodes_jsonl(episodes) if form == "episodes" else otlp_traces(episodes, encode_json_line)


def _pour(chunks: Iterable[bytes], stream: BinaryIO) -> None:
    stream.writelines(chunks)
    stream.flush()
