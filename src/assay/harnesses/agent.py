"""A Python agent: where it is, how to load it, what it is made of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from assay.core.codec import digest
from assay.core.errors import ConfigError, HarnessError, Problem
from assay.harnesses.fingerprint import file_fingerprint, globbed, package_files
from assay.harnesses.target import Target, check_target, find_module, parse_target, takes_world, target_of


class PythonAgent(msgspec.Struct, frozen=True, kw_only=True):
    """A function at an import path, in memory, or both."""

    name: str
    """Name of the function."""
    root: Path
    """Folder of the project."""
    target: Target | None = None
    """Import path; None for what no fresh process could import."""
    path: tuple[str, ...] = ()
    """Absolute folders to put on `sys.path`."""
    files: tuple[str, ...] = ()
    """Patterns of the agent's files, relative to the project; by default its top-level package."""
    function: Callable[..., Any] | None = None
    """The function itself, where it is in memory."""

    @classmethod
    def at(
        cls, target: str, root: Path, *, python_path: tuple[str, ...] = (".",), files: tuple[str, ...] = ()
    ) -> PythonAgent:
        """Name an agent by its import path; nothing is imported.

        `python_path` and `files` are relative to `root`. Raises `ConfigError` when module, function or files are not
        there.
        """
        parsed = parse_target(target)
        path = tuple(str((root / folder).resolve()) for folder in python_path)
        check_target(parsed, path)
        globbed(root, files, "fingerprint")
        return cls(name=parsed.name, root=root, target=parsed, path=path, files=files)

    @classmethod
    def of(cls, function: Callable[..., Any], root: Path) -> PythonAgent:
        """Take a function in memory; its import path is found where it has one. Raises `ConfigError`."""
        try:
            takes_world(function)
        except TypeError as error:
            raise ConfigError([Problem(message=str(error), key="harness")]) from error
        said = str(getattr(function, "__name__", type(function).__name__))
        name = said if said.isidentifier() else "agent"
        found = target_of(function)
        if found is None:
            return cls(name=name, root=root, function=function)
        target, folder = found
        return cls(name=name, root=root, target=target, path=(folder,) if folder else (), function=function)

    def load(self) -> Callable[..., Any]:
        """Return the function, imported into this process. Raises `HarnessError` when it cannot be."""
        if self.function is not None:
            return self.function
        assert self.target is not None
        sys.path[:0] = [folder for folder in self.path if folder not in sys.path]
        try:
            return self.target.load()
        except Exception as error:  # importing runs the agent's own code: the one place where that happens here
            raise HarnessError(f"cannot import {self.target}: {type(error).__name__}: {error}") from error

    @property
    def digest(self) -> str:
        """Content address of where the agent is."""
        return digest(["function", str(self.target or self.name)])

    @property
    def is_async(self) -> bool:
        """Whether the agent's module says `async def`, as far as its source tells."""
        spec = find_module(self.target.module, [*self.path, *sys.path]) if self.target is not None else None
        source = spec.origin if spec is not None and (spec.origin or "").endswith(".py") else None
        return source is not None and b"async def" in Path(source).read_bytes()

    def fingerprint(self) -> str:
        """Digest the agent's files and the dependency locks; empty for functions that have no file of their own."""
        if self.target is None:
            return ""
        files = globbed(self.root, self.files, "fingerprint")
        if not self.files:
            files = package_files(find_module(self.target.top, [*self.path, *sys.path]))
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return file_fingerprint(self.root, files, [str(self.target), python]) if files else ""
