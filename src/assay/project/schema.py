"""JSON Schemas of everything that a user writes or reads."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.datasets.files import DatasetFile
from assay.eval.settings import EvalSettings
from assay.harnesses.config import TABLES
from assay.project.project import EvalFile
from assay.report.schema import schemas
from assay.worlds.spec import WorldSpec

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return schema name -> JSON Schema: `report`, `compare`, `case`, `episode`, `config`, `eval` and `dataset`."""
    return {**schemas(), "config": _config(), "eval": _eval(), "dataset": _plain(DatasetFile, "assay.dataset/1")}


def _eval() -> dict[str, Any]:
    (file, settings), parts = _components([EvalFile, EvalSettings])
    merged = parts[file] | {"properties": parts[file]["properties"] | parts[settings]["properties"]}
    return merged | _head("assay.eval/1") | {"$defs": parts}


def _config() -> dict[str, Any]:
    (settings, world, *tables), parts = _components([EvalSettings, WorldSpec, *TABLES.values()])
    for (kind, _), name in zip(TABLES.items(), tables, strict=True):
        parts[name]["properties"] |= {"kind": {"const": kind}, "world": {"$ref": f"#/$defs/{world}"}}
        if kind != "function":
            parts[name]["required"] = [*parts[name].get("required", []), "kind"]
    named = {"type": "object", "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in tables]}}
    text = {"type": "string"}
    properties = {
        "project": {"type": "object", "properties": {"name": text}, "additionalProperties": False},
        "store": {"type": "object", "properties": {"url": text}, "additionalProperties": False},
        "defaults": {"$ref": f"#/$defs/{settings}"},
        "harness": named,
        "judge": {"type": "object", "additionalProperties": {"type": "object"}},
    }
    return _head("assay.config/1") | {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": parts,
    }


def _plain(type_: type[msgspec.Struct], title: str) -> dict[str, Any]:
    (name,), parts = _components([type_])
    return parts.pop(name) | _head(title) | {"$defs": parts}


def _components(types: list[type[msgspec.Struct]]) -> tuple[list[str], dict[str, Any]]:
    references, parts = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    return [reference["$ref"].removeprefix("#/$defs/") for reference in references], parts


def _head(title: str) -> dict[str, Any]:
    name, _, version = title.removeprefix("assay.").partition("/")
    return {"$schema": _DIALECT, "$id": f"urn:assay:{name}:{version}", "title": title}
