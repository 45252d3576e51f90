"""What an episode did to its workspace: hostile input, so bounded, and links are never followed."""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from assay.core.effects import Effects, FileChange
from assay.worlds.copying import open_regular
from assay.worlds.files import KINDS, Tree, readable, walk

_MAX_PROBLEMS = 20


class FileBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a workspace is looked at and kept."""

    changes: int = 1_000
    """Files with a difference that are kept; further ones are counted."""
    entries: int = 200_000
    """Entries that are looked at."""
    text_bytes: int = 64 << 10
    """Bytes of a file that are kept as text."""
    all_text_bytes: int = 4 << 20
    """Bytes of text that are kept over all files."""
    read_bytes: int = 64 << 20
    """Size up to which the content of an added or resized file is digested."""
    all_read_bytes: int = 512 << 20
    """Bytes of such files that are digested in all."""


DEFAULT_BOUNDS = FileBounds()


def compare_files(root: Path, before: Tree, hidden: AbstractSet[str], bounds: FileBounds = DEFAULT_BOUNDS) -> Effects:
    """Compare a workspace with the tree that it started from.

    `hidden` are paths that something else reports (databases). The effects hold files and problems only.
    """
    comparison = _Comparison(before, hidden, bounds)
    comparison.run(root)
    return Effects(
        files=tuple(sorted(comparison.changes, key=lambda change: change.path)),
        dropped_files=comparison.dropped,
        problems=tuple(comparison.problems),
    )


class _Comparison:
    def __init__(self, before: Tree, hidden: AbstractSet[str], bounds: FileBounds) -> None:
        self.changes: list[FileChange] = []
        self.dropped = 0
        self.problems: list[str] = []
        self._before = before
        self._hidden = hidden
        self._bounds = bounds
        self._text_left = bounds.all_text_bytes
        self._read_left = bounds.all_read_bytes

    def run(self, root: Path) -> None:
        seen: set[str] = set()
        complete = True
        if _is_directory(root):
            for path, entry in walk(root, self._refuse):
                if len(seen) >= self._bounds.entries:
                    complete = False
                    self._note(
                        f"the workspace holds more than {self._bounds.entries} entries; the rest was not compared"
                    )
                    break
                seen.add(path)
                if path not in self._hidden:
                    self._look_at(path, entry)
        else:
            self._note("the workspace itself was removed or replaced")
        for path, entry in self._before.items():
            gone = path not in seen and path not in self._hidden and (complete or not os.path.lexists(root / path))
            if gone and entry.kind != "directory":
                self._add(FileChange(path=readable(path), change="removed", kind=entry.kind))

    def _look_at(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._refuse(path, error)
            return
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "device")
        if kind == "directory":
            if path in self._before and self._before[path].kind != "directory":
                self._add(FileChange(path=readable(path), change="removed", kind=self._before[path].kind))
        elif kind == "file":
            self._look_at_file(path, entry.path, status.st_size)
        else:
            self._look_at_special(path, entry.path, kind)

    def _look_at_file(self, path: str, full: str, size: int) -> None:
        old = self._before.get(path)
        resized = old is None or old.kind != "file" or old.size != size
        if resized and len(self.changes) >= self._bounds.changes:
            self.dropped += 1
            return
        try:
            content, start = self._read(full, size, whole=not resized)
        except OSError as error:
            self._refuse(path, error)
            content, start = "", b""
        if old is not None and not resized and old.digest == content:
            return
        text, cut = _as_text(start[: self._text_left], size)
        self._text_left -= min(len(start), self._text_left) if text is not None else 0
        self._add(
            FileChange(
                path=readable(path),
                change="changed" if old is not None and old.kind != "directory" else "added",
                size=size,
                digest=content,
                text=text,
                truncated=cut,
            )
        )

    def _read(self, full: str, size: int, *, whole: bool) -> tuple[str, bytes]:
        """Return digest (empty for files that are too big) and first bytes."""
        digested = whole or size <= min(self._bounds.read_bytes, self._read_left)
        hasher = hashlib.blake2b(digest_size=16)
        with open_regular(full) as descriptor:
            start = data = os.read(descriptor, self._bounds.text_bytes)
            while data and digested:
                hasher.update(data)
                data = os.read(descriptor, 1 << 20)
        self._read_left -= size if digested and not whole else 0
        return hasher.hexdigest() if digested else "", start

    def _look_at_special(self, path: str, full: str, kind: str) -> None:
        old = self._before.get(path)
        target: str | None = None
        if kind == "link":
            try:
                target = readable(str(Path(full).readlink()))
            except OSError as error:
                self._refuse(path, error)
        if old is not None and old.kind == kind and old.digest == target:
            return
        change = "changed" if old is not None and old.kind != "directory" else "added"
        self._add(FileChange(path=readable(path), change=change, kind=kind, text=target))

    def _add(self, change: FileChange) -> None:
        if len(self.changes) < self._bounds.changes:
            self.changes.append(change)
        else:
            self.dropped += 1

    def _refuse(self, path: str, error: OSError) -> None:
        self._note(f"cannot read {readable(path)[:200]}: {error.strerror or error}")

    def _note(self, problem: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _as_text(start: bytes, size: int) -> tuple[str | None, bool]:
    """Return the first bytes as text (None for binary) and whether more follows."""
    if b"\0" in start:
        return None, False
    cut = size > len(start)
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(start, final=not cut), cut
    except UnicodeDecodeError:
        return None, False
