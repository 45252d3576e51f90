"""Recorded episodes as a file: JSON lines that the `recorded` harness plays back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from assay.core.recording import Recording
from assay.datasets.files import write_lines

RECORDINGS_FILE = "recordings.jsonl"
_encode = msgspec.json.Encoder(order="deterministic").encode


def write_recordings(path: Path, recordings: Iterable[Recording]) -> int:
    """Write recordings, a line each, to a file that appears complete or not at all; returns how many."""
    return write_lines(path, map(_encode, recordings))
