"""What a run owes: reuse what stands under the same lock, judge again what only lacks a verdict, run the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from assay.core.case import Dataset
from assay.core.episode import Outcome
from assay.core.plan import Action, WorkItem
from assay.core.protocols import Store

_CHUNK = 500


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What locks are made of, and how far they may be trusted."""

    base_lock: str
    """Digest of harness, fingerprint, world, limits and isolation; empty when nothing can be reused."""
    judges: frozenset[str]
    """Digests of the judges whose verdicts are needed."""
    attempts: int
    """Attempts per case."""
    seed: int
    """Seed of the run."""
    fresh: bool = False
    """Run everything, whatever stands."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger rows of a run to be, and the reason behind them."""

    items: tuple[WorkItem, ...]
    """Every planned attempt, in order."""
    reason: str
    """Why what must run must run."""

    def count(self, action: Action) -> int:
        """Return how many items have this action."""
        return sum(1 for item in self.items if item.action is action)


def attempt_seed(seed: int, case_id: str, attempt: int) -> int:
    """Return the seed (31 bits) of one attempt: the same in every run with the same run seed."""
    data = hashlib.blake2b(f"{seed}:{attempt}:{case_id}".encode(), digest_size=4).digest()
    return int.from_bytes(data, "big") >> 1


def plan(dataset: Dataset, owed: Owed, store: Store) -> Plan:
    """Decide for every attempt at every case whether it is reused, judged again or run."""
    if owed.fresh or not owed.base_lock:
        items = [_item(row, Action.run, "") for row in _rows(dataset, owed)]
        reason = "asked for with fresh" if owed.fresh else "the agent has no static fingerprint, so nothing is reused"
        return Plan(items=tuple(items), reason=reason)
    items: list[WorkItem] = []
    chunk: list[_Row] = []
    for row in _rows(dataset, owed):
        chunk.append(row)
        if len(chunk) == _CHUNK:
            items += _settle(chunk, owed, store)
            chunk = []
    items += _settle(chunk, owed, store)
    return Plan(items=tuple(items), reason="case, agent, world, settings or seed changed, or never ran")


def rejudge_plan(parent: str, judges: frozenset[str], store: Store) -> Plan:
    """Plan to judge every settled episode of a run again; verdicts that stand under the same judge digest are kept.

    Episodes that infrastructure lost have nothing to judge and stay lost: their rows are settled as they are.
    """
    rows = [row for row in store.scored(parent) if row.episode_id]
    items: list[WorkItem] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        judged = store.judged([row.episode_id for row in chunk])
        for row in chunk:
            stands = judges <= judged.get(row.episode_id, frozenset()) or row.outcome == Outcome.infra_error.value
            items.append(
                WorkItem(
                    seq=len(items),
                    case_id=row.case_id,
                    case_index=-1,
                    attempt=row.attempt,
                    lock="",
                    action=Action.reuse if stands else Action.rejudge,
                    episode_id=row.episode_id,
                    cluster=row.cluster,
                    tags=row.tags,
                )
            )
    return Plan(items=tuple(items), reason="the judges changed")


class _Row(msgspec.Struct, frozen=True):
    seq: int
    case_id: str
    case_index: int
    attempt: int
    lock: str
    cluster: str
    tags: tuple[str, ...]


def _rows(dataset: Dataset, owed: Owed) -> Iterator[_Row]:
    seq = 0
    for index, (case, digest) in enumerate(zip(dataset.cases, dataset.digests, strict=True)):
        for attempt in range(owed.attempts):
            lock = ""
            if owed.base_lock:
                seed = attempt_seed(owed.seed, case.id, attempt)
                lock = hashlib.blake2b(f"{owed.base_lock}:{digest}:{seed}".encode(), digest_size=16).hexdigest()
            yield _Row(seq, case.id, index, attempt, lock, case.cluster or "", case.tags)
            seq += 1


def _settle(rows: Sequence[_Row], owed: Owed, store: Store) -> list[WorkItem]:
    existing = store.reusable([row.lock for row in rows])
    judged = store.judged(list(existing.values())) if existing else {}
    items: list[WorkItem] = []
    for row in rows:
        episode_id = existing.get(row.lock, "")
        if not episode_id:
            items.append(_item(row, Action.run, ""))
        elif owed.judges <= judged.get(episode_id, frozenset()):
            items.append(_item(row, Action.reuse, episode_id))
        else:
            items.append(_item(row, Action.rejudge, episode_id))
    return items


def _item(row: _Row, action: Action, episode_id: str) -> WorkItem:
    return WorkItem(
        seq=row.seq,
        case_id=row.case_id,
        case_index=row.case_index,
        attempt=row.attempt,
        lock=row.lock,
        action=action,
        episode_id=episode_id,
        cluster=row.cluster,
        tags=row.tags,
    )
