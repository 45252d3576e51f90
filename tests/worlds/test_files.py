from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.errors import ConfigError
from assay.worlds.files import copy_tree, override_files, read_tree, readable, tree_digest

NOON = 1_770_000_000.0


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    root = tmp_path / "seed"
    (root / "src" / "empty").mkdir(parents=True)
    (root / "README").write_text("hello")
    (root / "src" / "run.sh").write_text("#!/bin/sh\n")
    (root / "src" / "run.sh").chmod(0o755)
    (root / "link").symlink_to("README")
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9"))).write_bytes(b"\xff\x00")
    return root


def test_a_copied_tree_equals_its_seed(seed: Path, tmp_path: Path):
    tree = read_tree(seed)
    copy = tmp_path / "copy"
    copy.mkdir()
    copy_tree(seed, copy, tree, NOON)
    assert read_tree(copy) == tree
    assert {entry.kind for entry in tree.values()} == {"file", "link", "directory"}
    assert os.access(copy / "src" / "run.sh", os.X_OK)
    assert not os.access(copy / "README", os.X_OK)
    assert (copy / "README").stat().st_mtime == NOON
    assert (copy / "link").readlink() == Path("README")


def test_the_digest_of_a_tree_changes_with_paths_kinds_and_contents(seed: Path):
    digests = [tree_digest(read_tree(seed))]
    (seed / "README").write_text("hellO")
    digests.append(tree_digest(read_tree(seed)))
    (seed / "README").rename(seed / "READYOU")
    digests.append(tree_digest(read_tree(seed)))
    (seed / "link").unlink()
    (seed / "link").write_text("README")
    digests.append(tree_digest(read_tree(seed)))
    assert len(set(digests)) == 4


def test_a_seed_with_a_fifo_is_a_mistake_of_the_user(seed: Path):
    os.mkfifo(seed / "pipe")
    with pytest.raises(ConfigError, match="a fifo cannot be part of a seed"):
        read_tree(seed)


def test_overrides_write_and_remove_files(seed: Path):
    tree = override_files(
        seed, read_tree(seed), {"a/b/new.txt": "ñ", "README": "other", "link": None}, frozenset(), NOON
    )
    assert (seed / "a" / "b" / "new.txt").read_text(encoding="utf-8") == "ñ"
    assert (seed / "README").read_text() == "other"
    assert not os.path.lexists(seed / "link")
    assert tree == read_tree(seed)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/x", "a/../../x", "link", "link/x", "README/x", "src", "hotel.db", "a\0b"]
)
def test_overrides_cannot_leave_the_workspace_or_pass_through_what_is_there(seed: Path, name: str):
    with pytest.raises(ConfigError):
        override_files(seed, read_tree(seed), {name: "x"}, frozenset({"hotel.db"}), NOON)


def test_only_a_file_that_is_there_can_be_removed(seed: Path):
    with pytest.raises(ConfigError, match="no such file"):
        override_files(seed, read_tree(seed), {"nothing": None}, frozenset(), NOON)


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_file_name_becomes_text_that_json_can_hold(name: bytes):
    readable(os.fsdecode(name)).encode()
