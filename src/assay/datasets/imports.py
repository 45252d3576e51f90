"""Imports: files of other tools become cases, and recorded episodes where they hold some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from assay.core.errors import ConfigError, Problem
from assay.core.tables import nearest
from assay.datasets.imported import Imported
from assay.datasets.problems import shown_path
from assay.datasets.tables import import_csv, import_jsonl
from assay.datasets.tau_bench import import_tau_bench

_TABLES: dict[str, Callable[[Path, Mapping[str, str]], Imported]] = {"csv": import_csv, "jsonl": import_jsonl}
_RESULTS: dict[str, Callable[[Path], Imported]] = {"tau-bench": import_tau_bench}
KINDS = (*_TABLES, *_RESULTS)


def import_cases(kind: str, path: str | Path, *, columns: Mapping[str, str] | None = None) -> Imported:
    """Read a file of another tool; raises `ConfigError` with every mistake in it.

    - `csv`: the first row names the columns. Cells that hold a JSON object or list are read as JSON.
    - `jsonl`: JSON objects with any fields.
    - `tau-bench`: trajectories of tau-bench (`.json` or `.json.gz`, or a folder with one of them): a case per task and
      a recording per trial.

    `columns` says for tables which column goes to which field of a case, `{"input": "question", "expected.total":
    "sum"}`; columns that are named like a field go there by themselves. Rows without a column for the id are named by
    their content.
    """
    path = Path(path)
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f"kinds: {', '.join(KINDS)}"
        raise ConfigError([Problem(message=f"there is no import named '{kind}'", hint=hint)])
    if not path.exists():
        raise ConfigError([Problem(message="there is no such file", path=shown_path(path))])
    if kind in _TABLES:
        return _TABLES[kind](path, columns or {})
    if columns:
        raise ConfigError([Problem(message=f"{kind} has no columns to choose")])
    return _RESULTS[kind](path)
