"""The tau-bench example on the published trajectories: what was counted there is counted here."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from math import comb
from pathlib import Path
from typing import Any

import pytest

from assay.core.episode import Episode, Outcome
from assay.datasets.files import load
from assay.datasets.imported import Imported, write_import
from assay.datasets.imports import import_cases
from assay.judges.evaluate import evaluate_all
from assay.project.project import Project

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "examples" / "tau_bench"
TRAJECTORIES = (
    Path(os.environ.get("ASSAY_SHARED_DATA", CHECKOUT.parent / "shared" / "data")) / "tau_bench_gpt4o_airline"
)
PUBLISHED = [0.42, 0.2733, 0.22, 0.2]

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="the trajectories are not here; ASSAY_SHARED_DATA names them"),
]


@pytest.fixture(scope="module")
def imported() -> Imported:
    return import_cases("tau-bench", TRAJECTORIES)


@pytest.fixture(scope="module")
def judges() -> Any:
    spec = importlib.util.spec_from_file_location("tau_bench_judges", EXAMPLE / "judges.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def episodes(imported: Imported) -> list[Episode]:
    cases = {case.id: case for case in imported.cases}
    return [
        Episode(
            id=f"{recording.case}-{recording.attempt}",
            case=cases[recording.case],
            outcome=recording.outcome,
            trace=recording.trace,
            outputs=recording.outputs,
            failure=recording.failure,
            attempt=recording.attempt,
        )
        for recording in imported.recordings
    ]


def rewards(imported: Imported) -> dict[tuple[str, int], bool]:
    return {(one.case, one.attempt): one.meta["reward"] == 1.0 for one in imported.recordings}


def pass_hat(passed: dict[tuple[str, int], bool], k: int, attempts: int = 4) -> float:
    counts = Counter(case for (case, _), good in passed.items() if good)
    cases = {case for case, _ in passed}
    return sum(comb(counts[case], k) / comb(attempts, k) for case in cases) / len(cases)


def kappa(pairs: Counter[tuple[bool, bool]]) -> float:
    total = pairs.total()
    agreed = (pairs[True, True] + pairs[False, False]) / total
    ones = [sum(count for pair, count in pairs.items() if pair[side]) / total for side in (0, 1)]
    chance = ones[0] * ones[1] + (1 - ones[0]) * (1 - ones[1])
    return (agreed - chance) / (1 - chance)


def test_fifty_cases_with_four_attempts_each(imported: Imported):
    assert len(imported.cases) == len({case.id for case in imported.cases}) == 50
    attempts = Counter(recording.case for recording in imported.recordings)
    assert set(attempts.values()) == {4}
    assert Counter(one.outcome for one in imported.recordings) == {Outcome.finished: 195, Outcome.agent_error: 5}
    assert imported.cases[0].expected["actions"][0]["tool"] == "book_reservation"
    assert len({case.cluster for case in imported.cases}) == 34


def test_the_recorded_rewards_give_the_published_rates(imported: Imported):
    assert [round(pass_hat(rewards(imported), k), 4) for k in (1, 2, 3, 4)] == PUBLISHED


def test_the_traces_hold_the_whole_conversation(imported: Imported):
    for recording in imported.recordings:
        trace = recording.trace
        ids = {span.span_id for span in trace.spans}
        assert len(ids) == len(trace.spans)
        assert trace.root is trace.spans[0]
        assert trace.root.attributes["tau_bench.reward"] == recording.meta["reward"]
        assert all(span.parent_id == trace.root.span_id for span in trace.spans[1:])
        assert [span.start_ns for span in trace.spans] == sorted(span.start_ns for span in trace.spans)
        assert trace.messages[0].role == "system"
        requested = [call.id for message in trace.messages for call in message.tool_calls]
        assert len(set(requested)) == len(requested)
        assert [call.id for call in trace.tool_calls] == requested[: len(trace.tool_calls)]
        answers = [m.text for m in trace.messages if m.role == "assistant" and m.text and not m.tool_calls]
        assert tuple(answers) == recording.outputs


def test_the_judges_agree_with_the_recorded_reward(imported: Imported, episodes: list[Episode], judges: Any):
    recorded = rewards(imported)
    alone: Counter[tuple[bool, bool]] = Counter()
    together: Counter[tuple[bool, bool]] = Counter()
    for episode in episodes:
        verdicts = evaluate_all([judges.recorded_reward, judges.write_actions_match, judges.outputs_said], episode)
        reward, writes, said = (verdict.passed for verdict in verdicts)  # pyright: ignore[reportGeneralTypeIssues]
        assert reward is recorded[episode.case.id, episode.attempt]
        alone[writes, reward] += 1
        together[writes and said, reward] += 1
    assert alone == {(True, True): 84, (True, False): 2, (False, False): 114}
    assert round(kappa(alone), 3) == 0.98
    assert together == {(True, True): 84, (False, False): 116}


def test_the_example_reports_the_published_rates(imported: Imported, tmp_path: Path):
    project = tmp_path / "tau_bench"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("datasets", ".assay"))
    write_import(project / "datasets" / "airline", imported)
    assert len(load(project / "datasets" / "airline").cases) == 50
    for name in ("airline", "actions"):
        report = Project(project).eval(name).run()
        assert [round(repeat.pass_hat, 4) for repeat in report.repeats] == PUBLISHED
        assert (report.coverage.finished, report.coverage.agent_error) == (195, 5)
