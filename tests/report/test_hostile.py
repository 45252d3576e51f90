"""Hostile strings in every field, through every renderer: shown, and without effect."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from html import unescape

import msgspec
import pytest
from markdown_it import MarkdownIt

from assay.core.report import Decision, Fingerprint
from assay.core.run import JudgeRef
from assay.core.verdict import Verdict
from assay.report.compare import compare
from assay.report.export import verdicts_csv
from assay.report.fold import fold
from assay.report.html import render_html
from assay.report.junit import render_junit
from assay.report.markdown import render_markdown
from assay.report.text import render_rich, render_text
from tests.report.made import episode, failure, info, manifest, row, totals
from tests.report.pages import Page

ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "</pre></details></main><h1>PASS</h1>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- comment -->",
    "]]><evil/>",
    "&lt;b&gt; &#x3c;b&#x3e;",
    "| a | b |\n|---|---|\n| c | d |",
    "`code` ``` fence\n```\n# heading",
    "@everyone please look at #1 and https://evil.example/a",
    "[link](javascript:alert(1)) ![image](http://evil.example/i.png)",
    "\x1b[2J\x1b[1;1H\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\x\x1b]8;;\x1b\\",
    "\x9b31m \x07\x08\x00\x7f\r overwritten",
    "\u202egpj.exe\u202c \u2066x\u2069 \u200e",
    "one\u2028two\u2029three\x85four",
    "\ud800 lone",
    "[red]rich[/red] [link=http://evil.example]x[/link]",
    '=HYPERLINK("http://evil.example")',
    "\U000e0041\U000e0042 tags",
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "div", "h1", "span", "dl", "dt", "dd", "main"),
    *(
        "section",
        "h2",
        "h3",
        "small",
        "ul",
        "ol",
        "li",
        "p",
        "svg",
        "line",
        "circle",
        "rect",
        "table",
        "thead",
        "tbody",
    ),
    *(
        "tr",
        "th",
        "td",
        "form",
        "label",
        "input",
        "select",
        "option",
        "output",
        "details",
        "summary",
        "b",
        "code",
        "pre",
    ),
    *("ins", "del", "br", "kbd", "footer", "script"),
}


def everything(text):
    """A report, its rows, its episodes and a comparison with the text in every field that anyone can write to."""
    judge = f"judge {text}"
    made = manifest(
        (judge,),
        eval_name=text,
        dataset=text,
        dataset_path=text,
        harness=text,
        isolation_note=text,
        commit=text,
        host={text: text},
        tier="candidate",
    )
    rows = [row(text, False, tags=(text,), judges=(judge,)), row(text + "2", True, tags=(text,), judges=(judge,))]
    items = [failure(text, judge, reason=text, link=text, episode_id=rows[0].episode_id)]
    seen = totals(models=(text,), tools=(text,), prompts=2)
    report = fold(info(made), rows, seen, items, 5)
    report = msgspec.structs.replace(
        report,
        decision=Decision(outcome="FAIL", reasons=(text,)),
        warnings=(*report.warnings, text),
        fingerprint=Fingerprint(static=text, models=(text,), tools=(text,), drift=text),
        baseline=text,
    )
    before = msgspec.structs.replace(made, run_id=text, judges=(JudgeRef(name=judge, digest=text),))
    old = [row(text, True, judges=(judge,), prefix=text), row(text + "2", False, judges=(judge,), prefix=text)]
    comparison = compare(info(before), old, info(made), rows, {rows[0].episode_id: text})
    verdict = Verdict(passed=False, judge=judge, reason=text, evidence=("s1",))
    episodes = [(episode(text, id=rows[0].episode_id), [verdict])]
    return report, rows, episodes, comparison


def letters(text):
    """Return what is left of a text when everything but letters and digits is taken away."""
    return re.sub(r"[\W_]+", "", text)


@pytest.mark.parametrize("text", ATTACKS)
def test_html(text):
    report, _, episodes, comparison = everything(text)
    raw = render_html(report, episodes, comparison, tags={text: (text,)})
    raw.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", raw)
    page = Page(raw)
    assert {tag for tag, _ in page.elements} <= TAGS
    assert not page.comments
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("h1")) == 1
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "style", "srcdoc", "formaction", "xlink:href", "autofocus"}
    assert [link["href"] for link in page.all("a")] == ["#failures", "#f-1"]
    clean = Page(
        render_html(everything("plain")[0], everything("plain")[2], everything("plain")[3], tags={"plain": ("plain",)})
    )
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in clean.elements]


@pytest.mark.parametrize("text", ATTACKS)
def test_terminal(text):
    report, _, _, comparison = everything(text)
    clean = [everything("plain")[at] for at in (0, 3)]
    for shown in (render_text(report, comparison), render_rich(report, comparison).plain):
        shown.encode()
        assert not re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\U000e0000-\U000e0fff]", shown
        )
    styles = {str(span.style) for span in render_rich(report, comparison).spans}
    assert styles <= {
        "",
        "bold",
        "dim",
        "red",
        "yellow",
        "magenta",
        "bold red",
        "bold yellow",
        "bold green",
        "bold magenta",
    }
    wide = [render_text(report, comparison, width=10_000), render_text(*clean, width=10_000)]
    assert len(wide[0].splitlines()) == len(wide[1].splitlines())


@pytest.mark.parametrize("text", ATTACKS)
def test_markdown(text):
    report, _, _, comparison = everything(text)
    shown = render_markdown(report, comparison)
    shown.encode()
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(shown)
    blocks = [token.content.strip() for token in tokens if token.type == "html_block"]
    allowed = r"(<!-- assay:[A-Za-z0-9_.-]* -->|<details><summary>[\w ]+</summary>|</details>)"
    assert all(re.fullmatch(allowed, block) for block in blocks)
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.content for child in inline if child.type == "html_inline"} <= {"<sub>", "</sub>"}
    assert not {child.type for child in inline} & {"link_open", "image", "s_open"}
    assert not re.search(r"@\w|(?<!`)https?://\w", re.sub(r"`[^`\n]*`", "", shown))
    clean = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .parse(render_markdown(*[everything("plain")[at] for at in (0, 3)]))
    )
    assert [token.type for token in tokens] == [token.type for token in clean]


@pytest.mark.parametrize("text", ATTACKS)
def test_junit(text):
    report, rows, _, _ = everything(text)
    shown = render_junit(report, rows)
    shown.encode()
    root = ET.fromstring(shown)
    assert {element.tag for element in root.iter()} == {
        "testsuites",
        "testsuite",
        "properties",
        "property",
        "testcase",
        "failure",
    }
    assert [len(suite.findall("testcase")) for suite in root] == [1, 2]


@pytest.mark.parametrize("text", ATTACKS)
def test_csv(text):
    _, rows, _, _ = everything(text)
    found = list(csv.reader(io.StringIO("".join(verdicts_csv(rows)))))
    assert [len(line) for line in found] == [12, 12, 12]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", "".join(map("".join, found)))


@pytest.mark.parametrize("text", [attack for attack in ATTACKS if attack.isascii() and attack.isprintable()])
def test_nothing_printable_is_hidden(text):
    report, rows, episodes, comparison = everything(text)
    html = Page(render_html(report, episodes, comparison))
    assert text in html.text("pre")
    assert text in render_text(report, width=1_000)
    junit = ET.fromstring(render_junit(report, rows))
    assert text in {element.get("name") for element in junit.iter("testcase")}
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(render_markdown(report))
    assert letters(text) in letters(unescape(re.sub(r"<[^>]+>", "", rendered)))
