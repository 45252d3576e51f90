"""The standard report: one schema for every eval (`assay.report/1`), and the comparison of two runs (`assay.compare/1`)."""

from __future__ import annotations

import msgspec

from assay.core.run import RunManifest
from assay.core.usage import Usage

REPORT_SCHEMA = "assay.report/1"
COMPARE_SCHEMA = "assay.compare/1"


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A pass rate with its interval. `value` is None when nothing was judged: no rate is shown then."""

    value: float | None
    """Mean over cases of the share of attempts that passed, in [0, 1]."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float
    """Confidence of the interval, such as 0.95."""
    method: str
    """How the interval was made, such as `wilson` or `wilson-clustered`."""
    cases: int
    """Independent cases behind it (the n of the interval before clustering)."""
    judged: int
    """Episodes behind it."""
    passed: int
    """Episodes that passed."""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to every planned episode; the parts add up."""

    planned: int
    """Cases x attempts."""
    finished: int
    """Episodes whose agent returned."""
    agent_error: int
    """Episodes in which the agent crashed, timed out or passed a limit: they fail every judge."""
    infra_error: int
    """Episodes lost to infrastructure after all retries: in no denominator."""
    pending: int
    """Episodes not run yet."""
    reused: int = 0
    """Episodes taken from earlier runs under the same lock."""
    retried: int = 0
    """Extra tries after infrastructure failures; every one is kept."""


class JudgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One judge over the whole run."""

    name: str
    """Name of the judge."""
    digest: str
    """Content address of the judge."""
    judged: int
    """Episodes with a verdict."""
    passed: int
    """Verdicts that passed."""
    failed: int
    """Verdicts that failed."""
    unjudged: int
    """Episodes on which the judge raised, timed out or could not tell."""
    rate: Rate
    """Pass rate of the judge."""
    bounds: tuple[float, float]
    """Where the rate would be if all unjudged and lost episodes failed, and if all passed."""
    mean_score: float | None = None
    """Mean of the optional scores."""
    cost_usd: float | None = 0.0
    """What judging cost; None means unknown."""


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """pass@k and pass^k for one k, over cases with at least k judged attempts."""

    k: int
    """Number of attempts."""
    pass_at: float
    """pass@k: chance that at least one of k attempts passes."""
    pass_at_se: float
    """Standard error of pass@k over cases."""
    pass_hat: float
    """pass^k: chance that all k attempts pass."""
    pass_hat_se: float
    """Standard error of pass^k over cases."""
    cases: int
    """Cases with at least k judged attempts."""


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """The overall rate among the cases with one tag."""

    tag: str
    """The tag."""
    rate: Rate
    """All-judges pass rate."""


class FailureItem(msgspec.Struct, frozen=True, kw_only=True):
    """One failed or unjudged verdict, or one episode that infrastructure lost."""

    case_id: str
    """The case."""
    attempt: int
    """Which attempt."""
    judge: str
    """The judge; empty when the episode itself failed."""
    kind: str
    """`failed`, `agent_error`, `infra_error` or `unjudged`."""
    reason: str
    """Why."""
    episode_id: str
    """Episode to open."""
    trace_id: str
    """Trace to open."""
    link: str = ""
    """Where the trace opens: `assay show` id, local viewer or the team's own tracing tool."""


class Hermetic(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the isolation of the run's episodes."""

    isolation: str
    """The kind that was used."""
    note: str
    """Why this kind and what was verified."""
    guarantees: tuple[str, ...]
    """What was seen to hold."""
    complete: bool
    """Whether every guarantee of a hermetic episode holds."""
    world_digests: int
    """Distinct (case, start digest) pairs beyond one per case: 0 when equal seeds gave equal worlds."""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent was."""

    static: str
    """Digest of the files, lock and settings that the harness names; empty when none can be had."""
    models: tuple[str, ...] = ()
    """Models seen in the traces."""
    prompts: int = 0
    """Distinct system prompts seen in the traces."""
    tools: tuple[str, ...] = ()
    """Tool names seen in the traces."""
    drift: str = ""
    """Banner when it differs from the run it is compared with; empty otherwise."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's word. `NONE` when the eval has no gate rules."""

    outcome: str
    """`PASS`, `FAIL`, `INCONCLUSIVE`, `INVALID` or `NONE`."""
    reasons: tuple[str, ...] = ()
    """One sentence per rule that was checked."""
    cases_needed: int | None = None
    """For `INCONCLUSIVE`: about how many cases in all would settle it at the observed rate."""

    @property
    def exit_code(self) -> int:
        """0 PASS or no rules, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID."""
        return {"PASS": 0, "NONE": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}[self.outcome]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run in the standard shape."""

    schema: str
    """Always `assay.report/1`."""
    manifest: RunManifest
    """What was run."""
    status: str
    """`running`, `interrupted` or `finished`."""
    finished_at: float | None
    """Unix time in seconds."""
    coverage: Coverage
    """What happened to every planned episode."""
    overall: Rate
    """All judges passed."""
    judges: tuple[JudgeReport, ...]
    """Per judge, in manifest order."""
    repeats: tuple[Repeat, ...]
    """Per k from 1 to the attempts per case; empty for a single attempt."""
    slices: tuple[Slice, ...]
    """Per tag, sorted by tag."""
    failures: tuple[FailureItem, ...]
    """Failures first by kind, then in run order; at most `failures_kept` of them."""
    failures_total: int
    """How many there are in all."""
    usage: Usage
    """What the agents used."""
    judge_cost_usd: float | None
    """What judging cost; None means unknown."""
    hermetic: Hermetic
    """Isolation and its proof."""
    fingerprint: Fingerprint
    """What the agent was."""
    decision: Decision
    """The gate's word."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before quoting a number."""
    baseline: str = ""
    """Run that the gate compared with."""


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A case whose share of passed attempts differs between two runs."""

    case_id: str
    """The case."""
    before: float
    """Share of attempts that passed in A."""
    after: float
    """Share of attempts that passed in B."""
    episode_a: str
    """An episode of A to open (a failed one where there is one)."""
    episode_b: str
    """An episode of B to open (a failed one where there is one)."""
    reason: str = ""
    """Why the failing side failed."""


class PairedRate(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs on the same cases, for one judge or overall."""

    name: str
    """Judge, or `overall`."""
    cases: int
    """Cases judged in both runs."""
    rate_a: float | None
    """Mean over those cases in A."""
    rate_b: float | None
    """Mean over those cases in B."""
    difference: float | None
    """B minus A."""
    low: float
    """Lower end of the interval of the difference."""
    high: float
    """Upper end of the interval of the difference."""
    level: float
    """Confidence of the interval."""
    p_value: float | None
    """Raw two-sided p value."""
    p_adjusted: float | None
    """Holm-adjusted across the judges compared."""
    test: str
    """Name of the test and interval."""
    lost: int
    """Cases that passed in A and fail in B (single attempts), or whose share fell."""
    gained: int
    """Cases that fail in A and pass in B, or whose share rose."""
    minimum_detectable: float | None
    """Smallest difference that this number of cases detects with 80 % power."""
    cases_needed: int | None
    """Cases that would be needed to detect the observed difference with 80 % power."""
    note: str = ""
    """What a reader must know, such as "with 5 flips nothing can be significant"."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Run B against run A, paired by case."""

    schema: str
    """Always `assay.compare/1`."""
    run_a: str
    """Baseline run."""
    run_b: str
    """Candidate run."""
    eval_a: str
    """Eval of A."""
    eval_b: str
    """Eval of B."""
    overall: PairedRate
    """All judges passed."""
    judges: tuple[PairedRate, ...]
    """Judges that both runs have, by name."""
    lost: tuple[Flip, ...]
    """Cases that got worse, worst first."""
    gained: tuple[Flip, ...]
    """Cases that got better."""
    only_a: int
    """Cases judged in A only."""
    only_b: int
    """Cases judged in B only."""
    judges_differ: tuple[str, ...] = ()
    """Judges that only one run has, or that have another digest: a difference may be theirs and not the agent's."""
    warnings: tuple[str, ...] = ()
    """Different datasets, judges or isolation; infrastructure losses."""
