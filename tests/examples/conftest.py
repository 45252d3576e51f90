"""A hotel for the tests of the front desk example: the world handle that the agent gets, and a recorder of its spans."""

from __future__ import annotations

import importlib
import importlib.util
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

EXAMPLE = Path(__file__).parents[2] / "examples" / "frontdesk"
NOW = datetime(2026, 1, 15, 9, tzinfo=UTC)
KEYS = {"guests": "email", "handoffs": "id", "refunds": "id", "reservations": "confirmation"}
MODULES = ("agent", "dates", "llm_agent", "parse", "policy", "tools")


@cache
def seeded_database() -> bytes:
    """Build the database once; a copy of its bytes is all that a test needs."""
    database = sqlite3.connect(":memory:")
    for name in ("schema.sql", "seed.sql"):
        database.executescript((EXAMPLE / "seeds" / name).read_text("utf-8"))
    data = database.serialize()
    database.close()
    return data


@dataclass(frozen=True, kw_only=True)
class HotelWorld:
    """The handle that the agent gets, on a folder of the test."""

    workspace: Path
    clock: datetime = NOW
    session: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        Path(self.databases["hotel"]).write_bytes(seeded_database())

    @property
    def databases(self) -> dict[str, str]:
        return {"hotel": str(self.workspace / "hotel.db")}

    def rows(self, table: str) -> dict[Any, dict[str, Any]]:
        database = sqlite3.connect(self.databases["hotel"])
        database.row_factory = sqlite3.Row
        found = {row[KEYS[table]]: dict(row) for row in database.execute(f"SELECT * FROM {table}")}
        database.close()
        return found

    def tables(self) -> dict[str, dict[Any, dict[str, Any]]]:
        return {table: self.rows(table) for table in KEYS}

    def mail(self) -> list[Path]:
        return sorted((self.workspace / "outbox").glob("*.eml"))


@pytest.fixture
def world(tmp_path: Path) -> HotelWorld:
    return HotelWorld(workspace=tmp_path)


@pytest.fixture
def new_world() -> Callable[..., HotelWorld]:
    return HotelWorld


@pytest.fixture(scope="session")
def desk() -> SimpleNamespace:
    """Import the example without leaving its folder on the path, where its module names would shadow others."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        return SimpleNamespace(**{name: importlib.import_module(f"frontdesk.{name}") for name in MODULES})
    finally:
        sys.path.remove(str(EXAMPLE))


@pytest.fixture(scope="session")
def judges() -> Any:
    spec = importlib.util.spec_from_file_location("frontdesk_judges", EXAMPLE / "judges.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Collect spans with a real SDK, without making it the provider of the whole process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()
