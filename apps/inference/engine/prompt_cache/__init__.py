"""The process-wide prompt KV cache.

radix.py    a radix tree over tokens that holds each shared span once (pure Python)
entries.py  the named ends of paths in it: what is listed, pinned and evicted (pure Python)
records.py  one span as a checksummed file (NumPy)
entry_files.py  one entry as a checksummed file (pure Python)
disk.py     the folder of records and its writer thread (pure Python)
layout.py   what the layers of a model's cache keep, and which of that can be cut
spans.py    the cache of consecutive tokens, all layers: cut, joined, exported (MLX)
quantized.py  keys and values in 8 or 4 bits (MLX)
checkpoints.py  what layers with a window or a recurrent state were at a position (MLX)
tiers.py    where KV lies, in memory and on disk: load, write behind, evict, restore
cache.py    PromptCache: look up the longest prefix, remember what was computed

Everything but the writer thread runs on the engine's one thread; nothing here locks.
"""
