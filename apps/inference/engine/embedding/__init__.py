"""Vectors of texts: their turns on the engine's thread, between the steps of answers."""
