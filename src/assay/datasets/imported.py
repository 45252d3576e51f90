"""What an import brings: cases, recorded episodes, and notes; and how it becomes a dataset folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core.case import Case, Tier
from assay.core.errors import ConfigError, Problem
from assay.core.recording import Recording
from assay.datasets.files import CASES_FILE, HEADER_FILE, write, write_lines
from assay.datasets.problems import shown_path
from assay.datasets.recordings import RECORDINGS_FILE, write_recordings


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import."""

    name: str
    """Name for the dataset."""
    cases: Sequence[Case]
    """The cases, ids unique."""
    recordings: Sequence[Recording] = ()
    """Episodes that were recorded with them, for the `recorded` harness."""
    notes: tuple[str, ...] = ()
    """What a person should know: what was left out, made up or cut."""
    tier: Tier = Tier.candidate
    """How far the cases can be trusted: nobody here has verified them."""
    purpose: str = ""
    """What the dataset is for, in a sentence."""


def write_import(folder: str | Path, imported: Imported, *, name: str = "", replace: bool = False) -> list[Path]:
    """Write an import as a dataset folder and return the files.

    Raises `ConfigError` when the folder already holds a dataset, unless `replace`.
    """
    folder = Path(folder)
    if not replace and any((folder / file).exists() for file in (CASES_FILE, HEADER_FILE, RECORDINGS_FILE)):
        hint = "name another folder, or ask for it to be replaced"
        raise ConfigError([Problem(message="holds a dataset already", path=shown_path(folder), hint=hint)])
    header = [("name", name or imported.name), ("tier", imported.tier.value), ("purpose", imported.purpose)]
    lines = [f"{key} = {_toml_text(value)}".encode() for key, value in header if value]
    files = [folder / CASES_FILE, folder / HEADER_FILE]
    write(files[0], imported.cases)
    write_lines(files[1], lines)
    if imported.recordings:
        files.append(folder / RECORDINGS_FILE)
        write_recordings(files[-1], imported.recordings)
    return files


def _toml_text(text: str) -> str:
    """Quote text for TOML: JSON's escapes are TOML's, but for DEL, which JSON lets stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
