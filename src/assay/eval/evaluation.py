"""`Eval`: judges + dataset + harness in, one report out."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from assay.core.case import Dataset
from assay.core.errors import AssayError, ConfigError, Problem
from assay.core.protocols import Store, World
from assay.core.report import Report
from assay.core.run import RunManifest
from assay.core.usage import Limits
from assay.engine.local import LocalEngine
from assay.eval.config import Config, find_root, load_config
from assay.eval.confine import Confinement, confine
from assay.eval.manifest import Commit, base_lock, make_manifest
from assay.eval.parts import DatasetLike, HarnessLike, JudgeLike, resolve
from assay.eval.reporting import Built, build_report
from assay.eval.settings import EvalSettings
from assay.judges.evaluate import evaluate_all
from assay.runner.execute import EpisodeJob
from assay.runner.plan import Owed, Plan, plan, rejudge_plan
from assay.runner.pool import Pool, is_dead
from assay.runner.progress import Progress, Silent, Tally
from assay.store.open import open_store
from assay.worlds.scratch import Scratch
from assay.worlds.spec import WorldSpec
from assay.worlds.world import TemplateWorld


class Eval:
    """An eval: run a harness over a dataset, hand every episode to the judges, fold the verdicts into one report.

    `judges` are `@judge` functions, judge objects, import paths ("module:function"), names from `assay.toml` or tables
    such as `{"contains": "confirmed"}`. `dataset` is a folder or `.jsonl` file, a `Dataset` or a list of cases.
    `harness` is a name from `assay.toml`, a harness object, or the agent itself: a function of the input (and, if it
    takes two arguments, of the world). Raises `ConfigError` with every mistake at once.

    >>> from assay import Case, Eval, judge
    >>> @judge
    ... def polite(episode):
    ...     return "please" in episode.output
    >>> report = Eval([polite], [Case(id="a", input="tea")], lambda order: f"one {order}, please").run()
    >>> report.overall.value
    1.0
    """

    def __init__(
        self,
        judges: Sequence[JudgeLike],
        dataset: DatasetLike,
        harness: HarnessLike,
        *,
        name: str = "",
        settings: EvalSettings | None = None,
        config: Config | None = None,
    ) -> None:
        self.config = config or load_config(find_root())
        self.settings = settings or self.config.defaults
        self.parts = resolve(judges, dataset, harness, self.settings.tags, self.config)
        self.name = name or self.parts.dataset.name
        if self.settings.limits is None:
            limits = self.parts.spec.limits or Limits()
            self.settings = msgspec.structs.replace(self.settings, limits=limits)

    def run(self, *, fresh: bool = False, progress: Progress | None = None, store: Store | None = None) -> Report:
        """Run what is owed and report. `fresh` reuses nothing. The store is the project's unless one is given.

        Raises `StoreError` when the store fails, `IsolationUnavailableError` when the isolation that was asked for
        cannot be had, `HarnessError` when workers cannot start. An interruption is no error: the report says so.
        """
        with self.start(fresh=fresh, store=store) as started:
            return started.run(progress).report

    async def arun(
        self, *, fresh: bool = False, progress: Progress | None = None, store: Store | None = None
    ) -> Report:
        """Do the same as `run` where an event loop is running already."""
        with self.start(fresh=fresh, store=store) as started:
            return (await started.arun(progress)).report

    def plan(self, *, fresh: bool = False, store: Store | None = None) -> Plan:
        """Say what a run would reuse, judge again and run, without doing it."""
        with self._opened(store) as opened, self._surroundings() as around:
            return plan(self.parts.dataset, self._owed(around, fresh=fresh), opened)

    @contextmanager
    def start(self, *, fresh: bool = False, store: Store | None = None) -> Generator[Started]:
        """Plan a run and write it to the ledger; run it through the value that the context gives."""
        with Commit(self.config.root) as commit, self._opened(store) as opened, self._surroundings() as around:
            planned = plan(self.parts.dataset, self._owed(around, fresh=fresh), opened)
            manifest = make_manifest(
                self.name, self.parts, self.settings, around.confinement, fingerprint=around.fingerprint
            )
            manifest = msgspec.structs.replace(manifest, commit=commit.read())
            opened.create_run(manifest, planned.items)
            yield Started(self, opened, around, manifest, planned)

    @contextmanager
    def resume(self, run_id: str, *, store: Store | None = None) -> Generator[Started]:
        """Continue an interrupted run; raises `ConfigError` when the eval is no longer what it was."""
        with self._opened(store) as opened, self._surroundings() as around:
            info = opened.run(run_id)
            self._check_unchanged(info.manifest, around)
            for holder, seqs in opened.holders(info.manifest.run_id).items():
                if is_dead(holder):
                    opened.release(info.manifest.run_id, holder, seqs, crashed=False)
            opened.finish_run(info.manifest.run_id, "running")
            yield Started(self, opened, around, info.manifest, None)

    @contextmanager
    def rejudge(self, run_id: str, *, store: Store | None = None) -> Generator[Started]:
        """Judge the episodes of a run with the judges as they are now: a new run, no agent call."""
        with Commit(self.config.root) as commit, self._opened(store) as opened:
            old = opened.run(run_id).manifest
            planned = rejudge_plan(old.run_id, frozenset(judge.digest for judge in self.parts.judges), opened)
            # No agent is called, so nothing is confined: what is said of isolation is what held then.
            held = Confinement(kind=old.isolation, note=old.isolation_note, guarantees=old.guarantees)
            around = Surroundings(confinement=held, world=None, fingerprint=old.fingerprint)
            manifest = make_manifest(
                self.name, self.parts, self.settings, around.confinement, fingerprint=old.fingerprint, parent=old.run_id
            )
            manifest = msgspec.structs.replace(
                manifest,
                commit=commit.read(),
                dataset=old.dataset,
                tier=old.tier,
                dataset_digest=old.dataset_digest,
                dataset_path=old.dataset_path,
                cases=old.cases,
                attempts=old.attempts,
                harness=old.harness,
                harness_kind=old.harness_kind,
                harness_digest=old.harness_digest,
                limits=old.limits,
                seed=old.seed,
                tags=old.tags,
            )
            opened.create_run(manifest, planned.items)
            yield Started(self, opened, around, manifest, planned)

    @contextmanager
    def _opened(self, store: Store | None) -> Generator[Store]:
        if store is not None:
            yield store
            return
        opened = open_store(self.config.store_url)
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def _surroundings(self) -> Generator[Surroundings]:
        parts, root = self.parts, self.config.root
        scratch = Scratch()
        world: TemplateWorld | None = None
        try:
            confinement = confine(
                parts.harness,
                parts.spec,
                self.settings.isolation,
                root=root,
                scratch=scratch.path,
                hide=_below(root, parts.dataset.path),
            )
            if confinement.needs_world or parts.world is not None or parts.harness.takes_world:
                world = TemplateWorld(parts.world or WorldSpec(), root, scratch)
                _check_worlds(world, parts.dataset)
                world.prepare()
            yield Surroundings(confinement=confinement, world=world, fingerprint=parts.harness.fingerprint())
        finally:
            if world is not None:
                world.close()
            scratch.close()

    def _owed(self, around: Surroundings, *, fresh: bool) -> Owed:
        return Owed(
            base_lock=base_lock(self.parts, self.settings, around.confinement.kind, around.world, around.fingerprint),
            judges=frozenset(judge.digest for judge in self.parts.judges),
            attempts=self.settings.attempts,
            seed=self.settings.seed,
            fresh=fresh,
        )

    def _check_unchanged(self, manifest: RunManifest, around: Surroundings) -> None:
        now = make_manifest(self.name, self.parts, self.settings, around.confinement, fingerprint=around.fingerprint)
        fields = (
            "dataset_digest",
            "harness_digest",
            "fingerprint",
            "judges",
            "attempts",
            "seed",
            "limits",
            "isolation",
        )
        changed = [field for field in fields if getattr(now, field) != getattr(manifest, field)]
        if changed:
            message = f"run {manifest.run_id} cannot be resumed: {', '.join(changed)} changed since it started"
            hint = f"start a new run with `assay run {self.name}`; finished episodes under the same lock are reused"
            raise ConfigError([Problem(message=message, hint=hint)])


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is set up once per run."""

    confinement: Confinement
    """Isolation."""
    world: World | None
    """Makes each episode's world; None where there is nothing to make."""
    fingerprint: str
    """The agent's static fingerprint."""


class Started:
    """A run that stands in the ledger and waits to be driven."""

    def __init__(
        self, evaluation: Eval, store: Store, around: Surroundings, manifest: RunManifest, planned: Plan | None
    ) -> None:
        self._eval = evaluation
        self._store = store
        self._around = around
        self.manifest = manifest
        self.plan = planned
        self.interruption = ""

    def run(self, progress: Progress | None = None) -> Built:
        """Drive the run to its end and report."""
        if _loop_is_running():
            raise AssayError("an event loop is running already: use `await evaluation.arun()`")
        engine = self._engine()
        if engine is not None:
            asyncio.run(self._drive(engine, progress or Silent()))
        return self.built()

    async def arun(self, progress: Progress | None = None) -> Built:
        """Do the same as `run` inside an event loop."""
        engine = self._engine()
        if engine is not None:
            await self._drive(engine, progress or Silent())
        return self.built()

    def built(self) -> Built:
        """Fold what stands in the store, with the comparison behind the decision."""
        return build_report(self._store, self.manifest.run_id, link=self._eval.settings.link)

    def _engine(self) -> LocalEngine | None:
        info = self._store.run(self.manifest.run_id)
        if info.done == info.total:
            self._store.finish_run(self.manifest.run_id, "finished")
            return None
        workers, slots = self._eval.settings.width(self._around.confinement.kind)
        if self._eval.parts.harness.shares_port:
            workers, slots = 1, workers * slots
        engine = LocalEngine(self._job(), workers=min(workers, info.total - info.done), slots=slots)
        self._store.detach()
        engine.start()
        return engine

    def _job(self) -> EpisodeJob:
        evaluation, around = self._eval, self._around
        return EpisodeJob(
            run_id=self.manifest.run_id,
            cases=evaluation.parts.dataset.cases,
            harness=evaluation.parts.harness,
            judges=evaluation.parts.judges,
            evaluate=evaluate_all,
            limits=evaluation.settings.limits or Limits(),
            isolation=around.confinement.kind,
            world=around.world,
            open_sandbox=around.confinement.open_sandbox,
            seed=evaluation.settings.seed,
            retries=evaluation.settings.retries,
        )

    async def _drive(self, engine: LocalEngine, progress: Progress) -> None:
        run_id = self.manifest.run_id
        info = self._store.run(run_id)
        if engine.note:
            progress.say(f"workers are fresh interpreters, not forks: {engine.note}")
        tally = Tally(total=info.total, done=info.done)
        ended = await Pool(self._job(), self._store, engine, progress, tally).drive()
        self._store.finish_run(run_id, ended.status)
        self.interruption = ended.reason


def _check_worlds(world: TemplateWorld, dataset: Dataset) -> None:
    """Check before anything runs that the overrides of every case fit; raises `ConfigError` with all that do not."""
    problems: list[Problem] = []
    for case in dataset.cases:
        if case.world:
            try:
                world.check(case)
            except ConfigError as error:
                problems += [msgspec.structs.replace(each, key=f"{case.id}.{each.key}") for each in error.problems]
    if problems:
        raise ConfigError(problems)


def _below(root: Path, path: str) -> tuple[str, ...]:
    """Return a path relative to the project, or nothing where it lies elsewhere."""
    full = Path(path).resolve() if path else root
    return (str(full.relative_to(root)),) if full != root and full.is_relative_to(root) else ()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
