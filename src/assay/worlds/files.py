"""Trees of files: the seed that every workspace starts from."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath

import msgspec

from assay.core.codec import digest
from assay.core.errors import ConfigError, Problem
from assay.worlds.copying import copy_file, read_digest

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a tree."""

    kind: str
    """`file`, `link` or `directory`."""
    size: int = 0
    """Bytes of a file."""
    digest: str = ""
    """BLAKE2b-128 of a file's content; the target of a link, as text."""
    executable: bool = False
    """Whether the owner may execute the file."""


Tree = dict[str, Entry]
"""Entries by path relative to the root, with forward slashes."""


def walk(root: Path, refused: Callable[[str, OSError], None]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield (relative path, entry) below `root`, sorted, depth first, links not followed.

    Directories whose mode forbids reading are opened up; those that still can't be listed are handed to `refused`.
    """
    pending: list[tuple[str, str]] = [("", str(root))]
    while pending:
        prefix, path = pending.pop()
        try:
            entries = _listing(path)
        except OSError as error:
            refused(prefix.rstrip("/") or ".", error)
            continue
        inner: list[tuple[str, str]] = []
        for entry in entries:
            relative = prefix + entry.name
            yield relative, entry
            if entry.is_dir(follow_symlinks=False):
                inner.append((f"{relative}/", entry.path))
        pending += reversed(inner)


def _listing(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        Path(path).chmod(stat.S_IRWXU)
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)


def read_tree(root: Path) -> Tree:
    """Read a seed tree. Raises `ConfigError` for what cannot be copied: unreadable entries, sockets, devices."""
    tree: Tree = {}
    problems: list[Problem] = []

    def refuse(path: str, error: OSError) -> None:
        problems.append(Problem(message=f"cannot read: {error.strerror}", path=str(root / path)))

    for relative, entry in walk(root, refuse):
        mode = entry.stat(follow_symlinks=False).st_mode
        kind = KINDS[stat.S_IFMT(mode)]
        try:
            if kind == "file":
                tree[relative] = Entry(kind, *read_digest(entry.path), bool(mode & stat.S_IXUSR))
            elif kind == "link":
                tree[relative] = Entry(kind, 0, readable(str(Path(entry.path).readlink())))
            elif kind == "directory":
                tree[relative] = Entry(kind)
            else:
                problems.append(Problem(message=f"a {kind} cannot be part of a seed", path=entry.path))
        except OSError as error:
            refuse(relative, error)
    if problems:
        raise ConfigError(problems)
    return tree


def readable(path: str) -> str:
    """Return a file name as text: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def tree_digest(tree: Tree) -> str:
    """Name a tree by its paths, kinds and contents."""
    return digest({os.fsencode(path).hex(): entry for path, entry in tree.items()})


def copy_tree(source: Path, target: Path, tree: Tree, time_s: float) -> None:
    """Copy the entries of `tree` into the existing directory `target`; every file gets the same modification time.

    Raises `OSError`.
    """
    for path, entry in tree.items():
        if entry.kind == "directory":
            (target / path).mkdir(mode=0o700)
        elif entry.kind == "link":
            (target / path).symlink_to((source / path).readlink())
        else:
            end = f"{target}/{path}"
            copy_file(f"{source}/{path}", end, 0o700 if entry.executable else 0o600)
            os.utime(end, (time_s, time_s))


def override_files(
    root: Path, tree: Tree, files: Mapping[str, str | None], taken: AbstractSet[str], time_s: float
) -> Tree:
    """Write or remove a case's files in a fresh workspace; returns the tree as it then is.

    Raises `ConfigError` for paths that leave the workspace, pass through a link or are `taken` by a database, `OSError`
    when writing fails.
    """
    result = dict(tree)
    for name, text in files.items():
        relative = _checked(name, result, taken, removes=text is None)
        path = root / relative
        if text is None:
            if result.pop(relative, Entry("directory")).kind == "directory":
                raise ConfigError([Problem(message="there is no such file in the seed", key=f"world.files.{name}")])
            path.unlink()
            continue
        for parent in reversed(PurePosixPath(relative).parents[:-1]):
            result.setdefault(str(parent), Entry("directory"))
            (root / parent).mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(text.encode())
        os.utime(path, (time_s, time_s))
        result[relative] = Entry("file", *read_digest(str(path)))
    return result


def _checked(name: str, tree: Tree, taken: AbstractSet[str], *, removes: bool) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise ConfigError([Problem(message="not a path inside the workspace", key=f"world.files.{name}")])
    parents = [tree.get(str(parent)) for parent in path.parents[:-1]]
    blocked = any(entry is not None and entry.kind != "directory" for entry in parents)
    here = tree.get(str(path))
    if blocked or str(path) in taken or (here is not None and here.kind != "file" and not removes):
        raise ConfigError([Problem(message="something else is in the way", key=f"world.files.{name}")])
    return str(path)
