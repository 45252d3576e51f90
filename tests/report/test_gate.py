from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.run import GateRules, JudgeRef
from assay.report.compare import compare
from assay.report.gate import Evidence, decide, self_test
from tests.report.made import TAU_AIRLINE, info, manifest, repeated, report, row, single

ORDER = ["PASS", "INCONCLUSIVE", "FAIL", "INVALID"]


def judged(rows, rules, *, before=None, judges=("exact",), status="finished", changed=()):
    made = report(rows, judges, status=status, rules=rules)
    if before is None:
        return decide(made, None, rules, Evidence(scored=rows))
    baseline = msgspec.structs.replace(manifest(judges, run_id="run-a"), judges=changed or made.manifest.judges)
    comparison = compare(info(baseline), before, info(made.manifest), rows)
    return decide(made, comparison, rules, Evidence(scored=rows, baseline=before))


def said(passed, failed, unjudged=0, lost=0):
    rows = single([True] * passed + [False] * failed + [None] * unjudged)
    return rows + [row(f"lost-{at}", outcome="infra_error") for at in range(lost)]


@pytest.mark.parametrize(
    ("rows", "minimum", "outcome", "words"),
    [
        (said(97, 3), 0.9, "PASS", "pass rate 97% over 100 cases"),
        (said(78, 22), 0.9, "FAIL", "below the minimum of 90%"),
        (said(92, 8), 0.9, "INCONCLUSIVE", "the minimum of 90% lies between"),
        (said(20, 0), 1.0, "INCONCLUSIVE", "a sample can't prove 100%"),
        (said(0, 20), 0.0, "PASS", "minimum is 0%"),
        (said(97, 3, unjudged=8), 0.9, "INCONCLUSIVE", "8 missing verdict(s) could change that"),
        (said(97, 3, lost=5), 0.9, "INCONCLUSIVE", "5 missing verdict(s) could change that"),
        (said(99, 1, lost=1), 0.9, "PASS", "over 100 cases"),
        (said(0, 0, unjudged=5), 0.9, "INCONCLUSIVE", "no case was judged"),
        (
            said(97, 3, lost=6),
            0.9,
            "INVALID",
            "6 of 106 episodes (5.7%) were lost to infrastructure, more than the 5.0%",
        ),
        (said(78, 22, lost=20), 0.9, "INVALID", "were lost"),
        ([], 0.9, "INVALID", "no episodes"),
    ],
)
def test_a_minimum(rows, minimum, outcome, words):
    decision = judged(rows, GateRules(minimum=minimum))
    assert decision.outcome == outcome
    assert any(words in reason for reason in decision.reasons)


def test_a_minimum_says_its_confidence_and_how_many_cases_would_settle_it():
    decision = judged(said(92, 8), GateRules(minimum=0.9, confidence=0.99))
    assert "99%" in decision.reasons[0]
    assert decision.cases_needed > 100
    assert judged(said(97, 3), GateRules(minimum=0.9)).cases_needed is None


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_an_unfinished_run_is_invalid_before_any_rule(status):
    decision = judged(said(97, 3), GateRules(minimum=0.9), status=status)
    assert decision.outcome == "INVALID"
    assert decision.reasons == (f"the run is not complete ({status}, 0 of 100 episodes not run): resume it first",)


def test_pending_rows_are_invalid_too():
    decision = judged([*said(97, 3), row("z", outcome="")], GateRules(minimum=0.9))
    assert decision.outcome == "INVALID"
    assert "1 of 101 episodes not run" in decision.reasons[0]


def test_no_rule_decides_nothing_unless_the_run_is_tainted():
    assert judged(said(50, 50), GateRules()).outcome == "NONE"
    assert judged(said(50, 50, lost=20), GateRules()).outcome == "INVALID"
    assert judged(said(50, 50), GateRules()).exit_code == 0


def test_rules_per_judge():
    rows = [row(f"c{at}", True, at < 60) for at in range(100)]
    rules = GateRules(judges={"exact": 0.9, "tone": 0.9})
    decision = judged(rows, rules, judges=("exact", "tone"))
    assert decision.outcome == "FAIL"
    assert decision.reasons[0].startswith("FAIL: minimum 90% judge tone: pass rate 60%")
    assert decision.reasons[1].startswith("PASS: minimum 90% judge exact")
    assert "2 rules were checked, each on its own at 95% confidence" in decision.reasons[2]


def test_a_rule_for_an_absent_judge_is_invalid():
    decision = judged(said(97, 3), GateRules(minimum=0.9, judges={"tune": 0.5}))
    assert decision.outcome == "INVALID"
    assert "judge tune: the run has no such judge (it has: exact)" in decision.reasons[0]
    assert decision.reasons[1].startswith("PASS")


def flips(both, lost, gained, neither):
    before = single([True] * (both + lost) + [False] * (gained + neither))
    after = single([True] * both + [False] * lost + [True] * gained + [False] * neither)
    return before, after


@pytest.mark.parametrize(
    ("table", "outcome", "words"),
    [
        ((180, 0, 0, 20), "PASS", "within the margin of 5%"),
        ((150, 20, 2, 28), "FAIL", "20 worse, 2 better"),
        ((30, 3, 1, 6), "INCONCLUSIVE", "beyond the margin of 5%"),
        ((150, 2, 20, 28), "PASS", "2 worse, 20 better"),
    ],
)
def test_no_regression(table, outcome, words):
    before, after = flips(*table)
    decision = judged(after, GateRules(baseline="run-a"), before=before)
    assert decision.outcome == outcome
    assert words in decision.reasons[0]
    assert "no regression against run-a" in decision.reasons[0]


def test_a_baseline_that_is_not_there_is_inconclusive():
    decision = judged(said(97, 3), GateRules(baseline="latest"))
    assert (decision.outcome, decision.cases_needed) == ("INCONCLUSIVE", None)
    assert "no finished run to compare with was found for 'latest'" in decision.reasons[0]


def test_a_baseline_with_other_judges_is_invalid():
    before, after = flips(100, 30, 0, 0)
    edited = (JudgeRef(name="exact", digest="before the edit"),)
    decision = judged(after, GateRules(baseline="run-a"), before=before, changed=edited)
    assert decision.outcome == "INVALID"
    assert "rejudge it first" in decision.reasons[0]


def test_missing_verdicts_that_could_hide_a_regression_are_inconclusive():
    before, after = flips(180, 0, 0, 20)
    after = after[:170] + single([None] * 200)[170:180] + after[180:]
    decision = judged(after, GateRules(baseline="run-a"), before=before)
    assert decision.outcome == "INCONCLUSIVE"
    assert "missing verdict(s) could change that" in decision.reasons[0]


@pytest.mark.parametrize("pair", list(itertools.combinations(ORDER, 2)))
def test_the_graver_outcome_wins(pair):
    """Two judges, each with a rule of its own outcome; INVALID is a rule for a judge that is not there."""
    share = {"PASS": 100, "INCONCLUSIVE": 92, "FAIL": 50, "INVALID": 100}
    names = ["missing" if outcome == "INVALID" else f"j{at}" for at, outcome in enumerate(pair)]
    rows = [row(f"c{at}", *(at < share[outcome] for outcome in pair), judges=("j0", "j1")) for at in range(100)]
    decision = judged(rows, GateRules(judges=dict.fromkeys(names, 0.9)), judges=("j0", "j1"))
    assert decision.outcome == max(pair, key=ORDER.index)
    assert decision.exit_code == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}[decision.outcome]


verdicts = st.lists(st.sampled_from([True, True, True, False, None]), min_size=1, max_size=40)


@settings(max_examples=60)
@given(verdicts, st.integers(0, 39), st.sampled_from([0.3, 0.5, 0.8]))
def test_one_more_pass_never_makes_the_outcome_worse(found, at, minimum):
    better = list(found)
    better[at % len(found)] = True
    rules = GateRules(minimum=minimum)
    before, after = judged(single(found), rules).outcome, judged(single(better), rules).outcome
    if found[at % len(found)] is False:
        assert ORDER.index(after) <= ORDER.index(before)
    assert not (before == "PASS" and after == "FAIL")


@settings(max_examples=60)
@given(verdicts, st.integers(1, 5), st.sampled_from([0.3, 0.5, 0.8]))
def test_infrastructure_never_turns_the_outcome_around(found, lost, minimum):
    rules = GateRules(minimum=minimum, max_infra=1.0)
    clean = judged(single(found), rules).outcome
    tainted = judged([*single(found), *said(0, 0, lost=lost)], rules).outcome
    assert tainted in {clean, "INCONCLUSIVE"}


@settings(max_examples=40)
@given(verdicts, st.sampled_from([0.3, 0.5, 0.8]), st.randoms(use_true_random=False))
def test_row_order_changes_no_decision(found, minimum, shuffler):
    rows, rules = single(found), GateRules(minimum=minimum, judges={"exact": minimum})
    before = judged(rows, rules)
    shuffler.shuffle(rows)
    assert judged(rows, rules) == before


@pytest.mark.parametrize("rules", [GateRules(minimum=1.5), GateRules(minimum=0.5, confidence=0.4)])
def test_impossible_rules_are_refused(rules):
    with pytest.raises(ValueError, match="must lie"):
        judged(said(5, 5), rules)


def test_self_test_states_the_false_alarms_on_tau_bench():
    rows = repeated(TAU_AIRLINE, 4)
    first, second, *notes = self_test(rows, ("exact",), GateRules(), splits=50)
    assert first.startswith("on 50 cases \u00d7 4 attempts, A/A (50 splits): ")
    assert first.endswith("within the nominal 5.0%")
    assert "of 50 splits passed" in second
    assert notes
    assert self_test(rows[::-1], ("exact",), GateRules(), splits=50) == (first, second, *notes)


def test_self_test_says_when_single_attempts_weaken_it():
    sentences = self_test(said(20, 10), ("exact",), GateRules(), splits=20)
    assert sentences[0].startswith("on 30 cases, A/A")
    assert any("weaker check" in sentence for sentence in sentences)


def test_self_test_needs_verdicts():
    with pytest.raises(ValueError, match="self-test needs two cases"):
        self_test(said(0, 0, unjudged=5), ("exact",), GateRules())
