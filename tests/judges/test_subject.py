from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.trace import Message
from assay.judges.subject import MISSING, as_text, normalized, parsed, shown, subject, subject_problem, value_at
from tests.judges.episodes import make_episode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", {"a": {"b/c": [10, {"~": 1}]}, "": 2, "0": "zero"}),
        ("/a/b~1c/0", 10),
        ("/a/b~1c/1/~0", 1),
        ("/", 2),
        ("a.b/c.0", 10),
        ("0", "zero"),
        ("/a/b~1c/2", MISSING),
        ("/a/b~1c/-1", MISSING),
        ("/a/b~1c/00", MISSING),
        ("/a/b~1c/-", MISSING),
        ("/missing", MISSING),
        ("a.b/c.0.deeper", MISSING),
    ],
)
def test_paths(path: str, found: Any):
    value = {"a": {"b/c": [10, {"~": 1}]}, "": 2, "0": "zero"}
    assert value_at(value, path) == found


@given(JSON)
def test_every_value_of_a_document_is_found_at_its_pointer(document: Any):
    def walk(value: Any, pointer: str) -> None:
        assert value_at(document, pointer) is value
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, f"{pointer}/{index}")

    walk(document, "")


TALK = (
    Message(role="system", text="Be kind."),
    Message(role="user", text="Hello"),
    Message(role="assistant", text="Hi"),
    Message(role="tool", text="{}"),
)


@pytest.mark.parametrize(
    ("on", "selected"),
    [
        ("output", {"total": 3}),
        ("text", '{"total":3}'),
        ("replies", 'first\n{"total":3}'),
        ("conversation", "user: Hello\nassistant: Hi"),
        ("/total", 3),
        ("/missing", MISSING),
    ],
)
def test_what_is_judged(on: str, selected: Any):
    assert subject(make_episode(outputs=("first", {"total": 3}), messages=TALK), on) == selected


def test_a_pointer_looks_into_text_that_is_json():
    assert subject(make_episode('{"total": [1, 2]}'), "/total/1") == 2
    assert subject(make_episode("prose"), "/total") is MISSING
    assert subject(make_episode(None), "/total") is MISSING
    assert subject(make_episode("[" * 200_000), "/0") is MISSING


def test_a_conversation_without_messages_is_turns_and_answers():
    episode = make_episode(outputs=("one", "two", "three"), case_input=["first", "second"])
    expected = "user: first\nassistant: one\nuser: second\nassistant: two\nassistant: three"
    assert subject(episode, "conversation") == expected


def test_text_of_values():
    assert [as_text(value) for value in ("x", None, True, 1.5, {"b": 1, "a": "é"})] == [
        "x", "", "true", "1.5", '{"a":"é","b":1}',
    ]  # fmt: skip
    assert as_text(object()) == "<object that is no JSON>"


@given(JSON)
def test_json_text_is_read_back(value: Any):
    assert parsed(msgspec.json.encode([value]).decode()) == [value]


def test_normalizing():
    assert normalized("Cafe\u0301", ignore_case=False, ignore_space=False) == "Café"
    assert normalized(" A \n\tB\u00a0 C ", ignore_case=False, ignore_space=True) == "A B C"
    assert normalized("STRASSE", ignore_case=True, ignore_space=False) == normalized(
        "straße", ignore_case=True, ignore_space=False
    )


@given(JSON)
def test_what_is_shown_is_bounded(value: Any):
    assert len(shown([value] * 100)) <= 121


@pytest.mark.parametrize("on", ["output", "text", "replies", "conversation", "/", "/a/b"])
def test_known_subjects(on: str):
    assert subject_problem(on) == ""


@pytest.mark.parametrize("on", ["", "answer", "outputs"])
def test_unknown_subjects(on: str):
    assert "JSON Pointer" in subject_problem(on)
