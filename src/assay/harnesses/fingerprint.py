"""The static fingerprint: what the agent is made of, as far as files and settings tell."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from assay.core.codec import digest, digest_bytes
from assay.core.errors import ConfigError, Problem

LOCK_FILES = (
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "Pipfile.lock",
    "requirements*.txt",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
)
"""Files in the project's folder that say which versions are installed."""


def file_fingerprint(root: Path, files: Iterable[Path], settings: Any) -> str:
    """Digest files (by their path below `root` where they lie there), the dependency locks and the settings."""
    locks = [path for pattern in LOCK_FILES for path in sorted(root.glob(pattern))]
    contents = {_name(path, root): digest_bytes(path.read_bytes()) for path in (*files, *locks) if path.is_file()}
    return digest([contents, settings])


def globbed(root: Path, patterns: Iterable[str], key: str) -> list[Path]:
    """Return the files that match any pattern (a folder stands for all below it).

    Raises `ConfigError` for patterns that match nothing.
    """
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    for pattern in patterns:
        try:
            matches = sorted(root.glob(f"{pattern}/**/*" if (root / pattern).is_dir() else pattern))
        except (ValueError, NotImplementedError) as error:
            problems.append(Problem(message=f"'{pattern}': {error}", key=key))
            continue
        files = [path for path in matches if path.is_file() and "__pycache__" not in path.parts]
        if not files:
            problems.append(Problem(message=f"'{pattern}' matches no file", key=key, hint=f"looked in {root}"))
        found |= dict.fromkeys(files)
    if problems:
        raise ConfigError(problems)
    return list(found)


def package_files(spec: ModuleSpec | None) -> list[Path]:
    """Return all `.py` files of a top-level package, or the one file of a module; none where there is no source."""
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [path for place in spec.submodule_search_locations for path in sorted(Path(place).rglob("*.py"))]
    return [Path(spec.origin)] if spec.origin is not None and spec.origin.endswith(".py") else []


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
