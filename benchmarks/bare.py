"""The limit: asyncio and one durable SQLite row per episode (a commit per 256 rows or 50 ms); or one process per core."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sqlite3
import sys
import time
from pathlib import Path

from benchmarks import work

_GROUP, _EVERY_S = 256, 0.05


async def loop(agent: str, n: int, concurrency: int, folder: Path) -> float:
    """Run n episodes on one event loop; returns the pass rate."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=normal")
    database.execute("create table r(id text primary key, passed int, t0 real, t1 real, doc text)")
    call = work.AGENTS[agent]
    gate = asyncio.Semaphore(concurrency)
    buffer: list[tuple[str, int, float, float, str]] = []
    last, passed_total = time.perf_counter(), 0

    def commit() -> None:
        nonlocal last
        database.execute("begin")
        database.executemany("insert into r values(?,?,?,?,?)", buffer)
        database.execute("commit")
        buffer.clear()
        last = time.perf_counter()

    async def one(case_id: str, text: str, expected: str) -> None:
        nonlocal passed_total
        async with gate:
            started = time.time()
            output = await call(text)
            passed = output == expected
            passed_total += passed
            doc = json.dumps({"id": case_id, "input": text, "expected": expected, "output": output})
            buffer.append((case_id, int(passed), started, time.time(), doc))
            if len(buffer) >= _GROUP or time.perf_counter() - last > _EVERY_S:
                commit()

    await asyncio.gather(*(one(*row) for row in work.rows(n)))
    if buffer:
        commit()
    database.close()
    return passed_total / n


def _one(row: tuple[str, str, str]) -> bool:
    return work.spin(row[1]) == row[2]


def processes(n: int) -> float:
    """Run n CPU-bound episodes on one bare process per core; returns the pass rate."""
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        return sum(pool.imap_unordered(_one, work.rows(n), chunksize=4)) / n


def main() -> None:
    """Run one workload and print a JSON line: seconds of the evaluation alone, and the pass rate."""
    agent, n, concurrency, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    started = time.perf_counter()
    rate = processes(n) if agent == "spin" else asyncio.run(loop(agent, n, concurrency, folder))
    print(json.dumps({"seconds": time.perf_counter() - started, "rate": rate}))


if __name__ == "__main__":
    main()
