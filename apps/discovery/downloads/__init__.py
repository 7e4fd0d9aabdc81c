"""Bringing models here: the queue of downloads, and the work on each."""
