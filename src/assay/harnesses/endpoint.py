"""How an agent is asked over HTTP: the settings, checked, and where the answer stands in a response."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from assay.core.errors import Problem
from assay.harnesses.template import mistakes

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is asked over HTTP. Placeholders in braces stand for the case's values."""

    url: str
    """Address; values are percent-encoded."""
    method: str = "POST"
    """Request method."""
    headers: dict[str, str] = {}
    """Request headers; `${NAME}` is the host's variable NAME (for secrets: not part of any digest)."""
    body: Any = None
    """JSON sent, as a table with placeholders; `{"input": "{input}"}` by default, nothing for GET and HEAD."""
    output: str = ""
    """JSON pointer to the answer in the response; empty for the whole body (text where it is no JSON)."""
    version_url: str = ""
    """Where the agent's version can be read; without it no fingerprint can be had and nothing is reused."""
    version_header: str = ""
    """Response header of `version_url` that holds the version; empty for its body."""
    otlp_port: int = 0
    """Port of loopback where the agent's spans are received (OTLP over HTTP); 0 for none."""
    spans_wait_s: float = 2.0
    """Seconds to wait for spans after the answer, until the first has come and no more follow."""


def endpoint_problems(endpoint: Endpoint) -> Iterator[Problem]:
    """Yield everything that is wrong with the settings, as far as can be seen without asking."""
    for key in ("url", "headers", "body"):
        for mistake in mistakes(getattr(endpoint, key)):
            yield Problem(message=mistake, key=key)
    if not endpoint.url.startswith(("http://", "https://")):
        yield Problem(message="must start with http:// or https://", key="url")
    if endpoint.output and not endpoint.output.startswith("/"):
        yield Problem(message="must be a JSON pointer such as /answer/text", key="output")
    named = {name for value in endpoint.headers.values() for name in _VARIABLE.findall(value)}
    for name in sorted(named - os.environ.keys()):
        yield Problem(message=f"the variable {name} is not set on this machine", key="headers")


def with_variables(value: str) -> str:
    """Put the host's variables in place of `${NAME}`."""
    return _VARIABLE.sub(lambda mark: os.environ[mark[1]], value)


def answer_at(data: bytes, pointer: str) -> Any:
    """Find the answer in a body; raises `LookupError` with a sentence where there is none."""
    try:
        value: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if pointer:
            raise LookupError(f"the answer is no JSON, so it holds no {pointer}") from None
        return data.decode("utf-8", "replace")
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise LookupError(f"the answer holds no {pointer}")
    return value
