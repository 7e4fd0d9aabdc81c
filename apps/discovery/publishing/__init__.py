"""Publishing: an adapter or a model that was made here becomes a repository on the hub.

``files`` says what goes, ``card`` writes the model card, ``running`` sends it as a job.
"""
