"""Bringing a model that lies on this machine, or comes from a browser, into the registry."""
