from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.harnesses.servers import Reply, Request, serve

from assay.core.episode import Outcome
from assay.core.errors import ConfigError, HarnessError
from assay.core.protocols import Attempt, Played
from assay.harnesses.endpoint import Endpoint
from assay.harnesses.http import HttpHarness


def ask(
    answer: Callable[[Request], Reply], attempt: Attempt, path: str = "/agent", **endpoint: Any
) -> tuple[Played, list[Request]]:
    async def play() -> tuple[Played, list[Request]]:
        async with serve(answer) as (address, seen):
            harness = HttpHarness("desk", Endpoint(url=address + path, **endpoint))
            try:
                return await harness.play(attempt, None, None), seen
            finally:
                await harness.close()

    return asyncio.run(play())


def test_a_case_is_posted_and_the_answer_is_the_body(attempt: Any):
    played, (request,) = ask(lambda _: Reply({"room": 101}), attempt({"nights": 2}))
    assert (played.outcome, played.outputs, played.failure) == (Outcome.finished, ({"room": 101},), None)
    assert (request.method, request.path, request.json) == ("POST", "/agent", {"input": {"nights": 2}})
    assert request.headers["content-type"] == "application/json"
    assert request.headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_every_episode_has_a_root_span(attempt: Any):
    played, _ = ask(lambda _: Reply("done"), attempt())
    (root,) = played.trace.spans
    assert played.trace.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert (root.span_id, root.name, root.kind, root.status) == ("b7ad6b7169203331", "desk", "agent", "ok")
    assert (root.input, root.output) == ("hi", "done")
    assert 0 < root.start_ns <= root.end_ns


def test_the_request_is_a_template(attempt: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DESK_TOKEN", "s3cret")
    played, (request,) = ask(
        lambda _: Reply({"choices": [{"message": {"content": "ok"}}]}),
        attempt('say "{seed}"'),
        path="/v1/{case_id}",
        method="PUT",
        headers={"Authorization": "Bearer ${DESK_TOKEN}", "X-Note": "a{input}\nb"},
        body={"model": "m", "messages": "{messages}", "seed": "{seed}"},
        output="/choices/0/message/content",
    )
    assert played.outputs == ("ok",)
    assert (request.method, request.path) == ("PUT", "/v1/c1")
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["x-note"] == 'asay "{seed}" b'
    assert request.json == {"model": "m", "messages": [{"role": "user", "content": 'say "{seed}"'}], "seed": 7}


def test_turns_are_asked_one_by_one_in_one_conversation(attempt: Any):
    def answer(request: Request) -> Reply:
        return Reply(f"answer {request.json['turn']}", headers=(("set-cookie", "session=1"),))

    played, requests = ask(answer, attempt(["first", "second"]), body={"text": "{input}", "turn": "{turn}"})
    assert played.outputs == ("answer 0", "answer 1")
    assert [request.json["text"] for request in requests] == ["first", "second"]
    assert {request.headers["x-conversation-id"] for request in requests} == {"run-0-0"}
    assert ["cookie" in request.headers for request in requests] == [False, True]
    assert played.trace.root is not None
    assert played.trace.root.output == ["answer 0", "answer 1"]


def test_cookies_never_cross_over_to_another_episode(attempt: Any):
    async def play() -> list[Request]:
        async with serve(lambda _: Reply("x", headers=(("set-cookie", "session=1"),))) as (address, seen):
            harness = HttpHarness("desk", Endpoint(url=address))
            for _ in range(2):
                await harness.play(attempt(), None, None)
            await harness.close()
            return seen

    assert ["cookie" in request.headers for request in asyncio.run(play())] == [False, False]


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "500 Internal Server Error"])
def test_an_error_answer_counts_against_the_agent(attempt: Any, status: str):
    played, _ = ask(lambda _: Reply("boom" * 1_000, status), attempt(["one", "two"]))
    assert played.outcome is Outcome.agent_error
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("agent", f"http_{status[:3]}")
    assert played.failure.message == f"the agent answered {status}"
    assert played.failure.detail == "boom" * 500
    assert played.trace.spans[0].status == "error"


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "302 Found"])
def test_a_gateway_or_redirect_is_infrastructure(attempt: Any, status: str):
    with pytest.raises(HarnessError, match=status[:3] if status[:3] != "302" else "redirects"):
        ask(lambda _: Reply("", status), attempt())


def test_an_overloaded_agent_is_asked_again_when_it_says(attempt: Any):
    replies = iter(
        [
            Reply("", "429 Too Many Requests", (("retry-after", "0"),)),
            Reply("", "503 Busy", (("retry-after", "0"),)),
            Reply("ok"),
        ]
    )
    played, requests = ask(lambda _: next(replies), attempt())
    assert (played.outputs, len(requests)) == (("ok",), 3)


def test_an_agent_that_stays_overloaded_is_infrastructure(attempt: Any):
    with pytest.raises(HarnessError, match="429 3 times"):
        ask(
            lambda _: Reply("", "429 Too Many Requests", (("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),)),
            attempt(),
        )


def test_nobody_there_is_infrastructure(attempt: Any):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for url in (f"http://127.0.0.1:{taken.getsockname()[1]}", "http://nobody.invalid"):
            with pytest.raises(HarnessError, match="ConnectError"):
                asyncio.run(HttpHarness("desk", Endpoint(url=url)).play(attempt(), None, None))


def test_an_agent_that_hangs_up_is_infrastructure(attempt: Any):
    with pytest.raises(HarnessError, match="RemoteProtocolError"):
        ask(lambda _: Reply(hang_up=True), attempt())


def test_an_agent_that_takes_too_long_passed_its_limit(attempt: Any):
    replies = iter([Reply("first"), Reply(hang=True)])
    played, _ = ask(lambda _: next(replies), attempt(["one", "two"], wall_s=0.5))
    assert played.outcome is Outcome.agent_error
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("limit", "timeout")
    assert played.failure.message == "stopped after 0.5 s (limit wall_s = 0.5)"
    assert played.outputs == ("first",)


@pytest.mark.parametrize(
    ("body", "message"), [("no json", "is no JSON"), ('{"a": {"c": 1}}', "holds no /a/b"), ('{"a": [1]}', "holds no")]
)
def test_an_answer_without_the_output_counts_against_the_agent(attempt: Any, body: str, message: str):
    played, _ = ask(lambda _: Reply(body), attempt(), output="/a/b")
    assert played.failure is not None
    assert played.failure.kind == "no_output"
    assert message in played.failure.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"\xff\xfe", "��"), (b"[" * 3_000, "[" * 3_000), (b"plain", "plain"), (b"", ""), (b'{"a/b": {"~": [1]}}', 1)],
)
def test_any_bytes_are_an_answer(attempt: Any, body: bytes, expected: Any):
    pointer = "/a~1b/~0/0" if body.startswith(b"{") else ""
    played, _ = ask(lambda _: Reply(body), attempt(), output=pointer)
    assert played.outputs == (expected,)


def test_megabytes_are_cut_and_bombs_are_not_unpacked(attempt: Any):
    played, _ = ask(lambda _: Reply("x" * 3_000_000), attempt(output_kb=1))
    assert len(played.outputs[0]) <= 1_024
    bomb = gzip.compress(bytes(1 << 26))
    played, _ = ask(lambda _: Reply(bomb, headers=(("content-encoding", "gzip"),)), attempt())
    assert played.failure is not None
    assert played.failure.kind == "too_large"


def test_a_fingerprint_needs_a_version():
    async def ask_version(**endpoint: Any) -> str:
        async with serve(lambda request: Reply("7\n", headers=(("x-version", request.path),))) as (address, _):
            harness = HttpHarness(
                "desk", Endpoint(url=address, **{key: value.replace("$", address) for key, value in endpoint.items()})
            )
            return await asyncio.to_thread(harness.fingerprint)

    def fingerprint(**endpoint: Any) -> str:
        return asyncio.run(ask_version(**endpoint))

    assert fingerprint() == ""
    assert fingerprint(version_url="$/a") == fingerprint(version_url="$/b") != ""
    assert fingerprint(version_url="$/a", version_header="x-version") != fingerprint(
        version_url="$/b", version_header="x-version"
    )
    assert fingerprint(version_url="$/a", version_header="x-missing") == ""


def test_a_version_that_cannot_be_read_is_infrastructure():
    with pytest.raises(HarnessError, match="cannot read the agent's version"):
        HttpHarness("desk", Endpoint(url="http://x", version_url="http://nobody.invalid/v")).fingerprint()


def test_mistakes_are_all_found_without_asking():
    with pytest.raises(ConfigError) as caught:
        HttpHarness("d", Endpoint(url="ftp://x/{imput}", output="answer", headers={"a": "${NOT_SET_HERE}"}))
    assert {(problem.key, problem.message) for problem in caught.value.problems} == {
        ("url", "{imput} is no placeholder, did you mean 'input'?"),
        ("url", "must start with http:// or https://"),
        ("output", "must be a JSON pointer such as /answer/text"),
        ("headers", "the variable NOT_SET_HERE is not set on this machine"),
    }


def test_the_digest_is_of_the_settings_and_not_of_secrets(monkeypatch: pytest.MonkeyPatch):
    digests: list[str] = []
    for secret in ("a", "b"):
        monkeypatch.setenv("TOKEN", secret)
        digests.append(HttpHarness("d", Endpoint(url="http://x", headers={"a": "${TOKEN}"})).digest)
    assert digests[0] == digests[1] != HttpHarness("d", Endpoint(url="http://y", headers={"a": "${TOKEN}"})).digest
