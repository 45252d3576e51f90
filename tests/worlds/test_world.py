from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay.core.case import Case
from assay.core.effects import NO_EFFECTS
from assay.core.errors import ConfigError, WorldError
from assay.worlds.scratch import Scratch
from assay.worlds.spec import DEFAULT_CLOCK, DatabaseSpec, WorldSpec
from assay.worlds.world import TemplateWorld

SPEC = WorldSpec(
    files="seed",
    databases={"hotel": DatabaseSpec(seed=("hotel.sql",), volatile=("rooms.seen",), path="data/hotel.db")},
    fixed={"MODE": "test"},
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "policy.md").write_text("be kind")
    (tmp_path / "hotel.sql").write_text(
        "CREATE TABLE rooms (number TEXT PRIMARY KEY, price INTEGER, seen TEXT); INSERT INTO rooms VALUES ('1', 10, '');"
    )
    return tmp_path


@pytest.fixture
def world(root: Path) -> Iterator[TemplateWorld]:
    scratch = Scratch(root / "scratch")
    world = TemplateWorld(SPEC, root, scratch)
    yield world
    world.close()
    assert [path.name for path in scratch.path.iterdir()] == [".lock"]
    scratch.close()


def case(**world: Any) -> Case:
    return Case(id="c1", input="hi", world=world)


def run_sql(path: str, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_an_episode_finds_seeds_and_leaves_effects(world: TemplateWorld):
    live = world.open("e1", case(), 7)
    work = Path(live.place.work)
    assert (work / "policy.md").read_text() == "be kind"
    assert live.databases == {"hotel": str(work / "data" / "hotel.db")}
    assert live.clock == DEFAULT_CLOCK
    assert live.place.env == {"MODE": "test", "TZ": "UTC", "PYTHONHASHSEED": "7"}
    (work / "note.txt").write_text("booked")
    run_sql(live.databases["hotel"], "UPDATE rooms SET price = 11, seen = 'now'")
    effects = live.effects()
    assert [(change.path, change.change, change.text) for change in effects.files] == [("note.txt", "added", "booked")]
    (row,) = effects.table("hotel.rooms").changed
    assert (row.before["price"], row.after) == (10, {"number": "1", "price": 11})
    folder = work.parent
    live.close()
    assert not folder.exists()


def test_equal_seeds_open_equal_worlds(world: TemplateWorld, root: Path):
    one, two = world.open("e1", case(), 1), world.open("e2", case(), 2)
    run_sql(one.databases["hotel"], "DELETE FROM rooms")
    (Path(one.place.work) / "policy.md").write_text("be rude")
    three = world.open("e3", case(), 1)
    assert one.digest == two.digest == three.digest
    assert two.effects() == three.effects() == NO_EFFECTS
    other = TemplateWorld(SPEC, root)
    assert (other.digest, other.open("e1", case(), 1).digest) == (world.digest, one.digest)
    other.close()


def test_the_digest_changes_with_spec_and_seeds(root: Path):
    digests = {TemplateWorld(SPEC, root).digest, TemplateWorld(WorldSpec(files="seed"), root).digest}
    (root / "seed" / "policy.md").write_text("be kinder")
    digests.add(TemplateWorld(SPEC, root).digest)
    (root / "hotel.sql").write_text("CREATE TABLE rooms (number TEXT, seen TEXT);")
    digests.add(TemplateWorld(SPEC, root).digest)
    assert len(digests) == 4


def test_a_case_changes_its_world_and_only_its_own(world: TemplateWorld):
    moment = datetime(2027, 2, 3, tzinfo=UTC)
    changed = case(
        files={"policy.md": None, "in/box.txt": "mail"},
        databases={
            "hotel": {"sql": ["INSERT INTO rooms VALUES ('2', 20, '')", "DELETE FROM rooms WHERE number = '1'"]}
        },
        clock=moment.isoformat(),
    )
    live, again, plain = world.open("e1", changed, 1), world.open("e2", changed, 1), world.open("e3", case(), 1)
    assert live.digest == again.digest != plain.digest
    assert live.clock == moment
    assert live.effects() == plain.effects() == NO_EFFECTS
    run_sql(live.databases["hotel"], "UPDATE rooms SET price = 21")
    (Path(live.place.work) / "in" / "box.txt").unlink()
    effects = live.effects()
    assert [row.before["price"] for row in effects.table("rooms").changed] == [20]
    assert [(change.path, change.change) for change in effects.files] == [("in/box.txt", "removed")]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"fils": {}}, "world.fils: unknown key \\(did you mean 'files'"),
        ({"databases": {"hotl": {"sql": []}}}, "no such database \\(did you mean 'hotel'"),
        ({"databases": {"hotel": {"sql": ["nonsense"]}}}, "syntax error"),
        ({"databases": {"hotel": {"sql": ["ATTACH 'x.db' AS x"]}}}, "too many attached"),
        ({"files": {"../escape": "x"}}, "not a path inside the workspace"),
        ({"files": {"data/hotel.db": "x"}}, "something else is in the way"),
        ({"clock": "yesterday"}, "world.clock"),
    ],
)
def test_overrides_that_do_not_fit_are_an_error_of_the_world(
    world: TemplateWorld, overrides: dict[str, Any], message: str
):
    with pytest.raises(WorldError, match=message):
        world.open("e1", case(**overrides), 1)
    assert not any(path.name == "e1" for path in Path(world.open("e2", case(), 1).place.work).parent.parent.iterdir())


def test_overrides_can_be_checked_before_a_run(world: TemplateWorld):
    world.check(case(files={"a": "b"}))
    with pytest.raises(ConfigError, match="no such database"):
        world.check(case(databases={"nope": {}}))


def test_a_world_that_does_not_equal_its_template_is_refused(world: TemplateWorld):
    scratch = Path(world.open("e1", case(), 1).place.work).parent.parent
    (scratch / "files" / "policy.md").write_text("tampered")
    with pytest.raises(WorldError, match="the files at open differ from the seed"):
        world.open("e2", case(), 1)
    (scratch / "files" / "policy.md").write_text("be kind")
    with (scratch / "template-0.db").open("ab") as file:
        file.write(b"x")
    with pytest.raises(WorldError, match="database hotel at open differs from its seed"):
        world.open("e3", case(), 1)


def test_a_world_without_configuration_has_directories_and_file_effects(tmp_path: Path):
    world = TemplateWorld(WorldSpec(), tmp_path)
    live = world.open("e1", case(), 1)
    for directory in (live.place.work, live.place.home, live.place.tmp):
        assert list(Path(directory).iterdir()) == []
    (Path(live.place.work) / "a").write_text("x")
    (Path(live.place.home) / "b").write_text("x")
    assert [change.path for change in live.effects().files] == ["a"]
    world.close()


def test_host_variables_are_withheld_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEY", "k")
    monkeypatch.setenv("OTHER", "o")
    world = TemplateWorld(WorldSpec(env=("API_KEY",)), tmp_path)
    env = world.open("e1", case(), 1).place.env
    assert env["API_KEY"] == "k"
    assert "OTHER" not in env
    world.close()
    monkeypatch.delenv("API_KEY")
    with pytest.raises(ConfigError, match="API_KEY"):
        world.prepare()


def test_the_same_episode_is_never_opened_twice(world: TemplateWorld):
    world.open("e1", case(), 1)
    with pytest.raises(WorldError):
        world.open("e1", case(), 1)


def test_a_prepared_world_serves_other_processes(root: Path):
    world = TemplateWorld(SPEC, root)
    world.prepare()
    copy: TemplateWorld = pickle.loads(pickle.dumps(world))
    live = copy.open("e1", case(), 1)
    assert live.digest == world.open("e2", case(), 1).digest
    copy.close()
    assert Path(live.place.work).exists()
    world.close()
    assert not Path(live.place.work).exists()


def test_closing_removes_episodes_that_were_left(world: TemplateWorld):
    live = world.open("e1", case(), 1)
    Path(live.place.work).chmod(0)
    world.close()
    assert not os.path.lexists(live.place.work)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (WorldSpec(files="nowhere"), "world.files: there is no folder"),
        (WorldSpec(databases={"x": DatabaseSpec(seed=("no.sql",))}), "world.databases.x.seed: 'no.sql' is neither"),
        (WorldSpec(files="seed", databases={"x": DatabaseSpec(seed=(), path="policy.md")}), "entry of the same path"),
    ],
)
def test_mistakes_in_the_spec_are_found_at_once(root: Path, spec: WorldSpec, message: str):
    with pytest.raises(ConfigError, match=message):
        TemplateWorld(spec, root)


def test_seeds_that_fail_are_found_by_prepare_and_leave_nothing(root: Path):
    (root / "hotel.sql").write_text("nonsense")
    scratch = Scratch(root / "scratch")
    world = TemplateWorld(SPEC, root, scratch)
    with pytest.raises(ConfigError, match=r"hotel\.sql"):
        world.prepare()
    with pytest.raises(WorldError, match=r"hotel\.sql"):
        world.open("e1", case(), 1)
    assert [path.name for path in scratch.path.iterdir()] == [".lock"]
    scratch.close()
