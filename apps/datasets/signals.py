"""What datasets ask of the apps above them."""

from django.dispatch import Signal

dataset_uses = Signal()
"""Before a dataset is deleted. Sent with ``versions``, a list; receivers answer a list of
sentences, one for each thing that still points at one of them."""
