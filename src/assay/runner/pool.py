"""The coordinator: claim rows from the ledger, keep the engine fed, commit what comes back in groups."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from assay.core.codec import new_id
from assay.core.episode import Episode, Failure, Outcome
from assay.core.errors import HarnessError
from assay.core.plan import Action, Claim, Finished
from assay.core.protocols import Store
from assay.core.trace import Trace
from assay.core.verdict import Verdict
from assay.engine.job import Death, Result
from assay.engine.local import LocalEngine
from assay.runner.execute import EpisodeJob, Ticket, decode_receipt, encode_ticket, trace_ids
from assay.runner.progress import Progress, Tally
from assay.store.pack import pack

LEASE_S = 60.0
_CLAIM_MOST = 2048
_LOST_IN_A_ROW = 25
"""Episodes lost to infrastructure, one after the other and none finished between, after which a run stops."""


def worker_name() -> str:
    """Name this coordinator in the ledger: host, process and a random part, so that `resume` can see it is dead."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id()}"


def is_dead(worker: str) -> bool:
    """Whether a coordinator is known to be gone: it ran on this host and its process no longer exists."""
    host, _, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run's coordinator stopped."""

    status: str
    """`finished` or `interrupted`."""
    reason: str = ""
    """Why it was interrupted."""


class Pool:
    """Drives one run to its end, or to an interruption that `assay resume` continues."""

    def __init__(self, job: EpisodeJob, store: Store, engine: LocalEngine, progress: Progress, tally: Tally) -> None:
        self._job = job
        self._store = store
        self._engine = engine
        self._progress = progress
        self._tally = tally
        self._worker = worker_name()
        self._claims: dict[int, Claim] = {}
        self._renewed = time.monotonic()
        self._stopping = ""
        self._lost_in_a_row = 0

    async def drive(self) -> Ended:
        """Run until nothing is owed. The engine must have been started; it is closed in any case."""
        self._tally.started = time.monotonic()
        self._progress.begin(self._tally)
        try:
            with self._interruptible():
                await self._engine.attach()
                await self._loop()
        except asyncio.CancelledError:
            self._stopping = self._stopping or "cancelled"
        finally:
            # Whatever was not committed is owed again, at once and not only when the lease ends.
            self._store.release(self._job.run_id, self._worker, list(self._claims), crashed=False)
            await self._engine.close()
            self._progress.end(self._tally)
        return Ended(status="interrupted" if self._stopping else "finished", reason=self._stopping)

    async def _loop(self) -> None:
        while True:
            claimed = 0 if self._stopping else await self._claim()
            if not claimed:
                self._engine.level()
            if not claimed and not self._claims and (self._stopping or not self._waits_for_others()):
                return
            self._settle(await self._engine.results(timeout_s=1.0))
            self._renew()
            self._progress.update(self._tally)

    async def _claim(self) -> int:
        free = self._engine.free
        # A claim is a transaction: wait until it is worth one.
        if free < max(1, self._engine.capacity // 4) and self._claims:
            return 0
        claims = self._store.claim(self._job.run_id, self._worker, min(free, _CLAIM_MOST), LEASE_S) if free else []
        shared: list[tuple[int, bytes]] = []
        for claim in claims:
            self._claims[claim.seq] = claim
            ticket = encode_ticket(Ticket(claim, self._recorded(claim)))
            if claim.crashes:
                await self._engine.submit_alone(claim.seq, ticket)
            else:
                shared.append((claim.seq, ticket))
        self._engine.submit(shared)
        return len(claims)

    def _recorded(self, claim: Claim) -> Episode | None:
        return self._store.episode(claim.episode_id) if claim.action is Action.rejudge else None

    def _waits_for_others(self) -> bool:
        """Rows that another coordinator holds may come back to us: stay until its leases end or it settles them."""
        info = self._store.run(self._job.run_id)
        return info.done < info.total

    def _settle(self, results: list[Result]) -> None:
        packed: list[bytes] = []
        receipts = {}
        recalled: list[int] = []
        for result in results:
            if result.payload is not None:
                receipt = decode_receipt(result.payload)
                receipts[result.key] = receipt
                packed.append(receipt.packed)
            elif result.death is not None:
                self._bury(result.key, result.death)
            else:
                recalled.append(result.key)
        if recalled:
            self._store.release(self._job.run_id, self._worker, recalled, crashed=False)
            for seq in recalled:
                self._claims.pop(seq, None)
        if not packed:
            return
        settled = set(self._store.commit(self._job.run_id, self._worker, packed))
        for seq, receipt in receipts.items():
            self._claims.pop(seq, None)
            if seq in settled:
                self._tally.add(receipt.outcome, passed=receipt.passed, cost_usd=receipt.cost_usd)
            else:
                self._tally.retried += 1
            self._watch_infrastructure(receipt.outcome, receipt.note)

    def _watch_infrastructure(self, outcome: Outcome, note: str) -> None:
        if outcome is not Outcome.infra_error:
            self._lost_in_a_row = 0
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row == _LOST_IN_A_ROW and not self._stopping:
            self._stop(f"{_LOST_IN_A_ROW} episodes in a row were lost to infrastructure; the last one: {note}")

    def _bury(self, seq: int, death: Death) -> None:
        """Settle a row whose worker died: try it alone, and blame the episode only if that ends the same, not by SIGKILL.

        SIGKILL comes from outside (the kernel out of memory, an operator), so it never counts against the agent.
        """
        claim = self._claims.pop(seq, None)
        if claim is None:
            return
        proven = death.alone and claim.crashes > 0 and death.status != -signal.SIGKILL
        if not proven and claim.crashes <= self._job.retries:
            self._store.release(self._job.run_id, self._worker, [seq], crashed=True)
            return
        blame_agent = proven and self._job.isolation == "task"
        outcome = Outcome.agent_error if blame_agent else Outcome.infra_error
        failure = Failure(
            boundary="agent" if blame_agent else "worker", kind="process_died", message=str(death), detail=death.log
        )
        episode = self._never_returned(claim, outcome, failure)
        verdicts = tuple(
            Verdict(passed=False, reason=failure.message, judge=judge.name, judge_digest=judge.digest)
            for judge in (self._job.judges if blame_agent else ())
        )
        self._store.commit(
            self._job.run_id,
            self._worker,
            [pack(Finished(seq=seq, episode=episode, verdicts=verdicts, settled=True), claim.lock)],
        )
        self._tally.add(outcome, passed=False if blame_agent else None, cost_usd=0.0)

    def _never_returned(self, claim: Claim, outcome: Outcome, failure: Failure) -> Episode:
        episode_id = f"{self._job.run_id}-{claim.seq}-{claim.retry}"
        return Episode(
            id=episode_id,
            case=self._job.cases[claim.case_index],
            outcome=outcome,
            failure=failure,
            trace=Trace(trace_id=trace_ids(self._job.run_id, claim.seq, claim.retry)[0]),
            attempt=claim.attempt,
            retry=claim.retry,
            started_at=time.time(),
            isolation=self._job.isolation,
        )

    def _renew(self) -> None:
        now = time.monotonic()
        if self._claims and now - self._renewed > LEASE_S / 3:
            self._renewed = now
            if self._store.renew(self._job.run_id, self._worker, LEASE_S) == 0:
                raise HarnessError("another coordinator took over this run: its leases had ended")

    def _stop(self, reason: str) -> None:
        self._stopping = reason
        self._engine.drain()

    @contextmanager
    def _interruptible(self) -> Generator[None]:
        """First Ctrl-C: start nothing new and let running episodes end. Second, or SIGTERM: stop now."""
        loop = asyncio.get_running_loop()
        driver = asyncio.current_task()

        def now(reason: str) -> None:
            self._stopping = reason
            if driver is not None:
                driver.cancel()

        def gently() -> None:
            if self._stopping:
                now("interrupted")
                return
            self._stop("interrupted")
            self._progress.say("Stopping: waiting for running episodes. Ctrl-C again stops now; what finished is kept.")

        installed = _install(loop, {signal.SIGINT: gently, signal.SIGTERM: lambda: now("terminated")})
        try:
            yield
        finally:
            for number in installed:
                loop.remove_signal_handler(number)


def _install(
    loop: asyncio.AbstractEventLoop, handlers: dict[signal.Signals, Callable[[], None]]
) -> list[signal.Signals]:
    installed: list[signal.Signals] = []
    for number, handler in handlers.items():
        try:
            loop.add_signal_handler(number, handler)
        except (ValueError, RuntimeError):
            # Not on the main thread: signals belong to whoever is.
            break
        installed.append(number)
    return installed
