"""What every store must do when work is settled, judged and reused: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest

from assay.core.episode import Outcome
from assay.core.errors import NotFoundError, StoreError
from assay.core.plan import Action
from assay.core.run import JudgeRef
from assay.store.pack import pack_verdicts
from tests.store.made import (
    EXACT,
    POLITE,
    finished,
    item,
    items,
    manifest,
    one_claim,
    run_all,
    trace_of,
    verdict,
)


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
