from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.stats.tallies import Tally


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_filling_bounds_the_mean(passed, failed, missing):
    tally = Tally(passed=passed, judged=passed + failed, missing=missing)
    worst, best = tally.filled(passed=False), tally.filled(passed=True)
    assert worst.judged == best.judged == passed + failed + missing
    assert (worst.missing, best.missing) == (0, 0)
    assert best.passed - worst.passed == missing
    if tally.judged:
        assert worst.mean <= tally.mean <= best.mean


def test_a_full_tally_stays_itself():
    tally = Tally(passed=2, judged=3)
    assert tally.filled(passed=True) is tally


@pytest.mark.parametrize(("passed", "judged", "missing"), [(2, 1, 0), (-1, 1, 0), (0, 1, -1), (float("nan"), 1, 0)])
def test_impossible_tallies(passed, judged, missing):
    with pytest.raises(ValueError, match="impossible"):
        Tally(passed=passed, judged=judged, missing=missing)
