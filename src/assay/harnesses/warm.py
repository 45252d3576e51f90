"""Imported last in the zygote: makes it ready to capture spans, once, before it is copied for every episode.

The one module of assay whose import does something, because importing is all that a zygote is asked to do.
"""

from assay.harnesses import capturing, player

__all__ = ["player"]

capturing.span_capture()
