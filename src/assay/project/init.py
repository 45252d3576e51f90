"""A first project: files that run as they are, to be replaced one by one."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from assay.core.errors import ConfigError, Problem

_RENAMED = {"gitignore": ".gitignore"}


def write_project(folder: Path) -> list[Path]:
    """Write the first project into a folder and return the files, in order.

    Raises `ConfigError` when any of them exists: nothing is overwritten and nothing is written then.
    """
    template = files("assay.project") / "template"
    planned = [(source, folder / _target(parts)) for source, parts in _walk(template, ())]
    taken = [Problem(message="exists already", path=str(path)) for _, path in planned if path.exists()]
    if taken:
        raise ConfigError([*taken, Problem(message="nothing was written", hint="choose an empty folder")])
    for source, path in planned:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    return sorted(path for _, path in planned)


def _walk(folder: Traversable, parts: tuple[str, ...]) -> list[tuple[Traversable, tuple[str, ...]]]:
    found: list[tuple[Traversable, tuple[str, ...]]] = []
    for entry in folder.iterdir():
        if entry.name == "__pycache__":
            continue
        below = (*parts, entry.name)
        found += _walk(entry, below) if entry.is_dir() else [(entry, below)]
    return found


def _target(parts: tuple[str, ...]) -> Path:
    return Path(*parts[:-1], _RENAMED.get(parts[-1], parts[-1]))
