"""JSON Schemas of the values that leave assay, for editors, validators and other languages."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import Any

import msgspec

from assay.core.case import Case
from assay.core.episode import Episode
from assay.core.report import COMPARE_SCHEMA, REPORT_SCHEMA, Comparison, Report

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ROOTS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "report": (Report, REPORT_SCHEMA),
    "compare": (Comparison, COMPARE_SCHEMA),
    "case": (Case, "assay.case/1"),
    "episode": (Episode, "assay.episode/1"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of `report`, `compare`, `case` and `episode`.

    Every field is described by its doc line; `$id` is a URN that names the version, such as `urn:assay:report:1`.
    """
    return {name: _schema(root, identity) for name, (root, identity) in _ROOTS.items()}


def _schema(root: type[msgspec.Struct], identity: str) -> dict[str, Any]:
    (reference,), components = msgspec.json.schema_components([root], ref_template="#/$defs/{name}")
    for name, type_ in _structs(root).items():
        described = _described(components[name], type_)
        if described.get("properties", {}).get("schema"):
            described["properties"]["schema"] |= {"const": identity}
        components[name] = described
    name, _, version = identity.removeprefix("assay.").partition("/")
    return {
        "$schema": _DIALECT,
        "$id": f"urn:assay:{name}:{version}",
        "title": identity,
        **reference,
        "$defs": components,
    }


def _described(schema: dict[str, Any], type_: type[msgspec.Struct]) -> dict[str, Any]:
    docs = _field_docs(type_)
    properties = {
        name: {**field, "description": docs[name]} if name in docs else field
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _structs(root: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """Return every struct that a struct refers to, itself included, by name."""
    found: dict[str, type[msgspec.Struct]] = {}

    def visit(info: msgspec.inspect.Type) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls.__name__ in found:
                return
            found[info.cls.__name__] = info.cls
            for field in info.fields:
                visit(field.type)
            return
        for name in ("item_type", "key_type", "value_type"):
            if isinstance(part := getattr(info, name, None), msgspec.inspect.Type):
                visit(part)
        for name in ("item_types", "types"):
            for part in getattr(info, name, ()):
                visit(part)

    visit(msgspec.inspect.type_info(root))
    return found


def _field_docs(type_: type[msgspec.Struct]) -> dict[str, str]:
    """Return the doc line under each field of a class, as its source has them."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(type_))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    docs: dict[str, str] = {}
    for pair in itertools.pairwise(body):
        match pair:
            case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text)))):
                docs[name] = text
            case _:
                pass
    return docs
