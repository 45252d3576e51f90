"""The front desk's cases are right by its own house rules: dates, rooms, prices and refunds, computed a second time."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from assay.core.case import Case

EXAMPLE = Path(__file__).parents[2] / "examples" / "frontdesk"
CASES = [
    msgspec.json.decode(line, type=Case)
    for line in (EXAMPLE / "datasets/frontdesk/cases.jsonl").read_bytes().splitlines()
]
TODAY = date(2026, 1, 15)

# POLICY.md P11 again, by hand: weekday and weekend price of a night in dollars, low and high and festive season.
RATES = {
    "single": ((80, 100), (110, 130), (130, 150)),
    "double": ((115, 140), (150, 180), (180, 210)),
    "twin": ((120, 150), (160, 190), (190, 220)),
    "suite": ((210, 260), (280, 340), (330, 390)),
}
HOLDS = {"single": 1, "double": 2, "twin": 2, "suite": 4}
ROOMS = {
    "101": "single", "102": "double", "103": "twin", "104": "double", "201": "single", "202": "double",
    "203": "twin", "204": "suite", "301": "single", "302": "double", "303": "twin", "304": "suite",
}  # fmt: skip


def nightly(room_type: str, night: date) -> int:
    season = 2 if night >= date(2026, 12, 20) else 1 if date(2026, 4, 1) <= night <= date(2026, 9, 30) else 0
    return RATES[room_type][season][night.weekday() in {4, 5}]


def price(row: dict[str, Any]) -> int:
    """The whole bill of a stay in cents, by POLICY.md."""
    arrival, departure = date.fromisoformat(row["arrival"]), date.fromisoformat(row["departure"])
    nights = (departure - arrival).days
    room = sum(nightly(row["room_type"], arrival + timedelta(days=night)) for night in range(nights))
    return 100 * (room + 15 * row["guests"] * nights * row["breakfast"] + 25 * row["pet"] + 30 * row["late_checkout"])


def is_free(room: str, stay: dict[str, Any], reservations: list[dict[str, Any]]) -> bool:
    return not any(
        row["room_number"] == room
        and row["status"] in {"confirmed", "checked_in"}
        and row["arrival"] < stay["departure"]
        and row["departure"] > stay["arrival"]
        for row in reservations
    )


def expected_rows(case: Case) -> list[dict[str, Any]]:
    single = [case.expected["reservation"]] if "reservation" in case.expected else []
    return case.expected.get("reservations", single)


def test_the_seeded_reservations_obey_the_house_rules(world: Any) -> None:
    rows = list(world.rows("reservations").values())
    assert len(rows) == 22
    for row in rows:
        assert ROOMS[row["room_number"]] == row["room_type"]
        assert row["guests"] <= HOLDS[row["room_type"]]
        assert row["total_cents"] == price(row)
        assert row["email"] in world.rows("guests")
        others = [other for other in rows if other != row]
        assert row["status"] == "cancelled" or is_free(row["room_number"], row, others)


def test_the_dataset_is_well_formed(desk: SimpleNamespace) -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 40
    for case in CASES:
        assert case.source["illustrative"] is True
        assert len(case.source["defence"]) > 20
        assert case.tags
        allowed = set(desk.tools.TOOLS)
        required, forbidden = (set(case.expected["tools"][key]) for key in ("required", "forbidden"))
        assert required | forbidden <= allowed
        assert not required & forbidden
        effects = {"reservation", "reservations", "changed", "no_change", "handoff"} & case.expected.keys()
        assert effects
        if effects & {"no_change", "handoff"}:
            assert len(effects) == 1
            assert not case.expected.get("mail_to")


@pytest.mark.parametrize("case", [case for case in CASES if expected_rows(case)], ids=lambda case: case.id)
def test_expected_bookings_are_possible_and_priced_right(case: Case, world: Any) -> None:
    taken = list(world.rows("reservations").values())
    text = " ".join(case.turns)
    for row in expected_rows(case):
        floors = [floor for floor, bound in (("3", "quiet" in text), ("1", row["pet"])) if bound]
        fitting = [
            room
            for room, room_type in ROOMS.items()
            if room_type == row["room_type"] and is_free(room, row, taken) and (not floors or room[0] in floors)
        ]
        assert row["room_number"] == min(fitting)
        assert row["guests"] <= HOLDS[row["room_type"]]
        assert row["total_cents"] == price(row)
        assert case.world or row["arrival"] >= "2026-01-15"
        assert row["guest_name"] in text
        assert row["email"] in text
        taken.append(row)


@pytest.mark.parametrize("case", [case for case in CASES if "changed" in case.expected], ids=lambda case: case.id)
def test_expected_changes_and_refunds_follow_the_rules(case: Case, world: Any) -> None:
    rows = world.rows("reservations")
    for key, fields in case.expected["changed"].items():
        before, after = rows[key], rows[key] | fields
        assert before["status"] == "confirmed"
        days = (date.fromisoformat(before["arrival"]) - TODAY).days
        if after["status"] == "cancelled":
            share = 0 if before["rate_plan"] == "saver" or days < 3 else 1 if days >= 7 else 0.5
            amount = case.expected.get("refund", {"amount_cents": 0})["amount_cents"]
            assert amount == before["total_cents"] * share
        else:
            others = [row for row in rows.values() if row["confirmation"] != key]
            assert is_free(after["room_number"], after, others)
            assert after["room_number"] == before["room_number"] or not is_free(before["room_number"], after, others)
            assert after["total_cents"] == price(after)
        assert set(case.expected["mail_to"]) == {before["email"]}
