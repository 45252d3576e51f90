from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.case import Case, Dataset
from assay.core.codec import canonical_json, decode_json, digest, new_id
from assay.core.effects import Effects, FileChange, RowChange, TableDiff
from assay.core.episode import Episode, Failure, Outcome
from assay.core.errors import ConfigError, Problem
from assay.core.trace import Message, ModelCall, Span, ToolCall, Trace
from assay.core.usage import Limits, Usage
from assay.core.verdict import Verdict

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
COUNT = st.integers(0, 10**9)
USAGE = st.builds(Usage, input_tokens=COUNT, output_tokens=COUNT, cost_usd=st.none() | st.floats(0, 100))
TOOL = st.builds(ToolCall, name=TEXT, arguments=JSON, result=JSON, error=TEXT, id=TEXT, span_id=TEXT)
MESSAGE = st.builds(Message, role=TEXT, text=TEXT, tool_calls=st.tuples(TOOL), tool_call_id=TEXT)
MODEL = st.builds(
    ModelCall, model=TEXT, parameters=OBJECT, input=st.tuples(MESSAGE), output=st.tuples(MESSAGE), usage=USAGE
)
SPAN = st.builds(
    Span,
    span_id=TEXT,
    name=TEXT,
    start_ns=COUNT,
    end_ns=COUNT,
    parent_id=TEXT,
    input=JSON,
    output=JSON,
    model=st.none() | MODEL,
    tool=st.none() | TOOL,
    attributes=OBJECT,
)
TRACE = st.builds(Trace, trace_id=TEXT, spans=st.lists(SPAN, max_size=3).map(tuple), resource=OBJECT)
CASE = st.builds(Case, id=TEXT, input=JSON, expected=JSON, tags=st.lists(TEXT, max_size=2).map(tuple), world=OBJECT)
TABLE = st.builds(
    TableDiff,
    database=TEXT,
    table=TEXT,
    added=st.tuples(OBJECT),
    changed=st.tuples(st.builds(RowChange, key=OBJECT, before=OBJECT, after=OBJECT)),
)
EFFECTS = st.builds(Effects, tables=st.tuples(TABLE), files=st.tuples(st.builds(FileChange, path=TEXT, change=TEXT)))
EPISODE = st.builds(
    Episode,
    id=TEXT,
    case=CASE,
    outcome=st.sampled_from(Outcome),
    trace=TRACE,
    outputs=st.lists(JSON, max_size=2).map(tuple),
    effects=EFFECTS,
    failure=st.none() | st.builds(Failure, boundary=TEXT, kind=TEXT, message=TEXT),
    usage=USAGE,
    started_at=st.floats(0, 1e10),
)
VERDICT = st.builds(Verdict, passed=st.none() | st.booleans(), reason=TEXT, score=st.none() | st.floats(0, 1))


@given(st.one_of(CASE, TRACE, EFFECTS, EPISODE, VERDICT, USAGE))
def test_every_value_survives_json(value: Any) -> None:
    assert msgspec.json.decode(canonical_json(value), type=type(value)) == value


@given(OBJECT)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, Any]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


def test_a_digest_is_the_same_on_every_machine() -> None:
    assert digest({"b": [1, 2.5, None], "a": "é"}) == "3276393bf8a5a8df0e5ddcb8f78302ef"


def test_canonical_json_has_no_nan() -> None:
    assert canonical_json({"x": math.nan}) == b'{"x":null}'


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert all(len(each) == 20 for each in ids)
    assert [each[:9] for each in ids] == sorted(each[:9] for each in ids)


def test_a_changed_case_has_another_digest_and_so_has_its_dataset() -> None:
    case = Case(id="a", input="x", expected=1)
    edited = msgspec.structs.replace(case, expected=2)
    assert case.digest != edited.digest
    other = Case(id="b", input="y")
    assert Dataset.of([case, other]).digest == Dataset.of([other, case]).digest
    assert Dataset.of([case, other]).digest != Dataset.of([edited, other]).digest


@pytest.mark.parametrize(
    ("given_input", "turns"),
    [("hello", ("hello",)), (["a", "b"], ("a", "b")), ([{"role": "user"}], ([{"role": "user"}],)), ([], ([],))],
)
def test_a_list_of_strings_is_played_turn_by_turn(given_input: Any, turns: tuple[Any, ...]) -> None:
    assert Case(id="a", input=given_input).turns == turns


def test_an_unknown_cost_plus_a_known_one_is_the_known_part() -> None:
    assert (Usage() + Usage()).cost_usd is None
    assert (Usage(cost_usd=0.5) + Usage()).cost_usd == 0.5
    assert (Usage(input_tokens=1, cost_usd=0.5) + Usage(input_tokens=2, cost_usd=0.25)) == Usage(
        input_tokens=3, cost_usd=0.75
    )


def test_limits_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ConfigError, match="wall"):
        decode_json(b'{"wall": 3}', Limits)


def test_a_problem_reads_like_a_compiler_message() -> None:
    problem = Problem(message="unknown key", path="assay.toml", line=3, key="harness.x", hint="did you mean 'y'?")
    assert str(problem) == "assay.toml:3: harness.x: unknown key (did you mean 'y'?)"
    assert str(Problem(message="no judges")) == "no judges"


def span(span_id: str, parent: str = "", start: int = 0, **fields: Any) -> Span:
    return Span(span_id=span_id, parent_id=parent, name=span_id, start_ns=start, end_ns=start + 1, **fields)


def test_a_trace_counts_model_and_tool_calls() -> None:
    asked = Message(role="user", text="book")
    call = ModelCall(
        input=(asked,), output=(Message(role="assistant", text="done"),), usage=Usage(input_tokens=5, cost_usd=0.1)
    )
    trace = Trace(
        trace_id="t",
        spans=(
            span("root", input="book", output="done"),
            span("llm", "root", 1, model=call),
            span("tool", "root", 2, tool=ToolCall(name="book")),
        ),
    )
    assert trace.root is not None
    assert trace.root.span_id == "root"
    assert [message.text for message in trace.messages] == ["book", "done"]
    assert [tool.name for tool in trace.tool_calls] == ["book"]
    assert trace.usage == Usage(input_tokens=5, model_calls=1, tool_calls=1, cost_usd=0.1)


def test_without_model_calls_the_conversation_is_what_went_in_and_out() -> None:
    trace = Trace(trace_id="t", spans=(span("root", input={"q": 1}, output="yes"),))
    assert [(message.role, message.text) for message in trace.messages] == [("user", '{"q":1}'), ("assistant", "yes")]


def test_tool_calls_that_only_a_model_requested_carry_their_results() -> None:
    requested = Message(role="assistant", tool_calls=(ToolCall(name="find", id="1"),))
    answered = Message(role="tool", tool_call_id="1", text="room 4")
    trace = Trace(trace_id="t", spans=(span("llm", model=ModelCall(input=(requested, answered))),))
    assert trace.tool_calls == (ToolCall(name="find", id="1", result="room 4"),)


def test_effects_name_a_table_with_or_without_its_database() -> None:
    diff = TableDiff(database="hotel", table="rooms", added=({"id": 1},))
    effects = Effects(tables=(diff,))
    assert effects.table("rooms") is diff
    assert effects.table("hotel.rooms") is diff
    assert effects.table("guests") == TableDiff(database="", table="guests")
