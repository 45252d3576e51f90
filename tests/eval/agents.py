"""Agents and judges that fresh processes can import."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time

from assay import judge


def waiter(order):
    return f"{order}, please"


def counting(word, world):
    world.session["turn"] = world.session.get("turn", 0) + 1
    return f"{world.session['turn']} {word}"


def booking(guest, world):
    with sqlite3.connect(world.databases["hotel"]) as database:
        database.execute("INSERT INTO stays (guest) VALUES (?)", (guest,))
    (world.workspace / "note.txt").write_text(guest)
    return "please"


async def misbehaving(verb):
    if verb == "raise":
        raise RuntimeError("the kettle is broken")
    if verb == "exit":
        os._exit(3)
    if verb == "hang":
        await asyncio.sleep(0.1)
    if verb == "forever":
        await asyncio.sleep(60)
    if verb == "unserializable":
        return {"please": object()}
    return "please"


def seeded(order, world):
    time.sleep(random.uniform(0, 0.002))
    return "please" if random.Random(world.seed).random() < 0.5 else "no"


@judge
def says_please(episode):
    return "please" in episode.output
