from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def as_ordinary_user() -> Callable[[Callable[[], None]], None]:
    """Run a function in a child process that has no power over modes (root ignores them)."""

    def run(function: Callable[[], None]) -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                function()
                code = 0
            except BaseException:  # noqa: BLE001 - the child's one boundary: it must never return into pytest
                traceback.print_exc()
            os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0

    return run


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that an ordinary user can write to and reach."""
    folder = tmp_path_factory.mktemp("open")
    for place in (folder, *folder.parents[:3]):  # with several test processes one level more
        place.chmod(place.stat().st_mode | 0o755)
    folder.chmod(0o777)
    return folder
