"""What every store must do with runs and leases: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from assay.core.errors import NotFoundError, StoreError
from assay.core.plan import Action
from assay.core.run import GateRules
from tests.store.made import (
    finished,
    item,
    items,
    manifest,
    one_claim,
    run_all,
)


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
