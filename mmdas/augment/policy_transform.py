"""An augmentation policy as a transform of a pipeline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import Augmentation, AugmentPolicy
from mmdas.search.augmentation.apply import IGNORE_INDEX
from mmdas.search.das.pixels import CHANNEL_ORDERS
from mmdas.search.policy_file import PolicyError

from .policy_augment import read_policy

OVERSHOOT = 0.25  # share of white by which floats may leave the range


@AUGMENTS.register_module()
class PolicyTransform(BaseTransform):
    """Augment an image, and its label maps with it, as a policy says: for pipelines of MMSegmentation and MMPretrain.

    Put it after what resizes and crops, before what packs. It works in the data loader's workers. The same policy in
    ``data_preprocessor.augments`` (``mmdas.PolicyAugment``) works on whole batches on the device, and can follow a
    trajectory.

    Args:
        policy: file of the policy, its content as a dict, the policy, or the name of a fixed one, such as
            ``'randaugment'``.
        channel_order: of the pipeline's colour images: ``'bgr'``, as files are read (default), or ``'rgb'``, as data
            sets in memory such as CIFAR hold them.
        max_value: the pixel value that is white. Default: 255.
        ignore_index: label of the places that no pixel comes to. Default: 255.

    Required keys: ``img`` (H, W) or (H, W, C), and the label maps (H, W) that ``seg_fields`` names. They are changed.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it is no augmentation policy, or one with a trajectory; in use, for images that are brighter
            than white.
        ValueError: for another order of colours, or a white that is not positive.
    """

    def __init__(
        self,
        policy: str | Path | Mapping | AugmentPolicy,
        channel_order: str = 'bgr',
        max_value: float = 255.0,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        loaded = read_policy(policy)
        if loaded.trajectory:
            raise PolicyError(
                'PolicyTransform cannot follow the trajectory of this policy: a pipeline does not know how far the '
                "training is; use data_preprocessor.augments=[dict(type='mmdas.PolicyAugment', policy=...)]"
            )
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(f'PolicyTransform.channel_order must be one of {CHANNEL_ORDERS}, got {channel_order!r}')
        if not max_value > 0:
            raise ValueError(f'PolicyTransform.max_value must be positive, got {max_value}')
        self.augmentation = Augmentation(loaded, ignore_index)
        self.channel_order, self.max_value = channel_order, max_value

    def transform(self, results: dict) -> dict:
        """Draw and apply."""
        self._check_white(results)
        names = [name for name in results.get('seg_fields', []) if name in results]
        image = self._to_colours(results['img'])
        maps = [torch.from_numpy(np.ascontiguousarray(results[name])).float() for name in names]
        changed, moved = self.augmentation(image, torch.stack(maps)[None] if maps else None)
        results['img'] = self._to_pixels(changed, results['img'])
        for place, name in enumerate(names):
            assert moved is not None
            results[name] = moved[0, place].numpy().astype(results[name].dtype)
        return results

    def _check_white(self, results: dict) -> None:
        image = results['img']
        whole = np.issubdtype(image.dtype, np.integer)  # floats of a bicubic resize leave the range a little
        if image.max(initial=0) > self.max_value * (1 if whole else 1 + OVERSHOOT):
            raise PolicyError(
                f'{results.get("img_path", "an image")} has pixels of {image.dtype} up to {image.max():g}, but '
                f'PolicyTransform takes {self.max_value:g} for white; set its max_value (255 for 8 bits, 65535 for 16, '
                '1 for 0..1)'
            )

    def _to_colours(self, image: np.ndarray) -> Tensor:
        """(H, W) or (H, W, C) -> (1, C, H, W) in [0, 1], RGB."""
        channels = image[..., None] if image.ndim == 2 else image
        return (
            self._turned(torch.from_numpy(np.ascontiguousarray(channels)).float().permute(2, 0, 1))[None]
            / self.max_value
        )

    def _to_pixels(self, colours: Tensor, like: np.ndarray) -> np.ndarray:
        values = self._turned(colours[0]).permute(1, 2, 0) * self.max_value
        if np.issubdtype(like.dtype, np.integer):
            values = values.round()
        return np.ascontiguousarray(values.numpy().astype(like.dtype).reshape(like.shape))

    def _turned(self, image: Tensor) -> Tensor:
        """RGB of an image (C, H, W) in the pipeline's order, and back."""
        return image.flip(0) if self.channel_order == 'bgr' and image.shape[0] == 3 else image

    def __repr__(self) -> str:
        policy: Any = self.augmentation.policy
        return f'{type(self).__name__}(operations={list(policy.operations)}, probability={policy.probability})'
