from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.core.errors import WorldError
from assay.worlds.scratch import Scratch, default_parent, remove_tree


def test_a_scratch_directory_is_private_and_goes_with_its_owner(tmp_path: Path):
    scratch = Scratch(tmp_path)
    assert scratch.path.parent == tmp_path
    assert scratch.path.stat().st_mode & 0o777 == 0o700
    (scratch.path / "deep" / "er").mkdir(parents=True)
    scratch.close()
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_the_living_are_spared(tmp_path: Path):
    code = (
        "import sys, signal, os; from pathlib import Path; from assay.worlds.scratch import Scratch\n"
        "scratch = Scratch(Path(sys.argv[1])); (scratch.path / 'big').write_text('x'); print(scratch.path, flush=True)\n"
        "signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        living = Scratch(tmp_path)
        assert left.exists()
        process.send_signal(signal.SIGKILL)
    later = Scratch(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living.path, later.path])
    living.close()
    later.close()


def test_a_pickled_scratch_does_not_own_the_directory(tmp_path: Path):
    scratch = Scratch(tmp_path)
    copy = pickle.loads(pickle.dumps(scratch))
    copy.close()
    assert copy.path == scratch.path
    assert scratch.path.exists()
    scratch.close()


def test_a_forked_worker_does_not_remove_what_its_parent_owns(tmp_path: Path):
    scratch = Scratch(tmp_path)
    if (child := os.fork()) == 0:
        scratch.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert scratch.path.exists()
    scratch.close()


def test_a_foreign_directory_of_the_same_name_is_left_alone(tmp_path: Path):
    foreign = tmp_path / "assay-world-mine"
    foreign.mkdir()
    Scratch(tmp_path).close()
    assert foreign.exists()


def test_links_are_removed_and_never_followed(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep me")
    world = tmp_path / "world"
    world.mkdir()
    (world / "to_directory").symlink_to(outside)
    (world / "to_file").symlink_to(outside / "precious")
    (world / "dangling").symlink_to("/nowhere")
    os.mkfifo(world / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(world / "socket"))
    remove_tree(world)
    assert not world.exists()
    assert (outside / "precious").read_text() == "keep me"
    remove_tree(world)


def test_a_tree_that_became_a_link_is_removed_as_a_link(tmp_path: Path):
    (tmp_path / "target").mkdir()
    (tmp_path / "world").symlink_to(tmp_path / "target")
    remove_tree(tmp_path / "world")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize(("name", "depth"), [("d", 3000), ("d" * 250, 40)])
def test_trees_deeper_than_any_path_can_name_are_removed(tmp_path: Path, name: str, depth: int):
    world = tmp_path / "world"
    world.mkdir()
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(world)
        for _ in range(depth):
            Path(name).mkdir()
            os.chdir(name)
            Path("leaf").write_text("x")
    finally:
        os.fchdir(here)
        os.close(here)
    remove_tree(world)
    assert not world.exists()


def test_modes_that_forbid_everything_do_not_stop_the_removal(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], None]], None]
):
    def lock_up_and_remove() -> None:
        world = open_folder / "world"
        for number, mode in enumerate((0o000, 0o100, 0o200, 0o400, 0o500, 0o555)):
            inner = world / str(number) / "inner"
            inner.mkdir(parents=True)
            (inner / "file").write_text("x")
            (inner / "file").chmod(0)
            inner.chmod(mode)
            inner.parent.chmod(mode)
        world.chmod(0o500)
        remove_tree(world)
        assert not world.exists()

    as_ordinary_user(lock_up_and_remove)


def test_what_cannot_be_removed_is_an_error_of_the_world(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], None]], None]
):
    if os.geteuid() != 0:
        pytest.skip("needs a directory of another user")
    world = open_folder / "world"
    (world / "foreign").mkdir(parents=True)
    (world / "foreign" / "file").write_text("x")
    world.chmod(0o755)

    def remove() -> None:
        with pytest.raises(WorldError, match="cannot remove"):
            remove_tree(world)

    as_ordinary_user(remove)
    assert (world / "foreign" / "file").exists()


def test_the_default_parent_allows_execution():
    parent = default_parent()
    assert parent.is_dir()
    assert not os.statvfs(parent).f_flag & os.ST_NOEXEC
