"""The fastest peer, which stores nothing: pydantic-evals. Runs in an environment of its own (`--peer PYTHON`)."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from pydantic_evals import Case, Dataset  # pyright: ignore[reportMissingImports]
from pydantic_evals.evaluators import EqualsExpected  # pyright: ignore[reportMissingImports]

from benchmarks import work


def main() -> None:
    """Run one workload and print a JSON line."""
    agent, n, concurrency = work.AGENTS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    dataset = Dataset(
        name="bench",
        cases=[Case(name=name, inputs=text, expected_output=expected) for name, text, expected in work.rows(n)],
        evaluators=[EqualsExpected()],
    )
    started = time.perf_counter()
    report = asyncio.run(dataset.evaluate(agent, max_concurrency=concurrency, progress=False))
    seconds = time.perf_counter() - started
    averages = report.averages()
    print(json.dumps({"seconds": seconds, "rate": averages.assertions if averages else None}))


if __name__ == "__main__":
    main()
