from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.core.errors import ConfigError, Problem
from assay.core.protocols import Harness
from assay.core.usage import Limits
from assay.harnesses.config import HarnessSpec, harness_from_config


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "desk.py").write_text("def agent(request): ...")
    (tmp_path / "recordings.jsonl").write_text("")
    return tmp_path


def read(project: Path, toml: str) -> tuple[Harness, HarnessSpec]:
    return harness_from_config("desk", tomllib.loads(toml), project)


def problems(project: Path, toml: str) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        read(project, toml)
    return {problem.key: problem for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("toml", "kind", "isolations"),
    [
        ('target = "desk:agent"', "function", ("jail", "process", "task")),
        ('kind = "command"\nargv = ["cat"]', "command", ("jail", "process")),
        ('kind = "http"\nurl = "http://localhost:1/ask"\nbody = { q = "{input}" }', "http", ("remote",)),
        ('kind = "recorded"\nrecordings = "recordings.jsonl"', "recorded", ("recorded",)),
    ],
)
def test_every_kind_has_a_table(project: Path, toml: str, kind: str, isolations: tuple[str, ...]):
    harness, spec = read(project, toml)
    assert isinstance(harness, Harness)
    assert (harness.name, harness.kind, harness.isolations) == ("desk", kind, isolations)
    assert msgspec.structs.replace(spec, kind="function") == HarnessSpec()


def test_what_is_common_to_all_kinds_is_handed_on(project: Path):
    toml = """
    target = "desk:agent"
    isolation = "process"
    network = "host"
    env = ["API_KEY"]
    hide = ["datasets"]
    fingerprint = ["desk.py"]
    [limits]
    wall_s = 30
    [world]
    files = "seed"
    """
    _, spec = read(project, toml)
    assert spec == HarnessSpec(
        isolation="process", network="host", env=("API_KEY",), hide=("datasets",), fingerprint=("desk.py",),
        limits=Limits(wall_s=30), world={"files": "seed"},
    )  # fmt: skip


def test_every_mistake_is_named_with_its_key(project: Path):
    found = problems(project, 'kind = "http"\nul = "x"\nmethod = 3\nisolation = "jial"\n[limits]\nwall = 3')
    assert set(found) == {
        "harness.desk.ul", "harness.desk.url", "harness.desk.method", "harness.desk.isolation", "harness.desk.limits.wall",
    }  # fmt: skip
    assert found["harness.desk.ul"].hint == "did you mean 'url'?"
    assert found["harness.desk.limits.wall"].hint == "did you mean 'wall_s'?"


@pytest.mark.parametrize(
    ("toml", "key", "message"),
    [
        ('kind = "htp"', "kind", "there is no kind 'htp'"),
        ('target = "desk"', "target", "'desk' is not of the form module:function"),
        ('target = "desk:agnet"', "target", "there is no 'agnet' in"),
        ('target = "desk:agent"\nfingerprint = ["*.txt"]', "fingerprint", "'*.txt' matches no file"),
        ('kind = "command"\nargv = ["nothing-like-it"]', "argv", "there is no program 'nothing-like-it'"),
        ('kind = "http"\nurl = "localhost"', "url", "must start with http:// or https://"),
        ('kind = "recorded"\nrecordings = "x"', "recordings", "there is no file"),
    ],
)
def test_mistakes_that_only_the_kind_can_see_have_a_key_too(project: Path, toml: str, key: str, message: str):
    ((place, problem),) = problems(project, toml).items()
    assert place == f"harness.desk.{key}"
    assert problem.message.startswith(message)


@pytest.mark.parametrize("more", ['network = "host"', 'env = ["A"]', 'hide = ["b"]'])
def test_what_the_agent_may_see_is_part_of_the_digest(project: Path, more: str):
    digests = [read(project, f'target = "desk:agent"\n{extra}')[0].digest for extra in ("", "", more)]
    assert digests[0] == digests[1] != digests[2]


def test_the_name_and_the_limits_are_no_part_of_the_digest(project: Path):
    table: dict[str, Any] = {"target": "desk:agent"}
    one, _ = harness_from_config("one", table, project)
    two, _ = harness_from_config("two", table | {"limits": {"wall_s": 3}}, project)
    assert one.digest == two.digest
