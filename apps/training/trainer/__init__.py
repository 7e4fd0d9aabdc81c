"""The trainer: fine-tunes one model in a process of its own. NO DJANGO.

    python -m apps.training.trainer RUN_FOLDER

A run is a folder; what is in it is all that the trainer and its caller share:

    config.json         what to train, a TrainingConfig
    events.jsonl        what happened, one event per line, appended
    checkpoints/<step>  weights, optimiser, random state and place in the data
    adapter/            the result, in mlx-lm's adapter format

Killed at any moment, the run goes on from its newest checkpoint, and on a CPU ends
with the very weights that an uninterrupted run ends with.
"""
