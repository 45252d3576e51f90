"""What every store must give back: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from itertools import pairwise

import pytest

from assay.core.case import Case
from assay.core.effects import Effects, FileChange
from assay.core.episode import Failure, Outcome
from assay.core.errors import NotFoundError
from assay.core.plan import Action, Finished
from assay.core.trace import Trace
from assay.core.usage import Usage
from assay.store.pack import pack, pack_verdicts
from tests.store.made import (
    episode,
    finished,
    item,
    items,
    manifest,
    model_span,
    one_claim,
    run_all,
    span,
    trace_of,
    verdict,
)


class TestEpisodes:
    def test_an_episode_is_read_as_it_was_committed(self, store):
        store.create_run(manifest(), [item(0, case_id="c", attempt=3)])
        whole = episode(
            "whole",
            case=Case(id="c", input=["one", "two"], expected={"n": 1.5}, world={"x": [None]}, tags=("t",), cluster="k"),
            outcome=Outcome.agent_error,
            outputs=("first", {"second": [1, 2.5, True, None]}),
            effects=Effects(files=(FileChange(path="a.txt", change="added", size=3, text="abc"),)),
            failure=Failure(boundary="limit", kind="timeout", message="took too long", detail="log tail"),
            trace=Trace(
                trace_id="f" * 32,
                spans=(span(attributes={"k": [1, "v"]}), model_span("m", system="be nice", input_tokens=5)),
                resource={"service.name": "desk", "n": 1},
                dropped_spans=2,
            ),
            usage=Usage(
                input_tokens=5, output_tokens=6, cache_read_tokens=1, model_calls=1, tool_calls=2, cost_usd=0.1
            ),
            attempt=3,
            retry=1,
            seed=2**31 - 1,
            started_at=1234.5,
            duration_s=0.25,
            isolation="jail",
            world_digest="w" * 32,
            logs="stdout",
        )
        one_claim(store)
        store.commit("run-1", "w", [pack(Finished(seq=0, episode=whole, verdicts=()), "lock")])
        assert store.episode("whole") == whole
        assert store.trace("f" * 32) == whole.trace
        assert list(store.episodes("run-1")) == [whole]

    def test_megabytes_come_back(self, store):
        store.create_run(manifest(), items(1))
        big = episode("big", outputs=("x" * 3_000_000,), logs="log " * 500_000)
        one_claim(store)
        store.commit(
            "run-1", "w", [pack(Finished(seq=0, episode=big, verdicts=(verdict(False, reason="r" * 10**6),)), "")]
        )
        assert store.episode("big") == big
        assert len(store.verdicts("big")[0].reason) == 10**6

    def test_ids_may_be_cut_short(self, store):
        run_all(store, manifest(), items(2))
        assert store.episode("run-1-1").id == "run-1-1"
        with pytest.raises(NotFoundError, match="run-1-0, run-1-1"):
            store.episode("run-1-")
        trace_id = trace_of("run-1-1").trace_id
        assert store.trace(trace_id[:-1] + "1").trace_id == trace_id
        with pytest.raises(NotFoundError, match="episode 'nope'"):
            store.episode("nope")
        with pytest.raises(NotFoundError, match="trace 'nope'"):
            store.trace("nope")

    def test_episodes_stream_in_ledger_order_and_only_settled_ones(self, store):
        store.create_run(manifest(), items(50))
        claims = store.claim("run-1", "w", 40, 60)
        store.commit("run-1", "w", [finished(claim) for claim in reversed(claims)])
        seqs = [int(found.id.split("-")[1]) for found in store.episodes("run-1")]
        assert seqs == list(range(40))
        assert list(store.episodes("unknown")) == []

    def test_the_store_can_be_written_while_episodes_are_read(self, store):
        run_all(store, manifest("run-0"), items(40), [verdict(None)])
        store.create_run(manifest(), [item(seq, action=Action.rejudge, episode_id=f"run-0-{seq}") for seq in range(40)])
        store.claim("run-1", "w", 40, 60)
        for seq, found in enumerate(store.episodes("run-0")):
            assert store.commit("run-1", "w", [pack_verdicts(seq, found.id, [verdict(True)])]) == [seq]
        assert store.run("run-1").done == 40

    def test_an_episode_without_spans_has_an_empty_trace(self, store):
        run_all(store, manifest(), items(1), trace=Trace(trace_id="0" * 32), outcome=Outcome.infra_error)
        assert store.episode("run-1-0").trace == Trace(trace_id="0" * 32)
        with pytest.raises(NotFoundError):
            store.trace("0" * 32)


class TestHostileContent:
    def test_what_no_database_holds_is_replaced_where_it_can_be_seen(self, store):
        nasty = "a\0b\ud800'\"\\%s;--\u202e\U0001f600"
        shown = "a␀b\\ud800'\"\\%s;--\u202e\U0001f600"
        made = manifest(eval_name=nasty, dataset_path=nasty, host={"x": nasty})
        store.create_run(made, [item(0, case_id=nasty, cluster=nasty, tags=(nasty, "x"))])
        played = episode(
            "ep",
            case=Case(id=nasty, input=nasty, expected=2**100),
            outputs=(nasty, float("inf")),
            trace=trace_of("ep", model_span(nasty, tool=nasty, system=nasty, input_tokens=2**80)),
            usage=Usage(input_tokens=2**80),
            logs=nasty,
        )
        judged = [verdict(False, reason=nasty, evidence=(nasty,), score=float("nan"), cost_usd=float("inf"))]
        one_claim(store)
        assert store.commit("run-1", "w", [pack(Finished(seq=0, episode=played, verdicts=tuple(judged)), "")]) == [0]
        row = store.scored("run-1")[0]
        assert (row.case_id, row.cluster, row.tags, row.verdicts) == (
            shown,
            shown,
            (shown, "x"),
            {"exact": (False, None)},
        )
        (given,) = store.verdicts("ep")
        assert (given.reason, given.evidence, given.score, given.cost_usd) == (shown, (shown,), None, None)
        found = store.episode("ep")
        assert found.outputs == (nasty.replace("\ud800", "\\ud800"), float("inf"))
        assert (found.case.expected, found.usage.input_tokens) == (2**100, 10**12)
        totals = store.totals("run-1")
        assert (totals.models, totals.tools, totals.prompts) == ((shown,), (shown,), 1)
        assert store.failures("run-1", 1)[0][0].reason == shown
        assert store.runs(eval_name=nasty)[0].manifest.host == {"x": nasty.replace("\ud800", "\\ud800")}

    def test_a_count_that_cannot_be_does_not_break_the_sums(self, store):
        run_all(store, manifest(), items(3), usage=Usage(output_tokens=2**62))
        assert store.totals("run-1").usage.output_tokens == 3 * 10**12


class TestTraces:
    def test_a_trace_that_comes_twice_is_kept_once(self, store):
        same = Trace(trace_id="7" * 32, spans=(span(),), dropped_spans=1)
        run_all(store, manifest(), items(2), trace=same)
        assert store.trace("7" * 32) == same
        assert store.episode("run-1-1").trace == same

    def test_pieces_of_a_trace_are_put_together(self, store):
        early, late, last = (span(letter * 16, start_ns=start) for letter, start in (("a", 10), ("b", 20), ("c", 30)))
        for number, spans in enumerate([(late,), (early, last), (late, last)]):
            piece = Trace(trace_id="7" * 32, spans=spans, resource={f"k{number}": number}, dropped_spans=number)
            run_all(store, manifest(f"run-{number}"), items(1), trace=piece)
        whole = store.trace("7" * 32)
        assert whole.spans == (early, late, last)
        assert whole.resource == {"k0": 0, "k1": 1, "k2": 2}
        assert whole.dropped_spans == 3

    def test_pieces_come_in_any_order(self, store):
        spans = [span(f"{number:016x}", start_ns=100 - number) for number in range(20)]
        for number, one in enumerate(spans):
            run_all(store, manifest(f"run-{number:02}"), items(1), trace=Trace(trace_id="7" * 32, spans=(one,)))
        assert all(a.start_ns < b.start_ns for a, b in pairwise(store.trace("7" * 32).spans))
        assert len(store.trace("7" * 32).spans) == 20
