"""Measures an OpenAI-compatible server over HTTP: prompts in, times out. NO DJANGO.

    Plan → measure() → Figures

client.py asks one question and notes when each piece of the answer came,
prompts.py has the questions, measure.py the order in which they are asked,
figures.py what the times amount to, targets.py what they should amount to.
"""
