"""Intervals, tests and decisions on numbers: pure functions, no input or output, nothing heavy at import."""
