"""The step of DDAS against the numerical gradient of the loss that it looks ahead to."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from smooth_models import batch, classifier, loss_of, segmentor
from torch import Tensor, nn

from mmdas.engine import DDASStep
from mmdas.engine.steps.ddas_step import split_batch
from mmdas.search import Searchable
from mmdas.search.ddas import DDASSearch

RATE = 0.05
SEARCH = dict(type='mmdas.DDASSearch', probability=0.4)


def build(make: Callable[[dict], BaseModel], **options) -> tuple[BaseModel, DDASStep]:
    torch.manual_seed(0)
    model = make(SEARCH)
    model.init_weights()
    model.double().train()
    (searchable,) = (module for module in model.modules() if isinstance(module, DDASSearch))
    with torch.no_grad():
        searchable.logits.copy_(torch.linspace(-1, 1, len(searchable.logits)))
    policy = searchable.policy_parameters()
    weights = [parameter for name, parameter in model.named_parameters() if 'augment' not in name]
    wrappers = OptimWrapperDict(
        weights=OptimWrapper(torch.optim.SGD(weights, lr=RATE)), policy=OptimWrapper(torch.optim.SGD(policy, lr=1.0))
    )
    return model, DDASStep(model, wrappers, **options)


def reference(model: BaseModel, step: DDASStep, held_out: dict, train: dict) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The look-ahead loss differentiated numerically, times what the step scales by, and the weights after the step."""
    searchable, weights = step.searchable, list(step.optim_wrapper['weights'].optimizer.param_groups[0]['params'])
    sequences = searchable.draw_sequences(step.copies)
    gradients = []
    for sequence in [[], *sequences.tolist()]:
        with searchable.only(sequence):
            gradients.append(torch.autograd.grad(loss_of(model, train), weights))
    first = searchable.sequence_probabilities(sequences).detach()
    before = [weight.detach().clone() for weight in weights]

    def move() -> None:
        theta, shares = searchable.probability.detach(), searchable.sequence_probabilities(sequences).detach()
        factors = [1 - theta * (shares / first.sum()).sum(), *(theta * shares / first.sum())]
        for place, (weight, start) in enumerate(zip(weights, before, strict=True)):
            direction = sum(factor * row[place] for factor, row in zip(factors, gradients, strict=True))
            weight.data = start - RATE * direction

    def ahead() -> float:
        move()
        with searchable.without():
            return float(loss_of(model, held_out).detach())

    def numerical(parameter: nn.Parameter) -> Tensor:
        slopes, flat = torch.zeros_like(parameter).view(-1), parameter.data.view(-1)
        for entry in range(flat.numel()):
            value, values = float(flat[entry]), []
            for shift in (1e-4, -1e-4):
                flat[entry] = value + shift
                values.append(ahead())
            flat[entry] = value
            slopes[entry] = (values[0] - values[1]) / 2e-4
        return slopes.view_as(parameter)

    slopes = {'logits': numerical(searchable.logits), 'probability': numerical(searchable.probability_logit)}
    move()
    after = [weight.detach().clone() for weight in weights]
    with searchable.without():
        slope = torch.autograd.grad(loss_of(model, held_out), weights)
    dots = [sum((a * b).sum() for a, b in zip(row, slope, strict=True)) for row in gradients]
    scale = RATE * sum(abs(dot - dots[0]) for dot in dots[1:])
    for weight, start in zip(weights, before, strict=True):
        weight.data = start
    return {name: value / scale for name, value in slopes.items()}, after


@pytest.mark.parametrize('make', [classifier, segmentor])
def test_policy_gradient_is_that_of_the_look_ahead_loss(make: Callable[[dict], BaseModel]) -> None:
    model, step = build(make)
    held_out, train = batch(model, 1), batch(model, 2)
    torch.manual_seed(3)
    expected, after = reference(model, step, held_out, train)
    searchable = step.searchable
    before = {
        'logits': searchable.logits.detach().clone(),
        'probability': searchable.probability_logit.detach().clone(),
    }
    torch.manual_seed(3)
    step.search(held_out, train)
    found = {'logits': before['logits'] - searchable.logits.detach()}
    found['probability'] = before['probability'] - searchable.probability_logit.detach()
    for name, slope in found.items():  # of an optimiser with rate 1
        torch.testing.assert_close(slope, expected[name], rtol=1e-4, atol=1e-7)
        assert slope.abs().max() > 1e-4
    weights = step.optim_wrapper['weights'].optimizer.param_groups[0]['params']
    for weight, wanted in zip(weights, after, strict=True):
        torch.testing.assert_close(weight.detach(), wanted)


def test_gradients_that_lie_transposed_in_memory_step_alike() -> None:  # as those of SegFormer's convolutions
    after = []
    for transposed in (False, True):
        model, step = build(classifier)
        if transposed:
            for weight in model.backbone.parameters():
                weight.register_hook(lambda slope: slope.transpose(0, -1).contiguous().transpose(0, -1))
        torch.manual_seed(3)
        step.search(batch(model, 1), batch(model, 2))
        after.append(list(model.parameters()))
    torch.testing.assert_close(*after)


def test_parts_of_a_shared_batch_hold_each_image_once() -> None:
    model, _ = build(classifier)
    data = batch(model, 1, count=7)
    parts = split_batch(data, 3)
    images = [id(image) for part in parts for image in part['inputs']]
    assert sorted(images) == sorted(id(image) for image in data['inputs'])
    assert [len(part['inputs']) for part in parts] == [3, 2, 2]
    for part in parts:
        for image, sample in zip(part['inputs'], part['data_samples'], strict=True):
            place = next(place for place, other in enumerate(data['inputs']) if other is image)
            assert data['data_samples'][place] is sample


def test_a_step_that_shares_its_batch_looks_at_every_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, step = build(classifier, share_batch=True)
    seen = []
    monkeypatch.setattr(
        model.backbone,
        'forward',
        lambda images, forward=model.backbone.forward: seen.append(len(images)) or forward(images),
    )
    step.search(batch(model, 1), batch(model, 2, count=8))
    assert seen == [2, 2, 2, 2, 4]


def test_a_batch_of_fewer_images_than_parts_is_shared_too() -> None:  # the last one of an epoch
    model, step = build(classifier, share_batch=True)
    data = batch(model, 1, count=3)
    parts = split_batch(data, 4)
    assert [[id(image) for image in part['inputs']] for part in parts] == [
        [id(data['inputs'][place])] for place in (0, 1, 2, 0)
    ]
    assert all(bool(value.isfinite()) for value in step.search(batch(model, 2), data).values())


class Half(OptimWrapper):
    """Mixed precision on the CPU, as MMEngine's wrapper does it on a GPU alone."""

    def __init__(self, optimizer: torch.optim.Optimizer, scale: float) -> None:
        super().__init__(optimizer)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=scale)
        self.seen: list[bool] = []

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            self.seen.append(torch.is_autocast_enabled('cpu'))
            yield


def in_half(scale: float) -> tuple[BaseModel, DDASStep]:
    model, step = build(classifier)
    step.optim_wrapper.optim_wrappers['weights'] = Half(step.optim_wrapper['weights'].optimizer, scale)
    return model, step


def test_mixed_precision_steps_by_unscaled_gradients():
    found = []
    for model, step in (build(classifier), in_half(2.0**12)):
        torch.manual_seed(3)
        step.search(batch(model, 1), batch(model, 2))
        found.append([parameter.detach().clone() for parameter in model.parameters()])
    assert step.optim_wrapper['weights'].seen == [True] * 5
    for full, half in zip(*found, strict=True):
        torch.testing.assert_close(half, full, rtol=2e-2, atol=2e-3)


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_falls():
    model, step = in_half(1e308)
    step.optim_wrapper['weights'].loss_scaler = torch.amp.GradScaler('cpu', init_scale=float('inf'))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step.optim_wrapper['weights'].loss_scaler.update = (scales := []).append
    step.search(batch(model, 1), batch(model, 2))
    assert scales == [float('inf')]
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


def test_a_model_that_searches_something_else_is_refused():
    model, step = build(classifier)
    (searched,) = model.data_preprocessor.searched_augments
    model.data_preprocessor.searched_augments[0] = Other()
    with pytest.raises(ValueError, match='steps a DDASSearch, but the model searches a Other'):
        DDASStep(model, step.optim_wrapper)
    assert isinstance(searched, DDASSearch)


class Other(Searchable):
    def report(self) -> dict[str, float]:
        return {}

    def to_policy(self, origin: Mapping | None = None) -> None:
        raise NotImplementedError


def test_policy_steps_leave_no_gradient_behind() -> None:
    model, step = build(segmentor)
    step.search(batch(model, 1), batch(model, 2))
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
