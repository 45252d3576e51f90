from __future__ import annotations

import socket
from typing import Any

import pytest

from assay.core.errors import ConfigError
from assay.judges.evaluate import evaluate_all
from assay.judges.schema import JsonSchema
from tests.judges.episodes import make_episode

ORDER = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"type": "number", "minimum": 0}, "on": {"type": "string", "format": "date"}},
}


@pytest.mark.parametrize(
    ("output", "passed", "words"),
    [
        ({"total": 3}, True, ""),
        ('{"total": 3}', True, ""),
        ({"total": -1, "on": 3}, False, "$.on: 3 is not of type 'string'; $.total: -1 is less than the minimum of 0"),
        ({}, False, "'total' is a required property"),
        ("prose", False, 'no JSON: "prose"'),
        (None, False, "is not of type 'object'"),
        ("[" * 100_000, False, "no JSON"),
    ],
)
def test_outputs(output: Any, passed: bool, words: str):
    verdict = JsonSchema(schema=ORDER).judge(make_episode(output))
    assert verdict.passed is passed
    assert words in verdict.reason


def test_a_part_of_the_output():
    judge = JsonSchema(schema={"type": "integer"}, on="/items/0")
    assert judge.judge(make_episode({"items": [1]})).passed is True
    missing = judge.judge(make_episode({"items": []}))
    assert (missing.passed, missing.reason) == (False, 'the output has nothing at /items/0: {"items":[]}')


def test_formats_are_checked_on_demand():
    output = {"total": 1, "on": "tomorrow"}
    assert JsonSchema(schema=ORDER).judge(make_episode(output)).passed is True
    assert JsonSchema(schema=ORDER, check_formats=True).judge(make_episode(output)).passed is False


def test_many_and_long_errors_are_bounded():
    output = {"total": ["x" * 100_000] * 3} | {f"k{number}": "x" * 10_000 for number in range(100)}
    verdict = JsonSchema(schema={"additionalProperties": {"type": "null"}}).judge(make_episode(output))
    assert verdict.passed is False
    assert verdict.reason.endswith("and 91 more")
    assert len(verdict.reason) < 5_000


@pytest.mark.parametrize(
    ("settings", "key"), [({"schema": {"type": "objct"}}, "schema"), ({"schema": {}, "on": "total"}, "on")]
)
def test_settings_that_cannot_work(settings: dict[str, Any], key: str):
    with pytest.raises(ConfigError) as caught:
        JsonSchema(**settings)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_drafts_and_references_inside_the_schema():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"n": {"type": "integer"}},
        "items": {"$ref": "#/definitions/n"},
    }
    assert JsonSchema(schema=schema).judge(make_episode([1, 2])).passed is True
    assert JsonSchema(schema=schema).judge(make_episode([1, "2"])).passed is False


def test_references_are_never_fetched(monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: asked.append(args))
    judge = JsonSchema(schema={"$ref": "http://schema.invalid/x.json"})
    (verdict,) = evaluate_all([judge], make_episode({}))  # pyright: ignore[reportGeneralTypeIssues]
    assert verdict.passed is None
    assert "schema.invalid" in verdict.reason
    assert asked == []


def test_an_output_that_nests_too_deeply_for_a_recursive_schema_fails():
    deep: Any = []
    for _ in range(3_000):
        deep = [deep]
    judge = JsonSchema(schema={"$id": "urn:x", "type": "array", "items": {"$ref": "#"}})
    verdict = judge.judge(make_episode(deep))
    assert (verdict.passed, verdict.reason) == (False, "the output nests too deeply to be checked")
