from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.harnesses.stages import Stage

from assay.core.case import Case
from assay.core.protocols import Attempt
from assay.core.usage import Limits

MakeAttempt = Callable[..., Attempt]


@pytest.fixture
def attempt() -> MakeAttempt:
    """Make an attempt at a case with this input."""

    def make(request: Any = "hi", *, case_id: str = "c1", number: int = 0, **limits: Any) -> Attempt:
        return Attempt(
            episode_id="run-0-0",
            case=Case(id=case_id, input=request),
            number=number,
            seed=7,
            trace_id="0af7651916cd43dd8448eb211c80319c",
            root_id="b7ad6b7169203331",
            limits=Limits(**{"wall_s": 20.0, **limits}),
        )

    return make


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A project with agents and a world."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()
