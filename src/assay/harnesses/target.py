"""Targets: where a Python agent lives, found and checked without importing it."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.tables import nearest


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A function at an import path."""

    module: str
    """Dotted name of the module."""
    name: str
    """Name inside the module, dotted for attributes of classes and objects."""

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    @property
    def top(self) -> str:
        """Name of the top-level package or module."""
        return self.module.partition(".")[0]

    def load(self) -> Callable[..., Any]:
        """Import the function; raises whatever the import raises, `TypeError` when it cannot be called."""
        found: Any = importlib.import_module(self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        if not callable(found):
            raise TypeError(f"{self} is a {type(found).__name__}, not a function")
        return found


def parse_target(text: str, key: str = "target") -> Target:
    """Read `module:function`. Raises `ConfigError`."""
    module, separator, name = text.partition(":")
    if not separator or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ConfigError([Problem(message=f"'{text}' is not of the form module:function", key=key)])
    return Target(module=module, name=name)


def check_target(target: Target, path: Iterable[str], key: str = "target") -> None:
    """Check that module and function exist, by reading the source and importing nothing. Raises `ConfigError`."""
    where = [*path, *sys.path]
    spec = find_module(target.module, where)
    if spec is None:
        hint = nearest(target.top, _modules_in(path)) if find_module(target.top, where) is None else ""
        raise ConfigError([Problem(message=f"there is no module '{target.module}'", key=key, hint=hint)])
    if spec.origin is None or not spec.origin.endswith(".py"):
        return
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (SyntaxError, ValueError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        raise ConfigError([Problem(message=f"not Python: {error}", path=spec.origin, line=line)]) from error
    names = set(_bound(tree.body))
    first = target.name.partition(".")[0]
    if first not in names and not names & {"*", "__getattr__"}:
        message = f"there is no '{first}' in {spec.origin}"
        raise ConfigError([Problem(message=message, key=key, hint=nearest(first, names))])


def find_module(name: str, path: Iterable[str]) -> ModuleSpec | None:
    """Find a module on a search path without importing it or its parents."""
    places = [str(place) for place in path]
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for depth, part in enumerate(parts, start=1):
        spec = PathFinder.find_spec(part, places)
        if spec is None:
            return None
        if spec.loader is None:
            # a namespace package: its own list of folders would be looked up on `sys.path` again
            places = [str(Path(place) / part) for place in places if (Path(place) / part).is_dir()]
            spec.submodule_search_locations = places
        elif spec.submodule_search_locations is not None:
            places = list(spec.submodule_search_locations)
        elif depth < len(parts):
            return None
    return spec


def target_of(function: Callable[..., Any]) -> tuple[Target, str] | None:
    """Return where a function can be imported from in a fresh process, and the folder to put on `sys.path`.

    None for what has no such place: lambdas, inner functions, notebook cells, instances, and whatever stands in
    `__main__`, because importing a script runs it.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__" or "<" in name:
        return None
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if loaded is None or not isinstance(file, str):
        return None
    found: Any = loaded
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not function:
        return None
    steps = module.count(".") + (1 if Path(file).name == "__init__.py" else 0)
    folder = Path(file).resolve().parents[steps]
    return Target(module=module, name=name), "" if _is_installed(folder) else str(folder)


def takes_world(function: Callable[..., Any]) -> bool:
    """Tell whether an agent wants the world as its second argument.

    Raises `TypeError` when it cannot be called with one or two arguments.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:
        return False
    if _accepts(signature, 2) and (not _accepts(signature, 1) or _second(signature) == "world"):
        return True
    if not _accepts(signature, 1):
        raise TypeError(f"an agent is called with (input) or (input, world), this one takes {signature}")
    return False


def _accepts(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _second(signature: inspect.Signature) -> str:
    names = [name for name, parameter in signature.parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY]
    return names[1] if len(names) > 1 else ""


def _is_installed(folder: Path) -> bool:
    places = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return any(folder == Path(place).resolve() for place in places)


def _modules_in(path: Iterable[str]) -> list[str]:
    found: list[str] = []
    for place in path:
        folder = Path(place)
        if folder.is_dir():
            found += [entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir()]
    return found


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module binds at its top level, inside `if` and `try` too; `*` for star imports."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        else:
            inner = [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt | ast.ExceptHandler)]
            for node in inner:
                yield from _bound(node.body if isinstance(node, ast.ExceptHandler) else [node])
            yield from (
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )
