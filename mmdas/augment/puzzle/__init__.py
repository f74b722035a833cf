"""Puzzle Mix (Kim et al., ICML 2020) on tensors: energy, the mask of least energy, transport of pieces."""

from .cut import minimal_labels
from .energy import Energy, puzzle_energy
from .pieces import block_counts, enlarged, moved_pieces, piece_count
from .saliency import block_importance, loss_saliency
from .transport import best_moves

__all__ = [
    'Energy',
    'best_moves',
    'block_counts',
    'block_importance',
    'enlarged',
    'loss_saliency',
    'minimal_labels',
    'moved_pieces',
    'piece_count',
    'puzzle_energy',
]
