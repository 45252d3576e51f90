"""One episode, inside a worker: open the world, play the case, collect effects, judge, pack."""

from __future__ import annotations

import asyncio
import hashlib
import time
import traceback
import zlib
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable

import msgspec

from assay.core.case import Case
from assay.core.effects import NO_EFFECTS, Effects
from assay.core.episode import Episode, Failure, Outcome
from assay.core.errors import HarnessError, WorldError
from assay.core.plan import Action, Claim, Finished
from assay.core.protocols import Attempt, Harness, Judge, LiveWorld, Played, World
from assay.core.sandbox import Sandbox
from assay.core.trace import Trace
from assay.core.usage import NO_USAGE, Limits
from assay.core.verdict import Verdict
from assay.runner.plan import attempt_seed
from assay.store.pack import pack, pack_verdicts

Evaluate = Callable[[Sequence[Judge], Episode], tuple[Verdict, ...] | Awaitable[tuple[Verdict, ...]]]
_TRACEBACK_CHARS = 8_000


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What the coordinator sends for one ledger row."""

    claim: Claim
    """The row."""
    episode: Episode | None = None
    """For `rejudge`: the episode to judge again."""


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """What the worker sends back: the packed record, and what progress needs without unpacking it."""

    packed: bytes
    """For `Store.commit`."""
    passed: bool | None
    """All judges passed; None when unjudged or not settled."""
    outcome: Outcome
    """How the episode ended."""
    cost_usd: float
    """What agent and judges are known to have cost."""
    note: str = ""
    """For infrastructure failures: what failed."""


encode_ticket = msgspec.msgpack.Encoder().encode
decode_ticket = msgspec.msgpack.Decoder(Ticket).decode
encode_receipt = msgspec.msgpack.Encoder().encode
decode_receipt = msgspec.msgpack.Decoder(Receipt).decode


class EpisodeJob(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that workers need to run the episodes of one run."""

    run_id: str
    """The run."""
    cases: Sequence[Case]
    """The dataset's cases; claims name them by index."""
    harness: Harness
    """How the agent is invoked."""
    judges: tuple[Judge, ...]
    """Who judges."""
    evaluate: Evaluate
    """Asks all judges; turns their failures into unjudged verdicts."""
    limits: Limits
    """What one episode may use."""
    isolation: str
    """Kind of isolation that the run uses."""
    world: World | None = None
    """Makes the surroundings; None for harnesses that need none."""
    open_sandbox: Callable[[], Awaitable[Sandbox]] | None = None
    """Opens the worker's sandbox; None for harnesses that need none."""
    seed: int = 0
    """Seed of the run."""
    retries: int = 2
    """Retries after infrastructure failures."""

    async def open(self) -> EpisodeSession:
        """Open a session inside a worker."""
        sandbox = await self.open_sandbox() if self.open_sandbox is not None else None
        return EpisodeSession(self, sandbox)


class EpisodeSession:
    """Runs episodes in one worker."""

    def __init__(self, job: EpisodeJob, sandbox: Sandbox | None) -> None:
        self._job = job
        self._sandbox = sandbox

    async def run(self, key: int, payload: bytes) -> bytes:
        """Run or judge again what one ledger row owes; returns an encoded `Receipt`."""
        ticket = decode_ticket(payload)
        claim = ticket.claim
        if claim.action is Action.rejudge and ticket.episode is not None:
            verdicts = await self._judge(ticket.episode)
            packed = pack_verdicts(claim.seq, ticket.episode.id, verdicts)
            return encode_receipt(Receipt(packed, all_passed(verdicts), ticket.episode.outcome, _cost(None, verdicts)))
        episode = await self._episode(claim, self._job.cases[claim.case_index])
        verdicts = await self._judge(episode)
        settled = episode.outcome is not Outcome.infra_error or claim.retry >= self._job.retries
        packed = pack(Finished(seq=claim.seq, episode=episode, verdicts=verdicts, settled=settled), claim.lock)
        note = episode.failure.message if episode.failure and episode.outcome is Outcome.infra_error else ""
        receipt = Receipt(packed, all_passed(verdicts), episode.outcome, _cost(episode.usage.cost_usd, verdicts), note)
        return encode_receipt(receipt)

    async def close(self) -> None:
        """Release sandbox and connections."""
        if self._sandbox is not None:
            await self._sandbox.close()
        await self._job.harness.close()

    async def _judge(self, episode: Episode) -> tuple[Verdict, ...]:
        if episode.outcome is Outcome.infra_error:
            return ()
        verdicts = self._job.evaluate(self._job.judges, episode)
        return await verdicts if isawaitable(verdicts) else verdicts

    async def _episode(self, claim: Claim, case: Case) -> Episode:
        job = self._job
        episode_id = f"{job.run_id}-{claim.seq}-{claim.retry}"
        trace_id, root_id = trace_ids(job.run_id, claim.seq, claim.retry)
        attempt = Attempt(
            episode_id=episode_id,
            case=case,
            number=claim.attempt,
            seed=attempt_seed(job.seed, case.id, claim.attempt),
            trace_id=trace_id,
            root_id=root_id,
            limits=job.limits,
        )
        started_at, clock = time.time(), time.perf_counter()
        played, effects, world_digest = await self._play(attempt)
        return Episode(
            id=episode_id,
            case=case,
            outcome=played.outcome,
            trace=played.trace,
            outputs=played.outputs,
            effects=effects,
            failure=played.failure,
            usage=played.trace.usage if len(played.trace.spans) > 1 else NO_USAGE,
            attempt=claim.attempt,
            retry=claim.retry,
            seed=attempt.seed,
            started_at=started_at,
            duration_s=time.perf_counter() - clock,
            isolation=job.isolation,
            world_digest=world_digest,
            logs=played.logs,
        )

    async def _play(self, attempt: Attempt) -> tuple[Played, Effects, str]:
        job = self._job
        live: LiveWorld | None = None
        try:
            if job.world is not None:
                live = job.world.open(attempt.episode_id, attempt.case, attempt.seed)
            played = await job.harness.play(attempt, live, self._sandbox)
            if live is None:
                return played, played.effects or NO_EFFECTS, ""
            # Comparing large worlds takes a while: other episodes go on meanwhile.
            return played, await asyncio.to_thread(live.effects), live.digest
        except WorldError as error:
            return _lost(attempt, "world", error), NO_EFFECTS, ""
        except HarnessError as error:
            return _lost(attempt, "harness", error), NO_EFFECTS, ""
        except Exception as error:  # noqa: BLE001 - the worker's one boundary: whatever else broke here is ours, not the agent's
            return _lost(attempt, "worker", error, traceback.format_exc()[-_TRACEBACK_CHARS:]), NO_EFFECTS, ""
        finally:
            if live is not None:
                live.close()


def all_passed(verdicts: Sequence[Verdict]) -> bool | None:
    """Fold verdicts into one: failed if any failed, else unjudged if any is unjudged, else passed."""
    if any(verdict.passed is False for verdict in verdicts):
        return False
    if not verdicts or any(verdict.passed is None for verdict in verdicts):
        return None
    return True


def trace_ids(run_id: str, seq: int, retry: int) -> tuple[str, str]:
    """Return the ids of an episode's trace (32 hex digits) and of its root span (16): the same for the same episode.

    The first half of a trace id grows with `seq`, so that the traces of a run lie side by side in the store's index; the
    second half is as random as samplers expect.
    """
    run = zlib.crc32(run_id.encode())
    random = hashlib.blake2b(f"{run_id}-{seq}-{retry}".encode(), digest_size=16).hexdigest()
    return f"{run:08x}{(seq << 8 | retry & 255) & 0xFFFFFFFF:08x}{random[:16]}", random[16:]


def _lost(attempt: Attempt, boundary: str, error: Exception, detail: str = "") -> Played:
    return Played(
        outcome=Outcome.infra_error,
        outputs=(),
        trace=Trace(trace_id=attempt.trace_id),
        failure=Failure(boundary=boundary, kind=type(error).__name__, message=str(error), detail=detail),
    )


def _cost(agent_usd: float | None, verdicts: Sequence[Verdict]) -> float:
    return (agent_usd or 0.0) + sum(verdict.cost_usd or 0.0 for verdict in verdicts)
