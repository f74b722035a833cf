"""The step of Faster AutoAugment (Hataya et al., ECCV 2020)."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.engine.utils import find_searchable
from mmdas.registry import TASK_UTILS
from mmdas.search.augmentation import AugmentSearch
from mmdas.search.gradient_penalty import gradient_penalty

from .search_step import Batch, SearchStep


@TASK_UTILS.register_module()
class AdversarialStep(SearchStep):
    """Step the policy against the network and a critic on its features, then both of them.

    1. The policy learns to keep the loss of the task low and to deceive the critic.
    2. The network learns its task on originals, which the policy has not touched, and with the critic to tell them
       from what the policy made (WGAN-GP, Gulrajani et al., NeurIPS 2017).

    Four passes forward (policy, originals, critic, penalty) and five backward: the penalty needs two.

    Args:
        model: see :class:`SearchStep`; its ``backbone`` gives feature maps.
        optim_wrapper: see :class:`SearchStep`; in that work the weights have Adam.
        critic: module, or its config, from feature maps (N, C, h, w) to values (N,), such as
            ``dict(type='mmdas.LinearCritic', channels=512)``. A config without ``channels`` takes those of the
            backbone's last maps, once the first batch comes.
        penalty: factor of the gradient penalty. Default: 10.
        task_factor: of the losses of the task, for the policy as for the network. Default: 1; 0.1 in that work.
        optimizer: config of the critic's optimiser. Default: Adam as in that work.

    Raises:
        ValueError: for a model without a backbone, several processes or mixed precision.
    """

    passes = 4.5

    def __init__(
        self,
        model: nn.Module,
        optim_wrapper: Mapping[str, OptimWrapper],
        critic: nn.Module | Mapping,
        penalty: float = 10.0,
        task_factor: float = 1.0,
        optimizer: Mapping | None = None,
    ) -> None:
        super().__init__(model, optim_wrapper)
        self._check_plain()
        if not hasattr(model, 'backbone'):
            raise ValueError(
                f'AdversarialStep judges the features of model.backbone, but {type(model).__name__} has none; take '
                'mmdas.AlternatingStep'
            )
        self.penalty, self.task_factor = penalty, task_factor
        self._optimizer = dict(optimizer or dict(type='Adam', lr=1e-3, betas=(0.0, 0.999)))
        self._cfg: dict[str, Any] = {}
        self.critic: Any = None
        if isinstance(critic, nn.Module):
            self._take(critic)
        elif 'channels' in critic:
            self._build(dict(critic))
        else:
            self._cfg = dict(critic)

    def _take(self, critic: nn.Module) -> None:
        self.critic = critic.to(next(self.model.parameters()).device)
        self.critic_optimizer = OPTIMIZERS.build({**copy.deepcopy(self._optimizer), 'params': critic.parameters()})

    def _build(self, cfg: Mapping[str, Any]) -> None:
        self._cfg = dict(cfg)
        self._take(TASK_UTILS.build(dict(cfg)))

    def own_optimizers(self) -> list[Optimizer]:
        """That of the critic, as soon as there is one."""
        return [] if self.critic is None else [self.critic_optimizer]

    def state_dict(self) -> dict[str, Any]:
        """The critic and its optimiser, as soon as there is a critic, and the channels that it takes."""
        channels = {'channels': self._cfg.get('channels')}
        if self.critic is None:
            return channels
        return {'critic': self.critic.state_dict(), 'optimizer': self.critic_optimizer.state_dict(), **channels}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if 'critic' not in state:
            return
        if self.critic is None:
            self._build({**self._cfg, 'channels': state['channels']})
        self.critic.load_state_dict(state['critic'])
        self.critic_optimizer.load_state_dict(state['optimizer'])

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        if self.critic is None:
            self._build({**self._cfg, 'channels': self._channels(weights_batch)})
        policy, made = self._step_policy(policy_batch)
        network = self._step_network(weights_batch, made)
        return {**network, **{f'policy_{name}': value for name, value in policy.items()}}

    def _step_policy(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Step the policy; what is logged, and the inputs (B, ...) that it made."""
        wrapper = self.optim_wrapper['policy']
        with self._fixed(self.optim_wrapper['weights'].optimizer, self.critic_optimizer):
            loss, values, made, judged = self._task_and_critic(batch)
            (self.task_factor * loss - judged.mean()).backward()
        wrapper.step()
        wrapper.zero_grad()
        return values, made.detach()

    def _step_network(self, batch: Batch, made: Tensor) -> dict[str, Tensor]:
        with self._without_policy():
            loss, values, originals, judged = self._task_and_critic(batch)
        (self.task_factor * loss - judged.mean()).backward()
        self._judge(made).mean().backward()
        pairs = min(len(originals), len(made))  # the last batch of an epoch may be smaller
        penalty = self.penalty * gradient_penalty(self._judge, originals[:pairs], made[:pairs])
        penalty.backward()
        for optimizer in (self.optim_wrapper['weights'], self.critic_optimizer):
            optimizer.step()
            optimizer.zero_grad()
        return {**values, 'critic_penalty': penalty.detach()}

    @contextmanager
    def _without_policy(self) -> Iterator[None]:
        """Show the network the data as they are; who holds a searchable takes None in its place."""
        searchable = find_searchable(self.model)
        if isinstance(searchable, AugmentSearch):
            with searchable.without():
                yield
            return
        holder, name = next(
            (module, name)
            for module in self.model.modules()
            for name, child in module.named_children()
            if child is searchable
        )
        setattr(holder, name, None)
        try:
            yield
        finally:
            setattr(holder, name, searchable)

    @torch.no_grad()
    def _channels(self, batch: Batch) -> int:
        """Channels of the backbone's last maps, by a pass that leaves nothing behind."""
        self.model.eval()  # for running statistics
        try:
            with kept_random_state():
                return int(self._pass(batch)[3][-1].shape[1])
        finally:
            self.model.train()

    def _task_and_critic(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        """Loss of the task and what is logged of it; inputs of the backbone (B, ...) and the critic's value of each."""
        loss, values, inputs, features = self._pass(batch)
        return loss, values, inputs, self._values(features, len(inputs))

    def _pass(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor, Sequence[Tensor]]:
        """Loss of the task and what is logged of it; inputs and features of the backbone."""
        inputs: list[Tensor] = []
        features: list[Sequence[Tensor]] = []
        backbone = self.model.backbone
        hooks = [
            backbone.register_forward_pre_hook(lambda module, args: inputs.append(args[0])),
            backbone.register_forward_hook(lambda module, args, output: features.append(output)),
        ]
        try:
            data = self.model.data_preprocessor(batch, True)
            loss, values = self.model.parse_losses(self.model(**data, mode='loss'))
        finally:
            for hook in hooks:
                hook.remove()
        return loss, values, inputs[-1], features[-1]

    def _judge(self, inputs: Tensor) -> Tensor:
        return self._values(self.model.backbone(inputs), len(inputs))

    def _values(self, features: Sequence[Tensor], count: int) -> Tensor:
        """Critic's value of each input, the mean over its frames, (B,)."""
        return self.critic(features[-1]).view(count, -1).mean(dim=1)
