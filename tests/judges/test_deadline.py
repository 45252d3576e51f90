from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from assay.judges.deadline import DeadlineError, call_within

LONG = 30.0


@pytest.fixture(autouse=True)
def no_timer_is_left() -> Iterator[None]:
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def spin(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


def test_a_quick_call_returns_its_value():
    assert call_within(LONG, len, "abc") == 3


def test_what_the_call_raises_goes_through():
    with pytest.raises(ValueError, match="invalid literal"):
        call_within(LONG, int, "x")


@pytest.mark.parametrize("slow", [spin, time.sleep])
def test_a_slow_call_is_ended(slow: Callable[[float], Any]):
    with pytest.raises(DeadlineError):
        call_within(0.05, slow, LONG)


def test_code_that_catches_exceptions_does_not_swallow_it():
    def stubborn(seconds: float) -> str:
        try:
            return spin(seconds)
        except Exception:  # noqa: BLE001 - what is tested
            return "swallowed"

    with pytest.raises(DeadlineError):
        call_within(0.05, stubborn, LONG)


def test_code_that_catches_everything_is_ended_by_the_next_alarm():
    caught: list[BaseException] = []

    def deaf(seconds: float) -> None:
        while len(caught) < 2:
            try:
                spin(seconds)
            except BaseException as error:  # noqa: BLE001 - what is tested
                caught.append(error)
        spin(seconds)

    with pytest.raises(DeadlineError):
        call_within(0.05, deaf, LONG)
    assert len(caught) == 2


def test_calls_nest_and_the_outer_deadline_holds():
    def outer(inner_seconds: float) -> str:
        with pytest.raises(DeadlineError):
            call_within(inner_seconds, spin, LONG)
        return spin(LONG)

    with pytest.raises(DeadlineError):
        call_within(0.3, outer, 0.05)


def test_an_inner_deadline_does_not_outlast_the_outer_one():
    def outer(inner_seconds: float) -> str:
        return call_within(inner_seconds, spin, LONG)

    with pytest.raises(DeadlineError):
        call_within(0.05, outer, LONG)


def test_on_other_threads_there_is_no_deadline():
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(call_within(0.01, spin, 0.05)))
    thread.start()
    thread.join()
    assert results == ["done"]


def test_the_handler_and_timer_of_somebody_else_are_put_back():
    rang: list[int] = []

    def theirs(number: int, frame: FrameType | None) -> None:
        rang.append(number)

    before = signal.signal(signal.SIGALRM, theirs)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert call_within(LONG, len, "abc") == 3
        assert signal.getsignal(signal.SIGALRM) is theirs
        assert 0.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.2
        until = time.monotonic() + LONG
        while not rang and time.monotonic() < until:
            time.sleep(0.01)
        assert rang == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_late_alarm_means_nothing():
    call_within(LONG, len, "abc")
    signal.raise_signal(signal.SIGALRM)
