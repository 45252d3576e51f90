"""Which isolation a run uses, and how workers open it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec

from assay.core.errors import ConfigError, IsolationUnavailableError, Problem
from assay.core.protocols import Harness
from assay.core.sandbox import Sandbox
from assay.core.tables import nearest
from assay.harnesses.config import HarnessSpec
from assay.worlds.isolation.probe import probe
from assay.worlds.isolation.sandbox import open_sandbox
from assay.worlds.isolation.spec import IsolationSpec

T = TypeVar("T")
_SANDBOXED = ("jail", "process")
_ALWAYS_HIDDEN = (".assay", ".git", ".env", "evals", "assay.toml")
"""What no agent may read of its project: earlier results, the answers, secrets."""


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """The isolation of one run."""

    kind: str
    """`jail`, `process`, `task`, `remote` or `recorded`."""
    note: str
    """One line: why this kind, what was verified."""
    guarantees: tuple[str, ...] = ()
    """What holds."""
    open_sandbox: Callable[[], Awaitable[Sandbox]] | None = None
    """Opens a worker's sandbox; None where there is none."""

    @property
    def needs_world(self) -> bool:
        """Whether every episode needs directories of its own."""
        return self.open_sandbox is not None


class _Opener(msgspec.Struct, frozen=True, kw_only=True):
    """Opens a sandbox inside a worker; a value, so that it can be sent to fresh interpreters."""

    spec: IsolationSpec

    async def __call__(self) -> Sandbox:
        return await open_sandbox(self.spec)


def confine(
    harness: Harness, spec: HarnessSpec, wanted: str, *, root: Path, scratch: Path, hide: tuple[str, ...]
) -> Confinement:
    """Choose the isolation of a run and try it out.

    `wanted` replaces what the harness says; `hide` are paths of the project that the agent must not see. Raises
    `IsolationUnavailableError` when a kind that was asked for cannot be had: never another kind instead.
    """
    wanted = wanted or spec.isolation
    possible = harness.isolations
    if wanted != "auto" and wanted not in possible:
        hint = (
            f"possible: auto, {', '.join(possible)}" if nearest(wanted, possible) == "" else nearest(wanted, possible)
        )
        message = f'a {harness.kind} harness cannot run with isolation "{wanted}"'
        raise ConfigError([Problem(message=message, key="isolation", hint=hint)])
    sandboxed = [kind for kind in possible if kind in _SANDBOXED]
    if wanted not in {"auto", *_SANDBOXED} or not sandboxed:
        kind = possible[0] if wanted == "auto" else wanted
        return Confinement(kind=kind, note=_NOTES[kind] if wanted != "auto" or kind != "task" else _ONLY_TASK)
    kind = wanted if wanted != "auto" or "jail" in sandboxed else "process"
    found = _await(probe(cast("Literal['auto', 'jail', 'process']", kind), network=spec.network))
    if found.kind not in possible:
        raise IsolationUnavailableError(f"isolation {found.kind} cannot run this harness: {found.reason}")
    needs = harness.needs()
    isolation = IsolationSpec(
        kind=cast("Literal['jail', 'process']", found.kind),
        scratch=str(scratch),
        preload=needs.preload,
        python_path=needs.python_path,
        env=needs.env,
        project_root=str(root),
        hide=tuple(path for path in (*_ALWAYS_HIDDEN, *hide, *spec.hide) if (root / path).exists()),
        network=spec.network,
        output_bytes=64 * 1024,
    )
    return Confinement(
        kind=found.kind, note=found.line, guarantees=found.guarantees, open_sandbox=_Opener(spec=isolation)
    )


_NOTES = {
    "task": "isolation: task (a coroutine in a shared worker: not hermetic)",
    "remote": "isolation: remote (the agent runs elsewhere; its world is not ours)",
    "recorded": "isolation: recorded (the episodes already happened)",
}
_ONLY_TASK = "isolation: task (not hermetic) - the agent cannot be imported by a fresh process: move it to a module"


def _await(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, on a loop of its own in a thread where one is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    box: list[T | BaseException] = []

    def run() -> None:
        try:
            box.append(asyncio.run(coroutine))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            box.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]
