from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from assay.core.episode import Episode, Outcome
from assay.core.plan import Action
from assay.core.protocols import Store
from assay.judges.code import judge
from assay.runner.pool import is_dead, worker_name
from assay.store.open import open_store
from tests.runner.scripted import begin, cases, drive, not_wrong

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "assay.db")
    yield opened
    opened.close()


def outcomes(store: Store, run_id: str) -> dict[str, str]:
    return {row.case_id: row.outcome for row in store.scored(run_id)}


def passed(store: Store, run_id: str) -> dict[str, bool | None]:
    return {row.case_id: row.verdicts["not_wrong"][0] for row in store.scored(run_id) if row.verdicts}


def test_every_episode_is_run_once_judged_and_stored(store: Store, tmp_path: Path) -> None:
    dataset = cases(["say right", "say wrong"] * 50)
    manifest, _ = begin(store, dataset)
    ended, tally = drive(store, manifest.run_id, dataset, folder=str(tmp_path))
    assert ended.status == "finished"
    assert Counter(passed(store, manifest.run_id).values()) == {True: 50, False: 50}
    assert Counter((tmp_path / "calls").read_text().split()) == dict.fromkeys((c.id for c in dataset.cases), 1)
    assert (tally.done, tally.judged, tally.passed) == (100, 100, 50)
    info = store.run(manifest.run_id)
    assert (info.status, info.done, info.total) == ("finished", 100, 100)


def test_an_agent_error_fails_every_judge_with_its_reason(store: Store) -> None:
    dataset = cases(["crash the bell is broken"])
    manifest, _ = begin(store, dataset)
    drive(store, manifest.run_id, dataset)
    (row,) = store.scored(manifest.run_id)
    assert row.outcome == "agent_error"
    (verdict,) = store.verdicts(row.episode_id)
    assert verdict.passed is False
    assert "the bell is broken" in verdict.reason


def test_infrastructure_is_tried_again_and_every_try_is_kept(store: Store, tmp_path: Path) -> None:
    dataset = cases(["flaky right", "say right"])
    manifest, _ = begin(store, dataset)
    _, tally = drive(store, manifest.run_id, dataset, folder=str(tmp_path))
    assert outcomes(store, manifest.run_id) == {"case-0000": "finished", "case-0001": "finished"}
    first = store.episode(f"{manifest.run_id}-0-0")
    second = store.episode(f"{manifest.run_id}-0-1")
    assert first.outcome is Outcome.infra_error
    assert first.failure is not None
    assert first.failure.message == "the line was busy"
    assert (second.outcome, second.retry) == (Outcome.finished, 1)
    assert tally.retried == 1
    assert store.totals(manifest.run_id).retried == 1


def test_what_stays_lost_is_no_failure(store: Store) -> None:
    dataset = cases(["lose", "say right", "bug in the harness"])
    manifest, _ = begin(store, dataset)
    drive(store, manifest.run_id, dataset, retries=1)
    assert outcomes(store, manifest.run_id) == {
        "case-0000": "infra_error",
        "case-0001": "finished",
        "case-0002": "infra_error",
    }
    assert passed(store, manifest.run_id) == {"case-0001": True}
    episode = store.episode(f"{manifest.run_id}-2-1")
    assert episode.failure is not None
    assert episode.failure.boundary == "worker"
    assert "ZeroDivisionError" in episode.failure.detail


def test_a_run_that_only_loses_stops_and_can_go_on(store: Store) -> None:
    dataset = cases(["lose"] * 200)
    manifest, _ = begin(store, dataset)
    ended, _ = drive(store, manifest.run_id, dataset, retries=0)
    assert ended.status == "interrupted"
    assert "25 episodes in a row were lost" in ended.reason
    assert "no route to the agent" in ended.reason
    info = store.run(manifest.run_id)
    assert info.status == "interrupted"
    assert info.done < info.total


def test_an_agent_that_takes_its_worker_down_is_blamed_and_its_neighbors_are_not(store: Store) -> None:
    dataset = cases(["sleep 0.1"] * 5 + ["exit 3"] + ["sleep 0.1"] * 20)
    manifest, _ = begin(store, dataset)
    drive(store, manifest.run_id, dataset, slots=4)
    found = outcomes(store, manifest.run_id)
    assert found.pop("case-0005") == "agent_error"
    assert set(found.values()) == {"finished"}
    (blamed,) = (row for row in store.scored(manifest.run_id) if row.outcome == "agent_error")
    failure = store.episode(blamed.episode_id).failure
    assert failure is not None
    assert "exited with code 3" in failure.message


def test_sigkill_never_counts_against_the_agent(store: Store) -> None:
    dataset = cases(["kill", "say right"])
    manifest, _ = begin(store, dataset)
    drive(store, manifest.run_id, dataset)
    assert outcomes(store, manifest.run_id) == {"case-0000": "infra_error", "case-0001": "finished"}


def test_workers_killed_at_random_lose_and_double_nothing(store: Store, tmp_path: Path) -> None:
    dataset = cases(["sleep 0.01"] * 300)
    manifest, _ = begin(store, dataset)
    killer = subprocess.Popen([sys.executable, "-c", _KILLER, str(os.getpid())])
    try:
        ended, _ = drive(store, manifest.run_id, dataset, folder=str(tmp_path), slots=4)
    finally:
        killer.kill()
        killer.wait()
    assert ended.status == "finished"
    assert Counter(outcomes(store, manifest.run_id).values())["agent_error"] == 0
    rows = store.scored(manifest.run_id)
    assert [row.case_id for row in rows] == [case.id for case in dataset.cases]
    assert len({row.episode_id for row in rows}) == len(rows)


_KILLER = """
import os, random, signal, sys, time
import psutil
for _ in range(6):
    time.sleep(random.uniform(0.05, 0.2))
    coordinator = psutil.Process(int(sys.argv[1]))
    # The nursery and its workers are copies of the coordinator; workers are those below the nursery.
    copies = [p for p in coordinator.children(recursive=True) if p.cmdline() == coordinator.cmdline()]
    workers = [p for p in copies if p.ppid() != coordinator.pid]
    if workers:
        try:
            random.choice(workers).send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            pass
"""

_COORDINATOR = """
import sys
from assay.store.open import open_store
from tests.runner.scripted import cases, drive
store = open_store(sys.argv[1])
drive(store, sys.argv[2], cases(["sleep 0.005"] * 400), folder=sys.argv[3], slots=4)
"""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_killed_coordinator_is_continued_without_loss(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "assay.db") if kind == "sqlite" else request.getfixturevalue("postgres_url")
    store = open_store(url)
    dataset = cases(["sleep 0.005"] * 400)
    manifest, _ = begin(store, dataset)
    generator = random.Random(7)
    committed_before_last_kill: set[str] = set()
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", _COORDINATOR, url, manifest.run_id, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        began = store.run(manifest.run_id).done
        deadline = time.monotonic() + 30
        while store.run(manifest.run_id).done == began and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.15))
        workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGKILL)
        process.wait()
        psutil.wait_procs(workers, timeout=10)
        rows = {row.case_id: row.episode_id for row in store.scored(manifest.run_id) if row.episode_id}
        assert committed_before_last_kill <= set(rows.values()), "a committed episode was lost"
        committed_before_last_kill = set(rows.values())
        for holder, seqs in store.holders(manifest.run_id).items():
            assert is_dead(holder)
            store.release(manifest.run_id, holder, seqs, crashed=False)
    calls_before = Counter((tmp_path / "calls").read_text().split())
    settled_before = {row.case_id for row in store.scored(manifest.run_id) if row.episode_id}
    drive(store, manifest.run_id, dataset, folder=str(tmp_path))
    calls = Counter((tmp_path / "calls").read_text().split())
    assert all(calls[case_id] == calls_before[case_id] for case_id in settled_before), "a finished episode ran again"
    rows = store.scored(manifest.run_id)
    assert [row.case_id for row in rows] == [case.id for case in dataset.cases]
    assert {row.outcome for row in rows} == {"finished"}
    store.close()


def test_ctrl_c_lets_running_episodes_end_and_resume_goes_on(tmp_path: Path) -> None:
    store = open_store(tmp_path / "assay.db")
    dataset = cases(["sleep 0.005"] * 400)
    manifest, _ = begin(store, dataset)
    process = subprocess.Popen(
        [sys.executable, "-c", _COORDINATOR, str(tmp_path / "assay.db"), manifest.run_id, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    while store.run(manifest.run_id).done == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    info = store.run(manifest.run_id)
    assert info.status == "interrupted"
    assert 0 < info.done < info.total
    calls = (tmp_path / "calls").read_text().split()
    assert len(calls) == info.done, "an episode that ran was not committed"
    assert store.holders(manifest.run_id) == {}
    drive(store, manifest.run_id, dataset, folder=str(tmp_path))
    assert Counter((tmp_path / "calls").read_text().split()) == dict.fromkeys((c.id for c in dataset.cases), 1)
    store.close()


def test_the_same_lock_is_reused_and_an_edited_judge_judges_again(store: Store, tmp_path: Path) -> None:
    dataset = cases(["say right", "say wrong", "lose"])
    first, _ = begin(store, dataset)
    drive(store, first.run_id, dataset, folder=str(tmp_path), retries=0)
    calls = (tmp_path / "calls").read_text()

    again, planned = begin(store, dataset)
    assert [item.action for item in planned.items] == [Action.reuse, Action.reuse, Action.run]
    assert store.run(again.run_id).done == 2

    @judge(name="not_wrong")
    def edited(episode: Episode) -> bool:
        return episode.output == "wrong"

    assert edited.digest != not_wrong.digest
    other, planned = begin(store, dataset, judges=(edited,))
    assert [item.action for item in planned.items] == [Action.rejudge, Action.rejudge, Action.run]
    (tmp_path / "calls").write_text("")
    drive(store, other.run_id, dataset, folder=str(tmp_path), judges=(edited,), retries=0)
    assert (tmp_path / "calls").read_text() == "case-0002\n"
    assert passed(store, other.run_id) == {"case-0000": False, "case-0001": True}
    assert passed(store, first.run_id) == {"case-0000": True, "case-0001": False}
    assert calls.count("\n") == 3

    _, planned = begin(store, dataset, fresh=True)
    assert {item.action for item in planned.items} == {Action.run}


def test_attempts_have_seeds_of_their_own(store: Store) -> None:
    dataset = cases(["say right"])
    manifest, _ = begin(store, dataset, attempts=3)
    drive(store, manifest.run_id, dataset)
    seeds = [store.episode(row.episode_id).seed for row in store.scored(manifest.run_id)]
    assert len(set(seeds)) == 3
    again, _ = begin(store, dataset, attempts=3, fresh=True)
    drive(store, again.run_id, dataset)
    assert [store.episode(row.episode_id).seed for row in store.scored(again.run_id)] == seeds


def test_a_coordinator_knows_whether_another_one_is_dead() -> None:
    assert not is_dead(worker_name())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = worker_name().split(":")
    assert is_dead(f"{mine[0]}:{gone.pid}:x")
    assert not is_dead(f"another-host:{gone.pid}:x")
