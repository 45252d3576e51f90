"""The `http` harness: an agent behind an endpoint, one request per user turn."""

from __future__ import annotations

import asyncio
import contextlib
import time
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from assay.core.codec import digest
from assay.core.episode import Failure
from assay.core.errors import ConfigError, HarnessError
from assay.core.protocols import Attempt, LiveWorld, Played, SandboxNeeds
from assay.core.sandbox import Sandbox
from assay.harnesses.collector import SpanCollector
from assay.harnesses.endpoint import Endpoint, answer_at, endpoint_problems, with_variables
from assay.harnesses.limits import timed_out
from assay.harnesses.record import Record
from assay.harnesses.template import fill, fill_text, fill_url, turn_values
from assay.otel.raw import RawSpan

if TYPE_CHECKING:
    import httpx2

_INFRASTRUCTURE = frozenset({502, 503, 504})
_TOO_MANY = 429
_TRIES = 3
_MOST_WAIT_S = 60.0
_EXCERPT = 2_000
_BODY_BYTES = 16 << 20
_VERSION_S = 10.0
_CONNECT_S = 10.0
_BODILESS = frozenset({"GET", "HEAD"})


class HttpHarness:
    """Asks an endpoint. Keeps its connections per worker and nothing else between episodes: no cookie crosses over."""

    kind = "http"
    isolations: tuple[str, ...] = ("remote",)
    takes_world = False

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        """Check everything that can be checked without asking.

        Raises `ConfigError` for misspelled placeholders, a bad pointer and host variables that are not set.
        """
        self.name = name
        self._endpoint = endpoint
        self.digest = digest(["http", endpoint])
        self._transport: httpx2.AsyncHTTPTransport | None = None
        self._collector = SpanCollector(endpoint.otlp_port) if endpoint.otlp_port else None
        problems = list(endpoint_problems(endpoint))
        if problems:
            raise ConfigError(problems)
        self._headers = {key: with_variables(value) for key, value in endpoint.headers.items()}

    @property
    def shares_port(self) -> bool:
        """Whether spans are received on a port, which one process only can hold."""
        return self._collector is not None

    def fingerprint(self) -> str:
        """Ask for the agent's version; empty when it tells none. Raises `HarnessError` when it cannot be asked."""
        endpoint = self._endpoint
        if not endpoint.version_url:
            return ""
        import httpx2

        headers = {key: value for key, value in self._headers.items() if "{" not in value}
        try:
            with httpx2.Client(timeout=_VERSION_S) as client:
                response = client.get(endpoint.version_url, headers=headers)
        except httpx2.HTTPError as error:
            raise HarnessError(
                f"cannot read the agent's version from {endpoint.version_url}: {_said(error)}"
            ) from error
        if not response.is_success:
            raise HarnessError(f"{endpoint.version_url} answered {response.status_code} instead of a version")
        version = response.headers.get(endpoint.version_header, "") if endpoint.version_header else response.text
        return digest(["http", version.strip()]) if version.strip() else ""

    def needs(self) -> SandboxNeeds:
        """Need nothing."""
        return SandboxNeeds()

    async def play(self, attempt: Attempt, world: LiveWorld | None, sandbox: Sandbox | None) -> Played:
        """Ask turn by turn. Raises `HarnessError` when the endpoint cannot be reached or is overloaded."""
        import httpx2

        if self._transport is None:
            self._transport = _transport(self._endpoint.url)
        record = Record(attempt, self.name)
        patience = asyncio.timeout(attempt.limits.wall_s)
        async with self._spans(attempt, record, patience):
            # Not closed: that would close the shared transport. It holds nothing but the episode's cookies.
            connect_s = min(_CONNECT_S, 0.9 * attempt.limits.wall_s)
            client = httpx2.AsyncClient(
                transport=self._transport, timeout=httpx2.Timeout(None, connect=connect_s), trust_env=False
            )
            try:
                async with patience:
                    failure = await self._converse(client, attempt, record)
            except TimeoutError:
                failure = record.failure or timed_out(attempt.limits)
        return record.played(failure or record.failure)

    @asynccontextmanager
    async def _spans(self, attempt: Attempt, record: Record, patience: asyncio.Timeout) -> AsyncGenerator[None]:
        """Collect the agent's spans of one episode; a limit that they pass ends it."""
        collector = self._collector
        if collector is None:
            yield
            return

        def sink(span: RawSpan) -> None:
            if record.add_span(span) is not None:
                with contextlib.suppress(RuntimeError):  # it is over already
                    patience.reschedule(asyncio.get_running_loop().time())

        await collector.open()
        collector.expect(attempt.trace_id, sink)
        try:
            yield
            await collector.settle(attempt.trace_id, self._endpoint.spans_wait_s)
        finally:
            collector.forget(attempt.trace_id)

    async def close(self) -> None:
        """Release connections and port."""
        if self._collector is not None:
            await self._collector.close()
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def _converse(self, client: httpx2.AsyncClient, attempt: Attempt, record: Record) -> Failure | None:
        for turn in range(len(attempt.case.turns)):
            values = turn_values(attempt, turn, record.outputs)
            status, data = await self._exchange(client, values, attempt)
            if status is not None:
                return Failure(
                    boundary="agent",
                    kind=f"http_{status.partition(' ')[0]}",
                    message=f"the agent answered {status}",
                    detail=data[:_EXCERPT].decode("utf-8", "replace"),
                )
            if len(data) > _BODY_BYTES:
                message = f"the agent answered more than {_BODY_BYTES >> 20} MiB"
                return Failure(boundary="agent", kind="too_large", message=message)
            try:
                record.add_output(answer_at(data, self._endpoint.output))
            except LookupError as error:
                excerpt = data[:_EXCERPT].decode("utf-8", "replace")
                return Failure(boundary="agent", kind="no_output", message=str(error.args[0]), detail=excerpt)
        return None

    async def _exchange(
        self, client: httpx2.AsyncClient, values: dict[str, Any], attempt: Attempt
    ) -> tuple[str | None, bytes]:
        """Send one request, again where the agent asks for patience; return the status unless it is a success."""
        import httpx2

        for attempted in range(1, _TRIES + 1):
            try:
                async with client.stream(**self._request(values, attempt)) as response:
                    wait_s = _wait_s(response, attempted)
                    if wait_s is None:
                        _raise_for_infrastructure(response)
                        status = None if response.is_success else f"{response.status_code} {response.reason_phrase}"
                        return status, await _body(response)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise HarnessError(f"{attempt.case.id}: {self._endpoint.url}: {_said(error)}") from error
            await asyncio.sleep(wait_s)
        raise HarnessError(f"{self._endpoint.url} answered {_TOO_MANY} {_TRIES} times")

    def _request(self, values: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
        endpoint = self._endpoint
        headers = {"x-conversation-id": attempt.episode_id} | {
            key.lower(): fill_text(value, values).replace("\r", " ").replace("\n", " ")
            for key, value in self._headers.items()
        }
        headers["traceparent"] = f"00-{attempt.trace_id}-{attempt.root_id}-01"
        request: dict[str, Any] = {"method": endpoint.method, "url": fill_url(endpoint.url, values)}
        body = endpoint.body
        if body is None and endpoint.method.upper() not in _BODILESS:
            body = {"input": "{input}"}
        if body is not None:
            headers.setdefault("content-type", "application/json")
            request["content"] = msgspec.json.encode(fill(body, values))
        return request | {"headers": {key: value.encode() for key, value in headers.items()}}


def _transport(url: str) -> httpx2.AsyncHTTPTransport:
    import httpx2

    target = httpx2.URL(url.partition("{")[0])
    proxy = urllib.request.getproxies().get(target.scheme)
    if proxy and urllib.request.proxy_bypass(target.host):
        proxy = None
    return httpx2.AsyncHTTPTransport(proxy=proxy, limits=httpx2.Limits(max_connections=None))


def _wait_s(response: httpx2.Response, attempted: int) -> float | None:
    """Return how long an overloaded agent wants to be left alone; None when the response is to be taken as it is."""
    asked = response.headers.get("retry-after", "")
    if response.status_code != _TOO_MANY and not (response.status_code == 503 and asked):
        return None
    if attempted == _TRIES:
        return 0.0 if response.status_code == _TOO_MANY else None
    try:
        seconds = float(asked) if asked else float(attempted)
    except ValueError:
        seconds = _until(asked)
    return min(max(seconds, 0.0), _MOST_WAIT_S)


def _until(date: str) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return 1.0


def _raise_for_infrastructure(response: httpx2.Response) -> None:
    if response.status_code in _INFRASTRUCTURE:
        raise HarnessError(f"{response.url} answered {response.status_code} {response.reason_phrase}")
    if response.is_redirect:
        raise HarnessError(
            f"{response.url} redirects to {response.headers.get('location', '')}: configure that address"
        )


async def _body(response: httpx2.Response) -> bytes:
    """Read a body, a little more than may be kept at most."""
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > _BODY_BYTES:
            break
    return bytes(data)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
