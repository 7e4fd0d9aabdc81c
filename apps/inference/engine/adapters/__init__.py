"""Many LoRA adapters over one loaded base, chosen row by row.

factors.py    what one adapter adds to one layer, and several of them side by side
selection.py  which rows of the next forward pass use which adapter
layers.py     layers of the base that add what the selection says
experts.py    the same for mixtures of experts, which reorder their rows
reading.py    an adapter's folder to factors that fit this base
takeover.py   puts these in the places of the base's layers, and the base's back
bank.py       AdapterBank: the adapters of one model, which come and go

Everything here runs on the engine's one thread; nothing locks.
"""
