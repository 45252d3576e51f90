"""What the code of a judge is named by: its file, its name, and the values it closes over."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from assay.core.codec import canonical_json, digest_bytes


def describe_code(function: Callable[..., Any]) -> dict[str, Any]:
    """Describe a callable so that an edit changes the description, as a JSON value.

    A function is described by the digest of its whole module file (so that editing a helper beside it counts), its
    qualified name, and the default and closure values that JSON can hold; of other values only the type counts.
    Functions without a file (typed at a prompt or into a notebook) are described by their bytecode and that of the
    functions they name. Code in other modules does not count.
    """
    if isinstance(function, functools.partial):
        bound = {"args": [_value(value) for value in function.args]}
        named = {name: _value(value) for name, value in sorted(function.keywords.items())}
        return {"partial": describe_code(function.func), "keywords": named} | bound
    plain = plain_function(function)
    if plain is None:
        return {"name": _type_name(function)}
    described: dict[str, Any] = {"name": plain.__qualname__, "values": _held_values(plain)}
    if isinstance(function, MethodType):
        described["self"] = _value(function.__self__)
    elif not inspect.isroutine(function):
        described["self"] = _value(vars(function))
    file = file_digest(plain.__code__.co_filename)
    return described | ({"file": file} if file else {"code": _code(plain, set())})


def describe_module(module: ModuleType) -> str:
    """Digest of a module's file; its name for modules without one."""
    return file_digest(getattr(module, "__file__", None) or "") or module.__name__


def plain_function(function: Callable[..., Any]) -> FunctionType | None:
    """Return the Python function that a callable comes down to; None for callables written in C."""
    inner = inspect.unwrap(function)
    if isinstance(inner, MethodType):
        inner = inner.__func__
    if not isinstance(inner, FunctionType):
        inner = vars(type(inner)).get("__call__")
    return inner if isinstance(inner, FunctionType) else None


def file_digest(path: str) -> str:
    """Digest of a file's content; empty when it cannot be read."""
    try:
        status = Path(path).stat()
        return _file_digest(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return ""


@functools.lru_cache(maxsize=256)
def _file_digest(path: str, mtime_ns: int, size: int) -> str:
    return digest_bytes(Path(path).read_bytes())


def _held_values(function: FunctionType) -> list[Any]:
    defaults = [_value(value) for value in function.__defaults__ or ()]
    named = [[name, _value(value)] for name, value in sorted((function.__kwdefaults__ or {}).items())]
    cells: list[Any] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells.append([name, _value(cell.cell_contents)])
        except ValueError:  # a cell that is filled later, such as a function that refers to itself
            cells.append([name, None])
    return [defaults, named, cells]


def _value(value: Any) -> Any:
    if isinstance(value, FunctionType):
        return [value.__qualname__, _code(value, set())]
    try:
        return canonical_json(value).decode()
    except (TypeError, ValueError, RecursionError):
        return _type_name(value)


def _type_name(value: Any) -> str:
    kind = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"


def _code(function: FunctionType, seen: set[str]) -> str:
    """Digest of bytecode, constants and names, and of the functions of the same namespace that are named."""
    seen.add(function.__qualname__)
    parts = [_code_parts(function.__code__)]
    for name in _names(function.__code__):
        other = function.__globals__.get(name)
        if isinstance(other, FunctionType) and other.__qualname__ not in seen:
            parts.append(_code(other, seen))
    return digest_bytes("\n".join(parts).encode("utf-8", "backslashreplace"))


def _names(code: CodeType) -> list[str]:
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant)]
    return [*code.co_names, *inner]


def _code_parts(code: CodeType) -> str:
    constants = [_constant(constant) for constant in code.co_consts]
    return repr((code.co_code, constants, code.co_names, code.co_varnames))


def _constant(constant: Any) -> str:
    if isinstance(constant, CodeType):
        return _code_parts(constant)
    if isinstance(constant, frozenset):
        return repr(sorted(map(repr, constant)))  # the order of a set of strings differs from process to process
    return repr(constant)
