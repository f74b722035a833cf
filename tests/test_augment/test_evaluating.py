"""A look at the network of a training leaves no trace in it."""

import torch
from torch import nn

from mmdas.augment.evaluating import evaluating


class Bias(nn.Module):
    """Makes what an evaluation needs in ``train(False)``, as the attentions of LeViT do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.with_cp = True

    def train(self, mode: bool = True):
        super().train(mode)
        if not mode:
            self.cached = self.weight.detach().clone()
        return self

    def forward(self, x):
        return x * (self.weight if self.training else self.cached)


def make_model() -> nn.Module:
    model = nn.Module()
    model.data_preprocessor = nn.Sequential(nn.Identity())
    model.backbone = nn.Sequential(Bias(), nn.BatchNorm1d(1), nn.Dropout(0.5))
    model.train()
    model.backbone[1].eval()  # a frozen norm
    return model


def test_modes_are_those_of_an_evaluation_meanwhile_and_each_ones_own_afterwards():
    model = make_model()
    before = {name: module.training for name, module in model.named_modules()}
    with evaluating(model):
        assert not any(module.training for module in model.backbone.modules())
        assert not model.training
        assert model.data_preprocessor[0].training
        assert not model.backbone[0].with_cp
        assert torch.equal(model.backbone(torch.ones(2, 1)), model.backbone(torch.ones(2, 1)))
    assert {name: module.training for name, module in model.named_modules()} == before
    assert model.backbone[0].with_cp


def test_an_error_leaves_the_modes_as_they_were():
    model = make_model()
    try:
        with evaluating(model):
            raise KeyError
    except KeyError:
        pass
    assert model.training
    assert not model.backbone[1].training
