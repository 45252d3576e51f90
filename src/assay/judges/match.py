"""Judges that compare the answer with what is expected: `exact`, `contains`, `regex`, `number`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from assay.core.episode import Episode
from assay.core.errors import Problem
from assay.core.verdict import Verdict
from assay.judges.builtin import BuiltIn, unjudged
from assay.judges.numerals import numbers_in
from assay.judges.patterns import equal
from assay.judges.subject import MISSING, TEXTS, as_text, normalized, shown, subject, subject_problem, value_at

Mode = Literal["all", "any", "none"]


class Comparing(BuiltIn, frozen=True, kw_only=True):
    """A judge that compares one thing of the episode with one thing that is expected."""

    shorthand: ClassVar[str] = "value"

    on: str = "output"
    """What is judged: `output`, `text`, `replies`, `conversation`, or a JSON Pointer into the output."""
    expected: str = ""
    """Where the expectation stands in `case.expected` (JSON Pointer or dotted path); empty means all of it."""
    value: Any = msgspec.UNSET
    """The expectation itself, for all cases alike; `expected` is then not read."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        if problem := subject_problem(self.on):
            yield Problem(message=problem, key="on")
        if self.value is not msgspec.UNSET and self.expected:
            yield Problem(message="'value' and 'expected' exclude each other", key="expected")

    def judge(self, episode: Episode) -> Verdict:
        """Compare; unjudged when the case expects nothing at `expected`, failed when the answer has nothing at `on`."""
        expected = self.value
        if expected is msgspec.UNSET:
            expected = value_at(episode.case.expected, self.expected)
            if expected is MISSING or expected is None:
                return unjudged(
                    f"case.expected has nothing at '{self.expected}'" if self.expected else "case.expected is empty"
                )
        actual = subject(episode, self.on)
        if actual is MISSING:
            return Verdict(passed=False, reason=f"the output has nothing at {self.on}: {shown(episode.output)}")
        return self.compare(actual, expected)

    def compare(self, actual: Any, expected: Any) -> Verdict:
        """Compare the two."""
        raise NotImplementedError


class Exact(Comparing, frozen=True, kw_only=True):
    """Equal to what is expected: text as text, everything else as JSON (1 equals 1.0 and not true)."""

    kind: ClassVar[str] = "exact"

    ignore_case: bool = False
    """Compare text without case."""
    ignore_space: bool = False
    """Compare text with runs of white space as one space, and none at the ends."""
    any_of: bool = False
    """The expectation is a list, and one item of it is enough."""

    def compare(self, actual: Any, expected: Any) -> Verdict:
        """Compare the two."""
        if not self.any_of:
            options = [expected]
        elif isinstance(expected, list | tuple) and expected:
            options = list(expected)
        else:
            return unjudged(f"any_of needs a list of answers, the expectation is {shown(expected)}")
        if any(self._same(actual, option) for option in options):
            return Verdict(passed=True)
        wanted = " or ".join(map(shown, options))
        return Verdict(passed=False, reason=f"expected {wanted}, got {shown(actual)}")

    def _same(self, actual: Any, expected: Any) -> bool:
        if self.on in TEXTS:
            expected = as_text(expected)
        if not isinstance(actual, str) or not isinstance(expected, str):
            return equal(actual, expected)
        one, other = (
            normalized(text, ignore_case=self.ignore_case, ignore_space=self.ignore_space)
            for text in (actual, expected)
        )
        return one == other


class Contains(Comparing, frozen=True, kw_only=True):
    """Contains one or several texts: all of them, any of them, or none."""

    kind: ClassVar[str] = "contains"

    mode: Mode = "all"
    """How many of several texts must occur."""
    ignore_case: bool = False
    """Search without case."""
    ignore_space: bool = False
    """Search with runs of white space as one space."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        yield from super().problems()
        if self.value is not msgspec.UNSET and (problem := _texts_problem(self.value)):
            yield Problem(message=problem, key="value")

    def compare(self, actual: Any, expected: Any) -> Verdict:
        """Compare the two."""
        if problem := _texts_problem(expected):
            return unjudged(f"the expectation {problem}")
        text = self._normalized(as_text(actual))
        found = {as_text(part): self._normalized(as_text(part)) in text for part in _listed(expected)}
        return _counted(self.mode, found, shown(actual), "contain")

    def _normalized(self, text: str) -> str:
        return normalized(text, ignore_case=self.ignore_case, ignore_space=self.ignore_space)


class Regex(Comparing, frozen=True, kw_only=True):
    """Matches one or several regular expressions (Python's), searched anywhere in the text."""

    kind: ClassVar[str] = "regex"

    mode: Mode = "all"
    """How many of several expressions must match."""
    ignore_case: bool = False
    """Match without case."""
    full: bool = False
    """The whole text must match, not only a part."""
    max_chars: int = 100_000
    """Characters that are searched. With the timeout this bounds what a slow expression can cost."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        yield from super().problems()
        if self.value is not msgspec.UNSET and (problem := _expressions_problem(self.value)):
            yield Problem(message=problem, key="value")
        if self.max_chars < 1:
            yield Problem(message="must be at least 1", key="max_chars")

    def compare(self, actual: Any, expected: Any) -> Verdict:
        """Compare the two."""
        if problem := _expressions_problem(expected):
            return unjudged(f"the expectation {problem}")
        text = as_text(actual)
        flags = re.IGNORECASE if self.ignore_case else re.NOFLAG
        found: dict[str, bool] = {}
        for part in _listed(expected):
            compiled = re.compile(part, flags)
            search = compiled.fullmatch if self.full else compiled.search
            found[part] = search(text[: self.max_chars]) is not None
        cut = f" (the first {self.max_chars:,} characters of it)" if len(text) > self.max_chars else ""
        return _counted(self.mode, found, shown(text) + cut, "match")


class Number(Comparing, frozen=True, kw_only=True):
    """A number within a tolerance; in text it is found among words, units and thousands separators."""

    kind: ClassVar[str] = "number"

    abs_tol: float = 1e-9
    """Difference that is tolerated."""
    rel_tol: float = 1e-9
    """Difference that is tolerated, as a share of the larger of the two numbers."""
    pick: Literal["first", "last", "any", "only"] = "last"
    """Which number counts when the text has several; with `only`, several different ones fail."""
    decimal: Literal[".", ","] = "."
    """The decimal mark; the other one, spaces and apostrophes separate thousands."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        yield from super().problems()
        for key, tolerance in (("abs_tol", self.abs_tol), ("rel_tol", self.rel_tol)):
            if not (math.isfinite(tolerance) and tolerance >= 0.0):
                yield Problem(message="must be 0 or more", key=key)
        if self.value is not msgspec.UNSET and len(numbers_in(self.value, decimal=self.decimal)) != 1:
            yield Problem(message=f"must be one number, not {shown(self.value)}", key="value")

    def compare(self, actual: Any, expected: Any) -> Verdict:
        """Compare the two."""
        wanted = numbers_in(expected, decimal=self.decimal)
        if len(wanted) != 1:
            return unjudged(f"the expectation must be one number, not {shown(expected)}")
        found = numbers_in(actual, decimal=self.decimal)
        if not found:
            return Verdict(passed=False, reason=f"expected {wanted[0]:.15g}, found no number in {shown(actual)}")
        close = [math.isclose(one, wanted[0], rel_tol=self.rel_tol, abs_tol=self.abs_tol) for one in found]
        passed = {"first": close[0], "last": close[-1], "any": any(close), "only": all(close)}[self.pick]
        if passed:
            return Verdict(passed=True)
        listed = ", ".join(f"{one:.15g}" for one in found[:10]) + (", …" if len(found) > 10 else "")
        which = f"{self.pick} of {listed}" if len(found) > 1 else listed
        return Verdict(passed=False, reason=f"expected {wanted[0]:.15g}, got {which}")


def _listed(expected: Any) -> Sequence[Any]:
    return expected if isinstance(expected, list | tuple) else [expected]


def _texts_problem(expected: Any) -> str:
    parts = _listed(expected)
    if not parts or not all(isinstance(part, str | int | float) and as_text(part) for part in parts):
        return f"must be text or a list of texts, none of them empty, not {shown(expected)}"
    return ""


def _expressions_problem(expected: Any) -> str:
    parts = _listed(expected)
    if not parts or not all(isinstance(part, str) for part in parts):
        return f"must be a regular expression or a list of them, not {shown(expected)}"
    for part in parts:
        try:
            re.compile(part)
        except (re.error, RecursionError, OverflowError) as error:
            return f"is no regular expression: {shown(part)}: {error}"
    return ""


def _counted(mode: Mode, found: dict[str, bool], actual: str, verb: str) -> Verdict:
    """Fold which parts were found into a verdict that names the ones at fault."""
    if mode == "none":
        wrong = [part for part, occurs in found.items() if occurs]
        passed, said = not wrong, f"must not {verb}"
    else:
        wrong = [part for part, occurs in found.items() if not occurs]
        passed = not wrong if mode == "all" else any(found.values())
        said = f"does not {verb}" + (" any of" if mode == "any" else "")
    if passed:
        return Verdict(passed=True)
    return Verdict(passed=False, reason=f"{said} {', '.join(map(shown, wrong))}: {actual}")
