import pytest
import torch

from mmdas.search.das import get_operation
from mmdas.search.das.operation import Operation, draw_strength, identity, ramp_offsets

OFFSETS = torch.tensor([-2.0, -1.0, 0.0, 1.0], dtype=torch.float64)


def magnitudes(name: str, strength: float) -> list[float]:
    return get_operation(name).magnitude(torch.tensor(strength, dtype=torch.float64), OFFSETS).tolist()


def test_linear_magnitude_is_the_strength_times_the_distance() -> None:
    assert magnitudes('rotate', 5.0) == [-10.0, -5.0, 0.0, 5.0]


def test_scale_multiplies_its_factor_with_every_step() -> None:
    factors = [1 + magnitude for magnitude in magnitudes('scale', 0.25)]
    assert factors == pytest.approx([1 / 1.25**2, 1 / 1.25, 1, 1.25])


def test_mirrored_ramp_takes_the_absolute_distance() -> None:
    assert ramp_offsets(OFFSETS, 'signed').tolist() == [-2, -1, 0, 1]
    assert ramp_offsets(OFFSETS, 'mirrored').tolist() == [2, 1, 0, 1]


def test_unknown_ramp_is_refused() -> None:
    with pytest.raises(ValueError, match="ramp.*signed.*mirrored.*'up'"):
        ramp_offsets(OFFSETS, 'up')


def test_drawn_strengths_fill_the_range() -> None:
    generator = torch.Generator().manual_seed(0)
    operation = Operation('move', identity, -3.0, 1.0, unit='pixel')
    drawn = torch.tensor([draw_strength(operation, generator) for _ in range(500)])
    assert -3 <= drawn.min() < -2.9
    assert 0.9 < drawn.max() <= 1
    assert drawn.mean().item() == pytest.approx(-1, abs=0.2)
