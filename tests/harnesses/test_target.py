from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.core.errors import ConfigError
from assay.harnesses.target import Target, check_target, find_module, parse_target, takes_world, target_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "desk" / "inner").mkdir(parents=True)
    (tmp_path / "desk" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "desk" / "agent.py").write_text(
        "raise RuntimeError('imported')\nimport os as system\n"
        "if True:\n    def conditional(): ...\ntry:\n    from x import tried\nexcept ImportError:\n    tried = None\n"
        "class Desk:\n    def answer(self): ...\nasync def run(x): ...\nmade, (other) = 1, 2\n"
    )
    (tmp_path / "desk" / "inner" / "deep.py").write_text("def run(): ...")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "dynamic.py").write_text("from desk.agent import *")
    return tmp_path


@pytest.mark.parametrize("text", ["agent", "agent:", ":run", "a b:run", "a:run()", "a..b:run", "/etc/x.py:run"])
def test_a_target_is_a_module_and_a_function(text: str):
    with pytest.raises(ConfigError, match="module:function"):
        parse_target(text)


@pytest.mark.parametrize(
    "target",
    [
        "desk.agent:run",
        "desk.agent:Desk.answer",
        "desk.agent:conditional",
        "desk.agent:tried",
        "desk.agent:system.getcwd",
        "desk.agent:made",
        "desk.inner.deep:run",
        "dynamic:anything",
        "json:loads",
    ],
)
def test_targets_are_checked_without_importing_them(project: Path, target: str):
    check_target(parse_target(target), [str(project)])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("dsk.agent:run", r"there is no module 'dsk.agent' \(did you mean 'desk'"),
        ("desk.agnt:run", "there is no module 'desk.agnt'"),
        ("desk.agent.more:run", "there is no module"),
        ("desk.agent:runn", r"there is no 'runn' in .*agent.py \(did you mean 'run'"),
        ("broken:run", "broken.py:1: not Python"),
    ],
)
def test_targets_that_are_not_there_are_mistakes(project: Path, target: str, message: str):
    with pytest.raises(ConfigError, match=message):
        check_target(parse_target(target), [str(project)])


def test_namespace_packages_are_searched(tmp_path: Path):
    (tmp_path / "space" / "deep").mkdir(parents=True)
    (tmp_path / "space" / "deep" / "agent.py").write_text("def run(): ...")
    check_target(parse_target("space.deep.agent:run"), [str(tmp_path)])
    assert find_module("space.nothing.agent", [str(tmp_path)]) is None


def test_a_target_loads_its_function():
    assert Target(module="json", name="loads").load() is json.loads
    assert Target(module="json", name="JSONDecoder.decode").load() is json.JSONDecoder.decode
    with pytest.raises(TypeError, match="not a function"):
        Target(module="json", name="__doc__").load()


def module_level(text: str) -> str:
    return text


def test_functions_of_importable_modules_have_a_target():
    found = target_of(module_level)
    assert found is not None
    target, folder = found
    assert target.name == "module_level"
    assert find_module(target.module, [folder]) is not None
    assert target_of(json.loads) == (Target(module="json", name="loads"), "")


def test_functions_without_an_import_path_have_none(monkeypatch: pytest.MonkeyPatch):
    def inner(text: str) -> str:
        return text

    assert target_of(inner) is None
    assert target_of(lambda text: text) is None
    assert target_of(functools.partial(module_level)) is None
    monkeypatch.setattr(inner, "__qualname__", "elsewhere")
    assert target_of(inner) is None
    monkeypatch.setattr(inner, "__module__", "__main__")
    assert target_of(inner) is None


class Desk:
    def __call__(self, text: str, world: Any) -> str:
        return text

    def answer(self, text: str) -> str:
        return text


def plain(text: str) -> str:
    return text


def with_world(text: str, surroundings: Any) -> str:
    return text


def with_optional_world(text: str, world: Any = None) -> str:
    return text


def with_setting(text: str, temperature: float = 1.0) -> str:
    return text


def with_anything(*args: Any) -> Any:
    return args


async def coroutine(text: str, world: Any) -> str:
    return text


@pytest.mark.parametrize("function", [with_world, with_optional_world, coroutine, pytest.param(Desk(), id="desk")])
def test_an_agent_may_want_the_world(function: Callable[..., Any]):
    assert takes_world(function)


@pytest.mark.parametrize("function", [plain, with_setting, with_anything, Desk().answer, print])
def test_an_agent_may_want_its_input_only(function: Callable[..., Any]):
    assert not takes_world(function)


def without_input() -> None: ...


def with_three(text: str, world: Any, more: Any) -> None: ...


def with_keyword(*, text: str) -> None: ...


@pytest.mark.parametrize("function", [without_input, with_three, with_keyword])
def test_other_signatures_are_refused(function: Callable[..., Any]):
    with pytest.raises(TypeError, match="an agent is called with"):
        takes_world(function)
