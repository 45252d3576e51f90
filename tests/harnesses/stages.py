from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from assay.core.effects import Effects
from assay.core.protocols import Attempt, Harness, Played, SandboxNeeds
from assay.core.sandbox import Sandbox
from assay.harnesses.agent import PythonAgent
from assay.harnesses.function import FunctionHarness
from assay.worlds.isolation.sandbox import ZygoteSandbox, open_sandbox
from assay.worlds.isolation.spec import IsolationSpec
from assay.worlds.scratch import Scratch
from assay.worlds.spec import DatabaseSpec, WorldSpec
from assay.worlds.world import TemplateWorld

SPEC = WorldSpec(files="seed", databases={"hotel": DatabaseSpec(seed=("hotel.sql",))}, fixed={"MODE": "test"})


class Stage:
    """A project with agents and a world, and everything that it takes to play a case in a real sandbox."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        (self.project / "seed").mkdir(parents=True)
        (self.project / "seed" / "policy.md").write_text("be kind")
        (self.project / "hotel.sql").write_text("CREATE TABLE stays (id INTEGER PRIMARY KEY, guest TEXT);")
        shutil.copy(Path(__file__).with_name("agents.py"), self.project / "desk_agents.py")
        self.scratch = Scratch(folder / "scratch")
        self.world = TemplateWorld(SPEC, self.project, self.scratch)

    def function(self, name: str) -> FunctionHarness:
        return FunctionHarness("desk", PythonAgent.at(f"desk_agents:{name}", self.project))

    @asynccontextmanager
    async def sandbox(self, kind: str, needs: SandboxNeeds, **changes: Any) -> AsyncIterator[ZygoteSandbox]:
        settings: dict[str, Any] = {
            "kind": kind,
            "scratch": str(self.scratch.path),
            "project_root": str(self.project),
            "preload": needs.preload,
            "python_path": needs.python_path,
            "env": needs.env,
        }
        sandbox = await open_sandbox(IsolationSpec(**{**settings, **changes}))
        try:
            yield sandbox
        finally:
            await sandbox.close()

    async def play(self, harness: Harness, attempt: Attempt, kind: str, **changes: Any) -> tuple[Played, Effects]:
        """Play one case in a sandbox of its own, or as a task in this process."""
        if kind == "task":
            return await self.play_in(None, harness, attempt)
        async with self.sandbox(kind, harness.needs(), **changes) as sandbox:
            return await self.play_in(sandbox, harness, attempt)

    async def play_in(self, sandbox: Sandbox | None, harness: Harness, attempt: Attempt) -> tuple[Played, Effects]:
        live = self.world.open(attempt.episode_id, attempt.case, attempt.seed)
        try:
            played = await harness.play(attempt, live, sandbox)
            return played, live.effects()
        finally:
            live.close()

    def close(self) -> None:
        self.world.close()
        self.scratch.close()
