"""Show the clips that a model gets while it trains, or while its policy is searched."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.analysis import AnalysisError, ImageNetwork, frames_of, to_picture
from mmdas.engine.log_image import log_image
from mmdas.engine.utils import unwrap
from mmdas.models.data_preprocessors import ImageToClip
from mmdas.registry import HOOKS
from mmdas.visualization import draw_clips

from .random_state_hook import kept_random_state
from .saliency_hook import check_options, pad_to


@HOOKS.register_module()
class ClipHook(Hook):
    """Write a picture of the clips of some images of a batch, at intervals of a training or search.

    Of a search they are those of the relaxed cell, whose frames are mixtures. The images are those that the data loader
    gave; augments of the batch are not in the picture. All backends of the visualizer get it, such as TensorBoard. The
    training stays what it is. In a distributed training the first process draws, of its own batch.

    Args:
        interval: iterations between two pictures, >= 1; the first and the last iteration have one, too. Default: 1000.
        images: most images of a picture, one a row. Default: 4.
        channel_order: of the network's colours, ``'rgb'`` or ``'bgr'``. Default: as the data preprocessor converts,
            ``'bgr'`` where it does not.
        folder: within the work directory. Default: ``'clips'``. Pictures are named by their iterations.

    Raises:
        ValueError: for an interval or a number of images that is no whole number of at least 1, or another order.
        AnalysisError: at the start of the training, for a model without clips or without classes.
    """

    priority = 'LOW'  # after LoggerHook, so that backends which count rows know the iteration

    def __init__(
        self, interval: int = 1000, images: int = 4, channel_order: str | None = None, folder: str = 'clips'
    ) -> None:
        check_options('ClipHook', interval, images, channel_order)
        self.interval, self.images, self.channel_order, self.folder = interval, images, channel_order, folder

    def before_train(self, runner: Runner) -> None:
        """Check that there are clips.

        Raises:
            AnalysisError: if not.
        """
        preprocessor = ImageNetwork(unwrap(runner.model)).preprocessor
        if not isinstance(preprocessor, ImageToClip):
            raise AnalysisError(
                f'mmdas.ClipHook draws clips, but {type(preprocessor).__name__} makes none; leave the hook out, or '
                'train with --das'
            )

    @master_only
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Write the picture, to the visualizer too."""
        is_end = runner.iter == 0 or runner.iter + 1 == runner.max_iters
        if data_batch is None or not (is_end or self.every_n_train_iters(runner, self.interval)):
            return
        with kept_random_state():
            clips = self.clips(unwrap(runner.model), data_batch)
        path = Path(runner.work_dir, self.folder, f'iter_{runner.iter + 1}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_clips(clips).savefig(path, dpi=100)
        sheet = np.concatenate([np.concatenate(list(frames), axis=1) for frames in clips])  # (B*H, T*W, 3)
        log_image(runner.visualizer, 'clips', sheet, runner.iter + 1)

    def clips(self, model: Any, data_batch: Any) -> np.ndarray:
        """(B, T, H, W, 3), uint8, RGB, of the first images of a batch; smaller ones have black at their ends."""
        network, found = ImageNetwork(model), []
        for image in list(data_batch['inputs'])[: self.images]:
            with network.evaluating():
                batch = network.read({'inputs': [image]})
                (height, width), (frames, *_) = batch.sizes[0], frames_of(network, batch)
                found.append([self._picture(frame[:, :height, :width], network) for frame in frames])
        sides = np.max([frames[0].shape[:2] for frames in found], axis=0)
        return np.stack([np.stack([pad_to(frame, sides) for frame in frames]) for frames in found])

    def _picture(self, frame: Any, network: ImageNetwork) -> np.ndarray:
        return to_picture(frame, network.preprocessor, self.channel_order)
