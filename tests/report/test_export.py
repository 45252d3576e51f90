from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.codec import canonical_json
from assay.core.episode import Episode
from assay.core.report import Report
from assay.report.export import CSV_HEAD, episodes_jsonl, otlp_traces, report_json, verdicts_csv
from tests.report.made import episode, report, row, single


def read(rows):
    return list(csv.DictReader(io.StringIO("".join(verdicts_csv(rows)))))


def test_a_report_is_canonical_json():
    made = report(single([True, False]))
    assert report_json(made) == canonical_json(made) + b"\n"
    assert msgspec.json.decode(report_json(made), type=Report) == made


def test_episodes_are_one_line_each_and_come_back():
    made = [episode("one\ntwo"), episode("three")]
    lines = list(episodes_jsonl(iter(made)))
    assert [line.count(b"\n") for line in lines] == [1, 1]
    assert [msgspec.json.decode(line, type=Episode) for line in lines] == made


def test_episodes_are_not_read_ahead():
    def endless():
        while True:
            yield episode()

    assert next(episodes_jsonl(endless())).startswith(b"{")


def test_verdicts_are_one_row_per_episode_and_judge():
    scored = [row("a", True, None, cluster="k", tags=("x", "y")), row("b", outcome="infra_error")]
    first, second, third = read(scored)
    assert list(first) == list(CSV_HEAD)
    assert (first["case"], first["cluster"], first["tags"], first["judge"], first["passed"]) == (
        "a",
        "k",
        "x y",
        "exact",
        "1",
    )
    assert (second["judge"], second["passed"], second["score"], second["reused"]) == ("tone", "", "", "0")
    assert (third["case"], third["outcome"], third["judge"], third["episode"]) == ("b", "infra_error", "", "e-b-0")


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_formulas_are_defused(text):
    assert read([row(text, True)])[0]["case"] == "'" + text


@pytest.mark.parametrize("text", ["-1", "+2.5", "a=b", "plain"])
def test_other_ids_are_kept(text):
    assert read([row(text, True)])[0]["case"] == text


@given(st.text(max_size=30))
def test_every_id_stays_in_its_cell(text):
    (found,) = read([row(text, True)])
    assert found["judge"] == "exact"
    assert not found["case"].startswith(("=", "@"))


def test_traces_are_written_by_the_encoder_that_is_given():
    lines = list(otlp_traces([episode(), episode()], lambda trace: json.dumps({"id": trace.trace_id}).encode() + b"\n"))
    assert lines == [b'{"id": "' + b"a" * 32 + b'"}\n'] * 2
