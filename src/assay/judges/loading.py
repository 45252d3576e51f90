"""Objects of the user's modules, named as `module:object`."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from assay.core.errors import ConfigError
from assay.core.tables import nearest


def load_object(spec: str, *, root: Path | None = None) -> Any:
    """Import `package.module:object.attribute`; raises `ConfigError` that says what is wrong and where.

    The module is found on `sys.path`; `root` (the project's folder) only serves to suggest a module when there is none
    of that name.
    """
    module_name, _, path = spec.partition(":")
    parts = path.split(".")
    if not all(part.isidentifier() for part in (*module_name.split("."), *parts)):
        raise ConfigError(f'"{spec}" is no import path: write "module:function"')
    found: Any = _import(module_name, root)
    for part in parts:
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = nearest(part, [name for name in dir(found) if not name.startswith("_")])
            raise ConfigError(f"'{module_name}' has no '{path}'" + (f" ({hint})" if hint else "")) from None
    return found


def _import(name: str, root: Path | None) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (error.name == name or name.startswith(f"{error.name}.")):
            hint = nearest(name, _modules_in(root))
            raise ConfigError(f"there is no module '{name}'" + (f" ({hint})" if hint else "")) from None
        raise ConfigError(_failure(name, error)) from error
    except (Exception, SystemExit) as error:  # the boundary at which the user's modules are run for the first time
        raise ConfigError(_failure(name, error)) from error


def _failure(name: str, error: BaseException) -> str:
    what = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return f"importing '{name}' failed at {_place(error)}: {what}"


def _place(error: BaseException) -> str:
    """Return file:line of a syntax error, else of the last frame in code that is no library."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    library = sysconfig.get_path("stdlib")
    place = "an unknown place"
    for frame in traceback.extract_tb(error.__traceback__):
        foreign = frame.filename.startswith((library, "<frozen ")) or "site-packages" in frame.filename
        if not foreign and frame.filename != __file__:
            place = f"{frame.filename}:{frame.lineno}"
    return place


def _modules_in(root: Path | None) -> list[str]:
    folders = [root] if root is not None else [Path(entry) for entry in sys.path[:1]]
    return [
        path.stem for folder in folders for path in sorted(folder.glob("*")) if path.suffix == ".py" or path.is_dir()
    ]
