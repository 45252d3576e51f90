from __future__ import annotations

from pathlib import Path

import pytest

from assay.core.errors import ConfigError
from assay.harnesses.fingerprint import file_fingerprint, globbed, package_files
from assay.harnesses.target import find_module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "desk" / "prompts").mkdir(parents=True)
    (tmp_path / "desk" / "__init__.py").write_text("")
    (tmp_path / "desk" / "agent.py").write_text("x = 1")
    (tmp_path / "desk" / "prompts" / "system.md").write_text("be kind")
    (tmp_path / "uv.lock").write_text("a==1")
    return tmp_path


def fingerprint(project: Path, *patterns: str, settings: str = "") -> str:
    return file_fingerprint(project, globbed(project, patterns, "fingerprint"), settings)


def test_it_changes_with_files_names_locks_and_settings(project: Path):
    seen = [fingerprint(project, "desk/**/*"), fingerprint(project, "desk/**/*", settings="t=1")]
    for path, text in (
        ("desk/agent.py", "x = 2"),
        ("desk/prompts/new.md", ""),
        ("uv.lock", "a==2"),
        ("requirements.txt", "b"),
    ):
        (project / path).write_text(text)
        seen.append(fingerprint(project, "desk/**/*"))
    (project / "desk" / "agent.py").rename(project / "desk" / "agents.py")
    seen.append(fingerprint(project, "desk/**/*"))
    assert len(set(seen)) == len(seen)


def test_it_does_not_change_with_place_time_caches_and_other_files(
    project: Path, tmp_path_factory: pytest.TempPathFactory
):
    before = fingerprint(project, "desk")
    (project / "notes.txt").write_text("x")
    (project / "desk" / "__pycache__").mkdir()
    (project / "desk" / "__pycache__" / "agent.pyc").write_text("x")
    (project / "desk" / "agent.py").touch()
    assert fingerprint(project, "desk") == before
    moved = tmp_path_factory.mktemp("other") / "project"
    project.rename(moved)
    assert fingerprint(moved, "desk") == before


def test_patterns_that_match_nothing_are_mistakes(project: Path):
    with pytest.raises(ConfigError) as caught:
        globbed(project, ["desk/*.py", "dsk/*.py", "/etc/*"], "fingerprint")
    assert [problem.key for problem in caught.value.problems] == ["fingerprint", "fingerprint"]


def test_a_package_is_all_its_sources(project: Path):
    (project / "single.py").write_text("")
    path = [str(project)]
    assert [file.name for file in package_files(find_module("desk", path))] == ["__init__.py", "agent.py"]
    assert [file.name for file in package_files(find_module("single", path))] == ["single.py"]
    assert package_files(None) == []
    assert package_files(find_module("_ssl", [])) == []
