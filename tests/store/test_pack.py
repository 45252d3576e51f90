"""Packing and unpacking, with what hostile agents and judges say."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.case import Case
from assay.core.effects import Effects, FileChange, RowChange, TableDiff
from assay.core.episode import Failure, Outcome
from assay.core.errors import StoreError
from assay.core.plan import Finished
from assay.core.trace import Message, ModelCall, SpanEvent, ToolCall, Trace
from assay.core.usage import Usage
from assay.store.pack import pack, pack_verdicts, read_chunk, read_record, unpack
from assay.store.schema import episodes, trace_chunks, traces, verdicts
from tests.store.made import episode, span, trace_of, verdict

NASTY = ["\0", "\ud800", "a\0b\udfffc", "\x1b[31m", "<script>", "\u202e", "\U0001f600", "ÿ", ""]
texts = st.text() | st.sampled_from(NASTY) | st.text(st.characters(codec=None), max_size=5)
leaves = st.none() | st.booleans() | st.integers() | st.integers(-(2**90), 2**90) | st.floats() | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


def packed(made: Any, *judged: Any, settled: bool = True, lock: str = "lock"):
    return unpack(pack(Finished(seq=3, episode=made, verdicts=judged, settled=settled), lock))


def columns(table: Any, row: Any) -> dict[str, Any]:
    return dict(zip(table.c.keys(), row, strict=True))


def its_record(made: Any):
    return read_record(*packed(made).episode[-2:])


def its_chunk(made: Any):
    return read_chunk(*packed(made).chunk[-2:])


def storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def same(left: Any, right: Any) -> bool:
    """Equal, NaN included, with lists and tuples alike."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def visible(value: Any) -> Any:
    """What a value is read back as: lone surrogates become their escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [visible(item) for item in value]
    if isinstance(value, dict):
        return {visible(key): visible(item) for key, item in value.items()}
    return value


def test_rows_fit_the_tables():
    row = packed(episode(), verdict(True))
    assert row.seq == 3
    assert row.settled
    filled = columns(episodes, ("run-1", *row.episode))
    assert (filled["episode_id"], filled["case_id"], filled["outcome"]) == ("ep-1", "case-0", "finished")
    assert (filled["seq"], filled["lock"], filled["settled"], filled["failure"]) == (3, "lock", True, "")
    (judged,) = row.verdicts
    assert columns(verdicts, judged)["judge_digest"] == "digest-of-exact"
    assert columns(traces, row.trace)["trace_id"] == row.trace_id == filled["trace_id"]
    assert columns(trace_chunks, row.chunk)["spans"] == 1


def test_usage_and_failure_become_columns():
    failure = Failure(boundary="limit", kind="tokens", message="used 9", detail="long")
    usage = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4, reasoning_tokens=5)
    usage = msgspec.structs.replace(usage, model_calls=6, tool_calls=7, cost_usd=0.5)
    filled = columns(
        episodes, ("r", *packed(episode(outcome=Outcome.agent_error, failure=failure, usage=usage)).episode)
    )
    assert filled["failure"] == "limit: tokens: used 9"
    assert {name: filled[name] for name in Usage.__struct_fields__} == msgspec.to_builtins(usage)


def test_new_verdicts_bring_no_episode():
    row = unpack(pack_verdicts(7, "ep-1", [verdict(True), verdict(None)]))
    assert (row.seq, row.settled, row.episode_id, row.episode, row.trace, row.chunk) == (
        7,
        True,
        "ep-1",
        None,
        None,
        None,
    )
    assert [columns(verdicts, one)["passed"] for one in row.verdicts] == [True, None]


def test_what_is_no_record_is_refused():
    for data in (b"", b"\x00", b"\xc1", b"\x92\x01\x02"):
        with pytest.raises(StoreError, match="cannot be read"):
            unpack(data)


def test_damaged_content_is_named():
    for codec, data in (("msgpack", b"\xc1"), ("msgpack+zstd", b"no zstd"), ("msgpack", b"\x91\x01")):
        with pytest.raises(StoreError, match="an episode in the store cannot be read"):
            read_record(codec, data)


def test_equal_spans_make_an_equal_chunk_and_others_another():
    one, two = packed(episode("ep-1", trace=trace_of("t"))), packed(episode("ep-2", trace=trace_of("t")))
    other = packed(episode("ep-3", trace=trace_of("t", span(name="other"))))
    assert one.chunk == two.chunk
    assert other.chunk[0] == one.chunk[0]
    assert other.chunk[1] != one.chunk[1]


def test_a_trace_without_content_makes_no_rows():
    row = packed(episode(trace=Trace(trace_id="0" * 32)))
    assert (row.trace, row.chunk, row.trace_id) == (None, None, "0" * 32)


def test_small_content_is_left_as_it_is_and_large_content_shrinks():
    assert packed(episode()).episode[-2] == "msgpack"
    row = packed(episode(outputs=("the same words " * 1000,)))
    assert row.episode[-2] == "msgpack+zstd"
    assert len(row.episode[-1]) < 1000


@settings(max_examples=300)
@given(values, values, texts, st.dictionaries(texts, values, max_size=3))
def test_content_is_read_as_it_was_packed(output: Any, expected: Any, logs: str, attributes: dict[str, Any]):
    made = episode(
        case=Case(id="c", input=output, expected=expected),
        outputs=(output, expected),
        logs=logs,
        trace=trace_of("t", span(input=output, attributes=attributes), span("b" * 16, output=expected)),
    )
    record, chunk = its_record(made), its_chunk(made)
    assert same(record.outputs, (visible(output), visible(expected)))
    assert same([record.case.input, record.case.expected], visible([output, expected]))
    assert record.logs == visible(logs)
    assert same(chunk.spans[0].attributes, visible(attributes))
    assert same([chunk.spans[0].input, chunk.spans[1].output], visible([output, expected]))


@settings(max_examples=300)
@given(texts, texts, texts, st.floats() | st.none(), st.integers(), st.lists(texts, max_size=3))
def test_columns_hold_nothing_that_a_database_refuses(
    case_id: str, reason: str, message: str, number: float | None, count: int, evidence: list[str]
):
    row = packed(
        episode(
            case=Case(id=case_id, input=None),
            outcome=Outcome.agent_error,
            failure=Failure(boundary="agent", kind=reason, message=message),
            usage=Usage(input_tokens=count, tool_calls=count * 2**70, cost_usd=number),
            seed=count * 2**60,
            started_at=number or 0.0,
            duration_s=number or 0.0,
            trace=Trace(
                trace_id="t",
                spans=(
                    span(name=reason, start_ns=count * 2**70, status=message),
                    span("b" * 16, model=ModelCall(model=message, system=reason, usage=Usage(input_tokens=count))),
                    span("c" * 16, tool=ToolCall(name=case_id)),
                ),
                resource={"service.name": reason, "service.version": count},
            ),
        ),
        verdict(None, reason=reason, score=number, cost_usd=number, latency_s=number or 0.0, evidence=tuple(evidence)),
    )
    for cell in (*row.episode, *row.trace, *row.chunk, *(cell for one in row.verdicts for cell in one)):
        if isinstance(cell, str):
            assert storable(cell)
        elif isinstance(cell, int):
            assert -(2**63) <= cell < 2**63
        elif isinstance(cell, float):
            assert math.isfinite(cell)


def test_what_had_to_be_replaced_can_be_seen():
    row = packed(episode(case_id="a\0b"), verdict(False, reason="x\ud800y\0"))
    assert columns(episodes, ("r", *row.episode))["case_id"] == "a␀b"
    assert columns(verdicts, row.verdicts[0])["reason"] == "x\\ud800y␀"


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**400])
def test_integers_of_any_size_come_back(number: int):
    assert its_record(episode(outputs=(number, [{"n": number}]))).outputs == (number, [{"n": number}])


def test_typed_integers_beyond_64_bits_become_the_nearest():
    huge = span(start_ns=2**80, end_ns=-(2**80), events=(SpanEvent(name="e", time_ns=2**90),))
    (found,) = its_chunk(episode(trace=trace_of("t", huge))).spans
    assert (found.start_ns, found.end_ns, found.events[0].time_ns) == (2**63 - 1, 1 - 2**63, 2**63 - 1)


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def depth(value: Any) -> int:
    levels = 0
    while isinstance(value, list):
        value, levels = value[0], levels + 1
    return levels


@pytest.mark.parametrize("levels", [10, 400, 900, 5000, 100_000])
def test_deep_values_are_kept_or_cut_with_a_remark(levels: int):
    output = its_record(episode(outputs=(nested(levels),))).outputs[0]
    found = depth(output)
    assert found == levels or 90 < found < levels
    while isinstance(output, list):
        output = output[0]
    assert output == ("bottom" if found == levels else "<nested too deeply to be stored>")


def test_a_deep_value_is_read_where_the_stack_is_almost_used_up():
    row = packed(episode(outputs=(nested(400),))).episode

    def deep(left: int) -> Any:
        return deep(left - 1) if left else read_record(*row[-2:])

    room = sys.getrecursionlimit() - 550
    assert depth(deep(room).outputs[0]) == 400


def test_content_from_everywhere_survives_a_hostile_neighbour():
    bad = "\ud800"
    made = episode(
        effects=Effects(
            tables=(
                TableDiff(
                    database="db",
                    table="t",
                    added=({"a": bad},),
                    changed=(RowChange(key={"id": 1}, before={"v": 1}, after={"v": 2**70}),),
                ),
            ),
            files=(FileChange(path="f", change="added", size=2**70),),
        ),
        trace=trace_of(
            "t",
            span(
                model=ModelCall(
                    model="m",
                    parameters={"t": 0.5},
                    input=(Message(role="user", text=bad, tool_calls=(ToolCall(name="n", arguments={"x": 2**65}),)),),
                )
            ),
        ),
    )
    effects, (found,) = its_record(made).effects, its_chunk(made).spans
    assert effects.tables[0].added == ({"a": "\\ud800"},)
    assert effects.tables[0].changed == made.effects.tables[0].changed
    assert effects.files[0].size == 2**63 - 1
    assert found.model.input[0].text == "\\ud800"
    assert found.model.input[0].tool_calls[0].arguments == {"x": 2**65}
    assert found.model.parameters == {"t": 0.5}


def test_objects_that_are_not_json_are_named_not_stored():
    class Robot:
        def __repr__(self):
            raise AssertionError("nothing of a stranger is called")

    output, other = its_record(episode(outputs=(Robot(), [2**70, Robot()]))).outputs
    assert output.startswith("<tests.store.test_pack.")
    assert "Robot object: not JSON" in output
    assert "Robot object: not JSON" in other[1]


def test_packing_loads_no_database():
    code = (
        "import sys, assay.store.pack, assay.store; assert not {'sqlalchemy', 'sqlite3', 'alembic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
