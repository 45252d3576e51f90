"""What every store must count and sum: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest

from assay.core.episode import Outcome
from assay.core.errors import NotFoundError
from assay.core.plan import Action
from assay.core.run import JudgeRef
from assay.core.trace import ToolCall
from assay.core.usage import Usage
from tests.store.made import (
    EXACT,
    POLITE,
    finished,
    item,
    items,
    manifest,
    model_span,
    run_all,
    span,
    trace_of,
    verdict,
)


class TestFigures:
    def test_scored_shows_every_row_with_the_verdicts_of_this_run(self, store):
        other = JudgeRef(name="other", digest="digest-of-other")
        rows = [item(0, tags=("vip", "late"), cluster="k", attempt=1), item(1), item(2)]
        store.create_run(manifest(), rows)
        claims = store.claim("run-1", "w", 2, 60)
        given = [verdict(True, score=0.5), verdict(None, POLITE), verdict(False, other)]
        store.commit("run-1", "w", [finished(claims[0], given), finished(claims[1], outcome=Outcome.infra_error)])
        first, second, third = store.scored("run-1")
        assert (first.seq, first.case_id, first.cluster, first.tags, first.attempt) == (
            0,
            "case-0",
            "k",
            ("vip", "late"),
            1,
        )
        assert (first.outcome, first.episode_id, first.reused) == ("finished", "ep-0-0", False)
        assert first.trace_id == trace_of("ep-0-0").trace_id
        assert first.verdicts == {"exact": (True, 0.5), "polite": (None, None)}
        assert (second.outcome, second.verdicts, second.tags, second.cluster) == ("infra_error", {}, (), "")
        assert (third.outcome, third.episode_id, third.trace_id, third.verdicts) == ("", "", "", {})

    def test_a_verdict_is_known_by_digest_and_shown_under_the_runs_name(self, store):
        run_all(store, manifest("run-0"), items(1), [verdict(True), verdict(False, POLITE)])
        renamed = (JudgeRef(name="same", digest=EXACT.digest), JudgeRef(name="twin", digest=EXACT.digest))
        store.create_run(manifest(judges=renamed), [item(0, action=Action.reuse, episode_id="run-0-0")])
        assert store.scored("run-1")[0].verdicts == {"same": (True, None), "twin": (True, None)}
        assert store.totals("run-1").judge_cost_usd == {"same": 0.0, "twin": 0.0}

    def test_a_run_may_have_many_judges_or_none(self, store):
        judges = tuple(JudgeRef(name=f"j{number}", digest=f"digest-{number}") for number in range(40))
        given = [verdict(number % 3 == 0, judge, score=number / 40) for number, judge in enumerate(judges)]
        run_all(store, manifest("run-0", judges=judges), items(3), given)
        expected = {f"j{number}": (number % 3 == 0, number / 40) for number in range(40)}
        assert [row.verdicts for row in store.scored("run-0")] == [expected] * 3
        run_all(store, manifest("run-1", judges=()), items(1))
        assert store.scored("run-1")[0].verdicts == {}
        assert store.failures("run-1", 5) == ([], 0)

    @pytest.mark.parametrize("ask", ["scored", "totals"])
    def test_figures_of_no_run_are_an_error(self, store, ask):
        with pytest.raises(NotFoundError):
            getattr(store, ask)("run-1")
        with pytest.raises(NotFoundError):
            store.failures("run-1", 5)

    def test_totals_sum_what_is_settled(self, store):
        store.create_run(manifest(), items(4))
        claims = store.claim("run-1", "w", 3, 60)
        usage = Usage(input_tokens=3, output_tokens=4, reasoning_tokens=1, model_calls=1, cost_usd=0.25)
        given = [verdict(True, score=1.0, cost_usd=0.5), verdict(True, POLITE, cost_usd=None)]
        packed = [
            finished(claims[0], given, usage=usage),
            finished(claims[1], [verdict(False, score=0.5, cost_usd=0.25)], usage=Usage(input_tokens=10)),
            finished(claims[2], settled=False, outcome=Outcome.infra_error, usage=Usage(input_tokens=1000)),
        ]
        store.commit("run-1", "w", packed)
        totals = store.totals("run-1")
        assert totals.usage == Usage(input_tokens=13, output_tokens=4, reasoning_tokens=1, model_calls=1, cost_usd=0.25)
        assert totals.judge_cost_usd == {"exact": 0.75, "polite": None}
        assert totals.judge_scores == {"exact": 0.75, "polite": None}
        assert (totals.retried, totals.reused) == (1, 0)

    def test_totals_of_nothing(self, store):
        store.create_run(manifest(), items(1))
        totals = store.totals("run-1")
        assert totals.usage == Usage()
        assert totals.judge_cost_usd == {"exact": 0.0, "polite": 0.0}
        assert (totals.models, totals.tools, totals.prompts, totals.unequal_worlds) == ((), (), 0, 0)

    def test_totals_name_models_tools_and_prompts(self, store):
        store.create_run(manifest(), items(3))
        claims = store.claim("run-1", "w", 3, 60)
        traces = [
            trace_of("ep-0-0", model_span("small", system="be nice", tool="search")),
            trace_of(
                "ep-1-0", model_span("large", system="be nice", tool="book"), model_span("small", span_id="c" * 16)
            ),
            trace_of("ep-2-0", model_span("large", system="be rude")),
        ]
        store.commit("run-1", "w", [finished(claim, trace=trace) for claim, trace in zip(claims, traces, strict=True)])
        totals = store.totals("run-1")
        assert (totals.models, totals.tools, totals.prompts) == (("large", "small"), ("book", "search"), 2)

    def test_names_beyond_a_bound_are_not_told_apart(self, store):
        store.create_run(manifest(), items(40))
        claims = store.claim("run-1", "w", 40, 60)
        packed = [
            finished(
                claim,
                trace=trace_of(
                    f"ep-{claim.seq}",
                    *(span(f"{n:016x}", tool=ToolCall(name=f"tool-{claim.seq}-{n}")) for n in range(60)),
                ),
            )
            for claim in claims
        ]
        store.commit("run-1", "w", packed)
        assert len(store.totals("run-1").tools) == 1000

    def test_worlds_that_differ_for_the_same_case_and_seed_are_counted(self, store):
        store.create_run(manifest(), items(7))
        claims = store.claim("run-1", "w", 7, 60)
        starts = [
            ("a", 1, "x"),
            ("a", 1, "x"),
            ("a", 1, "y"),
            ("a", 1, "z"),
            ("a", 2, "y"),
            ("b", 1, "x"),
            ("b", 1, ""),
        ]
        store.commit(
            "run-1",
            "w",
            [
                finished(claim, case_id=case_id, seed=seed, world_digest=digest)
                for claim, (case_id, seed, digest) in zip(claims, starts, strict=True)
            ],
        )
        assert store.totals("run-1").unequal_worlds == 2

    def test_failures_come_in_report_order(self, store):
        store.create_run(manifest(), items(6))
        claims = store.claim("run-1", "w", 5, 60)
        packed = [
            finished(claims[0], outcome=Outcome.infra_error),
            finished(claims[1], [verdict(None), verdict(False, POLITE)]),
            finished(claims[2], [verdict(False), verdict(False, POLITE)], outcome=Outcome.agent_error),
            finished(claims[3], [verdict(False, POLITE), verdict(False)]),
            finished(claims[4], [verdict(True), verdict(True, POLITE)]),
        ]
        store.commit("run-1", "w", packed)
        found, total = store.failures("run-1", 100)
        assert [(one.case_id, one.kind, one.judge) for one in found] == [
            ("case-1", "failed", "polite"),
            ("case-3", "failed", "exact"),
            ("case-3", "failed", "polite"),
            ("case-2", "agent_error", ""),
            ("case-1", "unjudged", "exact"),
            ("case-0", "infra_error", ""),
        ]
        assert total == 6
        assert found[0].reason == "not as expected"
        assert found[3].reason == "agent: ValueError: it broke"
        assert (found[0].episode_id, found[0].trace_id) == ("ep-1-0", trace_of("ep-1-0").trace_id)
        for limit in (0, 2):
            assert store.failures("run-1", limit) == (found[:limit], 6)

    def test_a_long_reason_is_cut_in_the_list_of_failures(self, store):
        run_all(store, manifest(), items(1), [verdict(False, reason="x" * 100_000)])
        ((failure,), _) = store.failures("run-1", 5)
        assert failure.reason == "x" * 2000
