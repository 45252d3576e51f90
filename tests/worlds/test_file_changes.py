from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.core.codec import digest_bytes
from assay.core.effects import FileChange
from assay.worlds.file_changes import FileBounds, compare_files
from assay.worlds.files import read_tree

NOTHING: frozenset[str] = frozenset()
BOUNDS = FileBounds()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "a.txt").write_text("alpha")
    (root / "b.txt").write_text("beta")
    (root / "c.bin").write_bytes(b"\x00\x01")
    return root


def changes(work: Path, change: Callable[[], object], bounds: FileBounds = BOUNDS) -> dict[str, FileChange]:
    before = read_tree(work)
    change()
    effects = compare_files(work, before, NOTHING, bounds)
    assert effects.problems == ()
    return {change.path: change for change in effects.files}


def test_an_untouched_workspace_has_no_effects(work: Path):
    assert changes(work, (work / "b.txt").touch) == {}


def test_added_changed_and_removed_files_are_told_apart(work: Path):
    def act() -> None:
        (work / "new").mkdir()
        (work / "new" / "n.txt").write_text("nü")
        (work / "b.txt").write_text("bett")
        (work / "docs" / "a.txt").unlink()
        (work / "docs").rmdir()

    assert changes(work, act) == {
        "b.txt": FileChange(path="b.txt", change="changed", size=4, digest=digest_bytes(b"bett"), text="bett"),
        "docs/a.txt": FileChange(path="docs/a.txt", change="removed"),
        "new/n.txt": FileChange(
            path="new/n.txt", change="added", size=3, digest=digest_bytes("nü".encode()), text="nü"
        ),
    }


def test_binary_and_invalid_text_are_kept_as_a_digest(work: Path):
    found = changes(work, lambda: ((work / "x").write_bytes(b"\xff\xfe"), (work / "y").write_bytes(b"a\0b")))
    assert [found[name].text for name in ("x", "y")] == [None, None]
    assert found["x"].digest == digest_bytes(b"\xff\xfe")


def test_long_text_is_cut_at_a_character_and_marked(work: Path):
    text = "é" * BOUNDS.text_bytes
    found = changes(work, lambda: (work / "x").write_text("a" + text, encoding="utf-8"))["x"]
    assert found.truncated
    assert found.text == "a" + "é" * ((BOUNDS.text_bytes - 1) // 2)
    assert found.digest == digest_bytes(("a" + text).encode())


def test_a_huge_sparse_file_is_neither_read_nor_digested(work: Path):
    def act() -> None:
        with (work / "sparse").open("wb") as file:
            file.truncate(1 << 40)

    found = changes(work, act)["sparse"]
    assert (found.size, found.digest, found.text) == (1 << 40, "", None)


def test_links_are_reported_with_their_target_and_not_followed(work: Path, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")

    def act() -> None:
        (work / "b.txt").unlink()
        (work / "b.txt").symlink_to(secret / "key")
        (work / "dir").symlink_to(secret)

    found = changes(work, act)
    assert found["b.txt"] == FileChange(path="b.txt", change="changed", kind="link", text=str(secret / "key"))
    assert found["dir"] == FileChange(path="dir", change="added", kind="link", text=str(secret))
    assert len(found) == 2


def test_fifos_and_sockets_are_noted_and_not_opened(work: Path, monkeypatch: pytest.MonkeyPatch):
    def act() -> None:
        os.mkfifo(work / "pipe")
        monkeypatch.chdir(work)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("sock")

    found = changes(work, act)
    assert {path: change.kind for path, change in found.items()} == {"pipe": "fifo", "sock": "socket"}


def test_a_file_that_became_a_directory_and_the_reverse(work: Path):
    def act() -> None:
        (work / "b.txt").unlink()
        (work / "b.txt").mkdir()
        (work / "docs" / "a.txt").unlink()
        (work / "docs").rmdir()
        (work / "docs").write_text("now a file")

    found = changes(work, act)
    assert {path: change.change for path, change in found.items()} == {
        "b.txt": "removed",
        "docs": "added",
        "docs/a.txt": "removed",
    }


def test_names_that_are_no_text_are_escaped(work: Path):
    found = changes(work, lambda: Path(os.fsdecode(os.fsencode(work) + b"/\xff\x1b[31m")).write_text("x"))
    assert list(found) == ["\\xff\x1b[31m"]


def test_a_workspace_that_is_gone_loses_every_file(work: Path):
    before = read_tree(work)
    for path in (work / "docs" / "a.txt", work / "b.txt", work / "c.bin"):
        path.unlink()
    (work / "docs").rmdir()
    work.rmdir()
    work.symlink_to("/etc")
    effects = compare_files(work, before, NOTHING)
    assert [(change.path, change.change) for change in effects.files] == [
        ("b.txt", "removed"),
        ("c.bin", "removed"),
        ("docs/a.txt", "removed"),
    ]
    assert effects.problems == ("the workspace itself was removed or replaced",)


def test_many_files_are_counted_beyond_the_bound(work: Path):
    before = read_tree(work)
    for number in range(50):
        (work / f"n{number:03}").write_text("x")
    effects = compare_files(work, before, NOTHING, FileBounds(changes=10))
    assert [change.path for change in effects.files] == [f"n{number:03}" for number in range(10)]
    assert effects.dropped_files == 40


def test_an_endless_workspace_is_looked_at_up_to_a_bound(work: Path):
    before = read_tree(work)
    effects = compare_files(work, before, NOTHING, FileBounds(entries=3))
    assert effects.files == ()
    assert effects.problems == ("the workspace holds more than 3 entries; the rest was not compared",)


def test_hidden_paths_belong_to_somebody_else(work: Path):
    before = read_tree(work)
    (work / "hotel.db").write_text("x")
    assert compare_files(work, before, frozenset({"hotel.db"})).files == ()


def test_text_is_bounded_over_all_files(work: Path):
    bounds = FileBounds(all_text_bytes=15)
    found = changes(work, lambda: [(work / f"n{number}").write_text("0123456789") for number in range(3)], bounds)
    assert [(found[f"n{number}"].text, found[f"n{number}"].truncated) for number in range(3)] == [
        ("0123456789", False),
        ("01234", True),
        ("", True),
    ]


def test_modes_that_forbid_reading_are_lifted(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], None]], None]
):
    def act() -> None:
        work = open_folder / "work"
        (work / "closed").mkdir(parents=True)
        before = read_tree(work)
        (work / "closed" / "x").write_text("inside")
        (work / "closed" / "x").chmod(0)
        (work / "closed").chmod(0)
        effects = compare_files(work, before, NOTHING)
        assert [(change.path, change.text) for change in effects.files] == [("closed/x", "inside")]
        assert effects.problems == ()

    as_ordinary_user(act)


def test_a_directory_that_is_too_deep_is_named_as_a_problem(work: Path):
    before = read_tree(work)
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(work)
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.fchdir(here)
        os.close(here)
    assert any("File name too long" in problem for problem in compare_files(work, before, NOTHING).problems)
