"""The contestants of the races of warps compute what they should."""

import pytest
import torch
from mmengine.config import Config

from benchmarks.accuracy.tasks import ROOT
from benchmarks.races import a3_policy
from benchmarks.warps import RANGES, kornia_warp, pixel_matrices
from mmdas.ops import affine
from mmdas.search.das import Policy, PolicyClip

CPU, SIZE = torch.device('cpu'), (12, 9)


def images() -> torch.Tensor:
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('name', ['rotate', 'scale', 'translate_x', 'shear_y'])
def test_matrices_of_pixels_make_the_same_warp(name):
    pytest.importorskip('kornia')
    theta = getattr(affine, f'{name}_matrix')(torch.tensor([0.1, 0.2]), SIZE)
    actual = kornia_warp(images(), pixel_matrices(theta, SIZE))
    torch.testing.assert_close(actual, affine.warp_affine(images(), theta), rtol=0, atol=1e-4)


@pytest.mark.parametrize('seed', range(3))
def test_policy_by_kornia_is_the_policy(seed):
    pytest.importorskip('kornia')
    clip = PolicyClip(Policy.random(a3_policy.FRAMES, ranges=RANGES, seed=seed)).eval()
    by_paths, by_edges = (form(clip, SIZE)(images()) for form in (a3_policy.paths_by_kornia, a3_policy.chain_by_kornia))
    torch.testing.assert_close(by_paths, clip(images()), rtol=0, atol=1e-3)
    torch.testing.assert_close(by_edges, clip._one_after_the_other(images()), rtol=0, atol=1e-3)


def test_ranges_are_those_of_the_search_configs():
    assert dict(Config.fromfile(ROOT / 'configs/_base_/search.py').half_ranges) == RANGES
