"""Jobs for the engine's tests; importable, so that fresh interpreters can load them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import msgspec

from assay.core.errors import HarnessError


class Script(msgspec.Struct, frozen=True):
    """Does what each payload says."""

    async def open(self) -> Script:
        return self

    async def run(self, key: int, payload: bytes) -> bytes:
        verb, _, argument = payload.decode().partition(" ")
        if verb == "sleep":
            await asyncio.sleep(float(argument))
        elif verb == "exit":
            os._exit(int(argument))
        elif verb == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif verb == "print":
            sys.stdout.write("x" * int(argument))
            sys.stdout.flush()
        elif verb == "raise":
            raise RuntimeError(argument)
        elif verb == "pid":
            return str(os.getpid()).encode()
        return payload

    async def close(self) -> None:
        pass


class Refusing(msgspec.Struct, frozen=True):
    """Cannot open."""

    async def open(self) -> Script:
        raise HarnessError("the agent module cannot be imported")


class Stillborn(msgspec.Struct, frozen=True):
    """Dies while it opens."""

    async def open(self) -> Script:
        print("no room to live", file=sys.stderr, flush=True)
        os._exit(9)
