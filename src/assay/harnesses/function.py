"""The `function` harness: a Python agent, in a process of its own or as a task in the worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.core.errors import HarnessError
from assay.core.protocols import Attempt, LiveWorld, Played, SandboxNeeds
from assay.core.sandbox import Call, Sandbox
from assay.harnesses.agent import PythonAgent
from assay.harnesses.handle import Surroundings, WorldHandle
from assay.harnesses.record import Record
from assay.harnesses.script import ENTRY, WARM, Script, encode_script
from assay.harnesses.stage import watch
from assay.harnesses.target import takes_world
from assay.harnesses.task import play_here
from assay.otel.environment import content_environment


class FunctionHarness:
    """Calls `agent(input)` or `agent(input, world)`, sync or async, once per user turn."""

    kind = "function"
    shares_port = False

    def __init__(self, name: str, agent: PythonAgent) -> None:
        """`name` becomes the name of the root span."""
        self.name = name
        self.digest = agent.digest
        self.isolations: tuple[str, ...] = ("task",) if agent.target is None else ("jail", "process", "task")
        self._agent = agent
        self._loaded: tuple[Callable[..., Any], bool] | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], *, root: Path | None = None, name: str = "") -> FunctionHarness:
        """Make a harness of a function in memory.

        One that a fresh process could import runs under any isolation; anything else (lambdas, inner functions, what
        stands in the script that is being run) as `task` only. Raises `ConfigError` for other signatures.
        """
        agent = PythonAgent.of(function, root or Path.cwd())
        return cls(name or agent.name, agent)

    @property
    def takes_world(self) -> bool:
        """Whether the agent wants the world as its second argument; imports the agent to find out."""
        return self._load()[1]

    def fingerprint(self) -> str:
        """Digest the agent's files and the dependency locks; empty for functions that have no file of their own."""
        return self._agent.fingerprint()

    def needs(self) -> SandboxNeeds:
        """Have the agent imported and span capture prepared once, before it is copied for every episode."""
        if self._agent.target is None:
            return SandboxNeeds()
        loop = ("asyncio",) if self._agent.is_async else ()
        preload = (*loop, self._agent.target.module, WARM)
        return SandboxNeeds(preload=preload, python_path=self._agent.path, env=content_environment())

    async def play(self, attempt: Attempt, world: LiveWorld | None, sandbox: Sandbox | None) -> Played:
        """Play all turns. Raises `HarnessError` when the agent cannot be imported or lacks the world that it takes."""
        if sandbox is not None:
            return await self._play_in(sandbox, attempt, world)
        function, wants_world = self._load()
        handle: WorldHandle | None = None
        if wants_world:
            if world is None:
                raise HarnessError(f"the agent {self.name} takes a world, but none was opened for it")
            handle = WorldHandle(_surroundings(attempt, world, world.place.work))
        return await play_here(function, handle, attempt, Record(attempt, self.name))

    async def close(self) -> None:
        """Release nothing."""

    async def _play_in(self, sandbox: Sandbox, attempt: Attempt, world: LiveWorld | None) -> Played:
        target, limits = self._agent.target, attempt.limits
        if world is None or target is None:
            raise HarnessError(f"{self.name} cannot run in a {sandbox.kind}: it has no world or no import path")
        script = Script(
            target=target,
            turns=attempt.case.turns,
            surroundings=_surroundings(attempt, world, sandbox.inside(world.place).work),
            trace_id=attempt.trace_id,
            root_id=attempt.root_id,
            output_kb=limits.output_kb,
        )
        record = Record(attempt, self.name)
        running = await sandbox.start(
            Call(entry=ENTRY, payload=encode_script(script)),
            world.place,
            wall_s=limits.wall_s,
            memory_mb=limits.memory_mb,
            listen=False,
        )
        return await watch(running, record, limits)

    def _load(self) -> tuple[Callable[..., Any], bool]:
        if self._loaded is None:
            function = self._agent.load()
            try:
                self._loaded = function, takes_world(function)
            except TypeError as error:
                raise HarnessError(f"{self.name}: {error}") from error
        return self._loaded


def _surroundings(attempt: Attempt, world: LiveWorld, work: str) -> Surroundings:
    """Describe a world whose workspace the agent sees at `work`."""
    host = world.place.work
    return Surroundings(
        workspace=work,
        databases={name: work + path.removeprefix(host) for name, path in world.databases.items()},
        clock=world.clock,
        seed=attempt.seed,
        env=world.place.env,
    )
