"""Data distillation: a trained model labels images, as it sees them through several views, for a further training."""

from .distill import distill_data
from .labels import hard_label, hard_map
from .options import DataDistillation, DistilledSet

__all__ = ['DataDistillation', 'DistilledSet', 'distill_data', 'hard_label', 'hard_map']
