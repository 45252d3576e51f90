"""`[harness.NAME]` tables become harnesses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from assay.core.codec import digest
from assay.core.errors import ConfigError, Problem
from assay.core.protocols import Harness
from assay.core.tables import convert_table, join_key, nearest
from assay.core.usage import Limits
from assay.harnesses.agent import PythonAgent
from assay.harnesses.command import CommandHarness, Invocation
from assay.harnesses.endpoint import Endpoint
from assay.harnesses.function import FunctionHarness
from assay.harnesses.http import HttpHarness
from assay.harnesses.recorded import RecordedHarness

T = TypeVar("T", bound=msgspec.Struct)


class HarnessSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every harness table may say about the agent's surroundings."""

    kind: str = "function"
    """`function`, `command`, `http` or `recorded`."""
    isolation: Literal["auto", "jail", "process", "task"] = "auto"
    """Kind of isolation; `auto` takes the best that this machine gives."""
    network: Literal["none", "host"] = "none"
    """What a jail lets the agent reach: nothing, or whatever the machine reaches (needed to call a model)."""
    world: dict[str, Any] | None = None
    """The `world` table: files, databases, clock, variables."""
    limits: Limits | None = None
    """What an episode may use; None leaves it to the eval."""
    env: tuple[str, ...] = ()
    """Names of host variables that the agent may see; withheld otherwise."""
    fingerprint: tuple[str, ...] = ()
    """Files (glob patterns, folders) that make up the agent, relative to the project."""
    hide: tuple[str, ...] = ()
    """Files and folders of the project that the agent may not see."""


class FunctionTable(HarnessSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kind = "function"`."""

    target: str
    """`module:function`, called as `agent(input)` or `agent(input, world)`."""
    python_path: tuple[str, ...] = (".",)
    """Folders put on `sys.path`, relative to the project."""


class CommandTable(HarnessSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kind = "command"`."""

    argv: tuple[str, ...]
    """Program and arguments, with placeholders such as `{input}`."""
    stdin: Literal["auto", "text", "json", "none"] = "auto"
    """What the program reads; `auto` is `none` where an argument holds `{input}` or `{messages}`, else `text`."""
    output: Literal["auto", "text", "json"] = "auto"
    """How its standard output is read; `auto` is JSON where it parses, else text."""


class HttpTable(HarnessSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kind = "http"`."""

    url: str
    """Address, with placeholders such as `{case_id}`."""
    method: str = "POST"
    """Request method."""
    headers: dict[str, str] = {}
    """Request headers; `${NAME}` is the host's variable NAME."""
    body: Any = None
    """JSON sent, with placeholders; `{ input = "{input}" }` by default."""
    output: str = ""
    """JSON pointer to the answer in the response."""
    version_url: str = ""
    """Where the agent's version can be read."""
    version_header: str = ""
    """Response header of `version_url` that holds the version."""
    otlp_port: int = 0
    """Port of loopback where the agent's spans are received; 0 for none."""
    spans_wait_s: float = 2.0
    """Seconds to wait for spans after the answer."""


class RecordedTable(HarnessSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kind = "recorded"`."""

    recordings: str
    """File of recordings (JSON lines), relative to the project."""


TABLES: dict[str, type[HarnessSpec]] = {
    "function": FunctionTable,
    "command": CommandTable,
    "http": HttpTable,
    "recorded": RecordedTable,
}
"""The table of each kind."""


def harness_from_config(name: str, table: Mapping[str, Any], root: Path) -> tuple[Harness, HarnessSpec]:
    """Build the harness that a table of `assay.toml` describes, and what it says about its surroundings.

    Nothing of the agent is imported or started. Raises `ConfigError` with every mistake; keys start with
    `harness.NAME`.
    """
    key = f"harness.{name}"
    kind = table.get("kind", "function")
    if kind not in TABLES:
        hint = nearest(str(kind), TABLES) or f"kinds: {', '.join(TABLES)}"
        raise ConfigError([Problem(message=f"there is no kind '{kind}'", key=join_key(key, "kind"), hint=hint)])
    spec = convert_table(table, TABLES[kind], key=key)
    try:
        harness = _build(name, spec, root)
    except ConfigError as error:
        problems = [
            problem if problem.path else msgspec.structs.replace(problem, key=join_key(key, problem.key))
            for problem in error.problems
        ]
        raise ConfigError(problems) from error
    # what the agent may see and reach shapes what it does, whichever kind of harness calls it
    harness.digest = digest([harness.digest, spec.network, sorted(spec.env), sorted(spec.hide)])
    common = {field: getattr(spec, field) for field in HarnessSpec.__struct_fields__}
    return harness, HarnessSpec(**common)


def _build(name: str, table: HarnessSpec, root: Path) -> Harness:
    match table:
        case FunctionTable():
            agent = PythonAgent.at(table.target, root, python_path=table.python_path, files=table.fingerprint)
            return FunctionHarness(name, agent)
        case CommandTable():
            return CommandHarness(name, _part(table, Invocation), root, files=table.fingerprint)
        case HttpTable():
            return HttpHarness(name, _part(table, Endpoint))
        case RecordedTable():
            return RecordedHarness(name, root / table.recordings)
        case _:
            raise AssertionError(f"no harness is built from {type(table).__name__}")


def _part(table: HarnessSpec, type_: type[T]) -> T:
    return type_(**{field: getattr(table, field) for field in type_.__struct_fields__})
