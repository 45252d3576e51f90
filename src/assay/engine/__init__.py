"""Engines: map a job over many items, on the processes of one machine."""
