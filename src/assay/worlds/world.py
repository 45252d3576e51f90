"""Worlds made from templates: same seed, same world."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from assay.core.case import Case
from assay.core.codec import digest
from assay.core.errors import ConfigError, Problem, WorldError
from assay.core.tables import convert_table, nearest
from assay.worlds.copying import read_digest
from assay.worlds.databases import build_template, file_names, seed_files
from assay.worlds.files import Tree, copy_tree, read_tree, tree_digest
from assay.worlds.live import LocalWorld, Templates
from assay.worlds.scratch import Scratch, remove_tree
from assay.worlds.spec import CaseWorld, WorldSpec, utc

_KEY = "world"


class TemplateWorld:
    """Makes fresh worlds from a spec. Templates are built once, by `prepare` or else by the first `open`."""

    def __init__(self, spec: WorldSpec, root: Path, scratch: Scratch | None = None) -> None:
        """Read and digest the seeds.

        `root` is where relative paths start. Episodes live below `scratch`, which stays its owner's; without one the
        world makes its own. Raises `ConfigError` with every mistake in the spec.
        """
        self._spec = spec
        self._shared = scratch
        self._paths = file_names(spec.databases, f"{_KEY}.databases")
        self._source = root / spec.files
        self._tree = _read_source(self._source) if spec.files else {}
        self._seeds = {
            name: seed_files(root, database, f"{_KEY}.databases.{name}") for name, database in spec.databases.items()
        }
        clashes = [name for name, path in self._paths.items() if path in self._tree]
        if clashes:
            message = "the seed files hold an entry of the same path"
            raise ConfigError([Problem(message=message, key=f"{_KEY}.databases.{name}.path") for name in clashes])
        contents = {name: [read_digest(str(file))[1] for file in files] for name, files in self._seeds.items()}
        self.digest = digest([spec, tree_digest(self._tree), contents])
        """Content address of the spec and its seed files; values of host variables are not part of it."""
        self._own: Scratch | None = None
        self._templates: Templates | None = None
        self._maker = 0

    def prepare(self) -> None:
        """Build the templates, once for all workers that are forked later.

        Raises `ConfigError` for seeds that fail and host variables that are not set.
        """
        missing = [name for name in self._spec.env if name not in os.environ]
        if missing:
            message = "this variable is not set on this machine"
            raise ConfigError([Problem(message=message, key=f"{_KEY}.env.{name}") for name in missing])
        if self._shared is None:
            self._own = Scratch()
        scratch = self._shared or self._own
        assert scratch is not None
        self._maker = os.getpid()
        folder = Path(tempfile.mkdtemp(prefix="w", dir=scratch.path))
        try:
            self._templates = self._build(folder)
        except (ConfigError, OSError):
            remove_tree(folder)
            self.close()
            raise

    def check(self, case: Case) -> None:
        """Check that a case's overrides fit this world. Raises `ConfigError` with every mistake."""
        self._overrides(case)

    def open(self, episode_id: str, case: Case, seed: int) -> LocalWorld:
        """Make a fresh world. Raises `WorldError` when it cannot be made or does not equal its template."""
        try:
            if self._templates is None:
                self.prepare()
            assert self._templates is not None
            override = self._overrides(case) if case.world else None
            clock = override.clock if override is not None else None
            live = LocalWorld(self._templates, episode_id, utc(clock or self._spec.clock), seed)
        except (ConfigError, OSError) as error:
            raise WorldError(f"the world of case {case.id} cannot be made: {error}") from error
        try:
            live.make()
            if override is not None:
                live.change(override)
        except (ConfigError, OSError, sqlite3.Error, WorldError) as error:
            live.close()
            raise WorldError(f"the world of case {case.id} cannot be made: {error}") from error
        return live

    def close(self) -> None:
        """Remove templates and every episode that is left, in the process that built them.

        Raises `WorldError` when something stays.
        """
        templates, self._templates = self._templates, None
        own, self._own = self._own, None
        if own is not None:
            own.close()
        elif templates is not None and self._maker == os.getpid():
            remove_tree(templates.folder)

    def _build(self, folder: Path) -> Templates:
        if self._tree:
            (folder / "files").mkdir()
            copy_tree(self._source, folder / "files", self._tree, utc(self._spec.clock).timestamp())
        databases = {
            name: build_template(self._seeds[name], spec, folder / f"template-{number}.db", f"{_KEY}.databases.{name}")
            for number, (name, spec) in enumerate(self._spec.databases.items())
        }
        states = {name: template.state for name, template in databases.items()}
        return Templates(
            folder=folder,
            tree=self._tree,
            databases=databases,
            paths=self._paths,
            env={"TZ": "UTC", **{name: os.environ[name] for name in self._spec.env}, **self._spec.fixed},
            state=digest([tree_digest(self._tree), states, self._spec.clock]),
        )

    def _overrides(self, case: Case) -> CaseWorld:
        override = convert_table(case.world, CaseWorld, key=_KEY)
        known = self._spec.databases
        unknown = [name for name in override.databases if name not in known]
        if unknown:
            message = "the harness's world has no such database"
            raise ConfigError(
                [
                    Problem(message=message, key=f"{_KEY}.databases.{name}", hint=nearest(name, known))
                    for name in unknown
                ]
            )
        return override


def _read_source(source: Path) -> Tree:
    if not source.is_dir():
        raise ConfigError([Problem(message=f"there is no folder {source}", key=f"{_KEY}.files")])
    return read_tree(source)
