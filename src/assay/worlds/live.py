"""The surroundings of one episode: three directories, files and databases, removed when it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from assay.core.codec import digest
from assay.core.effects import Effects, TableDiff
from assay.core.errors import WorldError
from assay.core.sandbox import Place
from assay.worlds.copying import copy_file, read_digest
from assay.worlds.databases import Template, state_digest
from assay.worlds.file_changes import compare_files
from assay.worlds.files import Tree, copy_tree, override_files, read_tree, tree_digest
from assay.worlds.scratch import remove_tree
from assay.worlds.spec import CaseWorld
from assay.worlds.sqlite import SIDE_FILES, open_database, run_sql
from assay.worlds.table_changes import Compared, compare_database

_HASH_SEEDS = 1 << 32


class Templates(msgspec.Struct, frozen=True, kw_only=True):
    """What every episode's world is copied from."""

    folder: Path
    """Scratch directory; `files` below it holds the tree."""
    tree: Tree
    """Files of the workspace."""
    databases: dict[str, Template]
    """Databases by name."""
    paths: dict[str, str]
    """Path of each database in the workspace."""
    env: dict[str, str]
    """Variables that the agent sees."""
    state: str
    """Digest of tree and databases."""


class LocalWorld:
    """A `LiveWorld` in local directories."""

    def __init__(self, templates: Templates, episode_id: str, clock: datetime, seed: int) -> None:
        """Name the places; nothing is made yet."""
        self.clock = clock
        """The world's now."""
        self.digest = templates.state
        """Digest of the state at open."""
        self._templates = templates
        self._folder = templates.folder / episode_id
        self._work = self._folder / "work"
        self._before = templates.tree
        self._bases = {name: Path(template.path) for name, template in templates.databases.items()}
        self.place = Place(
            work=str(self._work),
            home=str(self._folder / "home"),
            tmp=str(self._folder / "tmp"),
            env={"PYTHONHASHSEED": str(seed % _HASH_SEEDS), **templates.env},
        )
        """Host directories and environment."""
        self.databases: Mapping[str, str] = {name: str(self._work / path) for name, path in templates.paths.items()}
        """Database name -> host path of its file."""

    def make(self) -> None:
        """Copy the templates and prove that the copies equal them. Raises `OSError` or `WorldError`."""
        for directory in (self._folder, self._work, self._folder / "home", self._folder / "tmp"):
            directory.mkdir(mode=0o700)
        templates = self._templates
        if templates.tree:
            copy_tree(templates.folder / "files", self._work, templates.tree, self.clock.timestamp())
            if read_tree(self._work) != templates.tree:
                raise WorldError("the files at open differ from the seed")
        for name, path in self.databases.items():
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_file(templates.databases[name].path, path)
            if read_digest(path)[1] != templates.databases[name].content:
                raise WorldError(f"database {name} at open differs from its seed")

    def change(self, override: CaseWorld) -> None:
        """Apply a case's overrides; the digest then covers the state after them.

        Raises `ConfigError`, `OSError` or `sqlite3.Error`.
        """
        taken = self._hidden()
        self._before = override_files(self._work, self._before, override.files, taken, self.clock.timestamp())
        states: dict[str, str] = {}
        for name, database in override.databases.items():
            path = Path(self.databases[name])
            for statement in database.sql:
                run_sql(path, statement)
            base = self._folder / f"base-{len(states)}.db"
            copy_file(str(path), str(base))
            self._bases[name] = base
            with closing(open_database(path)) as connection:
                states[name] = state_digest(connection, self._templates.databases[name].volatile)
        self.digest = digest([self._templates.state, tree_digest(self._before), states])

    def effects(self) -> Effects:
        """Compare with the state at open. Raises `WorldError` when that takes too long."""
        tables: list[TableDiff] = []
        problems: list[str] = []
        for name in sorted(self.databases):
            compared = Compared(
                name=name,
                live=Path(self.databases[name]),
                base=self._bases[name],
                volatile=self._templates.databases[name].volatile,
                scratch=self._templates.folder,
            )
            diffs, wrong = compare_database(compared)
            tables += sorted(diffs, key=lambda diff: diff.table)
            problems += wrong
        files = compare_files(self._work, self._before, self._hidden())
        return msgspec.structs.replace(files, tables=tuple(tables), problems=(*problems, *files.problems))

    def close(self) -> None:
        """Remove everything; what resists (a process still writing) is left for `World.close`."""
        with contextlib.suppress(WorldError):
            remove_tree(self._folder)

    def _hidden(self) -> frozenset[str]:
        paths = self._templates.paths.values()
        return frozenset(f"{path}{ending}" for path in paths for ending in ("", *SIDE_FILES))
