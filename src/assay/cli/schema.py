"""`assay schema`."""

from __future__ import annotations

import json

import click

from assay.project.schema import all_schemas

_NAMES = ("report", "compare", "case", "episode", "config", "eval", "dataset")


@click.command(epilog="\b\nExamples:\n  assay schema report\n  assay schema config > assay.schema.json")
@click.argument("name", type=click.Choice(_NAMES))
def schema(name: str) -> None:
    """Print the JSON Schema of a file format: reports, cases, and the TOML files that you write."""
    click.echo(json.dumps(all_schemas()[name], indent=2, ensure_ascii=False))
