"""What every store must do: run against SQLite and against a real PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from assay.core.case import Case
from assay.core.effects import Effects, FileChange
from assay.core.episode import Failure, Outcome
from assay.core.errors import NotFoundError, StoreError
from assay.core.plan import Action, Finished
from assay.core.protocols import Store
from assay.core.run import GateRules, JudgeRef
from assay.core.trace import ToolCall, Trace
from assay.core.usage import Usage
from assay.store.pack import pack, pack_verdicts
from tests.store.made import (
    EXACT,
    POLITE,
    episode,
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


def one_claim(store: Store, run_id: str = "run-1", worker: str = "w"):
    (claim,) = store.claim(run_id, worker, 1, 60)
    return claim


class TestRuns:
    def test_a_run_is_read_as_it_was_created(self, store):
        made = manifest(
            gate=GateRules(minimum=0.9, judges={"exact": 0.5}), host={"python": "3.11", "cores": 2}, commit="abc-dirty"
        )
        store.create_run(made, items(3))
        info = store.run("run-1")
        assert info.manifest == made
        assert (info.status, info.done, info.total, info.finished_at) == ("running", 0, 3, None)

    def test_items_may_come_one_by_one_and_be_many(self, store):
        store.create_run(manifest(), (item(seq) for seq in range(2500)))
        assert store.run("run-1").total == 2500
        assert [row.seq for row in store.scored("run-1")] == list(range(2500))

    def test_a_run_whose_items_fail_is_not_there_at_all(self, store):
        def broken():
            yield from items(1500)
            raise KeyError("lost")

        with pytest.raises(KeyError):
            store.create_run(manifest(), broken())
        assert store.runs() == []
        store.create_run(manifest(), items(1))
        assert [claim.seq for claim in store.claim("run-1", "w", 10, 60)] == [0]

    def test_an_id_is_used_once(self, store):
        store.create_run(manifest(), items(1))
        with pytest.raises(StoreError):
            store.create_run(manifest(), items(2))
        assert store.run("run-1").total == 1

    def test_done_counts_settled_rows(self, store):
        store.create_run(manifest(), items(3))
        store.commit("run-1", "w", [finished(claim) for claim in store.claim("run-1", "w", 2, 60)])
        assert (store.run("run-1").done, store.runs()[0].done) == (2, 2)

    def test_status_changes_and_the_end_is_known_only_of_finished_runs(self, store):
        store.create_run(manifest(), items(1))
        store.finish_run("run-1", "finished")
        assert store.run("run-1").status == "finished"
        assert (store.run("run-1").finished_at or 0) > 0
        for status in ("interrupted", "running"):
            store.finish_run("run-1", status)
            assert (store.run("run-1").status, store.run("run-1").finished_at) == (status, None)
        with pytest.raises(NotFoundError):
            store.finish_run("run-2", "finished")
        with pytest.raises(ValueError, match="not 'done'"):
            store.finish_run("run-1", "done")

    def test_newest_first_of_one_eval_or_all(self, store):
        for number, name in enumerate(["tea", "booking", "tea"]):
            store.create_run(manifest(f"run-{number}", eval_name=name, created_at=1000.0 - number), [])
        assert [info.manifest.run_id for info in store.runs()] == ["run-0", "run-1", "run-2"]
        assert [info.manifest.run_id for info in store.runs(eval_name="tea")] == ["run-0", "run-2"]
        assert [info.manifest.run_id for info in store.runs(limit=2)] == ["run-0", "run-1"]
        assert store.runs(eval_name="coffee") == []

    def test_a_run_is_found_by_unique_prefix_or_as_the_latest(self, store):
        with pytest.raises(NotFoundError, match="no runs"):
            store.run("latest")
        for number, run_id in enumerate(["abc1", "abc2", "abc22", "xyz"]):
            store.create_run(manifest(run_id, created_at=float(number % 3)), [])
        assert store.run("x").manifest.run_id == "xyz"
        assert store.run("abc2").manifest.run_id == "abc2"
        assert store.run("latest").manifest.run_id == "abc22"
        with pytest.raises(NotFoundError, match="abc1, abc2, abc22"):
            store.run("ab")

    @pytest.mark.parametrize("wanted", ["", "z", "%", "_bc1", "a\0", "\ud800", "ABC1"])
    def test_what_is_no_prefix_is_not_found(self, store, wanted):
        store.create_run(manifest("abc1"), [])
        with pytest.raises(NotFoundError):
            store.run(wanted)

    def test_many_candidates_are_not_all_named(self, store):
        for number in range(9):
            store.create_run(manifest(f"run-{number}"), [])
        with pytest.raises(NotFoundError, match="run-0, run-1, run-2, run-3, run-4 and more"):
            store.run("run")


class TestLeases:
    def test_rows_are_claimed_in_order_and_once(self, store):
        store.create_run(manifest(), reversed(items(5)))
        assert [claim.seq for claim in store.claim("run-1", "a", 3, 60)] == [0, 1, 2]
        assert [claim.seq for claim in store.claim("run-1", "b", 3, 60)] == [3, 4]
        assert store.claim("run-1", "b", 3, 60) == []
        assert store.claim("run-2", "b", 3, 60) == []
        store.release("run-1", "a", [0], crashed=False)
        assert store.claim("run-1", "b", 0, 60) == []

    def test_a_claim_says_what_must_be_done(self, store):
        run_all(store, manifest("run-0"), items(1))
        rows = [
            item(0, attempt=2, lock="lock-0", case_index=7),
            item(1, action=Action.rejudge, episode_id="run-0-0", lock="lock-1"),
        ]
        store.create_run(manifest(), rows)
        first, second = store.claim("run-1", "w", 10, 60)
        assert (first.case_index, first.attempt, first.lock, first.action, first.episode_id) == (
            7,
            2,
            "lock-0",
            Action.run,
            "",
        )
        assert (first.retry, first.crashes) == (0, 0)
        assert (second.action, second.episode_id) == (Action.rejudge, "run-0-0")

    def test_an_expired_lease_is_claimed_again_and_is_no_crash(self, store):
        store.create_run(manifest(), items(3))
        store.claim("run-1", "dead", 2, -1)
        assert [(claim.seq, claim.crashes) for claim in store.claim("run-1", "b", 3, 60)] == [(0, 0), (1, 0), (2, 0)]

    def test_a_lease_that_runs_is_respected(self, store):
        store.create_run(manifest(), items(2))
        store.claim("run-1", "a", 1, 3600)
        assert [claim.seq for claim in store.claim("run-1", "b", 2, 60)] == [1]

    def test_renewing_extends_what_a_worker_still_holds(self, store):
        store.create_run(manifest(), items(4))
        store.claim("run-1", "a", 3, -1)
        assert store.renew("run-1", "a", 60) == 3
        assert [claim.seq for claim in store.claim("run-1", "b", 4, 60)] == [3]
        assert (store.renew("run-1", "c", 60), store.renew("run-2", "a", 60)) == (0, 0)

    def test_rows_that_another_took_over_are_not_renewed(self, store):
        store.create_run(manifest(), items(2))
        store.claim("run-1", "a", 2, -1)
        store.claim("run-1", "b", 1, 60)
        assert store.renew("run-1", "a", 60) == 0

    def test_released_rows_are_owed_again_and_a_crash_is_counted(self, store):
        store.create_run(manifest(), items(3))
        store.claim("run-1", "a", 3, 60)
        store.release("run-1", "a", [0], crashed=True)
        store.release("run-1", "a", [1], crashed=False)
        store.release("run-1", "a", [], crashed=True)
        assert [(claim.seq, claim.crashes) for claim in store.claim("run-1", "b", 3, 60)] == [(0, 1), (1, 0)]

    def test_only_the_holder_can_release(self, store):
        store.create_run(manifest(), items(1))
        claim = one_claim(store, worker="a")
        store.release("run-1", "b", [0], crashed=True)
        assert store.claim("run-1", "b", 1, 60) == []
        assert store.commit("run-1", "a", [finished(claim)]) == [0]
        store.release("run-1", "a", [0], crashed=True)
        assert store.run("run-1").done == 1

    def test_holders_are_named_even_when_their_leases_ended(self, store):
        store.create_run(manifest(), items(4))
        store.claim("run-1", "dead", 2, -1)
        assert store.holders("run-1") == {"dead": [0, 1]}
        store.renew("run-1", "dead", 60)
        store.commit("run-1", "live", [finished(one_claim(store, worker="live"))])
        store.claim("run-1", "live", 1, 60)
        assert store.holders("run-1") == {"dead": [0, 1], "live": [3]}
        store.release("run-1", "dead", [0, 1], crashed=False)
        assert store.holders("run-1") == {"live": [3]}

    def test_many_rows_are_released_at_once(self, store):
        store.create_run(manifest(), items(2100))
        seqs = [claim.seq for claim in store.claim("run-1", "a", 2100, 60)]
        store.release("run-1", "a", seqs, crashed=False)
        assert len(store.claim("run-1", "b", 5000, 60)) == 2100

    def test_workers_that_claim_at_once_never_get_the_same_row(self, store_url, store):
        from assay.store import open_store

        store.create_run(manifest(), items(200))
        barrier = threading.Barrier(4)

        def work(name: str) -> list[int]:
            own = open_store(store_url)
            barrier.wait()
            got: list[int] = []
            while claims := own.claim("run-1", name, 7, 60):
                got += [claim.seq for claim in claims]
                assert own.commit("run-1", name, [finished(claim) for claim in claims]) == [c.seq for c in claims]
            own.close()
            return got

        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(work, "abcd"))
        assert sorted(seq for part in parts for seq in part) == list(range(200))
        assert store.run("run-1").done == 200


class TestCommit:
    def test_a_settled_row_is_owed_no_more(self, store):
        store.create_run(manifest(), items(2))
        claims = store.claim("run-1", "w", 2, 60)
        assert store.commit("run-1", "w", [finished(claims[1]), finished(claims[0])]) == [1, 0]
        assert store.claim("run-1", "w", 2, 60) == []
        assert store.commit("run-1", "w", []) == []

    def test_what_a_worker_lost_is_dropped_whole(self, store):
        store.create_run(manifest(), items(2))
        lost, kept = store.claim("run-1", "slow", 2, 60)
        store.release("run-1", "slow", [lost.seq], crashed=False)
        assert [claim.seq for claim in store.claim("run-1", "quick", 1, 60)] == [0]
        packed = [finished(claim, [verdict(True)], episode_id=f"slow-{claim.seq}") for claim in (lost, kept)]
        assert store.commit("run-1", "slow", packed) == [1]
        with pytest.raises(NotFoundError):
            store.episode("slow-0")
        with pytest.raises(NotFoundError):
            store.trace(trace_of("slow-0").trace_id)
        assert store.verdicts("slow-0") == []
        assert store.episode("slow-1").id == "slow-1"

    def test_an_expired_lease_is_good_until_someone_takes_it(self, store):
        store.create_run(manifest(), items(1))
        (claim,) = store.claim("run-1", "slow", 1, -1)
        assert store.commit("run-1", "slow", [finished(claim)]) == [0]

    def test_a_record_counts_once(self, store):
        store.create_run(manifest(), items(1))
        claim = one_claim(store)
        first, second = (finished(claim, episode_id=name) for name in ("one", "two"))
        assert store.commit("run-1", "w", [first, second]) == [0]
        assert store.commit("run-1", "w", [first]) == []
        assert store.scored("run-1")[0].episode_id == "one"
        with pytest.raises(NotFoundError):
            store.episode("two")

    def test_a_try_that_is_not_settled_is_kept_and_the_row_owed_again(self, store):
        store.create_run(manifest(), items(1))
        lost = finished(one_claim(store), settled=False, outcome=Outcome.infra_error)
        assert store.commit("run-1", "w", [lost]) == []
        assert store.episode("ep-0-0").outcome is Outcome.infra_error
        assert store.scored("run-1")[0].outcome == ""
        again = one_claim(store, worker="other")
        assert (again.retry, again.crashes) == (1, 0)
        assert store.commit("run-1", "other", [finished(again)]) == [0]
        assert (store.scored("run-1")[0].episode_id, store.episode("ep-0-1").retry) == ("ep-0-1", 1)
        assert store.totals("run-1").retried == 1

    def test_a_group_is_one_transaction(self, store):
        store.create_run(manifest(), items(2))
        claims = store.claim("run-1", "w", 2, 60)
        with pytest.raises(StoreError):  # two rows cannot have the same episode
            store.commit("run-1", "w", [finished(claim, episode_id="same") for claim in claims])
        assert store.run("run-1").done == 0
        with pytest.raises(NotFoundError):
            store.episode("same")
        assert store.commit("run-1", "w", [finished(claim) for claim in claims]) == [0, 1]

    def test_what_is_no_record_is_refused(self, store):
        store.create_run(manifest(), items(1))
        one_claim(store)
        with pytest.raises(StoreError, match="cannot be read"):
            store.commit("run-1", "w", [b"\xc1"])


class TestVerdicts:
    def test_a_real_verdict_never_changes(self, store):
        run_all(store, manifest("run-0"), items(1), [verdict(True)])
        store.create_run(manifest(), [item(0, action=Action.rejudge, episode_id="run-0-0")])
        one_claim(store)
        assert store.commit("run-1", "w", [pack_verdicts(0, "run-0-0", [verdict(False), verdict(False, POLITE)])]) == [
            0
        ]
        assert store.scored("run-0")[0].verdicts == {"exact": (True, None), "polite": (False, None)}
        assert [one.passed for one in store.verdicts("run-0-0")] == [True, False]

    def test_an_unjudged_verdict_is_replaced(self, store):
        run_all(store, manifest("run-0"), items(1), [verdict(None, cost_usd=None)])
        store.create_run(manifest(), [item(0, action=Action.rejudge, episode_id="run-0-0")])
        one_claim(store)
        new = verdict(False, score=0.25, reason="now it could", evidence=("a" * 16,), cost_usd=0.5, latency_s=1.5)
        store.commit("run-1", "w", [pack_verdicts(0, "run-0-0", [new])])
        assert store.verdicts("run-0-0") == [new]

    def test_a_rejudged_row_brings_its_episode_along(self, store):
        run_all(store, manifest("run-0"), items(1))
        store.create_run(manifest(), [item(0, action=Action.rejudge, episode_id="run-0-0")])
        pending = store.scored("run-1")[0]
        assert (pending.outcome, pending.episode_id, pending.trace_id) == ("", "", "")
        one_claim(store)
        store.commit("run-1", "w", [pack_verdicts(0, "run-0-0", [verdict(True)])])
        row = store.scored("run-1")[0]
        assert (row.outcome, row.episode_id, row.reused) == ("finished", "run-0-0", True)
        assert row.trace_id == trace_of("run-0-0").trace_id
        assert row.verdicts == {"exact": (True, None)}

    def test_verdicts_are_read_as_they_were_given_oldest_first(self, store):
        new = JudgeRef(name="exact", digest="a-newer-digest")
        run_all(store, manifest("run-0"), items(1), [verdict(True, POLITE), verdict(None)])
        store.create_run(manifest(judges=(new,)), [item(0, action=Action.rejudge, episode_id="run-0-0")])
        one_claim(store)
        third = verdict(True, new, score=1.0, evidence=("x", "y"))
        store.commit("run-1", "w", [pack_verdicts(0, "run-0-0", [third])])
        assert store.verdicts("run-0-0") == [verdict(None), verdict(True, POLITE), third]
        assert store.verdicts("no-such-episode") == []

    def test_judged_leaves_out_who_could_not_tell(self, store):
        ids = run_all(store, manifest(), items(1200), [verdict(True), verdict(None, POLITE)])
        found = store.judged([*ids, "unknown"])
        assert found == dict.fromkeys(ids, frozenset({EXACT.digest}))
        assert store.judged([]) == {}


class TestReuse:
    def test_a_reused_row_is_settled_at_once(self, store):
        run_all(store, manifest("run-0"), items(2, lock="l"), [verdict(True)])
        store.create_run(manifest(), [item(0, action=Action.reuse, episode_id="run-0-1"), item(1)])
        assert [claim.seq for claim in store.claim("run-1", "w", 5, 60)] == [1]
        row = store.scored("run-1")[0]
        assert (row.episode_id, row.outcome, row.reused) == ("run-0-1", "finished", True)
        assert row.verdicts == {"exact": (True, None)}
        assert (store.run("run-1").done, store.totals("run-1").reused) == (1, 1)

    def test_only_episodes_of_the_store_can_be_reused(self, store):
        with pytest.raises(NotFoundError, match="ghost"):
            store.create_run(manifest(), [item(0, action=Action.reuse, episode_id="ghost")])
        assert store.runs() == []
        with pytest.raises(StoreError, match="names none"):
            store.create_run(manifest(), [item(0, action=Action.rejudge)])

    def test_the_newest_episode_under_a_lock_is_reusable(self, store):
        run_all(store, manifest("run-0"), [item(0, lock="a"), item(1, lock="b")])
        run_all(store, manifest("run-1"), [item(0, lock="a"), item(1, lock="")])
        assert store.reusable(["a", "b", "c", ""]) == {"a": "run-1-0", "b": "run-0-1"}
        assert store.reusable([]) == {}

    def test_many_locks_are_looked_up(self, store):
        run_all(store, manifest("run-0"), [item(seq, lock=f"lock-{seq}") for seq in range(1500)])
        found = store.reusable([f"lock-{seq}" for seq in range(3000)])
        assert found == {f"lock-{seq}": f"run-0-{seq}" for seq in range(1500)}

    def test_what_infrastructure_lost_is_not_reusable_but_an_agents_error_is(self, store):
        run_all(store, manifest("run-0"), [item(0, lock="infra")], outcome=Outcome.infra_error)
        run_all(store, manifest("run-1"), [item(0, lock="agent")], outcome=Outcome.agent_error)
        store.create_run(manifest("run-2"), [item(0, lock="retried"), item(1, lock="pending")])
        claims = store.claim("run-2", "w", 2, 60)
        store.commit("run-2", "w", [finished(claims[0], settled=False, outcome=Outcome.infra_error)])
        assert store.reusable(["infra", "agent", "retried", "pending"]) == {"agent": "run-1-0"}


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


class TestConnections:
    def test_a_detached_store_goes_on(self, store):
        store.create_run(manifest(), items(1))
        store.detach()
        assert store.run("run-1").total == 1
        store.detach()
        assert len(store.claim("run-1", "w", 1, 60)) == 1

    def test_methods_may_be_called_from_other_threads(self, store):
        store.create_run(manifest(), items(10))
        for _ in range(3):
            with ThreadPoolExecutor(1) as pool:
                assert len(pool.submit(store.claim, "run-1", "w", 2, 60).result()) == 2
        assert len(store.claim("run-1", "w", 100, 60)) == 4

    def test_two_stores_see_the_same(self, store_url, store):
        from assay.store import open_store

        store.create_run(manifest(), items(1))
        other = open_store(store_url)
        assert other.run("latest").manifest.run_id == "run-1"
        other.close()
