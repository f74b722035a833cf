"""The step of Faster AutoAugment (Hataya et al., ECCV 2020)."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS
from torch import Tensor, nn

from mmdas.ops.clip import repeat_image
from mmdas.registry import TASK_UTILS
from mmdas.search.gradient_penalty import gradient_penalty

from .search_step import Batch, SearchStep


@TASK_UTILS.register_module()
class AdversarialStep(SearchStep):
    """Step the network and a critic on its features, then the policy against both.

    1. The network learns its task on original clips, which repeat the image, and with the critic to tell them from
       those of the policy (WGAN-GP, Gulrajani et al., NeurIPS 2017).
    2. The policy learns to keep the loss of the task low and to deceive the critic.

    Four passes forward (originals, clips of the policy, penalty, policy) and five backward: the penalty needs two.

    Args:
        model: see :class:`SearchStep`; with a ``backbone`` that gives feature maps, and a data preprocessor of mmdas.
        optim_wrapper: see :class:`SearchStep`; in that work the weights have Adam.
        critic: module, or its config, from feature maps (N, C, h, w) to values (N,), such as
            ``dict(type='mmdas.LinearCritic', channels=512)``.
        penalty: factor of the gradient penalty. Default: 10.
        optimizer: config of the critic's optimiser. Default: Adam as in that work.

    Raises:
        ValueError: for a model that makes its clips itself, several processes or mixed precision.
    """

    passes = 4.5

    def __init__(
        self,
        model: nn.Module,
        optim_wrapper: Mapping[str, OptimWrapper],
        critic: nn.Module | Mapping,
        penalty: float = 10.0,
        optimizer: Mapping | None = None,
    ) -> None:
        super().__init__(model, optim_wrapper)
        self._check_plain()
        if getattr(model.data_preprocessor, 'gives_images', True):
            raise ValueError(
                f'AdversarialStep takes clips from a data preprocessor of mmdas, but a {type(model).__name__} with '
                f"{type(model.data_preprocessor).__name__} gives none; set model.type to the toolbox's, such as "
                "'EncoderDecoder', and model.data_preprocessor.type to 'mmdas.DASSegDataPreProcessor' or "
                "'mmdas.DASClsDataPreprocessor'"
            )
        module = critic if isinstance(critic, nn.Module) else TASK_UTILS.build(dict(critic))
        self.critic = module.to(next(model.parameters()).device)
        cfg = copy.deepcopy(dict(optimizer or dict(type='Adam', lr=1e-3, betas=(0.0, 0.999))))
        self.critic_optimizer = OPTIMIZERS.build({**cfg, 'params': self.critic.parameters()})
        self.penalty = penalty

    def state_dict(self) -> dict[str, Any]:
        """The critic and its optimiser."""
        return {'critic': self.critic.state_dict(), 'optimizer': self.critic_optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.critic.load_state_dict(state['critic'])
        self.critic_optimizer.load_state_dict(state['optimizer'])

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        network = self._step_network(policy_batch, weights_batch)
        policy = self._step_policy(policy_batch)
        return {**network, **{f'policy_{name}': value for name, value in policy.items()}}

    def _step_network(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        originals, samples = self._originals(weights_batch)
        with torch.no_grad():
            clips = self.model.data_preprocessor(policy_batch, True)['inputs']
        loss, judged, values = self._task_and_critic(originals, samples)
        (loss - judged.mean()).backward()
        self._judge(clips).mean().backward()
        pairs = min(len(originals), len(clips))  # the last batches of an epoch may be shorter
        penalty = self.penalty * gradient_penalty(self._judge, originals[:pairs], clips[:pairs])
        penalty.backward()
        for wrapper in (self.optim_wrapper['weights'], self.critic_optimizer):
            wrapper.step()
            wrapper.zero_grad()
        return {**values, 'critic_penalty': penalty.detach()}

    def _step_policy(self, batch: Batch) -> dict[str, Tensor]:
        wrapper = self.optim_wrapper['policy']
        with self._fixed(self.optim_wrapper['weights'].optimizer, self.critic_optimizer):
            data = self.model.data_preprocessor(batch, True)
            loss, judged, values = self._task_and_critic(data['inputs'], data['data_samples'])
            (loss - judged.mean()).backward()
        wrapper.step()
        wrapper.zero_grad()
        return values

    def _originals(self, batch: Batch) -> tuple[Tensor, Sequence]:
        """Clips that repeat their images, and their samples."""
        preprocessor = self.model.data_preprocessor
        preprocessor.gives_images = True
        try:
            data = preprocessor(batch, True)
        finally:
            preprocessor.gives_images = False
        return repeat_image(data['inputs'], preprocessor.num_frames), data['data_samples']

    def _task_and_critic(self, clips: Tensor, samples: Sequence) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Loss of the task, the critic's value of every clip from the same features, and what is logged."""
        features: list[Sequence[Tensor]] = []
        hook = self.model.backbone.register_forward_hook(lambda module, inputs, output: features.append(output))
        try:
            loss, values = self.model.parse_losses(self.model(clips, samples, mode='loss'))
        finally:
            hook.remove()
        return loss, self._values(features[-1], len(clips)), values

    def _judge(self, clips: Tensor) -> Tensor:
        return self._values(self.model.backbone(clips), len(clips))

    def _values(self, features: Sequence[Tensor], clips: int) -> Tensor:
        """Critic's value of every clip, the mean over its frames, (B,)."""
        return self.critic(features[-1]).view(clips, -1).mean(dim=1)
