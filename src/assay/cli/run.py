"""`assay run`, `assay resume`, `assay rejudge`."""

from __future__ import annotations

import sys
from typing import Any

import click

from assay.cli.context import INTERRUPTED, exit_code, progress, project_store, worst
from assay.cli.output import Outputs, output_options, show_report
from assay.core.errors import ConfigError, Problem
from assay.core.plan import Action
from assay.core.protocols import Store
from assay.core.run import RunManifest
from assay.eval.evaluation import Eval, Started
from assay.project.project import Project
from assay.runner.plan import Plan


@click.command(
    epilog="\b\nExamples:\n  assay run booking\n  assay run booking policy --attempts 4\n  assay run --all --plan"
)
@click.argument("names", nargs=-1, shell_complete=lambda *arguments: _complete(arguments[-1]))
@click.option("--all", "everything", is_flag=True, help="Run every eval of the project.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would run and why, and stop.")
@click.option("--fresh", is_flag=True, help="Reuse nothing: run every episode again.")
@click.option("--attempts", type=click.IntRange(1), help="Attempts per case, instead of what the eval says.")
@click.option("--tag", "tags", multiple=True, help="Only cases with this tag; may be given several times.")
@click.option("--concurrency", type=click.IntRange(1), help="Episodes at once.")
@click.option("--isolation", type=click.Choice(["auto", "jail", "process", "task"]), help="Kind of isolation.")
@output_options
def run(  # noqa: PLR0913 - one parameter per option is how click works
    names: tuple[str, ...],
    *,
    everything: bool,
    only_plan: bool,
    fresh: bool,
    attempts: int | None,
    tags: tuple[str, ...],
    concurrency: int | None,
    isolation: str | None,
    outputs: Outputs,
) -> None:
    """Run evals of the project and print their reports.

    NAMES are files in evals/ without the .toml. What stands under the same lock is reused; a changed judge judges
    again without calling the agent; everything else runs.
    """
    project = Project()
    overrides: dict[str, Any] = {
        key: value
        for key, value in (
            ("attempts", attempts),
            ("tags", list(tags)),
            ("concurrency", concurrency),
            ("isolation", isolation),
        )
        if value
    }
    evals = _build(project, _chosen(project, names, everything=everything), overrides)
    codes: list[int] = []
    with project_store(project.config) as store:
        for evaluation in evals:
            if only_plan:
                click.echo(_describe(evaluation, evaluation.plan(fresh=fresh, store=store), store))
                continue
            with evaluation.start(fresh=fresh, store=store) as started:
                if started.plan is not None:
                    click.echo(_describe(evaluation, started.plan, store), err=True)
                codes.append(_drive(started, outputs, store))
            if codes[-1] == INTERRUPTED:
                break
    sys.exit(worst(codes))


@click.command(epilog="\b\nExamples:\n  assay resume latest\n  assay resume 06h0bg")
@click.argument("run_id", default="latest")
@output_options
def resume(run_id: str, *, outputs: Outputs) -> None:
    """Continue an interrupted run: only what had not finished is run. RUN_ID may be a unique prefix or `latest`."""
    project = Project()
    with project_store(project.config) as store:
        info = store.run(run_id)
        evaluation = project.eval(info.manifest.eval_name, _as_started(info.manifest))
        with evaluation.resume(info.manifest.run_id, store=store) as started:
            click.echo(f"resuming {info.manifest.run_id}: {info.done:,} of {info.total:,} episodes are done", err=True)
            code = _drive(started, outputs, store)
    sys.exit(code)


@click.command(epilog="\b\nExamples:\n  assay rejudge latest\n  assay rejudge 06h0bg --eval policy")
@click.argument("run_id", default="latest")
@click.option("--eval", "name", help="Judge with the judges of this eval instead of the run's own.")
@output_options
def rejudge(run_id: str, *, name: str | None, outputs: Outputs) -> None:
    """Judge the episodes of a run with the judges as they are now. Makes a new run and no agent call."""
    project = Project()
    with project_store(project.config) as store:
        info = store.run(run_id)
        evaluation = project.eval(name or info.manifest.eval_name)
        with evaluation.rejudge(info.manifest.run_id, store=store) as started:
            code = _drive(started, outputs, store)
    sys.exit(code)


def _drive(started: Started, outputs: Outputs, store: Store) -> int:
    if started.manifest.isolation_note and started.manifest.kind == "run":
        click.echo(started.manifest.isolation_note, err=True)
    built = started.run(progress())
    show_report(built, outputs, store)
    if started.interruption:
        click.echo(f"interrupted: {started.interruption}", err=True)
        click.echo(f"go on with: assay resume {started.manifest.run_id}", err=True)
        return INTERRUPTED if "terminated" in started.interruption or "interrupted" in started.interruption else 4
    return exit_code(built.report)


def _as_started(manifest: RunManifest) -> dict[str, Any]:
    """Return the settings that the command line may have changed when the run was started."""
    settings: dict[str, Any] = {"attempts": manifest.attempts, "tags": list(manifest.tags)}
    if manifest.isolation in {"jail", "process", "task"}:
        settings["isolation"] = manifest.isolation
    return settings


def _chosen(project: Project, names: tuple[str, ...], *, everything: bool) -> tuple[str, ...]:
    known = project.eval_names
    if everything or (not names and len(known) == 1):
        names = known
    if not names:
        hint = f"evals: {', '.join(known)}" if known else "run `assay init` to start a project here"
        raise ConfigError([Problem(message="say which eval to run, or --all", hint=hint)])
    return names


def _build(project: Project, names: tuple[str, ...], overrides: dict[str, Any]) -> list[Eval]:
    evals: list[Eval] = []
    problems: dict[str, Problem] = {}
    for name in names:
        try:
            evals.append(project.eval(name, overrides))
        except ConfigError as error:
            problems |= {str(problem): problem for problem in error.problems}
    if problems:
        raise ConfigError(list(problems.values()))
    return evals


def _describe(evaluation: Eval, plan: Plan, store: Store) -> str:
    owed = plan.count(Action.run)
    parts = [
        f"{count:,} {words}"
        for count, words in (
            (plan.count(Action.reuse), "reused"),
            (plan.count(Action.rejudge), "judged again"),
            (owed, f"to run ({plan.reason})" if owed else "to run"),
        )
        if count or words == "to run"
    ]
    return f"plan {evaluation.name}: {len(plan.items):,} episodes: {', '.join(parts)}{_expected_cost(evaluation, owed, store)}"


def _expected_cost(evaluation: Eval, owed: int, store: Store) -> str:
    """Guess from the newest finished run of the same eval that ran episodes and knew their cost."""
    if not owed:
        return "; no agent call"
    for info in store.runs(eval_name=evaluation.name, limit=5):
        cost = store.totals(info.manifest.run_id).usage.cost_usd
        if cost is not None and info.done:
            return f"; about ${cost / info.done * owed:.2f} by run {info.manifest.run_id}"
    return "; cost unknown until a run has reported it"


def _complete(text: str) -> list[str]:
    return [name for name in Project().eval_names if name.startswith(text)]
