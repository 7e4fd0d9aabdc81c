"""`mlx-hub soak`: a hub under mixed load for minutes or days, and whether it stays as it was.

- hub: one of its own, in a folder that goes with it
- kinds: what is done to it, one kind of visitor each
- traffic: the visitors at work, and how each visit went
- watching: memory, descriptors, threads and disk, process by process
- verdict: what the figures say, against stated limits
"""
