"""Saliency of an early head (Gong et al. 2021, Sec. 3.3): a linear classifier behind the first stage."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from mmdas.ops.clip import reference_frame
from mmdas.ops.saliency import input_saliency

from .network import Network
from .scores import check_options, has_maps, label_scores


class EarlySaliency:
    """Saliency of the labels in a linear classifier that reads the first stage; what comes after it is not computed.

    Classification: the mean over positions and frames, and a linear layer. Segmentation: the linear layer at each
    position of the reference frame, which is the image itself. The layer starts at zero, so that all regions are alike
    at first, and it learns from each batch by Adam from what the stage gives in evaluation mode.

    The paper adds the early loss to that of the network, with a weight. Here the network does not learn from it, and
    its loss stays that of a plain training. So the layer is no part of the network, its optimiser or its checkpoint.
    It has a state of its own, which ``mmdas.AugmentHook`` saves and brings back. Processes average its gradients, so
    that it is the same in all of them.

    Args:
        score: ``'logit'`` of the label (default), or ``'loss'``.
        stage: path of the stage in the backbone. Default: the first one.
        lr: learning rate of Adam, > 0. Default: 0.001.
        resolution: factor of the sides at which the backbone sees the clip, in (0, 1]. Default: 1.

    Raises:
        ValueError: for another score, rate or resolution; in a call for a stage that does not give (B, C, h, w).
    """

    learns = True

    def __init__(
        self, score: str = 'logit', stage: str | None = None, lr: float = 1e-3, resolution: float = 1.0
    ) -> None:
        check_options(score, resolution)
        if not lr > 0:
            raise ValueError(f'lr of an early head must be above 0, got {lr}')
        self.score, self.stage, self.lr, self.resolution = score, stage, lr, resolution
        self._network: Any = None
        self.head: Any = None
        self._optimizer: Any = None

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained; the head starts anew."""
        self._network = Network(model)
        self._check_stage()
        self.head = self._optimizer = None

    def _check_stage(self) -> None:
        backbone, stage = self._network.model.backbone, self.stage
        if stage is not None and stage not in dict(backbone.named_modules()):
            names = [name for name, _ in backbone.named_children()]
            raise ValueError(f'backbone has no stage {stage!r}; its parts are {names}')

    def __call__(self, images: Tensor, samples: Sequence) -> Tensor:
        """Images (B, C, H, W), B > 0, and their samples -> saliency (B, H, W); then the head learns from them."""
        seen: list[Tensor] = []

        def score(pixels: Tensor) -> Tensor:
            features = self._features(pixels, samples)
            seen.append(features.detach())
            return label_scores(self._logits(features), samples, self.score, self._network.ignore_index)

        saliency = input_saliency(score, images)
        self._learn(seen[0], samples)
        return saliency

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser of the head; empty before its first batch."""
        if self.head is None:
            return {}
        return {'head': self.head.state_dict(), 'optimizer': self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`, after :meth:`use_model`."""
        if not state:
            return
        num_classes, channels = state['head']['weight'].shape
        self._start(channels, num_classes, next(self._network.model.parameters()).device)
        self.head.load_state_dict(state['head'])
        self._optimizer.load_state_dict(state['optimizer'])

    def _features(self, images: Tensor, samples: Sequence) -> Tensor:
        found = self._network.features(images, samples, self.stage, self.resolution)
        if not isinstance(found, Tensor) or found.ndim != 4 or len(found) % len(images):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f'the stage gives {shape} for {len(images)} images, expected (B, C, h, w); name another by '
                "saliency=dict(type='early', stage=PATH), or take saliency='low'"
            )
        frames = found.float().unflatten(0, (len(images), -1))  # (B, T, C, h, w)
        if has_maps(samples):
            return frames[:, reference_frame(frames.shape[1])]
        return frames.mean((1, 3, 4))

    def _logits(self, features: Tensor) -> Tensor:
        """(B, C) or (B, C, h, w) -> (B, K) or (B, K, h, w)."""
        if self.head is None:
            self._start(features.shape[1], self._network.num_classes, features.device)
        with torch.autocast(features.device.type, enabled=False):
            if features.ndim == 2:
                return linear(features, self.head.weight, self.head.bias)
            return conv2d(features, self.head.weight[:, :, None, None], self.head.bias)

    def _start(self, channels: int, num_classes: int, device: torch.device) -> None:
        self.head = nn.Linear(channels, num_classes, device='meta').to_empty(device=device)  # draws no random numbers
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        self._optimizer = torch.optim.Adam(self.head.parameters(), lr=self.lr)

    def _learn(self, features: Tensor, samples: Sequence) -> None:
        """A step on the cross-entropy, the mean over images and positions; processes take the same step."""
        with torch.inference_mode(False), torch.enable_grad():
            logits = self._logits(features)
            loss = label_scores(logits, samples, 'loss', self._network.ignore_index).mean() / logits[0, 0].numel()
            gradients = torch.autograd.grad(loss, list(self.head.parameters()))
        for parameter, gradient in zip(self.head.parameters(), gradients, strict=True):
            all_reduce(gradient, 'mean')
            parameter.grad = gradient
        self._optimizer.step()
