from __future__ import annotations

from itertools import product

from assay.core.protocols import JudgeCount
from assay.report.counts import episode_passed
from assay.store.sql import SqlStore
from tests.store.made import EXACT, POLITE, finished, items, manifest, verdict


def test_counts_agree_with_the_rows_they_sum_up(store: SqlStore) -> None:
    words = list(product((True, False, None, "nothing"), repeat=2))
    store.create_run(manifest(judges=(EXACT, POLITE)), items(len(words) + 1))
    claims = store.claim("run-1", "w", len(words), 60)
    packed = [
        finished(
            claim,
            [verdict(word, judge) for judge, word in zip((EXACT, POLITE), pair, strict=True) if word != "nothing"],
        )
        for claim, pair in zip(claims, words, strict=True)
    ]
    store.commit("run-1", "w", packed)
    counts = store.counts("run-1")
    rows = [row for row in store.scored("run-1") if row.verdicts]
    for name in (EXACT.name, POLITE.name):
        said = [row.verdicts[name][0] for row in rows if name in row.verdicts]
        assert counts[name] == JudgeCount(passed=said.count(True), failed=said.count(False), unjudged=said.count(None))
    overall = [episode_passed(row, (EXACT.name, POLITE.name)) for row in rows]
    assert counts[""] == JudgeCount(
        passed=overall.count(True), failed=overall.count(False), unjudged=overall.count(None)
    )


def test_a_run_without_verdicts_counts_nothing(store: SqlStore) -> None:
    store.create_run(manifest(), items(3))
    assert set(store.counts("run-1").values()) == {JudgeCount(passed=0, failed=0, unjudged=0)}
