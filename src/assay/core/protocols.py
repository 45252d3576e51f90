"""All seams on one page. Implementations arrive by constructor, never by global."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import msgspec

from assay.core.case import Case
from assay.core.effects import Effects
from assay.core.episode import Episode, Failure, Outcome
from assay.core.plan import Claim, WorkItem
from assay.core.report import FailureItem
from assay.core.run import RunInfo, RunManifest
from assay.core.sandbox import Place, Sandbox
from assay.core.trace import Trace
from assay.core.usage import Limits, Usage
from assay.core.verdict import Verdict


@runtime_checkable
class Judge(Protocol):
    """A pure function of an episode. Keeps no result on itself; may be sync or async.

    Nobody sets the attributes from outside: frozen values are judges too.
    """

    @property
    def name(self) -> str:
        """Shown in reports; unique within an eval."""
        ...

    @property
    def digest(self) -> str:
        """Content address of code and settings: a changed judge has another one."""
        ...

    @property
    def timeout_s(self) -> float:
        """Seconds after which the episode is unjudged."""
        ...

    def judge(self, episode: Episode) -> Verdict | Awaitable[Verdict]:
        """Return the verdict; raising means unjudged, never failed."""
        ...


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What a harness is asked to do: play one case once."""

    episode_id: str
    """Id of the episode in the making."""
    case: Case
    """The case."""
    number: int
    """Which of the case's attempts, from 0."""
    seed: int
    """Seed for the agent."""
    trace_id: str
    """Trace that all spans must join; 32 hex digits."""
    root_id: str
    """Span id of the root that the harness records; 16 hex digits."""
    limits: Limits
    """What the episode may use."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What a harness brings back."""

    outcome: Outcome
    """How it ended."""
    outputs: tuple[Any, ...]
    """One per user turn that was played."""
    trace: Trace
    """All spans, the root included, normalized."""
    failure: Failure | None = None
    """Present unless the outcome is `finished`."""
    logs: str = ""
    """Tail of stdout and stderr, bounded."""
    effects: Effects | None = None
    """What a recorded episode changed; None where the world tells."""


class LiveWorld(Protocol):
    """The surroundings of one episode while it runs."""

    place: Place
    """Host directories and environment."""
    databases: Mapping[str, str]
    """Database name -> host path of its file inside the workspace."""
    clock: datetime
    """The world's now."""
    digest: str
    """Digest of the state at open."""

    def effects(self) -> Effects:
        """Compare with the state at open; called once the agent is dead. Raises `WorldError`."""
        ...

    def close(self) -> None:
        """Remove everything."""
        ...


class World(Protocol):
    """Makes fresh surroundings: same seed, same world."""

    digest: str
    """Content address of the configuration and its seed files."""

    def open(self, episode_id: str, case: Case, seed: int) -> LiveWorld:
        """Make a fresh world for one episode. Raises `WorldError` (infrastructure)."""
        ...

    def close(self) -> None:
        """Remove templates and the scratch directory."""
        ...


class SandboxNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """What a harness wants from the sandbox that its agent runs in."""

    preload: tuple[str, ...] = ()
    """Modules that the zygote imports once."""
    python_path: tuple[str, ...] = ()
    """Entries for `sys.path`."""
    env: dict[str, str] = {}
    """Variables to set from the start, while the agent is imported too."""


@runtime_checkable
class Harness(Protocol):
    """How the real agent is invoked for one case."""

    name: str
    """Name in the configuration."""
    kind: str
    """`function`, `command`, `http` or `recorded`."""
    digest: str
    """Content address of the settings."""
    isolations: tuple[str, ...]
    """Kinds of isolation it can run under, best first; `remote` and `recorded` need no sandbox."""

    @property
    def takes_world(self) -> bool:
        """Whether the agent wants a world even where no sandbox needs one; asked only then."""
        ...

    @property
    def shares_port(self) -> bool:
        """Whether it holds a port of this machine, so that only one worker may use it."""
        ...

    def fingerprint(self) -> str:
        """Digest of the agent's files, dependency lock and declared settings; empty when none can be had."""
        ...

    def needs(self) -> SandboxNeeds:
        """Say what the sandbox must preload."""
        ...

    async def play(self, attempt: Attempt, world: LiveWorld | None, sandbox: Sandbox | None) -> Played:
        """Play the case. Agent failures come back as values; raises `HarnessError` or `WorldError` otherwise."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger row with what its episode came to: the input of every rate."""

    seq: int
    """Position in the run."""
    case_id: str
    """The case."""
    cluster: str
    """Cluster of the case; empty when it has none."""
    tags: tuple[str, ...]
    """Tags of the case."""
    attempt: int
    """Which attempt."""
    outcome: str
    """Outcome of the settled episode; empty while pending."""
    episode_id: str
    """The settled episode."""
    trace_id: str
    """Its trace."""
    reused: bool
    """Whether the episode was taken from an earlier run."""
    verdicts: dict[str, tuple[bool | None, float | None]]
    """Judge name -> (passed, score), for the judges of the run's manifest."""


class JudgeCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often one judge, or all of them together, said what."""

    passed: int
    """Episodes that passed."""
    failed: int
    """Episodes that failed."""
    unjudged: int
    """Episodes without a word."""


class RunTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums and distinct values over a run's settled episodes."""

    usage: Usage
    """What the agents used."""
    judge_cost_usd: dict[str, float | None]
    """Judge name -> money; None when any of its verdicts cost an unknown amount."""
    judge_scores: dict[str, float | None]
    """Judge name -> mean of its optional scores; None without any."""
    retried: int
    """Tries that were not settled (infrastructure failures that were retried)."""
    reused: int
    """Episodes taken from earlier runs."""
    unequal_worlds: int
    """Distinct (case, seed, start digest) triples beyond one per (case, seed)."""
    models: tuple[str, ...]
    """Models seen in the traces, sorted."""
    prompts: int
    """Distinct system prompts seen in the traces."""
    tools: tuple[str, ...]
    """Tool names seen in the traces, sorted."""


class Store(Protocol):
    """The truth: runs, ledger, episodes, verdicts, traces. Every method is one transaction, except `episodes`.

    Ids are compared as they are; only `run`, `episode` and `trace` take a unique prefix too.
    """

    def create_run(self, manifest: RunManifest, items: Iterable[WorkItem]) -> None:
        """Write a run and all its ledger rows; `reuse` rows are settled at once.

        Raises `NotFoundError` where a row names an episode that is not in the store; nothing is written then.
        """
        ...

    def claim(self, run_id: str, worker: str, limit: int, lease_s: float) -> list[Claim]:
        """Lease up to `limit` owed rows (pending, or with an expired lease) in order. An expired lease is no crash."""
        ...

    def renew(self, run_id: str, worker: str, lease_s: float) -> int:
        """Extend all leases of a worker; returns how many it still holds."""
        ...

    def release(self, run_id: str, worker: str, seqs: Sequence[int], *, crashed: bool) -> None:
        """Give rows back; `crashed` counts a worker's death against each."""
        ...

    def holders(self, run_id: str) -> dict[str, list[int]]:
        """Return worker -> the rows that it holds, in order, whether its leases have ended or not."""
        ...

    def commit(self, run_id: str, worker: str, packed: Sequence[bytes]) -> list[int]:
        """Write packed records in one transaction; returns the seqs settled. Rows whose lease was lost are skipped.

        A try that is not settled is kept, its row owed again with one retry more. An unjudged verdict is replaced by a later
        one of the same judge; a real verdict never is.
        """
        ...

    def finish_run(self, run_id: str, status: str) -> None:
        """Mark a run `finished`, `interrupted` or, when it goes on, `running`. Raises `NotFoundError`."""
        ...

    def run(self, run_id: str) -> RunInfo:
        """Return one run; a unique prefix or `latest` will do. Raises `NotFoundError`."""
        ...

    def runs(self, *, eval_name: str = "", limit: int = 50) -> list[RunInfo]:
        """Return the newest runs first."""
        ...

    def scored(self, run_id: str) -> list[Scored]:
        """Return every ledger row of a run with its verdicts, in order."""
        ...

    def counts(self, run_id: str) -> dict[str, JudgeCount]:
        """Return judge name -> how its episodes came out, summed up by the database; "" stands for all judges.

        An episode passes all judges when each passed it, fails when any failed it, and is unjudged otherwise.
        """
        ...

    def totals(self, run_id: str) -> RunTotals:
        """Return sums over the settled episodes of a run."""
        ...

    def failures(self, run_id: str, limit: int) -> tuple[list[FailureItem], int]:
        """Return the first failures in report order (failed, agent_error, unjudged, infra_error) and their number.

        An `agent_error` episode is one item, not one per judge.
        """
        ...

    def episode(self, episode_id: str) -> Episode:
        """Return one episode with its trace; a unique prefix will do. Raises `NotFoundError`."""
        ...

    def episodes(self, run_id: str) -> Iterator[Episode]:
        """Yield the settled episodes of a run with their traces, in ledger order, a few at a time in memory."""
        ...

    def trace(self, trace_id: str) -> Trace:
        """Return one trace; a unique prefix will do. Raises `NotFoundError`."""
        ...

    def verdicts(self, episode_id: str) -> list[Verdict]:
        """Return all verdicts on an episode, of every judge version, oldest first."""
        ...

    def reusable(self, locks: Sequence[str]) -> dict[str, str]:
        """Return lock -> newest settled episode id that did not end as `infra_error`. Empty locks never match."""
        ...

    def judged(self, episode_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return episode id -> digests of the judges that have a verdict (not unjudged) on it."""
        ...

    def detach(self) -> None:
        """Close all connections, so that the process may fork; the next call opens them again."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


class Engine(Protocol):
    """Maps a job over items on one or many processes."""

    def map(self, items: AsyncIterator[tuple[int, bytes]]) -> AsyncIterator[tuple[int, bytes | None]]:
        """Yield (key, result) as items finish, in any order; None when the worker died while it held the item."""
        ...
