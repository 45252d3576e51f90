"""Mistakes in the user's files, collected until all are known and shown up to a bound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from assay.core.errors import ConfigError, Problem

MOST_PROBLEMS = 50


class Problems:
    """Collects problems of one file; keeps the first ones and counts the rest."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept: list[Problem] = []
        self._more = 0

    def add(self, problem: Problem, *, line: int | None = None) -> None:
        """Add a problem, placed in the file."""
        if len(self._kept) == MOST_PROBLEMS:
            self._more += 1
            return
        placed = line if problem.line is None else problem.line
        self._kept.append(msgspec.structs.replace(problem, path=problem.path or self._path, line=placed))

    def extend(self, problems: Iterable[Problem], *, line: int | None = None) -> None:
        """Add several problems of the same line."""
        for problem in problems:
            self.add(problem, line=line)

    def __bool__(self) -> bool:
        return bool(self._kept)

    def check(self) -> None:
        """Raise `ConfigError` if there are any."""
        if not self._kept:
            return
        more = [Problem(message=f"and {self._more:,} more problems", path=self._path)] if self._more else []
        raise ConfigError([*self._kept, *more])


def shown_path(path: Path) -> str:
    """Show a path relative to the current folder where it lies below it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
