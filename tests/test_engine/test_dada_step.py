"""The step of DADA: what it looks ahead to, and what it leaves behind."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from smooth_models import batch, classifier, loss_of, segmentor
from torch import Tensor
from torch.func import functional_call

from mmdas.engine import DADAStep
from mmdas.search.dada import DADA_OPERATIONS, PAIRS, PairDraw

RATE = 0.05
NAMES = [entry.name for entry in DADA_OPERATIONS]


def build(make: Callable[[dict], BaseModel], kind: str = 'DADASearch') -> tuple[BaseModel, DADAStep]:
    model = make(dict(type=f'mmdas.{kind}'))
    model.init_weights()
    model.double().train()
    searchable = next(module for module in model.modules() if type(module).__name__ == kind)
    weights = [parameter for name, parameter in model.named_parameters() if 'augment' not in name]
    policy = torch.optim.SGD(searchable.policy_parameters(), lr=1.0)
    wrappers = OptimWrapperDict(weights=OptimWrapper(torch.optim.SGD(weights, lr=RATE)), policy=OptimWrapper(policy))
    return model, DADAStep(model, wrappers)


def both_of(step: DADAStep, first: str, second: str) -> PairDraw:
    """A draw of two operations that are both applied."""
    draw = step.searchable.draw()
    pair = PAIRS.index((NAMES.index(first), NAMES.index(second)))
    return replace(draw, pair=pair, applied=torch.ones_like(draw.applied))


def look_ahead(model: BaseModel, step: DADAStep, held_out: dict, train: dict) -> tuple[Tensor, Tensor]:
    """Change of the held-out loss and its gradient in the magnitudes, by second derivatives."""
    searchable, weights = step.searchable, step.optim_wrapper['weights'].optimizer.param_groups[0]['params']
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    state = torch.get_rng_state()
    slopes = torch.autograd.grad(factor * loss_of(model, train), weights, create_graph=True)
    torch.set_rng_state(state)
    moved = {names[id(w)]: w - RATE * slope for w, slope in zip(weights, slopes, strict=True)}
    with searchable.without():
        data = model.data_preprocessor(held_out, True)
    losses = functional_call(model, moved, kwargs={**data, 'mode': 'loss'})
    found = torch.autograd.grad(losses_sum(losses), [factor, searchable.magnitude_logits])
    return found[0] / RATE, found[1] / RATE


def losses_sum(losses: dict) -> Tensor:
    return sum(value for name, value in losses.items() if 'loss' in name)


@pytest.mark.parametrize('make', [classifier, segmentor])
@pytest.mark.parametrize('pair', [('rotate', 'contrast'), ('solarize', 'sharpness')])
def test_change_and_gradient_of_magnitudes_are_those_of_the_loss_after_the_step(
    make: Callable[[dict], BaseModel], pair: tuple[str, str]
) -> None:
    model, step = build(make)
    held_out, train = batch(model, 1), batch(model, 2)
    with torch.no_grad():
        step.searchable.magnitude_logits.fill_(0.7)
    with step.searchable.only(both_of(step, *pair)):
        torch.manual_seed(3)
        change, gradient = look_ahead(model, step, held_out, train)
        torch.manual_seed(3)
        found, magnitudes, _ = step._look_ahead(held_out, train)
    assert change.abs() > 1e-3
    torch.testing.assert_close(found, change, rtol=1e-3, atol=1e-6)
    assert (gradient != 0).sum() == 2
    torch.testing.assert_close(magnitudes, gradient, rtol=2e-2, atol=1e-6)


def test_held_out_images_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    model, step = build(classifier)
    held_out, train = batch(model, 1), batch(model, 2)
    expected = model.data_preprocessor(held_out, False)['inputs']
    seen = []
    forward = model.backbone.forward
    monkeypatch.setattr(model.backbone, 'forward', lambda images: seen.append(images.detach()) or forward(images))
    with step.searchable.only(both_of(step, 'invert', 'contrast')):
        step._look_ahead(held_out, train)
    plain = model.data_preprocessor(train, False)['inputs']
    torch.testing.assert_close(seen[1], expected)
    assert all((images - plain).abs().max() > 0.1 for images in (seen[0], seen[2], seen[3]))


def test_all_passes_and_the_step_of_the_weights_see_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    model, step = build(classifier)
    draw = both_of(step, 'rotate', 'cutout')
    with torch.no_grad():
        step.searchable.magnitude_logits.fill_(2.0)
    monkeypatch.setattr(step.searchable, 'draw', lambda: draw)
    seen = []
    forward = model.backbone.forward
    monkeypatch.setattr(model.backbone, 'forward', lambda images: seen.append(images.detach()) or forward(images))
    monkeypatch.setattr(step, '_step_policy', lambda *args: None)  # which would move the magnitudes in between
    step.search(batch(model, 1), batch(model, 2))
    assert len(seen) == 5
    for place in (2, 3, 4):
        torch.testing.assert_close(seen[place], seen[0])


def test_the_first_step_of_the_distribution_is_that_of_reinforce(monkeypatch: pytest.MonkeyPatch) -> None:
    model, step = build(classifier)
    searchable, draw = step.searchable, step.searchable.draw()
    monkeypatch.setattr(searchable, 'draw', lambda: draw)
    scores = torch.autograd.grad(draw.log_probability, searchable.drawn_parameters, retain_graph=True)
    before = [parameter.detach().clone() for parameter in searchable.drawn_parameters]
    logged = step.search(batch(model, 1), batch(model, 2))
    for parameter, start, score in zip(searchable.drawn_parameters, before, scores, strict=True):
        torch.testing.assert_close(parameter.detach(), start - logged['policy_change'] * score)


@pytest.mark.slow
def test_the_control_variate_learns_what_a_draw_changes() -> None:
    """A change that is 2 whatever is drawn has no gradient: the estimates' mean square falls to a small part."""
    model, step = build(classifier)
    searchable, change = step.searchable, torch.tensor(2.0, dtype=torch.float64)
    squares = []
    start = [parameter.detach().clone() for parameter in searchable.policy_parameters()]
    for _ in range(300):
        before = [parameter.detach().clone() for parameter in searchable.drawn_parameters]
        step._step_policy(searchable.draw(), change, torch.zeros_like(searchable.magnitude_logits))
        moved = [(p.detach() - b).square().sum() for p, b in zip(searchable.drawn_parameters, before, strict=True)]
        squares.append(float(sum(moved)))
        with torch.no_grad():
            for parameter, value in zip(searchable.policy_parameters(), start, strict=True):
                parameter.copy_(value)
    assert sum(squares[-50:]) < 0.1 * sum(squares[:10]) * 5


def test_policy_steps_leave_no_gradient_behind() -> None:
    model, step = build(segmentor)
    step.search(batch(model, 1), batch(model, 2))
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_another_search_is_refused() -> None:
    with pytest.raises(ValueError, match='DADAStep steps a DADASearch, but the model searches a DDASSearch; take'):
        build(classifier, kind='DDASSearch')


def test_mixed_precision_is_refused_without_an_alternative_that_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    model, step = build(classifier)
    mixed = object.__new__(AmpOptimWrapper)
    with pytest.raises(ValueError, match='full precision, .* leave out --amp$'):
        DADAStep(model, {'weights': mixed, 'policy': step.optim_wrapper['policy']})


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, step = build(classifier)
    monkeypatch.setattr('mmdas.engine.steps.search_step.is_model_wrapper', lambda module: True)
    with pytest.raises(ValueError, match='DADAStep runs in one process; start without a launcher$'):
        DADAStep(model, step.optim_wrapper)
