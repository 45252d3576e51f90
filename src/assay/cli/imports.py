"""`assay import`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.core.errors import ConfigError, Problem
from assay.datasets.imported import write_import
from assay.datasets.imports import KINDS, import_cases


@click.command(
    "import",
    epilog="\b\nExamples:\n  assay import csv questions.csv -o datasets/questions -c input=question -c expected=answer\n"
    "  assay import tau-bench gpt-4o-airline.json.gz -o datasets/airline",
)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the new dataset.")
@click.option("-c", "--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column is which field.")
@click.option("--name", default="", help="Name of the dataset; the folder's name by default.")
@click.option("--replace", is_flag=True, help="Overwrite a dataset that is there.")
def import_(kind: str, file: Path, *, output: Path, columns: tuple[str, ...], name: str, replace: bool) -> None:
    """Turn other tools' data into a dataset: cases, and recorded episodes where the file holds some.

    Imported cases are candidates: nobody has verified them yet.
    """
    imported = import_cases(kind, file, columns=dict(map(_column, columns)))
    for path in write_import(output, imported, name=name, replace=replace):
        click.echo(f"wrote {path}")
    for note in imported.notes:
        click.echo(note)


def _column(text: str) -> tuple[str, str]:
    field, separator, column = text.partition("=")
    if not separator or not field or not column:
        raise ConfigError([Problem(message=f"'{text}' is not of the form FIELD=COLUMN", key="--column")])
    return field, column
