"""Runs: their manifests, and how far they got."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from assay.core.errors import NotFoundError
from assay.core.run import RunInfo, RunManifest
from assay.store.schema import OPEN, runs, work
from assay.store.text import plain, tamed

STATUSES = ("running", "interrupted", "finished")

_SHOWN = 5
_LAST = chr(0x10FFFF)  # sorts after everything that an id may go on with


def insert_run(connection: sa.Connection, manifest: RunManifest) -> None:
    """Insert a run without rows."""
    connection.execute(
        sa.insert(runs).values(
            run_id=manifest.run_id,
            eval_name=plain(manifest.eval_name),
            kind=manifest.kind,
            status="running",
            created_at=manifest.created_at,
            total=0,
            manifest=_manifest_text(manifest),
        )
    )


def finish_run(connection: sa.Connection, run_id: str, status: str) -> None:
    """Set the status of a run; the time of its end is kept only while it is finished."""
    if status not in STATUSES:
        raise ValueError(f"a run is {', '.join(STATUSES)}; not {status!r}")
    finished_at = time.time() if status == "finished" else None
    statement = sa.update(runs).where(runs.c.run_id == run_id).values(status=status, finished_at=finished_at)
    if not connection.execute(statement).rowcount:
        raise NotFoundError(f"there is no run {run_id!r} in the store")


def run(connection: sa.Connection, run_id: str) -> RunInfo:
    """Return one run by id, unique prefix or `latest`."""
    if run_id == "latest":
        query = _QUERY.order_by(*_NEWEST).limit(1)
    else:
        query = _QUERY.where(runs.c.run_id == find(connection, runs.c.run_id, plain(run_id), "run"))
    found = _infos(connection, query)
    if not found:
        raise NotFoundError("there are no runs in the store yet")
    return found[0]


def newest(connection: sa.Connection, eval_name: str, limit: int) -> list[RunInfo]:
    """Return the newest runs first, of one eval or of all."""
    query = _QUERY.order_by(*_NEWEST).limit(limit)
    return _infos(connection, query.where(runs.c.eval_name == plain(eval_name)) if eval_name else query)


def manifest_of(connection: sa.Connection, run_id: str) -> RunManifest:
    """Return the manifest of a run, by its whole id."""
    text = connection.execute(sa.select(runs.c.manifest).where(runs.c.run_id == run_id)).scalar()
    if text is None:
        raise NotFoundError(f"there is no run {run_id!r} in the store")
    return _read_manifest(text)


def find(connection: sa.Connection, key: sa.Column[str], wanted: str, what: str) -> str:
    """Return the one key that is `wanted` or begins with it. Raises `NotFoundError`, naming the candidates of several."""
    query = sa.select(key).where(key >= wanted, key < wanted + _LAST).order_by(key).limit(_SHOWN + 1)
    found = list(connection.execute(query).scalars()) if wanted else []
    if len(found) == 1 or wanted in found:
        return found[0]
    if not found:
        raise NotFoundError(f"there is no {what} {wanted!r} in the store")
    more = " and more" if len(found) > _SHOWN else ""
    raise NotFoundError(f"{what} {wanted!r} is ambiguous: {', '.join(found[:_SHOWN])}{more}")


def _infos(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> list[RunInfo]:
    rows = connection.execute(query).all()
    left = _left(connection, [row.run_id for row in rows])
    return [
        RunInfo(
            manifest=_read_manifest(row.manifest),
            status=row.status,
            done=row.total - left.get(row.run_id, 0),
            total=row.total,
            finished_at=row.finished_at,
        )
        for row in rows
    ]


def _left(connection: sa.Connection, run_ids: Sequence[str]) -> Mapping[str, int]:
    """Count the rows that are not settled: the index holds no others, so a finished run costs nothing."""
    query = (
        sa.select(work.c.run_id, sa.func.count().label("left"))
        .where(work.c.run_id.in_(run_ids), OPEN)
        .group_by(work.c.run_id)
    )
    return {row.run_id: row.left for row in connection.execute(query)}


def _manifest_text(manifest: RunManifest) -> str:
    try:
        return msgspec.json.encode(manifest).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(tamed(manifest)).decode()


def _read_manifest(text: str) -> RunManifest:
    return msgspec.json.decode(text, type=RunManifest)


_QUERY = sa.select(runs.c.run_id, runs.c.status, runs.c.finished_at, runs.c.total, runs.c.manifest)
_NEWEST = (runs.c.created_at.desc(), runs.c.run_id.desc())
