from __future__ import annotations

from assay.core.case import Case
from assay.core.effects import Effects, RowChange, TableDiff
from assay.core.episode import Outcome
from assay.core.trace import Message, ModelCall, Span, ToolCall, Trace
from assay.core.verdict import Verdict
from assay.report.excerpt import EPISODE_LIMIT, excerpt
from tests.report.made import episode


def test_everything_worth_reading_is_there():
    verdicts = [Verdict(passed=True, judge="tone"), Verdict(passed=False, judge="exact", reason="no", evidence=("s1",))]
    kept = excerpt(episode("hi"), verdicts)
    assert [(word.judge, word.kind) for word in kept.verdicts] == [("exact", "failed"), ("tone", "passed")]
    assert kept.failure is not None
    assert kept.failure[0] == "agent hi"
    assert [(given.text, got.text if got else None) for given, got in kept.turns] == [("hi", "hi")]
    assert kept.expected is not None
    assert kept.expected.text == '{\n  "hi": "hi"\n}'
    assert [(said.role, said.text.text, said.calls, said.attachments) for said in kept.messages] == [
        ("hi", "hi", ("hi",), 0),
        ("tool", "hi", (), 1),
    ]
    assert [(call.name, call.is_evidence) for call in kept.calls] == [("hi", True)]
    assert [file.path for file in kept.files] == ["hi", "gone"]
    assert kept.notes == ("2 further changed files were not recorded", "hi")
    assert ("tokens", "1 in, 2 out") in kept.facts


def test_rows_show_before_and_after():
    (table,) = excerpt(episode("x"), []).tables
    assert table.name == "x.x"
    assert table.columns == ("x", "id")
    assert table.rows == (
        ("added", (("x", "x"), ("null", "null"))),
        ("removed", (("x", "x"), ("null", "null"))),
        ("changed", (("x", "x!"), ("1", "1"))),
    )


def test_turns_pair_inputs_with_outputs():
    made = episode(case=Case(id="c", input=["one", "two"]), outputs=("first",))
    assert [(given.text, got.text if got else None) for given, got in excerpt(made, []).turns] == [
        ("one", "first"),
        ("two", None),
    ]
    assert excerpt(made, []).expected is None


def test_long_texts_are_cut_and_say_their_size():
    logs = excerpt(episode(logs="x" * 50_000), []).logs
    assert logs is not None
    assert (len(logs.text), logs.is_cut, logs.size) == (20_000, True, 50_000)


def test_megabytes_stay_within_the_bound():
    text = "x" * 100_000
    call = ToolCall(name=text, arguments={text: text}, result=[text] * 50)
    said = Message(role=text, name=text, text=text, reasoning=text, tool_calls=(call,) * 300)
    spans = [Span(span_id="m", name="chat", start_ns=0, end_ns=1, model=ModelCall(output=(said,) * 500))]
    spans += [Span(span_id=f"t{at}", name="tool", start_ns=1, end_ns=2, tool=call) for at in range(500)]
    rows = tuple({f"{text}{column}": text for column in range(60)} for _ in range(100))
    changed = RowChange(key={}, before={text: text}, after={text: text})
    tables = (TableDiff(database=text, table=text, added=rows, changed=(changed,) * 100, dropped=7),) * 40
    made = episode(
        outcome=Outcome.finished,
        failure=None,
        trace=Trace(trace_id="a" * 32, spans=tuple(spans), dropped_spans=9),
        effects=Effects(tables=tables, problems=(text,) * 50),
        outputs=(text,) * 100,
        case=Case(id="c", input=[text] * 100),
    )
    kept = excerpt(made, [Verdict(passed=False, judge=text, reason=text)])
    written = repr(kept)
    assert kept.size < 1.05 * EPISODE_LIMIT
    assert len(written) < 3 * EPISODE_LIMIT
    assert len(kept.messages) == 200
    assert len(kept.calls) == 200
    assert kept.tables[0].left_out == 150 + 7
    assert any("300 further messages" in note for note in kept.notes)
    assert any("300 further tool calls" in note for note in kept.notes)
    assert any("10 further tables" in note for note in kept.notes)
    assert any("50 further turns" in note for note in kept.notes)
    assert "9 further spans were not recorded" in kept.notes
