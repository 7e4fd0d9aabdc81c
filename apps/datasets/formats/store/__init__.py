"""A version's rows on disk: a folder in mlx-lm's shape, written once, and its index.

``train.jsonl``, ``valid.jsonl`` and ``test.jsonl`` are the rows, a JSON object on each line;
a split without rows has no file. The folder's digest is over these alone. Beside them
``index.parquet`` has a line of columns for each row, and ``near.parquet``, once somebody
looked, the rows that are nearly equal. Both follow from the rows.
"""
