"""`assay doctor`."""

from __future__ import annotations

import asyncio
import sys

import click

from assay.cli.context import project_store
from assay.core.errors import AssayError, IsolationUnavailableError
from assay.eval.config import FILE_NAME, find_root
from assay.project.project import Project
from assay.worlds.isolation.probe import CHANNELS, Probe, probe


@click.command(epilog="\b\nExample:\n  assay doctor")
def doctor() -> None:
    """Check this machine and this project: isolation, store, every eval. Exit code 1 when something is wrong."""
    results = [_isolation("jail"), _isolation("process"), *_project()]
    sys.exit(0 if all(results) else 1)


def _isolation(kind: str) -> bool:
    try:
        found = asyncio.run(probe("jail" if kind == "jail" else "process", thorough=True))
    except IsolationUnavailableError as error:
        # A machine without jails is no broken machine: `auto` falls back and says so.
        click.echo(f"--  {error}")
        return True
    click.echo(f"ok  {found.line}")
    if found.leaks:
        click.echo(f"    leaks: {_leaks(found)}")
    return True


def _leaks(found: Probe) -> str:
    return ", ".join(f"{name} ({CHANNELS[name]})" for name in found.leaks)


def _project() -> list[bool]:
    root = find_root()
    if not (root / FILE_NAME).is_file():
        click.echo(f"--  no {FILE_NAME} here or above: `assay init` writes one")
        return [True]
    try:
        project = Project()
    except AssayError as error:
        return [_wrong(error)]
    results = [_store(project)]
    problems = project.check()
    for problem in problems:
        click.echo(f"!!  {problem}")
    if not problems:
        names = ", ".join(project.eval_names) or "none yet"
        click.echo(f"ok  project {project.config.name}: evals {names}")
    return [*results, not problems]


def _store(project: Project) -> bool:
    try:
        with project_store(project.config) as store:
            count = len(store.runs(limit=10_000))
    except AssayError as error:
        return _wrong(error)
    click.echo(f"ok  store {project.config.store_url.rpartition('@')[2]}: {count:,} runs")
    return True


def _wrong(error: AssayError) -> bool:
    for line in str(error).splitlines():
        click.echo(f"!!  {line}")
    return False
