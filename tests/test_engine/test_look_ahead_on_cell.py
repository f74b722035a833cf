"""The look-ahead step on the relaxed cell, against the numerical derivative of the loss that it looks ahead to."""

import pytest
import torch
import toy_search
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdas.engine import AlternatingStep, LookAheadStep, SearchStep
from mmdas.engine.utils import find_searchable

RATE = 0.2


@pytest.fixture
def model(monkeypatch) -> BaseModel:
    """A smooth classifier of two frames with TSM in double precision, whose cell has seven logits at work."""
    monkeypatch.setattr(toy_search, 'NUM_FRAMES', 2)
    torch.manual_seed(0)
    cell = dict(type='mmdas.DASCell', num_nodes=1, space=['identity', 'translate_x', 'rotate', 'horizontal_flip'])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(toy_search.cls_model(cell=cell)).double().train()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
    find_searchable(model).register_forward_pre_hook(lambda _, args: (args[0].double(), *args[1:]))
    return model


def batch(seed: int) -> dict:
    images = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(seed))
    return dict(inputs=list(images), data_samples=[DataSample().set_gt_label(label % 2) for label in range(4)])


def loss_of(model: BaseModel, batch: dict) -> Tensor:
    return model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))[0]


def weights_of(model: BaseModel) -> list[nn.Parameter]:
    logits = find_searchable(model).logits
    return [parameter for parameter in model.parameters() if parameter is not logits]


def found_by(kind: type[SearchStep], model: BaseModel, held_out: dict, train: dict) -> Tensor:
    """The gradient by which a step changes the logits: their optimiser has the rate 1."""
    logits = find_searchable(model).logits
    wrappers = OptimWrapperDict(
        weights=OptimWrapper(torch.optim.SGD(weights_of(model), lr=RATE)),
        policy=OptimWrapper(torch.optim.SGD([logits], lr=1.0)),
    )
    before = logits.detach().clone()
    kind(model, wrappers).search(held_out, train)
    return before - logits.detach()


def numerical(model: BaseModel, held_out: dict, train: dict) -> Tensor:
    """Central differences of the held-out loss after a step of the weights, which is made anew for each of them."""
    logits, weights = find_searchable(model).logits, weights_of(model)
    before = [weight.detach().clone() for weight in weights]

    def ahead() -> float:
        steps = torch.autograd.grad(loss_of(model, train), weights)
        with torch.no_grad():
            for weight, step in zip(weights, steps, strict=True):
                weight -= RATE * step
            loss = loss_of(model, held_out).item()
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)
        return loss

    slopes, flat = torch.zeros(logits.numel(), dtype=torch.float64), logits.data.view(-1)
    for entry in range(logits.numel()):
        value, losses = flat[entry].item(), []
        for shift in (1e-3, -1e-3):
            flat[entry] = value + shift
            losses.append(ahead())
        flat[entry] = value
        slopes[entry] = (losses[0] - losses[1]) / 2e-3
    return slopes.view_as(logits)


@pytest.mark.slow
def test_the_step_of_the_logits_is_the_numerical_derivative_of_the_loss_ahead(model: BaseModel) -> None:
    held_out, train = batch(1), batch(2)
    expected = numerical(model, held_out, train)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = found_by(LookAheadStep, model, held_out, train)
    model.load_state_dict(state)
    first_order = found_by(AlternatingStep, model, held_out, train)
    size = expected.norm()
    assert (found - expected).norm() < 1e-3 * size
    assert (first_order - expected).norm() > 0.1 * size, 'the case must tell the two apart'
