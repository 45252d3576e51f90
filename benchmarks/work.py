"""The work that everybody is given: the same cases, the same agents, the same judge. Imports nobody."""

from __future__ import annotations

import asyncio

WRONG_EVERY = 10
"""Every tenth case is wrong on purpose: a right run reports a pass rate of 0.9."""
SPINS = 240_000
"""Iterations of the CPU-bound agent, about 20 ms of pure Python."""


def rows(n: int) -> list[tuple[str, str, str]]:
    """Return (id, input, expected) of n cases."""
    made: list[tuple[str, str, str]] = []
    for number in range(n):
        text = f"question number {number}: repeat this text"
        made.append((f"case-{number:06d}", text, text if number % WRONG_EVERY else "something else"))
    return made


async def echo(text: str) -> str:
    """Answer at once."""
    return text


async def nap(text: str) -> str:
    """Answer after 50 ms."""
    await asyncio.sleep(0.05)
    return text


def spin(text: str) -> str:
    """Answer after about 20 ms of pure Python."""
    total = 0
    for number in range(SPINS):
        total += number * number & 7
    return text


AGENTS = {"echo": echo, "nap": nap, "spin": spin}
