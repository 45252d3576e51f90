"""Harnesses: how the real agent is invoked for one case, and what is brought back."""
