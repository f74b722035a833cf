"""Data distillation: a trained model labels images, as it sees them through several views, for a further training."""

from .distill import DataDistillation, DistilledSet, distill_data
from .labels import hard_label, hard_map

__all__ = ['DataDistillation', 'DistilledSet', 'distill_data', 'hard_label', 'hard_map']
