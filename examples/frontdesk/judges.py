"""The judges of the front desk: each looks at an episode and says whether the hotel may be content, and why not."""

from __future__ import annotations

from collections import Counter
from email import message_from_string
from typing import TYPE_CHECKING, Any

from assay import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assay import Episode


@judge
def booked_as_asked(episode: Episode) -> Verdict:
    """Compare the reservations, refunds and hand-overs in the database with those that the case expects."""
    expected: dict[str, Any] = episode.case.expected
    table = episode.effects.table("reservations")
    wanted = expected.get("reservations", [expected["reservation"]] if "reservation" in expected else [])
    differences = _rows("reservation", list(table.added), wanted)
    changes: dict[str, dict[str, Any]] = expected.get("changed", {})
    changed = {change.key["confirmation"]: change.after for change in table.changed}
    differences += [f"{key} was changed, expected no change" for key in changed if key not in changes]
    for key, fields in changes.items():
        if key not in changed:
            differences.append(f"{key} was not changed, expected {_listed(fields)}")
        else:
            differences += _fields(key, changed[key], fields)
    differences += [f"{row['confirmation']} was deleted" for row in table.removed]
    refunds = [expected["refund"]] if "refund" in expected else []
    differences += _rows("refund", list(episode.effects.table("refunds").added), refunds)
    handed_over = len(episode.effects.table("handoffs").added)
    if bool(handed_over) != bool(expected.get("handoff")):
        differences.append("passed on to a person" if handed_over else "not passed on to a person")
    return Verdict(passed=not differences, reason="; ".join(differences) or "the database is as expected")


@judge
def mailed_once(episode: Episode) -> Verdict:
    """Each booking, change and cancellation is confirmed by one message to the guest, and nothing else is mailed."""
    sent = Counter(
        str(message_from_string(file.text)["To"])
        for file in episode.effects.files
        if file.path.startswith("outbox/") and file.text is not None
    )
    wanted = Counter[str](episode.case.expected.get("mail_to", []))
    differences = [
        f"{sent[to]} message(s) to {to}, expected {wanted[to]}"
        for to in sorted(sent | wanted)
        if sent[to] != wanted[to]
    ]
    return Verdict(passed=not differences, reason="; ".join(differences) or "the mail is as expected")


@judge
def followed_policy(episode: Episode) -> Verdict:
    """Check that the required tools succeeded in their order and that no forbidden one was called."""
    tools: dict[str, list[str]] = episode.case.expected["tools"]
    calls = episode.trace.tool_calls
    for call in calls:
        if call.name in tools["forbidden"]:
            return Verdict(
                passed=False, reason=f"called {call.name}, which is forbidden here", evidence=(call.span_id,)
            )
    done = iter([call.name for call in calls if not call.error])
    for name in tools["required"]:
        if name not in done:  # consumes the iterator up to the call, so that order counts
            called = ", ".join(call.name for call in calls) or "nothing"
            reason = f"expected {' then '.join(tools['required'])}, called {called}"
            return Verdict(passed=False, reason=reason, evidence=tuple(call.span_id for call in calls))
    return Verdict(passed=True, reason="the tools were called as expected")


@judge
def answered(episode: Episode) -> Verdict:
    """Check that the last answer says what it has to, and that no answer says what it must not."""
    expected: dict[str, Any] = episode.case.expected
    last = str(episode.output).casefold()
    for wanted in expected.get("answer_contains", []):
        choices: list[str] = [wanted] if isinstance(wanted, str) else wanted
        if not any(choice.casefold() in last for choice in choices):
            return Verdict(passed=False, reason=f"the answer does not say {' or '.join(choices)}")
    everything = "\n".join(str(output) for output in episode.outputs).casefold()
    for secret in expected.get("answer_excludes", []):
        if secret.casefold() in everything:
            return Verdict(passed=False, reason=f"an answer says {secret}")
    return Verdict(passed=True, reason="the answer says what it has to")


def _rows(what: str, rows: list[dict[str, Any]], wanted: Sequence[dict[str, Any]]) -> list[str]:
    """Match rows with expected ones; each expected row takes the row that differs least from it."""
    differences: list[str] = []
    left = list(rows)
    for fields in wanted:
        if not left:
            differences.append(f"no {what}, expected {_listed(fields)}")
            continue
        nearest = min(left, key=lambda row: len(_fields(what, row, fields)))
        left.remove(nearest)
        differences += _fields(what, nearest, fields)
    return differences + [f"{what} {_listed(row)} was not expected" for row in left]


def _fields(what: str, row: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{what}: {key} is {row.get(key)}, expected {value}" for key, value in wanted.items() if row.get(key) != value
    ]


def _listed(fields: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in fields.items())
