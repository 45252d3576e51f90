"""assay on the same work, through its public interface, with everything durable."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from assay import Case, Eval, EvalSettings, judge, open_store
from assay.eval.config import Config
from benchmarks import work


@judge
def same(episode):  # noqa: ANN001, ANN201 - as a user would write it
    """Whether the agent repeated the text."""
    return episode.output == episode.case.expected


def main() -> None:
    """Run one workload and print a JSON line: seconds of `Eval.run` alone, pass rate, peak memory, seconds to open."""
    agent, n, concurrency, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    isolation = sys.argv[5]
    cases = [Case(id=name, input=text, expected=expected) for name, text, expected in work.rows(n)]
    config = Config(root=folder, store_url=str(folder / "assay.db"))
    evaluation = Eval(
        [same],
        cases,
        work.AGENTS[agent],
        name="bench",
        config=config,
        settings=EvalSettings(concurrency=concurrency, isolation=isolation),
    )
    store = open_store(config.store_url)
    started = time.perf_counter()
    report = evaluation.run(store=store)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    run_id = report.manifest.run_id
    store.close()
    store = open_store(config.store_url)
    rates = store.counts(run_id)
    opening = time.perf_counter() - started
    store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {"seconds": seconds, "rate": report.overall.value, "peak_mb": peak, "open_s": opening, "rates": len(rates)}
        )
    )


if __name__ == "__main__":
    main()
