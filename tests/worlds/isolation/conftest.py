from __future__ import annotations

from pathlib import Path

import pytest
from tests.worlds.isolation.lab import Lab


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
