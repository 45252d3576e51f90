"""The runner: decide what is owed, run it, commit it."""
