"""TOML with line numbers: every mistake in a file is reported with file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.tables import convert_table, join_key

T = TypeVar("T", bound=msgspec.Struct)
_HEADER = re.compile(r"^\s*\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")


class TomlFile:
    """A parsed TOML file that knows on which line each key stands."""

    def __init__(self, path: Path, shown: str = "") -> None:
        """Read a file; raises `ConfigError` when it is missing, not UTF-8 or not TOML."""
        self.path = path
        self.shown = shown or str(path)
        try:
            text = path.read_bytes().decode()
            self.data: dict[str, Any] = tomllib.loads(text)
        except OSError as error:
            raise ConfigError([Problem(message=error.strerror or str(error), path=self.shown)]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(message=f"not UTF-8: byte {error.start}", path=self.shown)]) from error
        except tomllib.TOMLDecodeError as error:
            found = _POSITION.search(str(error))
            message = _POSITION.sub("", str(error)).strip()
            line = int(found[1]) if found else None
            raise ConfigError([Problem(message=f"not valid TOML: {message}", path=self.shown, line=line)]) from error
        self._lines = _key_lines(text)

    def line(self, key: str) -> int | None:
        """Return the line of a dotted key, else of the first key below it, else of the nearest table around it."""
        below = (line for name, line in self._lines.items() if name.startswith(f"{key}."))
        if key not in self._lines and (first := min(below, default=None)) is not None:
            return first
        parts = key.split(".")
        while parts:
            if (line := self._lines.get(".".join(parts))) is not None:
                return line
            parts.pop()
        return None

    def problem(self, key: str, message: str, hint: str = "") -> Problem:
        """Place a mistake."""
        return Problem(message=message, path=self.shown, line=self.line(key), key=key, hint=hint)

    def placed(self, problems: Iterable[Problem]) -> list[Problem]:
        """Give problems that know only their key the file and the line."""
        return [msgspec.structs.replace(each, path=self.shown, line=self.line(each.key)) for each in problems]

    def read(self, table: Mapping[str, Any], type_: type[T], key: str, problems: list[Problem]) -> T | None:
        """Turn a table into a value; adds its mistakes to `problems` and returns None when there are any."""
        try:
            return convert_table(table, type_, key=key)
        except ConfigError as error:
            problems += self.placed(error.problems)
        except ValueError as error:
            problems.append(self.problem(key, str(error)))
        return None


def _key_lines(text: str) -> dict[str, int]:
    """Find the line of every key. Multi-line strings and arrays are skipped, inline tables count as one line."""
    lines: dict[str, int] = {}
    table, open_quote, depth = "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if open_quote:
            open_quote = "" if open_quote in line else open_quote
            continue
        if depth > 0:
            depth += _balance(line)
            continue
        if header := _HEADER.match(line):
            table = _plain(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(join_key(table, _plain(key[1])), number)
            rest = line[key.end() :]
            for quote in ('"""', "'''"):
                if rest.count(quote) == 1:
                    open_quote = quote
            depth = max(0, _balance(rest)) if not open_quote else 0
    return lines


def _balance(text: str) -> int:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*', "", text)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")


def _plain(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
