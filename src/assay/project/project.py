"""A project on disk: its configuration and its evals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.tables import nearest
from assay.eval.config import FILE_NAME, Config, find_root, load_config
from assay.eval.evaluation import Eval
from assay.eval.settings import EvalSettings
from assay.eval.toml import TomlFile

EVALS_FOLDER = "evals"


class EvalFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`evals/NAME.toml`: the three arguments. Every key of the settings may stand beside them."""

    judges: list[str | dict[str, Any]]
    """Import paths (`module:function`), names of `[judge.NAME]` tables, or tables such as `{contains = "..."}`."""
    dataset: str
    """Folder or `.jsonl` file, relative to the project."""
    harness: str
    """Name of a `[harness.NAME]` table in `assay.toml`."""
    description: str = ""
    """What the eval is for, in a sentence."""


class Project:
    """A folder with `assay.toml` and `evals/`."""

    def __init__(self, root: Path | None = None) -> None:
        """Open the project at or above `root` (default: the current folder). Raises `ConfigError`."""
        self.root = find_root(root)
        self.config: Config = load_config(self.root)

    @property
    def eval_names(self) -> tuple[str, ...]:
        """Names of the evals, sorted."""
        return tuple(sorted(path.stem for path in (self.root / EVALS_FOLDER).glob("*.toml")))

    def eval(self, name: str, overrides: Mapping[str, Any] | None = None) -> Eval:
        """Build one eval; `overrides` replace settings, such as `{"attempts": 4}`. Raises `ConfigError`."""
        path = self.root / EVALS_FOLDER / f"{name}.toml"
        if not path.is_file():
            raise ConfigError([self._missing(name)])
        file = TomlFile(path, shown=_shown(path))
        problems: list[Problem] = []
        own = {key: value for key, value in file.data.items() if key in EvalFile.__struct_fields__}
        rest = {key: value for key, value in file.data.items() if key not in own}
        known = (*EvalFile.__struct_fields__, *EvalSettings.__struct_fields__)
        for key in [key for key in rest if key not in EvalSettings.__struct_fields__]:
            problems.append(file.problem(key, "unknown key", nearest(key, known) or f"known: {', '.join(known)}"))
            del rest[key]
        arguments = file.read(own, EvalFile, "", problems)
        file.read(rest, EvalSettings, "", problems)
        if problems or arguments is None:
            raise ConfigError(problems)
        merged = _merge(_merge(self.config.default_table, rest), overrides or {})
        settings = file.read(merged, EvalSettings, "", problems)
        if settings is None:
            raise ConfigError(problems)
        try:
            return Eval(
                arguments.judges,
                arguments.dataset,
                arguments.harness,
                name=name,
                settings=settings,
                config=self.config,
            )
        except ConfigError as error:
            raise ConfigError([_placed(problem, file) for problem in error.problems]) from error

    def check(self) -> list[Problem]:
        """Build every eval and return all mistakes in any of them, each once."""
        found: dict[str, Problem] = {}
        for name in self.eval_names:
            try:
                self.eval(name)
            except ConfigError as error:
                found |= {str(problem): problem for problem in error.problems}
        return list(found.values())

    def _missing(self, name: str) -> Problem:
        names = self.eval_names
        if not (self.root / FILE_NAME).is_file():
            hint = "run `assay init` to start a project here"
        else:
            hint = nearest(name, names) or (
                f"evals: {', '.join(names)}" if names else f"write {EVALS_FOLDER}/{name}.toml"
            )
        return Problem(message=f'no eval is named "{name}"', path=_shown(self.root / EVALS_FOLDER), hint=hint)


def _placed(problem: Problem, file: TomlFile) -> Problem:
    """Give a problem the place in the eval's file, unless it stands in another one."""
    if problem.path or problem.line is not None:
        return problem
    top = problem.key.partition("[")[0].partition(".")[0]
    if top and top not in file.data:
        return problem
    return msgspec.structs.replace(problem, path=file.shown, line=file.line(top) if top else None)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
