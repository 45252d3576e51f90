"""What a run writes down about itself before it starts."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from assay.core.codec import digest, new_id
from assay.core.protocols import World
from assay.core.run import JudgeRef, RunManifest
from assay.core.usage import Limits
from assay.eval.confine import Confinement
from assay.eval.parts import Parts
from assay.eval.settings import EvalSettings

_GIT_S = 5.0


class Commit:
    """The project's git commit, asked for in the background because git is slower than everything else here."""

    def __init__(self, root: Path) -> None:
        self._commit = ""
        self._git: subprocess.Popen[bytes] | None = None
        try:
            self._git = subprocess.Popen(
                ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607 - the user's git
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.read()

    def read(self) -> str:
        """Return the commit, `-dirty` appended when the tree was; empty outside of a repository."""
        git, self._git = self._git, None
        if git is not None:
            try:
                out, _ = git.communicate(timeout=_GIT_S)
            except subprocess.TimeoutExpired:
                git.kill()
                out, _ = git.communicate()
            self._commit = out.decode(errors="replace").strip() if git.returncode == 0 else ""
        return self._commit


def base_lock(parts: Parts, settings: EvalSettings, isolation: str, world: World | None, fingerprint: str) -> str:
    """Digest everything but case and seed that an episode depends on; empty when the agent cannot be fingerprinted."""
    if not fingerprint:
        return ""
    return digest(
        [parts.harness.digest, fingerprint, world.digest if world is not None else "", settings.limits, isolation]
    )


def make_manifest(
    name: str,
    parts: Parts,
    settings: EvalSettings,
    confinement: Confinement,
    *,
    fingerprint: str,
    parent: str = "",
) -> RunManifest:
    """Describe a run to be; `commit` is filled in by the caller."""
    return RunManifest(
        run_id=new_id(),
        eval_name=name,
        kind="rejudge" if parent else "run",
        created_at=time.time(),
        dataset=parts.dataset.name,
        tier=parts.dataset.tier.value,
        dataset_digest=parts.dataset.digest,
        dataset_path=parts.dataset.path,
        cases=len(parts.dataset.cases),
        attempts=settings.attempts,
        harness=parts.harness.name,
        harness_kind=parts.harness.kind,
        harness_digest=parts.harness.digest,
        fingerprint=fingerprint,
        judges=tuple(JudgeRef(name=judge.name, digest=judge.digest) for judge in parts.judges),
        isolation=confinement.kind,
        isolation_note=confinement.note,
        guarantees=confinement.guarantees,
        limits=settings.limits or Limits(),
        retries=settings.retries,
        seed=settings.seed,
        tags=settings.tags,
        gate=settings.gate,
        parent=parent,
        version=_version(),
        host=_host(),
    )


def _version() -> str:
    try:
        return version("assay")
    except PackageNotFoundError:
        return ""


def _host() -> dict[str, Any]:
    return {"python": platform.python_version(), "platform": platform.platform(), "cores": os.cpu_count()}
