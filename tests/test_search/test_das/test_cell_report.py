import numpy as np
import pytest
import torch

from mmdas.search.das import DASCell


def test_report_holds_every_mixture_and_its_entropy():
    cell = DASCell(num_frames=2, num_nodes=1, space=['identity', 'rotate'])
    with torch.no_grad():
        cell.logits.copy_(torch.tensor([[0.0, 0.0], [0.0, 3.0]]).log1p())
    report = cell.report()
    assert report['edge_0_2/rotate'] == pytest.approx(0.5)
    assert report['edge_1_2/rotate'] == pytest.approx(0.8)
    assert report['edge_0_2/entropy'] == pytest.approx(np.log(2))
    entropy = -0.8 * np.log(0.8) - 0.2 * np.log(0.2)
    assert report['mean_entropy'] == pytest.approx((np.log(2) + entropy) / 2)


def test_several_strengths_of_an_operation_are_told_apart_in_a_report():
    cell = DASCell(num_frames=2, num_nodes=1, space=['identity', 'rotate'], num_strengths=2)
    with torch.no_grad():
        cell.logits[0].copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    names = [f'edge_0_2/{name}' for name in ('identity', 'rotate_1', 'rotate_2')]
    assert [cell.report()[name] for name in names] == pytest.approx([0.5, 0.3, 0.2])
