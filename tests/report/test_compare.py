from __future__ import annotations

import random

import msgspec
import pytest

from assay.core.codec import canonical_json
from assay.core.report import Comparison
from assay.core.run import JudgeRef
from assay.core.usage import Limits
from assay.report.compare import compare
from tests.report.made import info, manifest, row, single


def runs(before, after, names=("exact",), status="finished", **changes):
    a = manifest(names, run_id="run-a", fingerprint="1" * 32)
    b = msgspec.structs.replace(manifest(names, fingerprint="2" * 32), **changes)
    return compare(info(a), before, info(b, status), after, {"e-case-0000-0": "wrong room"})


def table(both, lost, gained, neither):
    """Rows of two runs with these flips."""
    before = [True] * both + [True] * lost + [False] * gained + [False] * neither
    after = [True] * both + [False] * lost + [True] * gained + [False] * neither
    return single(before), single(after)


def test_the_published_table_of_fagerland():
    pair = runs(*table(both=1, lost=1, gained=7, neither=12)).overall
    assert (pair.cases, pair.lost, pair.gained) == (21, 1, 7)
    assert pair.difference == pytest.approx(6 / 21)
    assert pair.p_value == pytest.approx(0.0703, abs=1e-4)
    assert (pair.low, pair.high) == (pytest.approx(0.026, abs=1e-3), pytest.approx(0.507, abs=1e-3))
    assert pair.test == "mcnemar-exact, newcombe-paired"


def test_many_flips_use_mid_p():
    pair = runs(*table(both=30, lost=10, gained=3, neither=7)).overall
    assert pair.p_value == pytest.approx(0.0574, abs=1e-4)
    assert pair.test.startswith("mcnemar-mid-p")


def test_five_flips_cannot_be_significant_and_it_says_so():
    pair = runs(*table(both=40, lost=5, gained=0, neither=5)).overall
    assert pair.p_value > 0.05
    assert "fewer than 6" in pair.note
    assert "nothing can be significant" in pair.note


def test_equal_runs_show_no_change():
    comparison = runs(*table(both=40, lost=0, gained=0, neither=10))
    assert (comparison.overall.difference, comparison.overall.p_value) == (0.0, 1.0)
    assert (comparison.lost, comparison.gained) == ((), ())
    assert (comparison.overall.minimum_detectable, comparison.overall.cases_needed) == (None, None)
    assert comparison.overall.low < 0 < comparison.overall.high


def test_power_is_that_of_the_observed_flips():
    pair = runs(*table(both=80, lost=15, gained=5, neither=100)).overall
    assert pair.minimum_detectable == pytest.approx(0.062, abs=2e-3)
    assert pair.cases_needed == 312


def test_repeated_attempts_are_compared_on_case_means():
    before = [row(f"c{case}", (case + at) % 4 != 0, attempt=at) for case in range(40) for at in range(4)]
    after = [row(f"c{case}", case % 2 == 0 or at == 0, attempt=at) for case in range(40) for at in range(4)]
    pair = runs(before, after, attempts=4).overall
    assert (pair.rate_a, pair.rate_b) == (pytest.approx(0.75), pytest.approx(0.625))
    assert pair.test.startswith(("sign-flip", "paired-t"))
    assert pair.minimum_detectable > 0
    assert pair.cases_needed > 0


def test_flips_go_both_ways_worst_first_with_the_episode_to_open():
    before = [row("a", True, attempt=at, prefix="old") for at in range(2)]
    before += [row("b", at == 0, attempt=at, prefix="old") for at in range(2)]
    before += [row("c", False, attempt=at, prefix="old") for at in range(2)] + [row("d", True, prefix="old")]
    after = [row("a", at == 0, attempt=at) for at in range(2)] + [row("b", False, attempt=at) for at in range(2)]
    after += [row("c", True, attempt=at) for at in range(2)] + [row("d", False)]
    a, b = info(manifest(run_id="run-a")), info(manifest())
    comparison = compare(a, before, b, after, {"e-a-1": "no mail", "old-c-0": "no room", "old-d-0": "never quoted"})
    assert [(flip.case_id, flip.before, flip.after) for flip in comparison.lost] == [
        ("d", 1, 0),
        ("a", 1, 0.5),
        ("b", 0.5, 0),
    ]
    assert [(flip.case_id, flip.before, flip.after) for flip in comparison.gained] == [("c", 0, 1)]
    opened = {
        flip.case_id: (flip.episode_a, flip.episode_b, flip.reason) for flip in comparison.lost + comparison.gained
    }
    assert opened == {
        "a": ("old-a-0", "e-a-1", "no mail"),
        "b": ("old-b-1", "e-b-0", ""),
        "c": ("old-c-0", "e-c-0", "no room"),
        "d": ("old-d-0", "e-d-0", ""),
    }


def test_cases_that_only_one_run_judged_are_left_out_and_counted():
    before = [row("a", True), row("b", True), row("c", None), row("d", outcome="infra_error")]
    after = [row("a", False), row("c", True), row("d", True), row("e", True)]
    comparison = runs(before, after)
    assert comparison.overall.cases == 1
    assert (comparison.only_a, comparison.only_b) == (1, 3)
    assert any("1 case judged only in A and 3 only in B" in warning for warning in comparison.warnings)


def test_nothing_in_common_is_no_comparison():
    pair = runs([row("a", True)], [row("b", True)]).overall
    assert (pair.cases, pair.rate_a, pair.difference, pair.p_value, pair.low, pair.high) == (0, None, None, None, -1, 1)


def test_judges_are_adjusted_together_and_overall_is_not():
    said_a = [(True, True)] * 40 + [(True, True)] * 10
    said_b = [(True, True)] * 40 + [(False, True)] * 8 + [(False, False)] * 2
    rows = [[row(f"c{at}", *said) for at, said in enumerate(run)] for run in (said_a, said_b)]
    comparison = runs(*rows, names=("exact", "tone"))
    exact, tone = comparison.judges
    assert (exact.name, tone.name) == ("exact", "tone")
    assert exact.p_adjusted == pytest.approx(2 * exact.p_value)
    assert tone.p_adjusted == pytest.approx(tone.p_value)
    assert comparison.overall.p_adjusted is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset_digest": "0" * 32}, "datasets are not the same"),
        ({"judges": (JudgeRef(name="exact", digest="edited"),)}, "Not judged by the same judges (exact)"),
        ({"judges": (JudgeRef(name="exact", digest="digest of exact"), JudgeRef(name="tone", digest="x"))}, "(tone)"),
        ({"isolation": "task"}, "isolation differs: jail in A, task in B"),
        ({"attempts": 4}, "attempts per case differs: 1 in A, 4 in B"),
        ({"harness": "other"}, "harness differs: desk in A, other in B"),
        ({"limits": Limits(wall_s=1)}, "limits per episode differ"),
        ({"fingerprint": "1" * 32}, "same agent as far as its fingerprint tells"),
    ],
)
def test_differences_beyond_the_agent_are_warned_of(changes, words):
    rows = table(both=30, lost=0, gained=1, neither=0)
    assert any(words in warning for warning in runs(*rows, **changes).warnings)


def test_only_changed_judges_make_runs_differ():
    rows = table(both=30, lost=0, gained=1, neither=0)
    assert runs(*rows).judges_differ == ()
    assert runs(*rows).warnings == ()
    edited = (JudgeRef(name="exact", digest="edited"),)
    assert runs(*rows, isolation="task").judges_differ == ()
    changed = msgspec.structs.replace(manifest(), judges=edited)
    assert compare(info(manifest()), rows[0], info(changed), rows[1]).judges_differ == ("exact",)


def test_losses_and_an_unfinished_run_are_warned_of():
    before = [*single([True] * 30), row("z", outcome="infra_error")]
    after = [*single([True] * 29 + [None])]
    warnings = runs(before, after, status="interrupted").warnings
    assert any("Run B is interrupted" in warning for warning in warnings)
    assert any("1 episode in A, 0 in B" in warning and "infrastructure" in warning for warning in warnings)
    assert any("Unjudged, not in any rate: 0 episodes in A, 1 in B" in warning for warning in warnings)


def test_clusters_are_compared_as_units():
    before = [row(f"c{at}", True, cluster=f"k{at % 3}") for at in range(30)]
    after = [row(f"c{at}", at % 3 != 0, cluster=f"k{at % 3}") for at in range(30)]
    pair = runs(before, after).overall
    assert pair.p_value is None
    assert "only 3 clusters" in pair.note


def test_swapping_the_runs_turns_the_signs():
    before, after = table(both=30, lost=9, gained=3, neither=8)
    there, back = runs(before, after).overall, runs(after, before).overall
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.lost, there.gained) == (back.gained, back.lost)


def test_row_order_changes_nothing_and_json_keeps_everything():
    before, after = table(both=30, lost=9, gained=3, neither=8)
    comparison = runs(before, after)
    shuffler = random.Random(3)
    for rows in (before, after):
        shuffler.shuffle(rows)
    assert canonical_json(runs(before, after)) == canonical_json(comparison)
    assert msgspec.json.decode(canonical_json(comparison), type=Comparison) == comparison
