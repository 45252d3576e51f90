from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.core.errors import ConfigError
from assay.judges.code import FunctionJudge
from assay.judges.match import Contains, Exact, Number, Regex
from assay.judges.registry import KINDS, from_config
from assay.judges.schema import JsonSchema
from assay.judges.state import EffectsMatch
from assay.judges.trajectory import ExpectedCall, Trajectory

SOURCE = """
from assay.judges.code import judge
from assay.judges.match import Contains

@judge(threshold=0.8)
def graded(episode): return 0.7

def plain(episode): return True

polite = Contains(value="please")
number = 3

class Own:
    name = "own"
    digest = "d"
    timeout_s = 1.0
    def judge(self, episode): ...

own = Own()
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry_judges.py").write_text(SOURCE)
    (tmp_path / "answer.json").write_text(json.dumps({"type": "object"}))
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("value", "judge"),
    [
        ({"exact": {}}, Exact()),
        ({"exact": "a", "ignore_case": True}, Exact(value="a", ignore_case=True)),
        ({"exact": {"expected": "/a", "any_of": True}, "name": "n"}, Exact(expected="/a", any_of=True, name="n")),
        ({"contains": "please", "on": "/answer", "name": "polite"}, Contains(value="please", on="/answer", name="polite")),
        ({"contains": ["a", "b"], "mode": "any"}, Contains(value=["a", "b"], mode="any")),
        ({"contains": {"expected": "words"}}, Contains(expected="words")),
        ({"regex": "^HB-", "timeout_s": 1}, Regex(value="^HB-", timeout_s=1.0)),
        ({"number": 42, "abs_tol": 0.5}, Number(value=42, abs_tol=0.5)),
        ({"number": {"expected": "total", "on": "/total"}}, Number(expected="total", on="/total")),
        ({"json_schema": {"schema": {"type": "object"}}}, JsonSchema(schema={"type": "object"})),
        ({"json_schema": "answer.json"}, JsonSchema(schema={"type": "object"})),
        ({"json_schema": {"schema": "answer.json", "on": "/a"}}, JsonSchema(schema={"type": "object"}, on="/a")),
        ({"effects": {}}, EffectsMatch()),
        ({"effects": "state"}, EffectsMatch(expected="state")),
        (
            {"effects": {"value": {"tables": {"t": {"added": 1}}}}, "ignore": ["log"]},
            EffectsMatch(value={"tables": {"t": {"added": 1}}}, ignore=("log",)),
        ),
        (
            {"trajectory": {"forbidden": ["refund"]}, "name": "no_refund"},
            Trajectory(forbidden=("refund",), name="no_refund"),
        ),
        (
            {"trajectory": ["search", {"tool": "book", "arguments": {"room": "1"}}], "order": "in_order"},
            Trajectory(required=("search", ExpectedCall(tool="book", arguments={"room": "1"})), order="in_order"),
        ),
    ],
)  # fmt: skip
def test_tables(value: dict[str, Any], judge: Any, root: Path):
    found = from_config(value, key="judges[0]", root=root)
    assert found == judge
    assert found.digest == judge.digest


def test_import_paths(root: Path):
    graded = from_config("registry_judges:graded")
    assert isinstance(graded, FunctionJudge)
    assert (graded.name, graded.threshold) == ("graded", 0.8)
    assert from_config("registry_judges:plain").name == "plain"
    assert from_config("registry_judges:polite") == Contains(value="please")
    assert from_config("registry_judges:own").name == "own"


def test_function_tables(root: Path):
    renamed = from_config({"name": "tone", "function": "registry_judges:graded", "threshold": 0.5, "timeout_s": 3})
    assert isinstance(renamed, FunctionJudge)
    assert (renamed.name, renamed.threshold, renamed.timeout_s) == ("tone", 0.5, 3.0)
    kept = from_config({"function": "registry_judges:graded", "name": "graded"})
    assert kept is from_config("registry_judges:graded")
    assert from_config({"function": "registry_judges:polite", "name": "kind"}).name == "kind"
    assert from_config({"function": "registry_judges:own", "name": "own"}).name == "own"


def test_named_judges(root: Path):
    named = {"tone": Contains(value="please", name="tone")}
    assert from_config("tone", named=named) is named["tone"]


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (3, [("j", "no judge: int")]),
        ("ton", [("j", "no judge is named 'ton' (did you mean 'tone'?)")]),
        ("effects", [("j", "no judge is named 'effects' (write { effects = ... })")]),
        ("registry_judges:grade", [("j", "has no 'grade' (did you mean 'graded'?)")]),
        ("registry_judges:number", [("j", "is no judge and no function")]),
        ("registry_judges:Own", [("j", "is a class: name a judge made from it")]),
        ({}, [("j", "the table names no kind of judge")]),
        ({"contain": "x"}, [("j.contain", "the table names no kind of judge (did you mean 'contains'?)")]),
        ({"contains": "x", "regex": "y"}, [("j", "several kinds of judge in one table: contains, regex")]),
        ({"contains": ""}, [("j.contains", "must be text or a list of texts")]),
        ({"contains": {"value": ""}}, [("j.contains.value", "must be text or a list of texts")]),
        ({"contains": {"valu": "x"}}, [("j.contains.valu", "unknown key (did you mean 'value'?)")]),
        (
            {"contains": "x", "ignore_cas": True, "mode": "some", "on": 3},
            [
                ("j.ignore_cas", "unknown key (did you mean 'ignore_case'?)"),
                ("j.mode", "invalid enum value 'some'"),
                ("j.on", "expected `str`, got `int`"),
            ],
        ),
        ({"contains": "x", "on": "answer"}, [("j.on", "must be one of")]),
        ({"contains": {"value": "x"}, "value": "y"}, [("j.value", "given twice")]),
        ({"regex": "("}, [("j.regex", "is no regular expression")]),
        ({"number": "many"}, [("j.number", "must be one number")]),
        ({"json_schema": {}}, [("j.json_schema.schema", "missing")]),
        ({"json_schema": "no.json"}, [("j.json_schema", "the schema cannot be read from")]),
        ({"json_schema": {"schema": "broken.json"}}, [("j.json_schema.schema", "the schema cannot be read from")]),
        ({"json_schema": {"schema": {"type": 3}}}, [("j.json_schema.schema", "is no valid JSON Schema")]),
        ({"trajectory": {}}, [("j.trajectory", "has no rule")]),
        ({"trajectory": {"max_calls": {"a": "x"}}}, [("j.trajectory.max_calls[...]", "expected `int`, got `str`")]),
        ({"effects": {"value": {"tabels": {}}}}, [("j.effects.value.tabels", "unknown key (did you mean 'tables'?)")]),
        ({"function": "registry_judges:graded", "treshold": 1}, [("j.treshold", "did you mean 'threshold'?")]),
        ({"function": "registry_judges:nope"}, [("j.function", "has no 'nope'")]),
        ({"function": "registry_judges:graded", "threshold": 2.0}, [("j", "threshold 2.0")]),
        ({"function": "registry_judges:own", "name": "other"}, [("j", "name cannot be changed here")]),
    ],
)
def test_every_mistake_is_placed(value: Any, problems: list[tuple[str, str]], root: Path):
    with pytest.raises(ConfigError) as caught:
        from_config(value, key="j", root=root, named={"tone": Contains(value="x")})
    assert [problem.key for problem in caught.value.problems] == [key for key, _ in problems]
    for problem, (_, words) in zip(caught.value.problems, problems, strict=True):
        assert words in str(problem)


def test_every_kind_has_a_main_setting():
    assert sorted(KINDS) == ["contains", "effects", "exact", "json_schema", "number", "regex", "trajectory"]
    for kind in KINDS.values():
        assert kind.shorthand in kind.__struct_fields__
