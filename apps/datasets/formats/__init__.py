"""Rows to learn from: read, mapped, checked, kept and shown. Knows no Django.

The way of a row, down adjacent modules: ``reading`` (files of any kind to records) →
``kinds`` (what sort of record) → ``mapping`` (record to row) → ``checks`` and ``personal``
(what is wrong with it) → ``store`` (a folder in mlx-lm's shape, and its index) → ``near``,
``splits`` (which rows to keep, and where) → ``tokens`` (what the model sees of it).
"""
