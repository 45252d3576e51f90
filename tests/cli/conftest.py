from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ASSAY = str(Path(sys.executable).with_name("assay"))
Run = Callable[..., subprocess.CompletedProcess[str]]


def assay(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, in a folder."""
    kept = {name: value for name, value in os.environ.items() if name not in {"ASSAY_STORE", "PYTHONPATH"}}
    return subprocess.run(
        [ASSAY, *arguments],
        cwd=folder,
        env=kept | {"COLUMNS": "100"} | more,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A fresh first project."""
    done = assay(tmp_path, "init", "shop")
    assert done.returncode == 0, done.stderr
    return tmp_path / "shop"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first project whose eval ran; tests of this module only read it."""
    top = tmp_path_factory.mktemp("finished")
    assert assay(top, "init", "shop").returncode == 0
    done = assay(top / "shop", "run", "orders", "--attempts", "2")
    assert done.returncode == 0, done.stderr
    return top / "shop"
