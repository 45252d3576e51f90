"""Judges: pure functions of an episode, written in Python or configured from the built-in kinds."""
