"""Judges by configuration: what `judges = [...]` of an eval and `[judge.NAME]` of assay.toml may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.protocols import Judge
from assay.core.tables import convert_table, join_key, nearest
from assay.judges.builtin import BuiltIn
from assay.judges.code import FunctionJudge
from assay.judges.loading import load_object
from assay.judges.match import Contains, Exact, Number, Regex
from assay.judges.schema import JsonSchema
from assay.judges.state import EffectsMatch
from assay.judges.trajectory import Trajectory

KINDS: dict[str, type[BuiltIn]] = {
    kind.kind: kind for kind in (Contains, EffectsMatch, Exact, JsonSchema, Number, Regex, Trajectory)
}
_FUNCTION = "function"
_NAMES = (*KINDS, _FUNCTION)
_FORMS = f'write "module:function" or a table with one of: {", ".join(_NAMES)}'


class _FunctionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a table may say beside `function`."""

    function: str
    """`module:function`."""
    name: str | msgspec.UnsetType = msgspec.UNSET
    """Shown in reports."""
    threshold: float | msgspec.UnsetType = msgspec.UNSET
    """Score from which it passes."""
    timeout_s: float | msgspec.UnsetType = msgspec.UNSET
    """Seconds after which an episode is unjudged."""
    version: str | msgspec.UnsetType = msgspec.UNSET
    """Replaces the digest of the source."""


def from_config(
    value: Any, *, key: str = "", root: Path | None = None, named: Mapping[str, Judge] | None = None
) -> Judge:
    """Turn a TOML value into a judge; raises `ConfigError` with every mistake, placed at `key` or below it.

    - text: `"module:function"`, or the name of a judge in `named`;
    - a table with one kind, such as `{ contains = "please", on = "/answer" }`: the kind's value is its main setting or
      a table of settings, and settings (`name` and `timeout_s` among them) may also stand beside it;
    - a table with `function = "module:function"` and settings of `assay.judge`.

    `root` is the project's folder: schema files are found from there.
    """
    if isinstance(value, str):
        return _from_text(value, key, root, named or {})
    if not isinstance(value, Mapping):
        raise ConfigError([Problem(message=f"no judge: {type(value).__name__}", key=key, hint=_FORMS)])
    kinds = [name for name in _NAMES if name in value]
    if len(kinds) != 1:
        raise ConfigError([_kind_problem(value, kinds, key)])
    if kinds[0] == _FUNCTION:
        return _from_function(value, key, root)
    return _from_kind(KINDS[kinds[0]], value, key, root)


def _from_text(value: str, key: str, root: Path | None, named: Mapping[str, Judge]) -> Judge:
    if ":" in value:
        return _loaded(value, key, root)
    if value in named:
        return named[value]
    hint = nearest(value, [*named, *KINDS]) or _FORMS
    if value in KINDS:
        hint = f"write {{ {value} = ... }}"
    raise ConfigError([Problem(message=f"no judge is named '{value}'", key=key, hint=hint)])


def _kind_problem(value: Mapping[str, Any], kinds: list[str], key: str) -> Problem:
    if kinds:
        return Problem(message=f"several kinds of judge in one table: {', '.join(kinds)}", key=key)
    guesses = [(name, nearest(name, _NAMES)) for name in value]
    name, hint = next(((name, hint) for name, hint in guesses if hint), ("", _FORMS))
    return Problem(message="the table names no kind of judge", key=join_key(key, name), hint=hint)


def _loaded(spec: str, key: str, root: Path | None) -> Judge:
    try:
        found = load_object(spec, root=root)
        if isinstance(found, Judge) and not isinstance(found, type):
            return found
        if callable(found) and not isinstance(found, type):
            return FunctionJudge(found)
    except ConfigError as error:
        raise ConfigError(_placed(error, key)) from error
    what = "is a class: name a judge made from it" if isinstance(found, type) else "is no judge and no function"
    raise ConfigError([Problem(message=f"'{spec}' {what}", key=key)])


def _from_function(value: Mapping[str, Any], key: str, root: Path | None) -> Judge:
    settings = convert_table(value, _FunctionSettings, key=key)
    judge = _loaded(settings.function, join_key(key, _FUNCTION), root)
    options: dict[str, Any] = msgspec.to_builtins(settings)
    del options[_FUNCTION]
    if all(getattr(judge, name, None) == option for name, option in options.items()):
        return judge
    try:
        if isinstance(judge, FunctionJudge):
            return judge.replace(**options)
        if isinstance(judge, BuiltIn) and options.keys() <= {"name", "timeout_s"}:
            return msgspec.structs.replace(judge, **options)
    except ConfigError as error:
        raise ConfigError(_placed(error, key)) from error
    message = f"'{settings.function}' is a judge with settings of its own: {', '.join(options)} cannot be changed here"
    raise ConfigError([Problem(message=message, key=key)])


def _from_kind(kind: type[BuiltIn], value: Mapping[str, Any], key: str, root: Path | None) -> Judge:
    main = value[kind.kind]
    beside = {name: setting for name, setting in value.items() if name != kind.kind}
    inner = dict(main) if isinstance(main, Mapping) else {kind.shorthand: main}
    twice = sorted(inner.keys() & beside.keys())
    if twice:
        raise ConfigError([Problem(message="given twice", key=join_key(key, name)) for name in twice])
    settings = inner | beside
    try:
        if kind is JsonSchema and isinstance(settings.get("schema"), str):
            settings["schema"] = _schema_file(settings["schema"], root)
        return convert_table(settings, kind)
    except ConfigError as error:
        short = "" if isinstance(main, Mapping) else kind.shorthand
        raise ConfigError([_in_table(problem, key, kind.kind, beside, short) for problem in error.problems]) from error


def _in_table(problem: Problem, key: str, kind: str, beside: Mapping[str, Any], short: str) -> Problem:
    """Place a mistake where the setting stands: beside the kind's key, in its table, or as its value."""
    name = problem.key.partition(".")[0].partition("[")[0]
    place = problem.key
    if short and name == short:
        place = kind + place.removeprefix(short)
    elif name not in beside:
        place = join_key(kind, place)
    return msgspec.structs.replace(problem, key=join_key(key, place))


def _schema_file(name: str, root: Path | None) -> Any:
    path = (root or Path()) / name
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        message = f"the schema cannot be read from {path}: {error}"
        raise ConfigError([Problem(message=message, key="schema")]) from error


def _placed(error: ConfigError, key: str) -> list[Problem]:
    return [msgspec.structs.replace(problem, key=join_key(key, problem.key)) for problem in error.problems]
