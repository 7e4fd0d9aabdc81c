"""Comparisons: one conversation that several models and adapters answer side by side.

Every question has one answer of each column, and they are versions of each other, as
regenerated ones are. All columns see the same conversation: it goes on from the answer that
was voted for. So a vote is a preference over one prompt, and a comparison is a chat.
"""
