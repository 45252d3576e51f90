"""The reference names every key that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.cli.main import cli
from assay.core.case import Case
from assay.core.report import Report
from assay.core.run import GateRules
from assay.core.usage import Limits
from assay.eval.settings import EvalSettings
from assay.harnesses.config import TABLES
from assay.project.project import EvalFile
from assay.worlds.spec import DatabaseSpec, WorldSpec

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text()
REPORTS = (DOCS / "reports.md").read_text()


@pytest.mark.parametrize("type_", [EvalFile, EvalSettings, Limits, Case, WorldSpec, DatabaseSpec, *TABLES.values()])
def test_every_key_stands_in_the_reference(type_: type) -> None:
    missing = [
        name
        for name in type_.__struct_encode_fields__
        if f"`{name}" not in CONFIGURATION and f".{name}" not in CONFIGURATION
    ]
    assert not missing


def test_every_field_of_the_report_is_explained() -> None:
    fields = set(Report.__struct_fields__) - {"schema", "finished_at", "failures_total", "baseline"}
    assert not [name for name in fields if f"`{name}`" not in REPORTS]


def test_every_gate_rule_is_explained() -> None:
    assert not [name for name in GateRules.__struct_fields__ if f"{name} =" not in REPORTS]


def test_every_command_is_listed() -> None:
    names = cli.list_commands(None)
    assert not [name for name in names if f"`{name}`" not in CONFIGURATION]
