"""Training jobs (``jobs.py``), and every figure that their runs tell (``figures.py``)."""

from apps.training.models.figures import Metric, MetricSpan, Sample
from apps.training.models.jobs import StepTiming, Sweep, TrainingJob, TrainingJobQuerySet

__all__ = [
    "Metric",
    "MetricSpan",
    "Sample",
    "StepTiming",
    "Sweep",
    "TrainingJob",
    "TrainingJobQuerySet",
]
