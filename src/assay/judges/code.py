"""Judges written in Python: the `@judge` decorator."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from numbers import Number
from types import ModuleType
from typing import Any, overload

from assay.core.codec import digest
from assay.core.episode import Episode
from assay.core.errors import ConfigError, Problem
from assay.core.verdict import Verdict
from assay.judges.source import describe_code, describe_module, plain_function

Function = Callable[[Episode], Any]
_THRESHOLD = 0.5
_TIMEOUT_S = 60.0
_SHOWN_CHARS = 80


class FunctionJudge:
    """A function of an episode as a judge. Made by `judge`; still callable as `f(episode)`.

    Its digest covers the file that the function is written in, so that editing anything in that file (a helper, a
    constant) means judging again. Code in other modules counts only where `uses` names the module. `version` replaces
    all of that: the digest then changes when the version does.
    """

    def __init__(
        self,
        function: Function,
        *,
        name: str = "",
        threshold: float = _THRESHOLD,
        timeout_s: float = _TIMEOUT_S,
        version: str = "",
        uses: tuple[ModuleType, ...] = (),
    ) -> None:
        """Wrap a sync or async function. Raises `ConfigError` for settings that cannot work."""
        functools.update_wrapper(self, function)
        self.name = name or getattr(function, "__name__", "") or type(function).__name__
        self.threshold = threshold
        self.timeout_s = timeout_s
        self._function = function
        self._options: dict[str, Any] = {
            "name": name,
            "threshold": threshold,
            "timeout_s": timeout_s,
            "version": version,
            "uses": uses,
        }
        problems = _problems(self, function)
        if problems:
            raise ConfigError(problems)
        code = (
            {"version": version}
            if version
            else {"code": describe_code(function), "uses": [describe_module(module) for module in uses]}
        )
        self.digest = digest({"judge": "function", "name": self.name, "threshold": threshold} | code)
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        self._yes = Verdict(passed=True)
        self._no = Verdict(passed=False, reason=f"returned False ({summary})" if summary else "returned False")

    def __call__(self, episode: Episode) -> Any:
        """Call the function itself and return what it returns."""
        return self._function(episode)

    def __repr__(self) -> str:
        return f"<judge {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        if _is_global(self):
            return getattr(self, "__qualname__", "")
        return _rebuild, (self._function, {**self._options, "name": self.name})

    def replace(self, **options: Any) -> FunctionJudge:
        """Return the same judge with other settings (those of the constructor)."""
        return FunctionJudge(self._function, **{**self._options, **options})

    def judge(self, episode: Episode) -> Verdict | Awaitable[Verdict]:
        """Call the function and turn what it returns into a verdict."""
        value = self._function(episode)
        if value is True:
            return self._yes
        if value is False:
            return self._no
        return self._later(value) if isawaitable(value) else self._verdict(value)

    async def _later(self, value: Awaitable[Any]) -> Verdict:
        return self._verdict(await value)

    def _verdict(self, value: Any) -> Verdict:
        if isinstance(value, Verdict):
            return value
        value = _plain(value)
        if isinstance(value, bool):
            return self._yes if value else self._no
        score = _score(value)
        if score is None:
            reason = (
                f"judge '{self.name}' returned {_shown(value)}, which is no bool, no number in [0, 1] and no Verdict"
            )
            return Verdict(passed=None, reason=reason)
        passed = score >= self.threshold
        reason = f"score {score:g} {'reaches' if passed else 'is below'} {self.threshold:g}"
        return Verdict(passed=passed, reason=reason, score=score)


@overload
def judge(function: Function, /) -> FunctionJudge: ...


@overload
def judge(
    *,
    name: str = "",
    threshold: float = _THRESHOLD,
    timeout_s: float = _TIMEOUT_S,
    version: str = "",
    uses: tuple[ModuleType, ...] = (),
) -> Callable[[Function], FunctionJudge]: ...


def judge(function: Function | None = None, /, **options: Any) -> FunctionJudge | Callable[[Function], FunctionJudge]:
    """Make a function of an episode a judge, bare (`@judge`) or with settings (`@judge(threshold=0.8)`).

    The function may be async and returns a bool, a number in [0, 1] (it passes from `threshold` on) or a `Verdict`.
    Raising, running longer than `timeout_s` and returning anything else leave the episode unjudged; they never fail it.
    See `FunctionJudge` for what `version` and `uses` do.
    """
    if function is not None:
        return FunctionJudge(function, **options)
    return functools.partial(FunctionJudge, **options)


def _problems(judge: FunctionJudge, function: Function) -> list[Problem]:
    plain = plain_function(function)
    path, line = (plain.__code__.co_filename, plain.__code__.co_firstlineno) if plain else ("", None)
    messages: list[str] = []
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        messages.append(f"judge '{judge.name}' must take one argument, the episode")
    except ValueError:
        pass  # callables written in C may have no signature; calling them will tell
    if not 0.0 <= judge.threshold <= 1.0:
        messages.append(f"judge '{judge.name}' has the threshold {judge.threshold!r}, which is not in [0, 1]")
    if not judge.timeout_s > 0.0:
        messages.append(f"judge '{judge.name}' has the timeout {judge.timeout_s!r}, which is not above 0")
    return [Problem(message=message, path=path, line=line) for message in messages]


def _plain(value: Any) -> Any:
    """Turn the scalars of numpy into Python's own."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _score(value: Any) -> float | None:
    if not isinstance(value, Number) or isinstance(value, complex):
        return None
    try:
        score = float(value)  # pyright: ignore[reportArgumentType] - real numbers of all kinds convert, others raise
    except (TypeError, ValueError, OverflowError):
        return None
    return score if math.isfinite(score) and 0.0 <= score <= 1.0 else None


def _shown(value: Any) -> str:
    if isinstance(value, str):
        value = value[:_SHOWN_CHARS]
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _is_global(judge: FunctionJudge) -> bool:
    """Whether the judge is found under its function's name, as decorated functions are."""
    try:
        found: Any = importlib.import_module(getattr(judge, "__module__", ""))
    except (ImportError, ValueError):
        return False
    for part in getattr(judge, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is judge


def _rebuild(function: Function, options: dict[str, Any]) -> FunctionJudge:
    return FunctionJudge(function, **options)
