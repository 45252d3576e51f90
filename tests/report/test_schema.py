from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from assay.core.case import Case
from assay.core.codec import canonical_json
from assay.core.report import Decision
from assay.core.run import GateRules
from assay.report.compare import compare
from assay.report.schema import schemas
from tests.report.made import TAU_AIRLINE, episode, failure, info, manifest, repeated, report, single


def valid(name, value):
    jsonschema.Draft202012Validator(schemas()[name]).validate(json.loads(canonical_json(value)))


def test_schemas_are_named_and_titled():
    assert {name: (schema["$id"], schema["title"]) for name, schema in schemas().items()} == {
        "report": ("urn:assay:report:1", "assay.report/1"),
        "compare": ("urn:assay:compare:1", "assay.compare/1"),
        "case": ("urn:assay:case:1", "assay.case/1"),
        "episode": ("urn:assay:episode:1", "assay.episode/1"),
    }
    for schema in schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_field_is_described():
    for name, schema in schemas().items():
        for struct, part in schema["$defs"].items():
            for field, described in part.get("properties", {}).items():
                assert described.get("description"), f"{name}: {struct}.{field}"


def test_reports_fit_their_schema():
    rules = GateRules(minimum=0.5, judges={"exact": 0.5})
    valid("report", report([]))
    valid("report", report(repeated(TAU_AIRLINE, 4), failures=[failure("task-001")], rules=rules))
    made = report(single([True, None, False]))
    valid("report", msgspec.structs.replace(made, decision=Decision(outcome="FAIL", reasons=("x",), cases_needed=3)))


def test_comparisons_cases_and_episodes_fit_their_schemas():
    valid("compare", compare(info(manifest()), single([True] * 9), info(manifest()), single([True] * 5 + [False] * 4)))
    valid("compare", compare(info(manifest()), [], info(manifest()), []))
    valid("case", Case(id="a", input=["one", "two"], expected={"x": None}, tags=("t",)))
    valid("episode", episode())


@pytest.mark.parametrize("change", [{"schema": "assay.report/2"}, {"overall": None}, {"coverage": {"planned": "many"}}])
def test_what_is_no_report_is_refused(change):
    made = json.loads(canonical_json(report(single([True]))))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schemas()["report"]).validate(made | change)
