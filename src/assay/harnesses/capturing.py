"""The one span capture of this process."""

from __future__ import annotations

import functools

from assay.otel.capture import SpanCapture


@functools.cache
def span_capture() -> SpanCapture:
    """Return the capture, made when it is first asked for: OpenTelemetry is one per process, so it must be too.

    It is installed then, and stays so in copies of the process. Ask after the agent was imported.
    """
    capture = SpanCapture()
    capture.install()
    return capture
