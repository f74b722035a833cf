"""What drawn operations do, by the code that trainings use."""

from itertools import product

import torch
from torch import Tensor

from mmdas.search.augmentation import Canvas, Choice, Drawn, apply_drawn


def scene(count: int = 4, size: int = 12) -> tuple[Tensor, Tensor]:
    """Images and label maps of noise."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, 3, size, size, generator=generator)
    return images, torch.randint(0, 9, (count, 1, size, size), generator=generator).float()


def all_signs(images: Tensor, labels: Tensor | None, choices: list[Choice]) -> list[tuple[Tensor, Tensor | None]]:
    """Images and labels after these operations, for each choice of the signs of their magnitudes."""
    signs = [(1, -1) if choice.signed else (1,) for choice in choices]
    results = []
    for drawn in product(*signs):
        rows = zip(choices, drawn, strict=True)
        sequence = [(choice.operation, sign * float(choice.bounds[0])) for choice, sign in rows]
        results.append(apply_drawn(images, labels, Drawn.same(sequence, len(images)), Canvas()))
    return results


def check_one_of(
    images: Tensor, labels: Tensor | None, expected: list[tuple[Tensor, Tensor | None]], tolerance: float = 1e-5
) -> None:
    """Each image, with its labels, is one of what is expected at its place."""
    for place, image in enumerate(images):
        fits = [candidate for candidate in expected if (candidate[0][place] - image).abs().max() < tolerance]
        assert fits, f'image {place} is none of {len(expected)}'
        if labels is not None:
            assert any(torch.equal(candidate[1][place], labels[place]) for candidate in fits)
