"""Benchmarks: whole processes, ratios within one run, medians of several rounds."""
