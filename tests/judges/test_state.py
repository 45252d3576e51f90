from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.effects import NO_EFFECTS, Effects, FileChange, RowChange, TableDiff
from assay.core.errors import ConfigError
from assay.core.verdict import Verdict
from assay.judges.state import EffectsMatch
from tests.judges.episodes import make_episode

NORA = {"id": 7, "guest": "Nora", "room": "102", "status": "confirmed"}
IVAN = {"id": 8, "guest": "Ivan", "room": "101", "status": "confirmed"}
CANCELLED = RowChange(key={"id": 3}, before={"id": 3, "status": "confirmed"}, after={"id": 3, "status": "cancelled"})
LETTER = FileChange(path="outbox/1.eml", change="added", size=9, text="Dear Nora, HB-1023")


def bookings(**fields: Any) -> TableDiff:
    return TableDiff(database="hotel", table="bookings", **fields)


def judged(expected: Any, effects: Effects, **settings: Any) -> Verdict:
    return EffectsMatch(**settings).judge(make_episode(expected={"effects": expected}, effects=effects))


BOOKED = Effects(tables=(bookings(added=(NORA,)),), files=(LETTER,))


@pytest.mark.parametrize(
    ("expected", "effects", "differences"),
    [
        ({}, NO_EFFECTS, []),
        ({"tables": {"bookings": {"added": [{"guest": "Nora"}]}}}, BOOKED, []),
        ({"tables": {"hotel.bookings": {"added": [{"guest": "Nora", "id": {"$any": True}}]}}}, BOOKED, []),
        ({"tables": {"bookings": {"added": 1}}}, BOOKED, []),
        ({}, BOOKED, ["hotel.bookings: 1 added, expected no change"]),
        ({"strict": False}, BOOKED, []),
        ({"ignore": ["bookings"]}, BOOKED, []),
        ({"ignore": ["hotel.bookings"], "files": []}, BOOKED, ["outbox/1.eml: unexpectedly added"]),
        ({"ignore": ["bookings", "outbox/*"], "files": []}, BOOKED, []),
        (
            {"tables": {"bookings": {"added": [{"guest": "Nora", "room": "101"}]}}},
            BOOKED,
            [
                'bookings: no added row like {"guest":"Nora","room":"101"} (nearest: room: expected "101", got "102")',
                'bookings: unexpected added row {"guest":"Nora","id":7,"room":"102","status":"confirmed"}',
            ],
        ),
        (
            {"tables": {"bookings": {"added": [{"guest": "Ivan"}], "strict": False}}},
            NO_EFFECTS,
            ['bookings: no added row like {"guest":"Ivan"}'],
        ),
        (
            {"tables": {"bookings": {"added": [{"status": "confirmed"}, {"guest": "Nora"}]}}},
            Effects(tables=(bookings(added=(NORA, IVAN)),)),
            [],
        ),
        (
            {"tables": {"bookings": {"added": [{"guest": "Ivan"}], "strict": False}}},
            Effects(tables=(bookings(added=(NORA, IVAN)),)),
            [],
        ),
        (
            {"tables": {"bookings": {"added": 0}}},
            BOOKED,
            ['bookings: expected 0 added, got 1: {"guest":"Nora","id":7,"room":"102","status":"confirmed"}'],
        ),
        ({"tables": {"bookings": {"added": 2}}}, NO_EFFECTS, ["bookings: expected 2 added, got none"]),
        (
            {"tables": {"bookings": {"changed": [{"key": {"id": 3}, "after": {"status": "cancelled"}}]}}},
            Effects(tables=(bookings(changed=(CANCELLED,)),)),
            [],
        ),
        (
            {"tables": {"bookings": {"changed": [{"before": {"status": "open"}}]}}},
            Effects(tables=(bookings(changed=(CANCELLED,)),)),
            [
                'bookings: no changed row like {"before":{"status":"open"}} (nearest: before.status: expected "open", got "confirmed")',
                'bookings: unexpected changed row {"id":3} (status "confirmed" → "cancelled")',
            ],
        ),
        (
            {"tables": {"bookings": {"removed": [{"id": 7}]}}},
            Effects(tables=(bookings(removed=(NORA,)),)),
            [],
        ),
        (
            {"tables": {"bookings": {"added": [{"guest": "Nora"}]}}},
            Effects(tables=(bookings(added=(NORA,), dropped=5),)),
            ["bookings: 5 further differing rows"],
        ),
        ({"strict": False}, Effects(problems=("hotel: is no database",)), ["hotel: is no database"]),
        (
            {"strict": False, "files": [{"path": "outbox/*", "change": "added", "contains": "HB-1023"}]},
            BOOKED,
            [],
        ),
        (
            {"strict": False, "files": [{"path": "outbox/1.eml", "contains": ["Dear", "Ivan"], "regex": "^Bye"}]},
            BOOKED,
            [
                'outbox/1.eml: does not contain "Ivan": "Dear Nora, HB-1023", does not match "^Bye": "Dear Nora, HB-1023"'
            ],
        ),
        (
            {"strict": False, "files": [{"path": "a.txt", "change": "removed"}]},
            NO_EFFECTS,
            ["a.txt: expected to be removed, nothing was done to it"],
        ),
        (
            {"files": [{"path": "a", "change": "changed"}]},
            Effects(files=(FileChange(path="a", change="added"),), dropped_files=2),
            ["a: was added, expected to be changed", "2 further files differ"],
        ),
        (
            {"files": [{"path": "*"}, {"path": "b"}]},
            Effects(files=(FileChange(path="b", change="added"), FileChange(path="c", change="added"))),
            [],
        ),
    ],
)  # fmt: skip
def test_differences_are_listed_exactly(expected: Any, effects: Effects, differences: list[str]):
    verdict = judged(expected, effects)
    assert verdict.reason == "; ".join(differences)
    assert verdict.passed == (not differences)


@pytest.mark.parametrize(
    ("case_expected", "words"),
    [
        (None, "no expectations at 'effects': nothing"),
        ({}, "no expectations at 'effects': nothing"),
        ({"effects": []}, "no expectations at 'effects': []"),
        ({"effects": {"tabels": {}}}, "effects.tabels: unknown key (did you mean 'tables'?)"),
        ({"effects": {"tables": {"t": {"added": -1}}}}, "effects.tables.t.added: must be 0 or more"),
        (
            {"effects": {"tables": {"t": {"added": [{"a": {"$regx": ""}}]}}}},
            "effects.tables.t.added[0]: a: unknown operator",
        ),
        ({"effects": {"files": [{"path": "a", "regex": "("}]}}, "effects.files[0].regex: is no regular expression"),
    ],
)
def test_expectations_that_cannot_be_read_leave_the_episode_unjudged(case_expected: Any, words: str):
    verdict = EffectsMatch().judge(make_episode(expected=case_expected))
    assert verdict.passed is None
    assert words in verdict.reason


def test_settings():
    value = {"tables": {"bookings": {"added": 1}}}
    assert EffectsMatch(value=value).judge(make_episode(effects=BOOKED)).passed is True
    assert EffectsMatch(expected="/state").judge(make_episode(expected={"state": value}, effects=BOOKED)).passed is True
    assert judged({}, BOOKED, ignore=("bookings",)).passed is True
    with pytest.raises(ConfigError) as caught:
        EffectsMatch(value={"tables": {"t": {"aded": 1, "removed": -1}}})
    assert [problem.key for problem in caught.value.problems] == ["value.tables.t.aded"]
    assert EffectsMatch(value=value).digest != EffectsMatch().digest


def test_an_episode_without_a_world_is_unjudged():
    episode = msgspec.structs.replace(make_episode(expected={"effects": {}}), world_digest="")
    assert EffectsMatch().judge(episode).passed is None
    assert EffectsMatch().judge(msgspec.structs.replace(episode, effects=BOOKED)).passed is False


def test_what_was_dropped_may_be_what_is_missed():
    expected = {"tables": {"bookings": {"added": [{"guest": "Ivan"}], "strict": False}}}
    verdict = judged(expected, Effects(tables=(bookings(added=(NORA,), dropped=5),)))
    assert verdict.passed is None
    assert "beyond the bound" in verdict.reason


def test_many_differences_are_counted():
    rows = tuple({"id": number, "note": "x" * 10_000} for number in range(500))
    verdict = judged({"tables": {"bookings": {"added": []}}}, Effects(tables=(bookings(added=rows),)))
    assert verdict.passed is False
    assert verdict.reason.endswith("and 480 more")
    assert len(verdict.reason) < 5_000


ROWS = st.lists(st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.integers(0, 2)}), max_size=5)


def sorted_items(row: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(row.items())


@given(ROWS, ROWS)
def test_rows_match_as_multisets(wanted: list[dict[str, int]], found: list[dict[str, int]]):
    effects = Effects(tables=(bookings(added=tuple(found)),))
    verdict = judged({"tables": {"bookings": {"added": wanted}}}, effects)
    assert verdict.passed == (sorted(map(sorted_items, wanted)) == sorted(map(sorted_items, found)))
