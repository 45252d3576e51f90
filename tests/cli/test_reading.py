"""Commands that read a finished run."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import assay


def test_show_opens_the_first_failure_or_the_case_that_is_named(finished: Path) -> None:
    shown = assay(finished, "show", "latest").stdout
    assert shown.startswith("two-coffees  attempt 0")
    assert "FAILED   right_total" in shown
    assert "asked for 9, expected 13" in shown
    assert "Two coffees and a cake" in shown
    named = assay(finished, "show", "latest", "--case", "one-tea", "--spans").stdout
    assert named.startswith("one-tea")
    assert "took ms" in named


def test_show_of_something_unknown_says_so(finished: Path) -> None:
    done = assay(finished, "show", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_lists_newest_first(finished: Path) -> None:
    head, row = assay(finished, "runs").stdout.splitlines()
    assert head.split()[:2] == ["RUN", "STARTED"]
    assert "orders" in row
    assert "finished" in row
    assert "8 of 12 judged" in row
    assert "no runs yet" in assay(finished, "runs", "--eval", "other").stdout


def test_reports_are_written_in_every_form(finished: Path, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"deep/report.{kind}" for kind in ("json", "markdown", "junit", "html")}
    arguments = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    done = assay(finished, "report", "latest", *arguments)
    assert done.returncode == 0, done.stderr
    assert "pass@2" in done.stdout
    report = json.loads(files["json"].read_text())
    schema = json.loads(assay(finished, "schema", "report").stdout)
    jsonschema.validate(report, schema)
    assert report["coverage"]["planned"] == 12
    assert report["overall"]["cases"] == 6
    assert "two-coffees" in files["markdown"].read_text()
    assert ET.parse(files["junit"]).getroot().tag == "testsuites"
    html = files["html"].read_text()
    assert "Two coffees and a cake" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_export_writes_episodes_verdicts_and_traces(finished: Path, tmp_path: Path) -> None:
    episodes = [json.loads(line) for line in assay(finished, "export", "latest").stdout.splitlines()]
    assert len(episodes) == 12
    jsonschema.validate(episodes[0], json.loads(assay(finished, "schema", "episode").stdout))
    rows = list(csv.DictReader(io.StringIO(assay(finished, "export", "latest", "--format", "verdicts").stdout)))
    assert {row["judge"] for row in rows} == {"right_total", "polite"}
    target = tmp_path / "traces.jsonl"
    assert assay(finished, "export", "latest", "--format", "otlp", "-o", str(target)).returncode == 0
    first = json.loads(target.read_text().splitlines()[0])
    assert first["resourceSpans"][0]["scopeSpans"][0]["spans"]


@pytest.mark.parametrize("name", ["report", "compare", "case", "episode", "config", "eval", "dataset"])
def test_every_schema_is_one(finished: Path, name: str) -> None:
    schema = json.loads(assay(finished, "schema", name).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"assay.{name}/1"


def test_the_schemas_accept_the_first_project(finished: Path) -> None:
    import tomllib

    for name, file in (
        ("config", "assay.toml"),
        ("eval", "evals/orders.toml"),
        ("dataset", "datasets/shop/dataset.toml"),
    ):
        schema = json.loads(assay(finished, "schema", name).stdout)
        jsonschema.validate(tomllib.loads((finished / file).read_text()), schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"unheard": "of"}, schema)


def test_gates_decide_by_exit_code(finished: Path) -> None:
    assert assay(finished, "gate", "--minimum", "0.99").returncode == 1
    done = assay(finished, "gate", "--minimum", "0.7")
    assert done.returncode == 3
    assert done.stdout.startswith("INCONCLUSIVE")
    assert "needs about" in done.stdout
    assert assay(finished, "gate", "--minimum", "0.01").returncode == 0
    undecided = assay(finished, "gate")
    assert undecided.returncode == 2
    assert "no rule to decide by" in undecided.stderr


def test_the_gate_tests_itself(finished: Path) -> None:
    done = assay(finished, "gate", "--self-test")
    assert done.returncode == 0, done.stderr
    assert "false alarms" in done.stdout


def test_doctor_checks_machine_and_project(finished: Path) -> None:
    done = assay(finished, "doctor")
    assert done.returncode == 0, done.stdout
    assert "isolation: process" in done.stdout
    assert "evals orders" in done.stdout


def test_help_names_every_command_and_has_examples(finished: Path) -> None:
    text = assay(finished, "--help").stdout
    for name in (
        "init",
        "run",
        "resume",
        "rejudge",
        "report",
        "compare",
        "gate",
        "runs",
        "show",
        "export",
        "schema",
        "doctor",
    ):
        assert f"\n  {name}" in text
        assert "Example" in assay(finished, name, "--help").stdout


def test_a_misspelt_command_is_corrected(finished: Path) -> None:
    done = assay(finished, "rnu")
    assert done.returncode == 2
    assert "did you mean 'run'?" in done.stderr


def test_completion_is_offered(finished: Path) -> None:
    done = assay(finished, _ASSAY_COMPLETE="bash_complete", COMP_WORDS="assay run o", COMP_CWORD="2")
    assert "orders" in done.stdout
