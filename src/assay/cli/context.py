"""What most commands need: the project here, its store, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from assay.core.protocols import Store
from assay.core.report import Report
from assay.eval.config import Config, find_root, load_config
from assay.runner.progress import Lines, Live, Progress
from assay.store.open import open_store

INTERRUPTED = 130
# How bad an exit code is, worst last: of several runs the worst one speaks.
_ORDER = (0, 3, 1, 4, 2, INTERRUPTED)


def here() -> Config:
    """Return the configuration of the project at or above the current folder."""
    return load_config(find_root())


@contextmanager
def project_store(config: Config | None = None) -> Generator[Store]:
    """Open the project's store for the time of a command."""
    store = open_store((config or here()).store_url)
    try:
        yield store
    finally:
        store.close()


def progress() -> Progress:
    """Return a bar on a terminal, plain lines elsewhere."""
    return Live() if sys.stderr.isatty() else Lines()


def worst(codes: Iterable[int]) -> int:
    """Return the exit code that matters most."""
    return max(codes, key=_ORDER.index, default=0)


def exit_code(report: Report) -> int:
    """Return the exit code of one run: its decision, or INVALID when it did not finish."""
    if report.status != "finished":
        return max(report.decision.exit_code, 4)
    return report.decision.exit_code
