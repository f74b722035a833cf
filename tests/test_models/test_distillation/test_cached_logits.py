"""The table of what teachers have said."""

from types import SimpleNamespace

import pytest
import torch

from mmdas.models.distillation import CachedLogits, DistillationError


def test_rows_are_those_of_the_samples_in_their_order_and_repeat():
    table = torch.randn(5, 3).half()
    samples = [SimpleNamespace(sample_idx=number) for number in (4, 0, 4)]
    found = CachedLogits(table)(samples)
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.stack([table[4], table[0], table[4]]).float())


@pytest.mark.parametrize(
    ('sample', 'message'),
    [
        (SimpleNamespace(), "leave 'sample_idx' in meta_keys of PackInputs"),
        (SimpleNamespace(sample_idx=5), r'cached logits of 5 images, and a sample has sample_idx=5'),
    ],
)
def test_a_sample_that_the_table_does_not_know_is_refused(sample: SimpleNamespace, message: str):
    with pytest.raises(DistillationError, match=message):
        CachedLogits(torch.zeros(5, 3))([sample])
