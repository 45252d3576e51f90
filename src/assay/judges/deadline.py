"""A deadline for synchronous calls, kept by the alarm signal of the process."""

from __future__ import annotations

# signal.getsignal is this function and then a search through an enum, which costs more than most judges.
import _signal  # pyright: ignore[reportMissingImports] - no type stubs for it
import signal
import threading
from collections.abc import Callable
from time import perf_counter
from types import FrameType
from typing import Any, TypeVar

A = TypeVar("A")
R = TypeVar("R")
_ALARM, _REAL = int(signal.SIGALRM), int(signal.ITIMER_REAL)
_AGAIN_S = 0.1
_SOON_S = 1e-6


class DeadlineError(BaseException):
    """The call took too long. No `Exception`: code that catches those must not swallow its own deadline."""


class _Alarm:
    """Whether an alarm means anything at the moment."""

    armed = False


_alarm = _Alarm()


def call_within(seconds: float, function: Callable[[A], R], argument: A) -> R:
    """Call `function(argument)` and raise `DeadlineError` inside it once `seconds` have passed.

    Signals reach the main thread only: on any other thread the call has no deadline. The alarm repeats until the call
    is left, so a bare `except:` delays the end and does not prevent it. Calls nest, and a timer or handler of somebody
    else is put back.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(argument)
    theirs = _install()
    outer, _alarm.armed = _alarm.armed, True
    started = perf_counter()
    left, interval = signal.setitimer(_REAL, seconds)
    if 0.0 < left < seconds:
        signal.setitimer(_REAL, left)
    try:
        try:
            return function(argument)
        finally:
            _alarm.armed = False
    finally:
        # An alarm may still arrive between the return and the line above; it then passes through here.
        _alarm.armed = outer
        remaining = max(left - (perf_counter() - started), _SOON_S) if left else 0.0
        signal.setitimer(_REAL, remaining, interval)
        if theirs is not None:
            signal.signal(_ALARM, theirs)


def _install() -> Callable[[int, FrameType | None], Any] | None:
    """Put our handler in place; returns the handler of somebody else, which must be put back after the call.

    Where nobody had one ours stays: installing it anew costs more than most judges.
    """
    current = _signal.getsignal(_ALARM)
    if current is _on_alarm:
        return None
    signal.signal(_ALARM, _on_alarm)
    return current if callable(current) else None


def _on_alarm(number: int, frame: FrameType | None) -> None:
    if _alarm.armed:
        signal.setitimer(_REAL, _AGAIN_S)
        raise DeadlineError
