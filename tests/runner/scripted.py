"""A harness that does what each case says, and a way to drive a run of it; importable by coordinators in tests."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from assay.core.case import Case, Dataset
from assay.core.codec import new_id
from assay.core.episode import Failure, Outcome
from assay.core.errors import HarnessError
from assay.core.protocols import Attempt, Judge, LiveWorld, Played, SandboxNeeds, Store
from assay.core.run import JudgeRef, RunManifest
from assay.core.sandbox import Sandbox
from assay.core.trace import Span, Trace
from assay.core.usage import Limits
from assay.engine.local import LocalEngine
from assay.judges.code import judge
from assay.judges.evaluate import evaluate_all
from assay.runner.execute import EpisodeJob
from assay.runner.plan import Owed, Plan, plan
from assay.runner.pool import Ended, Pool
from assay.runner.progress import Silent, Tally


@judge
def not_wrong(episode):
    return episode.output != "wrong"


class ScriptedHarness:
    """The input is a verb: say, sleep, crash, lose, flaky, exit, kill."""

    name = "scripted"
    kind = "function"
    digest = "scripted"
    isolations = ("task",)

    def __init__(self, folder: str = "") -> None:
        self._folder = folder

    def fingerprint(self) -> str:
        return "scripted"

    def needs(self) -> SandboxNeeds:
        return SandboxNeeds()

    async def play(self, attempt: Attempt, world: LiveWorld | None, sandbox: Sandbox | None) -> Played:
        verb, _, argument = str(attempt.case.input).partition(" ")
        if self._folder:
            with (Path(self._folder) / "calls").open("a") as calls:
                calls.write(f"{attempt.case.id}\n")
        if verb == "sleep":
            await asyncio.sleep(float(argument))
        elif verb == "exit":
            os._exit(int(argument))
        elif verb == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif verb == "lose":
            raise HarnessError("no route to the agent")
        elif verb == "bug":
            raise ZeroDivisionError(argument)
        elif verb == "flaky":
            seen = Path(self._folder) / attempt.case.id
            if not seen.exists():
                seen.touch()
                raise HarnessError("the line was busy")
        now = time.time_ns()
        span = Span(span_id=attempt.root_id, name="scripted", start_ns=now, end_ns=now + 1, kind="agent")
        trace = Trace(trace_id=attempt.trace_id, spans=(span,))
        if verb == "crash":
            failure = Failure(boundary="agent", kind="ValueError", message=argument)
            return Played(outcome=Outcome.agent_error, outputs=(), trace=trace, failure=failure)
        return Played(outcome=Outcome.finished, outputs=(argument,), trace=trace)

    async def close(self) -> None:
        pass


def cases(inputs: Sequence[str]) -> Dataset:
    return Dataset.of([Case(id=f"case-{number:04d}", input=text) for number, text in enumerate(inputs)])


def begin(
    store: Store, dataset: Dataset, *, attempts: int = 1, judges: tuple[Judge, ...] = (not_wrong,), fresh: bool = False
) -> tuple[RunManifest, Plan]:
    """Plan a run and write it to the ledger."""
    owed = Owed(
        base_lock="base", judges=frozenset(each.digest for each in judges), attempts=attempts, seed=0, fresh=fresh
    )
    planned = plan(dataset, owed, store)
    manifest = RunManifest(
        run_id=new_id(),
        eval_name="scripted",
        kind="run",
        created_at=time.time(),
        dataset=dataset.name,
        tier=dataset.tier.value,
        dataset_digest=dataset.digest,
        dataset_path="",
        cases=len(dataset.cases),
        attempts=attempts,
        harness="scripted",
        harness_kind="function",
        harness_digest="scripted",
        fingerprint="scripted",
        judges=tuple(JudgeRef(name=each.name, digest=each.digest) for each in judges),
        isolation="task",
    )
    store.create_run(manifest, planned.items)
    return manifest, planned


def drive(
    store: Store,
    run_id: str,
    dataset: Dataset,
    *,
    folder: str = "",
    judges: tuple[Judge, ...] = (not_wrong,),
    retries: int = 2,
    slots: int = 8,
) -> tuple[Ended, Tally]:
    """Drive a run that stands in the ledger."""
    job = EpisodeJob(
        run_id=run_id,
        cases=dataset.cases,
        harness=ScriptedHarness(folder),
        judges=judges,
        evaluate=evaluate_all,
        limits=Limits(),
        isolation="task",
        retries=retries,
    )
    info = store.run(run_id)
    tally = Tally(total=info.total, done=info.done)
    engine = LocalEngine(job, workers=2, slots=slots)
    store.detach()
    engine.start()
    ended = asyncio.run(Pool(job, store, engine, Silent(), tally).drive())
    store.finish_run(run_id, ended.status)
    return ended, tally
