"""Evaluations: models and adapters asked the same, side by side in one table.

``material`` chooses rows and prompts, ``asking`` asks the engine, which computes base and
adapters in one batch, ``checks`` judges answers, ``results`` adds up what is in the database.
"""
