"""Conversations: every provider's way to write one, and everything that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assay.core.trace import Message, ToolCall
from assay.otel.bounds import bounded
from assay.otel.messages import MessageReader, plain, read_messages, read_text, read_tools

CALL = ToolCall(id="call_1", name="get_weather", arguments={"location": "Paris"})
SPEC = [
    {"role": "user", "name": None, "parts": [{"type": "text", "content": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "I need the tool."},
            {"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": {"location": "Paris"}},
        ],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rainy, 57F"}]},
    {"role": "assistant", "parts": [{"type": "text", "content": "It rains."}], "finish_reason": "stop"},
]
OPENAI = [
    {"role": "user", "content": "Weather in Paris?"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "I need the tool.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"location": "Paris"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "rainy, 57F"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "It rains."}]},
]
ANTHROPIC = [
    {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "I need the tool.", "signature": "x"},
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"location": "Paris"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "rainy, 57F"}]}
        ],
    },
    {"role": "assistant", "content": "It rains."},
]
VERCEL = [
    {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "reasoning", "text": "I need the tool."},
            {"type": "tool-call", "toolCallId": "call_1", "toolName": "get_weather", "input": {"location": "Paris"}},
        ],
    },
    {
        "role": "tool",
        "content": [
            {
                "type": "tool-result",
                "toolCallId": "call_1",
                "output": {"type": "text", "value": "rainy, 57F"},
            }
        ],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "It rains."}]},
]
BEDROCK = [
    {"role": "user", "content": [{"text": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "reasoning": "I need the tool.",
        "content": [{"toolUse": {"toolUseId": "call_1", "name": "get_weather", "input": {"location": "Paris"}}}],
    },
    {
        "role": "user",
        "content": [{"toolResult": {"toolUseId": "call_1", "status": "success", "content": [{"text": "rainy, 57F"}]}}],
    },
    {"role": "assistant", "content": [{"text": "It rains."}]},
]
GEMINI = [
    {"role": "user", "parts": [{"text": "Weather in Paris?"}]},
    {
        "role": "model",
        "reasoning": "I need the tool.",
        "parts": [{"function_call": {"id": "call_1", "name": "get_weather", "args": {"location": "Paris"}}}],
    },
    {"role": "user", "parts": [{"function_response": {"id": "call_1", "response": "rainy, 57F"}}]},
    {"role": "model", "parts": [{"text": "It rains."}]},
]
CONVERSATION = (
    Message(role="user", text="Weather in Paris?"),
    Message(role="assistant", reasoning="I need the tool.", tool_calls=(CALL,)),
    Message(role="tool", text="rainy, 57F", tool_call_id="call_1"),
    Message(role="assistant", text="It rains."),
)


@pytest.mark.parametrize("shape", [SPEC, OPENAI, ANTHROPIC, VERCEL, BEDROCK, GEMINI])
def test_every_provider_writes_the_same_conversation(shape: list[dict[str, Any]]) -> None:
    assert read_messages(shape, "user") == CONVERSATION
    assert read_messages(json.dumps(shape), "user") == CONVERSATION
    assert read_messages({"messages": shape}, "user") == CONVERSATION
    assert MessageReader().read(json.dumps(shape), "user") == CONVERSATION


def test_items_of_the_responses_api_are_parts_without_a_message_around_them() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Tool."}]},
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "rainy"},
    ]
    assert read_messages(items, "assistant") == (
        Message(role="user", text="Weather?"),
        Message(role="assistant", reasoning="Tool."),
        Message(role="assistant", tool_calls=(ToolCall(name="get_weather", arguments={}, id="c"),)),
        Message(role="tool", text="rainy", tool_call_id="c"),
    )


@pytest.mark.parametrize("key", ["response", "result"])
def test_tool_results_are_read_under_both_names(key: str) -> None:
    value = [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", key: {"ok": True}}]}]
    assert read_messages(value, "user") == (Message(role="tool", text='{"ok":true}', tool_call_id="c"),)


def test_several_results_become_one_message_each_and_text_stays_behind_them() -> None:
    value = [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b", "content": "2"},
                {"type": "text", "text": "go on"},
            ],
        }
    ]
    assert read_messages(value, "user") == (
        Message(role="tool", text="1", tool_call_id="a"),
        Message(role="tool", text="2", tool_call_id="b"),
        Message(role="user", text="go on"),
    )


def test_a_result_beside_its_own_call_joins_the_call() -> None:
    parts = [
        {"type": "server_tool_call", "id": "s", "name": "web_search", "server_tool_call": {"query": "x"}},
        {"type": "server_tool_call_response", "id": "s", "server_tool_call_response": ["hit"]},
    ]
    (message,) = read_messages([{"role": "assistant", "parts": parts}], "user")
    assert message.tool_calls == (ToolCall(name="web_search", id="s", arguments={"query": "x"}, result=["hit"]),)


def test_images_and_files_are_attachments_without_their_bytes() -> None:
    data = "A" * 5000
    parts = [
        {"type": "text", "content": "look"},
        {"type": "blob", "mime_type": "image/png", "modality": "image", "content": data},
        {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "file", "file_id": "f1"},
        {"type": "compaction", "content": "c" * 500},
    ]
    (message,) = read_messages([{"role": "user", "parts": parts}], "user")
    assert message.text == "look"
    assert [each["type"] for each in message.attachments] == [part["type"] for part in parts[1:]]
    assert data[:100] not in json.dumps(message.attachments)
    assert message.attachments[0]["content"] == "… [cut 5000 characters]"
    assert message.attachments[2]["image_url"]["url"] == "data:image/png;base64,… [cut 5000 characters]"
    assert message.attachments[5]["content"] == "c" * 500


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        ("hello", (Message(role="user", text="hello"),)),
        ('[{"role": "user", "parts": [', (Message(role="user", text='[{"role": "user", "parts": ['),)),
        (["a", "b"], (Message(role="user", text="a\nb"),)),
        ([{"type": "text", "content": "a"}], (Message(role="user", text="a"),)),
        ({"question": "why?"}, (Message(role="user", text='{"question":"why?"}'),)),
        (42, (Message(role="user", text="42"),)),
        ([{"role": "critic", "content": "hm"}], (Message(role="critic", text="hm"),)),
        ([{"role": 7, "content": 8}], (Message(role="user", text="8"),)),
        ([[{"role": "human", "content": "hi"}]], (Message(role="user", text="hi"),)),
        (
            [{"role": "user", "content": "a"}, "stray"],
            (Message(role="user", text="a"), Message(role="user", text="stray")),
        ),
        ([{"role": "assistant", "content": None, "refusal": "No."}], (Message(role="assistant", text="No."),)),
        ([{"role": "user", "content": '[{"a": 1}]'}], (Message(role="user", text='[{"a": 1}]'),)),
        ([{"role": "user", "content": '[{"type": "text", "text": "t"}]'}], (Message(role="user", text="t"),)),
    ],
)
def test_odd_shapes_stay_visible(value: Any, expected: tuple[Message, ...]) -> None:
    assert read_messages(value, "user") == expected
    assert MessageReader().read(value, "user") == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"a": 1}', {"a": 1}), ("{broken", "{broken"), ("5", "5"), ({"a": 1}, {"a": 1}), (None, None)],
)
def test_arguments_are_decoded_where_they_parse(arguments: Any, expected: Any) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    (message,) = read_messages([{"role": "assistant", "tool_calls": [call]}], "assistant")
    assert message.tool_calls == (ToolCall(name="f", arguments=expected, id="c"),)


def test_system_text_and_tool_definitions() -> None:
    assert read_text([{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]) == "a\nb"
    assert read_text("plain") == "plain"
    assert read_text({"odd": 1}) == '{"odd":1}'
    assert read_tools('[{"name": "f"}]') == ({"name": "f"},)
    assert read_tools(['{"name": "f"}', "not json", 3]) == (
        {"name": "f"},
        {"definition": "not json"},
        {"definition": 3},
    )


def test_one_plain_message_is_its_text_and_everything_else_a_list() -> None:
    assert plain(()) is None
    assert plain((Message(role="user", text="hi"),)) == "hi"
    assert plain(CONVERSATION)[1]["tool_calls"][0]["name"] == "get_weather"
    assert read_messages(plain(CONVERSATION), "user") == CONVERSATION


def test_a_message_that_is_sent_again_is_read_once() -> None:
    reader = MessageReader()
    first = reader.read(json.dumps(SPEC[:2]), "user")
    second = reader.read(json.dumps(SPEC), "user")
    assert second == CONVERSATION
    assert all(one is other for one, other in zip(first, second, strict=False))


parts = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    *("role", "parts", "content", "type", "text", "tool_calls", "function", "id", "name", "arguments"),
                    *("tool_call_id", "response", "toolUse", "toolResult", "messages", "reasoning", "data"),
                ]
            ),
            st.one_of(inner, st.sampled_from(["text", "tool_call", "tool_result", "reasoning", "blob", "function"])),
            max_size=5,
        ),
    ),
    max_leaves=25,
)


@given(parts)
@example(["\x00"])
def test_nothing_makes_it_raise_and_text_is_read_like_structure(value: Any) -> None:
    found = read_messages(value, "user")
    assert all(isinstance(message, Message) and message.role for message in found)
    if isinstance(value, (list, dict)):
        # Structure arrives cleaned of what no store holds (NUL); text is cleaned when it is read.
        cleaned = read_messages(bounded(value), "user")
        assert read_messages(json.dumps(value), "user") == cleaned
        assert MessageReader().read(json.dumps(value), "user") == cleaned
