"""Work on a model's weights, in a process of its own: converting, fusing, exporting.

The process reads one order as a line of JSON from its standard input and writes events,
a line each, to its standard output. It ends when its input does: with whoever gave the
order. What it makes appears whole or not at all.
"""
