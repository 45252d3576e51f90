"""The three arguments, resolved: names, paths and callables become judges, a dataset and a harness."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from assay.core.case import Case, Dataset
from assay.core.errors import ConfigError, Problem
from assay.core.protocols import Harness, Judge
from assay.core.tables import convert_table, nearest
from assay.datasets.files import load, with_tags
from assay.eval.config import Config
from assay.harnesses.config import HarnessSpec, harness_from_config
from assay.harnesses.function import FunctionHarness
from assay.judges.code import FunctionJudge
from assay.judges.registry import from_config
from assay.worlds.spec import WorldSpec

T = TypeVar("T")
JudgeLike = Judge | Callable[..., Any] | str | Mapping[str, Any]
DatasetLike = Dataset | Sequence[Case] | str | Path
HarnessLike = Harness | Callable[..., Any] | str


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What an eval is made of."""

    judges: tuple[Judge, ...]
    """Judges, names unique."""
    dataset: Dataset
    """The cases that will be run."""
    harness: Harness
    """How the agent is invoked."""
    spec: HarnessSpec
    """What the harness says about its surroundings."""
    world: WorldSpec | None
    """What every episode's world is made of; None when the harness says nothing of it."""


def resolve(
    judges: Sequence[JudgeLike], dataset: DatasetLike, harness: HarnessLike, tags: Sequence[str], config: Config
) -> Parts:
    """Resolve all three arguments; raises `ConfigError` with every mistake in any of them."""
    if str(config.root) not in sys.path:
        sys.path.insert(0, str(config.root))
    problems: list[Problem] = []
    found_judges = _attempt(lambda: _judges(judges, config), problems)
    found_dataset = _attempt(lambda: _dataset(dataset, tags, config), problems)
    found_harness = _attempt(lambda: _harness(harness, config), problems)
    if problems or found_judges is None or found_dataset is None or found_harness is None:
        raise ConfigError(problems)
    built, spec, world = found_harness
    return Parts(judges=found_judges, dataset=found_dataset, harness=built, spec=spec, world=world)


def _attempt(make: Callable[[], T], problems: list[Problem]) -> T | None:
    try:
        return make()
    except ConfigError as error:
        problems += error.problems
        return None


def _judges(values: Sequence[JudgeLike], config: Config) -> tuple[Judge, ...]:
    problems: list[Problem] = []
    if not values:
        problems.append(Problem(message="an eval needs at least one judge", key="judges"))
    judges = [
        judge
        for index, value in enumerate(values)
        if (judge := _attempt(lambda value=value, index=index: _judge(value, index, config), problems)) is not None
    ]
    seen: set[str] = set()
    for judge in judges:
        if judge.name in seen:
            hint = "give one of them another name"
            problems.append(Problem(message=f'two judges are named "{judge.name}"', key="judges", hint=hint))
        seen.add(judge.name)
    if problems:
        raise ConfigError(problems)
    return tuple(judges)


def _judge(value: JudgeLike, index: int, config: Config) -> Judge:
    if isinstance(value, str) and value in config.judges:
        key = f"judge.{value}"
        try:
            return from_config({"name": value} | config.judges[value], key=key, root=config.root)
        except ConfigError as error:
            raise ConfigError(config.placed(error.problems)) from error
    if isinstance(value, str) and ":" not in value:
        hint = nearest(value, config.judges) or 'write "module:function", or declare it in assay.toml'
        raise ConfigError([Problem(message=f'no judge is named "{value}"', key=f"judges[{index}]", hint=hint)])
    if isinstance(value, str | Mapping):
        return from_config(value, key=f"judges[{index}]", root=config.root)
    return value if isinstance(value, Judge) else FunctionJudge(value)


def _dataset(value: DatasetLike, tags: Sequence[str], config: Config) -> Dataset:
    if isinstance(value, str | Path):
        dataset = load(config.root / value)
    elif isinstance(value, Dataset):
        dataset = value
    else:
        dataset = Dataset.of(list(value))
    if tags:
        dataset = with_tags(dataset, tags)
    if not len(dataset.cases):
        message = f"the dataset has no case tagged {' or '.join(tags)}" if tags else "the dataset has no cases"
        raise ConfigError([Problem(message=message, path=dataset.path, key="dataset")])
    return dataset


def _harness(value: HarnessLike, config: Config) -> tuple[Harness, HarnessSpec, WorldSpec | None]:
    if isinstance(value, str):
        table = config.harnesses.get(value)
        if table is None:
            hint = nearest(value, config.harnesses) or f"declare it as [harness.{value}] in assay.toml"
            raise ConfigError([Problem(message=f'no harness is named "{value}"', key="harness", hint=hint)])
        try:
            harness, spec = harness_from_config(value, table, config.root)
            return harness, spec, _world(spec, f"harness.{value}.world")
        except ConfigError as error:
            raise ConfigError(config.placed(error.problems)) from error
    if isinstance(value, Harness):
        return value, HarnessSpec(), None
    return FunctionHarness.of(value, root=config.root), HarnessSpec(), None


def _world(spec: HarnessSpec, key: str) -> WorldSpec | None:
    if spec.world is None and not spec.env:
        return None
    world = convert_table(spec.world or {}, WorldSpec, key=key)
    return msgspec.structs.replace(world, env=tuple(dict.fromkeys((*world.env, *spec.env))))
