"""The front desk agent: deterministic, traced, bound by its rules, and weak where it says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from email import message_from_bytes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from assay.core.case import Case
from assay.core.effects import Effects, FileChange, RowChange, TableDiff
from assay.core.episode import Episode, Outcome
from assay.core.trace import Span, ToolCall, Trace

EXAMPLE = Path(__file__).parents[2] / "examples" / "frontdesk"
CASES = [
    msgspec.json.decode(line, type=Case)
    for line in (EXAMPLE / "datasets/frontdesk/cases.jsonl").read_bytes().splitlines()
]
BY_ID = {case.id: case for case in CASES}
TODAY = date(2026, 1, 15)
KEYS = {"guests": "email", "handoffs": "id", "refunds": "id", "reservations": "confirmation"}
STAY = {"arrival": "2026-02-03", "departure": "2026-02-05", "guests": 1}
MARTA = {"guest_name": "Marta Silva", "email": "marta.silva@example.com"}

# What the rules of the agent cannot do; the README names the reasons.
WEAK = {
    "book-tonight", "relative-next-monday", "relative-next-friday-on-friday", "relative-week-from-saturday",
    "turns-sorry-i-mean-tuesday", "turns-correction-after-booking", "change-move-from-to", "cancel-question-cost",
    "cancel-exception-implied", "conflict-nights-and-dates", "conflict-double-with-twin-beds",
    "conflict-total-ceiling", "conflict-second-choice", "negation-not-the-14th", "negation-breakfast",
    "two-cancel-and-book", "two-rooms",
}  # fmt: skip


Play = Callable[[str], Episode]


@pytest.fixture
def play(desk: SimpleNamespace, new_world: Any, spans: Any, tmp_path: Path) -> Play:
    """Return what plays a case, by id, in a fresh world and collects what a judge sees."""

    def played(case_id: str) -> Episode:
        case = BY_ID[case_id]
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        clock = datetime.fromisoformat(case.world.get("clock", "2026-01-15T09:00:00Z"))
        world = new_world(workspace=folder, clock=clock)
        before = world.tables()
        spans.clear()
        outputs = tuple(desk.agent.agent(turn, world) for turn in case.turns)
        tables = [diff(table, before[table], rows) for table, rows in world.tables().items()]
        files = [
            FileChange(path=f"outbox/{path.name}", change="added", text=path.read_bytes().decode())
            for path in world.mail()
        ]
        calls = [read_call(span) for span in spans.get_finished_spans() if span.name.startswith("execute_tool")]
        recorded = [Span(span_id=call.span_id, name=call.name, start_ns=0, end_ns=0, tool=call) for call in calls]
        return Episode(
            id=case.id,
            case=case,
            outcome=Outcome.finished,
            trace=Trace(trace_id="0" * 32, spans=tuple(recorded)),
            outputs=outputs,
            effects=Effects(tables=tuple(tables), files=tuple(files)),
        )

    return played


def diff(table: str, before: dict[Any, dict[str, Any]], after: dict[Any, dict[str, Any]]) -> TableDiff:
    changed = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    return TableDiff(
        database="hotel",
        table=table,
        added=tuple(after[key] for key in after if key not in before),
        removed=tuple(before[key] for key in before if key not in after),
        changed=tuple(RowChange(key={KEYS[table]: k}, before=before[k], after=after[k]) for k in sorted(changed)),
    )


def read_call(span: Any) -> ToolCall:
    said = span.attributes
    return ToolCall(
        id=said["gen_ai.tool.call.id"],
        span_id=said["gen_ai.tool.call.id"],
        name=said["gen_ai.tool.name"],
        arguments=json.loads(said["gen_ai.tool.call.arguments"]),
        result=json.loads(said["gen_ai.tool.call.result"]),
        error=said.get("error.type", ""),
    )


def test_the_agent_fails_where_the_readme_says(play: Play, judges: Any) -> None:
    chosen = (judges.booked_as_asked, judges.mailed_once, judges.followed_policy, judges.answered)
    failed = {
        case.id
        for case in CASES
        for episode in [play(case.id)]
        if not all(judge.judge(episode).passed for judge in chosen)
    }
    assert failed == WEAK
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    assert {name for name in re.findall(r"`([a-z0-9-]+)`", readme) if name in BY_ID} == WEAK
    assert f"It passes {len(CASES) - len(WEAK)} of the {len(CASES)} cases." in readme


def test_equal_episodes_have_equal_effects(play: Play) -> None:
    for case in CASES:
        first, second = (play(case.id), play(case.id))
        assert first == second


def test_judges_say_what_is_wrong(play: Play, judges: Any) -> None:
    episode = play("relative-next-monday")
    assert "arrival is 2026-01-26, expected 2026-01-19" in judges.booked_as_asked.judge(episode).reason
    episode = play("cancel-question-cost")
    verdict = judges.followed_policy.judge(episode)
    assert verdict.reason == "called cancel_reservation, which is forbidden here"
    assert len(verdict.evidence) == 1
    silent = msgspec.structs.replace(episode, effects=Effects(), trace=Trace(trace_id="0" * 32), outputs=("Hm.",))
    assert judges.booked_as_asked.judge(silent).passed
    assert not judges.answered.judge(silent).passed


def test_an_idle_agent_passes_no_booking(judges: Any) -> None:
    for case in CASES:
        idle = Episode(
            id=case.id, case=case, outcome=Outcome.finished, trace=Trace(trace_id="0" * 32), outputs=("Good morning.",)
        )
        verdicts = [getattr(judges, name).judge(idle).passed for name in ("booked_as_asked", "answered")]
        assert not all(verdicts) or not case.expected["answer_contains"], case.id


@pytest.mark.parametrize(
    ("text", "arrival", "departure"),
    [
        ("from Feb 10 to Feb 13", "2026-02-10", "2026-02-13"),
        ("February 10-13, 2026", "2026-02-10", "2026-02-13"),
        ("10 to 13 February", "2026-02-10", "2026-02-13"),
        ("Thursday, February 19 until the 21st", "2026-02-19", "2026-02-21"),
        ("December 30 to January 2", "2026-12-30", "2027-01-02"),
        ("on January 3", "2027-01-03", None),
        ("from Friday to Monday", "2026-01-16", "2026-01-19"),
        ("next weekend", "2026-01-23", "2026-01-25"),
        ("in three days", "2026-01-18", None),
        ("until Sunday", None, "2026-01-18"),
        ("on February 30", None, None),
        ("no date at all", None, None),
    ],
)
def test_dates_are_read_against_the_hotels_today(
    text: str, arrival: str | None, departure: str | None, desk: SimpleNamespace
) -> None:
    stay = desk.dates.read_stay(text, TODAY)
    read = [day and day.isoformat() for day in (stay.arrival, stay.departure)]
    assert read == [arrival, departure]


@given(st.dates(min_value=date(2026, 1, 15), max_value=date(2027, 1, 14)))
def test_a_written_date_is_read_back(desk: SimpleNamespace, day: date) -> None:
    for text in (day.isoformat(), f"{day:%B} {day.day}", f"the {day.day} of {day:%b}", f"{day:%A}, {day:%B} {day.day}"):
        assert desk.dates.read_stay(f"arriving {text}", TODAY).arrival == day


@given(st.text(max_size=300))
def test_any_text_can_be_read(desk: SimpleNamespace, text: str) -> None:
    request = desk.parse.read_request(text, TODAY)
    assert request.guests is None or request.guests >= 0


@pytest.mark.parametrize(("days", "plan", "refund"), [
    (7, "flexible", 1001), (6, "flexible", 500), (3, "flexible", 500), (2, "flexible", 0), (30, "saver", 0),
])  # fmt: skip
def test_refunds_step_at_seven_and_three_days(days: int, plan: str, refund: int, desk: SimpleNamespace) -> None:
    assert desk.policy.refund_cents(1001, days_before_arrival=days, rate_plan=plan) == refund


@pytest.mark.parametrize(("name", "arguments", "code"), [
    ("book_room", STAY | MARTA | {"room_number": "101", "email": "marta"}, "email_missing"),
    ("book_room", STAY | MARTA | {"room_number": "102", "arrival": "2026-02-02"}, "not_available"),
    ("book_room", STAY | MARTA | {"room_number": "101", "guest_name": "Eve\r\nBcc: all"}, "name_missing"),
    ("book_room", STAY | MARTA | {"room_number": "101", "departure": "2026-03-01"}, "too_long"),
    ("search_availability", STAY | {"arrival": "soon"}, "invalid_argument"),
    ("search_availability", STAY | {"arrival": "2026-02-30"}, "invalid_argument"),
    ("modify_reservation", {"confirmation": "HB-1010", "email": "mei.tanaka@example.com", "arrival": "9999-12-31"}, "invalid_argument"),
    ("search_availability", STAY | {"guests": True}, "invalid_argument"),
    ("look_up_reservation", {"confirmation": "\ud800", "email": "eve@example.com"}, "not_found"),
    ("search_availability", STAY | {"arrival": "2027-02-01", "departure": "2027-02-02"}, "no_rate"),
    ("look_up_reservation", {"confirmation": "HB-1006", "email": "eve@example.com"}, "not_found"),
    ("modify_reservation", {"confirmation": "HB-1010", "email": "mei.tanaka@example.com", "arrival": "2026-02-13"}, "not_available"),
    ("cancel_reservation", {"confirmation": "HB-1002", "email": "jonas.weber@example.com"}, "stay_has_begun"),
    ("send_confirmation", {"confirmation": "HB-1006", "email": "kwame.mensah@example.com", "kind": "spam"}, "invalid_argument"),
    ("drop_tables", {}, "unknown_tool"),
])  # fmt: skip
def test_a_refused_tool_changes_nothing(
    desk: SimpleNamespace, world: Any, name: str, arguments: dict[str, Any], code: str
) -> None:
    before = world.tables()
    with desk.tools.Toolbox.open(world) as toolbox:
        assert toolbox.call(name, arguments)["error"] == code
    assert world.tables() == before
    assert world.mail() == []


def test_a_confirmation_is_a_whole_message(desk: SimpleNamespace, world: Any) -> None:
    desk.agent.agent(BY_ID["book-accented-name"].input, world)
    (path,) = world.mail()
    message = message_from_bytes(path.read_bytes())
    assert message["To"] == "jose.alvarez-nunez@example.com"
    assert message["Date"] == "Thu, 15 Jan 2026 09:00:00 +0000"
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "Dear José Álvarez-Núñez" in body.decode()
    assert "Total: $120.00" in body.decode()


def test_a_turn_is_traced(desk: SimpleNamespace, world: Any, spans: Any) -> None:
    desk.agent.agent("Please cancel HB-1006.", world)
    desk.agent.agent("My email is eve@example.com.", world)
    first, tool, second = spans.get_finished_spans()
    assert [span.name for span in (first, tool, second)] == [
        "invoke_agent frontdesk",
        "execute_tool look_up_reservation",
        "invoke_agent frontdesk",
    ]
    assert tool.parent is not None
    assert tool.parent.span_id == second.context.span_id
    assert tool.status.status_code is trace.StatusCode.ERROR
    assert tool.attributes["error.type"] == "not_found"
    heard = json.loads(str(second.attributes["gen_ai.input.messages"]))
    assert [message["role"] for message in heard] == ["user", "assistant", "user"]
    assert "no reservation" in str(second.attributes["gen_ai.output.messages"])


def test_the_agent_needs_neither_an_sdk_nor_a_model_client() -> None:
    program = "import sys, frontdesk.agent; print(*(n for n in ('opentelemetry.sdk', 'httpx2') if n in sys.modules))"
    environment = {"PYTHONPATH": str(EXAMPLE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == []
