"""`assay.toml`: named harnesses and judges, defaults, and where the store is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.tables import join_key, nearest
from assay.eval.settings import EvalSettings
from assay.eval.toml import TomlFile

FILE_NAME = "assay.toml"
_SECTIONS = ("project", "store", "defaults", "harness", "judge")


class _Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[project]` table."""

    name: str = ""
    """Shown in reports."""


class _Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[store]` table."""

    url: str = ""
    """Path of a SQLite file or a PostgreSQL URL; `.assay/assay.db` by default. ASSAY_STORE overrides it."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What `assay.toml` says."""

    root: Path
    """The project's folder: relative paths start here, and imports are looked up here first."""
    name: str = ""
    """Name of the project."""
    store_url: str = ""
    """Where runs are kept."""
    defaults: EvalSettings = EvalSettings()
    """Settings for evals that do not say otherwise."""
    default_table: dict[str, Any] = {}
    """The `[defaults]` table as written, to be overridden key by key."""
    harnesses: dict[str, dict[str, Any]] = {}
    """The `[harness.NAME]` tables."""
    judges: dict[str, dict[str, Any]] = {}
    """The `[judge.NAME]` tables."""
    file: TomlFile | None = None
    """The file itself, to place mistakes; None when there is none."""

    def placed(self, problems: tuple[Problem, ...]) -> list[Problem]:
        """Give problems about keys of this file their line."""
        return self.file.placed(problems) if self.file is not None else list(problems)


def find_root(start: Path | None = None) -> Path:
    """Return the nearest folder, from `start` upward, that holds an `assay.toml`; `start` itself when none does."""
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()), here)


def load_config(root: Path) -> Config:
    """Read `assay.toml` of a project; an empty configuration when there is none. Raises `ConfigError`."""
    path = root / FILE_NAME
    environment = os.environ.get("ASSAY_STORE", "")
    if not path.is_file():
        return Config(root=root, store_url=environment or _default_store(root))
    file = TomlFile(path, shown=_shown(path))
    problems = [
        file.problem(key, "unknown table", nearest(key, _SECTIONS) or f"known: {', '.join(_SECTIONS)}")
        for key in file.data
        if key not in _SECTIONS
    ]
    project = file.read(file.data.get("project", {}), _Project, "project", problems)
    store = file.read(file.data.get("store", {}), _Store, "store", problems)
    table = file.data.get("defaults", {})
    defaults = file.read(table, EvalSettings, "defaults", problems)
    named = {section: _tables(file, section, problems) for section in ("harness", "judge")}
    if problems or project is None or store is None or defaults is None:
        raise ConfigError(problems)
    url = environment or store.url
    if url and "://" not in url:
        url = str(root / url)
    return Config(
        root=root,
        name=project.name or root.name,
        store_url=url or _default_store(root),
        defaults=defaults,
        default_table=table,
        harnesses=named["harness"],
        judges=named["judge"],
        file=file,
    )


def _tables(file: TomlFile, section: str, problems: list[Problem]) -> dict[str, dict[str, Any]]:
    found: Any = file.data.get(section, {})
    if not isinstance(found, dict):
        problems.append(file.problem(section, f"must be tables: [{section}.NAME]"))
        return {}
    for name, value in found.items():
        if not isinstance(value, dict):
            problems.append(file.problem(join_key(section, name), f"must be a table: [{section}.{name}]"))
    return found


def _default_store(root: Path) -> str:
    return str(root / ".assay" / "assay.db")


def _shown(path: Path) -> str:
    """Show a path relative to the current folder where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
