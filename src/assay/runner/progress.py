"""Live progress: what is done, the pass rate and the money so far, and when it will end."""

from __future__ import annotations

import sys
import time
from typing import IO, Protocol

import msgspec

from assay.core.episode import Outcome


class Tally(msgspec.Struct, kw_only=True):
    """Running sums of one run, counted as episodes settle (reused ones are in `done` only)."""

    total: int
    """Ledger rows planned."""
    done: int = 0
    """Ledger rows settled, reused ones included."""
    judged: int = 0
    """Settled now, with a verdict of every judge."""
    passed: int = 0
    """Settled now and passed by all judges."""
    agent_errors: int = 0
    """Settled now as agent error."""
    infra_errors: int = 0
    """Settled now as lost to infrastructure."""
    retried: int = 0
    """Tries that were lost to infrastructure and will be made again."""
    cost_usd: float = 0.0
    """Known money so far."""
    started: float = 0.0
    """Monotonic seconds."""
    ran: int = 0
    """Settled since `started`."""

    def add(self, outcome: Outcome, *, passed: bool | None, cost_usd: float) -> None:
        """Count one settled episode."""
        self.done += 1
        self.ran += 1
        self.cost_usd += cost_usd
        self.agent_errors += outcome is Outcome.agent_error
        self.infra_errors += outcome is Outcome.infra_error
        if passed is not None:
            self.judged += 1
            self.passed += passed

    @property
    def eta_s(self) -> float | None:
        """Seconds until the end at the pace so far; None before the first episode."""
        if not self.ran:
            return None
        return (time.monotonic() - self.started) / self.ran * (self.total - self.done)

    def describe(self) -> str:
        """Say it in one line."""
        parts = [f"{self.done:,}/{self.total:,} episodes"]
        if self.judged:
            parts.append(f"{self.passed / self.judged:.1%} passing of {self.judged:,} judged")
        if self.agent_errors:
            parts.append(f"{self.agent_errors:,} agent errors")
        if self.infra_errors or self.retried:
            parts.append(f"infrastructure: {self.infra_errors:,} lost, {self.retried:,} retried")
        if self.cost_usd:
            parts.append(f"${self.cost_usd:.4f}")
        if self.eta_s is not None and self.done < self.total:
            parts.append(f"about {_duration(self.eta_s)} left")
        return " · ".join(parts)


class Progress(Protocol):
    """Shown while a run goes on."""

    def begin(self, tally: Tally) -> None:
        """Start showing."""
        ...

    def update(self, tally: Tally) -> None:
        """Show new sums; called often, must be cheap."""
        ...

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        ...

    def end(self, tally: Tally) -> None:
        """Stop showing."""
        ...


class Silent:
    """Shows nothing; the default in Python."""

    def begin(self, tally: Tally) -> None:
        """Show nothing."""

    def update(self, tally: Tally) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def end(self, tally: Tally) -> None:
        """Show nothing."""


class Lines:
    """Plain lines for CI logs: at most one every `every_s` seconds."""

    def __init__(self, stream: IO[str] | None = None, every_s: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._every_s = every_s
        self._last = 0.0

    def begin(self, tally: Tally) -> None:
        """Start the clock."""
        self._last = time.monotonic()

    def update(self, tally: Tally) -> None:
        """Print a line when enough time has passed."""
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self.say(tally.describe())

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    def end(self, tally: Tally) -> None:
        """Print the last line."""
        if tally.ran:
            self.say(tally.describe())


class Live:
    """A bar on a terminal, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=None)
        self._drawn = 0.0

    def begin(self, tally: Tally) -> None:
        """Draw the bar."""
        self._bar.start()
        self._draw(tally)

    def update(self, tally: Tally) -> None:
        """Redraw, at most ten times a second."""
        if time.monotonic() - self._drawn > 0.1:
            self._draw(tally)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def end(self, tally: Tally) -> None:
        """Remove the bar."""
        self._bar.stop()

    def _draw(self, tally: Tally) -> None:
        self._drawn = time.monotonic()
        self._bar.update(self._task, total=tally.total, completed=tally.done, description=tally.describe())
        self._bar.refresh()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
