"""Operations with a learned share of a range: what a policy says of them, and their signs."""

import pytest
import torch

from mmdas.search.augmentation import AugmentPolicy, Canvas, Stage, SubPolicy
from mmdas.search.augmentation.ranged import RangedOperation, random_signs
from mmdas.search.dada import DADA_OPERATIONS
from mmdas.search.faster_aa import FASTER_AA_SPACE


@pytest.mark.parametrize('space', [DADA_OPERATIONS, FASTER_AA_SPACE], ids=['dada', 'faster-aa'])
def test_each_end_of_a_range_is_a_magnitude_that_policies_take(space: tuple[RangedOperation, ...]) -> None:
    for entry in space:
        for share, expected in ((0.0, entry.first), (1.0, entry.last)):
            choice = entry.choice(share)
            AugmentPolicy((SubPolicy((Stage((choice,)),)),))  # which checks it
            assert choice.magnitude == pytest.approx(expected)
            assert entry.magnitude(torch.tensor(share)).item() == pytest.approx(expected)


def test_warps_draw_a_sign_and_colours_do_not() -> None:
    signed = {entry.name for entry in FASTER_AA_SPACE if entry.signed}
    assert signed == {'shear_x', 'shear_y', 'translate_x', 'translate_y', 'rotate'}


def test_half_of_the_images_are_warped_the_other_way() -> None:
    images = torch.zeros(400, 1, 1, 9)
    images[..., 4] = 1.0
    moved, _ = RangedOperation('translate_x', 0.0, 1 / 3).apply(images, None, torch.ones(400), Canvas(fill=0.0))
    left, right = moved[..., 0, 1].flatten(), moved[..., 0, 7].flatten()
    torch.testing.assert_close(left + right, torch.ones(400))
    assert 150 < left.sum() < 250
    assert set(random_signs(50).tolist()) == {-1.0, 1.0}
