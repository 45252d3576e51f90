"""What one worker's sandbox is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

from assay.core.errors import ConfigError

WORK = "/workspace"
"""Working directory of every program in a jail."""
HOME = "/home/agent"
"""HOME of every program in a jail."""
TMP = "/tmp"  # noqa: S108 - a private one
"""TMPDIR of every program in a jail."""
LISTEN_PORT = 4318
"""Port of the listener in a jail: the standard one of OTLP over HTTP."""
LISTEN_PORT_MARK = "{listen_port}"
"""Stands in values of `Place.env` for the port of the listener, which a `process` learns only when it starts."""


class IsolationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a sandbox is built; one per worker and harness."""

    kind: Literal["jail", "process"]
    """`jail`: bubblewrap and namespaces. `process`: a fresh process whose tree is killed, nothing confined."""
    scratch: str
    """Existing host directory under which all places of this worker lie; no program of this sandbox sees it.

    Keep it outside the project or below something hidden, so that the programs of other workers do not see it either."""
    preload: tuple[str, ...] = ()
    """Modules that the zygote imports once."""
    python_path: tuple[str, ...] = ()
    """Absolute entries put in front of `sys.path`; visible read-only."""
    project_root: str = ""
    """The user's project, visible read-only at its own path; empty for none."""
    hide: tuple[str, ...] = ()
    """Files and directories of the project that no program may see, absolute or relative to the root."""
    read_only: tuple[str, ...] = ()
    """More host paths that are visible read-only, such as a tool's install directory."""
    network: Literal["none", "host"] = "none"
    """`host` shares the machine's network: needed to call a real model, and not hermetic."""
    env: dict[str, str] = {}
    """Environment seen while the agent is imported and in every episode; nothing of the host's is inherited."""
    hash_seed: int = 0
    """PYTHONHASHSEED of every Python that starts."""
    processes: int = 1024
    """Most processes and threads of an episode; enforced in jails of ordinary users."""
    output_bytes: int = 131072
    """Most bytes kept of each of stdout and stderr: the first and the last half."""
    open_timeout_s: float = 120.0
    """Seconds that importing the agent may take."""


class PreloadError(ConfigError):
    """A module of the user's agent cannot be imported; the message ends with its traceback."""

    def __init__(self, module: str, traceback: str) -> None:
        self.module = module
        self.traceback = traceback
        super().__init__(f"cannot import {module}:\n{traceback.rstrip()}")
