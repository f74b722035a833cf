"""The steps of other differentiable searches for augmentations, applied to the cell and the network of DAS.

What is compared is the work of a step. Their own policies, gradient estimators of discrete choices and schedules are
not here: the cell is relaxed by a softmax in all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from benchmarks.search_steps import SearchSteps
from mmdas.models.data_preprocessors import ImageToClip
from mmdas.ops.clip import repeat_image

Batch = Mapping[str, object]


class UnrolledSearch(SearchSteps):
    """DADA (Li et al., ECCV 2020): the policy's gradient through one unrolled step of the weights.

    Five passes: virtual weights step, held-out batch, two finite differences, weights step.
    """

    def run(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        """Step the policy for the batch ``policy_batch`` after a step on ``weights_batch``; then that step."""
        wrappers = self.runner.optim_wrapper
        policy, weights = (parameters(wrappers[name].optimizer) for name in ('policy', 'weights'))
        rate = wrappers['weights'].optimizer.param_groups[0]['lr']
        gradients = unrolled_gradient(self._loss, weights_batch, policy_batch, policy, weights, rate)
        for parameter, gradient in zip(policy, gradients, strict=True):
            parameter.grad = gradient
        wrappers['policy'].step()
        wrappers['policy'].zero_grad()
        return self._step('weights', weights_batch)

    def _loss(self, batch: Batch) -> Tensor:
        model = self.runner.model
        data = model.data_preprocessor(batch, True)
        return model.parse_losses(model(**data, mode='loss'))[0]


def unrolled_gradient(
    loss: Callable[[object], Tensor],
    train_batch: object,
    held_out_batch: object,
    policy: Sequence[Tensor],
    weights: Sequence[Tensor],
    rate: float,
) -> list[Tensor]:
    """Gradient of held_out(w - rate * d train(w, policy) / dw, policy) with respect to the policy.

    Its second-order part is a product of the train loss's mixed derivatives with a vector, taken by central finite
    differences along that vector (DARTS, Liu et al., ICLR 2019, Sec. 2.3), exact where the gradient of the policy is
    linear or quadratic in the weights.

    Args:
        loss: of a batch, from the policy and the weights as they stand.
        train_batch: of the virtual step.
        held_out_batch: of the loss after it.
        policy, weights: leaves; the weights are as before when the call ends.
        rate: of the virtual step, plain gradient descent.

    Returns:
        One gradient for every tensor of the policy.
    """
    virtual = torch.autograd.grad(loss(train_batch), weights)
    with shifted(weights, virtual, -rate):
        gradients = torch.autograd.grad(loss(held_out_batch), [*policy, *weights])
    direct, direction = gradients[: len(policy)], gradients[len(policy) :]
    step = 0.01 / torch.stack([part.norm() for part in direction]).norm()
    with shifted(weights, direction, step):
        above = torch.autograd.grad(loss(train_batch), policy)
    with shifted(weights, direction, -step):
        below = torch.autograd.grad(loss(train_batch), policy)
    return [d - rate * (a - b) / (2 * step) for d, a, b in zip(direct, above, below, strict=True)]


@contextmanager
def shifted(tensors: Sequence[Tensor], direction: Sequence[Tensor], length: float | Tensor) -> Iterator[None]:
    """Move leaves along a direction for a while; afterwards they are exactly as before."""
    before = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        for tensor, part in zip(tensors, direction, strict=True):
            tensor.add_(part * length)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)


class AdversarialSearch(SearchSteps):
    """Faster AutoAugment (Hataya et al., ECCV 2020): the policy against a critic on the network's features.

    First the network learns its task on original clips, and with a linear critic to tell them from transformed ones
    (WGAN-GP); then the policy learns to keep the task's loss low and the critic deceived. Four passes forward
    (originals, transformed, penalty, policy), five backward: the penalty needs two.

    Args:
        model, optim_wrapper: see :class:`SearchSteps`; the weights have Adam, as in that work.
        penalty: factor of the gradient penalty. Default: 10.
    """

    def __init__(self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper], penalty: float = 10.0) -> None:
        super().__init__(model, optim_wrapper)
        self.penalty = penalty
        self.critic = nn.Linear(model.backbone.feat_dim, 1).to(next(model.parameters()).device)
        weights = [*parameters(optim_wrapper['weights'].optimizer), *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(weights, lr=1e-3, betas=(0.0, 0.999))
        self._features: Sequence[Tensor] = ()
        model.backbone.register_forward_hook(self._keep_features)

    def run(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        """Step the network and its critic on original and transformed clips, then the policy."""
        images, samples = self._images(policy_batch)
        return {**self._step_network(images, weights_batch), **self._step_policy(images, samples)}

    def _step_network(self, images: Tensor, batch: Batch) -> dict[str, Tensor]:
        originals, samples = self._images(batch)
        originals = repeat_image(originals, self.runner.model.data_preprocessor.num_frames)
        with torch.no_grad():
            transformed = self.runner.model.data_preprocessor.cell(images)
        loss, judged = self._task_and_critic(originals, samples)
        (loss - judged.mean()).backward()
        self._judge(transformed).mean().backward()
        (self.penalty * gradient_penalty(self._judge, originals, transformed)).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {'loss': loss}

    def _step_policy(self, images: Tensor, samples: Sequence) -> dict[str, Tensor]:
        wrapper = self.runner.optim_wrapper['policy']
        with self._fixed(self.optimizer):
            loss, judged = self._task_and_critic(self.runner.model.data_preprocessor.cell(images), samples)
            (loss - judged.mean()).backward()
        wrapper.step()
        wrapper.zero_grad()
        return {'policy_loss': loss}

    def _images(self, batch: Batch) -> tuple[Tensor, Sequence]:
        """Normalised images before the step to clips, and their samples."""
        data = super(ImageToClip, self.runner.model.data_preprocessor).forward(batch, True)
        return data['inputs'], data['data_samples']

    def _task_and_critic(self, clips: Tensor, samples: Sequence) -> tuple[Tensor, Tensor]:
        """Task's loss and the critic's value of every clip, from the same features."""
        model = self.runner.model
        loss = model.parse_losses(model(clips, samples, mode='loss'))[0]
        return loss, self._values(len(clips))

    def _judge(self, clips: Tensor) -> Tensor:
        self.runner.model.backbone(clips)
        return self._values(len(clips))

    def _values(self, clips: int) -> Tensor:
        """Critic's value of every clip of the last pass, (B,)."""
        return self.critic(self._features[-1].mean(dim=(-2, -1))).view(clips, -1).mean(dim=1)

    def _keep_features(self, backbone: nn.Module, inputs: tuple, features: Sequence[Tensor]) -> None:
        self._features = features


def gradient_penalty(critic: Callable[[Tensor], Tensor], originals: Tensor, others: Tensor) -> Tensor:
    """Mean squared distance of the critic's slope from 1 between pairs (WGAN-GP, Gulrajani et al., NeurIPS 2017).

    Args:
        critic: (B, ...) -> values (B,).
        originals, others: (B, ...).
    """
    share = torch.rand(len(originals), *[1] * (originals.ndim - 1), device=originals.device)
    between = (share * originals + (1 - share) * others).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What an optimiser steps."""
    return [parameter for group in optimizer.param_groups for parameter in group['params']]
