"""Datasets of conversations: which of them, what rows come of it, and where those go."""
