"""Tables of the user's TOML files become values; every mistake is named by its dotted key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from assay.core.errors import ConfigError, Problem

T = TypeVar("T", bound=msgspec.Struct)
_WHERE = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")


def convert_table(table: Mapping[str, Any], type_: type[T], *, key: str = "") -> T:
    """Turn a decoded TOML table into a Struct.

    Raises `ConfigError` with one `Problem` per mistake: unknown keys (with the nearest known one), missing keys and
    wrong types. `key` is the dotted key of the table itself.
    """
    problems = list(_struct_problems(table, type_, key))
    if problems:
        raise ConfigError(problems)
    try:
        return msgspec.convert(dict(table), type_)
    except msgspec.ValidationError as error:
        raise ConfigError([_problem(error, key)]) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "did you mean '...'?" with the known name that is spelled most alike; empty if none is near."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{matches[0]}'?" if matches else ""


def join_key(*parts: str) -> str:
    """Join parts of a dotted key; empty parts are left out."""
    return ".".join(part for part in parts if part)


def _struct_problems(table: Mapping[str, Any], type_: type[msgspec.Struct], key: str) -> Iterable[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for name, value in table.items():
        place = join_key(key, name)
        if name in fields:
            yield from _value_problems(value, fields[name].type, place)
        else:
            hint = nearest(name, fields) or f"known keys: {', '.join(sorted(fields))}"
            yield Problem(message="unknown key", key=place, hint=hint)
    for name, field in fields.items():
        if field.required and name not in table:
            yield Problem(message="missing", key=join_key(key, name))


def _value_problems(value: Any, annotation: Any, key: str) -> Iterable[Problem]:
    struct = _struct_in(annotation)
    if struct is not None and isinstance(value, Mapping):
        yield from _struct_problems(value, struct, key)
        return
    arguments = get_args(annotation)
    item = _struct_in(arguments[1]) if get_origin(annotation) is dict else None
    if item is not None and isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _value_problems(entry, arguments[1], join_key(key, str(name)))
        return
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        yield _problem(error, key)


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    """Return the Struct that an annotation (`X` or `X | None`) accepts."""
    for member in (annotation, *get_args(annotation)):
        if isinstance(member, type) and issubclass(member, msgspec.Struct) and get_origin(annotation) is not dict:
            return member
    return None


def _problem(error: msgspec.ValidationError, key: str) -> Problem:
    text = str(error)
    where = _WHERE.search(text)
    message = text[: where.start()] if where else text
    inner = where["path"].removeprefix(".") if where else ""
    separator = "" if inner.startswith("[") else "."
    place = f"{key}{separator}{inner}" if key and inner else key or inner
    return Problem(message=message[:1].lower() + message[1:], key=place)
