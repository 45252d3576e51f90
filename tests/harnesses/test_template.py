from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from assay.harnesses.template import fill, fill_text, fill_url, mistakes, turn_values


def test_a_placeholder_alone_becomes_the_value_itself(attempt: Any):
    values = turn_values(attempt({"q": [1, 2]}), 0, [])
    template = {
        "question": "{input}",
        "n": "{seed}",
        "note": "case {case_id}: {input}",
        "deep": [{"x": "{turn}"}],
        "k": 1,
    }
    assert fill(template, values) == {
        "question": {"q": [1, 2]},
        "n": 7,
        "note": 'case c1: {"q":[1,2]}',
        "deep": [{"x": 0}],
        "k": 1,
    }


@given(st.text())
def test_values_are_never_read_as_templates_or_json(text: str):
    hostile = '{seed}", "admin": true, "x": "' + text
    values = {"input": hostile, "seed": 7}
    assert fill({"a": "{input}", "b": "say {input}!"}, values) == {"a": hostile, "b": f"say {hostile}!"}
    assert fill_text("{input}{seed}", values) == f"{hostile}7"


def test_values_in_urls_are_encoded():
    assert (
        fill_url("http://h/{case_id}?q={input}", {"case_id": "a/b", "input": "x&y=1 é"})
        == "http://h/a%2Fb?q=x%26y%3D1%20%C3%A9"
    )


def test_the_conversation_grows_turn_by_turn(attempt: Any):
    played = attempt(["hello", "and now?"])
    assert turn_values(played, 0, [])["messages"] == [{"role": "user", "content": "hello"}]
    assert turn_values(played, 1, [{"text": "hi"}])["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": '{"text":"hi"}'},
        {"role": "user", "content": "and now?"},
    ]


def test_a_case_that_holds_messages_is_sent_as_it_is(attempt: Any):
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    assert turn_values(attempt(messages), 0, [])["messages"] == messages


def test_misspelled_placeholders_are_found_and_foreign_braces_left_alone():
    assert list(mistakes({"a": ["{imput}"], "b": "{anything_else} {input}", "c": 3})) == [
        "{imput} is no placeholder, did you mean 'input'?"
    ]
    assert fill_text("{anything_else}", {"input": "x"}) == "{anything_else}"
