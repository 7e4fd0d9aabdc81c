"""Calls that the hub makes to addresses that somebody typed in.

NO DJANGO.

- addresses: which machines may be called
- post: one POST to a checked address, and to no other
"""
