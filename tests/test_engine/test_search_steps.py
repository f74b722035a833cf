"""Steps by themselves: built of a model and two optimisers, without a runner."""

from collections.abc import Mapping

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.func import functional_call
from toy_search import epoch_search, iter_search, prepare

from mmdas.engine import AdversarialStep, AlternatingStep, LinearCritic, LookAheadStep, PerceptronCritic
from mmdas.search import Searchable

RATE = 0.03
STEPS = {
    'AlternatingStep': dict(type='mmdas.AlternatingStep'),
    'LookAheadStep': dict(type='mmdas.LookAheadStep'),
    'AdversarialStep': dict(type='mmdas.AdversarialStep', critic=dict(type='mmdas.LinearCritic', channels=8)),
}


class Shift(Searchable):
    """Adds its parameter to images."""

    def __init__(self) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.amount

    def report(self) -> dict[str, float]:
        return {'amount': self.amount.item()}

    def to_policy(self, origin: Mapping | None = None) -> None:
        raise NotImplementedError


class Maps(nn.Module):
    """A backbone of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.weight * images,)


class Tiny(BaseModel):
    """A loss that is quadratic in the weight, times ``task`` and, with ``noise``, a random number."""

    def __init__(self, task: float = 1.0, noise: float = 0.0) -> None:
        super().__init__()
        self.shift, self.backbone = Shift(), Maps()
        self.task, self.noise = task, noise
        self.double()

    def forward(self, inputs: Tensor, targets: Tensor, mode: str = 'loss') -> dict[str, Tensor]:
        (maps,) = self.backbone(inputs if self.shift is None else self.shift(inputs))
        factor = self.task * (1 + self.noise * torch.rand((), dtype=torch.float64))
        return {'loss': factor * (maps.mean(dim=(1, 2, 3)) - targets).square().mean()}


def wrappers(model: Tiny, kind: type[OptimWrapper] = OptimWrapper) -> OptimWrapperDict:
    """Plain gradient descent of both parts."""
    weights = torch.optim.SGD([model.backbone.weight], lr=RATE)
    return OptimWrapperDict(
        weights=kind(optimizer=weights), policy=OptimWrapper(torch.optim.SGD([model.shift.amount], lr=1.0))
    )


def batches() -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    return [
        dict(
            inputs=torch.randn(count, 1, 2, 2, generator=generator, dtype=torch.float64),
            targets=torch.randn(count, generator=generator, dtype=torch.float64),
        )
        for count in (3, 4)
    ]


def loss_at(model: Tiny, weight: Tensor, amount: Tensor, batch: dict) -> Tensor:
    return functional_call(model, {'backbone.weight': weight, 'shift.amount': amount}, kwargs=batch)['loss']


def leaves(model: Tiny) -> tuple[Tensor, Tensor]:
    return tuple(value.detach().clone().requires_grad_() for value in (model.backbone.weight, model.shift.amount))


# what a step computes


def test_alternating_steps_the_policy_and_then_the_weights_behind_it():
    model, (held_out, train) = Tiny(), batches()
    weight, amount = leaves(model)
    moved = amount - torch.autograd.grad(loss_at(model, weight, amount, held_out), amount)[0]
    expected = weight - RATE * torch.autograd.grad(loss_at(model, weight, moved, train), weight)[0]
    logged = AlternatingStep(model, wrappers(model)).search(held_out, train)
    torch.testing.assert_close(model.shift.amount, moved)
    torch.testing.assert_close(model.backbone.weight, expected)
    torch.testing.assert_close(logged['policy_loss'], loss_at(model, weight, amount, held_out))
    torch.testing.assert_close(logged['loss'], loss_at(model, weight, moved, train))


@pytest.mark.parametrize('noise', [0.0, 1.0])
def test_looking_ahead_steps_the_policy_by_the_derivative_through_the_step_of_the_weights(noise):
    """With noise too: all passes draw the same numbers, those of the step of the weights."""
    model, (held_out, train) = Tiny(noise=noise), batches()
    torch.manual_seed(1)
    plain = Tiny(task=1 + noise * torch.rand((), dtype=torch.float64).item())
    drawn = torch.get_rng_state()
    weight, amount = leaves(plain)
    (slope,) = torch.autograd.grad(loss_at(plain, weight, amount, train), weight, create_graph=True)
    ahead = loss_at(plain, weight - RATE * slope, amount, held_out)
    moved = amount - torch.autograd.grad(ahead, amount)[0]
    expected = weight - RATE * torch.autograd.grad(loss_at(plain, weight, moved, train), weight)[0]
    torch.manual_seed(1)
    logged = LookAheadStep(model, wrappers(model)).search(held_out, train)
    torch.testing.assert_close(model.shift.amount, moved)
    torch.testing.assert_close(model.backbone.weight, expected)
    torch.testing.assert_close(logged['policy_loss'], ahead.detach())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_the_policy_of_an_adversarial_step_deceives_the_critic():
    model, (held_out, train) = Tiny(task=0.0), batches()
    step = AdversarialStep(model, wrappers(model), LinearCritic(1).double())
    weight, slope = model.backbone.weight.item(), step.critic.linear.weight.item()
    step.search(held_out, train)
    # the value of a shifted image grows by weight * slope with the shift
    assert model.shift.amount.item() == pytest.approx(0.5 + weight * slope)


def test_the_losses_of_the_task_count_by_their_factor():
    moved = []
    for options, factor in ((dict(task=1.0), 0.1), (dict(task=0.1), 1.0)):
        model, (held_out, train) = Tiny(**options), batches()
        torch.manual_seed(1)
        step = AdversarialStep(model, wrappers(model), LinearCritic(1).double(), task_factor=factor)
        step.search(held_out, train)
        moved.append([value.item() for value in (model.shift.amount, model.backbone.weight)])
    assert moved[0] == pytest.approx(moved[1])
    assert moved[0] != pytest.approx([0.5, 2.0])


def test_the_critic_of_an_adversarial_step_learns_to_tell_the_originals():
    model, (held_out, train) = Tiny(task=0.0), batches()
    optimizers = wrappers(model)
    optimizers['policy'].optimizer.param_groups[0]['lr'] = 0.0  # the policy stays, the critic learns
    step = AdversarialStep(model, optimizers, LinearCritic(1).double(), optimizer=dict(type='Adam', lr=0.05))
    for _ in range(100):
        step.search(held_out, train)
    images = train['inputs']
    originals, made = (step.critic(model.backbone(value)[0]).mean() for value in (images, model.shift(images)))
    assert originals > made + 0.2


def test_the_critic_rests_while_the_weights_are_trained_alone():
    model, (_, train) = Tiny(), batches()
    step = AdversarialStep(model, wrappers(model), LinearCritic(1).double())
    before = step.critic.linear.weight.clone()
    step.train(train)
    assert torch.equal(step.critic.linear.weight, before)
    assert model.backbone.weight.item() != 2


def test_a_critic_of_other_channels_says_what_to_set():
    with pytest.raises(ValueError, match=r'have 3 channels; set train_cfg.step.critic.channels to it, it is 8'):
        LinearCritic(8)(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize('shape', [(2, 5, 3, 4), (2, 5, 6), (2, 5)])
def test_a_perceptron_critic_judges_the_mean_of_maps_of_any_size(shape):
    critic, features = PerceptronCritic(5), torch.rand(shape)
    means = features.reshape(2, 5, -1).mean(dim=2)
    expected = (means @ critic.hidden.weight.T + critic.hidden.bias).clamp(min=0) @ critic.linear.weight[0]
    torch.testing.assert_close(critic(features), expected + critic.linear.bias)


# every step, on networks of the toolboxes


@pytest.mark.parametrize('search', [iter_search, epoch_search])
@pytest.mark.parametrize('step', STEPS)
@pytest.mark.slow
def test_every_step_moves_policy_and_weights_and_leaves_nothing_behind(tmp_path, search, step):
    runner = prepare(search(tmp_path, train_cfg=dict(step=STEPS[step])))
    loop, model = runner.train_loop, runner.model
    model.backbone.conv1.weight.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    names = list(model.state_dict())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    logged = loop.step.search(next(loop.policy_batches), next(loop.weights_batches))
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert {'data_preprocessor.cell.logits', 'backbone.layer1.0.conv1.weight'} <= changed
    assert 'backbone.conv1.weight' not in changed
    assert {'loss', 'policy_loss'} <= set(logged)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert list(model.state_dict()) == names
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize('step', STEPS)
def test_every_step_leaves_the_model_whole_after_an_error(tmp_path, step):
    runner = prepare(iter_search(tmp_path, train_cfg=dict(step=STEPS[step])))
    flags = [parameter.requires_grad for parameter in runner.model.parameters()]
    names = list(runner.model.state_dict())
    loop = runner.train_loop
    with pytest.raises(KeyError):
        loop.step.search(next(loop.policy_batches), {'no': 'inputs'})
    assert [parameter.requires_grad for parameter in runner.model.parameters()] == flags
    assert list(runner.model.state_dict()) == names


# what is refused


@pytest.mark.parametrize('keys', [None, ['weights']])
def test_a_missing_optimiser_says_where_both_come_from(keys):
    model = Tiny()
    found = wrappers(model)
    given = found['weights'] if keys is None else OptimWrapperDict(weights=found['weights'])
    with pytest.raises(ValueError, match="policy; set optim_wrapper=dict.constructor='mmdas.SearchOptimWrapper"):
        AlternatingStep(model, given)


@pytest.mark.parametrize('kind', [LookAheadStep, AdversarialStep])
def test_steps_that_handle_gradients_themselves_run_in_one_process_and_full_precision(kind, monkeypatch):
    options = dict(critic=LinearCritic(1)) if kind is AdversarialStep else {}
    model = Tiny()
    with pytest.raises(ValueError, match='runs in one process; start without a launcher'):
        kind(nn.DataParallel(model), wrappers(model), **options)
    half = object.__new__(AmpOptimWrapper)  # a real one asks for a GPU
    with pytest.raises(ValueError, match='optim_wrapper.weights is an AmpOptimWrapper; leave out --amp'):
        kind(model, {'weights': half, 'policy': wrappers(model)['policy']}, **options)


def test_a_model_without_a_backbone_cannot_be_judged():
    model = Tiny()
    optimizers = wrappers(model)
    del model.backbone
    with pytest.raises(ValueError, match='features of model.backbone, but Tiny has none'):
        AdversarialStep(model, optimizers, LinearCritic(1))
