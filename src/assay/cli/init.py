"""`assay init`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.project.init import write_project


@click.command(epilog="\b\nExample:\n  assay init my-evals && cd my-evals && assay run")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
def init(folder: Path) -> None:
    """Write a project that runs: an agent, a dataset, a judge and an eval. Nothing is overwritten."""
    for path in write_project(folder):
        click.echo(f"wrote {path}")
    step = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"\nNext: {step}assay run")
