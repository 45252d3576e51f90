from __future__ import annotations

import msgspec
import pytest

from assay.core.errors import ConfigError
from assay.core.tables import convert_table, join_key, nearest


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: tuple[str, ...]
    size: int = 0


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None
    many: dict[str, Inner] = {}
    fixed: dict[str, str] = msgspec.field(default_factory=dict, name="set")


def problems(table: dict[str, object], key: str = "") -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        convert_table(table, Outer, key=key)
    return {problem.key: f"{problem.message} {problem.hint}".strip() for problem in caught.value.problems}


def test_a_correct_table_becomes_the_value():
    table = {"name": "a", "inner": {"seed": ["x"]}, "many": {"m": {"seed": [], "size": 2}}, "set": {"A": "1"}}
    assert convert_table(table, Outer) == Outer(
        name="a", inner=Inner(seed=("x",)), many={"m": Inner(seed=(), size=2)}, fixed={"A": "1"}
    )


def test_every_mistake_is_reported_at_once_with_its_key():
    found = problems(
        {"nam": "a", "inner": {"sed": [], "size": "big"}, "many": {"m": {"seed": [1]}, "n": 3}, "set": {"A": 1}},
        key="harness.x",
    )
    assert found == {
        "harness.x.nam": "unknown key did you mean 'name'?",
        "harness.x.name": "missing",
        "harness.x.inner.sed": "unknown key did you mean 'seed'?",
        "harness.x.inner.seed": "missing",
        "harness.x.inner.size": "expected `int`, got `str`",
        "harness.x.many.m.seed[0]": "expected `str`, got `int`",
        "harness.x.many.n": "expected `object`, got `int`",
        "harness.x.set[...]": "expected `str`, got `int`",
    }


def test_an_unknown_key_without_a_near_one_lists_the_known_ones():
    assert problems({"name": "a", "zzzz": 1}) == {"zzzz": "unknown key known keys: inner, many, name, set"}


def test_keys_join_without_empty_parts():
    assert join_key("", "a", "b") == "a.b"
    assert nearest("isolaton", ["isolation", "network"]) == "did you mean 'isolation'?"
    assert nearest("q", ["isolation"]) == ""
