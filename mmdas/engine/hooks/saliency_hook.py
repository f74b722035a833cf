"""Show what a model looks at while it trains."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.analysis import AnalysisError, ImageNetwork, saliency_maps, to_picture
from mmdas.engine.log_image import log_image
from mmdas.engine.utils import unwrap
from mmdas.registry import HOOKS
from mmdas.visualization import draw_pictures, overlay, to_grey

from .random_state_hook import kept_random_state


@HOOKS.register_module()
class SaliencyHook(Hook):
    """Write a picture of the saliency of some validation images at intervals of a training.

    The training stays what it is: the model is in evaluation mode for the time of the picture, no gradient of a weight
    is computed, and the random state is given back. It shows the model itself, not its average (EMA). In a distributed
    training the first process draws.

    Args:
        interval: iterations between two pictures, >= 1; the last iteration has one, too. Default: 1000.
        images: number of validation images, spread evenly over them. Default: 4.
        samples, noise: of SmoothGrad, see :func:`mmdas.analysis.saliency_maps`.
        channel_order: of the network's colours, ``'rgb'`` or ``'bgr'``. Default: as the data preprocessor converts,
            ``'bgr'`` where it does not.
        folder: within the work directory. Default: ``'saliency'``. Pictures are named by their iterations.

    Raises:
        ValueError: for an interval or a number of images that is no whole number of at least 1, or another order.
        AnalysisError: at the start of the training, for one without validation, or a model that predicts no classes.
    """

    priority = 'LOW'

    def __init__(
        self,
        interval: int = 1000,
        images: int = 4,
        samples: int = 1,
        noise: float = 0.15,
        channel_order: str | None = None,
        folder: str = 'saliency',
    ) -> None:
        check_options('SaliencyHook', interval, images, channel_order)
        self.interval, self.images, self.folder = interval, images, folder
        self.options, self.channel_order = {'samples': samples, 'noise': noise}, channel_order
        self.batches: list[dict] = []

    def before_train(self, runner: Runner) -> None:
        """Load the images.

        Raises:
            AnalysisError: for a training without validation, or a model that predicts no classes.
        """
        ImageNetwork(unwrap(runner.model))
        if runner.val_loop is None:
            raise AnalysisError('mmdas.SaliencyHook draws validation images, but the config has no val_dataloader')
        loader = runner.val_dataloader
        places = np.unique(np.linspace(0, len(loader.dataset) - 1, self.images).round().astype(int))
        with kept_random_state():
            self.batches = [loader.collate_fn([loader.dataset[int(place)]]) for place in places]

    @master_only
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Write the picture, to the visualizer too."""
        if not (self.every_n_train_iters(runner, self.interval) or runner.iter + 1 == runner.max_iters):
            return
        with kept_random_state():
            columns = self.columns(unwrap(runner.model))
        path = Path(runner.work_dir, self.folder, f'iter_{runner.iter + 1}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_pictures(columns).savefig(path, dpi=100)
        sides = np.max([picture.shape[:2] for picture in columns['overlay']], axis=0)
        rows = [pad_to(picture, sides) for picture in columns['overlay']]
        log_image(runner.visualizer, 'saliency', np.concatenate(rows, axis=1), runner.iter + 1)

    def columns(self, model: Any) -> dict[str, list[np.ndarray]]:
        """Images, maps and overlays."""
        network = ImageNetwork(model)
        columns: dict[str, list[np.ndarray]] = {'image': [], 'saliency': [], 'overlay': []}
        for data in self.batches:
            with network.evaluating():
                batch = network.read(data)
                maps = saliency_maps(network, batch, **self.options)  # type: ignore[arg-type]
            height, width = batch.sizes[0]
            picture = to_picture(batch.images[0, :, :height, :width], model.data_preprocessor, self.channel_order)
            scores = maps[0, :height, :width].cpu().numpy()
            for column, drawn in zip(columns, (picture, to_grey(scores), overlay(picture, scores)), strict=True):
                columns[column].append(drawn)
        return columns


def pad_to(picture: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """A picture with black at the bottom and the right, so that it has those sides."""
    rows, columns = (int(side - own) for side, own in zip(sides, picture.shape, strict=False))
    return np.pad(picture, ((0, rows), (0, columns), (0, 0)))


def check_options(hook: str, interval: Any, images: Any, channel_order: Any) -> None:
    """Check what hooks that draw pictures take from a config.

    Raises:
        ValueError: naming the option.
    """
    whole = all(isinstance(number, int) and number >= 1 for number in (interval, images))
    if not whole:
        raise ValueError(f'{hook}.interval is {interval!r} and images {images!r}, expected whole numbers of at least 1')
    if channel_order not in (None, 'rgb', 'bgr'):
        raise ValueError(f"{hook}.channel_order is {channel_order!r}, expected 'rgb' or 'bgr'")
