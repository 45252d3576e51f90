"""What the worker tells a zygote once (`Setting`) and a supervisor for each episode (`Order`)."""

from __future__ import annotations

import marshal
from typing import NamedTuple

TREE = "tree"
"""The supervisor confines nothing; it owns the process tree (kind `process`, or already inside a jail of its own)."""
NESTED = "nested"
"""The supervisor makes the episode's own namespaces inside the zygote's jail."""


class Setting(NamedTuple):
    """What a zygote must know before it serves: everything that its episodes have in common."""

    confine: str
    """`tree` or `nested`."""
    parent: int
    """Process that the zygote dies with; 0 where the kernel ends it with its PID namespace."""
    python_path: list[str]
    """Entries put in front of `sys.path`."""
    preload: list[str]
    """Modules imported once."""
    own_network: bool = False
    """Whether each episode gets a network namespace (`nested` only)."""
    keep: tuple[str, ...] = ()
    """Read-only paths that lie under a private directory and must stay visible (`nested` only)."""
    conceal: tuple[str, ...] = ()
    """Directories that must look empty (`nested` only)."""


class Order(NamedTuple):
    """One episode: what to run, where, and under which limits."""

    entry: str
    """`package.module:function`, or empty for a command."""
    argv: list[str]
    """Program and arguments, or empty for a call."""
    payload: bytes
    """Argument of the call, or the command's standard input."""
    env: dict[str, str]
    """The whole environment."""
    work: str
    """Working directory as the program sees it."""
    binds: list[tuple[str, str]]
    """Host directory -> path in the episode's view (`nested` only)."""
    processes: int
    """Processes and threads of the episode, 0 for unlimited."""
    output_bytes: int
    """Bytes kept of each of stdout and stderr."""
    listen_port: int = 0
    """Port to listen on in the episode's own network, 0 for none."""
    wall_s: float = 0.0
    """Seconds until the whole tree is killed."""
    memory_bytes: int = 0
    """Address space of each process, 0 for unlimited."""


def pack(values: Setting | Order) -> bytes:
    """Write a `Setting` or an `Order` for the other side."""
    return marshal.dumps((*values,))


def read_setting(data: bytes) -> Setting:
    """Read what `pack` wrote."""
    return Setting(*marshal.loads(data))  # noqa: S302 - written by the worker that started this process


def read_order(data: bytes) -> Order:
    """Read what `pack` wrote."""
    return Order(*marshal.loads(data))  # noqa: S302 - written by the worker that started this process
