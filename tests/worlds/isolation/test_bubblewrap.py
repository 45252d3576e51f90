from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.worlds.isolation.lab import Lab

from assay.core.errors import ConfigError
from assay.worlds.isolation import bubblewrap, spec


def close(view: bubblewrap.View) -> None:
    for fd in view.fds:
        os.close(fd)


def test_the_systems_own_bubblewrap_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bwrap"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bubblewrap.candidates()[0] == str(program)
    monkeypatch.setenv("PATH", "")
    assert str(program) not in bubblewrap.candidates()


def test_interpreter_libraries_and_project_are_read_only(lab: Lab) -> None:
    view = bubblewrap.view(lab.spec("jail"), None)
    shown = {view.argv[at + 1] for at, word in enumerate(view.argv) if word == "--ro-bind"}
    writable = {view.argv[at + 1] for at, word in enumerate(view.argv) if word == "--bind"}
    close(view)
    assert str(lab.project) in shown
    assert writable == {"/proc", str(lab.scratch)}
    for root in bubblewrap.python_roots():
        assert any(root == top or root.startswith(f"{top}/") for top in (*shown, "/usr", "/opt", "/nix", "/gnu"))


@pytest.mark.parametrize("path", ["/", "/home", "/tmp", "/proc", "/dev/shm", "/var"])
def test_what_contains_private_directories_cannot_be_shown(lab: Lab, path: str) -> None:
    with pytest.raises(ConfigError, match="must be private"):
        bubblewrap.view(lab.spec("jail", read_only=(path,)), None)


def test_packages_installed_for_editing_are_visible(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "editable.pth").write_text(f"{lab.project}\nimport this_is_code\nrelative\n")
    monkeypatch.setattr("site.getsitepackages", lambda: [str(packages)])
    assert str(lab.project) in bubblewrap.python_roots()
    assert not [root for root in bubblewrap.python_roots() if "import" in root or "relative" in root]


def test_a_project_under_a_private_directory_stays_visible(lab: Lab) -> None:
    view = bubblewrap.view(lab.spec("jail", project_root="/usr/share", python_path=(str(lab.project),)), None)
    close(view)
    assert str(lab.project) in view.keep or not str(lab.project).startswith(("/tmp", "/var/tmp", "/dev/shm", "/run"))


def test_a_project_in_the_usual_workspace_moves_the_agents_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bubblewrap.working_directory(lab.spec("jail")) == "/workspace"
    monkeypatch.setattr(spec, "WORK", str(lab.project))
    assert bubblewrap.working_directory(lab.spec("jail")) == f"{lab.project}-of-agent"
    view = bubblewrap.view(lab.spec("jail"), None)
    close(view)
    assert view.work == f"{lab.project}-of-agent"
