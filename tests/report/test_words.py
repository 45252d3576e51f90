from __future__ import annotations

import pytest

from assay.core.report import Rate, Repeat
from assay.report import words
from tests.report.made import manifest, report, single


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50.0%"),
        (0.9999, ">99.9%"),
        (0.0001, "<0.1%"),
        (0.9995, ">99.9%"),
        (0.12345, "12.3%"),
    ],
)
def test_percent_never_rounds_to_all_or_none(value, shown):
    assert words.percent(value) == shown


def test_rates_as_sentences():
    assert (
        words.rate(report(single([True] * 32 + [False] * 9)).overall) == "78.0% (95% 63.3\u201388.0, wilson, 41 cases)"
    )
    assert words.rate(report(single([True] * 5 + [False])).overall).startswith("5 of 6 passed: 83.3% (95% ")
    nothing = report([]).overall
    assert words.rate(nothing) == "no rate: nothing was judged"
    assert (words.share(nothing.value), words.limits(nothing)) == ("\u2013", "\u2013")


def test_a_rate_of_another_level_says_so():
    rate = Rate(value=0.5, low=0.4, high=0.6, level=0.9, method="wilson", cases=80, judged=80, passed=40)
    assert words.rate(rate) == "50.0% (90% 40.0\u201360.0, wilson, 80 cases)"


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(None, "unknown"), (0.0, "$0.00"), (0.0123, "$0.0123"), (0.5, "$0.50"), (1234.5, "$1,234.50")],
)
def test_money(cost, shown):
    assert words.money(cost) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "\u2013"), (0.0004, "<0.001"), (0.041, "0.041"), (0.5, "0.50"), (1.0, "1.00")]
)
def test_p_values(value, shown):
    assert words.p_value(value) == shown


def test_small_words():
    assert (words.points(0.1234), words.points(-0.05), words.points(None)) == ("+12.3", "-5.0", "\u2013")
    assert (words.plural(1, "case"), words.plural(1_200, "case")) == ("1 case", "1,200 cases")
    assert (words.moment(0.0), words.moment(None)) == ("1970-01-01 00:00 UTC", "")
    assert words.repeat(Repeat(k=2, pass_at=0.5, pass_at_se=0.05, pass_hat=0.25, pass_hat_se=0.04, cases=9)) == (
        "pass@2 50.0% \u00b15.0, pass^2 25.0% \u00b14.0"
    )


def test_identity_leaves_out_what_is_not_known():
    labels = dict(words.identity(manifest(cases=3, attempts=4)))
    assert labels["dataset"] == "frontdesk (golden, 3 cases \u00d7 4 attempts)"
    assert "commit" not in labels
    assert "judged again from" not in labels
    assert dict(words.identity(manifest(commit="0123456789abcdef-dirty")))["commit"] == "0123456789ab-dirty"
