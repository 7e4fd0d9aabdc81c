"""Models that lie on this machine already: what other programs keep, and what is in a folder.

Looking changes nothing, reads headers alone, and believes no name it meets: names in
these folders may come from the network.
"""
