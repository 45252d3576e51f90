"""Worlds: the hermetic surroundings of an episode, made fresh from a seed and compared when it ends."""
