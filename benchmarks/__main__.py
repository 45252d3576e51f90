"""Measure assay beside a bare loop (and a peer, where one is given) and write the table into `benchmarks/README.md`.

    python -m benchmarks                      # all, a few minutes
    python -m benchmarks echo jail            # only these
    python -m benchmarks --peer PYTHON        # with pydantic-evals from another environment

Every row is a ratio of medians of runs taken in turn, A B A B, in one go: machines differ, ratios hardly do.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "benchmarks" / "README.md"
_START, _END = "<!-- table -->", "<!-- end of table -->"


def run(module: str, *arguments: object, python: str = sys.executable) -> dict[str, Any]:
    """Run one measurement in a process of its own and return what it printed."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        command = [python, "-m", f"benchmarks.{module}", *map(str, arguments[:3]), folder, *map(str, arguments[3:])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def in_turn(repeats: int, *measure: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
    """Take measurements in turn and return each one's median by seconds."""
    taken: list[list[dict[str, Any]]] = [[] for _ in measure]
    for _ in range(repeats):
        for results, one in zip(taken, measure, strict=True):
            results.append(one())
    return [sorted(results, key=lambda result: result["seconds"])[len(results) // 2] for results in taken]


def echo(peer: str) -> list[str]:
    """Overhead per episode: an agent that answers at once, 10,000 and 100,000 cases."""
    lines: list[str] = []
    for n, repeats in ((10_000, 3), (100_000, 1)):
        measures = [lambda n=n: run("bare", "echo", n, 100), lambda n=n: run("ours", "echo", n, 100, "task")]
        if peer:
            measures.append(lambda n=n: run("peer_pydantic_evals", "echo", n, 100, python=peer))
        bare, ours, *others = in_turn(repeats, *measures)
        ratio = ours["seconds"] / bare["seconds"]
        lines.append(_row(f"no-op agent, `task`, {n:,} cases: time against a bare loop", f"{ratio:.2f}x", "at most 4x"))
        lines.append(_row("the same: durable episodes per second", f"{n / ours['seconds']:,.0f}", ""))
        if others:
            gain = others[0]["seconds"] / ours["seconds"]
            lines.append(
                _row("the same: speed against pydantic-evals, which stores nothing", f"{gain:.2f}x", "at least 2x")
            )
        if n == 100_000:
            lines.append(
                _row("peak memory of the coordinator at 100,000 episodes", f"{ours['peak_mb']:.0f} MB", "under 300 MB")
            )
        else:
            lines.append(
                _row(
                    "opening the rates of a 10,000-episode run, store included",
                    f"{ours['open_s'] * 1e3:.0f} ms",
                    "under 50 ms",
                )
            )
    return lines


def nap(peer: str) -> list[str]:
    """Waiting agents: 1,000 x 50 ms at 100 at once takes 0.5 s at best."""
    measures = [lambda: run("ours", "nap", 1_000, 100, "task")]
    if peer:
        measures.append(lambda: run("peer_pydantic_evals", "nap", 1_000, 100, python=peer))
    ours, *others = in_turn(5, *measures)
    lines = [
        _row(
            "1,000 x 50 ms agents, 100 at once: share of the ideal 0.5 s",
            f"{0.5 / ours['seconds']:.0%}",
            "at least 90 %",
        )
    ]
    if others:
        lines.append(_row("the same, pydantic-evals", f"{0.5 / others[0]['seconds']:.0%}", ""))
    return lines


def spin(peer: str) -> list[str]:
    """CPU-bound agents: 500 x about 20 ms on all cores."""
    cores = os.cpu_count() or 1
    bare, task, process = in_turn(
        3,
        lambda: run("bare", "spin", 500, cores),
        lambda: run("ours", "spin", 500, 2 * cores, "task"),
        lambda: run("ours", "spin", 500, 2 * cores, "process"),
    )
    return [
        _row(
            f"500 CPU-bound episodes, `{name}`: time against one bare process per core",
            f"{ours['seconds'] / bare['seconds']:.2f}x",
            "at most 1.2x",
        )
        for name, ours in (("task", task), ("process", process))
    ]


def warm(peer: str) -> list[str]:
    """A no-op Python agent through the warm zygote."""
    lines: list[str] = []
    for kind, least in (("process", 100), ("jail", 50)):
        (ours,) = in_turn(3, lambda kind=kind: run("ours", "echo", 1_000, 16, kind))
        lines.append(
            _row(
                f"no-op agent, `{kind}`: hermetic episodes per second",
                f"{1_000 / ours['seconds']:.0f}",
                f"at least {least}",
            )
        )
    return lines


def start(peer: str) -> list[str]:
    """Start-up of the command line."""
    assay = str(Path(sys.executable).with_name("assay"))
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        subprocess.run([assay, "init", folder], check=True, capture_output=True)
        first = Path(folder) / "datasets/shop/cases.jsonl"
        first.write_text(first.read_text().splitlines()[0] + "\n")
        python = _seconds([sys.executable, "-c", "pass"], folder)
        shown = _seconds([assay, "--help"], folder)
        one = _seconds([assay, "run", "--fresh"], folder)
    return [
        _row("`assay --help`", f"{shown:.2f} s ({shown / python:.1f}x a bare Python)", "under 0.5 s"),
        _row(
            "`assay run` with one case, isolation and report included",
            f"{one:.2f} s ({one / python:.1f}x)",
            "under 1.5 s",
        ),
    ]


def _seconds(command: list[str], folder: str) -> float:
    taken: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=False, capture_output=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _row(what: str, figure: str, wanted: str) -> str:
    return f"| {what} | {figure} | {wanted} |"


GROUPS = {"echo": echo, "nap": nap, "spin": spin, "warm": warm, "start": start}


def main() -> None:
    """Run the chosen groups; write the table when all were run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}; all by default")
    parser.add_argument(
        "--peer", default="", metavar="PYTHON", help="interpreter of an environment with pydantic-evals"
    )
    options = parser.parse_args()
    chosen = options.groups or list(GROUPS)
    if unknown := set(chosen) - set(GROUPS):
        parser.error(f"unknown group: {', '.join(sorted(unknown))}")
    lines = ["| what | measured | wanted |", "|---|---|---|"]
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        lines += GROUPS[name](options.peer)
    print("\n".join(lines))
    if set(chosen) == set(GROUPS):
        host = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.release()}"
        stamp = f"Measured {dt.datetime.now(dt.UTC):%Y-%m-%d} on {host}."
        before, _, rest = README.read_text().partition(_START)
        _, _, after = rest.partition(_END)
        README.write_text(f"{before}{_START}\n{stamp}\n\n" + "\n".join(lines) + f"\n{_END}{after}")


if __name__ == "__main__":
    main()
