from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.report.escaping import columns
from assay.report.layout import fit, plain, styled, table


def test_tables_align_names_left_and_numbers_right():
    rows = [[("a", "bold"), ("1", "")], [("\u4f60\u597d", ""), ("1,000", "red")]]
    assert plain(table(("name", "cases"), rows)).splitlines() == [
        "  name  cases",
        "  a         1",
        "  \u4f60\u597d  1,000",
    ]


@given(st.text(max_size=60), st.integers(2, 30))
def test_fitted_text_takes_no_more_columns_than_given(text, width):
    assert columns(fit(text, width)) <= width


def test_styles_never_come_from_the_text():
    shown = styled([[("[bold]not markup[/bold]", ""), (" red", "red")]])
    assert shown.plain == "[bold]not markup[/bold] red"
    assert [str(span.style) for span in shown.spans if span.style] == ["red"]
