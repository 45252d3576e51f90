"""What the planned attempts at a case came to: passed, judged and missing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The attempts at one case in one run."""

    passed: float
    """Judged attempts that passed; the sum of their scores in [0, 1] where attempts are scored."""
    judged: int
    """Attempts with a verdict; 0 when the case is missing as a whole."""
    missing: int = 0
    """Planned attempts without a verdict: broken infrastructure, or a judge without an answer."""

    def __post_init__(self) -> None:
        if not 0 <= self.passed <= self.judged or self.missing < 0:
            msg = f"{self} is impossible; passed lies between 0 and judged, and missing is not negative"
            raise ValueError(msg)

    @property
    def mean(self) -> float:
        """Pass rate of the judged attempts; only of a case that has one."""
        return self.passed / self.judged

    def filled(self, *, passed: bool) -> Tally:
        """Return the tally as if every missing attempt had passed, or had failed."""
        if not self.missing:
            return self
        return Tally(passed=self.passed + passed * self.missing, judged=self.judged + self.missing)
