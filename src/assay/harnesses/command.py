"""The `command` harness: an agent in any language, one process per user turn."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from assay.core.codec import digest
from assay.core.episode import Failure
from assay.core.errors import ConfigError, HarnessError, Problem, WorldError
from assay.core.protocols import Attempt, LiveWorld, Played, SandboxNeeds
from assay.core.sandbox import Command, Exit, Running, Sandbox
from assay.harnesses.fingerprint import file_fingerprint, globbed
from assay.harnesses.limits import timed_out
from assay.harnesses.record import Record, log_text
from assay.harnesses.stage import exit_failure, owned
from assay.harnesses.template import NAMES, as_text, fill_text, mistakes, turn_values
from assay.otel.environment import exporter_environment
from assay.otel.raw import RawSpan
from assay.otel.receiver import Receiver

PLACEHOLDERS = (*NAMES, "workspace", "clock", "root")
"""What arguments may hold in braces."""
_ENDPOINT = "http://127.0.0.1:{listen_port}"
_CARRIES_INPUT = ("{input}", "{messages}")
_LOOP_TURNS = 10


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """How a program is asked."""

    argv: tuple[str, ...]
    """Program and arguments, with placeholders; arguments that name a file of the project become its full path."""
    stdin: Literal["auto", "text", "json", "none"] = "auto"
    """`text`: the turn (what is no text as JSON); `json`: an object with the turn and all other placeholders' values;
    `auto`: nothing where an argument holds `{input}` or `{messages}`, else `text`."""
    output: Literal["auto", "text", "json"] = "auto"
    """`auto`: standard output as JSON where it parses, else as text."""


class CommandHarness:
    """Runs a program in the episode's workspace: one process per turn, with the same files and HOME for all turns.

    The program finds `ASSAY_CASE_ID`, `ASSAY_SEED`, `ASSAY_ATTEMPT`, `ASSAY_TURN` (from 0), `ASSAY_CLOCK`,
    `ASSAY_WORKSPACE`, `ASSAY_DB_<NAME>` (paths of databases) and OpenTelemetry's variables in its environment.
    """

    kind = "command"
    isolations: tuple[str, ...] = ("jail", "process")
    takes_world = False
    shares_port = False

    def __init__(self, name: str, invocation: Invocation, root: Path, *, files: tuple[str, ...] = ()) -> None:
        """`files` are the patterns of the agent's files below `root`; without them nothing is reused.

        Raises `ConfigError` when the program or the files are not there, and for misspelled placeholders.
        """
        problems = list(_problems(invocation.argv, root))
        if problems:
            raise ConfigError(problems)
        globbed(root, files, "fingerprint")
        self.name = name
        self.digest = digest(["command", invocation])
        self._invocation = msgspec.structs.replace(
            invocation, argv=tuple(_located(argument, root) for argument in invocation.argv)
        )
        self._declared = list(invocation.argv)
        self._root = root
        self._files = files

    def fingerprint(self) -> str:
        """Digest the files that were named and the dependency locks; empty when none were named."""
        if not self._files:
            return ""
        return file_fingerprint(self._root, globbed(self._root, self._files, "fingerprint"), self._declared)

    def needs(self) -> SandboxNeeds:
        """Need nothing that is preloaded."""
        return SandboxNeeds()

    async def play(self, attempt: Attempt, world: LiveWorld | None, sandbox: Sandbox | None) -> Played:
        """Run the program once per turn. Raises `HarnessError` without a sandbox, `WorldError` when that fails."""
        if world is None or sandbox is None:
            raise HarnessError(f"{self.name} runs programs, so it needs a world and a sandbox")
        record = Record(attempt, self.name)
        episode = _Episode(self._invocation, str(self._root), attempt, world, sandbox, record)
        failure: Failure | None = None
        for turn in range(len(attempt.case.turns)):
            failure = await episode.play(turn)
            if failure is not None:
                break
        return record.played(failure, log_text(*episode.logs, limit_kb=attempt.limits.output_kb))

    async def close(self) -> None:
        """Release nothing."""


class _Episode:
    """One episode of a program."""

    def __init__(
        self,
        invocation: Invocation,
        root: str,
        attempt: Attempt,
        world: LiveWorld,
        sandbox: Sandbox,
        record: Record,
    ) -> None:
        self.logs: list[bytes] = []
        """What was printed, answers excepted."""
        self._invocation = invocation
        self._attempt = attempt
        self._world = world
        self._sandbox = sandbox
        self._record = record
        self._end = time.monotonic() + attempt.limits.wall_s
        inside = sandbox.inside(world.place)
        self._surroundings: dict[str, Any] = {
            "workspace": inside.work,
            "clock": world.clock.isoformat(),
            "root": root,
            "databases": {
                name: inside.work + path.removeprefix(world.place.work) for name, path in world.databases.items()
            },
        }

    async def play(self, turn: int) -> Failure | None:
        """Play one turn; returns why the agent failed."""
        limits = self._attempt.limits
        wall_s = self._end - time.monotonic()
        if wall_s <= 0:
            return timed_out(limits)
        values = turn_values(self._attempt, turn, self._record.outputs) | self._surroundings
        place = msgspec.structs.replace(self._world.place, env=self._environment(turn))
        running = await self._sandbox.start(
            self._program(values), place, wall_s=wall_s, memory_mb=limits.memory_mb, listen=True
        )
        left = await self._watch(running)
        failure = self._record.failure or exit_failure(left, limits, "")
        if failure is None:
            try:
                self._record.add_output(_output(left.stdout, self._invocation.output))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                failure = Failure(boundary="agent", kind="no_output", message=f"standard output is no JSON: {error}")
        self.logs += [left.stderr] if failure is None else [left.stderr, left.stdout]
        return failure

    async def _watch(self, running: Running) -> Exit:
        """Receive spans until the program has left, or passed a limit and was ended."""
        passed = asyncio.Event()

        def sink(spans: list[RawSpan]) -> None:
            for span in spans:
                if self._record.add_span(span) is not None:
                    passed.set()

        receiver = Receiver(sink)
        async with owned(running):
            if running.listener is not None:
                await receiver.start(running.listener)
            try:
                left = await _left_or_ended(running, passed)
                for _ in range(
                    _LOOP_TURNS
                ):  # what the program sent before it left is taken in before the receiver closes
                    await asyncio.sleep(0)
            finally:
                await receiver.close()
        if left.status == "lost":
            raise WorldError(f"the sandbox lost the agent: {left.detail}")
        return left

    def _program(self, values: dict[str, Any]) -> Command:
        invocation = self._invocation
        argv = tuple(fill_text(argument, values) for argument in invocation.argv)
        carried = any(mark in argument for argument in invocation.argv for mark in _CARRIES_INPUT)
        stdin = invocation.stdin if invocation.stdin != "auto" else "none" if carried else "text"
        if stdin == "none":
            return Command(argv=argv)
        return Command(
            argv=argv, stdin=msgspec.json.encode(values) if stdin == "json" else as_text(values["input"]).encode()
        )

    def _environment(self, turn: int) -> dict[str, str]:
        attempt, around = self._attempt, self._surroundings
        databases: dict[str, str] = around["databases"]
        return {
            **self._world.place.env,
            **exporter_environment(_ENDPOINT, attempt.trace_id, attempt.root_id),
            "ASSAY_CASE_ID": attempt.case.id.replace("\0", ""),
            "ASSAY_SEED": str(attempt.seed),
            "ASSAY_ATTEMPT": str(attempt.number),
            "ASSAY_TURN": str(turn),
            "ASSAY_CLOCK": around["clock"],
            "ASSAY_WORKSPACE": around["workspace"],
            **{f"ASSAY_DB_{re.sub(r'[^A-Z0-9]', '_', name.upper())}": path for name, path in databases.items()},
        }


async def _left_or_ended(running: Running, passed: asyncio.Event) -> Exit:
    leaving, stopping = asyncio.ensure_future(running.exit()), asyncio.ensure_future(passed.wait())
    try:
        await asyncio.wait((leaving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not leaving.done():
            await running.kill()
        return await leaving
    finally:
        stopping.cancel()
        leaving.cancel()


def _output(data: bytes, how: str) -> Any:
    """Read an answer; raises what decoding raises when JSON was asked for and there is none."""
    if how != "text":
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if how == "json":
                raise
    return data.decode("utf-8", "replace").removesuffix("\n")


def _problems(argv: tuple[str, ...], root: Path) -> Iterator[Problem]:
    for mistake in mistakes(list(argv), PLACEHOLDERS):
        yield Problem(message=mistake, key="argv")
    if not argv:
        yield Problem(message="names no program", key="argv")
    elif "{" not in argv[0] and shutil.which(_located(argv[0], root)) is None:
        yield Problem(message=f"there is no program '{argv[0]}'", key="argv", hint=f"looked on PATH and in {root}")


def _located(argument: str, root: Path) -> str:
    return str(root / argument) if argument and "{" not in argument and (root / argument).is_file() else argument
