from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from assay.stats.multiplicity import benjamini_hochberg, holm

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=40)
TEXTBOOK = [0.001, 0.008, 0.039, 0.041, 0.042, *(0.06 + 0.04 * i for i in range(20))]


def test_textbook_example():
    assert [round(p, 4) for p in benjamini_hochberg(TEXTBOOK)[:5]] == [0.025, 0.1, 0.21, 0.21, 0.21]
    assert [round(p, 3) for p in holm(TEXTBOOK)[:5]] == [0.025, 0.192, 0.897, 0.902, 0.902]


@settings(max_examples=15)  # the oracle takes 70 ms a call
@given(p_lists)
def test_agree_with_statsmodels_and_scipy(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values).tolist(), abs=1e-12)


@given(p_lists, st.randoms(use_true_random=False))
def test_adjustment_keeps_order_and_belongs_to_its_test(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(p_values)
        assert adjust([p_values[i] for i in order]) == pytest.approx([adjusted[i] for i in order])
        assert all(raw <= new + 1e-12 <= 1.0 + 1e-12 for raw, new in zip(p_values, adjusted, strict=True))
        ranked = sorted(zip(p_values, adjusted, strict=True))
        assert [new for _, new in ranked] == sorted(adjusted)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_edges(adjust):
    assert adjust([]) == ()
    assert adjust([0.03]) == (0.03,)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="could not be made"):
            adjust([0.5, wrong])
