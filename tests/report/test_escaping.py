from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from assay.report.escaping import code, columns, cut, line, markdown, pretty, visible, xml

anything = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)
nasty = st.lists(
    st.sampled_from(
        [
            "\x1b[31m",
            "\x1b]0;title\x07",
            "\x9b2J",
            "\u202e",
            "\u2066",
            "\x00",
            "\r",
            "\n",
            "|",
            "`",
            "@you",
            "#1",
            "<b>",
            "\ud800",
        ]
    ),
    max_size=12,
).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text", "plain text"),
        ("tab\tand\nnewline", "tab\tand\nnewline"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x1b\\", "click"),
        ("\x1b]52;c;cm0gLXJm\x07", ""),
        ("\x1bPq#0;2;0\x1b\\sixel", "sixel"),
        ("\x9b31mred", "red"),
        ("\x1bc\x1b(B", ""),
        ("\x1b[", "\u241b["),
        ("\x1b]0;unfinished", "\u241b]0;unfinished"),
        ("bell\x07 nul\x00 del\x7f", "bell\u2407 nul\u2400 del\u2421"),
        ("a\r\nb\rc", "a\nb\u240dc"),
        ("\u202egpj.exe", "\u27e8U+202E\u27e9gpj.exe"),
        ("a\u2066b\u2069", "a\u27e8U+2066\u27e9b\u27e8U+2069\u27e9"),
        ("zero\u200bwidth\ufeff", "zero\u27e8U+200B\u27e9width\u27e8U+FEFF\u27e9"),
        ("tag\U000e0041", "tag\u27e8U+E0041\u27e9"),
        ("one\u2028two\u2029three", "one\ntwo\nthree"),
        ("lone \ud800", "lone \ufffd"),
        (
            "Gr\u00fc\u00dfe, \u4f60\u597d, \U0001f468\u200d\U0001f469",
            "Gr\u00fc\u00dfe, \u4f60\u597d, \U0001f468\u200d\U0001f469",
        ),
    ],
)
def test_visible_spells_out_what_would_act(raw, shown):
    assert visible(raw) == shown


@given(anything | nasty)
def test_visible_text_is_inert_idempotent_and_encodes(text):
    shown = visible(text)
    assert not any(unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\t\n" for letter in shown)
    assert not any(
        unicodedata.bidirectional(letter) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
        for letter in shown
    )
    assert visible(shown) == shown
    shown.encode()


@given(anything | nasty, st.integers(2, 50))
def test_a_line_is_one_line_within_its_limit(text, limit):
    shown = line(text, limit)
    assert len(shown) <= limit
    assert not re.search(r"[\n\r\t]", shown)


def test_a_line_marks_what_it_cut():
    assert line("word " * 10, 12) == "word word w\u2026"
    assert line("short", 5) == "short"
    assert line("\x1b[31m" * 5_000 + "late", 10).endswith("\u2026")


def test_cut_counts_what_it_left_out():
    assert cut("abcdef", 4) == ("abcd", 2)
    assert cut("abc", 3) == ("abc", 0)


def test_columns_know_wide_and_combining_letters():
    assert columns("abc") == 3
    assert columns("\u4f60\u597d") == 4
    assert columns("e\u0301") == 1


@given(
    anything
    | nasty
    | st.sampled_from(
        [
            "# title",
            "- item",
            "1. item",
            "12) item",
            "+ x",
            "= x",
            "> quote",
            "    code",
            "***",
            "[a](http://b)",
            "![a](b)",
            "<script>",
            "<https://x.y>",
            "a@b.example",
            "www.x.example",
            "&lt;",
        ]
    )
)
def test_markdown_says_the_text_and_nothing_else(text):
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse(markdown(text))
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    for token in tokens:
        for child in token.children or ():
            assert child.type in {"text", "text_special"}
    seen = "".join(child.content for token in tokens for child in token.children or ())
    assert seen.replace("\u200b", "") == line(text)


@given(anything | nasty)
def test_code_spans_hold_one_literal(text):
    shown = code(text)
    if not shown:
        assert not line(text)
        return
    tokens = MarkdownIt("commonmark").parseInline(shown)[0].children
    assert [token.type for token in tokens] == ["code_inline"]
    assert "|" not in shown


def test_markdown_does_not_notify_or_link():
    shown = markdown("ask @maintainer about #12, GH-7 and https://evil.example or www.evil.example")
    assert not re.search(r"@\w|#\d|GH-\d|://\w|www\.\w", shown)


@given(anything | nasty)
def test_xml_text_holds_only_allowed_characters(text):
    allowed = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
    assert allowed.fullmatch(xml(text))


def test_xml_says_what_it_cut():
    assert xml("a" * 30, 10) == "a" * 10 + "\n[20 more characters cut]"


@given(json_values)
def test_pretty_small_values_are_the_json_itself(value):
    shown, is_cut = pretty(value)
    assert not is_cut
    if not isinstance(value, str):
        assert json.loads(shown, strict=False) == value


def test_pretty_shows_strings_as_they_are_and_true_as_true():
    assert pretty("a\nb") == ("a\nb", False)
    assert pretty([True, 1, False, 0, None])[0] == "[\n  true,\n  1,\n  false,\n  0,\n  null\n]"


def test_pretty_stays_near_its_limit_whatever_the_size():
    wide, deep = list(range(10**6)), "bottom"
    for _ in range(5_000):
        deep = [deep]
    for value in (wide, deep, {"k" * 10**6: "v" * 10**6}, "x" * 10**6, [[0] * 1_000] * 1_000):
        shown, is_cut = pretty(value, 1_000)
        assert is_cut
        assert len(shown) < 20_000


def test_pretty_shows_integers_that_python_would_not_print():
    assert pretty([1 << 20_000])[0] == "[\n  an integer of 20001 bits\n]"
