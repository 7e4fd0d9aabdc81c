"""Benchmarks as a feature: measure this hub or another server, keep the runs, compare them.

``measuring`` asks the questions and takes the times; it knows no Django. Around
it: services.py starts, conducts and ends runs, views.py and api.py show them.
"""
